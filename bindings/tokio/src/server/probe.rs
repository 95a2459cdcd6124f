//! A tiny HTTP listener for orchestrators: `GET /ready` and `GET /live`.
//!
//! It answers one request per connection and looks at nothing but the first line, so there is nothing in it to configure or to exhaust: connections are
//! bounded in number, in bytes and in time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::Semaphore;

use super::listen;
use super::readiness::Readiness;

/// Probes answered at once.
const MOST: usize = 16;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much of a request is read: its first line is in there.
const REQUEST: usize = 1024;
/// After a failed accept.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves `http://address/ready` (200 while [`Readiness::is_ready`], else 503) and `/live` (the same for [`Readiness::is_alive`]) from the current
/// tokio runtime, as long as that runs. Returns the address it is bound to. It has no authorisation: bind it to an internal address.
///
/// # Errors
/// The address cannot be bound.
pub async fn listen(address: impl ToSocketAddrs, readiness: Readiness) -> io::Result<SocketAddr> {
    let listener = TcpListener::from_std(listen::listen(address).await?)?;
    let bound = listener.local_addr()?;
    tokio::spawn(accept(listener, readiness));
    Ok(bound)
}

async fn accept(listener: TcpListener, readiness: Readiness) {
    let places = Arc::new(Semaphore::new(MOST));
    while let Ok(place) = places.clone().acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let readiness = readiness.clone();
        tokio::spawn(async move {
            let _ = tokio::time::timeout(PATIENCE, answer(stream, &readiness)).await;
            drop(place);
        });
    }
}

async fn answer(mut stream: TcpStream, readiness: &Readiness) -> io::Result<()> {
    let mut request = Vec::with_capacity(REQUEST);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < REQUEST {
        if stream.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let (status, text) = match line.split(|byte| *byte == b' ').nth(1) {
        Some(b"/ready") if readiness.is_ready() => ("200 OK", "ready\n"),
        Some(b"/ready") => ("503 Service Unavailable", "not ready\n"),
        Some(b"/live") if readiness.is_alive() => ("200 OK", "alive\n"),
        Some(b"/live") => ("503 Service Unavailable", "a worker has ended\n"),
        _ => ("404 Not Found", "GET /ready or /live\n"),
    };
    let length = text.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}
