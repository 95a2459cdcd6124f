//! Servers that die without a word: dropped, with everything they had not stored.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use unbroken_tokio::{
    Bytes, Client, ClientConfig, CloseReason, Durability, HandlerFactory, MemoryStore, Message, RestoreError, Server,
    ServerConfig, SessionHandler, SessionRef, Store, Verdict,
};

use super::balancer::Balancer;
use super::game::{Games, Player};
use super::switch::Switch;
use super::{member_with, quick};
use crate::{LOCAL, cluster, key, soon};

const PLAYERS: usize = 12;

/// The killer comes at any moment: between a message and its answer, between an answer and its commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn durable_sessions_go_on_when_their_server_dies_again_and_again() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut server = member_with(quick(), Durability::Durable, &store)
        .serve_sessions(LOCAL, Games::default())
        .await
        .unwrap();
    let balancer = Balancer::start(&[server.local_addr()]).await;
    let mut players = JoinSet::new();
    for _ in 0..PLAYERS {
        let address = balancer.address;
        players.spawn(async move {
            let mut player = Player::join(address).await;
            player.play(1500, Duration::from_millis(3)).await;
            player.client.disconnect(0).await;
        });
    }
    let mut taken_over = 0;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let games = Games::default();
        let next = member_with(quick(), Durability::Durable, &store)
            .serve_sessions(LOCAL, games.clone())
            .await
            .unwrap();
        balancer.send_to(&[next.local_addr()]);
        // It does nothing more, neither write nor say goodbye.
        drop(std::mem::replace(&mut server, next));
        while games.restored().len() < PLAYERS && !players.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
            while players.try_join_next().is_some() {}
        }
        taken_over += games.restored().len();
    }
    soon(players.join_all()).await;
    assert!(
        taken_over >= 2 * PLAYERS,
        "vacuous: {taken_over} sessions were taken over"
    );
}

/// Nobody knows what became of that write. The server finds out, and the player notices a pause.
#[tokio::test]
async fn a_store_that_never_answers_a_write_costs_a_pause() {
    let switch = Switch::default();
    let store: Arc<dyn Store> = Arc::new(switch.clone());
    let server = member_with(quick(), Durability::Durable, &store)
        .serve_sessions(LOCAL, Games::default())
        .await
        .unwrap();
    let mut player = Player::join(server.local_addr()).await;
    soon(player.play(3, Duration::ZERO)).await;
    let before = switch.written();
    switch.stop_after(before.max(1));
    let release = async {
        while switch.written() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        switch.stop_after(0);
    };
    soon(async { tokio::join!(player.play(3, Duration::ZERO), release) }).await;
    let failures: u64 = server
        .stats()
        .await
        .iter()
        .map(|worker| worker.counters.store_failures)
        .sum();
    assert!(failures > 0, "vacuous: each write was answered");
}

/// What `SwapOut` does not promise is reported, not hidden.
#[tokio::test]
async fn sessions_that_die_with_their_server_are_reported_as_such() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let a = member_with(quick(), Durability::SwapOut, &store)
        .serve_sessions(LOCAL, Games::default())
        .await
        .unwrap();
    let b = member_with(quick(), Durability::SwapOut, &store)
        .serve_sessions(LOCAL, Games::default())
        .await
        .unwrap();
    let balancer = Balancer::start(&[a.local_addr()]).await;
    let mut player = Player::join(balancer.address).await;
    soon(player.play(3, Duration::ZERO)).await;
    balancer.send_to(&[b.local_addr()]);
    drop(a);
    assert_eq!(soon(player.client.closed()).await, CloseReason::OwnerCrashed);
}

/// A handler that needs to know who it was opened for.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Vec<Bytes>>>);

struct Named(Bytes);

impl SessionHandler for Named {
    fn on_message(&mut self, session: &SessionRef<'_>, _message: Message) {
        let _ = session.send(self.0.clone());
    }

    fn swap_out(&self) -> Bytes {
        self.0.clone()
    }
}

impl HandlerFactory for Names {
    type Handler = Named;

    fn open(&self, session: &SessionRef<'_>) -> Named {
        self.0.lock().unwrap().push(session.credential());
        Named(session.credential())
    }

    fn restore(&self, _session: &SessionRef<'_>, state: Bytes) -> Result<Named, RestoreError> {
        Ok(Named(state))
    }
}

/// The server dies when the store knows of the session and nothing of its handler: the next server opens it as the first did.
#[tokio::test]
async fn a_server_that_dies_before_the_first_state_is_stored_loses_nothing() {
    for stop_after in [1, 2] {
        let switch = Switch::default();
        let store: Arc<dyn Store> = Arc::new(switch.clone());
        let serve = async |names: &Names| {
            let config = ServerConfig::builder(key(), cluster())
                .timing(quick())
                .durability(Durability::Durable);
            let builder = Server::builder(config.build().unwrap()).workers(1).store(store.clone());
            let builder = builder.authorise(async |_| Verdict::Accept { message: Bytes::new() });
            builder.serve_sessions(LOCAL, names.clone()).await.unwrap()
        };
        let (first, second) = (Names::default(), Names::default());
        let a = serve(&first).await;
        // The session's creation is one write, the handler's first state the second, which is not answered.
        switch.stop_after(stop_after);
        let balancer = Balancer::start(&[a.local_addr()]).await;
        let config = ClientConfig::builder(key().public()).credential("anna");
        let client = Client::connect(balancer.address, Arc::new(config.build().unwrap()))
            .await
            .unwrap();
        while switch.written() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let b = serve(&second).await;
        balancer.send_to(&[b.local_addr()]);
        drop(a);
        switch.stop_after(0);
        client.send("who am I?").await.unwrap();
        assert_eq!(soon(client.recv()).await.unwrap().payload, "anna");
        let opened = if stop_after == 1 {
            vec![Bytes::from("anna")]
        } else {
            vec![]
        };
        assert_eq!(*second.0.lock().unwrap(), opened);
        assert_eq!(*first.0.lock().unwrap(), ["anna"]);
    }
}
