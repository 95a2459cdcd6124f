//! The connections that have not shown yet where they belong: a bounded number, of which the oldest makes room.
//!
//! Whoever opens connections and says nothing has each of them for as long as a handshake may take, so a few hundred in a second are enough to take all
//! places. If newcomers were turned away then, nobody could resume any more. An honest client's first bytes follow its connect at once, so it is never
//! the oldest for long, and the oldest is the one to go (L-16).

use std::collections::VecDeque;

use tokio::task::AbortHandle;

/// Tasks in order of their arrival, each with a connection.
pub(super) struct Crowd {
    tasks: VecDeque<AbortHandle>,
    most: usize,
}

impl Crowd {
    pub(super) fn new(most: usize) -> Self {
        Crowd {
            tasks: VecDeque::new(),
            most: most.max(1),
        }
    }

    /// Takes another one in. Returns whether the oldest had to go for it.
    pub(super) fn push(&mut self, task: AbortHandle) -> bool {
        // Those that have found their worker, or went by themselves. Most are gone from the front; the rest are looked for only when there is no room.
        while self.tasks.front().is_some_and(AbortHandle::is_finished) {
            self.tasks.pop_front();
        }
        if self.tasks.len() >= self.most {
            self.tasks.retain(|task| !task.is_finished());
        }
        let oldest = if self.tasks.len() >= self.most {
            self.tasks.pop_front()
        } else {
            None
        };
        self.tasks.push_back(task);
        oldest.inspect(AbortHandle::abort).is_some()
    }
}
