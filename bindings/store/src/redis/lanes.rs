//! Order per key. Whatever concerns the same key goes through the same lane, one after the other, in the order in which it entered; lanes do not
//! wait for each other. So one slow key (a cluster's node that fails over) holds up nobody else.
//!
//! A place in a lane has what the next place waits for, and waits for what the place before it has:
//!
//! ```text
//!   lane ─► [place 1] ◄─ done ─ [place 2] ◄─ done ─ [place 3]      the map knows the last of each lane
//! ```

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

pub(super) struct Lanes<K>(Mutex<HashMap<K, Last>>);

struct Last {
    ticket: u64,
    done: oneshot::Receiver<()>,
}

/// A place in a lane, until it is dropped.
pub(super) struct Place<K: Hash + Eq> {
    lanes: Arc<Lanes<K>>,
    lane: K,
    ticket: u64,
    before: Option<oneshot::Receiver<()>>,
    /// Dropped with the place: that is what the next one waits for.
    _done: oneshot::Sender<()>,
}

impl<K: Hash + Eq + Copy> Lanes<K> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Lanes(Mutex::new(HashMap::new())))
    }

    /// Takes the place behind whoever has one in this lane.
    pub(super) fn enter(self: &Arc<Self>, lane: K) -> Place<K> {
        let (sender, done) = oneshot::channel();
        let mut lasts = self.lock();
        let before = lasts.remove(&lane);
        let ticket = before.as_ref().map_or(0, |last| last.ticket + 1);
        lasts.insert(lane, Last { ticket, done });
        Place {
            lanes: self.clone(),
            lane,
            ticket,
            before: before.map(|last| last.done),
            _done: sender,
        }
    }
}

impl<K> Lanes<K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Last>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq> Place<K> {
    pub(super) fn lane(&self) -> &K {
        &self.lane
    }

    /// Until all before are gone.
    pub(super) async fn turn(&mut self) {
        if let Some(before) = &mut self.before {
            let _ = before.await;
            self.before = None;
        }
    }
}

impl<K: Hash + Eq> Drop for Place<K> {
    fn drop(&mut self) {
        let mut lasts = self.lanes.lock();
        // Nobody stands behind: the lane ends.
        if lasts.get(&self.lane).is_some_and(|last| last.ticket == self.ticket) {
            lasts.remove(&self.lane);
        }
    }
}
