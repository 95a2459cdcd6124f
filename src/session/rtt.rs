//! Round-trip time and its variation, as RFC 6298 estimates them.
//!
//! Samples come from PING and PONG and from the handshake, never from ACKs: those wait for the application, and a slow reader
//! is not a slow link.

use core::time::Duration;

/// See the module's head.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rtt {
    smoothed: Option<Duration>,
    variation: Duration,
}

impl Rtt {
    /// The smoothed round trip, once there was a sample.
    pub fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// Takes in a sample (RFC 6298, section 2).
    pub fn sample(&mut self, sample: Duration) {
        match self.smoothed {
            None => {
                self.smoothed = Some(sample);
                self.variation = sample / 2;
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(sample)) / 4;
                self.smoothed = Some((smoothed * 7 + sample) / 8);
            }
        }
    }

    /// How long an answer may take and still be normal for this link: `SRTT + 4 RTTVAR`; a guess before the first sample.
    pub fn timeout(&self) -> Duration {
        match self.smoothed {
            None => Duration::from_millis(500),
            Some(smoothed) => smoothed + self.variation * 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_rfc_6298() {
        let mut rtt = Rtt::default();
        rtt.sample(Duration::from_millis(80));
        assert_eq!(rtt.timeout(), Duration::from_millis(80 + 4 * 40));
        rtt.sample(Duration::from_millis(120));
        // RTTVAR = 3/4 * 40 + 1/4 * |80 - 120| = 40; SRTT = 7/8 * 80 + 1/8 * 120 = 85.
        assert_eq!(rtt.smoothed(), Some(Duration::from_millis(85)));
        assert_eq!(rtt.timeout(), Duration::from_millis(85 + 160));
    }
}
