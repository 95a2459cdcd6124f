//! An echo server to try clients in other languages against:
//!
//!     cargo run --release --example echo-server -- 127.0.0.1:7000
//!
//! It prints the public key that its clients must pin. Its secrets are constants: for trying only.

use unbroken_tokio::{ClusterKey, Event, Server, ServerConfig, ServerKey, ServerSession};

async fn echo(session: ServerSession) {
    println!("{} is here", session.id());
    let told = async {
        while let Some(event) = session.event().await {
            if let Event::HandoverEnd(end) = event {
                println!("{} moved, down for {:?}", session.id(), end.downtime);
            }
        }
    };
    let answered = async {
        while let Some(message) = session.recv().await {
            if session.send(message.payload).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(told, answered);
    println!("{} left: {}", session.id(), session.closed().await);
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7000".into());
    let key = ServerKey::from_bytes([7; 32])?;
    let pin: String = key.public().0.iter().map(|byte| format!("{byte:02x}")).collect();
    let config = ServerConfig::builder(key, ClusterKey::from_bytes([9; 32])?)
        .authorise_all(true)
        .build()?;
    let server = Server::builder(config).serve(address, echo).await?;
    println!("listening on {}, pin {pin}", server.local_addr());
    tokio::signal::ctrl_c().await?;
    server.shutdown(0, std::time::Duration::from_secs(2)).await;
    Ok(())
}
