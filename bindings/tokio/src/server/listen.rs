//! Binding a listener with a long queue.
//!
//! When a base station dies, or a server that had them all, thousands of clients connect within some milliseconds. The kernel keeps what the acceptor has not taken yet in a
//! queue; a connection that finds it full is dropped without a word, and its client's kernel tries again after a second, then
//! after three. The usual queue of 128 is full after a few milliseconds of such a storm. A long one costs nothing while it is empty.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpSocket, ToSocketAddrs, lookup_host};

/// Connections that wait for the acceptor; the system makes it less (Linux: `net.core.somaxconn`, 4,096 by default).
const QUEUE: u32 = 65_535;

/// Listens on the first address that can be bound.
pub(super) async fn listen(address: impl ToSocketAddrs) -> io::Result<std::net::TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    for address in lookup_host(address).await? {
        match open(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => {
                last = io::Error::new(
                    error.kind(),
                    format!(
                        "cannot listen at {address}: {error}; choose one of this machine that is free, and that this user may have"
                    ),
                )
            }
        }
    }
    Err(last)
}

fn open(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // So that a server that was restarted need not wait for its old connections. On Windows it would mean another thing.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)?.into_std()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::listen;

    #[tokio::test]
    async fn a_thousand_connections_wait_until_the_acceptor_comes() {
        let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        let crowd = most.trim().parse::<usize>().unwrap().min(1000);
        assert!(
            crowd > 128,
            "net.core.somaxconn is {crowd}: raise it to 4096, the default since Linux 5.4"
        );
        let listener = listen("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        for number in 0..crowd {
            // Nobody accepts: a connection that the queue does not take stands never.
            let connected = timeout(Duration::from_secs(20), TcpStream::connect(address)).await;
            waiting.push(
                connected
                    .unwrap_or_else(|_| panic!("connection {number} found the queue full"))
                    .unwrap(),
            );
        }
    }
}
