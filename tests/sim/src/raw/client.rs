//! A client that does what a test tells it.

use unbroken::PublicKey;
use unbroken::crypto::{Initiator, Resumption};

use super::{ACCEPT, HELLO, NOISE, QUERY, RESUME, RawLink, Take, Window, prelude};
use crate::rng::Rng;

/// A client's knowledge of its session.
pub struct RawClient {
    pub server: PublicKey,
    pub realm: Vec<u8>,
    pub window: Window,
    pub versions: (u8, u8),
    /// The highest attempt given out.
    pub attempt: u32,
    pub last_live: u32,
    pub last_token: u64,
    pub handle: [u8; 16],
    pub session_id: [u8; 16],
    pub resumption: Option<Resumption>,
    rng: Rng,
}

/// A flight without its answer.
pub struct Pending {
    initiator: Initiator,
    attempt: u32,
}

/// The fields of a RESUME that say where the client stands.
#[derive(Clone, Debug, Default)]
pub struct Resume {
    pub recv_next: u64,
    pub recv_offset: u32,
    pub delivered: u64,
    pub send_base: u64,
    pub send_end: u64,
    pub early: Vec<u8>,
}

/// What an ACCEPT said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Accepted {
    Ok {
        recv_next: u64,
        recv_offset: u32,
        delivered: u64,
        window: Window,
        detached_ms: u32,
        address: String,
    },
    Lost {
        status: u8,
        kind: u8,
        code: u32,
    },
}

impl RawClient {
    pub fn new(server: PublicKey, realm: &[u8], seed: u64) -> Self {
        RawClient {
            server,
            realm: realm.to_vec(),
            window: Window::USUAL,
            versions: (1, 1),
            attempt: 0,
            last_live: 0,
            last_token: 0,
            handle: [0; 16],
            session_id: [0; 16],
            resumption: None,
            rng: Rng::new(seed),
        }
    }

    fn offer(&self) -> Vec<u8> {
        [&[self.versions.0, self.versions.1], &[0; 4][..], &self.window.bytes()].concat()
    }

    /// Section 2.1.
    pub fn hello(&mut self) -> (Vec<u8>, Pending) {
        let payload = self.offer();
        self.hello_with(&payload)
    }

    pub fn hello_with(&mut self, payload: &[u8]) -> (Vec<u8>, Pending) {
        let header = prelude(HELLO, self.server.id(), NOISE + payload.len());
        let mut flight = header.to_vec();
        let initiator =
            Initiator::nk(&self.server, &self.realm, &header, self.rng.key(), payload, &mut flight).unwrap();
        (flight, Pending { initiator, attempt: 0 })
    }

    /// Another device with the same secrets, as from a restored backup.
    pub fn copy(&self) -> Self {
        RawClient {
            server: self.server,
            realm: self.realm.clone(),
            window: self.window,
            resumption: self
                .resumption
                .as_ref()
                .map(|resumption| Resumption::from_bytes(*resumption.secret())),
            rng: Rng::new(99),
            ..*self
        }
    }

    /// Section 2.2, with the next attempt.
    pub fn resume(&mut self, at: &Resume) -> (Vec<u8>, Pending) {
        self.attempt += 1;
        self.resume_as(self.attempt, at)
    }

    /// ... with any attempt.
    pub fn resume_as(&mut self, attempt: u32, at: &Resume) -> (Vec<u8>, Pending) {
        let mut payload = vec![self.versions.0, self.versions.1];
        payload.extend(self.last_live.to_be_bytes());
        payload.extend(self.last_token.to_be_bytes());
        payload.extend(at.recv_next.to_be_bytes());
        payload.extend(at.recv_offset.to_be_bytes());
        payload.extend(at.delivered.to_be_bytes());
        payload.extend(at.send_base.to_be_bytes());
        payload.extend(at.send_end.to_be_bytes());
        payload.extend(self.window.bytes());
        payload.extend(&at.early);
        let mut header = prelude(RESUME, self.server.id(), 20 + 16 + NOISE + payload.len()).to_vec();
        header.extend(self.handle);
        header.extend(attempt.to_be_bytes());
        let resumption = self.resumption.as_ref().expect("a session to resume");
        let mut message = Vec::new();
        let psk = resumption.psk();
        let initiator = Initiator::nk_psk0(
            &self.server,
            psk,
            &self.realm,
            &header,
            self.rng.key(),
            &payload,
            &mut message,
        )
        .unwrap();
        let mac1 = resumption.mac1(&header, &message[..32]);
        ([&header[..], &mac1, &message].concat(), Pending { initiator, attempt })
    }

    /// Section 2.5.
    pub fn query(&mut self, attempt: u32) -> (Vec<u8>, Pending) {
        let payload = self.offer();
        let mut header = prelude(QUERY, self.server.id(), 20 + NOISE + payload.len()).to_vec();
        header.extend(self.handle);
        header.extend(attempt.to_be_bytes());
        let mut flight = header.clone();
        let initiator = Initiator::nk(
            &self.server,
            &self.realm,
            &header,
            self.rng.key(),
            &payload,
            &mut flight,
        )
        .unwrap();
        (flight, Pending { initiator, attempt })
    }

    /// Section 2.3: reads an ACCEPT at the front of `bytes`; says how long it was. `None` if it is not a valid one.
    pub fn accept(&mut self, pending: Pending, bytes: &[u8]) -> Option<(Accepted, RawLink, usize)> {
        let head: [u8; 12] = *bytes.first_chunk()?;
        let len = 12 + usize::from(u16::from_be_bytes([head[10], head[11]]));
        if head != prelude(ACCEPT, self.server.id(), len - 12) || bytes.len() < len {
            return None;
        }
        let mut payload = Vec::new();
        let split = pending.initiator.finish(&bytes[12..len], &mut payload).ok()?;
        let mut take = Take(&payload);
        assert_eq!(take.array(), head, "U-19");
        let status = take.u8();
        if status != 0 {
            let lost = Accepted::Lost {
                status,
                kind: take.u8(),
                code: take.u32(),
            };
            return Some((lost, RawLink::client(&split), len));
        }
        self.handle = take.array();
        self.session_id = take.array();
        self.last_token = take.u64();
        self.last_live = pending.attempt;
        let (recv_next, recv_offset, delivered) = (take.u64(), take.u32(), take.u64());
        let window = Window(take.u32(), take.u32(), take.u32());
        let detached_ms = take.u32();
        let address_len = usize::from(take.u8());
        let address = String::from_utf8(take.bytes(address_len).to_vec()).unwrap();
        let link = RawLink::client(&split);
        self.resumption = Some(split.resumption);
        Some((
            Accepted::Ok {
                recv_next,
                recv_offset,
                delivered,
                window,
                detached_ms,
                address,
            },
            link,
            len,
        ))
    }
}
