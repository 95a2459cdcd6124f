//! A worker: a thread, a runtime, an endpoint, and the driver task that keeps it going.
//!
//! All tasks of a worker share the endpoint through a `RefCell`: links feed it and wake the handlers that this concerns, handlers fetch and send, and each of
//! them only marks the worker as *dirty*. The driver runs once after all of them (its waker is queued once; and once more if something came in, as its
//! timer may have queued it before them), looks at the timers and writes what is to be written, so a hundred messages that came together
//! cost one turn, and leave together in few records.
//!
//! ```text
//!   epoll ──► link: read, open, wake ──► handler: fetch, send ──► driver: seal, write      each arrow is a place in one queue of this thread
//! ```

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker, ready};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use hashbrown::HashMap;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::runtime::{self, LocalOptions};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_local;
use unbroken::{ConfigError, Endpoint, LinkId, Output, PublicKey, SessionId};
use unbroken_store::Store;

use super::WorkerStats;
use super::accept::Arrival;
use super::door::Door;
use super::driver::Driver;
use super::hooks::Hooks;
use super::link::{Link, Written};
use super::readiness::Readiness;
use super::session::Slot;
use super::storing::Storing;
use crate::clock;
use crate::metrics::ServerTally;

const SCRATCH: usize = 64 << 10;
/// Outputs in a row before links and handlers get their turn.
const OUTPUTS: usize = 256;

/// What the server asks of a worker.
pub(crate) enum Command {
    Kick {
        session: SessionId,
        code: u32,
        reply: oneshot::Sender<bool>,
    },
    KickAnywhere {
        session: SessionId,
        code: u32,
    },
    Stats(oneshot::Sender<WorkerStats>),
    Announce {
        keys: Arc<[(PublicKey, Duration)]>,
        reply: oneshot::Sender<Result<usize, ConfigError>>,
    },
    /// To be told when the store has heard of this worker.
    Leased(oneshot::Sender<()>),
    Leave(Leave),
    Shutdown {
        code: u32,
        grace: Duration,
        done: oneshot::Sender<()>,
    },
}

/// The steps of a drain.
#[derive(Clone, Copy)]
pub(crate) enum Leave {
    /// Let nobody in, and ask clients to move within this time.
    TurnAway(Duration),
    /// Swap all out that are still here; again, if need be.
    Retire,
    /// Take it back.
    Stay,
}

pub(crate) struct Worker {
    pub(crate) state: RefCell<State>,
    pub(crate) hooks: Arc<Hooks>,
    /// With a store.
    pub(crate) storing: Option<Storing>,
    pub(crate) durable: bool,
    pub(super) door: Door,
    /// Sessions whose handlers have something to do.
    pub(crate) line: RefCell<VecDeque<Rc<Slot>>>,
    dirty: Cell<bool>,
    /// Something came in since the driver ran, or put off its turn.
    pub(super) fresh: Cell<bool>,
    pub(super) driver: RefCell<Option<Waker>>,
    buffer: RefCell<Box<[u8]>>,
    /// Tasks of links and handlers that have not ended.
    pub(crate) tasks: Cell<usize>,
}

pub(crate) struct State {
    pub(crate) endpoint: Endpoint,
    pub(crate) sessions: HashMap<SessionId, Rc<Slot>>,
    pub(crate) tally: ServerTally,
    /// Set by a shutdown: with which code sessions are closed.
    pub(crate) closing: Option<u32>,
    pub(super) links: HashMap<LinkId, Rc<Link>>,
    next_link: u64,
}

/// What a turn of the driver left to do.
pub(super) enum Left {
    Nothing,
    /// There may be more to write.
    Outputs,
    /// Handlers wait for their turn.
    Handlers,
}

/// What a worker begins with.
pub(crate) struct Job {
    pub(crate) index: u16,
    pub(crate) endpoint: Endpoint,
    pub(crate) durable: bool,
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) store: Option<Arc<dyn Store>>,
    pub(crate) orders: mpsc::UnboundedReceiver<Command>,
    pub(crate) arrivals: mpsc::Receiver<Arrival>,
    pub(crate) readiness: Readiness,
}

/// Starts the thread. It ends when `orders` is closed, or after a shutdown.
pub(crate) fn spawn(job: Job) -> io::Result<JoinHandle<()>> {
    let name = format!("unbroken-worker-{}", job.index);
    let (told, built) = std::sync::mpsc::channel();
    let thread = Builder::new().name(name).spawn(move || {
        // Of its own tasks only: those of a `LocalSet` would wait in a queue behind the runtime's.
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default());
        match runtime {
            Ok(runtime) => {
                let _ = told.send(Ok(()));
                work(runtime, job);
            }
            Err(error) => _ = told.send(Err(error)),
        }
    })?;
    // Without a word it panicked.
    built.recv().map_err(io::Error::other)??;
    Ok(thread)
}

fn work(runtime: runtime::LocalRuntime, job: Job) {
    let Job {
        endpoint,
        durable,
        hooks,
        store,
        orders,
        arrivals,
        readiness,
        ..
    } = job;
    let _working = readiness.working();
    let state = State {
        endpoint,
        sessions: HashMap::new(),
        tally: ServerTally::new(),
        closing: None,
        links: HashMap::new(),
        next_link: 0,
    };
    let worker = Rc::new(Worker {
        state: RefCell::new(state),
        hooks,
        storing: store.map(Storing::new),
        durable,
        door: Door::new(),
        line: RefCell::default(),
        dirty: Cell::new(true),
        fresh: Cell::new(false),
        driver: RefCell::new(None),
        buffer: RefCell::new(vec![0; SCRATCH].into_boxed_slice()),
        tasks: Cell::new(0),
    });
    let porter = worker.clone();
    runtime.spawn_local(async move { porter.door.keep().await });
    // A task like the others: then to wake it is to put it into the same queue.
    let driver = runtime.spawn_local(async { Driver::new(worker, orders, arrivals).run().await });
    let outcome = runtime.block_on(driver);
    // All tasks end here. What they have put onto other threads cannot be broken off, and is not waited for.
    runtime.shutdown_background();
    if let Err(error) = outcome
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

impl Worker {
    /// Something is to be done: the driver runs when the tasks that are ready now have run.
    pub(crate) fn touch(&self) {
        if !self.dirty.replace(true)
            && let Some(driver) = &*self.driver.borrow()
        {
            driver.wake_by_ref();
        }
    }

    pub(crate) fn link_up(&self, writer: OwnedWriteHalf) -> Rc<Link> {
        let mut state = self.state.borrow_mut();
        let id = LinkId(state.next_link);
        state.next_link += 1;
        let link = Rc::new(Link::new(id, writer));
        state.links.insert(id, link.clone());
        state.endpoint.handle_link_up(id, clock::now());
        self.touch();
        link
    }

    pub(crate) fn link_down(&self, id: LinkId) {
        let mut state = self.state.borrow_mut();
        // One that the core closed itself is forgotten already.
        if state.links.remove(&id).is_some() {
            state.endpoint.handle_link_down(id, clock::now());
            self.touch();
        }
    }

    pub(crate) fn link_writable(&self, id: LinkId) {
        self.state.borrow_mut().endpoint.handle_link_writable(id);
        self.touch();
    }

    pub(crate) fn input(self: &Rc<Self>, id: LinkId, bytes: &[u8]) {
        let mut state = self.state.borrow_mut();
        state.tally.received += bytes.len() as u64;
        if state.links.contains_key(&id) {
            state.endpoint.handle_input(id, bytes, clock::now());
            // Now, so that handlers have had their turn when the driver has its.
            self.hand_out(&mut state);
            self.fresh.set(true);
            self.touch();
        }
    }

    /// One read into the worker's buffer, and from there into the endpoint.
    pub(crate) fn read(
        self: &Rc<Self>,
        id: LinkId,
        read: impl FnOnce(&mut [u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let mut buffer = self.buffer.borrow_mut();
        let n = ready!(read(&mut buffer))?;
        if n > 0 {
            self.input(id, &buffer[..n]);
        }
        Poll::Ready(Ok(n))
    }

    /// Runs a task in this worker and counts it.
    pub(crate) fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        self.tasks.set(self.tasks.get() + 1);
        let counted = Counted(self.clone());
        spawn_local(async move {
            let _counted = counted;
            task.await;
        });
    }

    pub(crate) fn stats(&self) -> WorkerStats {
        let state = self.state.borrow();
        WorkerStats {
            sessions: state.endpoint.sessions(),
            detached: state.endpoint.detached(),
            links: state.links.len(),
            store_requests: self.owed_to_store(&state.endpoint),
            counters: state.endpoint.counters(),
        }
    }

    /// What the store has still to take or to answer. An end that it did not take is asked for again only with the next sign of life; until then no request tells of it.
    pub(super) fn owed_to_store(&self, endpoint: &Endpoint) -> usize {
        let under_way = self.storing.as_ref().map_or(0, Storing::under_way);
        under_way.max(usize::from(endpoint.owes_store()))
    }

    /// Time, events, handlers, the store, outputs.
    pub(super) fn turn(self: &Rc<Self>, now: unbroken::Instant) -> Left {
        self.dirty.set(false);
        let mut state = self.state.borrow_mut();
        if state.endpoint.poll_timeout().is_some_and(|due| due <= now) {
            state.endpoint.handle_timeout(now);
        }
        self.hand_out(&mut state);
        drop(state);
        let handlers = self.hooks.factory.is_some() && (self.call_handlers() | self.take_snapshots());
        self.ask_store();
        match (handlers, self.write_outputs(now)) {
            (true, _) => Left::Handlers,
            (false, true) => Left::Outputs,
            (false, false) => Left::Nothing,
        }
    }

    fn hand_out(self: &Rc<Self>, state: &mut State) {
        while let Some((id, event)) = state.endpoint.poll_event() {
            self.dispatch(state, id, event);
        }
    }

    /// Returns whether there is more.
    fn write_outputs(&self, now: unbroken::Instant) -> bool {
        let mut state = self.state.borrow_mut();
        let mut buffer = self.buffer.borrow_mut();
        for _ in 0..OUTPUTS {
            match state.endpoint.poll_output(&mut buffer, now) {
                None => return self.dirty.get(),
                Some(Output::Send { link, len }) => state.write(link, &buffer[..len]),
                Some(Output::CloseLink { link }) => {
                    if let Some(link) = state.links.remove(&link) {
                        link.close();
                    }
                }
                // A server waits for its clients.
                Some(Output::OpenLink { .. }) => {}
            }
        }
        true
    }
}

impl State {
    fn write(&mut self, id: LinkId, bytes: &[u8]) {
        let Some(link) = self.links.get(&id) else { return };
        self.tally.sent += bytes.len() as u64;
        match link.write(bytes) {
            Written::All => {}
            Written::Blocked => self.endpoint.handle_link_blocked(id),
            Written::Failed => {
                if let Some(link) = self.links.remove(&id) {
                    link.close();
                }
                self.endpoint.handle_link_down(id, clock::now());
            }
        }
    }
}

/// Counts a task down when it ends, however it ends.
struct Counted(Rc<Worker>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.tasks.set(self.0.tasks.get() - 1);
        self.0.touch();
    }
}
