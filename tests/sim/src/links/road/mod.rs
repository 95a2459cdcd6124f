//! A phone, its networks, the servers, and what the applications say to each other on the way.
//!
//! One session. Both ends may send a message every so often; each message is judged (G1: [`crate::flow`]; events: [`crate::life`]), and
//! when it was sent and delivered is noted: [`super::report`] reads the outage from that, not from what the library says of itself.

mod host;
mod way;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use unbroken::{
    ClientConfig, ClusterKey, Endpoint, Event as CoreEvent, Instant, LinkId, NetworkEvent, NetworkId, Seed,
    ServerConfig, ServerKey, Session, SessionId, State, Target,
};

use super::path::Path;
use super::tcp::{Departure, Stream};
use crate::clock::Queue;
use crate::fate::Side;
use crate::flow::{Flow, Reader};
use crate::life::Life;
use crate::rng::Rng;

/// Where an address leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    Server(usize),
    /// RST.
    Refused,
    /// The SYN is never answered.
    BlackHole,
    /// Connects, and never says a word.
    Mute,
    /// Connects, and answers whatever comes by this, once.
    Says(&'static [u8]),
}

enum Event {
    Connected(u64),
    ConnectFailed(u64),
    Accepted(u64),
    Segment(u64, Side, Departure),
    Acked(u64, Side, u64, u64),
    Timer(u64, Side),
    /// Somebody's timer; void if another has been set since.
    Wake(Who, u64),
    Say(Side),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Who {
    Phone,
    Server(usize),
}

struct Conn {
    path: usize,
    link: LinkId,
    route: Route,
    up: [bool; 2],
    /// The host of this side is done with it.
    gone: [bool; 2],
    /// To the client, to the server.
    streams: [Stream; 2],
    /// Cut from the network below without a word.
    stuck: bool,
    said: bool,
}

/// One application.
pub struct App {
    /// Sends a message this often; zero: never by itself.
    pub every: Duration,
    pub size: u64,
    /// Takes what arrives. If not, it hangs.
    pub reads: bool,
    pub life: Life,
    pub events: Vec<(Instant, CoreEvent)>,
    reader: Reader,
    /// Of what this one sends.
    flow: Flow,
    pub sent_at: Vec<Instant>,
    /// Of what the other one sent.
    pub received_at: Vec<Instant>,
}

pub struct Setup {
    pub client: ClientConfig,
    pub server: ServerConfig,
    pub paths: Vec<Path>,
    pub servers: usize,
    pub every: [Duration; 2],
    pub size: u64,
    /// Where the balancer leads, in turn.
    pub balancer: Vec<Route>,
}

impl Setup {
    /// Two networks of 50 ms, both ends saying 100 bytes every 20 ms.
    pub fn new() -> Self {
        Setup {
            client: client_config().build().unwrap(),
            server: server_config().build().unwrap(),
            paths: vec![Path::fair(), Path::fair()],
            servers: 1,
            every: [Duration::from_millis(20); 2],
            size: 100,
            balancer: vec![Route::Server(0)],
        }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Setup::new()
    }
}

pub fn server_key() -> ServerKey {
    ServerKey::from_bytes([0x51; 32]).unwrap()
}

pub fn client_config() -> unbroken::config::ClientConfigBuilder {
    ClientConfig::builder(server_key().public())
        .realm("road")
        .credential("me")
}

pub fn server_config() -> unbroken::config::ServerConfigBuilder {
    ServerConfig::builder(server_key(), ClusterKey::from_bytes([0xc1; 32]).unwrap())
        .realm("road")
        .authorise_all(true)
}

pub const WIFI: NetworkId = NetworkId(0);
pub const CELLULAR: NetworkId = NetworkId(1);

pub struct Road {
    queue: Queue<Event>,
    rng: Rng,
    pub paths: Vec<Path>,
    /// The network that the system takes if the core names none.
    pub default: usize,
    /// Where the balancer leads, in turn; and the servers' own addresses.
    pub balancer: Vec<Route>,
    pub addresses: BTreeMap<String, Route>,
    pub phone: Session,
    pub servers: Vec<Endpoint>,
    /// The phone's and the server's application.
    pub apps: [App; 2],
    pub id: Option<SessionId>,
    conns: BTreeMap<u64, Conn>,
    next: u64,
    /// All links the phone asked for.
    pub asked: Vec<(Instant, Target, Option<NetworkId>)>,
    asleep: bool,
    /// How much the phone's clock is behind.
    lag: Duration,
    missed: Vec<(u64, Option<Vec<u8>>)>,
    wakes: [(Option<Instant>, u64); 9],
    buffer: Vec<u8>,
    /// Records the phone wrote and read, by the writes they came in.
    pub phone_writes: u64,
    pub phone_bytes: u64,
}

impl Road {
    pub fn new(setup: Setup, seed: u64) -> Self {
        let root = Rng::new(seed);
        let mut keys = root.fork("keys");
        let start = Instant::from_millis(1_000_000);
        let server = Arc::new(setup.server);
        let servers = (0..setup.servers)
            .map(|_| Endpoint::new(server.clone(), Seed::new(keys.key()), start))
            .collect();
        let phone = Session::connect(Arc::new(setup.client), Seed::new(keys.key()), start);
        let flow = |side: Side| Flow {
            tag: seed * 2 + side as u64,
            size: setup.size,
            rare_size: setup.size,
        };
        let app = |side: Side| App {
            every: setup.every[side as usize],
            size: setup.size,
            reads: true,
            life: Life::default(),
            events: Vec::new(),
            reader: Reader::new(flow(side.other())),
            flow: flow(side),
            sent_at: Vec::new(),
            received_at: Vec::new(),
        };
        let mut road = Road {
            queue: Queue::new(start),
            rng: root.fork("road"),
            paths: setup.paths,
            default: 0,
            balancer: setup.balancer,
            addresses: BTreeMap::new(),
            phone,
            servers,
            apps: [app(Side::Client), app(Side::Server)],
            id: None,
            conns: BTreeMap::new(),
            next: 1,
            asked: Vec::new(),
            asleep: false,
            lag: Duration::ZERO,
            missed: Vec::new(),
            wakes: [(None, 0); 9],
            buffer: vec![0; 64 << 10],
            phone_writes: 0,
            phone_bytes: 0,
        };
        road.settle(Who::Phone);
        road
    }

    // ---- what a test does ----

    pub fn now(&self) -> Instant {
        self.queue.now()
    }

    pub fn run_until(&mut self, until: Instant) {
        while self.queue.next().is_some_and(|next| next <= until) {
            let event = self.queue.pop().unwrap();
            self.handle(event);
        }
        self.queue.advance(until);
    }

    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now() + time);
    }

    /// Runs until the condition holds, looking after each event; panics if it does not in time.
    pub fn run_to(&mut self, what: &str, patience: Duration, mut done: impl FnMut(&mut Road) -> bool) {
        let until = self.now() + patience;
        while !done(self) {
            assert!(
                self.queue.next().is_some_and(|next| next <= until),
                "{what}: not within {patience:?}; {:?}, {:?}, links {:?}",
                self.phone.state(),
                self.phone.stats(),
                self.asked
            );
            let event = self.queue.pop().unwrap();
            self.handle(event);
        }
    }

    /// Both networks are reported, the wifi last; the session stands, and has run for a second.
    pub fn establish(&mut self) {
        self.hint(NetworkEvent::Available(CELLULAR));
        self.hint(NetworkEvent::Available(WIFI));
        self.establish_blind();
    }

    /// The same without a word on the networks.
    pub fn establish_blind(&mut self) {
        self.run_to("established", Duration::from_secs(30), |r| {
            r.phone.state() == State::Established && r.apps[1].life.established
        });
        for side in Side::BOTH {
            self.start_talking(side);
        }
        self.run_for(Duration::from_secs(1));
    }

    /// An application begins to send as often as it should.
    pub fn start_talking(&mut self, side: Side) {
        let every = self.apps[side as usize].every;
        if !every.is_zero() {
            let phase = self.rng.duration(Duration::ZERO..=every);
            self.queue.after(phase, Event::Say(side));
        }
    }

    pub fn stop_talking(&mut self) {
        self.apps.iter_mut().for_each(|app| app.every = Duration::ZERO);
    }

    pub fn hint(&mut self, event: NetworkEvent) {
        let now = self.phone_now();
        self.phone.handle_network(event, now);
        self.settle(Who::Phone);
    }

    /// The application of `side` sends one message; whether it was taken.
    pub fn say(&mut self, side: Side) -> bool {
        let app = &self.apps[side as usize];
        let message = Bytes::from(app.flow.message(app.sent_at.len() as u64));
        let taken = match side {
            Side::Client => self.phone.send(message).is_ok(),
            Side::Server => {
                let id = self.id;
                let talk = self.servers.iter_mut().find_map(|server| server.session(id?));
                talk.is_some_and(|mut talk| talk.send(message).is_ok())
            }
        };
        if taken {
            let now = self.now();
            self.apps[side as usize].sent_at.push(now);
        }
        if side == Side::Server {
            (0..self.servers.len()).for_each(|j| self.settle(Who::Server(j)));
        } else if !self.asleep {
            self.settle(Who::Phone);
        }
        taken
    }

    /// The connections on a path lose their network below them, without a word; new ones work.
    pub fn strand(&mut self, path: usize) {
        self.conns
            .values_mut()
            .filter(|c| c.path == path)
            .for_each(|c| c.stuck = true);
    }

    /// Connections that are up on this path at the phone.
    pub fn links_on(&self, path: usize) -> usize {
        self.conns
            .values()
            .filter(|c| c.path == path && c.up[0] && !c.gone[0])
            .count()
    }

    /// The connections of a path break, and both ends are told (RST).
    pub fn reset(&mut self, path: usize) {
        let ids: Vec<u64> = self
            .conns
            .iter()
            .filter(|(_, c)| c.path == path)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.down(id, Side::Server);
            self.down(id, Side::Client);
        }
    }

    /// The process is frozen: no timers, no input.
    pub fn sleep(&mut self) {
        self.hint(NetworkEvent::Suspend);
        self.asleep = true;
    }

    /// It runs again; its clock counted the time asleep, or stood still.
    pub fn wake(&mut self, stood_still: Option<Duration>) {
        self.asleep = false;
        self.lag += stood_still.unwrap_or_default();
        self.hint(NetworkEvent::Wake);
        for (conn, bytes) in core::mem::take(&mut self.missed) {
            match bytes {
                Some(bytes) => self.input(conn, Side::Client, &bytes),
                None => self.down(conn, Side::Client),
            }
        }
        self.settle(Who::Phone);
    }

    /// Everything said so far was delivered, once and in order, and the session stands.
    pub fn is_settled(&self) -> bool {
        self.phone.state() == State::Established
            && self.undelivered() == 0
            && self.phone.stats().unacked_messages == 0
            && self.apps.iter().all(|app| !app.life.in_handover)
    }

    pub fn undelivered(&self) -> usize {
        let [phone, server] = &self.apps;
        phone.sent_at.len() - server.received_at.len() + server.sent_at.len() - phone.received_at.len()
    }

    /// Lets everything be delivered that was sent.
    pub fn finish(&mut self) {
        self.stop_talking();
        self.run_to("all is delivered", Duration::from_secs(120), |r| r.is_settled());
    }

    fn phone_now(&self) -> Instant {
        Instant::from_micros(self.now().as_micros() - self.lag.as_micros() as u64)
    }

    /// Links that a host still has open: the phone's, the servers'.
    pub fn open_links(&self) -> (usize, usize) {
        let open = |side: Side| {
            self.conns
                .values()
                .filter(|c| c.up[side as usize] && !c.gone[side as usize])
                .count()
        };
        (open(Side::Client), open(Side::Server))
    }

    /// The networks of the links asked for since `from`.
    pub fn networks_asked(&self, from: Instant) -> BTreeSet<Option<NetworkId>> {
        self.asked
            .iter()
            .filter(|(at, ..)| *at >= from)
            .map(|(_, _, network)| *network)
            .collect()
    }
}

fn side_of(who: Who) -> Side {
    match who {
        Who::Phone => Side::Client,
        Who::Server(_) => Side::Server,
    }
}
