//! The driver of a worker: the task that obeys the server, lets newcomers in, has the worker's turn made, and keeps its timer.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::Sleep;

use super::accept::Arrival;
use super::link;
use super::worker::{Command, Leave, Left, Worker};
use crate::clock;

/// Arrivals let in by one turn of the driver, less those that wait at the door.
const ARRIVALS: usize = 128;

/// See the module's head.
pub(super) struct Driver {
    worker: Rc<Worker>,
    orders: mpsc::UnboundedReceiver<Command>,
    arrivals: mpsc::Receiver<Arrival>,
    timer: Pin<Box<Sleep>>,
    timer_for: Option<unbroken::Instant>,
    /// It has gone behind the handlers.
    put_off: bool,
    /// Who waits for the lease.
    unleased: Vec<oneshot::Sender<()>>,
    /// Set by a shutdown: until when, and who waits.
    leaving: Option<(unbroken::Instant, oneshot::Sender<()>)>,
}

impl Driver {
    pub(super) fn new(
        worker: Rc<Worker>,
        orders: mpsc::UnboundedReceiver<Command>,
        arrivals: mpsc::Receiver<Arrival>,
    ) -> Self {
        let timer = Box::pin(tokio::time::sleep(Duration::ZERO));
        Driver {
            worker,
            orders,
            arrivals,
            timer,
            timer_for: None,
            put_off: false,
            unleased: Vec::new(),
            leaving: None,
        }
    }

    pub(super) async fn run(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
        self.worker.dismiss_handlers();
        if self.leaving.is_some() {
            self.worker.give_up_lease().await;
        }
        let mut state = self.worker.state.borrow_mut();
        let counters = state.endpoint.counters();
        state.tally.publish_last(counters);
        drop(state);
        if let Some((_, done)) = self.leaving {
            let _ = done.send(());
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.worker.driver.borrow().is_none() {
            *self.worker.driver.borrow_mut() = Some(cx.waker().clone());
        }
        loop {
            match self.orders.poll_recv(cx) {
                Poll::Ready(Some(command)) => self.obey(command),
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        // The acceptor may be gone during a shutdown; its channel then just stays silent. Of a crowd no more than wait at the door: of connections whose flight
        // has not been read the oldest goes when there are too many, and these have theirs in their sockets.
        let mut more = true;
        for _ in self.worker.door.waiting()..ARRIVALS {
            let Poll::Ready(Some(arrival)) = self.arrivals.poll_recv(cx) else {
                more = false;
                break;
            };
            self.worker.spawn(link::run(self.worker.clone(), arrival));
        }
        if more {
            // When the runtime has looked at its sockets, and the door has opened.
            let _ = pin!(yield_now()).poll(cx);
        }
        if self.worker.fresh.take() && !std::mem::replace(&mut self.put_off, true) {
            // Its timer may have queued it before the link that read, and the handlers are behind that: what they answer would leave apart from the
            // ACK or PONG that is due already. So it goes to the end of the queue; once, as something comes all the time.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.put_off = false;
        let now = clock::now();
        match self.worker.turn(now) {
            Left::Nothing => {}
            Left::Outputs => cx.waker().wake_by_ref(),
            // That may take long. Put into the queue now, it would have many turns before the runtime looks at sockets and timers; so it is put there when
            // the runtime has.
            Left::Handlers => _ = pin!(yield_now()).poll(cx),
        }
        if !self.unleased.is_empty() && self.worker.state.borrow().endpoint.store_is_up() {
            for told in self.unleased.drain(..) {
                let _ = told.send(());
            }
        }
        if self.gone() {
            return Poll::Ready(());
        }
        self.arm(cx, now);
        Poll::Pending
    }

    fn obey(&mut self, command: Command) {
        let worker = &self.worker;
        match command {
            Command::Kick { session, code, reply } => {
                let found = worker
                    .state
                    .borrow_mut()
                    .endpoint
                    .session(session)
                    .map(|mut s| s.kick(code))
                    .is_some();
                let _ = reply.send(found);
            }
            Command::KickAnywhere { session, code } => {
                worker.state.borrow_mut().endpoint.kick(session, code);
            }
            Command::Stats(reply) => drop(reply.send(worker.stats())),
            Command::Announce { keys, reply } => {
                let _ = reply.send(worker.state.borrow_mut().endpoint.announce_keys(&keys));
            }
            Command::Leased(told) => self.unleased.push(told),
            Command::Leave(step) => {
                let endpoint = &mut worker.state.borrow_mut().endpoint;
                match step {
                    Leave::TurnAway(window) => {
                        endpoint.turn_away();
                        // Without an address there is none to be too long.
                        let _ = endpoint.drain(window, "");
                    }
                    Leave::Retire => endpoint.retire(),
                    Leave::Stay => endpoint.stay(),
                }
            }
            Command::Shutdown { code, grace, done } => {
                let mut state = worker.state.borrow_mut();
                state.closing = Some(code);
                let ids: Vec<_> = state.sessions.keys().copied().collect();
                for id in ids {
                    if let Some(mut session) = state.endpoint.session(id) {
                        session.close(code);
                    }
                }
                self.leaving = Some((clock::now() + grace, done));
            }
        }
    }

    /// Whether a shutdown is complete, or out of time.
    fn gone(&self) -> bool {
        let Some((until, _)) = &self.leaving else { return false };
        let state = self.worker.state.borrow();
        let stored = self.worker.owed_to_store(&state.endpoint) == 0;
        // A handler in line has its last messages yet.
        let no_handlers = self.worker.tasks.get() == 0 && self.worker.line.borrow().is_empty();
        let idle = stored && no_handlers && state.sessions.is_empty();
        idle || clock::now() >= *until
    }

    fn arm(&mut self, cx: &mut Context<'_>, now: unbroken::Instant) {
        let mut state = self.worker.state.borrow_mut();
        let stats = (
            state.endpoint.counters(),
            state.endpoint.sessions(),
            state.links.len(),
            state.endpoint.detached(),
        );
        let publish = state.tally.publish(now, stats);
        let due = [
            state.endpoint.poll_timeout(),
            publish,
            self.leaving.as_ref().map(|(until, _)| *until),
        ];
        drop(state);
        let Some(due) = due.into_iter().flatten().min() else {
            return;
        };
        // What is due now and could not be done (its link is blocked) must not turn into a busy loop.
        let due = due.max(now + Duration::from_millis(1));
        // One that goes off too early is set anew then: nearly every message moves the deadline, mostly later.
        if self.timer_for.is_none_or(|set| due < set) {
            self.timer_for = Some(due);
            self.timer.as_mut().reset(clock::at(due, now));
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            self.timer_for = None;
            cx.waker().wake_by_ref();
        }
    }
}
