//! The two ends, the connections between them, and the steps of a program.

use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

use unbroken::{Endpoint, Instant, Limits, LinkId, NetworkEvent, NetworkId, Session, SessionId, State};

use super::program::{Program, Side, Step};
use crate::host::{self, Poll};
use crate::life::Life;

/// Most bytes of a first flight kept for a replay.
pub const TAPE: usize = 20_000;
/// Most messages one end sends in a run.
pub const MESSAGES: usize = 4000;
/// Polls until an end must have run dry, deliveries until both must be quiet.
const PATIENCE: u32 = 20_000;

/// One connection.
pub struct Wire {
    pub up: bool,
    pub stalled: bool,
    /// By the end's side: its name of the link, whether it still has it, bytes on the way to it, whether its peer has closed.
    pub ends: [WireEnd; 2],
    pub tape: Vec<u8>,
}

#[derive(Default)]
pub struct WireEnd {
    pub link: Option<LinkId>,
    pub bytes: VecDeque<u8>,
    pub fin: bool,
    pub blocked: bool,
}

/// One end's application.
#[derive(Default)]
pub struct Talk {
    pub life: Life,
    /// Lengths of the reliable messages sent.
    pub sent: Vec<usize>,
    pub received: usize,
    pub unreliable: Vec<usize>,
    pub unreliable_seen: BTreeSet<u32>,
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
    pub next_link: u64,
    pub buffer: Vec<u8>,
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

    pub fn talk_mut(&mut self, side: Side) -> &mut Talk {
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
                (0..count % 16)
                    .take_while(|_| self.poll_output(side, size) | self.poll_event(side))
                    .count();
            }
            Step::Deliver { to, which, bytes } => {
                if let Some(wire) = self.wire(which) {
                    self.deliver(wire, to, bytes.into());
                }
            }
            Step::Connect { which, works } => {
                if let Some(wire) = self.wire(which).filter(|wire| !self.wires[*wire].up) {
                    if works {
                        self.connect(wire)
                    } else {
                        self.cut(wire, true, true)
                    }
                }
            }
            Step::Cut {
                which,
                tell_client,
                tell_server,
            } => {
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
            Step::Refuse {
                which,
                code,
                retry_ms,
                min,
                max,
            } => self.refuse(which, code, retry_ms, min, max),
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
            assert!(
                timeout.is_none_or(|at| at > now),
                "{side:?} ran dry at {now:?}, but wants to be called at {timeout:?}"
            );
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
        self.wires
            .retain(|wire| wire.ends.iter().any(|end| end.link.is_some()) || !wire.tape.is_empty());
    }

    /// G4: memory is bounded, whatever happens.
    pub fn check_bounds(&mut self) {
        let mut stats = [Some(self.client.stats()), None];
        stats[1] = self
            .id
            .and_then(|id| self.server.session(id))
            .map(|session| session.stats());
        for (stats, limits) in stats.iter().zip(&self.limits) {
            let Some(stats) = stats else { continue };
            assert!(
                stats.unacked_messages <= u64::from(limits.unacked_messages),
                "{stats:?}"
            );
            assert!(stats.unacked_bytes <= u64::from(limits.unacked_bytes), "{stats:?}");
        }
        assert!(
            self.server.sessions() <= 1,
            "one client, {} sessions",
            self.server.sessions()
        );
        assert!(self.server.detached() <= self.server.sessions());
    }

    /// The next moment at which an end wants to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        [self.client.timeout(), self.server.timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether any end still has a link.
    pub fn has_links(&self, side: Side) -> bool {
        self.wires.iter().any(|wire| wire.ends[side as usize].link.is_some())
    }
}
