/// A value that changes, and those who follow it, for use within an actor. Each gets the value of now first.
struct Broadcast<Value: Sendable & Equatable> {
    private var value: Value
    private var readers: [UInt64: AsyncStream<Value>.Continuation] = [:]

    init(_ value: Value) {
        self.value = value
    }

    mutating func set(_ new: Value) {
        guard new != value else { return }
        value = new
        readers.values.forEach { $0.yield(new) }
    }

    mutating func add(_ id: UInt64, _ reader: AsyncStream<Value>.Continuation) {
        reader.yield(value)
        readers[id] = reader
    }

    mutating func remove(_ id: UInt64) {
        readers[id] = nil
    }

    /// The last value has been told.
    mutating func finish() {
        readers.values.forEach { $0.finish() }
        readers = [:]
    }
}
