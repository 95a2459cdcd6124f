//! Who is not let in, and who has gone before the word comes.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::requests::is_live;
use super::stand::Stand;
use crate::config::Durability;
use crate::endpoint::{USER_MOVED, mail_note};
use crate::error::CloseReason;
use crate::event::{Event, SessionId};
use crate::session::Verdict;
use crate::store::{Record, StoreReply};

const SECOND: Duration = Duration::from_secs(1);
const ALL: [Durability; 3] = [Durability::Memory, Durability::SwapOut, Durability::Durable];
const BOTH: [Durability; 2] = [Durability::SwapOut, Durability::Durable];

/// Who asks to be let in.
fn asks(stand: &Stand) -> SessionId {
    let mut asked = stand.told.iter().filter_map(|(id, event)| match event {
        Event::Authorise { .. } => Some(*id),
        _ => None,
    });
    asked.next().expect("somebody asks")
}

#[test]
fn who_is_not_let_in_hears_why_and_dials_no_more() {
    for durability in ALL {
        let mut stand = Stand::with(durability, false);
        let i = stand.client();
        stand.clients[i].session.send("hear me".into()).expect("there is room");
        stand.run_for(SECOND);
        let id = asks(&stand);
        let (code, message) = (5, "not today".into());
        let refused = Verdict::Refuse { code, message };
        assert!(stand.server.session(id).expect("it is here").authorise(refused));
        stand.exchange();
        let message = "not today".into();
        let last: Vec<_> = stand.clients[i]
            .told
            .iter()
            .filter(|event| !matches!(event, Event::State(_)))
            .collect();
        let end = CloseReason::Refused { code };
        assert_eq!(
            last,
            [&Event::Refused { code, message }, &Event::Closed(end)],
            "{durability:?}"
        );
        let hellos = stand.server.counters().hellos;
        stand.run_for(10 * SECOND);
        assert_eq!(stand.server.counters().hellos, hellos, "it does not try again");
        assert_eq!(
            (stand.server.sessions(), stand.server.links()),
            (0, 0),
            "{durability:?}"
        );
        let read = Event::Readable;
        assert!(
            !stand.told.contains(&(id, read)),
            "nothing of it reaches the application"
        );
        assert!(stand.shelf.records.is_empty(), "nor the store");
    }
}

/// It was let in, but the store has not got to know of it. Its application hears of it from beginning to end, once, and the store of its end, if of it at all.
#[test]
fn who_says_goodbye_before_the_store_has_his_session_is_told_of_from_beginning_to_end() {
    for durability in BOTH {
        for open in [true, false] {
            for reply in [StoreReply::Done, StoreReply::Failed, StoreReply::Unavailable] {
                let mut stand = Stand::with(durability, open);
                stand.run_for(SECOND);
                stand.shelf.silent = true;
                let i = stand.client();
                stand.exchange();
                if !open {
                    let id = asks(&stand);
                    let message = "welcome".into();
                    let accepted = Verdict::Accept { message };
                    assert!(stand.server.session(id).expect("it is here").authorise(accepted));
                    stand.exchange();
                }
                stand.clients[i].session.disconnect(3);
                stand.exchange();
                let heard = |stand: &Stand| {
                    let told = stand.told.iter().map(|(_, event)| event);
                    let told = told.filter(|event| !matches!(event, Event::State(_) | Event::Authorise { .. }));
                    told.cloned().collect::<Vec<_>>()
                };
                let end = CloseReason::Peer {
                    code: 3,
                    truncated: false,
                };
                let what = format!("{durability:?}, open: {open}, {reply:?}");
                let all = heard(&stand);
                assert!(
                    matches!(&all[..], [Event::Established { .. }, Event::Closed(reason)] if *reason == end),
                    "{what}: {all:?}"
                );
                match reply {
                    StoreReply::Done => stand.speak(),
                    reply => stand.speak_as(&reply, |_| true),
                }
                stand.run_for(5 * SECOND);
                assert_eq!(heard(&stand), all, "{what}");
                assert_eq!(stand.server.sessions(), 0, "{what}");
                let buried = |record: &Record| matches!(record, Record::Tomb { .. });
                assert!(stand.shelf.records.values().all(buried), "{what}");
                assert!(!stand.server.owes_store(), "{what}");
            }
        }
    }
}

/// The same of one that is put out while its client does not hear of it: whatever is told of it comes behind Established.
#[test]
fn who_is_put_out_before_the_store_has_his_session_is_told_of_from_beginning_to_end() {
    for durability in BOTH {
        // The store has answered before the goodbye is over, or not.
        for in_time in [true, false] {
            let mut stand = Stand::with(durability, false);
            let i = stand.client();
            stand.run_for(SECOND);
            stand.clients[i].session.send("hear me".into()).expect("there is room");
            stand.shelf.silent_to = Some(is_live);
            let id = asks(&stand);
            let (key, message) = (Stand::key_of(id), "welcome".into());
            let accepted = Verdict::Accept { message };
            assert!(stand.server.session(id).expect("it is here").authorise(accepted));
            stand.exchange();
            let newest = stand.clients[i].newest;
            stand.clients[i].deaf.push(newest);
            stand.server.unseat_here(key, USER_MOVED, None);
            stand.exchange();
            if in_time {
                stand.speak();
            }
            stand.shelf.queues.insert(key, vec![(1, "from a server".into())]);
            stand.notes(StoreReply::Notes(vec![mail_note(key)]));
            if in_time {
                // It comes back, and says what it has to say before it hears of anything.
                let now = stand.now;
                stand.clients[i].session.handle_link_down(newest, now);
            }
            stand.run_for(3 * SECOND);
            stand.speak();
            let told = stand.told.iter().map(|(_, event)| event);
            let told = told.filter(|event| {
                let link = matches!(event, Event::HandoverBegin { .. } | Event::HandoverEnd(_));
                !link && !matches!(event, Event::State(_) | Event::Authorise { .. })
            });
            let told: Vec<_> = told.cloned().collect();
            let what = format!("{durability:?}, in time: {in_time}: {told:?}");
            let [Event::Established { session, .. }, between @ .., Event::Closed(end)] = &told[..] else {
                panic!("{what}");
            };
            let heard: &[Event] = if in_time { &[Event::Mail, Event::Readable] } else { &[] };
            assert_eq!((*session, between), (id, heard), "{what}");
            assert_eq!(*end, CloseReason::Kicked { code: USER_MOVED }, "{what}");
            assert!(matches!(stand.shelf.records[&key], Record::Tomb { .. }), "{what}");
            assert!(!stand.server.owes_store(), "{what}");
        }
    }
}
