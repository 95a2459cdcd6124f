//! A TCP connection to a name that may have several addresses. One of them may swallow all that is sent there, as an IPv6 that leads nowhere does, or a machine
//! that is off: nobody hears of that before a whole attempt is over, and the next attempt would begin with the same one. So each is tried a
//! little behind the one before, or at once when that one failed, and the first that stands is taken (RFC 8305).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// What an address has over the next one.
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to `host:port`, for as long as it takes.
pub(super) async fn dial(address: &str) -> io::Result<TcpStream> {
    first_of(lookup_host(address).await?.collect()).await
}

async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut left = addresses.into_iter();
    let mut tries = FuturesUnordered::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        if let Some(address) = left.next() {
            tries.push(TcpStream::connect(address));
        }
        let ended = match left.len() {
            0 => tries.next().await,
            _ => match timeout(HEAD_START, tries.next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            },
        };
        match ended {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => last = error,
            None => return Err(last),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpSocket};

    #[tokio::test]
    async fn an_address_that_swallows_everything_holds_nobody_up() {
        // Its queue is full: the first packet of each connection is dropped.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let full = socket.listen(1).unwrap();
        let hole = full.local_addr().unwrap();
        let _crowd = [TcpStream::connect(hole).await, TcpStream::connect(hole).await];
        let alive = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (alive, nobody) = (alive.local_addr().unwrap(), SocketAddr::from(([127, 0, 0, 1], 1)));
        let addresses = vec![hole, nobody, alive];
        let in_order = timeout(Duration::from_secs(1), TcpStream::connect(&addresses[..])).await;
        assert!(in_order.is_err(), "vacuous: nothing is swallowed");
        let made = timeout(Duration::from_secs(20), first_of(addresses)).await;
        assert_eq!(made.expect("in time").unwrap().peer_addr().unwrap(), alive);
        assert!(first_of(vec![nobody]).await.is_err() && first_of(Vec::new()).await.is_err());
    }
}
