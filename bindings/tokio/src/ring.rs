//! Events on their way to an application that may not look: a bounded ring that forgets the oldest.
//!
//! Forgetting the oldest is right for events, which describe a state that newer ones describe better, and it keeps the one that
//! matters most: `Closed`, which is always the last. Messages are another matter: they are never dropped, they stay in the
//! session and hold the peer back by credit.

use std::collections::VecDeque;

use unbroken::Event;

/// How many events wait before the oldest is forgotten.
pub(crate) const CAPACITY: usize = 256;

#[derive(Default)]
pub(crate) struct Ring {
    events: VecDeque<Event>,
    missed: u64,
}

impl Ring {
    pub(crate) fn push(&mut self, event: Event) {
        if self.events.len() == CAPACITY {
            self.events.pop_front();
            self.missed += 1;
        }
        // A session that is let in when it is over already is told of both, in order.
        let last = matches!(self.events.back(), Some(Event::Closed(_))).then(|| self.events.pop_back());
        self.events.push_back(event);
        self.events.extend(last.flatten());
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// How many were forgotten.
    pub(crate) fn missed(&self) -> u64 {
        self.missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbroken::{CloseReason, State};

    #[test]
    fn the_oldest_goes_and_the_last_stays() {
        let mut ring = Ring::default();
        (0..CAPACITY).for_each(|_| ring.push(Event::State(State::Connecting)));
        assert_eq!(ring.missed(), 0);
        ring.push(Event::Closed(CloseReason::Expired));
        assert_eq!(ring.missed(), 1);
        let all: Vec<_> = std::iter::from_fn(|| ring.pop()).collect();
        assert_eq!(
            (all.len(), all.last()),
            (CAPACITY, Some(&Event::Closed(CloseReason::Expired)))
        );
    }

    /// A session that is let in when it is over already is told of both, in order.
    #[test]
    fn nothing_comes_behind_the_end() {
        let mut ring = Ring::default();
        for event in [Event::Closed(CloseReason::Expired), Event::State(State::Connecting)] {
            ring.push(event);
        }
        assert_eq!(ring.pop(), Some(Event::State(State::Connecting)));
        assert_eq!(ring.pop(), Some(Event::Closed(CloseReason::Expired)));
    }
}
