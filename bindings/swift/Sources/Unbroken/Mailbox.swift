/// A queue with those who wait for it, for use within an actor. An item goes to a waiter or stays: a waiter that was cancelled is removed, or has
/// the item already.
struct Mailbox<Item: Sendable> {
    private var items: [Item] = []
    private var head = 0
    private var waiters: [(id: UInt64, continuation: CheckedContinuation<Item?, Never>)] = []
    private var isClosed = false
    private let most: Int

    /// Over the bound the oldest goes.
    init(most: Int = .max) {
        self.most = most
    }

    mutating func put(_ item: Item) {
        if !waiters.isEmpty {
            return waiters.removeFirst().continuation.resume(returning: item)
        }
        items.append(item)
        if items.count - head > most { _ = poll() }
    }

    mutating func poll() -> Item? {
        guard head < items.count else { return nil }
        defer {
            head += 1
            if head == items.count {
                items.removeAll(keepingCapacity: true)
                head = 0
            } else if head >= items.count - head {
                // No more that was taken is kept than is there, and each is moved once at most for each that was taken.
                items.removeFirst(head)
                head = 0
            }
        }
        return items[head]
    }

    /// Whoever comes after the end gets nil at once.
    mutating func wait(_ id: UInt64, _ continuation: CheckedContinuation<Item?, Never>) {
        if let item = poll() {
            continuation.resume(returning: item)
        } else if isClosed {
            continuation.resume(returning: nil)
        } else {
            waiters.append((id, continuation))
        }
    }

    mutating func cancel(_ id: UInt64) {
        guard let index = waiters.firstIndex(where: { $0.id == id }) else { return }
        waiters.remove(at: index).continuation.resume(returning: nil)
    }

    mutating func close() {
        isClosed = true
        for waiter in waiters { waiter.continuation.resume(returning: nil) }
        waiters = []
    }
}
