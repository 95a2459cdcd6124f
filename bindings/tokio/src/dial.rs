//! Opening a connection: resolve the name, try all its addresses, each a little behind the one before (RFC 8305), set TCP_NODELAY.
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
use tokio::time::timeout;
use unbroken::NetworkId;

use crate::client::network::{self, Binding, Networks};
use crate::race;

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
    let all = async {
        let addresses = lookup_host(dial.address.as_str()).await?.collect();
        first_of(in_turns(addresses), binding).await
    };
    match timeout(dial.timeout, all).await {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// The families by turns, beginning with the first address's: if one of them is dead, every second try is alive.
fn in_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let begins = addresses.first().map(SocketAddr::is_ipv6);
    let (some, others): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|one| Some(one.is_ipv6()) == begins);
    let most = some.len().max(others.len());
    let turn = |at| [some.get(at), others.get(at)].into_iter().flatten().copied();
    (0..most).flat_map(turn).collect()
}

/// The first that stands.
async fn first_of(addresses: Vec<SocketAddr>, binding: Option<&Binding>) -> io::Result<TcpStream> {
    let tries = addresses.into_iter().map(|address| {
        let binding = binding.cloned();
        async move { network::open(address, binding.as_ref()).await }
    });
    let none = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let stream = race::first(tries, none).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpSocket};

    /// A listener whose queue is full swallows the first packet of each connection, as a broken path does.
    async fn full() -> (TcpListener, [TcpStream; 2]) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let crowd = [TcpStream::connect(address).await, TcpStream::connect(address).await];
        (listener, crowd.map(Result::unwrap))
    }

    /// As with an IPv6 that leads nowhere: the name's first addresses swallow everything, and would do so for as long as a connection may take.
    #[tokio::test]
    async fn addresses_that_swallow_everything_hold_nobody_up() {
        let (hole, _crowd) = full().await;
        let alive = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (hole, alive) = (hole.local_addr().unwrap(), alive.local_addr().unwrap());
        let making = first_of(vec![hole, hole, hole, alive], None);
        let stream = timeout(Duration::from_secs(20), making)
            .await
            .expect("it is not held up");
        assert_eq!(stream.unwrap().peer_addr().unwrap(), alive);
    }

    #[test]
    fn the_families_take_turns() {
        let [a, b, c] = [1, 2, 3].map(|port| SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port)));
        let four = SocketAddr::from(([127, 0, 0, 1], 4));
        assert_eq!(in_turns(vec![a, b, c, four]), [a, four, b, c]);
        assert_eq!(in_turns(vec![four, a, b]), [four, a, b]);
        assert_eq!(in_turns(Vec::new()), []);
    }

    /// The last address of a name drops the first packet, as one does that is far away; the others refuse at once.
    #[tokio::test]
    async fn an_address_has_the_time_that_those_before_it_did_not_need() {
        let (full, crowd) = full().await;
        let address = full.local_addr().unwrap();
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        let addresses = [nobody, nobody, nobody, address];
        let making = tokio::spawn(async move { first_of(addresses.into(), None).await });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!making.is_finished(), "the queue was not full");
        for _ in crowd {
            full.accept().await.unwrap();
        }
        // Its kernel tries again after a second.
        assert_eq!(making.await.unwrap().unwrap().peer_addr().unwrap(), address);
    }
}
