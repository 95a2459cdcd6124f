//! The server: an acceptor and N workers, sharing nothing.
//!
//! Each worker is a thread with its own single-threaded runtime and its own [`Endpoint`]: it owns its sessions, their
//! sockets, their timers and their handler tasks, so nothing is ever locked. The acceptor (`accept.rs`, a thread of its own) reads the first 28 bytes
//! of a connection; a resume names its worker in there, a new session goes to the next in turn. The worker's driver (`worker.rs`) moves
//! bytes between links (`link.rs`) and the endpoint; handlers hold a [`ServerSession`] (`session.rs`), which steps the endpoint
//! directly. A [`SessionHandle`] (`remote.rs`) reaches a session from any thread.
//!
//! What keeps one client from delaying another (L-11): a socket that takes no more blocks only its own link; a handler that does not fetch
//! holds back its own peer by credit; a handler that waits is one task among many; and fetching and sending count against tokio's
//! cooperative budget, so that a busy handler yields. What a handler must not do is block the thread.

mod accept;
mod dispatch;
mod hooks;
mod link;
mod remote;
mod session;
mod worker;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::info;
use unbroken::{Counters, Endpoint, Router, ServerConfig, SessionId, Shard, Verdict};

use crate::{clock, seed};
use hooks::Hooks;
use worker::Command;

pub use remote::SessionHandle;
pub use session::{ServerEvents, ServerSession};

/// The code of the CLOSE that a client gets when its handler panicked.
pub const HANDLER_PANICKED: u32 = u32::MAX;

/// Connections handed to a worker that it has not looked at yet. Beyond that they are turned away.
const HANDED_OVER: usize = 1024;

/// A running server. Dropping it stops it at once, without farewell; [`Server::shutdown`] says goodbye.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    acceptor: Option<JoinHandle<()>>,
    workers: Vec<Workhorse>,
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
    /// What its endpoint counted since the start.
    pub counters: Counters,
}

impl Server {
    /// Starts from the defaults.
    pub fn builder(config: ServerConfig) -> Builder {
        Builder {
            config,
            workers: std::thread::available_parallelism().map_or(1, |n| n.get()),
            hooks: Hooks::default(),
        }
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
    /// back, and its handler too. Returns whether there was such a session.
    pub async fn kick(&self, session: SessionId, code: u32) -> bool {
        let mut found = false;
        for answer in self.ask(|reply| Command::Kick { session, code, reply }) {
            found |= answer.await.unwrap_or(false);
        }
        found
    }

    /// Stops accepting, closes all sessions with `code` and waits until their last messages are through and their handlers have returned,
    /// at most for `grace`. Then everything that is left ends.
    pub async fn shutdown(mut self, code: u32, grace: Duration) {
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

/// Collects what a [`Server`] is made of.
#[must_use = "a builder does nothing before `serve`"]
pub struct Builder {
    config: ServerConfig,
    workers: usize,
    hooks: Hooks,
}

impl Builder {
    /// How many worker threads, 1 to 1,024; default: one per core.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.clamp(1, 1024);
        self
    }

    /// Judges each new session by the credential its client sent (at most 8192 bytes). Runs as a task of its own in the session's worker; no message
    /// is handed out before the verdict. Without it, and without `ServerConfig::authorise_all`, every client is refused with code 0.
    pub fn authorise<H, F>(mut self, hook: H) -> Self
    where
        H: Fn(Bytes) -> F + Send + Sync + 'static,
        F: Future<Output = Verdict> + 'static,
    {
        self.hooks.authorise = Some(Arc::new(move |credential| Box::pin(hook(credential))));
        self
    }

    /// May veto each resume: an error is the code that the client gets, with `CloseReason::Refused`; the session ends. Asked only with
    /// `ServerConfig::ask_on_resume`; must answer within `Limits::handshake`. Without the hook, all resumes are let in.
    pub fn on_resume<H, F>(mut self, hook: H) -> Self
    where
        H: Fn(SessionId) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), u32>> + 'static,
    {
        self.hooks.resume = Some(Arc::new(move |session| Box::pin(hook(session))));
        self
    }

    /// Binds `address`, starts the workers and serves: `handler` runs once for each session, as a task in its worker, from the moment
    /// the session stands until the handler returns, which closes it with code 0. When the session ends otherwise, `recv` gives
    /// `None` and `send` an error, and the handler should return. The future need not be `Send`. A panic in it puts out its own session only,
    /// with [`HANDLER_PANICKED`].
    ///
    /// # Errors
    /// The address cannot be bound, threads or runtimes cannot be started, or the system gives no randomness.
    pub async fn serve<H, F>(self, address: impl ToSocketAddrs, handler: H) -> io::Result<Server>
    where
        H: Fn(ServerSession) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + 'static,
    {
        let listener = TcpListener::bind(address).await?.into_std()?;
        self.serve_on(listener, handler)
    }

    /// As [`Builder::serve`], on a listener that is bound already (and perhaps handed over by a service manager).
    ///
    /// # Errors
    /// As [`Builder::serve`].
    pub fn serve_on<H, F>(mut self, listener: std::net::TcpListener, handler: H) -> io::Result<Server>
    where
        H: Fn(ServerSession) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + 'static,
    {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        self.hooks.handler = Some(Arc::new(move |session| Box::pin(handler(session))));
        let hooks = Arc::new(self.hooks);
        let (stop, stopped) = watch::channel(false);
        let count = self.workers as u16;
        let mut server = Server {
            address,
            stop,
            acceptor: None,
            workers: Vec::new(),
        };
        let mut doors = Vec::new();
        for index in 0..count {
            let config = self
                .config
                .for_shard(Shard { index, count })
                .map_err(io::Error::other)?;
            let endpoint = Endpoint::new(Arc::new(config), seed::fresh()?, clock::now());
            let (commands, orders) = mpsc::unbounded_channel();
            let (door, arrivals) = mpsc::channel(HANDED_OVER);
            let thread = worker::spawn(index, endpoint, hooks.clone(), orders, arrivals)?;
            server.workers.push(Workhorse {
                commands,
                thread: Some(thread),
            });
            doors.push(door);
        }
        let router = Router::new(self.config.cluster(), count);
        server.acceptor = Some(accept::spawn(
            listener,
            router,
            doors,
            self.config.limits().clone(),
            stopped,
        )?);
        info!(target: "unbroken::server", %address, workers = count, "listening");
        Ok(server)
    }
}
