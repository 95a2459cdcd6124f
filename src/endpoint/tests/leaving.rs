//! Sessions that end while they are on their way out: whatever the store says of the swap-out, and however late, the end is what counts.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

use super::stand::Stand;
use crate::config::Durability;
use crate::endpoint::notes;
use crate::error::CloseReason;
use crate::event::{Event, SessionId};
use crate::store::{Record, StoreOp, StoreReply};

const SECOND: Duration = Duration::from_secs(1);
const BOTH: [Durability; 2] = [Durability::SwapOut, Durability::Durable];

fn is_park(op: &StoreOp) -> bool {
    matches!(
        op,
        StoreOp::Put {
            record: Record::Parked { .. },
            ..
        }
    )
}

fn is_burial(op: &StoreOp) -> bool {
    matches!(
        op,
        StoreOp::Put {
            record: Record::Tomb { .. },
            ..
        }
    )
}

/// What becomes of the write that parks a session, and what is said of it.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Done,
    DoneUnheard,
    NotDoneUnheard,
    Unavailable,
}

const FATES: [Fate; 4] = [Fate::Done, Fate::DoneUnheard, Fate::NotDoneUnheard, Fate::Unavailable];

/// A session that is being swapped out: the store has been told, and has not answered yet. `away`: its client has no link.
fn leaving(durability: Durability, away: bool) -> (Stand, usize, SessionId) {
    let mut stand = Stand::new(durability);
    let (i, id) = stand.session();
    if away {
        goes_away(&mut stand, i);
    }
    stand.shelf.silent = true;
    stand.server.session(id).expect("it is here").swap_out();
    stand.exchange();
    assert!(stand.server.session(id).expect("it is here still").is_leaving());
    (stand, i, id)
}

fn goes_away(stand: &mut Stand, i: usize) {
    stand.clients[i].away = true;
    let newest = stand.clients[i].newest;
    stand.cut(i, newest);
}

/// The store answers.
fn answers(stand: &mut Stand, fate: Fate) {
    stand.shelf.instead = match fate {
        Fate::NotDoneUnheard => Some(|op| is_park(op).then_some(StoreReply::Failed)),
        Fate::Unavailable => Some(|op| is_park(op).then_some(StoreReply::Unavailable)),
        Fate::Done | Fate::DoneUnheard => None,
    };
    if matches!(fate, Fate::DoneUnheard) {
        stand.shelf.afterwards = Some(|op| is_park(op).then_some(StoreReply::Failed));
    }
    stand.speak();
    stand.run_for(SECOND);
    (stand.shelf.instead, stand.shelf.afterwards) = (None, None);
}

/// The process is over, and the client comes to another.
fn comes_elsewhere(stand: &mut Stand, i: usize) {
    stand.shelf.dead.push(stand.server.owner());
    stand.replace_server();
    stand.clients[i].away = false;
    stand.run_for(10 * SECOND);
}

/// Swap-outs under way are counted, and too many hold up the others: whatever comes of one, it gives its place back.
fn places_taken(stand: &Stand) -> usize {
    stand.server.cluster.as_ref().expect("it has a store").parking
}

fn is_buried(stand: &Stand, id: SessionId) -> bool {
    matches!(stand.shelf.records[&Stand::key_of(id)], Record::Tomb { .. })
}

#[test]
fn who_is_put_out_while_his_session_leaves_learns_it_wherever_he_comes() {
    for durability in BOTH {
        for fate in FATES {
            let (mut stand, i, id) = leaving(durability, true);
            stand.server.session(id).expect("it is here").kick(7);
            stand.exchange();
            answers(&mut stand, fate);
            assert!(is_buried(&stand, id), "{durability:?} {fate:?}");
            assert_eq!(places_taken(&stand), 0, "{durability:?} {fate:?}");
            assert!(!stand.server.owes_store());
            comes_elsewhere(&mut stand, i);
            let kicked = CloseReason::Kicked { code: 7 };
            assert_eq!(stand.clients[i].closed(), Some(kicked), "{durability:?} {fate:?}");
            let ends = stand.told.iter().filter(|(_, event)| matches!(event, Event::Closed(_)));
            assert_eq!(ends.count(), 1, "told once: {durability:?} {fate:?}");
            assert_eq!(stand.server.counters().takeovers, 0, "nobody takes it up again");
        }
    }
}

/// The goodbye has not got through yet when the store answers.
#[test]
fn a_goodbye_that_a_swap_out_cuts_short_is_said_all_the_same() {
    for durability in BOTH {
        for fate in FATES {
            let (mut stand, i, id) = leaving(durability, false);
            stand.clients[i].deaf = vec![stand.clients[i].newest];
            stand.server.session(id).expect("it is here").close(7);
            stand.exchange();
            answers(&mut stand, fate);
            stand.run_for(5 * SECOND);
            assert!(is_buried(&stand, id), "{durability:?} {fate:?}");
            assert_eq!(places_taken(&stand), 0, "{durability:?} {fate:?}");
            assert!(
                stand
                    .told
                    .contains(&(id, Event::Closed(CloseReason::Local { code: 7 }))),
                "{durability:?} {fate:?}"
            );
            comes_elsewhere(&mut stand, i);
            let closed = CloseReason::Peer {
                code: 7,
                truncated: false,
            };
            assert_eq!(stand.clients[i].closed(), Some(closed), "{durability:?} {fate:?}");
        }
    }
}

/// "Nothing is missing" was said of it.
#[test]
fn what_a_client_sent_before_it_left_can_be_read_though_its_session_was_on_its_way_out() {
    for durability in BOTH {
        for fate in FATES {
            let (mut stand, i, id) = leaving(durability, false);
            let session = &mut stand.clients[i].session;
            session.send("my last words".into()).expect("there is room");
            session.disconnect(3);
            stand.exchange();
            let end = CloseReason::Peer {
                code: 3,
                truncated: false,
            };
            assert!(stand.told.contains(&(id, Event::Closed(end))));
            answers(&mut stand, fate);
            assert!(is_buried(&stand, id), "{durability:?} {fate:?}");
            assert_eq!(places_taken(&stand), 0, "{durability:?} {fate:?}");
            let mut session = stand.server.session(id).expect("it is not read yet");
            let words = session.recv().map(|message| message.payload.to_vec());
            assert_eq!(words.as_deref(), Some(&b"my last words"[..]), "{durability:?} {fate:?}");
            assert!(session.recv().is_none());
            drop(session);
            assert!(stand.server.session(id).is_none(), "read and forgotten");
            assert!(
                !stand.told.contains(&(id, Event::SwappedOut)),
                "it has ended, and that is all"
            );
            stand.server.retire();
            assert_eq!(stand.server.sessions(), 0);
            assert!(!stand.server.owes_store());
        }
    }
}

/// The store is down for a while just when the end is to be written over the parked record: who takes that up would bring the session back to life.
#[test]
fn an_end_that_the_store_does_not_take_at_once_is_not_forgotten() {
    for durability in BOTH {
        for away in [true, false] {
            for fate in FATES {
                for refused in [StoreReply::Failed, StoreReply::Unavailable] {
                    let (mut stand, _, id) = leaving(durability, away);
                    stand.server.session(id).expect("it is here").kick(7);
                    stand.exchange();
                    let parked = stand.shelf.waiting(is_park);
                    let down: fn(&StoreOp) -> Option<StoreReply> = match refused {
                        StoreReply::Failed => |op| (!is_park(op)).then_some(StoreReply::Failed),
                        _ => |op| (!is_park(op)).then_some(StoreReply::Unavailable),
                    };
                    let key = Stand::key_of(id);
                    let what = format!("{durability:?}, away: {away}, {fate:?}, {refused:?}");
                    let reply = match fate {
                        Fate::Done => {
                            stand.shelf.records.insert(key, parked);
                            StoreReply::Done
                        }
                        Fate::DoneUnheard => {
                            stand.shelf.records.insert(key, parked);
                            StoreReply::Failed
                        }
                        Fate::NotDoneUnheard => StoreReply::Failed,
                        Fate::Unavailable => StoreReply::Unavailable,
                    };
                    stand.shelf.instead = Some(down);
                    stand.speak_as(&reply, is_park);
                    stand.run_for(3 * SECOND);
                    assert!(!is_buried(&stand, id), "{what}");
                    assert!(stand.server.owes_store(), "{what}");
                    stand.shelf.instead = None;
                    stand.run_for(10 * SECOND);
                    assert!(is_buried(&stand, id), "{what}");
                    assert_eq!(places_taken(&stand), 0, "{what}");
                    assert!(!stand.server.owes_store(), "{what}");
                }
            }
        }
    }
}

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

const KICKED: CloseReason = CloseReason::Kicked { code: 7 };

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
fn is_put_out_elsewhere(elsewhere: Elsewhere, reply: &StoreReply, in_doubt: bool) {
    let what = format!("{elsewhere:?}, {reply:?}, in doubt: {in_doubt}");
    let (mut stand, i, id) = leaving(Durability::SwapOut, true);
    let key = Stand::key_of(id);
    let parked = stand.shelf.waiting(is_park);
    if in_doubt {
        stand.shelf.instead = Some(|op| matches!(op, StoreOp::Peek { .. }).then_some(StoreReply::Failed));
        stand.speak_as(reply, is_park);
        stand.shelf.instead = None;
        stand.shelf.silent = true;
    }
    stand.server.session(id).expect("it is here").kick(7);
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
            assert_eq!(notes, [notes::unseat(&key, 7)], "{what}");
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

/// It was put out here for a reason of the application's; the process that has it now must give that reason, and no other.
#[test]
fn who_is_put_out_while_another_process_takes_his_session_is_put_out_there_and_for_the_same_reason() {
    for elsewhere in [Elsewhere::Alive, Elsewhere::Parked] {
        is_put_out_elsewhere(elsewhere, &StoreReply::Done, false);
        for reply in [StoreReply::Failed, StoreReply::Conflict] {
            is_put_out_elsewhere(elsewhere, &reply, false);
            is_put_out_elsewhere(elsewhere, &reply, true);
        }
    }
}
