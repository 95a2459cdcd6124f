//! How long a planned restart takes: a server with ten thousand sessions leaves its sessions in a file and comes back.
//!
//!     cargo run --release -p unbroken-tokio --example swap_out
//!     cargo run --release -p unbroken-tokio --example swap_out -- --sessions 2000
//!
//! The clients are another process, as they need as many descriptors as the server. It fails if a session is lost, or if its client does not get
//! its answer afterwards.

mod common;

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Echoes, Outcome, client, option, server};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use unbroken_store::EmbeddedStore;
use unbroken_tokio::{Client, Durability, Server, Store};

/// Clients that connect at the same time.
const AT_ONCE: usize = 200;

fn main() -> Outcome<()> {
    let sessions = option("--sessions", 10_000)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match std::env::args()
        .skip_while(|argument| argument != "--clients-of")
        .nth(1)
    {
        Some(address) => runtime.block_on(play(address, sessions)),
        None => runtime.block_on(measure(sessions)),
    }
}

async fn measure(sessions: usize) -> Outcome<()> {
    let place = tempfile::tempdir()?;
    let path = place.path().join("sessions");
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&path)?);
    let first = server(Durability::SwapOut)?
        .store(store)
        .serve_sessions("127.0.0.1:0", Echoes)
        .await?;
    let address = first.local_addr();
    let mut clients = tokio::process::Command::new(std::env::current_exe()?)
        .args([
            "--clients-of",
            &address.to_string(),
            "--sessions",
            &sessions.to_string(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (input, output) = (clients.stdin.take(), clients.stdout.take());
    let (mut input, output) = input.zip(output).ok_or("no pipes to the clients")?;
    let mut heard = BufReader::new(output).lines();
    let begun = Instant::now();
    heard.next_line().await?.ok_or("the clients ended")?;
    println!(
        "{sessions} sessions connected in {:.1} s",
        begun.elapsed().as_secs_f64()
    );

    let drained = first.drain(Duration::ZERO).await?;
    println!(
        "swapped out: {} in {:.2} s",
        drained.swapped_out,
        drained.swap_out_took.as_secs_f64()
    );
    let begun = Instant::now();
    first.shutdown(0, Duration::from_secs(1)).await;
    println!(
        "file: {} bytes for each session",
        std::fs::metadata(&path)?.len() as usize / sessions
    );

    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&path)?);
    let second = server(Durability::SwapOut)?
        .store(store)
        .serve_sessions(address, Echoes)
        .await?;
    println!("stopped and started again in {:.2} s", begun.elapsed().as_secs_f64());
    let (begun, mut first_half) = (Instant::now(), None);
    loop {
        let taken = takeovers(&second).await;
        if taken >= sessions as u64 / 2 && first_half.is_none() {
            first_half = Some(begun.elapsed());
        }
        if taken >= sessions as u64 {
            break;
        }
        if begun.elapsed() > Duration::from_secs(30) {
            return Err(format!("only {taken} sessions came back").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let half = first_half.unwrap_or_default().as_secs_f64();
    println!(
        "resumed: half in {half:.2} s, all in {:.2} s",
        begun.elapsed().as_secs_f64()
    );
    input.write_all(b"go\n").await?;
    let answered = heard.next_line().await?.ok_or("the clients ended")?;
    println!("each client has its answer: {answered}");
    if drained.swapped_out != sessions as u64 {
        return Err(format!("{} of {sessions} were swapped out", drained.swapped_out).into());
    }
    Ok(())
}

async fn takeovers(server: &Server) -> u64 {
    let stats = server.stats().await;
    stats.iter().map(|worker| worker.counters.takeovers).sum()
}

/// The clients' process.
async fn play(address: String, sessions: usize) -> Outcome<()> {
    let (config, places) = (client()?, Arc::new(Semaphore::new(AT_ONCE)));
    let mut joining = JoinSet::new();
    for _ in 0..sessions {
        let (address, config, places) = (address.clone(), config.clone(), places.clone());
        joining.spawn(async move {
            let _place = places.acquire().await;
            let client = Client::connect(address, config).await?;
            ping(&client).await?;
            Outcome::Ok(client)
        });
    }
    let mut clients = Vec::new();
    while let Some(client) = joining.join_next().await {
        clients.push(client??);
    }
    println!("ready");
    let mut line = String::new();
    BufReader::new(tokio::io::stdin()).read_line(&mut line).await?;
    for client in &clients {
        ping(client).await?;
    }
    println!("{}", clients.len());
    Ok(())
}

async fn ping(client: &Client) -> Outcome<()> {
    client.send("ping").await?;
    let back = client.recv().await.ok_or("the session ended")?;
    if back.payload == "ping" {
        Ok(())
    } else {
        Err("another answer".into())
    }
}
