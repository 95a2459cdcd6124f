//! The binding over real sockets on loopback. No test waits for a time to pass by, only for something to happen; the limits are generous.

mod batches;
mod cluster;
mod ends;
mod events;
mod failures;
mod fairness;
mod flow;
mod networks;
mod survival;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use unbroken_fault_proxy::{Plan, Proxy};
use unbroken_tokio::client::Events;
use unbroken_tokio::server::Builder;
use unbroken_tokio::{
    Backoff, Client, ClientConfig, ClusterKey, Event, Server, ServerConfig, ServerKey, ServerSession,
};

const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// Far longer than anything here takes.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what)
        .await
        .expect("it happens within 30 seconds")
}

fn key() -> ServerKey {
    ServerKey::from_bytes([7; 32]).expect("not zero")
}

fn cluster() -> ClusterKey {
    ClusterKey::from_bytes([9; 32]).expect("not zero")
}

/// A server that lets everybody in.
fn open_server() -> Builder {
    Server::builder(
        ServerConfig::builder(key(), cluster())
            .authorise_all(true)
            .build()
            .expect("valid"),
    )
}

/// A client that tries again quickly.
fn eager() -> Arc<ClientConfig> {
    let backoff = Backoff {
        base: Duration::from_millis(10),
        cap: Duration::from_millis(100),
        give_up_after: Duration::from_secs(60),
    };
    Arc::new(
        ClientConfig::builder(key().public())
            .backoff(backoff)
            .build()
            .expect("valid"),
    )
}

async fn proxy(to: SocketAddr) -> Proxy {
    Proxy::start(LOCAL.into(), to, Plan::none()).await.expect("a port")
}

async fn echo(session: ServerSession) {
    while let Some(message) = session.recv().await {
        let sent = match message.id {
            Some(_) => session.send(message.payload).await.map(drop),
            None => session.send_unreliable(message.payload),
        };
        if sent.is_err() {
            break;
        }
    }
}

/// Waits for an event of a kind; the others pass by.
async fn until<T>(events: &mut Events, pick: impl Fn(&Event) -> Option<T>) -> T {
    soon(async {
        loop {
            let event = events.next().await.expect("the session is not over");
            if let Some(found) = pick(&event) {
                return found;
            }
        }
    })
    .await
}

/// Sends a number and waits for it to come back.
async fn ping(client: &Client, number: u32) {
    client.send(number.to_be_bytes().to_vec()).await.expect("open");
    let back = soon(client.recv()).await.expect("open");
    assert_eq!(back.payload[..], number.to_be_bytes());
}

fn handover_end(event: &Event) -> Option<unbroken_tokio::HandoverEnd> {
    match event {
        Event::HandoverEnd(end) => Some(*end),
        _ => None,
    }
}
