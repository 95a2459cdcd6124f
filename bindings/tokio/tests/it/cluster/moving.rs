//! Clients are sent from server to server while they play.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use unbroken_store::EmbeddedStore;
use unbroken_tokio::{Durability, End, MemoryStore, Server, Store};

use super::balancer::Balancer;
use super::game::{Games, Player};
use super::member;
use crate::{LOCAL, handover_end, soon, until};

const PLAYERS: usize = 12;
const SAID: u32 = 600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn players_are_sent_to_and_fro_between_servers_with_swap_out() {
    to_and_fro(Durability::SwapOut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn players_are_sent_to_and_fro_between_servers_with_durable() {
    to_and_fro(Durability::Durable).await;
}

async fn to_and_fro(durability: Durability) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let games = [Games::default(), Games::default(), Games::default()];
    let mut servers = Vec::new();
    // Their numbers of workers differ, so a session's worker is another one on each.
    for (workers, games) in (1..).zip(&games) {
        let builder = member(durability, &store).workers(workers);
        servers.push(builder.serve_sessions(LOCAL, games.clone()).await.unwrap());
    }
    let balancer = Balancer::start(&[servers[0].local_addr()]).await;
    let mut players = JoinSet::new();
    for _ in 0..PLAYERS {
        let address = balancer.address;
        players.spawn(async move {
            let mut player = Player::join(address).await;
            player.play(SAID, Duration::from_millis(5)).await;
            let stats = player.client.stats();
            player.client.disconnect(0).await;
            stats.handovers
        });
    }
    let switch = async {
        for turn in 1.. {
            tokio::time::sleep(Duration::from_millis(300)).await;
            balancer.send_to(&[servers[turn % 3].local_addr()]);
            balancer.cut();
        }
    };
    let all = async { players.join_all().await.into_iter().sum::<u64>() };
    let handovers = tokio::select! {
        handovers = tokio::time::timeout(Duration::from_secs(90), all) => handovers.expect("done in 90 seconds"),
        () = switch => unreachable!("it never ends"),
    };
    let takeovers = sum(&servers, |counters| counters.takeovers).await;
    let restored: usize = games.iter().map(|games| games.restored().len()).sum();
    let swapped: usize = games.iter().map(|games| games.ended(End::SwappedOut)).sum();
    assert!(
        // A client that is cut again before it knows of a move sees one handover for two of them.
        takeovers.min(handovers) >= 3 * PLAYERS as u64,
        "vacuous: {takeovers} takeovers, {handovers} handovers"
    );
    assert_eq!(
        (restored as u64, swapped),
        (takeovers, restored),
        "each one left and came once"
    );
}

/// On one machine: the server is stopped, and started again with another number of workers on the same file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_comes_back_on_its_file_with_more_workers_and_with_fewer() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("sessions");
    let balancer = Balancer::start(&[]).await;
    let (played, mut players) = (120, Vec::new());
    for (life, workers) in [3, 1, 4].into_iter().enumerate() {
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&path).unwrap());
        let games = Games::default();
        let builder = member(Durability::SwapOut, &store).workers(workers);
        let server = builder.serve_sessions(LOCAL, games.clone()).await.unwrap();
        balancer.send_to(&[server.local_addr()]);
        for _ in 0..8 {
            if life == 0 {
                players.push(Player::join(balancer.address).await);
            }
        }
        for player in &mut players {
            soon(player.play(played / 3, Duration::ZERO)).await;
        }
        assert_eq!(games.restored().len(), if life == 0 { 0 } else { 8 });
        balancer.send_to(&[]);
        let drained = soon(server.drain(Duration::ZERO)).await.unwrap();
        assert_eq!((drained.moved, drained.swapped_out), (0, 8));
        assert_eq!(games.ended(End::SwappedOut), 8);
        server.shutdown(0, Duration::from_secs(5)).await;
    }
}

/// Both ends are told that the session has moved.
#[tokio::test]
async fn a_handover_to_another_server_is_told_as_such() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let a = member(Durability::SwapOut, &store).serve_sessions(LOCAL, Games::default());
    let a = a.await.unwrap();
    let b = member(Durability::SwapOut, &store).serve_sessions(LOCAL, Games::default());
    let b = b.await.unwrap();
    let balancer = Balancer::start(&[a.local_addr()]).await;
    let mut player = Player::join(balancer.address).await;
    player.play(1, Duration::ZERO).await;
    let (id, mut events) = (player.id(), player.client.events());
    balancer.cut();
    assert!(until(&mut events, handover_end).await.same_server);
    balancer.send_to(&[b.local_addr()]);
    balancer.cut();
    assert!(!until(&mut events, handover_end).await.same_server);
    player.play(1, Duration::ZERO).await;
    assert_eq!(player.id(), id);
}

pub(super) async fn sum(servers: &[Server], pick: fn(&unbroken::Counters) -> u64) -> u64 {
    let mut total = 0;
    for server in servers {
        total += server
            .stats()
            .await
            .iter()
            .map(|worker| pick(&worker.counters))
            .sum::<u64>();
    }
    total
}
