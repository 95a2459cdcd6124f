//! Collects what a server is made of, checks that it fits together, and starts it.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::ToSocketAddrs;
use tokio::sync::{Mutex, mpsc, watch};
use tracing::{info, warn};
use unbroken::{Durability, Endpoint, Router, ServerConfig, SessionId, Shard, Verdict};
use unbroken_store::{Store, StoreError};

use super::handler::HandlerFactory;
use super::hooks::Hooks;
use super::listen::listen;
use super::readiness::Readiness;
use super::session::ServerSession;
use super::worker::{self, Command, Job};
use super::{HANDED_OVER, MAIL_MARGIN, Server, Workhorse, accept};
use crate::{clock, seed};

/// How long a store that has just been found to work may take for the first sign of life of each worker.
const FIRST_LEASES: Duration = Duration::from_secs(30);

/// Collects what a [`Server`] is made of.
#[must_use = "a builder does nothing before `serve`"]
pub struct Builder {
    config: ServerConfig,
    workers: usize,
    hooks: Hooks,
    store: Option<Arc<dyn Store>>,
}

impl Builder {
    pub(super) fn new(config: ServerConfig) -> Self {
        Builder {
            config,
            workers: std::thread::available_parallelism().map_or(1, |n| n.get()),
            hooks: Hooks::default(),
            store: None,
        }
    }

    /// How many worker threads, 1 to 1,024; default: one per core.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.clamp(1, 1024);
        self
    }

    /// Where the servers of a cluster keep their sessions, for `Durability::SwapOut` and `Durable`. Servers that share it must have the same cluster key and realm. Their
    /// numbers of workers may differ.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
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

    /// May veto each resume: an error is the code that the client gets, with `CloseReason::Refused`; the session ends. It must answer within
    /// `Limits::handshake`. Without the hook, all resumes are let in.
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
    /// with [`HANDLER_PANICKED`](super::HANDLER_PANICKED).
    ///
    /// Such a handler cannot leave its process: this is for `Durability::Memory`. For others see [`Builder::serve_sessions`].
    ///
    /// # Errors
    /// The address cannot be bound, threads or runtimes cannot be started, or the system gives no randomness. Another durability.
    pub async fn serve<H, F>(self, address: impl ToSocketAddrs, handler: H) -> io::Result<Server>
    where
        H: Fn(ServerSession) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + 'static,
    {
        let listener = listen(address).await?;
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
        let durability = self.config.durability();
        if durability != Durability::Memory {
            return refuse(format!(
                "Durability::{durability:?} needs handlers that can leave the process, and an async one cannot: use serve_sessions, or Durability::Memory"
            ));
        }
        self.hooks.handler = Some(Arc::new(move |session| Box::pin(handler(session))));
        let server = self.start(listener)?;
        server.readiness.set(true);
        Ok(server)
    }

    /// Binds `address`, starts the workers and serves, with handlers that can leave the process as bytes and go on in another: one
    /// [`SessionHandler`](super::SessionHandler) for each session, made by `factory`. Works with every durability; all but `Memory` need a [`Builder::store`].
    ///
    /// # Errors
    /// As [`Builder::serve`]. No store is set although the durability needs one, or it does not work.
    pub async fn serve_sessions(self, address: impl ToSocketAddrs, factory: impl HandlerFactory) -> io::Result<Server> {
        let listener = listen(address).await?;
        self.serve_sessions_on(listener, factory).await
    }

    /// As [`Builder::serve_sessions`], on a listener that is bound already.
    ///
    /// # Errors
    /// As [`Builder::serve_sessions`].
    pub async fn serve_sessions_on(
        mut self,
        listener: std::net::TcpListener,
        factory: impl HandlerFactory,
    ) -> io::Result<Server> {
        let durability = self.config.durability();
        match &self.store {
            None if durability != Durability::Memory => {
                return refuse(format!(
                    "Durability::{durability:?} needs a store: give one to Builder::store"
                ));
            }
            Some(store) if durability != Durability::Memory => check(&**store).await?,
            _ => {}
        }
        self.hooks.factory = Some(Arc::new(factory));
        let server = self.start(listener)?;
        if durability != Durability::Memory {
            server.await_leases().await?;
        }
        server.readiness.set(true);
        Ok(server)
    }

    fn start(self, listener: std::net::TcpListener) -> io::Result<Server> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let hooks = Arc::new(self.hooks);
        let (stop, stopped) = watch::channel(false);
        let count = self.workers as u16;
        let durability = self.config.durability();
        let limits = self.config.limits().clone();
        let mut server = Server {
            address,
            stop,
            acceptor: None,
            workers: Vec::new(),
            readiness: Readiness::default(),
            store: self.store,
            sessions_can_leave: durability != Durability::Memory,
            mail_life: limits.detached + MAIL_MARGIN,
            draining: Mutex::new(()),
        };
        let mut doors = Vec::new();
        for index in 0..count {
            let config = self
                .config
                .for_shard(Shard { index, count })
                .map_err(io::Error::other)?
                .with_ask_on_resume(hooks.resume.is_some());
            let (commands, orders) = mpsc::unbounded_channel();
            let (door, arrivals) = mpsc::channel(HANDED_OVER);
            let thread = worker::spawn(Job {
                index,
                endpoint: Endpoint::new(Arc::new(config), seed::fresh()?, clock::now()),
                durable: durability == Durability::Durable,
                hooks: hooks.clone(),
                store: server.store.clone().filter(|_| server.sessions_can_leave),
                orders,
                arrivals,
                readiness: server.readiness.clone(),
            })?;
            server.workers.push(Workhorse {
                commands,
                thread: Some(thread),
            });
            doors.push(door);
        }
        let router = Router::new(&self.config.clusters()[0], count).also_opening(&self.config.clusters()[1..]);
        server.acceptor = Some(accept::spawn(listener, router, doors, limits, stopped)?);
        info!(target: "unbroken::server", %address, workers = count, ?durability, "listening");
        Ok(server)
    }
}

impl Server {
    /// Until the store has heard of each worker: before, none of them lets anybody in.
    async fn await_leases(&self) -> io::Result<()> {
        let all = async {
            for told in self.ask(Command::Leased) {
                // An error means that the worker has ended, of which readiness tells.
                let _ = told.await;
            }
        };
        let late = |_| io::Error::other("the store took no sign of life of this server; look at its load and health");
        tokio::time::timeout(FIRST_LEASES, all).await.map_err(late)
    }
}

fn refuse<T>(why: String) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}

/// A server whose store does not work could let nobody in.
async fn check(store: &dyn Store) -> io::Result<()> {
    match store.check().await {
        Ok(()) => Ok(()),
        Err(finding @ StoreError::Forgets { .. }) => {
            warn!(target: "unbroken::server", %finding, "sessions may be lost with the store");
            Ok(())
        }
        Err(error) => Err(io::Error::other(error)),
    }
}
