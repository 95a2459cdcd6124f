//! Leases and mailboxes.

use super::*;
use crate::{MAILBOX_NOTES, mail_note, send_to_session};

fn send(to: Owner, note: impl Into<Bytes>) -> StoreOp {
    let note = note.into();
    StoreOp::Send { to, note }
}

/// By the store's clock; given up by a lease of zero.
pub async fn an_owner_is_alive_while_its_lease_stands(subject: &Subject) {
    let (key, owner) = (key(), owner());
    let alive = async || subject.peek(key).await.expect("the record is there").owner_alive;
    assert_eq!(
        subject.one(put(key, Expect::Absent, live(1, owner, ""))).await,
        StoreReply::Done
    );
    assert!(!alive().await, "no lease yet");
    assert_eq!(subject.one(lease(owner, LONG)).await, StoreReply::Done);
    assert!(alive().await);
    assert_eq!(subject.one(lease(super::owner(), LONG)).await, StoreReply::Done);
    assert_eq!(subject.one(lease(owner, Duration::ZERO)).await, StoreReply::Done);
    assert!(!alive().await, "given up");
    let mut lives = Lives::from(SHORT);
    loop {
        let (life, watch) = (lives.next(), Watch::start());
        assert_eq!(subject.one(lease(owner, life)).await, StoreReply::Done);
        let then = alive().await;
        if watch.within(life).is_some() {
            assert!(then);
            subject.elapse(life).await;
            assert!(!alive().await, "run out");
            break;
        }
    }
    assert_eq!(subject.one(lease(owner, LONG)).await, StoreReply::Done);
    assert!(alive().await, "taken again");
}

/// A note to somebody without a lease is refused, and one that was left is gone with the lease.
pub async fn a_note_needs_a_lease(subject: &Subject) {
    let owner = owner();
    assert_eq!(subject.one(send(owner, "nobody there")).await, StoreReply::Conflict);
    let batch = [
        lease(owner, LONG),
        send(owner, "left"),
        lease(owner, Duration::ZERO),
        send(owner, "again"),
    ];
    let expected = [
        StoreReply::Done,
        StoreReply::Done,
        StoreReply::Done,
        StoreReply::Conflict,
    ];
    assert_eq!(subject.ask(batch).await, expected);
    let batch = [lease(owner, LONG), StoreOp::Receive { owner }];
    assert_eq!(subject.ask(batch).await, [StoreReply::Done, StoreReply::Notes(vec![])]);
    let batch = [lease(owner, Duration::from_millis(1)), StoreOp::Receive { owner }];
    assert_eq!(subject.ask(batch).await[0], StoreReply::Done);
    subject.elapse(Duration::from_millis(20)).await;
    assert_eq!(subject.one(send(owner, "too late")).await, StoreReply::Conflict);
}

/// Each owner has a mailbox of its own; who takes the notes has taken them.
pub async fn notes_come_once_and_in_order(subject: &Subject) {
    let (a, b) = (owner(), owner());
    let note: Bytes = (0..=255).cycle().take(512).collect();
    let batch = [
        lease(a, LONG),
        lease(b, LONG),
        send(a, "1"),
        send(b, "other"),
        send(a, note.clone()),
        send(a, ""),
    ];
    assert!(subject.ask(batch).await.iter().all(|reply| *reply == StoreReply::Done));
    assert_eq!(
        subject.store().receive(a).await,
        Some(vec!["1".into(), note, Bytes::new()])
    );
    assert_eq!(
        subject.one(StoreOp::Receive { owner: a }).await,
        StoreReply::Notes(vec![])
    );
    assert_eq!(subject.one(send(a, "2")).await, StoreReply::Done);
    assert_eq!(
        subject.one(StoreOp::Receive { owner: a }).await,
        StoreReply::Notes(vec!["2".into()])
    );
    assert_eq!(subject.store().receive(b).await, Some(vec!["other".into()]));
}

/// How long a wait must not last that a note ends, and how often a machine may be too slow to tell.
const WOKEN: Duration = Duration::from_secs(3);
const TRIES: usize = 20;

/// At once, not at the end of the wait.
pub async fn a_waiting_endpoint_gets_the_note_when_it_comes(subject: &Subject) {
    let owner = owner();
    assert_eq!(subject.one(lease(owner, LONG)).await, StoreReply::Done);
    let mut woken = 0;
    for round in 0..TRIES {
        let watch = Watch::start();
        let waiting = tokio::spawn(subject.store().receive(owner));
        subject.elapse(Duration::from_millis(100)).await;
        let early = waiting.is_finished();
        let note = format!("round {round}");
        assert_eq!(subject.one(send(owner, note.clone())).await, StoreReply::Done);
        let notes = waiting.await.expect("it does not panic");
        if watch.within(WOKEN).is_some() {
            assert!(!early, "nothing was there in round {round}");
            assert_eq!(notes, Some(vec![note.into()]));
            woken += 1;
            if woken == 3 {
                return;
            }
        } else {
            // The wait may have been over before the note came.
            subject.one(StoreOp::Receive { owner }).await;
        }
    }
    panic!("woken {woken} times of {TRIES}; else its wait had to end first");
}

/// Neither other requests nor those who wait for other mailboxes.
pub async fn waiting_for_notes_holds_up_nothing(subject: &Subject) {
    for _ in 0..TRIES {
        if others_are_served_meanwhile(subject).await.is_some() {
            return;
        }
    }
    panic!("others were never served before the waits ended");
}

async fn others_are_served_meanwhile(subject: &Subject) -> Option<()> {
    let watch = Watch::start();
    let waiting: Vec<_> = (0..20)
        .map(|_| tokio::spawn(subject.store().receive(owner())))
        .collect();
    let (key, owner) = (key(), owner());
    subject.elapse(Duration::from_millis(100)).await;
    let batch = [
        put(key, Expect::Absent, live(1, owner, "")),
        lease(owner, LONG),
        send(owner, "quick"),
    ];
    assert_eq!(
        subject.ask(batch).await,
        [StoreReply::Done, StoreReply::Done, StoreReply::Done]
    );
    assert_eq!(subject.store().receive(owner).await, Some(vec!["quick".into()]));
    let wait_still = !waiting.iter().any(|waiting| waiting.is_finished());
    waiting.iter().for_each(|waiting| waiting.abort());
    watch.within(WOKEN)?;
    assert!(wait_still);
    Some(())
}

/// Empty, neither at once nor never.
pub async fn waiting_ends_after_some_seconds(subject: &Subject) {
    let started = std::time::Instant::now();
    let waiting = subject.store().receive(owner());
    let notes = tokio::time::timeout(Duration::from_secs(120), waiting).await;
    assert_eq!(notes.expect("it ends"), Some(Vec::new()));
    assert!(
        started.elapsed() > Duration::from_secs(1),
        "it took only {:?}",
        started.elapsed()
    );
}

/// A mailbox that nobody empties is bounded.
pub async fn a_full_mailbox_loses_its_oldest_note(subject: &Subject) {
    let owner = owner();
    assert_eq!(subject.one(lease(owner, LONG)).await, StoreReply::Done);
    let batch = (0..MAILBOX_NOTES + 2).map(|i| send(owner, i.to_string())).collect();
    let replies = subject.store().submit(batch).await;
    assert!(replies.iter().all(|reply| *reply == StoreReply::Done));
    let mut notes = Vec::new();
    while notes.len() < MAILBOX_NOTES {
        let StoreReply::Notes(some) = subject.one(StoreOp::Receive { owner }).await else {
            panic!("notes are there");
        };
        assert!(!some.is_empty(), "{} notes are missing", MAILBOX_NOTES - notes.len());
        notes.extend(some);
    }
    let expected: Vec<Bytes> = (2..MAILBOX_NOTES + 2).map(|i| i.to_string().into()).collect();
    assert_eq!(notes, expected);
}

/// The whole way of a message from a server: queued, and its session's owner told, if there is one.
pub async fn a_message_to_a_session_is_queued_and_noted(subject: &Subject) {
    let (key, owner) = (key(), owner());
    let mut id = [0xee; 16];
    id[..8].copy_from_slice(&key);
    let send =
        async |message: &'static str| send_to_session(subject.store(), unbroken::SessionId(id), message, LONG).await;
    assert_eq!(send("nobody").await, Err(crate::StoreError::NoSession));
    assert_eq!(
        subject.one(put(key, Expect::Absent, live(1, owner, ""))).await,
        StoreReply::Done
    );
    assert_eq!(
        send("owner without lease").await,
        Ok(crate::Sent { cursor: 1, told: false })
    );
    assert_eq!(subject.one(lease(owner, LONG)).await, StoreReply::Done);
    assert_eq!(send("told").await, Ok(crate::Sent { cursor: 2, told: true }));
    assert_eq!(subject.store().receive(owner).await, Some(vec![mail_note(key)]));
    assert_eq!(
        subject.one(put(key, Expect::Live(1, owner), parked(1, "s"))).await,
        StoreReply::Done
    );
    assert_eq!(send("parked").await, Ok(crate::Sent { cursor: 3, told: false }));
    assert_eq!(
        subject.read(key, 1, 10).await,
        [(2, "told".into()), (3, "parked".into())]
    );
}
