//! A server that leaves, or thinks better of it.

use core::time::Duration;

use super::leaving::{goes_away, is_park, leaving};
use super::requests::is_live;
use super::stand::Stand;
use crate::config::{Durability, Limits};
use crate::endpoint::notes;
use crate::event::{Event, LinkId};
use crate::store::{Owner, Record, StoreOp, StoreReply};

const SECOND: Duration = Duration::from_secs(1);
const BOTH: [Durability; 2] = [Durability::SwapOut, Durability::Durable];

#[test]
fn a_server_that_turns_away_lets_nobody_in_and_keeps_whom_it_has() {
    for durability in BOTH {
        let mut stand = Stand::new(durability);
        let (i, id) = stand.session();
        stand.server.turn_away();
        let before = stand.server.counters();
        let late = stand.client();
        // It may see that it is turned away, or nothing but the end of its connection.
        stand.run_for(2 * SECOND);
        stand.clients[late].deaf = (0..1000).map(LinkId).collect();
        stand.run_for(3 * SECOND);
        let counters = stand.server.counters();
        assert_eq!((stand.server.sessions(), counters.hellos), (1, 1), "{durability:?}");
        let came = counters.links_accepted - before.links_accepted;
        assert!(came > 0, "it has tried");
        assert_eq!(counters.links_rejected - before.links_rejected, came, "{durability:?}");
        assert_eq!(stand.clients[late].session.id(), None);
        let mut session = stand.server.session(id).expect("it goes on");
        session.send("still here".into()).expect("there is room");
        drop(session);
        stand.server.stay();
        stand.clients[late].deaf.clear();
        stand.run_for(20 * SECOND);
        assert_eq!(stand.clients[i].heard, [b"still here"]);
        assert!(
            stand.clients[late].session.id().is_some(),
            "{durability:?}: let in again"
        );
    }
}

#[test]
fn sessions_that_were_to_leave_go_on_if_their_server_stays() {
    for durability in BOTH {
        let mut stand = Stand::new(durability);
        let (_, id) = stand.session();
        stand.server.retire();
        assert!(stand.server.session(id).expect("it is here still").is_leaving());
        stand.server.stay();
        assert!(!stand.server.session(id).expect("it is here").is_leaving());
        stand.run_for(SECOND);
        assert_eq!(
            (stand.server.sessions(), stand.shelf.count(is_park)),
            (1, 0),
            "{durability:?}"
        );
        assert!(stand.told.contains(&(id, Event::SwapOutFailed)));
    }
}

#[test]
fn a_session_that_is_being_written_out_goes_though_its_server_stays() {
    for durability in BOTH {
        let (mut stand, _, id) = leaving(durability, true);
        stand.server.retire();
        stand.server.stay();
        stand.exchange();
        assert!(stand.server.session(id).expect("it is here still").is_leaving());
        stand.speak();
        assert_eq!(stand.server.sessions(), 0, "{durability:?}");
        assert!(!stand.told.contains(&(id, Event::SwapOutFailed)));
        assert!(matches!(stand.shelf.records[&Stand::key_of(id)], Record::Parked { .. }));
    }
}

/// Its time was over just before, and the host has not closed its link yet.
#[test]
fn nobody_is_told_of_a_session_that_its_client_never_took_up_when_its_server_leaves() {
    for durability in BOTH {
        let mut stand = Stand::new(durability);
        stand.run_for(SECOND);
        let i = stand.client();
        let flight = stand.flight(i);
        stand.brings(i, LinkId(1000), &flight);
        stand.clients[i].away = true;
        assert_eq!(stand.server.sessions.len(), 1, "{durability:?}");
        stand.now += Limits::default().handshake;
        stand.server.handle_timeout(stand.now);
        stand.server.retire();
        stand.exchange();
        assert_eq!(stand.server.sessions.len(), 0, "{durability:?}");
        assert_eq!(stand.server.counters().sessions_closed, 0, "{durability:?}");
        assert!(stand.told.is_empty(), "{durability:?}: {:?}", stand.told);
    }
}

/// It is not here yet when all are told to go: a new one, or one that is coming from elsewhere.
#[test]
fn a_session_that_the_store_gives_to_a_server_that_leaves_leaves_as_well() {
    for durability in BOTH {
        for new in [true, false] {
            let mut stand = Stand::new(durability);
            if new {
                stand.run_for(SECOND);
                stand.client();
            } else {
                let (i, id) = stand.session();
                goes_away(&mut stand, i);
                stand.server.session(id).expect("it is here").swap_out();
                stand.run_for(SECOND);
                stand.clients[i].away = false;
            }
            let takeovers = u64::from(!new);
            stand.shelf.silent_to = Some(is_live);
            stand.run_for(3 * SECOND);
            stand.server.retire();
            let parked = stand.shelf.count(is_park);
            stand.speak();
            stand.run_for(SECOND);
            assert_eq!(stand.server.counters().takeovers, takeovers, "{durability:?}");
            assert_eq!(stand.server.sessions(), 0, "{durability:?}, new: {new}");
            assert_eq!(stand.shelf.count(is_park), parked + 1, "{durability:?}, new: {new}");
        }
    }
}

#[test]
fn a_session_that_the_store_gives_to_a_server_that_stays_after_all_stays_as_well() {
    for durability in BOTH {
        let mut stand = Stand::new(durability);
        stand.run_for(SECOND);
        stand.shelf.silent_to = Some(is_live);
        stand.client();
        stand.run_for(SECOND);
        stand.server.retire();
        stand.server.stay();
        stand.speak();
        stand.run_for(SECOND);
        assert_eq!(
            (stand.server.sessions(), stand.shelf.count(is_park)),
            (1, 0),
            "{durability:?}"
        );
        assert!(!stand.told.iter().any(|(_, event)| *event == Event::SwapOutFailed));
    }
}

/// Each is remembered until the session has gone, so there must be an end to them.
#[test]
fn of_those_who_ask_for_a_session_16_are_told_when_it_can_be_taken() {
    let mut stand = Stand::new(Durability::SwapOut);
    let (_, id) = stand.session();
    let key = Stand::key_of(id);
    for _ in 0..2 {
        for number in 100..120 {
            stand.server.leave(key, Some(Owner([number; 16])));
        }
    }
    stand.exchange();
    let told = |op: &StoreOp| matches!(op, StoreOp::Send { note, .. } if *note == notes::handed(&key));
    assert_eq!(stand.shelf.count(told), 16);
}

/// The store has taken the claim, perhaps, and has not said so: nobody else has the session then.
#[test]
fn who_leaves_waits_for_a_session_of_whose_claim_nothing_is_known() {
    for durability in BOTH {
        let mut stand = Stand::new(durability);
        let (i, id) = stand.session();
        let key = Stand::key_of(id);
        goes_away(&mut stand, i);
        stand.server.session(id).expect("it is here").swap_out();
        stand.run_for(SECOND);
        assert!(!stand.server.owes_store());
        stand.shelf.afterwards = Some(|op| is_live(op).then_some(StoreReply::Failed));
        let flight = stand.flight(i);
        stand.brings(i, LinkId(1000), &flight);
        assert!(matches!(stand.shelf.records[&key], Record::Live { .. }), "it is done");
        stand.server.retire();
        stand.exchange();
        assert!(stand.server.owes_store(), "{durability:?}");
        stand.shelf.afterwards = None;
        stand.run_for(SECOND);
        assert_eq!(stand.server.counters().takeovers, 1, "{durability:?}");
        assert_eq!((stand.server.sessions(), stand.server.owes_store()), (0, false));
        assert!(
            matches!(stand.shelf.records[&key], Record::Parked { .. }),
            "{durability:?}"
        );
    }
}
