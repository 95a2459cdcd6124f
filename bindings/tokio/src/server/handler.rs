//! Sessions that can leave the process: what an application must be able to do for that.
//!
//! An async handler cannot move: its state is spread over the futures it awaits. So here the state is a value, and the worker calls it:
//!
//! ```text
//!   first connect ──► open ────┐                                    ┌──► swap_out ──► on_end(SwappedOut)
//!                              ├──► on_message, on_mail, on_event ──┤
//!   taken over ──► restore ────┘      one at a time, to the end     └──► on_end(Closed, Kicked, Expired)
//! ```
//!
//! A message is handed over only when the call for the one before has returned, and [`SessionHandler::swap_out`] is called in between. So the
//! bytes it returns always say the same as the positions that go into the store beside them: all messages taken have changed the state and have been answered,
//! none has by half. This is what makes `Durability::Durable` right: state, ACKs and answers are committed together, or not at all.
//! It also asks of a handler that it be quick, and that nobody else change its state: what comes from outside comes as mail.
//!
//! Nothing queues without bound. A message is handed over only while a quarter of the un-ACKed limits is free for what the handler sends
//! in return. Until then messages wait at the client, by credit, and mail in the store. A handler that sends more at once gets `SendError::WouldBlock` with
//! the message back, keeps that in its state, and goes on in [`SessionHandler::on_writable`].

use std::error::Error;
use std::fmt;

use bytes::Bytes;
use unbroken::{CloseReason, Event, MessageId, NoStore, SendError, SessionId, State, Stats};

use super::remote::SessionHandle;
use super::session::ServerSession;
use crate::message::Message;

/// Why a state could not be restored.
pub type RestoreError = Box<dyn Error + Send + Sync>;

/// The application's part of one session, as a value that can leave the process as bytes.
///
/// All methods run on the session's worker and must not block. A panic puts out this session only, with [`HANDLER_PANICKED`](super::HANDLER_PANICKED).
pub trait SessionHandler: 'static {
    /// A message of the client, in order; it counts as delivered when this returns. There is room for answers of a quarter of `Limits::unacked_bytes` and
    /// `unacked_messages`.
    fn on_message(&mut self, session: &SessionRef<'_>, message: Message);

    /// A message that a server sent to this session ([`Server::send_to_session`](super::Server::send_to_session)), in order. By default it is ignored.
    fn on_mail(&mut self, session: &SessionRef<'_>, message: Bytes) {
        let _ = (session, message);
    }

    /// Something happened: handovers, changes of state, a swap-out that failed.
    fn on_event(&mut self, session: &SessionRef<'_>, event: &Event) {
        let _ = (session, event);
    }

    /// There is room again after a `send` that would have blocked.
    fn on_writable(&mut self, session: &SessionRef<'_>) {
        let _ = session;
    }

    /// The state, as [`HandlerFactory::restore`] reads it, perhaps in a newer version of the program: begin it with a version. With what is un-ACKed it must fit
    /// `Limits::snapshot`. Called often with `Durability::Durable`, once for each round of messages; what this process no longer may change is never called again.
    fn swap_out(&self) -> Bytes;

    /// The last call: why it ends here. A handler that has panicked, or whose state has become too large for `Durability::Durable`, is dropped without it.
    fn on_end(self, end: End)
    where
        Self: Sized,
    {
        let _ = end;
    }
}

/// Makes handlers: for new sessions, and from bytes for those that come from elsewhere.
pub trait HandlerFactory: Send + Sync + 'static {
    /// What it makes.
    type Handler: SessionHandler;

    /// For a new session. [`SessionRef::credential`] is what its client was let in with.
    fn open(&self, session: &SessionRef<'_>) -> Self::Handler;

    /// For a session from elsewhere, from what its handler returned there by [`SessionHandler::swap_out`].
    ///
    /// # Errors
    /// Bytes that cannot be read. The session then ends, the client learns [`RESTORE_FAILED`](super::RESTORE_FAILED), and the error is logged. To
    /// be able to go back to an older version of the program, let the newer one write what the older one reads.
    fn restore(&self, session: &SessionRef<'_>, state: Bytes) -> Result<Self::Handler, RestoreError>;
}

/// Why a handler ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The session goes on, elsewhere or later: its state is in the store, or with another server. What this handler still knows is not the truth any more.
    SwappedOut,
    /// The session was put out: by `kick`, by [`Server::kick`](super::Server::kick), or with the code [`USER_MOVED`](unbroken::USER_MOVED) because its
    /// user came with another session.
    Kicked {
        /// The application's code, or one of this crate's.
        code: u32,
    },
    /// The client did not come back within `Limits::detached`.
    Expired,
    /// It ended otherwise; mostly because one of the ends wanted it.
    Closed(CloseReason),
    /// The server was dropped, or its shutdown ran out of time. With `Durability::Durable` the session goes on elsewhere, from its last commit.
    Stopped,
}

impl From<CloseReason> for End {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::Kicked { code } => End::Kicked { code },
            CloseReason::Expired => End::Expired,
            reason => End::Closed(reason),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::SwappedOut => f.write_str("swapped out"),
            End::Kicked { code } => write!(f, "kicked (code {code})"),
            End::Expired => f.write_str("expired"),
            End::Closed(reason) => write!(f, "closed: {reason}"),
            End::Stopped => f.write_str("the server stopped"),
        }
    }
}

/// A session in the hands of its handler, for the time of one call: it cannot be kept, so that nothing is done while the state is not whole.
pub struct SessionRef<'a>(pub(crate) &'a ServerSession);

impl SessionRef<'_> {
    /// The session's name, the same through all handovers and on all servers.
    pub fn id(&self) -> SessionId {
        self.0.id()
    }

    /// What the client showed to the authorise hook. Empty with `ServerConfig::authorise_all`, and after the session moved: keep in
    /// the state what is needed of it.
    pub fn credential(&self) -> Bytes {
        self.0.credential()
    }

    /// The user whose session it is, by [`SessionRef::bind_user`], here or where it came from. A key over 1024 bytes comes back otherwise from elsewhere: as its first 992 bytes
    /// and its SHA-256, so compare such keys in that form.
    pub fn user(&self) -> Option<Bytes> {
        self.0.slot().seat.borrow().user.clone()
    }

    /// Sends a reliable message.
    ///
    /// # Errors
    /// [`SendError::WouldBlock`] while the un-ACKed limits are used up: keep it and go on in [`SessionHandler::on_writable`].
    /// [`SendError::TooLarge`], [`SendError::Closed`]. All give the message back.
    pub fn send(&self, message: impl Into<Bytes>) -> Result<MessageId, SendError> {
        self.0.try_send(message)
    }

    /// Sends a message that may be lost.
    ///
    /// # Errors
    /// As [`ServerSession::send_unreliable`].
    pub fn send_unreliable(&self, message: impl Into<Bytes>) -> Result<(), SendError> {
        self.0.send_unreliable(message)
    }

    /// Says whose session this is, by the application's own key for its users, at most 1024 bytes. The session that the user had before, on any server, ends with
    /// `CloseReason::Kicked` and the code `USER_MOVED`. A longer key counts as a whole, but where the session has moved, [`SessionRef::user`] gives its first 992 bytes
    /// and then its SHA-256.
    ///
    /// # Errors
    /// With `Durability::Memory` nobody could remember.
    pub fn bind_user(&self, user: &[u8]) -> Result<(), NoStore> {
        let mut bound = Ok(());
        self.0.order(|session| bound = session.bind_user(user));
        if bound.is_ok() {
            self.0.slot().seat.borrow_mut().user = Some(Bytes::copy_from_slice(user));
        }
        bound
    }

    /// (`Durability::Durable`) Has the state committed although it was changed by nothing that is committed anyway. Messages and mail taken, messages sent and
    /// `bind_user` are; what [`SessionHandler::on_event`] changes is not, before the next of those.
    pub fn commit(&self) {
        self.0.order(|session| session.commit());
    }

    /// Wants the session swapped out, though its client is here: it comes back at once, to wherever a balancer sends it. Does nothing with `Durability::Memory`.
    pub fn swap_out(&self) {
        self.0.order(|session| session.swap_out());
    }

    /// Ends the session, after what was sent. Nothing more is handed over.
    pub fn close(&self, code: u32) {
        self.0.slot().seat.borrow_mut().done = true;
        self.0.order(|session| session.close(code));
    }

    /// Puts the client out; it learns `CloseReason::Kicked` with this code, now or when it comes back. Nothing more is handed over.
    pub fn kick(&self, code: u32) {
        self.0.slot().seat.borrow_mut().done = true;
        self.0.kick(code);
    }

    /// Where the session stands; [`State::Connecting`] while the client is away.
    pub fn state(&self) -> State {
        self.0.state()
    }

    /// Counters since the session came to this process; `None` once it is over.
    pub fn stats(&self) -> Option<Stats> {
        self.0.stats()
    }

    /// To send to this session from any thread, while it is in this process. What waits in there when the session leaves is lost: send what
    /// must not be lost by [`Server::send_to_session`](super::Server::send_to_session).
    pub fn handle(&self) -> SessionHandle {
        self.0.handle()
    }
}

impl fmt::Debug for SessionRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRef").field("id", &self.id()).finish()
    }
}

/// A handler without its type.
pub(crate) trait AnyHandler {
    fn on_message(&mut self, session: &SessionRef<'_>, message: Message);
    fn on_mail(&mut self, session: &SessionRef<'_>, message: Bytes);
    fn on_event(&mut self, session: &SessionRef<'_>, event: &Event);
    fn on_writable(&mut self, session: &SessionRef<'_>);
    fn swap_out(&self) -> Bytes;
    fn on_end(self: Box<Self>, end: End);
}

impl<H: SessionHandler> AnyHandler for H {
    fn on_message(&mut self, session: &SessionRef<'_>, message: Message) {
        SessionHandler::on_message(self, session, message);
    }

    fn on_mail(&mut self, session: &SessionRef<'_>, message: Bytes) {
        SessionHandler::on_mail(self, session, message);
    }

    fn on_event(&mut self, session: &SessionRef<'_>, event: &Event) {
        SessionHandler::on_event(self, session, event);
    }

    fn on_writable(&mut self, session: &SessionRef<'_>) {
        SessionHandler::on_writable(self, session);
    }

    fn swap_out(&self) -> Bytes {
        SessionHandler::swap_out(self)
    }

    fn on_end(self: Box<Self>, end: End) {
        SessionHandler::on_end(*self, end);
    }
}

/// A factory without its type.
pub(crate) trait AnyFactory: Send + Sync {
    fn open(&self, session: &SessionRef<'_>) -> Box<dyn AnyHandler>;
    fn restore(&self, session: &SessionRef<'_>, state: Bytes) -> Result<Box<dyn AnyHandler>, RestoreError>;
}

impl<F: HandlerFactory> AnyFactory for F {
    fn open(&self, session: &SessionRef<'_>) -> Box<dyn AnyHandler> {
        Box::new(HandlerFactory::open(self, session))
    }

    fn restore(&self, session: &SessionRef<'_>, state: Bytes) -> Result<Box<dyn AnyHandler>, RestoreError> {
        Ok(Box::new(HandlerFactory::restore(self, session, state)?))
    }
}
