//! Round-trip time: what is usual on this link, how far it varies (RFC 6298), the best it can do, and the worst it did lately.
//!
//! Samples come from PING and PONG and from the handshake, never from ACKs: those wait for the application, and a slow reader
//! is not a slow link.
//!
//! RFC 6298's averages forget within a few samples and get used to anything: to a link that stalls every few seconds they are
//! surprised anew each time, and a link that fades they find normal until it is gone. So there is also the *worst*: the longest round trip of
//! earlier stretches of time, each up to 16 s long, fading over minutes. What happens now is judged by what was before.

use crate::time::{Instant, Span};

/// See the module's head.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rtt {
    smoothed: Option<Span>,
    variation: Span,
    least: Span,
    /// The longest of earlier stretches, and of this one, which began then and is so long.
    before: Span,
    lately: Span,
    begun: Instant,
    stretch: Span,
    /// When the averages were last moved, and the largest sample since: they take one per round trip, as RFC 6298 assumes.
    averaged: Instant,
    waiting: Span,
}

/// The first stretch of time, and the longest.
const STRETCHES: (Span, Span) = (Span::from_secs(1), Span::from_secs(16));
/// How many seconds it takes to forget.
const MEMORY: u64 = 128;
/// Nothing longer is ever called normal.
const WORST_MAX: Span = Span::from_secs(1);

impl Rtt {
    /// The smoothed round trip, once there was a sample.
    pub fn smoothed(&self) -> Option<Span> {
        self.smoothed
    }

    /// The shortest round trip seen.
    pub fn least(&self) -> Span {
        self.least
    }

    /// The longest round trip that was seen on this link, fading.
    pub fn worst(&self) -> Span {
        self.before.max(self.lately)
    }

    /// What an answer takes at most, judged by earlier stretches of time; by the averages while there are none.
    pub fn usual(&self) -> Span {
        if self.before.is_zero() {
            self.timeout().max(self.lately)
        } else {
            self.before
        }
    }

    /// Takes in a sample (RFC 6298, section 2).
    pub fn sample(&mut self, sample: Span, now: Instant) {
        self.remember(sample.min(WORST_MAX), now);
        let Some(smoothed) = self.smoothed else {
            self.smoothed = Some(sample);
            self.variation = sample / 2;
            self.least = sample;
            self.averaged = now;
            return;
        };
        self.least = self.least.min(sample);
        self.waiting = self.waiting.max(sample);
        if now.span_since(self.averaged) < smoothed {
            return;
        }
        let sample = core::mem::take(&mut self.waiting);
        self.variation = (self.variation * 3 + smoothed.abs_diff(sample)) / 4;
        self.smoothed = Some((smoothed * 7 + sample) / 8);
        self.averaged = now;
    }

    fn remember(&mut self, sample: Span, now: Instant) {
        if self.stretch.is_zero() {
            (self.begun, self.stretch) = (now, STRETCHES.0);
        }
        if now >= self.begun + self.stretch {
            let fading = self.before.saturating_sub(self.lately) * self.stretch.as_secs() / MEMORY;
            self.before = self.before.saturating_sub(fading).max(self.lately);
            self.lately = Span::ZERO;
            self.begun = now;
            self.stretch = (self.stretch * 2).min(STRETCHES.1);
        }
        self.lately = self.lately.max(sample);
    }

    /// What another link of the session has shown may happen on this one, too; but its last throes say nothing.
    pub fn inherit(&mut self, other: &Rtt) {
        self.before = self.before.max(other.worst().min(other.least * 4));
    }

    /// How long an answer may take and still be normal for this link: `SRTT + 4 RTTVAR`; a guess before the first sample.
    pub fn timeout(&self) -> Span {
        match self.smoothed {
            None => Span::from_millis(500),
            Some(smoothed) => smoothed + self.variation * 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Span = Span::from_millis(1);

    #[test]
    fn follows_rfc_6298() {
        let mut rtt = Rtt::default();
        rtt.sample(MS * 80, Instant::ZERO);
        assert_eq!(rtt.timeout(), Span::from_millis(80 + 4 * 40));
        rtt.sample(MS * 120, Instant::from_millis(120));
        // RTTVAR = 3/4 * 40 + 1/4 * |80 - 120| = 40; SRTT = 7/8 * 80 + 1/8 * 120 = 85.
        assert_eq!(rtt.smoothed(), Some(Span::from_millis(85)));
        assert_eq!(rtt.timeout(), Span::from_millis(85 + 160));
    }

    #[test]
    fn many_samples_in_one_round_trip_count_as_their_largest() {
        let (mut many, mut one) = (Rtt::default(), Rtt::default());
        for rtt in [&mut many, &mut one] {
            rtt.sample(MS * 80, Instant::ZERO);
        }
        for at in 1..8 {
            many.sample(MS * (60 + at), Instant::from_millis(at * 10));
        }
        for rtt in [&mut many, &mut one] {
            rtt.sample(MS * 70, Instant::from_millis(90));
        }
        assert_eq!(many.timeout(), one.timeout());
    }

    #[test]
    fn a_sample_counts_from_a_whole_round_trip_after_the_last() {
        for (later, timeout) in [(79_999, 80 + 4 * 40), (80_000, 85 + 160)] {
            let mut rtt = Rtt::default();
            rtt.sample(MS * 80, Instant::ZERO);
            rtt.sample(MS * 120, Instant::from_micros(later));
            assert_eq!(rtt.timeout(), Span::from_millis(timeout), "{later} µs");
        }
    }

    /// A second link of the session is not surprised by what the first has shown, but at most four times the best of that: more were its last throes.
    #[test]
    fn a_link_expects_what_another_has_shown_within_reason() {
        for (worst, expected) in [(60, 60), (199, 199), (200, 200), (201, 200), (900, 200)] {
            let (mut old, mut new) = (Rtt::default(), Rtt::default());
            old.sample(MS * 50, Instant::ZERO);
            old.sample(MS * worst, Instant::from_millis(100));
            new.sample(MS * 50, Instant::from_millis(1000));
            new.inherit(&old);
            assert_eq!((new.worst(), new.usual()), (MS * expected, MS * expected), "{worst}");
        }
    }

    #[test]
    fn what_happens_now_is_judged_by_what_was_before() {
        let mut rtt = Rtt::default();
        for tenth in 0..100 {
            rtt.sample(MS * 50, Instant::from_millis(tenth * 100));
        }
        assert_eq!((rtt.usual(), rtt.worst()), (MS * 50, MS * 50));
        // It gets worse, slowly: that is not normal for as long as a stretch of time.
        for tenth in 0..30 {
            rtt.sample(MS * (50 + 5 * tenth), Instant::from_millis(10_000 + tenth * 100));
        }
        assert_eq!(rtt.worst(), MS * 195);
        assert!(rtt.usual() < MS * 60, "{:?}", rtt.usual());
        for second in 15..40 {
            rtt.sample(MS * 50, Instant::from_millis(second * 1000));
        }
        assert!(rtt.usual() > MS * 150, "now it is: {:?}", rtt.usual());
        for second in 40..2000 {
            rtt.sample(MS * 50, Instant::from_millis(second * 1000));
        }
        assert!(rtt.usual() < MS * 60, "and forgotten: {:?}", rtt.usual());
    }
}
