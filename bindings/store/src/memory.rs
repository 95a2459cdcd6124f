//! A store in this process's memory: for tests, examples, and to see what a store does. It ends with the process.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use unbroken::{Cursor, Owner, StoreKey, StoreOp, StoreReply};

use crate::clock::{Clock, Millis};
use crate::mailboxes::Mailboxes;
use crate::rules::{self, Row, Tables};
use crate::{BoxFuture, Store, StoreError};

/// Requests between two sweeps: what is over is removed then.
const SWEEP_AFTER: usize = 4096;

/// A store in this process's memory. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Inner>);

#[derive(Default)]
struct Inner {
    clock: Clock,
    mailboxes: Mailboxes,
    maps: Mutex<Maps>,
}

#[derive(Default)]
struct Maps {
    rows: HashMap<StoreKey, Row>,
    leases: HashMap<Owner, Millis>,
    users: HashMap<[u8; 32], (Vec<StoreKey>, Millis)>,
    queues: HashMap<StoreKey, BTreeMap<Cursor, (Millis, Bytes)>>,
    since_sweep: usize,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        MemoryStore::default()
    }

    fn carry_out(&self, batch: Vec<StoreOp>) -> Vec<StoreReply> {
        let now = self.0.clock.now();
        let mut maps = self.0.maps.lock().unwrap_or_else(PoisonError::into_inner);
        maps.since_sweep += batch.len();
        if maps.since_sweep >= SWEEP_AFTER {
            maps.sweep(now);
            self.0.mailboxes.retain(|owner| maps.leases.contains_key(&owner));
        }
        let mut apply =
            |op| rules::apply(&mut *maps, &self.0.mailboxes, op, now).unwrap_or_else(|never| match never {});
        batch.into_iter().map(&mut apply).collect()
    }
}

impl Store for MemoryStore {
    fn submit(&self, batch: Vec<StoreOp>) -> BoxFuture<Vec<StoreReply>> {
        let replies = self.carry_out(batch);
        Box::pin(async { replies })
    }

    fn receive(&self, owner: Owner) -> BoxFuture<Option<Vec<Bytes>>> {
        let inner = self.0.clone();
        Box::pin(async move { Some(inner.mailboxes.wait(owner).await) })
    }

    fn check(&self) -> BoxFuture<Result<(), StoreError>> {
        Box::pin(async {
            Err(StoreError::Forgets {
                store: "the memory of this process".into(),
                findings: vec!["it ends with the process; use it for tests and examples only".into()],
            })
        })
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let maps = self.0.maps.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("MemoryStore")
            .field("records", &maps.rows.len())
            .finish()
    }
}

impl Maps {
    fn sweep(&mut self, now: Millis) {
        self.since_sweep = 0;
        self.rows.retain(|_, row| now < row.gone);
        self.leases.retain(|_, until| now < *until);
        self.users.retain(|_, (_, until)| now < *until);
        self.queues.retain(|_, queue| {
            queue.retain(|_, (until, _)| now < *until);
            !queue.is_empty()
        });
    }
}

impl Tables for Maps {
    type Error = Infallible;

    fn row(&self, key: StoreKey) -> Result<Option<Row>, Infallible> {
        Ok(self.rows.get(&key).cloned())
    }

    fn set_row(&mut self, key: StoreKey, row: &Row) -> Result<(), Infallible> {
        self.rows.insert(key, row.clone());
        Ok(())
    }

    fn lease(&self, owner: Owner) -> Result<Option<Millis>, Infallible> {
        Ok(self.leases.get(&owner).copied())
    }

    fn set_lease(&mut self, owner: Owner, until: Option<Millis>) -> Result<(), Infallible> {
        match until {
            Some(until) => self.leases.insert(owner, until),
            None => self.leases.remove(&owner),
        };
        Ok(())
    }

    fn user(&self, user: [u8; 32]) -> Result<Option<(Vec<StoreKey>, Millis)>, Infallible> {
        Ok(self.users.get(&user).cloned())
    }

    fn set_user(&mut self, user: [u8; 32], sessions: &[StoreKey], until: Millis) -> Result<(), Infallible> {
        self.users.insert(user, (sessions.to_vec(), until));
        Ok(())
    }

    fn push(&mut self, key: StoreKey, at: Cursor, message: &[u8], until: Millis) -> Result<(), Infallible> {
        self.queues
            .entry(key)
            .or_default()
            .insert(at, (until, Bytes::copy_from_slice(message)));
        Ok(())
    }

    fn queued(&self, key: StoreKey) -> Result<usize, Infallible> {
        Ok(self.queues.get(&key).map_or(0, BTreeMap::len))
    }

    fn messages(
        &self,
        key: StoreKey,
        after: Cursor,
        max: usize,
        now: Millis,
    ) -> Result<Vec<(Cursor, Bytes)>, Infallible> {
        let behind = self
            .queues
            .get(&key)
            .into_iter()
            .flat_map(|queue| queue.range(after.saturating_add(1)..));
        let live = behind.filter(|(_, (until, _))| now < *until);
        Ok(live
            .take(max)
            .map(|(at, (_, message))| (*at, message.clone()))
            .collect())
    }

    fn trim(&mut self, key: StoreKey, upto: Cursor, now: Millis) -> Result<(), Infallible> {
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.retain(|at, (until, _)| *at > upto && now < *until);
            if queue.is_empty() {
                self.queues.remove(&key);
            }
        }
        Ok(())
    }
}
