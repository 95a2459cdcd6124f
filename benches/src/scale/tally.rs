//! What the crowds of clients have come to, for the thread that waits for them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

#[derive(Default)]
pub struct Tally {
    opened: AtomicUsize,
    probed: AtomicUsize,
    probes: AtomicU64,
    dials: AtomicU64,
    lost: Mutex<Option<String>>,
    downtimes: Mutex<Vec<Downtime>>,
}

/// How long a session did not flow.
#[derive(Clone, Copy)]
pub struct Downtime {
    /// When its link was cut.
    pub from: Instant,
    /// When the message that it sent then was back.
    pub until: Instant,
}

impl Tally {
    // ---- what the crowds say ----

    /// A session flows for the first time.
    pub fn opened(&self) {
        self.opened.fetch_add(1, Relaxed);
    }

    /// A session that was cut at this moment flows again.
    pub fn back(&self, from: Instant) {
        let until = Instant::now();
        self.downtimes
            .lock()
            .expect("no crowd panicked")
            .push(Downtime { from, until });
    }

    /// An idle link was probed, perhaps for the first time.
    pub fn probed(&self, first: bool) {
        self.probes.fetch_add(1, Relaxed);
        if first {
            self.probed.fetch_add(1, Relaxed);
        }
    }

    /// A connection is being opened.
    pub fn dialled(&self) {
        self.dials.fetch_add(1, Relaxed);
    }

    /// A session has ended, which none should. The first to do so tells most.
    pub fn lose(&self, how: String) {
        self.lost.lock().expect("no crowd panicked").get_or_insert(how);
    }

    // ---- what came of it ----

    /// Sessions that have flowed.
    pub fn sessions(&self) -> usize {
        self.opened.load(Relaxed)
    }

    /// Sessions that have been quiet for long enough to be probed.
    pub fn settled(&self) -> usize {
        self.probed.load(Relaxed)
    }

    /// Probes of idle links.
    pub fn probes(&self) -> u64 {
        self.probes.load(Relaxed)
    }

    /// Connections that were opened, or tried.
    pub fn dials(&self) -> u64 {
        self.dials.load(Relaxed)
    }

    /// How a session has ended, if one has.
    pub fn lost(&self) -> Option<String> {
        self.lost.lock().expect("no crowd panicked").clone()
    }

    /// How many are back since the last [`Tally::take_downtimes`].
    pub fn returned(&self) -> usize {
        self.downtimes.lock().expect("no crowd panicked").len()
    }

    pub fn take_downtimes(&self) -> Vec<Downtime> {
        std::mem::take(&mut self.downtimes.lock().expect("no crowd panicked"))
    }
}
