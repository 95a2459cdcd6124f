//! The driver: the one task that owns a client's sockets and its timer.
//!
//! It is one future, polled by hand: each turn looks at every link (usually one, two while a handover runs), feeds what came into the
//! session, then carries out what the session wants. A link that is being dialled is a future; one that is up is a non-blocking socket
//! with the rest of the one output that it did not take. When the session is closed and has nothing more to write, the task ends.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Sleep;
use tracing::{debug, info, warn};
use unbroken::{CloseReason, Event, Instant, LinkId, NetworkId, Output, Target};

use super::network::Networks;
use super::shared::Shared;
use crate::clock;
use crate::dial::{Dial, Dialer, Dialing};
use crate::metrics::ClientTally;
use crate::socket::{self, Pending};

/// Reads and outputs per turn before other tasks get theirs.
const TURNS: usize = 16;
const SCRATCH: usize = 64 << 10;

thread_local! {
    // Used within one poll only, so all clients of a thread share it.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

pub(crate) struct Driver {
    shared: Arc<Shared>,
    address: String,
    dialer: Dialer,
    networks: Arc<Networks>,
    connect_timeout: Duration,
    links: Vec<Link>,
    timer: Pin<Box<Sleep>>,
    timer_for: Option<Instant>,
    tally: ClientTally,
}

struct Link {
    id: LinkId,
    socket: Socket,
    pending: Pending,
}

enum Socket {
    Dialing(Dialing),
    Up(TcpStream),
}

/// What polling a link brought.
enum Progress {
    None,
    Some,
    Down,
}

impl Driver {
    /// Must be called within a runtime, for the timer.
    pub(crate) fn new(
        shared: Arc<Shared>,
        address: String,
        dialer: Dialer,
        networks: Arc<Networks>,
        connect_timeout: Duration,
    ) -> Self {
        Driver {
            shared,
            address,
            dialer,
            networks,
            connect_timeout,
            links: Vec::new(),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            timer_for: None,
            tally: ClientTally::new(),
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> bool {
        let mut busy = self.drop_lost();
        let mut index = 0;
        while index < self.links.len() {
            match self.poll_link(index, cx, buffer) {
                Progress::None => index += 1,
                Progress::Some => {
                    busy = true;
                    index += 1;
                }
                Progress::Down => {
                    busy = true;
                    self.drop_link(index);
                }
            }
        }
        busy | self.events() | self.outputs(buffer)
    }

    fn poll_link(&mut self, index: usize, cx: &mut Context<'_>, buffer: &mut [u8]) -> Progress {
        let Link { id, socket, pending } = &mut self.links[index];
        let stream = match socket {
            Socket::Dialing(dialing) => match dialing.as_mut().poll(cx) {
                Poll::Pending => return Progress::None,
                Poll::Ready(Err(error)) => {
                    debug!(target: "unbroken::client", link = id.0, %error, "cannot connect");
                    self.tally.dialled(false);
                    return Progress::Down;
                }
                Poll::Ready(Ok(stream)) => {
                    debug!(target: "unbroken::client", link = id.0, "link up");
                    self.tally.dialled(true);
                    self.networks.settle();
                    self.shared.lock().session.handle_link_up(*id, clock::now());
                    *socket = Socket::Up(stream);
                    return Progress::Some;
                }
            },
            Socket::Up(stream) => stream,
        };
        let mut progress = Progress::None;
        if !pending.is_empty() && stream.poll_write_ready(cx).is_ready() {
            progress = Progress::Some;
            match pending.flush(stream) {
                Ok(true) => self.shared.lock().session.handle_link_writable(*id),
                Ok(false) => {}
                Err(_) => return Progress::Down,
            }
        }
        if stream.poll_read_ready(cx).is_pending() {
            return progress;
        }
        match stream.try_read(buffer) {
            Ok(0) => Progress::Down,
            Ok(n) => {
                self.tally.received += n as u64;
                let mut core = self.shared.lock();
                core.session.handle_input(*id, &buffer[..n], clock::now());
                core.readers.wake();
                Progress::Some
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Progress::Some,
            Err(_) => Progress::Down,
        }
    }

    /// The peer or the path ended it.
    fn drop_link(&mut self, index: usize) {
        let link = self.links.swap_remove(index);
        debug!(target: "unbroken::client", link = link.id.0, "link down");
        self.shared.lock().session.handle_link_down(link.id, clock::now());
    }

    /// Drops the links over networks that were reported lost: the core knows only which network it asked for.
    fn drop_lost(&mut self) -> bool {
        if !self.networks.take_loss() {
            return false;
        }
        for index in (0..self.links.len()).rev() {
            if matches!(&self.links[index].socket, Socket::Up(stream) if self.networks.is_lost(stream)) {
                self.drop_link(index);
            }
        }
        true
    }

    fn networks_in_use(&self) -> Vec<NetworkId> {
        if self.networks.is_empty() {
            return Vec::new();
        }
        let up = self.links.iter().filter_map(|link| match &link.socket {
            Socket::Up(stream) => self.networks.of(stream),
            Socket::Dialing(_) => None,
        });
        up.collect()
    }

    fn events(&mut self) -> bool {
        let now = clock::now();
        let mut core = self.shared.lock();
        if core.session.poll_timeout().is_some_and(|due| due <= now) {
            core.session.handle_timeout(now);
        }
        let mut any = false;
        while let Some(event) = core.session.poll_event() {
            any = true;
            self.tally.event(&event);
            log(&core.session, &event);
            core.dispatch(event);
        }
        any
    }

    fn outputs(&mut self, buffer: &mut [u8]) -> bool {
        for count in 0..TURNS {
            let output = self.shared.lock().session.poll_output(buffer, clock::now());
            let Some(output) = output else { return count > 0 };
            match output {
                Output::Send { link, len } => self.write(link, &buffer[..len]),
                Output::OpenLink { link, target, network } => {
                    let (address, advised) = match target {
                        Target::Configured => (self.address.clone(), false),
                        Target::Advised(address) => (address, true),
                    };
                    debug!(target: "unbroken::client", link = link.0, address, advised, "dialling");
                    let dialing = (self.dialer)(Dial {
                        address,
                        advised,
                        network,
                        in_use: self.networks_in_use(),
                        timeout: self.connect_timeout,
                    });
                    self.links.push(Link {
                        id: link,
                        socket: Socket::Dialing(dialing),
                        pending: Pending::default(),
                    });
                }
                Output::CloseLink { link } => {
                    if let Some(index) = self.links.iter().position(|l| l.id == link) {
                        close(self.links.swap_remove(index));
                    }
                }
            }
        }
        true
    }

    fn write(&mut self, id: LinkId, bytes: &[u8]) {
        let Some(index) = self.links.iter().position(|link| link.id == id) else {
            return;
        };
        let Link {
            socket: Socket::Up(stream),
            pending,
            ..
        } = &mut self.links[index]
        else {
            return;
        };
        self.tally.sent += bytes.len() as u64;
        match pending.write(stream, bytes) {
            Ok(true) => {}
            Ok(false) => self.shared.lock().session.handle_link_blocked(id),
            Err(_) => self.drop_link(index),
        }
    }

    /// Waits for the session's next deadline. Returns whether it is there already.
    fn arm(&mut self, cx: &mut Context<'_>) -> bool {
        let now = clock::now();
        let due = {
            let mut core = self.shared.lock();
            let due = core.session.poll_timeout();
            core.armed = due.unwrap_or(Instant::FAR_FUTURE);
            due
        };
        let Some(due) = due else { return false };
        // What is due now and could not be done (its link is blocked) must not turn into a busy loop.
        let due = due.max(now + Duration::from_millis(1));
        if self.timer_for != Some(due) {
            self.timer_for = Some(due);
            self.timer.as_mut().reset(clock::at(due, now));
        }
        let over = self.timer.as_mut().poll(cx).is_ready();
        if over {
            self.timer_for = None;
        }
        over
    }

    /// Whether the session is over and has said its last word.
    fn finished(&self) -> bool {
        self.shared.lock().is_closed()
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        {
            let mut core = this.shared.lock();
            // While it runs, whatever becomes due wakes it once more: it may have looked already.
            core.armed = Instant::FAR_FUTURE;
            if !core.driver.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                core.driver = Some(cx.waker().clone());
            }
        }
        BUFFER.with_borrow_mut(|buffer| {
            for _ in 0..TURNS {
                if this.turn(cx, buffer) {
                    continue;
                }
                if this.finished() {
                    return Poll::Ready(());
                }
                if !this.arm(cx) {
                    this.tally.publish(false);
                    return Poll::Pending;
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.tally.publish(true);
        self.links.drain(..).for_each(close);
        // The runtime stops, or the core panicked: nobody may wait for ever.
        let mut core = self.shared.lock();
        if !core.is_closed() {
            core.dispatch(Event::Closed(CloseReason::Internal));
        }
    }
}

fn close(link: Link) {
    debug!(target: "unbroken::client", link = link.id.0, "link closed");
    if let Socket::Up(stream) = link.socket
        && let Ok(runtime) = tokio::runtime::Handle::try_current()
    {
        runtime.spawn(socket::close(stream, link.pending));
    }
}

fn log(session: &unbroken::Session, event: &Event) {
    let id = session.id().map(tracing::field::display);
    match event {
        Event::Established { .. } => info!(target: "unbroken::client", session = id, "established"),
        Event::HandoverBegin { cause } => info!(target: "unbroken::client", session = id, ?cause, "handover begins"),
        Event::HandoverEnd(end) => {
            let downtime_ms = end.downtime.as_millis() as u64;
            let replayed = end.replayed_messages;
            info!(target: "unbroken::client", session = id, downtime_ms, replayed, "handover ends");
        }
        Event::HandoverFailed { reason, .. } => {
            warn!(target: "unbroken::client", session = id, %reason, "handover failed")
        }
        Event::Closed(reason) => info!(target: "unbroken::client", session = id, %reason, "closed"),
        _ => {}
    }
}
