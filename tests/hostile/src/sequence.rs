//! The independent checker: what one end sends to the other, made again from nothing but who and how many.
//!
//! Message `n` of a client is drawn from both numbers, its length too. Whoever receives makes the next one again and compares every byte, so a
//! message that is lost, doubled, reordered or changed is seen at once. It knows nothing of the library.

use serde::{Deserialize, Serialize};

/// Where the number stands.
const HEAD: usize = 12;

/// Message `number` of a client.
pub fn message(client: u32, number: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(
        (u64::from(client) << 40)
            .wrapping_add(number)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15),
    );
    let mut bytes = vec![0; HEAD + rng.usize(8..240)];
    rng.fill(&mut bytes[HEAD..]);
    bytes[..4].copy_from_slice(&client.to_be_bytes());
    bytes[4..HEAD].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// What arrived of one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// In order, each once: also the number of the next one.
    pub good: u64,
    /// Again.
    pub doubled: u64,
    /// Ahead of others: those were lost or come later.
    pub ahead: u64,
    /// With other bytes than were sent.
    pub changed: u64,
}

impl Seen {
    pub fn arrived(&mut self, client: u32, bytes: &[u8]) {
        if bytes == message(client, self.good) {
            self.good += 1;
            return;
        }
        let number = bytes
            .get(4..HEAD)
            .and_then(|number| number.try_into().ok())
            .map(u64::from_be_bytes);
        match number {
            Some(number) if bytes == message(client, number) && number < self.good => self.doubled += 1,
            Some(number) if bytes == message(client, number) => self.ahead += 1,
            _ => self.changed += 1,
        }
    }

    /// How many of these should not be.
    pub fn wrong(&self) -> u64 {
        self.doubled + self.ahead + self.changed
    }
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, other: Seen) {
        self.good += other.good;
        self.doubled += other.doubled;
        self.ahead += other.ahead;
        self.changed += other.changed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(arrivals: &[u64]) -> Seen {
        let mut seen = Seen::default();
        arrivals.iter().for_each(|number| seen.arrived(7, &message(7, *number)));
        seen
    }

    #[test]
    fn each_fault_is_seen() {
        assert_eq!(
            seen(&[0, 1, 2]),
            Seen {
                good: 3,
                ..Seen::default()
            }
        );
        assert_eq!(
            seen(&[0, 1, 1]),
            Seen {
                good: 2,
                doubled: 1,
                ..Seen::default()
            }
        );
        assert_eq!(
            seen(&[0, 2, 1]),
            Seen {
                good: 2,
                ahead: 1,
                ..Seen::default()
            }
        );
        let mut changed = seen(&[0]);
        let mut bytes = message(7, 1);
        bytes[HEAD] ^= 1;
        for bytes in [&bytes[..], &message(8, 1), &[]] {
            changed.arrived(7, bytes);
        }
        assert_eq!(
            changed,
            Seen {
                good: 1,
                changed: 3,
                ..Seen::default()
            }
        );
    }
}
