//! The mechanisms of a session, each against a model that is too simple to be wrong.

mod backoff;
mod dial;
mod inbox;
mod liveness;
mod outbox;
mod queue;
mod window;

use alloc::vec::Vec;

/// Numbers from a seed (splitmix64): a failed run names its seed and is the same again.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.roll() % (high - low + 1)
    }

    /// Once in `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.roll().is_multiple_of(n)
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.roll() as u8).collect()
    }

    /// Mostly small, as messages are; some that fill a record; few that need several.
    pub fn length(&mut self) -> usize {
        let (low, high) = match self.between(0, 99) {
            0..=4 => (0, 0),
            5..=69 => (1, 70),
            70..=89 => (71, 2000),
            90..=96 => (15_000, 17_000),
            _ => (17_001, 60_000),
        };
        self.between(low, high) as usize
    }
}
