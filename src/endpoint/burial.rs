//! How a session's end is told to the other servers: by a `Tomb` over its record, wherever that is by then.
//!
//! ```text
//!   ended ──┬─ here ───────────► Tomb over what was written last ──┬─ Done
//!           │                                                      ├─ Conflict ─────────────► Peek
//!           └─ on its way out ─► Peek                              └─ Failed, Unavailable ──► Peek with the next sign of life
//!
//!   Peek ──┬─ this process's, or parked by it ─► Tomb over that ───┬─ Done
//!          │                                                       └─ else ─────────────────► Peek with the next sign of life
//!          ├─ another's ─► it is asked to put it out, if it can have it only because it was on its way out; if it sleeps, until it counts as dead: then ─► Tomb
//!          ├─ no record, and it may be made yet ─► Tomb ────────────┬─ Done
//!          │                                                       └─ else ─────────────────► Peek with the next sign of life
//!          ├─ no record, Tomb, expired ─► nothing is left to do
//!          └─ no answer ───────────────────────────────────────────────────────────────────► Peek with the next sign of life
//! ```
//!
//! What was on its way out may be parked, or not, or be parked later still: a write of which nothing is known may be carried out at any time. So the end goes along with the token of that write until it
//! stands in the record, and what is done follows from what is found there, not from what became of the session here; that may be long forgotten.

use super::cluster::{AGAIN, Purpose};
use super::keep::Stage;
use super::users::Unseating;
use super::{Endpoint, Locator};
use crate::store::{Expect, Record, StoreOp, StoreReply};
use crate::wire::flight::LostStatus;
use crate::wire::frame::CloseKind;

/// How often whoever has the session by now is looked for, beyond the time in which he counts as dead if he only sleeps.
const TRIES: u16 = 8;

/// The end of a session that was here.
#[derive(Clone, Copy)]
pub struct End {
    pub status: LostStatus,
    /// It was on its way out, and this is the token under which it may have been parked.
    pub parked: Option<u64>,
    /// Its record may be made yet, under this token or a lower one.
    pub made: Option<u64>,
}

/// Whether the record was looked at before an end was written into it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tried {
    Blindly,
    Looked,
}

impl End {
    /// The code with which it is put out where it is by now. What only was over here, as nobody came for it, goes on there; and so does what another had to take from a process that slept.
    fn code(&self) -> Option<u32> {
        match self.status {
            LostStatus::Closed {
                kind: CloseKind::Kicked | CloseKind::Application,
                code,
                ..
            } if self.parked.is_some() => Some(code),
            _ => None,
        }
    }
}

impl Endpoint {
    /// The session has ended: others must learn how.
    pub(super) fn bury(&mut self, key: Locator, status: LostStatus) {
        let owner = self.owner();
        let Some(kept) = self.sessions.get_mut(&key).and_then(|served| served.kept.as_mut()) else {
            return;
        };
        let made = kept.making.then_some(kept.highest);
        match kept.stage {
            Stage::Unstored => {}
            Stage::Parking => {
                let parked = Some(kept.parked);
                // Whatever is still to come of the swap-out does not concern it any more.
                kept.stage = Stage::Live;
                self.unpark();
                self.find_and_bury(key, End { status, parked, made });
            }
            Stage::Creating | Stage::Live | Stage::Leaving => {
                // A write that is under way is carried out first.
                let token = if kept.writing { kept.highest } else { kept.token };
                let parked = None;
                let end = End { status, parked, made };
                self.put_tomb(key, Expect::Live(token, owner), end, Tried::Blindly);
            }
        }
    }

    /// Looks in which record an end is to be written.
    pub(super) fn find_and_bury(&mut self, key: Locator, end: End) {
        let end = Some(end);
        self.ask(StoreOp::Peek { key }, Purpose::Orphan { key, end });
    }

    /// Ends that the store did not take: it may now.
    pub(super) fn bury_what_is_left(&mut self) {
        let Some(cluster) = &mut self.cluster else { return };
        for (key, end) in core::mem::take(&mut cluster.unburied) {
            self.find_and_bury(key, end);
        }
    }

    /// How a session ended here. As long as the store has not taken it that is known, however long ago it was.
    pub(super) fn known_end(&self, key: &Locator) -> Option<LostStatus> {
        let unwritten = || self.cluster.as_ref()?.unwritten_end(key);
        let status = self.tombstones.find(key);
        status.or_else(|| unwritten().map(|end| end.status))
    }

    /// What the store has of a session that has ended here; `end` says how.
    ///
    /// Or another endpoint asks for one that the record calls this one's, and that is not here. If it is not on its way, it never comes: the store
    /// went back to an older state (F-86). That is said, lest everybody asks for ever.
    pub(super) fn orphaned(&mut self, key: Locator, end: Option<End>, reply: &StoreReply) {
        let found = match (reply, end) {
            (StoreReply::Peeked(found), _) => found,
            (_, Some(end)) => return self.bury_later(key, end),
            // Who only asked, asks again.
            _ => return,
        };
        let record = match found {
            Some(found) if found.expired => return,
            Some(found) => &found.record,
            // Whatever is made later finds the end there.
            None => {
                if let Some(end) = end.filter(|end| end.made.is_some())
                    && !self.is_alive(&key)
                    && !self.is_claiming(&key)
                {
                    self.put_tomb(key, Expect::Absent, end, Tried::Looked);
                }
                return;
            }
        };
        match *record {
            Record::Tomb { .. } => {}
            // It has come back.
            _ if self.is_alive(&key) || self.is_claiming(&key) => self.put_out(key, end),
            Record::Live { token, owner, .. } if owner == self.owner() => {
                let expect = Expect::Live(token, owner);
                if let Some(end) = end {
                    self.put_tomb(key, expect, end, Tried::Looked);
                } else {
                    let status = self.known_end(&key).unwrap_or(LostStatus::RolledBack);
                    self.put_status(key, expect, token, status, Purpose::Nothing);
                }
            }
            Record::Live { .. } => {
                self.tombstones.forget(&key);
                self.put_out(key, end);
            }
            Record::Parked { token, .. } => match end {
                Some(end) if end.parked == Some(token) => {
                    self.put_tomb(key, Expect::Parked(token), end, Tried::Looked);
                }
                _ => self.put_out(key, end),
            },
        }
    }

    /// The session goes on, here or elsewhere, though it was to end.
    fn put_out(&mut self, key: Locator, end: Option<End>) {
        if let Some(code) = end.and_then(|end| end.code()) {
            self.kick_anywhere(key, code);
        }
    }

    /// Puts a session out wherever it is, whoever its user is.
    pub(super) fn kick_anywhere(&mut self, key: Locator, code: u32) {
        // Who does not hear has no user who would tell him later, as after a binding.
        let lease = self.config.timing.lease.as_millis() / AGAIN.as_millis();
        let tries = u16::try_from(lease).unwrap_or(u16::MAX).saturating_add(TRIES);
        self.look_whom_to_unseat(Unseating {
            key,
            code,
            user: None,
            tries,
        });
    }

    fn put_tomb(&mut self, key: Locator, expect: Expect, end: End, tried: Tried) {
        let token = match expect {
            Expect::Live(token, _) | Expect::Parked(token) => token,
            Expect::Absent => end.made.unwrap_or_default(),
        };
        self.put_status(key, expect, token, end.status, Purpose::Bury { key, end, tried });
    }

    fn put_status(&mut self, key: Locator, expect: Expect, token: u64, status: LostStatus, purpose: Purpose) {
        let blob = status.to_bytes().into();
        let life = self.config.limits.tombstone;
        self.put(key, expect, Record::Tomb { token, blob }, life, purpose);
    }

    pub(super) fn buried(&mut self, key: Locator, end: End, tried: Tried, reply: &StoreReply) {
        match reply {
            // Another's, or under another token than was thought.
            StoreReply::Conflict if tried == Tried::Blindly => self.find_and_bury(key, end),
            // It changed between look and write, or the store contradicts itself: not at once again.
            StoreReply::Conflict | StoreReply::Failed | StoreReply::Unavailable => self.bury_later(key, end),
            _ => {}
        }
    }

    /// With the next sign of life that the store takes.
    fn bury_later(&mut self, key: Locator, end: End) {
        let (max, now) = (self.config.limits.tombstones as usize, self.now);
        if let Some(cluster) = &mut self.cluster
            && cluster.unburied.len() < max
        {
            cluster.unburied.insert(key, end);
            cluster.hurry(now);
        }
    }
}
