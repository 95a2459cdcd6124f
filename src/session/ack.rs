//! When an ACK leaves (U-46).
//!
//! An ACK says what the application has taken. It is due after so many messages or bytes, or a moment after the first of
//! them, whichever comes first, or at once when somebody waits for it. Any record that leaves earlier carries it along.

use crate::config::Timing;
use crate::time::Instant;

/// See the module's head.
#[derive(Default)]
pub struct Acks {
    messages: u32,
    bytes: u64,
    deadline: Option<Instant>,
    at_once: bool,
}

impl Acks {
    /// The application took a message of `size` bytes.
    #[inline]
    pub fn delivered(&mut self, size: usize, now: Instant, timing: &Timing) {
        self.messages += 1;
        self.bytes += size as u64;
        if self.messages >= timing.ack_messages || self.bytes >= u64::from(timing.ack_bytes) {
            self.at_once = true;
        } else if self.deadline.is_none() {
            self.deadline = Some(now + timing.ack_delay);
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
    pub fn sent(&mut self) {
        *self = Acks::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn whichever_comes_first_of_count_bytes_and_time() {
        let timing = Timing {
            ack_messages: 3,
            ack_bytes: 100,
            ..Timing::default()
        };
        let start = Instant::from_millis(1000);
        let mut acks = Acks::default();
        assert!(!acks.pending() && !acks.due(start));
        acks.delivered(10, start, &timing);
        assert!(acks.pending() && !acks.due(start) && acks.due(start + Duration::from_millis(20)));
        acks.delivered(10, start, &timing);
        assert!(!acks.due(start));
        acks.delivered(10, start, &timing);
        assert!(acks.due(start), "three messages");
        acks.sent();
        assert!(!acks.pending() && acks.deadline().is_none());
        acks.delivered(100, start, &timing);
        assert!(acks.due(start), "a hundred bytes");
    }
}
