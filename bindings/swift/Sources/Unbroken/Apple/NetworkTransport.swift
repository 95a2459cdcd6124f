#if canImport(Network)
import Foundation
import Network

/// Links over Network.framework, bound to Wi-Fi, cellular or the wire as the session asks (`NetworkPaths` has the numbers).
public struct NetworkTransport: Transport {
    public init() {}

    public func open(
        host: String, port: UInt16, network: UInt64?, timeout: TimeInterval, report: @escaping @Sendable (LinkReport) -> Void
    ) -> any Connection {
        let tcp = NWProtocolTCP.Options()
        tcp.noDelay = true
        let parameters = NWParameters(tls: nil, tcp: tcp)
        if let type = network.flatMap(NetworkPaths.interfaceType) { parameters.requiredInterfaceType = type }
        let endpoint = NWEndpoint.Port(rawValue: port) ?? .any
        return NetworkConnection(NWConnection(host: NWEndpoint.Host(host), port: endpoint, using: parameters), timeout, report)
    }
}

/// One connection. Everything happens on its queue.
final class NetworkConnection: Connection, @unchecked Sendable {
    /// What the framework may hold of ours before the link counts as blocked, in bytes.
    private static let most = 64 << 10
    private static let linger: TimeInterval = 1

    private let connection: NWConnection
    private let report: @Sendable (LinkReport) -> Void
    private let queue = DispatchQueue(label: "unbroken.link")
    private var unsent = 0
    private var isBlocked = false
    private var isUp = false
    private var isOver = false

    init(_ connection: NWConnection, _ timeout: TimeInterval, _ report: @escaping @Sendable (LinkReport) -> Void) {
        (self.connection, self.report) = (connection, report)
        connection.stateUpdateHandler = { state in self.changed(state) }
        connection.start(queue: queue)
        // TCP's own limit leaves out the look-up of the name, and knows whole seconds only.
        queue.asyncAfter(deadline: .now() + timeout.bounded) { [weak self] in self?.expired() }
    }

    func write(_ data: Data) {
        queue.async { [self] in
            guard isUp, !isOver else { return }
            unsent += data.count
            connection.send(content: data, contentContext: .defaultMessage, isComplete: false, completion: .contentProcessed { error in
                self.sent(data.count, error)
            })
            if unsent > Self.most, !isBlocked {
                isBlocked = true
                report(.blocked)
            }
        }
    }

    func close() {
        queue.async { [self] in
            guard !isOver else { return }
            isOver = true
            guard isUp else { return connection.cancel() }
            // A FIN; what still comes is read and thrown away.
            connection.send(content: nil, contentContext: .finalMessage, isComplete: true, completion: .contentProcessed { _ in })
            queue.asyncAfter(deadline: .now() + Self.linger) { self.connection.cancel() }
        }
    }

    // ---- on the queue ----

    private func changed(_ state: NWConnection.State) {
        switch state {
        case .ready where !isUp && !isOver:
            isUp = true
            report(.up)
            receive()
        case .waiting, .failed:
            // A connection that waits for a better network would wait for ever; the session dials again by its own rules.
            down()
        case .cancelled:
            // It holds the handler, which holds this.
            connection.stateUpdateHandler = nil
        case .ready, .setup, .preparing:
            break
        @unknown default:
            break
        }
    }

    private func expired() {
        if !isUp { down() }
    }

    private func receive() {
        connection.receive(minimumIncompleteLength: 1, maximumLength: 64 << 10) { data, _, isComplete, error in
            if let data, !data.isEmpty, !self.isOver { self.report(.received(data)) }
            if isComplete || error != nil { self.down() } else { self.receive() }
        }
    }

    private func sent(_ count: Int, _ error: NWError?) {
        if error != nil { return down() }
        unsent -= count
        guard isBlocked, unsent == 0, !isOver else { return }
        isBlocked = false
        report(.writable)
    }

    private func down() {
        let told = isOver
        isOver = true
        connection.cancel()
        if !told { report(.down) }
    }
}
#endif
