//! A connection that breaks on the server's side only, while that waits for notes: the store waits on, and what comes then goes to nobody.

use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use unbroken_store::{MemoryStore, Owner, RedisStore, RemoteStore, Store, StoreOp, StoreReply, StoreServer};

use crate::redis::server::Server;
use crate::writers::one;

const OWNER: Owner = Owner([8; 16]);

/// Between a store and its user, until it is cut: then it hangs up on the user and not on the store.
struct Relay {
    address: String,
    cut: watch::Sender<()>,
}

impl Relay {
    async fn to(store: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (cut, was_cut) = watch::channel(());
        tokio::spawn(async move {
            loop {
                let (mut user, _) = listener.accept().await.expect("it listens");
                let mut there = TcpStream::connect(&store).await.expect("the store listens");
                let mut was_cut = was_cut.clone();
                was_cut.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = copy_bidirectional(&mut user, &mut there) => return,
                        _ = was_cut.changed() => {}
                    }
                    drop(user);
                    // For as long as the test lasts.
                    sleep(Duration::from_secs(600)).await;
                    drop(there);
                });
            }
        });
        Relay { address, cut }
    }
}

/// `user` reaches the store through the relay, `other` by itself.
async fn whoever_may_have_missed_a_note_is_told(user: impl Store, other: impl Store, relay: Relay) {
    let note = || StoreOp::Send {
        to: OWNER,
        note: "a note".into(),
    };
    let life = Duration::from_secs(60);
    assert_eq!(
        one(&other, StoreOp::Lease { owner: OWNER, life }).await,
        StoreReply::Done
    );
    let waiting = tokio::spawn(user.receive(OWNER));
    sleep(Duration::from_millis(300)).await;
    relay.cut.send_replace(());
    assert_eq!(waiting.await.expect("it does not panic"), None, "notes may be gone");
    let broken = Instant::now();
    assert_eq!(one(&other, note()).await, StoreReply::Done);
    let mut told_again = false;
    while broken.elapsed() < Duration::from_secs(12) {
        let notes = timeout(Duration::from_secs(20), user.receive(OWNER))
            .await
            .expect("it never hangs");
        match notes {
            None => told_again = true,
            Some(notes) => assert!(notes.is_empty(), "the old wait has not taken it: this shows nothing"),
        }
    }
    assert!(told_again, "the note is gone, and nobody was told");
    // Once only, and what comes now is received.
    assert_eq!(one(&other, note()).await, StoreReply::Done);
    assert_eq!(user.receive(OWNER).await, Some(vec!["a note".into()]));
}

#[tokio::test]
async fn of_a_store_process() {
    let memory = MemoryStore::new();
    let server = StoreServer::builder(memory.clone())
        .bind("127.0.0.1:0")
        .await
        .expect("it listens");
    let relay = Relay::to(server.address()).await;
    tokio::spawn(server.serve_until(std::future::pending()));
    let user = RemoteStore::connect(&relay.address).await.expect("it connects");
    whoever_may_have_missed_a_note_is_told(user, memory, relay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_redis() {
    let server = Server::start();
    let relay = Relay::to(format!("127.0.0.1:{}", server.port)).await;
    let other = RedisStore::connect(&server.url()).await.expect("it connects");
    let user = RedisStore::connect(&format!("redis://{}", relay.address))
        .await
        .expect("it connects");
    whoever_may_have_missed_a_note_is_told(user, other, relay).await;
}
