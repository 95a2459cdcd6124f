//! A tokio client, through a fault proxy, of an echo server in C#: sends numbered messages, and wants each back once and in order although
//! the proxy breaks the links. It takes its time, so that enough of them break, and fails if too few did.

use std::sync::Arc;
use std::time::Duration;

use unbroken_fault_proxy::{Plan, Proxy};
use unbroken_tokio::{Client, ClientConfig, ServerKey};

#[derive(clap::Args)]
pub struct Options {
    /// The server's port on loopback
    port: u16,
    #[arg(long, default_value_t = 10_000)]
    messages: u64,
    /// So many links must have been cut
    #[arg(long, default_value_t = 50)]
    cuts: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// So many handovers must have ended well
    #[arg(long, default_value_t = 0)]
    handovers: u64,
    /// Mean time between faults on one link, in milliseconds
    #[arg(long, default_value_t = 100)]
    every: u64,
    /// Print a line each time so many messages have come back
    #[arg(long)]
    tell: Option<u64>,
}

pub async fn run(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let server = format!("127.0.0.1:{}", options.port).parse()?;
    let plan = Plan::new(options.seed, Duration::from_millis(options.every));
    let proxy = Proxy::start("127.0.0.1:0".parse()?, server, plan).await?;
    let config = ClientConfig::builder(ServerKey::from_bytes([7; 32])?.public())
        .realm("unity-tests")
        .credential("let me in")
        .build()?;
    let client = Client::connect(proxy.local_addr(), Arc::new(config)).await?;
    let (mut sent, mut received) = (0, 0);
    let mut tell = options.tell;
    // In small batches, until there were enough messages, cuts and handovers.
    while sent < options.messages || proxy.counts().cut() < options.cuts || client.stats().handovers < options.handovers
    {
        for _ in 0..20 {
            client.send(numbered(sent)).await?;
            sent += 1;
        }
        while sent - received > 100 {
            received += expect(&client, received).await?;
        }
        if let Some(at) = tell.as_mut().filter(|at| received >= **at) {
            println!("{received} so far");
            *at += options.tell.unwrap_or_default();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while received < sent {
        received += expect(&client, received).await?;
    }
    // The end is wanted once and never retried: a cut between CLOSE and CLOSE_ACK would leave the server waiting for the session's life.
    proxy.calm();
    client.send(numbered(sent)).await?;
    received += expect(&client, received).await?;
    let handovers = client.stats().handovers;
    client.disconnect(0).await;
    let cuts = proxy.counts().cut();
    println!("{received} messages both ways, {cuts} cuts, {handovers} handovers");
    if handovers < options.cuts / 3 {
        return Err(format!("only {handovers} handovers: this shows little").into());
    }
    Ok(())
}

/// The number, then bytes that follow from it; lengths differ.
fn numbered(number: u64) -> Vec<u8> {
    let mut message = number.to_le_bytes().to_vec();
    message.extend((0..number * 7919 % 300).map(|i| (number + i) as u8));
    message
}

async fn expect(client: &Client, number: u64) -> Result<u64, Box<dyn std::error::Error>> {
    let message = client.recv().await.ok_or("the session ended")?;
    if message.payload != numbered(number) {
        return Err(format!("not message {number}: {:?}", message.payload).into());
    }
    Ok(1)
}
