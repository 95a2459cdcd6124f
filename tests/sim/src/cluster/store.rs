//! A store in memory, to the letter of `unbroken::store`: what the other stores do on disks and over networks, in virtual time.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use unbroken::{Expect, Instant, Owner, Peeked, Record, StoreKey, StoreOp, StoreReply};

/// Messages that a session's queue holds.
const QUEUE_MAX: usize = 1024;
/// Bytes of one.
const MESSAGE_MAX: usize = 64 << 10;
/// Sessions of one user that are remembered.
const USER_SESSIONS: usize = 8;
/// Notes that a mailbox holds; the oldest goes.
const MAILBOX_MAX: usize = 1024;

#[derive(Clone, Debug)]
struct Entry {
    record: Record,
    until: Instant,
    /// An expired `Parked` record is gone then.
    gone: Instant,
}

#[derive(Clone, Debug, Default)]
struct Letters {
    last: u64,
    waiting: VecDeque<(u64, Bytes, Instant)>,
}

/// See the module's head. A clone is a backup.
#[derive(Clone, Debug, Default)]
pub struct Store {
    records: BTreeMap<StoreKey, Entry>,
    queues: BTreeMap<StoreKey, Letters>,
    leases: BTreeMap<Owner, Instant>,
    notes: BTreeMap<Owner, VecDeque<Bytes>>,
    /// Of each user the last sessions, the newest first.
    users: BTreeMap<[u8; 32], (Vec<StoreKey>, Instant)>,
}

impl Store {
    /// Carries a request out. `None`: it waits for notes, and there are none.
    pub fn apply(&mut self, op: &StoreOp, now: Instant) -> Option<StoreReply> {
        self.sweep(now);
        Some(match op {
            StoreOp::Peek { key } => StoreReply::Peeked(self.peek(key, now)),
            StoreOp::Put {
                key,
                expect,
                record,
                life,
                linger,
            } => self.put(key, expect, record, *life, *linger, now),
            StoreOp::Lease { owner, life } => {
                if life.is_zero() {
                    self.leases.remove(owner);
                    self.notes.remove(owner);
                } else {
                    self.leases.insert(*owner, now + *life);
                }
                StoreReply::Done
            }
            StoreOp::Send { to, note } => {
                assert!(note.len() <= 512, "a note of {} bytes", note.len());
                if !self.is_alive(to, now) {
                    return Some(StoreReply::Conflict);
                }
                let notes = self.notes.entry(*to).or_default();
                notes.push_back(note.clone());
                if notes.len() > MAILBOX_MAX {
                    notes.pop_front();
                }
                StoreReply::Done
            }
            StoreOp::Receive { owner } => {
                let notes = self.notes.remove(owner)?;
                StoreReply::Notes(notes.into())
            }
            StoreOp::Append { key, message, life } => self.append(key, message, *life, now),
            StoreOp::Read { key, after, max } => {
                let waiting = self.queues.get(key).into_iter().flat_map(|queue| &queue.waiting);
                let behind = waiting.filter(|(cursor, ..)| cursor > after);
                let messages = behind.map(|(cursor, message, _)| (*cursor, message.clone()));
                StoreReply::Messages(messages.take(*max as usize).collect())
            }
            StoreOp::Trim { key, upto } => {
                if let Some(queue) = self.queues.get_mut(key) {
                    queue.waiting.retain(|(cursor, ..)| cursor > upto);
                }
                StoreReply::Done
            }
            StoreOp::Bind { user, key, life } => {
                let (sessions, until) = self.users.entry(*user).or_insert((Vec::new(), now));
                match sessions.iter().position(|known| known == key) {
                    Some(0) => {}
                    Some(_) => return Some(StoreReply::Conflict),
                    None => sessions.insert(0, *key),
                }
                sessions.truncate(USER_SESSIONS);
                *until = now + *life;
                StoreReply::Bound(sessions.get(1).copied())
            }
        })
    }

    fn peek(&self, key: &StoreKey, now: Instant) -> Option<Peeked> {
        let entry = self.records.get(key)?;
        Some(Peeked {
            record: entry.record.clone(),
            expired: entry.until <= now,
            owner_alive: matches!(&entry.record, Record::Live { owner, .. } if self.is_alive(owner, now)),
        })
    }

    fn put(
        &mut self,
        key: &StoreKey,
        expect: &Expect,
        record: &Record,
        life: Duration,
        linger: Duration,
        now: Instant,
    ) -> StoreReply {
        let stands = self.records.get(key).filter(|entry| entry.until > now);
        let as_expected = match stands {
            None => *expect == Expect::Absent,
            Some(entry) => entry.record.is(expect),
        };
        if !as_expected {
            return StoreReply::Conflict;
        }
        if *expect == Expect::Absent {
            // Whatever was left for a session that had this key before is not for this one.
            self.queues.remove(key);
        }
        let until = now + life;
        let parked = matches!(record, Record::Parked { .. });
        let record = record.clone();
        let gone = if parked { until + linger } else { until };
        self.records.insert(*key, Entry { record, until, gone });
        StoreReply::Done
    }

    fn append(&mut self, key: &StoreKey, message: &Bytes, life: Duration, now: Instant) -> StoreReply {
        let owner = match self.records.get(key).filter(|entry| entry.until > now) {
            None
            | Some(Entry {
                record: Record::Tomb { .. },
                ..
            }) => return StoreReply::NoSession,
            Some(Entry {
                record: Record::Live { owner, .. },
                ..
            }) => Some(*owner),
            Some(_) => None,
        };
        let queue = self.queues.entry(*key).or_default();
        if queue.waiting.len() >= QUEUE_MAX || message.len() > MESSAGE_MAX {
            return StoreReply::Conflict;
        }
        queue.last += 1;
        queue.waiting.push_back((queue.last, message.clone(), now + life));
        StoreReply::Appended {
            cursor: queue.last,
            owner,
        }
    }

    fn is_alive(&self, owner: &Owner, now: Instant) -> bool {
        self.leases.get(owner).is_some_and(|until| *until > now)
    }

    fn sweep(&mut self, now: Instant) {
        self.records.retain(|_, entry| entry.gone > now);
        let records = &self.records;
        self.queues.retain(|key, queue| {
            queue.waiting.retain(|(.., until)| *until > now);
            records.contains_key(key) || !queue.waiting.is_empty()
        });
        self.users.retain(|_, (_, until)| *until > now);
    }

    // ---- what goes wrong behind everybody's back ----

    pub fn keys(&self) -> Vec<StoreKey> {
        self.records.keys().copied().collect()
    }

    pub fn record(&self, key: &StoreKey) -> Option<&Record> {
        self.records.get(key).map(|entry| &entry.record)
    }

    /// Whether the record says that somebody has the session who gives no sign of life.
    pub fn is_orphaned(&self, key: &StoreKey, now: Instant) -> bool {
        matches!(self.record(key), Some(Record::Live { owner, .. }) if !self.is_alive(owner, now))
    }

    /// Changes a blob in its place; whether there was one.
    pub fn spoil(&mut self, key: &StoreKey, spoil: impl FnOnce(&mut Vec<u8>)) -> bool {
        let Some(entry) = self.records.get_mut(key) else {
            return false;
        };
        let (Record::Live { blob, .. } | Record::Parked { blob, .. } | Record::Tomb { blob, .. }) = &mut entry.record;
        if blob.is_empty() {
            return false;
        }
        let mut bytes = blob.to_vec();
        spoil(&mut bytes);
        *blob = bytes.into();
        true
    }

    /// The code that a session's end is told with, as the endpoint writes it: status 1 | kind 1 | code 4.
    pub fn epitaph(&self, key: &StoreKey) -> Option<u32> {
        let Some(Record::Tomb { blob, .. }) = self.record(key) else {
            return None;
        };
        blob.get(2..)?.first_chunk().map(|code| u32::from_be_bytes(*code))
    }

    /// The record is gone before its time (F-89).
    pub fn evict(&mut self, key: &StoreKey) {
        self.records.remove(key);
        self.queues.remove(key);
    }

    /// The record's time is over now (F-88); the lingering goes on.
    pub fn expire(&mut self, key: &StoreKey, now: Instant) {
        if let Some(entry) = self.records.get_mut(key) {
            entry.until = now;
            if !matches!(entry.record, Record::Parked { .. }) {
                entry.gone = now;
            }
        }
    }
}
