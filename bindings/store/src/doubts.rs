//! Notes that may be lost, of which their owner is yet to be told. Where a connection breaks on this side only, the store waits on at the old one, and a note that comes meanwhile goes
//! there. So whoever's wait broke is told so twice: at once, and when the old wait is over at the store, too.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use unbroken::Owner;

/// How much later than here a wait may end there.
const DELAY: Duration = Duration::from_secs(1);

/// Owners, and from when on they can be told.
#[derive(Default)]
pub(crate) struct Doubts(Mutex<HashMap<Owner, Instant>>);

impl Doubts {
    /// Notes may be lost for as long as this, if at all.
    pub(crate) fn add(&self, owner: Owner, time: Duration) {
        let delay = if time.is_zero() { time } else { DELAY };
        self.lock().insert(owner, Instant::now() + time + delay);
    }

    /// Whether the owner is to be told now. Once for each time that notes may have been lost.
    pub(crate) fn are_due(&self, owner: Owner) -> bool {
        let mut there = self.lock();
        let due = there.get(&owner).is_some_and(|due| *due <= Instant::now());
        due && there.remove(&owner).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Owner, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
