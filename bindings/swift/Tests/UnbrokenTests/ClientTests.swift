import Dispatch
import Foundation
import Glibc
import XCTest

@testable import Unbroken

/// The package against the tokio server, over TCP on loopback, through the fault proxy.
final class ClientTests: XCTestCase {
    private let ticket = "swift-" + UUID().uuidString

    private func config(_ credential: String? = nil, change: (inout ClientConfig) -> Void = { _ in }) -> ClientConfig {
        var config = ClientConfig(pins: [pin], credential: Data((credential ?? ticket).utf8), realm: "bindings")
        (config.backoffBaseMs, config.backoffCapMs) = (10, 100)
        change(&config)
        return config
    }

    private func connected(_ control: Control, _ config: ClientConfig? = nil) async throws -> UnbrokenClient {
        try await UnbrokenClient.connect(to: control.address, config: config ?? self.config())
    }

    /// With little time for it, until a busy machine had enough.
    private func connectedInASecond(_ control: Control) async throws -> UnbrokenClient {
        for _ in 0..<100 {
            do {
                return try await connected(control, config { $0.giveUpAfterMs = 1000 })
            } catch let error as ConnectError {
                guard case .handoverFailed(.gaveUp, _, _, _) = error.event else { throw error }
            }
        }
        throw Failure(text: "given up each time")
    }

    func test10000MessagesBothWaysSurvive50Cuts() async throws {
        let control = try Control("proxy 5 400")
        let client = try await connected(control)
        let rounds = Rounds(control, client)
        try await rounds.play(10_000, cuts: 50)
        try await rounds.cut(until: 50)
        // A goodbye that the network swallows is told by expiry only: the last faults go with the links they are on.
        try await control.ask("calm")
        try await rounds.cut()
        try await client.send(Data("are you there?".utf8))
        let echo = try await client.receive()
        XCTAssertEqual(echo?.payload, Data("are you there?".utf8))
        let end = try await client.disconnect(code: 3)
        guard case .closed(.local, 3, _, _) = end else { return XCTFail("\(end)") }
        let told = try await control.ask("end \(ticket)")
        XCTAssertEqual(told, "Peer { code: 3, truncated: false }")
        let (cuts, handovers, stats) = (await rounds.cuts, await rounds.handovers, try await client.stats())
        XCTAssertGreaterThanOrEqual(cuts, 50)
        XCTAssertGreaterThanOrEqual(handovers, 50)
        XCTAssertGreaterThanOrEqual(stats.replayedMessages, 50)
    }

    func test10000MessagesBothWaysSurvive50CutsAndFourServersThatLeave() async throws {
        let control = try Control("cluster 7 400")
        let client = try await connected(control)
        let rounds = Rounds(control, client)
        // So many are under way: each is echoed, and what a server owes must fit its limits.
        let ahead = 500
        for number in 0..<ahead { try await client.send(numbered(number)) }
        for number in 0..<10_000 {
            let message = try await client.receive()
            guard message?.payload == numbered(number) else { return XCTFail("message \(number) is another: lost, doubled or moved") }
            if number + ahead < 10_000 { try await client.send(numbered(number + ahead)) }
            if number % 200 == 100 { try await rounds.cut() }
            if number % 2500 == 1250 { try await control.ask("takeover") }
        }
        try await rounds.cut(until: 50)
        try await client.send(Data("verdict".utf8))
        let verdict = try await client.receive()
        XCTAssertEqual(verdict?.payload, Data("verdict 10000 0".utf8))
        try await client.disconnect()
        await rounds.watched()
        let (cuts, handovers, moved, stats) = (await rounds.cuts, await rounds.handovers, await rounds.moved, try await client.stats())
        let restored = Int(try await control.ask("restored")) ?? 0
        // A move may be hidden from the client: when it is cut again before it knows.
        XCTAssertGreaterThanOrEqual(restored, 4)
        XCTAssertGreaterThanOrEqual(moved, 1)
        XCTAssertGreaterThanOrEqual(min(cuts, handovers), 50)
        print("cuts \(cuts), handovers \(handovers), restored \(restored), moves seen \(moved), replayed \(stats.replayedMessages)")
    }

    func testADisconnectEndsItAtBothEndsAndNeverReconnects() async throws {
        let control = try Control()
        let client = try await connected(control)
        try await client.send(Data("last words".utf8))
        try await until("the echo") { try await client.stats().receivedMessages == 1 }
        try await client.disconnect(code: 9)
        let told = try await control.ask("end \(ticket)")
        XCTAssertEqual(told, "Peer { code: 9, truncated: false }")
        var came: [Data] = []
        for await message in client.incoming { came.append(message) }
        XCTAssertEqual(came, [Data("last words".utf8)])
        do {
            try await client.send(Data([1]))
            XCTFail("it was sent")
        } catch let error as SendError {
            XCTAssertEqual(error.code, .closed)
        }
        let links = try await control.ask("links")
        try await pause(500)
        let later = try await control.ask("links")
        XCTAssertEqual(later, links)
    }

    func testASessionThatExpiredSaysSo() async throws {
        let control = try Control("hasty")
        let client = try await connected(control)
        try await control.ask("refuse on")
        try await control.ask("cut")
        let told = try await control.ask("end \(ticket)")
        XCTAssertEqual(told, "Expired")
        try await control.ask("refuse off")
        let end = try await client.closed()
        guard case .closed(.expired, _, _, _) = end else { return XCTFail("\(end)") }
        var failed: [Event] = []
        for await event in client.happenings { if case .handoverFailed = event { failed.append(event) } }
        guard failed.count == 1, case .handoverFailed(.expired, true, _, _) = failed[0] else { return XCTFail("\(failed)") }
    }

    func testGivenUpIsNotFinalAndRetryGoesOn() async throws {
        let control = try Control()
        let client = try await connectedInASecond(control)
        try await control.ask("refuse on")
        try await control.ask("cut")
        for await event in client.happenings {
            guard case .handoverFailed(let reason, let isFinal, _, _) = event else { continue }
            XCTAssertEqual(reason, .gaveUp)
            XCTAssertFalse(isFinal)
            break
        }
        try await control.ask("refuse off")
        client.retry()
        // A busy machine may take more than the second.
        let retrying = Task { for await event in client.happenings { if case .handoverFailed = event { client.retry() } } }
        try await client.send(Data("again".utf8))
        let echo = try await client.receive()
        XCTAssertEqual(echo?.payload, Data("again".utf8))
        client.close()
        await retrying.value
    }

    func testARefusedCredentialIsTold() async throws {
        let control = try Control()
        do {
            _ = try await connected(control, config("stolen"))
            XCTFail("it was let in")
        } catch let error as ConnectError {
            guard case .refused(77, _) = error.event else { return XCTFail("\(error)") }
            XCTAssertEqual(error.localizedDescription, "no such ticket")
        }
        let withoutAWord = ConnectError(event: .refused(code: 78, message: Data()))
        XCTAssertEqual(withoutAWord.localizedDescription, "refused by the server's application (code 78)")
    }

    func testABadConfigurationIsToldWithCodeAndText() async throws {
        let control = try Control()
        let cases: [(String, ClientConfig)] = [
            ("pins", config { $0.pins = [Data([1, 2])] }), ("pins", config { $0.pins = [] }), ("`message`", config { $0.message = 1 }),
        ]
        for (field, bad) in cases {
            do {
                _ = try await connected(control, bad)
                XCTFail("it was taken")
            } catch UnbrokenError.Config(let code, let text) {
                XCTAssertEqual(code, 1)
                XCTAssertTrue(text.contains(field), text)
            }
        }
        let port = control.address.split(separator: ":").last ?? ""
        for bad in ["nowhere", "nowhere:", "nowhere:0", "nowhere:65536", ":\(port)", "[]:\(port)", "127.0.0.1:+\(port)"] {
            do {
                _ = try await UnbrokenClient.connect(to: bad, config: config())
                XCTFail("\(bad) was taken")
            } catch let error as AddressError {
                XCTAssertEqual(error.address, bad)
            }
        }
    }

    func testACancelledConnectLeavesNothingBehind() async throws {
        let control = try Control()
        try await control.ask("stall on")
        try await nothingLingers()
        let connecting = Task { [config = config()] in try await UnbrokenClient.connect(to: control.address, config: config) }
        try await until("a socket") { sockets() > 1 }
        connecting.cancel()
        let result = await connecting.result
        XCTAssertThrowsError(try result.get()) { XCTAssertTrue($0 is CancellationError, "\($0)") }
        try await nothingLingers()
    }

    func testADialThatIsGivenUpAtAnyMomentLeavesNothingBehind() async throws {
        let control = try Control()
        try await nothingLingers()
        let hole = try BlackHole(port: control.port)
        let good = SocketAddress.all(of: "127.0.0.1", control.port, family: AF_INET)
        let before = sockets()
        // While the name is looked up; with an address that would stand at once, and one that never will.
        for addresses in [good, [hole.address]] {
            let (asked, answer) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
            let connection = PosixConnection { _ in XCTFail("it was closed") }
            connection.dial(source: nil, timeout: 1000) {
                asked.signal()
                answer.wait()
                return addresses
            }
            await blocking { asked.wait() }
            connection.close()
            answer.signal()
        }
        // While an address swallows it.
        let connection = PosixConnection { _ in XCTFail("it was closed") }
        connection.dial(source: nil, timeout: 1000) { [address = hole.address] in [address] }
        try await until("a socket") { sockets() > before }
        connection.close()
        try await until("the sockets are closed") { sockets() == before }
        hole.close()
    }

    func testANameThatIsNotFoundInTimeIsAConnectionThatIsNotMadeInTime() async throws {
        let control = try Control()
        try await nothingLingers()
        let good = SocketAddress.all(of: "127.0.0.1", control.port, family: AF_INET)
        let (reports, answer) = (Reports(), DispatchSemaphore(value: 0))
        let before = sockets()
        let connection = PosixConnection { reports.add($0) }
        connection.dial(source: nil, timeout: 0.1) {
            answer.wait()
            return good
        }
        try await until("it is given up") { !reports.all.isEmpty }
        // What is found too late is told to nobody, and leaves nothing behind.
        answer.signal()
        try await Task.sleep(nanoseconds: 300_000_000)
        XCTAssertEqual(reports.all, [.down])
        XCTAssertEqual(sockets(), before)
    }

    func testAnAddressThatSwallowsConnectionsHoldsNobodyUp() async throws {
        let control = try Control()
        let hole = try BlackHole(port: control.port)
        let reports = Reports()
        let connection = PosixConnection { reports.add($0) }
        let good = SocketAddress.all(of: "127.0.0.1", control.port, family: AF_INET)
        connection.dial(source: nil, timeout: 1000) { [address = hole.address] in [address] + good }
        // In its turn it would have a thousand seconds.
        try await until("it stands") { reports.all == [.up] }
        connection.close()
        hole.close()
    }

    func testAConnectionMayTakeHoweverLong() async throws {
        let control = try Control()
        for limit in [TimeInterval.infinity, .nan, .greatestFiniteMagnitude, 1e15] {
            let client = try await UnbrokenClient.connect(to: control.address, config: config(), connectTimeout: limit)
            try await client.disconnect()
        }
        // In next to no time it stands or does not.
        for limit in [0, -1, -TimeInterval.infinity] {
            let reports = Reports()
            let connection = PosixTransport().open(host: "127.0.0.1", port: control.port, network: nil, timeout: limit) { reports.add($0) }
            try await until("it is decided") { reports.all == [.up] || reports.all == [.down] }
            connection.close()
        }
    }

    func testATaskCancelledInMidTrafficLeavesNothingBehind() async throws {
        let control = try Control("hasty")
        try await nothingLingers()
        let received = Counter()
        let talking = Task { [config = config()] in
            let client = try await UnbrokenClient.connect(to: control.address, config: config)
            defer { client.close() }
            try await client.send(Data("pour 1000000".utf8))
            while try await client.receive() != nil { await received.increment() }
        }
        try await until("traffic") { await received.value > 1000 }
        talking.cancel()
        let result = await talking.result
        XCTAssertThrowsError(try result.get()) { XCTAssertTrue($0 is CancellationError, "\($0)") }
        try await nothingLingers()
        // It does not wait for its goodbye to arrive.
        let told = try await control.ask("end \(ticket)")
        XCTAssertTrue(["Peer { code: 0, truncated: false }", "Expired"].contains(told), told)
    }

    func testAClientThatWasClosedIsFreed() async throws {
        let control = try Control()
        weak var gone: UnbrokenClient?
        do {
            let client = try await connected(control)
            gone = client
            client.close()
        }
        try await until("the client is freed") { gone == nil }
    }

    func testACancelledSendIsSentOrNotAndACancelledReceiveLosesNothing() async throws {
        let control = try Control()
        let client = try await connected(control)
        let came = Collected()
        var sent: [Int] = []
        for number in 0..<300 {
            let sending = Task { try await client.send(Data("\(number)".utf8)) }
            if number % 2 == 1 { sending.cancel() }
            if case .success = await sending.result { sent.append(number) }
            let waiting = Task { try await came.take(from: client) }
            if number % 3 > 0 { try await pause(1) }
            waiting.cancel()
            _ = await waiting.result
        }
        try await client.send(Data("-1".utf8))
        while try await came.take(from: client) >= 0 {}
        // What was cancelled and says so was not sent; nothing else is missing.
        let all = await came.all
        XCTAssertEqual(all, sent + [-1])
        XCTAssertGreaterThanOrEqual(sent.count, 150)
        client.close()
    }

    func testSendsWaitForRoomAndKeepTheirOrder() async throws {
        let control = try Control()
        let client = try await connected(control, config { $0.unackedMessages = 8 })
        try await control.ask("stall on")
        let done = Counter()
        let sending = Task {
            for number in 0..<100 {
                try await client.send(Data("\(number)".utf8))
                await done.increment()
            }
        }
        try await until("the limit is reached") { await done.value == 8 }
        try await pause(300)
        let count = await done.value
        XCTAssertEqual(count, 8)
        try await control.ask("stall off")
        for number in 0..<100 {
            let message = try await client.receive()
            XCTAssertEqual(message?.payload, Data("\(number)".utf8))
        }
        try await sending.value
        do {
            try await client.send(Data(count: 2 << 20))
            XCTFail("it was sent")
        } catch let error as SendError {
            XCTAssertEqual(error.code, .tooLarge)
        }
        try await client.disconnect()
    }

    func testAQueueForgetsWhatWasTaken() {
        final class Item: Sendable {}
        struct Memory { weak var item: Item? }
        var queue = Mailbox<Item>()
        var taken: [Memory] = []
        queue.put(Item())
        for _ in 0..<1000 {
            // It is never empty.
            queue.put(Item())
            taken.append(Memory(item: queue.poll()))
        }
        XCTAssertLessThan(taken.filter { $0.item != nil }.count, 3)
    }

    func testMoreMayWaitToBeSentThanOneCallIntoTheLibraryCanCarry() async throws {
        let control = try Control()
        let client = try await connected(control)
        do {
            try await client.send(Data(count: 1 << 31))
            XCTFail("it was sent")
        } catch let error as SendError {
            XCTAssertEqual(error.code, .tooLarge)
        }
        try await control.ask("stall on")
        let large = Data(count: 1 << 20)
        // 2 GiB and more, when there is room for the next.
        let sending = (0..<2200).map { _ in Task { try await client.send(large) } }
        try await until("the limit is reached") { try await client.stats().sentMessages == 1 }
        try await pause(500)
        try await control.ask("stall off")
        for _ in 0..<3 {
            let echo = try await client.receive()
            XCTAssertEqual(echo?.payload.count, large.count)
        }
        for task in sending { task.cancel() }
        for task in sending { _ = await task.result }
        let last = Data("still here".utf8)
        try await client.send(last)
        while let echo = try await client.receive(), echo.payload != last {}
        try await client.disconnect()
    }

    func testMoreThanASocketTakesAtOnceGoesThroughWhole() async throws {
        let control = try Control()
        let client = try await connected(control, config { ($0.unackedBytes, $0.deadAfterMs) = (32 << 20, 300_000) })
        let large = (0..<24).map { Data(repeating: UInt8($0), count: 1 << 20) }
        try await control.ask("stall on")
        for message in large { try await client.send(message) }
        try await pause(300)
        let written = try await client.stats().wireSent
        XCTAssertLessThan(written, 20 << 20)
        try await control.ask("stall off")
        for message in large {
            let echo = try await client.receive()
            XCTAssertTrue(echo?.payload == message)
        }
        try await client.disconnect()
    }

    func testALinkWritesAllInOrderAndSaysWhenItIsBlocked() async throws {
        let (listener, address) = try listening()
        let reports = Reports()
        let connection = PosixConnection { reports.add($0) }
        connection.dial(source: nil, timeout: 1000) { [address] }
        try await until("it stands") { reports.all == [.up] }
        let pieces = (0..<400).map { Data(repeating: UInt8($0 % 251), count: 65_536) }
        pieces.forEach(connection.write)
        XCTAssertEqual(reports.all, [.up, .blocked])
        let reader = Task.detached {
            let accepted = accept(listener, nil, nil)
            defer { close(accepted) }
            var (got, buffer) = (Data(), [UInt8](repeating: 0, count: 1 << 20))
            while case let count = recv(accepted, &buffer, buffer.count, 0), count > 0 { got.append(contentsOf: buffer[..<count]) }
            return got
        }
        try await until("it is through") { reports.all == [.up, .blocked, .writable] }
        connection.close()
        let got = await reader.value
        XCTAssertTrue(got == pieces.reduce(Data(), +))
        close(listener)
        XCTAssertEqual(reports.all.count, 3)
    }

    func testASlowApplicationHoldsTheServerBack() async throws {
        let control = try Control()
        let client = try await connected(control)
        try await client.send(Data("pour 8000".utf8))
        try await until("traffic") { try await client.stats().receivedMessages > 0 }
        try await pause(500)
        let held = try await client.stats().receivedMessages
        XCTAssertLessThan(held, 5000)
        for number in 0..<8000 {
            let message = try await client.receive()
            guard message?.payload == numbered(number) else { return XCTFail("message \(number) is another") }
        }
        client.close()
    }

    func testAHintMovesTheSessionToTheOtherNetworkWithoutDowntime() async throws {
        let control = try Control()
        let transport = PosixTransport(sources: [1: "127.0.0.1", 2: "127.0.0.2"])
        for _ in 0..<100 {
            let client = try await UnbrokenClient.connect(to: control.address, config: config(), transport: transport)
            var health = await client.linkHealth.makeAsyncIterator()
            client.hint(.available(network: 2))
            var causes: [HandoverCause] = []
            var down: UInt64?
            for await event in client.happenings {
                if case .handoverBegin(let cause) = event { causes.append(cause) }
                if case .handoverEnd(let downtime, _, _, _) = event { down = downtime }
                if down != nil { break }
            }
            while let now = await health.next(), now != .sound(network: 2) {}
            XCTAssertTrue(localAddresses().contains("0200007F"), "\(localAddresses())")
            let stats = try await client.stats()
            try await client.disconnect()
            // A link that was suspect for a moment, on a machine that had none for it, shows nothing.
            guard stats.suspicions == 0 else { continue }
            XCTAssertEqual(down, 0)
            return XCTAssertEqual(causes, [.networkChanged])
        }
        XCTFail("disturbed each time")
    }

    func testSuspendedItIsSilentAndAwakeItGoesOn() async throws {
        let control = try Control()
        let client = try await connected(control)
        var health = await client.linkHealth.makeAsyncIterator()
        client.hint(.suspend)
        while let now = await health.next(), now != .idle {}
        let links = try await control.ask("links")
        try await control.ask("cut")
        try await pause(500)
        let later = try await control.ask("links")
        XCTAssertEqual(later, links)
        var handovers = await client.handovers.makeAsyncIterator()
        client.hint(.wake)
        try await client.send(Data("good morning".utf8))
        let echo = try await client.receive()
        XCTAssertEqual(echo?.payload, Data("good morning".utf8))
        try await client.disconnect()
        var told: [Bool] = []
        while let now = await handovers.next() { told.append(now) }
        XCTAssertEqual(told.last, false)
    }

    func testAnAppThatLeftTheScreenWhileItConnectedIsSuspendedAndWokenWhenItIsBack() async throws {
        let control = try Control()
        try await control.ask("stall on")
        let lifecycle = Screen()
        let address = control.address, config = config()
        let connecting = Task {
            try await UnbrokenClient.connect(to: address, config: config, transport: PosixTransport(), following: lifecycle)
        }
        try await until("a connection") { try await control.ask("links") != "0" }
        await lifecycle.tell(.suspend)
        try await control.ask("stall off")
        let client = try await connecting.value
        // Without an end if it is not.
        var health = await client.linkHealth.makeAsyncIterator()
        while let now = await health.next(), now != .idle {}
        await lifecycle.tell(.wake)
        while let now = await health.next(), now != .sound(network: nil) {}
        try await client.disconnect()
    }

    func testACancelledConnectWatchesTheScreenNoMore() async throws {
        let control = try Control()
        try await control.ask("stall on")
        let lifecycle = Screen()
        let address = control.address, config = config()
        let connecting = Task {
            try await UnbrokenClient.connect(to: address, config: config, transport: PosixTransport(), following: lifecycle)
        }
        try await until("it is watched") { await lifecycle.isWatched }
        connecting.cancel()
        if case .success = await connecting.result { XCTFail("it connected") }
        let isWatched = await lifecycle.isWatched
        XCTAssertFalse(isWatched)
        try await nothingLingers()
    }

    func testASilentLinkIsToldAsSuspectAndACutOneAsLost() async throws {
        let control = try Control()
        let client = try await connected(control, config { $0.deadAfterMs = 300_000 })
        var health = await client.linkHealth.makeAsyncIterator()
        while let now = await health.next(), now != .sound(network: nil) {}
        try await control.ask("stall on")
        try await client.send(Data("into the void".utf8))
        while let now = await health.next(), now != .suspect(network: nil) {}
        try await control.ask("refuse on")
        try await control.ask("cut")
        while let now = await health.next(), now != .lost {}
        try await control.ask("stall off")
        try await control.ask("refuse off")
        let echo = try await client.receive()
        XCTAssertEqual(echo?.payload, Data("into the void".utf8))
        while let now = await health.next(), now != .sound(network: nil) {}
        client.close()
        var last: LinkHealth?
        while let now = await health.next() { last = now }
        XCTAssertEqual(last, .idle)
    }

    func testALinkThatBrokeIsKeptNoLonger() async throws {
        let control = try Control()
        let client = try await connected(control)
        let rounds = Rounds(control, client)
        for _ in 0..<10 { try await rounds.cut() }
        // One that carries, and one beside it at most.
        let kept = await client.links.count
        XCTAssertLessThanOrEqual(kept, 2)
        try await client.disconnect()
        try await nothingLingers()
    }

    func testUnreliableMessagesComeAtMostOnce() async throws {
        let control = try Control()
        let client = try await connected(control)
        for number in 0..<100 {
            let taken = try await client.sendUnreliable(Data("\(number)".utf8))
            XCTAssertTrue(taken)
        }
        try await client.send(Data("end".utf8))
        var came: [Data] = []
        while let message = try await client.receive(), message.id == nil { came.append(message.payload) }
        XCTAssertGreaterThan(came.count, 0)
        XCTAssertEqual(came.count, Set(came).count)
        try await client.disconnect()
    }

    func testKickedByTheServer() async throws {
        let control = try Control()
        let client = try await connected(control)
        let told = try await control.ask("kick \(ticket) 12")
        XCTAssertEqual(told, "ok")
        let end = try await client.closed()
        guard case .closed(.kicked, 12, _, _) = end else { return XCTFail("\(end)") }
    }

    func testMemoryStaysFlat() async throws {
        let control = try Control()
        let client = try await connected(control)
        let rounds = Rounds(control, client)
        for _ in 0..<4 { try await rounds.play(3000, cuts: 3) }
        let before = residentKiB()
        for _ in 0..<8 { try await rounds.play(3000, cuts: 3) }
        let grown = residentKiB() - before
        try await client.disconnect()
        let handovers = await rounds.handovers
        XCTAssertGreaterThanOrEqual(handovers, 36)
        print("24,000 messages each way and 24 cuts: resident \(grown) KiB more")
        XCTAssertLessThan(grown, 6144, "KiB more after 24,000 messages each way")
    }
}

/// Plays rounds with the server: both send numbered messages at once, both check.
private actor Rounds {
    private let control: Control
    private let client: UnbrokenClient
    private(set) var handovers = 0
    private(set) var moved = 0
    private(set) var cuts = 0
    private var watching: Task<Void, Never>?

    init(_ control: Control, _ client: UnbrokenClient) {
        (self.control, self.client) = (control, client)
        Task { await watch() }
    }

    private func watch() {
        watching = Task { [weak self, client] in
            for await event in client.happenings {
                if case .handoverEnd(_, _, _, let sameServer) = event { await self?.handedOver(sameServer) }
            }
        }
    }

    private func handedOver(_ sameServer: Bool) {
        handovers += 1
        moved += sameServer ? 0 : 1
    }

    /// Waits for the end of the session's events.
    func watched() async { await watching?.value }

    func cut() async throws {
        let before = handovers
        cuts = Int(try await control.ask("cut")) ?? 0
        try await until("a handover after a cut") { handovers > before }
    }

    /// An order that comes between two links cuts none, and one handover may answer two cuts: some more, then.
    func cut(until enough: Int) async throws {
        while min(cuts, handovers) < enough { try await cut() }
    }

    /// Cuts all links so many times in the middle, each time after the handover of the last one.
    func play(_ count: Int, cuts times: Int) async throws {
        try await client.send(Data("pour \(count)".utf8))
        let sending = Task { [client] in for number in 0..<count { try await client.send(numbered(number)) } }
        for number in 0..<count {
            let message = try await client.receive()
            guard message?.payload == numbered(number) else { throw Failure(text: "message \(number) is another: lost, doubled or moved") }
            if number % (count / times) == count / times / 2 { try await cut() }
        }
        try await sending.value
        let verdict = try await client.receive()
        guard verdict?.payload == Data("verdict \(count) 0".utf8) else { throw Failure(text: "the verdict is \(String(describing: verdict))") }
    }
}

/// What a connection reported, from any thread.
private final class Reports: @unchecked Sendable {
    // Used with the lock held only.
    private let lock = NSLock()
    private var reports: [LinkReport] = []

    func add(_ report: LinkReport) { lock.withLock { reports.append(report) } }
    var all: [LinkReport] { lock.withLock { reports } }
}

/// Waits in a thread of its own: a task must not.
private func blocking(_ wait: @escaping @Sendable () -> Void) async {
    await withCheckedContinuation { done in
        Thread.detachNewThread {
            wait()
            done.resume()
        }
    }
}

/// What stands for an app's lifecycle.
private actor Screen: Lifecycle {
    private var report: (@Sendable (NetworkHint) -> Void)?
    var isWatched: Bool { report != nil }

    func start(_ report: @escaping @Sendable (NetworkHint) -> Void) { self.report = report }
    func cancel() { report = nil }
    func tell(_ hint: NetworkHint) { report?(hint) }
}

private actor Counter {
    private(set) var value = 0
    func increment() { value += 1 }
}

private actor Collected {
    private(set) var all: [Int] = []

    @discardableResult
    func take(from client: UnbrokenClient) async throws -> Int {
        guard let message = try await client.receive() else { throw Failure(text: "the session ended") }
        let number = Int(String(decoding: message.payload, as: UTF8.self)) ?? -2
        all.append(number)
        return number
    }
}
