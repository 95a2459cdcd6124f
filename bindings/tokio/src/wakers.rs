//! Tasks that wait for the same thing. Waking wakes all of them and forgets them; each looks for itself and registers again if it was in vain.
//!
//! A future that is dropped leaves its waker behind. So when there are many, all are woken, in vain, and those that still wait come again; but not more than once in a while, or
//! many that do wait would wake each other for ever. In between there is room for more.
//!
//! A waker may be anything, also one that comes back at once. Where that finds a lock held, wakers are taken along (`woken`) and woken behind it.

use std::task::Waker;
use std::time::Duration;

use unbroken::Instant;

use crate::clock;

/// Fewer tasks than this at one place are left alone.
const FEW: usize = 64;
/// Between two times that it is found out who still waits.
const WHILE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Wakers {
    waiting: Vec<Waker>,
    /// When all were woken last to find out who still waits.
    asked: Instant,
}

impl Wakers {
    pub(crate) fn register(&mut self, waker: &Waker) {
        self.register_into(waker, &mut Now);
    }

    pub(crate) fn register_into(&mut self, waker: &Waker, woken: &mut impl Extend<Waker>) {
        self.register_at(waker, woken, clock::now);
    }

    fn register_at(&mut self, waker: &Waker, woken: &mut impl Extend<Waker>, now: impl FnOnce() -> Instant) {
        if self.waiting.iter().any(|known| known.will_wake(waker)) {
            return;
        }
        // Only when there would have to be more room: so the more they are, the more seldom it happens.
        if self.waiting.len() >= FEW && self.waiting.len() == self.waiting.capacity() {
            let now = now();
            if now >= self.asked + WHILE {
                self.asked = now;
                self.wake_into(woken);
                self.waiting.shrink_to(FEW);
            }
        }
        self.waiting.push(waker.clone());
    }

    pub(crate) fn wake(&mut self) {
        self.wake_into(&mut Now);
    }

    pub(crate) fn wake_into(&mut self, woken: &mut impl Extend<Waker>) {
        woken.extend(self.waiting.drain(..));
    }
}

/// Wakes on the spot.
struct Now;

impl Extend<Waker> for Now {
    fn extend<I: IntoIterator<Item = Waker>>(&mut self, woken: I) {
        woken.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Task {
        woken: AtomicBool,
    }

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.woken.store(true, Ordering::Relaxed);
        }
    }

    /// The tasks that were woken since this was asked last.
    fn woken(tasks: &[Arc<Task>]) -> Vec<Arc<Task>> {
        let woken = tasks.iter().filter(|task| task.woken.swap(false, Ordering::Relaxed));
        woken.cloned().collect()
    }

    /// A task that is woken looks, in vain, and waits again.
    #[test]
    fn many_that_wait_for_the_same_come_to_rest() {
        let mut wakers = Wakers::default();
        let tasks: Vec<_> = (0..1000).map(|_| Arc::new(Task::default())).collect();
        let mut now = Instant::ZERO + WHILE;
        for _ in 0..3 {
            let mut ready = tasks.clone();
            let mut rounds = 0;
            while !ready.is_empty() {
                for task in &ready {
                    wakers.register_at(&Waker::from(task.clone()), &mut Now, || now);
                }
                ready = woken(&tasks);
                now += WHILE / 1000;
                rounds += 1;
                assert!(rounds < 100, "they wake each other");
            }
            wakers.wake();
            assert_eq!(woken(&tasks).len(), tasks.len(), "none is forgotten");
            now += WHILE;
        }
    }

    #[test]
    fn those_that_are_gone_do_not_pile_up() {
        let mut wakers = Wakers::default();
        let mut now = Instant::ZERO;
        for _ in 0..10_000 {
            wakers.register_at(&Waker::from(Arc::new(Task::default())), &mut Now, || now);
            now += WHILE / 100;
            assert!(wakers.waiting.len() <= 2 * FEW);
        }
    }
}
