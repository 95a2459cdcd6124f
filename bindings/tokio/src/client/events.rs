//! The stream of a client's events.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use unbroken::Event;

use super::shared::Shared;

/// A client's events; see [`Client::events`](crate::Client::events). It does not keep the session alive.
pub struct Events {
    shared: Arc<Shared>,
}

impl Events {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Events { shared }
    }

    /// The next event; `None` after `Event::Closed`. The same as the stream's `next`, without a crate of combinators.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.shared.poll_event(cx)).await
    }

    /// How many events were forgotten because nobody fetched them.
    pub fn missed(&self) -> u64 {
        self.shared.with(|core| core.ring.missed())
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.shared.poll_event(cx)
    }
}
