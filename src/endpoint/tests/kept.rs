//! When a session's record is written: at its creation, when something has changed, and in time before the store forgets it; never two at once.

use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

use super::leaving::{goes_away, is_park};
use super::requests::{is_live, is_peek};
use super::stand::{Stand, elsewhere_and_back};
use crate::config::{Durability, Limits, ServerConfig};
use crate::crypto::{ClusterKey, Seed, ServerKey};
use crate::endpoint::Endpoint;
use crate::error::SaveError;
use crate::event::{Event, LinkId, SessionId};
use crate::session::Verdict;
use crate::store::{Owner, Record, StoreOp, StoreReply};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const BOTH: [Durability; 2] = [Durability::SwapOut, Durability::Durable];

fn commits(stand: &mut Stand, id: SessionId) {
    stand.server.session(id).expect("it is here").commit();
    stand.exchange();
}

// ---- in time ----

/// A record counts an hour or more; nothing else wakes the session meanwhile, which has no client.
#[test]
fn a_record_is_written_anew_after_twenty_minutes_and_not_before() {
    let long: fn(ServerConfig) -> ServerConfig = |mut config| {
        config.limits.detached = 24 * 60 * MINUTE;
        config
    };
    for durability in BOTH {
        let mut stand = Stand::changed(durability, true, long);
        let (i, _) = stand.session();
        stand.run_for(15 * SECOND);
        goes_away(&mut stand, i);
        let before = stand.shelf.count(is_live);
        // Its lease lasts: who counted as dead writes all anew.
        let mut pass = |minutes: u32| {
            for _ in 0..minutes * 20 {
                stand.skip(3 * SECOND);
            }
            stand.shelf.count(is_live)
        };
        assert_eq!(pass(19), before, "{durability:?}");
        assert_eq!(pass(1), before + 1, "{durability:?}");
        assert_eq!(pass(19), before + 1, "{durability:?}");
        assert_eq!(pass(1), before + 2, "{durability:?}");
    }
}

#[test]
fn a_record_that_is_being_written_is_not_written_beside_that_however_long_it_takes() {
    let mut stand = Stand::new(Durability::SwapOut);
    stand.session();
    stand.shelf.silent_to = Some(is_live);
    let before = stand.shelf.count(is_live);
    for _ in 0..2 {
        stand.skip(21 * MINUTE);
        stand.run_for(15 * SECOND);
        assert!(
            stand.server.poll_timeout().is_some_and(|next| next > stand.now),
            "nothing is to be done"
        );
    }
    assert_eq!(stand.server.sessions(), 1);
    stand.speak();
    assert_eq!(stand.shelf.count(is_live), before + 1);
}

/// Its answer was lost, or came so late that it was looked for: it is there all the same, and counts as long as any other.
#[test]
fn the_record_of_a_creation_that_was_looked_for_is_written_anew_in_time() {
    for durability in BOTH {
        for lost in [false, true] {
            let mut stand = Stand::new(durability);
            stand.run_for(SECOND);
            stand.shelf.silent_to = Some(is_live);
            stand.client();
            stand.run_for(Duration::from_millis(if lost { 10 } else { 600 }));
            if lost {
                stand.shelf.afterwards = Some(|op| is_live(op).then_some(StoreReply::Failed));
            }
            stand.hear(&StoreReply::Done, |_| false);
            stand.shelf.afterwards = None;
            stand.exchange();
            stand.run_for(15 * SECOND);
            let what = (durability, lost);
            assert_eq!(
                (stand.server.sessions(), stand.shelf.count(is_peek)),
                (1, 1),
                "{what:?}"
            );
            let before = stand.shelf.count(is_live);
            stand.skip(20 * MINUTE);
            assert!(stand.shelf.count(is_live) > before, "{what:?}");
        }
    }
}

/// Its process may die just before it would have written the record anew.
#[test]
fn a_record_outlives_its_owner_as_long_as_a_session_may_be_without_a_link() {
    for minutes in [10, 24 * 60] {
        let change: fn(ServerConfig) -> ServerConfig = match minutes {
            10 => |mut config| {
                config.limits.detached = 10 * MINUTE;
                config
            },
            _ => |mut config| {
                config.limits.detached = 24 * 60 * MINUTE;
                config
            },
        };
        for durability in BOTH {
            let mut stand = Stand::changed(durability, true, change);
            let (i, id) = stand.session();
            stand.skip(20 * MINUTE);
            goes_away(&mut stand, i);
            stand.server.session(id).expect("it is here").swap_out();
            stand.run_for(SECOND);
            stand.clients[i].away = false;
            stand.run_for(15 * SECOND);
            let counters = stand.server.counters();
            assert_eq!((counters.takeovers, stand.server.sessions()), (1, 1), "{durability:?}");
            let lives = stand.shelf.asked.iter().filter_map(|op| match op {
                StoreOp::Put { life, .. } if is_live(op) => Some(*life),
                _ => None,
            });
            let least = (20 + minutes) * MINUTE;
            let shortest = lives.min().expect("it was written");
            assert!(shortest >= least, "{durability:?}, {minutes} minutes: {shortest:?}");
        }
    }
}

// ---- what comes of a write ----

/// A process may have slept since it asked, longer than others wait for it: then the session may live elsewhere, and must not begin here.
#[test]
fn a_creation_that_took_long_is_looked_at_before_anybody_is_let_in() {
    const STRANGER: Owner = Owner([0xee; 16]);
    for durability in BOTH {
        for (waits, taken, looks) in [(400, false, 0), (600, false, 1), (600, true, 1)] {
            let mut stand = Stand::new(durability);
            stand.run_for(SECOND);
            stand.shelf.silent_to = Some(is_live);
            let i = stand.client();
            stand.run_for(Duration::from_millis(waits));
            if taken {
                stand.shelf.instead = Some(|op| {
                    let blob = Vec::new().into();
                    let (token, owner) = (2, STRANGER);
                    let record = Record::Live { token, owner, blob };
                    let found = crate::store::Peeked {
                        record,
                        expired: false,
                        owner_alive: true,
                    };
                    is_peek(op).then_some(StoreReply::Peeked(Some(found)))
                });
            }
            stand.speak();
            // Whoever is not let in asks where else it may be.
            assert!(taken || stand.shelf.count(is_peek) == looks, "{durability:?} {waits}");
            let counters = stand.server.counters();
            assert_eq!(counters.fenced, u64::from(taken), "{durability:?} {waits}");
            assert_eq!(stand.server.sessions(), usize::from(!taken));
            let let_in = |event: &Event| matches!(event, Event::Established { .. });
            assert_eq!(
                stand.clients[i].told.iter().any(let_in),
                !taken,
                "{durability:?} {waits}"
            );
        }
    }
}

#[test]
fn a_commit_may_take_as_long_as_it_takes() {
    let mut stand = Stand::new(Durability::Durable);
    let (_, id) = stand.session();
    stand.shelf.silent_to = Some(is_live);
    commits(&mut stand, id);
    stand.run_for(5 * SECOND);
    stand.speak();
    assert_eq!(stand.shelf.count(is_peek), 0, "nobody doubts that it was done");
}

#[test]
fn a_write_that_was_not_done_is_done_again_without_a_look() {
    let mut stand = Stand::new(Durability::Durable);
    let (_, id) = stand.session();
    let before = stand.shelf.count(is_live);
    stand.shelf.instead = Some(|op| is_live(op).then_some(StoreReply::Unavailable));
    commits(&mut stand, id);
    stand.run_for(SECOND);
    let asked = stand.shelf.count(is_live) - before;
    assert!((2..=5).contains(&asked), "{asked} times in a second");
    assert_eq!(stand.shelf.count(is_peek), 0);
}

/// Its end is written, and looks for itself whether it can be.
#[test]
fn what_became_of_a_write_is_not_looked_for_when_the_session_is_over() {
    let mut stand = Stand::new(Durability::Durable);
    let (i, id) = stand.session();
    let client = &mut stand.clients[i].session;
    client.send("not read yet".into()).expect("there is room");
    stand.exchange();
    stand.shelf.silent = true;
    commits(&mut stand, id);
    stand.server.session(id).expect("it is here").kick(7);
    stand.run_for(SECOND);
    stand.speak_as(&StoreReply::Failed, is_live);
    assert!(stand.server.session(id).is_some(), "not read yet");
    stand.run_for(SECOND);
    assert_eq!(stand.shelf.count(is_peek), 1);
    assert!(matches!(stand.shelf.records[&Stand::key_of(id)], Record::Tomb { .. }));
}

/// The same when it ended while it was looked for.
#[test]
fn what_became_of_a_write_is_not_looked_for_again_when_the_session_is_over() {
    let mut stand = Stand::new(Durability::Durable);
    let (i, id) = stand.session();
    let client = &mut stand.clients[i].session;
    client.send("not read yet".into()).expect("there is room");
    stand.exchange();
    stand.shelf.silent_to = Some(is_live);
    commits(&mut stand, id);
    stand.hear(&StoreReply::Failed, is_live);
    stand.shelf.silent_to = Some(is_peek);
    stand.exchange();
    assert_eq!(stand.shelf.waits_for(), 1, "it is looked for");
    stand.server.session(id).expect("it is here").kick(7);
    stand.exchange();
    stand.speak_as(&StoreReply::Failed, is_peek);
    stand.run_for(SECOND);
    assert!(stand.server.session(id).is_some(), "not read yet");
    assert_eq!(stand.shelf.count(is_peek), 0);
}

/// A commit that began before the client came by another link does not cover the keys of that.
#[test]
fn a_link_is_answered_when_the_store_has_its_keys_and_not_with_the_commit_before() {
    let mut stand = Stand::new(Durability::Durable);
    let (i, id) = stand.session();
    stand.shelf.silent_to = Some(is_live);
    commits(&mut stand, id);
    goes_away(&mut stand, i);
    let flight = stand.flight(i);
    stand.brings(i, LinkId(1000), &flight);
    assert_eq!(stand.server.counters().resumes, 1);
    // The commit that waits is done, the next one is not.
    stand.hear(&StoreReply::Done, |_| false);
    stand.shelf.silent_to = Some(is_live);
    stand.exchange();
    assert!(stand.clients[i].answers.iter().all(|(on, _)| *on != LinkId(1000)));
    stand.speak();
    assert!(stand.clients[i].answers.iter().any(|(on, _)| *on == LinkId(1000)));
}

/// It was carried out, and the answer took its time. Meanwhile the session was elsewhere, came back, and leaves again: the answer says nothing of that.
#[test]
fn an_answer_about_a_former_stay_changes_nothing() {
    for reply in [StoreReply::Done, StoreReply::Failed, StoreReply::Unavailable] {
        let mut stand = Stand::new(Durability::Durable);
        let (i, id) = stand.session();
        stand.shelf.silent_to = Some(is_live);
        commits(&mut stand, id);
        let record = stand.shelf.waiting(is_live);
        stand.shelf.records.insert(Stand::key_of(id), record);
        stand.shelf.silent_to = None;
        elsewhere_and_back(&mut stand, i, id, |_| ());
        stand.shelf.silent_to = Some(is_park);
        stand.server.session(id).expect("it is here").swap_out();
        stand.exchange();
        goes_away(&mut stand, i);
        stand.told.clear();
        let asked = stand.shelf.asked.len();
        stand.shelf.instead = Some(|op| is_park(op).then_some(StoreReply::Done));
        stand.speak_as(&reply, is_live);
        let told: Vec<_> = stand.told.iter().map(|(_, event)| event.clone()).collect();
        assert_eq!(told, [Event::SwappedOut], "{reply:?}");
        let asked: Vec<_> = stand.shelf.asked[asked..].iter().collect();
        assert!(matches!(asked[..], [put] if is_park(put)), "{reply:?}: {asked:?}");
    }
}

// ---- its size ----

#[test]
fn a_snapshot_may_be_as_large_as_the_limit_and_no_larger() {
    let max = Limits::default().snapshot as usize;
    let mut stand = Stand::new(Durability::Durable);
    let (_, id) = stand.session();
    stand.server.session(id).expect("it is here").commit();
    let mut save = |length: usize| {
        for _ in 0..100 {
            if stand.server.poll_snapshot().is_some() {
                break;
            }
            stand.now += Duration::from_millis(10);
            stand.server.handle_timeout(stand.now);
            while stand.server.poll_store().is_some() {}
        }
        stand.server.save(id, Some(&alloc::vec![7; length]))
    };
    let Err(SaveError::TooLarge { size, .. }) = save(max) else {
        panic!("there is more in it than that");
    };
    let most = max - (size - max);
    assert_eq!(save(most + 1), Err(SaveError::TooLarge { size: max + 1, max }));
    assert_eq!(save(most), Ok(()));
}

/// So the session can go on elsewhere from its very beginning.
#[test]
fn a_first_state_that_fits_is_in_the_first_record() {
    let state = Limits::default().snapshot as usize - 1000;
    let mut stand = Stand::with(Durability::Durable, false);
    stand.client();
    stand.run_for(SECOND);
    let (id, _) = stand.told.last().expect("it asks").clone();
    let accept = Verdict::Accept { message: Bytes::new() };
    let mut session = stand.server.session(id).expect("it is here");
    assert!(session.authorise_with(accept, Some(Bytes::from(alloc::vec![7; state]))));
    drop(session);
    stand.exchange();
    let first = stand.shelf.asked.iter().find_map(|op| match op {
        StoreOp::Put {
            record: Record::Live { blob, .. },
            ..
        } => Some(blob.len()),
        _ => None,
    });
    assert!(first > Some(state), "{first:?}");
}

/// What is too large is left out, and asked for as soon as the session stands: there its size is told.
#[test]
fn a_first_state_over_the_limit_is_not_written_and_asked_for_at_once() {
    let limit = Limits::default().snapshot as usize;
    for said in [StoreReply::Done, StoreReply::Unavailable, StoreReply::Failed] {
        let mut stand = Stand::with(Durability::Durable, false);
        let i = stand.client();
        stand.run_for(SECOND);
        let (id, asked) = stand.told.last().expect("it asks").clone();
        assert!(matches!(asked, Event::Authorise { .. }));
        match said {
            StoreReply::Unavailable => {
                stand.shelf.instead = Some(|op| is_live(op).then_some(StoreReply::Unavailable));
            }
            // It is done, and nobody hears of it.
            StoreReply::Failed => stand.shelf.afterwards = Some(|op| is_live(op).then_some(StoreReply::Failed)),
            _ => {}
        }
        let accept = || Verdict::Accept { message: Bytes::new() };
        let app = Some(Bytes::from(alloc::vec![7; limit]));
        let mut session = stand.server.session(id).expect("it is here");
        assert!(session.authorise_with(accept(), app));
        drop(session);
        stand.exchange();
        (stand.shelf.instead, stand.shelf.afterwards) = (None, None);
        stand.run_for(SECOND);
        assert!(stand.clients[i].session.id().is_some(), "it is let in");
        let sizes = stand.shelf.asked.iter().filter_map(|op| match op {
            StoreOp::Put {
                record: Record::Live { blob, .. },
                ..
            } => Some(blob.len()),
            _ => None,
        });
        assert!(sizes.max() < Some(1000));
        let first = stand.replace_server();
        stand.shelf.dead.push(first.owner());
        let newest = stand.clients[i].newest;
        stand.cut(i, newest);
        stand.run_for(5 * SECOND);
        let restored = stand.told.iter().find_map(|(_, event)| match event {
            Event::Restored { app, .. } => Some(app.clone()),
            _ => None,
        });
        assert_eq!(restored, Some(Some("state".into())), "{said:?}");
    }
}

/// The least snapshot that a server may be given for so much.
fn with_least_snapshot(unacked_messages: u32, unacked_bytes: u32) -> ServerConfig {
    let key = ServerKey::from_bytes([7; 32]).expect("not zero");
    let cluster = ClusterKey::from_bytes([9; 32]).expect("not zero");
    let with = |snapshot| {
        let limits = Limits {
            unacked_messages,
            unacked_bytes,
            snapshot,
            ..Limits::default()
        };
        let config = ServerConfig::builder(key.clone(), cluster.clone()).authorise_all(true);
        config.durability(Durability::Durable).limits(limits).build()
    };
    let (mut refused, mut taken) = (unacked_bytes, 64 << 20);
    while taken - refused > 1 {
        let middle = refused + (taken - refused) / 2;
        *if with(middle).is_ok() { &mut taken } else { &mut refused } = middle;
    }
    with(taken).expect("it was taken")
}

/// Each has a few bytes beside its payload. Else a session would end, or never leave, for a state that its application has not.
#[test]
fn the_least_snapshot_holds_all_that_may_be_unacked() {
    for (messages, length) in [(65_536, 64), (65_536, 63), (4096, 1024), (1, 1 << 20)] {
        let mut stand = Stand::changed(Durability::Durable, true, |config| config);
        let config = with_least_snapshot(messages, (messages * length).max(1 << 20));
        stand.server = Endpoint::new(Arc::new(config), Seed::new([2; 32]), stand.now);
        let (i, id) = stand.session();
        goes_away(&mut stand, i);
        let mut session = stand.server.session(id).expect("it is here");
        session.bind_user(&[b'u'; 1024]).expect("there is a store");
        let message = alloc::vec![7; length as usize];
        for _ in 0..messages {
            session.send_slice(&message).expect("there is room");
        }
        drop(session);
        assert_eq!(stand.server.poll_snapshot(), Some(id));
        assert_eq!(stand.server.save(id, None), Ok(()), "{messages} of {length} bytes");
    }
}
