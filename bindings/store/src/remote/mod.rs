//! A store in another process, which has it and lends it: so several servers of one machine share one file.
//!
//! `client` asks, `server` answers, `wire` says how, `address` where, and `dial` gets there; `line` has what waits for a connection.

mod address;
mod client;
mod dial;
mod line;
mod server;
mod wire;

pub use client::{RemoteBuilder, RemoteStore};
pub use server::{StoreServer, StoreServerBuilder};
