//! What the handle and the driver share: the session behind a mutex, and who waits for what.
//!
//! Waking the driver costs more than a send, so it happens only when something became due *before* the moment that the driver is
//! armed for; the first of a burst of sends wakes it, the others do not.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use tokio::task::coop;
use unbroken::{CloseReason, Event, Instant, MessageId, SendError, Session};

use super::error::ConnectError;
use crate::message::Message;
use crate::ring::Ring;
use crate::wakers::Wakers;

pub(crate) struct Shared(Mutex<Core>);

pub(crate) struct Core {
    pub(crate) session: Session,
    pub(crate) ring: Ring,
    /// The driver, once it ran, and the moment it waits for.
    pub(crate) driver: Option<Waker>,
    pub(crate) armed: Instant,
    pub(crate) standing: Standing,
    /// It stood once, even if it has ended since.
    stood: bool,
    pub(crate) readers: Wakers,
    pub(crate) writers: Wakers,
    pub(crate) watchers: Wakers,
    pub(crate) enders: Wakers,
}

/// How far the session got, for those who wait for its beginning or its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Trying,
    GaveUp,
    Established,
    Closed(CloseReason),
}

impl Shared {
    pub(crate) fn new(session: Session) -> Self {
        Shared(Mutex::new(Core {
            session,
            ring: Ring::default(),
            driver: None,
            // Before its first turn the driver needs no waking.
            armed: Instant::ZERO,
            standing: Standing::Trying,
            stood: false,
            readers: Wakers::default(),
            writers: Wakers::default(),
            watchers: Wakers::default(),
            enders: Wakers::default(),
        }))
    }

    /// For the driver: no waking of itself.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        // A panic inside the core took the driver with it, which closed the session: what is left can still be read.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the application: whatever became due wakes the driver.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Core) -> T) -> T {
        let mut core = self.lock();
        let result = act(&mut core);
        core.rouse();
        result
    }

    pub(crate) async fn send(&self, message: Bytes) -> Result<MessageId, SendError> {
        let mut message = Some(message);
        poll_fn(|cx| {
            let spent = ready!(coop::poll_proceed(cx));
            let result = self.with(|core| {
                let result = core.session.send(message.take().unwrap_or_default());
                if let Err(SendError::WouldBlock(_)) = result {
                    core.writers.register(cx.waker());
                }
                result
            });
            match result {
                Err(SendError::WouldBlock(back)) => {
                    message = Some(back);
                    Poll::Pending
                }
                result => {
                    spent.made_progress();
                    Poll::Ready(result)
                }
            }
        })
        .await
    }

    pub(crate) async fn recv(&self) -> Option<Message> {
        poll_fn(|cx| {
            let spent = ready!(coop::poll_proceed(cx));
            let next = self.with(|core| match core.session.recv().map(Message::from) {
                Some(message) => Poll::Ready(Some(message)),
                None if core.is_closed() => Poll::Ready(None),
                None => {
                    core.readers.register(cx.waker());
                    Poll::Pending
                }
            });
            if next.is_ready() {
                spent.made_progress();
            }
            next
        })
        .await
    }

    pub(crate) fn poll_event(&self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut core = self.lock();
        match core.ring.pop() {
            Some(event) => Poll::Ready(Some(event)),
            None if core.is_closed() => Poll::Ready(None),
            None => {
                core.watchers.register(cx.waker());
                Poll::Pending
            }
        }
    }

    pub(crate) async fn established(&self) -> Result<(), ConnectError> {
        poll_fn(|cx| {
            let mut core = self.lock();
            match core.standing {
                _ if core.stood => Poll::Ready(Ok(())),
                Standing::GaveUp => Poll::Ready(Err(ConnectError::GaveUp)),
                Standing::Closed(reason) => Poll::Ready(Err(ConnectError::Closed(reason))),
                Standing::Trying | Standing::Established => {
                    core.enders.register(cx.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }

    pub(crate) async fn closed(&self) -> CloseReason {
        poll_fn(|cx| {
            let mut core = self.lock();
            if let Standing::Closed(reason) = core.standing {
                return Poll::Ready(reason);
            }
            core.enders.register(cx.waker());
            Poll::Pending
        })
        .await
    }
}

impl Core {
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.standing, Standing::Closed(_))
    }

    /// Takes note of an event and passes it on to whom it concerns.
    pub(crate) fn dispatch(&mut self, event: Event) {
        match &event {
            Event::Writable => {
                self.writers.wake();
                return;
            }
            Event::Readable => {
                self.readers.wake();
                return;
            }
            Event::Established { .. } => {
                self.standing = Standing::Established;
                self.stood = true;
            }
            Event::HandoverFailed { reason, .. } if !reason.is_final() && self.standing == Standing::Trying => {
                self.standing = Standing::GaveUp;
            }
            Event::Closed(reason) => {
                self.close(*reason);
                // All wait in vain now, and learn it.
                self.readers.wake();
                self.writers.wake();
            }
            _ => {}
        }
        self.enders.wake();
        self.ring.push(event);
        self.watchers.wake();
    }

    /// The end, also when no event says so: the driver is gone.
    pub(crate) fn close(&mut self, reason: CloseReason) {
        if !self.is_closed() {
            self.standing = Standing::Closed(reason);
        }
    }

    pub(crate) fn wake_driver(&self) {
        if let Some(driver) = &self.driver {
            driver.wake_by_ref();
        }
    }

    fn rouse(&mut self) {
        if let Some(due) = self.session.poll_timeout()
            && due < self.armed
        {
            self.armed = due;
            self.wake_driver();
        }
    }
}
