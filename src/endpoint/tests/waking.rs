//! What has its time: when an endpoint wants to be woken, and what is over then.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::leaving::goes_away;
use super::stand::{Stand, name};
use crate::config::{Durability, ServerConfig};
use crate::endpoint::keep::PARKING_MAX;
use crate::error::CloseReason;
use crate::event::{Event, LinkId, NetworkEvent, NetworkId, SessionId};
use crate::session::Verdict;
use crate::store::{Record, StoreOp};
use crate::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const BOTH: [Durability; 2] = [Durability::SwapOut, Durability::Durable];

/// Whether the host is to poll it at once.
fn wants_polling(stand: &Stand) -> bool {
    stand.server.poll_timeout().expect("it has a store") <= stand.now
}

#[test]
fn an_endpoint_that_has_something_for_the_store_wants_to_be_polled() {
    let mut stand = Stand::new(Durability::SwapOut);
    let (_, id) = stand.session();
    assert!(!wants_polling(&stand), "it is at rest");
    let mut session = stand.server.session(id).expect("it is here");
    session.bind_user(b"anna").expect("there is a store");
    drop(session);
    assert!(wants_polling(&stand));
    assert!(matches!(
        stand.server.poll_store().expect("a request").op,
        StoreOp::Bind { .. }
    ));
    assert!(
        !wants_polling(&stand),
        "nothing else is to be done until that is answered"
    );
}

/// Who is asked for a state all the time and may not give it would be woken all the time.
#[test]
fn an_endpoint_that_wants_a_state_wants_to_be_polled_unless_too_many_are_on_their_way_out() {
    let mut stand = Stand::new(Durability::Durable);
    let (_, id) = stand.session();
    stand.server.session(id).expect("it is here").commit();
    assert!(wants_polling(&stand));
    let parking = |stand: &mut Stand, many| stand.server.cluster.as_mut().expect("it has a store").parking = many;
    parking(&mut stand, PARKING_MAX);
    assert!(!wants_polling(&stand));
    assert_eq!(stand.server.poll_snapshot(), None);
    parking(&mut stand, PARKING_MAX - 1);
    assert!(wants_polling(&stand));
    assert_eq!(stand.server.poll_snapshot(), Some(id));
    assert!(!wants_polling(&stand), "it has been told");
}

/// However long the store took to give it.
#[test]
fn a_session_that_comes_to_a_process_has_its_whole_time_there() {
    for durability in BOTH {
        let mut stand = Stand::new(durability);
        let (i, id) = stand.session();
        goes_away(&mut stand, i);
        stand.server.session(id).expect("it is here").swap_out();
        stand.run_for(SECOND);
        let is_claim = |op: &StoreOp| {
            matches!(
                op,
                StoreOp::Put {
                    record: Record::Live { .. },
                    ..
                }
            )
        };
        stand.shelf.silent_to = Some(is_claim);
        stand.clients[i].away = false;
        stand.run_for(3 * SECOND);
        goes_away(&mut stand, i);
        stand.run_for(30 * SECOND);
        assert_eq!(stand.server.sessions(), 0);
        stand.speak();
        assert_eq!(stand.server.counters().takeovers, 1, "{durability:?}");
        stand.run_for(59 * SECOND);
        assert_eq!(stand.server.sessions(), 1, "{durability:?}");
        stand.run_for(2 * SECOND);
        assert_eq!(
            (stand.server.sessions(), stand.server.counters().sessions_expired),
            (0, 1),
            "{durability:?}"
        );
    }
}

/// The host sleeps as long as it may, and its clock stands still while it works. What was not read is kept as long as a session without a link lives, and longer only for a link
/// that takes no more bytes and is given two seconds.
#[test]
fn a_session_that_is_over_and_never_read_is_forgotten_in_time() {
    let short = |mut config: ServerConfig| {
        config.limits.detached = SECOND;
        config
    };
    for (change, blocked, seconds) in [
        (core::convert::identity as fn(ServerConfig) -> ServerConfig, false, 60),
        (short, true, 2),
    ] {
        let mut stand = Stand::changed(Durability::Memory, true, change);
        let (i, id) = stand.session();
        let client = &mut stand.clients[i];
        client.session.send("never read".into()).expect("there is room");
        client.session.disconnect(3);
        if blocked {
            stand.server.handle_link_blocked(name(i, client.newest));
        }
        stand.exchange();
        let over = stand.now;
        assert!(stand.server.session(id).is_some(), "not read yet");
        let (mut woken, mut gone) = (0, None);
        while let Some(next) = stand.server.poll_timeout() {
            stand.now = next.max(stand.now);
            stand.server.handle_timeout(stand.now);
            stand.exchange();
            woken += 1;
            assert!(woken < 100, "woken at {next:?}");
            if stand.server.sessions.len() == 0 {
                gone.get_or_insert(stand.now);
            }
        }
        assert_eq!(gone, Some(over + seconds * SECOND), "blocked: {blocked}");
    }
}

/// What is sent on the new link meanwhile reaches nobody.
#[test]
fn a_link_that_nobody_proves_is_closed_within_a_second_if_there_is_another() {
    let mut stand = Stand::new(Durability::Memory);
    let (i, _) = stand.session();
    let before = stand.clients[i].newest;
    stand.clients[i].deaf = (before.0 + 1..100).map(LinkId).collect();
    let (born, changed) = (stand.now, NetworkEvent::Changed(NetworkId(1)));
    stand.clients[i].session.handle_network(changed, born);
    stand.exchange();
    assert_eq!(stand.server.links(), 2);
    stand.clients[i].away = true;
    while stand.server.links() == 2 {
        stand.now = stand.server.poll_timeout().expect("it is waited for");
        stand.server.handle_timeout(stand.now);
        stand.exchange();
    }
    assert_eq!((stand.server.links(), stand.now), (1, born + SECOND));
}

/// Its client has given up by then.
#[test]
fn a_resume_waits_for_the_applications_word_as_long_as_a_handshake_may_take() {
    for (waits, millis) in [(true, 4400), (false, 6000)] {
        let mut stand = Stand::changed(Durability::Memory, true, |config| config.with_ask_on_resume(true));
        let (i, id) = stand.session();
        let newest = stand.clients[i].newest;
        stand.cut(i, newest);
        stand.run_for(Duration::from_millis(500));
        assert!(stand.told.contains(&(id, Event::ResumeRequest)));
        stand.clients[i].away = true;
        stand.run_for(Duration::from_millis(millis));
        assert_eq!(stand.server.links(), usize::from(waits));
        let mut session = stand.server.session(id).expect("it is here");
        assert_eq!(session.answer_resume(Ok(())), waits);
        session.send("welcome back".into()).expect("there is room");
        drop(session);
        stand.run_for(SECOND);
        assert_eq!(stand.clients[i].heard.len(), usize::from(waits));
    }
}

fn short(mut config: ServerConfig) -> ServerConfig {
    config.limits.detached = 10 * SECOND;
    config
}

/// Nothing happened to it meanwhile that told the time, and the break of its link does.
#[test]
fn the_life_of_a_session_without_a_link_begins_when_that_breaks_however_quiet_it_was() {
    for durability in [Durability::Memory, Durability::SwapOut, Durability::Durable] {
        let mut stand = Stand::changed(durability, true, short);
        let (i, _) = stand.session();
        stand.run_for(9 * SECOND);
        goes_away(&mut stand, i);
        stand.run_for(9 * SECOND);
        assert_eq!(stand.server.sessions(), 1, "{durability:?}");
        stand.run_for(2 * SECOND);
        assert_eq!(stand.server.counters().sessions_expired, 1, "{durability:?}");
    }
}

#[test]
fn a_server_tells_how_long_a_session_had_no_link_and_not_how_long_it_was_quiet_before() {
    let mut stand = Stand::new(Durability::Memory);
    let (i, _) = stand.session();
    stand.run_for(20 * SECOND);
    goes_away(&mut stand, i);
    let broke = stand.now;
    stand.run_for(3 * SECOND);
    stand.clients[i].away = false;
    while stand.server.detached() > 0 {
        stand.run_for(Duration::from_millis(10));
    }
    assert_downtime(&stand, broke);
}

/// The application took its time to let it in, and had heard of no handover when the link broke.
#[test]
fn a_server_tells_how_long_a_session_had_no_link_also_if_that_broke_before_the_verdict() {
    for comes_in_vain in [false, true] {
        let mut stand = Stand::with(Durability::Memory, false);
        let i = stand.client();
        stand.run_for(SECOND);
        let id = stand.told.last().expect("it asks").0;
        let newest = stand.clients[i].newest;
        stand.server.handle_link_down(name(i, newest), stand.now);
        let broke = stand.now;
        stand.run_for(SECOND);
        if comes_in_vain {
            stand.clients[i].late = Some(Vec::new());
            stand.cut(i, newest);
            stand.run_for(SECOND);
            assert_eq!(stand.server.counters().resumes, 1);
        }
        let message = Bytes::new();
        let mut session = stand.server.session(id).expect("it is here");
        assert!(session.authorise(Verdict::Accept { message }));
        drop(session);
        stand.run_for(2 * SECOND);
        stand.clients[i].late = None;
        let newest = stand.clients[i].newest;
        stand.cut(i, newest);
        while stand.server.detached() > 0 {
            stand.run_for(Duration::from_millis(10));
        }
        assert_downtime(&stand, broke);
    }
}

/// One handover has ended just now, and was told to have been without a link since then.
fn assert_downtime(stand: &Stand, broke: Instant) {
    let down = stand.now.since(broke);
    let ends = stand.told.iter().filter_map(|(_, event)| match event {
        Event::HandoverEnd(end) => Some(end.downtime),
        _ => None,
    });
    let downtimes: Vec<_> = ends.collect();
    assert_eq!(downtimes.len(), 1);
    assert!(
        (down - Duration::from_millis(20)..=down).contains(&downtimes[0]),
        "{downtimes:?} of {down:?}"
    );
}

/// A session that will have been without a link for as long as it may in a tenth of a second; just now its client comes. `asked`: the application has a word. What the server says to the client is on its way.
fn comes_just_in_time(asked: bool) -> (Stand, usize, SessionId) {
    let change: fn(ServerConfig) -> ServerConfig = match asked {
        true => |config| short(config).with_ask_on_resume(true),
        false => short,
    };
    let mut stand = Stand::changed(Durability::Memory, true, change);
    let (i, id) = stand.session();
    let newest = stand.clients[i].newest;
    // The client notices later.
    stand.server.handle_link_down(name(i, newest), stand.now);
    stand.run_for(10 * SECOND - Duration::from_millis(200));
    stand.clients[i].late = Some(Vec::new());
    stand.cut(i, newest);
    stand.run_for(Duration::from_millis(150));
    let waits = stand.told.contains(&(id, Event::ResumeRequest));
    assert_eq!((stand.server.counters().resumes, waits), (u64::from(!asked), asked));
    assert_eq!(stand.server.detached(), 1);
    (stand, i, id)
}

/// It was taken: the server knows that somebody is there.
#[test]
fn who_comes_back_in_time_is_not_cut_off_in_the_middle_of_his_handshake() {
    let (mut stand, i, _) = comes_just_in_time(false);
    stand.run_for(Duration::from_millis(500));
    stand.arrive(i);
    stand.run_for(SECOND);
    assert_eq!((stand.server.sessions(), stand.server.detached()), (1, 0));
    assert_eq!(stand.server.counters().sessions_expired, 0);
    assert_eq!(stand.clients[i].closed(), None);
}

#[test]
fn who_comes_back_in_time_may_wait_for_the_applications_word() {
    for answer in [Ok(()), Err(7)] {
        let (mut stand, i, id) = comes_just_in_time(true);
        stand.run_for(2 * SECOND);
        assert!(stand.told.contains(&(id, Event::ResumeRequest)));
        let mut session = stand.server.session(id).expect("it is here still");
        assert!(session.answer_resume(answer), "{answer:?}");
        drop(session);
        stand.exchange();
        stand.arrive(i);
        stand.run_for(SECOND);
        let end = answer.err().map(|code| CloseReason::Refused { code });
        assert_eq!(stand.clients[i].closed(), end);
        assert_eq!(stand.server.counters().sessions_expired, 0, "{answer:?}");
    }
}

/// Nobody proves that he has the keys, or the application says nothing.
#[test]
fn who_came_back_in_time_and_no_further_is_waited_for_as_long_as_a_handshake_may_take() {
    for asked in [false, true] {
        let (mut stand, i, _) = comes_just_in_time(asked);
        stand.clients[i].away = true;
        let limit = stand.server.config.limits.handshake;
        stand.run_for(limit - Duration::from_millis(200));
        assert_eq!(stand.server.sessions(), 1, "asked: {asked}");
        stand.run_for(Duration::from_millis(250));
        assert_eq!(stand.server.counters().sessions_expired, 1, "asked: {asked}");
    }
}
