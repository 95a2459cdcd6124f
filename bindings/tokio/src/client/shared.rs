//! What the handle and the driver share: the session behind a mutex, and who waits for what; and the sockets behind another, which the handle only tries.
//!
//! Waking the driver costs more than a send, so it happens only when something became due *before* the moment that the driver is
//! armed for; the first of a burst of sends wakes it, and until it runs the others do not even look. How it is woken stands in
//! `sleeper.rs`.
//!
//! Tasks of the application are woken when the session is free again ([`Held`]): their wakers may ask it at once.

use std::array;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::task::coop;
use unbroken::{Batch, CloseReason, Event, Instant, MessageId, Refusal, Session};

use super::error::ConnectError;
use super::io::{self, Io, Wrote};
use super::sleeper::Sleeper;
use crate::clock;
use crate::message::Message;
use crate::ring::Ring;
use crate::wakers::Wakers;

pub(crate) struct Shared {
    core: Mutex<Core>,
    /// Locked before `core`, if both are.
    io: Mutex<Io>,
}

pub(crate) struct Core {
    pub(crate) session: Session,
    pub(crate) ring: Ring,
    pub(crate) driver: Sleeper,
    pub(crate) watch: Watch,
    pub(crate) standing: Standing,
    /// It stood once, even if it has ended since.
    stood: bool,
    pub(crate) readers: Wakers,
    pub(crate) writers: Wakers,
    pub(crate) watchers: Wakers,
    pub(crate) enders: Wakers,
    /// To be woken when the lock is given back.
    woken: VecDeque<Waker>,
}

/// The session, locked. When it is given back, those are woken whom that concerned.
pub(crate) struct Held<'a> {
    shared: &'a Shared,
    /// Until it is given back.
    core: Option<MutexGuard<'a, Core>>,
}

/// Tasks woken at once, mostly all there are.
const AT_ONCE: usize = 4;

/// What a driver waits for that has done all there was to do.
pub(crate) struct Rest {
    pub(crate) due: Option<Instant>,
    /// Nothing: the session is over.
    pub(crate) over: bool,
}

/// What the driver is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// It was woken, or has not begun, and will see whatever is due.
    Woken,
    /// It waits, or is at work and has looked already: what is due before this must wake it.
    Until(Instant),
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
        let core = Core {
            session,
            ring: Ring::default(),
            driver: Sleeper::default(),
            watch: Watch::Woken,
            standing: Standing::Trying,
            stood: false,
            readers: Wakers::default(),
            writers: Wakers::default(),
            watchers: Wakers::default(),
            enders: Wakers::default(),
            woken: VecDeque::new(),
        };
        Shared {
            core: Mutex::new(core),
            io: Mutex::new(Io::new()),
        }
    }

    /// For the driver: the sockets. Whoever else has them is about to be done.
    pub(crate) fn io(&self) -> MutexGuard<'_, Io> {
        self.io.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For an application that is about to wait: what is due leaves now. Only if the driver was woken for it and has not begun, and nobody is at the sockets,
    /// nor has this thread's buffer.
    fn flush(&self, watch: Watch) {
        if watch != Watch::Woken {
            return;
        }
        let Ok(mut io) = self.io.try_lock() else { return };
        let wrote = io::try_with_buffer(|buffer| io.write_due(self, buffer, clock::now()));
        drop(io);
        if wrote == Some(Wrote::Unfinished) {
            // It may have been quicker than this, and would not look again.
            self.with(|core| core.driver.wake());
        }
    }

    /// For the driver: no waking of itself.
    pub(crate) fn lock(&self) -> Held<'_> {
        let core = Some(self.lock_core());
        Held { shared: self, core }
    }

    fn lock_core(&self) -> MutexGuard<'_, Core> {
        // A panic inside the core took the driver with it, which closed the session: what is left can still be read.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the application: whatever became due wakes the driver.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Core) -> T) -> T {
        self.watched(act).0
    }

    /// The same, and what the driver is about then.
    fn watched<T>(&self, act: impl FnOnce(&mut Core) -> T) -> (T, Watch) {
        let mut core = self.lock();
        let result = act(&mut core);
        core.rouse();
        (result, core.watch)
    }

    pub(crate) async fn send_slice(&self, message: &[u8]) -> Result<MessageId, Refusal> {
        poll_fn(|cx| {
            let spent = ready!(coop::poll_proceed(cx));
            let result = self.with(|core| {
                let result = core
                    .open()
                    .map_or(Err(Refusal::Closed), |session| session.send_slice(message));
                if result == Err(Refusal::WouldBlock) {
                    core.writers.register_into(cx.waker(), &mut core.woken);
                }
                result
            });
            if result == Err(Refusal::WouldBlock) {
                return Poll::Pending;
            }
            spent.made_progress();
            Poll::Ready(result)
        })
        .await
    }

    pub(crate) async fn recv(&self) -> Option<Message> {
        poll_fn(|cx| {
            let spent = ready!(coop::poll_proceed(cx));
            let (next, watch) = self.watched(|core| match core.session.recv().map(Message::from) {
                Some(message) => Poll::Ready(Some(message)),
                None if core.is_closed() => Poll::Ready(None),
                None => {
                    core.readers.register_into(cx.waker(), &mut core.woken);
                    Poll::Pending
                }
            });
            if next.is_ready() {
                spent.made_progress();
            } else {
                self.flush(watch);
            }
            next
        })
        .await
    }

    /// See [`Client::send_many`](crate::Client::send_many).
    pub(crate) async fn send_many<M: AsRef<[u8]>>(&self, messages: &[M]) -> Result<usize, Refusal> {
        poll_fn(|cx| {
            let spent = ready!(coop::poll_proceed(cx));
            let (taken, refusal) = self.with(|core| {
                let closed = (0, Some(Refusal::Closed));
                let result = core.open().map_or(closed, |session| session.send_many(messages));
                if let (0, Some(Refusal::WouldBlock)) = result {
                    core.writers.register_into(cx.waker(), &mut core.woken);
                }
                result
            });
            let outcome = match (taken, refusal) {
                (0, Some(Refusal::WouldBlock)) => return Poll::Pending,
                (0, Some(refusal)) => Err(refusal),
                (taken, _) => Ok(taken),
            };
            spent.made_progress();
            Poll::Ready(outcome)
        })
        .await
    }

    /// See [`Client::recv_batch`](crate::Client::recv_batch).
    pub(crate) async fn recv_batch(&self, batch: &mut Batch) -> bool {
        poll_fn(|cx| {
            let spent = ready!(coop::poll_proceed(cx));
            let (next, watch) = self.watched(|core| {
                if core.session.recv_batch(batch) {
                    Poll::Ready(true)
                } else if core.is_closed() {
                    Poll::Ready(false)
                } else {
                    core.readers.register_into(cx.waker(), &mut core.woken);
                    Poll::Pending
                }
            });
            if next.is_ready() {
                spent.made_progress();
            } else {
                self.flush(watch);
            }
            next
        })
        .await
    }

    pub(crate) fn poll_event(&self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let core = &mut *self.lock();
        match core.ring.pop() {
            Some(event) => Poll::Ready(Some(event)),
            None if core.is_closed() => Poll::Ready(None),
            None => {
                core.watchers.register_into(cx.waker(), &mut core.woken);
                Poll::Pending
            }
        }
    }

    pub(crate) async fn established(&self) -> Result<(), ConnectError> {
        poll_fn(|cx| {
            let core = &mut *self.lock();
            match core.standing {
                _ if core.stood => Poll::Ready(Ok(())),
                Standing::GaveUp => Poll::Ready(Err(ConnectError::GaveUp)),
                Standing::Closed(reason) => Poll::Ready(Err(ConnectError::Closed(reason))),
                Standing::Trying | Standing::Established => {
                    core.enders.register_into(cx.waker(), &mut core.woken);
                    Poll::Pending
                }
            }
        })
        .await
    }

    pub(crate) async fn closed(&self) -> CloseReason {
        poll_fn(|cx| {
            let core = &mut *self.lock();
            if let Standing::Closed(reason) = core.standing {
                return Poll::Ready(reason);
            }
            core.enders.register_into(cx.waker(), &mut core.woken);
            Poll::Pending
        })
        .await
    }
}

impl Deref for Held<'_> {
    type Target = Core;

    fn deref(&self) -> &Core {
        self.core.as_ref().expect("it is given back at the end")
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Core {
        self.core.as_mut().expect("it is given back at the end")
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut held = self.core.take();
        while let Some(mut core) = held {
            if core.woken.is_empty() {
                return;
            }
            let some: [Option<Waker>; AT_ONCE] = array::from_fn(|_| core.woken.pop_front());
            let more = !core.woken.is_empty();
            drop(core);
            some.into_iter().flatten().for_each(Waker::wake);
            held = more.then(|| self.shared.lock_core());
        }
    }
}

impl Core {
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.standing, Standing::Closed(_))
    }

    /// The session, unless it is over. If the driver is gone, it does not know that itself.
    pub(crate) fn open(&mut self) -> Option<&mut Session> {
        (!self.is_closed()).then_some(&mut self.session)
    }

    /// Takes note of an event and passes it on to whom it concerns.
    pub(crate) fn dispatch(&mut self, event: Event) {
        match &event {
            Event::Writable => {
                self.writers.wake_into(&mut self.woken);
                return;
            }
            Event::Readable => {
                self.wake_readers();
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
                self.wake_readers();
                self.writers.wake_into(&mut self.woken);
            }
            _ => {}
        }
        self.enders.wake_into(&mut self.woken);
        self.ring.push(event);
        self.watchers.wake_into(&mut self.woken);
    }

    /// The end, also when no event says so: the driver is gone.
    pub(crate) fn close(&mut self, reason: CloseReason) {
        if !self.is_closed() {
            self.standing = Standing::Closed(reason);
        }
    }

    pub(crate) fn wake_readers(&mut self) {
        self.readers.wake_into(&mut self.woken);
    }

    /// For the driver: whatever becomes due wakes it, as it may have looked already.
    pub(crate) fn wake_for_all(&mut self) {
        self.watch = Watch::Until(Instant::FAR_FUTURE);
    }

    /// For the driver: what there is to wait for. What becomes due before that wakes it.
    pub(crate) fn rest(&mut self) -> Rest {
        let due = self.session.poll_timeout();
        self.watch = Watch::Until(due.unwrap_or(Instant::FAR_FUTURE));
        Rest {
            due,
            over: self.is_closed(),
        }
    }

    fn rouse(&mut self) {
        let Watch::Until(armed) = self.watch else { return };
        if self.session.poll_timeout().is_some_and(|due| due < armed) {
            self.watch = Watch::Woken;
            self.driver.wake_for_sends();
        }
    }
}
