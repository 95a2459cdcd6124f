//! Places in the outbox where a message begins, one in a KiB or so.
//!
//! Where one entry of the outbox ends the next begins, so to find a place among small messages means to walk over all before it. Marks cut that
//! short: whoever looks for a place goes to the last mark before it and walks from there.

use alloc::collections::VecDeque;

use super::outbox::Cursor;

/// Bytes from one mark to the next, or the message that passes them.
const STRIDE: u64 = 1024;

/// A place, as two numbers and a difference. The end that is marked was written a moment ago, number by number; a copy of it as a whole, which a
/// compiler makes of two loads, would have to wait until the message behind it is in the cache.
#[derive(Clone, Copy)]
struct Mark {
    seq: u64,
    position: u64,
    /// Bytes of headers before it.
    heads: u64,
}

impl Mark {
    fn at(place: &Cursor) -> Mark {
        Mark {
            seq: place.seq,
            position: place.position,
            heads: place.position - place.payload,
        }
    }

    fn place(&self) -> Cursor {
        Cursor {
            seq: self.seq,
            offset: 0,
            position: self.position,
            payload: self.position - self.heads,
        }
    }
}

/// See the module's head.
pub struct Marks {
    places: VecDeque<Mark>,
    /// Position of the last mark, or of an end at which nothing was to be marked.
    last: u64,
}

impl Marks {
    pub const fn new() -> Self {
        Marks {
            places: VecDeque::new(),
            last: 0,
        }
    }

    /// Whether the place where the next message begins is to be marked.
    #[inline]
    pub fn is_due(&self, end: &Cursor) -> bool {
        end.position - self.last >= STRIDE
    }

    /// How many bytes on a mark is due.
    pub fn distance(&self, end: &Cursor) -> usize {
        (self.last + STRIDE).saturating_sub(end.position) as usize
    }

    /// The next message begins here.
    pub fn pass(&mut self, end: &Cursor) {
        if self.is_due(end) {
            self.last = end.position;
            self.places.push_back(Mark::at(end));
        }
    }

    /// There is nothing before `end` to be found any more.
    pub fn restart(&mut self, end: &Cursor) {
        self.places.clear();
        self.last = end.position;
    }

    /// Forgets those up to message `seq`.
    pub fn forget_until(&mut self, seq: u64) {
        while self.places.front().is_some_and(|mark| mark.seq <= seq) {
            self.places.pop_front();
        }
    }

    /// The last mark of which `holds` is true; it is of none behind one of which it is not.
    pub fn last_where(&self, holds: impl Fn(&Cursor) -> bool) -> Option<Cursor> {
        let count = self.places.partition_point(|mark| holds(&mark.place()));
        Some(self.places[count.checked_sub(1)?].place())
    }

    /// Gives the memory back.
    pub fn shrink(&mut self) {
        self.places = VecDeque::new();
    }

    /// Bytes held, used or not.
    #[cfg(test)]
    pub fn memory(&self) -> usize {
        self.places.capacity() * size_of::<Mark>()
    }
}
