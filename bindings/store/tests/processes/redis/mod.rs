//! The store in Redis, with real servers: the suite, crashes, and the ways to reach them.

pub mod server;

mod disk;
mod settings;
mod survival;
mod topologies;

use std::time::Duration;

use unbroken_store::RedisStore;
use unbroken_store::conformance::{Subject, pass, suite};

use server::Server;
pub use server::free_port;

/// A time-out that no busy machine reaches: the suite is about answers, not about how soon they come.
const PATIENT: Duration = Duration::from_secs(60);

suite!(async || subject(Server::start()).await);

/// A store in this server, which lives as long as the subject does.
async fn subject(server: Server) -> Subject {
    let builder = RedisStore::builder([server.url()]).timeout(PATIENT);
    let store = builder.connect().await.expect("it connects");
    keeping(store, server)
}

fn keeping(store: RedisStore, servers: impl Send + Sync + 'static) -> Subject {
    Subject::with_clock(store, move |time| {
        let _ = &servers;
        Box::pin(pass(time))
    })
}
