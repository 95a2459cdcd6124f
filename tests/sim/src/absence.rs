//! How long a session is without a link, by what its server was told and when; and what the server says of that.
//!
//! | rule | |
//! |---|---|
//! | an end by expiry | not before `Limits::detached` is over since the call by which the session lost its last link |
//! | `HandoverEnd::downtime` | not shorter than from there to the call that brought the first record on a new link |
//!
//! A session that nobody has confirmed has no application, so its end is not told, and its shorter life (`Limits::handshake`) not judged. Nor is that of one that
//! lost its last link by a timer of the server's: whose it was is not seen. The account of a handover stands still when its application ends the session in the middle of it, and
//! is not judged then. Both rules are to the microsecond: the server reads no clock but its calls.

use core::time::Duration;

use unbroken::{CloseReason, Endpoint, Event, Instant};

/// What can be seen of a server's links from outside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Sessions without a link.
    detached: usize,
    /// Handovers that have ended.
    handovers: u64,
}

impl Tally {
    pub fn of(server: &Endpoint) -> Self {
        Tally {
            detached: server.detached(),
            handovers: server.counters().handovers,
        }
    }

    /// Whether another session, or one less, is without a link.
    pub fn differs(self, after: Tally) -> bool {
        self.detached != after.detached
    }
}

/// What the test remembers of a session at its server.
#[derive(Debug, Default)]
pub struct Absence {
    since: Option<Instant>,
    /// It had lasted so long when a link came back.
    lasted: Option<Duration>,
    /// The longest downtime that was told since all was told before.
    told: Option<Duration>,
}

impl Absence {
    /// The server was called about a link of its client's. A call about a link concerns one session.
    pub fn see_call(&mut self, before: Tally, after: Tally, now: Instant) {
        if after.detached > before.detached {
            self.since = Some(now);
        } else if after.detached < before.detached {
            self.ends(now);
        } else if after.handovers > before.handovers && self.since.is_some() {
            // A link came and went: the first record on it stood in front of one that is none.
            self.ends(now);
            self.since = Some(now);
        }
    }

    fn ends(&mut self, now: Instant) {
        self.lasted = self.since.take().map(|since| now.since(since)).max(self.lasted);
    }

    /// Somebody else's link may have carried it.
    pub fn lose_track(&mut self) {
        self.since = None;
    }

    /// The server says something of the session.
    pub fn see_event(&mut self, event: &Event, detached: Duration, now: Instant) -> Result<(), String> {
        match event {
            Event::HandoverEnd(end) => self.told = self.told.max(Some(end.downtime)),
            Event::Closed(reason) => {
                let was = core::mem::take(self);
                if let Some(since) = was.since
                    && *reason == CloseReason::Expired
                    && now < since + detached
                {
                    let away = now.since(since);
                    return Err(format!(
                        "it expired after {away:?} without a link, not after {detached:?}"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The server has nothing more to say now. If no handover was told, the session ended with it.
    pub fn see_all_told(&mut self) -> Result<(), String> {
        match (self.lasted.take(), self.told.take()) {
            (Some(lasted), Some(told)) if told < lasted => Err(format!(
                "it was without a link for {lasted:?} and is told of a downtime of {told:?}"
            )),
            _ => Ok(()),
        }
    }
}
