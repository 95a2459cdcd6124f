//! What was seen of a run while it went on: turns, handovers, and the lives of the servers.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use unbroken_tokio::Event;

/// How a server is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    Starting,
    Serving,
    /// Told to leave.
    Leaving,
    Down,
    /// Killed with -9.
    Killed,
}

impl Condition {
    /// For displays and the report.
    pub fn name(self) -> &'static str {
        match self {
            Condition::Starting => "starting",
            Condition::Serving => "serving",
            Condition::Leaving => "leaving",
            Condition::Down => "down",
            Condition::Killed => "killed",
        }
    }
}

/// See the module's head.
pub struct Chronicle {
    begun: Instant,
    played: AtomicU64,
    answered: AtomicU64,
    finished: AtomicU64,
    established: AtomicU64,
    replayed: AtomicU64,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    /// When each answer came, and how long after its turn.
    answers: Vec<(Duration, Duration)>,
    handovers: Vec<Handover>,
    failed: Vec<String>,
    servers: Vec<Vec<(Duration, Condition)>>,
}

/// One interruption as a client saw it.
#[derive(Clone, Copy, Debug)]
pub struct Handover {
    /// When it was over.
    pub at: Duration,
    pub downtime: Duration,
    /// Another server process has the session now.
    pub takeover: bool,
}

/// The counts at a moment.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    pub played: u64,
    pub answered: u64,
    pub finished: u64,
    pub established: u64,
    pub handovers: u64,
    pub takeovers: u64,
    pub failed: u64,
    pub replayed: u64,
}

impl Chronicle {
    pub fn new() -> Self {
        Chronicle {
            begun: Instant::now(),
            played: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            established: AtomicU64::new(0),
            replayed: AtomicU64::new(0),
            book: Mutex::default(),
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub fn played(&self) {
        self.played.fetch_add(1, Relaxed);
    }

    pub fn answered(&self, after: Duration) {
        self.answered.fetch_add(1, Relaxed);
        let at = self.elapsed();
        self.book().answers.push((at, after));
    }

    pub fn finished(&self) {
        self.finished.fetch_add(1, Relaxed);
    }

    /// What the library told a client.
    pub fn event(&self, event: &Event) {
        match event {
            Event::Established { .. } => {
                self.established.fetch_add(1, Relaxed);
            }
            Event::HandoverEnd(end) => {
                self.replayed.fetch_add(end.replayed_messages, Relaxed);
                let handover = Handover {
                    at: self.elapsed(),
                    downtime: end.downtime,
                    takeover: !end.same_server,
                };
                self.book().handovers.push(handover);
            }
            Event::HandoverFailed { reason, .. } => self.book().failed.push(reason.to_string()),
            _ => {}
        }
    }

    /// A server changed.
    pub fn server(&self, index: usize, condition: Condition) {
        let at = self.elapsed();
        let mut book = self.book();
        if book.servers.len() <= index {
            book.servers.resize(index + 1, Vec::new());
        }
        book.servers[index].push((at, condition));
    }

    /// How each server is now.
    pub fn conditions(&self) -> Vec<Condition> {
        let last = |life: &Vec<(Duration, Condition)>| life.last().map_or(Condition::Down, |(_, condition)| *condition);
        self.book().servers.iter().map(last).collect()
    }

    pub fn counts(&self) -> Counts {
        let book = self.book();
        Counts {
            played: self.played.load(Relaxed),
            answered: self.answered.load(Relaxed),
            finished: self.finished.load(Relaxed),
            established: self.established.load(Relaxed),
            handovers: book.handovers.len() as u64,
            takeovers: book.handovers.iter().filter(|handover| handover.takeover).count() as u64,
            failed: book.failed.len() as u64,
            replayed: self.replayed.load(Relaxed),
        }
    }

    pub fn servers(&self) -> Vec<Vec<(Duration, Condition)>> {
        self.book().servers.clone()
    }

    pub fn handovers(&self) -> Vec<Handover> {
        self.book().handovers.clone()
    }

    pub fn answers(&self) -> Vec<(Duration, Duration)> {
        self.book().answers.clone()
    }

    /// Why handovers failed.
    pub fn failures(&self) -> Vec<String> {
        self.book().failed.clone()
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
