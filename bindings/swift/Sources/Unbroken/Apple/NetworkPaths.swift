#if canImport(Network)
import Foundation
import Network

/// What the system says of the device's networks, as hints for a session. Each kind has a monitor of its own, so cellular is known while Wi-Fi
/// is up, and a second link can stand before the first one breaks.
public final class NetworkPaths: @unchecked Sendable {
    /// The numbers that hints and links have.
    public static let wifi: UInt64 = 1
    public static let cellular: UInt64 = 2
    public static let wired: UInt64 = 3

    /// A Wi-Fi that has just come back can come and go for seconds: it counts when it has stayed this long.
    private static let settling: TimeInterval = 1

    private let queue = DispatchQueue(label: "unbroken.paths")
    private let report: @Sendable (NetworkHint) -> Void
    private let monitors: [(network: UInt64, rank: Int, monitor: NWPathMonitor)] = [
        (wired, 3, NWPathMonitor(requiredInterfaceType: .wiredEthernet)),
        (wifi, 2, NWPathMonitor(requiredInterfaceType: .wifi)),
        (cellular, 1, NWPathMonitor(requiredInterfaceType: .cellular)),
    ]

    // On the queue only.
    private var choice = NetworkChoice()
    private var gateways: [UInt64: [NWEndpoint]] = [:]
    private var pending: [UInt64: DispatchWorkItem] = [:]
    private var wake: DispatchWorkItem?
    private var isOver = false

    public init(report: @escaping @Sendable (NetworkHint) -> Void) {
        self.report = report
    }

    static func interfaceType(_ network: UInt64) -> NWInterface.InterfaceType? {
        switch network {
        case wifi: .wifi
        case cellular: .cellular
        case wired: .wiredEthernet
        default: nil
        }
    }

    /// Begins to report; what is up already is reported at once.
    public func start() {
        for (network, rank, monitor) in monitors {
            monitor.pathUpdateHandler = { [weak self] path in self?.updated(network, rank, path) }
            monitor.start(queue: queue)
        }
    }

    public func cancel() {
        monitors.forEach { $0.monitor.cancel() }
        queue.async { [self] in
            isOver = true
            pending.values.forEach { $0.cancel() }
            pending = [:]
            wake?.cancel()
        }
    }

    /// What carries the session now.
    public func health(_ health: LinkHealth) {
        queue.async { [self] in tell(choice.health(health, now: now)) }
    }

    // ---- on the queue ----

    private func updated(_ network: UInt64, _ rank: Int, _ path: NWPath) {
        guard !isOver else { return }
        let before = gateways.updateValue(path.gateways, forKey: network)
        let isFirst = before == nil
        pending.removeValue(forKey: network)?.cancel()
        guard path.status == .satisfied else { return tell(choice.lost(network, now: now)) }
        // Other gateways: the same kind of network, but not the same one. One more is that of the other IP version.
        if let before, !before.isEmpty, Set(before).isDisjoint(with: path.gateways) { tell(choice.changed(network)) }
        let up = DispatchWorkItem { [weak self] in
            guard let self else { return }
            tell(choice.up(network, rank: rank, now: now))
        }
        pending[network] = up
        queue.asyncAfter(deadline: .now() + (isFirst ? 0 : Self.settling), execute: up)
    }

    private var now: UInt64 { nowUs() / 1000 }

    /// After each change of `choice`.
    private func tell(_ hints: [NetworkHint]) {
        guard !isOver else { return }
        hints.forEach(report)
        wake?.cancel()
        wake = choice.due.map { due in
            let wake = DispatchWorkItem { [weak self] in
                guard let self else { return }
                tell(choice.timePassed(now))
            }
            queue.asyncAfter(deadline: DispatchTime(uptimeNanoseconds: due * 1_000_000), execute: wake)
            return wake
        }
    }
}
#endif
