//! What is told of sessions that are elsewhere, and looking before a loss is reported.
//!
//! A process may have slept while others went on with its sessions. So before it says of one that it was rolled back or is unknown, it looks in the store whether it is still the
//! owner; if not, its copy is wiped and the record speaks. QUERY writes nothing, whatever it finds: whoever asks has proved nothing.

use alloc::boxed::Box;
use alloc::sync::Arc;
use bytes::Bytes;

use super::cluster::Purpose;
use super::ratchet::Ratchet;
use super::served::{Held, Served};
use super::takeover::{Arrival, RETRY_LATER};
use super::{Endpoint, Locator};
use crate::error::CloseReason;
use crate::snapshot::Unusable;
use crate::store::{Peeked, Record, StoreOp, StoreReply};
use crate::wire::flight::{LostStatus, RefuseCode};
use crate::wire::frame::CloseKind;
use crate::wire::prelude::Prelude;

/// A flight that says what cannot be, if this process is still the owner.
pub struct Doubt {
    locator: Locator,
    /// The token that began the session's stay here.
    stay: u64,
    prelude: Prelude,
    held: Held,
    /// Counts it as long as it lives, wherever it is.
    _seat: Arc<()>,
}

impl Endpoint {
    /// QUERY after a session that is not here. Nothing is written: whoever asks has proved nothing.
    pub(super) fn answer_query(&mut self, arrival: &Arrival, found: Option<Peeked>) {
        let Arrival {
            link,
            prelude,
            generation,
            locator,
            ..
        } = *arrival;
        let me = self.owner();
        let status = match found {
            None => self.known_end(&locator).unwrap_or(LostStatus::Unknown),
            Some(Peeked { expired: true, .. }) => LostStatus::Closed {
                kind: CloseKind::Expired,
                code: 0,
                send_end: 0,
            },
            Some(Peeked {
                record, owner_alive, ..
            }) => match record {
                Record::Tomb { blob, .. } => LostStatus::from_bytes(&blob).unwrap_or(LostStatus::Unknown),
                // Its session is on its way here, or the store has gone back to a time when it was.
                Record::Live { owner, .. } if owner == me && self.is_claiming(&locator) => LostStatus::Alive,
                Record::Live { owner, .. } if owner == me => self.known_end(&locator).unwrap_or(LostStatus::RolledBack),
                Record::Live { blob, .. } if !owner_alive && blob.is_empty() => LostStatus::OwnerCrashed,
                Record::Live { token, blob, .. } if !owner_alive => {
                    self.judge_snapshot(&blob, &locator, token, generation)
                }
                Record::Live { .. } => LostStatus::Alive,
                Record::Parked { token, blob } => self.judge_snapshot(&blob, &locator, token, generation),
            },
        };
        let Some(key) = self.config.keys.iter().find(|key| key.id() == prelude.key_id).cloned() else {
            return self.reject(link);
        };
        self.tell(link, prelude, &key, &arrival.flight, status);
    }

    pub(super) fn judge_snapshot(&self, blob: &Bytes, locator: &Locator, token: u64, generation: u32) -> LostStatus {
        let Some(cluster) = &self.cluster else {
            return LostStatus::Unknown;
        };
        let opened = match cluster.vault.open(blob, locator, token) {
            Ok(opened) => opened,
            // Somebody else can read it.
            Err(Unusable::Foreign) => return LostStatus::Alive,
            Err(Unusable::Damaged) => return LostStatus::RolledBack,
        };
        match opened.snapshot() {
            Ok(snapshot) => {
                let ratchet = Ratchet::restore(snapshot.attempt, snapshot.current, snapshot.pending);
                ratchet.standing(generation, snapshot.base + u64::from(snapshot.count))
            }
            Err(_) => LostStatus::RolledBack,
        }
    }

    /// This process is about to say of a session that it was rolled back. It may be a sleeper that does not know of a newer owner: so it looks first.
    pub(super) fn doubt(&mut self, locator: Locator, prelude: Prelude, held: Held, ahead: &[u8]) {
        let Some(seat) = self.seat(held.link, prelude) else {
            return;
        };
        if !self.hold(held.link, prelude, ahead) {
            return;
        }
        let Some(stay) = self.sessions.get(&locator).map(|served| served.token) else {
            return;
        };
        let doubt = Doubt {
            locator,
            stay,
            prelude,
            held,
            _seat: seat,
        };
        self.ask(StoreOp::Peek { key: locator }, Purpose::Doubt(Box::new(doubt)));
    }

    pub(super) fn doubt_settled(&mut self, doubt: Doubt, reply: &StoreReply) {
        let Doubt {
            locator,
            stay,
            prelude,
            held,
            ..
        } = doubt;
        // It may have ended meanwhile, or gone and come back: then this is about what is over.
        let stands = |served: &Served| served.token == stay && served.ended.is_none();
        if let StoreReply::Peeked(found) = reply
            && self.sessions.get(&locator).is_some_and(stands)
        {
            if self.is_fenced(&locator, found.as_ref()) {
                self.fence(locator);
            } else if let Some(served) = self.sessions.get_mut(&locator) {
                self.counters.rollbacks += 1;
                served.talk.finish(CloseReason::RolledBack);
                self.touch(locator);
                return self.farewell_lost(held.link, prelude, held.responder, LostStatus::RolledBack);
            }
        }
        self.refuse(
            held.link,
            prelude.version,
            prelude.key_id,
            RefuseCode::Later,
            RETRY_LATER,
        );
    }

    pub(super) fn is_alive(&self, key: &Locator) -> bool {
        self.sessions.get(key).is_some_and(|served| served.ended.is_none())
    }

    /// Whether it has ended here, and is here still.
    pub(super) fn is_over(&self, key: &Locator) -> bool {
        self.sessions.get(key).is_some_and(|served| served.ended.is_some())
    }

    pub(super) fn is_claiming(&self, key: &Locator) -> bool {
        self.cluster
            .as_ref()
            .is_some_and(|cluster| cluster.claiming.contains(key))
    }
}
