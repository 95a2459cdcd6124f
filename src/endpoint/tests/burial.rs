//! Sessions that end while nothing is known of their swap-out: the end comes to stand wherever the session is by then.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

use super::leaving::{comes_elsewhere, goes_away, is_buried, is_park, leaving, places_taken};
use super::requests::{is_burial, is_live};
use super::stand::Stand;
use crate::config::{Durability, ServerConfig};
use crate::endpoint::notes;
use crate::error::CloseReason;
use crate::event::SessionId;
use crate::store::{Expect, Owner, Record, StoreOp, StoreReply};

const SECOND: Duration = Duration::from_secs(1);
const BOTH: [Durability; 2] = [Durability::SwapOut, Durability::Durable];
const KICKED: CloseReason = CloseReason::Kicked { code: 7 };

/// Of what becomes of a session nothing can be learnt for a while: what is written may be done or not, and looking shows nothing.
fn nothing_is_known(stand: &mut Stand, done: bool) {
    let silence: fn(&StoreOp) -> Option<StoreReply> =
        |op| matches!(op, StoreOp::Put { .. } | StoreOp::Peek { .. }).then_some(StoreReply::Failed);
    if done {
        stand.shelf.afterwards = Some(silence);
    } else {
        stand.shelf.instead = Some(silence);
    }
}

fn all_is_known_again(stand: &mut Stand) {
    (stand.shelf.instead, stand.shelf.afterwards) = (None, None);
}

/// The store has the end, all accounts are closed, and the client learns it at whatever process.
fn ends_well(mut stand: Stand, i: usize, id: SessionId, end: CloseReason, what: &str) {
    assert!(is_buried(&stand, id), "{what}");
    assert_eq!(places_taken(&stand), 0, "{what}");
    assert!(!stand.server.owes_store(), "{what}");
    comes_elsewhere(&mut stand, i);
    assert_eq!(stand.clients[i].closed(), Some(end), "{what}");
    assert_eq!(stand.server.counters().takeovers, 0, "{what}");
}

/// The end comes while the process asks again and again what became of the swap-out. Nobody is left to ask when the session is forgotten, and yet the record must not stay as it is.
#[test]
fn who_is_put_out_while_nothing_is_known_of_his_swap_out_learns_it_wherever_he_comes() {
    for durability in BOTH {
        for away in [true, false] {
            for done in [true, false] {
                let what = format!("{durability:?}, away: {away}, done: {done}");
                let (mut stand, i, id) = leaving(durability, away);
                nothing_is_known(&mut stand, done);
                stand.speak();
                stand.run_for(SECOND);
                assert_eq!(places_taken(&stand), 1, "it is still not known: {what}");
                goes_away(&mut stand, i);
                stand.server.session(id).expect("it is here").kick(7);
                stand.run_for(10 * SECOND);
                assert!(stand.server.session(id).is_none(), "forgotten: {what}");
                assert!(stand.server.owes_store(), "but not its end: {what}");
                all_is_known_again(&mut stand);
                stand.run_for(10 * SECOND);
                ends_well(stand, i, id, KICKED, &what);
            }
        }
    }
}

/// As any that has ended it stays until that is read. The questions that are still under way concern it no more: it has not been taken by anybody.
#[test]
fn what_a_client_sent_before_it_left_can_be_read_though_nothing_is_known_of_the_swap_out() {
    for durability in BOTH {
        for done in [true, false] {
            let what = format!("{durability:?}, done: {done}");
            let (mut stand, i, id) = leaving(durability, false);
            nothing_is_known(&mut stand, done);
            stand.speak();
            stand.run_for(SECOND);
            says_goodbye(&mut stand, i);
            assert_eq!(places_taken(&stand), 0, "{what}");
            all_is_known_again(&mut stand);
            stand.run_for(10 * SECOND);
            assert_eq!(stand.server.counters().fenced, 0, "{what}");
            let mut session = stand.server.session(id).expect("it is not read yet");
            let words = session.recv().map(|message| message.payload.to_vec());
            assert_eq!(words.as_deref(), Some(&b"my last words"[..]), "{what}");
            drop(session);
            assert!(stand.server.session(id).is_none(), "read and forgotten: {what}");
            assert!(is_buried(&stand, id), "{what}");
        }
    }
}

fn says_goodbye(stand: &mut Stand, i: usize) {
    let session = &mut stand.clients[i].session;
    session.send("my last words".into()).expect("there is room");
    session.disconnect(3);
    stand.exchange();
}

/// One has ended and one has not. What the store says of the first one's swap-out does not give back the other's place.
#[test]
fn who_has_ended_gives_back_his_place_among_those_who_leave_once() {
    for durability in BOTH {
        let mut stand = Stand::new(durability);
        let (i, ended) = stand.session();
        let (_, other) = stand.session();
        stand.shelf.silent = true;
        for id in [ended, other] {
            stand.server.session(id).expect("it is here").swap_out();
        }
        stand.exchange();
        assert_eq!(places_taken(&stand), 2);
        says_goodbye(&mut stand, i);
        assert_eq!(places_taken(&stand), 1, "{durability:?}");
        nothing_is_known(&mut stand, false);
        let key = Stand::key_of(ended);
        stand.speak_as(
            &StoreReply::Unavailable,
            |op| matches!(op, StoreOp::Put { key: of, .. } if *of == key),
        );
        assert!(stand.server.session(other).expect("it is here").is_leaving());
        assert_eq!(places_taken(&stand), 1, "{durability:?}");
        all_is_known_again(&mut stand);
        stand.run_for(10 * SECOND);
        assert_eq!(places_taken(&stand), 0, "{durability:?}");
        assert!(is_buried(&stand, ended) && !is_buried(&stand, other), "{durability:?}");
    }
}

/// The doubt is about to be ended by another write; the one before may be carried out all the same, or both never.
#[test]
fn who_is_put_out_while_a_doubt_is_being_ended_learns_it_wherever_he_comes() {
    let is_live = |op: &StoreOp| {
        let StoreOp::Put { record, .. } = op else { return false };
        matches!(record, Record::Live { .. })
    };
    for durability in BOTH {
        for parked_late in [true, false] {
            for reply in [StoreReply::Failed, StoreReply::Unavailable, StoreReply::Conflict] {
                let what = format!("{durability:?}, parked late: {parked_late}, {reply:?}");
                let (mut stand, i, id) = leaving(durability, true);
                let parked = stand.shelf.waiting(is_park);
                stand.speak_as(&StoreReply::Failed, is_park);
                stand.shelf.silent = true;
                stand.run_for(Duration::from_millis(500));
                assert!(matches!(stand.shelf.waiting(is_live), Record::Live { .. }), "{what}");
                stand.server.session(id).expect("it is here").kick(7);
                stand.exchange();
                if parked_late {
                    stand.shelf.records.insert(Stand::key_of(id), parked);
                }
                stand.speak_as(&reply, is_live);
                stand.run_for(10 * SECOND);
                ends_well(stand, i, id, KICKED, &what);
            }
        }
    }
}

/// The store shows the session as it was before, and the end is to be written over that; just then the swap-out is done.
#[test]
fn an_end_is_written_though_the_swap_out_is_carried_out_just_before_it() {
    for durability in BOTH {
        for reply in [StoreReply::Failed, StoreReply::Conflict, StoreReply::Unavailable] {
            let what = format!("{durability:?} {reply:?}");
            let (mut stand, i, id) = leaving(durability, true);
            let parked = stand.shelf.waiting(is_park);
            stand.server.session(id).expect("it is here").kick(7);
            stand.exchange();
            stand.shelf.instead = Some(match reply {
                StoreReply::Failed => |op| is_burial(op).then_some(StoreReply::Failed),
                StoreReply::Conflict => |op| is_burial(op).then_some(StoreReply::Conflict),
                _ => |op| is_burial(op).then_some(StoreReply::Unavailable),
            });
            stand.speak_as(&StoreReply::Failed, is_park);
            assert_eq!(stand.shelf.count(is_burial), 1, "{what}");
            stand.shelf.records.insert(Stand::key_of(id), parked);
            all_is_known_again(&mut stand);
            stand.run_for(10 * SECOND);
            ends_well(stand, i, id, KICKED, &what);
        }
    }
}

/// What the application said goes with the end, though there were writes between the swap-out and the news that it was done.
#[test]
fn a_goodbye_is_said_as_it_was_meant_though_the_swap_out_is_carried_out_late() {
    for durability in BOTH {
        let (mut stand, i, id) = leaving(durability, false);
        let parked = stand.shelf.waiting(is_park);
        stand.clients[i].deaf = vec![stand.clients[i].newest];
        stand.server.session(id).expect("it is here").close(7);
        stand.exchange();
        stand.speak_as(&StoreReply::Failed, is_park);
        assert!(stand.server.session(id).is_some(), "it stands there as before");
        stand.shelf.records.insert(Stand::key_of(id), parked);
        stand.run_for(5 * SECOND);
        let end = CloseReason::Peer {
            code: 7,
            truncated: false,
        };
        ends_well(stand, i, id, end, &format!("{durability:?}"));
    }
}

/// Nobody can come back to it, and the store would not let it be replaced: so nobody has to be waited for.
#[test]
fn a_session_whose_life_is_over_in_the_store_needs_no_other_end() {
    for durability in BOTH {
        let (mut stand, _, id) = leaving(durability, true);
        let parked = stand.shelf.waiting(is_park);
        stand.shelf.expired = true;
        stand.server.session(id).expect("it is here").kick(7);
        stand.exchange();
        stand.shelf.records.insert(Stand::key_of(id), parked);
        stand.speak_as(&StoreReply::Failed, is_park);
        assert_eq!(stand.shelf.count(is_burial), 0, "{durability:?}");
        assert!(!stand.server.owes_store(), "{durability:?}");
    }
}

/// The store had taken the swap-out and said nothing, and the client is back before the store could be told that it was put out.
#[test]
fn who_comes_back_before_his_end_could_be_written_is_put_out_then() {
    for durability in BOTH {
        let (mut stand, i, id) = leaving(durability, true);
        nothing_is_known(&mut stand, true);
        stand.server.session(id).expect("it is here").kick(7);
        stand.speak();
        assert!(stand.server.session(id).is_none(), "forgotten");
        all_is_known_again(&mut stand);
        stand.clients[i].away = false;
        stand.run_for(15 * SECOND);
        assert_eq!(stand.server.counters().takeovers, 1, "{durability:?}");
        assert_eq!(stand.clients[i].closed(), Some(KICKED), "{durability:?}");
        assert!(is_buried(&stand, id), "{durability:?}");
    }
}

/// Where the session is that was put out.
#[derive(Clone, Copy, Debug)]
enum Elsewhere {
    /// Another process has it.
    Alive,
    /// Another process had it, and has parked it in its turn.
    Parked,
}

/// A session that is put out here while nothing is known of its swap-out, or has been heard of it yet; before its end is written, the client takes it to another process.
fn is_put_out_elsewhere(elsewhere: Elsewhere, reply: &StoreReply, in_doubt: bool, closed: bool) {
    let what = format!("{elsewhere:?}, {reply:?}, in doubt: {in_doubt}, closed: {closed}");
    let (mut stand, i, id) = leaving(Durability::SwapOut, true);
    let key = Stand::key_of(id);
    let parked = stand.shelf.waiting(is_park);
    if in_doubt {
        stand.shelf.instead = Some(|op| matches!(op, StoreOp::Peek { .. }).then_some(StoreReply::Failed));
        stand.speak_as(reply, is_park);
        stand.shelf.instead = None;
        stand.shelf.silent = true;
    }
    let mut session = stand.server.session(id).expect("it is here");
    if closed {
        session.close(7);
    } else {
        session.kick(7);
    }
    drop(session);
    stand.exchange();
    stand.shelf.records.insert(key, parked);
    let first = stand.replace_server();
    stand.shelf.silent = false;
    stand.clients[i].away = false;
    stand.run_for(10 * SECOND);
    assert_eq!(
        (stand.server.counters().takeovers, stand.clients[i].closed()),
        (1, None),
        "{what}"
    );
    if matches!(elsewhere, Elsewhere::Parked) {
        goes_away(&mut stand, i);
        stand.server.session(id).expect("it is here").swap_out();
        stand.run_for(SECOND);
        assert!(matches!(stand.shelf.records[&key], Record::Parked { .. }), "{what}");
    }
    let second = core::mem::replace(&mut stand.server, first);
    let owner = second.owner();
    stand.speak_as(reply, is_park);
    let notes: Vec<Bytes> = stand
        .shelf
        .asked
        .iter()
        .filter_map(|op| match op {
            StoreOp::Send { to, note } if *to == owner => Some(note.clone()),
            _ => None,
        })
        .collect();
    stand.server = second;
    match elsewhere {
        Elsewhere::Alive => {
            assert_eq!(notes, [notes::unseat(&key, 7, None)], "{what}");
            stand.server.take_note(&notes[0]);
            stand.exchange();
        }
        Elsewhere::Parked => {
            stand.clients[i].away = false;
            stand.run_for(10 * SECOND);
        }
    }
    assert_eq!(stand.clients[i].closed(), Some(KICKED), "{what}");
    stand.run_for(SECOND);
    assert!(is_buried(&stand, id), "{what}");
}

/// It was put out here for a reason of the application's, or closed; the process that has it now puts it out with that code, and no other.
#[test]
fn who_is_put_out_while_another_process_takes_his_session_is_put_out_there_and_with_the_same_code() {
    for (elsewhere, closed) in [
        (Elsewhere::Alive, false),
        (Elsewhere::Alive, true),
        (Elsewhere::Parked, false),
        (Elsewhere::Parked, true),
    ] {
        is_put_out_elsewhere(elsewhere, &StoreReply::Done, false, closed);
        for reply in [StoreReply::Failed, StoreReply::Conflict] {
            is_put_out_elsewhere(elsewhere, &reply, false, closed);
            is_put_out_elsewhere(elsewhere, &reply, true, closed);
        }
    }
}

/// Others had to take it from this process, which slept. What its application says then is of a life that is over.
#[test]
fn who_was_taken_from_a_process_that_slept_is_not_put_out_by_it() {
    for parked in [false, true] {
        let mut stand = Stand::new(Durability::SwapOut);
        let (i, id) = stand.session();
        goes_away(&mut stand, i);
        let (token, owner, blob) = (50, Owner([0xee; 16]), Bytes::new());
        let record = if parked {
            Record::Parked { token, blob }
        } else {
            Record::Live { token, owner, blob }
        };
        stand.shelf.records.insert(Stand::key_of(id), record.clone());
        stand.server.session(id).expect("it is here").kick(7);
        stand.run_for(5 * SECOND);
        assert_eq!(stand.shelf.records[&Stand::key_of(id)], record);
        assert_eq!(stand.shelf.count(|op| matches!(op, StoreOp::Send { .. })), 0);
        assert!(!stand.server.owes_store(), "parked: {parked}");
    }
}

/// A write of which nothing was heard has been carried out.
#[test]
fn an_end_that_meets_another_token_of_the_same_owner_is_written_at_once() {
    let mut stand = Stand::new(Durability::SwapOut);
    let (i, id) = stand.session();
    goes_away(&mut stand, i);
    let (token, owner, blob) = (50, stand.server.owner(), Bytes::new());
    stand
        .shelf
        .records
        .insert(Stand::key_of(id), Record::Live { token, owner, blob });
    stand.server.session(id).expect("it is here").kick(7);
    stand.exchange();
    assert!(is_buried(&stand, id));
}

/// See `Limits::tombstones`.
#[test]
fn as_many_ends_wait_for_the_store_as_are_remembered() {
    for (tombstones, change) in [
        (
            0,
            (|mut config| {
                config.limits.tombstones = 0;
                config
            }) as fn(ServerConfig) -> ServerConfig,
        ),
        (1, |mut config| {
            config.limits.tombstones = 1;
            config
        }),
    ] {
        let mut stand = Stand::changed(Durability::SwapOut, true, change);
        let ids: Vec<_> = (0..2).map(|_| stand.session().1).collect();
        stand.shelf.instead = Some(|op| is_burial(op).then_some(StoreReply::Failed));
        for id in &ids {
            stand.server.session(*id).expect("it is here").kick(7);
        }
        stand.exchange();
        assert_eq!(stand.server.owes_store(), tombstones > 0);
        all_is_known_again(&mut stand);
        stand.run_for(10 * SECOND);
        let buried = ids.iter().filter(|id| is_buried(&stand, **id)).count();
        assert_eq!(buried, tombstones);
    }
}

/// Its record was to be made, and nothing is known of that. It was not when the end was to be written over it, but it is later.
#[test]
fn a_session_that_ended_before_the_store_had_it_is_not_brought_to_life_by_its_creation() {
    for durability in BOTH {
        for lost in [false, true] {
            let mut stand = Stand::new(durability);
            stand.run_for(SECOND);
            let i = stand.client();
            if lost {
                // It had one, which the store has lost, and it is being made anew.
                stand.run_for(SECOND);
                stand.shelf.records.clear();
            }
            stand.shelf.silent_to = Some(is_made);
            stand.run_for(SECOND);
            let key = *stand.server.sessions.keys().next().expect("it is here");
            let id = stand.server.sessions[&key].id;
            if lost {
                stand.skip(Duration::from_secs(20 * 60));
                stand.run_for(SECOND);
            }
            goes_away(&mut stand, i);
            let late = stand.shelf.waiting(is_made);
            stand.speak_as(&StoreReply::Failed, is_made);
            stand.server.session(id).expect("it is here").kick(7);
            stand.exchange();
            stand.run_for(10 * SECOND);
            stand.shelf.records.entry(key).or_insert(late);
            let what = format!("{durability:?}, lost: {lost}");
            assert!(!stand.server.owes_store(), "{what}");
            comes_elsewhere(&mut stand, i);
            assert_eq!(stand.server.counters().takeovers, 0, "{what}");
            assert!(is_buried(&stand, id), "{what}");
        }
    }
}

fn is_made(op: &StoreOp) -> bool {
    is_live(op)
        && matches!(
            op,
            StoreOp::Put {
                expect: Expect::Absent,
                ..
            }
        )
}
