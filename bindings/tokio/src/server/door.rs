//! The door of a worker: how many newcomers it listens to before it looks at the others again.
//!
//! A connection's first flight asks for a handshake, which takes as long as a dozen records or more. When thousands come back at once, as many sockets are ready, and if all
//! were read in turn, the PINGs of the sessions that stand would wait behind them: their clients would take their links for dead and come back, too, and then
//! that load keeps itself up. So between two looks of the runtime at its sockets only a few first flights are read. The others wait in line, their flights in
//! their sockets.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use tokio::task::yield_now;

/// First flights that are read between two looks at the sockets: some two milliseconds.
const PLACES: usize = 8;

/// See the module's head.
pub(super) struct Door {
    places: Cell<usize>,
    line: RefCell<VecDeque<Waker>>,
    porter: Cell<Option<Waker>>,
}

impl Door {
    pub(super) fn new() -> Self {
        Door {
            places: Cell::new(PLACES),
            line: RefCell::default(),
            porter: Cell::default(),
        }
    }

    /// Whether a newcomer may be read now. If not, it is woken when it may try again.
    pub(super) fn admits(&self, cx: &mut Context<'_>) -> bool {
        let free = self.places.get() > 0;
        if !free {
            self.line.borrow_mut().push_back(cx.waker().clone());
        }
        free
    }

    /// A newcomer has been read.
    pub(super) fn heard(&self) {
        self.places.set(self.places.get().saturating_sub(1));
        if let Some(porter) = self.porter.take() {
            porter.wake();
        }
    }

    /// How many wait in line, at most: some may have left it.
    pub(super) fn waiting(&self) -> usize {
        self.line.borrow().len()
    }

    /// Lets the next in after each look of the runtime at its sockets, for as long as the worker runs.
    pub(super) async fn keep(&self) -> Infallible {
        loop {
            poll_fn(|cx| {
                if self.places.get() < PLACES || self.waiting() > 0 {
                    return Poll::Ready(());
                }
                self.porter.set(Some(cx.waker().clone()));
                Poll::Pending
            })
            .await;
            // Back when the runtime has looked, and behind all that it has found.
            yield_now().await;
            self.places.set(PLACES);
            let mut line = self.line.borrow_mut();
            let next = line.len().min(PLACES);
            line.drain(..next).for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::runtime::{Builder, LocalOptions};
    use tokio::task::spawn_local;

    use super::*;

    /// Those that stand are looked at once in each turn of the runtime, as the observer here.
    #[test]
    fn a_crowd_is_heard_a_few_at_a_time_and_everybody_in_the_end() {
        const CROWD: usize = 10 * PLACES + 3;
        let runtime = Builder::new_current_thread().build_local(LocalOptions::default());
        let longest = runtime.expect("a runtime").block_on(async {
            let (door, heard) = (Rc::new(Door::new()), Rc::new(Cell::new(0)));
            let porter = door.clone();
            spawn_local(async move { porter.keep().await });
            for _ in 0..CROWD {
                let (door, heard) = (door.clone(), heard.clone());
                spawn_local(async move {
                    poll_fn(|cx| match door.admits(cx) {
                        true => Poll::Ready(()),
                        false => Poll::Pending,
                    })
                    .await;
                    door.heard();
                    heard.set(heard.get() + 1);
                });
            }
            let (mut before, mut longest) = (0, 0);
            while heard.get() < CROWD {
                yield_now().await;
                longest = longest.max(heard.get() - before);
                before = heard.get();
            }
            assert_eq!(door.waiting(), 0);
            longest
        });
        assert!((1..=2 * PLACES).contains(&longest), "{longest} between two looks");
    }
}
