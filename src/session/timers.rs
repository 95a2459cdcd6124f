//! The timers of a conversation: which links are still alive, when to look again, and what a quiet session gives back.
//!
//! Each timer belongs to the mechanism it serves, and that file says when it fires, is set and is cleared: `liveness` (probe,
//! suspect, dead, idle), `ack` (the delayed ACK), `closing` (the linger), `link` (draining and closing links). Here is only the sum.

use super::conversation::Conversation;
use super::link::Life;
use super::liveness::Verdict;
use crate::event::HandoverCause;
use crate::time::{Instant, Span};

/// What a look at the clock brought.
#[derive(Clone, Copy, Default, Debug)]
pub struct Aftermath {
    /// A link became suspect.
    pub suspect: bool,
    /// An answer became late on the link that carries.
    pub late: bool,
    /// The last link that carried ended.
    pub lost: bool,
}

impl Conversation {
    /// Looks after links and closing. Returns the links that must end, with the cause, and whether one became suspect.
    pub fn check_links(&mut self) -> Aftermath {
        self.note_unblocked();
        let mut aftermath = Aftermath::default();
        let now = self.now;
        let mut index = 0;
        while index < self.links.len() {
            let link = &mut self.links[index];
            let ended = match link.life {
                Life::Draining(until) | Life::Closing(until) => now >= until,
                _ if self.suspended => false,
                _ => match link.liveness.check(now, &self.settings.timing) {
                    Verdict::Dead => {
                        link.liveness.suspect = true;
                        true
                    }
                    Verdict::Suspect => {
                        self.stats.suspicions += 1;
                        aftermath.suspect = true;
                        false
                    }
                    Verdict::Late => {
                        aftermath.late |= self.carrier() == Some(index);
                        false
                    }
                    Verdict::Idle => {
                        link.probed = true;
                        false
                    }
                    Verdict::Fine => false,
                },
            };
            if ended {
                let link = self.close_link(index);
                aftermath.lost |= self.after_loss(&link, HandoverCause::LinkSuspect);
            } else {
                index += 1;
            }
        }
        aftermath
    }

    /// When something is to be done: now, if anything is queued.
    pub fn next_deadline(&self) -> Instant {
        if self.events.is_empty() && !self.has_output() {
            self.timer_deadline()
        } else {
            self.now
        }
    }

    /// When the next timer fires.
    #[inline]
    pub fn timer_deadline(&self) -> Instant {
        let mut deadline = self.closing.deadline(self.now);
        for link in &self.links {
            deadline = deadline.min(match link.life {
                Life::Draining(until) | Life::Closing(until) => until,
                _ if self.suspended => Instant::FAR_FUTURE,
                _ => link.liveness.deadline(&self.settings.timing),
            });
        }
        // One that is due already is output, not a timer.
        if let Some(ack) = self.acks.deadline()
            && ack < deadline
            && !self.acks.due(self.now)
            && self.carrier().is_some_and(|carrier| !self.links[carrier].is_held())
        {
            deadline = ack;
        }
        deadline
    }

    /// (server) The first record after a long silence is the client's probe of an idle link; a client knows by itself when it probes.
    pub fn note_probe(&mut self, index: usize) {
        let link = &mut self.links[index];
        let silence = self.now.span_since(link.liveness.quiet_since());
        if silence >= Span::from(self.settings.timing.idle_probe) / 2 {
            link.probed = true;
        }
    }

    /// Gives memory back if a quiet link has been probed, the answer has left or come, and there was nothing else to say.
    #[inline]
    pub fn rest_if_quiet(&mut self, index: usize) {
        if self.links.get(index).is_some_and(|link| link.probed) {
            self.rest_if_settled(index);
        }
    }

    #[cold]
    fn rest_if_settled(&mut self, index: usize) {
        if self.outbox.is_empty()
            && self.inbox.is_empty()
            && !self.acks.pending(self.acked_edge())
            && self.links[index].is_settled()
        {
            self.links[index].probed = false;
            self.shrink();
        }
    }

    /// Gives the memory back that an idle session does not need.
    fn shrink(&mut self) {
        self.outbox.shrink();
        self.inbox.shrink();
        self.unreliable.shrink();
        self.events.shrink_to_fit();
        self.to_close.shrink_to_fit();
        self.links.shrink_to_fit();
        for link in &mut self.links {
            link.shrink();
        }
    }
}
