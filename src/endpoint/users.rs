//! One session for each user: binding a user here puts his former session out, wherever it is.
//!
//! The store says whose session it was. If that one is here it is kicked; if it is another endpoint's, that one is told by a note; if it is parked, it
//! is buried, so that nobody can take it up again. It is looked for in the store though it is here: a process that slept may have no more than a copy. The newest binding wins; two that cross each other both ask the store, which puts them in order.
//!
//! The store answers the same question again by the same answer. So a binding of which nothing is known is simply asked for again, by whoever has the session then: a process that took it
//! over from one that died between binding and putting out does what is left to do. And a session that was put out, and does not know it yet, learns it here.
//! A session may be bound while the store has no record of it, not yet or not any more, and then whoever looks for it finds nothing: so it is told again as soon as the record stands.
//! And when a lease was lost and is back all are told again: whoever counts as dead is put out without being asked. Records without a snapshot are written anew then, those of sessions without a user
//! too: whoever put one out could not see whose it was by then, and what is refused is over.
//! While it lasts, a binding is renewed long before the store forgets it.
//!
//! A session may change hands: then the store still has it among those of its former user. So whoever is put out is put out as this user's, and one that is another's by then goes on.

use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::time::Duration;

use super::cluster::{Later, Purpose};
use super::keep::Stage;
use super::{Endpoint, Locator, notes};
use crate::crypto::keys::fingerprint;
use crate::error::CloseReason;
use crate::store::{Expect, Record, StoreKey, StoreOp, StoreReply};
use crate::time::Instant;
use crate::wire::flight::LostStatus;
use crate::wire::frame::CloseKind;

/// The code with which a session is kicked when its user is bound to another.
pub const USER_MOVED: u32 = u32::MAX - 1;

const LABEL: &[u8] = b"unbroken/1 user";

/// How often it is looked whether a session that was put out is over.
const TRIES: u16 = 12;
/// How long a binding is remembered without a word.
const BOUND: Duration = Duration::from_secs(7 * 86_400);
/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(86_400);

/// A user as the store knows him.
pub type UserDigest = [u8; 32];

/// A session that is to be put out, wherever it is.
#[derive(Clone, Copy)]
pub struct Unseating {
    pub key: StoreKey,
    pub code: u32,
    /// Only if it is this user's still.
    pub user: Option<UserDigest>,
    /// How often it is looked for yet.
    pub tries: u16,
}

/// Bytes of a user's key that a snapshot has.
const USER_MAX: usize = 1024;

/// A session's binding to its user, as the store has been told.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Binding {
    /// There is no user.
    #[default]
    None,
    /// The store was asked, or will be in a moment.
    Asked,
    /// ... and must be asked anew when it has answered, as the user is another since.
    Outdated,
    /// It stands, and is renewed then.
    Stands(Instant),
}

impl Binding {
    /// When it wants to be renewed.
    pub fn deadline(self) -> Instant {
        match self {
            Binding::Stands(renew) => renew,
            _ => Instant::FAR_FUTURE,
        }
    }
}

/// There is no store to remember it: the endpoint has [`Durability::Memory`](crate::Durability::Memory).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoStore;

impl fmt::Display for NoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this needs a store: choose Durability::SwapOut or Durable")
    }
}

impl core::error::Error for NoStore {}

impl Endpoint {
    /// Says whose session it is.
    pub(super) fn bind(&mut self, key: Locator, user: &[u8]) -> Result<(), NoStore> {
        let Some(kept) = self.sessions.get_mut(&key).and_then(|served| served.kept.as_mut()) else {
            return Err(NoStore);
        };
        kept.user = Some(known_as(user));
        kept.user_version = kept.user_version.wrapping_add(1);
        self.tell_binding(key);
        Ok(())
    }

    /// Tells the store whose session it is: because it is new, because its record stands now or the session has come here, or lest it is forgotten. One question at a time.
    pub(super) fn tell_binding(&mut self, key: Locator) {
        let Some(served) = self.sessions.get_mut(&key) else {
            return;
        };
        let stay = served.token;
        let Some(kept) = served.kept.as_mut().filter(|kept| kept.user.is_some()) else {
            return;
        };
        if matches!(kept.binding, Binding::Asked | Binding::Outdated) {
            kept.binding = Binding::Outdated;
        } else {
            kept.binding = Binding::Asked;
            self.bind_again(key, stay);
        }
    }

    /// The lease was lost and is back: while this process counted as dead its sessions may have been put out by a record that it has not seen, and never will if that is forgotten.
    /// `lapsed`: it may indeed have counted as dead.
    pub(super) fn tell_all_bindings(&mut self, lapsed: bool) {
        let stays = |key: &Locator| {
            let served = self.sessions.get(key).filter(|served| !served.talk.closing.has_begun());
            let kept = served.and_then(|served| served.kept.as_ref());
            kept.is_some_and(|kept| kept.is_settled())
        };
        let mut keys: Vec<Locator> = self.sessions.keys().copied().filter(stays).collect();
        keys.sort_unstable();
        for key in keys {
            if lapsed && !self.is_durable() {
                self.write_anew(key);
            }
            self.tell_binding(key);
        }
    }

    /// Of a record without a snapshot nobody can know that the session is another user's by now: who looked for it as a former user's has put it out by that, and the store says of its user that it
    /// stands. And one without a user, which another process had put out, learns it by nothing else. If this is refused, it is looked why. With a snapshot nothing leaves before that is found.
    fn write_anew(&mut self, key: Locator) {
        let kept = self.sessions.get(&key).and_then(|served| served.kept.as_ref());
        if kept.is_some_and(|kept| kept.stage == Stage::Live && !kept.writing) {
            self.put_live(key, None);
        }
    }

    /// A user's key is the application's, perhaps an address of mail: the store sees a digest that only the cluster can make.
    pub(super) fn digest(&self, user: &[u8]) -> UserDigest {
        self.config.clusters[0].digest(LABEL, user)
    }

    /// Whether a user is known to be another than this one, whoever made the digest.
    fn is_another(&self, known: Option<&[u8]>, user: Option<&UserDigest>) -> bool {
        let (Some(known), Some(user)) = (known, user) else {
            return false;
        };
        let mut clusters = self.config.clusters.iter();
        !clusters.any(|cluster| cluster.digest(LABEL, known) == *user)
    }

    /// Asks for its user, if it is still the same stay here that `stay` began.
    pub(super) fn bind_again(&mut self, key: Locator, stay: u64) {
        let served = self.sessions.get(&key).filter(|served| served.token == stay);
        let kept = served.and_then(|served| served.kept.as_ref());
        if let Some(user) = kept.and_then(|kept| kept.user.clone()) {
            let user = self.digest(&user);
            let locator = key;
            self.ask(
                StoreOp::Bind { user, key, life: BOUND },
                Purpose::Bind { locator, stay, user },
            );
        }
    }

    pub(super) fn bound(&mut self, key: Locator, stay: u64, user: UserDigest, reply: &StoreReply) {
        let renew = self.now + RENEW;
        if let StoreReply::Bound(Some(former)) = *reply
            && former != key
        {
            self.look_whom_to_unseat(Unseating {
                key: former,
                code: USER_MOVED,
                user: Some(user),
                tries: TRIES,
            });
        }
        // It may have left meanwhile, and come back: then this is about the user of its former life here.
        let served = self.sessions.get_mut(&key).filter(|served| served.token == stay);
        let Some(kept) = served.and_then(|served| served.kept.as_mut()) else {
            return;
        };
        match (reply, kept.binding) {
            // Also with a binding that is outdated: the user's next one will be asked for here or elsewhere.
            (StoreReply::Failed | StoreReply::Unavailable, _) => self.try_later(Later::Bind(key, stay)),
            (_, Binding::Outdated) => {
                kept.binding = Binding::Asked;
                self.bind_again(key, stay);
            }
            (StoreReply::Conflict, _) => {
                kept.binding = Binding::None;
                self.unseat_here(key, USER_MOVED, Some(&user));
            }
            _ => {
                kept.binding = Binding::Stands(renew);
                self.touch(key);
            }
        }
    }

    /// Puts a session out with this code, here and wherever the store says that it is: what is here may be the copy of a process that slept.
    pub(super) fn look_whom_to_unseat(&mut self, whom: Unseating) {
        let Unseating { key, tries, .. } = whom;
        self.unseat_here(key, whom.code, whom.user.as_ref());
        if tries > 0 {
            let tries = tries - 1;
            self.ask(StoreOp::Peek { key }, Purpose::Unseat(Unseating { tries, ..whom }));
        }
    }

    /// Puts a session out that is here, or not any more.
    pub(super) fn unseat_here(&mut self, key: Locator, code: u32, user: Option<&UserDigest>) {
        let kept = self.sessions.get(&key).and_then(|served| served.kept.as_ref());
        if self.is_another(kept.and_then(|kept| kept.user.as_deref()), user) {
            return;
        }
        if let Some(served) = self.sessions.get_mut(&key) {
            let kind = CloseKind::Kicked;
            served.talk.close(kind, code, CloseReason::Kicked { code });
            // Its linger begins now, not at the next call.
            served.talk.tick(self.now);
            self.touch(key);
        }
    }

    /// Puts a session out that is elsewhere, and looks again until it has ended: a note may be lost, and the session may move meanwhile.
    pub(super) fn unseat(&mut self, whom: Unseating, reply: StoreReply) {
        let Unseating { key, code, .. } = whom;
        let user = whom.user.as_ref();
        let found = match reply {
            StoreReply::Peeked(Some(found)) if !found.expired => found,
            StoreReply::Peeked(_) => return,
            _ => return self.unseat_later(whom),
        };
        let (expect, token, blob) = match found.record {
            Record::Tomb { .. } => return,
            // It is here after all, or has come meanwhile.
            Record::Live { owner, .. } if owner == self.owner() && self.is_alive(&key) => {
                return self.unseat_here(key, code, user);
            }
            Record::Live { owner, .. } if found.owner_alive => {
                let note = notes::unseat(&key, code, user);
                self.ask(StoreOp::Send { to: owner, note }, Purpose::Nothing);
                return self.try_later(Later::Unseat(whom));
            }
            Record::Live { token, owner, blob } => (Expect::Live(token, owner), token, blob),
            Record::Parked { token, blob } => (Expect::Parked(token), token, blob),
        };
        if self.lies_as_anothers(&key, token, &blob, user) {
            return;
        }
        let status = LostStatus::Closed {
            kind: CloseKind::Kicked,
            code,
            send_end: 0,
        };
        let blob = status.to_bytes().into();
        let record = Record::Tomb { token, blob };
        let life = match expect {
            // Its process may only sleep, and writes the record anew if it finds none: so its end stands there as long as it would have.
            Expect::Live(..) => self.life_here(),
            _ => self.config.limits.tombstone,
        };
        self.put(key, expect, record, life, Purpose::Unseated(whom));
    }

    /// Whether a snapshot says of its session that it is another user's.
    fn lies_as_anothers(&self, key: &StoreKey, token: u64, blob: &[u8], user: Option<&UserDigest>) -> bool {
        let opened = self
            .cluster
            .as_ref()
            .map(|cluster| cluster.vault.open(blob, key, token));
        let Some(Ok(opened)) = opened else {
            return false;
        };
        let snapshot = opened.snapshot();
        snapshot.is_ok_and(|snapshot| self.is_another(snapshot.user, user))
    }

    /// The outcome of an end that was written over a session that is elsewhere.
    pub(super) fn unseated(&mut self, whom: Unseating, reply: &StoreReply) {
        match reply {
            StoreReply::Done => {}
            StoreReply::Failed | StoreReply::Unavailable => self.unseat_later(whom),
            // It has moved meanwhile.
            _ => self.try_later(Later::Unseat(whom)),
        }
    }

    /// The store is down. That uses up no tries: else the user would have two sessions as soon as it is down for a while.
    fn unseat_later(&mut self, whom: Unseating) {
        let tries = whom.tries.saturating_add(1);
        self.try_later(Later::Unseat(Unseating { tries, ..whom }));
    }
}

/// What is kept of a user's key. One that is too long gives its tail for a digest of the whole, so that no two users become one.
fn known_as(user: &[u8]) -> Bytes {
    if user.len() <= USER_MAX {
        return Bytes::copy_from_slice(user);
    }
    let digest = fingerprint(user);
    [&user[..USER_MAX - digest.len()], &digest].concat().into()
}
