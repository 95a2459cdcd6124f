//! Whether new clients should be sent here: for load balancers and orchestrators, which ask by HTTP (`probe.rs`).
//!
//! A server is ready from `serve` until it begins to leave. The store is not part of it on purpose: when it fails, it fails for all servers, and a balancer that
//! took all of them out would also keep clients from the sessions that still live here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How a [`Server`](super::Server) stands, to be asked from anywhere. Clones are the same; it does not keep the server alive.
#[derive(Clone, Default, Debug)]
pub struct Readiness(Arc<Flags>);

#[derive(Default, Debug)]
struct Flags {
    open: AtomicBool,
    worker_ended: AtomicBool,
}

impl Readiness {
    /// Whether new connections should come here: it serves and is not about to leave.
    pub fn is_ready(&self) -> bool {
        self.0.open.load(Ordering::Relaxed) && self.is_alive()
    }

    /// Whether all workers run. If not, and nobody has stopped the server, only a restart helps.
    pub fn is_alive(&self) -> bool {
        !self.0.worker_ended.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, open: bool) {
        self.0.open.store(open, Ordering::Relaxed);
    }

    /// Held by a worker's thread as long as it runs.
    pub(crate) fn working(&self) -> Working {
        Working(self.clone())
    }
}

pub(crate) struct Working(Readiness);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.0.worker_ended.store(true, Ordering::Relaxed);
    }
}
