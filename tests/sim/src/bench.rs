//! One end of the core on a test bench: the test is the network and the peer.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use unbroken::{
    ClientConfig, Endpoint, Event, Instant, LinkId, NetworkEvent, NetworkId, Output, Seed, ServerConfig, Session,
    SessionId, Target, Verdict,
};

/// A message as an application got it: its number, if it is a reliable one, and its bytes.
pub type Received = (Option<u64>, Vec<u8>);

/// What an end did to its links.
#[derive(Debug, Default)]
pub struct Links {
    /// Bytes written and not yet taken by the test.
    written: BTreeMap<LinkId, Vec<u8>>,
    pub closed: BTreeSet<LinkId>,
    /// Links asked for and not yet taken by the test.
    pub asked: VecDeque<(LinkId, Target, Option<NetworkId>)>,
    pub writes: u64,
}

impl Links {
    /// What was written to a link since the last time.
    pub fn take(&mut self, link: LinkId) -> Vec<u8> {
        self.written.remove(&link).unwrap_or_default()
    }

    /// Whether nothing was written to it since.
    pub fn quiet(&self, link: LinkId) -> bool {
        !self.written.contains_key(&link)
    }

    fn note(&mut self, output: Output, buffer: &[u8]) {
        match output {
            Output::Send { link, len } => {
                assert!(!self.closed.contains(&link), "written after CloseLink");
                self.writes += 1;
                self.written.entry(link).or_default().extend_from_slice(&buffer[..len]);
            }
            Output::OpenLink { link, target, network } => self.asked.push_back((link, target, network)),
            Output::CloseLink { link } => assert!(self.closed.insert(link), "closed twice"),
        }
    }
}

/// An `Endpoint` alone.
pub struct ServerBench {
    pub endpoint: Endpoint,
    pub now: Instant,
    pub links: Links,
    pub events: Vec<(SessionId, Event)>,
    /// What the sessions' applications were given.
    pub received: BTreeMap<SessionId, Vec<Received>>,
    /// Authorises whoever asks.
    pub lets_in: bool,
    /// Reads at once.
    pub reads: bool,
    next: u64,
}

impl ServerBench {
    pub fn new(config: ServerConfig) -> Self {
        let now = Instant::from_millis(1_000_000);
        ServerBench {
            endpoint: Endpoint::new(Arc::new(config), Seed::new([7; 32]), now),
            now,
            links: Links::default(),
            events: Vec::new(),
            received: BTreeMap::new(),
            lets_in: true,
            reads: true,
            next: 0,
        }
    }

    /// A new connection.
    pub fn up(&mut self) -> LinkId {
        self.next += 1;
        let link = LinkId(self.next);
        self.endpoint.handle_link_up(link, self.now);
        self.pump();
        link
    }

    pub fn input(&mut self, link: LinkId, bytes: &[u8]) {
        self.endpoint.handle_input(link, bytes, self.now);
        self.pump();
    }

    pub fn down(&mut self, link: LinkId) {
        self.endpoint.handle_link_down(link, self.now);
        self.pump();
    }

    /// A new connection with these first bytes; what was answered.
    pub fn connect(&mut self, bytes: &[u8]) -> (LinkId, Vec<u8>) {
        let link = self.up();
        self.input(link, bytes);
        (link, self.links.take(link))
    }

    pub fn pump(&mut self) {
        let mut buffer = vec![0; 64 << 10];
        for _ in 0..1_000_000 {
            if let Some((id, event)) = self.endpoint.poll_event() {
                if matches!(event, Event::Authorise { .. }) && self.lets_in {
                    let mut session = self.endpoint.session(id).unwrap();
                    session.authorise(Verdict::Accept {
                        message: Default::default(),
                    });
                }
                if matches!(event, Event::Readable) && self.reads {
                    self.read(id);
                }
                self.events.push((id, event));
            } else if let Some(output) = self.endpoint.poll_output(&mut buffer, self.now) {
                self.links.note(output, &buffer);
            } else {
                return;
            }
        }
        panic!("L-21: a drain does not end");
    }

    pub fn read(&mut self, id: SessionId) {
        let Some(mut session) = self.endpoint.session(id) else {
            return;
        };
        let into = self.received.entry(id).or_default();
        while let Some(message) = session.recv() {
            into.push((message.id.map(|id| id.0), message.payload.to_vec()));
        }
    }

    /// Lets time pass, with each timer at its time.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.endpoint.poll_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.endpoint.handle_timeout(self.now);
            self.pump();
            let next = self.endpoint.poll_timeout();
            assert!(
                next.is_none_or(|next| next > self.now),
                "poll_timeout {next:?} at {:?}",
                self.now
            );
        }
        self.now = until;
    }

    /// The payloads a session's application was given, reliable and not.
    pub fn payloads(&self, id: SessionId) -> Vec<Vec<u8>> {
        self.received
            .get(&id)
            .map(|all| all.iter().map(|(_, payload)| payload.clone()).collect())
            .unwrap_or_default()
    }

    pub fn take_events(&mut self) -> Vec<Event> {
        self.events.drain(..).map(|(_, event)| event).collect()
    }
}

/// A `Session` alone.
pub struct ClientBench {
    pub session: Session,
    pub now: Instant,
    pub links: Links,
    pub events: Vec<Event>,
    pub received: Vec<Received>,
    pub reads: bool,
}

impl ClientBench {
    pub fn new(config: ClientConfig) -> Self {
        ClientBench::seeded(config, [9; 32])
    }

    pub fn seeded(config: ClientConfig, seed: [u8; 32]) -> Self {
        let now = Instant::from_millis(1_000_000);
        let session = Session::connect(Arc::new(config), Seed::new(seed), now);
        let mut bench = ClientBench {
            session,
            now,
            links: Links::default(),
            events: Vec::new(),
            received: Vec::new(),
            reads: true,
        };
        bench.pump();
        bench
    }

    /// The link it asked for comes up; which one, and its first flight.
    pub fn link_up(&mut self) -> (LinkId, Vec<u8>) {
        let (link, ..) = self.links.asked.pop_front().expect("a wish for a link");
        self.session.handle_link_up(link, self.now);
        self.pump();
        (link, self.links.take(link))
    }

    /// Lets time pass until it asks for a link, and gives it.
    pub fn next_link(&mut self, patience: Duration) -> (LinkId, Vec<u8>) {
        let until = self.now + patience;
        while self.links.asked.is_empty() {
            let next = self.session.poll_timeout().filter(|next| *next <= until);
            let next = next.unwrap_or_else(|| panic!("it asks for no link within {patience:?}"));
            self.pass(next.since(self.now));
        }
        self.link_up()
    }

    pub fn input(&mut self, link: LinkId, bytes: &[u8]) {
        self.session.handle_input(link, bytes, self.now);
        self.pump();
    }

    pub fn down(&mut self, link: LinkId) {
        self.session.handle_link_down(link, self.now);
        self.pump();
    }

    pub fn network(&mut self, event: NetworkEvent) {
        self.session.handle_network(event, self.now);
        self.pump();
    }

    pub fn pump(&mut self) {
        let mut buffer = vec![0; 64 << 10];
        for _ in 0..1_000_000 {
            if let Some(event) = self.session.poll_event() {
                self.events.push(event);
                continue;
            }
            if self.reads
                && let Some(message) = self.session.recv()
            {
                self.received
                    .push((message.id.map(|id| id.0), message.payload.to_vec()));
                continue;
            }
            match self.session.poll_output(&mut buffer, self.now) {
                Some(output) => self.links.note(output, &buffer),
                None => return,
            }
        }
        panic!("L-21: a drain does not end");
    }

    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.session.poll_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.session.handle_timeout(self.now);
            self.pump();
            let next = self.session.poll_timeout();
            assert!(
                next.is_none_or(|next| next > self.now),
                "poll_timeout {next:?} at {:?}",
                self.now
            );
        }
        self.now = until;
    }
}
