import Foundation

// The driver: feeds the session with what happens and does what it asks for.
//
// Whatever happens is an input in the inbox; a turn hands all of them to one step of the session. Events and messages are taken before
// anything is written: whoever writes first can wait for a server that waits for him.

/// Received messages that wait for the application, in bytes; beyond it they wait in the session, then at the server.
private let room = 256 << 10

/// What goes into the session in one step, in bytes, but for one message more.
private let burst = 1 << 20

/// No configuration has a larger limit of a message.
let largest = 16 << 20

/// What a message counts for, as the session does.
private func cost(_ payload: Data) -> Int { payload.count + 64 }

/// A message on its way into the session, and who waits for that.
struct Outgoing {
    let id: UInt64
    let input: Input
    let sender: CheckedContinuation<Refusal?, any Error>

    var isReliable: Bool {
        if case .send = input { true } else { false }
    }

    var payload: Data {
        switch input {
        case .send(let message), .sendUnreliable(let message): message
        default: Data()
        }
    }
}

extension Refusal {
    static let closed = Refusal(input: 0, code: .closed, text: "the session is closed")
    static let tooLarge = Refusal(input: 0, code: .tooLarge, text: "larger than the limit of \(largest) bytes")
}

/// How far the session got.
enum Standing {
    case trying
    /// Refused or given up before it ever stood.
    case failed(Event)
    case established
    case closed(Event)
    /// The application let go of it, or the library failed.
    case gone(any Error)

    var isOver: Bool {
        switch self {
        case .closed, .gone: true
        case .trying, .failed, .established: false
        }
    }

    /// Nil while it is not over.
    func end() throws -> Event? {
        switch self {
        case .closed(let event): return event
        case .gone(let error): throw error
        case .trying, .failed, .established: return nil
        }
    }
}

extension UnbrokenClient {
    func run() async {
        inbox.rouse()
        for await _ in inbox.signals {
            while turn() {}
        }
    }

    /// The application has taken a message.
    func took(_ message: Message) {
        used -= cost(message.payload)
        guard more, used < room / 2 else { return }
        // After the end nobody takes turns any more, but what had arrived is still in the session.
        if standing.isOver { _ = turn() } else { inbox.rouse() }
    }

    func abandon() {
        if !standing.isOver {
            inbox.put(.disconnect(code: 0))
            // One is a burst, and the goodbye is behind all that was sent before.
            while turn() {}
        }
        more = false
        if !standing.isOver { standing = .gone(ClientClosed()) }
        shut()
    }

    /// One step of the session; says whether it asks for another at once.
    private func turn() -> Bool {
        if case .gone = standing { return false }
        if standing.isOver && !more { return false }
        let happened = inbox.takeAll()
        // The session has nothing more to say of such a link.
        for case .linkDown(let link) in happened { links[link] = nil }
        let sends = next()
        let now = nowUs()
        let step: Step
        do {
            step = try session.step(inputs: happened + sends.map(\.input), room: UInt32(max(0, room - used)), nowUs: now)
        } catch {
            standing = .gone(error)
            more = false
            shut()
            return false
        }
        used += step.messages.reduce(0) { $0 + cost($1.payload) }
        more = step.moreMessages
        step.messages.forEach { messages.put($0) }
        settle(sends, after: happened.count, step.refusals)
        step.events.forEach(note)
        health.set(step.health)
        step.outputs.forEach(carryOut)
        if standing.isOver {
            shut()
            return false
        }
        alarm.set(step.deadlineUs)
        return step.deadlineUs.map { $0 <= now } ?? false
    }

    /// Tells those who sent what became of it. What was refused for want of room waits.
    private func settle(_ sends: [Outgoing], after first: Int, _ refusals: [Refusal]) {
        guard !sends.isEmpty else { return }
        let refused = Dictionary(uniqueKeysWithValues: refusals.map { (Int($0.input) - first, $0) })
        var settled = Set<UInt64>()
        for (index, message) in sends.enumerated() {
            if refused[index]?.code == .wouldBlock {
                blocked = true
            } else {
                settled.insert(message.id)
                message.sender.resume(returning: refused[index])
            }
        }
        outgoing.removeAll { settled.contains($0.id) }
        if outgoing.contains(where: mayLeave) { inbox.rouse() }
    }

    private func mayLeave(_ message: Outgoing) -> Bool { !blocked || !message.isReliable }

    /// What the session is asked to take now, in order; no more than it may have room for, as a call cannot carry all that may wait.
    private func next() -> [Outgoing] {
        var size = 0
        return Array(outgoing.filter(mayLeave).prefix { message in
            defer { size += cost(message.payload) }
            return size < burst
        })
    }

    private func note(_ event: Event) {
        events.put(event)
        switch event {
        case .established:
            standing = .established
        case .refused:
            standing = .failed(event)
        case .handoverBegin:
            inHandover.set(true)
        case .handoverEnd:
            inHandover.set(false)
        case .handoverFailed:
            inHandover.set(false)
            if case .trying = standing { standing = .failed(event) }
        case .writable:
            blocked = false
            inbox.rouse()
        case .closed:
            if case .failed = standing { tellStanding() }
            standing = .closed(event)
        case .stateChanged, .draining:
            break
        }
        tellStanding()
    }

    func tellStanding() {
        switch standing {
        case .trying: return
        case .established: stood.values.forEach { $0.resume() }
        case .failed(let event), .closed(let event): stood.values.forEach { $0.resume(throwing: ConnectError(event: event)) }
        case .gone(let error): stood.values.forEach { $0.resume(throwing: error) }
        }
        stood = [:]
    }

    private func carryOut(_ output: Output) {
        switch output {
        case .send(let link, let bytes):
            links[link]?.write(bytes)
        case .closeLink(let link):
            links.removeValue(forKey: link)?.close()
        case .openLink(let link, let advised, let network):
            let inbox = inbox
            guard let (host, port) = hostAndPort(advised ?? address) else { return inbox.put(.linkDown(link: link)) }
            links[link] = transport.open(host: host, port: port, network: network, timeout: connectTimeout) { report in
                switch report {
                case .up: inbox.put(.linkUp(link: link))
                case .received(let bytes): inbox.put(.received(link: link, bytes: bytes))
                case .blocked: inbox.put(.linkBlocked(link: link))
                case .writable: inbox.put(.linkWritable(link: link))
                case .down: inbox.put(.linkDown(link: link))
                }
            }
        }
    }

    /// Leaves nothing behind but what had arrived and was not taken. May be called again.
    private func shut() {
        alarm.cancel()
        inbox.finish()
        links.values.forEach { $0.close() }
        links = [:]
        outgoing.forEach { $0.sender.resume(returning: .closed) }
        outgoing = []
        tellStanding()
        for waiter in ends.values { waiter.resume(with: Result { try standing.end() }.flatMap { end in end.map(Result.success) ?? .failure(ClientClosed()) }) }
        ends = [:]
        inHandover.set(false)
        inHandover.finish()
        health.set(.idle)
        health.finish()
        events.close()
        if !more { messages.close() }
    }
}
