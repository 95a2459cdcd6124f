//! A client came with a session that is not here: peek, verify, claim (R5, L-13); `docs/TAKEOVER.md` tells the story.
//!
//! ```text
//!   flight whole ──► Peek ──┬─ parked, or its owner is dead and left a snapshot ──► verify ──► Put(Live, me) ──► here: resumed as any other
//!                           ├─ alive elsewhere ──► note to the owner ··· Peek again (its note, or 250 ms) ··· 2 s: REFUSE later
//!                           └─ absent, ended ──► REFUSE not here
//! ```
//!
//! The connection waits as one that waits for its application does: bounded in bytes, in time and in number. Nothing is written before the
//! flight has proved that it could resume the session. A claim of whose outcome nothing is known is kept until it is: it holds the only copy.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

use super::cluster::{Later, Purpose};
use super::handshake::{RETRY_BUSY, is_downgrade};
use super::keep::{Kept, Stage};
use super::mail::Mail;
use super::ratchet::Ratchet;
use super::served::{Held, Served};
use super::{Endpoint, Locator, notes};
use crate::crypto::noise::Responder;
use crate::event::{Event, LinkId, SessionId};
use crate::session::ack::Acks;
use crate::session::auth::Auth;
use crate::session::conversation::{Conversation, Role};
use crate::session::outbox::Outbox;
use crate::session::phase::Input;
use crate::snapshot::{Snapshot, Unusable};
use crate::store::{Expect, Owner, Peeked, Record, StoreOp, StoreReply};
use crate::time::Instant;
use crate::wire::flight::{LostStatus, MAC1_LEN, MAC1_OFFSET, RESUME_JUDGED, RefuseCode, Resume};
use crate::wire::prelude::{FlightKind, Prelude};

/// How long a flight is held for the owner to let go.
const HOLD: Duration = Duration::from_secs(2);
/// How long an owner that was asked may take to answer when there is a snapshot to claim: it may be dead, and its lease not over yet. If it only was slow, it
/// finds itself fenced, and nothing is lost.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);
/// What a REFUSE advises while a session is on its way, in milliseconds.
pub const RETRY_LATER: u32 = 100;

/// A flight that asks for a session that is not here.
pub struct Arrival {
    pub locator: Locator,
    pub link: LinkId,
    pub prelude: Prelude,
    pub flight: Vec<u8>,
    pub generation: u32,
    attempt: u32,
    until: Instant,
    /// The owner that was asked last, and when.
    asked: Option<(Owner, Instant)>,
    /// Counts it as long as it lives, wherever it is.
    _seat: Arc<()>,
}

/// A session on its way here, and the flight that proved its right to it.
pub struct Claim {
    pub locator: Locator,
    expect: Expect,
    record: Record,
    served: Box<Served>,
    held: Held,
    prelude: Prelude,
}

/// Why a flight gets nothing now.
enum Turned {
    NotHere,
    Later,
    /// It proved nothing; the connection ends.
    Away,
}

impl Arrival {
    /// Whether this owner was asked, and has had its time.
    fn was_patient_with(&self, owner: Owner, now: Instant) -> bool {
        self.asked.is_some_and(|(of, at)| of == owner && now >= at + PATIENCE)
    }
}

impl Endpoint {
    /// Whether a session that is not here may be elsewhere.
    pub(super) fn may_be_elsewhere(&self) -> bool {
        self.cluster.is_some()
    }

    /// Whether a session, as its client last saw it, is not known here: it is not here, or another has gone on with it while this process slept.
    pub(super) fn is_elsewhere(&self, locator: &Locator, generation: u32) -> bool {
        match self.sessions.get(locator) {
            Some(served) => {
                served.ended.is_some() || served.kept.is_some() && served.ratchet.find(generation).is_none()
            }
            // Perhaps it ended here, and only here: the record knows better.
            None => true,
        }
    }

    /// Takes a whole RESUME or QUERY whose session is not here.
    pub(super) fn look_elsewhere(
        &mut self,
        link: LinkId,
        prelude: Prelude,
        flight: Vec<u8>,
        name: (Locator, u32, u32),
        ahead: &[u8],
    ) {
        let (locator, generation, attempt) = name;
        let Some(seat) = self.seat(link, prelude) else { return };
        if !self.hold(link, prelude, ahead) {
            return;
        }
        self.arrive(Box::new(Arrival {
            locator,
            link,
            prelude,
            flight,
            generation,
            attempt,
            until: self.now + HOLD,
            asked: None,
            _seat: seat,
        }));
    }

    /// A flight that waits for the store is held in memory, whatever becomes of its connection: so many are taken, and the others told to come later.
    pub(super) fn seat(&mut self, link: LinkId, prelude: Prelude) -> Option<Arc<()>> {
        let seats = &self.cluster.as_ref()?.seats;
        if Arc::strong_count(seats) <= self.config.limits.pending_handshakes as usize {
            return Some(seats.clone());
        }
        self.counters.refused_busy += 1;
        self.refuse(link, prelude.version, prelude.key_id, RefuseCode::Later, RETRY_BUSY);
        None
    }

    /// Looks what the store has. A connection that is gone needs nothing any more.
    pub(super) fn arrive(&mut self, arrival: Box<Arrival>) {
        if self.pending.by_link.contains_key(&arrival.link) {
            let key = arrival.locator;
            self.ask(StoreOp::Peek { key }, Purpose::Peek(arrival));
        }
    }

    pub(super) fn peeked(&mut self, arrival: Box<Arrival>, reply: StoreReply) {
        if !self.pending.by_link.contains_key(&arrival.link) {
            return;
        }
        let StoreReply::Peeked(found) = reply else {
            return self.turn(&arrival, Turned::Later);
        };
        if self.is_alive(&arrival.locator) {
            if self.is_fenced(&arrival.locator, found.as_ref()) {
                self.fence(arrival.locator);
            } else if !self.may_have_left(&arrival, found.as_ref()) {
                // It is here after all, or has come meanwhile by another connection.
                return self.judge_again(*arrival);
            }
        }
        if arrival.prelude.kind == FlightKind::Query {
            return self.answer_query(&arrival, found);
        }
        let me = self.owner();
        let Some(found) = found else {
            return self.turn(&arrival, Turned::NotHere);
        };
        match found.record {
            // By another flight, or by this one played twice: two would both find their own name in the record.
            _ if self.is_claiming(&arrival.locator) => self.wait(arrival),
            Record::Parked { .. } if found.expired => self.turn(&arrival, Turned::NotHere),
            Record::Tomb { .. } => self.turn(&arrival, Turned::NotHere),
            Record::Live { owner, .. } if owner == me => self.turn(&arrival, Turned::NotHere),
            _ if !self.may_take_over() => self.turn(&arrival, Turned::Later),
            Record::Parked { token, blob } => self.claim(arrival, Expect::Parked(token), &blob),
            Record::Live { token, owner, blob }
                if !blob.is_empty() && (!found.owner_alive || arrival.was_patient_with(owner, self.now)) =>
            {
                self.claim(arrival, Expect::Live(token, owner), &blob);
            }
            // However late the store has shown it. Then the flight is held a little longer.
            Record::Live { owner, .. } if found.owner_alive && arrival.asked.is_none_or(|(of, _)| of != owner) => {
                let mut arrival = arrival;
                arrival.asked = Some((owner, self.now));
                arrival.until = arrival.until.max(self.now + PATIENCE);
                let note = notes::ask(me, &arrival.locator, &arrival.flight);
                self.ask(StoreOp::Send { to: owner, note }, Purpose::Nothing);
                self.try_later(Later::Arrival(arrival));
            }
            Record::Live { .. } if self.now >= arrival.until => {
                let turned = if found.owner_alive {
                    Turned::Later
                } else {
                    Turned::NotHere
                };
                self.turn(&arrival, turned);
            }
            Record::Live { .. } => self.try_later(Later::Arrival(arrival)),
        }
    }

    /// Whoever leaves takes nobody over, nor who does not count as alive: others would claim the session from him in their turn, or call it lost with him.
    fn may_take_over(&self) -> bool {
        self.store_is_up() && !self.turns_away()
    }

    /// Whether a session that is here is another's, as the store has it. What was never stored is not; what is being written may be anywhere, but not another's.
    /// A record that this process has replaced since proves nothing: its tokens are lower.
    pub(super) fn is_fenced(&self, locator: &Locator, found: Option<&Peeked>) -> bool {
        let me = self.owner();
        let served = self.sessions.get(locator).and_then(|served| served.kept.as_ref());
        let (Some(kept), Some(found)) = (served, found) else {
            return false;
        };
        found.record.token() > kept.token
            && match found.record {
                Record::Live { owner, .. } => owner != me && kept.is_stored(),
                // It may be just the one that is being written.
                Record::Parked { .. } | Record::Tomb { .. } => kept.is_settled(),
            }
    }

    /// Whether a QUERY finds its session on its way out: then the record knows more of it than this process, unless it says that the session is here.
    fn may_have_left(&self, arrival: &Arrival, found: Option<&Peeked>) -> bool {
        let me = self.owner();
        let says_here = found.is_some_and(|found| matches!(found.record, Record::Live { owner, .. } if owner == me));
        let served = self
            .sessions
            .get(&arrival.locator)
            .and_then(|served| served.kept.as_ref());
        let parking = served.is_some_and(|kept| kept.stage == Stage::Parking);
        arrival.prelude.kind == FlightKind::Query && parking && !says_here
    }

    /// Looks again in a moment, but not for ever.
    fn wait(&mut self, arrival: Box<Arrival>) {
        if self.now >= arrival.until {
            self.turn(&arrival, Turned::Later);
        } else {
            self.try_later(Later::Arrival(arrival));
        }
    }

    /// As the flight would have been judged, had the session been here.
    fn judge_again(&mut self, arrival: Arrival) {
        let Arrival {
            link, prelude, flight, ..
        } = arrival;
        let Some(pending) = self.pending.by_link.get_mut(&link) else {
            return;
        };
        let ahead = core::mem::take(&mut pending.input);
        let Some(key) = self.config.keys.iter().find(|key| key.id() == prelude.key_id).cloned() else {
            return self.reject(link);
        };
        match prelude.kind {
            FlightKind::Query => self.query(link, prelude, &key, &flight),
            _ => self.verify_resume(link, prelude, &key, &flight, &ahead),
        }
    }

    fn turn(&mut self, arrival: &Arrival, turned: Turned) {
        let Arrival { link, prelude, .. } = *arrival;
        let (code, wait) = match turned {
            Turned::Away => return self.reject(link),
            Turned::NotHere => {
                self.counters.resumes_unknown += 1;
                (RefuseCode::NotHere, 0)
            }
            Turned::Later => (RefuseCode::Later, RETRY_LATER),
        };
        self.refuse(link, prelude.version, prelude.key_id, code, wait);
    }

    /// Verifies the flight against the snapshot, and asks for the session if it is good.
    fn claim(&mut self, arrival: Box<Arrival>, expect: Expect, blob: &Bytes) {
        match self.verified(&arrival, expect, blob) {
            Ok(Some(claim)) => self.put_claim(claim, false),
            Ok(None) => {}
            Err(turned) => self.turn(&arrival, turned),
        }
    }

    /// The checks of a RESUME in the order of their cost, on a session that lies in a snapshot. `None`: the flight has been answered.
    fn verified(&mut self, arrival: &Arrival, expect: Expect, blob: &Bytes) -> Result<Option<Box<Claim>>, Turned> {
        let Arrival {
            locator,
            ref flight,
            prelude,
            link,
            ..
        } = *arrival;
        let (Expect::Live(token, _) | Expect::Parked(token)) = expect else {
            return Err(Turned::Later);
        };
        let Some(cluster) = &self.cluster else {
            return Err(Turned::Later);
        };
        let opened = match cluster.vault.open(blob, &locator, token) {
            Ok(opened) => opened,
            Err(Unusable::Foreign) => return Err(Turned::Later),
            Err(Unusable::Damaged) => return Err(Turned::NotHere),
        };
        let Some(snapshot) = opened.snapshot().ok().filter(|s| s.session[..8] == locator) else {
            return Err(Turned::NotHere);
        };
        let ratchet = Ratchet::restore(snapshot.attempt, snapshot.current, snapshot.pending);
        let Some(resumption) = ratchet.find(arrival.generation) else {
            return Err(Turned::NotHere);
        };
        let (mac1, e) = flight[MAC1_OFFSET..RESUME_JUDGED].split_at(MAC1_LEN);
        if !resumption.verify_mac1(&flight[..MAC1_OFFSET], e, mac1) {
            self.counters.resumes_forged += 1;
            return Err(Turned::Away);
        }
        if arrival.attempt <= ratchet.attempt() {
            self.counters.resumes_stale += 1;
            return Err(Turned::Away);
        }
        let config = &self.config;
        let key = config
            .keys
            .iter()
            .find(|key| key.id() == prelude.key_id)
            .ok_or(Turned::Away)?;
        let message1 = &flight[MAC1_OFFSET + MAC1_LEN..];
        let (header, psk) = (&flight[..MAC1_OFFSET], resumption.psk());
        let mut payload = Vec::new();
        let responder = Responder::nk_psk0(key, psk, &config.realm, header, message1, &mut payload);
        let Ok(responder) = responder else {
            self.counters.resumes_forged += 1;
            return Err(Turned::Away);
        };
        let resume = Resume::parse(&payload).map_err(|_| Turned::Away)?;
        if is_downgrade(config, prelude.version, &resume.versions) {
            return Err(Turned::Away);
        }
        let durable = cluster.durable;
        let served = self.restored(&snapshot, ratchet, token, durable);
        if !served.is_consistent(&resume) {
            self.counters.rollbacks += 1;
            let blob = LostStatus::RolledBack.to_bytes().into();
            let life = self.config.limits.tombstone;
            self.put(locator, expect, Record::Tomb { token, blob }, life, Purpose::Nothing);
            self.farewell_lost(link, prelude, responder, LostStatus::RolledBack);
            return Ok(None);
        }
        if self.is_full() {
            self.counters.refused_busy += 1;
            self.refuse(link, prelude.version, prelude.key_id, RefuseCode::Busy, RETRY_BUSY);
            return Ok(None);
        }
        let Some(cluster) = &self.cluster else {
            return Err(Turned::Later);
        };
        let (token, owner) = (token + 1, cluster.owner);
        let blob = if durable {
            cluster.vault.seal(&snapshot, &locator, token, &mut self.rng)
        } else {
            Vec::new()
        };
        let mut served = served;
        served.token = token;
        let blob = blob.into();
        Ok(Some(Box::new(Claim {
            locator,
            expect,
            record: Record::Live { token, owner, blob },
            served: Box::new(served),
            held: Held {
                link,
                responder,
                payload,
                under: arrival.generation,
                attempt: arrival.attempt,
                until: self.now,
            },
            prelude,
        })))
    }

    /// Whether there is no place for one more session. A claim has its own already: what it has taken must be put somewhere.
    pub(super) fn is_full(&self) -> bool {
        let on_their_way = self.cluster.as_ref().map_or(0, |cluster| cluster.claiming.len());
        self.sessions.len() + on_their_way >= self.config.limits.sessions as usize
    }

    /// A session as its snapshot has it: waiting for its client.
    fn restored(&self, snapshot: &Snapshot<'_>, ratchet: Ratchet, token: u64, durable: bool) -> Served {
        let now = self.now;
        let welcome = Bytes::copy_from_slice(snapshot.welcome);
        let auth = Auth::Accepted { message: welcome };
        let mut talk = Conversation::new(Role::Server, self.settings.clone(), auth, now);
        let id = SessionId(snapshot.session);
        talk.id = Some(id);
        talk.step(Input::Dial);
        talk.events.clear();
        talk.outbox = Outbox::restore(snapshot.base, snapshot.carried, snapshot.count, snapshot.messages);
        talk.inbox.resume_at(snapshot.delivered);
        talk.acks = Acks::behind(talk.inbox.taken());
        talk.peer_max_message = snapshot.peer_max_message;
        talk.moved = true;
        let user = snapshot.user.map(Bytes::copy_from_slice);
        let app = snapshot.app.map(Bytes::copy_from_slice);
        talk.events.push_back(Event::Restored {
            app,
            user: user.clone(),
        });
        let mut kept = Kept::claimed(token + 1);
        kept.mail = Mail::behind(snapshot.mail);
        kept.user = user;
        let mut served = Served::new(id, talk, ratchet, token, now).with_store(kept, durable);
        served.confirmed = true;
        served.commit_as_restored();
        served
    }

    pub(super) fn put_claim(&mut self, claim: Box<Claim>, again: bool) {
        let (key, expect, record) = (claim.locator, claim.expect, claim.record.clone());
        if let Some(cluster) = &mut self.cluster {
            cluster.claiming.insert(key);
        }
        self.put_here(key, expect, record, Purpose::Claim { claim, again });
    }

    pub(super) fn claimed(&mut self, claim: Box<Claim>, again: bool, reply: &StoreReply) {
        match reply {
            StoreReply::Done => self.install(claim),
            StoreReply::Unavailable if !again => self.give_up(&claim),
            StoreReply::Failed | StoreReply::Unavailable => self.try_later(Later::Claim(claim)),
            // An earlier one may have been carried out, here or by a host that tried twice.
            _ => {
                let key = claim.locator;
                self.ask(StoreOp::Peek { key }, Purpose::ClaimCheck(claim));
            }
        }
    }

    pub(super) fn claim_checked(&mut self, claim: Box<Claim>, reply: &StoreReply) {
        match reply {
            StoreReply::Peeked(Some(Peeked {
                record: Record::Live { token, owner, .. },
                ..
            })) if (*token, *owner) == (claim.served.token, self.owner()) => self.install(claim),
            StoreReply::Peeked(_) => self.give_up(&claim),
            _ => self.try_later(Later::Claim(claim)),
        }
    }

    fn give_up(&mut self, claim: &Claim) {
        let Claim {
            locator, held, prelude, ..
        } = claim;
        self.claim_is_over(locator);
        if self.pending.by_link.contains_key(&held.link) {
            self.refuse(
                held.link,
                prelude.version,
                prelude.key_id,
                RefuseCode::Later,
                RETRY_LATER,
            );
        }
    }

    fn claim_is_over(&mut self, key: &Locator) {
        if let Some(cluster) = &mut self.cluster {
            cluster.claiming.remove(key);
        }
    }

    /// The session is here. Its client's flight goes on as any other; if its connection is gone, the session waits for the next.
    fn install(&mut self, claim: Box<Claim>) {
        let Claim {
            locator,
            mut served,
            held,
            prelude,
            ..
        } = *claim;
        if self.is_alive(&locator) {
            // Nothing may ever take the place of a session that runs.
            self.claim_is_over(&locator);
            return self.refuse(
                held.link,
                prelude.version,
                prelude.key_id,
                RefuseCode::Later,
                RETRY_LATER,
            );
        }
        // What was over here only, as this process slept: what nobody has read of it was not ACKed, and comes again.
        if let Some(mut over) = self.take_out(locator) {
            self.close_links(&mut over);
        }
        self.counters.takeovers += 1;
        self.claim_is_over(&locator);
        // The store may have taken its time.
        served.begin(self.now);
        // It comes without a link, and has lost none here.
        served.counted_detached = true;
        self.detached += 1;
        self.tombstones.forget(&locator);
        self.sessions.insert(locator, served);
        self.touch(locator);
        self.read_mail(locator);
        self.tell_binding(locator);
        self.leave_too(locator);
        let link = held.link;
        let Some(pending) = self.pending.by_link.get_mut(&link) else {
            return;
        };
        let ahead = core::mem::take(&mut pending.input);
        self.consider(locator, prelude, held, &ahead);
    }
}
