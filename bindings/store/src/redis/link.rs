//! Connections to Redis: one server, the primary that Sentinel names, or a cluster.
//!
//! A [`Keeper`] has a connection that many requests share; it makes it anew when it is lost, and whoever needs it meanwhile waits. An attempt is nobody's own: it
//! goes on when the one who waits for it gives up. Of many who come one behind the other and wait for the same time, each has only a moment left when the one in
//! front of it has given up, and would never get through with an attempt of its own.
//!
//! **Nothing is sent twice** unless the server said that it has not done it. A write whose answer was lost may have been done; sent again it would
//! find its own record and call it a conflict, and a message would be queued twice. The cluster client of the library would do so by itself, so
//! its retries are off.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::SentinelClient;
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, ServerErrorKind, Value};
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Between two attempts to connect, or to have something done that was turned down.
pub(super) const AGAIN: Duration = Duration::from_millis(50);
/// How long a command that is tried again has at least.
const LEAST: Duration = Duration::from_millis(200);

/// What an attempt behind Sentinels has at least. The library gives each of them a second and a half to answer, and waits for the first before it hears the second: a shorter
/// attempt would come to nothing for as long as the first is gone, as with the machine whose primary it watched.
const SENTINELS: Duration = Duration::from_secs(5);

/// Who can be asked for a connection.
pub(super) enum Connector {
    One(Box<Client>),
    /// Makes who asks them. One for each attempt: it can look up one primary at a time, and while one of them is silent many attempts must not wait for each other.
    Sentinel(Box<dyn Fn() -> Result<SentinelClient, RedisError> + Send + Sync>),
    Cluster(Box<ClusterClient>),
}

/// A connection. Clones share it.
#[derive(Clone)]
pub(super) enum Link {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connector {
    /// How long an attempt may take, where requests have so long.
    pub(super) fn patience(&self, timeout: Duration) -> Duration {
        match self {
            Connector::Sentinel(_) => timeout.max(SENTINELS),
            _ => timeout,
        }
    }

    /// A connection of its own, for requests that block it.
    pub(super) async fn connect(&self, timeout: Duration) -> Result<Link, RedisError> {
        // Answers are waited for by deadlines of ours.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(None);
        Ok(match self {
            Connector::One(client) => Link::One(client.get_multiplexed_async_connection_with_config(&config).await?),
            Connector::Sentinel(client) => Link::One(client()?.get_async_connection_with_config(&config).await?),
            Connector::Cluster(client) => Link::Cluster(client.get_async_connection().await?),
        })
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Link::One(link) => link.req_packed_command(command),
            Link::Cluster(link) => link.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Link::One(link) => link.req_packed_commands(pipeline, offset, count),
            Link::Cluster(link) => link.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Link::One(link) => link.get_db(),
            Link::Cluster(link) => link.get_db(),
        }
    }
}

/// Why a command has no answer.
pub(super) enum Trouble {
    /// It was never sent, or the server turned it down: it was not done and will not be.
    NotDone(RedisError),
    /// It may have been done, or be done yet.
    Unknown(RedisError),
}

impl Trouble {
    pub(super) fn error(&self) -> &RedisError {
        match self {
            Trouble::NotDone(error) | Trouble::Unknown(error) => error,
        }
    }
}

impl From<RedisError> for Trouble {
    /// An answer that makes no sense.
    fn from(error: RedisError) -> Self {
        Trouble::Unknown(error)
    }
}

/// The way of what has one hash tag: its shared connection, and the permits that it needs for that.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) keeper: &'a Keeper,
    pub(super) permits: &'a Semaphore,
}

impl Way<'_> {
    /// As [`Keeper::call`], with a permit.
    pub(super) async fn call(&self, command: &Cmd, deadline: Instant) -> Result<Value, Trouble> {
        let done = self.keeper.carry(command, Some(self.permits), deadline).await;
        done.map(|(_, value)| value)
    }
}

/// Keeps a shared connection.
pub(super) struct Keeper {
    connector: Arc<Connector>,
    timeout: Duration,
    /// How many connections there have been, and the last one, unless it is lost. Never held for long, so that who has lost it need not wait to say so.
    link: Mutex<(u64, Option<Link>)>,
    /// The attempt at the next one.
    attempt: AsyncMutex<Option<JoinHandle<Result<Link, RedisError>>>>,
    /// What went wrong last.
    trouble: Mutex<Option<String>>,
}

impl Keeper {
    pub(super) fn new(connector: Arc<Connector>, timeout: Duration) -> Self {
        Keeper {
            connector,
            timeout,
            link: Mutex::new((0, None)),
            attempt: AsyncMutex::new(None),
            trouble: Mutex::new(None),
        }
    }

    /// Has a command done, waiting for a connection if there is none.
    ///
    /// # Errors
    /// After the deadline, if the connection was lost, or with what the server says against it.
    pub(super) async fn call(&self, command: &Cmd, deadline: Instant) -> Result<Value, Trouble> {
        self.call_by_number(command, deadline).await.map(|(_, value)| value)
    }

    /// As [`Keeper::call`], with the number of the connection that answered.
    pub(super) async fn call_by_number(&self, command: &Cmd, deadline: Instant) -> Result<(u64, Value), Trouble> {
        self.carry(command, None, deadline).await
    }

    async fn carry(
        &self,
        command: &Cmd,
        permits: Option<&Semaphore>,
        deadline: Instant,
    ) -> Result<(u64, Value), Trouble> {
        loop {
            // For one attempt: in between nothing of it is with Redis.
            let permit = match permits.map(|permits| timeout_at(deadline, permits.acquire())) {
                Some(permit) => match permit.await {
                    Ok(permit) => permit.ok(),
                    Err(_) => return Err(Trouble::NotDone(late())),
                },
                None => None,
            };
            let (number, mut link) = match timeout_at(deadline, self.link()).await {
                Ok(link) => link,
                Err(_) => return Err(Trouble::NotDone(late())),
            };
            let error = match timeout_at(deadline, command.query_async(&mut link)).await {
                Ok(Ok(value)) => return Ok((number, value)),
                Ok(Err(error)) => error,
                Err(_) => {
                    // A connection that has not answered all that time may be dead without a word.
                    self.lost(number, &late());
                    return Err(Trouble::Unknown(late()));
                }
            };
            match Remedy::of(&error) {
                Remedy::Again => {}
                Remedy::Reconnect => self.lost(number, &error),
                Remedy::Refused => return Err(Trouble::NotDone(error)),
                Remedy::None => {
                    if error.is_unrecoverable_error() || error.is_io_error() {
                        self.lost(number, &error);
                    }
                    return Err(Trouble::Unknown(error));
                }
            }
            // One that begins as time runs out has no answer: nobody would know whether it was done, and its connection would count as dead.
            if Instant::now() + AGAIN + LEAST >= deadline {
                return Err(Trouble::NotDone(error));
            }
            drop((permit, link));
            sleep(AGAIN).await;
        }
    }

    /// The number of the connection, the next one's if there is none. It only grows: what is sent from now on is sent by this one or a later one.
    pub(super) fn number(&self) -> u64 {
        let there = self.lock();
        there.0 + u64::from(there.1.is_none())
    }

    /// What went wrong last, if nothing went right since.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The connection; made if there is none, for as long as it takes.
    async fn link(&self) -> (u64, Link) {
        if let Some(there) = self.there() {
            return there;
        }
        let mut attempt = self.attempt.lock().await;
        loop {
            // Whoever was in front may have made it.
            if let Some(there) = self.there() {
                return there;
            }
            let outcome = attempt.get_or_insert_with(|| self.attempt()).await;
            *attempt = None;
            match outcome {
                Ok(Ok(link)) => {
                    self.note(None);
                    let mut there = self.lock();
                    *there = (there.0 + 1, Some(link));
                }
                Ok(Err(error)) => {
                    self.note(Some(&error));
                    sleep(AGAIN).await;
                }
                // The runtime that it was begun in has ended.
                Err(_) => sleep(AGAIN).await,
            }
        }
    }

    /// The connection and its number, if there is one.
    fn there(&self) -> Option<(u64, Link)> {
        let there = self.lock();
        there.1.clone().map(|link| (there.0, link))
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Option<Link>)> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempt(&self) -> JoinHandle<Result<Link, RedisError>> {
        let (connector, patience) = (self.connector.clone(), self.timeout);
        tokio::spawn(async move {
            // A cluster's connection has no bound of its own.
            let made = timeout(connector.patience(patience), connector.connect(patience)).await;
            made.unwrap_or_else(|_| Err(late()))
        })
    }

    /// The connection of this number is of no use any more. A cluster's connection mends itself, as long as it answers and its task runs.
    fn lost(&self, number: u64, error: &RedisError) {
        self.note(Some(error));
        if matches!(*self.connector, Connector::Cluster(_)) && !error.is_timeout() && !has_no_task(error) {
            return;
        }
        let mut there = self.lock();
        let lost = if there.0 == number { there.1.take() } else { None };
        drop(there);
        if lost.is_some() {
            tracing::warn!(target: "unbroken::store", %error, "the connection to Redis is lost");
        }
    }

    fn note(&self, error: Option<&RedisError>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = error.map(ToString::to_string);
    }
}

/// What to do about a command that was answered by an error.
enum Remedy {
    /// The server has not done it, and soon may.
    Again,
    /// The server has not done it, and another one would.
    Reconnect,
    /// The server has not done it, and will not as long as nothing changes there.
    Refused,
    /// Nothing: it may have been done, or never will be.
    None,
}

impl Remedy {
    fn of(error: &RedisError) -> Remedy {
        match error.kind() {
            ErrorKind::Server(
                ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::BusyLoading,
            )
            | ErrorKind::ClusterConnectionNotFound => Remedy::Again,
            ErrorKind::Server(ServerErrorKind::ReadOnly) => Remedy::Reconnect,
            ErrorKind::Server(ServerErrorKind::NoScript | ServerErrorKind::NoPerm) => Remedy::Refused,
            _ => match met_by_script(error).or(error.code()) {
                Some("READONLY") => Remedy::Reconnect,
                Some(code) if TURNED_DOWN.contains(&code) => Remedy::Refused,
                _ => Remedy::None,
            },
        }
    }
}

/// What a script's first write was turned down with. Redis before version 7 tells it within an error of its own:
/// `ERR Error running script (call to f_...): @user_script:17: @user_script: 17: -OOM command not allowed ...`
fn met_by_script(error: &RedisError) -> Option<&'static str> {
    let told = error.detail().filter(|told| told.starts_with("Error running script"))?;
    let codes = [
        (" -READONLY ", "READONLY"),
        (" -OOM ", "OOM"),
        (" -MISCONF ", "MISCONF"),
    ];
    let found = codes.iter().filter_map(|(sign, code)| Some((told.find(sign)?, *code)));
    found.min().map(|(_, code)| code)
}

/// What a server says before it does anything. Of a script, too: what it would be stopped by, it is stopped by at its first write.
const TURNED_DOWN: [&str; 6] = ["OOM", "MISCONF", "NOREPLICAS", "NOAUTH", "NOPERM", "BUSY"];

/// Whether a cluster's connection says so of its own task, which has ended with the runtime in which it was made. When a node hangs up, that is a broken pipe too, but
/// the task mends it.
fn has_no_task(error: &RedisError) -> bool {
    error.is_connection_dropped() && error.to_string().starts_with("redis_cluster: Unable to ")
}

pub(super) fn late() -> RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time").into()
}
