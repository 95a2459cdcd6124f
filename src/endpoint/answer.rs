//! The server's answers to a flight that was good enough for one: ACCEPT of either kind, and the link that an Ok begins.

use alloc::vec::Vec;

use crate::config::ServerConfig;
use crate::crypto::noise::Responder;
use crate::crypto::{Opener, Rng, Sealer, Split};
use crate::event::LinkId;
use crate::session::conversation::{Conversation, Role};
use crate::session::link::Link;
use crate::session::liveness::Liveness;
use crate::session::rtt::Rtt;
use crate::time::Instant;
use crate::wire::flight::{self, Accept, AcceptOk};
use crate::wire::prelude::{self, FlightKind, Prelude};

/// The link of an accepted flight; the ACCEPT leaves first.
pub fn new_link(id: LinkId, attempt: u32, split: &Split, answer: Vec<u8>, now: Instant) -> Link {
    let (sealer, opener) = (Sealer::new(&split.server), Opener::new(&split.client));
    let mut link = Link::new(
        id,
        attempt,
        sealer,
        opener,
        Liveness::new(Role::Server, Rtt::default(), now),
    );
    link.staged = answer;
    link
}

/// ACCEPT Ok.
pub fn accept(
    config: &ServerConfig,
    rng: &mut Rng,
    prelude: Prelude,
    responder: Responder,
    handle: [u8; 16],
    talk: &Conversation,
    token: u64,
) -> Option<(Vec<u8>, Split)> {
    let ok = AcceptOk {
        handle,
        session_id: talk.id?.0,
        token,
        position: talk.position(),
        window: talk.window(),
        detached_ms: u32::try_from(config.limits.detached.as_millis()).unwrap_or(u32::MAX),
        address: &config.address,
        send_base: talk.outbox.acked(),
        send_end: talk.outbox.next(),
    };
    answer(rng, prelude, responder, &Accept::Ok(ok))
}

/// An ACCEPT of either kind: prelude and message 2.
pub fn answer(rng: &mut Rng, prelude: Prelude, responder: Responder, accept: &Accept<'_>) -> Option<(Vec<u8>, Split)> {
    let length = accept.encoded_len() + flight::NOISE_OVERHEAD;
    let outer = Prelude {
        kind: FlightKind::Accept,
        length: length as u16,
        ..prelude
    }
    .encode();
    let mut payload = Vec::with_capacity(accept.encoded_len());
    accept.encode(&outer, &mut payload);
    let mut out = Vec::with_capacity(prelude::LEN + length);
    out.extend_from_slice(&outer);
    let split = responder.finish(rng.key(), &payload, &mut out).ok()?;
    Some((out, split))
}
