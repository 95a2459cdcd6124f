//! When an ACK leaves (U-46).
//!
//! An ACK says what the application has taken. It is due a moment after the first message that was taken, and after so many messages or bytes, whichever
//! comes first; at once when somebody waits for it. Any record that leaves earlier carries it along.
//!
//! In a fast flow the count alone would have an ACK leave for each read of the socket, and an ACK is a record and two system calls: it would cost as much
//! as the messages. So one that is due by count waits until the last is a sixteenth of the delay ago, unless a quarter of the window was taken meanwhile:
//! then the sender may run out of credit.

use crate::config::{Limits, Timing};
use crate::time::Instant;

/// The least time between two ACKs that are due by count, as a part of [`Timing::ack_delay`].
const PACE: u32 = 16;
/// The part of the window after which pace does not matter.
const SHARE: u32 = 4;

/// See the module's head.
#[derive(Default)]
pub struct Acks {
    messages: u32,
    bytes: u32,
    /// With fewer messages and bytes than these there is nothing to decide; the first decides.
    next: (u32, u32),
    deadline: Option<Instant>,
    at_once: bool,
    /// When the last one left; long ago, if none did.
    last: Instant,
}

impl Acks {
    /// The application took so many messages, of so many bytes together.
    #[inline]
    pub fn delivered(&mut self, messages: u32, bytes: u64, now: Instant, timing: &Timing, limits: &Limits) {
        self.messages += messages;
        self.bytes = self.bytes.saturating_add(bytes.try_into().unwrap_or(u32::MAX));
        if self.messages >= self.next.0 || self.bytes >= self.next.1 {
            self.decide(now, timing, limits);
        }
    }

    #[cold]
    fn decide(&mut self, now: Instant, timing: &Timing, limits: &Limits) {
        let due = if self.messages < timing.ack_messages && self.bytes < timing.ack_bytes {
            self.next = (timing.ack_messages, timing.ack_bytes);
            now + timing.ack_delay
        } else {
            let many = timing.ack_messages.max(limits.window_messages / SHARE);
            let large = timing.ack_bytes.max(limits.window_bytes / SHARE);
            self.at_once |= self.messages >= many || self.bytes >= large;
            self.next = if self.at_once {
                (u32::MAX, u32::MAX)
            } else {
                (many, large)
            };
            self.last + timing.ack_delay / PACE
        };
        if self.deadline.is_none_or(|deadline| due < deadline) {
            self.deadline = Some(due);
        }
    }

    /// The peer needs one now: after a handover, before a CLOSE, for a message it sent twice.
    pub fn force(&mut self) {
        self.at_once = true;
    }

    /// One must leave now.
    pub fn due(&self, now: Instant) -> bool {
        self.at_once || self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// One would say something new, if a record leaves anyway.
    pub fn pending(&self) -> bool {
        self.at_once || self.messages > 0
    }

    /// When one is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// One is on its way.
    pub fn sent(&mut self, now: Instant) {
        *self = Acks {
            last: now,
            ..Acks::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn timing() -> Timing {
        Timing {
            ack_messages: 3,
            ack_bytes: 100,
            ..Timing::default()
        }
    }

    fn limits() -> Limits {
        Limits {
            window_messages: 40,
            window_bytes: 2000,
            ..Limits::default()
        }
    }

    #[test]
    fn whichever_comes_first_of_count_bytes_and_time() {
        let (timing, limits) = (timing(), limits());
        let start = Instant::from_millis(1000);
        let mut acks = Acks::default();
        assert!(!acks.pending() && !acks.due(start));
        acks.delivered(1, 10, start, &timing, &limits);
        assert!(acks.pending() && !acks.due(start) && acks.due(start + timing.ack_delay));
        acks.delivered(1, 10, start, &timing, &limits);
        assert!(!acks.due(start));
        acks.delivered(1, 10, start, &timing, &limits);
        assert!(acks.due(start), "three messages");
        acks.sent(start);
        assert!(!acks.pending() && acks.deadline().is_none());
        let later = start + Duration::from_millis(3);
        acks.delivered(1, 100, later, &timing, &limits);
        assert!(acks.due(later), "a hundred bytes");
    }

    #[test]
    fn a_fast_flow_is_acked_by_time_or_by_the_quarter_of_the_window() {
        let (timing, limits) = (timing(), limits());
        let start = Instant::from_millis(1000);
        let paced = start + Duration::from_micros(2500);
        let mut acks = Acks::default();
        acks.sent(start);
        acks.delivered(9, 90, start, &timing, &limits);
        assert!(!acks.due(start), "the last one has just left");
        assert_eq!(acks.deadline(), Some(paced));
        assert!(acks.due(paced));
        acks.delivered(1, 0, start, &timing, &limits);
        assert!(acks.due(start), "a quarter of the window's messages");
        acks.sent(start);
        acks.delivered(3, 499, start, &timing, &limits);
        assert!(!acks.due(start));
        acks.delivered(1, 1, start, &timing, &limits);
        assert!(acks.due(start), "a quarter of its bytes");
    }

    #[test]
    fn a_small_window_makes_no_more_acks() {
        let limits = Limits {
            window_messages: 4,
            ..limits()
        };
        let (timing, start) = (timing(), Instant::from_millis(1000));
        let mut acks = Acks::default();
        acks.sent(start);
        acks.delivered(2, 0, start, &timing, &limits);
        assert!(!acks.due(start));
        acks.delivered(1, 0, start, &timing, &limits);
        assert!(acks.due(start));
    }
}
