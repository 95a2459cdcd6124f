//! The store: one record, changed by compare-and-set.

use crate::rules::{Mode, Rule, Takeover};
use crate::state::{Name, Op, Record, Reply, World};

/// Carries out a process's request.
pub fn execute(model: &Takeover, world: &mut World, owner: Name, op: &Op) -> Reply {
    match *op {
        Op::Commit(token, blob) => {
            let live = Record::Live {
                token,
                owner,
                blob: Some(blob),
            };
            let mine = world.record.is_of(owner, token);
            put(model, world, mine, live)
        }
        Op::Park(token, blob) => {
            let mine = world.record.is_of(owner, token);
            put(model, world, mine, Record::Parked { token, blob })
        }
        Op::Claim(seen, _) => {
            let unchanged = is_as_seen(model, &world.record, &seen);
            let live = Record::Live {
                token: seen.token() + 1,
                owner,
                blob: seen.blob().filter(|_| model.mode == Mode::Durable),
            };
            put(model, world, unchanged, live)
        }
    }
}

fn put(model: &Takeover, world: &mut World, as_expected: bool, record: Record) -> Reply {
    if !as_expected && model.has(Rule::Fence) {
        return Reply::Conflict;
    }
    world.record = record;
    Reply::Done
}

/// Whether a claim of `seen` finds what it expects.
fn is_as_seen(model: &Takeover, record: &Record, seen: &Record) -> bool {
    if model.has(Rule::ClaimNamesSnapshot) {
        return record == seen;
    }
    match (record, seen) {
        (Record::Live { token, owner, .. }, Record::Live { token: t, owner: o, .. }) => (token, owner) == (t, o),
        (Record::Parked { token, .. }, Record::Parked { token: t, .. }) => token == t,
        _ => false,
    }
}
