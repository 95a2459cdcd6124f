//! The client's side of a handshake: which flight to send, and what the answer means (section 2 of the protocol).
//!
//! ```text
//!   no ticket              HELLO   ──► ACCEPT Ok: a session, its first ticket
//!   ticket                 RESUME  ──► ACCEPT Ok: the next ticket, and the server's position
//!                                  ──► ACCEPT lost: the session ended; authenticated
//!   ticket, "not here"     QUERY   ──► ACCEPT lost, or Alive: RESUME again
//!   any                            ──► REFUSE: a hint, in the clear
//! ```

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::conversation::Conversation;
use super::outbox::Piece;
use crate::crypto::{Initiator, PublicKey, Resumption, Rng, Split};
use crate::error::CloseReason;
use crate::event::SessionId;
use crate::time::Instant;
use crate::wire::flight::{
    self, Accept, Hello, MAC1_LEN, Position, REFUSE_LEN, Refuse, Resume, ResumeHeader, Versions, Window,
};
use crate::wire::frame::{self, CloseKind};
use crate::wire::prelude::{self, FlightKind, Prelude};

/// What a RESUME needs: it came with the last valid ACCEPT.
pub struct Ticket {
    pub handle: [u8; 16],
    pub resumption: Resumption,
    /// The attempt whose ACCEPT it came with (U-14).
    pub generation: u32,
    /// How long the server keeps the session without a link.
    pub detached_ms: u32,
    pub token: u64,
    /// The server's own address; empty if it named none.
    pub address: String,
}

/// A flight on its way.
pub struct Handshake {
    initiator: Initiator,
    kind: FlightKind,
    pub attempt: u32,
    /// The protocol version it was sent under.
    pub version: u8,
    pub started: Instant,
    /// Messages and payload in the early data that an older link may have carried already.
    pub early_replay: (u64, u64),
}

/// What the client says in a flight, beside its counters.
pub struct Offer<'a> {
    pub server: &'a PublicKey,
    pub realm: &'a [u8],
    pub versions: Versions,
    pub version: u8,
}

/// What the server said.
pub enum Answer {
    Accepted(Box<Accepted>),
    Lost(CloseReason),
    Alive,
    Refused(Refuse),
}

/// ACCEPT Ok.
pub struct Accepted {
    pub split: Split,
    pub ticket_handle: [u8; 16],
    pub session: SessionId,
    pub token: u64,
    pub position: Position,
    pub send_base: u64,
    pub send_end: u64,
    pub window: Window,
    pub detached_ms: u32,
    pub address: String,
}

/// The answer cannot be: the link ends, nothing else changes.
pub struct BadAnswer;

impl Handshake {
    /// HELLO.
    pub fn hello(offer: &Offer<'_>, talk: &Conversation, rng: &mut Rng, out: &mut Vec<u8>) -> Option<Self> {
        let payload = hello_payload(offer, talk);
        let length = payload.len() + flight::NOISE_OVERHEAD;
        out.extend_from_slice(&offer.prelude(FlightKind::Hello, length));
        let header: [u8; prelude::LEN] = out[..].try_into().ok()?;
        let initiator = Initiator::nk(offer.server, offer.realm, &header, rng.key(), &payload, out).ok()?;
        Some(Handshake {
            initiator,
            kind: FlightKind::Hello,
            version: offer.version,
            attempt: 0,
            started: talk.now,
            early_replay: (0, 0),
        })
    }

    /// QUERY.
    pub fn query(
        offer: &Offer<'_>,
        ticket: &Ticket,
        attempt: u32,
        talk: &Conversation,
        rng: &mut Rng,
        out: &mut Vec<u8>,
    ) -> Option<Self> {
        let payload = hello_payload(offer, talk);
        let length = ResumeHeader::LEN + payload.len() + flight::NOISE_OVERHEAD;
        out.extend_from_slice(&offer.prelude(FlightKind::Query, length));
        ResumeHeader {
            handle: ticket.handle,
            attempt,
        }
        .encode(out);
        let header = out.clone();
        let initiator = Initiator::nk(offer.server, offer.realm, &header, rng.key(), &payload, out).ok()?;
        Some(Handshake {
            initiator,
            kind: FlightKind::Query,
            version: offer.version,
            attempt,
            started: talk.now,
            early_replay: (0, 0),
        })
    }

    /// RESUME, with as many un-ACKed messages as fit `early_max` bytes (at most [`EARLY_MAX`](flight::EARLY_MAX)).
    #[allow(clippy::too_many_arguments)] // each is a thing of its own, and there is one caller
    pub fn resume(
        offer: &Offer<'_>,
        ticket: &Ticket,
        attempt: u32,
        early_max: usize,
        talk: &mut Conversation,
        rng: &mut Rng,
        out: &mut Vec<u8>,
    ) -> Option<Self> {
        let (early, early_replay) = early_frames(talk, early_max);
        let mut payload = Vec::with_capacity(Resume::FIXED_LEN + early.len());
        Resume {
            versions: offer.versions,
            last_live: ticket.generation,
            last_token: ticket.token,
            position: talk.position(),
            send_base: talk.outbox.acked(),
            send_end: talk.outbox.next(),
            window: talk.window(),
            early: &early,
        }
        .encode(&mut payload);
        let length = ResumeHeader::LEN + MAC1_LEN + payload.len() + flight::NOISE_OVERHEAD;
        out.extend_from_slice(&offer.prelude(FlightKind::Resume, length));
        ResumeHeader {
            handle: ticket.handle,
            attempt,
        }
        .encode(out);
        let header = out.clone();
        let mut message1 = Vec::with_capacity(payload.len() + flight::NOISE_OVERHEAD);
        let psk = ticket.resumption.psk();
        let initiator = Initiator::nk_psk0(
            offer.server,
            psk,
            offer.realm,
            &header,
            rng.key(),
            &payload,
            &mut message1,
        )
        .ok()?;
        out.extend_from_slice(&ticket.resumption.mac1(&header, &message1[..flight::E_LEN]));
        out.append(&mut message1);
        Some(Handshake {
            initiator,
            kind: FlightKind::Resume,
            version: offer.version,
            attempt,
            started: talk.now,
            early_replay,
        })
    }

    /// Reads the answer out of what has come so far: `None` until it is whole; with it, how many bytes it took.
    pub fn answer(&self, input: &[u8]) -> Result<Option<usize>, BadAnswer> {
        if !prelude::magic_matches(input) {
            return Err(BadAnswer);
        }
        let Some(head) = input.first_chunk::<{ prelude::LEN }>() else {
            return Ok(None);
        };
        let prelude = Prelude::parse(head).map_err(|_| BadAnswer)?;
        if !matches!(prelude.kind, FlightKind::Accept | FlightKind::Refuse) {
            return Err(BadAnswer);
        }
        let whole = prelude::LEN + usize::from(prelude.length);
        Ok((input.len() >= whole).then_some(whole))
    }

    /// Judges a whole answer. `received` is the first message this end has not received.
    pub fn finish(self, answer: &[u8], received: u64) -> Result<Answer, BadAnswer> {
        let (head, body) = answer.split_first_chunk::<{ prelude::LEN }>().ok_or(BadAnswer)?;
        let prelude = Prelude::parse(head).map_err(|_| BadAnswer)?;
        if prelude.kind == FlightKind::Refuse {
            if body.len() != REFUSE_LEN {
                return Err(BadAnswer);
            }
            return Ok(Answer::Refused(Refuse::parse(body).map_err(|_| BadAnswer)?));
        }
        let mut payload = Vec::new();
        let split = self.initiator.finish(body, &mut payload).map_err(|_| BadAnswer)?;
        Ok(match Accept::parse(&payload, head).map_err(|_| BadAnswer)? {
            Accept::Ok(_) if self.kind == FlightKind::Query => return Err(BadAnswer),
            Accept::Ok(ok) => Answer::Accepted(Box::new(Accepted {
                split,
                ticket_handle: ok.handle,
                session: SessionId(ok.session_id),
                token: ok.token,
                position: ok.position,
                send_base: ok.send_base,
                send_end: ok.send_end,
                window: ok.window,
                detached_ms: ok.detached_ms,
                address: ok.address.into(),
            })),
            Accept::Lost(flight::LostStatus::Alive) if self.kind == FlightKind::Query => Answer::Alive,
            Accept::Lost(status) => Answer::Lost(reason(status, received).ok_or(BadAnswer)?),
        })
    }
}

impl Offer<'_> {
    fn prelude(&self, kind: FlightKind, length: usize) -> [u8; prelude::LEN] {
        debug_assert!(length <= usize::from(kind.lengths().1));
        Prelude {
            version: self.version,
            kind,
            key_id: self.server.id(),
            length: length as u16,
        }
        .encode()
    }
}

fn hello_payload(offer: &Offer<'_>, talk: &Conversation) -> Vec<u8> {
    let mut payload = Vec::with_capacity(Hello::LEN);
    Hello {
        versions: offer.versions,
        capabilities: 0,
        window: talk.window(),
    }
    .encode(&mut payload);
    payload
}

/// The first un-ACKed messages as frames, up to `max` bytes; and how much of it may have been carried before.
fn early_frames(talk: &mut Conversation, max: usize) -> (Vec<u8>, (u64, u64)) {
    let mut frames = Vec::new();
    let mut cursor = talk.outbox.rewind();
    let carried = talk.outbox.replayed(&cursor);
    while let Some(piece) = talk.outbox.take(&mut cursor, &talk.credit, max - frames.len(), max) {
        let mut head = [0; 48];
        let used = match piece {
            Piece::Run { seq, .. } => frame::data_header(&mut head, seq),
            Piece::Part { fragment, start, end } => fragment.header(&mut head, end - start),
        };
        frames.extend_from_slice(&head[..used]);
        talk.outbox
            .with_overlay(&piece, &[], 0, |bytes| frames.extend_from_slice(bytes));
        // A run ends where the frames end or at a zero; what follows needs the zero.
        if matches!(piece, Piece::Run { .. }) {
            if frames.len() + 64 >= max {
                break;
            }
            frames.push(frame::DATA_END);
        }
    }
    let beyond = talk.outbox.replayed(&cursor);
    (frames, (carried.0 - beyond.0, carried.1 - beyond.1))
}

fn reason(status: flight::LostStatus, received: u64) -> Option<CloseReason> {
    Some(match status {
        flight::LostStatus::Unknown => CloseReason::UnknownSession,
        flight::LostStatus::RolledBack => CloseReason::RolledBack,
        flight::LostStatus::OwnerCrashed => CloseReason::OwnerCrashed,
        flight::LostStatus::Refused { code } => CloseReason::Refused { code },
        flight::LostStatus::Closed { kind, code, send_end } => match kind {
            CloseKind::Application => CloseReason::Peer {
                code,
                truncated: received < send_end,
            },
            CloseKind::Expired => CloseReason::Expired,
            CloseKind::Kicked => CloseReason::Kicked { code },
            CloseKind::Superseded => CloseReason::Superseded,
            CloseKind::NotAuthorised => CloseReason::Refused { code },
            CloseKind::Overflow => CloseReason::Overflow,
            CloseKind::Internal => CloseReason::Internal,
            CloseKind::RolledBack => CloseReason::RolledBack,
        },
        flight::LostStatus::Alive => return None,
    })
}
