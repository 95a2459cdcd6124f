//! The attacks: each begins so many blows in a second, and has so many under way at once, at most.
//!
//! A blow is one connection and what is done with it. Attacks count what they did, by kind; one that did less than half of what it set out to do fails
//! the run, for then the server was not attacked. Connections come from some millions of loopback addresses.
//!
//! | file | what |
//! |---|---|
//! | `half_handshakes.rs` | connects, and goes on to say nothing: at once, within a flight, or after the server's answer |
//! | `random_handles.rs` | resumes of sessions that are not there or not theirs, questions after them, other protocols, noise |
//! | `replays.rs` | flights of real sessions, and their records, again |
//! | `slow_drips.rs` | flights a byte in a second |
//! | `ping_floods.rs` | sessions that were let in, and send PINGs without end |
//! | `stalled_readers.rs` | sessions that were let in, ask for data without end, and never read |
//! | `garbage.rs` | sessions that were let in, and go on with nonsense |

mod garbage;
mod half_handshakes;
mod ping_floods;
mod random_handles;
mod replays;
mod slow_drips;
mod stalled_readers;

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::recorder::Library;

/// What a blow does.
pub type Blow = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// An attack, before it begins.
pub struct Attack {
    pub name: &'static str,
    /// What is counted.
    pub unit: &'static str,
    pub kinds: &'static [&'static str],
    /// Blows begun in a second.
    pub rate: f64,
    /// Blows under way at once.
    pub most: usize,
    /// What is counted in a second if all goes as it should.
    pub aim: f64,
    pub blow: fn(Arc<Arms>, Arc<Tally>) -> Blow,
}

/// All of them.
pub fn all(half_handshakes: u32) -> Vec<Attack> {
    vec![
        half_handshakes::attack(half_handshakes),
        random_handles::attack(),
        replays::attack(),
        slow_drips::attack(),
        ping_floods::attack(),
        stalled_readers::attack(),
        garbage::attack(),
    ]
}

/// What an attack did.
pub struct Tally {
    kinds: Vec<AtomicU64>,
    /// Connections that could not be opened, or were refused.
    failed: AtomicU64,
    /// Links that the server should have ended and did not.
    tolerated: AtomicU64,
    turn: AtomicUsize,
}

impl Tally {
    fn new(kinds: usize) -> Tally {
        Tally {
            kinds: (0..kinds).map(|_| AtomicU64::new(0)).collect(),
            failed: AtomicU64::new(0),
            tolerated: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
        }
    }

    fn count(&self, kind: usize, n: u64) {
        self.kinds[kind].fetch_add(n, Relaxed);
    }

    /// The kinds in turn: where few are under way, chance would leave one out.
    fn next_kind(&self) -> usize {
        self.begun() % self.kinds.len()
    }

    /// How many were told a number before.
    fn begun(&self) -> usize {
        self.turn.fetch_add(1, Relaxed)
    }

    fn tolerated(&self) {
        self.tolerated.fetch_add(1, Relaxed);
    }

    /// By kind, failed, tolerated.
    pub fn read(&self) -> (Vec<u64>, u64, u64) {
        let kinds = self.kinds.iter().map(|count| count.load(Relaxed)).collect();
        (kinds, self.failed.load(Relaxed), self.tolerated.load(Relaxed))
    }
}

/// What attackers have.
pub struct Arms {
    pub target: SocketAddr,
    pub library: Arc<Library>,
}

impl Arms {
    /// A connection to the server, from an address that is hardly ever the same.
    async fn dial(&self) -> io::Result<TcpStream> {
        let address = Ipv4Addr::new(127, fastrand::u8(16..64), fastrand::u8(..), fastrand::u8(1..255));
        self.dial_by(TcpSocket::new_v4()?, address).await
    }

    /// The same, by a socket that takes in hardly anything.
    async fn dial_narrow(&self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        let address = Ipv4Addr::new(127, fastrand::u8(64..96), fastrand::u8(..), fastrand::u8(1..255));
        self.dial_by(socket, address).await
    }

    async fn dial_by(&self, socket: TcpSocket, from: Ipv4Addr) -> io::Result<TcpStream> {
        socket.bind((from, 0).into())?;
        let connected = timeout(Duration::from_secs(10), socket.connect(self.target));
        connected.await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
    }
}

/// Reads and forgets until the server ends the link. Whether it did within that time.
async fn ended(stream: &mut TcpStream, within: Duration) -> bool {
    let mut scratch = [0; 4096];
    let end = async { while stream.read(&mut scratch).await.is_ok_and(|n| n > 0) {} };
    timeout(within, end).await.is_ok()
}

/// Hangs up, in one of the two ways that there are.
fn hang_up(stream: TcpStream) {
    if fastrand::bool() {
        // A reset instead of a FIN.
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    }
}

/// Runs an attack until it is dropped.
pub async fn run(attack: Arc<Attack>, arms: Arc<Arms>, tally: Arc<Tally>) {
    let places = Arc::new(Semaphore::new(attack.most));
    let mut blows = JoinSet::new();
    let mut tick = interval(Duration::from_millis(10));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut due, mut last) = (0.0, Instant::now());
    loop {
        tick.tick().await;
        // By the time that passed, so that a late tick is made up for; but of a long one only a tenth of a second, as a burst would be another attack.
        due += attack.rate * last.elapsed().as_secs_f64().min(0.1);
        last = Instant::now();
        while due >= 1.0 {
            due -= 1.0;
            let Ok(place) = places.clone().try_acquire_owned() else {
                continue;
            };
            let (blow, tally) = ((attack.blow)(arms.clone(), tally.clone()), tally.clone());
            blows.spawn(async move {
                if blow.await.is_err() {
                    tally.failed.fetch_add(1, Relaxed);
                }
                drop(place);
            });
        }
        while blows.try_join_next().is_some() {}
    }
}

/// A tally for each attack.
pub fn tallies(attacks: &[Arc<Attack>]) -> Vec<Arc<Tally>> {
    attacks
        .iter()
        .map(|attack| Arc::new(Tally::new(attack.kinds.len())))
        .collect()
}

/// One of these, as often as its weight says.
fn weighted(weights: &[u32]) -> usize {
    let mut left = fastrand::u32(0..weights.iter().sum());
    for (index, weight) in weights.iter().enumerate() {
        match left.checked_sub(*weight) {
            None => return index,
            Some(rest) => left = rest,
        }
    }
    0
}
