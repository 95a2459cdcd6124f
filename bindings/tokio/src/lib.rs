//! Sessions that survive their links, on tokio: the clock and the sockets for the sans-IO core [`unbroken`].
//!
//! A [`Client`] keeps one session to a service. A [`Server`] keeps many, spread over worker threads, and runs one async handler for
//! each. Links break, are dialled again and resumed underneath; the application on either end sees each message once, in order, and
//! two events around each interruption: `HandoverBegin` and `HandoverEnd`.
//!
//! ```no_run
//! # async fn run(key: unbroken::ServerKey, cluster: unbroken::ClusterKey) -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use unbroken_tokio::{Client, ClientConfig, Server, ServerConfig, ServerSession};
//!
//! let pin = key.public();
//! let config = ServerConfig::builder(key, cluster).authorise_all(true).build()?;
//! let server = Server::builder(config)
//!     .serve("127.0.0.1:0", async |session: ServerSession| {
//!         while let Some(message) = session.recv().await {
//!             let _ = session.send(message.payload).await;
//!         }
//!     })
//!     .await?;
//!
//! let config = Arc::new(ClientConfig::builder(pin).build()?);
//! let client = Client::connect(server.local_addr(), config).await?;
//! client.send("hello").await?;
//! assert_eq!(client.recv().await.map(|m| m.payload), Some("hello".into()));
//! client.disconnect(0).await;
//! # Ok(())
//! # }
//! ```
//!
//! # Back-pressure
//! Nothing queues without bound. `send` waits while the un-ACKed limits (`Limits::unacked_bytes`, `unacked_messages`) are used up,
//! and gives the message back if the session ends meanwhile. A message counts as delivered, and is ACKed, when `recv` hands
//! it out; one that is not fetched holds the sender back by credit. Events never hold anything back: of those that nobody fetches the
//! newest 256 are kept.
//!
//! # Logs
//! Through `tracing`. Message payloads and credentials are never logged.
//!
//! | target | level | what |
//! |---|---|---|
//! | `unbroken::client` | info | established, handover begun and ended (with downtime), closed |
//! | | warn | a handover failed |
//! | | debug | dialling, links up and down |
//! | `unbroken::server` | info | listening, stopped |
//! | | warn | cannot accept, a worker is flooded, no authorise hook is set |
//! | | error | a handler panicked, a worker died |
//! | | debug | sessions established, handovers, closed; links turned away |
//! | | trace | links up and down |
//!
//! Handlers run within the span `session{id}` of the target `unbroken::server`, so what they log is tied to it.
//!
//! # Metrics
//! Through the facade of the `metrics` crate; the names are in [`metrics`](mod@metrics). With the feature `prometheus`,
//! `unbroken_tokio::prometheus::listen` serves them over HTTP.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod client;
mod clock;
mod dial;
mod message;
pub mod metrics;
#[cfg(feature = "prometheus")]
pub mod prometheus;
mod ring;
mod seed;
pub mod server;
mod socket;
mod wakers;

pub use client::{Binding, Client, ConnectError};
pub use dial::{Dial, Dialer, Dialing};
pub use message::Message;
pub use server::{Server, ServerSession, SessionHandle};

// What an application needs of the core, so that one dependency is enough.
pub use bytes::Bytes;
pub use unbroken::{
    Backoff, ClientConfig, CloseReason, ClusterKey, ConfigError, Event, FailReason, HandoverCause, HandoverEnd, Limits,
    MessageId, NetworkEvent, NetworkId, PublicKey, SendError, ServerConfig, ServerKey, SessionId, State, Stats, Timing,
    Verdict,
};
