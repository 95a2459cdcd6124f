//! The planned end of a server: nobody is lost, or it does not leave.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use unbroken::{Owner, Peeked, Record, StoreOp, StoreReply};
use unbroken_store::BoxFuture;
use unbroken_tokio::server::{Drain, probe};
use unbroken_tokio::{
    Bytes, DrainError, Durability, End, MemoryStore, Server, ServerConfig, SessionId, Store, StoreError,
};

use super::balancer::Balancer;
use super::game::{Games, Player};
use super::member;
use super::switch::Switch;
use crate::{LOCAL, cluster, key, soon};

const PLAYERS: usize = 200;

/// Parks a session after eleven seconds, for which its time-out leaves it the time.
#[derive(Clone, Default)]
struct Slow {
    inner: MemoryStore,
    /// How often it was asked to.
    asked: Arc<AtomicUsize>,
}

impl Store for Slow {
    fn submit(&self, batch: Vec<StoreOp>) -> BoxFuture<Vec<StoreReply>> {
        let parks = |op: &StoreOp| matches!(op, StoreOp::Put { record, .. } if matches!(record, Record::Parked { .. }));
        if !batch.iter().any(parks) {
            return self.inner.submit(batch);
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        let inner = self.inner.clone();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(11)).await;
            inner.submit(batch).await
        })
    }

    fn receive(&self, owner: Owner) -> BoxFuture<Option<Vec<Bytes>>> {
        self.inner.receive(owner)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }

    fn check(&self) -> BoxFuture<Result<(), StoreError>> {
        self.inner.check()
    }
}

/// What a store does within its own time-out is not taken for failed before, nor asked for again.
#[tokio::test]
async fn a_store_has_the_time_that_it_says_it_may_need() {
    let slow = Slow::default();
    let store: Arc<dyn Store> = Arc::new(slow.clone());
    let server = member(Durability::SwapOut, &store).serve_sessions(LOCAL, Games::default());
    let server = server.await.unwrap();
    let mut player = Player::join(server.local_addr()).await;
    soon(player.play(3, Duration::ZERO)).await;
    let how = Drain::within(Duration::ZERO).deadline(Duration::from_secs(25));
    let drained = soon(server.drain_with(how)).await.unwrap();
    assert_eq!((drained.swapped_out, slow.asked.load(Ordering::SeqCst)), (1, 1));
}

/// Two hundred play, their server leaves: those who move in time are fetched by the other server, the rest is swapped out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_leaves_and_two_hundred_players_notice_a_pause_at_most() {
    // On a busy machine the first window may be over before anybody could move.
    let mut window = Duration::from_millis(800);
    while everybody_moves(window).await == 0 {
        window *= 4;
        assert!(window < Duration::from_secs(20), "vacuous: nobody moved by himself");
    }
    everybody_moves(Duration::ZERO).await;
}

/// How many moved by themselves within the window.
async fn everybody_moves(window: Duration) -> u64 {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (from, to) = (Games::default(), Games::default());
    let a = member(Durability::SwapOut, &store).serve_sessions(LOCAL, from.clone());
    let a = a.await.unwrap();
    let b = member(Durability::SwapOut, &store).serve_sessions(LOCAL, to.clone());
    let b = b.await.unwrap();
    let balancer = Balancer::start(&[a.local_addr()]).await;
    let mut players = JoinSet::new();
    for _ in 0..PLAYERS {
        let address = balancer.address;
        players.spawn(async move {
            let mut player = Player::join(address).await;
            player.play(100, Duration::from_millis(20)).await;
            player.client
        });
    }
    while from.opened() < PLAYERS {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    balancer.send_to(&[b.local_addr()]);
    assert!(a.is_ready());
    let (drained, ()) = tokio::join!(soon(a.drain(window)), async {
        tokio::task::yield_now().await;
        while a.is_ready() {
            tokio::task::yield_now().await;
        }
    });
    let drained = drained.unwrap();
    assert_eq!(drained.moved + drained.swapped_out, PLAYERS as u64, "{drained:?}");
    assert!(!a.is_ready());
    assert_eq!((from.ended(End::SwappedOut), from.ends().len()), (PLAYERS, PLAYERS));
    soon(a.shutdown(0, Duration::from_secs(5))).await;
    let clients = soon(players.join_all()).await;
    // Who had played to his end before the server left comes over as well; nobody waits for him but this.
    soon(async {
        while to.restored().len() < PLAYERS || clients.iter().any(|client| client.stats().handovers == 0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(to.restored().len(), PLAYERS);
    assert_eq!(
        b.stats().await.iter().map(|worker| worker.sessions).sum::<usize>(),
        PLAYERS
    );
    drained.moved
}

/// The only server, restarted: who comes meanwhile waits.
#[tokio::test]
async fn nobody_is_let_in_by_a_server_that_leaves() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let server = member(Durability::SwapOut, &store).serve_sessions(LOCAL, Games::default());
    let server = server.await.unwrap();
    let mut player = Player::join(server.local_addr()).await;
    soon(player.play(3, Duration::ZERO)).await;
    soon(server.drain(Duration::ZERO)).await.unwrap();
    let balancer = Balancer::start(&[server.local_addr()]).await;
    let late = tokio::spawn(Player::join(balancer.address));
    // It has been turned away more than once when it is let in elsewhere.
    while balancer.carried.load(Ordering::Relaxed) < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!late.is_finished());
    assert_eq!(
        server.stats().await.iter().map(|worker| worker.sessions).sum::<usize>(),
        0
    );
    let other = member(Durability::SwapOut, &store).serve_sessions(LOCAL, Games::default());
    let other = other.await.unwrap();
    balancer.send_to(&[other.local_addr()]);
    soon(soon(late).await.unwrap().play(3, Duration::ZERO)).await;
}

#[tokio::test]
async fn f87_a_server_whose_store_is_down_refuses_to_leave_and_goes_on_serving() {
    let switch = Switch::default();
    let store: Arc<dyn Store> = Arc::new(switch.clone());
    let games = Games::default();
    let server = member(Durability::SwapOut, &store).serve_sessions(LOCAL, games.clone());
    let server = server.await.unwrap();
    let mut player = Player::join(server.local_addr()).await;
    soon(player.play(3, Duration::ZERO)).await;

    // Before it began.
    switch.set_down(true);
    let refused = soon(server.drain(Duration::ZERO)).await.unwrap_err();
    assert!(matches!(refused, DrainError::Store(_)), "{refused}");
    assert!(refused.to_string().contains("still serving"), "{refused}");
    assert!(server.is_ready());
    soon(player.play(3, Duration::ZERO)).await;

    // While it goes on.
    switch.set_down(false);
    let progress = Arc::new(Mutex::new(Vec::new()));
    let (told, off) = (progress.clone(), switch.clone());
    let how = Drain::within(Duration::from_millis(1500))
        .deadline(Duration::from_millis(1500))
        .on_progress(move |progress| {
            told.lock().unwrap().push(progress);
            off.set_down(true);
        });
    // It has nowhere to move to in the window, and then the store is down.
    let refused = soon(server.drain_with(how)).await.unwrap_err();
    assert!(
        matches!(
            refused,
            DrainError::Incomplete {
                left: 1,
                swapped_out: 0
            }
        ),
        "{refused}"
    );
    let progress = progress.lock().unwrap().clone();
    assert!(
        progress.len() >= 2 && progress.iter().all(|progress| progress.left == 1),
        "{progress:?}"
    );
    assert!(server.is_ready());
    soon(player.play(3, Duration::ZERO)).await;
    assert_eq!(games.ends(), []);

    // When it works again, newcomers are let in as before, and the server can leave.
    switch.set_down(false);
    let mut newcomer = soon(Player::join(server.local_addr())).await;
    soon(newcomer.play(3, Duration::ZERO)).await;
    let drained = soon(server.drain(Duration::ZERO)).await.unwrap();
    assert_eq!((drained.moved, drained.swapped_out), (0, 2));
    assert_eq!(games.ended(End::SwappedOut), 2);
}

#[test]
fn a_drain_that_failed_says_who_is_left_or_that_only_answers_are() {
    let text = |left| DrainError::Incomplete { left, swapped_out: 7 }.to_string();
    assert!(text(3).contains("did not take 3 sessions"), "{}", text(3));
    assert!(
        text(0).contains("all sessions have left (7)") && text(0).contains("not answered"),
        "{}",
        text(0)
    );
}

async fn is_buried(store: &Arc<dyn Store>, id: SessionId) -> bool {
    let key = *id.0.first_chunk().expect("16 bytes");
    let replies = soon(store.submit(vec![StoreOp::Peek { key }])).await;
    let [StoreReply::Peeked(Some(Peeked { record, .. }))] = &replies[..] else {
        panic!("there is a record: {replies:?}");
    };
    matches!(record, Record::Tomb { .. })
}

/// The store is down just when the last session ends. Without that end its record would say that somebody still has it.
#[tokio::test]
async fn a_server_is_not_gone_before_the_store_has_taken_the_ends_of_its_sessions() {
    for drained in [true, false] {
        let switch = Switch::default();
        let store: Arc<dyn Store> = Arc::new(switch.clone());
        let server = member(Durability::SwapOut, &store).serve_sessions(LOCAL, Games::default());
        let server = server.await.unwrap();
        let mut player = Player::join(server.local_addr()).await;
        soon(player.play(3, Duration::ZERO)).await;
        let id = player.client.id().unwrap();
        switch.set_down(true);
        if drained {
            assert!(server.kick(id, 7).await);
            while server.stats().await.iter().any(|worker| worker.sessions > 0) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            switch.set_down(false);
            soon(server.drain(Duration::ZERO)).await.unwrap();
        } else {
            tokio::join!(soon(server.shutdown(7, Duration::from_secs(20))), async {
                soon(player.client.closed()).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
                switch.set_down(false);
            });
        }
        assert!(is_buried(&store, id).await, "drained: {drained}");
    }
}

#[tokio::test]
async fn sessions_in_memory_cannot_leave() {
    let config = ServerConfig::builder(key(), cluster())
        .authorise_all(true)
        .build()
        .unwrap();
    let server = Server::builder(config)
        .serve_sessions(LOCAL, Games::default())
        .await
        .unwrap();
    let mut player = Player::join(server.local_addr()).await;
    soon(player.play(3, Duration::ZERO)).await;
    assert!(matches!(server.drain(Duration::ZERO).await, Err(DrainError::NoStore)));
    assert!(server.is_ready());
    soon(player.play(3, Duration::ZERO)).await;
}

#[tokio::test]
async fn a_drain_may_have_all_the_time_there_is() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let server = member(Durability::SwapOut, &store).serve_sessions(LOCAL, Games::default());
    let server = server.await.unwrap();
    let player = Player::join(server.local_addr()).await;
    let drain = server.drain_with(Drain::within(Duration::ZERO).deadline(Duration::MAX));
    assert_eq!(soon(drain).await.unwrap().swapped_out, 1);
    drop(player);
    let drain = server.drain_with(Drain::within(Duration::MAX).deadline(Duration::MAX));
    assert_eq!(soon(drain).await.unwrap().swapped_out, 0);
    soon(server.shutdown(0, Duration::MAX)).await;
}

#[tokio::test]
async fn an_orchestrator_is_told_by_http() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let server = member(Durability::SwapOut, &store).serve_sessions(LOCAL, Games::default());
    let server = server.await.unwrap();
    let address = probe::listen(LOCAL, server.readiness()).await.unwrap();
    let ask = async |path: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!((ask("/ready").await, ask("/live").await), ("200".into(), "200".into()));
    assert_eq!(ask("/").await, "404");
    soon(server.drain(Duration::ZERO)).await.unwrap();
    assert_eq!((ask("/ready").await, ask("/live").await), ("503".into(), "200".into()));
    soon(server.shutdown(0, Duration::from_secs(5))).await;
    assert_eq!(ask("/live").await, "503");
}
