//! Everything that can be refused, fail or end, with its name.

use alloc::string::String;
use bytes::Bytes;
use core::fmt;

/// A value in a configuration that cannot be used. Raised when the configuration is built, never later (F-61).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The field's name.
    pub field: &'static str,
    /// What is wrong with its value and what would be right.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "configuration field `{}`: {}", self.field, self.problem)
    }
}

impl core::error::Error for ConfigError {}

/// Why a message would not be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// See [`SendError::WouldBlock`].
    WouldBlock,
    /// See [`SendError::TooLarge`].
    TooLarge {
        /// The largest that would be taken, in bytes.
        max: u32,
    },
    /// See [`SendError::Closed`].
    Closed,
    /// See [`SendError::NoLink`].
    NoLink,
    /// See [`SendError::Full`].
    Full,
}

impl Refusal {
    /// The same, with the message given back.
    pub fn with(self, message: Bytes) -> SendError {
        match self {
            Refusal::WouldBlock => SendError::WouldBlock(message),
            Refusal::TooLarge { max } => SendError::TooLarge { message, max },
            Refusal::Closed => SendError::Closed(message),
            Refusal::NoLink => SendError::NoLink(message),
            Refusal::Full => SendError::Full(message),
        }
    }
}

/// Why a message was not taken. The session did not change. `Debug` shows no payload.
#[derive(Clone, PartialEq, Eq)]
pub enum SendError {
    /// The un-ACKed limit is reached (`Limits::unacked_bytes` or `unacked_messages`). Here is the message back; try again after
    /// [`Event::Writable`](crate::Event::Writable).
    WouldBlock(Bytes),
    /// The message is larger than either end allows.
    TooLarge {
        /// The message, back.
        message: Bytes,
        /// The largest that would be taken, in bytes.
        max: u32,
    },
    /// The session is closed or closing. Here is the message back.
    Closed(Bytes),
    /// (unreliable only) There is no link to carry it.
    NoLink(Bytes),
    /// (unreliable only) `Limits::unreliable_bytes` wait already. Drop it: no event tells when there is room.
    Full(Bytes),
}

impl SendError {
    /// The message that was not taken.
    pub fn into_message(self) -> Bytes {
        match self {
            SendError::WouldBlock(message)
            | SendError::Closed(message)
            | SendError::NoLink(message)
            | SendError::Full(message) => message,
            SendError::TooLarge { message, .. } => message,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::WouldBlock(m) => {
                write!(
                    f,
                    "would block: {} bytes do not fit beside what the peer has not acknowledged; wait for Writable",
                    m.len()
                )
            }
            SendError::TooLarge { message, max } => {
                write!(
                    f,
                    "message of {} bytes is over the limit of {max}: split it (a reliable one, or raise Limits::message on both ends)",
                    message.len()
                )
            }
            SendError::Closed(_) => f.write_str("the session is closed"),
            SendError::NoLink(_) => f.write_str("no link is up, and unreliable messages do not wait for one"),
            SendError::Full(_) => f.write_str("unreliable messages wait up to their limit; drop this one"),
        }
    }
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SendError({self})")
    }
}

impl core::error::Error for SendError {}

/// Why [`Endpoint::save`](crate::Endpoint::save) took nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SaveError {
    /// Nobody wants this session's state now, or it is not here.
    Unwanted,
    /// The snapshot would be larger than `Limits::snapshot`. Nothing of the session leaves before it is smaller: with
    /// [`Durability::Durable`](crate::Durability::Durable) no message, and it cannot be swapped out.
    TooLarge {
        /// About how large it would be, in bytes.
        size: usize,
        /// The limit.
        max: usize,
    },
}

impl fmt::Display for SaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SaveError::Unwanted => {
                f.write_str("nobody wants this session's state now: call save() for what poll_snapshot() names")
            }
            SaveError::TooLarge { size, max } => write!(
                f,
                "the snapshot would have {size} bytes, over the limit of {max}: give fewer bytes or raise Limits::snapshot"
            ),
        }
    }
}

impl core::error::Error for SaveError {}

/// Why a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CloseReason {
    /// This end called `disconnect`.
    Local {
        /// The application's code.
        code: u32,
    },
    /// The peer called `disconnect`.
    Peer {
        /// The application's code.
        code: u32,
        /// The peer had sent more than has arrived: the end of the conversation is missing.
        truncated: bool,
    },
    /// No link came back within the detached life.
    Expired,
    /// The server's application put the session out.
    Kicked {
        /// The application's code.
        code: u32,
    },
    /// Another device took the session over.
    Superseded,
    /// The server's application refused the credential or the resume.
    Refused {
        /// The application's code.
        code: u32,
    },
    /// The server never heard of the session, or has forgotten it.
    UnknownSession,
    /// One end came back with an older state than it had shown before.
    RolledBack,
    /// The server process that held the session died, and its state with it.
    OwnerCrashed,
    /// The ends have no protocol version in common.
    VersionMismatch,
    /// A message was larger than the peer takes, or a bound was passed that cannot be waited for.
    Overflow,
    /// A broken invariant in this library; please report it.
    Internal,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::Local { code } => write!(f, "disconnected here (code {code})"),
            CloseReason::Peer { code, truncated: false } => write!(f, "disconnected by the peer (code {code})"),
            CloseReason::Peer { code, truncated: true } => write!(
                f,
                "disconnected by the peer (code {code}); its last messages are missing"
            ),
            CloseReason::Expired => f.write_str("no link came back in time"),
            CloseReason::Kicked { code } => write!(f, "put out by the server (code {code})"),
            CloseReason::Superseded => f.write_str("another device took the session over"),
            CloseReason::Refused { code } => write!(f, "refused by the server's application (code {code})"),
            CloseReason::UnknownSession => f.write_str("the server does not know the session (any more)"),
            CloseReason::RolledBack => f.write_str("one end came back with an older state"),
            CloseReason::OwnerCrashed => f.write_str("the server process that held the session died"),
            CloseReason::VersionMismatch => f.write_str("no protocol version in common"),
            CloseReason::Overflow => f.write_str("a bound was passed"),
            CloseReason::Internal => f.write_str("internal error"),
        }
    }
}

/// Why a handover failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum FailReason {
    /// The detached life ran out.
    Expired = 0,
    /// The server's application put the session out.
    Kicked = 1,
    /// The server's application refused the resume.
    Refused = 2,
    /// The server does not know the session.
    UnknownSession = 3,
    /// One end came back with an older state.
    RolledBack = 4,
    /// The owner died with the session's state.
    OwnerCrashed = 5,
    /// No protocol version in common, as far as the servers reached said; they say so in the clear, so it is not final: `retry()`
    /// tries again.
    VersionMismatch = 6,
    /// A bound was passed.
    Overflow = 7,
    /// No server could be reached within `give_up_after`. Not final: `retry()` tries again.
    GaveUp = 8,
    /// The session was closed by an end meanwhile.
    Closed = 9,
}

impl FailReason {
    /// Whether the session is over; if not, `retry()` may still save it.
    pub fn is_final(self) -> bool {
        !matches!(self, FailReason::GaveUp | FailReason::VersionMismatch)
    }
}

impl From<CloseReason> for FailReason {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::Expired => FailReason::Expired,
            CloseReason::Kicked { .. } | CloseReason::Superseded => FailReason::Kicked,
            CloseReason::Refused { .. } => FailReason::Refused,
            CloseReason::UnknownSession => FailReason::UnknownSession,
            CloseReason::RolledBack => FailReason::RolledBack,
            CloseReason::OwnerCrashed => FailReason::OwnerCrashed,
            CloseReason::VersionMismatch => FailReason::VersionMismatch,
            CloseReason::Overflow => FailReason::Overflow,
            CloseReason::Local { .. } | CloseReason::Peer { .. } | CloseReason::Internal => FailReason::Closed,
        }
    }
}

impl fmt::Display for FailReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FailReason::Expired => "the session expired while it had no link",
            FailReason::Kicked => "the session was put out",
            FailReason::Refused => "the server's application refused the resume",
            FailReason::UnknownSession => "the server does not know the session",
            FailReason::RolledBack => "one end came back with an older state",
            FailReason::OwnerCrashed => "the server process that held the session died",
            FailReason::VersionMismatch => "no protocol version in common",
            FailReason::Overflow => "a bound was passed",
            FailReason::GaveUp => "no server could be reached in time; retry() tries again",
            FailReason::Closed => "the session was closed meanwhile",
        })
    }
}
