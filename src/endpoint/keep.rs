//! How a session stands with the store: created, committed; `leave` has how it goes.
//!
//! ```text
//!   Unstored ── let in ──► Creating ──► Live ── poll_snapshot, save ──► Parking ──► gone (SwappedOut)
//!                                       │ ▲ Leaving: the application's bytes are wanted, it may not go on
//!                       Durable: commit └─┘
//! ```
//!
//! At most one write of a session is under way, and each takes a higher token: so nothing that was read can be claimed after it was replaced, and a write of which
//! nothing is known (F-80), which may be carried out at any later time, is refused once the next has been done. With `Durable`, [`Mark`] says what a snapshot
//! covers; when it is confirmed the conversation's gate opens that far, and whatever happened meanwhile goes into the next: many messages, one write.

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

use super::cluster::{Later, Purpose};
use super::mail::Mail;
use super::served::Served;
use super::takeover::PATIENCE;
use super::users::Binding;
use super::{Endpoint, Locator};
use crate::config::Limits;
use crate::error::SaveError;
use crate::event::SessionId;
use crate::session::Verdict;
use crate::session::auth::Auth;
use crate::session::conversation::Gate;
use crate::snapshot::{OVERHEAD, Snapshot};
use crate::store::{Expect, Owner, Record, StoreOp, StoreReply};
use crate::time::Instant;
use crate::wire::frame::AUTH_RESULT_MAX;

/// Swap-outs under way at once: each holds a snapshot in memory.
pub const PARKING_MAX: usize = 1024;
/// How long a live record counts without being written, at least.
const LIVE: Duration = Duration::from_secs(3600);
/// It is written again long before.
const REFRESH: Duration = Duration::from_secs(LIVE.as_secs() / 3);

/// What a snapshot covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    send_end: u64,
    delivered: u64,
    /// Payload taken by the application, ever.
    bytes: u64,
    mail: u64,
    attempt: u32,
    user: u32,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The client is not let in yet, and the store knows nothing.
    Unstored,
    /// It is to be let in as soon as the store has the session.
    Creating,
    Live,
    Leaving,
    Parking,
}

/// What an endpoint with a store keeps beside each session.
pub struct Kept {
    pub stage: Stage,
    /// The token of the record as it stands.
    pub token: u64,
    /// The highest that was ever written, or may have been.
    pub highest: u64,
    /// (parking) The one of the swap-out.
    pub parked: u64,
    committed: Mark,
    /// The store has no record of it (any more).
    pub absent: bool,
    /// One was to be made where there is none, and that may be done later than it was asked for.
    pub making: bool,
    pub writing: bool,
    /// Its application does not know yet that it was restored, and has no state to give.
    pub unannounced: bool,
    /// Stands among those whose state is wanted.
    listed: bool,
    /// When its live record wants to be written again.
    refresh: Instant,
    /// (being created, parking) The application's bytes, should the store fail.
    pub app: Option<Bytes>,
    /// It is to be swapped out as soon as the store has it.
    pub leaves_then: bool,
    /// Who waits for it to be swapped out.
    pub asked_by: Vec<Owner>,
    pub mail: Mail,
    pub user: Option<Bytes>,
    pub binding: Binding,
    /// Grows with what a snapshot must cover and that is not counted otherwise: the user, the application's own changes.
    pub user_version: u32,
}

impl Kept {
    pub fn new() -> Self {
        Kept {
            stage: Stage::Unstored,
            token: 0,
            highest: 0,
            parked: 0,
            committed: Mark::default(),
            absent: false,
            making: false,
            writing: false,
            unannounced: false,
            listed: false,
            refresh: Instant::FAR_FUTURE,
            app: None,
            leaves_then: false,
            asked_by: Vec::new(),
            mail: Mail::default(),
            user: None,
            binding: Binding::None,
            user_version: 0,
        }
    }

    /// Of a session that was just claimed with this token.
    pub fn claimed(token: u64) -> Self {
        Kept {
            stage: Stage::Live,
            token,
            highest: token,
            unannounced: true,
            ..Kept::new()
        }
    }

    /// The store knows of it, or is being told.
    pub fn is_stored(&self) -> bool {
        self.stage != Stage::Unstored
    }

    /// The store has had it, or may have, and no write is under way that gives it away.
    pub fn is_settled(&self) -> bool {
        matches!(self.stage, Stage::Creating | Stage::Live | Stage::Leaving)
    }

    /// What a write that is about to be asked for replaces.
    pub fn replaces(&mut self, owner: Owner) -> Expect {
        if self.absent || self.stage == Stage::Creating {
            if !core::mem::replace(&mut self.making, true) {
                self.mail.begin_anew();
            }
            Expect::Absent
        } else {
            Expect::Live(self.token, owner)
        }
    }

    /// The store has this record, and it is this session's. Whether it was to be made where there was none: who has come to the user meanwhile may have looked for it in vain.
    pub fn stands(&mut self, token: u64) -> bool {
        self.token = token;
        self.absent = false;
        core::mem::replace(&mut self.making, false)
    }

    /// Of a record that may lack the application's first state, which was too large: it is no session's, so that it is asked for.
    pub fn covers_nothing(&self) -> Mark {
        Mark {
            user: self.user_version.wrapping_sub(1),
            ..Mark::default()
        }
    }

    /// The application's place in its queue that the store has.
    pub fn committed_mail(&self) -> u64 {
        self.committed.mail
    }

    /// Its live record counts anew from now on.
    pub fn was_written(&mut self, now: Instant) {
        self.refresh = now + REFRESH;
    }

    /// When this wants to be looked at.
    pub fn deadline(&self) -> Instant {
        let record = if self.stage == Stage::Live && !self.writing {
            self.refresh
        } else {
            Instant::FAR_FUTURE
        };
        record.min(self.binding.deadline())
    }
}

impl Served {
    /// What a snapshot taken now would cover.
    pub fn mark(&self) -> Mark {
        let kept = self.kept.as_ref();
        Mark {
            send_end: self.talk.outbox.next(),
            delivered: self.talk.inbox.delivered(),
            bytes: self.talk.inbox.taken().bytes,
            mail: kept.map_or(0, |kept| kept.mail.taken()),
            attempt: self.ratchet.attempt(),
            user: kept.map_or(0, |kept| kept.user_version),
        }
    }

    /// The fields of a snapshot taken now.
    pub fn snapshot<'a>(&'a self, limits: &Limits, app: Option<&'a [u8]>, now: Instant) -> Snapshot<'a> {
        let (current, pending) = self.ratchet.generations();
        // Not by its own clock: nobody tells that the time while no timer of it is due.
        let away = self.detached.map_or(Duration::ZERO, |since| now.since(since));
        let kept = self.kept.as_ref();
        Snapshot {
            session: self.id.0,
            attempt: self.ratchet.attempt(),
            current,
            pending,
            delivered: self.talk.inbox.delivered(),
            base: self.talk.outbox.acked(),
            carried: self.talk.outbox.carried(),
            count: self.talk.outbox.messages() as u32,
            messages: self.talk.outbox.unacked(),
            peer_max_message: self.talk.peer_max_message,
            welcome: match (&self.talk.auth, &self.talk.verdict_due) {
                (Auth::Accepted { message }, _)
                // The store has it before the client does, and whoever takes the session over must know what it was to hear.
                | (_, Some(Verdict::Accept { message })) => &message[..message.len().min(AUTH_RESULT_MAX)],
                _ => &[],
            },
            mail: kept.map_or(0, |kept| kept.mail.taken()),
            life: limits.detached.saturating_sub(away),
            user: kept.and_then(|kept| kept.user.as_deref()),
            app,
        }
    }

    fn wants_snapshot(&self, durable: bool) -> bool {
        let Some(kept) = self.kept.as_ref().filter(|_| self.ended.is_none()) else {
            return false;
        };
        match kept.stage {
            _ if kept.unannounced => false,
            Stage::Leaving => !kept.writing,
            Stage::Live => durable && !kept.writing && self.mark() != kept.committed,
            Stage::Unstored | Stage::Creating | Stage::Parking => false,
        }
    }
}

impl Endpoint {
    /// A session whose application state is wanted now: to be swapped out, or with [`Durability::Durable`](crate::Durability::Durable) to be committed. Answer at once by
    /// [`Endpoint::save`], with the state as it is after all messages that the application has taken. Nothing is named before all events were polled:
    /// what they tell is part of that state.
    pub fn poll_snapshot(&mut self) -> Option<SessionId> {
        if !self.events.is_empty() {
            return None;
        }
        loop {
            let cluster = self.cluster.as_mut().filter(|cluster| cluster.parking < PARKING_MAX)?;
            let locator = cluster.wanted.pop_front()?;
            let durable = cluster.durable;
            let Some(served) = self.sessions.get_mut(&locator) else {
                continue;
            };
            if let Some(kept) = &mut served.kept {
                kept.listed = false;
            }
            if served.wants_snapshot(durable) {
                return Some(served.id);
            }
        }
    }

    /// The application's state of a session that [`Endpoint::poll_snapshot`] named; `None` if it has none.
    ///
    /// # Errors
    /// [`SaveError::Unwanted`] if nobody wants it now. [`SaveError::TooLarge`]: a session that was to be swapped out stays here, with [`Event::SwapOutFailed`](crate::Event::SwapOutFailed).
    pub fn save(&mut self, session: SessionId, app: Option<&[u8]>) -> Result<(), SaveError> {
        let locator = super::locator_of(&session);
        let (Some(cluster), Some(served)) = (&self.cluster, self.sessions.get(&locator)) else {
            return Err(SaveError::Unwanted);
        };
        if served.id != session || !served.wants_snapshot(cluster.durable) {
            return Err(SaveError::Unwanted);
        }
        let size = OVERHEAD + served.snapshot(&self.config.limits, app, self.now).size_hint();
        let max = self.config.limits.snapshot as usize;
        if size > max {
            self.stay_here(locator);
            self.pause(locator);
            return Err(SaveError::TooLarge { size, max });
        }
        if served.kept.as_ref().is_some_and(|kept| kept.stage == Stage::Leaving) {
            self.put_parked(locator, app);
        } else {
            self.put_live(locator, app);
        }
        Ok(())
    }

    /// The client may be let in: first the store must know of the session.
    pub(super) fn create(&mut self, locator: Locator, verdict: Verdict, app: Option<Bytes>) {
        let Some(served) = self.sessions.get_mut(&locator) else {
            return;
        };
        let Some(kept) = &mut served.kept else { return };
        if kept.stage == Stage::Unstored {
            kept.stage = Stage::Creating;
            kept.app = app;
            served.talk.verdict_due = Some(verdict);
            self.put_live(locator, None);
        }
    }

    /// The application has been told of a restored session: from now on it can be asked for its state.
    #[cold]
    pub(super) fn announced(&mut self, locator: Locator) {
        if let Some(kept) = self.sessions.get_mut(&locator).and_then(|served| served.kept.as_mut()) {
            kept.unannounced = false;
            self.note_wanted(locator);
        }
    }

    /// The application says that its state has changed.
    pub(super) fn changed(&mut self, locator: Locator) {
        if let Some(kept) = self.sessions.get_mut(&locator).and_then(|served| served.kept.as_mut()) {
            kept.user_version = kept.user_version.wrapping_add(1);
        }
    }

    /// Lists a session whose state is wanted, and writes its record anew in time. Called after anything that may have changed it.
    pub(super) fn note_wanted(&mut self, locator: Locator) {
        let (Some(cluster), Some(served)) = (&mut self.cluster, self.sessions.get_mut(&locator)) else {
            return;
        };
        if served.talk.closing.has_begun()
            && let Some(kept) = &mut served.kept
            && kept.stage == Stage::Leaving
        {
            // Who is to end does not leave; and if another process has asked for it, its client is there.
            kept.stage = Stage::Live;
            served.talk.thaw();
            if !kept.asked_by.is_empty() {
                served.talk.cut_goodbye_short();
            }
        }
        let wanted = served.wants_snapshot(cluster.durable);
        if let Some(kept) = &mut served.kept
            && wanted
            && !kept.listed
        {
            kept.listed = true;
            cluster.wanted.push_back(locator);
        }
    }

    /// Says to the store that a session is still here, and whose, before it forgets. With `Durable` any commit says the first.
    pub(super) fn refresh(&mut self, locator: Locator) {
        let durable = self.cluster.as_ref().is_some_and(|cluster| cluster.durable);
        let now = self.now;
        let served = self.sessions.get(&locator).filter(|served| served.ended.is_none());
        let Some(kept) = served.and_then(|served| served.kept.as_ref()) else {
            return;
        };
        let renew = kept.binding.deadline() <= now;
        if kept.stage == Stage::Live && !kept.writing && kept.refresh <= now {
            self.refresh_record(locator, durable);
        }
        if renew {
            self.tell_binding(locator);
        }
    }

    fn refresh_record(&mut self, locator: Locator, durable: bool) {
        let now = self.now;
        let Some(kept) = self.sessions.get_mut(&locator).and_then(|served| served.kept.as_mut()) else {
            return;
        };
        kept.refresh = now + REFRESH;
        if durable {
            // Nothing is committed twice by it: the application's state is asked for as for any other.
            kept.user_version = kept.user_version.wrapping_add(1);
        } else {
            self.put_live(locator, None);
        }
    }

    /// Writes that a session is here. Its client has as long to come for it after this process has died as it would have had here, though that dies just before the next write.
    pub(super) fn put_here(&mut self, key: Locator, expect: Expect, record: Record, purpose: Purpose) {
        self.put(key, expect, record, self.life_here(), purpose);
    }

    /// How long the record of a session that is somewhere counts without being written.
    pub(super) fn life_here(&self) -> Duration {
        LIVE.max(REFRESH + self.config.limits.detached)
    }

    pub(super) fn put(&mut self, key: Locator, expect: Expect, record: Record, life: Duration, purpose: Purpose) {
        let linger = self.config.limits.tombstone;
        self.ask(
            StoreOp::Put {
                key,
                expect,
                record,
                life,
                linger,
            },
            purpose,
        );
    }

    /// Writes the record of a session that is here and stays: its creation, a commit, a refresh, or the end of doubt.
    pub(super) fn put_live(&mut self, locator: Locator, app: Option<&[u8]>) {
        let (Some(cluster), Some(served)) = (&mut self.cluster, self.sessions.get_mut(&locator)) else {
            return;
        };
        let Some(kept) = &mut served.kept else { return };
        kept.writing = true;
        kept.highest += 1;
        let token = kept.highest;
        let expect = kept.replaces(cluster.owner);
        let creating = kept.stage == Stage::Creating;
        let first = kept.app.clone().filter(|_| creating);
        let mut mark = served.mark();
        let blob = if cluster.durable {
            let mut snapshot = served.snapshot(&self.config.limits, app.or(first.as_deref()), self.now);
            if first.is_some() && OVERHEAD + snapshot.size_hint() > self.config.limits.snapshot as usize {
                // It is not covered, so it is asked for at once, and `save` says that it is too large.
                snapshot.app = None;
                mark.user = mark.user.wrapping_sub(1);
            }
            cluster.vault.seal(&snapshot, &locator, token, &mut self.rng)
        } else {
            Vec::new()
        };
        let owner = cluster.owner;
        let blob = blob.into();
        let record = Record::Live { token, owner, blob };
        let purpose = Purpose::Save {
            locator,
            token,
            mark,
            asked: self.now,
        };
        self.put_here(locator, expect, record, purpose);
    }

    /// The outcome of [`Endpoint::put_live`].
    pub(super) fn saved(&mut self, locator: Locator, token: u64, mark: Mark, asked: Instant, reply: &StoreReply) {
        let now = self.now;
        let Some(served) = self.sessions.get_mut(&locator) else {
            return;
        };
        let Some(kept) = &mut served.kept else { return };
        if kept.highest != token {
            // It has left meanwhile, and come back: this is about its former life here.
            return;
        }
        match reply {
            // Its end was written behind this, or it was looked where to: see `bury`.
            _ if served.ended.is_some() => kept.writing = false,
            // Whoever waits longer for an owner takes the session: if this process has slept since it asked, it may live elsewhere already, and must not begin here.
            StoreReply::Done if kept.stage == Stage::Creating && now >= asked + PATIENCE => self.check(locator),
            StoreReply::Done => {
                kept.writing = false;
                let made = kept.stands(token);
                kept.was_written(now);
                self.confirmed_by_store(locator, mark);
                if made {
                    self.tell_binding(locator);
                }
            }
            StoreReply::Unavailable => self.try_later(Later::Write(locator, token)),
            _ => self.check(locator),
        }
    }

    pub(super) fn confirmed_by_store(&mut self, locator: Locator, mark: Mark) {
        let Some(served) = self.sessions.get_mut(&locator) else {
            return;
        };
        let Some(kept) = &mut served.kept else { return };
        let before = core::mem::replace(&mut kept.committed, mark);
        served.talk.tick(self.now);
        served
            .talk
            .committed(mark.send_end, mark.delivered, mark.bytes.saturating_sub(before.bytes));
        for link in &mut served.talk.links {
            link.uncommitted &= link.attempt > mark.attempt;
        }
        let created = kept.stage == Stage::Creating;
        match core::mem::replace(&mut kept.stage, Stage::Live) {
            Stage::Creating => {
                kept.app = None;
                if let Some(verdict) = served.talk.verdict_due.take() {
                    served.talk.judge(verdict);
                }
            }
            // It was written to end a doubt: what was on its way out stays.
            Stage::Parking => {
                self.unpark();
                self.stay_here(locator);
            }
            stage => kept.stage = stage,
        }
        self.forget_mail(locator);
        self.touch(locator);
        if created {
            self.leave_too(locator);
        }
    }
}

impl Served {
    /// With a store: what is kept beside. With `Durable` nothing may leave before the first commit.
    pub fn with_store(mut self, kept: Kept, durable: bool) -> Self {
        self.kept = Some(Box::new(kept));
        if durable {
            self.talk.gate = Some(Gate {
                send_end: self.talk.outbox.next(),
                taken: self.talk.inbox.taken(),
            });
        }
        self
    }

    /// It was restored just now: the store has it as it is.
    pub fn commit_as_restored(&mut self) {
        let mark = self.mark();
        if let Some(kept) = &mut self.kept {
            kept.committed = mark;
        }
    }

    /// Whether it is on its way out, so that no new keys may be made.
    pub fn is_leaving(&self) -> bool {
        self.kept
            .as_ref()
            .is_some_and(|kept| matches!(kept.stage, Stage::Leaving | Stage::Parking))
    }
}
