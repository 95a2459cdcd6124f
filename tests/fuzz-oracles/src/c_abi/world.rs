//! Who there is, the steps of a program, and how it ends: with a network that works.

use std::collections::{HashMap, HashSet};

use unbroken_c_calls::abi::unbroken_close::{self, *};
use unbroken_c_calls::abi::unbroken_state::*;
use unbroken_c_calls::{Calls, ClientConfig, Data, Group, Handle, Keys, Kind, ServerConfig, Shape};

use super::apps::{App, Talk};
use super::program::{Leave, Program, Side, Step};
use super::store::{Mode, Store};
use super::wires::Wire;

const SECRET: [u8; 32] = [0x51; 32];
const CLUSTER: [u8; 32] = [0xc1; 32];
/// A host's buffer where the program says nothing of it. What is written into it is judged byte by byte, so it is not larger than it must be.
const ROOM: usize = 4096;
/// The most messages one end sends.
pub(super) const MESSAGES: u64 = 600;

/// A client's session, and its application.
pub(super) struct Client {
    pub handle: Handle,
    pub id: Option<[u8; 16]>,
    pub talk: Talk,
    pub closed: bool,
}

pub(super) struct Server {
    pub handle: Handle,
    pub alive: bool,
}

/// What a run came to.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    pub received: [u64; 2],
    pub handovers: u64,
    pub restored: u64,
    pub mail: u64,
    pub closed: u64,
    pub events: HashSet<i32>,
}

pub(super) struct World {
    pub calls: Calls,
    pub now: u64,
    pub clients: Vec<Client>,
    pub servers: Vec<Server>,
    pub freed: Vec<Handle>,
    /// The applications of sessions, by server and id.
    pub apps: HashMap<(usize, [u8; 16]), App>,
    pub store: Store,
    pub lengths: [usize; 4],
    pub deeds: Deeds,
    pub durability: i32,
    /// Why a session may end, by what the program did: `unbroken_close`.
    pub explained: HashSet<i32>,
    pub loopback: Option<Handle>,
    pub wires: Vec<Wire>,
    /// Names of links that servers were given.
    pub links: u64,
    seeds: u8,
    /// Where new connections go, and whether they fail.
    pub at: usize,
    pub refuse: bool,
    limits: [Group; 2],
    authorise_all: bool,
    ask_on_resume: bool,
}

impl World {
    pub fn new(program: &Program) -> World {
        let limits = [program.client.limits(), program.server.limits()];
        let most = limits.iter().map(|limits| limits.message as usize).min().unwrap_or(0);
        let flags = program.flags;
        let mut world = World {
            calls: Calls::new(),
            now: 1_000_000_000,
            clients: Vec::new(),
            servers: Vec::new(),
            freed: Vec::new(),
            apps: HashMap::new(),
            store: Store::default(),
            lengths: program.lengths.map(|length| usize::from(length) % (most + 1)),
            deeds: Deeds::default(),
            durability: (flags.durability % 3).into(),
            explained: HashSet::new(),
            loopback: None,
            wires: Vec::new(),
            links: 0,
            seeds: 0,
            at: 0,
            refuse: false,
            limits: limits.map(|limits| Group {
                shape: Shape::default(),
                set: vec![
                    (0, limits.message),
                    (1, limits.unacked_bytes),
                    (2, limits.unacked_messages),
                    (3, limits.window_bytes),
                    (4, limits.window_messages),
                    (5, limits.unreliable_bytes),
                    // A snapshot holds what is not ACKed, and more.
                    (12, 4 << 20),
                ],
            }),
            authorise_all: flags.authorise_all,
            ask_on_resume: flags.ask_on_resume,
        };
        let number = if flags.loopback { 1 } else { 2 };
        for who in 0..number {
            let handle = world.new_server();
            world.servers.push(Server { handle, alive: true });
            // Who is let in without a word cannot be told apart.
            if who == 0 || !flags.authorise_all {
                let client = world.new_client(who);
                world.clients.push(client);
            }
        }
        if flags.loopback {
            world.join();
        }
        world
    }

    fn seed(&mut self) -> Option<[u8; 32]> {
        self.seeds = self.seeds.wrapping_add(1);
        Some([self.seeds.max(1); 32])
    }

    fn new_client(&mut self, who: usize) -> Client {
        let pin = self.calls.public_key(Some(SECRET)).1.expect("it is a key");
        let credential = [b't', who as u8];
        let config = ClientConfig {
            shape: Shape::default(),
            pins: Keys {
                count: 1,
                bytes: Some(&pin),
            },
            realm: Data::Bytes(b"c-fuzz"),
            credential: Data::Bytes(&credential),
            limits: Some(self.limits[0].clone()),
            timing: None,
            backoff: None,
        };
        let seed = self.seed();
        let (status, handle) = self.calls.session_connect(&config, seed, self.now);
        let handle = handle.unwrap_or_else(|| panic!("no session: {status}"));
        Client {
            handle,
            id: None,
            talk: Talk::default(),
            closed: false,
        }
    }

    fn new_server(&mut self) -> Handle {
        let config = ServerConfig {
            shape: Shape::default(),
            keys: Keys {
                count: 1,
                bytes: Some(&SECRET),
            },
            cluster_key: Some(CLUSTER),
            older: Keys { count: 0, bytes: None },
            realm: Data::Bytes(b"c-fuzz"),
            address: Data::Null(0),
            limits: Some(self.limits[1].clone()),
            timing: None,
            authorise_all: self.authorise_all,
            ask_on_resume: self.ask_on_resume,
            shard: (0, 1),
            durability: self.durability,
        };
        let seed = self.seed();
        let (status, handle) = self.calls.endpoint_new(&config, seed, self.now);
        handle.unwrap_or_else(|| panic!("no endpoint: {status}"))
    }

    /// The one client and the one server get a loopback.
    fn join(&mut self) {
        let (status, handle) = self.calls.loopback_new(self.clients[0].handle, self.servers[0].handle);
        assert_eq!(status < 0, !self.servers[0].alive, "they can be joined if both live");
        self.loopback = handle;
    }

    fn unjoin(&mut self) {
        if let Some(loopback) = self.loopback.take() {
            let ends = [self.clients[0].handle, self.servers[0].handle];
            if ends.iter().all(|end| self.calls.is_alive(*end)) {
                self.calls.loopback_cut(loopback, ends, self.now);
            }
            assert_eq!(self.calls.free(Kind::Loopback, loopback), 0);
            self.freed.push(loopback);
        }
    }

    /// A living thing of a kind.
    pub(super) fn some(&self, kind: Kind, which: u8) -> Option<Handle> {
        let which = usize::from(which / 5);
        match kind {
            Kind::Session => Some(self.clients[which % self.clients.len()].handle),
            Kind::Endpoint => Some(&self.servers[which % self.servers.len()])
                .filter(|server| server.alive)
                .map(|server| server.handle),
            Kind::Loopback => self.loopback,
        }
    }

    pub(super) fn client(&self, who: u8) -> usize {
        usize::from(who) % self.clients.len()
    }

    pub(super) fn server(&self, which: u8) -> usize {
        usize::from(which) % self.servers.len()
    }

    pub fn run(&mut self, step: &Step) {
        self.explained
            .extend(explains(step).iter().map(|reason| *reason as i32));
        match *step {
            Step::Send { side, who, count } => (0..=count % 32).for_each(|i| self.send(side, who, i % 2 == 0)),
            Step::SendUnreliable { side, who, size } => self.send_unreliable(side, who, size),
            Step::Recv { side, who, count } => {
                (0..count).take_while(|_| self.recv(side, who)).count();
            }
            Step::Exchange => self.exchange(),
            Step::Poll { side, who, count, room } => {
                for _ in 0..count % 8 {
                    self.poll(side, who, usize::from(room % 2048));
                }
            }
            Step::Deliver { wire, to, bytes } => self.deliver(wire, to, bytes.into()),
            Step::Cut {
                wire,
                tell_client,
                tell_server,
            } => self.cut(wire, [tell_client, tell_server]),
            Step::Network { refuse, server } => {
                (self.refuse, self.at) = (refuse, self.server(server));
                if let Some(loopback) = self.loopback {
                    self.calls.loopback_refuse(loopback, refuse.into());
                }
            }
            Step::Advance { ms, shift } => self.now += u64::from(ms) << (shift % 5) << 10,
            Step::Block { wire, side, blocked } => self.block(wire, side, blocked),
            Step::Hint { who, event, network } => {
                let handle = self.clients[self.client(who)].handle;
                let status = self
                    .calls
                    .session_network(handle, event.into(), network.into(), self.now);
                assert_eq!(status < 0, !(1..=5).contains(&event), "event {event} gives {status}");
            }
            Step::Leave { who, how, code } => self.leave(who, how, code),
            Step::Served {
                server,
                who,
                verb,
                number,
            } => self.served(server, who, verb, number),
            Step::Server { server, verb, number } => self.of_server(server, verb, number),
            Step::Crash { server, again } => self.crash(server, again),
            Step::Store { mode } => self.store.mode = Mode::of(mode),
            Step::Reply {
                server,
                request,
                ref reply,
            } => self.odd_reply(server, request, reply),
            Step::Mail { who, size } => self.mail(who, size),
            Step::Wrong {
                verb,
                target,
                flaws,
                size,
            } => self.wrong(verb, target, flaws, size),
            Step::Config { ref what } => self.odd_config(what),
            Step::Library {
                verb,
                flaw,
                size,
                bytes,
            } => self.library(verb, flaw, size, bytes),
            Step::Ask { side, who, size } => self.ask(side, who, size),
        }
    }

    fn leave(&mut self, who: u8, how: Leave, code: u8) {
        let who = self.client(who);
        let handle = self.clients[who].handle;
        match how {
            Leave::Disconnect => _ = self.calls.session_disconnect(handle, code.into()),
            Leave::Retry => _ = self.calls.session_retry(handle, self.now),
            Leave::Free => {
                // Before the loopback that it is in, or after it.
                let late = code.is_multiple_of(2);
                if late {
                    self.unjoin();
                }
                assert_eq!(self.calls.free(Kind::Session, handle), 0);
                if !late && let Some(loopback) = self.loopback {
                    let ends = [handle, self.servers[0].handle];
                    assert!(
                        self.calls.loopback_step(loopback, ends, self.now) < 0,
                        "a step without a session"
                    );
                }
                self.freed.push(handle);
                let was_joined = self.servers.len() == 1;
                self.unjoin();
                self.hang_up(handle);
                self.clients[who] = self.new_client(who);
                if was_joined {
                    self.join();
                }
            }
            Leave::Rejoin if self.servers.len() == 1 => {
                self.unjoin();
                self.join();
            }
            Leave::Rejoin => {}
        }
    }

    /// A server process ends without a word; another one takes its place at once, or when somebody is needed.
    fn crash(&mut self, which: u8, again: bool) {
        let which = self.server(which);
        let handle = self.servers[which].handle;
        if self.servers[which].alive {
            self.unjoin();
            assert_eq!(self.calls.free(Kind::Endpoint, handle), 0);
            self.freed.push(handle);
            self.apps.retain(|(server, _), _| *server != which);
            self.servers[which].alive = false;
            self.hang_up(handle);
        }
        if again {
            self.servers[which] = Server {
                handle: self.new_server(),
                alive: true,
            };
            if self.servers.len() == 1 {
                self.join();
            }
        }
    }

    /// Everything moves until nothing does.
    pub fn exchange(&mut self) {
        let mut rounds = 0;
        while self.round() {
            rounds += 1;
            assert!(rounds < 5000, "the ends do not come to rest");
        }
    }

    fn round(&mut self) -> bool {
        let mut any = false;
        if let Some(loopback) = self.loopback {
            let ends = [self.clients[0].handle, self.servers[0].handle];
            any |= self.calls.loopback_step(loopback, ends, self.now) == 0;
        }
        for who in 0..self.clients.len() as u8 {
            self.calls
                .session_timeout(self.clients[self.client(who)].handle, self.now);
            while self.poll(Side::Client, who, ROOM) {
                any = true;
            }
        }
        for which in 0..self.servers.len() as u8 {
            let server = &self.servers[self.server(which)];
            if server.alive {
                self.calls.endpoint_timeout(server.handle, self.now);
            }
            any |= self.stored(which);
            while self.poll(Side::Server, which, ROOM) {
                any = true;
            }
        }
        for wire in 0..self.wires.len() {
            for side in 0..2 {
                any |= self.arrive(wire, side, usize::MAX);
                let (handle, link) = [self.wires[wire].client, self.wires[wire].server][side];
                if !self.wires[wire].gone[side] {
                    self.block_end(side, handle, link, false);
                }
            }
        }
        self.wires.retain(|wire| wire.gone != [true; 2]);
        any |= self.store.answer(&mut self.calls, self.now);
        for who in 0..self.clients.len() as u8 {
            any |= self.client_events(who);
            while self.recv(Side::Client, who) {
                any = true;
            }
        }
        for which in 0..self.servers.len() as u8 {
            any |= self.server_events(which);
        }
        for who in 0..self.clients.len() as u8 {
            while self.recv(Side::Server, who) {
                any = true;
            }
        }
        any
    }

    /// The network and the store work, there is a server, and time passes: what was sent arrives, unless the session ended.
    pub fn heal(&mut self) {
        (self.refuse, self.store.mode) = (false, Mode::Works);
        if let Some(loopback) = self.loopback {
            self.calls.loopback_refuse(loopback, 0);
        }
        for which in 0..self.servers.len() as u8 {
            let server = &self.servers[self.server(which)];
            match server.alive {
                true => _ = self.calls.endpoint_stay(server.handle),
                false => self.crash(which, true),
            }
        }
        for who in 0..self.clients.len() {
            // It may have been told to be quiet.
            let wake = self.calls.session_network(self.clients[who].handle, 5, 0, self.now);
            assert_eq!(wake, 0);
        }
        // Wires of which an end was not told are silent: they break now.
        while !self.wires.is_empty() {
            self.cut(0, [true; 2]);
        }
        let end = self.now + 400_000_000;
        for _ in 0..1500 {
            // It may have given up.
            for client in &self.clients {
                if self.calls.session_state(client.handle).1 == Some(UNBROKEN_STATE_NONE as i32) {
                    self.calls.session_retry(client.handle, self.now);
                }
            }
            self.exchange();
            if self.now >= end || self.is_at_rest() {
                break;
            }
            let mut deadlines: Vec<u64> = self.store.deadline().into_iter().collect();
            for client in &self.clients {
                deadlines.extend(self.calls.session_deadline(client.handle).1);
            }
            for server in &self.servers {
                deadlines.extend(self.calls.endpoint_deadline(server.handle).1);
            }
            let next = deadlines.into_iter().min().unwrap_or(self.now + 1_000_000);
            self.now = next.clamp(self.now + 1, end);
        }
        for who in 0..self.clients.len() {
            assert!(self.has_all(who), "client {who}: not all has arrived");
        }
    }

    fn is_at_rest(&mut self) -> bool {
        (0..self.clients.len()).all(|who| self.has_all(who))
    }

    pub fn finish(self) -> Deeds {
        self.calls.finish();
        self.deeds
    }
}

/// The ends that a step can lead to. What no step explains (a broken invariant, a bound, another version) is a finding.
fn explains(step: &Step) -> &'static [unbroken_close] {
    const GONE: &[unbroken_close] = &[
        UNBROKEN_CLOSE_EXPIRED,
        UNBROKEN_CLOSE_UNKNOWN_SESSION,
        UNBROKEN_CLOSE_OWNER_CRASHED,
        UNBROKEN_CLOSE_ROLLED_BACK,
    ];
    match step {
        Step::Leave { .. } => &[UNBROKEN_CLOSE_LOCAL],
        Step::Served { verb, .. } => match verb % 8 {
            0 => &[UNBROKEN_CLOSE_PEER],
            1 | 5 => &[UNBROKEN_CLOSE_KICKED],
            6 => &[UNBROKEN_CLOSE_REFUSED],
            _ => &[],
        },
        // Another server than the one that has the session, or none for some time.
        Step::Network { .. } | Step::Advance { .. } | Step::Crash { .. } | Step::Store { .. } => GONE,
        Step::Block { .. } | Step::Hint { .. } | Step::Server { .. } => GONE,
        _ => &[],
    }
}
