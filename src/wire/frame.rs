//! What stands inside an opened record (section 4).
//!
//! [`Frames`] walks the plaintext once and yields frames that borrow from it. Every frame is checked whole before it
//! is yielded, a [`Run`] of messages included, so whoever holds a frame can take it apart without further errors.
//! A frame that is not well formed ends the walk and the link; what stood before it counts (U-36): the record was
//! authenticated, and a second walk would cost every record for the sake of a peer that is broken anyway.
//!
//! - `parse`: the walk.
//! - `run`: DATA, the hot path: many small messages behind one header.
//! - `keys`: the list of a KEYS frame.
//! - `emit`: the other direction.

mod emit;
mod keys;
mod parse;
mod run;

use core::fmt;

pub use emit::*;
pub use keys::{Key, KeyIter, KeyList};
pub use parse::Frames;
pub use run::{Messages, Run, for_each_message, next_message, short_entry};

/// The most bytes of a credential in AUTH.
pub const AUTH_MAX: usize = 8192;
/// The most bytes of the message in AUTH_RESULT.
pub const AUTH_RESULT_MAX: usize = 1024;
/// The most bytes of the address in DRAIN.
pub const ADDRESS_MAX: usize = 255;
/// The most keys in one KEYS.
pub const KEYS_MAX: usize = 4;
/// Ends a DATA that another frame follows in the same record.
pub const DATA_END: u8 = 0;

/// One frame. PAD and the frames of the future are consumed by [`Frames`] and never appear.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Messages in sequence.
    Data(Run<'a>),
    /// What was delivered, and credit.
    Ack(Ack),
    /// A message without number (U-40).
    Unreliable(&'a [u8]),
    /// To be answered by [`Frame::Pong`] with the same token.
    Ping([u8; 8]),
    /// The answer.
    Pong([u8; 8]),
    /// The client's credential, at most [`AUTH_MAX`] bytes.
    Auth(&'a [u8]),
    /// The verdict on it.
    AuthResult {
        /// Whether the credential was good.
        accepted: bool,
        /// The application's code.
        code: u32,
        /// The application's words, at most [`AUTH_RESULT_MAX`] bytes.
        message: &'a [u8],
    },
    /// The session ends.
    Close(Close),
    /// The answer to [`Frame::Close`].
    CloseAck {
        /// The first message its sender did not receive whole.
        recv_next: u64,
    },
    /// Please reconnect (U-53).
    Drain {
        /// Within this time.
        window_ms: u32,
        /// To here, unless empty. At most [`ADDRESS_MAX`] bytes.
        address: &'a str,
    },
    /// More server keys to trust (U-54).
    Keys(KeyList<'a>),
    /// A part of a message that fits no record.
    Fragment(Fragment<'a>),
}

/// Delivery and credit (U-43, U-44). Each number is at most 2^62 - 1, so sums of two do not overflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// All messages below are delivered.
    pub recv_next: u64,
    /// Messages that may be outstanding from there.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
}

/// The end of the session (U-48).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// Who or what ended it.
    pub kind: CloseKind,
    /// The application's code.
    pub code: u32,
    /// The first number the sender did not give out.
    pub send_end: u64,
    /// The first message the sender did not receive whole.
    pub recv_next: u64,
}

/// A part of message `seq` (U-38). `bytes` is not empty, and `offset` + its length is at most `total`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// The message. Below 2^62 - 1.
    pub seq: u64,
    /// Its length.
    pub total: u32,
    /// Where `bytes` belongs in it.
    pub offset: u32,
    /// The part.
    pub bytes: &'a [u8],
}

/// Why a session ended (U-49).
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseKind {
    /// The application closed it.
    Application = 0,
    /// It was detached for too long.
    Expired = 1,
    /// It was thrown out.
    Kicked = 2,
    /// This link lost to a newer one.
    Superseded = 3,
    /// The credential was refused.
    NotAuthorised = 4,
    /// A buffer would have overflowed.
    Overflow = 5,
    /// A bug.
    Internal = 6,
    /// The sender found that one of the ends lost state.
    RolledBack = 7,
}

/// Why a record is not well formed. The answer is always the end of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// A frame reaches past the record's end.
    Truncated,
    /// A frame nobody knows, of those that must not be skipped.
    UnknownCritical(u8),
    /// A non-zero byte in PAD.
    Padding,
    /// A DATA without a message or an empty FRAGMENT.
    Empty,
    /// A number, kind or verdict without a meaning, such as a sequence number of 2^62 - 1 or more.
    Number,
    /// Text that is not UTF-8.
    Text,
    /// A field longer than its frame allows, or a fragment that passes the end of its message.
    Size,
    /// A frame that must not stand among early frames (U-16).
    NotEarly(u8),
}

/// The codes. The gap from `40` to `7f` is for frames that old receivers may skip.
pub(super) mod code {
    pub(crate) const PAD: u8 = 0x00;
    pub(crate) const DATA: u8 = 0x01;
    pub(crate) const ACK: u8 = 0x02;
    pub(crate) const UNRELIABLE: u8 = 0x03;
    pub(crate) const PING: u8 = 0x04;
    pub(crate) const PONG: u8 = 0x05;
    pub(crate) const AUTH: u8 = 0x06;
    pub(crate) const AUTH_RESULT: u8 = 0x07;
    pub(crate) const CLOSE: u8 = 0x08;
    pub(crate) const CLOSE_ACK: u8 = 0x09;
    pub(crate) const DRAIN: u8 = 0x0a;
    pub(crate) const KEYS: u8 = 0x0b;
    pub(crate) const FRAGMENT: u8 = 0x0c;
    pub(crate) const FUTURE: core::ops::RangeInclusive<u8> = 0x40..=0x7f;
}

impl CloseKind {
    /// The kind with this code.
    pub const fn from_byte(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Application,
            1 => Self::Expired,
            2 => Self::Kicked,
            3 => Self::Superseded,
            4 => Self::NotAuthorised,
            5 => Self::Overflow,
            6 => Self::Internal,
            7 => Self::RolledBack,
            _ => return None,
        })
    }
}

/// Lengths instead of contents: frames end up in logs, and payloads and credentials must not.
impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(run) => run.fmt(f),
            Self::Ack(ack) => ack.fmt(f),
            Self::Unreliable(bytes) => write!(f, "Unreliable({} bytes)", bytes.len()),
            Self::Ping(_) => f.write_str("Ping"),
            Self::Pong(_) => f.write_str("Pong"),
            Self::Auth(bytes) => write!(f, "Auth({} bytes)", bytes.len()),
            Self::AuthResult {
                accepted,
                code,
                message,
            } => {
                write!(f, "AuthResult({accepted}, {code}, {} bytes)", message.len())
            }
            Self::Close(close) => close.fmt(f),
            Self::CloseAck { recv_next } => write!(f, "CloseAck({recv_next})"),
            Self::Drain { window_ms, address } => write!(f, "Drain({window_ms}, {address:?})"),
            Self::Keys(keys) => write!(f, "Keys({})", keys.len()),
            Self::Fragment(fragment) => fragment.fmt(f),
        }
    }
}

impl fmt::Debug for Fragment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seq,
            total,
            offset,
            bytes,
        } = self;
        write!(f, "Fragment({seq}, {offset}+{} of {total})", bytes.len())
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("a frame past the record's end"),
            Self::UnknownCritical(code) => write!(f, "unknown frame {code:#04x}"),
            Self::Padding => f.write_str("padding that is not zero"),
            Self::Empty => f.write_str("an empty frame"),
            Self::Number => f.write_str("a number out of range"),
            Self::Text => f.write_str("text that is not UTF-8"),
            Self::Size => f.write_str("a field that is too long"),
            Self::NotEarly(code) => write!(f, "frame {code:#04x} among early frames"),
        }
    }
}

impl core::error::Error for FrameError {}
