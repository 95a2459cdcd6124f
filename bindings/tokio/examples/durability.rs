//! What a durability costs for each message: an echo server with each of them, and with two stores.
//!
//!     cargo run --release -p unbroken-tokio --example durability
//!     cargo run --release -p unbroken-tokio --example durability -- --clients 64 --seconds 5
//!
//! Two loads. *Under way*: each client has so many messages under way at any time, which shows what can be got through. *One by one*: each waits for its
//! answer, which shows what is added to the round trip. The server's cost is the CPU time of its workers and of the store's thread (Linux only), so
//! it does not depend on what the clients cost beside it.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{Echoes, Outcome, client, cpu, option, server};
use tokio::task::JoinSet;
use unbroken_store::EmbeddedStore;
use unbroken_tokio::{Client, Durability, MemoryStore, Store};

const SIZE: usize = 64;
const SERVER: &[&str] = &["unbroken-worker", "unbroken-store"];

#[tokio::main]
async fn main() -> Outcome<()> {
    let clients = option("--clients", 64)?;
    let time = Duration::from_secs(option("--seconds", 3)? as u64);
    let place = tempfile::tempdir()?;
    let mut file = 0;
    let mut redb = || -> Outcome<Arc<dyn Store>> {
        file += 1;
        Ok(Arc::new(EmbeddedStore::open(place.path().join(file.to_string()))?))
    };
    for (title, under_way) in [("32 messages under way", 32), ("one by one", 1)] {
        println!("{clients} clients, {SIZE} bytes, {title}:");
        let mut memory: Option<Figures> = None;
        let ways: [(&str, Durability, Arc<dyn Store>); 4] = [
            ("Memory", Durability::Memory, Arc::new(MemoryStore::new())),
            ("SwapOut, redb", Durability::SwapOut, redb()?),
            ("Durable, in memory", Durability::Durable, Arc::new(MemoryStore::new())),
            ("Durable, redb", Durability::Durable, redb()?),
        ];
        for (name, durability, store) in ways {
            let figures = echo(durability, store, clients, under_way, time).await?;
            let base = memory.get_or_insert(figures);
            println!(
                "  {name:<20} {:>9.0} messages/s  {:>6.2} us CPU each ({:.1} times Memory's)  {:>6.2} ms round trip",
                figures.rate,
                figures.cpu * 1e6,
                figures.cpu / base.cpu,
                figures.round_trip * 1e3,
            );
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Figures {
    /// Messages in a second.
    rate: f64,
    /// The server's seconds of CPU for each message.
    cpu: f64,
    /// Mean, in seconds.
    round_trip: f64,
}

async fn echo(
    durability: Durability,
    store: Arc<dyn Store>,
    clients: usize,
    under_way: usize,
    time: Duration,
) -> Outcome<Figures> {
    let server = server(durability)?
        .store(store)
        .serve_sessions("127.0.0.1:0", Echoes)
        .await?;
    let (answers, mut playing) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
    for _ in 0..clients {
        let client = Client::connect(server.local_addr(), client()?).await?;
        let answers = answers.clone();
        playing.spawn(async move {
            for _ in 0..under_way {
                client.send(vec![0; SIZE]).await?;
            }
            while client.recv().await.is_some() {
                answers.fetch_add(1, Ordering::Relaxed);
                client.send(vec![0; SIZE]).await?;
            }
            Outcome::Ok(())
        });
    }
    // Until all are at it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (count, used, begun) = (answers.load(Ordering::Relaxed), cpu(SERVER), Instant::now());
    tokio::time::sleep(time).await;
    let count = (answers.load(Ordering::Relaxed) - count) as f64;
    let (used, elapsed) = (cpu(SERVER) - used, begun.elapsed().as_secs_f64());
    playing.abort_all();
    server.shutdown(0, Duration::from_secs(1)).await;
    if count == 0.0 {
        return Err("nothing was answered".into());
    }
    Ok(Figures {
        rate: count / elapsed,
        cpu: used / count,
        round_trip: (clients * under_way) as f64 * elapsed / count,
    })
}
