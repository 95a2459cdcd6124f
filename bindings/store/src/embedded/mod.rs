//! A store in one file, by redb: nothing to start, and what is confirmed is on the disk.
//!
//! One thread writes. All requests that came while it was writing share its next transaction, so the cost of a write to the disk is shared by
//! however many wait for it (*group commit*):
//!
//! ```text
//!   submit ──► line ──► [ take all ► one transaction ► commit ► fsync ] ──► replies
//!   submit ──►            └── meanwhile: the next group gathers
//! ```

mod tables;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;
use unbroken::{Owner, StoreOp, StoreReply};

use crate::mailboxes::Mailboxes;
use crate::ticket::Ticket;
use crate::{BoxFuture, Store, StoreError, failed, unavailable};
use writer::{Job, Writer};

/// Batches that may wait for the writer. More are turned down at once: the disk is not coming back soon.
const LINE: usize = 65_536;

/// A store in one file of this machine. Only one process can have the file open; `StoreServer` lends it to others. Clones share it.
///
/// When the last clone is dropped, what was asked for is still written, and the file is free for others: dropping waits for that.
#[derive(Clone)]
pub struct EmbeddedStore(Arc<Inner>);

struct Inner {
    path: PathBuf,
    timeout: Duration,
    mailboxes: Arc<Mailboxes>,
    /// Why the last group failed, if it did.
    trouble: Arc<Mutex<Option<String>>>,
    line: Option<mpsc::SyncSender<Job>>,
    writer: Option<JoinHandle<()>>,
}

/// Options of an [`EmbeddedStore`].
#[derive(Clone, Debug)]
pub struct EmbeddedBuilder {
    path: PathBuf,
    timeout: Duration,
    cache: usize,
}

impl EmbeddedStore {
    /// Opens the file, or makes it, with the options' defaults.
    ///
    /// # Errors
    /// As [`EmbeddedBuilder::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        EmbeddedStore::builder(path).open()
    }

    /// Options for a store in the file at `path`.
    pub fn builder(path: impl AsRef<Path>) -> EmbeddedBuilder {
        EmbeddedBuilder {
            path: path.as_ref().to_owned(),
            timeout: Duration::from_secs(5),
            cache: 64 << 20,
        }
    }
}

impl EmbeddedBuilder {
    /// After how long a request without an answer is given up: 5 s unless told, from 100 ms to 60 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How much of the file is kept in memory, in bytes: 64 MiB unless told.
    pub fn cache(mut self, bytes: usize) -> Self {
        self.cache = bytes;
        self
    }

    /// Opens the file, or makes it, readable for this user only. After a crash it is checked first, which takes as long as reading it.
    ///
    /// # Errors
    /// [`StoreError::File`] if another process has it, it is no store, a damaged or a newer one, or cannot be written;
    /// [`StoreError::Option`] for an option out of bounds.
    pub fn open(self) -> Result<EmbeddedStore, StoreError> {
        crate::check_timeout(self.timeout)?;
        let (mailboxes, trouble) = <(Arc<Mailboxes>, Arc<Mutex<Option<String>>>)>::default();
        let (line, jobs) = mpsc::sync_channel(LINE);
        let writer = Writer::open(&self.path, self.cache, mailboxes.clone(), trouble.clone())?;
        let thread = std::thread::Builder::new()
            .name("unbroken-store".into())
            .spawn(move || writer.run(&jobs))
            .map_err(|error| StoreError::File {
                path: self.path.display().to_string(),
                problem: format!("no thread could be started to write it: {error}"),
            })?;
        Ok(EmbeddedStore(Arc::new(Inner {
            path: self.path,
            timeout: self.timeout,
            mailboxes,
            trouble,
            line: Some(line),
            writer: Some(thread),
        })))
    }
}

impl Store for EmbeddedStore {
    fn submit(&self, batch: Vec<StoreOp>) -> BoxFuture<Vec<StoreReply>> {
        let count = batch.len();
        let (reply, answer) = oneshot::channel();
        let ticket = Ticket::new(batch);
        let job = Job {
            count,
            not_after: Instant::now() + self.0.timeout,
            ticket: ticket.clone(),
            reply,
        };
        let lined_up = self.0.line.as_ref().is_some_and(|line| line.try_send(job).is_ok());
        let timeout = self.0.timeout;
        Box::pin(async move {
            if !lined_up {
                return unavailable(count);
            }
            match tokio::time::timeout(timeout, answer).await {
                Ok(Ok(replies)) => replies,
                // Nobody has begun it, and nobody will.
                Ok(Err(_)) | Err(_) if ticket.take().is_some() => unavailable(count),
                Ok(Err(_)) | Err(_) => failed(count),
            }
        })
    }

    fn receive(&self, owner: Owner) -> BoxFuture<Option<Vec<Bytes>>> {
        let mailboxes = self.0.mailboxes.clone();
        Box::pin(async move { Some(mailboxes.wait(owner).await) })
    }

    fn patience(&self) -> Duration {
        self.0.timeout
    }

    fn check(&self) -> BoxFuture<Result<(), StoreError>> {
        let probe = self.submit(vec![crate::probe()]);
        let inner = self.0.clone();
        Box::pin(async move {
            if probe.await == [StoreReply::Done] {
                return Ok(());
            }
            let trouble = inner.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let problem = trouble.unwrap_or_else(|| {
                format!(
                    "the disk did not take a write within {:?}; look at its load and health",
                    inner.timeout
                )
            });
            Err(StoreError::File {
                path: inner.path.display().to_string(),
                problem,
            })
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The end of the line is the writer's end.
        self.line = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As while the disk hangs: its place in the line is there, and nobody comes to it.
    #[tokio::test]
    async fn nothing_is_kept_of_a_request_that_was_given_up() {
        let (line, jobs) = mpsc::sync_channel(1);
        let store = EmbeddedStore(Arc::new(Inner {
            path: PathBuf::new(),
            timeout: Duration::from_millis(100),
            mailboxes: Arc::default(),
            trouble: Arc::default(),
            line: Some(line),
            writer: None,
        }));
        let note = Arc::new([0; 16]);
        let send = StoreOp::Send {
            to: Owner::NONE,
            note: Bytes::from_owner(Shared(note.clone())),
        };
        assert_eq!(store.submit(vec![send]).await, [StoreReply::Unavailable]);
        assert_eq!(Arc::strong_count(&note), 1);
        assert!(jobs.try_recv().is_ok(), "vacuous: it was never in the line");
    }

    struct Shared(Arc<[u8; 16]>);

    impl AsRef<[u8]> for Shared {
        fn as_ref(&self) -> &[u8] {
            &self.0[..]
        }
    }
}
