//! What an [`Endpoint`](crate::Endpoint) asks of the store that the servers of a cluster share, and what it is answered.
//!
//! Storage is I/O like any socket: the endpoint gives out requests by [`Endpoint::poll_store`](crate::Endpoint::poll_store), the host
//! carries them out as it likes and reports each outcome by [`Endpoint::handle_store`](crate::Endpoint::handle_store).
//! `unbroken-store` has hosts' ends for one machine and for many.
//!
//! ```text
//!   key (locator) ──► record   Live { token, owner, blob } │ Parked { token, blob } │ Tomb { token, blob }     by compare-and-set
//!                 └─► queue    messages from servers to the session, numbered, each with an expiry
//!   owner ──► lease            runs out by the store's clock
//!         └─► mailbox          notes from other endpoints
//!   user  ──► key              whose session it is
//! ```
//!
//! The token is what fences: every write names the record it replaces, so whoever lost a session cannot write it any more. A lease is
//! only a hint that somebody is alive; nothing is decided by it that a compare-and-set does not decide again.

use bytes::Bytes;
use core::fmt;
use core::time::Duration;

/// The key of a session in the store: the first 8 bytes of its [`SessionId`](crate::SessionId).
pub type StoreKey = [u8; 8];

/// An endpoint as others see it through the store: 16 random bytes, new with each [`Endpoint`](crate::Endpoint). Not even a restarted process
/// is its own predecessor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(pub [u8; 16]);

/// Names a request until it is answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RequestId(pub u64);

/// A place in a session's queue: all messages up to it have been taken. The first message stands at 1.
pub type Cursor = u64;

/// A session as the store keeps it. Snapshots are sealed by the endpoint, how a session ended is not; the store neither reads nor changes a blob.
#[derive(Clone, PartialEq, Eq)]
pub enum Record {
    /// An endpoint has it. The blob is its last commit with `Durability::Durable`, else empty.
    Live {
        /// Grows with each write, so that a record can be told from every other that stood here.
        token: u64,
        /// Who has it.
        owner: Owner,
        /// Sealed snapshot, or empty.
        blob: Bytes,
    },
    /// Nobody has it: a snapshot waits for the client.
    Parked {
        /// Grows with each write.
        token: u64,
        /// Sealed snapshot.
        blob: Bytes,
    },
    /// It has ended.
    Tomb {
        /// Grows with each write.
        token: u64,
        /// How it ended; the endpoint's own encoding.
        blob: Bytes,
    },
}

/// What a record must be for a [`StoreOp::Put`] to replace it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// No record, or one whose time is over.
    Absent,
    /// `Live` with this token and owner.
    Live(u64, Owner),
    /// `Parked` with this token, its life not over.
    Parked(u64),
}

/// One request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreRequest {
    /// To be given back with the reply.
    pub id: RequestId,
    /// What to do.
    pub op: StoreOp,
}

/// What can be asked. Requests about one key are carried out in the order in which they were given out.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreOp {
    /// Read a record. Answer: [`StoreReply::Peeked`].
    Peek {
        /// Which.
        key: StoreKey,
    },
    /// Write `record` if the one there is as expected. Answer: [`StoreReply::Done`] or [`StoreReply::Conflict`].
    Put {
        /// Where.
        key: StoreKey,
        /// What must be there.
        expect: Expect,
        /// What shall be there.
        record: Record,
        /// How long it counts, from now by the store's clock. A `Parked` record is *expired* after that. A `Live` or `Tomb` record is gone.
        life: Duration,
        /// How long an expired `Parked` record is kept beyond, to say that it expired. Then it is gone.
        linger: Duration,
    },
    /// Say that `owner` is alive for so long, by the store's clock. Answer: [`StoreReply::Done`].
    Lease {
        /// Who.
        owner: Owner,
        /// How long; zero gives the lease up, and the mailbox with it.
        life: Duration,
    },
    /// Put a note into an owner's mailbox. Answer: [`StoreReply::Done`], or [`StoreReply::Conflict`] if that owner has no lease. Notes may be lost or come
    /// twice; nothing depends on one.
    Send {
        /// To whom.
        to: Owner,
        /// At most 512 bytes.
        note: Bytes,
    },
    /// Wait for notes. Answer: [`StoreReply::Notes`], at once if there are any, else when there are, or empty after some seconds. An
    /// endpoint has at most one of these out, and it must not hold up other requests.
    Receive {
        /// Whose.
        owner: Owner,
    },
    /// Append a message to a session's queue. Answer: [`StoreReply::Appended`], or [`StoreReply::NoSession`] if its record is absent, expired or a `Tomb`, or
    /// [`StoreReply::Conflict`] if the queue is full.
    Append {
        /// Whose queue.
        key: StoreKey,
        /// The message.
        message: Bytes,
        /// How long it is kept.
        life: Duration,
    },
    /// Read messages behind `after`, in order. Answer: [`StoreReply::Messages`].
    Read {
        /// Whose queue.
        key: StoreKey,
        /// All up to this have been taken.
        after: Cursor,
        /// How many at most.
        max: u32,
    },
    /// Forget messages up to `upto`. Answer: [`StoreReply::Done`].
    Trim {
        /// Whose queue.
        key: StoreKey,
        /// The last to be forgotten.
        upto: Cursor,
    },
    /// Say that a user's session is this one now. The store remembers the last few of each user, at least 8. Answer: [`StoreReply::Bound`] with the one
    /// before it, also when the same is asked again, as the first answer may have been lost. Or [`StoreReply::Conflict`], and nothing changes, if it was the user's before, and
    /// another is by now: who was put out does not come back by asking late.
    Bind {
        /// A digest of the application's user key.
        user: [u8; 32],
        /// The session.
        key: StoreKey,
        /// How long it is remembered.
        life: Duration,
    },
}

/// The outcome of a request.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreReply {
    /// Done.
    Done,
    /// It was not as expected; nothing changed.
    Conflict,
    /// What [`StoreOp::Peek`] found.
    Peeked(Option<Peeked>),
    /// Notes for the endpoint, oldest first; may be none.
    Notes(alloc::vec::Vec<Bytes>),
    /// The message stands at this place; the session's owner, if it is `Live`, should be told.
    Appended {
        /// Where it stands.
        cursor: Cursor,
        /// Who has the session.
        owner: Option<Owner>,
    },
    /// There is no such session.
    NoSession,
    /// Messages with their places, in order; fewer than asked for if there are no more.
    Messages(alloc::vec::Vec<(Cursor, Bytes)>),
    /// The user's session before this one, if there was any.
    Bound(Option<StoreKey>),
    /// It was certainly not done: the store could not be reached, or refused it.
    Unavailable,
    /// The store did not answer in time, or the connection broke: whether it was done, or will be yet, is not known. A host must give this for every
    /// request that it has no answer to after a few seconds.
    Failed,
}

/// A record as [`StoreOp::Peek`] finds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peeked {
    /// The record.
    pub record: Record,
    /// (`Parked`) Its life is over.
    pub expired: bool,
    /// (`Live`) Its owner's lease stands.
    pub owner_alive: bool,
}

impl Owner {
    /// Nobody's.
    pub const NONE: Owner = Owner([0; 16]);
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Record {
    /// The token, whatever it is.
    pub fn token(&self) -> u64 {
        match self {
            Record::Live { token, .. } | Record::Parked { token, .. } | Record::Tomb { token, .. } => *token,
        }
    }

    /// Whether a [`StoreOp::Put`] that expects this may replace the record. A record whose time is over is none.
    pub fn is(&self, expect: &Expect) -> bool {
        match (self, expect) {
            (Record::Live { token, owner, .. }, Expect::Live(t, o)) => (token, owner) == (t, o),
            (Record::Parked { token, .. }, Expect::Parked(t)) => token == t,
            _ => false,
        }
    }
}

/// Blobs and messages are shown by their length only: they are the application's, and sealed at best.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Record::Live { token, owner, blob } => write!(f, "Live({token}, {owner}, {} bytes)", blob.len()),
            Record::Parked { token, blob } => write!(f, "Parked({token}, {} bytes)", blob.len()),
            Record::Tomb { token, .. } => write!(f, "Tomb({token})"),
        }
    }
}

impl fmt::Debug for StoreOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreOp::Peek { key } => write!(f, "Peek({key:02x?})"),
            StoreOp::Put {
                key, expect, record, ..
            } => write!(f, "Put({key:02x?}, {expect:?} -> {record:?})"),
            StoreOp::Lease { owner, life } => write!(f, "Lease({owner}, {life:?})"),
            StoreOp::Send { to, note } => write!(f, "Send({to}, {} bytes)", note.len()),
            StoreOp::Receive { owner } => write!(f, "Receive({owner})"),
            StoreOp::Append { key, message, .. } => write!(f, "Append({key:02x?}, {} bytes)", message.len()),
            StoreOp::Read { key, after, max } => write!(f, "Read({key:02x?}, after {after}, {max})"),
            StoreOp::Trim { key, upto } => write!(f, "Trim({key:02x?}, to {upto})"),
            StoreOp::Bind { key, .. } => write!(f, "Bind({key:02x?})"),
        }
    }
}

impl fmt::Debug for StoreReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths = |f: &mut fmt::Formatter<'_>, name: &str, all: &mut dyn Iterator<Item = &Bytes>| {
            let (count, bytes) = all.fold((0, 0), |(count, bytes), one| (count + 1, bytes + one.len()));
            write!(f, "{name}({count}, {bytes} bytes)")
        };
        match self {
            StoreReply::Done => f.write_str("Done"),
            StoreReply::Conflict => f.write_str("Conflict"),
            StoreReply::Peeked(found) => write!(f, "Peeked({found:?})"),
            StoreReply::Notes(notes) => lengths(f, "Notes", &mut notes.iter()),
            StoreReply::Appended { cursor, owner } => write!(f, "Appended(at {cursor:?}, {owner:?})"),
            StoreReply::NoSession => f.write_str("NoSession"),
            StoreReply::Messages(messages) => lengths(f, "Messages", &mut messages.iter().map(|(_, message)| message)),
            StoreReply::Bound(before) => write!(f, "Bound({before:02x?})"),
            StoreReply::Unavailable => f.write_str("Unavailable"),
            StoreReply::Failed => f.write_str("Failed"),
        }
    }
}
