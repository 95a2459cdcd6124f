//! The driver while it sleeps: how it is woken.
//!
//! For what was sent it is woken behind the tasks that are ready, if its runtime has one thread only and one of its tasks sends. It could not run before the one that
//! sends has stopped anyway; and what they send until it does leaves together, in fewer and longer writes. Tokio's `yield_now` has the runtime look at its
//! sockets before it wakes, which it does when no task is ready, or by default after 61 of them; the driver's waker is put into that.
//!
//! Not for what the runtime's main future sends (`block_on`): when that ends the runtime forgets whom it was to wake. And not with very many clients in one thread:
//! a round of all of them would take longer by as much as more is sent in it, and an answer that waits so long to be read looks late.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::thread::{self, ThreadId};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{self, yield_now};

/// More drivers than this in one thread are woken at once.
const FEW: usize = 128;

thread_local! {
    /// Drivers of this thread that share it with the senders.
    static DRIVERS: Cell<usize> = const { Cell::new(0) };
}

/// See the module's head. Empty before the driver has run, and when it has ended.
#[derive(Default)]
pub(crate) struct Sleeper {
    waker: Option<Waker>,
    /// Where the driver ran first, if its runtime has one thread only. From a task of another runtime that has this thread since then it is woken later, and that is all.
    thread: Option<ThreadId>,
}

impl Sleeper {
    /// For the driver, within its runtime.
    pub(crate) fn introduce(&mut self, driver: &Waker) {
        if self.waker.as_ref().is_some_and(|known| known.will_wake(driver)) {
            return;
        }
        self.gone();
        self.waker = Some(driver.clone());
        if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
            self.thread = Some(thread::current().id());
            DRIVERS.set(DRIVERS.get() + 1);
        }
    }

    /// For the driver that ends.
    pub(crate) fn gone(&mut self) {
        self.waker = None;
        // One that ends in another thread stays counted in its own, where that only makes others be woken at once.
        if self.thread.take() == Some(thread::current().id()) {
            DRIVERS.set(DRIVERS.get().saturating_sub(1));
        }
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// As something was sent, or asked of the session.
    pub(crate) fn wake_for_sends(&self) {
        let Some(waker) = &self.waker else { return };
        let alone = self.thread == Some(thread::current().id()) && task::try_id().is_some();
        if alone && DRIVERS.get() <= FEW {
            let _ = pin!(yield_now()).poll(&mut Context::from_waker(waker));
        } else {
            waker.wake_by_ref();
        }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.gone();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use tokio::runtime::{Builder, LocalOptions};

    use super::*;

    #[derive(Default)]
    struct Driver(AtomicUsize);

    impl Wake for Driver {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Driver {
        fn woken(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn asleep() -> (Arc<Driver>, Sleeper) {
        let driver = Arc::new(Driver::default());
        let mut sleeper = Sleeper::default();
        sleeper.introduce(&Waker::from(driver.clone()));
        (driver, sleeper)
    }

    /// As one task of a runtime of one thread.
    fn alone(task: impl Future<Output = ()> + 'static) {
        let runtime = Builder::new_current_thread()
            .build_local(LocalOptions::default())
            .unwrap();
        let task = runtime.spawn_local(task);
        runtime.block_on(task).unwrap();
    }

    #[test]
    fn a_driver_alone_with_the_sender_is_woken_behind_it() {
        alone(async {
            let (driver, sleeper) = asleep();
            sleeper.wake_for_sends();
            assert_eq!(driver.woken(), 0, "it could not run now anyway");
            yield_now().await;
            assert_eq!(driver.woken(), 1);
        });
    }

    #[test]
    fn a_driver_is_woken_at_once_for_what_the_main_future_sends() {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (driver, sleeper) = asleep();
            sleeper.wake_for_sends();
            assert_eq!(driver.woken(), 1, "nobody would do it when this has ended");
        });
    }

    #[test]
    fn a_driver_that_could_run_now_is_woken_at_once() {
        let here = Builder::new_current_thread().build().unwrap();
        let (driver, sleeper) = here.block_on(async { asleep() });
        let several = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let from_there = several.spawn(async move { sleeper.wake_for_sends() });
        several.block_on(from_there).unwrap();
        assert_eq!(driver.woken(), 1, "it has another thread");
        let task = several.spawn(async {
            let (driver, sleeper) = asleep();
            sleeper.wake_for_sends();
            driver.woken()
        });
        assert_eq!(several.block_on(task).unwrap(), 1, "its runtime has several");
    }

    #[test]
    fn drivers_of_very_many_clients_are_woken_at_once() {
        alone(async {
            let mut drivers: Vec<_> = (0..=FEW).map(|_| asleep()).collect();
            drivers[0].1.wake_for_sends();
            assert_eq!(drivers[0].0.woken(), 1);
            drivers.pop().unwrap().1.gone();
            drivers[1].1.wake_for_sends();
            assert_eq!(drivers[1].0.woken(), 0, "one that has ended does not count");
        });
    }
}
