//! Sessions that are put out while they leave, and the process that has taken them over sleeps just then: it hears nothing, and another writes over its record when its lease is over.

use alloc::format;
use core::time::Duration;

use super::leaving::{is_buried, is_park, leaving};
use super::requests::is_burial;
use super::stand::Stand;
use crate::config::Durability;
use crate::endpoint::{Endpoint, notes};
use crate::error::CloseReason;
use crate::event::{Event, SessionId};
use crate::store::{StoreOp, StoreReply};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const BOTH: [Durability; 2] = [Durability::SwapOut, Durability::Durable];
const KICKED: CloseReason = CloseReason::Kicked { code: 7 };

/// A session that was closed here while it left, and that is another process's by now. That one hears no note.
fn taken_by_a_sleeper(durability: Durability) -> (Stand, usize, SessionId, Endpoint) {
    let (mut stand, i, id) = leaving(durability, true);
    let parked = stand.shelf.waiting(is_park);
    stand.server.session(id).expect("it is here").close(7);
    stand.exchange();
    stand.shelf.records.insert(Stand::key_of(id), parked);
    let first = stand.replace_server();
    stand.shelf.silent = false;
    stand.clients[i].away = false;
    stand.run_for(10 * SECOND);
    assert_eq!(stand.server.counters().takeovers, 1);
    let sleeper = core::mem::replace(&mut stand.server, first);
    stand.speak_as(&StoreReply::Done, is_park);
    (stand, i, id, sleeper)
}

/// As long as it counts as alive it is asked, and then nobody else is left who could do it.
#[test]
fn who_is_put_out_while_a_process_that_sleeps_has_his_session_is_buried_when_that_counts_as_dead() {
    for durability in BOTH {
        let (mut stand, _, id, sleeper) = taken_by_a_sleeper(durability);
        stand.run_for(6 * SECOND);
        assert!(!is_buried(&stand, id), "{durability:?}: it is not robbed");
        assert!(
            stand.server.owes_store(),
            "{durability:?}: who leaves now would forget it"
        );
        stand.shelf.dead.push(sleeper.owner());
        stand.run_for(SECOND);
        assert!(is_buried(&stand, id), "{durability:?}");
        assert!(!stand.server.owes_store(), "{durability:?}");
    }
}

#[test]
fn a_process_that_never_hears_whom_to_put_out_is_not_told_for_ever() {
    let (mut stand, _, id, sleeper) = taken_by_a_sleeper(Durability::SwapOut);
    let words = notes::unseat(&Stand::key_of(id), 7, None);
    let told = |op: &StoreOp| matches!(op, StoreOp::Send { to, note } if *to == sleeper.owner() && *note == words);
    stand.run_for(30 * SECOND);
    let times = stand.shelf.count(told);
    assert!((24..=40).contains(&times), "{times} times");
    stand.run_for(30 * SECOND);
    assert_eq!(stand.shelf.count(told), times);
}

/// It knows of nothing but its record, and writes that anew if there is none: so the end stands as long as that would have.
#[test]
fn an_end_over_the_record_of_a_process_that_counts_as_dead_outlasts_its_sleep() {
    for durability in BOTH {
        let (mut stand, i, id, sleeper) = taken_by_a_sleeper(durability);
        stand.shelf.dead.push(sleeper.owner());
        stand.run_for(SECOND);
        assert!(is_buried(&stand, id), "{durability:?}");
        let lives = stand.shelf.asked.iter().filter_map(|op| match op {
            StoreOp::Put { life, .. } if is_burial(op) => Some(*life),
            _ => None,
        });
        let life = lives.max().expect("it is buried");
        assert!(life >= 60 * MINUTE, "{durability:?}: {life:?}");
        stand.now += 10 * SECOND;
        stand.shelf.dead.clear();
        stand.server = sleeper;
        stand.told.clear();
        if durability == Durability::Durable {
            // Nothing of it leaves before it is found.
            stand.server.session(id).expect("it is here").commit();
        }
        stand.run_for(5 * SECOND);
        let what = format!("{durability:?}: {:?}", stand.told);
        assert!(stand.told.contains(&(id, Event::SwappedOut)), "{what}");
        assert_eq!(stand.clients[i].closed(), Some(KICKED), "{what}");
    }
}
