//! The acceptor: a thread that finds each connection's worker.
//!
//! A resume carries an encrypted handle that names its session, hence its worker; both are in the first 28 bytes. Everything else
//! (a first connect, an old client, garbage) may go to any worker, in turn. Connections that have not shown these bytes are bounded in
//! number (`crowd.rs`) and in time; what was read goes to the worker with the socket. Those that have shown them and find a crowd before their worker's
//! door are bounded in the same ways, apart from the former: no silent one takes their place.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use metrics::counter;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, watch};
use tracing::{debug, error, warn};
use unbroken::{Limits, Route, Router};

use super::crowd::Crowd;
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
    let most = limits.pending_handshakes as usize;
    let hall = Arc::new(Hall {
        router,
        doors,
        handshake: limits.handshake,
        before_doors: Arc::new(Semaphore::new(most)),
    });
    Builder::new()
        .name("unbroken-accept".into())
        .spawn(move || runtime.block_on(accept(listener, hall, most, stopped)))
}

/// What the tasks of the acceptor share.
struct Hall {
    router: Router,
    doors: Vec<mpsc::Sender<Arrival>>,
    handshake: Duration,
    /// Places for those that wait until their worker has room.
    before_doors: Arc<Semaphore>,
}

async fn accept(listener: TcpListener, hall: Arc<Hall>, most: usize, mut stopped: watch::Receiver<bool>) {
    let mut crowd = Crowd::new(most);
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
            // Meanwhile newcomers wait in the listener's queue: a crowd is let in at the worker's pace.
            if let Ok(stream) = stream.into_std() {
                let first = [0; Router::NEEDED];
                hall.hand_over(0, Arrival { stream, first, len: 0 }).await;
            }
            continue;
        }
        let hall = hall.clone();
        let task = tokio::spawn(async move {
            // A connection that shows nothing ends here without a word; nobody is told, for there may be many.
            let _ = tokio::time::timeout(hall.handshake, hall.route(stream, turn)).await;
        });
        if crowd.push(task.abort_handle()) {
            debug!(target: "unbroken::server", "turned away: too many connections without a first flight");
            counter!(name::TURNED_AWAY).increment(1);
        }
    }
}

impl Hall {
    async fn route(self: &Arc<Self>, stream: TcpStream, turn: usize) -> io::Result<()> {
        let mut first = [0; Router::NEEDED];
        let mut len = 0;
        loop {
            let worker = match self.router.route(&first[..len]) {
                Route::NeedMore => None,
                Route::Any => Some(turn),
                Route::Shard(index) => Some(usize::from(index) % self.doors.len()),
            };
            if let Some(worker) = worker {
                let stream = stream.into_std()?;
                self.clone().queue(worker, Arrival { stream, first, len });
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

    /// To the worker now if it has room, else by a task of its own.
    fn queue(self: Arc<Self>, worker: usize, arrival: Arrival) {
        let arrival = match self.doors[worker].try_send(arrival) {
            Ok(()) => return,
            Err(TrySendError::Full(arrival)) => arrival,
            Err(TrySendError::Closed(_)) => return turned_away_by_the_dead(worker),
        };
        let Ok(place) = self.before_doors.clone().try_acquire_owned() else {
            return turned_away_by_the_slow(worker);
        };
        tokio::spawn(async move {
            self.hand_over(worker, arrival).await;
            drop(place);
        });
    }

    /// Waits while the worker has a crowd before its door, but not for ever.
    async fn hand_over(&self, worker: usize, arrival: Arrival) {
        match tokio::time::timeout(self.handshake, self.doors[worker].send(arrival)).await {
            Ok(Ok(())) => {}
            Err(_) => turned_away_by_the_slow(worker),
            Ok(Err(_)) => turned_away_by_the_dead(worker),
        }
    }
}

fn turned_away_by_the_slow(worker: usize) {
    warn!(target: "unbroken::server", worker, "turned away: the worker does not keep up");
    counter!(name::TURNED_AWAY).increment(1);
}

/// Only a bug gets here; the other workers go on.
fn turned_away_by_the_dead(worker: usize) {
    error!(target: "unbroken::server", worker, "turned away: the worker has died");
    counter!(name::TURNED_AWAY).increment(1);
}
