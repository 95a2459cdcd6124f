//! Writes that came to nothing, and what the store shows afterwards: it is written again, and with everything; or the session is another's, and is given up.

use core::time::Duration;

use super::leaving::{comes_elsewhere, goes_away, is_park, leaving, places_taken};
use super::requests::{is_live, is_peek};
use super::stand::Stand;
use crate::config::Durability;
use crate::event::{Event, SessionId};
use crate::store::{Owner, Record, StoreReply};

const SECOND: Duration = Duration::from_secs(1);
const BOTH: [Durability; 2] = [Durability::SwapOut, Durability::Durable];
/// A third of the time that a live record counts without being written.
const REFRESH: Duration = Duration::from_secs(20 * 60);

fn token(stand: &Stand, id: SessionId) -> u64 {
    stand.shelf.records[&Stand::key_of(id)].token()
}

/// The process dies, and the client goes to another: the state that this one's application is given.
fn state_after_a_crash(stand: &mut Stand, i: usize) -> Option<bytes::Bytes> {
    goes_away(stand, i);
    comes_elsewhere(stand, i);
    let mut restored = stand.told.iter().filter_map(|(_, event)| match event {
        Event::Restored { app, .. } => Some(app.clone()),
        _ => None,
    });
    restored.next().expect("it was restored")
}

#[test]
fn a_commit_that_the_store_did_not_take_is_made_again_with_the_applications_state() {
    let mut stand = Stand::new(Durability::Durable);
    let (i, id) = stand.session();
    let before = token(&stand, id);
    stand.shelf.instead = Some(|op| is_live(op).then_some(StoreReply::Unavailable));
    stand.server.session(id).expect("it is here").commit();
    stand.exchange();
    stand.shelf.instead = None;
    stand.run_for(SECOND);
    assert!(token(&stand, id) > before);
    assert_eq!(state_after_a_crash(&mut stand, i).as_deref(), Some(&b"state"[..]));
}

#[test]
fn a_session_that_could_not_leave_is_written_with_the_state_that_its_application_gave() {
    let (mut stand, i, id) = leaving(Durability::Durable, false);
    stand.speak_as(&StoreReply::Failed, is_park);
    stand.run_for(SECOND);
    assert!(stand.told.contains(&(id, Event::SwapOutFailed)));
    assert_eq!(state_after_a_crash(&mut stand, i).as_deref(), Some(&b"state"[..]));
}

#[test]
fn a_sign_that_a_session_is_still_here_is_given_again_in_a_moment_if_the_store_did_not_take_it() {
    for durability in BOTH {
        let mut stand = Stand::new(durability);
        let (_, id) = stand.session();
        let before = token(&stand, id);
        stand.shelf.instead = Some(|op| is_live(op).then_some(StoreReply::Unavailable));
        stand.skip(REFRESH);
        assert_eq!(token(&stand, id), before);
        stand.shelf.instead = None;
        stand.run_for(SECOND);
        assert!(token(&stand, id) > before, "{durability:?}");
    }
}

#[test]
fn a_record_that_the_store_has_lost_is_written_anew() {
    for durability in BOTH {
        let mut stand = Stand::new(durability);
        let (_, id) = stand.session();
        stand.shelf.records.remove(&Stand::key_of(id));
        stand.skip(REFRESH);
        stand.run_for(SECOND);
        let owner = stand.server.owner();
        let there = stand.shelf.records.get(&Stand::key_of(id));
        assert!(
            matches!(there, Some(Record::Live { owner: by, .. }) if *by == owner),
            "{durability:?}: {there:?}"
        );
        assert_eq!(stand.server.sessions(), 1);
    }
}

#[test]
fn a_session_whose_record_the_store_has_lost_leaves_all_the_same() {
    for durability in BOTH {
        let mut stand = Stand::new(durability);
        let (i, id) = stand.session();
        let key = Stand::key_of(id);
        stand.shelf.records.remove(&key);
        stand.skip(REFRESH);
        goes_away(&mut stand, i);
        stand.server.session(id).expect("it is here").commit();
        stand.exchange();
        assert!(
            !stand.shelf.records.contains_key(&key),
            "it is known, and not written anew yet"
        );
        stand.server.session(id).expect("it is here").swap_out();
        stand.run_for(SECOND);
        assert!(!stand.told.contains(&(id, Event::SwapOutFailed)), "{durability:?}");
        assert!(
            matches!(stand.shelf.records.get(&key), Some(Record::Parked { .. })),
            "{durability:?}"
        );
    }
}

/// Its copy here is worth nothing, and nothing is written over the record.
#[test]
fn a_session_that_is_anothers_by_now_is_given_up_with_the_first_write() {
    for durability in BOTH {
        for parked in [false, true] {
            let mut stand = Stand::new(durability);
            let (_, id) = stand.session();
            let key = Stand::key_of(id);
            let (token, blob) = (token(&stand, id) + 1, b"not for you"[..].into());
            let theirs = match parked {
                false => Record::Live {
                    token,
                    owner: Owner([9; 16]),
                    blob,
                },
                true => Record::Parked { token, blob },
            };
            stand.shelf.records.insert(key, theirs.clone());
            stand.skip(REFRESH);
            stand.run_for(SECOND);
            let counters = stand.server.counters();
            assert_eq!(
                (stand.server.sessions(), counters.fenced),
                (0, 1),
                "{durability:?} {parked}"
            );
            assert!(stand.told.contains(&(id, Event::SwappedOut)));
            assert!(stand.shelf.records[&key] == theirs, "{durability:?} {parked}");
        }
    }
}

#[test]
fn a_swap_out_whose_answer_was_lost_is_not_taken_for_anothers() {
    for durability in BOTH {
        let (mut stand, _, id) = leaving(durability, true);
        stand.shelf.afterwards = Some(|op| is_park(op).then_some(StoreReply::Failed));
        stand.speak();
        let counters = stand.server.counters();
        assert_eq!(
            (stand.server.sessions(), counters.swapped_out, counters.fenced),
            (0, 1, 0),
            "{durability:?}"
        );
        assert!(stand.told.contains(&(id, Event::SwappedOut)));
    }
}

/// The store went back, and another has taken the session from there and parked it: under a token that this process has given away as well.
#[test]
fn a_parked_record_that_is_not_from_this_swap_out_is_anothers() {
    for durability in BOTH {
        let (mut stand, _, id) = leaving(durability, true);
        let (token, blob) = (token(&stand, id), b"not for you"[..].into());
        let theirs = Record::Parked { token, blob };
        stand.shelf.records.insert(Stand::key_of(id), theirs);
        stand.speak();
        assert_eq!(
            (stand.server.sessions(), stand.server.counters().fenced),
            (0, 1),
            "{durability:?}"
        );
    }
}

/// However often it is wanted, and whether its client is there or not.
#[test]
fn a_session_leaves_by_one_write_with_a_token_of_its_own() {
    for durability in BOTH {
        for away in [false, true] {
            let (mut stand, i, id) = leaving(durability, away);
            stand.clients[i].away = true;
            assert_eq!(stand.server.detached(), usize::from(away));
            let before = token(&stand, id);
            stand.server.session(id).expect("it is here still").swap_out();
            stand.exchange();
            stand.speak();
            let what = (durability, away);
            assert_eq!(
                (stand.shelf.count(is_park), stand.shelf.count(is_peek)),
                (1, 0),
                "{what:?}"
            );
            assert!(token(&stand, id) > before, "{what:?}");
            assert_eq!((stand.server.sessions(), stand.server.detached()), (0, 0), "{what:?}");
            assert_eq!(stand.server.counters().swapped_out, 1, "{what:?}");
        }
    }
}

#[test]
fn a_session_that_the_store_could_not_take_goes_on_at_once() {
    for durability in BOTH {
        let (mut stand, i, id) = leaving(durability, false);
        let written = stand.shelf.count(is_live);
        stand.speak_as(&StoreReply::Unavailable, is_park);
        assert!(stand.told.contains(&(id, Event::SwapOutFailed)), "{durability:?}");
        assert_eq!((stand.shelf.count(is_live), stand.shelf.count(is_peek)), (written, 0));
        assert_eq!(places_taken(&stand), 0);
        let mut session = stand.server.session(id).expect("it is here");
        assert!(!session.is_leaving());
        session.send("still here".into()).expect("there is room");
        drop(session);
        stand.run_for(SECOND);
        assert_eq!(stand.clients[i].heard, [b"still here"], "{durability:?}");
    }
}
