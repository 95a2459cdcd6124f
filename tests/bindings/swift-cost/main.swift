// Measures what a call into the library costs, in CPU time: `tests/bindings/cost`. Compiled together with the package's sources.

import Foundation

let pin = Data((0..<32).map { UInt8("13be4feaeaf204c7fd3358fc9c00721881d174278128227ec674f37f7fe97b6d".dropFirst($0 * 2).prefix(2), radix: 16)! })
let session = try Session(config: ClientConfig(pins: [pin]), nowUs: 0)
// For a link that nobody knows: the bytes go in, and nothing is done with them.
let received = Input.received(link: 99, bytes: Data(count: 200))
let calls: [(String, () throws -> Void)] = [
    ("stats", { _ = try session.stats() }),
    ("step, nothing in", { _ = try session.step(inputs: [], room: 0, nowUs: 1) }),
    ("step, 200 bytes in", { _ = try session.step(inputs: [received], room: 0, nowUs: 1) }),
    ("step, 16 times 200 bytes in", { _ = try session.step(inputs: Array(repeating: received, count: 16), room: 0, nowUs: 1) }),
]
for (name, call) in calls {
    var times: [Double] = []
    for _ in 0..<5 {
        let start = clock()
        for _ in 0..<20_000 { try call() }
        times.append(Double(clock() - start) / Double(CLOCKS_PER_SEC) * 1e6 / 20_000)
    }
    times.sort()
    let figures = [times[2], times[0], times[4]].map { String(format: "%.2f", $0) }
    let padding = (String(repeating: " ", count: 6 - figures[0].count), name.padding(toLength: 28, withPad: " ", startingAt: 0))
    print("swift   \(padding.1) \(padding.0)\(figures[0]) us (\(figures[1]) to \(figures[2]))")
}
