//! The protocol between the servers: peek, verify, claim; ask, swap out; commit; and what follows from the store's answers.

use crate::rules::{Rule, Takeover};
use crate::server::{Verdict, accept, judge, knows, tell_rolled_back, wipe};
use crate::snapshot::Snapshot;
use crate::state::{Carried, End, Io, Op, Record, Reply, Session, Slot, World};

/// A flight for a session that is not here: looks into the store. (A flight that is held for a while and looked up again is
/// nothing else than one that comes again.)
pub fn peek(model: &Takeover, world: &mut World, slot: Slot, carried: Carried) {
    let name = world.servers[slot].name;
    if world.servers[slot].io != Io::Idle {
        return;
    }
    match world.record {
        Record::Parked { token, blob } => candidate(model, world, slot, carried, token, &blob),
        Record::Live { owner, .. } if owner != name && world.is_alive(owner) => {
            if let Some(other) = world.servers.iter_mut().find(|server| server.name == owner) {
                other.note = other.session.map(|_| carried);
            }
        }
        Record::Live {
            token,
            owner,
            blob: Some(blob),
        } if owner != name => {
            candidate(model, world, slot, carried, token, &blob);
        }
        // REFUSE: what is to be said is said to a QUERY.
        Record::Absent | Record::Live { .. } => {}
    }
}

/// (`Durable`) Has the store take a snapshot.
pub fn commit(world: &mut World, slot: Slot) {
    if let Some(session) = &world.servers[slot].session {
        world.servers[slot].io = Io::Asked(Op::Commit(session.token, session.now));
    }
}

/// Freezes the session and swaps it out.
pub fn park(world: &mut World, slot: Slot) {
    let server = &mut world.servers[slot];
    if let Some(session) = server.session.as_mut() {
        session.frozen = true;
        server.io = Io::Asked(Op::Park(session.token, session.now));
    }
}

/// Another server asks for the session: verifies the flight's head, then swaps out.
pub fn hear_note(model: &Takeover, world: &mut World, slot: Slot) {
    let Some(carried) = world.servers[slot].note.take() else {
        return;
    };
    let Some(session) = world.servers[slot].session else {
        return;
    };
    let flight = world.flight(carried);
    let head_is_good = flight.is_some_and(|flight| {
        knows(&session.now, flight.under.number) == Some(flight.under)
            && (flight.attempt > session.now.attempt || !model.has(Rule::Attempt))
    });
    if head_is_good || !model.has(Rule::VerifyBeforeClaim) {
        world.past.ghost_forged |= carried == Carried::Forged;
        park(world, slot);
    }
}

/// (Without R4) Judges the flight that brought the session here.
pub fn judge_late(model: &Takeover, world: &mut World, slot: Slot) {
    let Some(session) = world.servers[slot].session.as_mut() else {
        return;
    };
    let Some(carried) = session.unjudged.take() else { return };
    let (token, now) = (session.token, session.now);
    match judge(model, token, &now, world.flight(carried)) {
        Verdict::Good => accept(model, world, slot, carried),
        _ => tell_rolled_back(world, carried),
    }
}

/// An answer of the store's reaches the process that asked.
pub fn answered(model: &Takeover, world: &mut World, slot: Slot, op: Op, reply: Reply) {
    world.servers[slot].io = Io::Idle;
    match (op, reply) {
        (Op::Commit(_, blob), Reply::Done) => {
            if let Some(session) = world.servers[slot].session.as_mut() {
                session.safe = blob.covered();
            }
        }
        // It did not answer: the same again, later.
        (Op::Commit(..), Reply::Lost) => {}
        (Op::Park(token, _), Reply::Lost) => {
            let looks = model.has(Rule::LookAfterUnknownPark);
            if looks && !world.is_owner(slot, token) {
                wipe(world, slot);
            } else if let Some(session) = world.servers[slot].session.as_mut() {
                session.frozen = false;
            }
        }
        // Swapped out; or fenced, as somebody else has it.
        (Op::Park(..), _) | (Op::Commit(..), _) => wipe(world, slot),
        (Op::Claim(seen, carried), Reply::Done) => {
            let wanted = carried == Carried::Genuine(world.client.attempt);
            if wanted || model.has(Rule::FinishClaim) {
                restore(model, world, slot, seen, carried);
            }
        }
        (Op::Claim(seen, carried), Reply::Lost) => {
            if model.has(Rule::OwnClaimCounts) && world.is_owner(slot, seen.token() + 1) {
                restore(model, world, slot, seen, carried);
            } else {
                peek(model, world, slot, carried);
            }
        }
        (Op::Claim(..), Reply::Conflict) => {}
    }
}

/// A snapshot that might be claimed for this flight.
fn candidate(model: &Takeover, world: &mut World, slot: Slot, carried: Carried, token: u8, blob: &Snapshot) {
    let verdict = judge(model, token, blob, world.flight(carried));
    let claims = match verdict {
        Verdict::Good => true,
        Verdict::RolledBack => !model.has(Rule::NumberAfterValidate),
        Verdict::Newer | Verdict::Nothing => false,
    };
    if claims || !model.has(Rule::VerifyBeforeClaim) {
        world.past.ghost_forged |= carried == Carried::Forged;
        world.servers[slot].io = Io::Asked(Op::Claim(world.record, carried));
    } else if verdict == Verdict::RolledBack {
        tell_rolled_back(world, carried);
    }
}

/// The claim was done: the session is here, and the flight is accepted.
fn restore(model: &Takeover, world: &mut World, slot: Slot, seen: Record, carried: Carried) {
    let Some(blob) = seen.blob() else { return };
    let token = seen.token();
    let judged = model.has(Rule::NumberAfterValidate);
    if judged && judge(model, token, &blob, world.flight(carried)) != Verdict::Good {
        // Only without R5: a bad flight burned the session.
        return;
    }
    let server = &mut world.servers[slot];
    server.link = None;
    server.session = Some(Session {
        token: token + 1,
        now: blob,
        safe: blob.covered(),
        frozen: false,
        unconfirmed: true,
        unjudged: (!judged).then_some(carried),
    });
    if judged {
        accept(model, world, slot, carried);
    }
}

/// What a server says to the client's QUERY: how the session ended, or none if it lives. Nothing changes but a zombie's own copy.
pub fn query(model: &Takeover, world: &mut World, slot: Slot) -> Option<End> {
    if let Some(session) = world.servers[slot].session {
        let answer = by_generations(world, &session.now);
        let zombie = answer.is_some() && !world.is_owner(slot, session.token);
        if !(zombie && model.has(Rule::LookBeforeLoss)) {
            return answer;
        }
        wipe(world, slot);
    }
    match world.record {
        Record::Absent => Some(End::Unknown),
        Record::Parked { blob, .. } => by_generations(world, &blob),
        // The store gave back what has long left this process; unless a claim is out.
        Record::Live { owner, .. } if owner == world.servers[slot].name => {
            (world.servers[slot].io == Io::Idle).then_some(End::RolledBack)
        }
        Record::Live { owner, .. } if world.is_alive(owner) => None,
        Record::Live { blob: Some(blob), .. } => by_generations(world, &blob),
        Record::Live { blob: None, .. } => Some(End::OwnerCrashed),
    }
}

fn by_generations(world: &World, now: &Snapshot) -> Option<End> {
    let number = world.client.generation.number;
    if knows(now, number).is_some() {
        None
    } else if number < now.current.number {
        Some(End::Superseded)
    } else {
        Some(End::RolledBack)
    }
}
