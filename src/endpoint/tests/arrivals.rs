//! Flights for sessions that are not here, or not as their client knows them: whom they wait for, how long, and what they are told.

use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

use super::leaving::{goes_away, is_park};
use super::requests::{is_live as is_claim, is_peek};
use super::stand::{Stand, name};
use crate::config::Durability;
use crate::crypto::Resumption;
use crate::endpoint::notes;
use crate::error::CloseReason;
use crate::event::{LinkId, SessionId};
use crate::store::{Owner, Record, StoreOp, StoreReply};
use crate::wire::flight::RefuseCode;
use crate::wire::prelude::{FlightKind, Prelude};

const SECOND: Duration = Duration::from_secs(1);
const STRANGER: Owner = Owner([0xee; 16]);
/// Connections of somebody who plays back what a client sent.
const REPLAYED: LinkId = LinkId(1000);
const AGAIN: LinkId = LinkId(1001);

fn kind(flight: &[u8]) -> FlightKind {
    let head = flight.first_chunk().expect("a flight");
    Prelude::parse(head).expect("a good one").kind
}

/// A session that lies in the store, and the flight with which its client, who is away, comes for it.
fn parked() -> (Stand, usize, SessionId, Vec<u8>) {
    let mut stand = Stand::new(Durability::SwapOut);
    let (i, id) = stand.session();
    goes_away(&mut stand, i);
    stand.server.session(id).expect("it is here").swap_out();
    stand.exchange();
    assert_eq!(stand.server.sessions(), 0);
    let flight = stand.flight(i);
    (stand, i, id, flight)
}

/// A process that slept while another had its session, and knows nothing of that. The client is away; what the other wrote last stands in the store.
fn slept() -> (Stand, usize, SessionId) {
    let mut stand = Stand::new(Durability::Durable);
    let (i, id) = stand.session();
    let first = stand.replace_server();
    stand.shelf.dead.push(first.owner());
    let newest = stand.clients[i].newest;
    stand.cut(i, newest);
    stand.run_for(10 * SECOND);
    assert_eq!(stand.server.counters().takeovers, 1);
    goes_away(&mut stand, i);
    stand.server = first;
    (stand, i, id)
}

/// How often this owner was asked for something.
fn asks(stand: &Stand, owner: Owner) -> usize {
    stand
        .shelf
        .count(|op| matches!(op, StoreOp::Send { to, .. } if *to == owner))
}

// ---- somebody else has it ----

#[test]
fn the_owner_is_asked_at_once_and_once_for_a_flight() {
    let mut stand = Stand::new(Durability::SwapOut);
    let (i, id) = stand.session();
    let owner = stand.replace_server().owner();
    stand.run_for(SECOND);
    goes_away(&mut stand, i);
    let flight = stand.flight(i);
    let key = Stand::key_of(id);
    stand.brings(i, REPLAYED, &flight);
    let note = notes::ask(stand.server.owner(), &key, &flight);
    let asks = |op: &StoreOp| matches!(op, StoreOp::Send { to, note: said } if *to == owner && *said == note);
    assert_eq!(stand.shelf.count(asks), 1);
    stand.run_for(Duration::from_millis(1900));
    assert_eq!(stand.shelf.count(asks), 1);
    assert!(stand.shelf.count(is_peek) > 3, "it looks again and again");
    assert_eq!(stand.clients[i].refused(REPLAYED), None);
    stand.run_for(SECOND);
    assert_eq!(stand.clients[i].refused(REPLAYED), Some(RefuseCode::Later));
}

/// The store has gone back to a time when it was here. It will never come, so nobody has to wait.
#[test]
fn a_session_that_should_be_here_and_is_not_is_not_waited_for() {
    let (mut stand, i, id, flight) = parked();
    let (token, owner) = (9, stand.server.owner());
    let blob = Bytes::new();
    let record = Record::Live { token, owner, blob };
    stand.shelf.records.insert(Stand::key_of(id), record);
    stand.brings(i, REPLAYED, &flight);
    assert_eq!(stand.clients[i].refused(REPLAYED), Some(RefuseCode::NotHere));
    assert_eq!(stand.server.counters().resumes_unknown, 1);
    assert_eq!(stand.shelf.count(|op| matches!(op, StoreOp::Send { .. })), 0);
}

/// A flight that waits for the store is held, though its connection is gone: whoever comes and goes must not fill the memory.
#[test]
fn so_many_flights_wait_for_the_store_and_no_more() {
    let mut stand = Stand::changed(Durability::SwapOut, true, |mut config| {
        config.limits.pending_handshakes = 2;
        config
    });
    let (i, _) = stand.session();
    stand.replace_server();
    stand.run_for(SECOND);
    goes_away(&mut stand, i);
    let flight = stand.flight(i);
    stand.shelf.silent_to = Some(is_peek);
    for link in [1000, 1001] {
        stand.brings(i, LinkId(link), &flight);
        stand.server.handle_link_down(name(i, LinkId(link)), stand.now);
    }
    assert_eq!(stand.server.counters().refused_busy, 0);
    stand.brings(i, LinkId(1002), &flight);
    assert_eq!(stand.clients[i].refused(LinkId(1002)), Some(RefuseCode::Later));
    assert_eq!(stand.server.counters().refused_busy, 1);
    stand.speak();
    stand.brings(i, LinkId(1003), &flight);
    assert_eq!(stand.server.counters().refused_busy, 1, "there is room again");
}

/// It is given its time from then on, and not from the moment when the client came: the store may be slower than that, and slower than a flight is held.
#[test]
fn an_owner_that_lives_is_asked_before_its_session_is_taken_however_slow_the_store_is() {
    for millis in [700, 2500] {
        let mut stand = Stand::new(Durability::Durable);
        let (i, _) = stand.session();
        let owner = stand.replace_server().owner();
        stand.run_for(SECOND);
        goes_away(&mut stand, i);
        let flight = stand.flight(i);
        stand.shelf.silent_to = Some(is_peek);
        stand.brings(i, REPLAYED, &flight);
        stand.run_for(Duration::from_millis(millis));
        stand.speak();
        assert_eq!(asks(&stand, owner), 1, "{millis}");
        stand.run_for(Duration::from_millis(400));
        assert_eq!(stand.server.counters().takeovers, 0, "{millis}");
        stand.run_for(Duration::from_millis(400));
        assert_eq!(stand.server.counters().takeovers, 1, "{millis}");
    }
}

/// The one that was asked has let go, and by then somebody else has the session.
#[test]
fn whoever_has_the_session_is_asked_and_has_its_time() {
    let mut stand = Stand::new(Durability::Durable);
    let (i, id) = stand.session();
    let key = Stand::key_of(id);
    let first = stand.replace_server().owner();
    stand.run_for(SECOND);
    goes_away(&mut stand, i);
    let flight = stand.flight(i);
    stand.brings(i, REPLAYED, &flight);
    stand.run_for(Duration::from_millis(400));
    let Record::Live { token, blob, .. } = stand.shelf.records[&key].clone() else {
        panic!("it lives")
    };
    let owner = STRANGER;
    stand.shelf.records.insert(key, Record::Live { token, owner, blob });
    stand.run_for(Duration::from_millis(500));
    assert_eq!((asks(&stand, first), asks(&stand, STRANGER)), (1, 1));
    assert_eq!(stand.server.counters().takeovers, 0);
    stand.run_for(Duration::from_millis(400));
    assert_eq!(stand.server.counters().takeovers, 1);
    assert_eq!(asks(&stand, STRANGER), 1);
}

/// It could not take what is let go.
#[test]
fn who_does_not_count_as_alive_asks_nobody_for_a_session() {
    for durability in [Durability::SwapOut, Durability::Durable] {
        let mut stand = Stand::new(durability);
        let (i, _) = stand.session();
        let owner = stand.replace_server().owner();
        stand.shelf.silent_to = Some(|op| matches!(op, StoreOp::Lease { .. }));
        goes_away(&mut stand, i);
        let flight = stand.flight(i);
        stand.brings(i, REPLAYED, &flight);
        assert_eq!(stand.clients[i].refused(REPLAYED), Some(RefuseCode::Later));
        assert_eq!(asks(&stand, owner), 0, "{durability:?}");
    }
}

// ---- it is being taken over ----

#[test]
fn a_flight_that_comes_twice_claims_once() {
    let (mut stand, i, _, flight) = parked();
    stand.shelf.silent_to = Some(is_claim);
    for link in [REPLAYED, AGAIN] {
        stand.brings(i, link, &flight);
    }
    stand.run_for(SECOND);
    let before = stand.shelf.count(is_claim);
    stand.speak();
    stand.run_for(SECOND);
    assert_eq!(stand.shelf.count(is_claim) - before, 1);
    let counters = stand.server.counters();
    assert_eq!((counters.takeovers, counters.resumes), (1, 1));
}

#[test]
fn whoever_waits_for_a_claim_waits_two_seconds() {
    let (mut stand, i, _, flight) = parked();
    stand.shelf.silent_to = Some(is_claim);
    for link in [REPLAYED, AGAIN] {
        stand.brings(i, link, &flight);
    }
    stand.run_for(Duration::from_millis(1900));
    assert_eq!(stand.clients[i].refused(AGAIN), None);
    stand.run_for(SECOND);
    assert_eq!(stand.clients[i].refused(AGAIN), Some(RefuseCode::Later));
    assert_eq!(stand.clients[i].refused(REPLAYED), None, "the one that claims waits on");
}

/// The flight may have taken its time until it was whole.
#[test]
fn whoever_waits_for_a_claim_waits_two_seconds_whenever_the_link_came() {
    let (mut stand, i, _, flight) = parked();
    stand.shelf.silent_to = Some(is_claim);
    stand.brings(i, REPLAYED, &flight);
    stand.brings(i, AGAIN, &flight[..100]);
    stand.run_for(Duration::from_millis(4000));
    stand.goes_on(i, AGAIN, &flight[100..]);
    stand.run_for(Duration::from_millis(1900));
    assert!(!stand.clients[i].ended.contains(&AGAIN));
    stand.run_for(SECOND);
    assert_eq!(stand.clients[i].refused(AGAIN), Some(RefuseCode::Later));
}

/// When the store says what it had, the session is here: the client is told so, and not what the record said before.
#[test]
fn a_query_is_answered_by_the_session_if_that_has_come_in_the_meantime() {
    let (mut stand, i, _, resume) = parked();
    // The store was thought to have nothing, so the client asks.
    stand.shelf.instead = Some(|op| is_peek(op).then_some(StoreReply::Peeked(None)));
    let newest = stand.clients[i].newest;
    stand.brings(i, newest, &resume);
    stand.shelf.instead = None;
    let query = stand.flight(i);
    assert_eq!(kind(&query), FlightKind::Query);
    stand.shelf.silent_to = Some(is_claim);
    stand.brings(i, REPLAYED, &resume);
    stand.shelf.silent = true;
    let newest = stand.clients[i].newest;
    stand.brings(i, newest, &query);
    stand.speak();
    let counters = stand.server.counters();
    assert_eq!((counters.takeovers, counters.queries), (1, 1));
    stand.clients[i].away = false;
    stand.run_for(5 * SECOND);
    assert_eq!(stand.clients[i].closed(), None);
    assert_eq!(
        (stand.server.sessions(), stand.server.detached()),
        (1, 0),
        "it has come back"
    );
}

// ---- this process has it, but its client has been elsewhere ----

#[test]
fn only_a_newer_record_of_another_process_takes_a_session_from_this_one() {
    for (what, its_own, newer, fenced) in [
        ("another's that is newer", false, 1, true),
        ("another's that is no newer", false, 0, false),
        ("another's that was replaced since", false, -1, false),
        ("its own, of which it has not heard yet", true, 1, false),
    ] {
        let (mut stand, i, id) = slept();
        let key = Stand::key_of(id);
        let kept = stand.server.sessions.get(&key).and_then(|served| served.kept.as_ref());
        let token = kept.expect("there is a store").token.saturating_add_signed(newer);
        let owner = if its_own { stand.server.owner() } else { STRANGER };
        let blob = Bytes::new();
        stand.shelf.records.insert(key, Record::Live { token, owner, blob });
        let flight = stand.flight(i);
        stand.brings(i, REPLAYED, &flight);
        assert_eq!(stand.server.counters().fenced, u64::from(fenced), "{what}");
        assert_eq!(stand.server.sessions(), usize::from(!fenced), "{what}");
    }
}

/// What stands there may be just what is being written. Whether that is so, whoever writes it will hear; and meanwhile the record knows more of the session than this process.
#[test]
fn who_asks_for_a_session_on_its_way_out_neither_takes_it_nor_hears_that_it_is_lost() {
    let (mut stand, i, id) = slept();
    let key = Stand::key_of(id);
    stand.shelf.silent_to = Some(is_park);
    stand.server.session(id).expect("it is here").swap_out();
    stand.exchange();
    assert!(stand.server.session(id).expect("it is here").is_leaving());
    let Record::Live { token, blob, .. } = stand.shelf.records[&key].clone() else {
        panic!("the other process has it");
    };
    stand.shelf.records.insert(key, Record::Parked { token, blob });
    stand.clients[i].away = false;
    stand.run_for(3 * SECOND);
    let counters = stand.server.counters();
    assert!(
        counters.resumes_unknown > 0 && counters.queries > 0,
        "it has asked both ways"
    );
    assert_eq!((counters.fenced, counters.takeovers), (0, 0));
    assert_eq!(stand.clients[i].closed(), None);
    assert!(stand.server.session(id).is_some());
}

/// Of two that have the same secrets one has gone on with the session. The other asks just when nothing is known of the swap-out, and the record still says that this process has it.
#[test]
fn who_asks_with_secrets_that_are_over_while_the_session_is_leaving_hears_that_somebody_else_has_it() {
    for durability in [Durability::SwapOut, Durability::Durable] {
        let mut stand = Stand::new(durability);
        let (i, id) = stand.session();
        let served = stand.server.sessions.get_mut(&Stand::key_of(id)).expect("it is here");
        served.ratchet.accept(0, 5, Resumption::from_bytes([1; 32]));
        served.ratchet.confirm(5);
        stand.shelf.instead = Some(|op| is_park(op).then_some(StoreReply::Failed));
        stand.shelf.silent_to = Some(is_claim);
        stand.server.session(id).expect("it is here").swap_out();
        stand.exchange();
        let newest = stand.clients[i].newest;
        stand.cut(i, newest);
        stand.run_for(5 * SECOND);
        assert!(stand.server.session(id).expect("it is here still").is_leaving());
        assert_eq!(
            stand.clients[i].closed(),
            Some(CloseReason::Superseded),
            "{durability:?}"
        );
    }
}
