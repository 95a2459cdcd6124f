//! The clock: microseconds since the first use in this process, from tokio's monotonic clock (so that a paused runtime in a test pauses
//! sessions too). Core and tokio instants convert into each other around that one epoch.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant as Tokio;
use unbroken::Instant;

static EPOCH: OnceLock<Tokio> = OnceLock::new();

/// The core's clock.
pub(crate) fn now() -> Instant {
    let since = Tokio::now().saturating_duration_since(*EPOCH.get_or_init(Tokio::now));
    Instant::ZERO + since
}

/// When a timer for `deadline` has to go off. What lies further ahead than a day is waited for in steps.
pub(crate) fn at(deadline: Instant, now: Instant) -> Tokio {
    let deadline = deadline.min(now + Duration::from_secs(86_400));
    *EPOCH.get_or_init(Tokio::now) + deadline.since(Instant::ZERO)
}
