//! Where the servers of a cluster keep their sessions, so that a session can leave one process and go on in another.
//!
//! An [`Endpoint`](unbroken::Endpoint) gives out [`StoreOp`]s; a [`Store`] carries them out. What they mean is said there, in
//! `unbroken::store`; which store suits which deployment is said in this crate's `README.md`.
//!
//! | | what it is | for |
//! |---|---|---|
//! | `EmbeddedStore` | one file on this machine (feature `embedded`) | one machine whose server is restarted |
//! | `RemoteStore`, `StoreServer` | a store that another process has and lends (feature `remote`) | several servers on one machine |
//! | `RedisStore` | Redis or Valkey (feature `redis`) | many machines |
//! | [`MemoryStore`] | maps in this process | tests, examples |
//!
//! ```
//! use std::time::Duration;
//! use unbroken_store::{Expect, MemoryStore, Owner, Record, Store, StoreOp, StoreReply};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let store = MemoryStore::new();
//! let put = StoreOp::Put {
//!     key: *b"session1",
//!     expect: Expect::Absent,
//!     record: Record::Live { token: 1, owner: Owner([7; 16]), blob: Default::default() },
//!     life: Duration::from_secs(30),
//!     linger: Duration::ZERO,
//! };
//! assert_eq!(store.submit(vec![put.clone(), put]).await, [StoreReply::Done, StoreReply::Conflict]);
//! # }
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod answers;
mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(any(feature = "redis", feature = "remote"))]
mod doubts;
#[cfg(feature = "embedded")]
mod embedded;
mod error;
mod mailboxes;
mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "remote")]
mod remote;
mod rules;
mod send;
#[cfg(any(feature = "embedded", feature = "remote"))]
mod ticket;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

pub use answers::{Answers, Placed};
pub use bytes::Bytes;
#[cfg(feature = "embedded")]
pub use embedded::{EmbeddedBuilder, EmbeddedStore};
pub use error::StoreError;
pub use memory::MemoryStore;
#[cfg(feature = "redis")]
pub use redis::{Confirm, RedisBuilder, RedisStore};
#[cfg(feature = "remote")]
pub use remote::{RemoteBuilder, RemoteStore, StoreServer, StoreServerBuilder};
pub use rules::{MAILBOX_NOTES, QUEUE_MESSAGE, QUEUE_MESSAGES};
pub use send::{Sent, send_to_session};
pub use unbroken::{Cursor, Expect, Owner, Peeked, Record, StoreKey, StoreOp, StoreReply, mail_note};

/// What a [`Store`] answers with, later. It holds no borrow, so it can be spawned.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Carries out what endpoints ask of the store that they share. Its methods must be called within a tokio runtime with timers.
///
/// Give each process one store and let its workers share it: what they ask at the same time is then written together.
pub trait Store: Send + Sync + 'static {
    /// Carries out `batch`: one reply for each, in its place. All of it is in line when this returns, before the future is polled: requests about one
    /// key are carried out in the order of the calls, and within a batch in its order. A batch is no transaction: each request
    /// succeeds or fails alone.
    ///
    /// It never hangs. What was certainly not done, because it was never sent or was turned down, is answered by [`StoreReply::Unavailable`]. What was sent and has no answer
    /// within the store's time-out is answered by [`StoreReply::Failed`], and whether it was done is not known; it is never repeated by the store. What was answered otherwise
    /// is kept as safely as the store keeps things.
    ///
    /// [`StoreOp::Receive`] in a batch is answered at once, by the notes that are there; [`Store::receive`] waits for them. If the future is
    /// dropped, the requests are carried out nevertheless.
    fn submit(&self, batch: Vec<StoreOp>) -> BoxFuture<Vec<StoreReply>>;

    /// As [`Store::submit`], but what is answered need not wait for the rest: in a store of several machines one may be slow, and with it
    /// whatever it has. A request that is not among the answers counts as [`StoreReply::Failed`].
    fn submit_apart(&self, batch: Vec<StoreOp>) -> Answers {
        Answers::together(self.submit(batch))
    }

    /// Waits for notes to `owner` and takes them: at once if there are any, else when the first comes, else an empty list after some seconds. It holds up no other
    /// request.
    ///
    /// `None` if the store was not reached or its answer was lost: notes may be gone, and a server looks for what they would have told it. Not before a second
    /// has passed, as it asks again. Once more some seconds later, where the store may have waited on at a connection that was lost here only. Dropping the future may lose
    /// notes, too.
    fn receive(&self, owner: Owner) -> BoxFuture<Option<Vec<Bytes>>>;

    /// The time-out within which [`Store::submit`] answers. A server that has no answer some seconds after it takes the requests for
    /// [`StoreReply::Failed`]. 5 s, unless a store says otherwise.
    fn patience(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// Whether the store can be reached and will keep what it confirms.
    ///
    /// # Errors
    /// [`StoreError::Forgets`] from a store that works, but by its settings may forget what it has confirmed: worth a warning. All others mean that
    /// it does not work now.
    fn check(&self) -> BoxFuture<Result<(), StoreError>>;
}

/// The answer to `count` requests of which nothing is known.
#[cfg(any(feature = "embedded", feature = "redis", feature = "remote"))]
fn failed(count: usize) -> Vec<StoreReply> {
    vec![StoreReply::Failed; count]
}

/// The answer to `count` requests that were certainly not done.
#[cfg(any(feature = "embedded", feature = "redis", feature = "remote"))]
fn unavailable(count: usize) -> Vec<StoreReply> {
    vec![StoreReply::Unavailable; count]
}

/// A request that is written as any other, and changes nothing: nobody's lease ends.
#[cfg(any(feature = "embedded", feature = "redis"))]
fn probe() -> StoreOp {
    StoreOp::Lease {
        owner: Owner::NONE,
        life: Duration::ZERO,
    }
}

#[cfg(any(feature = "embedded", feature = "redis", feature = "remote"))]
fn check_timeout(timeout: Duration) -> Result<(), StoreError> {
    const BOUNDS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
    if BOUNDS.contains(&timeout) {
        return Ok(());
    }
    Err(StoreError::Option {
        option: "timeout",
        problem: format!(
            "{timeout:?} is out of bounds; it must be from {:?} to {:?}",
            BOUNDS.start(),
            BOUNDS.end()
        ),
    })
}
