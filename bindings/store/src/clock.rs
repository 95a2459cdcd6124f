//! The store's clock: milliseconds since 1970, as deadlines must mean the same after a restart. It never goes back within a process, nor stands still: when
//! the machine's is set back, it goes on from where it was. (If it waited until that one has caught up, no lease would end meanwhile.)

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment by the store's clock, in milliseconds since 1970.
pub(crate) type Millis = u64;

pub(crate) struct Clock {
    begun: Instant,
    /// What it said when it began, if the machine's clock was right all the time: grows when that is set forward.
    base: AtomicU64,
}

impl Default for Clock {
    fn default() -> Self {
        Clock {
            begun: Instant::now(),
            base: AtomicU64::new(0),
        }
    }
}

impl Clock {
    pub(crate) fn now(&self) -> Millis {
        let wall = millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        self.read(wall, millis(self.begun.elapsed()))
    }

    /// By what the machine's clock says, and how much time has passed since this one began.
    fn read(&self, wall: Millis, passed: Millis) -> Millis {
        let base = wall.saturating_sub(passed);
        passed + base.max(self.base.fetch_max(base, Ordering::Relaxed))
    }
}

/// Rounded up, so that a life which is not zero is none of zero.
pub(crate) fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;

    #[test]
    fn a_step_back_is_ignored_and_time_goes_on() {
        let (clock, start) = (Clock::default(), 1_800_000_000_000);
        assert_eq!(clock.read(start, 0), start);
        assert_eq!(clock.read(start + 10, 10), start + 10);
        // Forward: so it says now. And back: as if nothing had been.
        assert_eq!(clock.read(start + HOUR, 20), start + HOUR);
        assert_eq!(clock.read(start + 30, 30), start + HOUR + 10);
        assert_eq!(clock.read(start - HOUR, 40), start + HOUR + 20);
    }
}
