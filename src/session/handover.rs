//! The account of one handover: from `HandoverBegin` to exactly one of `HandoverEnd` and `HandoverFailed`.

use core::time::Duration;

use crate::event::{HandoverCause, HandoverEnd};
use crate::time::Instant;

/// See the module's head.
#[derive(Default)]
pub enum Handover {
    #[default]
    None,
    /// No link carries since then, and there was nothing to hand over, as the verdict had not come: it counts as part of the handover in which the client comes back, if it is let
    /// in meanwhile.
    Early(Instant),
    /// It has begun.
    Open(Account),
}

pub struct Account {
    /// Since when no link carries the session, as well as this end can know it; `None` while the old one still does.
    down_since: Option<Instant>,
    replayed_messages: u64,
    replayed_bytes: u64,
}

impl Handover {
    /// The link stopped carrying then, before the verdict; not if it still does.
    pub fn down_early(&mut self, since: Option<Instant>) {
        if let (Handover::None, Some(since)) = (&self, since) {
            *self = Handover::Early(since);
        }
    }

    /// Begins, unless it has begun already; returns the cause to report. `down_since` is the moment the old link stopped carrying, if it has.
    pub fn begin(&mut self, cause: HandoverCause, down_since: Option<Instant>) -> Option<HandoverCause> {
        let down_since = match self {
            Handover::None => down_since,
            Handover::Early(since) => Some(*since),
            Handover::Open(account) => {
                account.down_since = account.down_since.or(down_since);
                return None;
            }
        };
        *self = Handover::Open(Account {
            down_since,
            replayed_messages: 0,
            replayed_bytes: 0,
        });
        Some(cause)
    }

    /// Nothing carries the session any more. If no handover is under way, none begins.
    pub fn down(&mut self, since: Instant) {
        if let Handover::Open(account) = self {
            account.down_since.get_or_insert(since);
        }
    }

    /// The old link carries again (or still).
    pub fn alive_again(&mut self) {
        match self {
            Handover::None => {}
            Handover::Early(_) => *self = Handover::None,
            Handover::Open(account) => account.down_since = None,
        }
    }

    /// What the new link is going to carry once more.
    pub fn replays(&mut self, (messages, bytes): (u64, u64)) {
        if let Handover::Open(account) = self {
            account.replayed_messages += messages;
            account.replayed_bytes += bytes;
        }
    }

    /// Ends well.
    pub fn end(&mut self, now: Instant, same_server: bool) -> Option<HandoverEnd> {
        let Handover::Open(account) = core::mem::take(self) else {
            return None;
        };
        Some(HandoverEnd {
            downtime: account.down_since.map_or(Duration::ZERO, |since| now.since(since)),
            replayed_messages: account.replayed_messages,
            replayed_bytes: account.replayed_bytes,
            same_server,
        })
    }

    /// Ends badly; whether one was under way.
    pub fn fail(&mut self) -> bool {
        matches!(core::mem::take(self), Handover::Open(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// While the session closes nothing else is said of a link that breaks, but a handover that ends later tells its downtime.
    #[test]
    fn a_loss_that_begins_no_handover_counts_in_one_that_has_begun() {
        let at = Instant::from_millis;
        let mut handover = Handover::None;
        handover.down(at(1));
        assert!(handover.end(at(9), true).is_none());
        handover.begin(HandoverCause::PeerMoved, None);
        handover.down(at(2));
        handover.down(at(5));
        let end = handover.end(at(9), true).expect("it had begun");
        assert_eq!(end.downtime, Duration::from_millis(7));
    }
}
