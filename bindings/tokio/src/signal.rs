//! The end of a server's `main`: SIGTERM, drain, exit.
//!
//! ```no_run
//! # async fn run(server: unbroken_tokio::Server) -> Result<(), Box<dyn std::error::Error>> {
//! let drained = unbroken_tokio::signal::drained_on_sigterm(server, std::time::Duration::from_secs(20)).await?;
//! println!("{} sessions left for other servers, {} for the store", drained.moved, drained.swapped_out);
//! # Ok(())
//! # }
//! ```

use std::io;
use std::time::Duration;

use tracing::{error, info};

use crate::server::{Drained, Server};

/// Time for the last bytes when all sessions are out.
const GRACE: Duration = Duration::from_secs(3);

/// Waits for SIGTERM (or Ctrl-C), drains the server over `window` and stops it. If it cannot be drained, because the store does not work, that is logged,
/// the server goes on serving, and the next signal tries again: so the process ends by itself only when nothing is lost by it. With `Durability::Memory` that is
/// never: such a server is ended by [`Server::shutdown`].
///
/// # Errors
/// The system gives no signals.
pub async fn drained_on_sigterm(server: Server, window: Duration) -> io::Result<Drained> {
    let mut signals = Signals::new()?;
    loop {
        signals.next().await?;
        info!(target: "unbroken::server", "asked to leave");
        match server.drain(window).await {
            Ok(drained) => {
                server.shutdown(0, GRACE).await;
                return Ok(drained);
            }
            Err(error) => error!(target: "unbroken::server", %error, "asked to leave, and cannot"),
        }
    }
}

#[cfg(unix)]
struct Signals {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| {
            if self.term.poll_recv(cx).is_ready() || self.int.poll_recv(cx).is_ready() {
                return std::task::Poll::Ready(());
            }
            std::task::Poll::Pending
        })
        .await;
        Ok(())
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Signals)
    }

    async fn next(&mut self) -> io::Result<()> {
        tokio::signal::ctrl_c().await
    }
}
