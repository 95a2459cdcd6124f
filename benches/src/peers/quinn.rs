//! quinn-proto: QUIC with AWS-LC, one stream, packets of 1452 bytes, up to ten of them at a time.

use std::hint::black_box;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, ServerConfig, StreamId,
    TransportConfig,
};

use super::rustls::{NAME, configs};
use crate::{Talk, look};

/// Packets for one call, as quinn asks for where the system can split them.
const SEGMENTS: usize = 10;

/// Both ends' configurations.
#[derive(Clone)]
pub struct Configs {
    client: ClientConfig,
    server: Arc<ServerConfig>,
}

impl Default for Configs {
    fn default() -> Self {
        let tls = configs(b"bench");
        let mut client = Arc::unwrap_or_clone(tls.client);
        client.enable_early_data = true;
        let mut server = Arc::unwrap_or_clone(tls.server);
        // QUIC's only other value: it allows 0-RTT.
        server.max_early_data_size = u32::MAX;
        let mut transport = TransportConfig::default();
        transport.initial_mtu(1452).mtu_discovery_config(None);
        let transport = Arc::new(transport);
        let mut client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(client).expect("a suite for QUIC")));
        client.transport_config(transport.clone());
        let server = QuicServerConfig::try_from(server).expect("a suite for QUIC");
        let mut server = ServerConfig::with_crypto(Arc::new(server));
        server.transport_config(transport);
        Configs {
            client,
            server: Arc::new(server),
        }
    }
}

/// A UDP address with its endpoint and the only connection that it has.
pub struct End {
    endpoint: Endpoint,
    address: SocketAddr,
    pub connection: Option<(ConnectionHandle, Connection)>,
    buffer: Vec<u8>,
}

/// Both ends of a connection.
pub struct Ends {
    pub client: End,
    pub server: End,
    now: Instant,
    stream: Option<StreamId>,
}

impl End {
    fn new(port: u16, server: Option<Arc<ServerConfig>>) -> Self {
        End {
            endpoint: Endpoint::new(Arc::new(EndpointConfig::default()), server, true, None),
            address: SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port),
            connection: None,
            buffer: Vec::new(),
        }
    }

    fn connection(&mut self) -> &mut Connection {
        &mut self.connection.as_mut().expect("a connection").1
    }

    /// Sends what is to be sent to the peer; says whether anything was.
    fn drive(&mut self, peer: &mut End, now: Instant) -> bool {
        let mut moved = false;
        loop {
            let Some((handle, connection)) = &mut self.connection else {
                return moved;
            };
            while let Some(event) = connection.poll_endpoint_events() {
                if let Some(event) = self.endpoint.handle_event(*handle, event) {
                    connection.handle_event(event);
                }
            }
            while connection.poll().is_some() {}
            self.buffer.clear();
            let Some(transmit) = connection.poll_transmit(now, SEGMENTS, &mut self.buffer) else {
                return moved;
            };
            moved = true;
            let segment = transmit.segment_size.unwrap_or(transmit.size);
            for packet in self.buffer[..transmit.size].chunks(segment) {
                peer.take(packet, self.address, now);
            }
        }
    }

    fn take(&mut self, packet: &[u8], from: SocketAddr, now: Instant) {
        let mut answer = Vec::new();
        match self
            .endpoint
            .handle(now, from, None, None, BytesMut::from(packet), &mut answer)
        {
            Some(DatagramEvent::NewConnection(incoming)) => {
                self.connection = self.endpoint.accept(incoming, now, &mut answer, None).ok();
            }
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some((known, connection)) = &mut self.connection
                    && *known == handle
                {
                    connection.handle_event(event);
                }
            }
            Some(DatagramEvent::Response(_)) | None => {}
        }
    }
}

impl Ends {
    /// After the handshake.
    pub fn connect(configs: &Configs) -> Ends {
        let mut ends = Ends::start(configs);
        ends.finish();
        ends
    }

    /// The client's side has begun.
    pub fn start(configs: &Configs) -> Ends {
        let mut ends = Ends {
            client: End::new(1, None),
            server: End::new(2, Some(configs.server.clone())),
            now: Instant::now(),
            stream: None,
        };
        let made = ends
            .client
            .endpoint
            .connect(ends.now, configs.client.clone(), ends.server.address, NAME);
        ends.client.connection = made.ok();
        ends
    }

    /// Until all is said.
    pub fn finish(&mut self) {
        while self.exchange() {}
        assert!(!self.client.connection().is_handshaking() && !self.server.connection().is_handshaking());
    }

    /// Whether the handshake is a resumption.
    pub fn is_resumption(&mut self) -> bool {
        self.client.connection().has_0rtt()
    }

    fn exchange(&mut self) -> bool {
        let moved = self.client.drive(&mut self.server, self.now);
        moved | self.server.drive(&mut self.client, self.now)
    }

    fn read(&mut self) -> usize {
        let mut delivered = 0;
        let Some((_, connection)) = &mut self.server.connection else {
            return 0;
        };
        let Some(id) = self.stream else { return 0 };
        while connection.streams().accept(Dir::Uni).is_some() {}
        let mut stream = connection.recv_stream(id);
        let Ok(mut chunks) = stream.read(true) else { return 0 };
        while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
            delivered += look(&chunk.bytes);
        }
        let _ = chunks.finalize();
        delivered
    }

    /// Nothing moves at this moment: on to the next timer of either end.
    fn wait(&mut self) {
        let ends = [&mut self.client, &mut self.server];
        let next = ends.into_iter().filter_map(|end| end.connection().poll_timeout()).min();
        self.now = self.now.max(next.unwrap_or(self.now + Duration::from_micros(100)));
        for end in [&mut self.client, &mut self.server] {
            let now = self.now;
            if end.connection().poll_timeout().is_some_and(|due| due <= now) {
                end.connection().handle_timeout(now);
            }
        }
    }
}

impl Talk for Ends {
    fn carry(&mut self, message: &[u8], count: usize) -> usize {
        self.now += Duration::from_micros(10);
        let id = match self.stream {
            Some(id) => id,
            None => {
                let id = self.client.connection().streams().open(Dir::Uni).expect("a stream");
                *self.stream.insert(id)
            }
        };
        let mut delivered = 0;
        for _ in 0..count {
            let mut rest = black_box(message);
            while !rest.is_empty() {
                match self.client.connection().send_stream(id).write(rest) {
                    Ok(taken) => rest = &rest[taken..],
                    Err(_) => {
                        if !self.exchange() {
                            self.wait();
                        }
                        delivered += self.read();
                    }
                }
            }
        }
        loop {
            let moved = self.exchange();
            delivered += self.read();
            if delivered == message.len() * count {
                return delivered;
            }
            if !moved {
                self.wait();
            }
        }
    }
}
