//! Notes to endpoints, in this process's memory: they may be lost, and nothing depends on one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use unbroken::Owner;

use crate::rules::MAILBOX_NOTES;

/// How long [`Mailboxes::wait`] waits.
pub(crate) const RECEIVE_WAIT: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(crate) struct Mailboxes(Mutex<HashMap<Owner, Mailbox>>);

#[derive(Default)]
struct Mailbox {
    notes: VecDeque<Bytes>,
    bell: Arc<Notify>,
}

impl Mailboxes {
    /// Puts a note in; the oldest goes if there are too many.
    pub(crate) fn put(&self, to: Owner, note: Bytes) {
        let mut boxes = self.lock();
        let mailbox = boxes.entry(to).or_default();
        if mailbox.notes.len() >= MAILBOX_NOTES {
            mailbox.notes.pop_front();
        }
        mailbox.notes.push_back(note);
        mailbox.bell.notify_one();
    }

    /// Takes what is there.
    pub(crate) fn take(&self, owner: Owner) -> Vec<Bytes> {
        self.lock()
            .get_mut(&owner)
            .map_or_else(Vec::new, |mailbox| mailbox.notes.drain(..).collect())
    }

    /// Takes what is there, or what comes first within [`RECEIVE_WAIT`].
    pub(crate) async fn wait(&self, owner: Owner) -> Vec<Bytes> {
        let arrival = async {
            loop {
                let bell = {
                    let mut boxes = self.lock();
                    let mailbox = boxes.entry(owner).or_default();
                    if !mailbox.notes.is_empty() {
                        return mailbox.notes.drain(..).collect();
                    }
                    mailbox.bell.clone()
                };
                bell.notified().await;
            }
        };
        tokio::time::timeout(RECEIVE_WAIT, arrival).await.unwrap_or_default()
    }

    /// Forgets a mailbox. Who waits at it waits at a new one.
    pub(crate) fn remove(&self, owner: Owner) {
        if let Some(mailbox) = self.lock().remove(&owner) {
            mailbox.bell.notify_one();
        }
    }

    /// Forgets the mailboxes of those who are not alive any more, and at which nobody waits.
    pub(crate) fn retain(&self, mut alive: impl FnMut(Owner) -> bool) {
        self.lock()
            .retain(|owner, mailbox| Arc::strong_count(&mailbox.bell) > 1 || alive(*owner));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Owner, Mailbox>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
