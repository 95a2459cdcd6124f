//! A store that can be switched off, and one that stops answering: in front of another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use unbroken::{Owner, Record, StoreOp, StoreReply};
use unbroken_store::BoxFuture;
use unbroken_tokio::{Bytes, MemoryStore, Store, StoreError};

#[derive(Clone, Default)]
pub(super) struct Switch {
    inner: MemoryStore,
    /// Nothing is done, and the store says so.
    down: Arc<AtomicBool>,
    /// Writes of records beyond so many are never answered, nor done; 0: no bound.
    writes: Arc<AtomicUsize>,
    written: Arc<AtomicUsize>,
}

impl Switch {
    pub(super) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    pub(super) fn stop_after(&self, writes: usize) {
        self.writes.store(writes, Ordering::SeqCst);
    }

    /// Writes of records that were asked for.
    pub(super) fn written(&self) -> usize {
        self.written.load(Ordering::SeqCst)
    }

    fn is_stuck(&self, op: &StoreOp) -> bool {
        if !matches!(
            op,
            StoreOp::Put {
                record: Record::Live { .. },
                ..
            }
        ) {
            return false;
        }
        let most = self.writes.load(Ordering::SeqCst);
        self.written.fetch_add(1, Ordering::SeqCst) >= most && most > 0
    }
}

impl Store for Switch {
    fn submit(&self, batch: Vec<StoreOp>) -> BoxFuture<Vec<StoreReply>> {
        if self.down.load(Ordering::SeqCst) {
            let none = vec![StoreReply::Unavailable; batch.len()];
            return Box::pin(async { none });
        }
        if batch.iter().filter(|op| self.is_stuck(op)).count() > 0 {
            return Box::pin(std::future::pending());
        }
        self.inner.submit(batch)
    }

    fn receive(&self, owner: Owner) -> BoxFuture<Option<Vec<Bytes>>> {
        self.inner.receive(owner)
    }

    fn check(&self) -> BoxFuture<Result<(), StoreError>> {
        if self.down.load(Ordering::SeqCst) {
            let error = StoreError::Unreachable {
                store: "the test's store".into(),
                problem: "it is switched off".into(),
            };
            return Box::pin(async { Err(error) });
        }
        self.inner.check()
    }
}
