//! One network of one client: a fault proxy with half of the round trip in each direction, and a way to open connections over it.
//!
//! On loopback, opening a connection always succeeds at once, even to a proxy that lets nothing through. So this is done here as TCP
//! would over a real path: a round trip if the network carries, else again after one, two, four seconds.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::sleep;
use unbroken_fault_proxy::{Counts, Plan, Proxy};
use unbroken_tokio::{Binding, Dialer};

/// The round trip on either network.
pub const ROUND_TRIP: Duration = Duration::from_millis(50);

/// See the module's head.
pub struct Network {
    to: SocketAddr,
    stalled: AtomicBool,
    /// The newest one takes new connections; the others hold connections that are forgotten.
    proxies: Mutex<Vec<Proxy>>,
}

impl Network {
    /// Leads to `to`.
    pub async fn start(to: SocketAddr) -> io::Result<Arc<Network>> {
        let proxy = proxy(to).await?;
        Ok(Arc::new(Network {
            to,
            stalled: AtomicBool::new(false),
            proxies: Mutex::new(vec![proxy]),
        }))
    }

    /// Nothing passes, or everything again.
    pub fn stall(&self, on: bool) {
        self.stalled.store(on, Relaxed);
        self.with(|proxies| {
            if let Some(proxy) = proxies.last() {
                proxy.stall(on);
            }
        });
    }

    /// Resets all connections.
    pub fn cut(&self) {
        self.with(|proxies| proxies.iter().for_each(|proxy| proxy.cut_all(true)));
    }

    /// All connections go silent for ever; new ones work.
    pub async fn forget(&self) -> io::Result<()> {
        let fresh = proxy(self.to).await?;
        fresh.stall(self.stalled.load(Relaxed));
        self.with(|proxies| {
            proxies.iter().for_each(|proxy| proxy.stall(true));
            proxies.push(fresh);
        });
        Ok(())
    }

    /// Opens a connection. May take for ever.
    pub async fn connect(&self) -> io::Result<TcpStream> {
        let mut again = Duration::from_secs(1);
        while self.stalled.load(Relaxed) {
            sleep(again).await;
            again *= 2;
        }
        sleep(ROUND_TRIP).await;
        let address = self.with(|proxies| proxies.last().map(Proxy::local_addr));
        let stream = TcpStream::connect(address.ok_or(io::ErrorKind::NotConnected)?).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// For a session's client: this is how it reaches the network, whatever address it asks for.
    pub fn binding(self: &Arc<Self>) -> Binding {
        let network = self.clone();
        let dialer: Dialer = Arc::new(move |dial| {
            let network = network.clone();
            Box::pin(async move {
                tokio::time::timeout(dial.timeout, network.connect())
                    .await
                    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            })
        });
        Binding::Dialer(dialer)
    }

    pub fn counts(&self) -> Counts {
        self.with(|proxies| proxies.iter().map(Proxy::counts).fold(Counts::default(), |a, b| a + b))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Proxy>) -> T) -> T {
        act(&mut self.proxies.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

async fn proxy(to: SocketAddr) -> io::Result<Proxy> {
    let proxy = Proxy::start((Ipv4Addr::LOCALHOST, 0).into(), to, Plan::none()).await?;
    proxy.latency(ROUND_TRIP / 2);
    Ok(proxy)
}
