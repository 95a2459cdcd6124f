//! Messages from servers: each is handed out once and in order, whatever becomes of notes, of answers and of the process.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::RangeInclusive;
use core::time::Duration;

use super::leaving::{comes_elsewhere, goes_away, is_park};
use super::stand::Stand;
use crate::config::{Durability, Timing};
use crate::endpoint::cluster::AGAIN;
use crate::endpoint::mail_note;
use crate::event::{Event, SessionId};
use crate::store::{StoreOp, StoreReply};

const SECOND: Duration = Duration::from_secs(1);
const BOTH: [Durability; 2] = [Durability::SwapOut, Durability::Durable];

fn is_read(op: &StoreOp) -> bool {
    matches!(op, StoreOp::Read { .. })
}

fn is_trim(op: &StoreOp) -> bool {
    matches!(op, StoreOp::Trim { .. })
}

fn is_lease(op: &StoreOp) -> bool {
    matches!(op, StoreOp::Lease { .. })
}

fn message(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// Another server appends these to the session's queue.
fn append(stand: &mut Stand, id: SessionId, numbers: RangeInclusive<u64>) {
    let queue = stand.shelf.queues.entry(Stand::key_of(id)).or_default();
    queue.extend(numbers.map(|number| (number, message(number))));
}

/// ... and says so.
fn note(stand: &mut Stand, id: SessionId) {
    let note = mail_note(Stand::key_of(id));
    stand.notes(StoreReply::Notes(vec![note]));
}

/// The application takes all that it is given.
fn take(stand: &mut Stand, id: SessionId) -> Vec<u64> {
    let mut session = stand.server.session(id).expect("it is here");
    let taken = core::iter::from_fn(|| session.recv_mail())
        .map(|message| u64::from_be_bytes(message[..].try_into().expect("a number")))
        .collect();
    drop(session);
    stand.exchange();
    taken
}

/// How often its application was told.
fn times_told(stand: &Stand, id: SessionId) -> usize {
    stand.told.iter().filter(|told| **told == (id, Event::Mail)).count()
}

/// However often it is said that there are messages: at most 64 of them are held here, and one question is under way.
#[test]
fn all_messages_of_a_queue_are_handed_out_in_order_and_read_piece_by_piece() {
    for durability in BOTH {
        let mut stand = Stand::new(durability);
        let (_, id) = stand.session();
        append(&mut stand, id, 1..=150);
        stand.shelf.silent_to = Some(is_read);
        for _ in 0..5 {
            note(&mut stand, id);
        }
        stand.speak();
        note(&mut stand, id);
        for (number, piece) in [(1, 1..=64), (2, 65..=128), (3, 129..=150)] {
            let (reads, told) = (stand.shelf.count(is_read), times_told(&stand, id));
            assert_eq!((reads, told), (number, number), "{durability:?}");
            assert_eq!(take(&mut stand, id), piece.collect::<Vec<_>>(), "{durability:?}");
        }
        assert!(take(&mut stand, id).is_empty());
        let queue = &stand.shelf.queues[&Stand::key_of(id)];
        assert!(queue.is_empty(), "{durability:?}: what was taken the store may forget");
    }
}

#[test]
fn what_was_taken_before_the_session_moved_is_not_handed_out_again_though_the_store_has_it_still() {
    for durability in BOTH {
        let mut stand = Stand::new(durability);
        let (i, id) = stand.session();
        stand.shelf.instead = Some(|op| is_trim(op).then_some(StoreReply::Failed));
        append(&mut stand, id, 1..=3);
        note(&mut stand, id);
        assert_eq!(take(&mut stand, id), [1, 2, 3]);
        for _ in 0..2 {
            goes_away(&mut stand, i);
            stand.server.session(id).expect("it is here").swap_out();
            stand.run_for(SECOND);
            comes_elsewhere(&mut stand, i);
            assert_eq!(stand.server.counters().takeovers, 1);
            assert!(take(&mut stand, id).is_empty(), "{durability:?}");
        }
        assert_eq!(
            stand.shelf.count(is_trim),
            1,
            "{durability:?}: what is to be forgotten is said once"
        );
        append(&mut stand, id, 4..=4);
        note(&mut stand, id);
        assert_eq!(take(&mut stand, id), [4], "{durability:?}");
    }
}

#[test]
fn a_message_that_the_store_gives_twice_is_handed_out_once() {
    let mut stand = Stand::new(Durability::SwapOut);
    let (_, id) = stand.session();
    stand.shelf.instead =
        Some(|op| is_read(op).then(|| StoreReply::Messages([1, 1, 2, 2, 1].map(|n| (n, message(n))).into())));
    note(&mut stand, id);
    assert_eq!(take(&mut stand, id), [1, 2]);
}

/// However often its application asks meanwhile.
#[test]
fn a_queue_that_could_not_be_read_is_read_again_in_a_moment_and_not_at_once() {
    let mut stand = Stand::new(Durability::SwapOut);
    let (_, id) = stand.session();
    append(&mut stand, id, 1..=1);
    stand.shelf.instead = Some(|op| is_read(op).then_some(StoreReply::Failed));
    note(&mut stand, id);
    for tries in 1..=4 {
        for _ in 0..10 {
            assert!(take(&mut stand, id).is_empty());
        }
        note(&mut stand, id);
        assert_eq!(stand.shelf.count(is_read), tries);
        stand.run_for(AGAIN);
    }
    assert_eq!(times_told(&stand, id), 0);
    stand.shelf.instead = None;
    stand.run_for(AGAIN);
    assert_eq!((times_told(&stand, id), stand.shelf.count(is_read)), (1, 6));
    assert_eq!(take(&mut stand, id), [1]);
}

/// With every sign of life that the store takes, if one before was not taken or notes may have been lost; else nobody is asked in vain.
#[test]
fn a_message_whose_note_was_lost_is_found_as_soon_as_the_store_is_there_again() {
    let lease = Timing::default().lease;
    for (leases_fail, notes_fail) in [(true, false), (false, true), (true, true)] {
        let mut stand = Stand::new(Durability::SwapOut);
        let (_, id) = stand.session();
        stand.run_for(3 * lease);
        assert_eq!(
            (stand.shelf.count(is_read), stand.server.counters().store_failures),
            (0, 0)
        );
        append(&mut stand, id, 1..=1);
        let leases = stand.shelf.count(is_lease);
        if leases_fail {
            stand.shelf.instead = Some(|op| is_lease(op).then_some(StoreReply::Failed));
        }
        if notes_fail {
            stand.notes(StoreReply::Failed);
        }
        stand.run_for(if leases_fail { lease } else { Duration::ZERO });
        assert_eq!(times_told(&stand, id), 0, "not yet");
        let failed = stand.shelf.count(is_lease) - leases + usize::from(notes_fail);
        assert_eq!(stand.server.counters().store_failures, failed as u64);
        stand.shelf.instead = None;
        stand.run_for(lease);
        let what = (leases_fail, notes_fail);
        assert_eq!((times_told(&stand, id), stand.shelf.count(is_read)), (1, 1), "{what:?}");
        assert_eq!(take(&mut stand, id), [1], "{what:?}");
    }
}

/// Nobody can leave a note for an owner whose lease is over: it slept, or its signs of life were held up. None of them failed.
#[test]
fn a_message_that_came_while_the_owner_had_no_lease_is_found_when_it_has_one_again() {
    let lease = Timing::default().lease;
    for slept in [true, false] {
        let mut stand = Stand::new(Durability::SwapOut);
        let (_, id) = stand.session();
        stand.run_for(3 * lease);
        append(&mut stand, id, 1..=1);
        if slept {
            stand.skip(2 * lease);
        } else {
            stand.shelf.silent_to = Some(is_lease);
            stand.run_for(lease + SECOND);
            assert_eq!(times_told(&stand, id), 0);
            stand.speak();
        }
        stand.run_for(3 * lease);
        assert_eq!(stand.server.counters().store_failures, 0);
        assert_eq!(
            (times_told(&stand, id), stand.shelf.count(is_read)),
            (1, 1),
            "slept: {slept}"
        );
        assert_eq!(take(&mut stand, id), [1], "slept: {slept}");
    }
}

/// Whoever is on his way out has no use for it, and then stays.
#[test]
fn a_message_whose_note_was_lost_is_found_though_its_session_was_on_its_way_out_just_then() {
    for durability in BOTH {
        for lost in [true, false] {
            let mut stand = Stand::new(durability);
            let (_, id) = stand.session();
            stand.run_for(10 * SECOND);
            let reads = stand.shelf.count(is_read);
            stand.shelf.silent_to = Some(is_park);
            stand.server.session(id).expect("it is here").swap_out();
            stand.exchange();
            if lost {
                append(&mut stand, id, 1..=1);
                stand.notes(StoreReply::Failed);
                stand.run_for(Timing::default().lease);
            }
            assert_eq!(times_told(&stand, id), 0, "not yet");
            stand.speak_as(&StoreReply::Unavailable, is_park);
            assert!(stand.told.contains(&(id, Event::SwapOutFailed)));
            stand.run_for(SECOND);
            let looked = stand.shelf.count(is_read) - reads;
            let what = format!("{durability:?}, lost: {lost}");
            assert_eq!(
                (times_told(&stand, id), looked),
                (usize::from(lost), usize::from(lost)),
                "{what}"
            );
            assert_eq!(take(&mut stand, id).len(), usize::from(lost), "{what}");
        }
    }
}

#[test]
fn who_could_not_take_a_message_as_his_session_was_to_leave_is_told_again_when_it_stays() {
    for durability in BOTH {
        let mut stand = Stand::new(durability);
        let (_, id) = stand.session();
        append(&mut stand, id, 1..=1);
        note(&mut stand, id);
        assert_eq!(times_told(&stand, id), 1);
        stand.shelf.silent = true;
        stand.server.session(id).expect("it is here").swap_out();
        stand.exchange();
        assert!(take(&mut stand, id).is_empty(), "{durability:?}");
        stand.speak_as(&StoreReply::Unavailable, is_park);
        assert!(stand.told.contains(&(id, Event::SwapOutFailed)));
        assert_eq!(times_told(&stand, id), 2, "{durability:?}");
        assert_eq!(take(&mut stand, id), [1], "{durability:?}");
    }
}

/// With the record it has lost how many messages there were: those that come now are numbered anew.
#[test]
fn messages_that_come_after_the_store_has_lost_the_record_are_handed_out_all_the_same() {
    for durability in BOTH {
        for dies in [false, true] {
            let mut stand = Stand::new(durability);
            let (i, id) = stand.session();
            let key = Stand::key_of(id);
            append(&mut stand, id, 1..=70);
            note(&mut stand, id);
            assert_eq!(take(&mut stand, id).len() + take(&mut stand, id).len(), 70);
            append(&mut stand, id, 71..=72);
            note(&mut stand, id);
            stand.shelf.records.remove(&key);
            stand.shelf.queues.remove(&key);
            stand.skip(Duration::from_secs(20 * 60));
            stand.run_for(SECOND);
            assert!(
                stand.shelf.records.contains_key(&key),
                "{durability:?}: it is written anew"
            );
            // Of what was not taken then the store has nothing.
            let dies = dies && durability == Durability::Durable;
            if dies {
                goes_away(&mut stand, i);
                comes_elsewhere(&mut stand, i);
            }
            append(&mut stand, id, 1..=3);
            note(&mut stand, id);
            let expected: &[u64] = if dies { &[1, 2, 3] } else { &[71, 72, 1, 2, 3] };
            let taken = [take(&mut stand, id), take(&mut stand, id)].concat();
            assert_eq!(taken, expected, "{durability:?}, dies: {dies}");
            let queue = &stand.shelf.queues[&key];
            assert!(queue.is_empty(), "{durability:?}: and then it may forget them");
        }
    }
}
