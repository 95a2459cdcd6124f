#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif
import Dispatch
import Foundation

/// Links over the system's sockets. On Apple platforms `NetworkTransport` is the better one: it can bind to a network.
public struct PosixTransport: Transport {
    private let sources: [UInt64: String]

    /// `sources`: the address that the host has in each network, to bind links to; only where the system routes by source. IPv4.
    public init(sources: [UInt64: String] = [:]) {
        self.sources = sources
    }

    public func open(
        host: String, port: UInt16, network: UInt64?, timeout: TimeInterval, report: @escaping @Sendable (LinkReport) -> Void
    ) -> any Connection {
        let connection = PosixConnection(report: report)
        let source = network.flatMap { sources[$0] }
        connection.dial(source: source, timeout: timeout) { SocketAddress.all(of: host, port, family: source == nil ? AF_UNSPEC : AF_INET) }
        return connection
    }
}

/// Where a socket can be connected to.
struct SocketAddress: Sendable {
    let family: Int32
    let bytes: [UInt8]

    /// As the resolver gives them, the families by turns: if one of them is dead, every second try is alive.
    static func all(of host: String, _ port: UInt16, family: Int32) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_family = family
        hints.ai_socktype = streamType
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &found) == 0 else { return [] }
        defer { freeaddrinfo(found) }
        let all = sequence(first: found, next: { $0?.pointee.ai_next }).prefix { $0 != nil }.compactMap { $0?.pointee }.map {
            SocketAddress(family: $0.ai_family, bytes: Array(UnsafeRawBufferPointer(start: $0.ai_addr, count: Int($0.ai_addrlen))))
        }
        let (some, others) = (all.filter { $0.family == all[0].family }, all.filter { $0.family != all[0].family })
        return (0..<max(some.count, others.count)).flatMap { turn in [some, others].filter { turn < $0.count }.map { $0[turn] } }
    }
}

/// One socket: a thread connects it, then two dispatch sources say when it can be read and written.
final class PosixConnection: Connection, @unchecked Sendable {
    private static let linger: TimeInterval = 1
    /// What an address has over the next one, in microseconds.
    private static let headStart: UInt64 = 250_000

    // Everything below is used with the lock held only.
    private let lock = NSLock()
    private let report: @Sendable (LinkReport) -> Void
    private var socket: Int32 = -1
    private var reading: (any DispatchSourceRead)?
    private var writing: (any DispatchSourceWrite)?
    private var isWaitingToWrite = false
    private var rest = Data()
    /// The application closed it, or it was reported as down.
    private var isOver = false

    init(report: @escaping @Sendable (LinkReport) -> Void) {
        self.report = report
    }

    func dial(source: String?, timeout: TimeInterval, resolve: @escaping @Sendable () -> [SocketAddress]) {
        let due = nowUs() + UInt64(timeout.bounded * 1e6)
        DispatchQueue.global().async {
            let descriptor = self.first(of: resolve(), source, due)
            self.lock.withLock { self.opened(descriptor) }
        }
        // A look-up takes as long as the system lets it.
        DispatchQueue.global().asyncAfter(deadline: .now() + timeout.bounded) { [weak self] in
            self?.lock.withLock { self?.expired() }
        }
    }

    func write(_ data: Data) {
        lock.withLock {
            guard !isOver, socket >= 0 else { return }
            if !rest.isEmpty { return rest.append(data) }
            guard let sent = send(data) else { return down() }
            guard sent < data.count else { return }
            rest = Data(data.dropFirst(sent))
            waitToWrite(true)
            report(.blocked)
        }
    }

    func close() {
        lock.withLock {
            guard !isOver else { return }
            isOver = true
            guard socket >= 0 else { return }
            if rest.isEmpty { shutdown(socket, Int32(SHUT_WR)) }
            DispatchQueue.global().asyncAfter(deadline: .now() + Self.linger) { self.lock.withLock { self.release() } }
        }
    }

    // ---- connecting ----

    /// The first that stands of all addresses, each tried a quarter of a second behind the one before, or at once when that one failed (RFC 8305). Nil:
    /// none stands in time, or it is not wanted any more.
    private func first(of addresses: [SocketAddress], _ source: String?, _ due: UInt64) -> Int32? {
        var left = addresses[...]
        var connecting: [Int32] = []
        defer { connecting.forEach(systemClose) }
        var next: UInt64 = 0
        while nowUs() < due, !lock.withLock({ isOver }) {
            if connecting.isEmpty || nowUs() >= next, let address = left.popFirst() {
                if let begun = start(address, source) {
                    connecting.append(begun)
                    next = nowUs() + Self.headStart
                }
                continue
            }
            if connecting.isEmpty { return nil }
            var entries = connecting.map { pollfd(fd: $0, events: Int16(POLLOUT), revents: 0) }
            // In slices, so that closing the connection ends the wait soon.
            guard poll(&entries, nfds_t(entries.count), 20) > 0 else { continue }
            for entry in entries where entry.revents != 0 {
                connecting.removeAll { $0 == entry.fd }
                if failure(of: entry.fd) == 0 { return entry.fd }
                systemClose(entry.fd)
                next = 0
            }
        }
        return nil
    }

    /// A socket that stands or is on its way there.
    private func start(_ address: SocketAddress, _ source: String?) -> Int32? {
        let descriptor = systemSocket(address.family, streamType, 0)
        guard descriptor >= 0 else { return nil }
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        #if canImport(Darwin)
        setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, &one, socklen_t(MemoryLayout<Int32>.size))
        #endif
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        if let source, !bound(descriptor, to: source) { return closed(descriptor) }
        let status = address.bytes.withUnsafeBytes { systemConnect(descriptor, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t($0.count)) }
        return status == 0 || errno == EINPROGRESS || errno == EINTR ? descriptor : closed(descriptor)
    }

    private func failure(of descriptor: Int32) -> Int32 {
        var failure: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 ? failure : errno
    }

    private func bound(_ descriptor: Int32, to source: String) -> Bool {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        guard inet_pton(AF_INET, source, &address.sin_addr) == 1 else { return false }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 }
        }
    }

    private func closed(_ descriptor: Int32) -> Int32? {
        systemClose(descriptor)
        return nil
    }

    // ---- with the lock held ----

    private func opened(_ descriptor: Int32?) {
        guard let descriptor else { return down() }
        guard !isOver else { return systemClose(descriptor) }
        socket = descriptor
        let reading = DispatchSource.makeReadSource(fileDescriptor: descriptor)
        let writing = DispatchSource.makeWriteSource(fileDescriptor: descriptor)
        reading.setEventHandler { self.lock.withLock { self.read() } }
        writing.setEventHandler { self.lock.withLock { self.flush() } }
        // The descriptor may be given to somebody else as soon as it is closed, so both must have let go of it.
        let group = DispatchGroup()
        group.enter()
        group.enter()
        reading.setCancelHandler { group.leave() }
        writing.setCancelHandler { group.leave() }
        group.notify(queue: .global()) { systemClose(descriptor) }
        (self.reading, self.writing) = (reading, writing)
        reading.resume()
        report(.up)
    }

    /// The time to connect is over.
    private func expired() {
        if socket < 0 { down() }
    }

    private func read() {
        guard socket >= 0 else { return }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(socket, &bytes, bytes.count, 0)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count > 0 else { return down() }
        // What comes after the close is thrown away.
        if !isOver { report(.received(Data(bytes[..<count]))) }
    }

    private func flush() {
        guard socket >= 0, let sent = send(rest) else { return down() }
        rest = Data(rest.dropFirst(sent))
        guard rest.isEmpty else { return }
        waitToWrite(false)
        if isOver { shutdown(socket, Int32(SHUT_WR)) } else { report(.writable) }
    }

    /// How much the socket took; nil if it is broken.
    private func send(_ data: Data) -> Int? {
        let count = data.withUnsafeBytes { systemSend(socket, $0.baseAddress, $0.count) }
        if count >= 0 { return count }
        return errno == EAGAIN || errno == EINTR ? 0 : nil
    }

    private func waitToWrite(_ wait: Bool) {
        guard wait != isWaitingToWrite else { return }
        isWaitingToWrite = wait
        if wait { writing?.resume() } else { writing?.suspend() }
    }

    private func down() {
        let told = isOver
        isOver = true
        release()
        if !told { report(.down) }
    }

    private func release() {
        guard socket >= 0 else { return }
        socket = -1
        // A source that is suspended never runs its cancel handler.
        waitToWrite(true)
        reading?.cancel()
        writing?.cancel()
        (reading, writing, rest) = (nil, nil, Data())
    }
}

// The system's functions whose names the class has too, and what differs between C libraries.

#if canImport(Glibc)
private let streamType = Int32(SOCK_STREAM.rawValue)
#else
private let streamType = SOCK_STREAM
#endif

private func systemSocket(_ family: Int32, _ type: Int32, _ protocolNumber: Int32) -> Int32 { socket(family, type, protocolNumber) }

private func systemConnect(_ descriptor: Int32, _ address: UnsafePointer<sockaddr>?, _ length: socklen_t) -> Int32 {
    connect(descriptor, address, length)
}

private func systemClose(_ descriptor: Int32) { _ = close(descriptor) }

private func systemSend(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    #if canImport(Darwin)
    send(descriptor, bytes, count, 0)
    #else
    send(descriptor, bytes, count, Int32(MSG_NOSIGNAL))
    #endif
}
