//! What client and server have in common: one conversation over a changing set of links.
//!
//! ```text
//!   application ── send ──► outbox ──► transmit ──► links (newest carries) ──► host
//!   application ◄── recv ── inbox  ◄── receive  ◄── links (all are read)   ◄── host
//! ```
//!
//! It does not know how a link comes to be: the client's dialler and the server's admission make links and hand them over by
//! [`Conversation::adopt`]. It knows what happens when one is there ([`super::receive`], [`super::transmit`]), when it goes, and
//! how a session ends ([`super::closing`]).

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ack::{Acks, Taken};
use super::auth::{Auth, Verdict};
use super::closing::Closing;
use super::handover::Handover;
use super::inbox::Inbox;
use super::link::{Life, Link};
use super::outbox::{Credit, Outbox};
use super::phase::{self, Input};
use super::queue::ByteQueue;
use super::stats::Tally;
use crate::config::{Limits, Timing};
use crate::error::Refusal;
use crate::event::{Event, HandoverCause, LinkId, Message, MessageId, SessionId, State};
use crate::time::Instant;
use crate::wire::flight::{Position, Window};
use crate::wire::record::PLAINTEXT_MAX;
use crate::wire::varint;

/// Which end this is. It decides who probes an idle link, who proves keys to whom, and who asks for authorisation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Client,
    Server,
}

/// The bounds of a conversation; all sessions of an endpoint, and of a client's configuration, share one.
#[derive(Clone, Default)]
pub struct Settings {
    pub limits: Limits,
    pub timing: Timing,
    /// (server) Nobody is let in before the store has the session.
    pub store_first: bool,
}

/// See the module's head.
pub struct Conversation {
    pub role: Role,
    pub settings: Arc<Settings>,
    /// The latest time the host has told. It never goes back (F-70).
    pub now: Instant,
    pub state: State,
    pub id: Option<SessionId>,
    pub outbox: Outbox,
    pub inbox: Inbox,
    pub unreliable: ByteQueue,
    pub credit: Credit,
    pub acks: Acks,
    /// Ordered by attempt: the newest is the last.
    pub links: Vec<Link>,
    /// Links the host must close.
    pub to_close: Vec<LinkId>,
    pub events: VecDeque<Event>,
    pub auth: Auth,
    pub handover: Handover,
    pub closing: Closing,
    pub stats: Tally,
    /// The largest message the peer takes.
    pub peer_max_message: u32,
    /// A link's socket takes bytes again; the next call that tells the time says since when.
    pub unblocked: bool,
    /// A `send` was turned away, so `Writable` is owed.
    writable_owed: bool,
    /// (server) `Readable` was told and `recv` has not run dry since.
    pub(super) readable_told: bool,
    /// (client) No probes, no verdicts: the process sleeps.
    pub suspended: bool,
    /// (server, `Durable`) What may leave.
    pub gate: Option<Gate>,
    /// (server) The application may not touch it: its state has been taken for a snapshot that moves.
    pub frozen: bool,
    /// (server) It came from another process, and the client has not been heard here yet.
    pub moved: bool,
    /// (server) What the application said of the client; it counts when the store has the session.
    pub verdict_due: Option<Verdict>,
    /// (server) Everybody is let in, and this client too as soon as the store has the session.
    pub waved_through: bool,
    /// (server) A new link carried since the endpoint noted it last: it may be gone again by then.
    pub came_back: bool,
}

/// Output commit: how far the store has confirmed what this end did. Nothing beyond it leaves the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Gate {
    /// The first message that may not be sent.
    pub send_end: u64,
    /// What an ACK may say.
    pub taken: Taken,
}

impl Conversation {
    pub fn new(role: Role, settings: Arc<Settings>, auth: Auth, now: Instant) -> Self {
        let limits = &settings.limits;
        let inbox = Inbox::new(
            limits.window_messages,
            limits.window_bytes,
            limits.message,
            limits.unreliable_bytes,
        );
        Conversation {
            role,
            now,
            state: State::None,
            id: None,
            outbox: Outbox::new(),
            inbox,
            unreliable: ByteQueue::new(limits.unreliable_bytes as usize),
            credit: Credit::default(),
            acks: Acks::default(),
            links: Vec::new(),
            to_close: Vec::new(),
            events: VecDeque::new(),
            auth,
            handover: Handover::default(),
            closing: Closing::default(),
            stats: Tally::default(),
            peer_max_message: limits.message,
            unblocked: false,
            writable_owed: false,
            readable_told: false,
            suspended: false,
            gate: None,
            frozen: false,
            moved: false,
            verdict_due: None,
            waved_through: false,
            came_back: false,
            settings,
        }
    }

    /// Time as the host tells it, clamped (F-70).
    pub fn tick(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.closing.tick(self.now);
        self.now
    }

    /// The time that the endpoint was told last, in a call that tells none: it may be long past, so a wish to end is not counted from it.
    #[inline]
    pub fn catch_up(&mut self, last: Instant) {
        self.now = self.now.max(last);
    }

    // ---- the application ----

    #[inline]
    pub fn send(&mut self, message: &[u8]) -> Result<MessageId, Refusal> {
        let limits = &self.settings.limits;
        let bytes = self.outbox.payload() + message.len() as u64;
        if self.closing.has_begun()
            || self.is_out_of_reach()
            || message.len() > limits.message.min(self.peer_max_message) as usize
            || bytes > u64::from(limits.unacked_bytes)
            || self.outbox.messages() >= u64::from(limits.unacked_messages)
            || self.outbox.next() >= varint::MAX - 1
        {
            return Err(self.refuse(message.len()));
        }
        Ok(MessageId(self.outbox.push(message)))
    }

    /// Why a message is turned away.
    #[cold]
    #[inline(never)]
    pub fn refuse(&mut self, length: usize) -> Refusal {
        if self.closing.has_begun() {
            return Refusal::Closed;
        }
        let max = self.settings.limits.message.min(self.peer_max_message);
        if !self.is_out_of_reach() && length > max as usize {
            return Refusal::TooLarge { max };
        }
        self.writable_owed = true;
        Refusal::WouldBlock
    }

    pub fn send_unreliable(&mut self, message: &[u8]) -> Result<(), Refusal> {
        if self.closing.has_begun() {
            return Err(Refusal::Closed);
        }
        let max = UNRELIABLE_MAX.min(self.settings.limits.unreliable_bytes.saturating_sub(1));
        if message.len() > max as usize {
            return Err(Refusal::TooLarge { max });
        }
        if self.carrier().is_none() {
            return Err(Refusal::NoLink);
        }
        self.unreliable.push(message).map_err(|_full| Refusal::Full)
    }

    /// Nearly all messages are short, follow each other in one record, and leave nothing to decide; the rest goes the long way.
    #[inline]
    pub fn recv(&mut self) -> Option<Message<'_>> {
        if let Some(short) = self.inbox.next_short()
            && self.auth.may_deliver()
            && !self.is_out_of_reach()
            && self.gate.is_none()
            && !self.acks.decides(short.taken)
        {
            return Some(self.inbox.pop_short(short));
        }
        self.recv_any()
    }

    #[inline(never)]
    fn recv_any(&mut self) -> Option<Message<'_>> {
        if self.inbox.is_empty() || !self.auth.may_deliver() || self.is_out_of_reach() {
            self.readable_told = false;
            return None;
        }
        self.recv_next()
    }

    #[inline(never)]
    fn recv_next(&mut self) -> Option<Message<'_>> {
        if self.inbox.has_unreliable() {
            return self.inbox.pop_unreliable();
        }
        let (message, taken) = self.inbox.pop_reliable()?;
        if self.gate.is_none() {
            let Settings { timing, limits, .. } = &*self.settings;
            self.acks.delivered(taken, self.now, timing, limits);
        }
        Some(message)
    }

    /// Tells a server's application that messages wait, once.
    pub fn tell_readable(&mut self) {
        if self.state == State::Closed || self.role != Role::Server {
            return;
        }
        if !self.readable_told && !self.is_out_of_reach() && self.auth.may_deliver() && !self.inbox.is_empty() {
            self.readable_told = true;
            // Made where it stands. A copy of it as a whole would be taken while the one byte that was written is on its way to the cache.
            self.events.resize_with(self.events.len() + 1, || Event::Readable);
        }
    }

    // ---- state ----

    /// Feeds the state machine; says whether the input meant anything.
    pub fn step(&mut self, input: Input) -> bool {
        let Some(next) = phase::next(self.state, input) else {
            return false;
        };
        if next != self.state {
            self.state = next;
            self.events.push_back(Event::State(next));
        }
        true
    }

    /// Takes the states from "link up" to as far as the session has come.
    pub fn step_up(&mut self) {
        for input in [Input::KeysAgreed, Input::AwaitPosition, Input::Position] {
            self.step(input);
        }
        self.step_authorised();
    }

    /// Established, if nothing is outstanding.
    pub fn step_authorised(&mut self) {
        if self.auth.accepted() {
            self.step(Input::Authorised);
        }
    }

    // ---- links ----

    /// How far this end has received, for RESUME and ACCEPT.
    pub fn position(&self) -> Position {
        Position {
            recv_next: self.inbox.next(),
            recv_offset: self.inbox.offset(),
            delivered: self.acked_edge(),
        }
    }

    /// What an ACK says: all before it was handed to the application, and will not be asked for again.
    pub fn acked_edge(&self) -> u64 {
        self.may_ack().messages
    }

    /// How much of what was taken an ACK may speak of.
    pub fn may_ack(&self) -> Taken {
        self.gate.map_or(self.inbox.taken(), |gate| gate.taken)
    }

    /// How far messages may be sent: the peer's credit, and what the store has.
    pub fn allowance(&self) -> Credit {
        let end = self.gate.map_or(u64::MAX, |gate| gate.send_end);
        Credit {
            messages: self.credit.messages.min(end),
            ..self.credit
        }
    }

    /// The store has confirmed a snapshot that covers so much; `bytes` of payload were taken in it since the last.
    pub fn committed(&mut self, send_end: u64, delivered: u64, bytes: u64) {
        let Some(gate) = &mut self.gate else { return };
        gate.send_end = gate.send_end.max(send_end);
        if delivered > gate.taken.messages {
            gate.taken.messages = delivered;
            gate.taken.bytes += bytes;
            let Settings { timing, limits, .. } = &*self.settings;
            self.acks.delivered(gate.taken, self.now, timing, limits);
        }
    }

    /// Whether the application must wait: its state is on its way out, or the client of a restored session has not proved yet that it is there (R4).
    pub fn is_out_of_reach(&self) -> bool {
        self.frozen | self.moved
    }

    /// The application may go on: what was to be swapped out stays.
    pub fn thaw(&mut self) {
        self.frozen = false;
        self.tell_within_reach();
    }

    /// Tells the application what it could not be told while the session was out of reach.
    pub fn tell_within_reach(&mut self) {
        self.tell_readable();
        self.tell_writable();
    }

    /// Whether the session never stood and no message has been on a link in either direction: then nobody can miss it.
    pub fn is_untouched(&self) -> bool {
        !self.auth.accepted() && !self.outbox.was_carried() && (self.inbox.next(), self.inbox.offset()) == (0, 0)
    }

    /// Forgets whom it spoke with; only if it [is untouched](Self::is_untouched).
    pub fn forget_peer(&mut self) {
        debug_assert!(self.is_untouched());
        self.id = None;
        self.credit = Credit::default();
        self.acks = Acks::default();
        self.peer_max_message = self.settings.limits.message;
    }

    /// What this end will receive. With a store nothing before the client is let in: until then the store does not know of the session, so a client
    /// that comes to another server must be able to start over, and could not if it had said something (F-104).
    pub fn window(&self) -> Window {
        let limits = &self.settings.limits;
        let waits = self.settings.store_first && !self.auth.accepted();
        Window {
            messages: if waits { 0 } else { limits.window_messages },
            bytes: limits.window_bytes,
            max_message: limits.message,
        }
    }

    /// Whether what the peer claims to know of this end can be: that it received, and that it was ACKed (U-17, U-21). If not, this
    /// end has lost state.
    ///
    /// Only upper bounds are judged. While an older link still carries, ACKs and messages on it overtake a RESUME or ACCEPT; so a
    /// claim that lags behind is no sign of anything. The peer judges this end's claims in the same way, so a loss on either end is
    /// found.
    pub fn is_possible(&self, position: &Position, acked: u64) -> bool {
        acked <= self.inbox.delivered()
            && position.recv_next <= self.outbox.next()
            && (position.recv_next < self.outbox.acked()
                || self.outbox.cursor(position.recv_next, position.recv_offset).is_some())
    }

    /// Takes in what the peer said of itself in a RESUME or ACCEPT that was found possible.
    pub fn learn(&mut self, position: &Position, window: &Window) {
        self.peer_max_message = window.max_message;
        self.acknowledged(position.delivered, window.messages.into(), window.bytes.into());
    }

    /// Takes a link in as the newest, its cursor at the peer's position. The replay needs nothing else (U-39).
    pub fn adopt(&mut self, mut link: Link, position: &Position) {
        debug_assert!(self.links.last().is_none_or(|last| last.attempt < link.attempt));
        link.cursor = self
            .outbox
            .cursor(position.recv_next, position.recv_offset)
            .unwrap_or_else(|| self.outbox.rewind());
        self.handover.replays(self.outbox.replayed(&link.cursor));
        self.acks.force();
        self.unreliable.clear();
        // There is seldom more than one, and it is most of a quiet session.
        self.links.reserve_exact(1);
        self.links.push(link);
        self.stats.links += 1;
    }

    /// Leaves the links older than the newest to drain. They are read until they end.
    pub fn drain_older(&mut self, until: Instant) {
        let Some(newest) = self.newest_confirmed() else { return };
        for link in &mut self.links[..newest] {
            if link.life == Life::Open {
                link.life = Life::Draining(until);
            }
        }
    }

    /// Leaves the links older than the newest at once: another server has the session now, and what the former one said last need not be what the new one
    /// knows. It repeats what it does know (U-64).
    pub fn leave_older(&mut self) {
        while self.links.len() > 1 {
            self.close_link(0);
        }
    }

    /// Removes a link and has the host close it.
    pub fn close_link(&mut self, index: usize) -> Link {
        let link = self.links.remove(index);
        self.to_close.push(link.id);
        link
    }

    /// A new link carries: the states follow, and the handover ends.
    pub fn up_again(&mut self, same_server: bool) {
        if matches!(self.state, State::Established | State::Standby) {
            self.step(Input::Switched);
        } else {
            self.step_up();
        }
        debug_assert!(matches!(
            self.state,
            State::Standby | State::Established | State::Closed
        ));
        self.carried_again(same_server);
    }

    /// The session has a usable link again: tell it, with the account of the handover if there was one.
    pub fn carried_again(&mut self, same_server: bool) {
        if let Some(end) = self.handover.end(self.now, same_server) {
            self.stats.handovers += 1;
            self.stats.replayed_messages += end.replayed_messages;
            self.stats.replayed_bytes += end.replayed_bytes;
            self.events.push_back(Event::HandoverEnd(end));
        }
    }

    /// Opens the account of a handover, unless it is open or the session never stood.
    pub fn begin_handover(&mut self, cause: HandoverCause, down_since: Option<Instant>) {
        if self.state == State::Closed || self.closing.has_begun() {
            return;
        }
        if !self.auth.accepted() {
            return self.handover.down_early(down_since);
        }
        if let Some(cause) = self.handover.begin(cause, down_since) {
            self.events.push_back(Event::HandoverBegin { cause });
        }
    }

    /// A link is gone (removed already). If nothing carries the session now, a handover begins; says whether it was the last.
    pub fn after_loss(&mut self, link: &Link, cause: HandoverCause) -> bool {
        if link.life != Life::Open || self.state == State::Closed {
            return false;
        }
        if self.newest_confirmed().is_some() {
            // (server) The client's newer link came to nothing; the older one carries on. An ACK may have gone with it.
            self.acks.force();
            self.carried_again(true);
            return false;
        }
        if self.closing.has_begun() {
            self.handover.down(self.now);
            if self.carrier().is_none() && !self.closes_on_the_one_before() {
                self.closing_link_lost();
            }
            return false;
        }
        let since = if link.liveness.suspect {
            link.liveness.silent_since()
        } else {
            None
        };
        self.begin_handover(cause, Some(since.unwrap_or(self.now)));
        self.step(Input::LinkLost);
        if self.carrier().is_some() {
            // (server) The client's newer link is there already and only waits for its first record.
            self.step(Input::LinkUp);
        }
        true
    }

    // ---- what the peer says ----

    /// The peer has delivered all below `recv_next` and gives credit from there. The caller checked the bounds.
    pub fn acknowledged(&mut self, recv_next: u64, messages: u64, bytes: u64) {
        if recv_next > self.outbox.acked() {
            self.outbox.ack(recv_next);
        }
        if recv_next == self.outbox.acked() {
            let credit = self.outbox.credit(messages, bytes);
            self.credit.messages = self.credit.messages.max(credit.messages);
            self.credit.payload = self.credit.payload.max(credit.payload);
        }
        self.tell_writable();
    }

    fn tell_writable(&mut self) {
        // Who ends while he is out of reach comes back into it: that is no news then, nothing follows Closed. Nor is it for whoever was turned away: only
        // the end is to come.
        let over = self.state == State::Closed || self.auth.refused();
        if self.writable_owed && !over && !self.is_out_of_reach() && self.has_room() {
            self.writable_owed = false;
            self.events.push_back(Event::Writable);
        }
    }

    /// Whether a quarter of the outbox is free; if not, `Writable` is owed.
    pub fn ask_room(&mut self) -> bool {
        let room = !self.is_out_of_reach() && self.has_room();
        self.writable_owed |= !room;
        room
    }

    /// A quarter of the outbox free: so a sender is not woken for every single message.
    fn has_room(&self) -> bool {
        let limits = &self.settings.limits;
        self.outbox.is_empty()
            || (self.outbox.payload() <= u64::from(limits.unacked_bytes / 4 * 3)
                && self.outbox.messages() <= u64::from(limits.unacked_messages / 4 * 3))
    }
}

/// Largest unreliable message: it must fit one record with its header and an ACK beside it.
pub const UNRELIABLE_MAX: u32 = PLAINTEXT_MAX as u32 - 64;
