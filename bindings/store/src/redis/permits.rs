//! How many requests are with Redis at most. More wait here, where they can be given up. One that was turned down and is to be tried again waits here, too: a slot that is
//! being moved may do that to all that it has, for as long as it takes.
//!
//! The nodes of a cluster have ranges of slots. One that hangs keeps each request until its deadline, and would soon have all permits; so each range has
//! its own there, and what other nodes have goes on.
//!
//! A range also has a shared connection, always the same, and so each connection to a cluster has few requests at a time ([`PER_CONNECTION`]). That keeps it
//! alive when slots move. The library then locks its map of the slots, asks a node for the new one, and polls no request until it has the answer. A request that is
//! halfway into a lock or into the queue to that node at this moment stands in the way of the question for good, until all time out. It gets halfway only where the
//! queue is full (50 places), or where tokio's scheduler stops the connection's task amidst its requests (after 128 steps; a request takes four).

use tokio::sync::Semaphore;

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

    /// Those for requests about what has this hash tag.
    pub(super) fn of(&self, tag: &str) -> &Semaphore {
        &self.0[part(tag, self.0.len())]
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

    #[test]
    fn a_range_whose_permits_are_taken_holds_up_no_other() {
        let permits = Permits::apart(RANGES);
        let (full, other) = ("somekey", "123456789");
        let mut held = Vec::new();
        for _ in 0..PER_CONNECTION {
            held.push(permits.of(full).try_acquire().expect("there are more"));
        }
        assert!(permits.of(full).try_acquire().is_err());
        assert!(permits.of(other).try_acquire().is_ok());
        held.pop();
        assert!(permits.of(full).try_acquire().is_ok());
    }
}
