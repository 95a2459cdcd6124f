//! One link: both directions and its faults, in one task.
//!
//! Each direction holds at most one piece of 16 KiB that it has read and not yet written, so a side that does not read stalls the
//! other side, as through a real path; with a latency it holds as many as are on their way. A *gate* says until when nothing moves; a
//! *budget* counts down the bytes before a cut.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use crate::plan::{Draw, Fault};
use crate::proxy::{Order, Shared};

const PIECE: usize = 16 << 10;
const NEVER: Duration = Duration::from_secs(86_400 * 365);

/// Closes with RST instead of FIN.
pub(crate) fn reset(stream: TcpStream) {
    let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

/// Forwards until one side ends or a fault does.
pub(crate) async fn forward(near: TcpStream, far: TcpStream, number: u64, mut draw: Draw, shared: Arc<Shared>) {
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let tally = &shared.tally;
    let end = run(&near, &far, number, &mut draw, &shared).await;
    match end {
        End::Finished => finish(near, far).await,
        End::Fin => {
            tally.fin.fetch_add(1, Relaxed);
            finish(near, far).await;
        }
        End::Reset => {
            tally.reset.fetch_add(1, Relaxed);
            reset(near);
            reset(far);
        }
        End::Broken => {
            reset(near);
            reset(far);
        }
    }
}

/// How a link came to its end.
enum End {
    /// A side closed.
    Finished,
    /// A side reset.
    Broken,
    /// A fault.
    Fin,
    /// A fault.
    Reset,
}

/// One direction's state.
struct Half {
    /// Pieces on their way, each with the time of its arrival.
    held: VecDeque<(Instant, Vec<u8>)>,
    /// How much of the first one has arrived.
    sent: usize,
    eof: bool,
}

/// With a latency: pieces on their way at most.
const IN_FLIGHT: usize = 64;

impl Half {
    fn new() -> Self {
        Half {
            held: VecDeque::new(),
            sent: 0,
            eof: false,
        }
    }

    fn empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether there is room for another piece.
    fn hungry(&self, latency: Duration) -> bool {
        !self.eof && self.held.len() < if latency.is_zero() { 1 } else { IN_FLIGHT }
    }

    /// When the first piece arrives.
    fn arrival(&self) -> Option<Instant> {
        self.held.front().map(|(arrival, _)| *arrival)
    }

    /// Moves what can be moved now. Returns the bytes written.
    fn step(
        &mut self,
        (from, to): (&TcpStream, &TcpStream),
        most: usize,
        latency: Duration,
        scratch: &mut [u8],
    ) -> io::Result<usize> {
        let now = Instant::now();
        if self.hungry(latency) {
            match from.try_read(scratch) {
                Ok(0) => self.eof = true,
                Ok(n) => self.held.push_back((now + latency, scratch[..n].to_vec())),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        let Some((_, piece)) = self.held.front().filter(|(arrival, _)| *arrival <= now) else {
            return Ok(0);
        };
        let left = &piece[self.sent..];
        match to.try_write(&left[..left.len().min(most)]) {
            Ok(n) => {
                self.sent += n;
                if self.sent == piece.len() {
                    self.held.pop_front();
                    self.sent = 0;
                }
                Ok(n)
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(e) => Err(e),
        }
    }
}

async fn run(near: &TcpStream, far: &TcpStream, number: u64, draw: &mut Draw, shared: &Shared) -> End {
    let tally = &shared.tally;
    let (mut up, mut down) = (Half::new(), Half::new());
    let mut scratch = vec![0; PIECE];
    let mut orders = shared.order.subscribe();
    orders.borrow_and_update();
    let mut stalled = shared.stalled.subscribe();
    let far_away = Instant::now() + NEVER;
    let mut planned = draw.next();
    let mut fault_at = planned.map_or(far_away, |(wait, _)| Instant::now() + wait);
    let mut gate = Instant::now();
    let mut reset_at = far_away;
    let mut slow_until = Instant::now();
    let mut budget: Option<usize> = None;
    loop {
        let now = Instant::now();
        let open = now >= gate && !*stalled.borrow_and_update();
        // Readiness is waited for only where something can be done about it.
        let latency = Duration::from_micros(shared.latency.load(Relaxed));
        let hungry = |half: &Half| open && half.hungry(latency);
        let full = |half: &Half| open && half.arrival().is_some_and(|arrival| arrival <= now);
        let arrival = [up.arrival(), down.arrival()]
            .into_iter()
            .flatten()
            .filter(|at| *at > now)
            .min();
        tokio::select! {
            biased;
            changed = orders.changed() => match (changed, orders.borrow_and_update().1) {
                (Err(_), _) => return End::Broken,
                (Ok(()), Order::Fin) => return End::Fin,
                (Ok(()), Order::Reset) => return End::Reset,
                (Ok(()), Order::Run) => {}
            },
            _ = stalled.changed() => continue,
            () = sleep_until(reset_at) => return End::Reset,
            () = sleep_until(fault_at) => {
                let fault = planned.map(|(_, fault)| fault).filter(|_| shared.faults.load(Relaxed));
                if let Some(fault) = fault {
                    shared.note(number, fault);
                }
                match fault {
                    None => {}
                    Some(Fault::Fin) => return End::Fin,
                    Some(Fault::Reset) => return End::Reset,
                    Some(Fault::CutAfter(bytes)) => {
                        tally.cut_within.fetch_add(1, Relaxed);
                        budget = Some(bytes);
                    }
                    Some(Fault::StallThenCut(time)) => {
                        tally.stalls.fetch_add(1, Relaxed);
                        (gate, reset_at) = (now + NEVER, now + time);
                    }
                    Some(Fault::StallThenRecover(time)) => {
                        tally.stalls.fetch_add(1, Relaxed);
                        tally.recovered.fetch_add(1, Relaxed);
                        gate = now + time;
                    }
                    Some(Fault::Delay(time)) => {
                        tally.delays.fetch_add(1, Relaxed);
                        slow_until = now + time;
                    }
                    Some(Fault::Refuse(time)) => {
                        shared.refuse_for(time);
                        return End::Reset;
                    }
                }
                planned = draw.next();
                fault_at = planned.map_or(far_away, |(wait, _)| Instant::now() + wait);
                continue;
            }
            () = sleep_until(gate), if now < gate => continue,
            () = sleep_until(arrival.unwrap_or(far_away)), if open && arrival.is_some() => {}
            _ = near.readable(), if hungry(&up) => {}
            _ = far.readable(), if hungry(&down) => {}
            _ = far.writable(), if full(&up) => {}
            _ = near.writable(), if full(&down) => {}
        }
        if Instant::now() < slow_until {
            gate = Instant::now() + draw.lateness();
        }
        for (half, from, to) in [(&mut up, near, far), (&mut down, far, near)] {
            let most = if shared.trickle.load(Relaxed) {
                1
            } else {
                budget.unwrap_or(PIECE)
            };
            let Ok(moved) = half.step((from, to), most, latency, &mut scratch) else {
                return End::Broken;
            };
            tally.bytes.fetch_add(moved as u64, Relaxed);
            if let Some(left) = &mut budget {
                *left -= moved.min(*left);
                if *left == 0 {
                    return End::Reset;
                }
            }
        }
        // Either side's FIN ends both directions: nothing here speaks half-closed TCP.
        if (up.eof && up.empty()) || (down.eof && down.empty()) {
            return End::Finished;
        }
    }
}

/// Closes both sides with FIN, and reads a little while longer so that unread bytes do not turn it into a reset.
async fn finish(mut near: TcpStream, mut far: TcpStream) {
    let _ = (near.shutdown().await, far.shutdown().await);
    let drain = async |stream: &TcpStream| {
        let mut scratch = [0; 4096];
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut scratch) {
                Ok(1..) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                _ => break,
            }
        }
    };
    let both = async { tokio::join!(drain(&near), drain(&far)) };
    let _ = tokio::time::timeout(Duration::from_millis(500), both).await;
}
