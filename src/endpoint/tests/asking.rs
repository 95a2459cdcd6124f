//! Endpoints that ask each other for sessions: nobody moves a session who could not resume it, and who waits for one is not bothered by another.

use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

use super::stand::Stand;
use crate::config::Durability;
use crate::endpoint::{Endpoint, SessionMut, notes};
use crate::error::CloseReason;
use crate::event::{Event, LinkId};
use crate::store::{Owner, StoreKey, StoreOp};
use crate::wire::flight::{MAC1_LEN, MAC1_OFFSET, RESUME_JUDGED};

const SECOND: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(10);
/// Where the flight stands in a note.
const FLIGHT: usize = 1 + 16 + 8;

/// Some clients have gone to a second process with their sessions, which the first one has. The second has asked the first one for all of them.
struct Asked {
    stand: Stand,
    first: Endpoint,
    keys: Vec<StoreKey>,
    notes: Vec<Bytes>,
}

impl Asked {
    fn by(clients: usize) -> Asked {
        let mut stand = Stand::new(Durability::SwapOut);
        let keys = (0..clients).map(|_| Stand::key_of(stand.session().1)).collect();
        Asked::of(stand, keys)
    }

    /// All that the first process has.
    fn of(mut stand: Stand, keys: Vec<StoreKey>) -> Asked {
        let clients = keys.len();
        let first = stand.replace_server();
        let owner = first.owner();
        for i in 0..clients {
            let newest = stand.clients[i].newest;
            stand.cut(i, newest);
        }
        let mut notes = Vec::new();
        for _ in 0..1000 {
            stand.run_for(STEP);
            let asked = stand.shelf.asked.drain(..).filter_map(|op| match op {
                StoreOp::Send { to, note } if to == owner => Some(note),
                _ => None,
            });
            notes.extend(asked);
            if notes.len() == clients {
                break;
            }
        }
        assert_eq!(notes.len(), clients, "all were asked for, once");
        Asked {
            stand,
            first,
            keys,
            notes,
        }
    }

    /// The first process goes on, and the second has died.
    fn back_at_the_first(self) -> (Stand, Owner, Bytes) {
        let Asked {
            mut stand,
            first,
            mut notes,
            ..
        } = self;
        let second = core::mem::replace(&mut stand.server, first);
        (stand, second.owner(), notes.remove(0))
    }
}

#[test]
fn who_shows_a_flight_that_could_resume_a_session_gets_it_and_is_told() {
    let asked = Asked::by(1);
    let key = asked.keys[0];
    let (mut stand, second, note) = asked.back_at_the_first();
    stand.server.take_note(&note);
    stand.exchange();
    assert_eq!(stand.server.sessions(), 0);
    assert!(stand.told.iter().any(|(_, event)| *event == Event::SwappedOut));
    let told = |op: &StoreOp| matches!(op, StoreOp::Send { to, note } if *to == second && *note == notes::handed(&key));
    assert_eq!(stand.shelf.count(told), 1);
    let counters = stand.server.counters();
    assert_eq!((counters.resumes_forged, counters.resumes_stale), (0, 0));
}

#[test]
fn who_shows_a_flight_with_a_flipped_bit_gets_nothing() {
    let (mut stand, _, note) = Asked::by(1).back_at_the_first();
    assert_eq!(note.len(), FLIGHT + RESUME_JUDGED);
    let mac1 = FLIGHT + MAC1_OFFSET..FLIGHT + MAC1_OFFSET + MAC1_LEN;
    for at in FLIGHT..note.len() {
        let mut forged = note.to_vec();
        forged[at] ^= 1;
        let before = stand.server.counters().resumes_forged;
        stand.server.take_note(&forged);
        stand.exchange();
        assert_eq!(stand.server.sessions(), 1, "byte {at}");
        let counted = stand.server.counters().resumes_forged - before;
        assert!(counted == 1 || counted == 0 && !mac1.contains(&at), "byte {at}");
    }
    stand.server.take_note(&note);
    stand.exchange();
    assert_eq!(stand.server.sessions(), 0, "without it");
}

/// The client has gone back to the first process meanwhile, and its answer is on the way.
#[test]
fn who_shows_a_flight_that_came_before_the_last_one_gets_nothing() {
    let (mut stand, _, note) = Asked::by(1).back_at_the_first();
    stand.clients[0].deaf = (0..100).map(LinkId).collect();
    let newest = stand.clients[0].newest;
    stand.cut(0, newest);
    for _ in 0..1000 {
        if stand.server.counters().resumes == 0 {
            stand.run_for(STEP);
        }
    }
    assert_eq!(stand.server.counters().resumes, 1);
    stand.server.take_note(&note);
    stand.exchange();
    let counters = stand.server.counters();
    assert_eq!((counters.resumes_stale, counters.resumes_forged), (1, 0));
    assert_eq!(stand.server.sessions(), 1);
}

/// Its link carries nothing any more and the first process does not know, so nobody hears the goodbye there. Or the session would go on elsewhere as if it had not been ended.
#[test]
fn who_is_put_out_and_comes_elsewhere_before_the_goodbye_is_over_learns_it_there() {
    let ends: [fn(&mut SessionMut<'_>); 2] = [|session| session.close(7), |session| session.kick(7)];
    for durability in [Durability::SwapOut, Durability::Durable] {
        for end in ends {
            let mut stand = Stand::new(durability);
            let (_, id) = stand.session();
            let newest = stand.clients[0].newest;
            stand.clients[0].deaf.push(newest);
            end(&mut stand.server.session(id).expect("it is here"));
            stand.exchange();
            let mut asked = Asked::of(stand, [Stand::key_of(id)].to_vec());
            core::mem::swap(&mut asked.stand.server, &mut asked.first);
            asked.stand.server.take_note(&asked.notes[0]);
            asked.stand.exchange();
            core::mem::swap(&mut asked.stand.server, &mut asked.first);
            let mut stand = asked.stand;
            stand.run_for(5 * SECOND);
            assert!(stand.clients[0].closed().is_some(), "{durability:?}");
            assert_eq!(stand.server.counters().takeovers, 0, "{durability:?}");
        }
    }
}

/// The same if it is put out while it leaves, as it was asked for.
#[test]
fn who_is_put_out_while_it_leaves_for_another_process_learns_it_there() {
    let mut stand = Stand::new(Durability::Durable);
    let (_, id) = stand.session();
    let newest = stand.clients[0].newest;
    stand.clients[0].deaf.push(newest);
    let mut asked = Asked::of(stand, [Stand::key_of(id)].to_vec());
    core::mem::swap(&mut asked.stand.server, &mut asked.first);
    asked.stand.server.take_note(&asked.notes[0]);
    asked.stand.server.session(id).expect("it is here yet").kick(7);
    asked.stand.exchange();
    core::mem::swap(&mut asked.stand.server, &mut asked.first);
    let mut stand = asked.stand;
    stand.run_for(5 * SECOND);
    assert_eq!(stand.clients[0].closed(), Some(CloseReason::Kicked { code: 7 }));
    assert_eq!(stand.server.counters().takeovers, 0);
}

#[test]
fn when_a_session_was_let_go_only_who_waits_for_it_looks_again() {
    let Asked { mut stand, keys, .. } = Asked::by(2);
    stand.server.take_note(&notes::handed(&keys[0]));
    let looks: Vec<StoreOp> = core::iter::from_fn(|| stand.server.poll_store())
        .map(|request| request.op)
        .collect();
    assert!(looks == [StoreOp::Peek { key: keys[0] }], "{looks:?}");
}
