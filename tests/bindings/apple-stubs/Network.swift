// STUB. Not Apple's Network.framework: the few declarations of it that the package uses, written from its documentation, so that a compiler on
// Linux can check the package's types and concurrency. Nothing of it runs.

import Dispatch
import Foundation

public struct NWError: Error, Sendable {}

public enum NWEndpoint: Hashable, Sendable {
    public struct Host: Hashable, Sendable {
        public init(_ string: String) { fatalError() }
    }

    public struct Port: Hashable, Sendable {
        public static let any = Port(rawValue: 0)!
        public init?(rawValue: UInt16) { fatalError() }
    }

    case hostPort(host: Host, port: Port)
}

public struct NWInterface: Sendable {
    public enum InterfaceType: Sendable { case other, wifi, cellular, wiredEthernet, loopback }
}

public final class NWProtocolTCP {
    public final class Options {
        public var noDelay = false
        public var connectionTimeout = 0
        public init() {}
    }
}

public final class NWProtocolTLS {
    public final class Options {}
}

public final class NWParameters {
    public var requiredInterfaceType = NWInterface.InterfaceType.other
    public init(tls: NWProtocolTLS.Options?, tcp: NWProtocolTCP.Options) {}
}

public struct NWPath: Sendable {
    public enum Status: Sendable { case satisfied, unsatisfied, requiresConnection }
    public var status: Status { fatalError() }
    public var gateways: [NWEndpoint] { fatalError() }
}

public final class NWPathMonitor: @unchecked Sendable {
    public var pathUpdateHandler: (@Sendable (NWPath) -> Void)?
    public init(requiredInterfaceType: NWInterface.InterfaceType) {}
    public func start(queue: DispatchQueue) {}
    public func cancel() {}
}

public final class NWConnection: @unchecked Sendable {
    public enum State: Sendable { case setup, waiting(NWError), preparing, ready, failed(NWError), cancelled }

    public final class ContentContext: Sendable {
        public static let defaultMessage = ContentContext()
        public static let finalMessage = ContentContext()
    }

    public enum SendCompletion: Sendable { case contentProcessed(@Sendable (NWError?) -> Void), idempotent }

    public var stateUpdateHandler: (@Sendable (State) -> Void)?
    public init(host: NWEndpoint.Host, port: NWEndpoint.Port, using: NWParameters) {}
    public func start(queue: DispatchQueue) {}
    public func cancel() {}
    public func send(content: Data?, contentContext: ContentContext, isComplete: Bool, completion: SendCompletion) {}
    public func receive(
        minimumIncompleteLength: Int, maximumLength: Int, completion: @escaping @Sendable (Data?, ContentContext?, Bool, NWError?) -> Void
    ) {}
}
