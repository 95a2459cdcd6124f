//! A path that takes time: what is sent on it arrives half a round trip later.
//!
//! For TCP a relay on loopback holds each piece for half a round trip, in either direction. A connect over loopback is immediate, while over a real path
//! SYN and SYN-ACK take a round trip before the client may send: [`Path::connect`] sleeps that round trip first. For UDP the relay holds
//! datagrams. Not modelled: loss, bandwidth, slow start (what is sent here fits into one initial window) and the server's half of the
//! handshake (it has nothing to say before the client's first bytes).
//!
//! A connection ends in two steps. [`Path::lose`] makes what is sent from now on disappear, so that both ends have something to
//! send again; [`Path::cut`] then tells them, by FIN. Threads and `thread::sleep` instead of a runtime's timers, which count in milliseconds.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const PIECE: usize = 16 << 10;

/// To one server, for any number of connections one after the other.
#[derive(Clone)]
pub struct Path {
    to: SocketAddr,
    round_trip: Duration,
    dialled: Arc<AtomicUsize>,
    connections: Arc<Mutex<Vec<Connection>>>,
}

/// What stands on the path.
struct Connection {
    lost: Arc<Lost>,
    ends: [TcpStream; 2],
}

/// What disappears instead of arriving.
#[derive(Default)]
struct Lost {
    begun: AtomicBool,
    /// Bytes that did: to the server, to the client.
    bytes: [AtomicUsize; 2],
}

impl Path {
    pub fn new(to: SocketAddr, round_trip: Duration) -> Path {
        Path {
            to,
            round_trip,
            dialled: Arc::default(),
            connections: Arc::default(),
        }
    }

    /// Connects over the path; blocks for a round trip.
    pub fn connect(&self) -> io::Result<TcpStream> {
        self.dialled.fetch_add(1, SeqCst);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        thread::sleep(self.round_trip);
        let near = TcpStream::connect(listener.local_addr()?)?;
        let (inner, _) = listener.accept()?;
        let far = TcpStream::connect(self.to)?;
        for stream in [&near, &inner, &far] {
            stream.set_nodelay(true)?;
        }
        let lost = Arc::new(Lost::default());
        let half = self.round_trip / 2;
        relay(inner.try_clone()?, far.try_clone()?, half, lost.clone(), 0);
        relay(far.try_clone()?, inner.try_clone()?, half, lost.clone(), 1);
        self.connections.lock().expect("nobody panicked").push(Connection {
            lost,
            ends: [inner, far],
        });
        Ok(near)
    }

    /// What is sent from now on, on the connections that stand, does not arrive.
    pub fn lose(&self) {
        for connection in &*self.connections.lock().expect("nobody panicked") {
            connection.lost.begun.store(true, SeqCst);
        }
    }

    /// Whether so many bytes of both ends have been lost.
    pub fn has_lost(&self, bytes: usize) -> bool {
        let connections = self.connections.lock().expect("nobody panicked");
        let lost = |side: usize| connections.iter().any(|one| one.lost.bytes[side].load(SeqCst) >= bytes);
        lost(0) && lost(1)
    }

    /// How many connections were begun.
    pub fn dialled(&self) -> usize {
        self.dialled.load(SeqCst)
    }

    /// The connections end, and both ends are told.
    pub fn cut(&self) {
        for connection in self.connections.lock().expect("nobody panicked").drain(..) {
            for end in connection.ends {
                let _ = end.shutdown(Shutdown::Both);
            }
        }
    }
}

/// Moves one direction until either side ends.
fn relay(mut from: TcpStream, mut to: TcpStream, delay: Duration, lost: Arc<Lost>, side: usize) {
    let write = move |piece: &[u8]| match piece {
        [] => to.shutdown(Shutdown::Write),
        piece => to.write_all(piece),
    };
    let line = line(delay, write);
    thread::spawn(move || {
        let mut buffer = vec![0; PIECE];
        loop {
            let n = from.read(&mut buffer).unwrap_or(0);
            if lost.begun.load(SeqCst) {
                lost.bytes[side].fetch_add(n, SeqCst);
            } else if line.send((Instant::now(), buffer[..n].to_vec())).is_err() {
                return;
            }
            if n == 0 {
                return;
            }
        }
    });
}

/// A path for the datagrams of one client. Returns where the client sends to.
pub fn datagrams(to: SocketAddr, round_trip: Duration) -> io::Result<SocketAddr> {
    let near = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
    let far = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
    far.connect(to)?;
    let address = near.local_addr()?;
    // Known when its first datagram is here.
    let client = Arc::new(Mutex::new(None));
    let up = line(round_trip / 2, {
        let far = far.clone();
        move |datagram: &[u8]| far.send(datagram).map(drop)
    });
    let down = line(round_trip / 2, {
        let (near, client) = (near.clone(), client.clone());
        move |datagram: &[u8]| match *client.lock().expect("nobody panicked") {
            Some(client) => near.send_to(datagram, client).map(drop),
            None => Ok(()),
        }
    });
    near.set_read_timeout(Some(IDLE))?;
    far.set_read_timeout(Some(IDLE))?;
    thread::spawn(move || {
        let mut buffer = vec![0; PIECE];
        while let Ok((n, from)) = near.recv_from(&mut buffer) {
            *client.lock().expect("nobody panicked") = Some(from);
            if up.send((Instant::now(), buffer[..n].to_vec())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        let mut buffer = vec![0; PIECE];
        while let Ok(n) = far.recv(&mut buffer) {
            if down.send((Instant::now(), buffer[..n].to_vec())).is_err() {
                return;
            }
        }
    });
    Ok(address)
}

/// A path for datagrams that nobody used for so long is gone.
const IDLE: Duration = Duration::from_secs(20);

/// Writes each piece so long after the time that comes with it.
fn line(
    delay: Duration,
    mut write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static,
) -> Sender<(Instant, Vec<u8>)> {
    let (pieces, held) = channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        for (at, piece) in held {
            thread::sleep((at + delay).saturating_duration_since(Instant::now()));
            if write(&piece).is_err() {
                return;
            }
        }
    });
    pieces
}
