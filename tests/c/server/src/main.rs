//! What the C and C++ programs connect to: a tokio server that echoes, behind the fault proxy, on loopback.
//!
//! The first line on standard output is the proxy's port. It ends when its standard input closes, and says what the proxy did.
//! Its keys are constants that the programs know.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use unbroken_fault_proxy::{Plan, Proxy};
use unbroken_tokio::{ClusterKey, Server, ServerConfig, ServerKey, ServerSession};

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seed = std::env::args().nth(1).map_or(Ok(1), |seed| seed.parse())?;
    let config = ServerConfig::builder(ServerKey::from_bytes([7; 32])?, ClusterKey::from_bytes([9; 32])?)
        .realm("c-tests")
        .authorise_all(true)
        .build()?;
    let echo = async |session: ServerSession| {
        while let Some(message) = session.recv().await {
            if session.send(message.payload).await.is_err() {
                break;
            }
        }
    };
    let server = Server::builder(config).workers(1).serve("127.0.0.1:0", echo).await?;
    let plan = Plan::new(seed, Duration::from_millis(150));
    let proxy = Proxy::start("127.0.0.1:0".parse()?, server.local_addr(), plan).await?;
    println!("{}", proxy.local_addr().port());
    let mut input = tokio::io::stdin();
    while matches!(input.read(&mut [0; 64]).await, Ok(1..)) {}
    println!("{:?}", proxy.counts());
    // Reading standard input holds a thread that nothing can interrupt.
    std::process::exit(0);
}
