//! One connection of a worker: the task that reads it, and writes what it did not take at once.
//!
//! The driver writes to the socket directly; only when it takes no more does this task wait until it does. Reading never stops: what the
//! application has not fetched is bounded by credit, and an ACK must get through even if nobody reads (L-4). All links of a worker read into one buffer.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::net::TcpStream;
use tracing::trace;
use unbroken::LinkId;

use super::accept::Arrival;
use super::worker::Worker;
use crate::socket::{self, Pending};

/// Reads in a row before other tasks get their turn.
const READS: usize = 4;

pub(crate) struct Link {
    pub(crate) id: LinkId,
    stream: TcpStream,
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
    pub(crate) fn new(id: LinkId, stream: TcpStream) -> Self {
        Link {
            id,
            stream,
            inner: RefCell::default(),
        }
    }

    /// Writes now; what the socket does not take is written by the link's task.
    pub(crate) fn write(&self, bytes: &[u8]) -> Written {
        let mut inner = self.inner.borrow_mut();
        let result = inner.pending.write(&self.stream, bytes);
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

    fn poll(&self, worker: &Worker, cx: &mut Context<'_>) -> Poll<End> {
        {
            let mut inner = self.inner.borrow_mut();
            if inner.closing {
                return Poll::Ready(End::Closing);
            }
            if !inner.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                inner.waker = Some(cx.waker().clone());
            }
            while !inner.pending.is_empty() && self.stream.poll_write_ready(cx).is_ready() {
                match inner.pending.flush(&self.stream) {
                    Ok(true) => worker.link_writable(self.id),
                    Ok(false) => {}
                    Err(_) => return Poll::Ready(End::Broken),
                }
            }
        }
        for _ in 0..READS {
            if self.stream.poll_read_ready(cx).is_pending() {
                return Poll::Pending;
            }
            match worker.read(self.id, |buffer| self.stream.try_read(buffer)) {
                Ok(0) => return Poll::Ready(End::Broken),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(End::Broken),
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
    let link = worker.link_up(stream);
    let id = link.id;
    trace!(target: "unbroken::server", link = id.0, "link up");
    if arrival.len > 0 {
        worker.input(id, &arrival.first[..arrival.len]);
    }
    let end = poll_fn(|cx| link.poll(&worker, cx)).await;
    trace!(target: "unbroken::server", link = id.0, "link down");
    match end {
        End::Broken => worker.link_down(id),
        End::Closing => {
            if let Some(Link { stream, inner, .. }) = Rc::into_inner(link) {
                socket::close(stream, inner.into_inner().pending).await;
            }
        }
    }
}
