//! Time as the host tells it.
//!
//! The core never reads a clock. Each call that lets time pass takes an [`Instant`]: microseconds since an epoch that the
//! host chooses (its process start, the Unix epoch, a simulator's zero). A clock that goes backwards is clamped by the
//! session: time stands still until it catches up (F-70).

use core::ops::{Add, AddAssign, Div, Mul};
use core::time::Duration;

/// A point in time, in microseconds since the host's epoch. 64 bits last for 584,000 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Instant(u64);

impl Instant {
    /// The host's epoch.
    pub const ZERO: Instant = Instant(0);
    /// Later than anything: a deadline that never comes.
    pub const FAR_FUTURE: Instant = Instant(u64::MAX);

    /// `micros` microseconds after the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Instant(micros)
    }

    /// `millis` milliseconds after the epoch; saturates.
    pub const fn from_millis(millis: u64) -> Self {
        Instant(millis.saturating_mul(1000))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`, zero if `earlier` is later.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// As [`Instant::since`].
    pub(crate) const fn span_since(self, earlier: Instant) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

/// A length of time in whole microseconds: what is reckoned with for each record.
///
/// A [`Duration`] keeps seconds and nanoseconds apart, so that a sum with an [`Instant`] costs a multiplication and a difference a division.
/// Here both cost an addition. All of it saturates, as with `Instant`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Span(u64);

impl Span {
    pub const ZERO: Span = Span(0);

    pub const fn from_micros(micros: u64) -> Self {
        Span(micros)
    }

    pub const fn from_millis(millis: u64) -> Self {
        Span(millis.saturating_mul(1000))
    }

    pub const fn from_secs(secs: u64) -> Self {
        Span(secs.saturating_mul(1_000_000))
    }

    pub const fn as_micros(self) -> u64 {
        self.0
    }

    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub const fn abs_diff(self, other: Span) -> Span {
        Span(self.0.abs_diff(other.0))
    }

    pub const fn saturating_sub(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

impl From<Duration> for Span {
    #[inline]
    fn from(duration: Duration) -> Span {
        let secs = duration.as_secs().saturating_mul(1_000_000);
        Span(secs.saturating_add(duration.subsec_micros().into()))
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Duration {
        Duration::from_micros(span.0)
    }
}

impl Add for Span {
    type Output = Span;

    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl Mul<u64> for Span {
    type Output = Span;

    fn mul(self, factor: u64) -> Span {
        Span(self.0.saturating_mul(factor))
    }
}

impl Div<u64> for Span {
    type Output = Span;

    fn div(self, divisor: u64) -> Span {
        Span(self.0 / divisor)
    }
}

impl Add<Span> for Instant {
    type Output = Instant;

    fn add(self, span: Span) -> Instant {
        Instant(self.0.saturating_add(span.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// Saturates at [`Instant::FAR_FUTURE`].
    fn add(self, duration: Duration) -> Instant {
        self + Span::from(duration)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let t = Instant::from_millis(5);
        assert_eq!(t + Duration::from_micros(7), Instant::from_micros(5007));
        assert_eq!(t.since(Instant::from_millis(9)), Duration::ZERO);
        assert_eq!(t + Duration::MAX, Instant::FAR_FUTURE);
        assert_eq!(Span::from(Duration::MAX) * 2, Span::from_micros(u64::MAX));
        assert_eq!(
            Span::from(Duration::from_nanos(1_000_002_999)),
            Span::from_micros(1_000_002)
        );
    }
}
