//! Sessions that end while they are on their way out: whatever the store says of the swap-out, and however late, the end is what counts.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

use super::requests::is_live;
use super::stand::Stand;
use crate::config::Durability;
use crate::endpoint::{mail_note, notes};
use crate::error::CloseReason;
use crate::event::{Event, LinkId, NetworkEvent, NetworkId, SessionId};
use crate::session::Verdict;
use crate::store::{Owner, Record, StoreOp, StoreReply};

const SECOND: Duration = Duration::from_secs(1);
const BOTH: [Durability; 2] = [Durability::SwapOut, Durability::Durable];

pub(super) fn is_park(op: &StoreOp) -> bool {
    matches!(
        op,
        StoreOp::Put {
            record: Record::Parked { .. },
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
pub(super) fn leaving(durability: Durability, away: bool) -> (Stand, usize, SessionId) {
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

pub(super) fn goes_away(stand: &mut Stand, i: usize) {
    stand.clients[i].away = true;
    let newest = stand.clients[i].newest;
    stand.cut(i, newest);
}

/// Its life without a link goes on where it is kept: swapping it out gives it nothing.
#[test]
fn a_session_whose_client_is_away_is_kept_for_what_is_left_of_its_life() {
    for durability in BOTH {
        let mut stand = Stand::new(durability);
        let (i, _) = stand.session();
        // Until it has no timer left but its end: nothing else tells it the time.
        stand.run_for(SECOND * 10);
        goes_away(&mut stand, i);
        stand.skip(SECOND * 20);
        stand.server.retire();
        stand.exchange();
        let lives = stand.shelf.asked.iter().filter_map(|op| match op {
            StoreOp::Put { life, .. } if is_park(op) => Some(*life),
            _ => None,
        });
        assert_eq!(lives.collect::<Vec<_>>(), [SECOND * 40], "{durability:?}");
    }
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
pub(super) fn comes_elsewhere(stand: &mut Stand, i: usize) {
    stand.shelf.dead.push(stand.server.owner());
    stand.replace_server();
    stand.clients[i].away = false;
    stand.run_for(10 * SECOND);
}

/// Swap-outs under way are counted, and too many hold up the others: whatever comes of one, it gives its place back.
pub(super) fn places_taken(stand: &Stand) -> usize {
    stand.server.cluster.as_ref().expect("it has a store").parking
}

pub(super) fn is_buried(stand: &Stand, id: SessionId) -> bool {
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

/// A newer connection of its client has not been proved when it is to leave, so a handover has begun; then it is closed, and the store answers before the goodbye has got through.
#[test]
fn a_handover_that_a_swap_out_cuts_short_is_over_before_the_end_is_told() {
    for durability in BOTH {
        for fate in FATES {
            let what = format!("{durability:?} {fate:?}");
            let mut stand = Stand::new(durability);
            let (i, id) = stand.session();
            let old = stand.clients[i].newest;
            stand.clients[i].deaf = vec![old, LinkId(old.0 + 1)];
            let now = stand.now;
            let changed = NetworkEvent::Changed(NetworkId(1));
            stand.clients[i].session.handle_network(changed, now);
            stand.exchange();
            assert!(
                matches!(stand.told.last(), Some((_, Event::HandoverBegin { .. }))),
                "{what}"
            );
            stand.shelf.silent = true;
            stand.server.session(id).expect("it is here").swap_out();
            stand.exchange();
            let begun = stand.told.len();
            stand.server.session(id).expect("it is here").close(7);
            stand.exchange();
            answers(&mut stand, fate);
            stand.run_for(5 * SECOND);
            let told: Vec<_> = stand.told[begun..].iter().map(|(_, event)| event).collect();
            let ends = |event: &&&Event| matches!(event, Event::HandoverEnd(_) | Event::HandoverFailed { .. });
            assert_eq!(told.iter().filter(ends).count(), 1, "{what}: {told:?}");
            let closed = Event::Closed(CloseReason::Local { code: 7 });
            assert_eq!(told.last(), Some(&&closed), "{what}: {told:?}");
            if matches!(fate, Fate::Done | Fate::DoneUnheard) {
                assert!(matches!(told[0], Event::HandoverFailed { .. }), "{what}: {told:?}");
            }
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

/// Its application wants it, or another server that its client has come to.
#[test]
fn a_session_that_is_to_leave_before_the_store_has_it_leaves_then() {
    const OTHER: Owner = Owner([0xee; 16]);
    for durability in BOTH {
        for asked in [false, true] {
            let mut stand = Stand::with(durability, false);
            stand.run_for(SECOND);
            stand.shelf.silent_to = Some(is_live);
            stand.client();
            stand.run_for(SECOND);
            let id = stand.told.last().expect("it asks").0;
            let key = Stand::key_of(id);
            let mut session = stand.server.session(id).expect("it is here");
            let message = Bytes::new();
            session.authorise(Verdict::Accept { message });
            if !asked {
                session.swap_out();
            }
            drop(session);
            if asked {
                stand.server.leave(key, Some(OTHER));
            }
            stand.exchange();
            stand.speak();
            assert_eq!(stand.shelf.count(is_park), 1, "{durability:?}, asked: {asked}");
            assert!(stand.told.contains(&(id, Event::SwappedOut)));
            let told = |op: &StoreOp| matches!(op, StoreOp::Send { to: OTHER, note } if *note == notes::handed(&key));
            assert_eq!(stand.shelf.count(told), usize::from(asked));
        }
    }
}

/// It was told that it may not go on, and would learn when it may. When that never comes, nothing is said of it behind the end.
#[test]
fn of_a_session_that_ends_while_it_leaves_the_end_is_the_last_word() {
    for durability in [Durability::SwapOut, Durability::Durable] {
        let mut stand = Stand::new(durability);
        let (i, id) = stand.session();
        let letter = (1, Bytes::from_static(b"a letter"));
        stand.shelf.queues.entry(Stand::key_of(id)).or_default().push(letter);
        stand.notes(StoreReply::Notes(vec![mail_note(Stand::key_of(id))]));
        goes_away(&mut stand, i);
        stand.shelf.silent = true;
        stand.server.session(id).expect("it is here").swap_out();
        stand.exchange();
        let mut session = stand.server.session(id).expect("it is here");
        assert_eq!(
            (session.has_room(), session.recv_mail()),
            (false, None),
            "it may not go on"
        );
        session.kick(7);
        drop(session);
        stand.run_for(SECOND);
        let (_, last) = stand.told.iter().rev().find(|(of, _)| *of == id).expect("it was told");
        assert_eq!(*last, Event::Closed(CloseReason::Kicked { code: 7 }), "{durability:?}");
    }
}
