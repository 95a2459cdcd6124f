//! The server: an acceptor and N workers, sharing nothing.
//!
//! Each worker is a thread with its own single-threaded runtime and its own [`Endpoint`](unbroken::Endpoint): it owns its sessions, their
//! sockets, their timers and their handler tasks, so nothing is ever locked. The acceptor (`accept.rs`, a thread of its own) reads the first 28 bytes
//! of a connection; a resume names its worker in there, a new session goes to the next in turn. The worker's driver (`worker.rs`) moves
//! bytes between links (`link.rs`) and the endpoint; handlers hold a [`ServerSession`] (`session.rs`), which steps the endpoint
//! directly. A [`SessionHandle`] (`remote.rs`) reaches a session from any thread.
//!
//! With a store, sessions can leave for other processes. Their handlers are values that the driver calls (`handler.rs`, `seat.rs`); each worker's endpoint is an owner of
//! its own in the store, and its driver carries requests there and answers back (`storing.rs`). `drain.rs` is the planned end.
//!
//! What keeps one client from delaying another (L-11): a socket that takes no more blocks only its own link; a handler that does not fetch
//! holds back its own peer by credit; a handler that waits is one task among many; and fetching and sending count against tokio's
//! cooperative budget, so that a busy handler yields. What a handler must not do is block the thread.

mod accept;
mod builder;
mod crowd;
mod dispatch;
mod door;
mod drain;
mod driver;
mod handler;
mod hooks;
mod link;
mod listen;
pub mod probe;
mod readiness;
mod remote;
mod seat;
mod session;
mod storing;
mod worker;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tracing::info;
use unbroken::{ConfigError, Counters, PublicKey, ServerConfig, SessionId};
use unbroken_store::{Sent, Store, StoreError, send_to_session};

use worker::Command;

pub use builder::Builder;
pub use drain::{Drain, DrainError, Drained, Progress};
pub use handler::{End, HandlerFactory, RestoreError, SessionHandler, SessionRef};
pub use readiness::Readiness;
pub use remote::SessionHandle;
pub use session::{ServerEvents, ServerSession};

/// The code of the CLOSE that a client gets when its handler panicked, and of the refusal when it was the hook that authorises or judges a resume.
pub const HANDLER_PANICKED: u32 = u32::MAX;

/// The code of the CLOSE that a client gets when its session came here and the handler's state could not be read.
pub const RESTORE_FAILED: u32 = u32::MAX - 2;
/// The code of the CLOSE that a client gets when its handler's state has become larger than `Limits::snapshot`, with `Durability::Durable`.
pub const STATE_TOO_LARGE: u32 = u32::MAX - 3;

/// How long a message from a server waits for a session that is away, beyond the session's own life.
const MAIL_MARGIN: Duration = Duration::from_secs(60);

/// Connections handed to a worker that it has not looked at yet. Beyond that they are turned away.
const HANDED_OVER: usize = 1024;

/// A running server. Dropping it stops it at once, without farewell; [`Server::shutdown`] says goodbye.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    acceptor: Option<JoinHandle<()>>,
    workers: Vec<Workhorse>,
    readiness: Readiness,
    store: Option<Arc<dyn Store>>,
    /// By their durability.
    sessions_can_leave: bool,
    mail_life: Duration,
    /// Held by a drain.
    draining: Mutex<()>,
}

/// The server's end of one worker.
struct Workhorse {
    commands: mpsc::UnboundedSender<Command>,
    thread: Option<JoinHandle<()>>,
}

/// What one worker has at the moment.
#[derive(Clone, Copy, Debug)]
pub struct WorkerStats {
    /// Sessions, attached and detached.
    pub sessions: usize,
    /// Of these, those without a link.
    pub detached: usize,
    /// Connections, resumed or not.
    pub links: usize,
    /// What the store was asked and has not answered; not 0 either as long as there are ends that it has not taken.
    pub store_requests: usize,
    /// What its endpoint counted since the start.
    pub counters: Counters,
}

impl Server {
    /// Starts from the defaults.
    pub fn builder(config: ServerConfig) -> Builder {
        Builder::new(config)
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// What each worker has at the moment.
    pub async fn stats(&self) -> Vec<WorkerStats> {
        let mut all = Vec::with_capacity(self.workers.len());
        for answer in self.ask(Command::Stats) {
            all.extend(answer.await);
        }
        all
    }

    /// Puts a session out, wherever it is, attached or not: its client learns `CloseReason::Kicked` with this code, now or when it comes
    /// back, and its handler too. Returns whether it was on this server. If not, and there is a store, it is put out on the server that has it, or where it lies
    /// swapped out, within moments, or when the lease of a server that does not hear is over; what came of it is not told.
    pub async fn kick(&self, session: SessionId, code: u32) -> bool {
        let mut found = false;
        for answer in self.ask(|reply| Command::Kick { session, code, reply }) {
            found |= answer.await.unwrap_or(false);
        }
        if !found {
            // One is enough: the store knows where it is.
            let _ = self.workers[0].commands.send(Command::KickAnywhere { session, code });
        }
        found
    }

    /// Sends a message to a session, on whatever server it is: its handler gets it by [`SessionHandler::on_mail`], once and in order. It is queued in the
    /// store, for as long as a session can be away and a minute more. Other processes use [`unbroken_store::send_to_session`], where it is also said why not to drop
    /// the future.
    ///
    /// # Errors
    /// As [`unbroken_store::send_to_session`]; without a store, too.
    pub async fn send_to_session(&self, session: SessionId, message: impl Into<Bytes>) -> Result<Sent, StoreError> {
        let Some(store) = &self.store else {
            return Err(StoreError::Option {
                option: "store",
                problem: "none is set, so nothing can be sent to sessions by it; give one to Builder::store".into(),
            });
        };
        send_to_session(&**store, session, message, self.mail_life).await
    }

    /// Tells all clients that are connected of server keys to trust from now on, each for a time, beside those that they pin: so that a key can be replaced that they were
    /// shipped with. Add it by `ServerConfigBuilder::also_key` first. Returns how many were told; who is away is not, and no link is told more than 16 times in its
    /// life, drains included.
    ///
    /// # Errors
    /// No key, or more than 4 at once.
    pub async fn announce_keys(&self, keys: &[(PublicKey, Duration)]) -> Result<usize, ConfigError> {
        let keys: Arc<[_]> = keys.into();
        let mut told = 0;
        for answer in self.ask(|reply| Command::Announce {
            keys: keys.clone(),
            reply,
        }) {
            // An error means that the worker has ended: it has no clients.
            told += answer.await.unwrap_or(Ok(0))?;
        }
        Ok(told)
    }

    /// Whether new connections should come here: false from the beginning of a drain or shutdown. For probes see [`probe::listen`].
    pub fn is_ready(&self) -> bool {
        self.readiness.is_ready()
    }

    /// The same, to be asked from elsewhere.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Stops accepting, closes all sessions with `code` and waits until their last messages are through and their handlers have returned,
    /// at most for `grace`. Then everything that is left ends. A session that comes in meanwhile, by a connection that was there already, is closed
    /// like the others.
    pub async fn shutdown(mut self, code: u32, grace: Duration) {
        self.readiness.set(false);
        self.stop.send_replace(true);
        for answer in self.ask(|done| Command::Shutdown { code, grace, done }) {
            // An error means that the worker has ended, which is what is waited for.
            let _ = answer.await;
        }
        self.join();
        info!(target: "unbroken::server", address = %self.address, "stopped");
    }

    /// One question to all workers at once.
    fn ask<T>(&self, command: impl Fn(oneshot::Sender<T>) -> Command) -> Vec<oneshot::Receiver<T>> {
        let ask = |worker: &Workhorse| {
            let (reply, answer) = oneshot::channel();
            let _ = worker.commands.send(command(reply));
            answer
        };
        self.workers.iter().map(ask).collect()
    }

    /// One order to all workers.
    fn tell_all(&self, command: impl Fn() -> Command) {
        for worker in &self.workers {
            let _ = worker.commands.send(command());
        }
    }

    fn join(&mut self) {
        let threads = self
            .workers
            .iter_mut()
            .map(|worker| &mut worker.thread)
            .chain([&mut self.acceptor]);
        threads.filter_map(Option::take).for_each(|thread| drop(thread.join()));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.readiness.set(false);
        self.stop.send_replace(true);
        // A worker ends when nobody can command it any more; the threads are not waited for, a handler may hold them.
        self.workers.clear();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .field("workers", &self.workers.len())
            .finish()
    }
}
