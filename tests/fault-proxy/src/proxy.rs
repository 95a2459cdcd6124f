//! The listener, the switches that tests turn by hand, and the counts.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::link;
use crate::plan::{Fault, Plan};

/// What has happened so far.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Connections forwarded.
    pub links: u64,
    /// Connections turned away.
    pub refused: u64,
    /// Links ended with FIN.
    pub fin: u64,
    /// Links ended with RST, at once or after some more bytes or after a stall.
    pub reset: u64,
    /// Of these, within a record or a flight: after a drawn number of bytes.
    pub cut_within: u64,
    /// Stalls begun.
    pub stalls: u64,
    /// Of these, with recovery.
    pub recovered: u64,
    /// Slow phases begun.
    pub delays: u64,
    /// Bytes forwarded, both directions.
    pub bytes: u64,
}

impl Counts {
    /// Links that the proxy ended.
    pub fn cut(&self) -> u64 {
        self.fin + self.reset
    }
}

impl std::ops::Add for Counts {
    type Output = Counts;

    fn add(self, other: Counts) -> Counts {
        Counts {
            links: self.links + other.links,
            refused: self.refused + other.refused,
            fin: self.fin + other.fin,
            reset: self.reset + other.reset,
            cut_within: self.cut_within + other.cut_within,
            stalls: self.stalls + other.stalls,
            recovered: self.recovered + other.recovered,
            delays: self.delays + other.delays,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// A running proxy. It stops, and ends its links, when it is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: AbortHandle,
}

/// How a test ends all links at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    Run,
    Fin,
    Reset,
}

pub(crate) struct Shared {
    pub(crate) plan: Plan,
    pub(crate) faults: AtomicBool,
    pub(crate) trickle: AtomicBool,
    /// One way, in microseconds.
    pub(crate) latency: AtomicU64,
    pub(crate) stalled: watch::Sender<bool>,
    /// Rises with each order; links started later begin with the newest.
    pub(crate) order: watch::Sender<(u64, Order)>,
    accepted: AtomicU64,
    refuse_all: AtomicBool,
    refuse_until: Mutex<Instant>,
    log: Mutex<Vec<(std::time::Instant, Fault)>>,
    pub(crate) tally: Tally,
}

/// The counts as they grow.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) links: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) fin: AtomicU64,
    pub(crate) reset: AtomicU64,
    pub(crate) cut_within: AtomicU64,
    pub(crate) stalls: AtomicU64,
    pub(crate) recovered: AtomicU64,
    pub(crate) delays: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

impl Proxy {
    /// Listens on `listen` (port 0: any) and forwards to `to`. Needs a tokio runtime.
    ///
    /// # Errors
    /// What binding the port says.
    pub async fn start(listen: SocketAddr, to: SocketAddr, plan: Plan) -> io::Result<Proxy> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            faults: AtomicBool::new(plan.every.is_some()),
            plan,
            trickle: AtomicBool::new(false),
            latency: AtomicU64::new(0),
            stalled: watch::Sender::new(false),
            order: watch::Sender::new((0, Order::Run)),
            accepted: AtomicU64::new(0),
            refuse_all: AtomicBool::new(false),
            refuse_until: Mutex::new(Instant::now()),
            log: Mutex::default(),
            tally: Tally::default(),
        });
        let accepting = tokio::spawn(accept(listener, to, shared.clone())).abort_handle();
        Ok(Proxy {
            shared,
            address,
            accepting,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        let t = &self.shared.tally;
        Counts {
            links: t.links.load(Relaxed),
            refused: t.refused.load(Relaxed),
            fin: t.fin.load(Relaxed),
            reset: t.reset.load(Relaxed),
            cut_within: t.cut_within.load(Relaxed),
            stalls: t.stalls.load(Relaxed),
            recovered: t.recovered.load(Relaxed),
            delays: t.delays.load(Relaxed),
            bytes: t.bytes.load(Relaxed),
        }
    }

    /// The faults from the plan that befell the newest link since the last call, and when they began; at most 100,000 are kept. (Older
    /// links have faults too, but a session that has moved on does not care.)
    pub fn take_log(&self) -> Vec<(std::time::Instant, Fault)> {
        std::mem::take(&mut *self.shared.log.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// No more faults from the plan; those that have begun run out.
    pub fn calm(&self) {
        self.shared.faults.store(false, Relaxed);
    }

    /// Ends all links, with RST or with FIN.
    pub fn cut_all(&self, reset: bool) {
        let order = if reset { Order::Reset } else { Order::Fin };
        self.shared.order.send_modify(|(count, last)| {
            *count += 1;
            *last = order;
        });
    }

    /// Holds all bytes of all links, and of links that come, until it is called with `false`. Connections are still accepted.
    pub fn stall(&self, on: bool) {
        self.shared.stalled.send_replace(on);
    }

    /// Turns new connections away until it is called with `false`.
    pub fn refuse(&self, on: bool) {
        self.shared.refuse_all.store(on, Relaxed);
    }

    /// How long all bytes take from one side to the other. (Opening a connection is not delayed.)
    pub fn latency(&self, one_way: Duration) {
        self.shared.latency.store(one_way.as_micros() as u64, Relaxed);
    }

    /// Forwards one byte at a time.
    pub fn trickle(&self, on: bool) {
        self.shared.trickle.store(on, Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The links live in the accepting task's set and end with it.
        self.accepting.abort();
    }
}

impl Shared {
    pub(crate) fn refuse_for(&self, time: Duration) {
        let mut until = self
            .refuse_until
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        *until = (*until).max(Instant::now() + time);
    }

    pub(crate) fn note(&self, link: u64, fault: Fault) {
        if link + 1 < self.accepted.load(Relaxed) {
            return;
        }
        let mut log = self.log.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if log.len() < 100_000 {
            log.push((std::time::Instant::now(), fault));
        }
    }

    fn refusing(&self) -> bool {
        let until = *self
            .refuse_until
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        self.refuse_all.load(Relaxed) || Instant::now() < until
    }
}

async fn accept(listener: TcpListener, to: SocketAddr, shared: Arc<Shared>) {
    let mut links = JoinSet::new();
    let mut number = 0;
    loop {
        while links.try_join_next().is_some() {}
        let Ok((near, _)) = listener.accept().await else {
            // Out of descriptors, most likely: give others time to end.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        if shared.refusing() {
            shared.tally.refused.fetch_add(1, Relaxed);
            link::reset(near);
            continue;
        }
        let link = number;
        let draw = shared.plan.draw(link);
        number += 1;
        shared.accepted.store(number, Relaxed);
        let shared = shared.clone();
        links.spawn(async move {
            match TcpStream::connect(to).await {
                Ok(far) => {
                    shared.tally.links.fetch_add(1, Relaxed);
                    link::forward(near, far, link, draw, shared).await;
                }
                Err(_) => {
                    shared.tally.refused.fetch_add(1, Relaxed);
                    link::reset(near);
                }
            }
        });
    }
}
