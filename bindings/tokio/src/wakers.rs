//! Tasks that wait for the same thing. Waking wakes all of them and forgets them; each looks for itself and registers again if it was in vain.

use std::task::Waker;

/// More tasks than this at one place are stale ones whose futures were dropped: wake them all and start over.
const MOST: usize = 64;

#[derive(Default)]
pub(crate) struct Wakers(Vec<Waker>);

impl Wakers {
    pub(crate) fn register(&mut self, waker: &Waker) {
        if self.0.iter().any(|known| known.will_wake(waker)) {
            return;
        }
        if self.0.len() == MOST {
            self.wake();
        }
        self.0.push(waker.clone());
    }

    pub(crate) fn wake(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}
