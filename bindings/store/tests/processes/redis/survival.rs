//! Redis crashes, forgets its scripts, or is away: nothing confirmed is lost, nothing is done twice, and nothing hangs.

use std::time::{Duration, Instant};

use unbroken_store::{Confirm, Expect, RedisStore, Store, StoreError, StoreOp, StoreReply};

use super::PATIENT;
use super::server::Server;
use crate::writers::{OWNER, append, live, one, put, under_fire};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_confirmed_is_lost_when_redis_is_killed() {
    let mut server = Server::start();
    let store = RedisStore::connect(&server.url()).await.expect("it connects");
    under_fire(store, 100, Duration::from_secs(8), 1000, || {
        server.cli(&["SCRIPT", "FLUSH"]);
        server.restart();
    })
    .await;
}

#[tokio::test]
async fn scripts_that_were_forgotten_are_told_again() {
    let server = Server::start();
    let store = RedisStore::connect(&server.url()).await.expect("it connects");
    let key = *b"scripted";
    for token in 0..20 {
        server.cli(&["SCRIPT", "FLUSH"]);
        let expect = if token == 0 {
            Expect::Absent
        } else {
            Expect::Live(token - 1, OWNER)
        };
        let batch = vec![put(key, expect, live(token)), append(key, token), StoreOp::Peek { key }];
        assert!(matches!(
            store.submit(batch).await[..],
            [
                StoreReply::Done,
                StoreReply::Appended { .. },
                StoreReply::Peeked(Some(_))
            ]
        ));
    }
}

/// Nobody hangs. What was on its way when it went away may have been done; what is asked for later is not; and when Redis is back, so is the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_away_or_asleep_is_told_from_one_that_did_it() {
    let mut server = Server::start();
    let timeout = Duration::from_secs(1);
    let store = RedisStore::builder([server.url()])
        .timeout(timeout)
        .connect()
        .await
        .expect("it connects");
    let ask = async |what: &str| {
        let batch = vec![StoreOp::Peek { key: [1; 8] }, append([1; 8], 1), append([2; 8], 1)];
        let replies = tokio::time::timeout(Duration::from_secs(60), store.submit(batch)).await;
        replies.unwrap_or_else(|_| panic!("{what}: it hangs"))
    };
    server.kill();
    let unanswered = |reply: &StoreReply| matches!(reply, StoreReply::Failed | StoreReply::Unavailable);
    let replies = ask("away").await;
    assert!(replies.iter().all(unanswered), "{replies:?}");
    // By now each of these connections is known to be lost, and there is nobody to connect to.
    assert_eq!(ask("away").await, vec![StoreReply::Unavailable; 3]);
    let error = store.check().await.expect_err("it is away");
    assert!(
        matches!(error, StoreError::Unreachable { .. }) && error.to_string().contains(&server.port.to_string()),
        "{error}"
    );
    let waited = Instant::now();
    assert_eq!(store.receive(OWNER).await, None);
    assert!(
        waited.elapsed() >= Duration::from_secs(1),
        "whoever waits for notes in a loop must not spin"
    );
    server.restart();
    assert_eq!(
        one(&store, put([1; 8], Expect::Absent, live(1))).await,
        StoreReply::Done
    );

    // It takes what comes by the connection that stands and answers nothing: that may be done when it wakes up. What is behind it in its line was not sent; nor is what
    // needs a connection first, if it does.
    server.signal("STOP");
    let replies = ask("asleep").await;
    assert_eq!(replies[..2], [StoreReply::Failed, StoreReply::Unavailable]);
    assert!(unanswered(&replies[2]), "{replies:?}");
    server.signal("CONT");
    let again = || put([1; 8], Expect::Live(1, OWNER), live(2));
    let mut last = one(&store, again()).await;
    for _ in 0..20 {
        if !unanswered(&last) {
            break;
        }
        last = one(&store, again()).await;
    }
    assert!(matches!(last, StoreReply::Done | StoreReply::Conflict), "{last:?}");
    let StoreReply::Peeked(Some(found)) = one(&store, StoreOp::Peek { key: [1; 8] }).await else {
        panic!("it is there");
    };
    assert_eq!(found.record, live(2));
    // Each of its connections may have to be found dead first.
    let mut checked = store.check().await;
    for _ in 0..20 {
        if checked.is_ok() {
            break;
        }
        checked = store.check().await;
    }
    assert_eq!(checked, Ok(()));
}

/// A full memory is told, and nothing is thrown away for it.
#[tokio::test]
async fn a_redis_without_memory_left_says_so_and_forgets_nothing() {
    let server = Server::with(&[
        "--appendonly yes",
        "--appendfsync always",
        "--maxmemory-policy noeviction",
    ]);
    let store = RedisStore::connect(&server.url()).await.expect("it connects");
    assert_eq!(
        one(&store, put([1; 8], Expect::Absent, live(1))).await,
        StoreReply::Done
    );
    server.cli(&["CONFIG", "SET", "maxmemory", "1mb"]);
    assert_eq!(
        one(&store, put([2; 8], Expect::Absent, live(1))).await,
        StoreReply::Unavailable,
        "it says so, and has not done it"
    );
    assert!(matches!(
        one(&store, StoreOp::Peek { key: [1; 8] }).await,
        StoreReply::Peeked(Some(_))
    ));
    assert_eq!(
        one(&store, StoreOp::Peek { key: [2; 8] }).await,
        StoreReply::Peeked(None)
    );
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(
        one(&store, put([2; 8], Expect::Absent, live(1))).await,
        StoreReply::Done
    );
}

/// A write counts only if a replica has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_no_replica_has_is_not_confirmed() {
    let primary = Server::start();
    let mut replica = Server::replica_of(&primary);
    let builder = RedisStore::builder([primary.url()])
        .timeout(Duration::from_secs(1))
        .confirm(Confirm::Replicas(1));
    let store = builder.clone().connect().await.expect("it connects");
    // What must come is waited for as long as a busy machine needs, what must not is soon given up.
    let patient = builder.timeout(PATIENT).connect().await.expect("it connects");
    for i in 0..50_u64 {
        assert_eq!(
            one(&patient, put(i.to_be_bytes(), Expect::Absent, live(1))).await,
            StoreReply::Done
        );
    }
    replica.kill();
    assert_eq!(
        one(&store, put([9; 8], Expect::Absent, live(1))).await,
        StoreReply::Failed
    );
    tokio::task::block_in_place(|| replica.restart());
    let found = async || one(&store, StoreOp::Peek { key: [9; 8] }).await;
    let mut last = found().await;
    for _ in 0..50 {
        if !matches!(last, StoreReply::Failed | StoreReply::Unavailable) {
            break;
        }
        last = found().await;
    }
    assert!(
        matches!(last, StoreReply::Peeked(Some(_))),
        "it had been done, and a replica has it now: {last:?}"
    );
}
