//! Messages from servers to sessions that move.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use unbroken::{Owner, StoreOp, StoreReply};
use unbroken_store::BoxFuture;
use unbroken_tokio::{Bytes, Durability, MemoryStore, Server, ServerConfig, Store, StoreError, send_to_session};

use super::balancer::Balancer;
use super::game::{Games, Player};
use super::member;
use super::moving::sum;
use crate::{LOCAL, cluster, key, soon};

const MAILED: u32 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_comes_once_and_in_order_while_the_session_moves() {
    for durability in [Durability::SwapOut, Durability::Durable] {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let mut servers = Vec::new();
        for _ in 0..2 {
            servers.push(
                member(durability, &store)
                    .serve_sessions(LOCAL, Games::default())
                    .await
                    .unwrap(),
            );
        }
        let balancer = Balancer::start(&[servers[0].local_addr()]).await;
        let mut player = Player::join(balancer.address).await;
        let id = player.id();
        // From a server, and from a process that is none.
        let send = async {
            for number in 0..MAILED {
                let message = number.to_be_bytes().to_vec();
                if number % 2 == 0 {
                    servers[0].send_to_session(id, message).await.unwrap();
                } else {
                    send_to_session(&*store, id, message, Duration::from_secs(60))
                        .await
                        .unwrap();
                }
                if number % 60 == 59 {
                    // Each move by itself: two that fall together are one takeover, or none. The first is to where it is already.
                    let moves = u64::from(number / 60).saturating_sub(1);
                    while sum(&servers, |counters| counters.takeovers).await < moves {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    balancer.send_to(&[servers[(number / 60) as usize % 2].local_addr()]);
                    balancer.cut();
                }
                tokio::time::sleep(Duration::from_millis(4)).await;
            }
        };
        soon(async { tokio::join!(send, player.hear_mail(MAILED)) }).await;
        soon(player.play(3, Duration::ZERO)).await;
        assert_eq!(player.mailed(), MAILED);
        let takeovers = sum(&servers, |counters| counters.takeovers).await;
        assert!(takeovers >= 3, "vacuous: {takeovers} takeovers");
    }
}

/// It waits in the store for whoever takes the session up.
#[tokio::test]
async fn mail_to_a_session_that_is_parked_waits_for_it() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let a = member(Durability::SwapOut, &store)
        .serve_sessions(LOCAL, Games::default())
        .await
        .unwrap();
    let b = member(Durability::SwapOut, &store)
        .serve_sessions(LOCAL, Games::default())
        .await
        .unwrap();
    let balancer = Balancer::start(&[a.local_addr()]).await;
    let mut player = Player::join(balancer.address).await;
    soon(player.play(3, Duration::ZERO)).await;
    balancer.send_to(&[]);
    soon(a.drain(Duration::ZERO)).await.unwrap();
    for number in 0_u32..100 {
        let sent = b
            .send_to_session(player.id(), number.to_be_bytes().to_vec())
            .await
            .unwrap();
        assert!(!sent.told, "nobody has it");
    }
    balancer.send_to(&[b.local_addr()]);
    soon(player.hear_mail(100)).await;
    soon(player.play(3, Duration::ZERO)).await;
}

#[tokio::test]
async fn mail_to_nobody_is_an_error() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let server = member(Durability::SwapOut, &store)
        .serve_sessions(LOCAL, Games::default())
        .await
        .unwrap();
    let player = Player::join(server.local_addr()).await;
    let id = player.id();
    soon(player.client.disconnect(0)).await;
    while server.send_to_session(id, "late").await != Err(StoreError::NoSession) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let config = ServerConfig::builder(key(), cluster()).build().unwrap();
    let alone = Server::builder(config)
        .serve_sessions(LOCAL, Games::default())
        .await
        .unwrap();
    let error = alone.send_to_session(id, "to nowhere").await.unwrap_err();
    assert!(error.to_string().contains("Builder::store"), "{error}");
}

/// Its store breaks once while it waits for notes, and never again.
#[tokio::test]
async fn a_store_that_breaks_once_leaves_no_worker_deaf() {
    let breaks = Brittle::default();
    let broke = breaks.broke.clone();
    let store: Arc<dyn Store> = Arc::new(breaks);
    let server = member(Durability::SwapOut, &store)
        .workers(1)
        .serve_sessions(LOCAL, Games::default())
        .await
        .unwrap();
    let mut player = Player::join(server.local_addr()).await;
    soon(async {
        while !broke.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    server
        .send_to_session(player.id(), 0_u32.to_be_bytes().to_vec())
        .await
        .unwrap();
    soon(player.hear_mail(1)).await;
}

#[derive(Default)]
struct Brittle {
    inner: MemoryStore,
    broke: Arc<AtomicBool>,
}

impl Store for Brittle {
    fn submit(&self, batch: Vec<StoreOp>) -> BoxFuture<Vec<StoreReply>> {
        self.inner.submit(batch)
    }

    fn receive(&self, owner: Owner) -> BoxFuture<Option<Vec<Bytes>>> {
        let (broke, notes) = (self.broke.clone(), self.inner.receive(owner));
        Box::pin(async move {
            assert!(broke.swap(true, Ordering::Relaxed), "this panic is part of the test");
            notes.await
        })
    }

    fn check(&self) -> BoxFuture<Result<(), StoreError>> {
        self.inner.check()
    }
}

/// The session's owner knows of nothing, and nobody else would tell it.
#[tokio::test]
async fn mail_is_heard_of_whose_note_was_lost_with_the_connection_to_the_store() {
    let store: Arc<dyn Store> = Arc::new(Lossy::default());
    let server = member(Durability::SwapOut, &store)
        .workers(1)
        .serve_sessions(LOCAL, Games::default())
        .await
        .unwrap();
    let mut player = Player::join(server.local_addr()).await;
    soon(player.play(3, Duration::ZERO)).await;
    let sent = server
        .send_to_session(player.id(), 0_u32.to_be_bytes().to_vec())
        .await
        .unwrap();
    assert!(sent.told, "the note was left");
    soon(player.hear_mail(1)).await;
}

/// Loses its connection when it has taken the first notes.
#[derive(Default)]
struct Lossy {
    inner: MemoryStore,
    lost: Arc<AtomicBool>,
}

impl Store for Lossy {
    fn submit(&self, batch: Vec<StoreOp>) -> BoxFuture<Vec<StoreReply>> {
        self.inner.submit(batch)
    }

    fn receive(&self, owner: Owner) -> BoxFuture<Option<Vec<Bytes>>> {
        let (lost, notes) = (self.lost.clone(), self.inner.receive(owner));
        Box::pin(async move {
            let notes = notes.await?;
            (notes.is_empty() || lost.swap(true, Ordering::Relaxed)).then_some(notes)
        })
    }

    fn check(&self) -> BoxFuture<Result<(), StoreError>> {
        self.inner.check()
    }
}
