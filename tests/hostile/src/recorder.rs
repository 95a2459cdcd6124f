//! Whose flights are replayed: a few honest clients of the attackers' own, whose connections go through a relay that records and cuts them.
//!
//! They live through the whole attack while their flights are sent again by others, and look whether that changes anything for them: each message
//! must come back once and in order.
//!
//! Some of their RESUMEs the relay holds back for a moment. Meanwhile they are as good as new: whoever replays one comes before its owner, whose own is then
//! turned down as a replay.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use unbroken::wire::prelude::{self, FlightKind};
use unbroken_tokio::{Client, ClientConfig};

use crate::process::Fault;
use crate::sequence::{self, Seen};
use crate::server::{HONEST, key};

pub const CLIENTS: u32 = 4;
/// Their numbers begin here: no other honest client has them.
const FIRST: u32 = 1 << 30;
/// Of each direction of a connection.
const KEPT: usize = 4096;
/// The newest connections.
const LIBRARY: usize = 512;
/// How long a RESUME is held back. Shorter than any patience of the client.
const HOLD: Duration = Duration::from_millis(300);

/// What went over a connection, from its first byte on.
#[derive(Clone)]
pub struct Recorded {
    /// The client's flight and some of its records.
    pub up: Vec<u8>,
    /// The server's answer and some of its records.
    pub down: Vec<u8>,
}

/// What was recorded.
#[derive(Default)]
pub struct Library {
    /// The newest connections.
    over: Mutex<VecDeque<Arc<Recorded>>>,
    /// RESUMEs that the server has not seen yet.
    held: Mutex<Vec<Arc<Vec<u8>>>>,
}

/// The clients and their relay.
pub struct Recorder {
    pub library: Arc<Library>,
    book: Arc<Mutex<Book>>,
    tasks: JoinSet<()>,
}

/// What became of the clients.
#[derive(Clone, Copy, Debug, Default)]
pub struct Book {
    pub sent: u64,
    pub seen: Seen,
    pub recorded: u64,
    pub ended: u64,
}

impl Recorded {
    /// The client's first flight alone.
    pub fn flight(&self) -> &[u8] {
        &self.up[..flight_len(&self.up).unwrap_or(self.up.len()).min(self.up.len())]
    }

    pub fn is_resume(&self) -> bool {
        self.up[4] == FlightKind::Resume as u8
    }
}

fn flight_len(up: &[u8]) -> Option<usize> {
    let length = up.get(prelude::LEN - 2..prelude::LEN)?;
    Some(prelude::LEN + usize::from(u16::from_be_bytes([length[0], length[1]])))
}

impl Library {
    fn keep(&self, recorded: Recorded) {
        let mut all = lock(&self.over);
        all.push_back(Arc::new(recorded));
        // A session has one HELLO in its life: those stay, in front.
        if all.len() > LIBRARY
            && let Some(oldest) = all.iter().position(|recorded| recorded.is_resume())
        {
            all.remove(oldest);
        }
    }

    pub fn any(&self) -> Option<Arc<Recorded>> {
        let all = lock(&self.over);
        let last = all.len().checked_sub(1)?;
        let index = match fastrand::u8(0..3) {
            0 => fastrand::usize(..=last.min(CLIENTS as usize - 1)),
            // Of generations that have just been left behind.
            1 => fastrand::usize(last.saturating_sub(8)..=last),
            _ => fastrand::usize(..=last),
        };
        all.get(index).cloned()
    }

    /// A RESUME that is held back at this moment.
    pub fn held(&self) -> Option<Arc<Vec<u8>>> {
        let held = lock(&self.held);
        (!held.is_empty()).then(|| held[fastrand::usize(..held.len())].clone())
    }

    /// Holds a RESUME back, for all to see.
    async fn hold(&self, flight: Vec<u8>) {
        let flight = Arc::new(flight);
        lock(&self.held).push(flight.clone());
        sleep(HOLD).await;
        lock(&self.held).retain(|other| !Arc::ptr_eq(other, &flight));
    }
}

impl Recorder {
    pub async fn start(server: SocketAddr) -> Result<Recorder, Fault> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (library, book) = (Arc::<Library>::default(), Arc::<Mutex<Book>>::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(relay(listener, server, library.clone(), book.clone()));
        for number in FIRST..FIRST + CLIENTS {
            let credential = [HONEST, &number.to_be_bytes()].concat();
            let config = Arc::new(ClientConfig::builder(key().public()).credential(credential).build()?);
            let client = Client::connect(address, config).await?;
            tasks.spawn(live(client, number, book.clone()));
        }
        Ok(Recorder { library, book, tasks })
    }

    pub fn book(&self) -> Book {
        *lock(&self.book)
    }

    /// Lets the clients say goodbye. What they say of themselves.
    pub async fn end(mut self) -> Book {
        self.tasks.shutdown().await;
        self.book()
    }
}

/// One message under way at any time, so what is sent and not come back is one at most when it ends.
async fn live(client: Client, number: u32, book: Arc<Mutex<Book>>) {
    let mut seen = Seen::default();
    loop {
        sleep(Duration::from_millis(20)).await;
        if client.send(sequence::message(number, seen.good)).await.is_err() {
            break;
        }
        lock(&book).sent += 1;
        let Some(message) = client.recv().await else { break };
        let before = seen;
        seen.arrived(number, &message.payload);
        let mut book = lock(&book);
        book.seen.good += seen.good - before.good;
        book.seen.doubled += seen.doubled - before.doubled;
        book.seen.ahead += seen.ahead - before.ahead;
        book.seen.changed += seen.changed - before.changed;
    }
    lock(&book).ended += 1;
}

async fn relay(listener: TcpListener, server: SocketAddr, library: Arc<Library>, book: Arc<Mutex<Book>>) {
    let mut links = JoinSet::new();
    while let Ok((mut near, _)) = listener.accept().await {
        let (library, book) = (library.clone(), book.clone());
        links.spawn(async move {
            let Ok(flight) = first_flight(&mut near).await else {
                return;
            };
            if flight[4] == FlightKind::Resume as u8 && fastrand::bool() {
                library.hold(flight.clone()).await;
            }
            let Ok(mut far) = TcpStream::connect(server).await else {
                return;
            };
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            if far.write_all(&flight).await.is_err() {
                return;
            }
            let until = Instant::now() + Duration::from_millis(fastrand::u64(300..1500));
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            let (up, down) = tokio::join!(copy(near_in, far_out, until), copy(far_in, near_out, until));
            let up = [flight, up].concat();
            library.keep(Recorded { up, down });
            lock(&book).recorded += 1;
        });
        while links.try_join_next().is_some() {}
    }
}

/// The client's first flight, whole.
async fn first_flight(near: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut flight = vec![0; prelude::LEN];
    near.read_exact(&mut flight).await?;
    flight.resize(flight_len(&flight).unwrap_or(prelude::LEN), 0);
    near.read_exact(&mut flight[prelude::LEN..]).await?;
    Ok(flight)
}

/// Forwards until either side ends or it is time. Returns the first bytes.
async fn copy(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, until: Instant) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    let forward = async {
        loop {
            let n = from.read(&mut buffer).await?;
            if n == 0 {
                return Ok(());
            }
            kept.extend_from_slice(&buffer[..n.min(KEPT.saturating_sub(kept.len()))]);
            to.write_all(&buffer[..n]).await?;
        }
    };
    let _: Result<io::Result<()>, _> = timeout_at(until, forward).await;
    kept
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
