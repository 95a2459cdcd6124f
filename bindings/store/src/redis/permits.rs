//! How many requests are with Redis at most. More wait here, where they can be given up.
//!
//! The nodes of a cluster have ranges of slots. One that hangs keeps each request until its deadline, and would soon have all permits; so each range has
//! its own there, and what other nodes have goes on.
//!
//! A range also has a shared connection, always the same, and so each connection to a cluster has few requests at a time ([`PER_CONNECTION`]). That keeps it
//! alive when slots move. The library then locks its map of the slots, asks a node for the new one, and polls no request until it has the answer. A request that is
//! halfway into a lock or into the queue to that node at this moment stands in the way of the question for good, until all time out. It gets halfway only where the
//! queue is full (50 places), or where tokio's scheduler stops the connection's task amidst its requests (after 128 steps; a request takes four).

use tokio::sync::{Semaphore, SemaphorePermit};

/// At once, in all, with one server.
const UNDER_WAY: usize = 1024;
/// Ranges of a cluster's slots. Where a node's slots end within one, its neighbour's wait with them.
const RANGES: usize = 64;
/// At once, with the same connection to a cluster.
const PER_CONNECTION: usize = 12;
/// Of a cluster.
const SLOTS: usize = 16_384;

pub(super) struct Permits(Vec<Semaphore>);

impl Permits {
    /// With one server, whose connections have as many requests as there are.
    pub(super) fn shared() -> Self {
        Permits(vec![Semaphore::new(UNDER_WAY)])
    }

    /// With a cluster to which there are so many connections.
    pub(super) fn apart(connections: usize) -> Self {
        let each = PER_CONNECTION * connections / RANGES;
        Permits((0..RANGES).map(|_| Semaphore::new(each)).collect())
    }

    /// One for a request about what has this hash tag.
    pub(super) async fn acquire(&self, tag: &str) -> SemaphorePermit<'_> {
        let range = part(tag, self.0.len());
        self.0[range].acquire().await.expect("it is never closed")
    }
}

/// In which of so many equal parts of the slots keys with this hash tag are.
pub(super) fn part(tag: &str, of: usize) -> usize {
    slot(tag) * of / SLOTS
}

/// The slot of keys with this hash tag in a cluster.
fn slot(tag: &str) -> usize {
    usize::from(crc16::State::<crc16::XMODEM>::calculate(tag.as_bytes())) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are those of `CLUSTER KEYSLOT`, which Redis' documentation gives for these.
    #[test]
    fn slots_are_those_of_redis() {
        assert_eq!(slot("123456789"), 0x31c3);
        assert_eq!(slot("somekey"), 11_058);
    }

    #[tokio::test]
    async fn a_range_whose_permits_are_taken_holds_up_no_other() {
        let permits = Permits::apart(RANGES);
        let (full, other) = ("somekey", "123456789");
        let mut held = Vec::new();
        for _ in 0..PER_CONNECTION {
            held.push(permits.acquire(full).await);
        }
        let waits = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(waits, permits.acquire(full)).await.is_err());
        let _there = permits.acquire(other).await;
        held.pop();
        let _there = permits.acquire(full).await;
    }
}
