//! Carries a worker's requests to the store and the answers back.
//!
//! Whatever the endpoint asked for in one turn of the driver goes out as one batch; what it asks for meanwhile is the next. Answers are awaited by tasks, so the worker
//! never waits, and are handed on as they come: no session and no lease waits for another's. Waiting for notes is a task of its own, as it takes as long as it takes.
//! Every request is answered: what a store does not answer, because it hangs, breaks or answers too little, is `Failed`, which means that nothing is known.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::spawn_local;
use tokio::time::{Instant, timeout};
use tracing::warn;
use unbroken::{Owner, RequestId, StoreOp, StoreReply, StoreRequest};
use unbroken_store::Store;

use super::dispatch::Answer;
use super::worker::Worker;
use crate::clock;

/// What a store has beyond its own time-out: one that is right answers by that, and knows better what it has done than this server.
const GRACE: Duration = Duration::from_secs(5);
/// How long a wait for notes may take, and twice the store's time-out beside: it ends by itself after some seconds.
const NOTES_PATIENCE: Duration = Duration::from_secs(60);
/// The last word to a store.
const FAREWELL: Duration = Duration::from_secs(1);

/// A worker's way to the store.
pub(crate) struct Storing {
    pub(crate) store: Arc<dyn Store>,
    /// Requests under way, those for notes aside.
    under_way: Cell<usize>,
}

impl Storing {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Storing {
            store,
            under_way: Cell::new(0),
        }
    }

    pub(crate) fn under_way(&self) -> usize {
        self.under_way.get()
    }
}

impl Worker {
    /// Sends out what the endpoint wants of the store.
    pub(crate) fn ask_store(self: &Rc<Self>) {
        let Some(storing) = &self.storing else { return };
        let (mut ids, mut batch) = (Vec::new(), Vec::new());
        let mut state = self.state.borrow_mut();
        while let Some(StoreRequest { id, op }) = state.endpoint.poll_store() {
            if let StoreOp::Receive { owner } = op {
                self.wait_for_notes(storing, id, owner);
            } else {
                ids.push(Some(id));
                batch.push(op);
            }
        }
        if batch.is_empty() {
            return;
        }
        storing.under_way.set(storing.under_way.get() + ids.len());
        state.tally.store_requests += ids.len() as u64;
        drop(state);
        let mut asked = Asked::new(self, ids);
        let patience = storing.store.patience().saturating_add(GRACE);
        let mut answers = storing.store.submit_apart(batch);
        spawn_local(async move {
            let begun = Instant::now();
            let all = async {
                while let Some(some) = answers.next().await {
                    asked.answer(some);
                }
            };
            if timeout(patience, all).await.is_err() {
                warn!(target: "unbroken::server", ?patience, "the store gives no answer, not even beyond its own time-out");
                return;
            }
            asked.worker.state.borrow_mut().tally.store_answered(begun.elapsed());
        });
    }

    fn wait_for_notes(self: &Rc<Self>, storing: &Storing, id: RequestId, owner: Owner) {
        let answer = Answer::new(self.clone(), move |worker: &Rc<Worker>, notes: Option<Vec<Bytes>>| {
            // The worker itself may be on its way out, with everything in it borrowed.
            if let Ok(mut state) = worker.state.try_borrow_mut() {
                let reply = notes.map_or(StoreReply::Failed, StoreReply::Notes);
                state.endpoint.handle_store(id, reply, clock::now());
            }
        });
        let patience = storing
            .store
            .patience()
            .saturating_mul(2)
            .saturating_add(NOTES_PATIENCE);
        let notes = storing.store.receive(owner);
        spawn_local(async move {
            // One that never ended, or that broke, would leave this worker deaf; so would one whose notes are lost, if it passed for an empty one.
            if let Ok(Some(notes)) = timeout(patience, notes).await {
                answer.set(notes);
            }
        });
    }

    /// The worker leaves for good: others need not wait for its lease to run out.
    pub(crate) async fn give_up_lease(&self) {
        let Some(storing) = &self.storing else { return };
        let owner = self.state.borrow().endpoint.owner();
        let life = Duration::ZERO;
        let given_up = storing.store.submit(vec![StoreOp::Lease { owner, life }]);
        let _ = timeout(FAREWELL, given_up).await;
    }
}

/// A batch under way. What has no answer when this is dropped is answered by `Failed`.
struct Asked {
    worker: Rc<Worker>,
    /// Of those that have no answer yet, in the order of the batch.
    ids: Vec<Option<RequestId>>,
}

impl Asked {
    fn new(worker: &Rc<Worker>, ids: Vec<Option<RequestId>>) -> Self {
        Asked {
            worker: worker.clone(),
            ids,
        }
    }

    fn answer(&mut self, replies: impl IntoIterator<Item = (usize, StoreReply)>) {
        let Some(storing) = &self.worker.storing else { return };
        // The worker itself may be on its way out, with everything in it borrowed.
        let Ok(mut state) = self.worker.state.try_borrow_mut() else {
            return;
        };
        let now = clock::now();
        for (place, reply) in replies {
            if let Some(id) = self.ids.get_mut(place).and_then(Option::take) {
                storing.under_way.set(storing.under_way.get() - 1);
                state.endpoint.handle_store(id, reply, now);
            }
        }
        self.worker.touch();
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.ids.iter().any(Option::is_some) {
            self.answer((0..self.ids.len()).map(|place| (place, StoreReply::Failed)));
        }
    }
}
