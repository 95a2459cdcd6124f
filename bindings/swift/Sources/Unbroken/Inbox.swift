import Foundation

/// What happens, from any thread and in order, until the client takes it. A signal is kept while the client is busy, so what comes meanwhile is
/// taken together.
final class Inbox: @unchecked Sendable {
    // `inputs` is used with the lock held only.
    private let lock = NSLock()
    private var inputs: [Input] = []
    private let signal: AsyncStream<Void>.Continuation
    let signals: AsyncStream<Void>

    init() {
        (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func put(_ input: Input) {
        lock.withLock { inputs.append(input) }
        signal.yield()
    }

    /// Nothing happened, but there is something to do.
    func rouse() {
        signal.yield()
    }

    func takeAll() -> [Input] {
        lock.withLock {
            defer { inputs = [] }
            return inputs
        }
    }

    func finish() {
        signal.finish()
    }
}
