//! A session is taken over: what the flight must prove against the snapshot, what it costs, and what is known of the claim.

use alloc::vec::Vec;
use core::time::Duration;

use super::leaving::goes_away;
use super::requests::is_live as is_claim;
use super::stand::{Stand, name};
use crate::config::{Durability, ServerConfig};
use crate::error::{CloseReason, SaveError};
use crate::event::{Event, LinkId, SessionId};
use crate::store::{Owner, Record, StoreOp, StoreReply};
use crate::wire::flight::{MAC1_OFFSET, RESUME_JUDGED, RefuseCode};

const SECOND: Duration = Duration::from_secs(1);
const AT_ONCE: Duration = Duration::ZERO;
/// How long until something is tried again, and a little more.
const A_MOMENT: Duration = Duration::from_millis(260);
/// The connection that brings the flight; the client's own stays silent.
const BROUGHT: LinkId = LinkId(1000);

/// A session that lies in the store, and the flight with which its client, who is away, comes for it. What the store was asked until then is forgotten.
fn parked(durability: Durability, change: fn(ServerConfig) -> ServerConfig) -> (Stand, usize, SessionId, Vec<u8>) {
    let mut stand = Stand::changed(durability, true, change);
    let (i, id) = stand.session();
    let mut session = stand.server.session(id).expect("it is here");
    session.send("before it left".into()).expect("there is room");
    drop(session);
    stand.exchange();
    goes_away(&mut stand, i);
    stand.server.session(id).expect("it is here").swap_out();
    stand.exchange();
    assert_eq!(stand.server.sessions(), 0);
    let flight = stand.flight(i);
    stand.shelf.asked.clear();
    (stand, i, id, flight)
}

fn unchanged(config: ServerConfig) -> ServerConfig {
    config
}

fn is_lease(op: &StoreOp) -> bool {
    matches!(op, StoreOp::Lease { .. })
}

fn flipped(flight: &[u8], at: usize) -> Vec<u8> {
    let mut flight = flight.to_vec();
    flight[at] ^= 1;
    flight
}

// ---- what it takes ----

#[test]
fn a_flight_that_proves_nothing_against_the_snapshot_is_counted_and_claims_nothing() {
    let (mut stand, i, _, flight) = parked(Durability::SwapOut, unchanged);
    for (link, at) in [(2000, MAC1_OFFSET), (2001, flight.len() - 1)] {
        stand.brings(i, LinkId(link), &flipped(&flight, at));
    }
    let counters = stand.server.counters();
    assert_eq!((counters.resumes_forged, counters.resumes_stale), (2, 0));
    assert_eq!(stand.clients[i].ended, [LinkId(2000), LinkId(2001)]);
    assert_eq!(stand.shelf.count(is_claim), 0);
    stand.brings(i, BROUGHT, &flight);
    assert_eq!(stand.server.counters().takeovers, 1, "as it was");
}

/// It was taken here before the session went out, and its answer was lost.
#[test]
fn a_flight_that_was_taken_before_claims_nothing() {
    let mut stand = Stand::new(Durability::SwapOut);
    let (i, id) = stand.session();
    goes_away(&mut stand, i);
    let flight = stand.flight(i);
    stand.brings(i, LinkId(2000), &flight);
    assert_eq!(stand.server.counters().resumes, 1);
    stand.server.session(id).expect("it is here").swap_out();
    stand.exchange();
    stand.shelf.asked.clear();
    stand.brings(i, BROUGHT, &flight);
    let counters = stand.server.counters();
    assert_eq!((counters.resumes_stale, counters.takeovers), (1, 0));
    assert_eq!(stand.shelf.count(is_claim), 0);
}

#[test]
fn no_more_sessions_are_taken_over_than_there_may_be() {
    let (mut stand, i, _, flight) = parked(Durability::SwapOut, |mut config| {
        config.limits.sessions = 1;
        config
    });
    stand.session();
    stand.shelf.asked.clear();
    let before = stand.server.counters().refused_busy;
    stand.brings(i, BROUGHT, &flight);
    assert_eq!(stand.clients[i].refused(BROUGHT), Some(RefuseCode::Busy));
    assert_eq!(
        (stand.server.sessions(), stand.server.counters().refused_busy),
        (1, before + 1)
    );
    assert_eq!(stand.shelf.count(is_claim), 0);
}

/// Others take it for dead, and would take the session from it in its turn; without a snapshot in the record they would call it lost.
#[test]
fn who_does_not_count_as_alive_takes_nobody_over_and_lets_nobody_in() {
    // Its sign of life is not taken; it has not been heard yet; or it hangs until the last one is over.
    let ways: [fn(&mut Stand); 3] = [
        |stand| {
            stand.shelf.instead = Some(|op| is_lease(op).then_some(StoreReply::Failed));
            stand.run_for(3 * SECOND);
        },
        |stand| {
            stand.replace_server();
            stand.shelf.silent_to = Some(is_lease);
            stand.run_for(SECOND);
        },
        |stand| {
            stand.shelf.silent_to = Some(is_lease);
            stand.run_for(7 * SECOND);
        },
    ];
    for durability in [Durability::SwapOut, Durability::Durable] {
        for (way, begin) in ways.iter().enumerate() {
            let (mut stand, i, _, flight) = parked(durability, unchanged);
            begin(&mut stand);
            assert!(!stand.server.store_is_up());
            stand.brings(i, LinkId(2000), &flight);
            let what = (durability, way);
            assert_eq!(
                stand.clients[i].refused(LinkId(2000)),
                Some(RefuseCode::Later),
                "{what:?}"
            );
            let busy = stand.server.counters().refused_busy;
            let new = stand.client();
            let hello = stand.flight(new);
            stand.brings(new, LinkId(3000), &hello);
            assert_eq!(stand.server.counters().refused_busy, busy + 1, "{what:?}");
            assert_eq!(stand.shelf.count(is_claim), 0, "{what:?}");
            (stand.shelf.instead, stand.shelf.silent_to) = (None, None);
            stand.speak();
            stand.run_for(3 * SECOND);
            assert!(stand.server.store_is_up());
            stand.brings(i, BROUGHT, &flight);
            assert_eq!(stand.server.counters().takeovers, 1, "{what:?}");
        }
    }
}

/// Who has a store knows which sessions are here: a flight for one of these is judged by its beginning (U-12).
#[test]
fn mac1_is_judged_before_a_flight_is_whole_also_where_sessions_may_be_elsewhere() {
    for durability in [Durability::Memory, Durability::SwapOut, Durability::Durable] {
        let mut stand = Stand::new(durability);
        let (i, _) = stand.session();
        goes_away(&mut stand, i);
        let flight = flipped(&stand.flight(i), MAC1_OFFSET);
        stand.brings(i, BROUGHT, &flight[..RESUME_JUDGED]);
        assert!(stand.clients[i].ended.contains(&BROUGHT), "{durability:?}");
        assert_eq!(stand.server.counters().resumes_forged, 1, "{durability:?}");
    }
}

/// A flight that came beside another, which has claimed the session meanwhile, or whose last bytes came after that: nobody has judged its mac1 before (U-12).
#[test]
fn mac1_is_judged_of_a_flight_that_finds_its_session_here_after_all() {
    for whole in [true, false] {
        let (mut stand, i, _, first) = parked(Durability::SwapOut, unchanged);
        let newest = stand.clients[i].newest;
        stand.clients[i].session.handle_link_down(newest, stand.now);
        let second = flipped(&stand.flight(i), MAC1_OFFSET);
        let cut = if whole { second.len() } else { second.len() - 1 };
        stand.shelf.silent_to = Some(is_claim);
        stand.brings(i, LinkId(2000), &first);
        stand.brings(i, LinkId(2001), &second[..cut]);
        stand.speak();
        stand.goes_on(i, LinkId(2001), &second[cut..]);
        stand.run_for(SECOND);
        let counters = stand.server.counters();
        assert_eq!((counters.takeovers, counters.resumes), (1, 1), "whole: {whole}");
        assert_eq!(counters.resumes_forged, 1, "whole: {whole}");
        assert!(stand.clients[i].ended.contains(&LinkId(2001)));
    }
}

/// The claim has its place, though nobody is here yet.
#[test]
fn nobody_is_let_in_in_the_place_of_a_session_on_its_way_here() {
    let (mut stand, i, _, flight) = parked(Durability::SwapOut, |mut config| {
        config.limits.sessions = 1;
        config
    });
    stand.shelf.silent_to = Some(is_claim);
    stand.brings(i, BROUGHT, &flight);
    let other = stand.client();
    stand.exchange();
    let newest = stand.clients[other].newest;
    assert_eq!(stand.clients[other].refused(newest), Some(RefuseCode::Busy));
    stand.speak();
    let counters = stand.server.counters();
    assert_eq!(
        (stand.server.sessions(), counters.takeovers, counters.hellos),
        (1, 1, 1)
    );
}

// ---- what it costs ----

#[test]
fn a_takeover_is_one_look_and_one_write() {
    let (mut stand, i, id, flight) = parked(Durability::SwapOut, unchanged);
    stand.brings(i, BROUGHT, &flight);
    assert_eq!(stand.server.counters().takeovers, 1);
    let of_record = |op: &&StoreOp| matches!(op, StoreOp::Peek { .. } | StoreOp::Put { .. });
    let asked: Vec<&StoreOp> = stand.shelf.asked.iter().filter(of_record).collect();
    let key = Stand::key_of(id);
    assert!(
        matches!(&asked[..], [StoreOp::Peek { key: of }, put] if *of == key && is_claim(put)),
        "{asked:?}"
    );
}

/// Its client has gone meanwhile: the store has the session as it is.
#[test]
fn what_was_restored_is_not_written_again_before_something_changes() {
    let (mut stand, i, id, flight) = parked(Durability::Durable, unchanged);
    stand.shelf.silent_to = Some(is_claim);
    stand.brings(i, BROUGHT, &flight);
    stand.server.handle_link_down(name(i, BROUGHT), stand.now);
    stand.speak();
    stand.run_for(SECOND);
    assert_eq!((stand.server.sessions(), stand.server.detached()), (1, 1));
    assert_eq!(stand.shelf.count(is_claim), 1);
    stand.server.session(id).expect("it is here").commit();
    stand.exchange();
    assert_eq!(stand.shelf.count(is_claim), 2);
}

/// It has none to give.
#[test]
fn nobody_gives_the_state_of_a_session_before_it_was_told_that_it_was_restored() {
    let (mut stand, i, id, flight) = parked(Durability::Durable, unchanged);
    stand.shelf.silent_to = Some(is_claim);
    stand.brings(i, BROUGHT, &flight);
    stand.hear(&StoreReply::Done, |_| false);
    assert_eq!(stand.server.counters().resumes, 1, "there is something to commit");
    assert_eq!(stand.server.save(id, None), Err(SaveError::Unwanted));
    while let Some((of, event)) = stand.server.poll_event() {
        assert!(of == id && !matches!(event, Event::Established { .. }), "{event:?}");
    }
    assert_eq!(stand.server.save(id, None), Ok(()));
}

// ---- what is known of it ----

/// Whether the claim was carried out or not: as long as nothing is known it is made again, and the client waits on its connection.
#[test]
fn a_claim_of_which_nothing_is_known_is_made_again_until_it_is() {
    for done in [false, true] {
        let (mut stand, i, _, flight) = parked(Durability::SwapOut, unchanged);
        let failed: fn(&StoreOp) -> Option<StoreReply> = |op| is_claim(op).then_some(StoreReply::Failed);
        if done {
            stand.shelf.afterwards = Some(failed);
        } else {
            stand.shelf.instead = Some(failed);
        }
        stand.brings(i, BROUGHT, &flight);
        assert_eq!(stand.shelf.count(is_claim), 1);
        // By now the store is known to be down, but not what it did before.
        stand.shelf.afterwards = None;
        stand.shelf.instead = Some(|op| is_claim(op).then_some(StoreReply::Unavailable));
        stand.run_for(2 * A_MOMENT);
        assert_eq!(stand.shelf.count(is_claim), 3, "done: {done}");
        assert_eq!(stand.server.counters().takeovers, 0);
        stand.shelf.instead = None;
        stand.run_for(A_MOMENT);
        let counters = stand.server.counters();
        assert_eq!((counters.takeovers, counters.resumes), (1, 1), "done: {done}");
        assert_eq!(stand.clients[i].refused(BROUGHT), None, "done: {done}");
    }
}

/// To others its owner would be dead, and what lay safely in the store would be lost with it. If a try before was carried out after all, waiting changes nothing.
#[test]
fn a_claim_of_which_nothing_is_known_is_not_made_again_by_who_does_not_count_as_alive() {
    let (mut stand, i, id, flight) = parked(Durability::SwapOut, unchanged);
    stand.shelf.instead = Some(|op| (is_claim(op) || is_lease(op)).then_some(StoreReply::Failed));
    stand.brings(i, BROUGHT, &flight);
    stand.run_for(SECOND * 10);
    assert!(!stand.server.store_is_up());
    stand.shelf.instead = Some(|op| is_lease(op).then_some(StoreReply::Failed));
    stand.run_for(SECOND);
    let record = &stand.shelf.records[&Stand::key_of(id)];
    assert!(matches!(record, Record::Parked { .. }), "{record:?}");
    stand.shelf.instead = None;
    stand.run_for(SECOND * 3);
    assert_eq!(stand.server.counters().takeovers, 1);
}

#[test]
fn whose_claim_was_not_made_or_overtaken_is_told_to_come_later() {
    const STRANGER: Owner = Owner([0xee; 16]);
    for overtaken in [false, true] {
        let (mut stand, i, id, flight) = parked(Durability::SwapOut, unchanged);
        if overtaken {
            stand.shelf.silent_to = Some(is_claim);
            stand.brings(i, BROUGHT, &flight);
            let record = Record::Live {
                token: 9,
                owner: STRANGER,
                blob: Vec::new().into(),
            };
            stand.shelf.records.insert(Stand::key_of(id), record);
            stand.speak();
        } else {
            stand.shelf.instead = Some(|op| is_claim(op).then_some(StoreReply::Unavailable));
            stand.brings(i, BROUGHT, &flight);
        }
        stand.run_for(AT_ONCE);
        assert_eq!(
            stand.clients[i].refused(BROUGHT),
            Some(RefuseCode::Later),
            "{overtaken}"
        );
        let asked = stand.shelf.count(is_claim);
        stand.run_for(SECOND);
        assert_eq!((stand.shelf.count(is_claim), asked), (1, 1), "{overtaken}");
        assert_eq!(stand.server.counters().takeovers, 0);
    }
}

// ---- what is here of it still ----

/// A process that slept, and whose copy is over before it learns that others had the session. That copy is not read, and perhaps its link stands still. The session lives on in the store.
#[test]
fn a_session_that_was_over_here_and_nowhere_else_comes_back_though_it_was_not_read() {
    for kicked in [false, true] {
        let mut stand = Stand::new(Durability::Durable);
        let (i, id) = stand.session();
        stand.clients[i].session.send("not read".into()).expect("there is room");
        stand.exchange();
        if !kicked {
            goes_away(&mut stand, i);
        }
        let old = stand.clients[i].newest;
        let first = stand.replace_server();
        stand.shelf.dead.push(first.owner());
        goes_away(&mut stand, i);
        stand.clients[i].away = false;
        stand.run_for(61 * SECOND);
        assert_eq!(stand.server.counters().takeovers, 1);
        goes_away(&mut stand, i);
        stand.server.session(id).expect("it is here").swap_out();
        stand.run_for(SECOND);
        stand.server = first;
        stand.shelf.dead.clear();
        let end = if kicked {
            stand.server.handle_link_blocked(name(i, old));
            stand.server.session(id).expect("it is here").kick(7);
            CloseReason::Kicked { code: 7 }
        } else {
            CloseReason::Expired
        };
        let over = (id, Event::Closed(end));
        for _ in 0..500 {
            if !stand.told.contains(&over) {
                stand.skip(Duration::from_millis(10));
            }
        }
        assert!(stand.told.contains(&over), "the sleeper's copy");
        assert_eq!(
            (stand.server.counters().takeovers, stand.server.links()),
            (0, usize::from(kicked))
        );
        let key = Stand::key_of(id);
        assert!(
            matches!(stand.shelf.records[&key], Record::Parked { .. }),
            "and only that"
        );
        let flight = stand.flight(i);
        stand.clients[i].away = false;
        let newest = stand.clients[i].newest;
        stand.brings(i, newest, &flight);
        let counters = stand.server.counters();
        assert_eq!(
            (counters.takeovers, stand.clients[i].closed()),
            (1, None),
            "kicked: {kicked}"
        );
        let mut session = stand.server.session(id).expect("it is here");
        session.send("welcome back".into()).expect("there is room");
        drop(session);
        stand.run_for(SECOND);
        assert_eq!(stand.clients[i].heard.len(), 1);
        let read = stand.server.recv(id, |message| message.payload.to_vec());
        assert_eq!(read.as_deref(), Some(&b"not read"[..]), "once, by whom it comes to");
        assert!(stand.server.recv(id, |_| ()).is_none());
        assert_eq!(
            (stand.server.sessions(), stand.server.links()),
            (1, 1),
            "kicked: {kicked}"
        );
    }
}
