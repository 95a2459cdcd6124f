//! Which session's timer fires next, for many sessions.
//!
//! A heap of (time, session). A session's deadline moves with nearly every message, mostly later; so the heap is not told of
//! that: its entry fires too early, the session is asked, and it is armed again. Each session remembers its few entries
//! ([`Armed`]) and makes a new one only if none of them fires in time. Moving a deadline later costs nothing, earlier one push,
//! and a session that swings between a near timer (a delayed ACK) and a far one (an idle probe) keeps one entry for each.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use super::Locator;
use crate::time::Instant;

/// See the module's head.
#[derive(Default)]
pub struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, Locator)>>,
}

/// The entries of one session, earliest first; the rest is [`Instant::FAR_FUTURE`].
#[derive(Clone, Copy, Debug)]
pub struct Armed([Instant; 4]);

impl Deadlines {
    /// The session wants to be asked at `at`, or earlier.
    pub fn arm(&mut self, locator: Locator, at: Instant, armed: &mut Armed) {
        if at < armed.0[0] {
            armed.insert(at);
            self.heap.push(Reverse((at, locator)));
        }
    }

    /// The first entry that is due. It counts if the session's [`Armed::fired`] says so.
    pub fn pop_due(&mut self, now: Instant) -> Option<(Instant, Locator)> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    pub fn len(&self) -> usize {
        self.heap.len()
    }

    pub fn next(&self) -> Instant {
        self.heap.peek().map_or(Instant::FAR_FUTURE, |Reverse((at, _))| *at)
    }
}

impl Armed {
    pub const fn new() -> Self {
        Armed([Instant::FAR_FUTURE; 4])
    }

    /// An entry fired; whether it is one that counts.
    pub fn fired(&mut self, at: Instant) -> bool {
        let Some(index) = self.0.iter().position(|entry| *entry == at) else {
            return false;
        };
        self.0[index..].rotate_left(1);
        self.0[3] = Instant::FAR_FUTURE;
        true
    }

    /// A fifth entry makes the last one forgotten: it stays in the heap and does not count when it fires.
    fn insert(&mut self, at: Instant) {
        self.0.rotate_right(1);
        self.0[0] = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn a_session_that_swings_between_near_and_far_keeps_few_entries() {
        let mut deadlines = Deadlines::default();
        let mut armed = Armed::new();
        let mut now = Instant::ZERO;
        for _ in 0..10_000 {
            deadlines.arm([1; 8], now + Duration::from_secs(60), &mut armed);
            deadlines.arm([1; 8], now + Duration::from_millis(100), &mut armed);
            deadlines.arm([1; 8], now + Duration::from_millis(20), &mut armed);
            now += Duration::from_millis(20);
            while let Some((at, _)) = deadlines.pop_due(now) {
                armed.fired(at);
            }
            assert!(deadlines.len() <= 4, "{} entries for one session", deadlines.len());
        }
    }

    /// A session is looked at after every record that comes or leaves, and mostly its deadline is the same.
    #[test]
    fn a_deadline_that_stands_makes_no_entry_however_often_it_is_told() {
        let mut deadlines = Deadlines::default();
        let mut armed = Armed::new();
        for _ in 0..1000 {
            deadlines.arm([1; 8], Instant::from_micros(50), &mut armed);
        }
        assert_eq!(deadlines.len(), 1);
    }

    #[test]
    fn it_never_fires_later_than_asked() {
        let mut deadlines = Deadlines::default();
        let mut armed = Armed::new();
        for micros in [50, 90, 40, 30, 60, 20, 10] {
            deadlines.arm([1; 8], Instant::from_micros(micros), &mut armed);
        }
        assert_eq!(deadlines.next(), Instant::from_micros(10));
        assert_eq!(deadlines.pop_due(Instant::from_micros(9)), None);
        let due: alloc::vec::Vec<bool> = core::iter::from_fn(|| deadlines.pop_due(Instant::from_micros(100)))
            .map(|(at, _)| armed.fired(at))
            .collect();
        // 50 was the fifth from the front when 10 came: forgotten.
        assert_eq!(due, [true, true, true, true, false]);
    }
}
