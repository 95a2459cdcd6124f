//! Sessions, endpoints, applications and the network between them, driven by one clock and one seed.
//!
//! ```text
//!   application (flow, life)      application
//!        |                             |
//!     Session  --- host (drive) ---  Endpoint        drive: polls in any order, checks the contract
//!        |                             |
//!        +---------- net --------------+             net: fates, delays, cuts
//!                     |
//!                  hostile                           garbage, replays, copies, impostors
//! ```

pub(crate) mod app;
mod drive;
mod ends;
mod hostile;
mod run;
mod watch;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use unbroken::{
    ClientConfig, ClusterKey, Endpoint, Instant, LinkId, NetworkEvent, Router, Seed, ServerConfig, ServerKey, Session,
    SessionId, Shard,
};

use crate::absence::Absence;
use crate::clock::Queue;
use crate::fate::{Fate, Side};
use crate::flow::{Flow, Reader, Writer};
use crate::life::Life;
use crate::net::{ConnId, Net, NetEvent};
use crate::options::Options;
use crate::rng::Rng;
use crate::trace::{Trace, Who};

pub use drive::Only;
pub use hostile::Tape;
pub use run::Totals;
pub use watch::Watch;

/// What is to happen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    Net(NetEvent),
    /// A timer of a node; void if the node has set another since.
    Wake(Node, u64),
    /// The application of conversation `.0` writes.
    Write(usize, Side),
    /// ... reads, if it is one of the slow ones.
    Read(usize, Side),
    Verdict(usize),
    AnswerResume(usize),
    Retry(usize),
    Network(usize, NetworkEvent),
    /// Somebody without keys tries something.
    Hostile,
    /// The next bytes of a scripted connection.
    Play(ConnId),
    /// One end of conversation `.0` ends it.
    End(usize),
    /// All links die.
    Kill,
}

impl From<NetEvent> for Event {
    fn from(event: NetEvent) -> Self {
        Event::Net(event)
    }
}

/// Something with timers and links.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Node {
    Client(usize),
    Server(usize),
}

impl From<Node> for Who {
    fn from(node: Node) -> Who {
        match node {
            Node::Client(i) => Who::Client(i),
            Node::Server(i) => Who::Server(i),
        }
    }
}

/// What the host of a node keeps beside the core.
#[derive(Debug, Default)]
pub struct Host {
    pub links: BTreeMap<LinkId, ConnId>,
    pub blocked: BTreeSet<LinkId>,
    used: BTreeSet<LinkId>,
    wake: Option<(Instant, u64)>,
    serial: u64,
    /// Wake-ups since time moved.
    spins: (Instant, u32),
}

impl Host {
    /// Sets the timer; says what to queue if it was not set to that.
    pub(crate) fn arm(&mut self, timeout: Option<Instant>, now: Instant) -> Option<(Instant, u64)> {
        let Some(timeout) = timeout.filter(|t| *t != Instant::FAR_FUTURE) else {
            self.wake = None;
            return None;
        };
        let at = timeout.max(now);
        if self.wake.is_some_and(|(set, _)| set == at) {
            return None;
        }
        self.serial += 1;
        self.wake = Some((at, self.serial));
        self.wake
    }

    /// Whether this is the timer that is set. It is over then.
    pub(crate) fn wakes(&mut self, serial: u64, now: Instant) -> bool {
        if self.wake.is_none_or(|(_, s)| s != serial) {
            return false;
        }
        self.wake = None;
        self.spins = if self.spins.0 == now {
            (now, self.spins.1 + 1)
        } else {
            (now, 0)
        };
        assert!(self.spins.1 <= 1000, "wants to be woken again and again at {now:?}");
        true
    }
}

/// One end of a conversation, as its application sees it.
#[derive(Debug)]
pub struct Talk {
    pub life: Life,
    pub writer: Writer,
    pub reader: Reader,
    /// A tick of the slow reader is under way.
    reading: bool,
}

pub struct ClientNode {
    pub session: Session,
    pub host: Host,
    pub talk: Talk,
    /// Since when there is no link that carries, as the test sees it.
    pub links_opened: u64,
    pub welcome: Option<Vec<u8>>,
    /// It is not let in, and told this code.
    pub refusal: Option<u32>,
    pub watch: Watch,
}

pub struct ServerNode {
    pub endpoint: Endpoint,
    pub host: Host,
}

/// The server's half of a conversation.
pub struct Seat {
    pub server: usize,
    pub id: Option<SessionId>,
    pub talk: Talk,
    pub absence: Absence,
    pub asked: bool,
    pub verdict: bool,
    /// When the verdict was no.
    pub dismissed_at: Option<Instant>,
    /// It was not to resume.
    pub vetoed: Option<u32>,
    /// Its application has begun to speak.
    writing: bool,
    /// This end's application asked for the end.
    pub closed_by_app: Option<u32>,
}

impl Seat {
    fn new(talk: Talk) -> Self {
        Seat {
            server: 0,
            id: None,
            talk,
            absence: Absence::default(),
            asked: false,
            verdict: false,
            dismissed_at: None,
            vetoed: None,
            writing: false,
            closed_by_app: None,
        }
    }
}

impl Talk {
    /// One end of conversation `i`, before the first word.
    fn new(seed: u64, options: &Options, i: usize, side: Side) -> Self {
        let flow = |to: Side| {
            let tag = ((i as u64) << 8 | (to as u64 + 1)).wrapping_mul(0x9e37_79b9);
            Flow::new(seed ^ tag, &options.app)
        };
        Talk {
            life: Life::default(),
            writer: Writer::new(flow(side.other()), options.app.messages[side as usize]),
            reader: Reader::new(flow(side)),
            reading: false,
        }
    }
}

/// Who is at the ends of a connection.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) client: ClientEnd,
    pub(crate) server: ServerEnd,
}

#[derive(Debug)]
pub(crate) enum ClientEnd {
    Session(usize, LinkId),
    /// Bytes to be played; what comes back is thrown away. Strict: nothing that it does may show.
    Script {
        bytes: VecDeque<(Duration, Vec<u8>)>,
        then_close: bool,
        strict: bool,
    },
}

#[derive(Debug)]
pub(crate) enum ServerEnd {
    /// Not yet given to an endpoint: the bytes so far.
    Router(Vec<u8>),
    Endpoint(usize, LinkId),
    Impostor,
}

pub struct World {
    pub options: Options,
    pub seed: u64,
    pub queue: Queue<Event>,
    pub net: Net,
    pub clients: Vec<ClientNode>,
    pub servers: Vec<ServerNode>,
    pub seats: Vec<Seat>,
    pub trace: Trace,
    pub tape: Tape,
    /// The fates of the next connections of sessions; when it is empty, chance takes over.
    pub script: VecDeque<Fate>,
    /// Faults are over.
    pub healed: bool,
    pub(crate) ends: BTreeMap<ConnId, Ends>,
    pub(crate) rng: Rng,
    pub(crate) fates: Rng,
    router: Option<Router>,
    server_config: Arc<ServerConfig>,
    client_configs: Vec<Arc<ClientConfig>>,
    buffer: Vec<u8>,
    /// Links that died under sessions by forged or changed bytes.
    pub poisoned: u64,
    /// Clients whose process is frozen: no timer of theirs fires.
    pub frozen: BTreeSet<usize>,
    /// Sessions at servers whose clients have started over.
    ghosts: BTreeSet<SessionId>,
    /// Conversations that were over before the end.
    pub ended_early: u64,
}

/// Where the server says that it can be reached itself.
const OWN: &str = "own:1";

/// The service's key in every simulation.
pub fn server_key() -> ServerKey {
    ServerKey::from_bytes([0x51; 32]).unwrap()
}

/// The cluster's key in every simulation.
pub fn cluster_key() -> ClusterKey {
    ClusterKey::from_bytes([0xc1; 32]).unwrap()
}

impl World {
    /// Everybody there, nobody connected: the sessions' first wish is queued.
    pub fn new(options: Options, seed: u64) -> Self {
        let root = Rng::new(seed);
        let (mut keys, mut doors) = (root.fork("keys"), root.fork("doors"));
        let start = Instant::from_micros(root.fork("start").log_range(0..=1 << 50));
        let server_config = ServerConfig::builder(server_key(), cluster_key())
            .realm(&b"sim"[..])
            .limits(options.server_limits.clone())
            .timing(options.timing.clone())
            .authorise_all(!options.app.authorise)
            .ask_on_resume(options.app.ask_on_resume)
            .address(if options.net.own_address.is_some() { OWN } else { "" })
            .build()
            .unwrap();
        let servers = (0..options.shards)
            .map(|index| {
                let config = server_config
                    .for_shard(Shard {
                        index,
                        count: options.shards,
                    })
                    .unwrap();
                let endpoint = Endpoint::new(Arc::new(config), Seed::new(keys.key()), start);
                ServerNode {
                    endpoint,
                    host: Host::default(),
                }
            })
            .collect();
        let client_configs: Vec<_> = (0..options.clients)
            .map(|i| {
                let config = ClientConfig::builder(server_key().public())
                    .realm(&b"sim"[..])
                    .credential(format!("client {i}"))
                    .limits(options.client_limits.clone())
                    .timing(options.timing.clone())
                    .backoff(options.backoff.clone())
                    .build();
                Arc::new(config.unwrap())
            })
            .collect();
        let clients = (0..options.clients)
            .map(|i| ClientNode {
                session: Session::connect(client_configs[i].clone(), Seed::new(keys.key()), start),
                host: Host::default(),
                talk: Talk::new(seed, &options, i, Side::Client),
                links_opened: 0,
                welcome: None,
                refusal: (options.app.authorise && doors.permille(options.app.refused))
                    .then(|| doors.below(1000) as u32),
                watch: Watch::default(),
            })
            .collect();
        let seats = (0..options.clients)
            .map(|i| Seat::new(Talk::new(seed, &options, i, Side::Server)))
            .collect();
        let mut world = World {
            queue: Queue::new(start),
            net: Net::new(options.net.clone(), root.fork("net")),
            clients,
            servers,
            seats,
            trace: Trace::new(options.trace),
            tape: Tape::default(),
            script: VecDeque::new(),
            healed: false,
            ends: BTreeMap::new(),
            rng: root.fork("world"),
            fates: root.fork("fates"),
            router: (options.shards > 1).then(|| Router::new(&cluster_key(), options.shards)),
            server_config: Arc::new(server_config),
            client_configs,
            buffer: vec![0; options.host.buffer],
            poisoned: 0,
            ghosts: BTreeSet::new(),
            frozen: BTreeSet::new(),
            ended_early: 0,
            options,
            seed,
        };
        for i in 0..world.clients.len() {
            world.rearm(Node::Client(i));
            world.queue.at(start, Event::Write(i, Side::Client));
            world.start_reading(i, Side::Client);
        }
        (0..world.servers.len()).for_each(|j| world.rearm(Node::Server(j)));
        world
    }

    pub fn now(&self) -> Instant {
        self.queue.now()
    }

    /// The configuration of client `i`.
    pub fn client_config(&self, i: usize) -> Arc<ClientConfig> {
        self.client_configs[i].clone()
    }

    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.server_config.clone()
    }

    /// A violation: everything needed to see it again.
    pub fn fail(&self, what: impl core::fmt::Display) -> ! {
        panic!("{what}");
    }

    /// Takes the next event, if it is not later than `until`; else time stops there.
    pub fn step(&mut self, until: Instant) -> bool {
        if self.queue.next().is_none_or(|next| next > until) {
            self.queue.advance(until);
            return false;
        }
        match self.queue.pop().unwrap() {
            Event::Net(event) => self.on_net(event),
            Event::Wake(node, serial) => self.on_wake(node, serial),
            Event::Write(i, side) => self.on_write(i, side),
            Event::Read(i, side) => self.on_read(i, side),
            Event::Verdict(i) => self.on_verdict(i),
            Event::AnswerResume(i) => self.on_answer_resume(i),
            Event::Retry(i) => self.on_retry(i),
            Event::Network(i, event) => self.on_network(i, event),
            Event::End(i) => self.on_end(i),
            Event::Hostile => self.on_hostile(),
            Event::Play(conn) => self.on_play(conn),
            Event::Kill => self.kill_all(),
        }
        true
    }

    pub fn run_until(&mut self, until: Instant) {
        while self.step(until) {}
    }

    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now() + time);
    }

    /// Runs until the condition holds; fails if it does not in time.
    pub fn run_to(&mut self, what: &str, patience: Duration, mut done: impl FnMut(&World) -> bool) {
        let until = self.now() + patience;
        while !done(self) {
            if !self.step(until) {
                self.fail(format_args!(
                    "liveness: {what} did not happen within {patience:?}; {}",
                    self.where_we_are()
                ));
            }
        }
    }

    /// Every connection that is up dies, seen by both ends.
    pub fn kill_all(&mut self) {
        let conns: Vec<ConnId> = self.ends.keys().copied().collect();
        conns.into_iter().for_each(|conn| self.net.kill(conn, &mut self.queue));
    }

    /// A word on each conversation that is not over.
    pub fn where_we_are(&self) -> String {
        let mut text = String::new();
        for (i, (client, seat)) in self.clients.iter().zip(&self.seats).enumerate() {
            let (c, s) = (&client.talk, &seat.talk);
            let over = c.life.closed.is_some() && s.life.closed.is_some();
            if over || self.clients.len() > 1 && client.talk.life.disconnected.is_none() && self.is_settled(i) {
                continue;
            }
            text += &format!(
                "\n  conversation {i}: client {:?}, {} links, sent {}/{}{}, received {}, {:?}, {:?}\n    server {}: {:?}, sent {}/{}{}, received {}, {:?}",
                client.session.state(),
                client.host.links.len(),
                c.writer.sent,
                c.writer.total,
                if c.writer.blocked { " (blocked)" } else { "" },
                c.reader.received,
                client.session.stats(),
                c.life,
                seat.server,
                seat.id,
                s.writer.sent,
                s.writer.total,
                if s.writer.blocked { " (blocked)" } else { "" },
                s.reader.received,
                s.life,
            );
        }
        text
    }
}
