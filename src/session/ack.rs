//! When an ACK leaves (U-46).
//!
//! An ACK says what the application has taken. It is due a moment after the first message that was taken, and after so many messages or bytes, or half the
//! window if that is less, whichever comes first; at once when somebody waits for it. Any record that leaves earlier carries it along.
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
/// The part of it after which one is due, however few messages that is: with the window used up the sender would wait for the delay.
const HALF: u32 = 2;

/// How much was taken, since the session began: messages, and the bytes of them that this end has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Taken {
    pub messages: u64,
    pub bytes: u64,
}

/// See the module's head.
#[derive(Default)]
pub struct Acks {
    /// What had been taken when the last one left.
    said: Taken,
    /// Before so much is taken there is nothing to decide; the first message after an ACK decides.
    next: Taken,
    deadline: Option<Instant>,
    at_once: bool,
    /// When the last one left; long ago, if none did.
    last: Instant,
}

impl Acks {
    /// For one that goes on where the peer has been told of so much already.
    pub fn behind(said: Taken) -> Self {
        Acks {
            said,
            next: said,
            ..Acks::default()
        }
    }

    /// The application took messages, and has so much now.
    #[inline]
    pub fn delivered(&mut self, taken: Taken, now: Instant, timing: &Timing, limits: &Limits) {
        if self.decides(taken) {
            self.decide(taken, now, timing, limits);
        }
    }

    /// Whether there is anything to decide when so much is taken.
    #[inline]
    pub fn decides(&self, taken: Taken) -> bool {
        taken.messages >= self.next.messages || taken.bytes >= self.next.bytes
    }

    #[cold]
    fn decide(&mut self, taken: Taken, now: Instant, timing: &Timing, limits: &Limits) {
        let messages = taken.messages - self.said.messages;
        let bytes = taken.bytes - self.said.bytes;
        let few = timing.ack_messages.min((limits.window_messages / HALF).max(1));
        let small = timing.ack_bytes.min(limits.window_bytes / HALF);
        let due = if messages < few.into() && bytes < small.into() {
            self.decide_after(few, small);
            now + timing.ack_delay
        } else {
            let many = few.max(limits.window_messages / SHARE);
            let large = small.max(limits.window_bytes / SHARE);
            self.at_once |= messages >= many.into() || bytes >= large.into();
            if self.at_once {
                self.decide_after(u32::MAX, u32::MAX);
            } else {
                self.decide_after(many, large);
            }
            self.last + timing.ack_delay / PACE
        };
        if self.deadline.is_none_or(|deadline| due < deadline) {
            self.deadline = Some(due);
        }
    }

    fn decide_after(&mut self, messages: u32, bytes: u32) {
        self.next = Taken {
            messages: self.said.messages + u64::from(messages),
            bytes: self.said.bytes + u64::from(bytes),
        };
    }

    /// The peer needs one now: after a handover, before a CLOSE, for a message it sent twice.
    pub fn force(&mut self) {
        self.at_once = true;
    }

    /// One must leave now.
    pub fn due(&self, now: Instant) -> bool {
        self.at_once || self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// One would say something new, if a record leaves anyway when so many messages are taken.
    pub fn pending(&self, messages: u64) -> bool {
        self.at_once || messages > self.said.messages
    }

    /// When one is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// One is on its way, and says that so much was taken.
    pub fn sent(&mut self, taken: Taken, now: Instant) {
        *self = Acks {
            last: now,
            ..Acks::behind(taken)
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

    /// An application that reads, and the ACKs of it.
    struct Reading {
        acks: Acks,
        taken: Taken,
        limits: Limits,
    }

    impl Reading {
        fn new(limits: Limits) -> Self {
            // Somewhere in the middle of a session.
            let taken = Taken {
                messages: 1000,
                bytes: 5000,
            };
            Reading {
                acks: Acks::behind(taken),
                taken,
                limits,
            }
        }

        /// The application takes so many messages, of so many bytes together.
        fn take(&mut self, messages: u64, bytes: u64, now: Instant) {
            self.taken.messages += messages;
            self.taken.bytes += bytes;
            self.acks.delivered(self.taken, now, &timing(), &self.limits);
        }

        fn sent(&mut self, now: Instant) {
            self.acks.sent(self.taken, now);
        }

        fn pending(&self) -> bool {
            self.acks.pending(self.taken.messages)
        }

        fn due(&self, now: Instant) -> bool {
            self.acks.due(now)
        }

        fn deadline(&self) -> Option<Instant> {
            self.acks.deadline()
        }
    }

    #[test]
    fn whichever_comes_first_of_count_bytes_and_time() {
        let (timing, limits) = (timing(), limits());
        let start = Instant::from_millis(1000);
        let mut acks = Reading::new(limits);
        assert!(!acks.pending() && !acks.due(start));
        acks.take(1, 10, start);
        assert!(acks.pending() && !acks.due(start) && acks.due(start + timing.ack_delay));
        acks.take(1, 10, start);
        assert!(!acks.due(start));
        acks.take(1, 10, start);
        assert!(acks.due(start), "three messages");
        acks.sent(start);
        assert!(!acks.pending() && acks.deadline().is_none());
        let later = start + Duration::from_millis(3);
        acks.take(1, 100, later);
        assert!(acks.due(later), "a hundred bytes");
    }

    #[test]
    fn a_fast_flow_is_acked_by_time_or_by_the_quarter_of_the_window() {
        let limits = limits();
        let start = Instant::from_millis(1000);
        let paced = start + Duration::from_micros(2500);
        let mut acks = Reading::new(limits);
        acks.sent(start);
        acks.take(9, 90, start);
        assert!(!acks.due(start), "the last one has just left");
        assert_eq!(acks.deadline(), Some(paced));
        assert!(acks.due(paced));
        acks.take(1, 0, start);
        assert!(acks.due(start), "a quarter of the window's messages");
        acks.sent(start);
        acks.take(3, 499, start);
        assert!(!acks.due(start));
        acks.take(1, 1, start);
        assert!(acks.due(start), "a quarter of its bytes");
    }

    /// Or the sender, out of credit, waited for the delay each time.
    #[test]
    fn a_small_window_is_given_back_by_halves() {
        let start = Instant::from_millis(1000);
        let window = |window_messages, window_bytes| Limits {
            window_messages,
            window_bytes,
            ..limits()
        };
        // What is not enough, and what is with it: though not three messages, nor a hundred bytes.
        for (limits, before, last) in [
            (window(4, 2000), (1, 0), (1, 0)),
            (window(40, 100), (1, 49), (1, 1)),
            (window(1, 2000), (0, 0), (1, 0)),
        ] {
            let mut acks = Reading::new(limits);
            acks.sent(start);
            acks.take(before.0, before.1, start);
            assert!(!acks.due(start), "{before:?}");
            acks.take(last.0, last.1, start);
            assert!(acks.due(start), "{before:?}, {last:?}");
        }
    }
}
