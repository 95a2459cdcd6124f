//! How a session ends: CLOSE behind the last message, CLOSE_ACK, and one `Closed` event with the reason (U-48).
//!
//! ```text
//!   open ── close() ──► lingering ── all carried, or half the time over ──► CLOSE sent ── CLOSE_ACK, or time over ──► Closed
//!     └──── peer's CLOSE on the newest confirmed link, or the verdict of the other machinery ─────────────────────────► Closed
//! ```

use core::time::Duration;

use super::auth::Verdict;
use super::conversation::{Conversation, Role};
use super::link::{Life, Link};
use super::phase::Input;
use crate::error::CloseReason;
use crate::event::{Event, LinkId, MessageId, State};
use crate::time::Instant;
use crate::wire::frame::{self, Close, CloseKind};

/// How long a closing session waits for its last messages and the CLOSE_ACK.
pub const LINGER: Duration = Duration::from_secs(2);

/// See the module's head.
#[derive(Default)]
pub enum Closing {
    #[default]
    No,
    /// Ending by this end's wish.
    Lingering {
        kind: CloseKind,
        code: u32,
        reason: CloseReason,
        /// Set by the next call that tells the time: the wish comes without one.
        since: Option<Instant>,
        /// The link that carries the CLOSE.
        sent: Option<LinkId>,
    },
    Done(CloseReason),
}

impl Closing {
    pub fn has_begun(&self) -> bool {
        !matches!(self, Closing::No)
    }

    /// A newer link took over: what was sent before the CLOSE, and the CLOSE itself, may have gone nowhere, and go there again.
    pub fn moved(&mut self) {
        if let Closing::Lingering { sent, .. } = self {
            *sent = None;
        }
    }

    /// Behind a CLOSE nothing may follow.
    #[inline]
    pub fn allows_more(&self) -> bool {
        !self.has_begun() || self.has_said_nothing()
    }

    #[cold]
    fn has_said_nothing(&self) -> bool {
        matches!(self, Closing::Lingering { sent: None, .. })
    }

    /// Time as the host tells it.
    pub fn tick(&mut self, now: Instant) {
        if let Closing::Lingering { since, .. } = self {
            since.get_or_insert(now);
        }
    }

    /// When to look again. Half the time is looked at once only: without a link that could carry the CLOSE nothing comes of it.
    pub fn deadline(&self, now: Instant) -> Instant {
        match *self {
            Closing::Lingering { since: None, .. } => Instant::ZERO,
            Closing::Lingering {
                since: Some(since),
                sent: None,
                ..
            } if now < since + LINGER / 2 => since + LINGER / 2,
            Closing::Lingering { since: Some(since), .. } => since + LINGER,
            _ => Instant::FAR_FUTURE,
        }
    }

    /// Why it ends, as soon as that was wanted.
    pub fn wish(&self) -> Option<CloseReason> {
        match *self {
            Closing::Lingering { reason, .. } | Closing::Done(reason) => Some(reason),
            Closing::No => None,
        }
    }

    /// Why the session ended, once it has.
    pub fn reason(&self) -> Option<CloseReason> {
        match *self {
            Closing::Done(reason) => Some(reason),
            Closing::Lingering { .. } | Closing::No => None,
        }
    }
}

impl Conversation {
    /// Begins to end the session. Without a link there is nobody to tell, and it ends at once.
    pub fn close(&mut self, kind: CloseKind, code: u32, reason: CloseReason) {
        if self.closing.has_begun() {
            return;
        }
        self.closing = Closing::Lingering {
            kind,
            code,
            reason,
            since: None,
            sent: None,
        };
        if self.newest_confirmed().is_none() && !self.closes_on_the_one_before() {
            return self.finish(reason);
        }
        self.close_when_carried();
    }

    /// Sends CLOSE once the carrier has carried everything, or does not get there in time.
    #[inline]
    pub fn close_when_carried(&mut self) {
        if self.closing.has_begun() {
            self.close_if_carried();
        }
    }

    /// Whether that is to be done now. What it waits for may end in any call: that it is so counts as output from then on.
    #[inline]
    pub fn close_is_due(&self) -> bool {
        self.closing.has_begun() && self.carries_close().is_some()
    }

    /// The link that is to carry the CLOSE now.
    #[cold]
    fn carries_close(&self) -> Option<usize> {
        let Closing::Lingering { since, sent: None, .. } = self.closing else {
            return None;
        };
        let index = self.newest_confirmed()?;
        let half_over = since.is_some_and(|since| self.now >= since + LINGER / 2);
        let carried = self.outbox.all_carried(&self.links[index].cursor) && self.unreliable.is_empty();
        (carried || half_over).then_some(index)
    }

    #[cold]
    fn close_if_carried(&mut self) {
        let Some(index) = self.carries_close() else { return };
        let Closing::Lingering { kind, code, sent, .. } = &mut self.closing else {
            return;
        };
        let link = &mut self.links[index];
        *sent = Some(link.id);
        let (kind, code) = (*kind, *code);
        let close = Close {
            kind,
            code,
            send_end: self.outbox.next(),
            recv_next: self.inbox.next(),
        };
        frame::close(&mut link.control, &close);
        self.acks.force();
    }

    pub fn check_closing(&mut self) {
        self.close_when_carried();
        if let Closing::Lingering {
            since: Some(since),
            reason,
            ..
        } = self.closing
            && self.now >= since + LINGER
        {
            self.finish(reason);
        }
    }

    /// The client is known to have left its links here: nobody hears the goodbye any more.
    pub fn cut_goodbye_short(&mut self) {
        if let Closing::Lingering { reason, .. } = self.closing {
            self.finish(reason);
        }
    }

    /// The peer ended the session on link `index`.
    pub fn peer_closed(&mut self, index: usize, close: &Close) {
        frame::close_ack(&mut self.links[index].control, self.inbox.next());
        if let Closing::Lingering { reason, .. } = self.closing {
            // Both ends closed at once: each keeps its own reason.
            return self.finish(reason);
        }
        let truncated = self.inbox.next() < close.send_end;
        let reason = match (self.role, close.kind) {
            (Role::Client, CloseKind::Expired) => CloseReason::Expired,
            (Role::Client, CloseKind::Kicked) => CloseReason::Kicked { code: close.code },
            (Role::Client, CloseKind::Superseded) => CloseReason::Superseded,
            (Role::Client, CloseKind::NotAuthorised) => CloseReason::Refused { code: close.code },
            (_, CloseKind::Overflow) => CloseReason::Overflow,
            (_, CloseKind::Internal) => CloseReason::Internal,
            (_, CloseKind::RolledBack) => CloseReason::RolledBack,
            _ => CloseReason::Peer {
                code: close.code,
                truncated,
            },
        };
        self.finish(reason);
    }

    /// Ends the session for a reason that cannot wait for anything, and tells the peer on link `index` if that can be written still.
    pub fn abort(&mut self, index: usize, kind: CloseKind, reason: CloseReason) {
        let close = Close {
            kind,
            code: 0,
            send_end: self.outbox.next(),
            recv_next: self.inbox.next(),
        };
        frame::close(&mut self.links[index].control, &close);
        self.finish(reason);
    }

    /// The link that was to carry the CLOSE went, or had gone when it was wanted. If the peer never took to it, it still listens on the one before: what is left to
    /// say is said there (U-60). Says whether there is one.
    pub fn closes_on_the_one_before(&mut self) -> bool {
        let drains = |link: &&mut Link| matches!(link.life, Life::Draining(_));
        let Some(link) = self.links.iter_mut().rev().find(drains) else {
            return false;
        };
        link.life = Life::Open;
        // Nobody asked its timers meanwhile.
        link.liveness.woken(self.now);
        self.closing.moved();
        self.close_when_carried();
        true
    }

    /// The last link went while this end was closing: the wish stands, nothing is redialled (G8).
    pub fn closing_link_lost(&mut self) {
        if let Closing::Lingering { reason, .. } = self.closing {
            self.finish(reason);
        }
    }

    /// Ends the session, once and for good (G2).
    pub fn finish(&mut self, reason: CloseReason) {
        if self.state == State::Closed {
            return;
        }
        if self.handover.fail() {
            let acked = MessageId(self.outbox.acked());
            self.events.push_back(Event::HandoverFailed {
                reason: reason.into(),
                acked,
            });
        }
        (self.frozen, self.moved) = (false, false);
        // The client has said what it wanted and gone before the store had the session: what it said is still the application's.
        if let Some(Verdict::Accept { message }) = self.verdict_due.take() {
            self.let_in(message);
        }
        // What came in one record with a CLOSE is announced, too; behind Closed it would be too late.
        self.tell_readable();
        self.step(Input::Close);
        self.events.push_back(Event::Closed(reason));
        self.closing = Closing::Done(reason);
        for link in &mut self.links {
            link.life = Life::Closing(self.now + LINGER);
        }
    }
}
