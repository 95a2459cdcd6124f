//! Clients, a server with a store that a test can make say anything, and time that moves when told.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

use crate::config::{ClientConfig, ClientConfigBuilder, Durability, Limits, ServerConfig};
use crate::crypto::{ClusterKey, Seed, ServerKey};
use crate::endpoint::Endpoint;
use crate::error::CloseReason;
use crate::event::{Event, LinkId, Output, SessionId};
use crate::session::Session;
use crate::store::{Cursor, Expect, Owner, Peeked, Record, RequestId, StoreKey, StoreOp, StoreReply};
use crate::time::Instant;
use crate::wire::flight::{Refuse, RefuseCode};
use crate::wire::prelude::{FlightKind, Prelude};

/// Room for the links of one client among the server's.
const NAMES: u64 = 1 << 32;

pub struct Stand {
    pub server: Endpoint,
    pub clients: Vec<Client>,
    pub now: Instant,
    pub shelf: Shelf,
    /// What the server told, and of whom.
    pub told: Vec<(SessionId, Event)>,
    key: ServerKey,
    config: Arc<ServerConfig>,
    processes: u8,
}

pub struct Client {
    pub session: Session,
    /// The last link that it opened.
    pub newest: LinkId,
    /// Its links that carry nothing to it any more.
    pub deaf: Vec<LinkId>,
    /// Nobody can be reached.
    pub away: bool,
    /// What the server sent is on its way, and comes with [`Stand::arrive`].
    pub late: Option<Vec<(LinkId, Vec<u8>)>>,
    /// Messages that it was sent.
    pub heard: Vec<Vec<u8>>,
    /// What it was told.
    pub told: Vec<Event>,
    /// What the server said on each of its links, and which it closed.
    pub answers: Vec<(LinkId, Vec<u8>)>,
    pub ended: Vec<LinkId>,
}

impl Client {
    /// Why it was not let in on this link, if a REFUSE says so.
    pub fn refused(&self, link: LinkId) -> Option<RefuseCode> {
        self.answers
            .iter()
            .filter(|(on, _)| *on == link)
            .find_map(|(_, words)| {
                let (head, body) = words.split_first_chunk()?;
                let refused = Prelude::parse(head).is_ok_and(|prelude| prelude.kind == FlightKind::Refuse);
                refused.then(|| Refuse::parse(body).expect("well formed").code)
            })
    }

    /// How its session ended.
    pub fn closed(&self) -> Option<CloseReason> {
        self.told.iter().find_map(|event| match event {
            Event::Closed(reason) => Some(*reason),
            _ => None,
        })
    }
}

/// Records, queues and users, as the contract has them; leases are taken and last, and notes come with [`Stand::notes`] only.
#[derive(Default)]
pub struct Shelf {
    pub records: BTreeMap<StoreKey, Record>,
    pub users: BTreeMap<[u8; 32], Vec<StoreKey>>,
    pub queues: BTreeMap<StoreKey, Vec<(Cursor, Bytes)>>,
    /// Whose leases are over.
    pub dead: Vec<Owner>,
    /// The lives of what is parked are over.
    pub expired: bool,
    /// What was asked, in order.
    pub asked: Vec<StoreOp>,
    /// Says otherwise than the shelf would, without having done anything.
    pub instead: Option<fn(&StoreOp) -> Option<StoreReply>>,
    /// Does what it is asked and says this.
    pub afterwards: Option<fn(&StoreOp) -> Option<StoreReply>>,
    /// Says nothing at all for now: what was asked waits.
    pub silent: bool,
    /// The same, to requests like this.
    pub silent_to: Option<fn(&StoreOp) -> bool>,
    waiting: VecDeque<(RequestId, StoreOp)>,
    /// Who waits for notes.
    listening: Option<RequestId>,
}

impl Shelf {
    fn answer(&mut self, op: &StoreOp) -> StoreReply {
        self.asked.push(op.clone());
        if let Some(reply) = self.instead.and_then(|instead| instead(op)) {
            return reply;
        }
        let reply = self.carry_out(op);
        self.afterwards.and_then(|afterwards| afterwards(op)).unwrap_or(reply)
    }

    fn carry_out(&mut self, op: &StoreOp) -> StoreReply {
        match op {
            StoreOp::Peek { key } => StoreReply::Peeked(self.records.get(key).map(|record| Peeked {
                record: record.clone(),
                expired: self.expired && matches!(record, Record::Parked { .. }),
                owner_alive: !matches!(record, Record::Live { owner, .. } if self.dead.contains(owner)),
            })),
            StoreOp::Put {
                key, expect, record, ..
            } => {
                let fits = match self.records.get(key) {
                    None => *expect == Expect::Absent,
                    Some(there) => there.is(expect),
                };
                if !fits {
                    return StoreReply::Conflict;
                }
                self.records.insert(*key, record.clone());
                StoreReply::Done
            }
            StoreOp::Bind { user, key, .. } => {
                let sessions = self.users.entry(*user).or_default();
                match sessions.iter().position(|known| known == key) {
                    Some(0) => {}
                    Some(_) => return StoreReply::Conflict,
                    None => sessions.insert(0, *key),
                }
                StoreReply::Bound(sessions.get(1).copied())
            }
            StoreOp::Read { key, after, max } => {
                let behind = self.queues.get(key).into_iter().flatten().filter(|(at, _)| at > after);
                StoreReply::Messages(behind.take(*max as usize).cloned().collect())
            }
            StoreOp::Trim { key, upto } => {
                if let Some(queue) = self.queues.get_mut(key) {
                    queue.retain(|(at, _)| at > upto);
                }
                StoreReply::Done
            }
            _ => StoreReply::Done,
        }
    }

    /// The record that waits to be written by a request like this.
    pub fn waiting(&self, like: impl Fn(&StoreOp) -> bool) -> Record {
        let mut writes = self.waiting.iter().filter_map(|(_, op)| match op {
            StoreOp::Put { record, .. } if like(op) => Some(record.clone()),
            _ => None,
        });
        writes.next().expect("it waits")
    }

    /// How many requests wait.
    pub fn waits_for(&self) -> usize {
        self.waiting.len()
    }

    /// How often something like this was asked.
    pub fn count(&self, like: impl Fn(&StoreOp) -> bool) -> usize {
        self.asked.iter().filter(|op| like(op)).count()
    }
}

impl Stand {
    pub fn new(durability: Durability) -> Self {
        Stand::with(durability, true)
    }

    /// `open`: nobody is asked whether a client is let in.
    pub fn with(durability: Durability, open: bool) -> Self {
        Stand::changed(durability, open, |config| config)
    }

    /// With another configuration of the server.
    pub fn changed(durability: Durability, open: bool, change: fn(ServerConfig) -> ServerConfig) -> Self {
        let key = ServerKey::from_bytes([7; 32]).expect("not zero");
        let config = ServerConfig::builder(key.clone(), ClusterKey::from_bytes([9; 32]).expect("not zero"))
            .authorise_all(open)
            .durability(durability)
            .limits(Limits {
                detached: Duration::from_secs(60),
                ..Limits::default()
            })
            .build()
            .expect("good");
        let now = Instant::from_millis(1000);
        let config = Arc::new(change(config));
        Stand {
            server: Endpoint::new(config.clone(), Seed::new([2; 32]), now),
            clients: Vec::new(),
            now,
            shelf: Shelf::default(),
            told: Vec::new(),
            key,
            config,
            processes: 1,
        }
    }

    /// Another process takes the server's place before the same store. Gives back the former one, of which the clients' links do not know yet that it is gone.
    pub fn replace_server(&mut self) -> Endpoint {
        self.processes += 1;
        let next = Endpoint::new(self.config.clone(), Seed::new([self.processes + 1; 32]), self.now);
        core::mem::replace(&mut self.server, next)
    }

    /// One more client, not connected yet.
    pub fn client(&mut self) -> usize {
        self.client_with(|config| config)
    }

    pub fn client_with(&mut self, configure: impl FnOnce(ClientConfigBuilder) -> ClientConfigBuilder) -> usize {
        let seed = [self.clients.len() as u8 + 10; 32];
        let config = configure(ClientConfig::builder(self.key.public()))
            .build()
            .expect("good");
        self.clients.push(Client {
            session: Session::connect(Arc::new(config), Seed::new(seed), self.now),
            newest: LinkId(0),
            deaf: Vec::new(),
            away: false,
            late: None,
            heard: Vec::new(),
            told: Vec::new(),
            answers: Vec::new(),
            ended: Vec::new(),
        });
        self.clients.len() - 1
    }

    /// One more client, whose session stands and has been stored.
    pub fn session(&mut self) -> (usize, SessionId) {
        let i = self.client();
        self.run_for(Duration::from_secs(1));
        let id = self.clients[i].session.id().expect("it is let in");
        (i, id)
    }

    pub fn key_of(id: SessionId) -> StoreKey {
        *id.0.first_chunk().expect("16 bytes")
    }

    /// Time passes, in small steps; whatever wants to happen happens.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        self.exchange();
        while self.now < until {
            self.now += Duration::from_millis(10);
            for client in &mut self.clients {
                client.session.handle_timeout(self.now);
            }
            self.server.handle_timeout(self.now);
            self.exchange();
        }
    }

    /// A long time passes at once.
    pub fn skip(&mut self, time: Duration) {
        self.now += time;
        self.server.handle_timeout(self.now);
        self.exchange();
    }

    /// Everybody is polled until nothing comes any more. More than a lot is too much.
    pub fn exchange(&mut self) {
        for _ in 0..10_000 {
            let mut idle = true;
            for i in 0..self.clients.len() {
                idle &= !self.client_output(i);
            }
            idle &= !self.server_output();
            idle &= !self.ask_store();
            while let Some(event) = self.server.poll_event() {
                self.told.push(event);
            }
            while let Some(id) = self.server.poll_snapshot() {
                self.server.save(id, Some(b"state")).expect("it is wanted");
                idle = false;
            }
            if idle {
                return;
            }
        }
        panic!("it does not come to rest: {:?}", self.shelf.asked.last());
    }

    /// The store answers what has waited.
    pub fn speak(&mut self) {
        self.speak_as(&StoreReply::Done, |_| false);
    }

    /// The same, and to requests like this it says `reply`, and does nothing.
    pub fn speak_as(&mut self, reply: &StoreReply, like: impl Fn(&StoreOp) -> bool) {
        self.hear(reply, like);
        self.exchange();
    }

    /// As [`Stand::speak_as`], and nobody has been polled yet.
    pub fn hear(&mut self, reply: &StoreReply, like: impl Fn(&StoreOp) -> bool) {
        (self.shelf.silent, self.shelf.silent_to) = (false, None);
        while let Some((id, op)) = self.shelf.waiting.pop_front() {
            let reply = if like(&op) {
                reply.clone()
            } else {
                self.shelf.answer(&op)
            };
            self.server.handle_store(id, reply, self.now);
        }
    }

    /// What the server hears that waits for notes.
    pub fn notes(&mut self, reply: StoreReply) {
        let id = self.shelf.listening.take().expect("it listens");
        self.server.handle_store(id, reply, self.now);
        self.exchange();
    }

    fn ask_store(&mut self) -> bool {
        let Some(request) = self.server.poll_store() else {
            return false;
        };
        if matches!(request.op, StoreOp::Receive { .. }) {
            self.shelf.listening = Some(request.id);
            return true;
        }
        if self.shelf.silent || self.shelf.silent_to.is_some_and(|like| like(&request.op)) {
            self.shelf.waiting.push_back((request.id, request.op));
        } else {
            let reply = self.shelf.answer(&request.op);
            self.server.handle_store(request.id, reply, self.now);
        }
        true
    }

    fn client_output(&mut self, i: usize) -> bool {
        let mut buffer = vec![0; 65536];
        let client = &mut self.clients[i];
        while let Some(event) = client.session.poll_event() {
            client.told.push(event);
        }
        while let Some(message) = client.session.recv() {
            client.heard.push(message.payload.to_vec());
        }
        let Some(output) = client.session.poll_output(&mut buffer, self.now) else {
            return false;
        };
        match output {
            Output::OpenLink { link, .. } if client.away => client.session.handle_link_down(link, self.now),
            Output::OpenLink { link, .. } => {
                client.newest = link;
                client.session.handle_link_up(link, self.now);
                self.server.handle_link_up(name(i, link), self.now);
            }
            Output::Send { link, len } => self.server.handle_input(name(i, link), &buffer[..len], self.now),
            Output::CloseLink { link } => self.server.handle_link_down(name(i, link), self.now),
        }
        true
    }

    fn server_output(&mut self) -> bool {
        let mut buffer = vec![0; 65536];
        let Some(output) = self.server.poll_output(&mut buffer, self.now) else {
            return false;
        };
        match output {
            Output::Send { link, len } => {
                let (i, link) = named(link);
                let client = &mut self.clients[i];
                client.answers.push((link, buffer[..len].to_vec()));
                match &mut client.late {
                    _ if client.deaf.contains(&link) => {}
                    Some(late) => late.push((link, buffer[..len].to_vec())),
                    None => client.session.handle_input(link, &buffer[..len], self.now),
                }
            }
            Output::CloseLink { link } => {
                let (i, link) = named(link);
                self.clients[i].ended.push(link);
                self.clients[i].session.handle_link_down(link, self.now);
            }
            Output::OpenLink { .. } => unreachable!("a server opens no links"),
        }
        true
    }

    /// What was on its way to a client comes there.
    pub fn arrive(&mut self, i: usize) {
        let client = &mut self.clients[i];
        for (link, bytes) in client.late.take().unwrap_or_default() {
            client.session.handle_input(link, &bytes, self.now);
        }
        self.exchange();
    }

    /// The next flight of a client, which is on its way; nobody else is polled.
    pub fn flight(&mut self, i: usize) -> Vec<u8> {
        let (mut buffer, client) = (vec![0; 65536], &mut self.clients[i]);
        for _ in 0..1000 {
            self.now += Duration::from_millis(10);
            client.session.handle_timeout(self.now);
            while let Some(output) = client.session.poll_output(&mut buffer, self.now) {
                match output {
                    Output::OpenLink { link, .. } => {
                        client.newest = link;
                        client.session.handle_link_up(link, self.now);
                    }
                    Output::Send { link, len } if link == client.newest => return buffer[..len].to_vec(),
                    Output::Send { .. } | Output::CloseLink { .. } => {}
                }
            }
        }
        panic!("it does not dial");
    }

    /// A connection, of this client or of anybody, that brings these bytes.
    pub fn brings(&mut self, i: usize, link: LinkId, bytes: &[u8]) {
        self.server.handle_link_up(name(i, link), self.now);
        self.goes_on(i, link, bytes);
    }

    /// More bytes of it.
    pub fn goes_on(&mut self, i: usize, link: LinkId, bytes: &[u8]) {
        self.server.handle_input(name(i, link), bytes, self.now);
        self.exchange();
    }

    /// A client's link breaks, and both ends see it.
    pub fn cut(&mut self, i: usize, link: LinkId) {
        self.clients[i].session.handle_link_down(link, self.now);
        self.server.handle_link_down(name(i, link), self.now);
        self.exchange();
    }
}

/// A client's link as the server knows it.
pub fn name(i: usize, link: LinkId) -> LinkId {
    LinkId(i as u64 * NAMES + link.0)
}

fn named(link: LinkId) -> (usize, LinkId) {
    ((link.0 / NAMES) as usize, LinkId(link.0 % NAMES))
}

/// Another process takes a session over, as this one seems to be dead, does something with it, and swaps it out; and it comes back to this one, which has noticed nothing.
pub fn elsewhere_and_back(stand: &mut Stand, i: usize, id: SessionId, meanwhile: impl FnOnce(&mut Endpoint)) {
    let second = Duration::from_secs(1);
    let first = stand.replace_server();
    stand.shelf.dead.push(first.owner());
    let newest = stand.clients[i].newest;
    stand.cut(i, newest);
    stand.run_for(second);
    assert_eq!(stand.server.counters().takeovers, 1);
    meanwhile(&mut stand.server);
    stand.exchange();
    stand.clients[i].away = true;
    let newest = stand.clients[i].newest;
    stand.cut(i, newest);
    stand.server.session(id).expect("it is here").swap_out();
    stand.exchange();
    stand.shelf.dead.clear();
    stand.server = first;
    stand.clients[i].away = false;
    stand.run_for(second);
    assert_eq!((stand.server.counters().takeovers, stand.server.sessions()), (1, 1));
}
