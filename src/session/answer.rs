//! What the client does with a connection that stands, and with the answer to its flight.

use core::time::Duration;

use alloc::vec::Vec;

use super::auth::Auth;
use super::client::Session;
use super::conversation::Role;
use super::dial::Stage;
use super::handshake::{Accepted, Answer, Handshake, Offer, Ticket};
use super::link::Link;
use super::liveness::Liveness;
use super::outbox::Credit;
use super::phase::Input;
use super::rtt::Rtt;
use crate::crypto::{Opener, Sealer};
use crate::error::CloseReason;
use crate::event::{HandoverCause, NetworkId, Output, Target};
use crate::wire::flight::{EARLY_MAX, Refuse, RefuseCode, Versions};
use crate::wire::frame::{self, CloseKind};

/// How long an older link is read after a newer one took over.
const DRAIN: Duration = Duration::from_secs(2);
/// The most a server's advice can hold a client back (U-23) ...
const ADVICE_MAX: Duration = Duration::from_secs(30);
/// ... and the part of what its session lives without a link: with jitter that is half of it. Who makes up a REFUSE must not have the session expire.
const ADVICE_SHARE: u32 = 3;

impl Session {
    pub(super) fn start_handshake(&mut self, index: usize) {
        let now = self.talk.now;
        self.pins.retain(|(_, until)| *until > now);
        self.pin %= self.pins.len().max(1);
        let Some((server, _)) = self.pins.get(self.pin).copied() else {
            return self.fail_try(index, true);
        };
        let versions = Versions {
            min: *self.config.versions.start(),
            max: *self.config.versions.end(),
        };
        // A REFUSE is only a hint: what it made us try is tried once.
        let version = core::mem::replace(&mut self.version, versions.max);
        let offer = Offer {
            server: &server,
            realm: &self.config.realm,
            versions,
            version,
        };
        let mut flight = Vec::new();
        let handshake = match &self.ticket {
            None => Handshake::hello(&offer, &self.talk, &mut self.rng, &mut flight),
            Some(ticket) => {
                self.attempt = self.attempt.saturating_add(1);
                if self.query {
                    Handshake::query(&offer, ticket, self.attempt, &self.talk, &mut self.rng, &mut flight)
                } else {
                    let early = self.dialler.early_max;
                    Handshake::resume(
                        &offer,
                        ticket,
                        self.attempt,
                        early,
                        &mut self.talk,
                        &mut self.rng,
                        &mut flight,
                    )
                }
            }
        };
        let Some(handshake) = handshake else {
            // The pinned key is no good.
            self.pin += 1;
            return self.fail_try(index, true);
        };
        let attempt = &mut self.dialler.tries[index];
        attempt.flight = flight;
        attempt.since = now;
        attempt.warm = None;
        attempt.stage = Stage::Handshaking(handshake);
        self.talk.step(Input::LinkUp);
    }

    pub(super) fn answered(&mut self, index: usize, whole: usize) {
        let attempt = self.dialler.tries.remove(index);
        if self.dialler.tries.is_empty() {
            // Room for attempts is as large as the rest of a quiet session, and seldom needed.
            self.dialler.tries = Vec::new();
        }
        let Stage::Handshaking(handshake) = attempt.stage else {
            return;
        };
        let (answer, rest) = attempt.input.split_at(whole);
        let (number, started, early) = (handshake.attempt, handshake.started, handshake.early_replay);
        let version = handshake.version;
        let outcome = handshake.finish(answer, self.talk.inbox.next());
        let Ok(Answer::Accepted(accepted)) = outcome else {
            self.outputs.push_back(Output::CloseLink { link: attempt.id });
            if outcome.is_err() {
                self.dialler.networks.failed(attempt.network, attempt.order);
            }
            return self.turned_away(outcome.ok(), (&attempt.target, attempt.network));
        };
        self.version = version;
        let mut rtt = Rtt::default();
        // Not by an answer that was here long before the process ran again.
        if self.talk.now < started + self.config.limits().handshake {
            rtt.sample(self.talk.now.span_since(started), self.talk.now);
        }
        if let Some(carrier) = self.talk.carrier() {
            rtt.inherit(&self.talk.links[carrier].liveness.rtt);
        }
        let sealer = Sealer::new(&accepted.split.client);
        let opener = Opener::new(&accepted.split.server);
        let mut link = Link::new(
            attempt.id,
            number,
            sealer,
            opener,
            Liveness::new(Role::Client, rtt, self.talk.now),
        );
        link.network = attempt.network;
        link.blocked = attempt.blocked;
        link.confirmed = true;
        if self.ticket.is_some() && self.talk.id != Some(accepted.session)
            || !self.talk.is_possible(&accepted.position, accepted.send_base)
            || self.comes_from_the_past(&accepted)
        {
            return self.rolled_back(link);
        }
        self.talk.handover.replays(early);
        self.accepted(link, *accepted);
        if !rest.is_empty()
            && let Some(index) = self.talk.link_index(attempt.id)
        {
            self.receive(index, rest);
        }
    }

    /// Whether a server that took the session over knows less of it than this end was told: what it restored is not the latest (U-64). While the owner is the same,
    /// a link that still stands may have overtaken the answer, and this means nothing.
    fn comes_from_the_past(&self, accepted: &Accepted) -> bool {
        let taken_over = self
            .ticket
            .as_ref()
            .is_some_and(|ticket| ticket.token != accepted.token);
        let behind =
            accepted.position.delivered < self.talk.outbox.acked() || accepted.send_end < self.talk.inbox.next();
        taken_over && behind
    }

    /// The keys are agreed: the link becomes the newest (U-35).
    pub(super) fn accepted(&mut self, mut link: Link, accepted: Accepted) {
        let Accepted {
            split,
            ticket_handle,
            session,
            token,
            position,
            window,
            detached_ms,
            address,
            ..
        } = accepted;
        let same_server = self.ticket.as_ref().is_none_or(|ticket| ticket.token == token);
        let generation = link.attempt;
        self.ticket = Some(Ticket {
            handle: ticket_handle,
            resumption: split.resumption,
            generation,
            token,
            detached_ms,
            address,
        });
        self.talk.id = Some(session);
        self.query = false;
        self.version_mismatch = false;
        if !same_server {
            // What the owner before gave says nothing of what this one takes (U-44).
            self.talk.credit = Credit::default();
        }
        self.talk.learn(&position, &window);
        if let Auth::Asking { credential } = &self.talk.auth {
            frame::auth(&mut link.control, credential);
        }
        self.talk.adopt(link, &position);
        if same_server {
            self.talk.drain_older(self.talk.now + DRAIN);
        } else {
            self.talk.leave_older();
        }
        self.talk.up_again(same_server);
        self.cancel_tries();
        self.dialler.backoff.reset();
        self.dialler.networks.carried();
        self.dialler.early_max = EARLY_MAX;
        self.dialler.failing_since = None;
        self.dialler.draining = None;
        self.dialler.advised = None;
        if window.max_message < self.config.limits().message && self.talk.outbox.exceeds(window.max_message) {
            // It was taken before the server said what it takes, and would end each link anew.
            self.end(CloseKind::Overflow, CloseReason::Overflow);
        }
    }

    /// This end is not what the server knew: the session cannot go on, and the server must hear it too.
    fn rolled_back(&mut self, link: Link) {
        self.talk.links.push(link);
        self.end(CloseKind::RolledBack, CloseReason::RolledBack);
    }

    /// Ends the session and tells the server on the link that was just made.
    fn end(&mut self, kind: CloseKind, reason: CloseReason) {
        self.cancel_tries();
        self.dialler.stopped = true;
        self.talk.abort(self.talk.links.len() - 1, kind, reason);
    }

    /// Nothing came of a session that this end never saw established: it starts over as a new one.
    fn start_over(&mut self) {
        // What links there are, are silent, and of the old session.
        while !self.talk.links.is_empty() {
            self.talk.close_link(0);
        }
        self.dialler.failing_since.get_or_insert(self.talk.now);
        self.ticket = None;
        self.attempt = 0;
        self.query = false;
        self.talk.forget_peer();
        self.after_failed_try();
    }

    /// Any answer, from there, but an ACCEPT that lets the session in.
    pub(super) fn turned_away(&mut self, answer: Option<Answer>, there: (&Target, Option<NetworkId>)) {
        match answer {
            // Who answered does not have the session, but a link that answers says that somebody does.
            Some(Answer::Lost(CloseReason::UnknownSession)) if self.carrier_is_sound() => {
                self.query = false;
                self.after_failed_try();
            }
            Some(Answer::Lost(CloseReason::UnknownSession)) if self.talk.is_untouched() => self.start_over(),
            Some(Answer::Lost(reason)) => {
                self.cancel_tries();
                self.lost(reason);
            }
            Some(Answer::Alive) => {
                self.query = false;
                self.after_failed_try();
            }
            Some(Answer::Refused(refuse)) => {
                self.take_advice(&refuse, there);
                self.after_failed_try();
            }
            Some(Answer::Accepted(_)) | None => self.after_failed_try(),
        }
    }

    /// A REFUSE is in the clear: it changes what is tried next, nothing else (U-23, U-24, F-19).
    pub(super) fn take_advice(&mut self, refuse: &Refuse, there: (&Target, Option<NetworkId>)) {
        match refuse.code {
            RefuseCode::Version => {
                let best = refuse.max_version.min(*self.config.versions.end());
                self.version_mismatch = best < refuse.min_version || best < *self.config.versions.start();
                if !self.version_mismatch {
                    self.version = best;
                }
            }
            RefuseCode::Key => self.pin = (self.pin + 1) % self.pins.len().max(1),
            RefuseCode::NotHere => self.query = self.ticket.is_some(),
            RefuseCode::Busy | RefuseCode::Later | RefuseCode::Draining => {}
        }
        let most = self.ticket.as_ref().map_or(ADVICE_MAX, |ticket| {
            ADVICE_MAX.min(Duration::from_millis(ticket.detached_ms.into()) / ADVICE_SHARE)
        });
        let wait = Duration::from_millis(refuse.retry_ms.into()).min(most);
        let now = self.talk.now;
        self.dialler
            .hold_off(now, wait, there, &mut self.rng, &mut self.outputs);
        if !self.carrier_is_sound() {
            self.dialler.keep_hedge(there.1, now);
        }
    }

    /// What a verdict leads to, if it has come (U-42). After a bad one there is nothing to dial for: CLOSE follows on the link that carries, and without such a link the
    /// session is over. After a good one it stands, and what is done about it then is a handover.
    pub(super) fn take_verdict(&mut self) {
        let carried = self.talk.carrier().is_some();
        match self.talk.auth {
            Auth::Refused { code } => {
                self.cancel_tries();
                self.dialler.stopped = true;
                if !carried {
                    self.lost(CloseReason::Refused { code });
                }
            }
            Auth::Accepted { .. } if !carried && !self.dialler.stopped => {
                self.talk
                    .begin_handover(HandoverCause::LinkLost, self.dialler.failing_since);
            }
            _ => {}
        }
    }

    /// An authenticated end (G2).
    pub(super) fn lost(&mut self, reason: CloseReason) {
        self.dialler.stopped = true;
        self.talk.finish(reason);
    }
}
