//! A session as its handler sees it. Its methods step the worker's endpoint directly, on the worker's thread; there is no channel in between.

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use tokio::task::coop;
use unbroken::{
    Batch, CloseReason, Endpoint, Event, MessageId, Refusal, SendError, SessionId, SessionMut, State, Stats,
};

use super::handler::End;
use super::remote::{self, SessionHandle};
use super::seat::Seat;
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
        self.slot.credential()
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
        {
            let mut inner = self.slot.inner.borrow_mut();
            if let Some(message) = inner.left.pop() {
                return Some(message.into());
            }
            // What the endpoint has by this name now is another's: it was swapped out, and is back.
            if inner.end.is_some() {
                return None;
            }
        }
        let mut state = self.worker.state.borrow_mut();
        let message: Message = state.endpoint.recv(self.slot.id, |message| message.into())?;
        self.worker.touch();
        Some(message)
    }

    /// Fills `batch` with all messages that have arrived; waits for one. Nothing is copied or allocated in a steady flow, so this is the fast way to read
    /// many messages; [`ServerSession::recv`] is for those that are kept. All of them count as delivered at once. False once the session is over and all
    /// that had arrived was fetched. A batch that is not empty is left as it is.
    pub async fn recv_batch(&self, batch: &mut Batch) -> bool {
        poll_fn(|cx| {
            let spent = ready!(coop::poll_proceed(cx));
            let next = self.poll_batch(batch, cx);
            if next.is_ready() {
                spent.made_progress();
            }
            next
        })
        .await
    }

    fn poll_batch(&self, batch: &mut Batch, cx: &Context<'_>) -> Poll<bool> {
        if !batch.is_empty() || self.slot.take_left(batch) {
            return Poll::Ready(true);
        }
        if self.slot.end().is_some() {
            return Poll::Ready(false);
        }
        if self.worker.state.borrow_mut().endpoint.recv_batch(self.slot.id, batch) {
            self.worker.touch();
            return Poll::Ready(true);
        }
        self.slot.inner.borrow_mut().readers.register(cx.waker());
        Poll::Pending
    }

    /// Sends a reliable message; waits for room while the un-ACKed limits are used up. A client that is away keeps its handler waiting here, and nobody else.
    ///
    /// # Errors
    /// [`SendError::TooLarge`] over either end's limit, [`SendError::Closed`] once the session is over. Both give the message back.
    pub async fn send(&self, message: impl Into<Bytes>) -> Result<MessageId, SendError> {
        let message = message.into();
        let sent = self.send_slice(&message).await;
        sent.map_err(|refusal| refusal.with(message))
    }

    /// As [`ServerSession::send`], without waiting.
    ///
    /// # Errors
    /// Also [`SendError::WouldBlock`].
    pub fn try_send(&self, message: impl Into<Bytes>) -> Result<MessageId, SendError> {
        let message = message.into();
        self.give(|endpoint, id| endpoint.send_slice(id, &message))
            .map_err(|refusal| refusal.with(message))
    }

    /// As [`ServerSession::send`], from bytes that the caller keeps: nothing is allocated.
    ///
    /// # Errors
    /// As there, without the message.
    pub async fn send_slice(&self, message: &[u8]) -> Result<MessageId, Refusal> {
        self.when_there_is_room(|endpoint, id| endpoint.send_slice(id, message))
            .await
    }

    /// Sends as many of these messages as there is room for, in order, all in one step; waits while there is room for none. Returns how many: at least one, unless
    /// there is none. Like a write to a socket it need not be all of them: go on with the rest, `&messages[sent..]`. Or see [`ServerSession::send_all`].
    ///
    /// # Errors
    /// Why the first was not taken: as [`ServerSession::send_slice`].
    pub async fn send_many<M: AsRef<[u8]>>(&self, messages: &[M]) -> Result<usize, Refusal> {
        self.when_there_is_room(|endpoint, id| match endpoint.send_many(id, messages) {
            (0, Some(refusal)) => Err(refusal),
            (sent, _) => Ok(sent),
        })
        .await
    }

    /// Sends all these messages, in order, in as few steps as there is room for. If the future is dropped, some of them may have been sent.
    ///
    /// # Errors
    /// As [`ServerSession::send_many`], for the first that was not taken; those before it were.
    pub async fn send_all<M: AsRef<[u8]>>(&self, mut messages: &[M]) -> Result<(), Refusal> {
        while !messages.is_empty() {
            messages = &messages[self.send_many(messages).await?..];
        }
        Ok(())
    }

    async fn when_there_is_room<T>(
        &self,
        mut send: impl FnMut(&mut Endpoint, SessionId) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        poll_fn(|cx| {
            let spent = ready!(coop::poll_proceed(cx));
            let sent = self.give(&mut send);
            if let Err(Refusal::WouldBlock) = sent {
                self.slot.inner.borrow_mut().writers.register(cx.waker());
                return Poll::Pending;
            }
            spent.made_progress();
            Poll::Ready(sent)
        })
        .await
    }

    fn give<T>(&self, send: impl FnOnce(&mut Endpoint, SessionId) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let sent = send(&mut self.worker.state.borrow_mut().endpoint, self.slot.id)?;
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

    pub(crate) fn slot(&self) -> &Slot {
        &self.slot
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
    /// With a handler that can move.
    pub(crate) seat: RefCell<Seat>,
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
    end: Option<End>,
    /// What had arrived when it ended.
    left: Batch,
}

impl Slot {
    pub(crate) fn new(id: SessionId) -> Self {
        Slot {
            id,
            inner: RefCell::default(),
            seat: RefCell::default(),
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

    pub(crate) fn credential(&self) -> Bytes {
        self.inner.borrow().credential.clone()
    }

    fn take_left(&self, batch: &mut Batch) -> bool {
        let left = &mut self.inner.borrow_mut().left;
        if !left.is_empty() {
            std::mem::swap(batch, left);
        }
        !batch.is_empty()
    }

    /// Why it is over, if it is.
    pub(crate) fn end(&self) -> Option<End> {
        self.inner.borrow().end
    }

    pub(crate) fn closed(&self) -> Option<CloseReason> {
        self.end().map(|end| match end {
            End::Kicked { code } => CloseReason::Kicked { code },
            End::Expired => CloseReason::Expired,
            End::Closed(reason) => reason,
            // Only told to handlers that can move.
            End::SwappedOut | End::Stopped => CloseReason::Local { code: 0 },
        })
    }

    /// The end: wakes all who wait for anything.
    pub(crate) fn finish(&self, end: End, left: Batch) {
        let mut inner = self.inner.borrow_mut();
        inner.end = Some(end);
        inner.left = left;
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
            None if inner.end.is_some() => Poll::Ready(None),
            None => {
                inner.watchers.register(cx.waker());
                Poll::Pending
            }
        }
    }
}
