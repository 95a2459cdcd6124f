//! Writers that know what was confirmed to them, to be asked after crashes.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use unbroken_store::{Bytes, Expect, Owner, Record, Store, StoreKey, StoreOp, StoreReply};

const LONG: Duration = Duration::from_secs(600);

pub const OWNER: Owner = Owner([5; 16]);

pub fn live(token: u64) -> Record {
    let blob = token.to_string().repeat(20).into();
    Record::Live {
        token,
        owner: OWNER,
        blob,
    }
}

pub fn put(key: StoreKey, expect: Expect, record: Record) -> StoreOp {
    StoreOp::Put {
        key,
        expect,
        record,
        life: LONG,
        linger: LONG,
    }
}

pub fn append(key: StoreKey, message: u64) -> StoreOp {
    StoreOp::Append {
        key,
        message: message.to_string().into(),
        life: LONG,
    }
}

pub async fn one(store: &dyn Store, op: StoreOp) -> StoreReply {
    store.submit(vec![op]).await.pop().expect("one reply")
}

/// Has this many sessions written at the same time, for at least this long, while `crash` is done again and again, at least four times; then asks whether all
/// that was confirmed is there, and nothing twice. A run in which not at least `least` writes were confirmed, or none failed, has shown nothing.
pub async fn under_fire(store: impl Store + Clone, sessions: u64, time: Duration, least: u64, mut crash: impl FnMut()) {
    let (until, over) = (Instant::now() + time, Arc::new(AtomicBool::new(false)));
    let keys = || (1..=sessions).map(u64::to_be_bytes);
    let writers: Vec<_> = keys()
        .map(|key| tokio::spawn(write_on(store.clone(), key, over.clone())))
        .collect();
    let mut crashes = 0;
    // On a busy machine a start may take seconds.
    while crashes < 4 || Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(200..900))).await;
        tokio::task::block_in_place(&mut crash);
        crashes += 1;
    }
    over.store(true, Ordering::Relaxed);
    let (mut confirmed, mut failed) = (0, 0);
    for (writer, key) in writers.into_iter().zip(keys()) {
        let known = writer.await.expect("it lost nothing");
        confirmed += known.writes;
        failed += known.failures;
        verify(&store, key, &known).await;
    }
    println!("{crashes} crashes, {confirmed} writes confirmed, {failed} not known");
    assert!(
        confirmed > least && failed > 0,
        "{crashes} crashes, {confirmed} confirmed, {failed} failed: nothing was shown"
    );
}

/// What a writer knows.
#[derive(Default)]
struct Known {
    /// The token that was confirmed last, and the last that may have been written.
    confirmed: u64,
    tried: u64,
    /// The messages that were confirmed.
    queued: Vec<u64>,
    writes: u64,
    failures: u64,
}

/// Writes to a session as its owner does, on and on: commits and messages, each after the one before. After a failure it looks what is there.
async fn write_on(store: impl Store, key: StoreKey, over: Arc<AtomicBool>) -> Known {
    let mut known = Known::default();
    while !over.load(Ordering::Relaxed) {
        let next = known.tried + 1;
        let expect = match known.confirmed {
            0 => Expect::Absent,
            last => Expect::Live(last, OWNER),
        };
        known.tried = next;
        let replies = store
            .submit(vec![put(key, expect, live(next)), append(key, next)])
            .await;
        match &replies[..] {
            [StoreReply::Done, queued] => {
                known.confirmed = next;
                known.writes += 1;
                if matches!(queued, StoreReply::Appended { .. }) {
                    known.queued.push(next);
                }
            }
            // It was certainly not done: another that expects the same can be.
            [StoreReply::Unavailable, behind] => {
                assert_eq!(*behind, StoreReply::Unavailable, "its turn comes after");
                known.failures += 1;
            }
            [StoreReply::Failed, _] => {
                known.failures += 1;
                let there = found(&store, key).await.map_or(0, |record| record.token());
                assert!(
                    (known.confirmed..=known.tried).contains(&there),
                    "{} was confirmed, {there} is there",
                    known.confirmed
                );
                known.confirmed = there;
            }
            other => panic!("after {} came {other:?}: something was done twice", known.confirmed),
        }
    }
    known
}

/// The record, asked for until there is an answer.
async fn found(store: &impl Store, key: StoreKey) -> Option<Record> {
    for _ in 0..100 {
        if let StoreReply::Peeked(found) = one(store, StoreOp::Peek { key }).await {
            return found.map(|found| found.record);
        }
    }
    panic!("the store does not come back");
}

async fn verify(store: &impl Store, key: StoreKey, known: &Known) {
    let record = found(store, key).await.expect("the session is there");
    assert_eq!(record, live(record.token()));
    assert!(
        (known.confirmed..=known.tried).contains(&record.token()),
        "{} was confirmed, {record:?}",
        known.confirmed
    );
    let read = StoreOp::Read {
        key,
        after: 0,
        max: u32::MAX,
    };
    let StoreReply::Messages(messages) = one(store, read).await else {
        panic!("the queue cannot be read");
    };
    let distinct: HashSet<&Bytes> = messages.iter().map(|(_, message)| message).collect();
    assert_eq!(distinct.len(), messages.len(), "a message is there twice");
    for message in &known.queued {
        assert!(
            distinct.contains(&Bytes::from(message.to_string())),
            "message {message} was confirmed"
        );
    }
}
