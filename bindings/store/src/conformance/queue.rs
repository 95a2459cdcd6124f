//! Queues of messages to sessions.

use super::*;
use crate::{QUEUE_MESSAGE, QUEUE_MESSAGES};

fn appended(cursor: Cursor, owner: Option<Owner>) -> StoreReply {
    StoreReply::Appended { cursor, owner }
}

/// 1, 2, 3, and read from any place, as many as wanted.
pub async fn messages_are_numbered_from_one(subject: &Subject) {
    let (key, other, owner) = (key(), super::key(), owner());
    let large: Bytes = (0..=255).cycle().take(QUEUE_MESSAGE).collect();
    let batch = [
        put(key, Expect::Absent, live(1, owner, "")),
        put(other, Expect::Absent, live(1, owner, "")),
        append(key, "first"),
        append(other, "another's"),
        append(key, ""),
        append(key, large.clone()),
    ];
    let expected = [
        StoreReply::Done,
        StoreReply::Done,
        appended(1, Some(owner)),
        appended(1, Some(owner)),
        appended(2, Some(owner)),
        appended(3, Some(owner)),
    ];
    assert_eq!(subject.ask(batch).await, expected);
    let all = [(1, "first".into()), (2, Bytes::new()), (3, large)];
    assert_eq!(subject.read(key, 0, 10).await, all);
    assert_eq!(subject.read(key, 0, 10).await, all, "reading takes nothing");
    assert_eq!(subject.read(key, 0, 2).await, all[..2]);
    assert_eq!(subject.read(key, 1, 1).await, all[1..2]);
    assert_eq!(subject.read(key, 2, u32::MAX).await, all[2..]);
    for (after, max) in [(3, 10), (0, 0), (1 << 40, 1), (u64::MAX, 1)] {
        assert_eq!(subject.read(key, after, max).await, [], "after {after}, {max}");
    }
    assert_eq!(subject.read(other, 0, 10).await, [(1, "another's".into())]);
}

/// Live, parked, live elsewhere: one queue; and each append says who has the session.
pub async fn a_queue_outlives_its_owners(subject: &Subject) {
    let (key, a, b) = (key(), owner(), owner());
    let batch = [
        put(key, Expect::Absent, live(1, a, "")),
        append(key, "to a"),
        put(key, Expect::Live(1, a), parked(1, "state")),
        append(key, "parked"),
        put(key, Expect::Parked(1), live(2, b, "")),
        append(key, "to b"),
        put(key, Expect::Live(2, b), live(2, b, "commit")),
        append(key, "to b again"),
    ];
    let owners = [Some(a), None, Some(b), Some(b)];
    let expected = (1..)
        .zip(owners)
        .flat_map(|(at, owner)| [StoreReply::Done, appended(at, owner)]);
    assert_eq!(subject.ask(batch).await.to_vec(), expected.collect::<Vec<_>>());
    let all = [
        (1, "to a".into()),
        (2, "parked".into()),
        (3, "to b".into()),
        (4, "to b again".into()),
    ];
    assert_eq!(subject.read(key, 0, 10).await, all);
}

/// Also when nothing is left.
pub async fn numbers_go_on_after_a_trim(subject: &Subject) {
    let (key, owner) = (key(), owner());
    let fill = [
        put(key, Expect::Absent, live(1, owner, "")),
        append(key, "1"),
        append(key, "2"),
        append(key, "3"),
    ];
    assert_eq!(subject.ask(fill).await[3], appended(3, Some(owner)));
    assert_eq!(subject.one(StoreOp::Trim { key, upto: 2 }).await, StoreReply::Done);
    assert_eq!(subject.read(key, 0, 10).await, [(3, "3".into())]);
    assert_eq!(subject.one(StoreOp::Trim { key, upto: 0 }).await, StoreReply::Done);
    assert_eq!(subject.read(key, 0, 10).await, [(3, "3".into())]);
    assert_eq!(
        subject.one(StoreOp::Trim { key, upto: u64::MAX }).await,
        StoreReply::Done
    );
    assert_eq!(subject.read(key, 0, 10).await, []);
    assert_eq!(
        subject.one(put(key, Expect::Live(1, owner), parked(1, "s"))).await,
        StoreReply::Done
    );
    assert_eq!(subject.one(append(key, "4")).await, appended(4, None));
    assert_eq!(subject.read(key, 0, 10).await, [(4, "4".into())]);
}

/// Each by its own life; the numbers of the others stay, and numbering goes on when all are over.
pub async fn a_message_is_kept_for_its_life(subject: &Subject) {
    let (key, owner) = (key(), owner());
    let brief = |message: &'static str| StoreOp::Append {
        key,
        message: message.into(),
        life: SHORT,
    };
    let fill = [
        put(key, Expect::Absent, live(1, owner, "")),
        brief("1"),
        append(key, "2"),
        brief("3"),
    ];
    let [.., read] = subject.ask(fill).await;
    assert_eq!(read, appended(3, Some(owner)));
    subject.elapse(SHORT).await;
    assert_eq!(subject.read(key, 0, 10).await, [(2, "2".into())]);
    assert_eq!(
        subject.read(key, 0, 1).await,
        [(2, "2".into())],
        "what is over takes no place"
    );
    assert_eq!(subject.one(append(key, "4")).await, appended(4, Some(owner)));
    assert_eq!(subject.read(key, 2, 10).await, [(4, "4".into())]);

    let mut lives = Lives::from(SHORT);
    while an_only_message_is_kept(subject, lives.next()).await.is_none() {}
}

async fn an_only_message_is_kept(subject: &Subject, life: Duration) -> Option<()> {
    let (key, owner, watch) = (key(), owner(), Watch::start());
    let only = StoreOp::Append {
        key,
        message: "only".into(),
        life,
    };
    let fill = [
        put(key, Expect::Absent, live(1, owner, "")),
        only,
        StoreOp::Read { key, after: 0, max: 5 },
    ];
    let [.., read] = subject.ask(fill).await;
    watch.within(life)?;
    assert_eq!(read, StoreReply::Messages(vec![(1, "only".into())]));
    subject.elapse(life).await;
    assert_eq!(subject.read(key, 0, 10).await, []);
    assert_eq!(subject.one(append(key, "next")).await, appended(2, Some(owner)));
    Some(())
}

/// A tomb is no session. (An absent and an expired one are tried elsewhere.)
pub async fn a_session_that_is_not_takes_no_message(subject: &Subject) {
    let (key, owner) = (key(), owner());
    let batch = [
        put(key, Expect::Absent, live(1, owner, "")),
        append(key, "in time"),
        put(key, Expect::Live(1, owner), tomb(1)),
        append(key, "too late"),
    ];
    let expected = [
        StoreReply::Done,
        appended(1, Some(owner)),
        StoreReply::Done,
        StoreReply::NoSession,
    ];
    assert_eq!(subject.ask(batch).await, expected);
}

/// Its bounds are told by a conflict, and it takes messages again when there is room: trimmed, or over.
pub async fn a_full_queue_takes_no_more(subject: &Subject) {
    // Time to fill a queue.
    const FILLING: Duration = Duration::from_secs(3);
    let mut lives = Lives::from(FILLING);
    while it_takes_no_more(subject, lives.next()).await.is_none() {}
}

async fn it_takes_no_more(subject: &Subject, life: Duration) -> Option<()> {
    let (key, owner) = (key(), owner());
    assert_eq!(
        subject.one(put(key, Expect::Absent, live(1, owner, ""))).await,
        StoreReply::Done
    );
    let too_large = Bytes::from(vec![0; QUEUE_MESSAGE + 1]);
    assert_eq!(subject.one(append(key, too_large)).await, StoreReply::Conflict);
    let count = QUEUE_MESSAGES as u64;
    let brief = |_| StoreOp::Append {
        key,
        message: "brief".into(),
        life,
    };
    let watch = Watch::start();
    let fill = (0..count).map(brief).chain([append(key, "one too many")]).collect();
    let mut replies = subject.store().submit(fill).await;
    watch.within(life)?;
    assert_eq!(replies.pop(), Some(StoreReply::Conflict));
    assert!(
        (1..)
            .zip(&replies)
            .all(|(at, reply)| *reply == appended(at, Some(owner))),
        "{replies:?}"
    );

    let batch = [
        StoreOp::Trim { key, upto: 1 },
        append(key, "room"),
        append(key, "none again"),
    ];
    let expected = [StoreReply::Done, appended(count + 1, Some(owner)), StoreReply::Conflict];
    let replies = subject.ask(batch).await;
    watch.within(life)?;
    assert_eq!(replies, expected);
    subject.elapse(life).await;
    assert_eq!(
        subject.one(append(key, "room by time")).await,
        appended(count + 2, Some(owner))
    );
    let left = [(count + 1, "room".into()), (count + 2, "room by time".into())];
    assert_eq!(subject.read(key, 0, 10).await, left);
    Some(())
}

/// Should a key ever come again, it begins anew.
pub async fn a_new_session_has_an_empty_queue(subject: &Subject) {
    let mut lives = Lives::from(SHORT);
    while it_begins_empty(subject, lives.next()).await.is_none() {}
}

async fn it_begins_empty(subject: &Subject, life: Duration) -> Option<()> {
    let (key, owner, watch) = (key(), owner(), Watch::start());
    let brief = put_for(key, Expect::Absent, live(1, owner, ""), life, Duration::ZERO);
    let replies = subject.ask([brief, append(key, "old")]).await;
    watch.within(life)?;
    assert_eq!(replies, [StoreReply::Done, appended(1, Some(owner))]);
    subject.elapse(life).await;
    let batch = [
        put(key, Expect::Absent, live(1, owner, "")),
        StoreOp::Read { key, after: 0, max: 5 },
        append(key, "new"),
        StoreOp::Read { key, after: 0, max: 5 },
    ];
    let expected = [
        StoreReply::Done,
        StoreReply::Messages(vec![]),
        appended(1, Some(owner)),
        StoreReply::Messages(vec![(1, "new".into())]),
    ];
    assert_eq!(subject.ask(batch).await, expected);
    Some(())
}
