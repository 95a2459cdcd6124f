//! A tokio server that echoes, behind the fault proxy. Each line on standard input is a command, and is answered by one line:
//!
//! - `cut`: ends all links with RST; `calm`: no more faults from the plan
//! - `refuse on`, `refuse off`: turns new connections away; `stall on`, `stall off`: holds all bytes
//! - `cuts`: how many links the proxy ended so far
//!
//! It ends when its standard input closes.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use unbroken_fault_proxy::{Plan, Proxy};
use unbroken_tokio::{ClusterKey, Limits, Server, ServerConfig, ServerKey, ServerSession, Verdict};

#[derive(clap::Args)]
pub struct Options {
    /// All faults are drawn from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Mean time between faults on one link, in milliseconds; 0: none but those commanded
    #[arg(long, default_value_t = 0)]
    every: u64,
    /// Life of a session without a link, in milliseconds
    #[arg(long, default_value_t = 30_000)]
    detached: u64,
    /// Listen on IPv6 loopback
    #[arg(long)]
    v6: bool,
}

pub async fn run(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let limits = Limits {
        detached: Duration::from_millis(options.detached),
        ..Limits::default()
    };
    let config = ServerConfig::builder(ServerKey::from_bytes([7; 32])?, ClusterKey::from_bytes([9; 32])?)
        .realm("unity-tests")
        .limits(limits)
        .build()?;
    let server = Server::builder(config)
        .workers(1)
        .authorise(async |ticket| match ticket.as_ref() {
            b"let me in" => Verdict::Accept {
                message: "welcome".into(),
            },
            _ => Verdict::Refuse {
                code: 7,
                message: "who are you?".into(),
            },
        })
        .serve("127.0.0.1:0", echo)
        .await?;
    let plan = match options.every {
        0 => Plan::none(),
        every => Plan::new(options.seed, Duration::from_millis(every)),
    };
    let listen = if options.v6 { "[::1]:0" } else { "127.0.0.1:0" };
    let proxy = Proxy::start(listen.parse()?, server.local_addr(), plan).await?;
    println!("{}", proxy.local_addr().port());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match line.as_str() {
            "cut" => proxy.cut_all(true),
            "calm" => proxy.calm(),
            "refuse on" => proxy.refuse(true),
            "refuse off" => proxy.refuse(false),
            "stall on" => proxy.stall(true),
            "stall off" => proxy.stall(false),
            "cuts" => {}
            _ => return Err(format!("there is no command `{line}`").into()),
        }
        println!("{}", proxy.counts().cut());
    }
    // Reading standard input holds a thread that nothing can interrupt.
    std::process::exit(0);
}

async fn echo(session: ServerSession) {
    while let Some(message) = session.recv().await {
        if session.send(message.payload).await.is_err() {
            break;
        }
    }
}
