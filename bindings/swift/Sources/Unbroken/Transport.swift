import Foundation

/// How a session's links are made: Network.framework on Apple platforms, sockets elsewhere, or the application's own.
public protocol Transport: Sendable {
    /// Begins to open a connection and returns at once. `network` is one of the numbers that were given in `NetworkHint`; nil leaves the
    /// choice to the system. What happens is reported in order, from any thread; `up` or `down` within `timeout` seconds.
    func open(
        host: String, port: UInt16, network: UInt64?, timeout: TimeInterval,
        report: @escaping @Sendable (LinkReport) -> Void
    ) -> any Connection
}

/// One connection, up or on its way there. May be used from any thread.
public protocol Connection: Sendable {
    /// Writes after all that was written before. What the socket does not take is kept, and reported as `blocked`.
    func write(_ data: Data)

    /// Writes what is left, sends a FIN and waits for the other end's for a second at most: closing a socket with unread bytes would reset it,
    /// and the last words with it. Nothing is reported any more.
    func close()
}

/// What happens to a connection.
public enum LinkReport: Sendable, Equatable {
    case up
    case received(Data)
    /// The socket takes no more for now.
    case blocked
    /// What was kept is through.
    case writable
    /// It could not be made, ended, or broke. Nothing comes after it.
    case down
}

extension TimeInterval {
    /// As a time that a connection may take, of which the systems' clocks can count the end: from 10 ms to a day. What is no number is no limit.
    var bounded: TimeInterval { isNaN ? Self.longest : min(max(self, 0.01), Self.longest) }

    private static var longest: TimeInterval { 86_400 }
}
