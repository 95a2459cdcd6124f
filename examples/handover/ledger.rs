//! The independent checker. It knows nothing of the library: it sees what an application is about to send and what an application was
//! handed, and compares.
//!
//! Each message carries its stream (client and direction), its number, and a hash over both and the body. For each stream the ledger
//! keeps the hash of each message sent and how often it came back. From that:
//! *lost* = sent and never received; *doubled* = received more than once; *reordered* = received first after a later one;
//! *corrupted* = a hash that does not fit, or a message that nobody sent.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::time::Instant;

/// Bytes before the body: client 4, direction 1, number 8, hash 8.
const HEADER: usize = 21;

/// Which way a message goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// What was sent and received, of all clients.
pub struct Ledger {
    streams: Vec<Mutex<Stream>>,
}

#[derive(Default)]
struct Stream {
    sent: Vec<u64>,
    received: Vec<u32>,
    arrivals: Vec<Instant>,
    delivered: u64,
    doubled: u64,
    reordered: u64,
    corrupted: u64,
    highest: Option<u64>,
}

/// The sums.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Messages handed to the library.
    pub sent: u64,
    /// Different messages that came out at the other end.
    pub delivered: u64,
    /// Messages that never came out; while a run goes on, these are under way.
    pub lost: u64,
    /// Messages that came out again.
    pub doubled: u64,
    /// Messages that came out after a later one.
    pub reordered: u64,
    /// Messages that came out different, or that nobody sent.
    pub corrupted: u64,
}

impl Ledger {
    /// For so many clients.
    pub fn new(clients: u32) -> Self {
        Ledger {
            streams: (0..clients * 2).map(|_| Mutex::default()).collect(),
        }
    }

    /// Writes the next message of a stream into the book and builds its bytes. `body` fills the space behind the header.
    pub fn compose(&self, client: u32, direction: Direction, body: &[u8]) -> Vec<u8> {
        let mut stream = self.stream(client, direction);
        let number = stream.sent.len() as u64;
        let hash = digest(client, direction, number, body);
        stream.sent.push(hash);
        stream.received.push(0);
        let mut message = Vec::with_capacity(HEADER + body.len());
        message.extend_from_slice(&client.to_be_bytes());
        message.push(direction as u8);
        message.extend_from_slice(&number.to_be_bytes());
        message.extend_from_slice(&hash.to_be_bytes());
        message.extend_from_slice(body);
        message
    }

    /// The message composed last was not taken: the session is over.
    pub fn retract(&self, client: u32, direction: Direction) {
        let mut stream = self.stream(client, direction);
        stream.sent.pop();
        stream.received.pop();
    }

    /// Writes down what an application was handed on the given stream.
    pub fn received(&self, client: u32, direction: Direction, message: &[u8]) {
        let mut stream = self.stream(client, direction);
        let Some(number) = read(message, client, direction, &stream.sent) else {
            stream.corrupted += 1;
            return;
        };
        let seen = &mut stream.received[number as usize];
        *seen += 1;
        if *seen > 1 {
            stream.doubled += 1;
            return;
        }
        stream.delivered += 1;
        stream.arrivals.push(Instant::now());
        if stream.highest.is_some_and(|highest| number < highest) {
            stream.reordered += 1;
        }
        stream.highest = stream.highest.max(Some(number));
    }

    /// When the messages of one stream arrived, each counted once.
    pub fn arrivals(&self, client: u32, direction: Direction) -> Vec<Instant> {
        self.stream(client, direction).arrivals.clone()
    }

    /// The sums so far.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for index in 0..self.streams.len() {
            let stream = self.lock(index);
            let sent = stream.sent.len() as u64;
            tally.sent += sent;
            tally.delivered += stream.delivered;
            tally.lost += sent - stream.delivered;
            tally.doubled += stream.doubled;
            tally.reordered += stream.reordered;
            tally.corrupted += stream.corrupted;
        }
        tally
    }

    fn stream(&self, client: u32, direction: Direction) -> std::sync::MutexGuard<'_, Stream> {
        self.lock(client as usize * 2 + direction as usize)
    }

    fn lock(&self, index: usize) -> std::sync::MutexGuard<'_, Stream> {
        self.streams[index]
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The number of a message, if every bit of it is as it was sent.
fn read(message: &[u8], client: u32, direction: Direction, sent: &[u64]) -> Option<u64> {
    let (header, body) = message.split_at_checked(HEADER)?;
    let number = u64::from_be_bytes(header[5..13].try_into().ok()?);
    let hash = u64::from_be_bytes(header[13..21].try_into().ok()?);
    let stream_fits = header[..4] == client.to_be_bytes() && header[4] == direction as u8;
    let known = *sent.get(usize::try_from(number).ok()?)?;
    (stream_fits && hash == known && hash == digest(client, direction, number, body)).then_some(number)
}

fn digest(client: u32, direction: Direction, number: u64, body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (client, direction, number, body).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Down, Up};

    fn three() -> (Ledger, Vec<Vec<u8>>) {
        let ledger = Ledger::new(2);
        let messages = (0..3).map(|n| ledger.compose(1, Up, &[n; 5])).collect();
        (ledger, messages)
    }

    #[test]
    fn a_perfect_run_is_seen_as_one() {
        let (ledger, messages) = three();
        messages.iter().for_each(|m| ledger.received(1, Up, m));
        assert_eq!(
            ledger.tally(),
            Tally {
                sent: 3,
                delivered: 3,
                ..Tally::default()
            }
        );
    }

    #[test]
    fn each_fault_is_seen() {
        let (ledger, messages) = three();
        for index in [0, 2, 1, 2] {
            ledger.received(1, Up, &messages[index]);
        }
        assert_eq!(
            ledger.tally(),
            Tally {
                sent: 3,
                delivered: 3,
                doubled: 1,
                reordered: 1,
                ..Tally::default()
            }
        );

        let (ledger, messages) = three();
        ledger.received(1, Up, &messages[2]);
        assert_eq!(
            ledger.tally(),
            Tally {
                sent: 3,
                delivered: 1,
                lost: 2,
                ..Tally::default()
            }
        );

        let (ledger, mut messages) = three();
        ledger.received(0, Up, &messages[0]);
        ledger.received(1, Down, &messages[0]);
        messages[0][22] ^= 1;
        ledger.received(1, Up, &messages[0]);
        ledger.received(1, Up, &[]);
        assert_eq!(
            ledger.tally(),
            Tally {
                sent: 3,
                lost: 3,
                corrupted: 4,
                ..Tally::default()
            }
        );
    }

    #[test]
    fn what_was_not_taken_was_not_sent() {
        let (ledger, _) = three();
        ledger.retract(1, Up);
        assert_eq!(ledger.tally().sent, 2);
    }
}
