//! L-11: one stalled client, or one stalled handler, never delays another. L-16: nor does a crowd before the door.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;
use unbroken_tokio::{Client, Limits, Server, ServerConfig, ServerSession};

use crate::{LOCAL, cluster, eager, echo, key, open_server, ping, proxy, soon};

/// A handler that sends without end to whoever says "flood", and echoes otherwise.
async fn flood_or_echo(session: ServerSession) {
    let Some(first) = session.recv().await else { return };
    if first.payload != "flood" {
        session.send(first.payload).await.unwrap();
        return echo(session).await;
    }
    while session.send(vec![0; 50_000]).await.is_ok() {}
}

#[tokio::test]
async fn l11_a_client_that_does_not_read_delays_nobody() {
    let server = open_server().workers(1).serve(LOCAL, flood_or_echo).await.unwrap();
    let proxy = proxy(server.local_addr()).await;
    // One fetches nothing, so its credit runs out; one has a link that takes nothing, so its socket fills.
    let lazy = Client::connect(server.local_addr(), eager()).await.unwrap();
    let stuck = Client::connect(proxy.local_addr(), eager()).await.unwrap();
    for client in [&lazy, &stuck] {
        client.send("flood").await.unwrap();
    }
    assert!(soon(stuck.recv()).await.is_some());
    proxy.stall(true);
    let other = Client::connect(server.local_addr(), eager()).await.unwrap();
    for number in 0..2000 {
        ping(&other, number).await;
    }
    // And the stalled ones go on where they were.
    proxy.stall(false);
    for client in [&lazy, &stuck] {
        for _ in 0..100 {
            assert_eq!(soon(client.recv()).await.unwrap().payload.len(), 50_000);
        }
    }
}

#[tokio::test]
async fn l11_a_handler_that_does_not_return_delays_nobody() {
    let server = open_server()
        .workers(1)
        .serve(LOCAL, async |session: ServerSession| {
            let first = session.recv().await.unwrap();
            match &first.payload[..] {
                b"sleep" => std::future::pending().await,
                // Always something to do, never a pause: the budget makes it yield.
                b"spin" => while session.send_unreliable("x").is_ok() || session.recv().await.is_some() {},
                _ => {
                    session.send(first.payload).await.unwrap();
                    echo(session).await;
                }
            }
        })
        .await
        .unwrap();
    let mut idle = Vec::new();
    for _ in 0..5 {
        let client = Client::connect(server.local_addr(), eager()).await.unwrap();
        client.send("sleep").await.unwrap();
        idle.push(client);
    }
    let other = Client::connect(server.local_addr(), eager()).await.unwrap();
    for number in 0..500 {
        ping(&other, number).await;
    }
}

/// L-4: messages that nobody fetches do not hold back the ACKs for the others.
#[tokio::test]
async fn l4_a_stalled_reader_still_sends() {
    let server = open_server().workers(1).serve(LOCAL, flood_or_echo).await.unwrap();
    let client = Client::connect(server.local_addr(), eager()).await.unwrap();
    client.send("flood").await.unwrap();
    // The handler never fetches again and the client fetches nothing: both may send until their credit is used, and then resume.
    soon(async {
        while client.stats().unacked_messages > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn l16_connections_that_show_nothing_keep_nobody_out() {
    let limits = Limits {
        pending_handshakes: 8,
        // Longer than the test: none of them goes by itself.
        handshake: Duration::from_secs(60),
        ..Limits::default()
    };
    let config = ServerConfig::builder(key(), cluster()).authorise_all(true);
    let config = config.limits(limits).build().unwrap();
    // Of several workers the acceptor must see the first bytes before it knows which.
    let server = Server::builder(config).workers(2).serve(LOCAL, echo).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(server.local_addr()).await.unwrap());
    }
    let client = soon(Client::connect(server.local_addr(), eager())).await.unwrap();
    ping(&client, 1).await;
    // Room was made by the oldest, and no more than was needed.
    let mut oldest = silent.remove(0);
    assert_eq!(soon(oldest.read(&mut [0])).await.unwrap(), 0);
    let mut youngest = silent.pop().unwrap();
    assert!(
        timeout(Duration::from_millis(100), youngest.read(&mut [0]))
            .await
            .is_err()
    );
}

/// The handler of one session looks from within the worker how many handshakes are made between two of its turns.
#[tokio::test]
async fn l16_a_crowd_leaves_those_that_stand_their_turn() {
    const CROWD: u64 = 100;
    let itself: Arc<OnceLock<Server>> = Arc::default();
    let its = itself.clone();
    let watch = move |session: ServerSession| {
        let its = its.clone();
        async move {
            if session.recv().await.is_some_and(|first| first.payload != "watch") {
                return;
            }
            // Nobody is heard meanwhile, so all their flights are there.
            std::thread::sleep(Duration::from_millis(300));
            let (mut before, mut most) = (1, 0);
            while before <= CROWD {
                let now = its.get().unwrap().stats().await[0].counters.hellos;
                most = most.max(now - before);
                before = now;
                yield_now().await;
            }
            session.send(most.to_string()).await.unwrap();
            session.recv().await;
        }
    };
    let server = open_server().workers(1).serve(LOCAL, watch).await.unwrap();
    let address = server.local_addr();
    assert!(itself.set(server).is_ok());
    let watcher = Client::connect(address, eager()).await.unwrap();
    watcher.send("watch").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        crowd.spawn(async move { Client::connect(address, eager()).await.unwrap() });
    }
    let crowd = crowd.join_all().await;
    let most = soon(watcher.recv()).await.unwrap().payload;
    let most: u64 = std::str::from_utf8(&most).unwrap().parse().unwrap();
    assert!((1..=24).contains(&most), "{most} between two turns");
    drop(crowd);
}
