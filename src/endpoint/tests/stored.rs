//! An endpoint and its store, which says what it should not, or nothing.

use alloc::format;
use alloc::vec;
use core::time::Duration;

use super::requests::{is_burial, is_live as is_commit};
use super::stand::Stand;
use crate::config::{Durability, Limits};
use crate::error::SaveError;
use crate::event::{Event, SessionId};
use crate::session::{Batch, Verdict};
use crate::store::{Record, StoreOp, StoreReply};

const SECOND: Duration = Duration::from_secs(1);
const BOTH: [Durability; 2] = [Durability::SwapOut, Durability::Durable];

#[test]
fn a_store_that_refuses_a_commit_and_shows_what_was_expected_is_asked_again_in_a_moment() {
    let mut stand = Stand::new(Durability::Durable);
    let (i, id) = stand.session();
    let before = stand.shelf.count(is_commit);
    stand.shelf.instead = Some(|op| is_commit(op).then_some(StoreReply::Conflict));
    stand.clients[i]
        .session
        .send("commit this".into())
        .expect("there is room");
    stand.exchange();
    stand
        .server
        .session(id)
        .expect("it is here")
        .recv()
        .expect("it has come");
    stand.run_for(5 * SECOND);
    let asked = stand.shelf.count(is_commit) - before;
    assert!((2..=25).contains(&asked), "{asked} times in 5 seconds");
    assert_eq!(stand.clients[i].session.acked().0, 0, "nothing is confirmed");
    stand.shelf.instead = None;
    stand.run_for(SECOND);
    assert_eq!(stand.clients[i].session.acked().0, 1);
}

#[test]
fn a_store_that_has_no_record_and_takes_none_is_asked_again_in_a_moment() {
    let mut stand = Stand::new(Durability::Durable);
    let (i, id) = stand.session();
    let before = stand.shelf.count(is_commit);
    stand.shelf.instead = Some(|op| match op {
        StoreOp::Peek { .. } => Some(StoreReply::Peeked(None)),
        op => is_commit(op).then_some(StoreReply::Conflict),
    });
    stand.clients[i]
        .session
        .send("commit this".into())
        .expect("there is room");
    stand.exchange();
    stand
        .server
        .session(id)
        .expect("it is here")
        .recv()
        .expect("it has come");
    stand.run_for(5 * SECOND);
    let asked = stand.shelf.count(is_commit) - before;
    assert!((2..=25).contains(&asked), "{asked} times in 5 seconds");
}

#[test]
fn a_store_that_refuses_an_end_and_shows_what_was_expected_is_asked_again_in_a_while() {
    for durability in BOTH {
        let mut stand = Stand::new(durability);
        let (_, id) = stand.session();
        stand.shelf.instead = Some(|op| is_burial(op).then_some(StoreReply::Conflict));
        stand.server.session(id).expect("it is here").close(3);
        stand.run_for(20 * SECOND);
        let asked = stand.shelf.count(is_burial);
        assert!((4..=40).contains(&asked), "{asked} times in 20 seconds");
        assert!(stand.server.owes_store(), "it is not forgotten");
        stand.shelf.instead = None;
        stand.run_for(5 * SECOND);
        assert!(matches!(stand.shelf.records[&Stand::key_of(id)], Record::Tomb { .. }));
        assert!(!stand.server.owes_store());
    }
}

/// Others would take the owner of such a session for dead: it has no lease.
#[test]
fn nobody_is_let_in_before_the_store_has_heard_of_this_server() {
    for durability in BOTH {
        let mut stand = Stand::new(durability);
        stand.shelf.silent = true;
        let i = stand.client();
        stand.run_for(2 * SECOND);
        assert!(!stand.server.store_is_up());
        assert_eq!((stand.server.counters().hellos, stand.server.sessions()), (0, 0));
        assert!(
            stand.server.counters().refused_busy > 2,
            "it came, and was told to come again soon"
        );
        stand.speak();
        stand.run_for(10 * SECOND);
        assert!(stand.server.store_is_up());
        assert!(stand.clients[i].session.id().is_some(), "let in");
    }
}

/// The store hung once, and has taken the next in time.
#[test]
fn a_sign_of_life_that_comes_to_nothing_after_a_later_one_was_taken_keeps_nobody_out() {
    for late in [StoreReply::Failed, StoreReply::Unavailable] {
        let mut stand = Stand::new(Durability::SwapOut);
        stand.run_for(SECOND);
        stand.shelf.silent_to = Some(is_lease);
        while stand.shelf.waits_for() == 0 {
            stand.run_for(SECOND / 10);
        }
        stand.shelf.silent_to = None;
        let taken = stand.shelf.count(is_lease);
        while stand.shelf.count(is_lease) == taken {
            stand.run_for(SECOND / 10);
        }
        assert!(stand.server.store_is_up());
        stand.speak_as(&late, is_lease);
        assert!(stand.server.store_is_up(), "{late:?}");
        stand.shelf.instead = Some(|op| is_lease(op).then_some(StoreReply::Failed));
        stand.run_for(3 * SECOND);
        assert!(!stand.server.store_is_up(), "the last one counts");
    }
}

fn is_lease(op: &StoreOp) -> bool {
    matches!(op, StoreOp::Lease { .. })
}

/// Its application has not said yet whether it is let in: nothing is lost if it goes elsewhere, and a server that leaves need not wait for the word.
#[test]
fn who_waits_to_be_let_in_holds_up_nobody_who_leaves() {
    for durability in BOTH {
        let mut stand = Stand::with(durability, false);
        let i = stand.client();
        stand.run_for(SECOND);
        let asked = |stand: &Stand| {
            let asks = |told: &&(_, Event)| matches!(told.1, Event::Authorise { .. });
            let all: alloc::vec::Vec<_> = stand.told.iter().filter(asks).map(|(id, _)| *id).collect();
            all
        };
        let [first] = asked(&stand)[..] else {
            panic!("it has asked once")
        };
        stand.server.retire();
        stand.run_for(SECOND);
        assert_eq!(stand.server.sessions(), 0);
        assert_eq!(stand.server.counters().swapped_out, 0, "there was nothing to swap out");
        assert!(
            stand.told.contains(&(first, Event::SwappedOut)),
            "its application hears of it"
        );
        // Here or elsewhere, it starts over.
        stand.server.stay();
        stand.run_for(20 * SECOND);
        let [_, second] = asked(&stand)[..] else {
            panic!("it asks again")
        };
        assert_ne!(first, second);
        let message = "welcome".into();
        stand
            .server
            .session(second)
            .expect("it is here")
            .authorise(Verdict::Accept { message });
        stand.run_for(SECOND);
        assert_eq!(stand.clients[i].session.id(), Some(second));
    }
}

/// What is too large is not stored and loses nothing: the application is asked again, and what it gives then is.
#[test]
fn a_state_over_the_limit_is_refused_with_its_size_and_asked_for_again() {
    let mut stand = Stand::new(Durability::Durable);
    let (_, id) = stand.session();
    let before = stand.shelf.count(is_commit);
    assert_eq!(stand.server.save(id, None), Err(SaveError::Unwanted), "nobody asked");
    stand.server.session(id).expect("it is here").commit();
    assert_eq!(stand.server.poll_snapshot(), Some(id));
    let nobody = SessionId([0xee; 16]);
    assert_eq!(stand.server.save(nobody, None), Err(SaveError::Unwanted), "not here");
    let limit = Limits::default().snapshot as usize;
    let refused = stand.server.save(id, Some(&vec![0; limit]));
    let Err(SaveError::TooLarge { size, max }) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        max == limit && (limit + 1..limit + 1000).contains(&size),
        "{size} over {max}"
    );
    assert_eq!(stand.server.poll_snapshot(), None, "not at once");
    assert_eq!(stand.shelf.count(is_commit), before);
    stand.run_for(5 * SECOND);
    assert!(stand.shelf.count(is_commit) > before, "asked again, and stored");
    assert!(stand.server.session(id).is_some());
}

/// Until it is committed the client is not told that it was delivered: whoever fetches without a hold on the session must not make it wait.
#[test]
fn what_is_fetched_is_committed_at_once_however_it_is_fetched() {
    for in_a_batch in [false, true] {
        let mut stand = Stand::new(Durability::Durable);
        let (i, id) = stand.session();
        stand.clients[i]
            .session
            .send("commit this".into())
            .expect("there is room");
        stand.exchange();
        let before = stand.shelf.count(is_commit);
        if in_a_batch {
            assert!(stand.server.recv_batch(id, &mut Batch::new()));
        } else {
            stand.server.recv(id, |_| ()).expect("it has come");
        }
        stand.exchange();
        assert_eq!(stand.shelf.count(is_commit), before + 1, "in a batch: {in_a_batch}");
        stand.run_for(SECOND);
        assert_eq!(stand.clients[i].session.acked().0, 1, "in a batch: {in_a_batch}");
    }
}

/// The application ends a session just when nothing is known of its last commit. What the store has is not the end, and whoever came for it would go on with it.
#[test]
fn an_end_behind_a_commit_of_which_nothing_is_known_is_written() {
    for done in [false, true] {
        for unread in [false, true] {
            let mut stand = Stand::new(Durability::Durable);
            let (i, id) = stand.session();
            let lost: fn(&StoreOp) -> Option<StoreReply> = |op| is_commit(op).then_some(StoreReply::Failed);
            let nothing_known: fn(&StoreOp) -> Option<StoreReply> = |op| match op {
                StoreOp::Peek { .. } => Some(StoreReply::Failed),
                op => is_commit(op).then_some(StoreReply::Failed),
            };
            // Whether it was done or not, nobody hears of it, and looking shows nothing yet.
            if done {
                stand.shelf.afterwards = Some(nothing_known);
            } else {
                stand.shelf.instead = Some(lost);
                stand.shelf.afterwards = Some(nothing_known);
            }
            stand.server.session(id).expect("it is here").commit();
            if unread {
                stand.clients[i]
                    .session
                    .send("not read yet".into())
                    .expect("there is room");
            }
            stand.run_for(SECOND);
            stand.server.session(id).expect("it is here").kick(7);
            stand.run_for(SECOND);
            // Now it shows.
            stand.shelf.afterwards = None;
            let commits = stand.shelf.count(is_commit);
            stand.run_for(10 * SECOND);
            let what = format!("done: {done}, unread: {unread}");
            assert!(
                matches!(stand.shelf.records[&Stand::key_of(id)], Record::Tomb { .. }),
                "{what}"
            );
            assert!(!stand.server.owes_store(), "{what}");
            assert_eq!(
                stand.shelf.count(is_commit),
                commits,
                "{what}: nothing is written of what is over"
            );
        }
    }
}

/// A server that says each third of an hour that its sessions are still there must not say it of one that has just ended.
#[test]
fn what_is_over_is_not_written_anew_though_the_store_has_lost_it() {
    let mut stand = Stand::new(Durability::SwapOut);
    let (i, id) = stand.session();
    let client = &mut stand.clients[i].session;
    client.send("not read yet".into()).expect("there is room");
    stand.exchange();
    let key = Stand::key_of(id);
    let written = stand.shelf.count(is_commit);
    stand.shelf.records.remove(&key);
    stand.skip(20 * 60 * SECOND);
    assert!(stand.shelf.count(is_commit) > written, "it was to be said again");
    stand.server.session(id).expect("it is here").kick(7);
    let written = stand.shelf.count(is_commit);
    stand.run_for(5 * SECOND);
    assert!(stand.server.session(id).is_some(), "not read yet");
    assert_eq!(stand.shelf.count(is_commit), written);
    assert!(!stand.shelf.records.contains_key(&key));
}
