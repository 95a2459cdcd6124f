//! One session for each user, when the store's answers get lost.

use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::cell::Cell;
use core::time::Duration;

use super::requests::is_live;
use super::stand::{Stand, elsewhere_and_back};
use crate::config::Durability;
use crate::endpoint::{Endpoint, USER_MOVED};
use crate::error::CloseReason;
use crate::event::{Event, SessionId};
use crate::session::Verdict;
use crate::store::{Record, StoreOp, StoreReply};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const MOVED: Event = Event::Closed(CloseReason::Kicked { code: USER_MOVED });

fn bind(stand: &mut Stand, id: SessionId, user: &[u8]) {
    stand
        .server
        .session(id)
        .expect("it is here")
        .bind_user(user)
        .expect("there is a store");
    stand.exchange();
}

fn is_bind(op: &StoreOp) -> bool {
    matches!(op, StoreOp::Bind { .. })
}

/// The server's lease runs out, and another process has its place: until it is woken it counts as dead.
fn fall_asleep(stand: &mut Stand) -> Endpoint {
    stand.shelf.instead = Some(|op| matches!(op, StoreOp::Lease { .. }).then_some(StoreReply::Failed));
    stand.run_for(7 * SECOND);
    stand.shelf.instead = None;
    let first = stand.replace_server();
    stand.shelf.dead.push(first.owner());
    first
}

#[test]
fn a_binding_whose_answer_was_lost_still_puts_the_former_session_out() {
    for lost in [StoreReply::Failed, StoreReply::Unavailable] {
        let mut stand = Stand::new(Durability::SwapOut);
        let ((_, first), (_, second)) = (stand.session(), stand.session());
        bind(&mut stand, first, b"anna");
        // It is done, and nobody hears of it.
        stand.shelf.afterwards = Some(match lost {
            StoreReply::Failed => |op| is_bind(op).then_some(StoreReply::Failed),
            _ => |op| is_bind(op).then_some(StoreReply::Unavailable),
        });
        bind(&mut stand, second, b"anna");
        stand.run_for(SECOND);
        assert!(!stand.told.contains(&(first, MOVED)), "not known yet");
        stand.shelf.afterwards = None;
        stand.run_for(5 * SECOND);
        assert!(stand.told.contains(&(first, MOVED)), "{lost:?}");
        assert!(!stand.told.contains(&(second, MOVED)));
        assert_eq!(stand.server.sessions(), 1);
    }
}

#[test]
fn a_session_that_was_put_out_and_asks_late_learns_it() {
    let mut stand = Stand::new(Durability::SwapOut);
    let (_, id) = stand.session();
    bind(&mut stand, id, b"anna");
    // Elsewhere the user has another by now.
    let sessions = stand.shelf.users.values_mut().next().expect("it is bound");
    sessions.insert(0, [3; 8]);
    bind(&mut stand, id, b"anna");
    stand.run_for(5 * SECOND);
    assert!(stand.told.contains(&(id, MOVED)));
    assert_eq!(stand.shelf.users.values().next().expect("it stands")[0], [3; 8]);
}

#[test]
fn however_often_a_user_is_told_the_store_is_asked_once_at_a_time() {
    let mut stand = Stand::new(Durability::SwapOut);
    let (_, id) = stand.session();
    stand.shelf.instead = Some(|op| is_bind(op).then_some(StoreReply::Failed));
    for n in 0..100_u8 {
        bind(&mut stand, id, &[n]);
    }
    stand.run_for(5 * SECOND);
    let asked = stand.shelf.count(is_bind);
    assert!((2..=25).contains(&asked), "{asked} times in 5 seconds");
    stand.shelf.instead = None;
    stand.run_for(SECOND);
    assert_eq!(stand.shelf.users.len(), 1, "only whose it is now");
    bind(&mut stand, id, &[200]);
    assert_eq!(stand.shelf.users.len(), 2);
}

/// Its process counted as dead for a while, and the user came elsewhere. What was written over its record is forgotten by the time it looks.
#[test]
fn a_session_that_was_put_out_while_its_lease_was_over_learns_it_with_the_next() {
    for durability in [Durability::SwapOut, Durability::Durable] {
        let mut stand = Stand::new(durability);
        let (i, former) = stand.session();
        bind(&mut stand, former, b"anna");
        let first = fall_asleep(&mut stand);
        let (n, newer) = stand.session();
        bind(&mut stand, newer, b"anna");
        stand.clients[n].away = true;
        stand.shelf.dead.clear();
        stand.shelf.records.remove(&Stand::key_of(former));
        stand.server = first;
        stand.run_for(10 * SECOND);
        assert!(stand.server.store_is_up());
        let moved = Some(CloseReason::Kicked { code: USER_MOVED });
        assert_eq!(stand.clients[i].closed(), moved, "{durability:?}");
        assert!(
            !stand.shelf.records.contains_key(&Stand::key_of(former)),
            "{durability:?}"
        );
    }
}

/// While its process counted as dead it was put out as its former user's: of a record without a snapshot nobody can know better. Then its user comes elsewhere.
#[test]
fn a_session_whose_record_was_buried_while_its_lease_was_over_does_not_stand_beside_its_users_next() {
    for forgotten in [false, true] {
        let mut stand = Stand::new(Durability::SwapOut);
        let (i, former) = stand.session();
        bind(&mut stand, former, b"anna");
        bind(&mut stand, former, b"berta");
        let first = fall_asleep(&mut stand);
        let (n, newer) = stand.session();
        bind(&mut stand, newer, b"anna");
        let key = Stand::key_of(former);
        assert!(matches!(stand.shelf.records[&key], Record::Tomb { .. }));
        if forgotten {
            stand.shelf.records.remove(&key);
        }
        stand.shelf.dead.clear();
        stand.clients[n].away = true;
        let second = core::mem::replace(&mut stand.server, first);
        stand.run_for(10 * SECOND);
        assert!(stand.server.store_is_up());
        let first = core::mem::replace(&mut stand.server, second);
        bind(&mut stand, newer, b"berta");
        stand.run_for(SECOND);
        let told = stand
            .shelf
            .count(|op| matches!(op, StoreOp::Send { to, .. } if *to == first.owner()));
        stand.server = first;
        let ended = stand.server.session(former).is_none();
        assert!(ended || told > 0, "forgotten: {forgotten}");
        stand.clients[i].away = false;
        stand.run_for(10 * SECOND);
        let moved = Some(CloseReason::Kicked { code: USER_MOVED });
        assert_eq!(
            stand.clients[i].closed(),
            moved.filter(|_| !forgotten),
            "forgotten: {forgotten}"
        );
    }
}

/// A record with a snapshot says whose it is by now, and nobody buries what has a lease.
#[test]
fn a_bound_session_is_written_anew_only_without_a_snapshot_and_when_its_lease_was_over() {
    for (durability, failing, writes) in [
        (Durability::SwapOut, 7, 1),
        (Durability::SwapOut, 1, 0),
        (Durability::Durable, 7, 0),
        (Durability::Durable, 1, 0),
    ] {
        let mut stand = Stand::new(durability);
        let (_, id) = stand.session();
        bind(&mut stand, id, b"anna");
        stand.run_for(5 * SECOND);
        stand.shelf.instead = Some(|op| matches!(op, StoreOp::Lease { .. }).then_some(StoreReply::Failed));
        let before = [is_bind, is_live].map(|like| stand.shelf.count(like));
        stand.run_for(failing * SECOND);
        stand.shelf.instead = None;
        stand.run_for(5 * SECOND);
        assert!(stand.server.store_is_up());
        let after = [is_bind, is_live].map(|like| stand.shelf.count(like));
        assert_eq!(
            [after[0] - before[0], after[1] - before[1]],
            [1, writes],
            "{durability:?}, failing for {failing} seconds"
        );
    }
}

/// Whoever has come to the user while the store had no record of his session has looked for it in vain.
#[test]
fn a_session_whose_record_is_made_anew_does_not_stand_beside_its_users_next() {
    for unheard in [false, true] {
        // No lease that comes back tells it anew.
        let mut stand = Stand::changed(Durability::SwapOut, true, |mut config| {
            config.timing.lease = 3 * DAY;
            config
        });
        let (i, former) = stand.session();
        bind(&mut stand, former, b"anna");
        stand.shelf.records.clear();
        let first = stand.replace_server();
        let (n, newer) = stand.session();
        bind(&mut stand, newer, b"anna");
        stand.clients[n].away = true;
        stand.server = first;
        if unheard {
            stand.shelf.afterwards = Some(|op| is_live(op).then_some(StoreReply::Failed));
        }
        stand.skip(Duration::from_secs(20 * 60));
        stand.run_for(10 * SECOND);
        stand.shelf.afterwards = None;
        stand.run_for(10 * SECOND);
        let moved = Some(CloseReason::Kicked { code: USER_MOVED });
        assert_eq!(stand.clients[i].closed(), moved, "unheard: {unheard}");
    }
}

/// Else one that has lost its place to it would take it back.
#[test]
fn who_is_about_to_end_is_not_bound_again_when_a_lease_comes_back() {
    let mut stand = Stand::new(Durability::SwapOut);
    let (i, id) = stand.session();
    bind(&mut stand, id, b"anna");
    let newest = stand.clients[i].newest;
    stand.clients[i].deaf = vec![newest];
    stand.shelf.instead = Some(|op| matches!(op, StoreOp::Lease { .. }).then_some(StoreReply::Failed));
    stand.run_for(3 * SECOND);
    stand.server.session(id).expect("it is here").close(7);
    let asked = stand.shelf.count(is_bind);
    stand.shelf.instead = None;
    stand.run_for(SECOND);
    assert_eq!((stand.shelf.count(is_bind), stand.server.store_is_up()), (asked, true));
}

#[test]
fn a_binding_is_renewed_before_the_store_forgets_it() {
    // A lease that outlasts the day: it is the day that tells it anew, not a lease that comes back.
    let mut stand = Stand::changed(Durability::SwapOut, true, |mut config| {
        config.timing.lease = 3 * DAY;
        config
    });
    let (_, id) = stand.session();
    bind(&mut stand, id, b"anna");
    assert_eq!(stand.shelf.count(is_bind), 1);
    stand.skip(DAY + SECOND);
    assert_eq!(stand.shelf.count(is_bind), 2);
    assert!(!stand.told.contains(&(id, MOVED)));
}

/// As long as it lasts it is renewed every day: some of these may fail.
#[test]
fn a_binding_is_remembered_for_days() {
    let mut stand = Stand::new(Durability::SwapOut);
    let (_, id) = stand.session();
    bind(&mut stand, id, b"anna");
    let life = stand.shelf.asked.iter().find_map(|op| match op {
        StoreOp::Bind { life, .. } => Some(*life),
        _ => None,
    });
    assert_eq!(life, Some(7 * DAY));
}

/// Whatever comes of the first: this user's newest session may be another.
#[test]
fn a_user_who_is_another_before_the_store_has_answered_is_asked_for_anew() {
    for reply in [StoreReply::Bound(None), StoreReply::Conflict] {
        let mut stand = Stand::new(Durability::SwapOut);
        let (_, id) = stand.session();
        stand.shelf.silent_to = Some(is_bind);
        bind(&mut stand, id, b"anna");
        bind(&mut stand, id, b"berta");
        stand.hear(&reply, is_bind);
        stand.exchange();
        assert_eq!(stand.shelf.users.len(), 1, "{reply:?}");
        stand.run_for(SECOND);
        assert!(!stand.told.contains(&(id, MOVED)), "{reply:?}");
    }
}

/// Meanwhile the session was elsewhere, got another user there, and came back.
#[test]
fn an_answer_about_the_user_of_a_former_stay_is_not_taken_for_that_of_the_present_one() {
    for late in [StoreReply::Conflict, StoreReply::Failed] {
        let mut stand = Stand::new(Durability::Durable);
        let (i, id) = stand.session();
        stand.shelf.silent_to = Some(is_bind);
        bind(&mut stand, id, b"anna");
        stand.shelf.silent_to = None;
        elsewhere_and_back(&mut stand, i, id, |server| {
            let mut session = server.session(id).expect("it is here");
            session.bind_user(b"berta").expect("there is a store");
        });
        stand.shelf.silent_to = Some(is_bind);
        bind(&mut stand, id, b"berta");
        let (asked, first) = (stand.shelf.count(is_bind), Cell::new(true));
        stand.speak_as(&late, |op| is_bind(op) && first.replace(false));
        stand.run_for(SECOND);
        assert_eq!(stand.clients[i].closed(), None, "{late:?}");
        assert_eq!(
            stand.shelf.count(is_bind),
            asked + 1,
            "{late:?}: nobody asks for what is over"
        );
    }
}

/// The same user comes to two servers at once, and the record of the first session is written after the second has looked for it.
#[test]
fn a_former_session_that_the_store_does_not_have_yet_is_put_out_when_it_has() {
    for durability in [Durability::SwapOut, Durability::Durable] {
        let mut stand = Stand::with(durability, false);
        let comes = |stand: &mut Stand| {
            let i = stand.client();
            stand.run_for(SECOND);
            let id = stand.told.last().expect("it asks").0;
            let mut session = stand.server.session(id).expect("it is here");
            session.bind_user(b"anna").expect("there is a store");
            let message = Bytes::new();
            session.authorise(Verdict::Accept { message });
            drop(session);
            stand.exchange();
            i
        };
        stand.shelf.silent_to = Some(is_live);
        let former = comes(&mut stand);
        stand.shelf.silent_to = None;
        let first = stand.replace_server();
        let newer = comes(&mut stand);
        assert_eq!(stand.clients[newer].closed(), None);
        stand.clients[newer].away = true;
        stand.server = first;
        stand.speak();
        stand.run_for(5 * SECOND);
        let moved = Some(CloseReason::Kicked { code: USER_MOVED });
        assert_eq!(stand.clients[former].closed(), moved, "{durability:?}");
    }
}

/// Longer than what is kept of a key: what is behind that counts all the same, here and after a takeover.
#[test]
fn users_whose_long_keys_differ_at_the_end_only_are_two() {
    let key = |last: u8| [vec![7; 2000], vec![last]].concat();
    let mut stand = Stand::new(Durability::Durable);
    let ((i, anna), (_, berta)) = (stand.session(), stand.session());
    bind(&mut stand, anna, &key(1));
    bind(&mut stand, berta, &key(2));
    stand.run_for(5 * SECOND);
    assert!(!stand.told.contains(&(anna, MOVED)) && stand.server.sessions() == 2);
    let first = stand.replace_server();
    stand.shelf.dead.push(first.owner());
    let newest = stand.clients[i].newest;
    stand.cut(i, newest);
    stand.run_for(5 * SECOND);
    let known = stand.told.iter().find_map(|(_, event)| match event {
        Event::Restored { user, .. } => user.clone(),
        _ => None,
    });
    let known = known.expect("it was taken over");
    assert!(known.len() == 1024 && known[..992] == key(1)[..992]);
    assert_eq!(stand.shelf.users.len(), 2, "it is bound to whom it was");
    // What stands for a long key is the same whoever makes it.
    let (_, newer) = stand.session();
    bind(&mut stand, newer, &key(1));
    stand.run_for(5 * SECOND);
    assert!(stand.told.contains(&(anna, MOVED)));
}

#[test]
fn a_key_of_1024_bytes_is_kept_as_it_is() {
    let mut stand = Stand::new(Durability::SwapOut);
    let (_, id) = stand.session();
    let key: Vec<u8> = (0..1024).map(|n| n as u8).collect();
    bind(&mut stand, id, &key);
    stand.server.session(id).expect("it is here").swap_out();
    stand.run_for(5 * SECOND);
    let user = Some(Bytes::from(key));
    let came = |(_, event): &(SessionId, Event)| matches!(event, Event::Restored { user: known, .. } if *known == user);
    assert!(stand.told.iter().any(came));
}
