//! [`Session`], the client's end: the conversation plus the dialler.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

use super::auth::Auth;
use super::conversation::{Conversation, Role, Settings};
use super::dial::{ANSWER_MAX, Dialler, Stage};
use super::handshake::{Accepted, Answer, Handshake, Offer, Ticket};
use super::link::{Life, Link};
use super::liveness::Liveness;
use super::phase::Input;
use super::receive::Notice;
use super::rtt::Rtt;
use super::stats::Stats;
use crate::config::ClientConfig;
use crate::crypto::{Opener, PublicKey, Rng, Sealer, Seed};
use crate::error::{CloseReason, FailReason, SendError};
use crate::event::{
    Event, HandoverCause, LinkId, Message, MessageId, NetworkEvent, Output, SessionId, State,
};
use crate::time::Instant;
use crate::wire::flight::{Refuse, RefuseCode, Versions};
use crate::wire::frame::{self, CloseKind};

/// How long an older link is read after a newer one took over.
const DRAIN: Duration = Duration::from_secs(2);
/// The most a server's advice can hold a client back (U-23).
const ADVICE_MAX: Duration = Duration::from_secs(30);
/// Most pins held, those of KEYS included.
const PINS_MAX: usize = 16;

/// A client's session.
///
/// It touches no socket and reads no clock. The host tells it what happened (`handle_*`), the application uses it (`send`, `recv`
/// ...), and the host does what it asks for (`poll_*`), in any order, until all of them return `None`:
///
/// ```text
///   loop {
///       while let Some(event) = session.poll_event() { .. }
///       while let Some(message) = session.recv() { .. }
///       while let Some(output) = session.poll_output(&mut buffer, now) { write, open or close }
///       wait for I/O or for session.poll_timeout(), then call handle_input, handle_link_up, handle_link_down or handle_timeout
///   }
/// ```
///
/// While something is queued, `poll_timeout` is not later than the last `now`; after `handle_timeout(now)` and polling everything
/// dry it is later than `now`, unless a link is blocked.
pub struct Session {
    config: Arc<ClientConfig>,
    rng: Rng,
    talk: Conversation,
    dialler: Dialler,
    outputs: VecDeque<Output>,
    ticket: Option<Ticket>,
    attempt: u32,
    /// The server keys to trust, each with its end.
    pins: Vec<(PublicKey, Instant)>,
    pin: usize,
    version: u8,
    /// The server said "not here": ask it under authentication.
    query: bool,
    /// The ends seem to have no version in common.
    version_mismatch: bool,
}

impl Session {
    /// A new session; it asks for its first link at once. `seed` must be fresh from the system's random source: the session's
    /// keys depend on it.
    pub fn connect(config: Arc<ClientConfig>, seed: Seed, now: Instant) -> Self {
        let settings = Arc::new(Settings { limits: config.limits.clone(), timing: config.timing.clone() });
        let auth = Auth::Asking { credential: config.credential.clone() };
        let mut session = Session {
            rng: Rng::new(&seed),
            talk: Conversation::new(Role::Client, settings, auth, now),
            dialler: Dialler::new(now),
            outputs: VecDeque::new(),
            ticket: None,
            attempt: 0,
            pins: config.pins.iter().map(|pin| (*pin, Instant::FAR_FUTURE)).collect(),
            pin: 0,
            version: *config.versions.end(),
            query: false,
            version_mismatch: false,
            config,
        };
        session.dial();
        session
    }

    // ---- what happened ----

    /// The connection that [`Output::OpenLink`] asked for stands.
    pub fn handle_link_up(&mut self, link: LinkId, now: Instant) {
        self.talk.tick(now);
        let Some(index) = self.dialler.index(link) else { return };
        if !matches!(self.dialler.tries[index].stage, Stage::Opening) {
            return;
        }
        self.dialler.tries[index].stage = Stage::Spare;
        if self.dialler.handshaking().is_none() {
            self.start_handshake(index);
        }
    }

    /// Bytes came on a link. Input for a link that is gone is ignored (F-57).
    pub fn handle_input(&mut self, link: LinkId, bytes: &[u8], now: Instant) {
        self.talk.tick(now);
        if let Some(index) = self.talk.link_index(link) {
            return self.receive(index, bytes);
        }
        let Some(index) = self.dialler.index(link) else { return };
        let attempt = &mut self.dialler.tries[index];
        let Stage::Handshaking(handshake) = &attempt.stage else {
            // Nobody speaks before the client did.
            return self.fail_try(index, true, Duration::ZERO);
        };
        attempt.input.extend_from_slice(bytes);
        match handshake.answer(&attempt.input) {
            Ok(Some(whole)) => self.answered(index, whole),
            Ok(None) if attempt.input.len() <= ANSWER_MAX => {}
            Ok(None) | Err(_) => self.fail_try(index, true, Duration::ZERO),
        }
    }

    /// A connection could not be made, ended, or broke. That never ends the session (G8).
    pub fn handle_link_down(&mut self, link: LinkId, now: Instant) {
        self.talk.tick(now);
        if let Some(index) = self.talk.link_index(link) {
            let gone = self.talk.links.remove(index);
            if self.talk.state != State::Closed {
                self.talk.after_loss(&gone, HandoverCause::LinkLost);
                self.redial_if_down();
            }
        } else if let Some(index) = self.dialler.index(link) {
            self.fail_try(index, false, Duration::ZERO);
        }
    }

    /// The link's socket takes no more: `poll_output` gives nothing for it until [`Session::handle_link_writable`].
    pub fn handle_link_blocked(&mut self, link: LinkId) {
        self.set_blocked(link, true);
    }

    /// The link's socket takes bytes again.
    pub fn handle_link_writable(&mut self, link: LinkId) {
        self.set_blocked(link, false);
    }

    /// A hint from the system about its networks.
    pub fn handle_network(&mut self, event: NetworkEvent, now: Instant) {
        self.talk.tick(now);
        if self.talk.closing.has_begun() {
            return;
        }
        match event {
            NetworkEvent::Available(network) | NetworkEvent::Changed(network) => {
                self.dialler.network = Some(network);
                self.dial_beside(HandoverCause::NetworkChanged);
            }
            NetworkEvent::Lost(network) => {
                if self.dialler.network == Some(network) {
                    self.dialler.network = None;
                }
                let on_it = |link: &Link| link.network == Some(network);
                while let Some(index) = self.talk.links.iter().position(on_it) {
                    let gone = self.talk.close_link(index);
                    self.talk.after_loss(&gone, HandoverCause::NetworkChanged);
                }
                self.redial_if_down();
            }
            NetworkEvent::Suspend => {
                self.talk.suspended = true;
                self.cancel_tries();
            }
            NetworkEvent::Wake => {
                if !core::mem::take(&mut self.talk.suspended) {
                    return;
                }
                for link in &mut self.talk.links {
                    link.liveness.woken(self.talk.now);
                }
                self.dial_beside(HandoverCause::Wake);
            }
        }
        self.dial();
    }

    /// Time passed; call it when [`Session::poll_timeout`] is reached, or at any time.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.talk.tick(now);
        if self.talk.state == State::Closed {
            self.talk.check_links();
            return;
        }
        self.talk.check_closing();
        let aftermath = self.talk.check_links();
        if aftermath.lost {
            self.redial_if_down();
        }
        if aftermath.suspect && !self.carrier_is_sound() {
            self.dial_beside(HandoverCause::LinkSuspect);
        }
        let limit = self.config.limits.handshake;
        while let Some(index) = self.dialler.overdue(now, limit) {
            self.fail_try(index, true, Duration::ZERO);
        }
        if let Some((elder, spare)) = self.dialler.overtaking(now) {
            let spare = self.dialler.tries[spare].id;
            let elder = self.dialler.tries.remove(elder);
            self.outputs.push_back(Output::CloseLink { link: elder.id });
            if let Some(index) = self.dialler.index(spare) {
                self.start_handshake(index);
            }
        }
        self.dial();
        self.give_up_if_due();
    }

    // ---- the application ----

    /// Takes a reliable message. It will be delivered once and in order while the session lives.
    ///
    /// # Errors
    /// Each gives the message back: over the un-ACKed limit ([`SendError::WouldBlock`]), too large, or closed.
    pub fn send(&mut self, message: Bytes) -> Result<MessageId, SendError> {
        self.talk.send(message)
    }

    /// Takes a message that may be lost, but is never doubled: at most 16,320 bytes.
    ///
    /// # Errors
    /// As [`Session::send`], and [`SendError::NoLink`] while no link is up.
    pub fn send_unreliable(&mut self, message: Bytes) -> Result<(), SendError> {
        self.talk.send_unreliable(message)
    }

    /// The next message. What is taken will be ACKed. Works after `Closed`, too, for what had arrived.
    #[inline]
    pub fn recv(&mut self) -> Option<Message<'_>> {
        self.talk.recv()
    }

    /// Ends the session for good: what was sent goes out first, then CLOSE. It never reconnects (G8); without a link it ends at
    /// once, and the server notices when the detached life is over.
    pub fn disconnect(&mut self, code: u32) {
        if self.talk.state == State::Closed {
            return;
        }
        self.cancel_tries();
        self.dialler.stopped = true;
        self.talk.close(CloseKind::Application, code, CloseReason::Local { code });
    }

    /// Tries again after [`Event::HandoverFailed`] with a reason that is not final. Otherwise nothing happens.
    pub fn retry(&mut self, now: Instant) {
        let now = self.talk.tick(now);
        if self.talk.state != State::None || !self.dialler.stopped || self.talk.closing.has_begun() {
            return;
        }
        self.dialler.stopped = false;
        self.dialler.failing_since = Some(now);
        self.dialler.backoff.reset();
        self.talk.begin_handover(HandoverCause::LinkLost, Some(now));
        self.dialler.plan(now);
        self.dial();
    }

    // ---- what to do next ----

    /// The next thing for the host to do; `buf` is filled for [`Output::Send`]. It should hold at least 256 bytes; 64 KiB make the most of batching.
    pub fn poll_output(&mut self, buf: &mut [u8], now: Instant) -> Option<Output> {
        self.talk.tick(now);
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        if let Some(index) = self.dialler.sendable() {
            let attempt = &mut self.dialler.tries[index];
            let rest = &attempt.flight[attempt.taken..];
            let len = rest.len().min(buf.len());
            buf[..len].copy_from_slice(&rest[..len]);
            attempt.taken += len;
            self.talk.stats.wire_sent += len as u64;
            return Some(Output::Send { link: attempt.id, len });
        }
        self.talk.poll_output(buf)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.talk.events.pop_front()
    }

    /// When [`Session::handle_timeout`] wants to be called; `None` if never.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.outputs.is_empty() || self.dialler.sendable().is_some() {
            return Some(self.talk.now);
        }
        let mut deadline = self.talk.next_deadline();
        if !self.talk.closing.has_begun() && !self.talk.suspended {
            deadline = deadline.min(self.dialler.deadline(self.config.limits.handshake)).min(self.give_up_at());
        }
        (deadline != Instant::FAR_FUTURE).then_some(deadline)
    }

    // ---- how it stands ----

    /// Where the session stands.
    pub fn state(&self) -> State {
        self.talk.state
    }

    /// The session's id, once the server gave it.
    pub fn id(&self) -> Option<SessionId> {
        self.talk.id
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.talk.stats_now()
    }

    // ---- links ----

    fn set_blocked(&mut self, link: LinkId, blocked: bool) {
        match self.dialler.index(link) {
            Some(index) => self.dialler.tries[index].blocked = blocked,
            None => self.talk.set_blocked(link, blocked),
        }
    }

    fn receive(&mut self, index: usize, bytes: &[u8]) {
        let mut notices = Vec::new();
        if self.talk.receive(index, bytes, &mut notices).is_err() {
            self.talk.fault(index);
            self.redial_if_down();
        }
        for notice in notices {
            self.take_notice(notice);
        }
        if self.talk.state == State::Closed {
            self.cancel_tries();
        }
    }

    fn take_notice(&mut self, notice: Notice) {
        let now = self.talk.now;
        match notice {
            Notice::Credential(_) => {}
            Notice::Drain { window_ms, address } => {
                let window = Duration::from_millis(window_ms.into());
                self.talk.events.push_back(Event::Draining { window });
                self.dialler.advised = (!address.is_empty()).then_some(address);
                // The old address is the one that goes away.
                if let Some(ticket) = &mut self.ticket {
                    ticket.address.clear();
                }
                let delay = super::backoff::jitter(window, &mut self.rng);
                self.dialler.plan(now + delay);
            }
            Notice::Keys(keys) => {
                self.pins.retain(|(_, until)| *until > now);
                for (key, lifetime) in keys {
                    let until = now + Duration::from_secs(lifetime.into());
                    match self.pins.iter_mut().find(|(pin, _)| pin.0 == key) {
                        Some((_, end)) => *end = until.max(*end),
                        None if self.pins.len() < PINS_MAX => self.pins.push((PublicKey(key), until)),
                        None => {}
                    }
                }
            }
        }
    }

    /// A link is gone: if nothing carries the session, dial.
    fn redial_if_down(&mut self) {
        if self.talk.carrier().is_some() || self.talk.closing.has_begun() {
            return;
        }
        let now = self.talk.now;
        self.dialler.failing_since.get_or_insert(now);
        if !self.dialler.is_busy() && !self.talk.suspended {
            let delay = self.dialler.backoff.after_loss(now, &self.config.backoff, &mut self.rng);
            self.dialler.plan(now + delay);
        }
        self.dialler.hurry(now);
        self.dial();
    }

    /// Opens a link beside the one that carries, or hurries the one under way.
    fn dial_beside(&mut self, cause: HandoverCause) {
        if self.talk.suspended || self.talk.closing.has_begun() || self.dialler.stopped {
            return;
        }
        let now = self.talk.now;
        if let Some(carrier) = self.talk.carrier() {
            let liveness = &self.talk.links[carrier].liveness;
            let since = if liveness.suspect { liveness.silent_since() } else { None };
            self.talk.begin_handover(cause, since);
        }
        self.dialler.backoff.reset();
        if cause == HandoverCause::NetworkChanged {
            // What was under way went out on the old network.
            let mut outputs = Vec::new();
            self.dialler.cancel(&mut outputs);
            self.outputs.extend(outputs);
        }
        if self.dialler.tries.is_empty() {
            self.dialler.plan(now);
        }
        self.dial();
    }

    fn carrier_is_sound(&self) -> bool {
        self.talk.carrier().is_some_and(|carrier| !self.talk.links[carrier].liveness.suspect)
    }

    /// Opens what the plan says is due.
    fn dial(&mut self) {
        if self.talk.suspended || self.talk.closing.has_begun() || self.dialler.stopped {
            return;
        }
        let mut outputs = Vec::new();
        let own = self.ticket.as_ref().map_or("", |ticket| ticket.address.as_str());
        self.dialler.open_due(self.talk.now, own, &mut outputs);
        if !outputs.is_empty() {
            if self.talk.state == State::None {
                self.talk.step(Input::Dial);
            }
            if self.talk.carrier().is_some() {
                // Nobody but a DRAIN gets here without having begun.
                self.talk.begin_handover(HandoverCause::Drain, None);
            }
            self.outputs.extend(outputs);
        }
    }

    fn cancel_tries(&mut self) {
        let mut outputs = Vec::new();
        self.dialler.cancel(&mut outputs);
        self.outputs.extend(outputs);
    }

    // ---- handshakes ----

    fn start_handshake(&mut self, index: usize) {
        let now = self.talk.now;
        self.pins.retain(|(_, until)| *until > now);
        self.pin %= self.pins.len().max(1);
        let Some((server, _)) = self.pins.get(self.pin).copied() else {
            return self.fail_try(index, true, Duration::ZERO);
        };
        let versions = Versions { min: *self.config.versions.start(), max: *self.config.versions.end() };
        let offer = Offer { server: &server, realm: &self.config.realm, versions, version: self.version };
        let mut flight = Vec::new();
        let handshake = match &self.ticket {
            None => Handshake::hello(&offer, &self.talk, &mut self.rng, &mut flight),
            Some(ticket) => {
                self.attempt = self.attempt.saturating_add(1);
                if self.query {
                    Handshake::query(&offer, ticket, self.attempt, &self.talk, &mut self.rng, &mut flight)
                } else {
                    Handshake::resume(&offer, ticket, self.attempt, &mut self.talk, &mut self.rng, &mut flight)
                }
            }
        };
        let Some(handshake) = handshake else { return self.fail_try(index, true, Duration::ZERO) };
        let attempt = &mut self.dialler.tries[index];
        attempt.flight = flight;
        attempt.since = now;
        attempt.stage = Stage::Handshaking(handshake);
        self.talk.step(Input::LinkUp);
    }

    fn answered(&mut self, index: usize, whole: usize) {
        let attempt = self.dialler.tries.remove(index);
        let Stage::Handshaking(handshake) = attempt.stage else { return };
        let (answer, rest) = attempt.input.split_at(whole);
        let (number, started, early) = (handshake.attempt, handshake.started, handshake.early_replay);
        let outcome = handshake.finish(answer);
        let Ok(Answer::Accepted(accepted)) = outcome else {
            self.outputs.push_back(Output::CloseLink { link: attempt.id });
            return self.turned_away(outcome.ok());
        };
        if self.ticket.is_some() && self.talk.id != Some(accepted.session)
            || !self.talk.is_possible(&accepted.position)
        {
            self.outputs.push_back(Output::CloseLink { link: attempt.id });
            self.cancel_tries();
            return self.lost(CloseReason::RolledBack);
        }
        let mut rtt = Rtt::default();
        rtt.sample(self.talk.now.since(started));
        let sealer = Sealer::new(&accepted.split.client);
        let opener = Opener::new(&accepted.split.server);
        let mut link = Link::new(attempt.id, number, sealer, opener, Liveness::new(rtt, self.talk.now));
        link.network = attempt.network;
        link.blocked = attempt.blocked;
        link.confirmed = true;
        self.talk.handover.replays(early);
        self.accepted(link, accepted);
        if !rest.is_empty()
            && let Some(index) = self.talk.link_index(attempt.id)
        {
            self.receive(index, rest);
        }
    }

    /// The keys are agreed: the link becomes the newest (U-35).
    fn accepted(&mut self, mut link: Link, accepted: Accepted) {
        let Accepted { split, ticket_handle, session, token, position, window, address } = accepted;
        let same_server = self.ticket.as_ref().is_none_or(|ticket| ticket.token == token);
        let generation = link.attempt;
        self.ticket =
            Some(Ticket { handle: ticket_handle, resumption: split.resumption, generation, token, address });
        self.talk.id = Some(session);
        self.query = false;
        self.version_mismatch = false;
        self.talk.learn(&position, &window);
        if let Auth::Asking { credential } = &self.talk.auth {
            frame::auth(&mut link.control, credential);
        }
        self.talk.adopt(link, &position);
        self.talk.drain_older(self.talk.now + DRAIN);
        if self.talk.state == State::Established || self.talk.state == State::Standby {
            self.talk.step(Input::Switched);
        } else {
            self.talk.step_up();
        }
        self.talk.carried_again(same_server);
        self.cancel_tries();
        self.dialler.backoff.reset();
        self.dialler.failing_since = None;
    }

    /// Any answer but an ACCEPT that lets the session in.
    fn turned_away(&mut self, answer: Option<Answer>) {
        match answer {
            Some(Answer::Lost(reason)) => {
                self.cancel_tries();
                self.lost(reason);
            }
            Some(Answer::Alive) => {
                self.query = false;
                self.after_failed_try(Duration::ZERO);
            }
            Some(Answer::Refused(refuse)) => {
                let wait = self.take_advice(&refuse);
                self.after_failed_try(wait);
            }
            Some(Answer::Accepted(_)) | None => self.after_failed_try(Duration::ZERO),
        }
    }

    /// A REFUSE is in the clear: it changes what is tried next, nothing else (U-23, U-24, F-19).
    fn take_advice(&mut self, refuse: &Refuse) -> Duration {
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
        Duration::from_millis(refuse.retry_ms.into()).min(ADVICE_MAX)
    }

    /// An authenticated end (G2).
    fn lost(&mut self, reason: CloseReason) {
        self.dialler.stopped = true;
        self.talk.finish(reason);
    }

    /// A connection attempt came to nothing.
    fn fail_try(&mut self, index: usize, close: bool, at_least: Duration) {
        let attempt = self.dialler.tries.remove(index);
        if close {
            self.outputs.push_back(Output::CloseLink { link: attempt.id });
        }
        self.after_failed_try(at_least);
    }

    fn after_failed_try(&mut self, at_least: Duration) {
        let now = self.talk.now;
        // A spare that stands takes over.
        if self.dialler.handshaking().is_none()
            && let Some(index) = self.dialler.tries.iter().position(|attempt| matches!(attempt.stage, Stage::Spare))
        {
            return self.start_handshake(index);
        }
        if !self.dialler.tries.is_empty() {
            return;
        }
        if self.talk.carrier().is_none() {
            self.talk.step(Input::LinkLost);
        } else if self.carrier_is_sound() {
            // The hint was false, or the old link recovered: it goes on carrying.
            self.talk.carried_again(true);
            return;
        }
        if self.dialler.take_hedge() && at_least.is_zero() {
            self.dialler.open(crate::event::Target::Configured, now, &mut Vec::new());
            self.reopen();
        } else {
            self.dialler.replan(now, at_least, &self.config.backoff, &mut self.rng);
        }
    }

    fn reopen(&mut self) {
        if let Some(attempt) = self.dialler.tries.last() {
            let (link, network) = (attempt.id, attempt.network);
            self.outputs.push_back(Output::OpenLink { link, target: crate::event::Target::Configured, network });
        }
    }

    fn give_up_at(&self) -> Instant {
        let failing = if self.talk.carrier().is_some() { None } else { self.dialler.failing_since };
        match failing {
            Some(since) if !self.dialler.stopped => since + self.config.backoff.give_up_after,
            _ => Instant::FAR_FUTURE,
        }
    }

    fn give_up_if_due(&mut self) {
        if self.talk.suspended || self.talk.now < self.give_up_at() || self.talk.closing.has_begun() {
            return;
        }
        self.cancel_tries();
        self.dialler.stopped = true;
        self.talk.step(Input::GaveUp);
        self.talk.handover.fail();
        let reason = if self.version_mismatch { FailReason::VersionMismatch } else { FailReason::GaveUp };
        let acked = MessageId(self.talk.outbox.acked());
        self.talk.events.push_back(Event::HandoverFailed { reason, acked });
    }
}

#[allow(unused)]
fn _life(_: Life) {}
