//! A phone, its networks, the servers, and what the applications say to each other on the way.
//!
//! One session. Both ends may send a message every so often; each message is judged (G1: [`crate::flow`]; events: [`crate::life`]), and
//! when it was sent and delivered is noted: [`super::report`] reads the outage from that, not from what the library says of itself.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use unbroken::{
    ClientConfig, ClusterKey, Endpoint, Event as CoreEvent, Instant, LinkId, NetworkEvent, NetworkId, Output, Seed,
    ServerConfig, ServerKey, Session, SessionId, State, Target, Verdict,
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

    // ---- what happens ----

    fn handle(&mut self, event: Event) {
        match event {
            Event::Connected(id) => {
                let now = self.phone_now();
                let Some(conn) = self.conns.get_mut(&id).filter(|c| !c.gone[0]) else {
                    return;
                };
                conn.up[0] = true;
                let link = conn.link;
                self.phone.handle_link_up(link, now);
                self.settle(Who::Phone);
            }
            Event::ConnectFailed(id) => self.down(id, Side::Client),
            Event::Accepted(id) => self.accept(id),
            Event::Segment(id, to, departure) => self.segment(id, to, departure),
            Event::Acked(id, from, upto, start) => {
                let now = self.now();
                let Some(conn) = self.conns.get_mut(&id) else { return };
                let (again, writable) = conn.streams[from.other() as usize].acked(upto, start, now);
                self.depart(id, from.other(), again);
                self.flush(id, from.other());
                if writable {
                    self.writable(id, from);
                }
            }
            Event::Timer(id, to) => {
                let now = self.now();
                let Some(conn) = self.conns.get_mut(&id) else { return };
                let stream = &mut conn.streams[to as usize];
                stream.armed = false;
                match stream.timer() {
                    Some(at) if at <= now => {
                        let again = stream.expired(now);
                        self.depart(id, to, again.into_iter().collect());
                    }
                    _ => {}
                }
                self.arm_timer(id, to);
            }
            Event::Wake(who, serial) => {
                let slot = self.slot(who);
                if self.wakes[slot].1 == serial {
                    self.wakes[slot].0 = None;
                    self.settle(who);
                }
            }
            Event::Say(side) => {
                let every = self.apps[side as usize].every;
                if !every.is_zero() {
                    self.queue.after(every, Event::Say(side));
                    self.say(side);
                }
            }
        }
    }

    fn open(&mut self, link: LinkId, target: Target, network: Option<NetworkId>) {
        let path = network.map_or(self.default, |n| n.0 as usize);
        let route = match &target {
            Target::Configured => {
                let first = self.balancer[0];
                self.balancer.rotate_left(1);
                first
            }
            Target::Advised(address) => self.addresses.get(address).copied().unwrap_or(Route::Refused),
        };
        let now = self.now();
        self.asked.push((now, target, network));
        assert!(self.asked.len() < 100_000, "a storm of connections");
        let id = self.next;
        self.next += 1;
        let rtt = self.paths[path].delay * 2;
        let streams = [Stream::new(rtt), Stream::new(rtt)];
        let conn = Conn {
            path,
            link,
            route,
            up: [false; 2],
            gone: [false; 2],
            streams,
            stuck: false,
            said: false,
        };
        self.conns.insert(id, conn);
        if route == Route::BlackHole {
            return;
        }
        // SYN and its answer, repeated after 1, 3, 7 ... seconds.
        let mut at = now;
        for wait in [1, 2, 4, 8, 16] {
            let there = self.paths[path].cross(Side::Server, 0, at, &mut self.rng);
            let back =
                there.and_then(|there| Some((there, self.paths[path].cross(Side::Client, 0, there, &mut self.rng)?)));
            if let Some((_, back)) = back {
                if route == Route::Refused {
                    self.queue.at(back, Event::ConnectFailed(id));
                } else {
                    self.queue.at(back, Event::Connected(id));
                    let accepted = self.paths[path].cross(Side::Server, 0, back, &mut self.rng);
                    self.queue
                        .at(accepted.unwrap_or(back + Duration::from_secs(1)), Event::Accepted(id));
                }
                return;
            }
            at += Duration::from_secs(wait);
        }
    }

    fn accept(&mut self, id: u64) {
        let now = self.now();
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.up[1] || conn.gone[1] {
            return;
        }
        conn.up[1] = true;
        if let Route::Server(j) = conn.route {
            self.servers[j].handle_link_up(LinkId(id), now);
            self.settle(Who::Server(j));
        }
    }

    fn segment(&mut self, id: u64, to: Side, departure: Departure) {
        let now = self.now();
        if to == Side::Server {
            self.accept(id);
        }
        let Some(conn) = self.conns.get_mut(&id).filter(|c| !c.stuck) else {
            return;
        };
        let path = conn.path;
        let start = departure.start;
        let (bytes, fin, upto) = conn.streams[to as usize].arrives(departure);
        if let Some(at) = self.paths[path].cross(to.other(), 40, now, &mut self.rng) {
            self.queue.at(at, Event::Acked(id, to.other(), upto, start));
        }
        if !bytes.is_empty() {
            self.input(id, to, &bytes);
        }
        if fin {
            self.down(id, to);
        }
    }

    fn input(&mut self, id: u64, to: Side, bytes: &[u8]) {
        let Some(conn) = self.conns.get_mut(&id).filter(|c| !c.gone[to as usize]) else {
            return;
        };
        match (to, conn.route) {
            (Side::Client, _) if self.asleep => self.missed.push((id, Some(bytes.to_vec()))),
            (Side::Client, _) => {
                let link = conn.link;
                let now = self.phone_now();
                self.phone.handle_input(link, bytes, now);
                self.settle(Who::Phone);
            }
            (Side::Server, Route::Server(j)) => {
                let now = self.now();
                self.servers[j].handle_input(LinkId(id), bytes, now);
                self.settle(Who::Server(j));
            }
            (Side::Server, Route::Says(words)) if !conn.said => {
                conn.said = true;
                conn.streams[0].write(words);
                self.flush(id, Side::Client);
            }
            (Side::Server, _) => {}
        }
    }

    /// `side` learns that the connection is over.
    fn down(&mut self, id: u64, side: Side) {
        if side == Side::Client && self.asleep {
            return self.missed.push((id, None));
        }
        let now = self.now();
        let phone_now = self.phone_now();
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if core::mem::replace(&mut conn.gone[side as usize], true) {
            return;
        }
        match (side, conn.route) {
            (Side::Client, _) => {
                let link = conn.link;
                self.phone.handle_link_down(link, phone_now);
                self.settle(Who::Phone);
            }
            (Side::Server, Route::Server(j)) if conn.up[1] => {
                self.servers[j].handle_link_down(LinkId(id), now);
                self.settle(Who::Server(j));
            }
            _ => {}
        }
        self.close(id, side);
    }

    fn writable(&mut self, id: u64, side: Side) {
        let conn = &self.conns[&id];
        match (side, conn.route) {
            (Side::Client, _) => {
                self.phone.handle_link_writable(conn.link);
                self.settle(Who::Phone);
            }
            (Side::Server, Route::Server(j)) => {
                self.servers[j].handle_link_writable(LinkId(id));
                self.settle(Who::Server(j));
            }
            _ => {}
        }
    }

    // ---- the way ----

    fn write(&mut self, id: u64, from: Side, bytes: &[u8]) -> bool {
        let Some(conn) = self.conns.get_mut(&id).filter(|c| !c.gone[from as usize]) else {
            return false;
        };
        let full = conn.streams[from.other() as usize].write(bytes);
        self.flush(id, from.other());
        full
    }

    fn close(&mut self, id: u64, from: Side) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.gone[from as usize] = true;
            conn.streams[from.other() as usize].close();
            self.flush(id, from.other());
        }
        let over = |c: &Conn| c.gone == [true; 2] || (c.gone[0] && !c.up[0]);
        if self.conns.get(&id).is_some_and(over) {
            self.conns.remove(&id);
        }
    }

    fn flush(&mut self, id: u64, to: Side) {
        let now = self.now();
        let Some(conn) = self.conns.get_mut(&id).filter(|c| c.up[to.other() as usize]) else {
            return;
        };
        let departures = conn.streams[to as usize].departures(now);
        self.depart(id, to, departures);
        self.arm_timer(id, to);
    }

    fn depart(&mut self, id: u64, to: Side, departures: Vec<Departure>) {
        let now = self.now();
        let Some((path, stuck)) = self.conns.get(&id).map(|c| (c.path, c.stuck)) else {
            return;
        };
        for departure in departures {
            let arrival = self.paths[path].cross(to, departure.bytes.len() + 40, now, &mut self.rng);
            if let Some(at) = arrival.filter(|_| !stuck) {
                self.queue.at(at, Event::Segment(id, to, departure));
            }
        }
    }

    fn arm_timer(&mut self, id: u64, to: Side) {
        let Some(stream) = self.conns.get_mut(&id).map(|c| &mut c.streams[to as usize]) else {
            return;
        };
        // One event at a time: if it comes too early, it sets the next.
        if let Some(at) = stream.timer()
            && !core::mem::replace(&mut stream.armed, true)
        {
            self.queue.at(at, Event::Timer(id, to));
        }
    }

    // ---- the hosts ----

    fn slot(&self, who: Who) -> usize {
        match who {
            Who::Phone => 0,
            Who::Server(j) => j + 1,
        }
    }

    /// Lets one end do all it wants to do now, and sets its timer.
    fn settle(&mut self, who: Who) {
        if who == Who::Phone && self.asleep {
            return;
        }
        let now = self.now();
        let lag = if who == Who::Phone { self.lag } else { Duration::ZERO };
        let own = Instant::from_micros(now.as_micros() - lag.as_micros() as u64);
        match who {
            Who::Phone => self.phone.handle_timeout(own),
            Who::Server(j) => self.servers[j].handle_timeout(own),
        }
        let mut buffer = core::mem::take(&mut self.buffer);
        for round in 0.. {
            assert!(round < 100_000, "a drain of {who:?} does not end");
            let (event, output) = match who {
                Who::Phone => (
                    self.phone.poll_event().map(|e| (None, e)),
                    self.phone.poll_output(&mut buffer, own),
                ),
                Who::Server(j) => {
                    let event = self.servers[j].poll_event().map(|(id, e)| (Some(id), e));
                    (event, self.servers[j].poll_output(&mut buffer, own))
                }
            };
            let idle = event.is_none() && output.is_none();
            if let Some((id, event)) = event {
                self.told(who, id, event);
            }
            match output {
                Some(Output::Send { link, len }) => self.send(who, link, &buffer[..len]),
                Some(Output::OpenLink { link, target, network }) => self.open(link, target, network),
                Some(Output::CloseLink { link }) => {
                    let id = self.conn_of(who, link);
                    id.into_iter().for_each(|id| self.close(id, side_of(who)));
                }
                None => {}
            }
            if !self.read(who) && idle {
                break;
            }
        }
        self.buffer = buffer;
        let next = match who {
            Who::Phone => self.phone.poll_timeout(),
            Who::Server(j) => self.servers[j].poll_timeout(),
        };
        assert!(
            next.is_none_or(|next| next > own),
            "contract: {who:?} is drained, and poll_timeout is not later than now"
        );
        let slot = self.slot(who);
        let at = next.map(|next| next + lag);
        if self.wakes[slot].0 != at {
            self.wakes[slot] = (at, self.wakes[slot].1 + 1);
            let serial = self.wakes[slot].1;
            at.into_iter()
                .for_each(|at| self.queue.at(at, Event::Wake(who, serial)));
        }
    }

    fn conn_of(&self, who: Who, link: LinkId) -> Option<u64> {
        match who {
            Who::Phone => self.conns.iter().find(|(_, c)| c.link == link).map(|(id, _)| *id),
            Who::Server(_) => Some(link.0),
        }
    }

    fn send(&mut self, who: Who, link: LinkId, bytes: &[u8]) {
        if who == Who::Phone {
            self.phone_writes += 1;
            self.phone_bytes += bytes.len() as u64;
        }
        let Some(id) = self.conn_of(who, link) else { return };
        if self.write(id, side_of(who), bytes) {
            match who {
                Who::Phone => self.phone.handle_link_blocked(link),
                Who::Server(j) => self.servers[j].handle_link_blocked(link),
            }
        }
    }

    fn told(&mut self, who: Who, id: Option<SessionId>, event: CoreEvent) {
        let side = side_of(who);
        if id.is_some() && self.id.is_none() {
            self.id = id;
        }
        assert!(id.is_none() || id == self.id, "a second session: {event:?}");
        if let (CoreEvent::Authorise { .. }, Who::Server(j), Some(id)) = (&event, who, id) {
            let mut session = self.servers[j].session(id).unwrap();
            session.authorise(Verdict::Accept { message: Bytes::new() });
        }
        let now = self.now();
        let app = &mut self.apps[side as usize];
        app.life.see(&event).unwrap_or_else(|wrong| panic!("{who:?}: {wrong}"));
        app.events.push((now, event));
    }

    fn read(&mut self, who: Who) -> bool {
        let now = self.now();
        let (mut any, side) = (false, side_of(who));
        if !self.apps[side as usize].reads {
            return false;
        }
        let sent = self.apps[side.other() as usize].sent_at.len() as u64;
        let app = &mut self.apps[side as usize];
        let mut take = |message: unbroken::Message<'_>| {
            let taken = app.reader.take(message.id.map(|id| id.0), message.payload, sent);
            taken.unwrap_or_else(|wrong| panic!("{who:?}: {wrong}"));
            app.received_at.push(now);
        };
        match who {
            Who::Phone => {
                while let Some(message) = self.phone.recv() {
                    take(message);
                    any = true;
                }
            }
            Who::Server(j) => {
                if let Some(mut session) = self.id.and_then(|id| self.servers[j].session(id)) {
                    while let Some(message) = session.recv() {
                        take(message);
                        any = true;
                    }
                }
            }
        }
        any
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
