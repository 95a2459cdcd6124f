//! The client: it speaks, dials, hears, and asks after a session that no server seems to have.

use crate::rules::{Rule, Takeover};
use crate::state::{Down, End, Flight, Link, Slot, World};

/// Its application sends a message.
pub fn say(world: &mut World) {
    world.client.sent += 1;
}

/// It sends a RESUME to whichever server the balancer likes. Its links stay up, and are read (make before break); that of an
/// earlier RESUME without an answer is closed (U-18).
pub fn dial(world: &mut World) {
    let client = &mut world.client;
    client.attempt += 1;
    client.trying = true;
    world.flights[usize::from(client.attempt) - 1] = Some(Flight {
        attempt: client.attempt,
        under: client.generation,
        last_live: client.last_live,
        last_token: client.last_token,
        received: client.received.len(),
        acked: client.acked,
        sent: client.sent,
    });
}

/// It reads what a server has sent: records on a link that it has, or an ACCEPT of the attempt that it waits for.
pub fn read(model: &Takeover, world: &mut World, slot: Slot) {
    let client = &mut world.client;
    let Some(link) = world.servers[slot].link.as_mut() else {
        return;
    };
    let known = client.has(link.key);
    if !known && !client.awaits(link.key) {
        return;
    }
    let Some(down) = link.down.take() else { return };
    if !known && !adopt(model, world, slot, &down) {
        return;
    }
    let client = &mut world.client;
    let heard = &mut client.ghost_heard[usize::from(down.token)];
    client.ghost_split |= *heard != 0 && *heard != down.name + 1;
    *heard = down.name + 1;
    client.acked = client.acked.max(down.delivered);
    // A gap ends the link; a known number is dropped unread.
    if down.acked <= client.received.len() {
        for message in &down.log.items()[usize::from(client.received.len().min(down.log.len()))..] {
            client.received.push(*message);
        }
    }
}

/// A valid ACCEPT: moves to the new generation (U-35), unless the server cannot be the one it was (U-21).
fn adopt(model: &Takeover, world: &mut World, slot: Slot, down: &Down) -> bool {
    let Some(Link { key, .. }) = world.servers[slot].link else {
        return false;
    };
    let client = &mut world.client;
    client.trying = false;
    let behind = down.delivered < client.acked || down.log.len() < client.received.len();
    // While the owner is the same, its older link may have overtaken the ACCEPT.
    let forgot = model.has(Rule::AcceptKnowsAll) && down.token > client.last_token && behind;
    let ahead = down.delivered > client.sent || down.acked > client.received.len();
    if model.has(Rule::Counts) && (forgot || ahead) {
        client.end = Some(End::RolledBack);
        return false;
    }
    let same_owner = down.token == client.last_token;
    let keeps = same_owner || !model.has(Rule::LeaveFormerOwner);
    client.older = keeps.then_some(client.generation);
    client.generation = key;
    client.last_live = client.attempt;
    client.last_token = down.token;
    true
}
