//! A server that is an actor: it reads a client's flights with the right keys, and answers whatever a test has it say, true or not.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::record;
use crate::config::{ClientConfig, ClientConfigBuilder};
use crate::crypto::{Responder, Resumption, Sealer, Seed, ServerKey, Split};
use crate::event::{Event, LinkId, NetworkEvent, NetworkId, Output, Target};
use crate::session::Session;
use crate::session::dial::Stage as TryStage;
use crate::session::handshake::Handshake;
use crate::time::Instant;
use crate::wire::flight::{
    Accept, AcceptOk, MAC1_LEN, MAC1_OFFSET, NOISE_OVERHEAD, Position, REFUSE_LEN, Refuse, Window,
};
use crate::wire::frame;
use crate::wire::prelude::{self, FlightKind, Prelude};

/// The session as it is before anything was said.
pub const NEW: AcceptOk<'static> = AcceptOk {
    handle: [3; 16],
    session_id: [4; 16],
    token: 1,
    position: Position {
        recv_next: 0,
        recv_offset: 0,
        delivered: 0,
    },
    window: Window {
        messages: 1000,
        bytes: 1 << 20,
        max_message: 1 << 20,
    },
    detached_ms: 30_000,
    address: "",
    send_base: 0,
    send_end: 0,
};

/// A flight that was read.
pub struct Flight {
    pub prelude: Prelude,
    /// What the client said in it.
    pub payload: Vec<u8>,
    responder: Responder,
}

/// A client and the actor.
pub struct Play {
    pub session: Session,
    pub now: Instant,
    /// The link that was opened last, and where it was to be opened.
    pub link: LinkId,
    pub network: Option<NetworkId>,
    pub target: Target,
    /// Whether a connection that the client wants stands at once.
    pub stands: bool,
    /// Links that the client had the host close.
    pub closed: Vec<LinkId>,
    /// How many were opened.
    pub opened: usize,
    told: Vec<Event>,
    key: ServerKey,
    resumption: Option<Resumption>,
    /// The link that the server let the client in on last, and what it seals with there.
    carrier: Option<(LinkId, Sealer)>,
    /// The one before that.
    before: Option<(LinkId, Sealer)>,
}

impl Play {
    /// A client that asks for its first link.
    pub fn new() -> Self {
        Play::with(|config| config)
    }

    /// The same, with another configuration.
    pub fn with(configure: impl FnOnce(ClientConfigBuilder) -> ClientConfigBuilder) -> Self {
        let key = ServerKey::from_bytes([7; 32]).expect("not zero");
        let config = configure(ClientConfig::builder(key.public())).build().expect("good");
        let now = Instant::from_millis(10_000);
        Play {
            session: Session::connect(Arc::new(config), Seed::new([1; 32]), now),
            now,
            link: LinkId(u64::MAX),
            network: None,
            target: Target::Configured,
            stands: true,
            closed: Vec::new(),
            opened: 0,
            told: Vec::new(),
            key,
            resumption: None,
            carrier: None,
            before: None,
        }
    }

    /// A client whose session stands.
    pub fn begun() -> Self {
        Play::begun_at("")
    }

    /// The same with a server that has an address of its own.
    pub fn begun_at(address: &str) -> Self {
        Play::new().begin_at(address)
    }

    fn begin_at(self, address: &str) -> Self {
        let mut play = self;
        let flight = play.flight();
        play.says(flight, &Accept::Ok(AcceptOk { address, ..NEW }));
        assert_eq!(play.session.talk.links.len(), 1);
        play
    }

    /// A client that the application has let in, over a line that takes 50 ms both ways; nothing is open.
    pub fn established() -> Self {
        Play::established_at("")
    }

    /// The same with a server that has an address of its own.
    pub fn established_at(address: &str) -> Self {
        Play::begun_at(address).establish()
    }

    /// The same with another configuration.
    pub fn established_with(configure: impl FnOnce(ClientConfigBuilder) -> ClientConfigBuilder) -> Self {
        Play::with(configure).begin_at("").establish()
    }

    fn establish(self) -> Self {
        let mut play = self;
        let asked = play.now;
        play.now += Duration::from_millis(50);
        let mut verdict = Vec::new();
        frame::auth_result(&mut verdict, true, 0, b"");
        play.tells(&verdict);
        play.pongs(asked);
        play.perform();
        play.events();
        play
    }

    /// The host does what the client asks for. Gives back what it sent on the newest link.
    pub fn perform(&mut self) -> Vec<u8> {
        let mut sent = Vec::new();
        let mut buffer = vec![0; 65536];
        while let Some(output) = self.session.poll_output(&mut buffer, self.now) {
            match output {
                Output::OpenLink { link, network, target } => {
                    sent.clear();
                    (self.link, self.network, self.target) = (link, network, target);
                    self.opened += 1;
                    if self.stands {
                        self.session.handle_link_up(link, self.now);
                    }
                }
                Output::Send { link, len } if link == self.link => sent.extend_from_slice(&buffer[..len]),
                Output::Send { .. } => {}
                Output::CloseLink { link } => self.closed.push(link),
            }
        }
        self.told.extend(core::iter::from_fn(|| self.session.poll_event()));
        sent
    }

    /// The flight that the client makes now.
    pub fn flight(&mut self) -> Flight {
        let sent = self.perform();
        let prelude = Prelude::parse(sent.first_chunk().expect("a flight")).expect("a good one");
        let flight = &sent[..prelude::LEN + usize::from(prelude.length)];
        let mut payload = Vec::new();
        let (key, realm) = (&self.key, &[][..]);
        let read = match (prelude.kind, &self.resumption) {
            (FlightKind::Resume, Some(resumption)) => {
                let message1 = &flight[MAC1_OFFSET + MAC1_LEN..];
                Responder::nk_psk0(
                    key,
                    resumption.psk(),
                    realm,
                    &flight[..MAC1_OFFSET],
                    message1,
                    &mut payload,
                )
            }
            (kind, _) => {
                let header = if kind == FlightKind::Hello {
                    prelude::LEN
                } else {
                    MAC1_OFFSET
                };
                Responder::nk(key, realm, &flight[..header], &flight[header..], &mut payload)
            }
        };
        Flight {
            prelude,
            payload,
            responder: read.expect("the client has the right keys"),
        }
    }

    /// The answer to a flight, and the keys that follow from it.
    pub fn answer(flight: Flight, accept: &Accept<'_>) -> (Vec<u8>, Split) {
        let outer = Prelude {
            kind: FlightKind::Accept,
            length: (accept.encoded_len() + NOISE_OVERHEAD) as u16,
            ..flight.prelude
        }
        .encode();
        let mut payload = Vec::new();
        accept.encode(&outer, &mut payload);
        let mut words = outer.to_vec();
        let split = flight
            .responder
            .finish([8; 32], &payload, &mut words)
            .expect("good keys");
        (words, split)
    }

    /// The server says this, on the newest link. Gives back what the client says to that.
    pub fn says(&mut self, flight: Flight, accept: &Accept<'_>) -> Vec<u8> {
        let (words, split) = Play::answer(flight, accept);
        self.session.handle_input(self.link, &words, self.now);
        if matches!(accept, Accept::Ok(_)) {
            self.resumption = Some(split.resumption);
            self.before = self.carrier.replace((self.link, Sealer::new(&split.server)));
        }
        self.perform()
    }

    /// Another network is wanted, and the session is carried over it from then on; to the server's own address, if it names one.
    pub fn joins(&mut self, network: NetworkId, address: &str) {
        self.session.handle_network(NetworkEvent::Available(network), self.now);
        let flight = self.flight();
        self.says(flight, &Accept::Ok(AcceptOk { address, ..NEW }));
    }

    /// The server says in the clear that it does not let the client in, on the newest link.
    pub fn refuses(&mut self, refuse: &Refuse) {
        let prelude = Prelude {
            version: refuse.max_version,
            kind: FlightKind::Refuse,
            key_id: self.key.public().id(),
            length: REFUSE_LEN as u16,
        };
        let mut words = prelude.encode().to_vec();
        refuse.encode(&mut words);
        self.session.handle_input(self.link, &words, self.now);
    }

    /// A record of these frames comes on the link that carries.
    pub fn tells(&mut self, frames: &[u8]) {
        let (link, sealer) = self.carrier.as_mut().expect("it was let in");
        self.session.handle_input(*link, &record(sealer, frames), self.now);
    }

    /// The same on the link before that.
    pub fn tells_before(&mut self, frames: &[u8]) {
        let (link, sealer) = self.before.as_mut().expect("it was let in twice");
        self.session.handle_input(*link, &record(sealer, frames), self.now);
    }

    /// The answer comes to the PING that left at this moment, which is its token.
    pub fn pongs(&mut self, left: Instant) {
        let mut pong = [0; frame::PING_LEN];
        frame::pong(&mut pong, left.as_micros().to_be_bytes());
        self.tells(&pong);
    }

    /// The newest link breaks.
    pub fn cut(&mut self) {
        self.session.handle_link_down(self.link, self.now);
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now);
    }

    /// Time passes until the client wants to look at it; whether it does.
    pub fn pass_to_next(&mut self) -> bool {
        let next = self.session.poll_timeout();
        if let Some(next) = next {
            self.pass(next.since(self.now));
        }
        next.is_some()
    }

    /// The handshake that is under way, taken away from the client.
    pub fn handshake(&mut self) -> Handshake {
        match self.session.dialler.tries.remove(0).stage {
            TryStage::Handshaking(handshake) => handshake,
            _ => panic!("its flight is under way"),
        }
    }

    /// What the application was told since this was last asked.
    pub fn events(&mut self) -> Vec<Event> {
        core::mem::take(&mut self.told)
    }
}
