//! What the store says about a Redis, before sessions depend on it.

use std::time::Duration;

use unbroken_store::{Confirm, Expect, RedisStore, Store, StoreError, StoreReply, conformance};

use super::server::Server;
use super::{PATIENT, keeping};
use crate::writers::{live, one, put};

async fn findings(options: &[&str], confirm: Confirm) -> Vec<String> {
    let server = Server::with(options);
    let store = RedisStore::builder([server.url()])
        .confirm(confirm)
        .connect()
        .await
        .expect("it connects");
    match store.check().await {
        Ok(()) => Vec::new(),
        Err(StoreError::Forgets { findings, .. }) => findings,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_redis_that_may_forget_is_told_with_the_remedy() {
    assert_eq!(
        findings(&["--appendonly yes", "--appendfsync always"], Confirm::Primary).await,
        [""; 0]
    );

    let evicts = [
        "--appendonly yes",
        "--appendfsync always",
        "--maxmemory-policy allkeys-lru",
    ];
    let [finding] = &findings(&evicts, Confirm::Primary).await[..] else {
        panic!("one finding");
    };
    assert!(
        finding.contains("allkeys-lru") && finding.contains("set it to noeviction"),
        "{finding}"
    );

    let [finding] = &findings(&["--appendonly no"], Confirm::Primary).await[..] else {
        panic!("one finding");
    };
    assert!(
        finding.contains("appendonly is no") && finding.contains("set it to yes"),
        "{finding}"
    );

    let lazy = [
        "--appendonly yes",
        "--appendfsync everysec",
        "--maxmemory-policy volatile-ttl",
    ];
    let [eviction, lazy] = &findings(&lazy, Confirm::Primary).await[..] else {
        panic!("two findings");
    };
    assert!(
        eviction.contains("volatile-ttl") && lazy.contains("everysec") && lazy.contains("always"),
        "{lazy}"
    );
}

#[tokio::test]
async fn options_that_cannot_be_are_refused() {
    let refused = async |builder: unbroken_store::RedisBuilder, option: &str, says: &str| {
        let error = builder.connect().await.expect_err("it is refused");
        assert!(
            matches!(&error, StoreError::Option { option: name, .. } if *name == option),
            "{error}"
        );
        assert!(error.to_string().contains(says), "{error}");
    };
    let url = || RedisStore::builder(["redis://127.0.0.1:1"]);
    refused(RedisStore::builder([""; 0]), "url", "at least one").await;
    refused(RedisStore::builder(["http://127.0.0.1"]), "url", "redis://").await;
    refused(RedisStore::builder(["redis://a", "redis://b"]), "url", "sentinel").await;
    refused(url().prefix("{mine}"), "prefix", "{mine}").await;
    refused(url().timeout(Duration::from_millis(1)), "timeout", "1ms").await;
    refused(
        url().cluster().confirm(Confirm::Replicas(1)),
        "confirm",
        "not with a cluster",
    )
    .await;
}

#[tokio::test]
async fn a_redis_that_is_not_there_is_named() {
    let timeout = Duration::from_millis(500);
    let error = RedisStore::builder(["redis://127.0.0.1:1"])
        .timeout(timeout)
        .connect()
        .await
        .expect_err("nobody is there");
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    assert!(
        error.to_string().contains("127.0.0.1:1") && error.to_string().contains("refused"),
        "{error}"
    );
}

#[tokio::test]
async fn user_password_and_database_stand_in_the_url() {
    let server = Server::with(&["--appendonly yes", "--appendfsync always", "--requirepass secret"]);
    let port = server.port;
    let key = [1; 8];
    let store = RedisStore::builder([format!("redis://:secret@127.0.0.1:{port}/3")])
        .prefix("game:")
        .connect()
        .await
        .expect("it connects");
    let put = put(key, Expect::Absent, live(1));
    assert_eq!(one(&store, put).await, StoreReply::Done);
    let keys = server.cli(&["-a", "secret", "--no-auth-warning", "-n", "3", "KEYS", "*"]);
    assert_eq!(keys, "game:{0101010101010101}:record");

    for url in [
        format!("redis://127.0.0.1:{port}"),
        format!("redis://:wrong@127.0.0.1:{port}"),
    ] {
        let error = RedisStore::builder([url])
            .timeout(Duration::from_secs(1))
            .connect()
            .await
            .expect_err("no entry");
        assert!(matches!(error, StoreError::Refused { .. }), "{error}");
        assert!(
            !error.to_string().contains("wrong@") && error.to_string().contains("password"),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rights_that_the_readme_names_for_a_user_are_enough() {
    let server = Server::start();
    server.admit(&[]);
    let url = format!("redis://game:secret@127.0.0.1:{}", server.port);
    let store = RedisStore::builder([url])
        .timeout(PATIENT)
        .connect()
        .await
        .expect("it connects");
    assert_eq!(store.check().await, Ok(()));
    conformance::run(keeping(store, server)).await;
}

/// Debian's Redis 7.0 has no WAITAOF: the option is refused when the store is opened, not when the first session is lost. Newer ones offer it.
#[tokio::test]
async fn a_confirmation_that_is_not_offered_is_refused_at_once() {
    let server = Server::with(&["--appendonly no"]);
    let builder = RedisStore::builder([server.url()]).confirm(Confirm::Disk { replicas: 0 });
    let error = builder.connect().await.expect_err("there is no log to sync");
    assert!(matches!(error, StoreError::Option { option: "confirm", .. }), "{error}");
    assert!(
        error.to_string().contains("7.2") && error.to_string().contains("appendonly"),
        "{error}"
    );
}
