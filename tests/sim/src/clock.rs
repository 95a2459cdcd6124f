//! Virtual time and what is to happen in it. Nothing waits: time jumps to the next event.

use core::time::Duration;
use std::collections::BTreeMap;

use unbroken::Instant;

/// Events in the order of their time; those of the same time in the order in which they were put in.
#[derive(Debug)]
pub struct Queue<E> {
    now: Instant,
    serial: u64,
    events: BTreeMap<(Instant, u64), E>,
}

impl<E> Queue<E> {
    pub fn new(start: Instant) -> Self {
        Queue {
            now: start,
            serial: 0,
            events: BTreeMap::new(),
        }
    }

    pub fn now(&self) -> Instant {
        self.now
    }

    /// Puts an event at `at`, or now if that is over.
    pub fn at(&mut self, at: Instant, event: E) {
        self.serial += 1;
        self.events.insert((at.max(self.now), self.serial), event);
    }

    pub fn after(&mut self, delay: Duration, event: E) {
        self.at(self.now + delay, event);
    }

    /// When the next event is.
    pub fn next(&self) -> Option<Instant> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    /// Lets time jump to the next event and takes it.
    pub fn pop(&mut self) -> Option<E> {
        let ((at, _), event) = self.events.pop_first()?;
        self.now = at;
        Some(event)
    }

    /// Lets time pass without an event; only up to the next one.
    pub fn advance(&mut self, to: Instant) {
        debug_assert!(self.next().is_none_or(|next| to <= next));
        self.now = self.now.max(to);
    }
}
