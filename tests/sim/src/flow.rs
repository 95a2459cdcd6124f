//! What the applications say: messages that anybody can make again from their number, and the counting of what arrived.

use std::collections::BTreeSet;

use crate::options::AppOptions;
use crate::rng::Rng;

/// One direction of one conversation. Both the writer's and the reader's ideas of it are made from `tag` alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flow {
    pub tag: u64,
    pub size: u64,
    pub rare_size: u64,
}

const UNRELIABLE: u64 = 0x756e_7265_6c69_6162;

impl Flow {
    pub fn new(tag: u64, app: &AppOptions) -> Self {
        Flow {
            tag,
            size: app.size,
            rare_size: app.rare_size,
        }
    }

    /// Reliable message `n`.
    pub fn message(&self, n: u64) -> Vec<u8> {
        let mut rng = Rng::new(self.tag ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let len = match rng.below(1000) {
            0 => rng.range(0..=self.rare_size),
            1..=500 => rng.log_range(0..=self.size),
            _ => rng.range(0..=self.size),
        };
        rng.bytes(len as usize)
    }

    /// Unreliable message `n`: its number, and 8 bytes that show whose it is, and some more.
    pub fn unreliable(&self, n: u64) -> Vec<u8> {
        let mut rng = Rng::new(self.tag ^ UNRELIABLE ^ n);
        let len = rng.range(8..=200) as usize;
        [&n.to_be_bytes()[..], &rng.bytes(len)].concat()
    }
}

/// What one end has sent: how much it may still, and what waits because it did not fit.
#[derive(Debug)]
pub struct Writer {
    pub flow: Flow,
    pub sent: u64,
    pub total: u64,
    pub unreliable: u64,
    /// `send` said would-block; until Writable nothing is tried.
    pub blocked: bool,
}

impl Writer {
    pub fn new(flow: Flow, total: u64) -> Self {
        Writer {
            flow,
            sent: 0,
            total,
            unreliable: 0,
            blocked: false,
        }
    }
}

/// What one end has received, compared with what the other end sent (G1).
#[derive(Debug)]
pub struct Reader {
    pub flow: Flow,
    pub received: u64,
    pub bytes: u64,
    unreliable: BTreeSet<u64>,
}

impl Reader {
    pub fn new(flow: Flow) -> Self {
        Reader {
            flow,
            received: 0,
            bytes: 0,
            unreliable: BTreeSet::new(),
        }
    }

    /// A message arrived. `sent` is how many reliable ones the other end has had accepted.
    pub fn take(&mut self, id: Option<u64>, payload: &[u8], sent: u64) -> Result<(), String> {
        let Some(id) = id else {
            return self.take_unreliable(payload);
        };
        if id != self.received {
            return Err(format!(
                "G1: message {id} was delivered where {} was due",
                self.received
            ));
        }
        if id >= sent {
            return Err(format!("G1: message {id} was delivered, but only {sent} were sent"));
        }
        let expected = self.flow.message(id);
        if payload != expected {
            let at = payload.iter().zip(&expected).take_while(|(a, b)| a == b).count();
            return Err(format!(
                "G1: message {id} has {} bytes, should have {}, differs at {at}",
                payload.len(),
                expected.len()
            ));
        }
        self.received += 1;
        self.bytes += payload.len() as u64;
        Ok(())
    }

    fn take_unreliable(&mut self, payload: &[u8]) -> Result<(), String> {
        let n = payload.first_chunk().map_or(u64::MAX, |n| u64::from_be_bytes(*n));
        if payload != self.flow.unreliable(n) {
            return Err("an unreliable message was delivered that was never sent".to_string());
        }
        if !self.unreliable.insert(n) {
            return Err(format!("unreliable message {n} was delivered twice"));
        }
        Ok(())
    }

    pub fn unreliable_received(&self) -> u64 {
        self.unreliable.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader() -> Reader {
        Reader::new(Flow {
            tag: 3,
            size: 50,
            rare_size: 1000,
        })
    }

    #[test]
    fn the_oracle_sees_what_is_lost_doubled_reordered_changed_or_invented() {
        let flow = reader().flow;
        let mut r = reader();
        r.take(Some(0), &flow.message(0), 9).unwrap();
        assert!(r.take(Some(0), &flow.message(0), 9).is_err(), "doubled");
        assert!(r.take(Some(2), &flow.message(2), 9).is_err(), "lost or reordered");
        assert!(r.take(Some(1), &flow.message(2), 9).is_err(), "changed");
        assert!(r.take(Some(1), &flow.message(1), 1).is_err(), "invented");
        r.take(Some(1), &flow.message(1), 9).unwrap();
        r.take(None, &flow.unreliable(5), 9).unwrap();
        r.take(None, &flow.unreliable(3), 9).unwrap();
        assert!(r.take(None, &flow.unreliable(5), 9).is_err(), "unreliable doubled");
        assert!(r.take(None, b"what", 9).is_err(), "unreliable invented");
    }
}
