//! Exponential back-off with full jitter: each delay is drawn evenly from zero to a bound that doubles.
//!
//! Full jitter spreads clients that failed together better than a fixed delay with a little noise: 10,000 clients of a
//! restarted server come back as an even stream (L-27).

use core::time::Duration;

use crate::config::Backoff as Bounds;
use crate::crypto::Rng;
use crate::time::Instant;

/// See the module's head.
pub struct Backoff {
    failures: u32,
    /// Of attempts beside another that is under way: these have delays of their own.
    beside: u32,
    /// Flights that were given up for another connection.
    overtaken: u32,
    /// Immediate redials left.
    tokens: u32,
    refilled: Instant,
}

/// A link that stood and broke is redialled at once, this many times in a row ...
const BURST: u32 = 16;
/// ... and then as often as this, so that a flapping network is not answered by a storm (F-105).
const REFILL: Duration = Duration::from_millis(500);

impl Backoff {
    pub fn new(now: Instant) -> Self {
        Backoff {
            failures: 0,
            beside: 0,
            overtaken: 0,
            tokens: BURST,
            refilled: now,
        }
    }

    /// The delay after an attempt that failed.
    pub fn after_failure(&mut self, bounds: &Bounds, rng: &mut Rng) -> Duration {
        delay(&mut self.failures, bounds, rng)
    }

    /// The same after one that failed while another was under way, which keeps its time: it may fail often before that does.
    pub fn after_failure_beside(&mut self, bounds: &Bounds, rng: &mut Rng) -> Duration {
        delay(&mut self.beside, bounds, rng)
    }

    /// The delay after a link that had carried the session broke: none, unless that happens all the time.
    pub fn after_loss(&mut self, now: Instant, bounds: &Bounds, rng: &mut Rng) -> Duration {
        let earned = now.since(self.refilled).as_micros() / REFILL.as_micros();
        if earned > 0 {
            self.tokens = BURST.min(self.tokens.saturating_add(u32::try_from(earned).unwrap_or(BURST)));
            self.refilled = now;
        }
        if self.tokens > 0 {
            self.tokens -= 1;
            return Duration::ZERO;
        }
        jitter(REFILL.max(bounds.base), rng)
    }

    /// How long a flight has before another connection may have its turn: `least`, and twice as long after each that was given up. Else an answer that takes longer than that
    /// would never be waited for, as long as there is something else to try.
    pub fn patience(&self, least: Duration) -> Duration {
        least * (1 << self.overtaken.min(3))
    }

    /// A flight was given up for another connection.
    pub fn gave_way(&mut self) {
        self.overtaken = self.overtaken.saturating_add(1);
    }

    /// An attempt succeeded.
    pub fn reset(&mut self) {
        (self.failures, self.beside, self.overtaken) = (0, 0, 0);
    }
}

fn delay(failures: &mut u32, bounds: &Bounds, rng: &mut Rng) -> Duration {
    let bound = bounds.base.saturating_mul(1 << (*failures).min(20)).min(bounds.cap);
    *failures = failures.saturating_add(1);
    jitter(bound, rng)
}

/// Evenly from zero to `bound`.
pub fn jitter(bound: Duration, rng: &mut Rng) -> Duration {
    let micros = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX - 1);
    Duration::from_micros(rng.below(micros.saturating_add(1)))
}
