//! A session as its handler sees it. Its methods step the worker's endpoint directly, on the worker's thread; there is no channel in between.

use std::cell::{OnceCell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use tokio::task::coop;
use unbroken::{CloseReason, Event, MessageId, SendError, SessionId, SessionMut, State, Stats};

use super::remote::{self, SessionHandle};
use super::worker::Worker;
use crate::message::Message;
use crate::ring::Ring;
use crate::wakers::Wakers;

/// A client's session, within the worker that has it (hence not `Send`; see [`ServerSession::handle`]). Clones are the same session.
///
/// All futures may be dropped at any time without loss.
#[derive(Clone)]
pub struct ServerSession {
    worker: Rc<Worker>,
    slot: Rc<Slot>,
}

impl ServerSession {
    pub(crate) fn new(worker: Rc<Worker>, slot: Rc<Slot>) -> Self {
        ServerSession { worker, slot }
    }

    /// The session's name, the same through all handovers.
    pub fn id(&self) -> SessionId {
        self.slot.id
    }

    /// What the client showed to the authorise hook; empty with `ServerConfig::authorise_all`.
    pub fn credential(&self) -> Bytes {
        self.slot.inner.borrow().credential.clone()
    }

    /// The next message; waits for it. `None` once the session is over and all that had arrived was fetched. Fetching is what
    /// ACKs a message, and what gives the client room for more.
    pub async fn recv(&self) -> Option<Message> {
        poll_fn(|cx| {
            let spent = ready!(coop::poll_proceed(cx));
            match self.try_recv() {
                Some(message) => {
                    spent.made_progress();
                    Poll::Ready(Some(message))
                }
                None if self.slot.closed().is_some() => Poll::Ready(None),
                None => {
                    self.slot.inner.borrow_mut().readers.register(cx.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// The next message, if one is there.
    pub fn try_recv(&self) -> Option<Message> {
        if let Some(message) = self.slot.inner.borrow_mut().left.pop_front() {
            return Some(message);
        }
        let mut state = self.worker.state.borrow_mut();
        let message = Message::from(state.endpoint.session(self.slot.id)?.recv()?);
        self.worker.touch();
        Some(message)
    }

    /// Sends a reliable message; waits for room while the un-ACKed limits are used up. A client that is away keeps its handler waiting here, and nobody else.
    ///
    /// # Errors
    /// [`SendError::TooLarge`] over either end's limit, [`SendError::Closed`] once the session is over. Both give the message back.
    pub async fn send(&self, message: impl Into<Bytes>) -> Result<MessageId, SendError> {
        let mut message = Some(message.into());
        poll_fn(|cx| {
            let spent = ready!(coop::poll_proceed(cx));
            match self.try_send(message.take().unwrap_or_default()) {
                Err(SendError::WouldBlock(back)) => {
                    message = Some(back);
                    self.slot.inner.borrow_mut().writers.register(cx.waker());
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

    /// As [`ServerSession::send`], without waiting.
    ///
    /// # Errors
    /// Also [`SendError::WouldBlock`].
    pub fn try_send(&self, message: impl Into<Bytes>) -> Result<MessageId, SendError> {
        let message = message.into();
        let mut state = self.worker.state.borrow_mut();
        let sent = match state.endpoint.session(self.slot.id) {
            Some(mut session) => session.send(message)?,
            None => return Err(SendError::Closed(message)),
        };
        self.worker.touch();
        Ok(sent)
    }

    /// Sends a message that may be lost: it is neither kept nor sent again.
    ///
    /// # Errors
    /// [`SendError::NoLink`] while the client is away, [`SendError::Full`] over `Limits::unreliable_bytes`,
    /// [`SendError::TooLarge`], [`SendError::Closed`].
    pub fn send_unreliable(&self, message: impl Into<Bytes>) -> Result<(), SendError> {
        let message = message.into();
        match self.worker.state.borrow_mut().endpoint.session(self.slot.id) {
            Some(mut session) => session.send_unreliable(message)?,
            None => return Err(SendError::Closed(message)),
        }
        self.worker.touch();
        Ok(())
    }

    /// The next event (handovers, changes of state, the end); waits for it. `None` after `Event::Closed`. Of events that nobody
    /// fetches, the newest 256 are kept; nothing waits for them.
    pub async fn event(&self) -> Option<Event> {
        poll_fn(|cx| self.slot.poll_event(cx)).await
    }

    /// The same events as a stream.
    pub fn events(&self) -> ServerEvents {
        ServerEvents {
            slot: self.slot.clone(),
        }
    }

    /// Ends the session: what was sent before still arrives, if the client is there or comes back soon. Returns why it ended.
    pub async fn disconnect(&self, code: u32) -> CloseReason {
        self.order(|session| session.close(code));
        self.closed().await
    }

    /// Puts the client out at once; it learns `CloseReason::Kicked` with this code, now or when it comes back.
    pub fn kick(&self, code: u32) {
        self.order(|session| session.kick(code));
    }

    /// Waits for the end of the session.
    pub async fn closed(&self) -> CloseReason {
        poll_fn(|cx| match self.slot.closed() {
            Some(reason) => Poll::Ready(reason),
            None => {
                self.slot.inner.borrow_mut().enders.register(cx.waker());
                Poll::Pending
            }
        })
        .await
    }

    /// Where the session stands; [`State::Connecting`] while the client is away.
    pub fn state(&self) -> State {
        match self.worker.state.borrow_mut().endpoint.session(self.slot.id) {
            Some(session) => session.state(),
            None => State::Closed,
        }
    }

    /// Counters since the start; `None` once the session is over.
    pub fn stats(&self) -> Option<Stats> {
        self.worker
            .state
            .borrow_mut()
            .endpoint
            .session(self.slot.id)
            .map(|session| session.stats())
    }

    /// A handle that may go to any thread, to send to this session from there.
    pub fn handle(&self) -> SessionHandle {
        self.slot
            .remote
            .get_or_init(|| remote::open(&self.worker, self))
            .clone()
    }

    pub(crate) fn order(&self, act: impl FnOnce(&mut SessionMut<'_>)) {
        if let Some(mut session) = self.worker.state.borrow_mut().endpoint.session(self.slot.id) {
            act(&mut session);
            self.worker.touch();
        }
    }

    /// For a task that sends on others' behalf: registers for room, and for the end.
    pub(crate) fn register_writer(&self, cx: &Context<'_>) {
        self.slot.inner.borrow_mut().writers.register(cx.waker());
    }

    pub(crate) fn register_ender(&self, cx: &Context<'_>) -> bool {
        self.slot.inner.borrow_mut().enders.register(cx.waker());
        self.slot.closed().is_some()
    }
}

impl fmt::Debug for ServerSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSession").field("id", &self.slot.id).finish()
    }
}

/// The events of a session; see [`ServerSession::events`].
pub struct ServerEvents {
    slot: Rc<Slot>,
}

impl Stream for ServerEvents {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.slot.poll_event(cx)
    }
}

/// What the worker keeps beside the endpoint for each session.
pub(crate) struct Slot {
    pub(crate) id: SessionId,
    inner: RefCell<Inner>,
    remote: OnceCell<SessionHandle>,
}

#[derive(Default)]
struct Inner {
    credential: Bytes,
    ring: Ring,
    readers: Wakers,
    writers: Wakers,
    watchers: Wakers,
    enders: Wakers,
    closed: Option<CloseReason>,
    left: VecDeque<Message>,
}

impl Slot {
    pub(crate) fn new(id: SessionId) -> Self {
        Slot {
            id,
            inner: RefCell::default(),
            remote: OnceCell::new(),
        }
    }

    pub(crate) fn wake_readers(&self) {
        self.inner.borrow_mut().readers.wake();
    }

    pub(crate) fn wake_writers(&self) {
        self.inner.borrow_mut().writers.wake();
    }

    pub(crate) fn set_credential(&self, credential: Bytes) {
        self.inner.borrow_mut().credential = credential;
    }

    pub(crate) fn closed(&self) -> Option<CloseReason> {
        self.inner.borrow().closed
    }

    /// The end: wakes all who wait for anything.
    pub(crate) fn close(&self, reason: CloseReason, left: Vec<Message>) {
        let mut inner = self.inner.borrow_mut();
        inner.closed = Some(reason);
        inner.left = left.into();
        inner.readers.wake();
        inner.writers.wake();
        inner.enders.wake();
    }

    pub(crate) fn push(&self, event: Event) {
        let mut inner = self.inner.borrow_mut();
        inner.ring.push(event);
        inner.watchers.wake();
    }

    fn poll_event(&self, cx: &Context<'_>) -> Poll<Option<Event>> {
        let mut inner = self.inner.borrow_mut();
        match inner.ring.pop() {
            Some(event) => Poll::Ready(Some(event)),
            None if inner.closed.is_some() => Poll::Ready(None),
            None => {
                inner.watchers.register(cx.waker());
                Poll::Pending
            }
        }
    }
}
