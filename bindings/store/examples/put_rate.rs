//! How many sessions a second each store takes, and what a parked one costs Redis in memory.
//!
//! ```text
//! cargo run --release -p unbroken-store --example put_rate
//! ```
//! The file is made in the directory of temporary files (TMPDIR): for the speed of a disk it must be on one. Redis is started on a free port if
//! `redis-server` is there. Everything is removed at the end.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use unbroken_store::{
    EmbeddedStore, Expect, MemoryStore, Record, RedisStore, RemoteStore, Store, StoreOp, StoreReply, StoreServer,
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Bytes of a snapshot.
const SNAPSHOT: usize = 1024;

/// For how long each figure is measured, at least.
const MEASURE: Duration = Duration::from_millis(1500);

/// How often each figure is measured.
const ROUNDS: usize = 5;

#[tokio::main]
async fn main() -> Outcome<()> {
    let place = tempfile::tempdir()?;
    println!("Snapshots of {SNAPSHOT} bytes parked per second, {ROUNDS} rounds: median (least to most).\n");
    println!("| store | one at a time | batches of 100 | batches of 10,000 | 10,000 take |");
    println!("|---|---|---|---|---|");
    row("memory", &MemoryStore::new()).await?;
    let embedded = EmbeddedStore::builder(place.path().join("sessions"))
        .timeout(Duration::from_secs(60))
        .open()?;
    row("embedded", &embedded).await?;

    let lent = StoreServer::builder(embedded)
        .bind(&format!("unix:{}", place.path().join("socket").display()))
        .await?;
    let address = lent.address();
    tokio::spawn(lent.serve_until(std::future::pending()));
    row(
        "embedded, of another process",
        &RemoteStore::builder(address)
            .timeout(Duration::from_secs(60))
            .connect()
            .await?,
    )
    .await?;

    for fsync in ["always", "everysec"] {
        let redis_place = tempfile::tempdir()?;
        let Ok(server) = Redis::start(redis_place.path(), fsync) else {
            println!("| redis | `redis-server` is not installed | | | |");
            break;
        };
        let store = RedisStore::builder([&server.url])
            .timeout(Duration::from_secs(60))
            .connect()
            .await?;
        row(&format!("redis, appendfsync {fsync}"), &store).await?;
        if fsync == "everysec" {
            memory(&server, &store).await?;
        }
    }
    Ok(())
}

async fn row(name: &str, store: &dyn Store) -> Outcome<()> {
    let mut cells = Vec::new();
    let mut ten_thousand = String::new();
    for batch in [1, 100, 10_000] {
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            rates.push(rate(store, batch).await?);
        }
        rates.sort_by(f64::total_cmp);
        let (least, median, most) = (rates[0], rates[ROUNDS / 2], rates[ROUNDS - 1]);
        cells.push(format!("{median:.0} ({least:.0} to {most:.0})"));
        ten_thousand = format!("{:.2} s", 10_000.0 / median);
    }
    println!("| {name} | {} | {ten_thousand} |", cells.join(" | "));
    Ok(())
}

/// Parked sessions per second, in batches of this size, one after the other.
async fn rate(store: &dyn Store, batch: usize) -> Outcome<f64> {
    let (started, mut done) = (Instant::now(), 0);
    while started.elapsed() < MEASURE {
        let replies = store
            .submit((0..batch).map(|_| park(Duration::from_secs(60))).collect())
            .await;
        if replies.iter().any(|reply| *reply != StoreReply::Done) {
            return Err("a write failed".into());
        }
        done += batch;
    }
    Ok(done as f64 / started.elapsed().as_secs_f64())
}

/// A session that has not been there before.
fn park(life: Duration) -> StoreOp {
    // As a sealed snapshot is: incompressible.
    let blob: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(SNAPSHOT).collect();
    StoreOp::Put {
        key: fastrand::u64(..).to_be_bytes(),
        expect: Expect::Absent,
        record: Record::Parked {
            token: 1,
            blob: blob.into(),
        },
        life,
        linger: life,
    }
}

/// What ten thousand parked sessions cost, over their payload.
async fn memory(server: &Redis, store: &dyn Store) -> Outcome<()> {
    server.cli(&["FLUSHALL"])?;
    let before = server.used_memory()?;
    let replies = store
        .submit((0..10_000).map(|_| park(Duration::from_secs(600))).collect())
        .await;
    if replies.iter().any(|reply| *reply != StoreReply::Done) {
        return Err("a write failed".into());
    }
    let each = (server.used_memory()? - before) / 10_000;
    let key = server.cli(&["RANDOMKEY"])?;
    let usage: usize = server.cli(&["MEMORY", "USAGE", &key])?.parse()?;
    println!(
        "\nA parked session of {SNAPSHOT} bytes costs Redis {each} bytes (used_memory), {usage} by MEMORY USAGE: {} more than its payload.",
        each - SNAPSHOT
    );
    Ok(())
}

struct Redis {
    child: Child,
    port: String,
    url: String,
}

impl Redis {
    fn start(place: &Path, fsync: &str) -> Outcome<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port()
            .to_string();
        let child = Command::new("redis-server")
            .current_dir(place)
            .args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "yes",
                "--port",
                &port,
                "--appendfsync",
                fsync,
            ])
            .stdout(Stdio::null())
            .spawn()?;
        let url = format!("redis://127.0.0.1:{port}");
        Ok(Redis { child, port, url })
    }

    fn cli(&self, arguments: &[&str]) -> Outcome<String> {
        let output = Command::new("redis-cli")
            .args(["-p", &self.port])
            .args(arguments)
            .output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    fn used_memory(&self) -> Outcome<usize> {
        let info = self.cli(&["INFO", "memory"])?;
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        Ok(used.ok_or("INFO tells no used_memory")?.trim().parse()?)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
