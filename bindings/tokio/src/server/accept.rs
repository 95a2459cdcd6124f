//! The acceptor: a thread that finds each connection's worker.
//!
//! A resume carries an encrypted handle that names its session, hence its worker; both are in the first 28 bytes. Everything else
//! (a first connect, an old client, garbage) may go to any worker, in turn. Connections that have not shown these bytes are bounded in
//! number and in time; what was read goes to the worker with the socket.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use metrics::counter;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tracing::{debug, error, warn};
use unbroken::{Limits, Route, Router};

use crate::metrics::name;

/// A connection on its way to its worker, with the bytes that were read to find it.
pub(crate) struct Arrival {
    pub(crate) stream: std::net::TcpStream,
    pub(crate) first: [u8; Router::NEEDED],
    pub(crate) len: usize,
}

/// After a failed accept: out of descriptors, most likely, and only time helps.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) fn spawn(
    listener: std::net::TcpListener,
    router: Router,
    doors: Vec<mpsc::Sender<Arrival>>,
    limits: Limits,
    stopped: watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _entered = runtime.enter();
        TcpListener::from_std(listener)?
    };
    let hall = Arc::new(Hall {
        router,
        doors,
        handshake: limits.handshake,
    });
    let most = limits.pending_handshakes as usize;
    Builder::new()
        .name("unbroken-accept".into())
        .spawn(move || runtime.block_on(accept(listener, hall, most, stopped)))
}

/// What the tasks of the acceptor share.
struct Hall {
    router: Router,
    doors: Vec<mpsc::Sender<Arrival>>,
    handshake: Duration,
}

async fn accept(listener: TcpListener, hall: Arc<Hall>, most: usize, mut stopped: watch::Receiver<bool>) {
    let waiting = Arc::new(Semaphore::new(most));
    let mut turn = 0;
    let stop = stopped.wait_for(|stop| *stop);
    tokio::pin!(stop);
    loop {
        let accepted = std::future::poll_fn(|cx| {
            // The sender is dropped, or says so: both mean the end.
            if stop.as_mut().poll(cx).is_ready() {
                return std::task::Poll::Ready(None);
            }
            listener.poll_accept(cx).map(Some)
        });
        let stream = match accepted.await {
            None => return,
            Some(Ok((stream, _))) => stream,
            Some(Err(error)) => {
                warn!(target: "unbroken::server", %error, "cannot accept");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        turn = (turn + 1) % hall.doors.len();
        let _ = stream.set_nodelay(true);
        if hall.doors.len() == 1 {
            hall.hand_over(stream, 0, [0; Router::NEEDED], 0);
            continue;
        }
        let Ok(place) = waiting.clone().try_acquire_owned() else {
            debug!(target: "unbroken::server", "turned away: too many connections without a first flight");
            counter!(name::TURNED_AWAY).increment(1);
            continue;
        };
        let hall = hall.clone();
        tokio::spawn(async move {
            // A connection that shows nothing ends here without a word; nobody is told, for there may be many.
            let _ = tokio::time::timeout(hall.handshake, hall.route(stream, turn)).await;
            drop(place);
        });
    }
}

impl Hall {
    async fn route(&self, stream: TcpStream, turn: usize) -> io::Result<()> {
        let mut first = [0; Router::NEEDED];
        let mut len = 0;
        loop {
            let worker = match self.router.route(&first[..len]) {
                Route::NeedMore => None,
                Route::Any => Some(turn),
                Route::Shard(index) => Some(usize::from(index) % self.doors.len()),
            };
            if let Some(worker) = worker {
                self.hand_over(stream, worker, first, len);
                return Ok(());
            }
            stream.readable().await?;
            match stream.try_read(&mut first[len..]) {
                Ok(0) => return Ok(()),
                Ok(n) => len += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn hand_over(&self, stream: TcpStream, worker: usize, first: [u8; Router::NEEDED], len: usize) {
        let Ok(stream) = stream.into_std() else { return };
        match self.doors[worker].try_send(Arrival { stream, first, len }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                warn!(target: "unbroken::server", worker, "turned away: the worker does not keep up");
                counter!(name::TURNED_AWAY).increment(1);
            }
            // Only a bug gets here; the other workers go on.
            Err(mpsc::error::TrySendError::Closed(_)) => {
                error!(target: "unbroken::server", worker, "turned away: the worker has died");
                counter!(name::TURNED_AWAY).increment(1);
            }
        }
    }
}
