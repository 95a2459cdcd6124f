//! Who talks: plain TCP and TLS by tokio-rustls, each with a codec and packed by hand, QUIC by quinn, WebSocket by tokio-tungstenite, and we.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use tokio::io::{ReadHalf, WriteHalf, split};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use tokio_tungstenite::{WebSocketStream, tungstenite};
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use unbroken_tokio::{Batch, Client, ClientConfig, ClusterKey, Limits, Server, ServerConfig, ServerKey, ServerSession};

use super::codec::framed;
use super::packed::Packed;
use super::{Contestant, Counted, Talker, answer, in_thread};
use crate::peers::rustls::{NAME, configs};

const ANY_PORT: &str = "127.0.0.1:0";
const STANDS: &str = "a connection that stands";

/// Accepts TCP connections in a thread of its own, each for a task of its own.
fn listen<F: Future<Output = ()> + 'static>(each: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr {
    in_thread(move |told| async move {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        let address: SocketAddr = ANY_PORT.parse().expect("an address");
        socket.bind(&address.into()).expect("an address");
        socket.listen(1024).expect("a listener");
        socket.set_nonblocking(true).expect("a listener");
        let listener = TcpListener::from_std(socket.into()).expect("a listener");
        told.send(listener.local_addr().expect("an address"))
            .expect("somebody waits");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect(STANDS);
            spawn_local(each(stream));
        }
    })
}

async fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect(STANDS);
    stream
}

/// Plain TCP with length framing.
#[derive(Clone)]
pub struct Tcp(SocketAddr);

impl Contestant for Tcp {
    const NAME: &'static str = "TCP";
    type End = Framed<TcpStream, LengthDelimitedCodec>;

    fn serve(counted: Counted, _: usize) -> Self {
        Tcp(listen(move |stream| answer(framed(stream), counted.clone())))
    }

    async fn dial(&self) -> Self::End {
        framed(dial(self.0).await)
    }
}

/// Plain TCP, the floor.
#[derive(Clone)]
pub struct TcpPacked(SocketAddr);

fn packed(stream: TcpStream) -> Packed<OwnedReadHalf, OwnedWriteHalf> {
    let (reader, writer) = stream.into_split();
    Packed::new(reader, writer, ())
}

impl Contestant for TcpPacked {
    const NAME: &'static str = "TCP, packed by hand";
    type End = Packed<OwnedReadHalf, OwnedWriteHalf>;

    fn serve(counted: Counted, _: usize) -> Self {
        TcpPacked(listen(move |stream| answer(packed(stream), counted.clone())))
    }

    async fn dial(&self) -> Self::End {
        packed(dial(self.0).await)
    }
}

/// The beginning of TLS 1.3.
#[derive(Clone)]
struct TlsDoor {
    address: SocketAddr,
    connector: TlsConnector,
}

impl TlsDoor {
    fn open<F: Future<Output = ()> + 'static>(
        each: impl Fn(TlsStream<TcpStream>) -> F + Clone + Send + 'static,
    ) -> Self {
        let configs = configs(b"");
        let acceptor = TlsAcceptor::from(configs.server);
        let address = listen(move |stream| {
            let (acceptor, each) = (acceptor.clone(), each.clone());
            async move {
                let stream = acceptor.accept(stream).await.expect("a handshake");
                each(stream.into()).await;
            }
        });
        TlsDoor {
            address,
            connector: TlsConnector::from(configs.client),
        }
    }

    async fn dial(&self) -> TlsStream<TcpStream> {
        let name = ServerName::try_from(NAME).expect("a name");
        let stream = self.connector.connect(name, dial(self.address).await).await;
        stream.expect("a handshake").into()
    }
}

/// TLS with length framing.
#[derive(Clone)]
pub struct Tls(TlsDoor);

impl Contestant for Tls {
    const NAME: &'static str = "tokio-rustls";
    type End = Framed<TlsStream<TcpStream>, LengthDelimitedCodec>;

    fn serve(counted: Counted, _: usize) -> Self {
        Tls(TlsDoor::open(move |stream| answer(framed(stream), counted.clone())))
    }

    async fn dial(&self) -> Self::End {
        framed(self.0.dial().await)
    }
}

/// TLS, the messages packed by hand.
#[derive(Clone)]
pub struct TlsPacked(TlsDoor);

type TlsEnd = Packed<ReadHalf<TlsStream<TcpStream>>, WriteHalf<TlsStream<TcpStream>>>;

fn encrypted(stream: TlsStream<TcpStream>) -> TlsEnd {
    let (reader, writer) = split(stream);
    Packed::new(reader, writer, ())
}

impl Contestant for TlsPacked {
    const NAME: &'static str = "tokio-rustls, packed by hand";
    type End = TlsEnd;

    fn serve(counted: Counted, _: usize) -> Self {
        TlsPacked(TlsDoor::open(move |stream| answer(encrypted(stream), counted.clone())))
    }

    async fn dial(&self) -> Self::End {
        encrypted(self.0.dial().await)
    }
}

/// WebSocket without TLS.
#[derive(Clone)]
pub struct WebSocket(SocketAddr);

impl Talker for WebSocketStream<TcpStream> {
    async fn send(&mut self, message: &[u8]) {
        let message = tungstenite::Message::Binary(Bytes::copy_from_slice(message));
        self.feed(message).await.expect(STANDS);
    }

    async fn flush(&mut self) {
        SinkExt::flush(self).await.expect(STANDS);
    }

    async fn recv(&mut self, into: &mut Vec<u8>) -> bool {
        match self.next().await {
            Some(Ok(tungstenite::Message::Binary(message))) => {
                into.clear();
                into.extend_from_slice(&message);
                true
            }
            _ => false,
        }
    }
}

impl Contestant for WebSocket {
    const NAME: &'static str = "tokio-tungstenite";
    type End = WebSocketStream<TcpStream>;

    fn serve(counted: Counted, _: usize) -> Self {
        WebSocket(listen(move |stream| {
            let counted = counted.clone();
            async move {
                let stream = tokio_tungstenite::accept_async(stream).await.expect("a handshake");
                answer(stream, counted).await;
            }
        }))
    }

    async fn dial(&self) -> Self::End {
        let stream = dial(self.0).await;
        let (stream, _) = tokio_tungstenite::client_async("ws://localhost/", stream)
            .await
            .expect("a handshake");
        stream
    }
}

/// QUIC, one stream in each connection.
#[derive(Clone)]
pub struct Quic {
    address: SocketAddr,
    client: Arc<rustls::ClientConfig>,
    endpoint: std::cell::OnceCell<quinn::Endpoint>,
}

impl Contestant for Quic {
    const NAME: &'static str = "quinn";
    type End = Packed<quinn::RecvStream, quinn::SendStream, quinn::Connection>;

    fn serve(counted: Counted, _: usize) -> Self {
        let configs = configs(b"bench");
        let address = in_thread(move |told| async move {
            let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(configs.server).expect("a suite");
            let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
            let any = ANY_PORT.parse().expect("an address");
            let endpoint = quinn::Endpoint::server(config, any).expect("an endpoint");
            told.send(endpoint.local_addr().expect("an address"))
                .expect("somebody waits");
            while let Some(incoming) = endpoint.accept().await {
                let counted = counted.clone();
                spawn_local(async move {
                    let connection = incoming.await.expect("a handshake");
                    let (writer, reader) = connection.accept_bi().await.expect(STANDS);
                    answer(Packed::new(reader, writer, connection), counted).await;
                });
            }
        });
        Quic {
            address,
            client: configs.client,
            endpoint: std::cell::OnceCell::new(),
        }
    }

    async fn dial(&self) -> Self::End {
        let endpoint = self.endpoint.get_or_init(|| {
            let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(self.client.clone()).expect("a suite");
            let mut endpoint = quinn::Endpoint::client(ANY_PORT.parse().expect("an address")).expect("an endpoint");
            endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
            endpoint
        });
        let connecting = endpoint.connect(self.address, NAME).expect("an address");
        let connection = connecting.await.expect("a handshake");
        let (mut writer, reader) = connection.open_bi().await.expect(STANDS);
        // The server learns of the stream by its first byte: an empty message that nobody counts.
        writer.write_all(&[0; 4]).await.expect(STANDS);
        Packed::new(reader, writer, connection)
    }
}

/// We.
#[derive(Clone)]
pub struct Unbroken {
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

/// A session and the batch that its messages are read from.
pub struct Batched<S> {
    session: S,
    batch: Batch,
}

impl<S> Batched<S> {
    fn new(session: S) -> Self {
        Batched {
            session,
            batch: Batch::new(),
        }
    }

    fn pop(&mut self, into: &mut Vec<u8>) -> bool {
        self.batch.pop().is_some_and(|message| {
            into.clear();
            into.extend_from_slice(message.payload);
            true
        })
    }
}

impl Talker for Batched<Client> {
    async fn send(&mut self, message: &[u8]) {
        self.session.send_slice(message).await.expect(STANDS);
    }

    async fn burst(&mut self, message: &[u8], times: usize) {
        self.session.send_all(&vec![message; times]).await.expect(STANDS);
    }

    /// What was sent leaves when its task waits.
    async fn flush(&mut self) {}

    async fn recv(&mut self, into: &mut Vec<u8>) -> bool {
        self.pop(into) || (self.session.recv_batch(&mut self.batch).await && self.pop(into))
    }
}

impl Talker for Batched<ServerSession> {
    async fn send(&mut self, message: &[u8]) {
        self.session.send_slice(message).await.expect(STANDS);
    }

    async fn flush(&mut self) {}

    async fn recv(&mut self, into: &mut Vec<u8>) -> bool {
        self.pop(into) || (self.session.recv_batch(&mut self.batch).await && self.pop(into))
    }
}

impl Contestant for Unbroken {
    const NAME: &'static str = crate::report::OURS;
    type End = Batched<Client>;

    fn serve(counted: Counted, sessions: usize) -> Self {
        let key = ServerKey::from_bytes([1; 32]).expect("a key");
        let limits = limits(sessions);
        let client = ClientConfig::builder(key.public())
            .limits(limits.clone())
            .build()
            .expect("the defaults are good");
        let address = in_thread(move |told| async move {
            let cluster = ClusterKey::from_bytes([2; 32]).expect("a key");
            let config = ServerConfig::builder(key, cluster)
                .limits(limits)
                .authorise_all(true)
                .build();
            let server = Server::builder(config.expect("the defaults are good"))
                .workers(1)
                .serve(ANY_PORT, move |session: ServerSession| {
                    answer(Batched::new(session), counted.clone())
                })
                .await
                .expect("a server");
            told.send(server.local_addr()).expect("somebody waits");
            std::future::pending::<()>().await;
        });
        Unbroken {
            address,
            config: Arc::new(client),
        }
    }

    async fn dial(&self) -> Self::End {
        let client = Client::connect(self.address, self.config.clone()).await;
        Batched::new(client.expect("a session"))
    }
}

/// The defaults let a session have a mebibyte under way; of thousands that all pour at once, both ends in one process, nobody has that much memory.
fn limits(sessions: usize) -> Limits {
    const CROWD: usize = 1000;
    const WINDOW: u32 = 64 << 10;
    if sessions < CROWD {
        return Limits::default();
    }
    Limits {
        message: WINDOW,
        unacked_bytes: WINDOW,
        window_bytes: WINDOW,
        ..Limits::default()
    }
}
