//! An echo server and its client, in one process: copy it to start.
//!
//!     cargo run --example echo
//!
//! The client keeps its session while its TCP connections come and go; nothing here has to care.

use std::sync::Arc;

use unbroken_tokio::{Client, ClientConfig, ClusterKey, Server, ServerConfig, ServerKey, ServerSession};

/// One session: runs in the server from the first connect to the end of the session, however many connections that takes.
async fn echo(session: ServerSession) {
    println!("server: {} is here", session.id());
    while let Some(message) = session.recv().await {
        // `send` waits while the client is away and the buffer is full; it fails only when the session is over.
        if session.send(message.payload).await.is_err() {
            break;
        }
    }
    println!("server: {} left: {}", session.id(), session.closed().await);
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A real server reads its keys from its secrets, 32 random bytes each; a real client ships with `pin`.
    let key = ServerKey::from_bytes([7; 32])?;
    let pin = key.public();
    let config = ServerConfig::builder(key, ClusterKey::from_bytes([9; 32])?)
        .authorise_all(true)
        .build()?;
    let server = Server::builder(config).serve("127.0.0.1:0", echo).await?;

    let config = Arc::new(ClientConfig::builder(pin).build()?);
    let client = Client::connect(server.local_addr(), config).await?;
    for text in ["hello", "across", "any", "number", "of", "connections"] {
        client.send(text).await?;
        let message = client.recv().await.ok_or("the session ended")?;
        println!("client: {}", String::from_utf8_lossy(&message.payload));
    }
    client.disconnect(0).await;
    server.shutdown(0, std::time::Duration::from_secs(5)).await;
    Ok(())
}
