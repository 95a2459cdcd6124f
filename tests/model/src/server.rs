//! A server with the session in memory: it judges flights, accepts them, moves messages, and tells the client no more than the store
//! has confirmed.

use crate::rules::{Mode, Rule, Takeover};
use crate::snapshot::{Covered, Generation, Snapshot};
use crate::state::{Carried, Down, End, Flight, Link, Session, Slot, World};
use crate::takeover;

/// What a flight is worth to a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// All checks passed.
    Good,
    /// Forged, stale, or under secrets that have been left: nothing happens.
    Nothing,
    /// Under a generation that this copy of the session has never made. Only a handle's word: not authenticated.
    Newer,
    /// Authenticated, and it knows more of the server than the server itself (U-17).
    RolledBack,
}

/// Judges a flight: generation, mac1, attempt, AEAD, counts.
pub fn judge(model: &Takeover, token: u8, now: &Snapshot, flight: Option<Flight>) -> Verdict {
    let Some(flight) = flight else {
        return Verdict::Nothing;
    };
    let known = knows(now, flight.under.number);
    if known.is_none() && flight.under.number > now.current.number {
        return Verdict::Newer;
    }
    if known != Some(flight.under) {
        return Verdict::Nothing;
    }
    if model.has(Rule::Attempt) && flight.attempt <= now.attempt {
        return Verdict::Nothing;
    }
    let possible = flight.last_live <= now.attempt
        && flight.last_token <= token
        && flight.received <= now.log.len()
        && flight.acked <= now.delivered;
    if model.has(Rule::Counts) && !possible {
        return Verdict::RolledBack;
    }
    Verdict::Good
}

/// The generation of this number, if it is one of the two.
pub fn knows(now: &Snapshot, number: u8) -> Option<Generation> {
    [Some(now.current), now.pending]
        .into_iter()
        .flatten()
        .find(|generation| generation.number == number)
}

/// A flight comes in, from the client by way of the balancer or from the attacker.
pub fn hear(model: &Takeover, world: &mut World, slot: Slot, carried: Carried) {
    let Some(session) = world.servers[slot].session else {
        return takeover::peek(model, world, slot, carried);
    };
    if session.frozen && model.has(Rule::HoldWhileParking) || session.unjudged.is_some() {
        return;
    }
    let flight = world.flight(carried);
    let verdict = judge(model, session.token, &session.now, flight);
    let lost = matches!(verdict, Verdict::Newer | Verdict::RolledBack);
    if lost && model.has(Rule::LookBeforeLoss) && !world.is_owner(slot, session.token) {
        // Its copy is a zombie's.
        wipe(world, slot);
        return takeover::peek(model, world, slot, carried);
    }
    match verdict {
        Verdict::Good => accept(model, world, slot, carried),
        Verdict::RolledBack => {
            wipe(world, slot);
            tell_rolled_back(world, carried);
        }
        // A REFUSE, which is in the clear and ends nothing.
        Verdict::Newer | Verdict::Nothing => {}
    }
}

/// An ACCEPT that says so. It reaches the client if that still waits for this attempt.
pub fn tell_rolled_back(world: &mut World, carried: Carried) {
    let client = &mut world.client;
    if client.trying && carried == Carried::Genuine(client.attempt) {
        client.end = Some(End::RolledBack);
    }
}

/// Accepts a flight: a new generation and a new link. The ACCEPT leaves when [`tell`] lets it.
pub fn accept(model: &Takeover, world: &mut World, slot: Slot, carried: Carried) {
    let Some(flight) = world.flight(carried) else { return };
    let Some(session) = world.servers[slot].session.as_mut() else {
        return;
    };
    world.past.secrets += 1;
    let generation = Generation {
        number: flight.attempt,
        secret: world.past.secrets,
    };
    let now = &mut session.now;
    now.confirm(flight.under);
    now.attempt = flight.attempt;
    if model.has(Rule::TwoGenerations) {
        now.pending = Some(generation);
    } else {
        now.current = generation;
    }
    now.acked = now.acked.max(flight.received.min(now.log.len()));
    if !session.frozen {
        now.deliver(flight.acked, flight.sent);
    }
    world.servers[slot].link = Some(Link {
        key: generation,
        down: None,
    });
}

/// Reads the client's records: the first one confirms the link. A frozen session leaves them unread.
pub fn read(world: &mut World, slot: Slot) {
    let client = &world.client;
    let server = &mut world.servers[slot];
    let (Some(session), Some(link)) = (server.session.as_mut(), server.link.as_ref()) else {
        return;
    };
    if session.frozen || link.key != client.generation {
        return;
    }
    session.unconfirmed = false;
    session.now.confirm(link.key);
    session.now.acked = session.now.acked.max(client.received.len().min(session.now.log.len()));
    session.now.deliver(client.acked, client.sent);
}

/// Whether the application may send.
pub fn may_say(model: &Takeover, session: &Session) -> bool {
    let restored = session.unconfirmed && model.has(Rule::NumberAfterConfirm) && model.has(Rule::NumberAfterValidate);
    !session.frozen && !restored
}

/// The application sends a message, which gets its number.
pub fn say(world: &mut World, slot: Slot) {
    if let Some(session) = world.servers[slot].session.as_mut() {
        world.past.server_messages += 1;
        session.now.log.push(world.past.server_messages);
    }
}

/// Writes to the link what may leave: the ACCEPT, ACKs, messages. What tells the client nothing new is left out.
pub fn tell(model: &Takeover, world: &mut World, slot: Slot) {
    let client = &world.client;
    let server = &mut world.servers[slot];
    let (Some(session), Some(link)) = (server.session.as_ref(), server.link.as_mut()) else {
        return;
    };
    let covered = may_leave(model, session);
    let news = covered.delivered > client.acked || covered.sent > client.received.len();
    let read = client.has(link.key) && news || client.awaits(link.key);
    if covered.attempt >= link.key.number && read {
        link.down = Some(Down {
            token: session.token,
            name: server.name,
            delivered: covered.delivered,
            acked: session.now.acked.min(covered.sent),
            log: session.now.log.first(covered.sent),
        });
    }
}

fn may_leave(model: &Takeover, session: &Session) -> Covered {
    match model.mode {
        Mode::Durable if model.has(Rule::PersistBeforeSend) => session.safe,
        _ => session.now.covered(),
    }
}

/// The session leaves the process's memory, and its links end without a word.
pub fn wipe(world: &mut World, slot: Slot) {
    let server = &mut world.servers[slot];
    server.session = None;
    server.note = None;
}
