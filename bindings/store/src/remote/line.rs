//! The requests that wait for a connection, in order. What was given up leaves its place only, and that when it comes to the front.

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::wire::{Ask, Part};
use crate::ticket::Ticket;

/// Requests that may wait for a connection. More are turned down at once.
const ROOM: usize = 65_536;

/// A request on its way to the connection.
pub(super) struct Sending {
    pub(super) answer: oneshot::Sender<Part>,
    /// Its caller has given up after that.
    pub(super) not_after: Instant,
    pub(super) ticket: Ticket<Ask>,
}

/// The requests that wait for a connection.
pub(super) struct Line {
    requests: mpsc::Receiver<Sending>,
    /// The first of them, if it was looked at.
    first: Option<Sending>,
}

impl Line {
    /// One with room, and its end.
    pub(super) fn new() -> (mpsc::Sender<Sending>, Self) {
        let (into, requests) = mpsc::channel(ROOM);
        (into, Line { requests, first: None })
    }

    /// The next, when there is one; none when the last store was dropped.
    pub(super) async fn next(&mut self) -> Option<Sending> {
        match self.first.take() {
            Some(first) => Some(first),
            None => self.requests.recv().await,
        }
    }

    /// Whether the last store was dropped.
    pub(super) fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.requests.is_empty()
    }

    /// Forgets those in front whose callers have given up, so that the line does not fill with them.
    pub(super) fn forget(&mut self) {
        let now = Instant::now();
        while let Some(first) = self.first.take().or_else(|| self.requests.try_recv().ok()) {
            if first.not_after > now {
                self.first = Some(first);
                return;
            }
        }
    }
}

#[cfg(test)]
impl Sending {
    /// One whose answer nobody awaits.
    pub(super) fn until(not_after: Instant) -> Self {
        Sending {
            answer: oneshot::channel().0,
            not_after,
            ticket: Ticket::new(Ask::Check),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn whoever_is_given_up_leaves_the_line_and_no_one_else_does() {
        let (into, mut line) = Line::new();
        let (now, long) = (Instant::now(), Duration::from_secs(60));
        for not_after in [now, now, now + long] {
            assert!(into.try_send(Sending::until(not_after)).is_ok());
        }
        line.forget();
        line.forget();
        assert_eq!(into.capacity(), ROOM, "there is room for others");
        assert!(line.next().await.is_some_and(|next| next.not_after == now + long));
        assert!(line.is_empty());
    }
}
