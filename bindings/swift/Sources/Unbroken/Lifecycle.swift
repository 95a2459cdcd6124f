import Foundation

/// Says when the app leaves the screen (`suspend`) and when it is back (`wake`).
protocol Lifecycle: Sendable {
    func start(_ report: @escaping @Sendable (NetworkHint) -> Void) async
    func cancel() async
}

extension UnbrokenClient {
    /// As `connect`, with the app's lifecycle told to the session. It is watched from before the connect, as an app that leaves the screen meanwhile is
    /// not seen to do so afterwards; what it says then waits for the session to stand.
    ///
    /// The lifecycle is cancelled here if no session comes about, else by the caller, when the session has ended.
    static func connect(
        to address: String, config: ClientConfig, transport: any Transport, connectTimeout: TimeInterval = 5,
        following lifecycle: (any Lifecycle)?
    ) async throws -> UnbrokenClient {
        let waiting = LastHint()
        await lifecycle?.start(waiting.tell)
        do {
            let client = try await connect(to: address, config: config, transport: transport, connectTimeout: connectTimeout)
            waiting.pass { client.hint($0) }
            return client
        } catch {
            await lifecycle?.cancel()
            throw error
        }
    }
}

/// Passes hints on, from any thread and in order. Of those that come before somebody takes them the last one is kept.
private final class LastHint: @unchecked Sendable {
    // Both are used with the lock held only.
    private let lock = NSLock()
    private var waiting: NetworkHint?
    private var report: (@Sendable (NetworkHint) -> Void)?

    @Sendable func tell(_ hint: NetworkHint) {
        lock.withLock {
            if let report { report(hint) } else { waiting = hint }
        }
    }

    func pass(to report: @escaping @Sendable (NetworkHint) -> Void) {
        lock.withLock {
            self.report = report
            if let waiting { report(waiting) }
            waiting = nil
        }
    }
}
