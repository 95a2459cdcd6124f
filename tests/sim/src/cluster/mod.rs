//! Several server processes that share one store, and clients whose connections a balancer gives to any of them.
//!
//! ```text
//!   client ── Session ── host ──┐ net ┌── balancer ── process ── Endpoint ── application, which has a state
//!   client ── Session ── host ──┘     └── balancer ── process ── Endpoint ── application       │
//!                                                        └──────── desk ────────────► store ◄──┘
//! ```
//!
//! | file | what |
//! |---|---|
//! | `store` | the store, as it should be |
//! | `desk` | what may become of a request on its way there and back |
//! | `host` | connections, timers, polling |
//! | `app` | what the applications know |
//! | `clients`, `servers` | what they do, and what is checked of what they are given |
//! | `ends` | ends before their time: who makes them, and that they hold |
//! | `users` | one session for each user |
//! | `watch` | what must be true of a process at any time |
//! | `accidents` | crashes, sleepers, restarts, a store that is down, forgets, or tells nonsense |
//! | `run` | a whole run |

mod accidents;
mod app;
mod clients;
mod desk;
mod ends;
mod host;
mod options;
mod run;
mod servers;
mod store;
mod users;
mod watch;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use unbroken::{
    ClientConfig, Endpoint, Instant, LinkId, Owner, RequestId, Seed, ServerConfig, Session, SessionId, StoreKey,
    StoreReply,
};

use crate::clock::Queue;
use crate::fate::Fate;
use crate::flow::Flow;
use crate::net::{ConnId, Net, NetEvent, Notice};
use crate::rng::Rng;
use crate::trace::{Trace, Who};
use crate::world::{Host, cluster_key, server_key};

pub use accidents::Accident;
pub use app::{App, Excuses, Talk};
pub use desk::{Request, Step, StoreFate, store_key};
pub use options::{Accidents, Apps, ClusterOptions, StoreFaults};
pub use store::Store;
pub use watch::{Watch, check_counters};

/// A process in its place among the servers, and which it is in the row of those that were there. One that was restarted is another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct At {
    pub process: usize,
    pub life: u64,
}

/// What is to happen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    Net(NetEvent),
    /// What a sleeper learns of its connections when it wakes.
    Notice(Notice),
    WakeClient(usize, u64),
    WakeProcess(At, u64),
    /// The client's application writes.
    ClientWrites(usize),
    /// Those at the servers do.
    ServersWrite(usize),
    /// A message from a server to a session.
    Post(usize),
    Verdict(At, SessionId),
    /// The application of a session says whose it is.
    Bind(usize),
    /// One end of a conversation ends it.
    End(usize),
    /// A request reaches the store.
    Store(Box<Request>),
    /// ... is answered, after which its process may die.
    Reply(At, RequestId, StoreReply, bool),
    NoNotes(Owner, At, RequestId),
    Crash(At),
    Wake(At),
    Retire(At),
    /// A retiring process looks how far it is.
    Leaving(At, u32),
    StoreUp,
    Mend(StoreKey),
    Accident(Accident),
}

impl From<NetEvent> for Event {
    fn from(event: NetEvent) -> Self {
        Event::Net(event)
    }
}

/// One server process.
pub struct Process {
    pub life: u64,
    pub endpoint: Endpoint,
    pub host: Host,
    pub apps: BTreeMap<SessionId, App>,
    /// It sleeps: what happens to it meanwhile.
    pub asleep: Option<Vec<Event>>,
    pub retiring: bool,
    /// It slept, or the store did not answer it: its lease may be over.
    pub hampered: bool,
    pub watch: Watch,
}

/// How a store is when it is down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Down {
    /// It says so.
    Refuses,
    /// It says nothing.
    Silent,
    /// Now this, now that.
    Either,
}

/// A client's process.
pub struct ClientNode {
    pub session: Session,
    pub host: Host,
}

/// Who is at the ends of a connection.
#[derive(Debug)]
struct Ends {
    client: usize,
    link: LinkId,
    server: Option<At>,
}

/// What happened that a run is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub takeovers: u64,
    /// Of these: from a process that lived and was not leaving.
    pub asked: u64,
    /// ... from one that died.
    pub inherited: u64,
    pub fenced: u64,
    /// Sessions that began at a process when another had them already.
    pub begun_late: u64,
    pub crashes: u64,
    pub pauses: u64,
    pub retired: u64,
    pub requests: u64,
    pub store_faults: u64,
    /// Of these, at each [`Step`].
    pub faults_at: [u64; Step::ALL.len()],
    pub rollbacks: u64,
    pub spoilt: u64,
    /// Ends that were told, and had a reason.
    pub reported: u64,
    pub mail: u64,
    /// Sessions that were put out or closed by chance, perhaps over dead links.
    pub put_out: u64,
}

pub struct World {
    pub options: ClusterOptions,
    pub seed: u64,
    pub queue: Queue<Event>,
    pub net: Net,
    pub store: Store,
    pub clients: Vec<ClientNode>,
    pub processes: Vec<Process>,
    pub talks: Vec<Talk>,
    pub trace: Trace,
    pub counters: Counters,
    /// The fates of the next connections; when it is empty, chance takes over.
    pub script: VecDeque<Fate>,
    /// Where the balancer sends the next connections; then chance.
    pub routes: VecDeque<usize>,
    /// The fates of the next requests of such a step, by this process or any.
    pub store_script: Vec<(Option<usize>, Step, StoreFate)>,
    pub down: Option<Down>,
    /// Faults are over.
    pub healed: bool,
    /// The applications have nothing more to say.
    pub quiet: bool,
    ends: BTreeMap<ConnId, Ends>,
    key_free: BTreeMap<(At, StoreKey), Instant>,
    listening: BTreeMap<Owner, (At, RequestId)>,
    backups: VecDeque<(Instant, Store)>,
    ghosts: BTreeSet<SessionId>,
    rng: Rng,
    fates: Rng,
    keys: Rng,
    /// Each process has one of these ...
    server_configs: Vec<Arc<ServerConfig>>,
    /// ... which this draws.
    mixes: Rng,
    buffer: Vec<u8>,
}

impl World {
    /// Everybody there, nobody connected.
    pub fn new(options: ClusterOptions, seed: u64) -> Self {
        let root = Rng::new(seed);
        let mut keys = root.fork("keys");
        let start = Instant::from_micros(root.fork("start").log_range(0..=1 << 50));
        let configs = [&options.limits].into_iter().chain(&options.lesser).map(|limits| {
            let config = ServerConfig::builder(server_key(), cluster_key())
                .realm(&b"sim"[..])
                .limits(limits.clone())
                .timing(options.timing.clone())
                .durability(options.durability);
            Arc::new(config.build().unwrap())
        });
        let server_configs = configs.collect();
        let clients = (0..options.clients)
            .map(|i| {
                let config = ClientConfig::builder(server_key().public())
                    .realm(&b"sim"[..])
                    .credential(format!("client {i}"))
                    .limits(options.limits.clone())
                    .timing(options.timing.clone())
                    .backoff(options.backoff.clone())
                    .build()
                    .unwrap();
                ClientNode {
                    session: Session::connect(Arc::new(config), Seed::new(keys.key()), start),
                    host: Host::default(),
                }
            })
            .collect();
        let talks = (0..options.clients).map(|i| Talk::new(seed, &options, i)).collect();
        let mut world = World {
            queue: Queue::new(start),
            net: Net::new(options.net.clone(), root.fork("net")),
            store: Store::default(),
            clients,
            processes: Vec::new(),
            talks,
            trace: Trace::new(options.trace),
            counters: Counters::default(),
            script: VecDeque::new(),
            routes: VecDeque::new(),
            store_script: Vec::new(),
            down: None,
            healed: false,
            quiet: false,
            ends: BTreeMap::new(),
            key_free: BTreeMap::new(),
            listening: BTreeMap::new(),
            backups: VecDeque::new(),
            ghosts: BTreeSet::new(),
            rng: root.fork("world"),
            fates: root.fork("fates"),
            keys,
            server_configs,
            mixes: root.fork("mixes"),
            buffer: vec![0; 64 << 10],
            options,
            seed,
        };
        for p in 0..world.options.processes {
            let process = world.process(0);
            world.processes.push(process);
            world.after_process(p);
        }
        for i in 0..world.clients.len() {
            world.rearm_client(i);
            world.queue.at(start, Event::ClientWrites(i));
            world.queue.at(start, Event::ServersWrite(i));
            if world.options.apps.users > 0 {
                world.queue.at(start, Event::Bind(i));
            }
            if world.fates.permille(world.options.apps.ends) {
                let at = world.fates.duration(Duration::ZERO..=world.options.safety);
                world.queue.after(at, Event::End(i));
            }
            if !world.options.apps.mail.is_zero() {
                world.queue.at(start, Event::Post(i));
            }
        }
        world
    }

    fn process(&mut self, life: u64) -> Process {
        let seed = Seed::new(self.keys.key());
        let config = self.mixes.pick(&self.server_configs).clone();
        Process {
            life,
            endpoint: Endpoint::new(config, seed, self.queue.now()),
            host: Host::default(),
            apps: BTreeMap::new(),
            asleep: None,
            retiring: false,
            hampered: false,
            watch: Watch::default(),
        }
    }

    pub fn now(&self) -> Instant {
        self.queue.now()
    }

    /// The process that is there now.
    pub fn at(&self, process: usize) -> At {
        At {
            process,
            life: self.processes[process].life,
        }
    }

    pub fn is_there(&self, at: At) -> bool {
        self.processes[at.process].life == at.life
    }

    /// A violation: everything needed to see it again.
    pub fn fail(&self, what: impl core::fmt::Display) -> ! {
        panic!("{what}");
    }

    fn trace_at(&mut self, p: usize, what: &'static str, a: u64, b: u64) {
        self.trace.add(self.queue.now(), Who::Server(p), what, a, b);
    }

    /// Takes the next event, if it is not later than `until`; else time stops there.
    pub fn step(&mut self, until: Instant) -> bool {
        if self.queue.next().is_none_or(|next| next > until) {
            self.queue.advance(until);
            return false;
        }
        let event = self.queue.pop().unwrap();
        if let Some(at) = self.whose(&event)
            && self.is_there(at)
            && let Some(asleep) = &mut self.processes[at.process].asleep
        {
            asleep.push(event);
        } else {
            self.on_event(event);
        }
        true
    }

    /// The process that an event happens to, if it happens to one: if that sleeps, it has to wait.
    fn whose(&self, event: &Event) -> Option<At> {
        match event {
            Event::WakeProcess(at, _)
            | Event::Verdict(at, _)
            | Event::Reply(at, ..)
            | Event::Retire(at)
            | Event::Leaving(at, _) => Some(*at),
            _ => None,
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Net(event) => self.on_net(event),
            Event::Notice(notice) => self.late_notice(notice),
            Event::WakeClient(i, serial) => self.on_wake_client(i, serial),
            Event::WakeProcess(at, serial) => self.on_wake_process(at, serial),
            Event::ClientWrites(i) => self.on_client_writes(i),
            Event::ServersWrite(i) => self.on_servers_write(i),
            Event::Post(i) => self.on_post(i),
            Event::Verdict(at, id) => self.on_verdict(at, id),
            Event::Bind(i) => self.on_bind(i),
            Event::End(i) => self.on_end(i),
            Event::Store(request) => self.on_store(*request),
            Event::Reply(at, id, reply, dies) => self.on_reply(at, id, reply, dies),
            Event::NoNotes(owner, at, id) => self.on_no_notes(owner, at, id),
            Event::Crash(at) => self.crash(at),
            Event::Wake(at) => self.wake(at),
            Event::Retire(at) => self.retire(at),
            Event::Leaving(at, times) => self.on_leaving(at, times),
            Event::StoreUp => self.down = None,
            Event::Mend(key) => self.mend(&key),
            Event::Accident(accident) => self.on_accident(accident),
        }
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
    pub fn kill_links(&mut self) {
        let conns: Vec<ConnId> = self.ends.keys().copied().collect();
        conns.into_iter().for_each(|conn| self.net.kill(conn, &mut self.queue));
    }

    /// The links of a client die, and those of nobody else.
    pub fn kill_links_of(&mut self, i: usize) {
        for conn in self.conns_of(i) {
            self.net.kill(conn, &mut self.queue);
        }
    }

    fn conns_of(&self, i: usize) -> Vec<ConnId> {
        let his = self.ends.iter().filter(|(_, ends)| ends.client == i);
        his.map(|(conn, _)| *conn).collect()
    }

    /// A word on each conversation.
    pub fn where_we_are(&self) -> String {
        let mut text = String::new();
        for (i, (client, talk)) in self.clients.iter().zip(&self.talks).enumerate() {
            let record = talk.id.and_then(|id| self.store.record(&store_key(id)));
            text += &format!(
                "\n  client {i}: {:?}, {} links, sent {}, heard {}, {:?}, {:?}\n    holder {:?} took {}, said {}, mail {} of {}, store {record:?}, {:?}",
                client.session.state(),
                client.host.links.len(),
                talk.sent,
                talk.heard.len(),
                client.session.stats(),
                talk.life,
                talk.holder,
                talk.taken,
                talk.said.len(),
                talk.mail_taken,
                talk.mail.len(),
                talk.excuses,
            );
        }
        text
    }
}

/// The messages that servers send to session `i`.
fn letters(seed: u64, i: usize) -> Flow {
    Flow {
        tag: seed ^ (i as u64) << 8 ^ 0x6d61_696c,
        size: 100,
        rare_size: 100,
    }
}

impl Drop for World {
    /// A test that fails shows what happened last.
    fn drop(&mut self) {
        if std::thread::panicking() && self.options.safety.is_zero() {
            eprintln!("{}", self.trace);
        }
    }
}
