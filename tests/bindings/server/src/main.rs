//! What the tests of the Kotlin, Swift and Python packages talk to: a tokio server, and as many fault proxies before it as they want.
//!
//! The first line on standard output is `PORT`, of the control port on loopback; it ends when its standard input closes. A test connects
//! there, one line a command, one line an answer (`control.rs`). What the server's application says and checks is in `pour.rs`.
//! Its keys are constants that the tests know.
#![forbid(unsafe_code)]

mod cluster;
mod control;
mod ends;
mod pour;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use unbroken_tokio::{ClusterKey, Limits, Server, ServerConfig, ServerKey, ServerSession, Timing, Verdict};

use control::Servers;
use ends::Ends;

/// How long a session without a link lives: longer than the slowest machine needs to be back ...
const PATIENT: Duration = Duration::from_secs(300);
/// ... and short, where its end is waited for.
const HASTY: Duration = Duration::from_secs(3);

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ends = Arc::new(Ends::default());
    let servers = Arc::new(Servers {
        patient: server(PATIENT, &ends).await?,
        hasty: server(HASTY, &ends).await?,
        ends,
    });
    let control = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", control.local_addr()?.port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = control.accept().await {
            tokio::spawn(control::serve(stream, servers.clone()));
        }
    });
    let mut input = tokio::io::stdin();
    while matches!(input.read(&mut [0; 64]).await, Ok(1..)) {}
    // Reading standard input holds a thread that nothing can interrupt.
    std::process::exit(0);
}

async fn server(detached: Duration, ends: &Arc<Ends>) -> Result<Server, Box<dyn std::error::Error>> {
    let limits = Limits {
        detached,
        // More than a socket takes, so that the clients' sockets can be filled.
        window_bytes: 32 << 20,
        ..Limits::default()
    };
    let timing = Timing {
        // A link that is held up, by a test or by a busy machine, is not for the server to end.
        dead_after: Duration::from_secs(300),
        ..Timing::default()
    };
    let config = ServerConfig::builder(ServerKey::from_bytes([7; 32])?, ClusterKey::from_bytes([9; 32])?)
        .realm("bindings")
        .limits(limits)
        .timing(timing)
        .build()?;
    let told = ends.clone();
    let handler = move |session: ServerSession| {
        let ends = told.clone();
        async move {
            let name = String::from_utf8_lossy(&session.credential()).into_owned();
            ends.begun(&name, session.handle());
            pour::serve(&session).await;
            ends.ended(&name, session.closed().await);
        }
    };
    let server = Server::builder(config)
        .workers(1)
        .authorise(async |credential| match credential.as_ref() {
            b"stolen" => Verdict::Refuse {
                code: 77,
                message: "no such ticket".into(),
            },
            _ => Verdict::Accept {
                message: "welcome".into(),
            },
        })
        .serve("127.0.0.1:0", handler)
        .await?;
    Ok(server)
}
