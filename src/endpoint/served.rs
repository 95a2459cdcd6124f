//! One session as the server keeps it: the conversation, the ratchet, and how long it may live without a link.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::counters::Counters;
use super::deadlines::Armed;
use super::keep::Kept;
use super::ratchet::Ratchet;
use crate::config::ServerConfig;
use crate::crypto::noise::Responder;
use crate::error::CloseReason;
use crate::event::{HandoverCause, LinkId, SessionId, State};
use crate::session::auth::Auth;
use crate::session::conversation::Conversation;
use crate::session::link::{Life, Link};
use crate::time::Instant;
use crate::wire::flight::Resume;
use crate::wire::frame::CloseKind;

/// With another link alive, a new one must be confirmed this soon.
const FALL_BACK: Duration = Duration::from_secs(1);

/// See the module's head.
pub struct Served {
    pub id: SessionId,
    pub talk: Conversation,
    pub ratchet: Ratchet,
    /// What the client knows this process's ownership by: the token of the record that began it.
    pub token: u64,
    /// The client has proved its keys once; before, the session is nothing but a pending handshake.
    pub confirmed: bool,
    /// Until when AUTH must have come: a client that never shows anything must not hold a place.
    pub auth_by: Instant,
    /// Since when it has no confirmed link.
    pub detached: Option<Instant>,
    /// It counts among the endpoint's detached sessions.
    pub counted_detached: bool,
    /// It counts among those that are over and not read yet.
    pub counted_unread: bool,
    /// A RESUME that waits for the application's word.
    pub held: Option<Box<Held>>,
    /// Its entries among the endpoint's deadlines.
    pub armed: Armed,
    /// It stands in the queue of those with output.
    pub ready: bool,
    /// When it ended; it stays until what had arrived is read.
    pub ended: Option<Instant>,
    /// (with a store) How it stands there.
    pub kept: Option<Box<Kept>>,
    /// What of the talk's counters has been added to the endpoint's.
    pub counted: Counted,
}

/// Those of the talk's counters that an endpoint sums up.
#[derive(Default)]
pub struct Counted {
    handovers: u64,
    replayed_messages: u64,
    sent_messages: u64,
    received_messages: u64,
}

/// A RESUME that was verified and waits (L-12).
pub struct Held {
    pub link: LinkId,
    pub responder: Responder,
    pub payload: Vec<u8>,
    pub under: u32,
    pub attempt: u32,
    pub until: Instant,
}

impl Served {
    /// A session whose first ACCEPT is about to leave.
    pub fn new(id: SessionId, talk: Conversation, ratchet: Ratchet, token: u64, now: Instant) -> Self {
        Served {
            id,
            talk,
            ratchet,
            token,
            confirmed: false,
            auth_by: Instant::FAR_FUTURE,
            detached: Some(now),
            counted_detached: false,
            counted_unread: false,
            held: None,
            armed: Armed::new(),
            ready: false,
            ended: None,
            kept: None,
            counted: Counted::default(),
        }
    }

    /// It is this process's from now on.
    pub fn begin(&mut self, now: Instant) {
        self.talk.tick(now);
        self.detached = Some(now);
        if let Some(kept) = &mut self.kept {
            kept.was_written(now);
        }
    }

    /// Whether nobody would miss it: its client has not been let in and the store does not know it, so that it starts over elsewhere (U-65).
    pub fn may_start_over(&self) -> bool {
        let unstored = self.kept.as_ref().is_some_and(|kept| !kept.is_stored());
        !self.confirmed || unstored && !self.talk.closing.has_begun()
    }

    /// Whether what the client says of both ends can be (U-17). If not, one of them lost state.
    pub fn is_consistent(&self, resume: &Resume<'_>) -> bool {
        resume.last_live <= self.ratchet.attempt()
            && resume.last_token <= self.token
            && resume.send_base <= resume.send_end
            && self.talk.is_possible(&resume.position, resume.send_base)
    }

    /// The highest attempt that was verified, held ones included (U-13).
    pub fn highest_attempt(&self) -> u32 {
        let held = self.held.as_ref().map_or(0, |held| held.attempt);
        held.max(self.ratchet.attempt())
    }

    /// Adds what is new in the conversation's counters to the endpoint's.
    pub fn count(&mut self, counters: &mut Counters) {
        let (now, before) = (&self.talk.stats, &self.counted);
        let sent_messages = self.talk.outbox.taken().messages;
        let received_messages = self.talk.inbox.received().messages;
        counters.handovers += now.handovers - before.handovers;
        counters.replayed_messages += now.replayed_messages - before.replayed_messages;
        counters.sent_messages += sent_messages - before.sent_messages;
        counters.received_messages += received_messages - before.received_messages;
        self.counted = Counted {
            handovers: now.handovers,
            replayed_messages: now.replayed_messages,
            sent_messages,
            received_messages,
        };
    }

    /// The client proved its keys on the link of `attempt`: the secrets before it are over (U-34).
    #[cold]
    pub fn confirm(&mut self, attempt: u32, config: &ServerConfig) {
        if !self.confirmed {
            self.confirmed = true;
            self.auth_by = self.talk.now + config.limits.handshake;
        }
        self.ratchet.confirm(attempt);
    }

    /// Timers of the session itself and of its conversation.
    pub fn handle_timeout(&mut self, config: &ServerConfig) {
        let now = self.talk.now;
        if self.talk.state == State::Closed {
            self.talk.check_links();
            return;
        }
        self.talk.check_closing();
        self.talk.check_links();
        self.drop_unconfirmed(config);
        if self.owes_auth() && self.auth_by <= now {
            self.talk
                .close(CloseKind::NotAuthorised, 0, CloseReason::Refused { code: 0 });
            // Its linger begins now, not at the next call.
            self.talk.tick(now);
        }
        if self.expires(config).is_some_and(|at| at <= now) {
            self.talk.finish(CloseReason::Expired);
        }
    }

    /// When the session is over if no link comes. Not while its client is there: in the middle of a handshake, or waiting for the application's word.
    pub fn expires(&self, config: &ServerConfig) -> Option<Instant> {
        let since = self.detached?;
        if !self.confirmed {
            return Some(since + config.limits.handshake);
        }
        let waits = self.held.as_ref().map_or(Instant::ZERO, |held| held.until);
        let links = self.talk.links.iter().filter(|link| is_unproved(link));
        let proves = links.map(|link| link.born + self.confirm_limit(config)).max();
        Some(
            (since + config.limits.detached)
                .max(waits)
                .max(proves.unwrap_or(Instant::ZERO)),
        )
    }

    fn owes_auth(&self) -> bool {
        matches!(self.talk.auth, Auth::Expected { .. }) && !self.talk.closing.has_begun()
    }

    /// When it wants to be asked next.
    pub fn deadline(&self, config: &ServerConfig) -> Instant {
        let mut deadline = self.talk.timer_deadline();
        if let Some(ended) = self.ended {
            // Once that is over only the links are waited for, and they have timers of their own.
            let unread = ended + config.limits.detached;
            return if unread > self.talk.now {
                deadline.min(unread)
            } else {
                deadline
            };
        }
        if self.owes_auth() {
            deadline = deadline.min(self.auth_by);
        }
        deadline = deadline.min(self.expires(config).unwrap_or(Instant::FAR_FUTURE));
        if let Some(kept) = &self.kept {
            deadline = deadline.min(kept.deadline());
        }
        for link in self.talk.links.iter().filter(|link| is_unproved(link)) {
            deadline = deadline.min(link.born + self.confirm_limit(config));
        }
        deadline
    }

    /// Keeps account of whether a link carries the session.
    pub fn note_links(&mut self) {
        let carries = self.talk.newest_confirmed().is_some();
        if core::mem::take(&mut self.talk.came_back) || carries {
            self.detached = None;
        }
        if !carries {
            self.detached.get_or_insert(self.talk.now);
        }
    }

    /// How long a client may take to prove its keys on a new link. With another link alive not long: the RESUME may have been held
    /// up on its way while the client stayed where it was, and what is sent on the new link meanwhile reaches nobody.
    fn confirm_limit(&self, config: &ServerConfig) -> Duration {
        let alive = self.talk.newest_confirmed().is_some();
        if alive {
            FALL_BACK.min(config.limits.handshake)
        } else {
            config.limits.handshake
        }
    }

    /// A link whose client never proved its keys ends; an older one, if there is any, carries on.
    fn drop_unconfirmed(&mut self, config: &ServerConfig) {
        let now = self.talk.now;
        let limit = self.confirm_limit(config);
        let overdue = |link: &Link| is_unproved(link) && now >= link.born + limit;
        while let Some(index) = self.talk.links.iter().position(overdue) {
            let link = self.talk.close_link(index);
            self.talk.after_loss(&link, HandoverCause::LinkLost);
        }
    }
}

/// Its client has not proved its keys on it.
fn is_unproved(link: &Link) -> bool {
    !link.confirmed && link.life == Life::Open
}
