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
//! # Sessions that survive their server
//! With a [`Store`] that servers share, a session can leave one process and go on in another, with the same id and without losing a message: when
//! an operator restarts a server, when a balancer sends the client elsewhere, and with [`Durability::Durable`] when a server dies. Its handler is then a
//! value that can be turned into bytes and back, a [`SessionHandler`]; [`server`] says how it is called and why so.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use std::time::Duration;
//! # use unbroken_tokio::*;
//! /// Adds up what its client sends.
//! struct Sum(u64);
//!
//! impl SessionHandler for Sum {
//!     fn on_message(&mut self, session: &SessionRef<'_>, message: Message) {
//!         self.0 += message.payload.len() as u64;
//!         let _ = session.send(self.0.to_be_bytes().to_vec());
//!     }
//!
//!     fn swap_out(&self) -> Bytes {
//!         self.0.to_be_bytes().to_vec().into()
//!     }
//! }
//!
//! struct Sums;
//!
//! impl HandlerFactory for Sums {
//!     type Handler = Sum;
//!
//!     fn open(&self, _session: &SessionRef<'_>) -> Sum {
//!         Sum(0)
//!     }
//!
//!     fn restore(&self, _session: &SessionRef<'_>, state: Bytes) -> Result<Sum, RestoreError> {
//!         Ok(Sum(u64::from_be_bytes(state[..].try_into()?)))
//!     }
//! }
//!
//! # async fn run(key: ServerKey, cluster: ClusterKey) -> Result<(), Box<dyn std::error::Error>> {
//! # let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
//! let config = ServerConfig::builder(key, cluster)
//!     .authorise_all(true)
//!     .durability(Durability::SwapOut)
//!     .build()?;
//! let server = Server::builder(config)
//!     .store(store) // one of unbroken-store's
//!     .serve_sessions("0.0.0.0:7000", Sums)
//!     .await?;
//! server::probe::listen("127.0.0.1:7001", server.readiness()).await?;
//! signal::drained_on_sigterm(server, Duration::from_secs(20)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The last line is the whole planned end: on SIGTERM new clients are turned away, those that are here are asked to move within 20 seconds, who is left is
//! swapped out, and the process ends when the store has everybody. If the store does not work it says so and goes on serving.
//!
//! | | `Memory` | `SwapOut` | `Durable` |
//! |---|---|---|---|
//! | handler | async, or a [`SessionHandler`] | a [`SessionHandler`] | a [`SessionHandler`] |
//! | the process ends as planned | sessions end, reported | nothing is lost | nothing is lost |
//! | the process dies | sessions end, reported | sessions end, reported | nothing is lost |
//! | CPU of the server for a message | 1 | 1 to 1.1 | 1.3 to 1.5 without a disk, 2 to 2.9 with `EmbeddedStore` |
//!
//! The last row is measured by `cargo run --release -p unbroken-tokio --example durability`, an echo of 64 bytes with 64 clients on two cores, each with 32
//! messages under way (the lower figure) or one; `Durable` also adds the store's time to each round trip. `--example swap_out` measures a
//! planned restart of a server with 10,000 sessions.
//!
//! [`Server::send_to_session`] and [`send_to_session`] reach a session from any process, once and in order, wherever it is.
//! [`SessionRef::bind_user`] says whose it is: a user who comes with another session, anywhere, ends the former one.
//!
//! # Back-pressure
//! Nothing queues without bound. `send` waits while the un-ACKed limits (`Limits::unacked_bytes`, `unacked_messages`) are used up,
//! and gives the message back if the session ends meanwhile. A message counts as delivered, and is ACKed, when `recv` hands
//! it out; one that is not fetched holds the sender back by credit. Events never hold anything back: of those that nobody fetches the
//! newest 256 are kept. A [`SessionHandler`] is given a message only when there is room for its answer.
//!
//! # Speed
//! What is sent leaves when the task that sent it next waits, all of it in as few records and writes as it fits; nothing has to be flushed. Whoever has many
//! messages at once reads them by `recv_batch`, which lends them, and sends them by `send_many` or `send_all`: one step and no allocation for all of them.
//!
//! | for each message | allocations | copies of the payload |
//! |---|---|---|
//! | `send_slice`, `send_many`, `send_all`, `send` of [`Bytes`] | 0 | 1, into the outbox; it is sealed from there into the buffer that the socket gets |
//! | `recv_batch` | 0 | 0: opened from the socket's buffer to where it is lent from |
//! | `recv`, `try_recv`, [`SessionHandler::on_message`] | 1 | 1: the message is the application's |
//!
//! # Logs
//! Through `tracing`. Message payloads and credentials are never logged.
//!
//! | target | level | what |
//! |---|---|---|
//! | `unbroken::client` | info | established, handover begun and ended (with downtime), closed |
//! | | warn | a handover failed |
//! | | warn | a link is to go over a network that was not registered |
//! | | error | a link cannot be bound to its network |
//! | | debug | dialling, links up and down |
//! | `unbroken::server` | info | listening, stopped |
//! | | info | asked to leave, draining (each second), drained |
//! | | warn | cannot accept, a worker does not keep up, no authorise hook is set, what a [`SessionHandle`] took is not sent; not drained, a session not swapped out, the store gives no answer or may forget |
//! | | error | a handler panicked, a worker died, a session closed by an internal error; asked to leave and cannot; a state that cannot be saved or restored |
//! | | debug | sessions established, handovers, taken over, swapped out, closed; links turned away |
//! | | trace | links up and down |
//! | `unbroken::store` | warn | settings by which a store may forget, what it did not do or not confirm, connections that are lost |
//! | | error | a file that cannot be written |
//!
//! Handlers run within the span `session{id}` of the target `unbroken::server` (level debug), so what they log is tied to it.
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
mod race;
mod ring;
mod seed;
pub mod server;
pub mod signal;
mod socket;
mod wakers;

pub use client::{Binding, Client, ConnectError};
pub use dial::{Dial, Dialer, Dialing};
pub use message::Message;
pub use server::{
    DrainError, Drained, End, HandlerFactory, RestoreError, Server, ServerSession, SessionHandle, SessionHandler,
    SessionRef,
};

// What an application needs of the core, so that one dependency is enough.
pub use bytes::Bytes;
pub use unbroken::{
    Backoff, Batch, ClientConfig, CloseReason, ClusterKey, ConfigError, Durability, Event, FailReason, HandoverCause,
    HandoverEnd, Limits, LinkHealth, MessageId, NetworkEvent, NetworkId, NoStore, PublicKey, Refusal, SendError,
    ServerConfig, ServerKey, SessionId, State, Stats, Timing, USER_MOVED, Verdict,
};
pub use unbroken_store::{MemoryStore, Sent, Store, StoreError, send_to_session};
