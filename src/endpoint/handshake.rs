//! From a first flight to a session: HELLO makes one, RESUME carries one on, QUERY asks after one (section 2 of the protocol).
//!
//! The order of a RESUME's checks is the order of their cost, and nothing of a session changes before the last of them (G3, L-13):
//! handle, generation, mac1, attempt; then the Diffie-Hellman; then the versions and counters inside; then, if it was asked
//! for, the application's word (L-12).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::admission::{Stage, Step, refuse};
use super::answer::{accept, answer, new_link};
use super::cluster::Standing;
use super::keep::Kept;
use super::ratchet::Ratchet;
use super::router::shard_of;
use super::served::{Held, Served};
use super::takeover::RETRY_LATER;
use super::{Endpoint, Locator};
use crate::config::ServerConfig;
use crate::crypto::ServerKey;
use crate::crypto::noise::Responder;
use crate::error::CloseReason;
use crate::event::{Event, HandoverCause, LinkId, SessionId, State};
use crate::session::auth::Auth;
use crate::session::conversation::{Conversation, Role};
use crate::session::link::Life;
use crate::session::phase::Input;
use crate::wire::flight::{
    self, Accept, Hello, LostStatus, MAC1_LEN, MAC1_OFFSET, RESUME_JUDGED, RefuseCode, Resume, Versions,
};
use crate::wire::frame::CloseKind;
use crate::wire::prelude::{self, FlightKind, Prelude};

/// What a REFUSE advises, in milliseconds.
pub(super) const RETRY_BUSY: u32 = 1000;
const RETRY_SOON: u32 = 0;
/// The owner token while sessions never leave the process.
const TOKEN: u64 = 1;
/// Bytes behind a flight that wait for its answer (U-55).
pub(super) const AHEAD_MAX: usize = 16 << 10;

impl Endpoint {
    /// Takes bytes of a connection that is not a link yet.
    #[inline(never)]
    pub(super) fn admit(&mut self, link: LinkId, mut bytes: &[u8]) {
        loop {
            let Some(pending) = self.pending.by_link.get_mut(&link) else {
                return;
            };
            if matches!(pending.stage, Stage::Held { .. }) {
                pending.input.extend_from_slice(bytes);
                let too_much = pending.input.len() > AHEAD_MAX;
                if too_much {
                    self.reject(link);
                }
                return;
            }
            let config = &self.config;
            let known = |id| config.keys.iter().any(|key| key.id() == id);
            match pending.feed(&mut bytes, &config.versions, known) {
                // It may be the last that was waited for.
                Step::More => return self.queue_farewell(link),
                Step::Reject => return self.reject(link),
                Step::Version(version, key) => self.refuse(link, version, key, RefuseCode::Version, RETRY_SOON),
                Step::Key(version, key) => self.refuse(link, version, key, RefuseCode::Key, RETRY_SOON),
                Step::Judge => self.judge_resume(link),
                Step::Whole(prelude, _) => return self.whole_flight(link, prelude, bytes),
            }
        }
    }

    /// The application's word on a held RESUME.
    pub(super) fn answer_held(&mut self, locator: Locator, answer: Result<(), u32>) {
        let Some(held) = self.sessions.get_mut(&locator).and_then(|served| served.held.take()) else {
            return;
        };
        let pending = self.pending.by_link.get_mut(&held.link);
        let waits = pending.and_then(|pending| Some((pending.prelude()?, core::mem::take(&mut pending.input))));
        match (answer, waits) {
            (Ok(()), Some((prelude, ahead))) => self.resume(locator, prelude, *held, &ahead),
            (Ok(()), None) => self.reject(held.link),
            (Err(code), waits) => {
                self.counters.vetoes += 1;
                match waits {
                    Some((prelude, _)) => {
                        self.farewell_lost(held.link, prelude, held.responder, LostStatus::Refused { code });
                    }
                    // Nobody is there to hear it. The client learns it when it comes back.
                    None => self.reject(held.link),
                }
                if let Some(served) = self.sessions.get_mut(&locator) {
                    served.talk.finish(CloseReason::Refused { code });
                }
            }
        }
    }

    pub(super) fn refuse(&mut self, link: LinkId, version: u8, key_id: [u8; 4], code: RefuseCode, retry_ms: u32) {
        let version = if self.config.versions.contains(&version) {
            version
        } else {
            *self.config.versions.end()
        };
        let words = refuse(version, key_id, code, retry_ms, &self.config.versions);
        self.say_farewell(link, words);
    }

    fn say_farewell(&mut self, link: LinkId, words: Vec<u8>) {
        if let Some(pending) = self.pending.by_link.get_mut(&link) {
            pending.leave(words);
        }
        self.queue_farewell(link);
    }

    /// Judges a RESUME by its first 80 bytes: whether it is refused, or goes without a word.
    fn judge_resume(&mut self, link: LinkId) {
        let Some(pending) = self.pending.by_link.get(&link) else {
            return;
        };
        let (Some(header), Some(prelude)) = (pending.header(), pending.prelude()) else {
            return self.reject(link);
        };
        let opened = self.handles.open(&header.handle);
        if self.turns_away() {
            return self.refuse(link, prelude.version, prelude.key_id, RefuseCode::Draining, RETRY_SOON);
        }
        if self.may_be_elsewhere()
            && opened.is_some_and(|(locator, generation)| self.is_elsewhere(&locator, generation))
        {
            // The store is asked when the flight is whole.
            return;
        }
        let found = opened.and_then(|(locator, generation)| {
            let served = self.sessions.get(&locator)?;
            let resumption = served.ratchet.find(generation)?;
            (served.talk.state != State::Closed).then_some((served, resumption))
        });
        let Some((served, resumption)) = found else {
            self.counters.resumes_unknown += 1;
            return self.refuse(link, prelude.version, prelude.key_id, RefuseCode::NotHere, RETRY_SOON);
        };
        let (mac1, e) = pending.input[MAC1_OFFSET..RESUME_JUDGED].split_at(MAC1_LEN);
        if !resumption.verify_mac1(&pending.input[..MAC1_OFFSET], e, mac1) {
            self.counters.resumes_forged += 1;
            return self.reject(link);
        }
        if header.attempt <= served.highest_attempt() {
            self.counters.resumes_stale += 1;
            self.reject(link);
        }
    }

    fn whole_flight(&mut self, link: LinkId, prelude: Prelude, ahead: &[u8]) {
        let Some(pending) = self.pending.by_link.get_mut(&link) else {
            return;
        };
        let flight = core::mem::take(&mut pending.input);
        let Some(key) = self.config.keys.iter().find(|key| key.id() == prelude.key_id).cloned() else {
            return self.reject(link);
        };
        if self.may_be_elsewhere()
            && matches!(prelude.kind, FlightKind::Resume | FlightKind::Query)
            && let Some(name) = self.name_in(&flight)
            && self.is_elsewhere(&name.0, name.1)
        {
            return self.look_elsewhere(link, prelude, flight, name, ahead);
        }
        match prelude.kind {
            FlightKind::Hello => self.hello(link, prelude, &key, &flight, ahead),
            FlightKind::Query => self.query(link, prelude, &key, &flight),
            FlightKind::Resume => self.verify_resume(link, prelude, &key, &flight, ahead),
            FlightKind::Accept | FlightKind::Refuse => self.reject(link),
        }
    }

    fn hello(&mut self, link: LinkId, prelude: Prelude, key: &ServerKey, flight: &[u8], ahead: &[u8]) {
        let limits = &self.config.limits;
        if self.turns_away() {
            return self.refuse(link, prelude.version, prelude.key_id, RefuseCode::Draining, RETRY_SOON);
        }
        let waits_for_store = self.cluster.is_some() && !self.store_is_up();
        if waits_for_store || self.unconfirmed >= limits.pending_handshakes as usize || self.is_full() {
            self.counters.refused_busy += 1;
            let standing = self.cluster.as_ref().map(|cluster| cluster.standing);
            let wait = if standing == Some(Standing::Unheard) {
                RETRY_LATER
            } else {
                RETRY_BUSY
            };
            return self.refuse(link, prelude.version, prelude.key_id, RefuseCode::Busy, wait);
        }
        let (header, message1) = flight.split_at(prelude::LEN);
        let mut payload = Vec::new();
        let Ok(responder) = Responder::nk(key, &self.config.realm, header, message1, &mut payload) else {
            return self.reject(link);
        };
        let hello = match Hello::parse(&payload) {
            Ok(hello) if !is_downgrade(&self.config, prelude.version, &hello.versions) => hello,
            _ => return self.reject(link),
        };
        let locator = self.fresh_locator();
        let mut id = SessionId([0; 16]);
        id.0[..8].copy_from_slice(&locator);
        self.rng.fill(&mut id.0[8..]);
        let mut talk = Conversation::new(
            Role::Server,
            self.settings.clone(),
            Auth::Expected {
                open_to_all: self.config.authorise_all,
            },
            self.now,
        );
        talk.id = Some(id);
        talk.step(Input::Dial);
        talk.step(Input::LinkUp);
        let window = hello.window;
        talk.learn(
            &flight::Position {
                recv_next: 0,
                recv_offset: 0,
                delivered: 0,
            },
            &window,
        );
        let handle = self.handles.seal(locator, 0);
        let Some((answer, split)) = accept(&self.config, &mut self.rng, prelude, responder, handle, &talk, TOKEN)
        else {
            return self.reject(link);
        };
        let new = new_link(link, 0, &split, answer, self.now);
        talk.adopt(
            new,
            &flight::Position {
                recv_next: 0,
                recv_offset: 0,
                delivered: 0,
            },
        );
        let mut served = Served::new(id, talk, Ratchet::new(split.resumption), TOKEN, self.now);
        if let Some(cluster) = &self.cluster {
            served = served.with_store(Kept::new(), cluster.durable);
        }
        self.sessions.insert(locator, Box::new(served));
        self.unconfirmed += 1;
        self.counters.hellos += 1;
        self.attach(link, locator, ahead);
    }

    pub(super) fn verify_resume(
        &mut self,
        link: LinkId,
        prelude: Prelude,
        key: &ServerKey,
        flight: &[u8],
        ahead: &[u8],
    ) {
        let Some((locator, under, attempt)) = self.name_in(flight) else {
            return self.reject(link);
        };
        let served = self.sessions.get(&locator);
        let served = served.filter(|served| served.talk.state != State::Closed);
        // It may have ended, or moved on, while this one was still coming in.
        let Some((served, resumption)) = served.and_then(|served| Some((served, served.ratchet.find(under)?))) else {
            self.counters.resumes_unknown += 1;
            return self.refuse(link, prelude.version, prelude.key_id, RefuseCode::NotHere, RETRY_SOON);
        };
        // Its session may have come here while this one was still coming in, or waited: then nobody has looked yet (U-12).
        let (mac1, e) = flight[MAC1_OFFSET..RESUME_JUDGED].split_at(MAC1_LEN);
        if !resumption.verify_mac1(&flight[..MAC1_OFFSET], e, mac1) {
            self.counters.resumes_forged += 1;
            return self.reject(link);
        }
        // Another flight may have been accepted while this one was still coming in.
        if attempt <= served.highest_attempt() {
            self.counters.resumes_stale += 1;
            return self.reject(link);
        }
        let message1 = &flight[MAC1_OFFSET + MAC1_LEN..];
        let mut payload = Vec::new();
        let psk = resumption.psk();
        let verified = Responder::nk_psk0(
            key,
            psk,
            &self.config.realm,
            &flight[..MAC1_OFFSET],
            message1,
            &mut payload,
        );
        let Ok(responder) = verified else {
            self.counters.resumes_forged += 1;
            return self.reject(link);
        };
        match Resume::parse(&payload) {
            Ok(resume) if !is_downgrade(&self.config, prelude.version, &resume.versions) => {}
            _ => return self.reject(link),
        }
        let held = Held {
            link,
            responder,
            payload,
            under,
            attempt,
            until: self.now,
        };
        self.consider(locator, prelude, held, ahead);
    }

    /// A verified flight for a session that is here: the counters are right, and the application may have a word.
    pub(super) fn consider(&mut self, locator: Locator, prelude: Prelude, held: Held, ahead: &[u8]) {
        let link = held.link;
        let Some(served) = self.sessions.get_mut(&locator) else {
            return self.reject(link);
        };
        if served.is_leaving() {
            return self.refuse(link, prelude.version, prelude.key_id, RefuseCode::Later, RETRY_LATER);
        }
        let Ok(resume) = Resume::parse(&held.payload) else {
            return self.reject(link);
        };
        if !served.is_consistent(&resume) && self.cluster.is_some() {
            return self.doubt(locator, prelude, held, ahead);
        }
        if !served.is_consistent(&resume) {
            self.counters.rollbacks += 1;
            served.talk.finish(CloseReason::RolledBack);
            self.farewell_lost(link, prelude, held.responder, LostStatus::RolledBack);
            return self.touch(locator);
        }
        if !self.config.ask_on_resume || !served.talk.auth.accepted() {
            return self.resume(locator, prelude, held, ahead);
        }
        if !self.hold(link, prelude, ahead) {
            return;
        }
        let until = self.now + self.config.limits.handshake;
        let Some(served) = self.sessions.get_mut(&locator) else {
            return self.reject(link);
        };
        let older = served.held.replace(Box::new(Held { until, ..held }));
        served.talk.events.push_back(Event::ResumeRequest);
        if let Some(older) = older {
            self.reject(older.link);
        }
        self.touch(locator);
    }

    /// Carries the session on: everything has been checked.
    pub(super) fn resume(&mut self, locator: Locator, prelude: Prelude, held: Held, ahead: &[u8]) {
        let Held {
            link,
            responder,
            payload,
            under,
            attempt,
            ..
        } = held;
        let Some(served) = self.sessions.get_mut(&locator) else {
            return self.reject(link);
        };
        let talk = &mut served.talk;
        // The application may have let it in just now, which tells no time.
        talk.catch_up(self.now);
        let Ok(resume) = Resume::parse(&payload) else {
            return self.reject(link);
        };
        // The application may have thought for a while: what was possible then must be so now.
        if talk.state == State::Closed || !talk.is_possible(&resume.position, resume.send_base) {
            return self.reject(link);
        }
        if talk.receive_early(resume.early).is_err() {
            self.counters.bad_records += 1;
            self.reject(link);
            // Early messages before the bad frame count (U-36).
            return self.touch(locator);
        }
        talk.learn(&resume.position, &resume.window);
        let handle = self.handles.seal(locator, attempt);
        let answer = accept(
            &self.config,
            &mut self.rng,
            prelude,
            responder,
            handle,
            talk,
            served.token,
        );
        let Some((answer, split)) = answer else {
            return self.reject(link);
        };
        talk.begin_handover(HandoverCause::PeerMoved, None);
        talk.step(Input::LinkUp);
        let mut new = new_link(link, attempt, &split, answer, self.now);
        new.uncommitted = talk.gate.is_some() && served.kept.as_ref().is_some_and(|kept| kept.is_stored());
        // Unconfirmed links of earlier attempts: the client has left them (U-18).
        while let Some(index) = talk
            .links
            .iter()
            .position(|link| !link.confirmed && link.life == Life::Open)
        {
            talk.close_link(index);
        }
        talk.adopt(new, &resume.position);
        served.ratchet.accept(under, attempt, split.resumption);
        if !served.confirmed {
            // Its client has the keys and comes back, though nothing that shows it has arrived on a link yet.
            served.detached = Some(self.now);
        }
        if resume.window.max_message < self.config.limits.message
            && served.talk.outbox.exceeds(resume.window.max_message)
        {
            // It was taken when the client still took so much, and would end each link anew.
            let newest = served.talk.links.len() - 1;
            served.talk.abort(newest, CloseKind::Overflow, CloseReason::Overflow);
        }
        self.counters.resumes += 1;
        self.attach(link, locator, ahead);
    }

    pub(super) fn query(&mut self, link: LinkId, prelude: Prelude, key: &ServerKey, flight: &[u8]) {
        self.tombstones.sweep(self.now);
        let status = match self.name_in(flight) {
            None => LostStatus::Unknown,
            Some((locator, generation, _)) => self.look_up(&locator, generation),
        };
        self.tell(link, prelude, key, flight, status);
    }

    /// Answers a QUERY.
    pub(super) fn tell(&mut self, link: LinkId, prelude: Prelude, key: &ServerKey, flight: &[u8], status: LostStatus) {
        let Some((header, message1)) = flight.split_at_checked(MAC1_OFFSET) else {
            return self.reject(link);
        };
        let mut payload = Vec::new();
        let Ok(responder) = Responder::nk(key, &self.config.realm, header, message1, &mut payload) else {
            return self.reject(link);
        };
        match Hello::parse(&payload) {
            Ok(hello) if !is_downgrade(&self.config, prelude.version, &hello.versions) => {}
            _ => return self.reject(link),
        }
        self.counters.queries += 1;
        self.farewell_lost(link, prelude, responder, status);
    }

    fn look_up(&self, locator: &Locator, generation: u32) -> LostStatus {
        let Some(served) = self
            .sessions
            .get(locator)
            .filter(|served| served.talk.state != State::Closed)
        else {
            return self.tombstones.find(locator).unwrap_or(LostStatus::Unknown);
        };
        served.ratchet.standing(generation, served.talk.outbox.next())
    }

    /// Makes the connection a link of the session, and hears what came behind the flight.
    fn attach(&mut self, link: LinkId, locator: Locator, ahead: &[u8]) {
        let blocked = self.pending.remove(link).is_some_and(|pending| pending.blocked);
        self.links.insert(link, locator);
        if let Some(served) = self.sessions.get_mut(&locator) {
            served.talk.set_blocked(link, blocked);
        }
        self.touch(locator);
        if !ahead.is_empty() {
            self.session_input(locator, link, ahead);
        }
    }

    pub(super) fn farewell_lost(&mut self, link: LinkId, prelude: Prelude, responder: Responder, status: LostStatus) {
        match answer(&mut self.rng, prelude, responder, &Accept::Lost(status)) {
            Some((words, _)) => self.say_farewell(link, words),
            None => self.reject(link),
        }
    }

    /// Locator, generation and attempt as a RESUME or QUERY names them.
    fn name_in(&self, flight: &[u8]) -> Option<(Locator, u32, u32)> {
        let header = flight::ResumeHeader::parse(flight.get(prelude::LEN..)?).ok()?;
        let (locator, generation) = self.handles.open(&header.handle)?;
        Some((locator, generation, header.attempt))
    }

    /// Random, not in use, and of this endpoint's share.
    fn fresh_locator(&mut self) -> Locator {
        let shard = self.config.shard;
        loop {
            let mut locator = [0; 8];
            self.rng.fill(&mut locator);
            // Moves it to this share without a loop over draws.
            let number = u64::from_be_bytes(locator);
            let number = (number - number % u64::from(shard.count)).checked_add(u64::from(shard.index));
            let Some(number) = number else { continue };
            let locator = number.to_be_bytes();
            debug_assert_eq!(shard_of(&locator, shard.count), shard.index);
            if !self.sessions.contains_key(&locator) && self.tombstones.find(&locator).is_none() {
                return locator;
            }
        }
    }
}

/// A client that could speak a higher version with us than the one it uses was lied to by a REFUSE (U-9).
pub(super) fn is_downgrade(config: &ServerConfig, used: u8, offered: &Versions) -> bool {
    let best = offered.max.min(*config.versions.end());
    used < best || used < offered.min || used > offered.max
}
