/// What to tell a session of a device's networks when several are up, and when the lesser ones are worth their price.
///
/// The session wants the network that was reported last, and moves there. So a lesser network beside a better one is kept back while the session
/// does well. In trouble it is told of, beneath the better one: the session leaves a suspect link for it at once, and tries it by turns when the
/// better one fails. That is trouble: a link that is suspect, or none for a second; a handover for another reason is none.
///
/// Where it was carried to, the session stays. So half a minute after, the better network is reported again: if it carries, the session is
/// back, else it stays where it is, and is asked again after twice that time, and so on.
///
/// Pure bookkeeping; times in milliseconds of any clock that only rises. Each call gives the hints to pass on, in order.
public struct NetworkChoice: Sendable {
    private struct Known {
        let network: UInt64
        let rank: Int
        var reported = false
    }

    private enum Phase: Equatable {
        /// On the best network that is up, or on one that was not told of, or asleep.
        case calm
        /// Without a link, which is trouble from then on.
        case cut(until: UInt64)
        /// No link carries, or a suspect one.
        case trouble
        /// Carried again, but by a lesser network: the better one is asked then.
        case away(askAt: UInt64)
        /// Back on the best one, which has proved itself then.
        case back(until: UInt64)
    }

    /// A server that was restarted is back within it, and no reason to leave the network.
    private static let patience: UInt64 = 1000
    /// A network that failed once may fail again at once.
    private static let firstPause: UInt64 = 30_000
    private static let longestPause: UInt64 = 15 * 60_000

    /// In the order they came up.
    private var up: [Known] = []
    private var phase = Phase.calm
    private var health = LinkHealth.idle
    private var pause = Self.firstPause
    /// The session was told of a lesser network last, the one that carried it.
    private var wantsLesser = false

    public init() {}

    /// Whether the lesser networks are to be kept up, at their price: in trouble, and until the better one has carried for a while.
    public var needsSecond: Bool {
        switch phase {
        case .calm, .cut: false
        case .trouble, .away, .back: true
        }
    }

    /// When to call `timePassed`; nil: not before something happens.
    public var due: UInt64? {
        switch phase {
        case .cut(let due), .away(let due), .back(let due): due
        case .calm, .trouble: nil
        }
    }

    /// A network came up. A higher rank is wanted more; among equals the newest is.
    public mutating func up(_ network: UInt64, rank: Int, now: UInt64) -> [NetworkHint] {
        guard !up.contains(where: { $0.network == network }) else { return [] }
        up.append(Known(network: network, rank: rank))
        settle(now)
        return best == network || phase == .trouble ? tell([network]) : []
    }

    /// A network went away.
    public mutating func lost(_ network: UInt64, now: UInt64) -> [NetworkHint] {
        guard let index = up.firstIndex(where: { $0.network == network }) else { return [] }
        let gone = up.remove(at: index)
        settle(now)
        guard gone.reported else { return [] }
        let others = up.contains(where: \.reported) ? [] : best.map { tell([$0]) } ?? []
        return [.lost(network: network)] + others
    }

    /// The addresses of a network changed. What is said to have changed is wanted from then on: so nothing is said of a lesser network, unless the
    /// session is on it, by a link that may be dead now; in trouble, the best one is wanted again right after.
    public mutating func changed(_ network: UInt64) -> [NetworkHint] {
        guard up.contains(where: { $0.network == network && $0.reported }) else { return [] }
        let changed = [NetworkHint.changed(network: network)]
        guard let best, best != network else {
            wantsLesser = false
            return changed
        }
        switch phase {
        case .trouble:
            return changed + tell([best])
        case _ where network == carrying:
            wantsLesser = true
            return changed
        case .calm, .cut, .away, .back:
            return []
        }
    }

    /// What carries the session now.
    public mutating func health(_ health: LinkHealth, now: UInt64) -> [NetworkHint] {
        self.health = health
        settle(now)
        switch (health, phase) {
        case (.lost, .calm):
            phase = .cut(until: now + Self.patience)
            return []
        case (.sound(let network?), _) where wantsLesser && network == best:
            // Else the next handover, for whatever reason, would go to the lesser one. To be told of what carries it moves no session.
            return tell([network])
        case (.lost, .cut), (.idle, _), (.sound, _):
            return []
        case (.lost, _), (.suspect, _):
            return trouble()
        }
    }

    /// It is `due`, or later.
    public mutating func timePassed(_ now: UInt64) -> [NetworkHint] {
        guard let due, now >= due else { return [] }
        switch phase {
        case .cut:
            return trouble()
        case .away:
            pause = min(2 * pause, Self.longestPause)
            phase = .away(askAt: now + pause)
            return best.map { tell([$0]) } ?? []
        case .back, .calm, .trouble:
            phase = .calm
            pause = Self.firstPause
            return []
        }
    }

    private mutating func trouble() -> [NetworkHint] {
        guard phase != .trouble else { return [] }
        phase = .trouble
        return tell(up.filter { !$0.reported }.map(\.network))
    }

    /// What follows from a link that carries, or from none that is wanted.
    private mutating func settle(_ now: UInt64) {
        if health == .idle { phase = .calm }
        guard case .sound(let network) = health else { return }
        let carrier = up.first { $0.network == network }
        let isAway = carrier.map { carrier in up.contains { $0.rank > carrier.rank } } ?? false
        switch phase {
        case .away where isAway: break
        case _ where isAway: phase = .away(askAt: now + pause)
        case .trouble, .away: phase = .back(until: now + pause)
        case .calm, .cut: phase = .calm
        case .back: break
        }
    }

    /// The one that carries the session, if that is known.
    private var carrying: UInt64? {
        switch health {
        case .sound(let network), .suspect(let network): network
        case .lost, .idle: nil
        }
    }

    /// Among equals the newest.
    private var best: UInt64? {
        up.reversed().reduce(nil as Known?) { best, next in next.rank > best?.rank ?? .min ? next : best }?.network
    }

    /// The best last, and last of all the best of those that are known already: it stays the wanted one.
    private mutating func tell(_ news: [UInt64]) -> [NetworkHint] {
        let best = self.best
        var order = up.filter { news.contains($0.network) && $0.network != best }.sorted { $0.rank < $1.rank }.map(\.network)
        let bestIsKnown = up.contains { $0.network == best && ($0.reported || news.contains($0.network)) }
        if let best, bestIsKnown, !news.isEmpty { order.append(best) }
        for index in up.indices where order.contains(up[index].network) { up[index].reported = true }
        if !order.isEmpty { wantsLesser = false }
        return order.map { .available(network: $0) }
    }
}
