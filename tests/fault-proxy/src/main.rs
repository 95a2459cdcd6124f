//! The fault proxy as a program, for tests in other languages. It prints the port it listens on, then runs until its standard input
//! closes, SIGINT or `--for` has passed, and says what it did.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use tokio::io::AsyncReadExt;
use unbroken_fault_proxy::{Plan, Proxy, Weights};

/// A TCP proxy that breaks connections in all the ways networks do, from a seed.
///
/// The first line on standard output names the address it listens on, the last one what it did. It ends when its standard input closes.
#[derive(Parser)]
#[command(name = "unbroken-fault-proxy", version)]
struct Options {
    /// Where to listen; port 0 takes any
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where to forward to
    #[arg(long, value_name = "HOST:PORT")]
    to: SocketAddr,
    /// Everything is drawn from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Mean time between faults on one link, in milliseconds; 0: none
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    cut_every: u64,
    /// Longest stall, in milliseconds; the shortest is a tenth of it; 0: no stalls
    #[arg(long, value_name = "MS", default_value_t = 1500)]
    stall: u64,
    /// Longest time that new connections are refused, in milliseconds; 0: never
    #[arg(long, value_name = "MS", default_value_t = 400)]
    refuse: u64,
    /// Longest slow phase, in milliseconds; 0: none
    #[arg(long, value_name = "MS", default_value_t = 800)]
    delay: u64,
    /// End after this many milliseconds; 0: when standard input closes
    #[arg(long = "for", value_name = "MS", default_value_t = 0)]
    time: u64,
    /// One JSON object per line: {"listening": "..."} first, the counts last
    #[arg(long)]
    json: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let proxy = Proxy::start(options.listen, options.to, plan(&options)).await?;
    let address = proxy.local_addr();
    if options.json {
        println!("{}", serde_json::json!({ "listening": address.to_string() }));
    } else {
        println!(
            "listening on {address}, forwarding to {}, seed {}",
            options.to, options.seed
        );
    }
    let mut sink = [0; 256];
    let mut input = tokio::io::stdin();
    let over = async {
        match options.time {
            0 => while matches!(input.read(&mut sink).await, Ok(1..)) {},
            time => tokio::time::sleep(Duration::from_millis(time)).await,
        }
    };
    tokio::select! {
        () = over => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    let c = proxy.counts();
    if options.json {
        let counts = serde_json::json!({
            "links": c.links, "cut": c.cut(), "fin": c.fin, "reset": c.reset, "cut_within": c.cut_within, "stalls": c.stalls,
            "recovered": c.recovered, "delays": c.delays, "refused": c.refused, "bytes": c.bytes,
        });
        println!("{counts}");
    } else {
        println!("{c:?}");
    }
    // Reading standard input holds a thread that nothing can interrupt.
    std::process::exit(0);
}

fn plan(options: &Options) -> Plan {
    let mut plan = Plan::new(options.seed, Duration::from_millis(options.cut_every));
    plan.every = (options.cut_every > 0).then_some(Duration::from_millis(options.cut_every));
    let span = |ms: u64| Duration::from_millis(ms / 10)..Duration::from_millis(ms);
    (plan.stall, plan.refuse, plan.delay) = (span(options.stall), span(options.refuse), span(options.delay));
    let w = Weights::default();
    let unless_zero = |ms: u64, weight: u32| if ms == 0 { 0 } else { weight };
    plan.weights = Weights {
        stall_then_cut: unless_zero(options.stall, w.stall_then_cut),
        stall_then_recover: unless_zero(options.stall, w.stall_then_recover),
        refuse: unless_zero(options.refuse, w.refuse),
        delay: unless_zero(options.delay, w.delay),
        ..w
    };
    plan
}
