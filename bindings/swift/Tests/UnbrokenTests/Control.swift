import Dispatch
import Foundation
import Glibc
@testable import Unbroken

let pin = Data((0..<32).map { UInt8("13be4feaeaf204c7fd3358fc9c00721881d174278128227ec674f37f7fe97b6d".dropFirst($0 * 2).prefix(2), radix: 16)! })

/// One connection to the test server's control port (tests/bindings/server), with a fault proxy of its own: `behind` says before what.
final class Control: Sendable {
    private let descriptor: Int32
    private let queue = DispatchQueue(label: "control")
    let address: String
    var port: UInt16 { hostAndPort(address)?.port ?? 0 }

    init(_ behind: String = "proxy 1 0") throws {
        let port = UInt16(ProcessInfo.processInfo.environment["UNBROKEN_CONTROL"] ?? "") ?? 0
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.descriptor = descriptor
        var server = sockaddr_in()
        server.sin_family = sa_family_t(AF_INET)
        server.sin_port = port.bigEndian
        inet_pton(AF_INET, "127.0.0.1", &server.sin_addr)
        let status = withUnsafePointer(to: &server) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard status == 0 else { throw Failure(text: "no test server on port \(port)") }
        address = "127.0.0.1:" + (try Self.ask(descriptor, behind))
    }

    deinit { Glibc.close(descriptor) }

    @discardableResult
    func ask(_ command: String) async throws -> String {
        try await withCheckedThrowingContinuation { waiter in
            queue.async { [descriptor] in waiter.resume(with: Result { try Self.ask(descriptor, command) }) }
        }
    }

    private static func ask(_ descriptor: Int32, _ command: String) throws -> String {
        let line = Array((command + "\n").utf8)
        guard send(descriptor, line, line.count, 0) == line.count else { throw Failure(text: "the test server is gone") }
        var answer: [UInt8] = []
        var byte: UInt8 = 0
        while recv(descriptor, &byte, 1, 0) == 1, byte != UInt8(ascii: "\n") { answer.append(byte) }
        let text = String(decoding: answer, as: UTF8.self)
        guard !text.isEmpty, !text.hasPrefix("error") else { throw Failure(text: "\(command): \(text)") }
        return text
    }
}

struct Failure: Error, CustomStringConvertible {
    let text: String
    var description: String { text }
}

/// The n-th message of a round; see tests/bindings/server/src/pour.rs.
func numbered(_ number: Int) -> Data {
    var message = withUnsafeBytes(of: UInt64(number).bigEndian) { Data($0) }
    message.append(contentsOf: (0..<(number * 7919 % 600)).map { UInt8(truncatingIfNeeded: number * 31 + $0) })
    return message
}

func until(_ what: String, isolation: isolated (any Actor)? = #isolation, _ condition: () async throws -> Bool) async throws {
    for _ in 0..<12_000 {
        if try await condition() { return }
        try await Task.sleep(nanoseconds: 10_000_000)
    }
    throw Failure(text: "timed out: \(what)")
}

func pause(_ milliseconds: UInt64) async throws { try await Task.sleep(nanoseconds: milliseconds * 1_000_000) }

/// Waits until nothing of earlier tests lingers: then this test's control connection is the only socket there is.
func nothingLingers() async throws {
    try await until("earlier sockets are closed") { sockets() == 1 }
}

/// Sockets of this process: other descriptors belong to the runtime.
func sockets() -> Int {
    let descriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
    return descriptors.filter { (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)"))?.hasPrefix("socket:") == true }.count
}

func residentKiB() -> Int {
    let fields = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
    return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * 4
}

/// The local addresses of this machine's IPv4 connections, as /proc writes them.
func localAddresses() -> Set<String> {
    // By a handle: read as a whole file, it ends after a page.
    let data = FileHandle(forReadingAtPath: "/proc/self/net/tcp")?.readDataToEndOfFile() ?? Data()
    let lines = String(decoding: data, as: UTF8.self).split(separator: "\n").dropFirst()
    return Set(lines.compactMap { $0.split(separator: " ").dropFirst().first.map { String($0.prefix(8)) } })
}

/// A socket that listens on 127.0.0.1, and where.
func listening() throws -> (Int32, SocketAddress) {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, size) + listen(listener, 1) + getsockname(listener, $0, &size) }
    }
    guard status == 0 else { throw Failure(text: "nothing listens") }
    return (listener, SocketAddress(family: AF_INET, bytes: withUnsafeBytes(of: address) { Array($0) }))
}

/// An address, 127.0.0.2, that takes no connections to that port and does not say so: its queue is full.
final class BlackHole {
    let address: SocketAddress
    private var descriptors: [Int32] = []

    init(port: UInt16) throws {
        address = SocketAddress.all(of: "127.0.0.2", port, family: AF_INET)[0]
        let listener = opened()
        guard with(address, { bind(listener, $0, $1) }) == 0, listen(listener, 1) == 0 else { throw Failure(text: "127.0.0.2 is taken") }
        let fillers = (0..<4).map { _ in opened() }
        for filler in fillers {
            _ = fcntl(filler, F_SETFL, O_NONBLOCK)
            _ = with(address) { connect(filler, $0, $1) }
        }
        var entries = fillers.map { pollfd(fd: $0, events: Int16(POLLOUT), revents: 0) }
        guard poll(&entries, nfds_t(entries.count), 0) < fillers.count else { throw Failure(text: "all connections were taken") }
    }

    deinit { close() }

    func close() {
        for descriptor in descriptors { Glibc.close(descriptor) }
        descriptors = []
    }

    private func opened() -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        descriptors.append(descriptor)
        return descriptor
    }

    private func with(_ address: SocketAddress, _ call: (UnsafePointer<sockaddr>?, socklen_t) -> Int32) -> Int32 {
        address.bytes.withUnsafeBytes { call($0.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t($0.count)) }
    }
}
