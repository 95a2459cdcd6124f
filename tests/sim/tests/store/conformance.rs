//! The simulator's store does what real ones do: it passes their suite, in virtual time.

use core::time::Duration;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use unbroken::{Instant, Owner, StoreOp, StoreReply};
use unbroken_sim::cluster::Store as Simulated;
use unbroken_store::conformance::{Subject, suite};
use unbroken_store::{BoxFuture, Store, StoreError};

/// How long [`Store::receive`] waits, and how often it looks meanwhile: in the time of the test, not of the store.
const PATIENCE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(5);

#[derive(Clone)]
struct Adapter(Arc<Mutex<(Simulated, Instant)>>);

impl Adapter {
    fn apply(&self, op: &StoreOp) -> Option<StoreReply> {
        let (store, now) = &mut *self.0.lock().expect("no test panics within it");
        store.apply(op, *now)
    }

    fn elapse(&self, time: Duration) {
        let (_, now) = &mut *self.0.lock().expect("no test panics within it");
        *now += time;
    }
}

impl Store for Adapter {
    fn submit(&self, batch: Vec<StoreOp>) -> BoxFuture<Vec<StoreReply>> {
        let reply = |op: &StoreOp| self.apply(op).unwrap_or(StoreReply::Notes(Vec::new()));
        let replies = batch.iter().map(reply).collect();
        Box::pin(async { replies })
    }

    fn receive(&self, owner: Owner) -> BoxFuture<Option<Vec<Bytes>>> {
        let store = self.clone();
        Box::pin(async move {
            let mut waited = Duration::ZERO;
            loop {
                match store.apply(&StoreOp::Receive { owner }) {
                    Some(StoreReply::Notes(notes)) => return Some(notes),
                    _ if waited >= PATIENCE => return Some(Vec::new()),
                    _ => tokio::time::sleep(LOOK).await,
                }
                waited += LOOK;
            }
        })
    }

    fn check(&self) -> BoxFuture<Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

suite!(async || {
    let store = Adapter(Arc::new(Mutex::new((
        Simulated::default(),
        Instant::from_millis(1_000_000),
    ))));
    let clock = store.clone();
    Subject::with_clock(store, move |time| {
        clock.elapse(time);
        Box::pin(async {})
    })
});
