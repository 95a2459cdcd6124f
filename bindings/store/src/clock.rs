//! The store's clock: milliseconds since 1970, as deadlines must mean the same after a restart. It never goes back within a process.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment by the store's clock, in milliseconds since 1970.
pub(crate) type Millis = u64;

#[derive(Default)]
pub(crate) struct Clock(AtomicU64);

impl Clock {
    pub(crate) fn now(&self) -> Millis {
        let now = millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        now.max(self.0.fetch_max(now, Ordering::Relaxed))
    }
}

/// Rounded up, so that a life which is not zero is none of zero.
pub(crate) fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
