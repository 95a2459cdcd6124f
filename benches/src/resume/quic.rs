//! quinn: a new connection by the ticket of the one before, from a new socket.
//!
//! QUIC can also carry a connection on from another address, without a handshake (connection migration). That is for a client whose
//! address changed while both ends kept the connection; here it is gone.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Endpoint, Incoming, RecvStream, SendStream, ServerConfig};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Contestant;
use super::path::datagrams;
use crate::peers::rustls::{NAME, configs};

/// How the client comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// The handshake with a ticket, then the application's resume.
    OneRoundTrip,
    /// The application's resume in the first flight.
    EarlyData,
}

/// As with TLS: a kind, and bytes up to a length.
const LENGTH: usize = 256;
const HELLO: u8 = 1;
const RESUME: u8 = 2;
const AGAIN: u8 = 3;

pub struct Quic {
    flow: Flow,
    runtime: Runtime,
    address: SocketAddr,
    client: ClientConfig,
    arrivals: Mutex<UnboundedReceiver<Instant>>,
    _server: Endpoint,
}

impl Quic {
    pub fn start(flow: Flow) -> Quic {
        let configs = configs(b"resume");
        let (mut client, mut server) = ((*configs.client).clone(), (*configs.server).clone());
        if flow == Flow::EarlyData {
            client.enable_early_data = true;
            // The only value that QUIC knows.
            server.max_early_data_size = u32::MAX;
        }
        let client = QuicClientConfig::try_from(client).expect("a suite");
        let server = QuicServerConfig::try_from(server).expect("a suite");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let (arrived, arrivals) = unbounded_channel();
        let server = {
            let _within = runtime.enter();
            let config = ServerConfig::with_crypto(Arc::new(server));
            Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).expect("an endpoint")
        };
        let address = server.local_addr().expect("an address");
        let accepting = server.clone();
        runtime.spawn(async move {
            while let Some(incoming) = accepting.accept().await {
                tokio::spawn(serve(incoming, arrived.clone()));
            }
        });
        Quic {
            flow,
            runtime,
            address,
            client: ClientConfig::new(Arc::new(client)),
            arrivals: Mutex::new(arrivals),
            _server: server,
        }
    }

    /// A client with a socket of its own, at the beginning of the path.
    fn endpoint(&self, round_trip: Duration) -> (Endpoint, SocketAddr) {
        let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("an endpoint");
        endpoint.set_default_client_config(self.client.clone());
        (endpoint, datagrams(self.address, round_trip).expect("a path"))
    }
}

impl Contestant for Quic {
    fn name(&self) -> &'static str {
        match self.flow {
            Flow::OneRoundTrip => "QUIC (quinn), by ticket",
            Flow::EarlyData => "QUIC (quinn), 0-RTT",
        }
    }

    fn remark(&self) -> &'static str {
        match self.flow {
            Flow::OneRoundTrip => "UDP must get through",
            Flow::EarlyData => "UDP; the first flight can be replayed by an attacker",
        }
    }

    fn interrupt(&self, round_trip: Duration) -> [Duration; 2] {
        let mut arrivals = self.arrivals.lock().expect("one at a time");
        self.runtime.block_on(async {
            let (endpoint, to) = self.endpoint(round_trip);
            let connection = endpoint
                .connect(to, NAME)
                .expect("an address")
                .await
                .expect("a connection");
            let (mut writer, mut reader) = connection.open_bi().await.expect("a stream");
            send(&mut writer, &[HELLO]).await;
            await_kind(&mut reader, HELLO).await;

            // The old path is simply not used any more: what would be sent on it is lost.
            let (again, to) = self.endpoint(round_trip);
            let cut = Instant::now();
            let connecting = again.connect(to, NAME).expect("an address");
            let (connection, early) = match self.flow {
                Flow::OneRoundTrip => (connecting.await.expect("a connection"), None),
                Flow::EarlyData => match connecting.into_0rtt() {
                    Ok((connection, accepted)) => (connection, Some(accepted)),
                    Err(_) => panic!("no ticket that allows early data"),
                },
            };
            let (mut writer, mut reader) = connection.open_bi().await.expect("a stream");
            send(&mut writer, &[RESUME, AGAIN]).await;
            await_kind(&mut reader, AGAIN).await;
            let at_client = Instant::now();
            let at_server = arrivals.recv().await.expect("the message");
            if let Some(accepted) = early {
                assert!(accepted.await, "early data was refused");
            }
            [at_server - cut, at_client - cut]
        })
    }
}

/// Answers what comes on the one stream of a connection.
async fn serve(incoming: Incoming, arrived: UnboundedSender<Instant>) -> Option<()> {
    // For a server this is always possible: it may answer before the client has finished the handshake.
    let (connection, _) = incoming.accept().ok()?.into_0rtt().ok()?;
    let (mut writer, mut reader) = connection.accept_bi().await.ok()?;
    loop {
        match receive(&mut reader).await? {
            HELLO => send(&mut writer, &[HELLO]).await,
            RESUME => send(&mut writer, &[RESUME, AGAIN]).await,
            _ => _ = arrived.send(Instant::now()),
        }
    }
}

async fn send(writer: &mut SendStream, kinds: &[u8]) {
    let messages: Vec<u8> = kinds.iter().flat_map(|kind| [*kind; LENGTH]).collect();
    writer.write_all(&messages).await.expect("a stream");
}

/// The kind of the next message.
async fn receive(reader: &mut RecvStream) -> Option<u8> {
    let mut message = [0; LENGTH];
    reader.read_exact(&mut message).await.ok()?;
    Some(message[0])
}

async fn await_kind(reader: &mut RecvStream, wanted: u8) {
    while receive(reader).await.expect("a message") != wanted {}
}
