//! The two ends, the connections between them, and the steps of a program.

use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use unbroken::wire::flight::{REFUSE_LEN, Refuse, RefuseCode};
use unbroken::wire::prelude::{FlightKind, Prelude};
use unbroken::{
    Endpoint, Event, Instant, Limits, LinkId, MessageId, NetworkEvent, NetworkId, Output, SendError, Session,
    SessionId, State, Verdict,
};

use super::program::{Program, Side, Step, Which};
use crate::host::{self, Poll};
use crate::life::Life;

/// Most bytes of a first flight kept for a replay.
const TAPE: usize = 20_000;
/// Most messages one end sends in a run.
const MESSAGES: usize = 4000;
/// Polls until an end must have run dry, deliveries until both must be quiet.
const PATIENCE: u32 = 20_000;

/// One connection.
pub struct Wire {
    pub up: bool,
    stalled: bool,
    /// By the end's side: its name of the link, whether it still has it, bytes on the way to it, whether its peer has closed.
    ends: [WireEnd; 2],
    tape: Vec<u8>,
}

#[derive(Default)]
struct WireEnd {
    link: Option<LinkId>,
    bytes: VecDeque<u8>,
    fin: bool,
    blocked: bool,
}

/// One end's application.
#[derive(Default)]
pub struct Talk {
    pub life: Life,
    /// Lengths of the reliable messages sent.
    pub sent: Vec<usize>,
    pub received: usize,
    unreliable: Vec<usize>,
    unreliable_seen: BTreeSet<u32>,
    pub closed_with: Option<u32>,
    pub kicked: bool,
}

pub struct World {
    pub now: Instant,
    pub start: Instant,
    pub client: Session,
    pub server: Endpoint,
    pub talks: [Talk; 2],
    pub id: Option<SessionId>,
    pub asked: bool,
    pub let_in: bool,
    pub refused: bool,
    pub resume_asked: bool,
    pub auto: bool,
    pub limits: [Limits; 2],
    pub wires: Vec<Wire>,
    next_link: u64,
    buffer: Vec<u8>,
}

impl World {
    pub fn new(program: &Program) -> World {
        let start = Instant::from_millis(1_000_000);
        let limits = [program.client.limits(), program.server.limits()];
        let flags = program.flags;
        let server = host::server_config(limits[1].clone(), flags.authorise_all, flags.ask_on_resume);
        World {
            now: start,
            start,
            client: Session::connect(host::client_config(limits[0].clone()), host::seed(1), start),
            server: Endpoint::new(server, host::seed(2), start),
            talks: Default::default(),
            id: None,
            asked: false,
            let_in: flags.authorise_all,
            refused: false,
            resume_asked: false,
            auto: true,
            limits,
            wires: Vec::new(),
            next_link: 0,
            buffer: vec![0; 65_536],
        }
    }

    pub fn talk(&self, side: Side) -> &Talk {
        &self.talks[side as usize]
    }

    fn talk_mut(&mut self, side: Side) -> &mut Talk {
        &mut self.talks[side as usize]
    }

    pub fn run(&mut self, step: &Step) {
        self.auto = false;
        let now = self.now;
        match *step {
            Step::Send { side, count, size } => (0..=count % 64).for_each(|i| self.send(side, size, i)),
            Step::SendUnreliable { side, size } => self.send_unreliable(side, size),
            Step::Recv { side, count } => {
                (0..count).take_while(|_| self.recv(side)).count();
            }
            Step::Exchange { read } => {
                self.auto = true;
                self.exchange(read);
            }
            Step::Poll { side, count, buffer } => {
                let size = [256, 300, 1500, 20_000, 65_536][usize::from(buffer % 5)];
                (0..count % 16).take_while(|_| self.poll_output(side, size) | self.poll_event(side)).count();
            }
            Step::Deliver { to, which, bytes } => {
                if let Some(wire) = self.wire(which) {
                    self.deliver(wire, to, bytes.into());
                }
            }
            Step::Connect { which, works } => {
                if let Some(wire) = self.wire(which).filter(|wire| !self.wires[*wire].up) {
                    if works { self.connect(wire) } else { self.cut(wire, true, true) }
                }
            }
            Step::Cut { which, tell_client, tell_server } => {
                if let Some(wire) = self.wire(which) {
                    self.cut(wire, tell_client, tell_server);
                }
            }
            Step::Stall { which } => {
                if let Some(wire) = self.wire(which) {
                    self.wires[wire].stalled = true;
                }
            }
            Step::Corrupt { to, which, at, flip } => {
                if let Some(wire) = self.wire(which) {
                    let bytes = &mut self.wires[wire].ends[to as usize].bytes;
                    let len = bytes.len().max(1);
                    if let Some(byte) = bytes.get_mut(usize::from(at) % len) {
                        *byte ^= flip;
                    }
                }
            }
            Step::Replay { which, bytes } => self.replay(which, bytes),
            Step::Refuse { which, code, retry_ms, min, max } => self.refuse(which, code, retry_ms, min, max),
            Step::Advance { ms, shift, tell } => {
                self.now += Duration::from_millis(u64::from(ms >> (shift % 16)));
                if tell {
                    self.client.handle_timeout(self.now);
                    self.server.handle_timeout(self.now);
                }
            }
            Step::Block { side, which } => self.set_blocked(side, which, true),
            Step::Writable { side, which } => self.set_blocked(side, which, false),
            Step::Network { event, network } => {
                let network = NetworkId(u64::from(network % 2));
                let event = match event % 5 {
                    0 => NetworkEvent::Available(network),
                    1 => NetworkEvent::Lost(network),
                    2 => NetworkEvent::Changed(network),
                    3 => NetworkEvent::Suspend,
                    _ => NetworkEvent::Wake,
                };
                self.client.handle_network(event, now);
            }
            Step::Retry => self.client.retry(now),
            Step::Verdict { accept } => self.verdict(accept),
            Step::AnswerResume { accept } => self.answer_resume(accept),
            Step::Disconnect { side, code } => self.disconnect(side, code.into()),
            Step::Kick { code } => {
                if let Some(mut session) = self.id.and_then(|id| self.server.session(id)) {
                    if session.state() != State::Closed {
                        self.talks[1].kicked = true;
                    }
                    session.kick(code.into());
                }
            }
        }
    }

    // ---- the applications ----

    /// Mostly small messages, sometimes as large as may be.
    fn send(&mut self, side: Side, size: u16, i: u8) {
        let max = self.limits[0].message.min(self.limits[1].message) as usize;
        let len = match size >> 14 {
            0 | 1 => usize::from(size % 64) + usize::from(i),
            2 => usize::from(size % 2048),
            _ => max.saturating_sub(usize::from(size % 512)),
        };
        let n = self.talk(side).sent.len();
        if n >= MESSAGES {
            return;
        }
        let message = Bytes::from(host::message(side as u8, n, len.min(max)));
        let result = match side {
            Side::Client => self.client.send(message.clone()),
            Side::Server => match self.id.and_then(|id| self.server.session(id)) {
                Some(mut session) => session.send(message.clone()),
                None => return,
            },
        };
        match result {
            Ok(id) => {
                assert_eq!(id, MessageId(n as u64), "{side:?}: numbers are given out in order");
                self.talk_mut(side).sent.push(message.len());
            }
            Err(SendError::WouldBlock(back)) => assert_eq!(back, message),
            Err(SendError::Closed(back)) => {
                assert_eq!(back, message);
                assert!(self.may_be_closed(side), "{side:?}: send says closed");
            }
            Err(error) => panic!("{side:?}: message of {} bytes: {error}", message.len()),
        }
    }

    fn may_be_closed(&self, side: Side) -> bool {
        let talk = self.talk(side);
        let state = match side {
            Side::Client => self.client.state(),
            Side::Server => State::Closed,
        };
        talk.closed_with.is_some() || talk.kicked || state == State::Closed
    }

    fn send_unreliable(&mut self, side: Side, size: u16) {
        let n = self.talk(side).unreliable.len();
        let len = 5 + usize::from(size % 2000);
        let message = Bytes::from(host::message(side as u8 + 2, n, len));
        let result = match side {
            Side::Client => self.client.send_unreliable(message),
            Side::Server => match self.id.and_then(|id| self.server.session(id)) {
                Some(mut session) => session.send_unreliable(message),
                None => return,
            },
        };
        self.talk_mut(side).unreliable.push(if result.is_ok() { len } else { usize::MAX });
    }

    /// Takes one message, compares it with what was sent; whether there was one.
    pub fn recv(&mut self, side: Side) -> bool {
        let (id, payload) = match side {
            Side::Client => match self.client.recv() {
                Some(message) => (message.id, message.payload.to_vec()),
                None => return false,
            },
            Side::Server => {
                let Some(mut session) = self.id.and_then(|id| self.server.session(id)) else { return false };
                match session.recv() {
                    Some(message) => (message.id, message.payload.to_vec()),
                    None => return false,
                }
            }
        };
        assert!(side == Side::Client || self.let_in, "a message of a client that was not let in");
        let from = side.other();
        let Some(MessageId(id)) = id else {
            let n = payload.first_chunk().map_or(u32::MAX, |n| u32::from_be_bytes(*n));
            let len = self.talk(from).unreliable.get(n as usize).copied();
            assert_eq!(len, Some(payload.len()), "{side:?}: unreliable message {n}");
            assert_eq!(payload, host::message(from as u8 + 2, n as usize, payload.len()));
            assert!(self.talk_mut(side).unreliable_seen.insert(n), "{side:?}: unreliable message {n} twice");
            return true;
        };
        let due = self.talk(side).received;
        assert_eq!(id, due as u64, "{side:?}: message {id} was delivered where {due} was due");
        let len = self.talk(from).sent.get(due).copied();
        assert_eq!(len, Some(payload.len()), "{side:?}: length of message {id}");
        assert!(payload == host::message(from as u8, due, payload.len()), "{side:?}: payload of message {id}");
        self.talk_mut(side).received += 1;
        true
    }

    fn verdict(&mut self, accept: bool) {
        if !core::mem::take(&mut self.asked) {
            return;
        }
        let Some(mut session) = self.id.and_then(|id| self.server.session(id)) else { return };
        let verdict = match accept {
            true => Verdict::Accept { message: "welcome".into() },
            false => Verdict::Refuse { code: 7, message: "no".into() },
        };
        let waited = session.authorise(verdict);
        drop(session);
        self.let_in |= waited && accept;
        self.refused |= waited && !accept;
    }

    fn answer_resume(&mut self, accept: bool) {
        if !core::mem::take(&mut self.resume_asked) {
            return;
        }
        let Some(mut session) = self.id.and_then(|id| self.server.session(id)) else { return };
        let waited = session.answer_resume(if accept { Ok(()) } else { Err(9) });
        drop(session);
        self.refused |= waited && !accept;
    }

    pub fn disconnect(&mut self, side: Side, code: u32) {
        match side {
            Side::Client => {
                if self.client.state() != State::Closed {
                    self.talks[0].closed_with.get_or_insert(code);
                }
                self.client.disconnect(code);
            }
            Side::Server => {
                let Some(mut session) = self.id.and_then(|id| self.server.session(id)) else { return };
                if session.state() != State::Closed {
                    self.talks[1].closed_with.get_or_insert(code);
                }
                session.close(code);
            }
        }
    }

    fn poll_event(&mut self, side: Side) -> bool {
        let now = self.now;
        let Some((id, event)) = (match side {
            Side::Client => self.client.next_event(now),
            Side::Server => self.server.next_event(now),
        }) else {
            return false;
        };
        if let Some(id) = id {
            assert_eq!(*self.id.get_or_insert(id), id, "two sessions of one client");
            assert_eq!(self.client.id(), Some(id), "a session that its client does not know");
        }
        host::trace(&(now, side, &event));
        self.talk_mut(side).life.see(&event);
        match event {
            Event::Authorise { credential } => {
                assert!(side == Side::Server && !self.let_in && credential == "ticket", "{credential:?}");
                self.asked = true;
                if self.auto {
                    self.verdict(true);
                }
            }
            Event::ResumeRequest => {
                assert_eq!(side, Side::Server);
                self.resume_asked = true;
                if self.auto {
                    self.answer_resume(true);
                }
            }
            Event::Established { .. } => assert!(self.let_in, "established without a verdict"),
            Event::HandoverFailed { acked, .. } => {
                let delivered = self.talk(side.other()).received as u64;
                assert!(acked.0 <= delivered, "{side:?}: {} are said to be delivered, {delivered} were", acked.0);
            }
            _ => {}
        }
        true
    }

    // ---- the network ----

    fn wire(&self, which: Which) -> Option<usize> {
        self.wires.len().checked_sub(1 + usize::from(which % 4))
    }

    fn wire_of(&self, side: Side, link: LinkId) -> Option<usize> {
        self.wires.iter().rposition(|wire| wire.ends[side as usize].link == Some(link))
    }

    fn fresh_link(&mut self) -> LinkId {
        self.next_link += 1;
        LinkId(1_000_000 + self.next_link)
    }

    /// Does one thing that an end asks for.
    fn poll_output(&mut self, side: Side, size: usize) -> bool {
        let now = self.now;
        let buffer = &mut self.buffer[..size];
        let Some(output) = (match side {
            Side::Client => self.client.next_output(buffer, now),
            Side::Server => self.server.next_output(buffer, now),
        }) else {
            return false;
        };
        host::trace(&(now, side, &output));
        match output {
            Output::OpenLink { link, .. } => {
                assert_eq!(side, Side::Client, "a server opens no links");
                let client = WireEnd { link: Some(link), ..WireEnd::default() };
                let ends = [client, WireEnd::default()];
                self.wires.push(Wire { up: false, stalled: false, ends, tape: Vec::new() });
            }
            Output::Send { link, len } => {
                let wire = self.wire_of(side, link).expect("bytes are for a link that is there");
                let wire = &mut self.wires[wire];
                assert!(!wire.ends[side as usize].blocked, "bytes for a blocked link");
                assert!(wire.up, "bytes for a link that is not up");
                if side == Side::Client && wire.tape.len() < TAPE {
                    wire.tape.extend_from_slice(&self.buffer[..len]);
                }
                if wire.ends[side.other() as usize].link.is_some() && !wire.stalled {
                    wire.ends[side.other() as usize].bytes.extend(&self.buffer[..len]);
                }
            }
            Output::CloseLink { link } => {
                // It may have ended by itself after the end decided so.
                let Some(wire) = self.wire_of(side, link) else { return true };
                let ends = &mut self.wires[wire].ends;
                ends[side as usize] = WireEnd::default();
                ends[side.other() as usize].fin = true;
            }
        }
        true
    }

    fn connect(&mut self, wire: usize) {
        if self.wires[wire].up {
            return;
        }
        let link = self.fresh_link();
        let ends = &mut self.wires[wire].ends;
        let Some(client) = ends[0].link else { return };
        ends[1] = WireEnd { link: Some(link), ..WireEnd::default() };
        self.wires[wire].up = true;
        self.server.handle_link_up(link, self.now);
        self.client.handle_link_up(client, self.now);
    }

    /// Hands over up to `most` bytes, and the end behind them; whether anything moved.
    fn deliver(&mut self, wire: usize, to: Side, most: usize) -> bool {
        let now = self.now;
        let stalled = self.wires[wire].stalled;
        let end = &mut self.wires[wire].ends[to as usize];
        let Some(link) = end.link else { return false };
        if stalled {
            return false;
        }
        let bytes: Vec<u8> = end.bytes.drain(..most.min(end.bytes.len())).collect();
        let ended = end.fin && end.bytes.is_empty();
        if ended {
            end.link = None;
        }
        if !bytes.is_empty() {
            match to {
                Side::Client => self.client.handle_input(link, &bytes, now),
                Side::Server => self.server.handle_input(link, &bytes, now),
            }
        }
        if ended {
            self.link_down(to, link);
        }
        ended || !bytes.is_empty()
    }

    fn link_down(&mut self, side: Side, link: LinkId) {
        match side {
            Side::Client => self.client.handle_link_down(link, self.now),
            Side::Server => self.server.handle_link_down(link, self.now),
        }
    }

    fn cut(&mut self, wire: usize, tell_client: bool, tell_server: bool) {
        self.wires[wire].stalled = true;
        for (side, tell) in Side::BOTH.into_iter().zip([tell_client, tell_server]) {
            if tell {
                let end = core::mem::take(&mut self.wires[wire].ends[side as usize]);
                if let Some(link) = end.link {
                    self.link_down(side, link);
                }
            }
        }
    }

    fn replay(&mut self, which: Which, bytes: u16) {
        let Some(tape) = self.wire(which).map(|wire| self.wires[wire].tape.clone()) else { return };
        let link = self.fresh_link();
        let ends = [WireEnd::default(), WireEnd { link: Some(link), fin: true, ..WireEnd::default() }];
        self.wires.push(Wire { up: true, stalled: false, ends, tape: Vec::new() });
        self.server.handle_link_up(link, self.now);
        let bytes = &tape[..tape.len().min(usize::from(bytes))];
        self.server.handle_input(link, bytes, self.now);
    }

    fn refuse(&mut self, which: Which, code: u8, retry_ms: u16, min: u8, max: u8) {
        let Some(code) = RefuseCode::from_byte(code % 7) else { return };
        let Some(wire) = self.wire(which).filter(|wire| self.wires[*wire].up) else { return };
        let Some(link) = self.wires[wire].ends[0].link else { return };
        let prelude =
            Prelude { version: 1, kind: FlightKind::Refuse, key_id: host::server_key().id(), length: REFUSE_LEN as u16 };
        let mut flight = prelude.encode().to_vec();
        let (min_version, max_version) = (min.min(max), max.max(min));
        Refuse { code, retry_ms: retry_ms.into(), min_version, max_version }.encode(&mut flight);
        self.client.handle_input(link, &flight, self.now);
    }

    fn set_blocked(&mut self, side: Side, which: Which, blocked: bool) {
        if let Some(wire) = self.wire(which).filter(|wire| self.wires[*wire].up) {
            self.block(side, wire, blocked);
        }
    }

    fn block(&mut self, side: Side, wire: usize, blocked: bool) {
        let end = &mut self.wires[wire].ends[side as usize];
        let Some(link) = end.link else { return };
        end.blocked = blocked;
        match (side, blocked) {
            (Side::Client, true) => self.client.handle_link_blocked(link),
            (Side::Client, false) => self.client.handle_link_writable(link),
            (Side::Server, true) => self.server.handle_link_blocked(link),
            (Side::Server, false) => self.server.handle_link_writable(link),
        }
    }

    pub fn unblock_all(&mut self) {
        for wire in 0..self.wires.len() {
            Side::BOTH.into_iter().for_each(|side| self.block(side, wire, false));
        }
    }

    // ---- both ----

    /// Polls an end dry. Afterwards nothing may be due at this moment, unless a link is blocked.
    pub fn drain(&mut self, side: Side, read: bool) -> bool {
        let now = self.now;
        match side {
            Side::Client => self.client.handle_timeout(now),
            Side::Server => self.server.handle_timeout(now),
        }
        let mut rounds = 0;
        while self.poll_output(side, 65_536) | self.poll_event(side) | (read && self.recv(side)) {
            rounds += 1;
            assert!(rounds < PATIENCE, "{side:?} does not run dry");
        }
        let timeout = match side {
            Side::Client => self.client.timeout(),
            Side::Server => self.server.timeout(),
        };
        if self.wires.iter().all(|wire| !wire.ends[side as usize].blocked) {
            assert!(timeout.is_none_or(|at| at > now), "{side:?} ran dry at {now:?}, but wants to be called at {timeout:?}");
        }
        rounds > 0
    }

    /// Connects, delivers and polls until nothing moves.
    pub fn exchange(&mut self, read: bool) {
        let mut rounds = 0;
        loop {
            let mut moved = false;
            for side in Side::BOTH {
                moved |= self.drain(side, read);
            }
            for wire in 0..self.wires.len() {
                if !self.wires[wire].up && self.wires[wire].ends[0].link.is_some() {
                    self.connect(wire);
                    moved = true;
                }
                for side in Side::BOTH {
                    moved |= self.deliver(wire, side, usize::MAX);
                }
            }
            if !moved {
                break;
            }
            rounds += 1;
            assert!(rounds < PATIENCE, "the ends do not come to rest");
        }
        self.wires.retain(|wire| wire.ends.iter().any(|end| end.link.is_some()) || !wire.tape.is_empty());
    }

    /// G4: memory is bounded, whatever happens.
    pub fn check_bounds(&mut self) {
        let mut stats = [Some(self.client.stats()), None];
        stats[1] = self.id.and_then(|id| self.server.session(id)).map(|session| session.stats());
        for (stats, limits) in stats.iter().zip(&self.limits) {
            let Some(stats) = stats else { continue };
            assert!(stats.unacked_messages <= u64::from(limits.unacked_messages), "{stats:?}");
            assert!(stats.unacked_bytes <= u64::from(limits.unacked_bytes), "{stats:?}");
        }
        assert!(self.server.sessions() <= 1, "one client, {} sessions", self.server.sessions());
        assert!(self.server.detached() <= self.server.sessions());
    }

    /// The next moment at which an end wants to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        [self.client.timeout(), self.server.timeout()].into_iter().flatten().min()
    }

    /// Whether any end still has a link.
    pub fn has_links(&self, side: Side) -> bool {
        self.wires.iter().any(|wire| wire.ends[side as usize].link.is_some())
    }
}
