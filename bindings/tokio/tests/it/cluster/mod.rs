//! Sessions that move between servers, over real sockets: two or more servers of this process share a store, and a balancer sends clients where a test wants.
//!
//! The judge is the game (`game.rs`): its state is a function of all it was told, in order, and each answer shows it. The client computes the same from the
//! answers alone. Whatever is lost, doubled, reordered or rolled back, on either end or in the state, makes them differ.

mod balancer;
mod crashes;
mod game;
mod handlers;
mod keys;
mod leaving;
mod line;
mod mail;
mod moving;
mod room;
mod switch;
mod users;

use std::sync::Arc;
use std::time::Duration;

use unbroken_tokio::server::Builder;
use unbroken_tokio::{Durability, Server, ServerConfig, Store, Timing};

use crate::{cluster, key};

/// Notices a dead server soon; and takes one for dead that had no processor for a second, so it is only for tests in which one dies.
fn quick() -> Timing {
    Timing {
        lease: Duration::from_secs(1),
        ..Timing::default()
    }
}

/// A server of the cluster that lets everybody in.
fn member(durability: Durability, store: &Arc<dyn Store>) -> Builder {
    member_with(Timing::default(), durability, store)
}

fn member_with(timing: Timing, durability: Durability, store: &Arc<dyn Store>) -> Builder {
    let config = ServerConfig::builder(key(), cluster())
        .authorise_all(true)
        .timing(timing)
        .durability(durability)
        .build()
        .expect("valid");
    Server::builder(config).workers(2).store(store.clone())
}
