//! An endpoint and a hand-driven client that has its session; and the other way round.

use core::time::Duration;

use unbroken::config::{ClientConfigBuilder, ServerConfigBuilder};
use unbroken::{ClientConfig, ClusterKey, Event, LinkId, ServerConfig, ServerKey, SessionId, State};
use unbroken_sim::raw::{Accepted, RawClient, RawFrame, RawLink, RawServer, Resume, frames};
use unbroken_sim::{ClientBench, ServerBench};

pub const REALM: &[u8] = b"game";
pub const SECOND: Duration = Duration::from_secs(1);
pub const MS: Duration = Duration::from_millis(1);

pub fn server_key() -> ServerKey {
    ServerKey::from_bytes([0x51; 32]).unwrap()
}

pub fn server_config() -> ServerConfigBuilder {
    ServerConfig::builder(server_key(), ClusterKey::from_bytes([0xc1; 32]).unwrap()).realm(REALM)
}

pub fn client_config() -> ClientConfigBuilder {
    ClientConfig::builder(server_key().public())
        .realm(REALM)
        .credential(&b"me"[..])
}

/// An endpoint with one established session, whose client the test plays.
pub struct Hand {
    pub bench: ServerBench,
    pub client: RawClient,
    pub link: LinkId,
    pub wire: RawLink,
    pub id: SessionId,
    /// What the endpoint sent behind the handshake, as it came.
    pub heard: Vec<RawFrame>,
}

impl Hand {
    pub fn new() -> Self {
        Hand::with(server_config().build().unwrap())
    }

    pub fn with(config: ServerConfig) -> Self {
        let mut bench = ServerBench::new(config);
        let mut client = RawClient::new(server_key().public(), REALM, 11);
        let (link, wire, answer) = hello(&mut bench, &mut client);
        assert!(
            matches!(
                answer,
                Accepted::Ok {
                    recv_next: 0,
                    recv_offset: 0,
                    delivered: 0,
                    ..
                }
            ),
            "{answer:?}"
        );
        let id = SessionId(client.session_id);
        let mut hand = Hand {
            bench,
            client,
            link,
            wire,
            id,
            heard: Vec::new(),
        };
        hand.say(&frames::auth(b"me"));
        assert!(
            hand.bench
                .take_events()
                .iter()
                .any(|e| matches!(e, Event::Established { session, .. } if *session == id))
        );
        assert!(
            matches!(hand.hear()[0], RawFrame::AuthResult { verdict: 0, .. }),
            "{:?}",
            hand.heard
        );
        hand.heard.clear();
        hand
    }

    /// One record with these frames.
    pub fn say(&mut self, plaintext: &[u8]) {
        let record = self.wire.seal(plaintext);
        self.bench.input(self.link, &record);
    }

    /// The frames that came since the last time.
    pub fn hear(&mut self) -> Vec<RawFrame> {
        let bytes = self.bench.links.take(self.link);
        let frames = self.wire.open(&bytes);
        self.heard.extend(frames.iter().cloned());
        frames
    }

    /// The link this test speaks on was closed by the endpoint.
    pub fn is_cut(&self) -> bool {
        self.bench.links.closed.contains(&self.link)
    }

    pub fn state(&mut self) -> Option<State> {
        self.bench.endpoint.session(self.id).map(|s| s.state())
    }

    /// The link ended, the session did not: it waits for the client.
    pub fn assert_detached(&mut self) {
        assert!(self.is_cut(), "the link stays");
        assert_eq!(self.state(), Some(State::Connecting), "the session is not detached");
        let events = self.bench.take_events();
        assert!(
            events.iter().any(|e| matches!(e, Event::HandoverBegin { .. })),
            "{events:?}"
        );
        assert!(!events.iter().any(|e| matches!(e, Event::Closed(_))), "{events:?}");
    }

    /// A new link for the session, confirmed; what the ACCEPT said.
    pub fn resume(&mut self, at: &Resume) -> Accepted {
        let (flight, pending) = self.client.resume(at);
        let (link, answer) = self.bench.connect(&flight);
        let (accepted, wire, len) = self.client.accept(pending, &answer).expect("an ACCEPT");
        (self.link, self.wire) = (link, wire);
        self.heard = self.wire.open(&answer[len..]);
        if matches!(accepted, Accepted::Ok { .. }) {
            self.say(&frames::ack(at.delivered, 4096, 1 << 20));
        }
        accepted
    }

    /// The session still works, on a new link.
    pub fn assert_resumable(&mut self, at: &Resume) {
        let accepted = self.resume(at);
        assert!(matches!(accepted, Accepted::Ok { .. }), "{accepted:?}");
        assert_eq!(self.state(), Some(State::Established));
    }

    /// What the server's application was given.
    pub fn delivered(&self) -> Vec<Vec<u8>> {
        self.bench.payloads(self.id)
    }

    /// Sends from the server's application.
    pub fn server_sends(&mut self, messages: &[&[u8]]) {
        let mut session = self.bench.endpoint.session(self.id).unwrap();
        for message in messages {
            session.send(message.to_vec().into()).unwrap();
        }
        drop(session);
        self.bench.pump();
    }
}

/// A first connect up to ACCEPT.
pub fn hello(bench: &mut ServerBench, client: &mut RawClient) -> (LinkId, RawLink, Accepted) {
    let (flight, pending) = client.hello();
    let (link, answer) = bench.connect(&flight);
    let (accepted, mut wire, len) = client.accept(pending, &answer).expect("an ACCEPT");
    wire.open(&answer[len..]);
    (link, wire, accepted)
}

/// A session, established with a server that the test plays.
pub struct Guest {
    pub bench: ClientBench,
    pub server: RawServer,
    pub link: LinkId,
    pub wire: RawLink,
}

impl Guest {
    pub fn new() -> Self {
        Guest::with(client_config().build().unwrap())
    }

    pub fn with(config: ClientConfig) -> Self {
        let mut bench = ClientBench::new(config);
        let mut server = RawServer::new(server_key(), REALM, 12);
        let (link, flight) = bench.link_up();
        let served = server.read(&flight);
        let (answer, wire) = server.accept(served, 0, 0, 0);
        bench.input(link, &answer);
        let mut guest = Guest {
            bench,
            server,
            link,
            wire,
        };
        let heard = guest.hear();
        assert!(heard.contains(&RawFrame::Auth(b"me".to_vec())), "U-42: {heard:?}");
        guest.say(&[frames::auth_result(0, 0, b"hi"), pongs(&heard)].concat());
        assert_eq!(guest.bench.session.state(), State::Established);
        guest
    }

    pub fn say(&mut self, plaintext: &[u8]) {
        let record = self.wire.seal(plaintext);
        self.bench.input(self.link, &record);
    }

    pub fn hear(&mut self) -> Vec<RawFrame> {
        let bytes = self.bench.links.take(self.link);
        self.wire.open(&bytes)
    }

    /// Hears, and answers what is a PING.
    pub fn answer(&mut self) -> Vec<RawFrame> {
        let heard = self.hear();
        let answers = pongs(&heard);
        if !answers.is_empty() {
            self.say(&answers);
        }
        heard
    }

    pub fn is_cut(&self) -> bool {
        self.bench.links.closed.contains(&self.link)
    }

    /// Lets time pass, answering what is asked on the link.
    pub fn live(&mut self, time: Duration) {
        let until = self.bench.now + time;
        while self.bench.now < until {
            for frame in self.hear() {
                if let RawFrame::Ping(token) = frame {
                    self.say(&frames::pong(token));
                }
            }
            self.bench.pass(MS);
        }
    }

    /// The next link it opens is resumed; what the RESUME said.
    pub fn resume(&mut self, recv_next: u64) -> Resume {
        let (link, flight) = self.bench.next_link(40 * SECOND);
        let served = self.server.read(&flight);
        assert!(served.mac1_right, "U-12");
        let resume = served.resume.clone();
        let (answer, wire) = self.server.accept(served, recv_next, 0, recv_next);
        self.bench.input(link, &answer);
        (self.link, self.wire) = (link, wire);
        resume
    }

    pub fn assert_open(&self) {
        assert!(
            !self.bench.events.iter().any(|e| matches!(e, Event::Closed(_))),
            "{:?}",
            self.bench.events
        );
        assert_ne!(self.bench.session.state(), State::Closed);
    }
}

/// The answers to the PINGs among these frames.
pub fn pongs(frames: &[RawFrame]) -> Vec<u8> {
    let pong = |frame: &RawFrame| match frame {
        RawFrame::Ping(token) => frames::pong(*token),
        _ => Vec::new(),
    };
    frames.iter().flat_map(pong).collect()
}

/// The frames that carry messages, taken apart: number and bytes.
pub fn messages(frames: &[RawFrame]) -> Vec<(u64, Vec<u8>)> {
    let mut out = Vec::new();
    for frame in frames {
        if let RawFrame::Data { seq, messages } = frame {
            out.extend(messages.iter().enumerate().map(|(i, m)| (seq + i as u64, m.clone())));
        }
    }
    out
}
