//! What an application sent and what it was handed: numbers, times and hashes. Each program keeps books and gives them away at the end; only
//! the checker, in another process, compares them.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

/// Bytes of a message: number 8, hash 8, body.
pub const SIZE: usize = 120;

/// Which way a message goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    Up,
    Down,
}

/// One end of one conversation.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Book {
    /// When each message was made, by number. Microseconds of the monotonic clock, as all times here.
    pub sent: Vec<u64>,
    /// Number and time of each message that came, in this order.
    pub received: Vec<(u64, u64)>,
    /// Messages whose hash does not fit.
    pub corrupted: u64,
    /// Each handover that the application was told of.
    pub handovers: Vec<Handover>,
    /// Sessions, or connections, in the order in which they came.
    pub names: Vec<String>,
    /// Why it ended, where something can be said.
    pub ended: Option<String>,
}

/// From `HandoverBegin` to `HandoverEnd`.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Handover {
    pub cause: String,
    pub begun: u64,
    /// When it was over, and the downtime that the library reported.
    pub ended: Option<(u64, u64)>,
}

/// A book that several tasks of one thread write.
#[derive(Clone, Default)]
pub struct Shared(Rc<RefCell<Book>>);

/// Microseconds of the monotonic clock, which is the same in all processes of a machine.
pub fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000
}

impl Shared {
    /// Writes the next message into the book and builds its bytes.
    pub fn compose(&self, direction: Direction) -> Vec<u8> {
        let mut book = self.0.borrow_mut();
        let number = book.sent.len() as u64;
        book.sent.push(now());
        let mut message = vec![number as u8; SIZE];
        message[..8].copy_from_slice(&number.to_be_bytes());
        let hash = digest(direction, number, &message[16..]);
        message[8..16].copy_from_slice(&hash.to_be_bytes());
        message
    }

    /// Writes down what came.
    pub fn received(&self, direction: Direction, message: &[u8]) {
        let mut book = self.0.borrow_mut();
        match read(direction, message) {
            Some(number) => book.received.push((number, now())),
            None => book.corrupted += 1,
        }
    }

    /// Anything else.
    pub fn write<T>(&self, act: impl FnOnce(&mut Book) -> T) -> T {
        act(&mut self.0.borrow_mut())
    }

    pub fn copy(&self) -> Book {
        self.0.borrow().clone()
    }
}

fn read(direction: Direction, message: &[u8]) -> Option<u64> {
    let (number, rest) = message.split_first_chunk()?;
    let (hash, body) = rest.split_first_chunk()?;
    let number = u64::from_be_bytes(*number);
    (message.len() == SIZE && u64::from_be_bytes(*hash) == digest(direction, number, body)).then_some(number)
}

fn digest(direction: Direction, number: u64, body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (direction, number, body).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_message_of_this_direction_counts() {
        let book = Shared::default();
        let first = book.compose(Direction::Up);
        let mut second = book.compose(Direction::Up);
        book.received(Direction::Up, &first);
        book.received(Direction::Down, &first);
        book.received(Direction::Up, &first[1..]);
        second[50] ^= 1;
        book.received(Direction::Up, &second);
        let book = book.copy();
        assert_eq!((book.sent.len(), book.received.len(), book.corrupted), (2, 1, 3));
        assert_eq!(book.received[0].0, 0);
    }
}
