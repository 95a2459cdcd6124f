//! rustls over TCP: TLS 1.3, resumed by the ticket of the connection before.
//!
//! Blocking sockets and threads, so that nothing lies between rustls and the path.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::{Deref, DerefMut};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, HandshakeKind, ServerConfig, ServerConnection, SideData,
};

use super::Contestant;
use super::path::Path;
use crate::peers::rustls::{NAME, configs};

/// How the client comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// The handshake with a ticket, then the application's resume.
    Resumed,
    /// The application's resume in the first flight (0-RTT), the answer in the server's (half-RTT data).
    EarlyData,
    /// As [`Flow::Resumed`], but an HTTP request comes first and waits for its answer: the upgrade to a WebSocket. (A stateful reconnect goes to the address that it has, without `negotiate`.)
    SignalR,
}

/// Messages all have this length; the first byte says what one is.
const LENGTH: usize = 256;
/// The server sends it back: the first message of a connection, and the HTTP request.
const HELLO: u8 = 1;
/// Which session it is, and how far this end has received; the other end answers with its own.
const RESUME: u8 = 2;
/// The message that was lost, again.
const AGAIN: u8 = 3;

pub struct Tls {
    flow: Flow,
    address: SocketAddr,
    client: Arc<ClientConfig>,
    arrivals: Mutex<Receiver<Instant>>,
}

impl Tls {
    pub fn start(flow: Flow) -> Tls {
        let configs = configs(b"");
        let (mut client, mut server) = ((*configs.client).clone(), (*configs.server).clone());
        if flow == Flow::EarlyData {
            client.enable_early_data = true;
            server.max_early_data_size = 16 << 10;
            server.send_half_rtt_data = true;
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("an address");
        let address = listener.local_addr().expect("an address");
        let (arrived, arrivals) = channel();
        let server = Arc::new(server);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, server, arrived) = (stream.expect("a connection"), server.clone(), arrived.clone());
                // A connection that was cut ends in an error.
                thread::spawn(move || serve(stream, server, &arrived));
            }
        });
        Tls {
            flow,
            address,
            client: Arc::new(client),
            arrivals: Mutex::new(arrivals),
        }
    }
}

impl Contestant for Tls {
    fn name(&self) -> &'static str {
        match self.flow {
            Flow::Resumed => "TLS 1.3 (rustls), by ticket",
            Flow::EarlyData => "TLS 1.3 (rustls), 0-RTT",
            Flow::SignalR => "TLS 1.3 (rustls), as SignalR does",
        }
    }

    fn remark(&self) -> &'static str {
        match self.flow {
            Flow::Resumed => "resume message and replay right behind the handshake",
            Flow::EarlyData => "the first flight can be replayed by an attacker and has no new key exchange",
            Flow::SignalR => "the upgrade to a WebSocket first",
        }
    }

    fn interrupt(&self, round_trip: Duration) -> [Duration; 2] {
        let path = Path::new(self.address, round_trip);
        let mut first = Client::connect(&path, &self.client);
        first.ask(HELLO);
        path.lose();
        first.send(&[AGAIN]);
        let cut = Instant::now();
        path.cut();
        while first.end.receive().is_ok_and(|kind| kind.is_some()) {}

        let mut again = Client::connect(&path, &self.client);
        match self.flow {
            Flow::Resumed => again.send(&[RESUME, AGAIN]),
            Flow::EarlyData => again.send_early(&[RESUME, AGAIN]),
            Flow::SignalR => {
                again.ask(HELLO);
                again.send(&[RESUME, AGAIN]);
            }
        }
        again.await_kind(AGAIN);
        let at_client = Instant::now();
        let at_server = self
            .arrivals
            .lock()
            .expect("one at a time")
            .recv()
            .expect("the message");
        assert_eq!(again.end.tls.handshake_kind(), Some(HandshakeKind::Resumed), "a ticket");
        let early = again.end.tls.is_early_data_accepted();
        assert_eq!(early, self.flow == Flow::EarlyData, "early data");
        [at_server - cut, at_client - cut]
    }
}

/// Answers what comes until the connection ends.
fn serve(stream: TcpStream, config: Arc<ServerConfig>, arrived: &Sender<Instant>) -> io::Result<()> {
    let tls = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut end = End::new(stream, tls)?;
    loop {
        if let Some(mut early) = end.tls.early_data() {
            early.read_to_end(&mut end.inbox)?;
        }
        match end.take() {
            Some(HELLO) => end.queue(&[HELLO])?,
            Some(RESUME) => end.queue(&[RESUME, AGAIN])?,
            Some(_) => _ = arrived.send(Instant::now()),
            None if end.step()? => {}
            None => return Ok(()),
        }
    }
}

/// One end of a connection, with what came and was not taken.
struct End<T> {
    stream: TcpStream,
    tls: T,
    inbox: Vec<u8>,
}

impl<T, S> End<T>
where
    T: DerefMut + Deref<Target = ConnectionCommon<S>>,
    S: SideData,
{
    fn new(stream: TcpStream, tls: T) -> io::Result<End<T>> {
        stream.set_nodelay(true)?;
        let inbox = Vec::new();
        Ok(End { stream, tls, inbox })
    }

    /// Messages of these kinds, to leave together.
    fn queue(&mut self, kinds: &[u8]) -> io::Result<()> {
        self.tls.writer().write_all(&messages(kinds))
    }

    /// The kind of the next message that is here as a whole.
    fn take(&mut self) -> Option<u8> {
        if self.inbox.len() < LENGTH {
            return None;
        }
        let kind = self.inbox[0];
        self.inbox.drain(..LENGTH);
        Some(kind)
    }

    /// Writes what there is to be written, then waits for bytes. False at the end.
    fn step(&mut self) -> io::Result<bool> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.stream)?;
        }
        if self.tls.read_tls(&mut self.stream)? == 0 {
            return Ok(false);
        }
        let state = self.tls.process_new_packets().map_err(io::Error::other)?;
        let have = self.inbox.len();
        self.inbox.resize(have + state.plaintext_bytes_to_read(), 0);
        if self.inbox.len() > have {
            self.tls.reader().read_exact(&mut self.inbox[have..])?;
        }
        // What came may have been the end of the handshake, for which data waited.
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.stream)?;
        }
        Ok(true)
    }

    /// The kind of the next message; waits for it. `None` at the end.
    fn receive(&mut self) -> io::Result<Option<u8>> {
        loop {
            if let Some(kind) = self.take() {
                return Ok(Some(kind));
            }
            if !self.step()? {
                return Ok(None);
            }
        }
    }
}

struct Client {
    end: End<ClientConnection>,
}

impl Client {
    fn connect(path: &Path, config: &Arc<ClientConfig>) -> Client {
        let stream = path.connect().expect("a connection");
        let name = ServerName::try_from(NAME).expect("a name");
        let tls = ClientConnection::new(config.clone(), name).expect("a client");
        Client {
            end: End::new(stream, tls).expect("a connection"),
        }
    }

    /// Sends now, or with the last flight of the handshake.
    fn send(&mut self, kinds: &[u8]) {
        self.end.queue(kinds).expect("a buffer");
        while self.end.tls.wants_write() {
            self.end.tls.write_tls(&mut self.end.stream).expect("a connection");
        }
    }

    fn send_early(&mut self, kinds: &[u8]) {
        let mut early = self.end.tls.early_data().expect("a ticket that allows it");
        early.write_all(&messages(kinds)).expect("room for it");
    }

    /// Sends one and waits until it is back.
    fn ask(&mut self, kind: u8) {
        self.send(&[kind]);
        self.await_kind(kind);
    }

    fn await_kind(&mut self, wanted: u8) {
        while self.end.receive().expect("a connection").expect("an answer") != wanted {}
    }
}

fn messages(kinds: &[u8]) -> Vec<u8> {
    kinds.iter().flat_map(|kind| [*kind; LENGTH]).collect()
}
