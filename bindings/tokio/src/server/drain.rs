//! Leaving without losing anybody: the planned end of a server.
//!
//! ```text
//!   store answers? ─no──► refuse, and go on serving
//!        │ yes
//!   not ready, nobody is let in, DRAIN to all clients ── over the window they come to other servers, which fetch their sessions
//!        │
//!   swap out what is left ── again each second ── all out: done
//!        └── deadline: take it all back, and go on serving
//! ```
//!
//! Nothing is lost on any of these ways: a session is either here, or the store has it. So a drain that failed can simply be tried again.

use std::fmt;
use std::time::{Duration, Instant};

use tracing::{info, warn};
use unbroken_store::StoreError;

use super::worker::{Command, Leave};
use super::{Server, WorkerStats};

/// How often it is looked whether all are out.
const LOOK: Duration = Duration::from_millis(20);
/// How often progress is told, and what the store did not take is tried again.
const TELL: Duration = Duration::from_secs(1);

/// How a server is drained; [`Server::drain_with`].
pub struct Drain {
    window: Duration,
    deadline: Duration,
    progress: Box<dyn FnMut(Progress) + Send>,
}

impl Drain {
    /// Clients are asked to move within `window`, each at a moment of its own, so that other servers are not overrun. Zero swaps all out at once: right
    /// when there is no other server, and this one will be back in a moment.
    pub fn within(window: Duration) -> Self {
        Drain {
            window,
            deadline: Duration::from_secs(10),
            progress: Box::new(|_| {}),
        }
    }

    /// How long swapping out may take after the window; 10 s unless told. What kills the process later must leave time for both.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Called each second.
    pub fn on_progress(mut self, progress: impl FnMut(Progress) + Send + 'static) -> Self {
        self.progress = Box::new(progress);
        self
    }
}

/// How far a drain is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Since it began.
    pub elapsed: Duration,
    /// Sessions still here.
    pub left: usize,
    /// Sessions that left, for other servers or for the store.
    pub swapped_out: u64,
}

/// A drain that succeeded: the store, or another server, has all sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drained {
    /// Sessions that left for other servers during the window, because their clients moved.
    pub moved: u64,
    /// Sessions that were swapped out after it.
    pub swapped_out: u64,
    /// How long it took, the window included.
    pub took: Duration,
    /// How long of it the swapping out took.
    pub swap_out_took: Duration,
}

/// A drain that failed. The server goes on serving, with all sessions that have not left.
#[derive(Debug)]
pub enum DrainError {
    /// There is nowhere for sessions to go: `Durability::Memory`. [`Server::shutdown`] ends them.
    NoStore,
    /// The store does not work at the moment.
    Store(StoreError),
    /// The store did not take all sessions in time.
    Incomplete {
        /// Sessions that are still here. With 0 all have left, but the store has not answered for each of them.
        left: usize,
        /// Those that left.
        swapped_out: u64,
    },
    /// It is being drained already.
    UnderWay,
}

impl fmt::Display for DrainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DrainError::NoStore => f.write_str(
                "not drained, still serving: with Durability::Memory sessions cannot leave; choose SwapOut or Durable, or end them by shutdown()",
            ),
            DrainError::Store(error) => write!(f, "not drained, still serving: {error}"),
            DrainError::Incomplete { left: 0, swapped_out } => write!(
                f,
                "not drained, still serving: all sessions have left ({swapped_out}), but the store has not answered in time for each of them; try again when it works"
            ),
            DrainError::Incomplete { left, swapped_out } => write!(
                f,
                "not drained, still serving: the store did not take {left} sessions in time ({swapped_out} have left); try again when it works"
            ),
            DrainError::UnderWay => f.write_str("a drain is under way already"),
        }
    }
}

impl std::error::Error for DrainError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DrainError::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl Server {
    /// Leaves: asks all clients to move within `window`, swaps out who is left, and returns when the store has all sessions. [`Server::is_ready`] is
    /// false from its beginning. Afterwards nobody is let in; end the server by [`Server::shutdown`].
    ///
    /// # Errors
    /// All mean that the server goes on serving as if nothing had been; see [`DrainError`]. If the future is dropped, it stays half-way, and another drain goes on from there.
    pub async fn drain(&self, window: Duration) -> Result<Drained, DrainError> {
        self.drain_with(Drain::within(window)).await
    }

    /// As [`Server::drain`], with all options.
    ///
    /// # Errors
    /// As [`Server::drain`].
    pub async fn drain_with(&self, mut how: Drain) -> Result<Drained, DrainError> {
        let store = self.store.as_ref().filter(|_| self.sessions_can_leave);
        let store = store.ok_or(DrainError::NoStore)?;
        let _only = self.draining.try_lock().map_err(|_| DrainError::UnderWay)?;
        if let Err(error) = store.check().await
            && !matches!(error, StoreError::Forgets { .. })
        {
            warn!(target: "unbroken::server", %error, "not drained: the store does not work; still serving");
            return Err(DrainError::Store(error));
        }
        self.readiness.set(false);
        let mut round = Round::begin(self).await;
        info!(target: "unbroken::server", sessions = round.progress.left, window = ?how.window, "draining");
        self.tell_all(|| Command::Leave(Leave::TurnAway(how.window)));
        round.watch(how.window, &mut how.progress, || {}).await;
        let (moved, begun) = (round.progress.swapped_out, Instant::now());
        self.tell_all(|| Command::Leave(Leave::Retire));
        let again = || self.tell_all(|| Command::Leave(Leave::Retire));
        let all_out = round.watch(how.deadline, &mut how.progress, again).await;
        let Progress { left, swapped_out, .. } = round.progress;
        if !all_out {
            self.tell_all(|| Command::Leave(Leave::Stay));
            self.readiness.set(true);
            warn!(target: "unbroken::server", left, swapped_out, "not drained: the store did not take all; still serving");
            return Err(DrainError::Incomplete { left, swapped_out });
        }
        info!(target: "unbroken::server", moved, swapped_out = swapped_out - moved, "drained");
        Ok(Drained {
            moved,
            swapped_out: swapped_out - moved,
            took: round.begun.elapsed(),
            swap_out_took: begun.elapsed(),
        })
    }
}

/// Watches the sessions leave.
struct Round<'a> {
    server: &'a Server,
    begun: Instant,
    /// Swapped out before it began.
    before: u64,
    told: Instant,
    progress: Progress,
    /// Requests that the store has not answered.
    unanswered: usize,
}

impl<'a> Round<'a> {
    async fn begin(server: &'a Server) -> Self {
        let now = Instant::now();
        let mut round = Round {
            server,
            begun: now,
            before: 0,
            told: now,
            progress: Progress {
                elapsed: Duration::ZERO,
                left: 0,
                swapped_out: 0,
            },
            unanswered: 0,
        };
        round.look().await;
        round.before = std::mem::take(&mut round.progress.swapped_out);
        round
    }

    async fn look(&mut self) {
        let stats = self.server.stats().await;
        let sum = |pick: fn(&WorkerStats) -> u64| stats.iter().map(pick).sum::<u64>();
        self.unanswered = stats.iter().map(|worker| worker.store_requests).sum();
        self.progress = Progress {
            elapsed: self.begun.elapsed(),
            left: stats.iter().map(|worker| worker.sessions).sum(),
            swapped_out: sum(|worker| worker.counters.swapped_out) - self.before,
        };
    }

    /// Looks on until all are out, or `time` is over. Each second it tells, and does `again`. Returns whether all are out, and the store has said so.
    async fn watch(
        &mut self,
        time: Duration,
        tell: &mut (dyn FnMut(Progress) + Send),
        mut again: impl FnMut(),
    ) -> bool {
        // `None`: for ever.
        let until = Instant::now().checked_add(time);
        loop {
            self.look().await;
            if self.progress.left == 0 && self.unanswered == 0 {
                return true;
            }
            let left = until.map_or(time, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            if self.told.elapsed() >= TELL {
                self.told = Instant::now();
                let Progress { left, swapped_out, .. } = self.progress;
                info!(target: "unbroken::server", left, swapped_out, "draining");
                tell(self.progress);
                again();
            }
            tokio::time::sleep(LOOK.min(left)).await;
        }
    }
}
