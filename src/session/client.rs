//! [`Session`], the client's end: the conversation plus the dialler.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

use super::auth::Auth;
use super::batch::Batch;
use super::conversation::{Conversation, Role};
use super::dial::{ANSWER_MAX, Dialler, Stage};
use super::handshake::Ticket;
use super::link::Link;
use super::stats::Stats;
use super::transmit::MIN_BUFFER;
use crate::config::ClientConfig;
use crate::crypto::{PublicKey, Rng, Seed};
use crate::error::{CloseReason, Refusal, SendError};
use crate::event::{
    Event, HandoverCause, LinkHealth, LinkId, Message, MessageId, NetworkEvent, Output, SessionId, State,
};
use crate::time::Instant;
use crate::wire::frame::CloseKind;

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
    pub(super) config: Arc<ClientConfig>,
    pub(super) rng: Rng,
    pub(super) talk: Conversation,
    pub(super) dialler: Dialler,
    pub(super) outputs: VecDeque<Output>,
    pub(super) ticket: Option<Ticket>,
    pub(super) attempt: u32,
    /// The server keys to trust, each with its end.
    pub(super) pins: Vec<(PublicKey, Instant)>,
    pub(super) pin: usize,
    pub(super) version: u8,
    /// The server said "not here": ask it under authentication.
    pub(super) query: bool,
    /// The ends seem to have no version in common.
    pub(super) version_mismatch: bool,
}

impl Session {
    /// A new session; it asks for its first link at once. `seed` must be fresh from the system's random source: the session's
    /// keys depend on it.
    pub fn connect(config: Arc<ClientConfig>, seed: Seed, now: Instant) -> Self {
        let auth = Auth::Asking {
            credential: config.credential.clone(),
        };
        let mut session = Session {
            rng: Rng::new(&seed),
            talk: Conversation::new(Role::Client, config.settings.clone(), auth, now),
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
        self.tick(now);
        let Some(index) = self.dialler.index(link) else { return };
        if !matches!(self.dialler.tries[index].stage, Stage::Opening) {
            return;
        }
        self.dialler.tries[index].stage = Stage::Spare;
        if self.dialler.tries[index].warm.is_some() {
            self.spare_up();
        } else if self.dialler.handshaking().is_none() {
            self.start_handshake(index);
        }
    }

    /// Bytes came on a link. Input for a link that is gone is ignored (F-57).
    pub fn handle_input(&mut self, link: LinkId, bytes: &[u8], now: Instant) {
        self.tick(now);
        if let Some(index) = self.talk.link_index(link) {
            return self.receive(index, bytes);
        }
        let Some(index) = self.dialler.index(link) else { return };
        let attempt = &mut self.dialler.tries[index];
        let Stage::Handshaking(handshake) = &attempt.stage else {
            // Nobody speaks before the client did.
            return self.fail_try(index, true);
        };
        attempt.input.extend_from_slice(bytes);
        match handshake.answer(&attempt.input) {
            Ok(Some(whole)) => self.answered(index, whole),
            Ok(None) if attempt.input.len() <= ANSWER_MAX => {}
            Ok(None) | Err(_) => self.fail_try(index, true),
        }
    }

    /// A connection could not be made, ended, or broke. That never ends the session (G8).
    pub fn handle_link_down(&mut self, link: LinkId, now: Instant) {
        self.tick(now);
        if let Some(index) = self.talk.link_index(link) {
            let gone = self.talk.links.remove(index);
            if self.talk.after_loss(&gone, HandoverCause::LinkLost) {
                self.went_down();
            }
        } else if let Some(index) = self.dialler.index(link) {
            self.fail_try(index, false);
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
        self.tick(now);
        let over = self.talk.state == State::Closed;
        if self.talk.closing.has_begun() && (over || !matches!(event, NetworkEvent::Lost(_))) {
            return;
        }
        match event {
            NetworkEvent::Available(network) | NetworkEvent::Changed(network) => {
                self.dialler.networks.report(network);
                let changed = matches!(event, NetworkEvent::Changed(_));
                // A network that carries the session already is no news, unless its address changed. The same for what is under way on it.
                if changed {
                    self.dialler.cancel_old(Some(network), self.talk.now, &mut self.outputs);
                }
                let elsewhere = |carrier: &Link| carrier.network != Some(network);
                if changed {
                    self.ask_links_on(Some(network));
                }
                if changed || self.sound_carrier().is_none_or(elsewhere) {
                    self.dial_beside(HandoverCause::NetworkChanged);
                }
            }
            NetworkEvent::Lost(network) => {
                self.dialler.networks.lost(network);
                let missed = self.dialler.cancel_on(network, &mut self.outputs);
                let on_it = |link: &Link| link.network == Some(network);
                let mut down = false;
                while let Some(index) = self.talk.links.iter().position(on_it) {
                    let gone = self.talk.close_link(index);
                    if self.talk.after_loss(&gone, HandoverCause::NetworkChanged) {
                        self.dialler.forget_advice();
                        self.went_down();
                        down = true;
                    }
                }
                if missed && !down {
                    self.replace_try();
                }
                self.forgive_if_calm();
                // Nobody said which network the link is on: it may have been this one. So may that of what is under way.
                if self
                    .talk
                    .carrier()
                    .is_some_and(|carrier| self.talk.links[carrier].network.is_none())
                {
                    self.dialler.cancel_old(None, self.talk.now, &mut self.outputs);
                    self.ask_links_on(None);
                    self.dial_beside(HandoverCause::NetworkChanged);
                }
            }
            NetworkEvent::Suspend => {
                self.talk.suspended = true;
                self.cancel_tries();
                self.note_no_flight();
            }
            NetworkEvent::Wake => {
                self.talk.suspended = false;
                for link in &mut self.talk.links {
                    link.liveness.woken(self.talk.now);
                }
                // Nor what was late before.
                self.dialler.networks.forgive();
                // The time asleep does not count as time spent trying.
                if self.dialler.failing_since.is_some() {
                    self.dialler.failing_since = Some(self.talk.now);
                }
                self.dial_beside(HandoverCause::Wake);
            }
        }
        self.dial();
    }

    /// Time passed; call it when [`Session::poll_timeout`] is reached, or at any time.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.tick(now);
        if self.talk.state == State::Closed {
            self.talk.check_links();
            return;
        }
        self.talk.check_closing();
        let aftermath = self.talk.check_links();
        if aftermath.lost {
            self.went_down();
        }
        if aftermath.suspect && !self.carrier_is_sound() {
            self.dial_beside(HandoverCause::LinkSuspect);
        } else if aftermath.late {
            self.answer_late();
        }
        let limit = self.config.limits().handshake;
        while let Some(index) = self.dialler.overdue(now, limit) {
            self.dialler.took_too_long(index);
            self.fail_try(index, true);
        }
        if let Some((elder, spare)) = self.dialler.overtaking(now, limit) {
            let spare = self.dialler.tries[spare].id;
            self.dialler.took_too_long(elder);
            self.dialler.backoff.gave_way();
            let elder = self.dialler.tries.remove(elder);
            self.outputs.push_back(Output::CloseLink { link: elder.id });
            if elder.outdated {
                self.dialler.plan(now);
            }
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
        self.talk.send(&message).map_err(|refusal| refusal.with(message))
    }

    /// As `send`, from bytes that the caller keeps: for hosts whose messages do not come as [`Bytes`].
    ///
    /// # Errors
    /// As `send`, without the message.
    #[inline]
    pub fn send_slice(&mut self, message: &[u8]) -> Result<MessageId, Refusal> {
        self.talk.send(message)
    }

    /// Takes as many of these messages as there is room for, in order. Returns how many, and why not the next: the first that is not taken ends it, also one that
    /// is too large.
    pub fn send_many<M: AsRef<[u8]>>(&mut self, messages: &[M]) -> (usize, Option<Refusal>) {
        self.talk.send_many(messages)
    }

    /// Takes a message that may be lost, but is never doubled: at most 16,320 bytes, and less than `Limits::unreliable_bytes`.
    ///
    /// # Errors
    /// [`SendError::TooLarge`]; [`SendError::NoLink`] while no link is up; [`SendError::Full`] while so many wait that it does not fit beside them;
    /// [`SendError::Closed`].
    pub fn send_unreliable(&mut self, message: Bytes) -> Result<(), SendError> {
        self.talk
            .send_unreliable(&message)
            .map_err(|refusal| refusal.with(message))
    }

    /// The next message. What is taken will be ACKed. Works after `Closed`, too, for what had arrived.
    #[inline]
    pub fn recv(&mut self) -> Option<Message<'_>> {
        self.talk.recv()
    }

    /// Fills `batch` with all messages that have arrived, without copying them. Returns whether it has any now; if it had some already, it is left as it is.
    pub fn recv_batch(&mut self, batch: &mut Batch) -> bool {
        self.talk.recv_batch(batch)
    }

    /// Ends the session for good: what was sent goes out first, also what was sent unreliably, then CLOSE. It never reconnects (G8); without a link it ends at
    /// once, and the server notices when the detached life is over.
    pub fn disconnect(&mut self, code: u32) {
        if self.talk.state == State::Closed {
            return;
        }
        self.cancel_tries();
        self.dialler.stopped = true;
        self.talk
            .close(CloseKind::Application, code, CloseReason::Local { code });
    }

    /// Tries again after [`Event::HandoverFailed`] with a reason that is not final. Otherwise nothing happens.
    pub fn retry(&mut self, now: Instant) {
        let now = self.tick(now);
        if self.talk.state != State::None || !self.dialler.stopped || self.talk.closing.has_begun() {
            return;
        }
        self.dialler.stopped = false;
        self.version_mismatch = false;
        self.dialler.failing_since = Some(now);
        self.dialler.backoff.reset();
        self.talk.begin_handover(HandoverCause::LinkLost, Some(now));
        self.dialler.plan(now);
        self.dial();
    }

    // ---- what to do next ----

    /// The next thing for the host to do; `buf` is filled for [`Output::Send`]. It must hold at least [`MIN_BUFFER`](crate::MIN_BUFFER) bytes,
    /// else nothing is given out; 64 KiB make the most of batching.
    pub fn poll_output(&mut self, buf: &mut [u8], now: Instant) -> Option<Output> {
        self.tick(now);
        if buf.len() < MIN_BUFFER {
            return None;
        }
        // While a link stands there is nothing to open or close, and nobody to shake hands with.
        if !(self.outputs.is_empty() && self.dialler.tries.is_empty())
            && let Some(output) = self.dialling_output(buf)
        {
            return Some(output);
        }
        self.talk.poll_output(buf)
    }

    /// What there is to open and to close, then first flights.
    #[inline(never)]
    fn dialling_output(&mut self, buf: &mut [u8]) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            if self.outputs.is_empty() {
                self.outputs = VecDeque::new();
            }
            return Some(output);
        }
        let index = self.dialler.sendable()?;
        let attempt = &mut self.dialler.tries[index];
        let rest = &attempt.flight[attempt.taken..];
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        attempt.taken += len;
        self.talk.stats.wire_sent += len as u64;
        Some(Output::Send { link: attempt.id, len })
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
            deadline = deadline
                .min(self.dialler.deadline(self.config.limits().handshake))
                .min(self.give_up_at());
        }
        (deadline != Instant::FAR_FUTURE).then_some(deadline)
    }

    // ---- how it stands ----

    /// Where the session stands.
    pub fn state(&self) -> State {
        self.talk.state
    }

    /// What carries the session now.
    pub fn link_health(&self) -> LinkHealth {
        let talk = &self.talk;
        let over = talk.state == State::Closed || talk.closing.has_begun();
        if talk.id.is_none() || over || talk.suspended || self.dialler.stopped {
            return LinkHealth::Idle;
        }
        let Some(link) = talk.carrier().map(|carrier| &talk.links[carrier]) else {
            return LinkHealth::Lost;
        };
        let network = link.network;
        if link.liveness.suspect {
            LinkHealth::Suspect { network }
        } else {
            LinkHealth::Sound { network }
        }
    }

    /// The session's id, once the server gave it.
    pub fn id(&self) -> Option<SessionId> {
        self.talk.id
    }

    /// The first message that the peer has not ACKed: all before it have been delivered to its application.
    pub fn acked(&self) -> MessageId {
        MessageId(self.talk.outbox.acked())
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.talk.stats_now()
    }

    // ---- inside ----

    /// Whether the link's keys are put away, sealing and opening.
    #[cfg(test)]
    pub(crate) fn keys_rest(&self) -> (bool, bool) {
        let link = &self.talk.links[0];
        (link.sealer.rests(), link.opener.rests())
    }

    fn set_blocked(&mut self, link: LinkId, blocked: bool) {
        match self.dialler.index(link) {
            Some(index) => self.dialler.tries[index].blocked = blocked,
            None => self.talk.set_blocked(link, blocked),
        }
    }

    pub(super) fn receive(&mut self, index: usize, bytes: &[u8]) {
        let asking = matches!(self.talk.auth, Auth::Asking { .. });
        let mut notices = Vec::new();
        if self.talk.receive(index, bytes, &mut notices).is_err() && self.talk.fault(index) {
            self.went_down();
        }
        self.stay_if_carried_again();
        if asking {
            self.take_verdict();
        }
        for notice in notices {
            self.take_notice(notice);
        }
        if self.talk.state == State::Closed {
            self.cancel_tries();
        }
    }
}
