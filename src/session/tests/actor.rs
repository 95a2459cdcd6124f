//! A server that is an actor: it reads a client's flights with the right keys, and answers whatever a test has it say, true or not.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use crate::config::ClientConfig;
use crate::crypto::{Responder, Resumption, Seed, ServerKey, Split};
use crate::event::{Event, LinkId, NetworkId, Output};
use crate::session::Session;
use crate::session::dial::Stage as TryStage;
use crate::session::handshake::Handshake;
use crate::time::Instant;
use crate::wire::flight::{Accept, AcceptOk, MAC1_LEN, MAC1_OFFSET, NOISE_OVERHEAD, Position, Window};
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
    /// Links that the client had the host close.
    pub closed: Vec<LinkId>,
    /// How many were opened.
    pub opened: usize,
    told: Vec<Event>,
    key: ServerKey,
    resumption: Option<Resumption>,
}

impl Play {
    /// A client that asks for its first link.
    pub fn new() -> Self {
        let key = ServerKey::from_bytes([7; 32]).expect("not zero");
        let config = ClientConfig::builder(key.public()).build().expect("good");
        let now = Instant::from_millis(10_000);
        Play {
            session: Session::connect(Arc::new(config), Seed::new([1; 32]), now),
            now,
            link: LinkId(u64::MAX),
            network: None,
            closed: Vec::new(),
            opened: 0,
            told: Vec::new(),
            key,
            resumption: None,
        }
    }

    /// A client whose session stands.
    pub fn begun() -> Self {
        let mut play = Play::new();
        let flight = play.flight();
        play.says(flight, &Accept::Ok(NEW));
        assert_eq!(play.session.talk.links.len(), 1);
        play
    }

    /// The host does what the client asks for; each connection that it wants stands at once. Gives back what it sent on the newest link.
    pub fn perform(&mut self) -> Vec<u8> {
        let mut sent = Vec::new();
        let mut buffer = vec![0; 65536];
        while let Some(output) = self.session.poll_output(&mut buffer, self.now) {
            match output {
                Output::OpenLink { link, network, .. } => {
                    sent.clear();
                    (self.link, self.network) = (link, network);
                    self.opened += 1;
                    self.session.handle_link_up(link, self.now);
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
        }
        self.perform()
    }

    /// The newest link breaks.
    pub fn cut(&mut self) {
        self.session.handle_link_down(self.link, self.now);
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.session.handle_timeout(self.now);
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
