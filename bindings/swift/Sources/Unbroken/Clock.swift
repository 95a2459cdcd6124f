import Dispatch

/// Microseconds of a clock that only rises. It may stand still while the device sleeps: `NetworkHint.wake` says that it did.
func nowUs() -> UInt64 {
    DispatchTime.now().uptimeNanoseconds / 1000
}

/// One timer that calls at a time of `nowUs`, or not at all.
final class Alarm: @unchecked Sendable {
    // A dispatch source may be used from any thread.
    private let timer = DispatchSource.makeTimerSource()

    init(_ action: @escaping @Sendable () -> Void) {
        timer.setEventHandler(handler: action)
        timer.schedule(deadline: .distantFuture)
        timer.activate()
    }

    func set(_ dueUs: UInt64?) {
        // Rounded up, or it would ring too early and again.
        let due = dueUs.map { DispatchTime(uptimeNanoseconds: ($0 + 1) * 1000) } ?? .distantFuture
        timer.schedule(deadline: due, leeway: .microseconds(500))
    }

    func cancel() {
        timer.cancel()
    }
}
