//! The tables in the file. Their names and types are its format; `FORMAT` counts their changes.

use redb::{Database, ReadableTable, Table, TableDefinition, TableError, Value, WriteTransaction};
use unbroken::{Cursor, Owner, Record, StoreKey};

use crate::Bytes;
use crate::clock::Millis;
use crate::rules::{QUEUE_MESSAGES, Row, Tables};

/// Version of everything below. Another one is refused.
const FORMAT: u64 = 1;

const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const ROWS: TableDefinition<&[u8; 8], RowValue> = TableDefinition::new("records");
const LEASES: TableDefinition<&[u8; 16], Millis> = TableDefinition::new("leases");
/// A user's last sessions, one behind the other, the newest first.
const USERS: TableDefinition<&[u8; 32], (&[u8], Millis)> = TableDefinition::new("users");
const QUEUES: TableDefinition<QueueKey, QueueValue> = TableDefinition::new("queues");

/// Kind, token, owner, over, gone, last, blob.
type RowValue = (u8, u64, &'static [u8; 16], Millis, Millis, Cursor, &'static [u8]);

type QueueKey = (&'static [u8; 8], Cursor);
type QueueValue = (Millis, &'static [u8]);

const LIVE: u8 = 1;
const PARKED: u8 = 2;
const TOMB: u8 = 3;

/// The tables within one transaction.
pub(super) struct Open<'txn> {
    rows: Table<'txn, &'static [u8; 8], RowValue>,
    leases: Table<'txn, &'static [u8; 16], Millis>,
    users: Table<'txn, &'static [u8; 32], (&'static [u8], Millis)>,
    queues: Table<'txn, QueueKey, QueueValue>,
    changed: bool,
}

/// Makes sure that the file has this format.
pub(super) fn prepare(database: &Database) -> Result<(), String> {
    let work = || -> Result<Option<u64>, redb::Error> {
        let transaction = database.begin_write()?;
        let format = {
            let mut meta = transaction.open_table(META)?;
            let format = meta.get("format")?.map(|format| format.value());
            if format.is_none() {
                meta.insert("format", FORMAT)?;
            }
            format
        };
        drop(Open::new(&transaction)?);
        transaction.commit()?;
        Ok(format)
    };
    match work() {
        Ok(None | Some(FORMAT)) => Ok(()),
        Ok(Some(other)) => Err(format!(
            "it has format {other}, and this version knows {FORMAT}; run the version that wrote it, or name another file"
        )),
        Err(error) => Err(format!("its tables cannot be opened ({error}); name another file")),
    }
}

impl<'txn> Open<'txn> {
    pub(super) fn new(transaction: &'txn WriteTransaction) -> Result<Self, TableError> {
        Ok(Open {
            rows: transaction.open_table(ROWS)?,
            leases: transaction.open_table(LEASES)?,
            users: transaction.open_table(USERS)?,
            queues: transaction.open_table(QUEUES)?,
            changed: false,
        })
    }

    /// Whether anything was changed.
    pub(super) fn close(self) -> bool {
        self.changed
    }

    pub(super) fn is_leased(&self, owner: Owner, now: Millis) -> bool {
        self.lease(owner)
            .is_ok_and(|until| until.is_some_and(|until| now < until))
    }

    /// Removes what is over, in the slice of keys that begin with this byte. Keys are random, so slices are alike.
    pub(super) fn sweep(&mut self, slice: u8, now: Millis) -> Result<(), redb::Error> {
        let mut removed = false;
        let mut keep = |until: Millis| {
            removed |= now >= until;
            now < until
        };
        let (low, high) = slice_of::<8>(slice);
        let queues = (&low, Cursor::MIN)..=(&high, Cursor::MAX);
        self.rows.retain_in::<&[u8; 8], _>(&low..=&high, |_, row| keep(row.4))?;
        self.queues.retain_in(queues, |_, (until, _)| keep(until))?;
        let (low, high) = slice_of::<16>(slice);
        self.leases
            .retain_in::<&[u8; 16], _>(&low..=&high, |_, until| keep(until))?;
        let (low, high) = slice_of::<32>(slice);
        self.users
            .retain_in::<&[u8; 32], _>(&low..=&high, |_, (_, until)| keep(until))?;
        self.changed |= removed;
        Ok(())
    }
}

/// The first and the last key that begin with this byte.
fn slice_of<const N: usize>(slice: u8) -> ([u8; N], [u8; N]) {
    let (mut low, mut high) = ([0; N], [0xff; N]);
    (low[0], high[0]) = (slice, slice);
    (low, high)
}

impl Tables for Open<'_> {
    type Error = redb::Error;

    fn row(&self, key: StoreKey) -> Result<Option<Row>, redb::Error> {
        Ok(self.rows.get(&key)?.and_then(|row| decode(row.value())))
    }

    fn set_row(&mut self, key: StoreKey, row: &Row) -> Result<(), redb::Error> {
        let none = Owner::NONE;
        let (kind, owner, blob) = match &row.record {
            Record::Live { owner, blob, .. } => (LIVE, owner, blob),
            Record::Parked { blob, .. } => (PARKED, &none, blob),
            Record::Tomb { blob, .. } => (TOMB, &none, blob),
        };
        let value = (
            kind,
            row.record.token(),
            &owner.0,
            row.over,
            row.gone,
            row.last,
            &blob[..],
        );
        self.rows.insert(&key, value)?;
        self.changed = true;
        Ok(())
    }

    fn lease(&self, owner: Owner) -> Result<Option<Millis>, redb::Error> {
        Ok(self.leases.get(&owner.0)?.map(|until| until.value()))
    }

    fn set_lease(&mut self, owner: Owner, until: Option<Millis>) -> Result<(), redb::Error> {
        match until {
            Some(until) => self.leases.insert(&owner.0, until)?,
            None => self.leases.remove(&owner.0)?,
        };
        self.changed = true;
        Ok(())
    }

    fn user(&self, user: [u8; 32]) -> Result<Option<(Vec<StoreKey>, Millis)>, redb::Error> {
        Ok(self.users.get(&user)?.map(|bound| {
            let (sessions, until) = bound.value();
            (sessions.as_chunks().0.to_vec(), until)
        }))
    }

    fn set_user(&mut self, user: [u8; 32], sessions: &[StoreKey], until: Millis) -> Result<(), redb::Error> {
        self.users.insert(&user, (sessions.as_flattened(), until))?;
        self.changed = true;
        Ok(())
    }

    fn push(&mut self, key: StoreKey, at: Cursor, message: &[u8], until: Millis) -> Result<(), redb::Error> {
        self.queues.insert((&key, at), (until, message))?;
        self.changed = true;
        Ok(())
    }

    fn queued(&self, key: StoreKey) -> Result<usize, redb::Error> {
        let mut queue = self.queues.range((&key, Cursor::MIN)..=(&key, Cursor::MAX))?;
        let (Some(first), last) = (queue.next().transpose()?, queue.next_back().transpose()?) else {
            return Ok(0);
        };
        let Some(last) = last else { return Ok(1) };
        // Counting one by one with each message would take longer the more there are.
        let between = last.0.value().1 - first.0.value().1;
        match usize::try_from(between) {
            Ok(between) if between + 1 < QUEUE_MESSAGES => Ok(between + 1),
            _ => Ok(2 + queue.count()),
        }
    }

    fn messages(
        &self,
        key: StoreKey,
        after: Cursor,
        max: usize,
        now: Millis,
    ) -> Result<Vec<(Cursor, Bytes)>, redb::Error> {
        let Some(first) = after.checked_add(1) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for entry in self.queues.range((&key, first)..=(&key, Cursor::MAX))? {
            if found.len() >= max {
                break;
            }
            let (at, message) = entry?;
            let (until, message) = message.value();
            if now < until {
                found.push((at.value().1, Bytes::copy_from_slice(message)));
            }
        }
        Ok(found)
    }

    fn trim(&mut self, key: StoreKey, upto: Cursor, now: Millis) -> Result<(), redb::Error> {
        let mut removed = false;
        self.queues
            .retain_in((&key, Cursor::MIN)..=(&key, Cursor::MAX), |(_, at), (until, _)| {
                let keep = at > upto && now < until;
                removed |= !keep;
                keep
            })?;
        self.changed |= removed;
        Ok(())
    }
}

/// A kind that is not known reads as none: another format would have been refused.
fn decode((kind, token, owner, over, gone, last, blob): <RowValue as Value>::SelfType<'_>) -> Option<Row> {
    let blob = Bytes::copy_from_slice(blob);
    let record = match kind {
        LIVE => Record::Live {
            token,
            owner: Owner(*owner),
            blob,
        },
        PARKED => Record::Parked { token, blob },
        TOMB => Record::Tomb { token, blob },
        _ => return None,
    };
    Some(Row {
        record,
        over,
        gone,
        last,
    })
}
