//! Flights that a server does not take, or not at once: each is counted by what was wrong with it, and leaves the session as it was.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::RangeInclusive;
use core::time::Duration;

use super::stand::{Stand, name};
use crate::config::{Durability, ServerConfig};
use crate::crypto::{Rng, Seed};
use crate::endpoint::handshake::is_downgrade;
use crate::error::CloseReason;
use crate::event::{Event, LinkId, SessionId};
use crate::session::inbox::Inbox;
use crate::wire::flight::{MAC1_OFFSET, RESUME_JUDGED, RefuseCode, Versions};
use crate::wire::prelude::{self, FlightKind, Prelude};

const SECOND: Duration = Duration::from_secs(1);
/// Connections of somebody who plays back what a client sent.
const REPLAYED: LinkId = LinkId(1000);
const AGAIN: LinkId = LinkId(1001);

/// A session without a link, and the flight of its client for the next one.
fn dialling(durability: Durability, change: fn(ServerConfig) -> ServerConfig) -> (Stand, usize, SessionId, Vec<u8>) {
    let mut stand = Stand::changed(durability, true, change);
    let (i, id) = stand.session();
    let newest = stand.clients[i].newest;
    stand.server.handle_link_down(name(i, newest), stand.now);
    let now = stand.now;
    stand.clients[i].session.handle_link_down(newest, now);
    let flight = stand.flight(i);
    (stand, i, id, flight)
}

fn flipped(flight: &[u8], at: usize) -> Vec<u8> {
    let mut flight = flight.to_vec();
    flight[at] ^= 1;
    flight
}

fn asks_on_resume(config: ServerConfig) -> ServerConfig {
    config.with_ask_on_resume(true)
}

// ---- RESUME ----

#[test]
fn a_resume_that_proves_nothing_is_counted_by_what_was_wrong_with_it() {
    let (mut stand, i, _, flight) = dialling(Durability::Memory, |config| config);
    stand.brings(i, LinkId(2000), &flipped(&flight, MAC1_OFFSET));
    assert_eq!(stand.server.counters().resumes_forged, 1);
    stand.brings(i, LinkId(2001), &flipped(&flight, flight.len() - 1));
    assert_eq!(stand.server.counters().resumes_forged, 2, "behind the first 80 bytes");

    // It begins, and before it is whole the same has come elsewhere, twice.
    for link in [REPLAYED, AGAIN] {
        stand.brings(i, link, &flight[..RESUME_JUDGED]);
    }
    stand.brings(i, LinkId(2002), &flight);
    assert_eq!(stand.server.counters().resumes, 1);
    stand.goes_on(i, REPLAYED, &flight[RESUME_JUDGED..]);
    let counters = stand.server.counters();
    assert_eq!((counters.resumes_stale, counters.resumes_unknown), (1, 0));
    // The client shows that it has newer keys: those of the flight are no more.
    stand.server.handle_link_down(name(i, LinkId(2002)), stand.now);
    let newest = stand.clients[i].newest;
    stand.cut(i, newest);
    stand.run_for(5 * SECOND);
    assert_eq!(stand.server.counters().resumes, 2);
    stand.brings(i, LinkId(2003), &flight[..RESUME_JUDGED]);
    assert_eq!(stand.server.counters().resumes_unknown, 1, "at once");

    stand.replace_server();
    stand.brings(i, LinkId(2004), &flight);
    assert_eq!(stand.server.counters().resumes_unknown, 1);
    assert_eq!(stand.clients[i].refused(LinkId(2004)), Some(RefuseCode::NotHere));
}

/// Bytes that come to a closed socket reset the connection, and what its client had not read yet is lost with it: one whose flight leaves in pieces would never hear
/// that it has to ask otherwise.
#[test]
fn whoever_is_refused_before_its_flight_is_whole_is_told_at_once_and_left_when_it_is() {
    for (code, judged, change) in [
        (RefuseCode::NotHere, RESUME_JUDGED, None),
        (RefuseCode::Version, prelude::LEN, Some(3)),
        (RefuseCode::Key, prelude::LEN, Some(6)),
    ] {
        let (mut stand, i, _, flight) = dialling(Durability::Memory, |config| config);
        stand.replace_server();
        stand.clients[i].away = true;
        let flight = change.map_or(flight.clone(), |at| flipped(&flight, at));
        let last = flight.len() - 1;

        stand.brings(i, LinkId(2000), &flight[..judged]);
        assert_eq!(stand.clients[i].refused(LinkId(2000)), Some(code));
        stand.goes_on(i, LinkId(2000), &flight[judged..last]);
        assert!(stand.clients[i].ended.is_empty(), "{code:?}: a byte is still to come");
        stand.goes_on(i, LinkId(2000), &flight[last..]);
        assert_eq!(stand.clients[i].ended, [LinkId(2000)], "{code:?}");

        // The first piece may be longer than what was judged, or all.
        for (link, first) in [
            (LinkId(2001), judged + 1),
            (LinkId(2002), last),
            (LinkId(2003), flight.len()),
        ] {
            stand.brings(i, link, &flight[..first]);
            assert_eq!(stand.clients[i].refused(link), Some(code));
            let whole = first == flight.len();
            assert_eq!(stand.clients[i].ended.contains(&link), whole, "{code:?} after {first}");
            stand.goes_on(i, link, &flight[first..]);
            assert!(stand.clients[i].ended.contains(&link), "{code:?} after {first}");
        }

        // The rest need not come.
        stand.brings(i, LinkId(2004), &flight[..judged]);
        stand.run_for(4900 * Duration::from_millis(1));
        assert_eq!(stand.server.links(), 1, "{code:?}");
        stand.run_for(Duration::from_millis(200));
        assert_eq!(stand.server.links(), 0, "{code:?}");
        assert_eq!(stand.server.counters().links_rejected, 5, "{code:?}");
    }
}

/// The secrets under which it was judged by its first bytes are gone when the rest comes.
#[test]
fn a_resume_whose_generation_is_over_before_it_is_whole_is_unknown() {
    let (mut stand, i, _, flight) = dialling(Durability::Memory, |config| config);
    stand.brings(i, REPLAYED, &flight[..RESUME_JUDGED]);
    let newest = stand.clients[i].newest;
    stand.brings(i, newest, &flight);
    stand.run_for(SECOND);
    assert_eq!(stand.server.detached(), 0, "the client has shown its new keys");
    stand.goes_on(i, REPLAYED, &flight[RESUME_JUDGED..]);
    let counters = stand.server.counters();
    assert_eq!((counters.resumes_unknown, counters.resumes_stale), (1, 0));
    assert_eq!(stand.clients[i].refused(REPLAYED), Some(RefuseCode::NotHere));
}

#[test]
fn a_resume_whose_session_is_over_before_it_is_whole_is_told_so() {
    for durability in [Durability::Memory, Durability::SwapOut] {
        let (mut stand, i, id, flight) = dialling(durability, |config| config);
        stand.brings(i, REPLAYED, &flight[..RESUME_JUDGED]);
        stand.server.session(id).expect("it is here").kick(7);
        stand.exchange();
        stand.goes_on(i, REPLAYED, &flight[RESUME_JUDGED..]);
        let counters = stand.server.counters();
        assert_eq!(
            (counters.resumes_unknown, counters.resumes_stale),
            (1, 0),
            "{durability:?}"
        );
        assert_eq!(
            stand.clients[i].refused(REPLAYED),
            Some(RefuseCode::NotHere),
            "{durability:?}"
        );
    }
}

/// A client keeps to the credit that the owner before gave it (U-44), which may have been more. Or it would bring the same flight again and again.
#[test]
fn early_messages_beyond_the_windows_of_a_new_owner_are_left_and_come_again() {
    let taken = |inbox: fn() -> Inbox| {
        let mut stand = Stand::new(Durability::Memory);
        let (i, id) = stand.session();
        let newest = stand.clients[i].newest;
        stand.clients[i].away = true;
        stand.cut(i, newest);
        for _ in 0..3 {
            stand.clients[i].session.send("early".into()).expect("there is room");
        }
        let served = stand.server.sessions.get_mut(&Stand::key_of(id)).expect("it is here");
        served.talk.inbox = inbox();
        let flight = stand.flight(i);
        stand.brings(i, REPLAYED, &flight);
        let counters = stand.server.counters();
        assert_eq!((counters.bad_records, counters.resumes), (0, 1));
        assert!(stand.clients[i].ended.is_empty());
        let served = stand.server.sessions.get_mut(&Stand::key_of(id)).expect("it is here");
        served.talk.inbox.next()
    };
    assert_eq!(taken(|| Inbox::new(3, 1 << 20, 1 << 20, 0)), 3);
    assert_eq!(taken(|| Inbox::new(2, 1 << 20, 1 << 20, 0)), 0, "messages");
    assert_eq!(taken(|| Inbox::new(9, 14, 1 << 20, 0)), 0, "bytes");
    assert_eq!(taken(|| Inbox::new(9, 1 << 20, 4, 0)), 0, "the length of one");
}

/// U-18: whoever dials again has left the link of which no answer came.
#[test]
fn the_link_of_an_attempt_whose_answer_was_lost_ends_with_the_next_attempt() {
    let (mut stand, i, _, flight) = dialling(Durability::Memory, |config| config);
    stand.brings(i, REPLAYED, &flight);
    let newest = stand.clients[i].newest;
    let now = stand.now;
    stand.clients[i].session.handle_link_down(newest, now);
    let next = stand.flight(i);
    assert!(stand.clients[i].ended.is_empty());
    stand.brings(i, AGAIN, &next);
    assert_eq!(stand.server.counters().resumes, 2);
    assert_eq!(stand.clients[i].ended, [REPLAYED]);
}

/// Without a store there is nobody to ask: whoever knows more of this process than it does itself has lost nothing, so this process has.
#[test]
fn a_client_that_knows_more_than_a_server_without_a_store_is_told_of_the_rollback() {
    let mut stand = Stand::new(Durability::Memory);
    let (i, id) = stand.session();
    let served = stand.server.sessions.get_mut(&Stand::key_of(id)).expect("it is here");
    assert_eq!(core::mem::take(&mut served.token), 1, "the client knows it");
    let newest = stand.clients[i].newest;
    stand.cut(i, newest);
    stand.run_for(5 * SECOND);
    assert_eq!(stand.server.counters().rollbacks, 1);
    assert_eq!(stand.clients[i].closed(), Some(CloseReason::RolledBack));
}

// ---- the application's word ----

#[test]
fn a_veto_is_counted() {
    let (mut stand, i, id, flight) = dialling(Durability::Memory, asks_on_resume);
    stand.brings(i, REPLAYED, &flight);
    let mut session = stand.server.session(id).expect("it is here");
    assert!(session.answer_resume(Err(5)));
    drop(session);
    let counters = stand.server.counters();
    assert_eq!((counters.vetoes, counters.resumes), (1, 0));
}

/// Its flight had proved who it is. There is nobody left who could be let in, but the session ends all the same.
#[test]
fn a_veto_counts_though_the_link_has_gone() {
    let (mut stand, i, id, flight) = dialling(Durability::Memory, asks_on_resume);
    stand.brings(i, REPLAYED, &flight);
    stand.server.handle_link_down(name(i, REPLAYED), stand.now);
    let mut session = stand.server.session(id).expect("it is here");
    assert!(session.answer_resume(Err(5)));
    drop(session);
    let end = CloseReason::Refused { code: 5 };
    stand.run_for(10 * SECOND);
    assert!(stand.told.contains(&(id, Event::Closed(end))));
    assert_eq!(stand.clients[i].closed(), Some(end));
    let counters = stand.server.counters();
    assert_eq!((counters.vetoes, counters.resumes), (1, 0));
}

/// Its client comes with the next, and the application is asked anew.
#[test]
fn whoever_has_gone_is_not_resumed() {
    let (mut stand, i, id, flight) = dialling(Durability::Memory, asks_on_resume);
    stand.brings(i, REPLAYED, &flight);
    stand.server.handle_link_down(name(i, REPLAYED), stand.now);
    let mut session = stand.server.session(id).expect("it is here");
    assert!(!session.answer_resume(Ok(())));
    drop(session);
    assert_eq!((stand.server.counters().resumes, stand.server.links()), (0, 0));
}

/// The flight may have taken its time until it was whole.
#[test]
fn an_application_has_its_time_to_answer_whenever_the_link_came() {
    let (mut stand, i, id, flight) = dialling(Durability::Memory, asks_on_resume);
    stand.clients[i].away = true;
    stand.brings(i, REPLAYED, &flight[..RESUME_JUDGED]);
    stand.run_for(4 * SECOND);
    stand.goes_on(i, REPLAYED, &flight[RESUME_JUDGED..]);
    assert!(stand.told.contains(&(id, Event::ResumeRequest)));
    stand.run_for(4900 * Duration::from_millis(1));
    assert!(stand.clients[i].ended.is_empty());
    stand.run_for(Duration::from_millis(200));
    assert_eq!(stand.clients[i].ended, [REPLAYED], "and no more");
    assert_eq!(stand.server.links(), 0);
}

#[test]
fn a_session_that_was_put_out_in_the_meantime_is_not_resumed_though_the_application_says_so() {
    let (mut stand, i, id, flight) = dialling(Durability::Memory, asks_on_resume);
    stand.brings(i, REPLAYED, &flight);
    assert!(stand.told.contains(&(id, Event::ResumeRequest)));
    let mut session = stand.server.session(id).expect("it is here");
    session.kick(7);
    session.answer_resume(Ok(()));
    drop(session);
    stand.exchange();
    assert_eq!(stand.server.counters().resumes, 0);
    assert_eq!(stand.clients[i].ended, [REPLAYED]);
    let end = Event::Closed(CloseReason::Kicked { code: 7 });
    assert!(stand.told.contains(&(id, end)));
}

/// U-55: 16 KiB behind a flight that waits for its answer.
#[test]
fn what_comes_behind_a_flight_that_waits_is_held_up_to_its_bound() {
    let (mut stand, i, _, flight) = dialling(Durability::Memory, asks_on_resume);
    stand.brings(i, REPLAYED, &flight);
    for _ in 0..16 {
        stand.goes_on(i, REPLAYED, &[7; 1024]);
    }
    assert!(stand.clients[i].ended.is_empty());
    stand.goes_on(i, REPLAYED, &[7]);
    assert_eq!(stand.clients[i].ended, [REPLAYED]);
}

/// ... however it comes, and whatever the flight waits for.
#[test]
fn more_than_that_in_one_piece_with_a_flight_that_waits_ends_the_link() {
    for durability in [Durability::Memory, Durability::SwapOut] {
        for (more, links) in [(0, 1), (1, 0)] {
            let (mut stand, i, id, mut flight) = dialling(durability, asks_on_resume);
            if durability == Durability::SwapOut {
                stand.server.session(id).expect("it is here").swap_out();
                stand.exchange();
                stand.shelf.silent = true;
            }
            flight.resize(flight.len() + (16 << 10) + more, 7);
            stand.brings(i, REPLAYED, &flight);
            assert_eq!(stand.server.links(), links, "{durability:?}, {more} more");
            let asked = stand.told.contains(&(id, Event::ResumeRequest));
            assert_eq!(asked, durability == Durability::Memory && more == 0);
        }
    }
}

// ---- HELLO ----

#[test]
fn no_more_sessions_are_let_in_than_there_may_be() {
    let mut stand = Stand::changed(Durability::Memory, true, |mut config| {
        config.limits.sessions = 2;
        config
    });
    for _ in 0..2 {
        stand.session();
    }
    assert_eq!(stand.server.counters().refused_busy, 0);
    let third = stand.client();
    stand.exchange();
    assert_eq!((stand.server.sessions(), stand.server.counters().refused_busy), (2, 1));
    let newest = stand.clients[third].newest;
    assert_eq!(stand.clients[third].refused(newest), Some(RefuseCode::Busy));
}

/// Nobody has the keys yet with which it could have been sealed.
#[test]
fn what_comes_behind_a_hello_is_heard_and_ends_the_link_if_it_is_no_record() {
    let mut stand = Stand::new(Durability::Memory);
    let i = stand.client();
    let mut bytes = stand.flight(i);
    bytes.extend_from_slice(&[0, 17]);
    bytes.extend_from_slice(&[0xee; 17]);
    stand.brings(i, REPLAYED, &bytes);
    assert_eq!(
        (stand.server.counters().hellos, stand.server.counters().bad_records),
        (1, 1)
    );
    assert_eq!(stand.clients[i].ended, [REPLAYED]);
}

/// The dice fall as they did for a session that is here, and for one that is remembered.
#[test]
fn no_session_gets_a_name_that_is_in_use() {
    let mut stand = Stand::new(Durability::Memory);
    let mut keys = Vec::new();
    for _ in 0..3 {
        stand.server.rng = Rng::new(&Seed::new([77; 32]));
        let (_, id) = stand.session();
        assert!(!keys.contains(&Stand::key_of(id)));
        keys.push(Stand::key_of(id));
        if keys.len() == 1 {
            stand.server.session(id).expect("it is here").kick(7);
            stand.run_for(SECOND);
            assert_eq!((stand.server.sessions(), stand.server.tombstones()), (0, 1));
        }
    }
    assert_eq!(stand.server.sessions(), 2);
}

// ---- versions ----

fn versions(range: RangeInclusive<u8>) -> Versions {
    Versions {
        min: *range.start(),
        max: *range.end(),
    }
}

/// U-9: a client that uses less than both could was lied to; and one that uses what it does not speak lies.
#[test]
fn a_client_uses_the_highest_version_that_both_speak() {
    let stand = Stand::new(Durability::Memory);
    for (used, offered, served, downgrade) in [
        (1, 1..=1, 1..=1, false),
        (1, 1..=3, 1..=1, false),
        (2, 1..=3, 1..=2, false),
        (3, 2..=3, 1..=5, false),
        (1, 1..=2, 1..=2, true),
        (2, 1..=3, 1..=3, true),
        (1, 2..=3, 1..=1, true),
        (2, 1..=1, 1..=2, true),
    ] {
        let mut config = ServerConfig::clone(&stand.server.config);
        config.versions = served.clone();
        let found = is_downgrade(&config, used, &versions(offered.clone()));
        assert_eq!(found, downgrade, "{used} of {offered:?} with {served:?}");
    }
}

fn kind(flight: &[u8]) -> (FlightKind, u8) {
    let head = flight.first_chunk().expect("a flight");
    let prelude = Prelude::parse(head).expect("a good one");
    (prelude.kind, prelude.version)
}

#[test]
fn a_resume_or_a_query_in_too_low_a_version_gets_nothing() {
    for kind in [FlightKind::Resume, FlightKind::Query] {
        for lied_to in [false, true] {
            let mut stand = Stand::new(Durability::Memory);
            let i = stand.client_with(|config| config.versions(1..=2));
            stand.run_for(5 * SECOND);
            assert!(stand.clients[i].session.id().is_some(), "in version 1");
            let newest = stand.clients[i].newest;
            stand.clients[i].away = true;
            stand.cut(i, newest);
            if kind == FlightKind::Query {
                stand.replace_server();
            }
            let mut flight = stand.flight(i);
            while self::kind(&flight) != (kind, 1) {
                let newest = stand.clients[i].newest;
                stand.brings(i, newest, &flight);
                flight = stand.flight(i);
            }
            if lied_to {
                let mut config = ServerConfig::clone(&stand.server.config);
                config.versions = 1..=2;
                stand.server.config = Arc::new(config);
            }
            stand.brings(i, REPLAYED, &flight);
            let counters = stand.server.counters();
            let taken = counters.resumes + counters.queries;
            assert_eq!(taken, u64::from(!lied_to), "{kind:?}");
            assert_eq!(stand.clients[i].answers.iter().any(|(on, _)| *on == REPLAYED), !lied_to);
        }
    }
}
