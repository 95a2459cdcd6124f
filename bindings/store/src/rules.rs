//! What each request does, over tables that somebody else keeps: in memory, or in a file.
//!
//! A row's time runs out twice. At `over` the record's life is over: a `Live` or `Tomb` record is none any more, a `Parked` one is *expired*. At
//! `gone` an expired one is none, too. What is none may still lie in the tables until somebody sweeps; nothing here sees it.

use bytes::Bytes;
use unbroken::{Cursor, Expect, Owner, Peeked, Record, StoreKey, StoreOp, StoreReply};

use crate::clock::{Millis, millis};
use crate::mailboxes::Mailboxes;

/// Messages that wait in one session's queue at most. One more is answered by [`StoreReply::Conflict`].
pub const QUEUE_MESSAGES: usize = 1024;

/// The largest message that a queue takes, in bytes. A larger one is answered by [`StoreReply::Conflict`].
pub const QUEUE_MESSAGE: usize = 64 * 1024;

/// Notes that wait in one mailbox at most. The oldest goes when one more comes.
pub const MAILBOX_NOTES: usize = 1024;

/// How many of a user's sessions are remembered: the one that he has, and those that were put out for it. One of them that asks again, because the answer
/// to its binding was lost, is told so; if more have come meanwhile, it puts the newest out, which is where the promise ends.
pub(crate) const USER_SESSIONS: usize = 8;

/// A session's record with its times.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) record: Record,
    pub(crate) over: Millis,
    pub(crate) gone: Millis,
    /// Where the last message of the queue stands or stood.
    pub(crate) last: Cursor,
}

/// Where the rows are. Nothing here looks at times, unless it says so.
pub(crate) trait Tables {
    type Error;

    fn row(&self, key: StoreKey) -> Result<Option<Row>, Self::Error>;
    fn set_row(&mut self, key: StoreKey, row: &Row) -> Result<(), Self::Error>;

    fn lease(&self, owner: Owner) -> Result<Option<Millis>, Self::Error>;
    fn set_lease(&mut self, owner: Owner, until: Option<Millis>) -> Result<(), Self::Error>;

    /// A user's last sessions, the newest first.
    fn user(&self, user: [u8; 32]) -> Result<Option<(Vec<StoreKey>, Millis)>, Self::Error>;
    fn set_user(&mut self, user: [u8; 32], sessions: &[StoreKey], until: Millis) -> Result<(), Self::Error>;

    fn push(&mut self, key: StoreKey, at: Cursor, message: &[u8], until: Millis) -> Result<(), Self::Error>;
    /// How many messages lie in the queue; less than [`QUEUE_MESSAGES`] may be said of fewer.
    fn queued(&self, key: StoreKey) -> Result<usize, Self::Error>;
    /// Up to `max` messages behind `after` whose time is not over.
    fn messages(
        &self,
        key: StoreKey,
        after: Cursor,
        max: usize,
        now: Millis,
    ) -> Result<Vec<(Cursor, Bytes)>, Self::Error>;
    /// Removes the messages at `upto` and before, and those whose time is over.
    fn trim(&mut self, key: StoreKey, upto: Cursor, now: Millis) -> Result<(), Self::Error>;
}

/// Carries out one request.
pub(crate) fn apply<T: Tables>(
    tables: &mut T,
    mailboxes: &Mailboxes,
    op: StoreOp,
    now: Millis,
) -> Result<StoreReply, T::Error> {
    Ok(match op {
        StoreOp::Peek { key } => StoreReply::Peeked(match present(tables, key, now)? {
            Some(row) => Some(Peeked {
                expired: row.is_over(now),
                owner_alive: matches!(row.record, Record::Live { owner, .. } if alive(tables, owner, now)?),
                record: row.record,
            }),
            None => None,
        }),
        StoreOp::Put {
            key,
            expect,
            record,
            life,
            linger,
        } => {
            let Some(last) = replaceable(tables, key, &expect, now)? else {
                return Ok(StoreReply::Conflict);
            };
            let over = now.saturating_add(millis(life));
            let gone = match record {
                Record::Parked { .. } => over.saturating_add(millis(linger)),
                Record::Live { .. } | Record::Tomb { .. } => over,
            };
            let row = Row {
                record,
                over,
                gone,
                last,
            };
            tables.set_row(key, &row)?;
            StoreReply::Done
        }
        StoreOp::Lease { owner, life } if life.is_zero() => {
            tables.set_lease(owner, None)?;
            mailboxes.remove(owner);
            StoreReply::Done
        }
        StoreOp::Lease { owner, life } => {
            tables.set_lease(owner, Some(now.saturating_add(millis(life))))?;
            StoreReply::Done
        }
        StoreOp::Send { to, note } => match alive(tables, to, now)? {
            true => {
                mailboxes.put(to, note);
                StoreReply::Done
            }
            false => StoreReply::Conflict,
        },
        StoreOp::Receive { owner } => StoreReply::Notes(mailboxes.take(owner)),
        StoreOp::Append { message, .. } if message.len() > QUEUE_MESSAGE => StoreReply::Conflict,
        StoreOp::Append { key, message, life } => append(tables, key, &message, now, now.saturating_add(millis(life)))?,
        StoreOp::Read { key, after, max } => StoreReply::Messages(tables.messages(key, after, max as usize, now)?),
        StoreOp::Trim { key, upto } => {
            tables.trim(key, upto, now)?;
            StoreReply::Done
        }
        StoreOp::Bind { user, key, life } => {
            let bound = tables.user(user)?.filter(|(_, until)| now < *until);
            let mut sessions = bound.map_or_else(Vec::new, |(sessions, _)| sessions);
            match sessions.iter().position(|known| *known == key) {
                Some(0) => {}
                Some(_) => return Ok(StoreReply::Conflict),
                None => sessions.insert(0, key),
            }
            sessions.truncate(USER_SESSIONS);
            tables.set_user(user, &sessions, now.saturating_add(millis(life)))?;
            StoreReply::Bound(sessions.get(1).copied())
        }
    })
}

/// If a record may be written: what its session's messages count on from.
fn replaceable<T: Tables>(
    tables: &mut T,
    key: StoreKey,
    expect: &Expect,
    now: Millis,
) -> Result<Option<Cursor>, T::Error> {
    let row = present(tables, key, now)?;
    Ok(match (expect, row) {
        (Expect::Absent, row) if row.as_ref().is_none_or(|row| row.is_over(now)) => {
            // A new session: nothing that its key's former one left is its own.
            tables.trim(key, Cursor::MAX, now)?;
            Some(0)
        }
        (Expect::Live(..) | Expect::Parked(_), Some(row)) if row.record.is(expect) && !row.is_over(now) => {
            Some(row.last)
        }
        _ => None,
    })
}

fn append<T: Tables>(
    tables: &mut T,
    key: StoreKey,
    message: &[u8],
    now: Millis,
    until: Millis,
) -> Result<StoreReply, T::Error> {
    let Some(mut row) = present(tables, key, now)?.filter(|row| !row.is_over(now)) else {
        return Ok(StoreReply::NoSession);
    };
    let owner = match row.record {
        Record::Live { owner, .. } => Some(owner),
        Record::Parked { .. } => None,
        Record::Tomb { .. } => return Ok(StoreReply::NoSession),
    };
    if tables.queued(key)? >= QUEUE_MESSAGES {
        tables.trim(key, 0, now)?;
    }
    if tables.queued(key)? >= QUEUE_MESSAGES {
        return Ok(StoreReply::Conflict);
    }
    row.last += 1;
    tables.push(key, row.last, message, until)?;
    tables.set_row(key, &row)?;
    Ok(StoreReply::Appended {
        cursor: row.last,
        owner,
    })
}

/// The row, unless it is gone.
fn present<T: Tables>(tables: &T, key: StoreKey, now: Millis) -> Result<Option<Row>, T::Error> {
    Ok(tables.row(key)?.filter(|row| now < row.gone))
}

fn alive<T: Tables>(tables: &T, owner: Owner, now: Millis) -> Result<bool, T::Error> {
    Ok(tables.lease(owner)?.is_some_and(|until| now < until))
}

impl Row {
    fn is_over(&self, now: Millis) -> bool {
        now >= self.over
    }
}
