//! The thread that has the file: one transaction for each group of batches.
//!
//! If a transaction fails (a full disk, an I/O error) before its commit, nothing of its group was done, and each of it is answered by `Unavailable`. Of a commit that fails nobody knows:
//! `Failed`. The file is closed then, and opened anew for the next group: a disk with room again needs no restart.

use std::fs::OpenOptions;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use redb::{Database, DatabaseError, StorageError};
use tokio::sync::oneshot;
use unbroken::{StoreOp, StoreReply};

use super::tables::{self, Open};
use crate::clock::Clock;
use crate::mailboxes::Mailboxes;
use crate::ticket::Ticket;
use crate::{StoreError, failed, rules, unavailable};

/// Requests in one transaction at most, so that none waits behind an endless group.
const GROUP: usize = 16_384;

/// How often a slice of the file is swept. It has 256.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

const PANICKED: &str =
    "redb panicked, so the file may be damaged; put back a copy, or move it away and lose the sessions in it";

/// A batch in the line.
pub(super) struct Job {
    /// How many requests it has.
    pub(super) count: usize,
    /// Its caller has given up after that.
    pub(super) not_after: Instant,
    pub(super) ticket: Ticket<Vec<StoreOp>>,
    pub(super) reply: oneshot::Sender<Vec<StoreReply>>,
}

/// What is known of a transaction that came to nothing.
#[derive(Clone, Copy)]
enum Failure {
    NotDone,
    Unknown,
}

pub(super) struct Writer {
    path: PathBuf,
    cache: usize,
    /// `None` after a failure, until it is opened again.
    database: Option<Database>,
    clock: Clock,
    mailboxes: Arc<Mailboxes>,
    trouble: Arc<Mutex<Option<String>>>,
    slice: u8,
}

impl Writer {
    pub(super) fn open(
        path: &Path,
        cache: usize,
        mailboxes: Arc<Mailboxes>,
        trouble: Arc<Mutex<Option<String>>>,
    ) -> Result<Self, StoreError> {
        let opened = catch_unwind(|| open(path, cache)).unwrap_or_else(|_| Err(PANICKED.into()));
        let database = opened.map_err(|problem| StoreError::File {
            path: path.display().to_string(),
            problem,
        })?;
        Ok(Writer {
            path: path.to_owned(),
            cache,
            database: Some(database),
            clock: Clock::default(),
            mailboxes,
            trouble,
            slice: 0,
        })
    }

    /// Until the last store is dropped.
    pub(super) fn run(mut self, jobs: &mpsc::Receiver<Job>) {
        let mut sweep_at = Instant::now() + SWEEP_EVERY;
        loop {
            match jobs.recv_timeout(sweep_at.saturating_duration_since(Instant::now())) {
                Ok(first) => self.serve(gather(first, jobs)),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() >= sweep_at {
                self.sweep();
                sweep_at = Instant::now() + SWEEP_EVERY;
            }
        }
    }

    fn serve(&mut self, group: Vec<Job>) {
        let (mut batches, mut callers) = (Vec::new(), Vec::new());
        for job in group {
            // One that comes too late for its caller is better not done: nobody would learn of it.
            if Instant::now() < job.not_after
                && let Some(ops) = job.ticket.take()
            {
                callers.push((job.reply, ops.len()));
                batches.push(ops);
            }
        }
        let answers = self.transaction(|open, writer| {
            let now = writer.clock.now();
            let mut apply = |op| rules::apply(open, &writer.mailboxes, op, now);
            let carry_out = |batch: Vec<StoreOp>| batch.into_iter().map(&mut apply).collect();
            batches.into_iter().map(carry_out).collect::<Result<Vec<Vec<_>>, _>>()
        });
        let none = match answers {
            Ok(answers) => {
                for ((caller, _), replies) in callers.into_iter().zip(answers) {
                    let _ = caller.send(replies);
                }
                return;
            }
            Err(Failure::NotDone) => unavailable,
            Err(Failure::Unknown) => failed,
        };
        for (caller, count) in callers {
            let _ = caller.send(none(count));
        }
    }

    fn sweep(&mut self) {
        let slice = self.slice;
        self.slice = slice.wrapping_add(1);
        // What could not be swept today is swept another day.
        let _ = self.transaction(|open, writer| {
            let now = writer.clock.now();
            open.sweep(slice, now)?;
            writer.mailboxes.retain(|owner| open.is_leased(owner, now));
            Ok(())
        });
    }

    /// One transaction: all of it is on the disk when this returns, or nothing. One that changed nothing writes nothing.
    fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Open<'_>, &Self) -> Result<T, redb::Error>,
    ) -> Result<T, Failure> {
        let attempt = || {
            let database = self.reopen().map_err(|trouble| (Failure::NotDone, trouble))?;
            let answer = commit(&database, |open| work(open, self))?;
            Ok((database, answer))
        };
        // A damaged file can make redb panic. That must not end this thread, or nobody would get an answer any more.
        let outcome =
            catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|_| Err((Failure::Unknown, PANICKED.into())));
        let (answer, trouble) = match outcome {
            Ok((database, answer)) => {
                self.database = Some(database);
                (Ok(answer), None)
            }
            Err((failure, trouble)) => {
                tracing::error!(target: "unbroken::store", path = %self.path.display(), "{trouble}");
                (Err(failure), Some(trouble))
            }
        };
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        answer
    }

    /// The database; opened anew after a failure.
    fn reopen(&mut self) -> Result<Database, String> {
        match self.database.take() {
            Some(database) => Ok(database),
            None => open(&self.path, self.cache),
        }
    }
}

fn commit<T>(
    database: &Database,
    work: impl FnOnce(&mut Open<'_>) -> Result<T, redb::Error>,
) -> Result<T, (Failure, String)> {
    let prepared = || {
        let transaction = database.begin_write()?;
        let mut open = Open::new(&transaction)?;
        let answer = work(&mut open)?;
        let changed = open.close();
        Ok((transaction, answer, changed))
    };
    let (transaction, answer, changed) = prepared().map_err(|error| (Failure::NotDone, trouble(&error)))?;
    let ended = match changed {
        true => transaction.commit().map_err(redb::Error::from),
        false => transaction.abort().map_err(redb::Error::from),
    };
    match ended {
        Ok(()) => Ok(answer),
        Err(error) if changed => Err((Failure::Unknown, trouble(&error))),
        Err(error) => Err((Failure::NotDone, trouble(&error))),
    }
}

/// What else is in the line already.
fn gather(first: Job, jobs: &mpsc::Receiver<Job>) -> Vec<Job> {
    let mut count = first.count;
    let mut group = vec![first];
    while count < GROUP {
        match jobs.try_recv() {
            Ok(job) => {
                count += job.count;
                group.push(job);
            }
            Err(_) => break,
        }
    }
    group
}

/// Opens the file, or says what is wrong with it.
fn open(path: &Path, cache: usize) -> Result<Database, String> {
    create_private(path)
        .map_err(|error| format!("{error}; it must be in an existing directory that this user may write to"))?;
    let database = Database::builder()
        .set_cache_size(cache)
        .create(path)
        .map_err(|error| unusable(&error))?;
    tables::prepare(&database)?;
    Ok(database)
}

/// Makes the file if there is none. It holds messages of the application in the clear, so it is nobody else's to read.
fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn unusable(error: &DatabaseError) -> String {
    match error {
        DatabaseError::DatabaseAlreadyOpen => {
            "another process has it open, and only one can. Let that one serve it to the others \
             (`StoreServer`, or `unbroken-store-server`), or use Redis"
                .into()
        }
        DatabaseError::UpgradeRequired(version) => {
            format!("it has redb's file format {version}, which this version does not read; start with a new file")
        }
        DatabaseError::Storage(StorageError::Corrupted(what)) => {
            format!("it is damaged ({what}); put back a copy, or move it away and lose the sessions in it")
        }
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
            format!("it is no store ({error}); name another file")
        }
        other => format!("{other}; it must be a file on a local disk with room that this user may write to"),
    }
}

fn trouble(error: &redb::Error) -> String {
    format!("a write failed ({error}); it goes on as soon as the disk takes writes again: look at its room and health")
}
