//! One endpoint with small limits, and many links that do what they like: honest clients, strangers, replays, silence.

use core::time::Duration;
use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Unstructured};
use unbroken::{
    ClientConfig, Endpoint, Event, Instant, Limits, LinkId, Output, PublicKey, Seed, Session, SessionId, State, Verdict,
};

use crate::attack::Attack;
use crate::host::{self, Poll};
use crate::life::Life;

const STEPS: usize = 200;
const CLIENTS: usize = 8;
const PATIENCE: u32 = 20_000;

#[derive(Debug, Default, Arbitrary)]
struct Program {
    pending: u8,
    sessions: u8,
    tombstones: u8,
    authorise_all: bool,
    ask_on_resume: bool,
    steps: Vec<Step>,
}

#[derive(Debug, Arbitrary)]
enum Step {
    NewClient,
    /// A client's wishes are met; its bytes go on their way.
    Poll {
        client: u8,
        count: u8,
    },
    /// So many bytes of a link reach an end.
    Deliver {
        link: u8,
        to_client: bool,
        bytes: u16,
    },
    /// A link that says nothing yet.
    Connect,
    Stranger(Attack),
    /// What a link has carried to the server comes again on another.
    Replay {
        link: u8,
        attack: Attack,
    },
    Down {
        link: u8,
        tell_client: bool,
    },
    Blocked {
        link: u8,
        blocked: bool,
    },
    Serve {
        count: u8,
        size: u8,
    },
    Advance {
        ms: u16,
        tell: bool,
    },
    Exchange,
    Say {
        client: u8,
        size: u16,
    },
    App {
        session: u8,
        does: Does,
    },
    Drain {
        window_ms: u16,
    },
    Keys {
        count: u8,
    },
}

#[derive(Debug, Arbitrary)]
enum Does {
    Authorise(bool),
    AnswerResume(bool),
    Send { count: u8, size: u16 },
    Recv,
    Close,
    Kick,
}

struct Link {
    server: LinkId,
    client: Option<(usize, LinkId)>,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    /// What the client has sent on it.
    tape: Vec<u8>,
    blocked: bool,
}

struct World {
    now: Instant,
    limits: Limits,
    endpoint: Endpoint,
    clients: Vec<Session>,
    links: Vec<Link>,
    lives: BTreeMap<SessionId, Life>,
    next_link: u64,
    buffer: Vec<u8>,
}

/// Runs the program that `data` spells.
pub fn endpoint(data: &[u8]) {
    let Ok(program) = Program::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let now = Instant::from_millis(1_000_000);
    let limits = Limits {
        message: 1024,
        unacked_bytes: 4096,
        unacked_messages: 16,
        window_bytes: 4096,
        window_messages: 16,
        unreliable_bytes: 512,
        handshake: Duration::from_millis(2000),
        pending_handshakes: 1 + u32::from(program.pending % 4),
        sessions: 1 + u32::from(program.sessions % 5),
        detached: Duration::from_secs(3),
        tombstone: Duration::from_secs(3),
        tombstones: (program.tombstones % 4).into(),
        ..Limits::default()
    };
    let config = host::server_config(limits.clone(), program.authorise_all, program.ask_on_resume);
    let mut world = World {
        now,
        endpoint: Endpoint::new(config, host::seed(2), now),
        limits,
        clients: Vec::new(),
        links: Vec::new(),
        lives: BTreeMap::new(),
        next_link: 0,
        buffer: vec![0; 65_536],
    };
    for step in program.steps.iter().take(STEPS) {
        host::trace(step);
        world.run(step);
        world.check_bounds();
    }
    world.end();
}

impl World {
    fn run(&mut self, step: &Step) {
        let now = self.now;
        match step {
            Step::NewClient => {
                if self.clients.len() < CLIENTS {
                    let seed = Seed::new([100 + self.clients.len() as u8; 32]);
                    let config = ClientConfig::builder(host::server_key().public())
                        .realm(host::REALM)
                        .build();
                    let config = config.expect("within the bounds").into();
                    self.clients.push(Session::connect(config, seed, now));
                }
            }
            Step::Poll { client, count } => {
                if let Some(client) = pick(self.clients.len(), *client) {
                    (0..*count).take_while(|_| self.poll_client(client)).count();
                }
            }
            Step::Deliver { link, to_client, bytes } => {
                if let Some(link) = pick(self.links.len(), *link) {
                    self.deliver(link, *to_client, (*bytes).into());
                }
            }
            Step::Connect => {
                self.connect(None);
            }
            Step::Stranger(attack) => {
                let link = self.connect(None);
                let bytes = attack.bytes(b"UNB\x01\x01\x00");
                attack.in_pieces(&bytes, |piece| self.endpoint.handle_input(link, piece, now));
            }
            Step::Replay { link, attack } => {
                let Some(index) = pick(self.links.len(), *link) else {
                    return;
                };
                let bytes = attack.bytes(&self.links[index].tape);
                let link = self.connect(None);
                attack.in_pieces(&bytes, |piece| self.endpoint.handle_input(link, piece, now));
            }
            Step::Down { link, tell_client } => {
                if let Some(link) = pick(self.links.len(), *link) {
                    self.down(link, *tell_client);
                }
            }
            Step::Blocked { link, blocked } => {
                let Some(index) = pick(self.links.len(), *link) else {
                    return;
                };
                let link = &mut self.links[index];
                link.blocked = *blocked;
                match blocked {
                    true => self.endpoint.handle_link_blocked(link.server),
                    false => self.endpoint.handle_link_writable(link.server),
                }
            }
            Step::Serve { count, size } => {
                let size = [256, 1000, 65_536][usize::from(size % 3)];
                (0..*count).take_while(|_| self.serve(size) | self.hear(false)).count();
            }
            Step::Advance { ms, tell } => {
                self.now += Duration::from_millis((*ms).into());
                if *tell {
                    self.endpoint.handle_timeout(self.now);
                    let now = self.now;
                    self.clients.iter_mut().for_each(|client| client.handle_timeout(now));
                }
            }
            Step::Exchange => self.exchange(),
            Step::Say { client, size } => {
                if let Some(client) = pick(self.clients.len(), *client) {
                    let _sent = self.clients[client].send(vec![1; usize::from(size % 1025)].into());
                }
            }
            Step::App { session, does } => {
                let Some(index) = pick(self.lives.len(), *session) else {
                    return;
                };
                let id = *self.lives.keys().nth(index).expect("it was picked");
                self.act(id, does);
            }
            Step::Drain { window_ms } => {
                let told = self
                    .endpoint
                    .drain(Duration::from_millis((*window_ms).into()), "host:1");
                assert!(told.is_ok_and(|told| told <= self.endpoint.sessions()));
            }
            Step::Keys { count } => {
                let keys = vec![(PublicKey([7; 32]), Duration::from_secs(9)); usize::from(count % 6)];
                assert_eq!(
                    self.endpoint.announce_keys(&keys).is_ok(),
                    (1..=4).contains(&keys.len())
                );
            }
        }
    }

    fn act(&mut self, id: SessionId, does: &Does) {
        let Some(mut session) = self.endpoint.session(id) else {
            return;
        };
        match does {
            Does::Authorise(true) => {
                session.authorise(Verdict::Accept { message: "in".into() });
            }
            Does::Authorise(false) => {
                session.authorise(Verdict::Refuse {
                    code: 3,
                    message: "out".into(),
                });
            }
            Does::AnswerResume(yes) => {
                session.answer_resume(if *yes { Ok(()) } else { Err(4) });
            }
            Does::Send { count, size } => {
                for _ in 0..*count {
                    let _sent = session.send(vec![2; usize::from(size % 1025)].into());
                }
            }
            Does::Recv => while session.recv().is_some() {},
            Does::Close => session.close(5),
            Does::Kick => session.kick(6),
        }
    }

    fn connect(&mut self, client: Option<(usize, LinkId)>) -> LinkId {
        self.next_link += 1;
        let server = LinkId(self.next_link);
        let link = Link {
            server,
            client,
            to_server: Vec::new(),
            to_client: Vec::new(),
            tape: Vec::new(),
            blocked: false,
        };
        self.links.push(link);
        self.endpoint.handle_link_up(server, self.now);
        server
    }

    fn down(&mut self, link: usize, tell_client: bool) {
        let link = self.links.remove(link);
        self.endpoint.handle_link_down(link.server, self.now);
        if let Some((client, name)) = link.client.filter(|_| tell_client) {
            self.clients[client].handle_link_down(name, self.now);
        }
    }

    fn deliver(&mut self, link: usize, to_client: bool, most: usize) -> bool {
        let now = self.now;
        let link = &mut self.links[link];
        let queue = if to_client {
            &mut link.to_client
        } else {
            &mut link.to_server
        };
        let bytes: Vec<u8> = queue.drain(..most.min(queue.len())).collect();
        if bytes.is_empty() {
            return false;
        }
        match (to_client, link.client) {
            (true, Some((client, name))) => self.clients[client].handle_input(name, &bytes, now),
            (true, None) => {}
            (false, _) => self.endpoint.handle_input(link.server, &bytes, now),
        }
        true
    }

    fn poll_client(&mut self, client: usize) -> bool {
        while self.clients[client].recv().is_some() {}
        while self.clients[client].poll_event().is_some() {}
        let now = self.now;
        let Some(output) = self.clients[client].next_output(&mut self.buffer, now) else {
            return false;
        };
        match output {
            Output::OpenLink { link, .. } => {
                self.connect(Some((client, link)));
                self.clients[client].handle_link_up(link, now);
            }
            Output::Send { link, len } => {
                let found = self.links.iter_mut().find(|other| other.client == Some((client, link)));
                if let Some(found) = found {
                    found.to_server.extend_from_slice(&self.buffer[..len]);
                    found.tape.extend_from_slice(&self.buffer[..len]);
                }
            }
            Output::CloseLink { link } => {
                if let Some(index) = self.links.iter().position(|other| other.client == Some((client, link))) {
                    self.deliver(index, false, usize::MAX);
                    self.down(index, false);
                }
            }
        }
        true
    }

    /// One output of the endpoint.
    fn serve(&mut self, size: usize) -> bool {
        let now = self.now;
        let Some(output) = self.endpoint.next_output(&mut self.buffer[..size], now) else {
            return false;
        };
        match output {
            Output::Send { link, len } => {
                let link = self
                    .links
                    .iter_mut()
                    .find(|other| other.server == link)
                    .expect("bytes for a link that is there");
                assert!(!link.blocked, "bytes for a blocked link");
                link.to_client.extend_from_slice(&self.buffer[..len]);
            }
            Output::CloseLink { link } => {
                if let Some(index) = self.links.iter().position(|other| other.server == link) {
                    self.deliver(index, true, usize::MAX);
                    if let Some((client, name)) = self.links.remove(index).client {
                        self.clients[client].handle_link_down(name, now);
                    }
                }
            }
            Output::OpenLink { .. } => panic!("a server opens no links"),
        }
        true
    }

    /// One event of the endpoint; the application answers at once, or not at all.
    fn hear(&mut self, answer: bool) -> bool {
        let now = self.now;
        let Some((id, event)) = self.endpoint.next_event(now) else {
            return false;
        };
        let id = id.expect("an endpoint says whose");
        host::trace(&(now, id, &event));
        let known = self.clients.iter().any(|client| client.id() == Some(id));
        assert!(known, "{event:?} of a session that no client has");
        self.lives.entry(id).or_default().see(&event);
        if answer {
            match event {
                Event::Authorise { .. } => self.act(id, &Does::Authorise(true)),
                Event::ResumeRequest => self.act(id, &Does::AnswerResume(true)),
                Event::Readable | Event::Closed(_) => self.act(id, &Does::Recv),
                _ => {}
            }
        }
        true
    }

    fn exchange(&mut self) {
        let mut rounds = 0;
        loop {
            let mut moved = false;
            self.endpoint.handle_timeout(self.now);
            while self.serve(65_536) | self.hear(true) {
                moved = true;
            }
            let timeout = self.endpoint.poll_timeout();
            if self.links.iter().all(|link| !link.blocked) {
                assert!(
                    timeout.is_none_or(|at| at > self.now),
                    "it ran dry at {:?}, but wants {timeout:?}",
                    self.now
                );
            }
            for client in 0..self.clients.len() {
                self.clients[client].handle_timeout(self.now);
                while self.poll_client(client) {
                    moved = true;
                }
            }
            // Links come and go while bytes are delivered.
            for index in 0..self.links.len() {
                for to_client in [false, true] {
                    moved |= index < self.links.len() && self.deliver(index, to_client, usize::MAX);
                }
            }
            if !moved {
                return;
            }
            rounds += 1;
            assert!(rounds < PATIENCE, "the endpoint does not come to rest");
        }
    }

    fn check_bounds(&mut self) {
        let (endpoint, limits) = (&self.endpoint, &self.limits);
        assert!(
            endpoint.sessions() <= limits.sessions as usize,
            "{} sessions",
            endpoint.sessions()
        );
        assert!(endpoint.detached() <= endpoint.sessions());
        assert!(
            endpoint.tombstones() <= limits.tombstones as usize,
            "{} tombstones",
            endpoint.tombstones()
        );
        assert!(
            endpoint.links() <= self.links.len(),
            "{} links of {}",
            endpoint.links(),
            self.links.len()
        );
        // Strangers hold no more than the pending ones: who has no session on a link is one of them.
        let strangers = self.links.iter().filter(|link| link.client.is_none()).count();
        let closing = 2 * limits.pending_handshakes as usize;
        if strangers == self.links.len() {
            // A HELLO that was replayed makes an unconfirmed session, hence twice.
            assert!(endpoint.links() <= closing, "{} links of strangers", endpoint.links());
        }
    }

    /// Everybody goes home. In time the endpoint must have forgotten all of it.
    fn end(&mut self) {
        while !self.links.is_empty() {
            self.down(0, false);
        }
        self.clients.clear();
        for _ in 0..1000 {
            self.endpoint.handle_timeout(self.now);
            loop {
                let event = self.endpoint.next_event(self.now);
                if let Some((Some(id), event)) = &event {
                    self.lives.entry(*id).or_default().see(event);
                }
                if event.is_none() && self.endpoint.next_output(&mut self.buffer, self.now).is_none() {
                    break;
                }
            }
            let Some(next) = self.endpoint.poll_timeout() else {
                break;
            };
            assert!(next > self.now, "it ran dry at {:?}, but wants {next:?}", self.now);
            self.now = next;
        }
        assert_eq!(
            (
                self.endpoint.sessions(),
                self.endpoint.links(),
                self.endpoint.detached()
            ),
            (0, 0, 0)
        );
        assert_eq!(self.endpoint.poll_timeout(), None);
        for (id, life) in &self.lives {
            assert!(life.closed.is_some(), "{id:?} ended without Closed");
            assert!(
                self.endpoint
                    .session(*id)
                    .is_none_or(|session| session.state() == State::Closed)
            );
        }
    }
}

fn pick(len: usize, which: u8) -> Option<usize> {
    (len > 0).then(|| usize::from(which) % len)
}
