//! One connection of a worker: the task that reads it, and writes what it did not take at once.
//!
//! The driver writes to the socket directly; only when it takes no more does this task wait until it does. Reading never stops: what the
//! application has not fetched is bounded by credit, and an ACK must get through even if nobody reads (L-4). All links of a worker read into one buffer.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tracing::trace;
use unbroken::LinkId;

use super::accept::Arrival;
use super::worker::Worker;
use crate::socket::{self, Pending};

/// Reads in a row before other tasks get their turn.
const READS: usize = 4;

pub(crate) struct Link {
    pub(crate) id: LinkId,
    writer: OwnedWriteHalf,
    /// Something has been read from it.
    heard: Cell<bool>,
    inner: RefCell<Inner>,
}

#[derive(Default)]
struct Inner {
    pending: Pending,
    closing: bool,
    waker: Option<Waker>,
}

/// What a write came to.
pub(crate) enum Written {
    All,
    Blocked,
    Failed,
}

impl Link {
    pub(crate) fn new(id: LinkId, writer: OwnedWriteHalf) -> Self {
        Link {
            id,
            writer,
            heard: Cell::new(false),
            inner: RefCell::default(),
        }
    }

    /// Writes now; what the socket does not take is written by the link's task.
    pub(crate) fn write(&self, bytes: &[u8]) -> Written {
        let mut inner = self.inner.borrow_mut();
        let result = inner.pending.write(self.writer.as_ref(), bytes);
        if !matches!(result, Ok(true)) {
            inner.wake();
        }
        match result {
            Ok(true) => Written::All,
            Ok(false) => Written::Blocked,
            Err(_) => Written::Failed,
        }
    }

    /// Lets the task write the rest and close politely. The worker forgets the link first.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.closing = true;
        inner.wake();
    }

    fn poll(&self, worker: &Rc<Worker>, reader: &mut OwnedReadHalf, cx: &mut Context<'_>) -> Poll<End> {
        {
            let mut inner = self.inner.borrow_mut();
            if inner.closing {
                return Poll::Ready(End::Closing);
            }
            if !inner.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                inner.waker = Some(cx.waker().clone());
            }
            let stream = self.writer.as_ref();
            while !inner.pending.is_empty() && stream.poll_write_ready(cx).is_ready() {
                match inner.pending.flush(stream) {
                    Ok(true) => worker.link_writable(self.id),
                    Ok(false) => {}
                    Err(_) => return Poll::Ready(End::Broken),
                }
            }
        }
        for _ in 0..READS {
            if !self.heard.get() && !worker.door.admits(cx) {
                return Poll::Pending;
            }
            match ready!(worker.read(self.id, |buffer| socket::read(reader, cx, buffer))) {
                Ok(0) | Err(_) => return Poll::Ready(End::Broken),
                Ok(_) if !self.heard.replace(true) => worker.door.heard(),
                Ok(_) => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Inner {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

enum End {
    /// The core wants it closed.
    Closing,
    /// The peer or the path ended it.
    Broken,
}

/// The task of a connection, from its arrival in the worker to its end.
pub(crate) async fn run(worker: Rc<Worker>, arrival: Arrival) {
    let Ok(stream) = TcpStream::from_std(arrival.stream) else {
        return;
    };
    let (mut reader, writer) = stream.into_split();
    let link = worker.link_up(writer);
    let id = link.id;
    trace!(target: "unbroken::server", link = id.0, "link up");
    if arrival.len > 0 {
        worker.input(id, &arrival.first[..arrival.len]);
    }
    let end = poll_fn(|cx| link.poll(&worker, &mut reader, cx)).await;
    trace!(target: "unbroken::server", link = id.0, "link down");
    match end {
        End::Broken => worker.link_down(id),
        End::Closing => {
            if let Some(Link { writer, inner, .. }) = Rc::into_inner(link)
                && let Ok(stream) = reader.reunite(writer)
            {
                // Set aside, as what it needs (a kibibyte to read into) would else be a part of every connection's task from the beginning.
                Box::pin(socket::close(stream, inner.into_inner().pending)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of what an async function with two arguments makes.
    fn size<A, B, F>(_: impl Fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connections_task_holds_only_what_a_connection_needs_while_it_stands() {
        assert!(size(run) <= 512, "{} bytes for each connection", size(run));
    }
}
