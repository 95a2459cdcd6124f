//! A store in Redis or Valkey: for servers on many machines.
//!
//! Each request is one script, which Redis runs as a whole; `ops` has the layout of the keys. All requests share a few connections and are
//! written to them without waiting for each other, save those about the same key (`lanes`). Redis reads some KiB from each connection and then syncs its
//! log once for all of it: that is its group commit. Waiting for notes has connections of its own.

mod builder;
mod check;
mod lanes;
mod link;
mod ops;
mod permits;

use std::fmt;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::RedisError;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep, timeout_at};
use unbroken::{Owner, Record, StoreOp, StoreReply};

use crate::doubts::Doubts;
use crate::mailboxes::RECEIVE_WAIT;
use crate::{Answers, BoxFuture, Bytes, Placed, Store, StoreError, failed};
pub use builder::{Confirm, RedisBuilder};
use lanes::{Lanes, Place};
use link::{Connector, Keeper, Link, Trouble, Way, late};
use ops::{Ops, Subject};
use permits::{Permits, part};

/// How long a `receive` that failed waits before it says so.
const RECEIVE_FAILED: Duration = Duration::from_secs(1);

/// A store in Redis (6 or later) or Valkey. Clones share it.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    name: String,
    connector: Arc<Connector>,
    /// The shared connections; a subject has one of them.
    keepers: Vec<Keeper>,
    ops: Ops,
    lanes: Arc<Lanes<Subject>>,
    permits: Permits,
    /// Connections for waiting that nobody waits on.
    idle: Mutex<Vec<Link>>,
    doubts: Doubts,
    timeout: Duration,
    confirm: Confirm,
}

impl RedisStore {
    /// Connects to one server with the options' defaults: `redis://[[user]:password@]host[:port][/database]`, `rediss://...` for TLS (feature `tls`),
    /// or `redis+unix:///path`.
    ///
    /// # Errors
    /// As [`RedisBuilder::connect`].
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        RedisStore::builder([url]).connect().await
    }

    /// Options for a store in the server at this URL, or with [`RedisBuilder::sentinel`] and [`RedisBuilder::cluster`], for Sentinels and nodes at these.
    pub fn builder<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> RedisBuilder {
        RedisBuilder::new(urls.into_iter().map(Into::into).collect())
    }
}

impl Store for RedisStore {
    fn submit(&self, batch: Vec<StoreOp>) -> BoxFuture<Vec<StoreReply>> {
        let mut replies = failed(batch.len());
        let mut answers = self.submit_apart(batch);
        Box::pin(async move {
            while let Some(some) = answers.next().await {
                for (place, reply) in some {
                    replies[place] = reply;
                }
            }
            replies
        })
    }

    fn submit_apart(&self, batch: Vec<StoreOp>) -> Answers {
        let deadline = Instant::now() + self.0.timeout;
        let lanes = self.0.line_up(batch);
        let (answer, answers) = Answers::apart();
        let inner = self.0.clone();
        // A task, so that what stands behind it in a lane does not depend on who polls this.
        tokio::spawn(async move { inner.carry_out(lanes, deadline, answer).await });
        answers
    }

    fn receive(&self, owner: Owner) -> BoxFuture<Option<Vec<Bytes>>> {
        if self.0.doubts.are_due(owner) {
            return Box::pin(ready(None));
        }
        let inner = self.0.clone();
        Box::pin(async move {
            match inner.receive(owner).await {
                Ok(notes) => Some(notes),
                Err(error) => {
                    inner.doubts.add(owner, RECEIVE_WAIT);
                    tracing::debug!(target: "unbroken::store", %error, "cannot wait for notes");
                    sleep(RECEIVE_FAILED).await;
                    None
                }
            }
        })
    }

    fn patience(&self) -> Duration {
        self.0.timeout
    }

    fn check(&self) -> BoxFuture<Result<(), StoreError>> {
        let probe = self.submit(vec![crate::probe()]);
        let inner = self.0.clone();
        Box::pin(async move {
            if probe.await != [StoreReply::Done] {
                return Err(inner.unreachable());
            }
            inner.settings().await
        })
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}

/// What became of a batch, for the log.
#[derive(Default)]
struct Tally {
    of: usize,
    failed: usize,
    not_done: usize,
    trouble: Option<RedisError>,
}

impl Tally {
    fn add(&mut self, answers: &Placed, trouble: Option<RedisError>) {
        let count_of = |what| answers.iter().filter(|(_, reply)| *reply == what).count();
        self.of += answers.len();
        self.failed += count_of(StoreReply::Failed);
        self.not_done += count_of(StoreReply::Unavailable);
        self.trouble = self.trouble.take().or(trouble);
    }

    fn warn(&self) {
        if let Some(error) = &self.trouble {
            let Tally {
                of, failed, not_done, ..
            } = *self;
            tracing::warn!(target: "unbroken::store", failed, not_done, of, %error, "Redis did not do all, or nobody knows");
        }
    }
}

/// What concerns one subject, with its places in the batch.
struct Lane {
    place: Place<Subject>,
    ops: Vec<(usize, StoreOp)>,
}

impl Inner {
    /// Puts each request into its lane.
    fn line_up(&self, batch: Vec<StoreOp>) -> Vec<Lane> {
        let mut lanes: Vec<Lane> = Vec::with_capacity(batch.len());
        let mut known = std::collections::HashMap::new();
        for (index, op) in batch.into_iter().enumerate() {
            let subject = Subject::of(&op);
            let lane = *known.entry(subject).or_insert_with(|| {
                let place = self.lanes.enter(subject);
                lanes.push(Lane { place, ops: Vec::new() });
                lanes.len() - 1
            });
            lanes[lane].ops.push((index, op));
        }
        lanes
    }

    /// Carries out all lanes, and answers each as soon as it is done and confirmed.
    async fn carry_out(&self, lanes: Vec<Lane>, deadline: Instant, answer: UnboundedSender<Placed>) {
        let since = match self.confirm {
            Confirm::Primary => 0,
            _ => self.keepers[0].number(),
        };
        let mut running: FuturesUnordered<_> = lanes.into_iter().map(|lane| self.follow(lane, deadline)).collect();
        let (mut tally, mut unconfirmed) = (Tally::default(), Vec::new());
        while let Some((answers, error)) = running.next().await {
            tally.add(&answers, error);
            // Nobody may listen any more; it is carried out nevertheless.
            match self.confirm {
                Confirm::Primary => drop(answer.send(answers)),
                // One question for all of them.
                _ => unconfirmed.extend(answers),
            }
        }
        tally.warn();
        let was_sent = |reply: &StoreReply| *reply != StoreReply::Unavailable;
        if unconfirmed.iter().any(|(_, reply)| was_sent(reply)) && !self.is_confirmed(since, deadline).await {
            for (_, reply) in unconfirmed.iter_mut().filter(|(_, reply)| was_sent(reply)) {
                *reply = StoreReply::Failed;
            }
        }
        let _ = answer.send(unconfirmed);
    }

    /// One lane's requests, up to the first that failed: those behind it were asked for in the belief that it had been done.
    async fn follow(&self, lane: Lane, deadline: Instant) -> (Placed, Option<RedisError>) {
        let Lane { mut place, ops } = lane;
        // What is not sent stays so.
        let mut answers: Placed = ops.iter().map(|(at, _)| (*at, StoreReply::Unavailable)).collect();
        if timeout_at(deadline, place.turn()).await.is_err() {
            return (answers, None);
        }
        let way = self.way(&place.lane().tag());
        for (i, (_, op)) in ops.into_iter().enumerate() {
            match self.one(way, op, deadline).await {
                Ok(reply) => answers[i].1 = reply,
                Err(Trouble::NotDone(error)) => return (answers, Some(error)),
                Err(Trouble::Unknown(error)) => {
                    answers[i].1 = StoreReply::Failed;
                    return (answers, Some(error));
                }
            }
        }
        (answers, None)
    }

    async fn one(&self, way: Way<'_>, op: StoreOp, deadline: Instant) -> Result<StoreReply, Trouble> {
        let mut reply = self.ops.carry_out(way, op, deadline).await?;
        // Whether a record's owner is alive another node may have to say. If that one hangs, it has the question, and nothing of the record's own waits with it.
        if let StoreReply::Peeked(Some(found)) = &mut reply
            && let Record::Live { owner, .. } = found.record
        {
            let way = self.way(&Subject::Owner(owner).tag());
            found.owner_alive = self.ops.is_alive(way, owner, deadline).await?;
        }
        Ok(reply)
    }

    /// The way of what has this hash tag, always the same.
    fn way(&self, tag: &str) -> Way<'_> {
        Way {
            keeper: &self.keepers[part(tag, self.keepers.len())],
            permits: self.permits.of(tag),
        }
    }

    async fn receive(&self, owner: Owner) -> Result<Vec<Bytes>, RedisError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut link = match idle {
            Some(link) => link,
            // A cluster's connection has no bound of its own.
            None => timeout_at(
                Instant::now() + self.connector.patience(self.timeout),
                self.connector.connect(self.timeout),
            )
            .await
            .map_err(|_| late())??,
        };
        let patience = RECEIVE_WAIT + self.timeout;
        let wait = self.ops.blocking_take(owner, RECEIVE_WAIT);
        let first: Option<(String, Vec<u8>)> = timeout_at(Instant::now() + patience, wait.query_async(&mut link))
            .await
            .map_err(|_| late())??;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(link);
        let Some((_, first)) = first else {
            return Ok(Vec::new());
        };
        let rest = self
            .ops
            .take(
                self.way(&Subject::Owner(owner).tag()),
                owner,
                Instant::now() + self.timeout,
            )
            .await;
        let rest = match rest {
            Ok(rest) => rest,
            // They are there still, for the next who waits.
            Err(Trouble::NotDone(_)) => Vec::new(),
            // The first is not to be lost with them.
            Err(Trouble::Unknown(error)) => {
                tracing::debug!(target: "unbroken::store", %error, "notes may be lost");
                self.doubts.add(owner, Duration::ZERO);
                Vec::new()
            }
        };
        Ok(std::iter::once(first.into()).chain(rest).collect())
    }
}
