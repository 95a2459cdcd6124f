//! How many requests are with Redis at most. More wait here, where they can be given up.
//!
//! The nodes of a cluster have ranges of slots. One that hangs keeps each request until its deadline, and would soon have all permits; so each range has
//! its own there, and what other nodes have goes on.

use tokio::sync::{Semaphore, SemaphorePermit};

/// At once, in all.
const UNDER_WAY: usize = 1024;
/// Ranges of a cluster's slots. Where a node's slots end within one, its neighbour's wait with them.
const RANGES: usize = 64;
/// Of a cluster.
const SLOTS: usize = 16_384;

pub(super) struct Permits(Vec<Semaphore>);

impl Permits {
    pub(super) fn new(cluster: bool) -> Self {
        let ranges = if cluster { RANGES } else { 1 };
        Permits((0..ranges).map(|_| Semaphore::new(UNDER_WAY / ranges)).collect())
    }

    /// One for a request about what has this hash tag.
    pub(super) async fn acquire(&self, tag: &str) -> SemaphorePermit<'_> {
        let range = slot(tag) * self.0.len() / SLOTS;
        self.0[range].acquire().await.expect("it is never closed")
    }
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
        let permits = Permits::new(true);
        let (full, other) = ("somekey", "123456789");
        let mut held = Vec::new();
        for _ in 0..UNDER_WAY / RANGES {
            held.push(permits.acquire(full).await);
        }
        let waits = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(waits, permits.acquire(full)).await.is_err());
        let _there = permits.acquire(other).await;
        held.pop();
        let _there = permits.acquire(full).await;
    }
}
