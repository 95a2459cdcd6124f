//! What an endpoint tells of itself in numbers, and what they are after everybody has gone.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

use super::leaving::goes_away;
use super::requests::is_live;
use super::stand::{Stand, name};
use crate::config::Durability;
use crate::crypto::keys::PublicKey;
use crate::error::CloseReason;
use crate::event::{Event, LinkId, NetworkEvent, NetworkId};
use crate::store::{Owner, Record};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn sessions_are_counted_from_the_first_proof_to_the_end_and_how_they_ended() {
    let mut stand = Stand::new(Durability::Memory);
    let sessions: Vec<_> = (0..3).map(|_| stand.session()).collect();
    let counters = stand.server.counters();
    assert_eq!(
        (
            counters.links_accepted,
            counters.links_rejected,
            counters.sessions_opened
        ),
        (3, 0, 3)
    );
    for (_, id) in &sessions[..2] {
        stand.server.session(*id).expect("it is here").kick(1);
    }
    stand.run_for(5 * SECOND);
    assert_eq!((stand.server.sessions(), stand.server.tombstones()), (1, 2));
    let counters = stand.server.counters();
    assert_eq!(
        (counters.sessions_closed, counters.sessions_expired, counters.detached),
        (2, 0, 0)
    );

    let (i, _) = sessions[2];
    stand.clients[i].away = true;
    let newest = stand.clients[i].newest;
    stand.cut(i, newest);
    assert_eq!((stand.server.detached(), stand.server.counters().detached), (1, 1));
    stand.run_for(61 * SECOND);
    assert_eq!(
        (stand.server.sessions(), stand.server.detached(), stand.server.links()),
        (0, 0, 0)
    );
    assert_eq!(stand.server.tombstones(), 1, "the others' time is over");
    let counters = stand.server.counters();
    assert_eq!(
        (counters.sessions_closed, counters.sessions_expired, counters.detached),
        (3, 1, 1)
    );
}

/// Its first flight may have been an echo of nobody.
#[test]
fn a_client_that_never_proves_its_keys_leaves_nothing_behind() {
    for durability in [Durability::Memory, Durability::SwapOut, Durability::Durable] {
        let mut stand = Stand::new(durability);
        stand.run_for(SECOND);
        let i = stand.client();
        stand.clients[i].late = Some(Vec::new());
        stand.exchange();
        stand.clients[i].away = true;
        assert_eq!(
            (stand.server.counters().hellos, stand.server.sessions()),
            (1, 0),
            "{durability:?}"
        );
        stand.run_for(10 * SECOND);
        assert_eq!(
            (stand.server.sessions(), stand.server.links()),
            (0, 0),
            "{durability:?}"
        );
        assert_eq!(
            (stand.server.counters().sessions_opened, stand.server.tombstones()),
            (0, 0)
        );
        assert!(
            stand.told.is_empty() && stand.shelf.records.is_empty(),
            "{durability:?}"
        );
    }
}

#[test]
fn handovers_are_counted_with_what_was_sent_again_by_session_and_by_endpoint() {
    let mut stand = Stand::new(Durability::Memory);
    let (i, id) = stand.session();
    let (mut handovers, mut sent) = (0, 0);
    for lost in [3, 2] {
        let newest = stand.clients[i].newest;
        stand.clients[i].deaf = vec![newest];
        let mut session = stand.server.session(id).expect("it is here");
        for _ in 0..lost {
            session.send("lost at first".into()).expect("there is room");
        }
        drop(session);
        stand.exchange();
        stand.cut(i, newest);
        stand.run_for(5 * SECOND);
        (handovers, sent) = (handovers + 1, sent + lost);
        assert_eq!(stand.clients[i].heard.len() as u64, sent);
        let counters = stand.server.counters();
        assert_eq!(
            (counters.handovers, counters.replayed_messages, counters.sent_messages),
            (handovers, sent, sent)
        );
        let stats = stand.server.session(id).expect("it is here").stats();
        assert_eq!(
            (stats.handovers, stats.replayed_messages, stats.sent_messages),
            (handovers, sent, sent)
        );
    }
}

#[test]
fn how_many_were_told_to_leave_is_said_and_no_link_is_told_for_ever() {
    let mut stand = Stand::new(Durability::Memory);
    for _ in 0..2 {
        stand.session();
    }
    let longest = String::from_utf8(vec![b'a'; 255]).expect("letters");
    assert_eq!(stand.server.drain(SECOND, &longest).ok(), Some(2));
    let refused = stand.server.drain(SECOND, &(longest + "a")).expect_err("too long");
    assert_eq!(refused.field, "address");
    let told: Vec<_> = (0..20)
        .map(|_| stand.server.drain(SECOND, "").expect("it is short"))
        .collect();
    assert_eq!(told, [vec![2; 15], vec![0; 5]].concat());
}

/// A client that is moving reads nothing of its former link any more: it would be told nothing, and be cut off when the window is over.
#[test]
fn who_is_between_two_links_is_told_on_the_one_that_it_goes_to() {
    let mut stand = Stand::new(Durability::Memory);
    let (i, _) = stand.session();
    let before = stand.clients[i].newest;
    let now = stand.now;
    stand.clients[i]
        .session
        .handle_network(NetworkEvent::Changed(NetworkId(1)), now);
    let flight = stand.flight(i);
    let link = stand.clients[i].newest;
    assert_ne!(link, before, "it has asked for another");
    stand.server.handle_link_up(name(i, link), stand.now);
    stand.server.handle_input(name(i, link), &flight, stand.now);
    assert_eq!(stand.server.drain(SECOND, "").ok(), Some(1), "one session");
    stand.run_for(5 * SECOND);
    assert!(
        stand.clients[i]
            .told
            .iter()
            .any(|event| matches!(event, Event::Draining { .. }))
    );
    assert_ne!(stand.clients[i].newest, link, "it has followed");
}

/// U-50: behind a CLOSE nobody would read it.
#[test]
fn who_is_being_said_goodbye_to_is_told_nothing_more() {
    let mut stand = Stand::new(Durability::Memory);
    let (_, id) = stand.session();
    stand.session();
    stand.server.session(id).expect("it is here").close(7);
    assert_eq!(stand.server.drain(SECOND, "").ok(), Some(1));
    let key = PublicKey([7; 32]);
    assert_eq!(stand.server.announce_keys(&[(key, SECOND)]).ok(), Some(1));
}

/// A session that somebody holds keeps its place: it counts, and nobody else gets its name.
#[test]
fn a_session_that_is_held_is_still_there() {
    let mut stand = Stand::new(Durability::Memory);
    let (_, id) = stand.session();
    let (key, sessions) = (Stand::key_of(id), &mut stand.server.sessions);
    let held = sessions.take_if(&key, |_| true).expect("it is here");
    assert!(sessions.get(&key).is_none() && sessions.take_if(&key, |_| true).is_none());
    assert!(sessions.contains_key(&key) && !sessions.contains_key(&[0; 8]));
    assert_eq!(sessions.len(), 1);
    sessions.put_back(&key, held);
    assert!(sessions.get(&key).is_some());
}

/// It was closed when it could not leave any more, or was another's already: its end is told, and counted as one.
#[test]
fn who_ends_while_his_session_leaves_or_is_fenced_has_not_left_but_ended() {
    for durability in [Durability::SwapOut, Durability::Durable] {
        for fenced in [false, true] {
            let mut stand = Stand::new(durability);
            let (i, id) = stand.session();
            // The goodbye takes its time.
            stand.clients[i].deaf = vec![stand.clients[i].newest];
            stand.shelf.silent = true;
            stand.server.session(id).expect("it is here").swap_out();
            stand.exchange();
            stand.server.session(id).expect("it is here").close(7);
            if fenced {
                let (token, owner, blob) = (50, Owner([0xee; 16]), Bytes::new());
                let record = Record::Live { token, owner, blob };
                stand.shelf.records.insert(Stand::key_of(id), record);
            }
            stand.exchange();
            stand.speak();
            stand.run_for(5 * SECOND);
            let end = Event::Closed(CloseReason::Local { code: 7 });
            assert!(stand.told.contains(&(id, end)), "{durability:?}, fenced: {fenced}");
            let counters = stand.server.counters();
            assert_eq!(
                (counters.sessions_opened, counters.sessions_closed),
                (1, 1),
                "{durability:?}, fenced: {fenced}"
            );
            assert_eq!((counters.swapped_out, counters.fenced), (0, 0));
        }
    }
}

/// It comes without a link.
#[test]
fn a_session_that_is_taken_over_has_lost_no_link_here() {
    for durability in [Durability::SwapOut, Durability::Durable] {
        let mut stand = Stand::new(durability);
        let (i, id) = stand.session();
        goes_away(&mut stand, i);
        stand.server.session(id).expect("it is here").swap_out();
        stand.run_for(SECOND);
        let flight = stand.flight(i);
        stand.replace_server();
        stand.run_for(SECOND);
        stand.shelf.silent_to = Some(is_live);
        stand.brings(i, LinkId(1000), &flight);
        stand.server.handle_link_down(name(i, LinkId(1000)), stand.now);
        stand.speak();
        let numbers = |stand: &Stand| (stand.server.detached(), stand.server.counters().detached);
        assert_eq!(numbers(&stand), (1, 0), "{durability:?}: nobody waits for it any more");
        stand.clients[i].away = false;
        let newest = stand.clients[i].newest;
        stand.clients[i].session.handle_link_down(newest, stand.now);
        stand.run_for(5 * SECOND);
        assert_eq!(stand.server.counters().takeovers, 1);
        assert_eq!(numbers(&stand), (0, 0), "{durability:?}");
        goes_away(&mut stand, i);
        assert_eq!(numbers(&stand), (1, 1), "{durability:?}");
        stand.server.session(id).expect("it is here").kick(7);
        stand.exchange();
        assert_eq!(numbers(&stand), (0, 1), "{durability:?}");
    }
}

#[test]
fn of_those_that_left_the_fenced_are_counted_once_each() {
    let mut stand = Stand::new(Durability::Durable);
    let leaves = |stand: &mut Stand| {
        let (i, id) = stand.session();
        goes_away(stand, i);
        id
    };
    let (went, taken) = (leaves(&mut stand), leaves(&mut stand));
    stand.server.session(went).expect("it is here").swap_out();
    stand.run_for(SECOND);
    let anothers = Record::Live {
        token: 50,
        owner: Owner([0xee; 16]),
        blob: Bytes::new(),
    };
    stand.shelf.records.insert(Stand::key_of(taken), anothers);
    stand.server.session(taken).expect("it is here").commit();
    stand.run_for(SECOND);
    let counters = stand.server.counters();
    assert_eq!((counters.swapped_out, counters.fenced), (2, 1));
}
