//! What must hold in every state, and what must happen in some.
//!
//! A client that *is with* a server (its newest link is that server's newest link) must find there what it knows, and the
//! application's state must be just the messages sent. A client that is with none is judged when it is with one again, or by the end
//! that it is told.

use stateright::Property;

use crate::rules::{Mode, Takeover};
use crate::state::{End, Io, Op, Record, Reply, Session, World};

/// The server's messages reach the client in order, none lost, none doubled, none of another history.
pub const DOWN: &str = "what the client received is what the server sent";
/// The client's messages make up the server's application state, in order, none doubled, no ACKed one lost.
pub const UP: &str = "what was ACKed is in the server's state";
/// G4.
pub const ONE_VOICE: &str = "one process per token is heard";
/// G3.
pub const AUTHENTIC: &str = "no unauthenticated flight has the store changed";
/// G2 and G5: nothing is lost, and no loss is reported, unless what costs a session has happened.
pub const CAUSE: &str = "an end has its cause";

/// All of a model.
pub fn of(model: &Takeover) -> Vec<Property<Takeover>> {
    let mut all = vec![
        Property::<Takeover>::always(DOWN, |_, world| {
            with_client(world).all(|session| down_fits(world, session))
        }),
        Property::<Takeover>::always(UP, |_, world| with_client(world).all(|session| up_fits(world, session))),
        Property::<Takeover>::always(ONE_VOICE, |_, world| !world.client.ghost_split),
        Property::<Takeover>::always(AUTHENTIC, |_, world| !world.past.ghost_forged),
        Property::<Takeover>::always(CAUSE, has_cause),
    ];
    if model.without.is_empty() {
        all.extend(reachable(model));
    }
    all
}

/// What the bounds make possible must be seen, or the check has shown nothing.
fn reachable(model: &Takeover) -> Vec<Property<Takeover>> {
    let bounds = &model.bounds;
    let durable = model.mode == Mode::Durable;
    let faults = bounds.crashes + bounds.lease_losses;
    let mut all = vec![Property::<Takeover>::sometimes(
        "taken over by hand-over",
        |_, world| world.past.crashes + world.past.lease_losses == 0 && is_taken_over(world),
    )];
    if bounds.client_messages > 0 && bounds.server_messages > 0 {
        all.push(Property::<Takeover>::sometimes(
            "both directions go on after it",
            |_, world| {
                let client = &world.client;
                is_taken_over(world) && client.acked > 0 && !client.received.is_empty()
            },
        ));
    }
    if durable && bounds.crashes > 0 {
        all.push(Property::<Takeover>::sometimes(
            "taken over after a crash",
            |_, world| {
                let claimed = |io| matches!(io, Io::Answered(Op::Claim(Record::Live { .. }, _), Reply::Done));
                world.past.lease_losses == 0
                    && world.past.crashes > 0
                    && world.servers.iter().any(|server| claimed(server.io))
            },
        ));
    }
    if durable && bounds.lease_losses > 0 {
        all.push(Property::<Takeover>::sometimes("a zombie is fenced", |_, world| {
            let fenced = |io| matches!(io, Io::Answered(Op::Commit(..) | Op::Park(..), Reply::Conflict));
            world
                .servers
                .iter()
                .any(|server| server.session.is_some() && fenced(server.io))
        }));
    }
    if !durable && faults > 0 {
        all.push(Property::<Takeover>::sometimes(
            "a crash of the owner is reported",
            |_, world| world.client.end == Some(End::OwnerCrashed),
        ));
    }
    if bounds.rollbacks > 0 {
        all.push(Property::<Takeover>::sometimes("a rollback is reported", |_, world| {
            world.client.end == Some(End::RolledBack)
        }));
        all.push(Property::<Takeover>::sometimes(
            "a lost record is reported",
            |_, world| world.client.end == Some(End::Unknown),
        ));
    }
    all
}

/// Sessions that the client is with; there may be none.
fn with_client(world: &World) -> impl Iterator<Item = &Session> {
    let client = &world.client;
    world.servers.iter().filter_map(move |server| {
        let is_with = client.end.is_none() && server.link.is_some_and(|link| link.key == client.generation);
        server.session.as_ref().filter(|_| is_with)
    })
}

fn is_taken_over(world: &World) -> bool {
    with_client(world).any(|session| session.token > 1)
}

fn down_fits(world: &World, session: &Session) -> bool {
    let received = world.client.received;
    session.now.log.first(received.len()) == received && session.now.acked <= received.len()
}

fn up_fits(world: &World, session: &Session) -> bool {
    let (client, now) = (&world.client, &session.now);
    let in_order = now.app.items().iter().copied().eq(0..now.delivered);
    in_order && client.acked <= now.delivered && now.delivered <= client.sent
}

fn has_cause(model: &Takeover, world: &World) -> bool {
    let past = &world.past;
    match world.client.end {
        None => true,
        Some(End::RolledBack | End::Unknown) => past.rollbacks > 0,
        Some(End::OwnerCrashed) => model.mode == Mode::SwapOut && past.crashes + past.lease_losses + past.rollbacks > 0,
        Some(End::Superseded) => false,
    }
}
