//! Which session's timer fires next, for many sessions.
//!
//! A heap of (time, session). A session's deadline moves with nearly every message, mostly later; so the heap is not told of
//! that: its entry fires too early, the session is asked, and a new entry is made. Each session has at most one entry that
//! counts (`armed`), others are passed over. Moving a deadline later costs nothing, earlier one push.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use super::Locator;
use crate::time::Instant;

/// See the module's head.
#[derive(Default)]
pub struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, Locator)>>,
}

impl Deadlines {
    /// The session wants to be asked at `at`; `armed` is its entry's time.
    pub fn arm(&mut self, locator: Locator, at: Instant, armed: &mut Instant) {
        if at < *armed {
            *armed = at;
            self.heap.push(Reverse((at, locator)));
        }
    }

    /// The first entry that is due.
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
