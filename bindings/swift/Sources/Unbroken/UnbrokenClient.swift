import Foundation

/// A session to a server that stays alive while the connections under it break.
///
/// Any waiting may be cancelled without loss: a message is either fetched or not, sent or not. `close` it when it is no longer wanted: a client that
/// is only forgotten lives on.
public actor UnbrokenClient {
    let session: Session
    let transport: any Transport
    let address: String
    let connectTimeout: TimeInterval
    nonisolated let inbox: Inbox
    nonisolated let alarm: Alarm

    var links: [UInt64: any Connection] = [:]
    var outgoing: [Outgoing] = []
    var blocked = false
    var messages = Mailbox<Message>()
    var events = Mailbox<Event>(most: 256)
    var used = 0
    var more = false
    var standing = Standing.trying
    var stood: [UInt64: CheckedContinuation<Void, any Error>] = [:]
    var ends: [UInt64: CheckedContinuation<Event, any Error>] = [:]
    var inHandover = Broadcast(false)
    var health = Broadcast(LinkHealth.idle)
    private var lastWaiter: UInt64 = 0

    /// Connects to `host:port` and waits until the session stands. Cancelling the task leaves nothing behind.
    ///
    /// - Parameters:
    ///   - transport: how links are made; Network.framework where there is one, else sockets
    ///   - connectTimeout: seconds for one connection, name look-up included, 0.01 at least, or `.infinity`; above `handshakeMs` of the
    ///     configuration it has no effect. How long is tried in all is `giveUpAfterMs`
    /// - Throws: `ConnectError`: refused, or given up; `AddressError`: the address is no `host:port`; `UnbrokenError.Config`: the configuration cannot be
    ///   used; `UnbrokenError.Randomness`: the system gives none; `CancellationError`
    public static func connect(
        to address: String, config: ClientConfig, transport: any Transport = defaultTransport(), connectTimeout: TimeInterval = 5
    ) async throws -> UnbrokenClient {
        guard hostAndPort(address) != nil else { throw AddressError(address: address) }
        let client = UnbrokenClient(
            session: try Session(config: config, nowUs: nowUs()), transport: transport, address: address, connectTimeout: connectTimeout
        )
        Task { await client.run() }
        do {
            try await client.stands()
        } catch {
            await client.abandon()
            throw error
        }
        return client
    }

    private init(session: Session, transport: any Transport, address: String, connectTimeout: TimeInterval) {
        let inbox = Inbox()
        self.inbox = inbox
        alarm = Alarm { inbox.rouse() }
        (self.session, self.transport, self.address, self.connectTimeout) = (session, transport, address, connectTimeout)
    }

    /// Sends a reliable message; waits for room. It arrives once and in order, on this connection or a later one.
    ///
    /// - Throws: `SendError`: too large, or the session is closed; `CancellationError`: it was not sent
    public func send(_ message: Data) async throws {
        if let refusal = try await taken(.send(message: message), message.count) {
            throw SendError(code: refusal.code, text: refusal.text)
        }
    }

    /// Sends a message that may be lost, at most 16,320 bytes. Says whether it was taken; it is not while no connection stands.
    ///
    /// - Throws: `SendError`: too large, or the session is closed
    @discardableResult
    public func sendUnreliable(_ message: Data) async throws -> Bool {
        guard let refusal = try await taken(.sendUnreliable(message: message), message.count) else { return true }
        if refusal.code == .noLink || refusal.code == .full { return false }
        throw SendError(code: refusal.code, text: refusal.text)
    }

    /// The next message; nil once the session is closed and all that had arrived was fetched. An unreliable one has no id.
    ///
    /// - Throws: `CancellationError`
    public func receive() async throws -> Message? {
        let id = nextWaiter()
        let message = await withTaskCancellationHandler {
            await withCheckedContinuation { messages.wait(id, $0) }
        } onCancel: {
            Task { await self.cancelReceive(id) }
        }
        guard let message else {
            try Task.checkCancellation()
            return nil
        }
        took(message)
        return message
    }

    /// The payloads that come, reliable and unreliable, until the session is closed. Each goes to one reader.
    public nonisolated var incoming: AsyncStream<Data> {
        AsyncStream { try? await self.receive()?.payload }
    }

    /// What happens to the session, up to and with `closed`; `established`, with the session's id and what the server said to let it in, is there when
    /// `connect` returns. Each event goes to one reader; of those that nobody reads the newest 256 stay.
    public nonisolated var happenings: AsyncStream<Event> {
        AsyncStream { await self.nextEvent() }
    }

    /// Whether a handover is under way, now and whenever it changes: messages wait, nothing is lost. Every reader gets all of it.
    public var handovers: AsyncStream<Bool> {
        let (stream, reader) = AsyncStream<Bool>.makeStream()
        let id = nextWaiter()
        inHandover.add(id, reader)
        if standing.isOver { inHandover.finish() }
        reader.onTermination = { _ in Task { await self.forget(id) } }
        return stream
    }

    /// What carries the session, now and whenever it changes: while the link is suspect or lost, a second network is of use. Every reader gets the latest.
    public var linkHealth: AsyncStream<LinkHealth> {
        let (stream, reader) = AsyncStream<LinkHealth>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let id = nextWaiter()
        health.add(id, reader)
        if standing.isOver { health.finish() }
        reader.onTermination = { _ in Task { await self.forget(id) } }
        return stream
    }

    /// Ends the session: what was sent before still arrives, if a connection stands until then, at most 2 s. None is redialled for it: a server
    /// that hears nothing keeps the session for its life without a connection. Returns how it ended.
    ///
    /// - Throws: as `closed`
    @discardableResult
    public func disconnect(code: UInt32 = 0) async throws -> Event {
        inbox.put(.disconnect(code: code))
        return try await closed()
    }

    /// Waits for the end of the session, and says how it ended.
    ///
    /// - Throws: `ClientClosed` if `close` was called before it ended; `CancellationError`: it goes on; another error: a bug in the library has ended it
    public func closed() async throws -> Event {
        if let end = try standing.end() { return end }
        let id = nextWaiter()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { ends[id] = $0 }
        } onCancel: {
            Task { await self.cancelEnd(id) }
        }
    }

    /// Lets go of the session without waiting. The server hears of it if a connection stands.
    public nonisolated func close() {
        Task { await self.abandon() }
    }

    /// What the system says of its networks, or that the process is suspended or woke.
    public nonisolated func hint(_ hint: NetworkHint) {
        inbox.put(.network(hint: hint))
    }

    /// Tries again, after a `handoverFailed` that was not final.
    public nonisolated func retry() {
        inbox.put(.retry)
    }

    /// Counters since the session began.
    public func stats() throws -> Stats {
        try session.stats()
    }

    // ---- those who wait ----

    func nextWaiter() -> UInt64 {
        lastWaiter += 1
        return lastWaiter
    }

    private func stands() async throws {
        if case .established = standing { return }
        let id = nextWaiter()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (waiter: CheckedContinuation<Void, any Error>) in
                if Task.isCancelled { return waiter.resume(throwing: CancellationError()) }
                stood[id] = waiter
                tellStanding()
            }
        } onCancel: {
            Task { await self.cancelStanding(id) }
        }
    }

    private func taken(_ input: Input, _ size: Int) async throws -> Refusal? {
        if size > largest { return Refusal.tooLarge }
        let id = nextWaiter()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { waiter in
                if Task.isCancelled { return waiter.resume(throwing: CancellationError()) }
                if standing.isOver { return waiter.resume(returning: Refusal.closed) }
                outgoing.append(Outgoing(id: id, input: input, sender: waiter))
                inbox.rouse()
            }
        } onCancel: {
            Task { await self.withdraw(id) }
        }
    }

    private func nextEvent() async -> Event? {
        let id = nextWaiter()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { events.wait(id, $0) }
        } onCancel: {
            Task { await self.cancelEvent(id) }
        }
    }

    private func withdraw(_ id: UInt64) {
        guard let index = outgoing.firstIndex(where: { $0.id == id }) else { return }
        outgoing.remove(at: index).sender.resume(throwing: CancellationError())
    }

    private func cancelReceive(_ id: UInt64) { messages.cancel(id) }
    private func cancelEvent(_ id: UInt64) { events.cancel(id) }
    private func cancelEnd(_ id: UInt64) { ends.removeValue(forKey: id)?.resume(throwing: CancellationError()) }
    private func cancelStanding(_ id: UInt64) { stood.removeValue(forKey: id)?.resume(throwing: CancellationError()) }

    private func forget(_ id: UInt64) {
        inHandover.remove(id)
        health.remove(id)
    }
}

/// Network.framework where there is one, else sockets.
public func defaultTransport() -> any Transport {
    #if canImport(Network)
    NetworkTransport()
    #else
    PosixTransport()
    #endif
}

/// `[::1]:7000` has its brackets taken off.
func hostAndPort(_ address: String) -> (host: String, port: UInt16)? {
    guard let colon = address.lastIndex(of: ":") else { return nil }
    let digits = address[address.index(after: colon)...]
    guard digits.allSatisfy({ ("0"..."9").contains($0) }), let port = UInt16(digits), port > 0 else { return nil }
    let host = address[..<colon].trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
    return host.isEmpty ? nil : (host, port)
}
