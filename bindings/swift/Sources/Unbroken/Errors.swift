import Foundation

/// A message was not taken; `code` says why.
public struct SendError: LocalizedError, Equatable, Sendable {
    public let code: RefusalCode
    public let text: String
    public var errorDescription: String? { text }
}

/// The session did not come about.
public struct ConnectError: LocalizedError, Equatable, Sendable {
    /// The `refused`, `closed` or `handoverFailed` that says why.
    public let event: Event

    public var errorDescription: String? {
        switch event {
        // A server need not say anything with its refusal.
        case .refused(let code, let message):
            message.isEmpty ? "refused by the server's application (code \(code))" : String(decoding: message, as: UTF8.self)
        case .closed(_, _, _, let text), .handoverFailed(_, _, _, let text): text
        default: "\(event)"
        }
    }
}

/// The address is no `host:port`.
public struct AddressError: LocalizedError, Equatable, Sendable {
    public let address: String
    public var errorDescription: String? { "`\(address)` is not `host:port`" }
}

/// `close` was called while somebody waited.
public struct ClientClosed: LocalizedError, Equatable, Sendable {
    public var errorDescription: String? { "the client was closed" }
}
