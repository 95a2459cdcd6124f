//! Ways to one connection, tried beside each other (RFC 8305): over the networks that are registered, and to the addresses of a name.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Time for one way before the next one is tried beside it.
pub(crate) const HEAD_START: Duration = Duration::from_millis(250);

/// The first connection that stands; the others are dropped. Each way is tried [`HEAD_START`] behind the one before, or at once when one has failed. When all have, the error is the
/// last one's; if there is no way it is `none`.
pub(crate) async fn first<F>(ways: impl ExactSizeIterator<Item = F>, none: io::Error) -> io::Result<TcpStream>
where
    F: Future<Output = io::Result<TcpStream>> + Send + 'static,
{
    let mut left = ways;
    let mut tries = JoinSet::new();
    let mut last = none;
    loop {
        if let Some(way) = left.next() {
            tries.spawn(way);
        }
        let joined = match left.len() {
            0 => tries.join_next().await,
            _ => match timeout(HEAD_START, tries.join_next()).await {
                Ok(joined) => joined,
                Err(_) => continue,
            },
        };
        match joined {
            Some(Ok(Ok(stream))) => return Ok(stream),
            Some(Ok(Err(error))) => last = error,
            Some(Err(error)) => last = io::Error::other(error),
            None => return Err(last),
        }
    }
}
