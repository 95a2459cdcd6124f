//! Reaching a session from other threads.
//!
//! Each session that was asked for a handle has a small queue and a task in its worker that empties it, with the same waiting for room as
//! any sender. So a client that is away fills its own queue and holds up those who send to it, nobody else. Sessions without a
//! handle pay nothing.

use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::mpsc;
use unbroken::{SendError, SessionId};

use super::session::ServerSession;
use super::worker::Worker;

/// Messages that wait in the queue of one session.
const QUEUE: usize = 64;

/// Reaches a session from any thread. It does not keep the session alive.
#[derive(Clone)]
pub struct SessionHandle {
    id: SessionId,
    messages: mpsc::Sender<Bytes>,
    orders: mpsc::Sender<Order>,
}

enum Order {
    Kick(u32),
    Disconnect(u32),
}

impl SessionHandle {
    /// The session's name.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Sends a reliable message, after those sent by this and other handles before; waits while 64 messages wait already. One that is larger
    /// than the client takes is dropped with a warning in the log.
    ///
    /// # Errors
    /// [`SendError::Closed`] with the message once the session is over. A message in the queue at that moment is lost.
    pub async fn send(&self, message: impl Into<Bytes>) -> Result<(), SendError> {
        self.messages
            .send(message.into())
            .await
            .map_err(|back| SendError::Closed(back.0))
    }

    /// As [`SessionHandle::send`], without waiting.
    ///
    /// # Errors
    /// Also [`SendError::WouldBlock`].
    pub fn try_send(&self, message: impl Into<Bytes>) -> Result<(), SendError> {
        self.messages.try_send(message.into()).map_err(|error| match error {
            mpsc::error::TrySendError::Full(back) => SendError::WouldBlock(back),
            mpsc::error::TrySendError::Closed(back) => SendError::Closed(back),
        })
    }

    /// Puts the client out, before what still waits in the queue.
    pub fn kick(&self, code: u32) {
        // A full queue of orders has one that does the same.
        let _ = self.orders.try_send(Order::Kick(code));
    }

    /// Ends the session, before what still waits in the queue; what the session has taken over still arrives.
    pub fn disconnect(&self, code: u32) {
        let _ = self.orders.try_send(Order::Disconnect(code));
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        self.messages.is_closed()
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHandle").field("id", &self.id).finish()
    }
}

/// Makes the queue and starts its task.
pub(crate) fn open(worker: &Rc<Worker>, session: &ServerSession) -> SessionHandle {
    let (messages, queue) = mpsc::channel(QUEUE);
    let (orders, ordered) = mpsc::channel(4);
    let mut pump = Pump {
        session: session.clone(),
        queue,
        ordered,
        held: None,
    };
    worker.spawn(async move { poll_fn(|cx| pump.poll(cx)).await });
    SessionHandle {
        id: session.id(),
        messages,
        orders,
    }
}

struct Pump {
    session: ServerSession,
    queue: mpsc::Receiver<Bytes>,
    ordered: mpsc::Receiver<Order>,
    held: Option<Bytes>,
}

impl Pump {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.session.register_ender(cx) {
            return Poll::Ready(());
        }
        while let Poll::Ready(Some(order)) = self.ordered.poll_recv(cx) {
            match order {
                Order::Kick(code) => self.session.kick(code),
                Order::Disconnect(code) => self.session.order(|session| session.close(code)),
            }
        }
        loop {
            let Some(message) = self.held.take() else {
                match self.queue.poll_recv(cx) {
                    Poll::Ready(Some(message)) => self.held = Some(message),
                    // The slot keeps one sender, so this is the end of the worker.
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
                continue;
            };
            match self.session.try_send(message) {
                Err(SendError::WouldBlock(back)) => {
                    self.held = Some(back);
                    self.session.register_writer(cx);
                    return Poll::Pending;
                }
                Err(SendError::Closed(_)) => return Poll::Ready(()),
                Err(error) => {
                    tracing::warn!(target: "unbroken::server", session = %self.session.id(), %error, "not sent")
                }
                Ok(_) => {}
            }
        }
    }
}
