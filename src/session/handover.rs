//! The account of one handover: from `HandoverBegin` to exactly one of `HandoverEnd` and `HandoverFailed`.

use core::time::Duration;

use crate::event::{HandoverCause, HandoverEnd};
use crate::time::Instant;

/// See the module's head.
#[derive(Default)]
pub struct Handover {
    active: Option<Active>,
    /// Since when no link carries, if that was before there was anything to hand over.
    down_early: Option<Instant>,
}

struct Active {
    /// Since when no link carries the session, as well as this end can know it; `None` while the old one still does.
    down_since: Option<Instant>,
    replayed_messages: u64,
    replayed_bytes: u64,
}

impl Handover {
    /// The link stopped carrying before the verdict: that is no handover yet, and counts as part of the one in which the client comes back if it is let in meanwhile.
    pub fn down_early(&mut self, since: Option<Instant>) {
        self.down_early = self.down_early.or(since);
    }

    /// Begins, unless it has begun already; returns the cause to report. `down_since` is the moment the old link stopped carrying, if it has.
    pub fn begin(&mut self, cause: HandoverCause, down_since: Option<Instant>) -> Option<HandoverCause> {
        if let Some(active) = &mut self.active {
            active.down_since = active.down_since.or(down_since);
            return None;
        }
        self.active = Some(Active {
            down_since: self.down_early.take().or(down_since),
            replayed_messages: 0,
            replayed_bytes: 0,
        });
        Some(cause)
    }

    /// The old link carries again (or still).
    pub fn alive_again(&mut self) {
        self.down_early = None;
        if let Some(active) = &mut self.active {
            active.down_since = None;
        }
    }

    /// What the new link is going to carry once more.
    pub fn replays(&mut self, (messages, bytes): (u64, u64)) {
        if let Some(active) = &mut self.active {
            active.replayed_messages += messages;
            active.replayed_bytes += bytes;
        }
    }

    /// Ends well.
    pub fn end(&mut self, now: Instant, same_server: bool) -> Option<HandoverEnd> {
        self.down_early = None;
        let active = self.active.take()?;
        Some(HandoverEnd {
            downtime: active.down_since.map_or(Duration::ZERO, |since| now.since(since)),
            replayed_messages: active.replayed_messages,
            replayed_bytes: active.replayed_bytes,
            same_server,
        })
    }

    /// Ends badly; whether one was under way.
    pub fn fail(&mut self) -> bool {
        self.active.take().is_some()
    }
}
