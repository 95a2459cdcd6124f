//! Writes that count when they are on the disk, by `WAITAOF`: Valkey, as Debian's Redis is too old for it.

use std::path::PathBuf;
use std::time::Duration;

use unbroken_store::{Confirm, Expect, RedisStore, StoreError, StoreOp, StoreReply, conformance};

use super::server::{Server, eventually, free_port};
use super::{PATIENT, keeping};
use crate::writers::{live, one, put};

fn valkey(options: &[&str]) -> Server {
    let program = std::env::var_os("UNBROKEN_VALKEY_SERVER").map_or("valkey-server".into(), PathBuf::from);
    let port = free_port();
    let own = [&format!("--port {port}"), "--appendonly yes"];
    Server::of(program, port, &[&own, options].concat())
}

async fn connect(server: &Server, replicas: u32) -> RedisStore {
    let builder = RedisStore::builder([server.url()]).timeout(PATIENT);
    let builder = builder.confirm(Confirm::Disk { replicas });
    builder.connect().await.expect("it connects, and offers it")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_confirmed_by_the_disk_passes_the_suite() {
    let server = valkey(&["--appendfsync always"]);
    let store = connect(&server, 0).await;
    conformance::run(keeping(store, server)).await;
}

/// The write is done, but nobody vouches for it.
#[tokio::test]
async fn a_write_that_is_not_on_the_disk_is_not_confirmed() {
    let server = valkey(&["--appendfsync always"]);
    let store = connect(&server, 0).await;
    assert_eq!(
        one(&store, put([1; 8], Expect::Absent, live(1))).await,
        StoreReply::Done
    );
    server.cli(&["CONFIG", "SET", "appendonly", "no"]);
    assert_eq!(
        one(&store, put([2; 8], Expect::Absent, live(1))).await,
        StoreReply::Failed
    );
    server.cli(&["CONFIG", "SET", "appendonly", "yes"]);
    let found = async || one(&store, StoreOp::Peek { key: [2; 8] }).await;
    let mut last = found().await;
    for _ in 0..50 {
        if last != StoreReply::Failed {
            break;
        }
        last = found().await;
    }
    assert!(
        matches!(last, StoreReply::Peeked(Some(_))),
        "it had been done: {last:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_on_no_replicas_disk_is_not_confirmed() {
    let primary = valkey(&["--appendfsync always"]);
    let follow = format!("--replicaof 127.0.0.1 {}", primary.port);
    let mut replica = valkey(&[&follow, "--appendfsync always"]);
    eventually("the replica follows", || {
        primary.tells(&["INFO", "replication"], "state=online")
    });
    // This one waits for what never comes.
    let waiting = RedisStore::builder([primary.url()]).confirm(Confirm::Disk { replicas: 1 });
    let waiting = waiting
        .timeout(Duration::from_secs(8))
        .connect()
        .await
        .expect("it connects");
    let store = connect(&primary, 1).await;
    assert_eq!(
        one(&store, put([1; 8], Expect::Absent, live(1))).await,
        StoreReply::Done
    );
    replica.kill();
    assert_eq!(
        one(&waiting, put([2; 8], Expect::Absent, live(1))).await,
        StoreReply::Failed
    );
}

/// A second is the longest that a log is not synced, and a confirmation waits for that.
#[tokio::test]
async fn a_log_that_is_synced_each_second_confirms_then() {
    let server = valkey(&["--appendfsync everysec"]);
    let store = connect(&server, 0).await;
    for i in 0..3_u64 {
        assert_eq!(
            one(&store, put(i.to_be_bytes(), Expect::Absent, live(1))).await,
            StoreReply::Done
        );
    }
}

/// Such a log is synced when the system likes; nothing would ever be confirmed.
#[tokio::test]
async fn a_log_that_is_never_synced_is_refused_at_once() {
    let server = valkey(&["--appendfsync no"]);
    let builder = RedisStore::builder([server.url()]).confirm(Confirm::Disk { replicas: 0 });
    let error = builder.connect().await.expect_err("it never confirms");
    assert!(matches!(error, StoreError::Option { option: "confirm", .. }), "{error}");
    assert!(error.to_string().contains("appendfsync"), "{error}");
}
