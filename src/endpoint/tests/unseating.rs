//! A user's former session is put out wherever it is: parked, with a process that is dead, or with one that does not hear.

use alloc::format;
use core::time::Duration;

use super::requests::{is_burial, is_peek};
use super::stand::{Stand, name};
use crate::config::Durability;
use crate::endpoint::{USER_MOVED, notes};
use crate::error::CloseReason;
use crate::event::SessionId;
use crate::store::{Owner, Record, StoreOp, StoreReply};

const SECOND: Duration = Duration::from_secs(1);
const BOTH: [Durability; 2] = [Durability::SwapOut, Durability::Durable];
const MOVED: CloseReason = CloseReason::Kicked { code: USER_MOVED };

/// Two clients, and the former session of their user. The client of that is away.
struct Pair {
    stand: Stand,
    former: SessionId,
    newer: SessionId,
}

const FORMER: usize = 0;
const NEWER: usize = 1;

impl Pair {
    /// The former session is parked.
    fn parked(durability: Durability) -> Pair {
        let (mut stand, former) = first(durability);
        stand.server.session(former).expect("it is here").swap_out();
        stand.run_for(SECOND);
        assert!(matches!(
            stand.shelf.records[&Stand::key_of(former)],
            Record::Parked { .. }
        ));
        let (_, newer) = stand.session();
        Pair { stand, former, newer }
    }

    /// The former session is at another process, which hears nothing any more. Its lease lasts.
    fn elsewhere(durability: Durability) -> (Pair, Owner) {
        let (mut stand, former) = first(durability);
        let owner = stand.replace_server().owner();
        let (_, newer) = stand.session();
        (Pair { stand, former, newer }, owner)
    }

    /// The user is bound to the newer session.
    fn bind(&mut self) {
        bind(&mut self.stand, self.newer);
    }

    fn is_buried(&self) -> bool {
        matches!(
            self.stand.shelf.records.get(&Stand::key_of(self.former)),
            Some(Record::Tomb { .. })
        )
    }

    /// The former client comes back, and learns why it cannot; the newer one has noticed nothing.
    fn ends_well(self, what: &str) {
        self.ends_with(MOVED, what);
    }

    fn ends_with(mut self, reason: CloseReason, what: &str) {
        assert!(self.is_buried(), "{what}");
        self.stand.clients[FORMER].away = false;
        self.stand.run_for(10 * SECOND);
        assert_eq!(self.stand.clients[FORMER].closed(), Some(reason), "{what}");
        assert_eq!(self.stand.clients[NEWER].closed(), None, "{what}");
        let server = &self.stand.server;
        assert_eq!((server.sessions(), server.counters().takeovers), (1, 0), "{what}");
        assert!(!server.owes_store(), "{what}");
    }

    fn looks(&self) -> usize {
        self.stand.shelf.count(is_peek)
    }
}

/// A session that is bound to the user, and whose client is away.
fn first(durability: Durability) -> (Stand, SessionId) {
    let mut stand = Stand::new(durability);
    let (i, id) = stand.session();
    assert_eq!(i, FORMER);
    bind(&mut stand, id);
    stand.clients[i].away = true;
    let newest = stand.clients[i].newest;
    stand.cut(i, newest);
    (stand, id)
}

fn bind(stand: &mut Stand, id: SessionId) {
    let mut session = stand.server.session(id).expect("it is here");
    session.bind_user(b"anna").expect("there is a store");
    drop(session);
    stand.exchange();
}

#[test]
fn a_former_session_that_is_parked_is_buried_and_its_client_learns_why() {
    for durability in BOTH {
        let mut pair = Pair::parked(durability);
        pair.bind();
        pair.ends_well(&format!("{durability:?}"));
    }
}

/// Else a user would have two sessions as soon as his former device comes back.
#[test]
fn a_former_session_whose_process_is_dead_is_put_out_and_nobody_takes_it_up() {
    for durability in BOTH {
        let (mut pair, owner) = Pair::elsewhere(durability);
        pair.stand.shelf.dead.push(owner);
        pair.bind();
        pair.ends_well(&format!("{durability:?}"));
    }
}

/// Who is alive is told, again and again, and not robbed; he is out as soon as his process counts as dead.
#[test]
fn a_former_session_whose_process_does_not_hear_is_put_out_when_its_lease_is_over() {
    for durability in BOTH {
        let (mut pair, owner) = Pair::elsewhere(durability);
        pair.bind();
        pair.stand.run_for(SECOND);
        let anna = pair.stand.server.digest(b"anna");
        let words = notes::unseat(&Stand::key_of(pair.former), USER_MOVED, Some(&anna));
        let told = |op: &StoreOp| matches!(op, StoreOp::Send { to, note } if *to == owner && *note == words);
        let times = pair.stand.shelf.count(told);
        assert!((2..=5).contains(&times), "{durability:?}: {times} times in a second");
        assert!(!pair.is_buried(), "{durability:?}");
        pair.stand.shelf.dead.push(owner);
        pair.stand.run_for(SECOND);
        pair.ends_well(&format!("{durability:?}"));
    }
}

#[test]
fn a_former_process_that_never_hears_is_not_told_for_ever() {
    let (mut pair, owner) = Pair::elsewhere(Durability::SwapOut);
    pair.bind();
    pair.stand.run_for(30 * SECOND);
    let told = |op: &StoreOp| matches!(op, StoreOp::Send { to, .. } if *to == owner);
    let times = pair.stand.shelf.count(told);
    assert!((4..=20).contains(&times), "{times} times");
    pair.stand.run_for(30 * SECOND);
    assert_eq!(pair.stand.shelf.count(told), times);
}

/// However long it is silent: else the user would have two sessions from then on.
#[test]
fn a_store_that_does_not_say_where_the_former_session_is_is_asked_again() {
    for durability in BOTH {
        for silence in [StoreReply::Failed, StoreReply::Unavailable] {
            let mut pair = Pair::parked(durability);
            let looked = pair.looks();
            pair.stand.shelf.instead = Some(match silence {
                StoreReply::Failed => |op| is_peek(op).then_some(StoreReply::Failed),
                _ => |op| is_peek(op).then_some(StoreReply::Unavailable),
            });
            pair.bind();
            pair.stand.run_for(20 * SECOND);
            let asked = pair.looks() - looked;
            assert!((20..=100).contains(&asked), "{asked} times in 20 seconds");
            assert!(pair.stand.server.owes_store(), "who leaves now would forget it");
            pair.stand.shelf.instead = None;
            pair.stand.run_for(SECOND);
            pair.ends_well(&format!("{durability:?} {silence:?}"));
        }
    }
}

/// Between the look and the write it was claimed, or the write was lost.
#[test]
fn a_former_session_that_is_not_buried_at_the_first_try_is_looked_for_again() {
    for refused in [StoreReply::Conflict, StoreReply::Failed, StoreReply::Unavailable] {
        let mut pair = Pair::parked(Durability::SwapOut);
        pair.stand.shelf.instead = Some(match refused {
            StoreReply::Conflict => |op| is_burial(op).then_some(StoreReply::Conflict),
            StoreReply::Failed => |op| is_burial(op).then_some(StoreReply::Failed),
            _ => |op| is_burial(op).then_some(StoreReply::Unavailable),
        });
        pair.bind();
        // A write that was not done, or may not have been, is tried as long as it takes.
        pair.stand.run_for(if refused == StoreReply::Conflict {
            SECOND
        } else {
            20 * SECOND
        });
        assert!(!pair.is_buried());
        pair.stand.shelf.instead = None;
        pair.stand.run_for(SECOND);
        pair.ends_well("in the end");
    }
}

#[test]
fn of_a_former_session_that_the_store_has_forgotten_nothing_is_written() {
    let mut pair = Pair::parked(Durability::SwapOut);
    pair.stand.shelf.records.remove(&Stand::key_of(pair.former));
    let looked = pair.looks();
    pair.bind();
    pair.stand.run_for(5 * SECOND);
    assert_eq!((pair.looks(), pair.stand.shelf.count(is_burial)), (looked + 1, 0));
}

/// Its process died just before, and counts as alive for longer than it is told.
#[test]
fn a_former_session_that_outlasts_all_tries_is_put_out_by_whoever_takes_it_over() {
    let (mut pair, owner) = Pair::elsewhere(Durability::Durable);
    pair.bind();
    pair.stand.run_for(30 * SECOND);
    assert!(!pair.is_buried());
    pair.stand.shelf.dead.push(owner);
    pair.stand.clients[FORMER].away = false;
    pair.stand.run_for(10 * SECOND);
    assert_eq!(pair.stand.clients[FORMER].closed(), Some(MOVED));
    assert_eq!(pair.stand.clients[NEWER].closed(), None);
    assert_eq!(pair.stand.server.counters().takeovers, 1);
    assert!(pair.is_buried());
}

#[test]
fn a_former_session_whose_end_stands_in_the_store_is_not_looked_for_again() {
    let mut pair = Pair::parked(Durability::SwapOut);
    let looked = pair.looks();
    pair.bind();
    assert!(pair.is_buried());
    pair.stand.run_for(5 * SECOND);
    assert_eq!(pair.looks(), looked + 1);
}

/// This process has slept, and another has taken the former session over: what is here is a copy.
#[test]
fn a_former_session_is_put_out_where_it_is_though_a_copy_is_here() {
    for away in [false, true] {
        let mut stand = Stand::new(Durability::Durable);
        let (i, former) = stand.session();
        let (other, newer) = stand.session();
        stand.clients[other].away = true;
        bind(&mut stand, former);
        let sleeper = stand.replace_server();
        stand.shelf.dead.push(sleeper.owner());
        let newest = stand.clients[i].newest;
        stand.cut(i, newest);
        stand.run_for(10 * SECOND);
        assert_eq!(stand.server.counters().takeovers, 1);
        stand.clients[i].away = true;
        stand.shelf.dead.clear();
        let owner = stand.server.owner();
        stand.server = sleeper;
        if away {
            stand.server.handle_link_down(name(i, newest), stand.now);
        }
        bind(&mut stand, newer);
        stand.run_for(SECOND);
        let anna = stand.server.digest(b"anna");
        let words = notes::unseat(&Stand::key_of(former), USER_MOVED, Some(&anna));
        let told = |op: &StoreOp| matches!(op, StoreOp::Send { to, note } if *to == owner && *note == words);
        assert!(stand.shelf.count(told) > 0, "away: {away}");
        stand.shelf.dead.push(owner);
        stand.run_for(SECOND);
        let record = &stand.shelf.records[&Stand::key_of(former)];
        assert!(matches!(record, Record::Tomb { .. }), "away: {away}");
    }
}

#[test]
fn a_former_session_that_is_here_is_looked_for_once() {
    for durability in BOTH {
        let mut stand = Stand::new(durability);
        let ((_, former), (_, newer)) = (stand.session(), stand.session());
        bind(&mut stand, former);
        let looked = stand.shelf.count(is_peek);
        bind(&mut stand, newer);
        stand.run_for(5 * SECOND);
        assert_eq!(stand.clients[FORMER].closed(), Some(MOVED));
        assert!(stand.shelf.count(is_peek) <= looked + 1, "{durability:?}");
        assert!(!stand.server.owes_store());
    }
}

/// Nobody can take it up any more, and no end can be written over it.
#[test]
fn a_former_session_whose_life_is_over_in_the_store_is_looked_for_once() {
    for durability in BOTH {
        let mut pair = Pair::parked(durability);
        pair.stand.shelf.expired = true;
        pair.stand.shelf.instead = Some(|op| is_burial(op).then_some(StoreReply::Conflict));
        let looked = pair.looks();
        pair.bind();
        assert!(
            !pair.stand.server.owes_store(),
            "{durability:?}: it holds up nobody who leaves"
        );
        pair.stand.run_for(5 * SECOND);
        assert_eq!(pair.looks(), looked + 1, "{durability:?}");
    }
}

// ---- it is another user's by now ----

/// Anna has left her device to Berta, who goes on with the same session, and comes with another.
fn left_to_berta(durability: Durability, goes: fn(&mut Stand, SessionId)) -> (Stand, SessionId) {
    let mut stand = Stand::new(durability);
    let (i, bertas) = stand.session();
    bind(&mut stand, bertas);
    let mut session = stand.server.session(bertas).expect("it is here");
    session.bind_user(b"berta").expect("there is a store");
    drop(session);
    stand.run_for(SECOND);
    stand.clients[i].away = true;
    goes(&mut stand, bertas);
    let (_, annas) = stand.session();
    bind(&mut stand, annas);
    stand.run_for(SECOND);
    (stand, bertas)
}

#[test]
fn a_session_that_is_another_users_by_now_is_not_put_out_wherever_it_is() {
    let here: fn(&mut Stand, SessionId) = |_, _| {};
    let parked: fn(&mut Stand, SessionId) = |stand, id| {
        let newest = stand.clients[0].newest;
        stand.cut(0, newest);
        stand.server.session(id).expect("it is here").swap_out();
        stand.exchange();
    };
    let with_a_dead_process: fn(&mut Stand, SessionId) = |stand, _| {
        let newest = stand.clients[0].newest;
        stand.cut(0, newest);
        let first = stand.replace_server();
        stand.shelf.dead.push(first.owner());
    };
    for (durability, goes, what) in [
        (Durability::SwapOut, here, "here"),
        (Durability::SwapOut, parked, "parked"),
        (Durability::Durable, parked, "parked"),
        (Durability::Durable, with_a_dead_process, "with a dead process"),
    ] {
        let (mut stand, bertas) = left_to_berta(durability, goes);
        let record = &stand.shelf.records[&Stand::key_of(bertas)];
        assert!(
            !matches!(record, Record::Tomb { .. }),
            "{durability:?}, {what}: {record:?}"
        );
        stand.clients[0].away = false;
        stand.run_for(15 * SECOND);
        assert_eq!(stand.clients[0].closed(), None, "{durability:?}, {what}");
        assert_eq!((stand.server.sessions(), stand.server.owes_store()), (2, false));
    }
}

#[test]
fn a_process_puts_out_whom_it_is_told_to_if_the_session_is_still_his() {
    for still in [false, true] {
        let mut stand = Stand::new(Durability::SwapOut);
        let (i, former) = stand.session();
        bind(&mut stand, former);
        let first = stand.replace_server();
        let (_, newer) = stand.session();
        bind(&mut stand, newer);
        let to = first.owner();
        let mut sent = stand.shelf.asked.iter().filter_map(|op| match op {
            StoreOp::Send { to: owner, note } if *owner == to => Some(note.clone()),
            _ => None,
        });
        let note = sent.next().expect("it is told");
        stand.server = first;
        if !still {
            let mut session = stand.server.session(former).expect("it is here");
            session.bind_user(b"berta").expect("there is a store");
        }
        stand.server.take_note(&note);
        stand.run_for(SECOND);
        assert_eq!(stand.clients[i].closed(), still.then_some(MOVED));
    }
}

/// An application that puts somebody out need not know where he is.
#[test]
fn whom_the_application_kicks_is_put_out_wherever_he_is() {
    for durability in BOTH {
        let (mut dead, owner) = Pair::elsewhere(durability);
        dead.stand.shelf.dead.push(owner);
        for (what, mut pair) in [("parked", Pair::parked(durability)), ("dead", dead)] {
            assert!(!pair.stand.server.kick(pair.former, 7));
            pair.stand.run_for(SECOND);
            pair.ends_with(CloseReason::Kicked { code: 7 }, &format!("{what}, {durability:?}"));
        }
    }
}

/// As it does not hear at once, it is told until it counts as dead.
#[test]
fn whom_the_application_kicks_on_a_server_that_does_not_hear_is_put_out_when_that_counts_as_dead() {
    let (mut pair, owner) = Pair::elsewhere(Durability::Durable);
    assert!(!pair.stand.server.kick(pair.former, 7));
    pair.stand.run_for(5 * SECOND);
    let words = notes::unseat(&Stand::key_of(pair.former), 7, None);
    let told = |op: &StoreOp| matches!(op, StoreOp::Send { to, note } if *to == owner && *note == words);
    assert!(pair.stand.shelf.count(told) > 12);
    assert!(!pair.is_buried());
    pair.stand.shelf.dead.push(owner);
    pair.stand.run_for(SECOND);
    pair.ends_with(CloseReason::Kicked { code: 7 }, "deaf");
}

#[test]
fn whom_the_application_kicks_here_is_looked_for_nowhere_else() {
    for durability in [Durability::Memory, Durability::SwapOut, Durability::Durable] {
        let mut stand = Stand::new(durability);
        let (i, id) = stand.session();
        let looks = stand.shelf.count(is_peek);
        assert!(stand.server.kick(id, 7), "{durability:?}");
        stand.run_for(SECOND);
        assert_eq!(
            stand.clients[i].closed(),
            Some(CloseReason::Kicked { code: 7 }),
            "{durability:?}"
        );
        assert_eq!(stand.shelf.count(is_peek), looks, "{durability:?}");
        assert!(!stand.server.kick(id, 7), "{durability:?}: it is gone");
        stand.run_for(SECOND);
        assert!(!stand.server.owes_store(), "{durability:?}");
    }
}

/// Nobody called for it: what it was put out by may have been a timer.
#[test]
fn the_goodbye_of_a_session_that_is_put_out_begins_at_once() {
    for durability in BOTH {
        let mut stand = Stand::new(durability);
        let (_, id) = stand.session();
        stand.server.unseat_here(Stand::key_of(id), USER_MOVED, None);
        stand.exchange();
        assert!(stand.server.poll_timeout() > Some(stand.now), "{durability:?}");
    }
}
