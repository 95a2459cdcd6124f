//! Servers that take over from each other: they share a store, and a balancer sends all clients to the newest.
//!
//! Each session's state is what a round checks: how many numbered messages have come, and how many of them were others than those that were
//! due. It leaves with the session. Every message is echoed, and `verdict` is answered by `verdict RECEIVED WRONG`.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use unbroken_tokio::{
    ClusterKey, Durability, HandlerFactory, MemoryStore, Message, RestoreError, Server, ServerConfig, ServerKey,
    SessionHandler, SessionRef, Store,
};

use crate::pour::numbered;

type Failure = Box<dyn Error + Send + Sync>;

pub struct Cluster {
    store: Arc<dyn Store>,
    server: Server,
    restored: Arc<AtomicU64>,
    target: watch::Sender<SocketAddr>,
    address: SocketAddr,
    balancing: AbortHandle,
}

impl Cluster {
    pub async fn start() -> Result<Cluster, Failure> {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let restored = Arc::default();
        let server = member(&store, &restored).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (target, current) = watch::channel(server.local_addr());
        let balancing = tokio::spawn(balance(listener, current)).abort_handle();
        Ok(Cluster {
            store,
            server,
            restored,
            target,
            address,
            balancing,
        })
    }

    /// The balancer's.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new server comes, the old one asks its clients to move and leaves.
    pub async fn take_over(&mut self) -> Result<(), Failure> {
        let next = member(&self.store, &self.restored).await?;
        self.target.send_replace(next.local_addr());
        let old = std::mem::replace(&mut self.server, next);
        old.drain(Duration::from_millis(100)).await?;
        old.shutdown(0, Duration::from_secs(1)).await;
        Ok(())
    }

    /// How often a session has come to a server from another.
    pub fn restored(&self) -> u64 {
        self.restored.load(Relaxed)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.balancing.abort();
    }
}

async fn member(store: &Arc<dyn Store>, restored: &Arc<AtomicU64>) -> Result<Server, Failure> {
    let config = ServerConfig::builder(ServerKey::from_bytes([7; 32])?, ClusterKey::from_bytes([9; 32])?)
        .realm("bindings")
        .authorise_all(true)
        .durability(Durability::SwapOut)
        .build()?;
    let counters = Counters(restored.clone());
    let builder = Server::builder(config).workers(1).store(store.clone());
    Ok(builder.serve_sessions("127.0.0.1:0", counters).await?)
}

async fn balance(listener: TcpListener, target: watch::Receiver<SocketAddr>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let server = *target.borrow();
        tokio::spawn(async move {
            if let Ok(mut server) = TcpStream::connect(server).await {
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}

/// Makes the handlers; counts those that came from elsewhere.
struct Counters(Arc<AtomicU64>);

#[derive(Default)]
struct Counter {
    received: u64,
    wrong: u64,
}

impl HandlerFactory for Counters {
    type Handler = Counter;

    fn open(&self, _session: &SessionRef<'_>) -> Counter {
        Counter::default()
    }

    fn restore(&self, _session: &SessionRef<'_>, mut state: Bytes) -> Result<Counter, RestoreError> {
        self.0.fetch_add(1, Relaxed);
        Ok(Counter {
            received: state.try_get_u64()?,
            wrong: state.try_get_u64()?,
        })
    }
}

impl SessionHandler for Counter {
    fn on_message(&mut self, session: &SessionRef<'_>, message: Message) {
        let answer = if message.payload == "verdict" {
            format!("verdict {} {}", self.received, self.wrong).into()
        } else {
            self.wrong += u64::from(message.payload != numbered(self.received));
            self.received += 1;
            message.payload
        };
        if let Err(error) = session.send(answer) {
            eprintln!("no room for an answer: {error}");
        }
    }

    fn swap_out(&self) -> Bytes {
        let mut state = BytesMut::with_capacity(16);
        state.put_u64(self.received);
        state.put_u64(self.wrong);
        state.freeze()
    }
}
