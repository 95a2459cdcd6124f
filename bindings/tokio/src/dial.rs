//! Opening a connection: resolve the name, try each address for its share of the time that is left, set TCP_NODELAY.
//!
//! It is a function behind an `Arc`, so that an application can put its own in its place: to bind to Wi-Fi or cellular as
//! [`Dial::network`] asks, to go through a proxy, or to break things in a test.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
use unbroken::NetworkId;

use crate::client::network::{self, Binding, Networks};

/// One connection to open.
#[derive(Clone, Debug)]
pub struct Dial {
    /// Where to, `host:port`: what was configured, or what the server advised.
    pub address: String,
    /// Whether the server named this address (to be reached directly), rather than the application.
    pub advised: bool,
    /// The network to bind to, as the application numbers them; `None` leaves it to the system.
    pub network: Option<NetworkId>,
    /// Registered networks ([`Builder::network`](crate::client::Builder::network)) on which a link is up: what the core wants now is another one.
    pub in_use: Vec<NetworkId>,
    /// How long it may take, name resolution included.
    pub timeout: Duration,
}

/// Opens a connection. An error counts as a link that went down; the session dials again after its back-off.
pub type Dialer = Arc<dyn Fn(Dial) -> Dialing + Send + Sync>;

/// A connection being opened. It is dropped when the session no longer wants it.
pub type Dialing = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// The usual way: the system's resolver, and the networks that the application registered; without any, the system's choice.
pub(crate) fn over(networks: Arc<Networks>) -> Dialer {
    Arc::new(move |dial| match networks.is_empty() {
        true => Box::pin(connect(dial, None)),
        false => network::race(dial, networks.clone()),
    })
}

/// Over the given network, or the system's choice.
pub(crate) async fn connect(dial: Dial, binding: Option<&Binding>) -> io::Result<TcpStream> {
    let begun = Instant::now();
    let all = async {
        let addresses: Vec<_> = lookup_host(dial.address.as_str()).await?.collect();
        try_each(&addresses, dial.timeout.saturating_sub(begun.elapsed()), binding).await
    };
    match timeout(dial.timeout, all).await {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// One after the other. What one does not use of its share is the next ones'.
async fn try_each(addresses: &[SocketAddr], time: Duration, binding: Option<&Binding>) -> io::Result<TcpStream> {
    let begun = Instant::now();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (left, address) in (1..=addresses.len()).rev().zip(addresses) {
        let share = time.saturating_sub(begun.elapsed()) / u32::try_from(left).unwrap_or(u32::MAX);
        match timeout(share, network::open(*address, binding)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(e)) => last = e,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use tokio::net::TcpSocket;

    /// The last address of a name drops the first packet, as one does that is far away; the others refuse at once.
    #[tokio::test]
    async fn an_address_has_the_time_that_those_before_it_did_not_need() {
        let slow = TcpSocket::new_v4().unwrap();
        slow.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let full = slow.listen(1).unwrap();
        let address = full.local_addr().unwrap();
        let crowd = [TcpStream::connect(address).await, TcpStream::connect(address).await];
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        let addresses = [nobody, nobody, nobody, address];
        let making = tokio::spawn(async move { try_each(&addresses, Duration::from_secs(3), None).await });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!making.is_finished(), "the queue was not full");
        for _ in crowd {
            full.accept().await.unwrap();
        }
        // Its kernel tries again after a second.
        assert_eq!(making.await.unwrap().unwrap().peer_addr().unwrap(), address);
    }
}
