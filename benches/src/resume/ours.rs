//! We: `unbroken_tokio`, with its defaults but for the dialler, which goes over the path.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use unbroken_tokio::{
    Client, ClientConfig, ClusterKey, Dial, Dialer, Server, ServerConfig, ServerKey, ServerSession, SessionHandle,
};

use super::Contestant;
use super::path::Path;
use crate::report::OURS;

const HELLO: &[u8] = b"hello";
/// Longer than what may leave beside it, ACKs and questions.
const AGAIN: &[u8] = &[7; 256];

pub struct Ours {
    runtime: Runtime,
    address: SocketAddr,
    config: Arc<ClientConfig>,
    /// The server's end of each new session, and when a message that was sent again was there.
    sessions: Mutex<UnboundedReceiver<SessionHandle>>,
    arrivals: Mutex<UnboundedReceiver<Instant>>,
    _server: Server,
}

impl Ours {
    pub fn start() -> Ours {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let key = ServerKey::from_bytes([1; 32]).expect("a key");
        let config = Arc::new(
            ClientConfig::builder(key.public())
                .build()
                .expect("the defaults are good"),
        );
        let cluster = ClusterKey::from_bytes([2; 32]).expect("a key");
        let builder = ServerConfig::builder(key, cluster).authorise_all(true);
        let builder = Server::builder(builder.build().expect("the defaults are good")).workers(1);
        let (told, sessions) = unbounded_channel();
        let (arrived, arrivals) = unbounded_channel();
        let handler = move |session| serve(session, told.clone(), arrived.clone());
        let server = runtime
            .block_on(builder.serve((Ipv4Addr::LOCALHOST, 0), handler))
            .expect("a server");
        Ours {
            runtime,
            address: server.local_addr(),
            config,
            sessions: Mutex::new(sessions),
            arrivals: Mutex::new(arrivals),
            _server: server,
        }
    }
}

async fn serve(session: ServerSession, told: UnboundedSender<SessionHandle>, arrived: UnboundedSender<Instant>) {
    while let Some(message) = session.recv().await {
        if message.payload == HELLO {
            let _ = session.send(message.payload).await;
            let _ = told.send(session.handle());
        } else {
            let _ = arrived.send(Instant::now());
        }
    }
}

impl Contestant for Ours {
    fn name(&self) -> &'static str {
        OURS
    }

    fn remark(&self) -> &'static str {
        "a new Diffie-Hellman; each message once"
    }

    fn interrupt(&self, round_trip: Duration) -> [Duration; 2] {
        loop {
            if let Some(times) = self.attempt(round_trip) {
                return times;
            }
        }
    }
}

impl Ours {
    /// `None` if this process was kept waiting between the loss and the cut, so that the client had found the loss by itself and dialled already.
    fn attempt(&self, round_trip: Duration) -> Option<[Duration; 2]> {
        let (mut sessions, mut arrivals) = (
            self.sessions.lock().expect("one at a time"),
            self.arrivals.lock().expect("one at a time"),
        );
        self.runtime.block_on(async {
            let path = Path::new(self.address, round_trip);
            let client = Client::builder(self.address, self.config.clone()).dialer(over(path.clone()));
            let client = client.connect().await.expect("a session");
            client.send(HELLO).await.expect("a session");
            assert_eq!(client.recv().await.expect("an answer").payload, HELLO);
            let server = sessions.recv().await.expect("a session");
            let before = path.dialled();
            path.lose();
            client.send(AGAIN).await.expect("a session");
            server.send(Bytes::from_static(AGAIN)).await.expect("a session");
            while !path.has_lost(AGAIN.len()) {
                tokio::task::yield_now().await;
            }
            let noticed = path.dialled() > before;
            let cut = Instant::now();
            path.cut();
            let (at_client, at_server) = tokio::join!(
                async {
                    assert_eq!(client.recv().await.expect("the message").payload, AGAIN);
                    Instant::now()
                },
                async { arrivals.recv().await.expect("the message") }
            );
            client.disconnect(0).await;
            (!noticed).then(|| [at_server - cut, at_client - cut])
        })
    }
}

/// Opens connections over the path.
fn over(path: Path) -> Dialer {
    Arc::new(move |_: Dial| {
        let path = path.clone();
        Box::pin(async move {
            let connected = tokio::task::spawn_blocking(move || path.connect()).await;
            let stream = connected.map_err(std::io::Error::other)??;
            stream.set_nonblocking(true)?;
            tokio::net::TcpStream::from_std(stream)
        })
    })
}
