//! A server that does what a test tells it, for one session.

use unbroken::ServerKey;
use unbroken::crypto::{Responder, Resumption};

use super::client::Resume;
use super::{ACCEPT, HELLO, NOISE, QUERY, RESUME, RawLink, Take, Window, prelude};
use crate::rng::Rng;

/// A server's knowledge of a session.
pub struct RawServer {
    pub key: ServerKey,
    pub realm: Vec<u8>,
    pub window: Window,
    pub session_id: [u8; 16],
    pub token: u64,
    pub address: String,
    /// The secret of the handle given out last.
    pub resumption: Option<Resumption>,
    /// ... and of the one before: what a client that lost the last ACCEPT still has.
    pub former: Option<Resumption>,
    handles: u8,
    rng: Rng,
}

/// A flight the server has read and not answered.
pub struct Served {
    pub kind: u8,
    pub attempt: u32,
    pub handle: [u8; 16],
    pub mac1_right: bool,
    pub last_live: u32,
    pub last_token: u64,
    pub resume: Resume,
    pub window: Window,
    responder: Responder,
}

impl RawServer {
    pub fn new(key: ServerKey, realm: &[u8], seed: u64) -> Self {
        RawServer {
            key,
            realm: realm.to_vec(),
            window: Window::USUAL,
            session_id: [0xab; 16],
            token: 1,
            address: String::new(),
            resumption: None,
            former: None,
            handles: 0,
            rng: Rng::new(seed),
        }
    }

    /// Reads the client's first flight, which must be whole and right.
    pub fn read(&mut self, flight: &[u8]) -> Served {
        let len = 12 + usize::from(u16::from_be_bytes([flight[10], flight[11]]));
        assert_eq!(&flight[..4], b"UNB\x01");
        assert_eq!(flight[5..10], [&[0], &self.key.id()[..]].concat());
        let kind = flight[4];
        let flight = &flight[..len];
        let mut payload = Vec::new();
        let mut served = match kind {
            HELLO => {
                let responder =
                    Responder::nk(&self.key, &self.realm, &flight[..12], &flight[12..], &mut payload).unwrap();
                Served::new(kind, responder)
            }
            QUERY => {
                let responder =
                    Responder::nk(&self.key, &self.realm, &flight[..32], &flight[32..], &mut payload).unwrap();
                Served::new(kind, responder)
            }
            RESUME => {
                let (header, mac1, message) = (&flight[..32], &flight[32..48], &flight[48..]);
                let mut found = None;
                for resumption in [&self.resumption, &self.former].into_iter().flatten() {
                    payload.clear();
                    let opened =
                        Responder::nk_psk0(&self.key, resumption.psk(), &self.realm, header, message, &mut payload);
                    if let Ok(responder) = opened {
                        found = Some(Served::new(kind, responder));
                        found.as_mut().unwrap().mac1_right = resumption.mac1(header, &message[..32]) == mac1;
                        break;
                    }
                }
                found.expect("a RESUME under a generation the server has")
            }
            _ => panic!("a client sends a flight of type {kind}"),
        };
        let mut take = Take(&payload);
        assert_eq!((take.u8(), take.u8()), (1, 1), "versions");
        if kind == RESUME {
            served.last_live = take.u32();
            served.last_token = take.u64();
            served.resume.recv_next = take.u64();
            served.resume.recv_offset = take.u32();
            served.resume.delivered = take.u64();
            served.resume.send_base = take.u64();
            served.resume.send_end = take.u64();
        } else {
            assert_eq!(take.u32(), 0, "U-10: capabilities");
        }
        served.window = Window(take.u32(), take.u32(), take.u32());
        served.resume.early = take.0.to_vec();
        if kind != HELLO {
            served.handle.copy_from_slice(&flight[12..28]);
            served.attempt = u32::from_be_bytes(flight[28..32].try_into().unwrap());
        }
        served
    }

    /// An ACCEPT with status Ok.
    pub fn accept(&mut self, served: Served, recv_next: u64, recv_offset: u32, delivered: u64) -> (Vec<u8>, RawLink) {
        self.handles += 1;
        let mut body = vec![0];
        body.extend([self.handles; 16]);
        body.extend(self.session_id);
        body.extend(self.token.to_be_bytes());
        body.extend(recv_next.to_be_bytes());
        body.extend(recv_offset.to_be_bytes());
        body.extend(delivered.to_be_bytes());
        body.extend(self.window.bytes());
        body.extend(30_000u32.to_be_bytes());
        body.push(self.address.len() as u8);
        body.extend(self.address.as_bytes());
        // send_base: nothing of its own was ever ACKed.
        body.extend(0u64.to_be_bytes());
        self.answer(served, &body, true)
    }

    /// An ACCEPT with another status.
    pub fn lost(&mut self, served: Served, status: u8, kind: u8, code: u32) -> Vec<u8> {
        let mut body = [&[status, kind], &code.to_be_bytes()[..]].concat();
        if status == 2 {
            // send_end: the server gave nothing out.
            body.extend(0u64.to_be_bytes());
        }
        self.answer(served, &body, false).0
    }

    /// An ACCEPT with any body behind the inner prelude.
    pub fn answer(&mut self, served: Served, body: &[u8], lives: bool) -> (Vec<u8>, RawLink) {
        let head = prelude(ACCEPT, self.key.id(), NOISE + 12 + body.len());
        let mut out = head.to_vec();
        let split = served
            .responder
            .finish(self.rng.key(), &[&head[..], body].concat(), &mut out)
            .unwrap();
        let link = RawLink::server(&split);
        if lives {
            self.former = self.resumption.replace(split.resumption);
        }
        (out, link)
    }

    /// Section 2.4.
    pub fn refuse(&self, code: u8, retry_ms: u32, range: [u8; 2]) -> Vec<u8> {
        let mut out = prelude(super::REFUSE, self.key.id(), 7).to_vec();
        out.push(code);
        out.extend(retry_ms.to_be_bytes());
        out.extend(range);
        out
    }
}

impl Served {
    fn new(kind: u8, responder: Responder) -> Self {
        Served {
            kind,
            attempt: 0,
            handle: [0; 16],
            mac1_right: true,
            last_live: 0,
            last_token: 0,
            resume: Resume::default(),
            window: Window::USUAL,
            responder,
        }
    }
}
