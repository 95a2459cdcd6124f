//! The one source of chance: xoshiro256**, seeded by splitmix64. Not for secrets.

use core::ops::RangeInclusive;
use core::time::Duration;

/// A generator. [`Rng::fork`] gives independent ones, so that drawing more in one place moves nothing elsewhere.
#[derive(Clone, Debug)]
pub struct Rng([u64; 4]);

impl Rng {
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Rng(core::array::from_fn(|_| splitmix(&mut state)))
    }

    /// The generator for one purpose.
    pub fn fork(&self, label: &str) -> Self {
        let salt = label.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
        });
        Rng::new(self.0[0] ^ self.0[3].rotate_left(17) ^ salt)
    }

    pub fn u64(&mut self) -> u64 {
        let s = &mut self.0;
        let out = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// Below `n`; 0 if `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.u64()) * u128::from(n)) >> 64) as u64
    }

    pub fn range(&mut self, bounds: RangeInclusive<u64>) -> u64 {
        bounds.start() + self.below(bounds.end() - bounds.start() + 1)
    }

    /// Each order of magnitude has the same chance. The upper bound itself is hardly ever drawn.
    pub fn log_range(&mut self, bounds: RangeInclusive<u64>) -> u64 {
        let (low, high) = ((bounds.start() + 1) as f64, (bounds.end() + 1) as f64);
        let unit = (self.u64() >> 11) as f64 / (1u64 << 53) as f64;
        let value = (low * (high / low).powf(unit)) as u64 - 1;
        value.clamp(*bounds.start(), *bounds.end())
    }

    pub fn duration(&mut self, bounds: RangeInclusive<Duration>) -> Duration {
        Duration::from_micros(self.range(bounds.start().as_micros() as u64..=bounds.end().as_micros() as u64))
    }

    /// True `n` times in a thousand.
    pub fn permille(&mut self, n: u32) -> bool {
        n > 0 && self.below(1000) < u64::from(n)
    }

    pub fn coin(&mut self) -> bool {
        self.u64() >> 63 == 1
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    pub fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.u64().to_le_bytes()[..chunk.len()]);
        }
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        self.fill(&mut out);
        out
    }

    pub fn key(&mut self) -> [u8; 32] {
        let mut out = [0; 32];
        self.fill(&mut out);
        out
    }
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_and_are_reached() {
        let mut rng = Rng::new(7);
        let mut seen = [false; 5];
        for _ in 0..1000 {
            seen[rng.range(3..=7) as usize - 3] = true;
            assert!((10..=10_000).contains(&rng.log_range(10..=10_000)));
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(rng.log_range(0..=0), 0);
    }

    #[test]
    fn forks_differ_and_repeat() {
        let rng = Rng::new(1);
        assert_ne!(rng.fork("a").u64(), rng.fork("b").u64());
        assert_eq!(rng.fork("a").u64(), rng.fork("a").u64());
    }
}
