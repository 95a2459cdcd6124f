//! One session that stays alive while the network under it breaks.
//!
//! A phone walks from Wi-Fi to cellular, an app goes to the background, a balancer picks another server: the TCP connection
//! dies, the session does not. No message is lost, doubled or reordered; the application sees [`Event::HandoverBegin`], then
//! [`Event::HandoverEnd`].
//!
//! This crate is the pure core: bytes, timer ticks and network events in, bytes and events out. It touches no socket, reads
//! no clock, starts no thread and draws no random number; whoever drives it does. A [`Session`] is the client's end; an
//! [`Endpoint`] is the server's, and holds many sessions. `unbroken-tokio` drives both over real sockets.
//!
//! # Driving the two ends
//!
//! Both have the same verbs: report what happened by `handle_*`, then poll until `None`, in any order. Here two ends talk in
//! memory, lose their link in the middle, and go on:
//!
//! ```
//! use std::sync::Arc;
//! use unbroken::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server_key = ServerKey::from_bytes([7; 32])?; // from a secret store, in earnest
//! let client_config = ClientConfig::builder(server_key.public()).credential("ticket of anna").build()?;
//! let server_config = ServerConfig::builder(server_key, ClusterKey::from_bytes([9; 32])?).build()?;
//!
//! let now = Instant::ZERO;
//! let mut client = Session::connect(Arc::new(client_config), Seed::new([1; 32]), now);
//! let mut server = Endpoint::new(Arc::new(server_config), Seed::new([2; 32]), now);
//!
//! // Moves everything that is queued to the other end, until nothing is.
//! fn exchange(client: &mut Session, server: &mut Endpoint, now: Instant) {
//!     let mut buffer = [0; 65536];
//!     loop {
//!         let mut idle = true;
//!         while let Some(output) = client.poll_output(&mut buffer, now) {
//!             idle = false;
//!             match output {
//!                 Output::OpenLink { link, .. } => {
//!                     client.handle_link_up(link, now);
//!                     server.handle_link_up(link, now);
//!                 }
//!                 Output::Send { link, len } => server.handle_input(link, &buffer[..len], now),
//!                 Output::CloseLink { link } => server.handle_link_down(link, now),
//!             }
//!         }
//!         while let Some(output) = server.poll_output(&mut buffer, now) {
//!             idle = false;
//!             match output {
//!                 Output::Send { link, len } => client.handle_input(link, &buffer[..len], now),
//!                 Output::CloseLink { link } => client.handle_link_down(link, now),
//!                 Output::OpenLink { .. } => unreachable!("a server opens no links"),
//!             }
//!         }
//!         while let Some((id, event)) = server.poll_event() {
//!             if let (Event::Authorise { .. }, Some(mut session)) = (event, server.session(id)) {
//!                 session.authorise(Verdict::Accept { message: "welcome".into() });
//!             }
//!             idle = false;
//!         }
//!         if idle {
//!             return;
//!         }
//!     }
//! }
//!
//! exchange(&mut client, &mut server, now);
//! assert_eq!(client.state(), State::Established);
//!
//! // The link breaks, and a message is sent before anything is repaired.
//! client.handle_link_down(LinkId(0), now);
//! server.handle_link_down(LinkId(0), now);
//! client.send("still here".into())?;
//! exchange(&mut client, &mut server, now);
//!
//! let mut session = server.session(client.id().unwrap()).unwrap();
//! assert_eq!(session.recv().unwrap().payload, b"still here");
//! assert!(std::iter::from_fn(|| client.poll_event()).any(|event| matches!(event, Event::HandoverEnd(_))));
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! See `README.md` for the guarantees and `docs/PROTOCOL.md` for every byte on the wire.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod config;
#[doc(hidden)]
pub mod crypto;
mod endpoint;
mod error;
mod event;
#[doc(hidden)]
pub mod session;
#[doc(hidden)]
pub mod snapshot;
pub mod store;
mod time;
#[doc(hidden)]
pub mod wire;

pub use config::{Backoff, ClientConfig, Durability, Limits, ServerConfig, Shard, Timing};
pub use crypto::{ClusterKey, PublicKey, Seed, ServerKey, ZeroKey};
pub use endpoint::{Counters, Endpoint, NoStore, Route, Router, SessionMut, USER_MOVED, mail_note};
pub use error::{CloseReason, ConfigError, FailReason, Refusal, SaveError, SendError};
pub use event::{
    Event, HandoverCause, HandoverEnd, LinkHealth, LinkId, Message, MessageId, NetworkEvent, NetworkId, Output,
    SessionId, State, Target,
};
pub use session::{Batch, Credential, MIN_BUFFER, Session, Stats, Verdict};
pub use store::{Cursor, Expect, Owner, Peeked, Record, RequestId, StoreKey, StoreOp, StoreReply, StoreRequest};
pub use time::Instant;
