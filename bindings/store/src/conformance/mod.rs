//! What every store must do, as tests that any [`Store`] can be put through (feature `conformance`).
//!
//! ```ignore
//! unbroken_store::conformance::suite!(async || Subject::new(MemoryStore::new()));
//! ```
//! makes a tokio test of each. Each case uses keys of its own, so one store may serve them all at the same time, and one that other
//! tests use as well.

mod mail;
mod queue;
mod record;
mod together;

use std::sync::Arc;
use std::time::{Duration, Instant};

use unbroken::{Cursor, Expect, Owner, Peeked, Record, StoreKey, StoreOp, StoreReply};

use crate::{BoxFuture, Bytes, Store};

pub use mail::*;
pub use queue::*;
pub use record::*;
pub use together::*;

/// A life that no case outlives.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// A life that cases wait for; for those that have to do something within it, see [`Lives`].
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// The store's clock is another than the one that cases wait by, and may be a little behind.
const CLOCKS: Duration = Duration::from_millis(20);

/// How many cases [`run`] runs at the same time: some wait most of the time, some measure how long something takes.
const AT_A_TIME: usize = 4;

/// A store under test, and how its time passes.
#[derive(Clone)]
pub struct Subject {
    store: Arc<dyn Store>,
    elapse: Arc<dyn Fn(Duration) -> BoxFuture<()> + Send + Sync>,
}

impl Subject {
    /// A store whose clock is the world's.
    pub fn new(store: impl Store) -> Self {
        Subject::with_clock(store, |time| Box::pin(pass(time)))
    }

    /// A store whose clock `elapse` moves on.
    pub fn with_clock(store: impl Store, elapse: impl Fn(Duration) -> BoxFuture<()> + Send + Sync + 'static) -> Self {
        Subject {
            store: Arc::new(store),
            elapse: Arc::new(elapse),
        }
    }

    /// The store.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(crate) async fn elapse(&self, time: Duration) {
        (self.elapse)(time).await;
    }

    pub(crate) async fn ask<const N: usize>(&self, batch: [StoreOp; N]) -> [StoreReply; N] {
        let replies = self.store.submit(batch.into()).await;
        let count = replies.len();
        replies
            .try_into()
            .unwrap_or_else(|_| panic!("{count} replies to {N} requests"))
    }

    pub(crate) async fn one(&self, op: StoreOp) -> StoreReply {
        let [reply] = self.ask([op]).await;
        reply
    }

    pub(crate) async fn peek(&self, key: StoreKey) -> Option<Peeked> {
        match self.one(StoreOp::Peek { key }).await {
            StoreReply::Peeked(found) => found,
            other => panic!("a peek is answered by {other:?}"),
        }
    }

    pub(crate) async fn record(&self, key: StoreKey) -> Option<Record> {
        self.peek(key).await.map(|found| found.record)
    }

    pub(crate) async fn read(&self, key: StoreKey, after: Cursor, max: u32) -> Vec<(Cursor, Bytes)> {
        match self.one(StoreOp::Read { key, after, max }).await {
            StoreReply::Messages(messages) => messages,
            other => panic!("a read is answered by {other:?}"),
        }
    }
}

/// Waits until so much time has passed by the clock of the world, and so by that of any store on this machine.
pub async fn pass(time: Duration) {
    tokio::time::sleep(time + CLOCKS).await;
}

/// Lives for a case that has to do something while one lasts. A machine that is too slow for it proves nothing about the store: the case says so by `None`, and
/// is run again with a longer life.
pub(crate) struct Lives(Duration);

impl Lives {
    /// The first is this long.
    pub(crate) fn from(first: Duration) -> Self {
        Lives(first)
    }

    pub(crate) fn next(&mut self) -> Duration {
        let life = self.0;
        assert!(life < LONG, "nothing can be done here within {:?}", life / 3);
        self.0 = 3 * life;
        life
    }
}

/// Says whether what was done since was done within a life, with certainty.
pub(crate) struct Watch(Instant);

impl Watch {
    pub(crate) fn start() -> Self {
        Watch(Instant::now())
    }

    pub(crate) fn within(&self, life: Duration) -> Option<()> {
        (self.0.elapsed() + CLOCKS < life).then_some(())
    }
}

/// A key that no other case has.
pub(crate) fn key() -> StoreKey {
    fastrand::u64(..).to_be_bytes()
}

/// An owner that no other case has.
pub(crate) fn owner() -> Owner {
    Owner(fastrand::u128(..).to_be_bytes())
}

pub(crate) fn live(token: u64, owner: Owner, blob: impl Into<Bytes>) -> Record {
    let blob = blob.into();
    Record::Live { token, owner, blob }
}

pub(crate) fn parked(token: u64, blob: impl Into<Bytes>) -> Record {
    let blob = blob.into();
    Record::Parked { token, blob }
}

pub(crate) fn tomb(token: u64) -> Record {
    let blob = "why".into();
    Record::Tomb { token, blob }
}

/// A write that outlives the case.
pub(crate) fn put(key: StoreKey, expect: Expect, record: Record) -> StoreOp {
    put_for(key, expect, record, LONG, LONG)
}

pub(crate) fn put_for(key: StoreKey, expect: Expect, record: Record, life: Duration, linger: Duration) -> StoreOp {
    StoreOp::Put {
        key,
        expect,
        record,
        life,
        linger,
    }
}

pub(crate) fn append(key: StoreKey, message: impl Into<Bytes>) -> StoreOp {
    let (message, life) = (message.into(), LONG);
    StoreOp::Append { key, message, life }
}

pub(crate) fn lease(owner: Owner, life: Duration) -> StoreOp {
    StoreOp::Lease { owner, life }
}

/// All cases, a few at the same time, for a store that is dear to open.
///
/// # Panics
/// With the name of the case that failed.
pub async fn run(subject: Subject) {
    let turns = Arc::new(tokio::sync::Semaphore::new(AT_A_TIME));
    let cases = suite!(all subject turns);
    assert!(!cases.is_empty());
    for (name, case) in cases {
        if let Err(error) = case.await {
            panic!("{name}: {error}");
        }
    }
}

/// `suite!(async || subject)` makes a tokio test of each case, with the subject that the closure opens.
#[macro_export]
#[doc(hidden)]
macro_rules! conformance_suite {
    (@each $then:ident $with:tt) => {
        $crate::conformance_suite! { @$then $with;
            absent_is_absent a_record_is_replaced_only_if_it_is_as_expected what_was_put_is_found_as_it_was
            a_live_record_and_a_tomb_are_gone_when_their_life_is_over
            a_parked_record_expires_and_is_gone_after_that a_new_life_begins_with_each_put
            a_user_is_bound_to_one_session
            an_owner_is_alive_while_its_lease_stands a_note_needs_a_lease
            notes_come_once_and_in_order a_waiting_endpoint_gets_the_note_when_it_comes
            waiting_for_notes_holds_up_nothing waiting_ends_after_some_seconds
            a_full_mailbox_loses_its_oldest_note a_message_to_a_session_is_queued_and_noted
            messages_are_numbered_from_one a_queue_outlives_its_owners numbers_go_on_after_a_trim
            a_message_is_kept_for_its_life a_session_that_is_not_takes_no_message
            a_full_queue_takes_no_more a_new_session_has_an_empty_queue
            of_a_hundred_claims_one_succeeds requests_about_a_key_keep_their_order
            a_large_batch_is_answered_in_order what_nobody_waits_for_is_done_all_the_same
            an_empty_batch_is_nothing random_requests_are_answered_as_the_memory_store_does
        }
    };
    (@tests $open:expr; $($case:ident)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                let open = $open;
                $crate::conformance::$case(&open().await).await;
            }
        )*
    };
    (@tasks ($subject:ident, $turns:ident); $($case:ident)*) => {
        [$({
            let (subject, turns) = ($subject.clone(), $turns.clone());
            let case = async move {
                let _turn = turns.acquire().await;
                $case(&subject).await;
            };
            (stringify!($case), tokio::spawn(case))
        }),*]
    };
    (all $subject:ident $turns:ident) => { $crate::conformance_suite!(@each tasks ($subject, $turns)) };
    ($open:expr) => { $crate::conformance_suite! { @each tests ($open) } };
}

pub use crate::conformance_suite as suite;
