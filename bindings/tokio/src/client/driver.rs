//! The driver: the one task that reads a client's sockets (`io.rs`) and has its timer.
//!
//! It is one future, polled by hand, and holds the sockets while it is polled. Each turn looks at every link (usually one, two while a handover runs), feeds what came into the
//! session, then carries out what the session wants, and the last turn finds nothing more to do. A link that is being dialled is a future; one that is up is a non-blocking socket
//! with the rest of the one output that it did not take. When the session is closed and has nothing more to write, the task ends.
//!
//! Mostly it is woken for an answer, or for a request that its sender has written already: then one turn is all, which takes the session's lock to feed it and to
//! look at it once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;
use tracing::{debug, info, warn};
use unbroken::{CloseReason, Event, Instant, NetworkId, Output, SessionId, Target};

use super::io::{self, Io, Link, Socket, TURNS, Wrote};
use super::network::Networks;
use super::shared::{Held, Rest, Shared};
use crate::clock;
use crate::dial::{Dial, Dialer};
use crate::socket::{self, Pending};

/// Reads in a row: the second mostly only asks to be told of more.
const READS: usize = 2;
/// A timer that would go off within this, too early, is put off.
const SOON: Duration = Duration::from_millis(20);
/// By this: as long as an ACK waits.
const PUT_OFF: Duration = Duration::from_millis(40);

pub(crate) struct Driver {
    shared: Arc<Shared>,
    address: String,
    dialer: Dialer,
    networks: Arc<Networks>,
    connect_timeout: Duration,
    timer: Pin<Box<Sleep>>,
    timer_for: Option<Instant>,
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
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            timer_for: None,
        }
    }

    /// Returns what there is to wait for, unless there is more to do.
    fn turn(&mut self, io: &mut Io, cx: &mut Context<'_>, buffer: &mut [u8], now: Instant) -> Option<Rest> {
        let mut busy = self.drop_lost(io);
        let mut index = 0;
        while index < io.links.len() {
            match self.poll_link(io, index, cx, buffer, now) {
                Progress::None => index += 1,
                Progress::Some => {
                    busy = true;
                    index += 1;
                }
                Progress::Down => {
                    busy = true;
                    io.drop_link(&self.shared, index);
                }
            }
        }
        let (told, rest) = self.events(io, now);
        let rest = match rest {
            // Whoever wrote for itself may have left orders.
            Some(rest) if io.orders.is_empty() => rest,
            _ => {
                busy |= self.outputs(io, buffer, now);
                self.shared.lock().rest()
            }
        };
        (!busy && !told).then_some(rest)
    }

    fn poll_link(&self, io: &mut Io, index: usize, cx: &mut Context<'_>, buffer: &mut [u8], now: Instant) -> Progress {
        let Link {
            id,
            socket,
            network,
            pending,
        } = &mut io.links[index];
        let stream = match socket {
            Socket::Dialing(dialing) => match dialing.as_mut().poll(cx) {
                Poll::Pending => return Progress::None,
                Poll::Ready(Err(error)) => {
                    debug!(target: "unbroken::client", link = id.0, %error, "cannot connect");
                    io.tally.dialled(false);
                    return Progress::Down;
                }
                Poll::Ready(Ok(stream)) => {
                    debug!(target: "unbroken::client", link = id.0, "link up");
                    io.tally.dialled(true);
                    self.networks.settle();
                    *network = self.networks.of(&stream);
                    self.shared.lock().session.handle_link_up(*id, now);
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
        for read in 0..READS {
            match socket::read(stream, cx, buffer) {
                Poll::Pending => return progress,
                // What came before the end is answered first; the next turn finds the end again.
                Poll::Ready(Ok(0) | Err(_)) if read > 0 => return Progress::Some,
                Poll::Ready(Ok(0) | Err(_)) => return Progress::Down,
                Poll::Ready(Ok(n)) => {
                    io.tally.received += n as u64;
                    let mut core = self.shared.lock();
                    core.session.handle_input(*id, &buffer[..n], now);
                    core.wake_readers();
                }
            }
        }
        Progress::Some
    }

    /// Drops the links over networks that were reported lost: the core knows only which network it asked for.
    fn drop_lost(&self, io: &mut Io) -> bool {
        if !self.networks.take_loss() {
            return false;
        }
        for index in (0..io.links.len()).rev() {
            if io.links[index]
                .network
                .is_some_and(|network| self.networks.is_lost(network))
            {
                io.drop_link(&self.shared, index);
            }
        }
        true
    }

    fn networks_in_use(&self, io: &Io) -> Vec<NetworkId> {
        io.links.iter().filter_map(|link| link.network).collect()
    }

    /// Returns whether there was something to tell, and what there is to wait for. That is nothing if something was due: whatever the session has to send is.
    fn events(&self, io: &mut Io, now: Instant) -> (bool, Option<Rest>) {
        // First, as an event that waits is due as well.
        let (told, mut core) = self.tell(io, self.shared.lock());
        let rest = core.rest();
        if rest.due.is_none_or(|due| due > now) {
            return (told, Some(rest));
        }
        core.wake_for_all();
        core.session.handle_timeout(now);
        let (more, _) = self.tell(io, core);
        (told | more, None)
    }

    /// Hands the events out. Returns whether any was for more than those who wait to receive or to send.
    fn tell<'a>(&'a self, io: &mut Io, mut core: Held<'a>) -> (bool, Held<'a>) {
        let mut told = false;
        while let Some(event) = core.session.poll_event() {
            if !matches!(event, Event::Readable | Event::Writable) {
                told = true;
                // Whoever takes logs or metrics may ask the session at once.
                let id = core.session.id();
                drop(core);
                io.tally.event(&event);
                log(id, &event);
                core = self.shared.lock();
            }
            core.dispatch(event);
        }
        (told, core)
    }

    fn outputs(&mut self, io: &mut Io, buffer: &mut [u8], now: Instant) -> bool {
        let wrote = io.write_due(&self.shared, buffer, now);
        while let Some(order) = io.orders.pop_front() {
            self.obey(io, order);
        }
        wrote != Wrote::Nothing
    }

    fn obey(&mut self, io: &mut Io, order: Output) {
        match order {
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
                    in_use: self.networks_in_use(io),
                    timeout: self.connect_timeout,
                });
                io.links.push(Link {
                    id: link,
                    socket: Socket::Dialing(dialing),
                    network: None,
                    pending: Pending::default(),
                });
            }
            Output::CloseLink { link } => {
                if let Some(index) = io.links.iter().position(|l| l.id == link) {
                    close(io.links.swap_remove(index));
                }
            }
            // Was written when it came.
            Output::Send { .. } => {}
        }
    }

    /// Waits for the session's next deadline. Returns whether it is there already.
    fn arm(&mut self, cx: &mut Context<'_>, due: Option<Instant>, now: Instant) -> bool {
        let Some(due) = due else { return false };
        // What is due now and could not be done (its link is blocked) must not turn into a busy loop.
        let due = due.max(now + Duration::from_millis(1));
        if let Some(set) = alarm(self.timer_for, due, now) {
            self.timer_for = Some(set);
            self.timer.as_mut().reset(clock::at(set, now));
        }
        let over = self.timer.as_mut().poll(cx).is_ready();
        if over {
            self.timer_for = None;
        }
        over
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        {
            let mut core = this.shared.lock();
            core.wake_for_all();
            core.driver.introduce(cx.waker());
        }
        let shared = this.shared.clone();
        let mut io = shared.io();
        io::with_buffer(|buffer| {
            for _ in 0..TURNS {
                // Once for all of a turn: a look at the clock costs about as much as the cipher of a small message.
                let now = clock::now();
                let Some(rest) = this.turn(&mut io, cx, buffer, now) else {
                    continue;
                };
                if rest.over {
                    return Poll::Ready(());
                }
                if !this.arm(cx, rest.due, now) {
                    io.tally.publish(now, false);
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
        let mut io = self.shared.io();
        io.tally.over();
        io.links.drain(..).for_each(close);
        drop(io);
        // The runtime stops, or the core panicked: nobody may wait for ever.
        let mut core = self.shared.lock();
        core.driver.gone();
        if !core.is_closed() {
            core.dispatch(Event::Closed(CloseReason::Internal));
        }
    }
}

/// For when a timer that is set for `set` is to be set anew. Nearly every message moves the deadline: far away while an answer is awaited, and back when it has
/// come. So a timer that goes off too early is left alone and set anew when it has; only if it would go off soon it is put off, by so little that it need not
/// be set back (which may cost a system call, and this next to nothing).
fn alarm(set: Option<Instant>, due: Instant, now: Instant) -> Option<Instant> {
    match set {
        None => Some(due),
        Some(set) if set <= now => Some(due),
        Some(set) if due < set => Some(due),
        Some(set) if set < due && set < now + SOON => Some(due.min(now + PUT_OFF)),
        Some(_) => None,
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

fn log(session: Option<SessionId>, event: &Event) {
    let id = session.map(tracing::field::display);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// All in milliseconds from now.
    #[test]
    fn a_timer_is_set_back_if_it_must_be_and_put_off_if_it_would_soon_go_off_in_vain() {
        let now = Instant::ZERO + Duration::from_secs(1);
        let at = |ms: u64| now + Duration::from_millis(ms);
        for (set, due, anew) in [
            (None, 203, Some(203)),
            (Some(50), 40, Some(40)),
            (Some(15), 10, Some(10)),
            // The same moment is early enough.
            (Some(10), 10, None),
            (Some(15), 203, Some(40)),
            (Some(15), 30, Some(30)),
            (Some(20), 203, None),
            // It has gone off: put off again and again, it would go off every 40 ms for as long as nothing is due.
            (Some(0), 203, Some(203)),
            // While it is put off, an ACK that is due in 40 ms does not set it back.
            (Some(40), 41, None),
        ] {
            assert_eq!(alarm(set.map(at), at(due), now), anew.map(at), "{set:?}, {due}");
        }
    }
}
