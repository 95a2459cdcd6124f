//! What happened last, and a digest of all that happened: two runs of a seed must have the same.

use core::fmt;
use std::collections::VecDeque;

use unbroken::Instant;

/// One line: when, who, what, and two numbers that belong to it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub at: Instant,
    pub who: Who,
    pub what: &'static str,
    pub a: u64,
    pub b: u64,
}

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Client(usize),
    Server(usize),
    Net(u64),
}

/// A ring of entries.
#[derive(Debug)]
pub struct Trace {
    ring: VecDeque<Entry>,
    keep: usize,
    total: u64,
    digest: u64,
}

impl Trace {
    pub fn new(keep: usize) -> Self {
        Trace {
            ring: VecDeque::new(),
            keep,
            total: 0,
            digest: 0xcbf2_9ce4_8422_2325,
        }
    }

    pub fn add(&mut self, at: Instant, who: Who, what: &'static str, a: u64, b: u64) {
        let (kind, index) = match who {
            Who::Client(i) => (1, i as u64),
            Who::Server(i) => (2, i as u64),
            Who::Net(i) => (3, i),
        };
        for word in [at.as_micros(), kind << 32 | index, what.len() as u64, a, b] {
            self.digest = (self.digest ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
        self.total += 1;
        if self.ring.len() == self.keep {
            self.ring.pop_front();
        }
        self.ring.push_back(Entry { at, who, what, a, b });
    }

    /// A number that two different runs hardly share.
    pub fn digest(&self) -> u64 {
        self.digest
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the last {} of {} events:", self.ring.len(), self.total)?;
        for Entry { at, who, what, a, b } in &self.ring {
            let who = match who {
                Who::Client(i) => format!("client {i}"),
                Who::Server(i) => format!("server {i}"),
                Who::Net(i) => format!("conn {i}"),
            };
            writeln!(
                f,
                "{:>14.6} s  {who:<10} {what:<24} {a} {b}",
                at.as_micros() as f64 / 1e6
            )?;
        }
        Ok(())
    }
}
