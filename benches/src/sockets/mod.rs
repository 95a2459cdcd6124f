//! The same conversation over loopback sockets for everybody: one thread serves, one thread holds all clients.
//!
//! A client's message either asks to come back (latency) or is only counted (throughput). Whoever has no message boundaries of its
//! own gets a length of 4 bytes in front of each message, in one of two ways: by tokio-util's `LengthDelimitedCodec`, as applications are mostly written, and
//! packed by hand into buffers of 16 KiB, which is the fastest that can be written over the same stream.

mod codec;
mod contestants;
mod packed;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::LocalOptions;
use tokio::task::JoinSet;

use crate::files;
pub use contestants::{Quic, Tcp, TcpPacked, Tls, TlsPacked, Unbroken, WebSocket};

/// The first byte of a message that wants to come back.
const ECHO: u8 = 1;
/// The first byte of a message that is only counted.
const COUNT: u8 = 2;
/// Between pouring and bouncing, for everybody alike: what thousands of sessions owe each other then, ACKs say, is no part of a round trip.
const REST: Duration = Duration::from_millis(500);
/// Connections being opened at once: what every server's queue takes.
const WAVE: usize = 128;

/// One end of a connection.
#[allow(async_fn_in_trait)]
pub trait Talker: 'static {
    /// Takes a message; it may wait for `flush`.
    async fn send(&mut self, message: &[u8]);
    /// Takes the same message so many times, as whoever has many to send does it best.
    async fn burst(&mut self, message: &[u8], times: usize) {
        for _ in 0..times {
            self.send(message).await;
        }
    }
    /// Everything leaves.
    async fn flush(&mut self);
    /// The next message, in place of what was in the buffer. False at the end.
    async fn recv(&mut self, into: &mut Vec<u8>) -> bool;
}

/// A way to talk.
#[allow(async_fn_in_trait)]
pub trait Contestant: Clone + 'static {
    const NAME: &'static str;
    type End: Talker;

    /// Starts the server, in a thread that ends with the process, for so many connections.
    fn serve(counted: Counted, sessions: usize) -> Self;
    /// Connects.
    async fn dial(&self) -> Self::End;
}

/// How many messages a server has counted.
pub type Counted = Arc<AtomicU64>;

/// What a server does with a connection.
async fn answer(mut end: impl Talker, counted: Counted) {
    let mut message = Vec::new();
    while end.recv(&mut message).await {
        match message.first() {
            Some(&ECHO) => {
                end.send(&message).await;
                end.flush().await;
            }
            Some(&COUNT) => _ = counted.fetch_add(1, Ordering::Relaxed),
            _ => {}
        }
    }
}

/// A runtime of one thread, with tasks that need not be `Send`. A `LocalSet` would cost everybody a queue behind the runtime's own.
fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .expect("a runtime");
    runtime.block_on(future)
}

/// Runs `accept` in a thread of its own and returns the address that it gives. What it opens does not count among the files of the clients' thread: where a process
/// may have 20,000, both ends of 10,000 sessions would not fit.
fn in_thread<F: Future<Output = ()>>(
    accept: impl FnOnce(std::sync::mpsc::Sender<SocketAddr>) -> F + Send + 'static,
) -> SocketAddr {
    let (told, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        files::own_table().expect("a table of open files");
        block_on(accept(told));
    });
    address.recv().expect("the server listens")
}

/// What is measured, and how long.
#[derive(Clone, Copy)]
pub struct Plan {
    pub sessions: usize,
    pub size: usize,
    pub time: Duration,
    /// Messages per second of all sessions together that want to come back.
    pub rate: f64,
}

/// What came of a plan.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Outcome {
    /// Messages per second.
    pub rate: f64,
    /// CPU time of both ends and the kernel between them, in nanoseconds per message.
    pub cpu: f64,
    /// From `send` until the message is back: median, 99 %, 99.9 %, in microseconds.
    pub latency: [f64; 3],
}

/// Runs the plans of one number of sessions over one set of connections.
pub fn run<C: Contestant>(plans: &[Plan]) -> Vec<Outcome> {
    // What all runtimes of a process share (a pipe for signals) must be in this thread's table, of which each server gets a copy.
    block_on(async {});
    let counted = Counted::default();
    let contestant = C::serve(counted.clone(), plans[0].sessions);
    block_on(async {
        let mut ends = connect(&contestant, plans[0].sessions).await;
        let mut outcomes = Vec::new();
        for plan in plans {
            let (rate, cpu, back) = pour(ends, *plan, &counted).await;
            tokio::time::sleep(REST).await;
            let (latency, back) = bounce(back, *plan).await;
            ends = back;
            outcomes.push(Outcome { rate, cpu, latency });
        }
        outcomes
    })
}

async fn connect<C: Contestant>(contestant: &C, sessions: usize) -> Vec<C::End> {
    let mut ends = Vec::with_capacity(sessions);
    let mut dialling = JoinSet::new();
    while ends.len() < sessions {
        while dialling.len() < WAVE && dialling.len() + ends.len() < sessions {
            let contestant = contestant.clone();
            dialling.spawn_local(async move { contestant.dial().await });
        }
        if let Some(end) = dialling.join_next().await {
            ends.push(end.expect("a connection"));
        }
    }
    ends
}

/// All sessions send as fast as they may.
async fn pour<E: Talker>(ends: Vec<E>, plan: Plan, counted: &Counted) -> (f64, f64, Vec<E>) {
    let burst = (16384 / plan.size).min(256);
    let until = Instant::now() + plan.time;
    let mut tasks = JoinSet::new();
    for mut end in ends {
        tasks.spawn_local(async move {
            let mut message = vec![7; plan.size];
            message[0] = COUNT;
            let mut sent = 0;
            while Instant::now() < until {
                end.burst(&message, burst).await;
                end.flush().await;
                sent += burst as u64;
                // A socket that takes everything must not keep the others waiting.
                tokio::task::yield_now().await;
            }
            (end, sent)
        });
    }
    let (start, before, cpu) = (Instant::now(), counted.load(Ordering::Relaxed), cpu());
    let (mut back, mut sent) = (Vec::new(), 0);
    while let Some(done) = tasks.join_next().await {
        let (end, its) = done.expect("a sender");
        back.push(end);
        sent += its;
    }
    // Until all of them are there.
    let late = Instant::now() + Duration::from_secs(30);
    while counted.load(Ordering::Relaxed) - before < sent {
        assert!(Instant::now() < late, "messages were lost");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = start.elapsed().as_secs_f64();
    (sent as f64 / took, (self::cpu() - cpu) * 1e9 / sent as f64, back)
}

/// All sessions together send so many messages a second and wait for each to come back.
async fn bounce<E: Talker>(ends: Vec<E>, plan: Plan) -> ([f64; 3], Vec<E>) {
    let period = Duration::from_secs_f64(plan.sessions as f64 / plan.rate);
    let start = tokio::time::Instant::now();
    let until = start + plan.time.max(period);
    let mut tasks = JoinSet::new();
    for (index, mut end) in ends.into_iter().enumerate() {
        tasks.spawn_local(async move {
            let mut message = vec![7; plan.size];
            message[0] = ECHO;
            let mut back = Vec::new();
            let mut times = Vec::new();
            // Evenly spread over the period.
            let mut next = start + period.mul_f64(index as f64 / plan.sessions as f64);
            while next < until {
                tokio::time::sleep_until(next).await;
                let sent = Instant::now();
                end.send(&message).await;
                end.flush().await;
                assert!(end.recv(&mut back).await && back.len() == plan.size, "the echo");
                times.push(sent.elapsed().as_secs_f64() * 1e6);
                next = (next + period).max(tokio::time::Instant::now());
            }
            (end, times)
        });
    }
    let (mut back, mut times) = (Vec::new(), Vec::new());
    while let Some(done) = tasks.join_next().await {
        let (end, its) = done.expect("a client");
        back.push(end);
        times.extend(its);
    }
    times.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    ([at(0.5), at(0.99), at(0.999)], back)
}

/// CPU time of this process in seconds.
pub fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
