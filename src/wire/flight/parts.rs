//! The groups of fields that more than one flight carries.

use alloc::vec::Vec;

use super::{FlightError, SHORT};
use crate::wire::reader::Reader;
use crate::wire::varint;

/// The range of versions an end speaks; `min` is not above `max` (an empty range says nothing).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The lowest.
    pub min: u8,
    /// The highest.
    pub max: u8,
}

/// What an end will receive beyond what it has delivered (U-11, U-45).
///
/// `messages` is at least 1 and `bytes` at least `max_message`: with less, a message could exist that no credit ever
/// covers, and the sender would wait for good. In ACCEPT `messages` may be 0: the client is not let in yet, and gets credit when it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Messages.
    pub messages: u32,
    /// Bytes of their payloads.
    pub bytes: u32,
    /// Bytes of the largest message.
    pub max_message: u32,
}

/// How far an end received (U-15). The numbers are at most 2^62 - 1, and `delivered` is not above `recv_next`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The first message not received whole.
    pub recv_next: u64,
    /// How many bytes of it are here already.
    pub recv_offset: u32,
    /// The first message not handed to the application.
    pub delivered: u64,
}

impl Versions {
    /// Bytes it takes.
    pub const LEN: usize = 2;

    /// The range, if it is one.
    pub const fn new(min: u8, max: u8) -> Option<Self> {
        if min <= max { Some(Self { min, max }) } else { None }
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self, FlightError> {
        let [min, max] = reader.array().ok_or(SHORT)?;
        Self::new(min, max).ok_or(VERSIONS)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.min <= self.max);
        out.extend_from_slice(&[self.min, self.max]);
    }
}

impl Window {
    /// Bytes it takes.
    pub const LEN: usize = 12;

    /// The window, if every message up to `max_message` fits it.
    pub const fn new(messages: u32, bytes: u32, max_message: u32) -> Option<Self> {
        if messages == 0 || bytes < max_message {
            return None;
        }
        Some(Self {
            messages,
            bytes,
            max_message,
        })
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self, FlightError> {
        Self::take_answer(reader).and_then(|window| if window.messages == 0 { Err(NARROW) } else { Ok(window) })
    }

    /// The window in an ACCEPT.
    pub(super) fn take_answer(reader: &mut Reader<'_>) -> Result<Self, FlightError> {
        let messages = reader.u32().ok_or(SHORT)?;
        let bytes = reader.u32().ok_or(SHORT)?;
        let max_message = reader.u32().ok_or(SHORT)?;
        let window = Self::new(messages.max(1), bytes, max_message).ok_or(NARROW)?;
        Ok(Self { messages, ..window })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.bytes >= self.max_message);
        for field in [self.messages, self.bytes, self.max_message] {
            out.extend_from_slice(&field.to_be_bytes());
        }
    }
}

impl Position {
    /// Bytes it takes.
    pub const LEN: usize = 20;

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self, FlightError> {
        let position = Self {
            recv_next: number(reader)?,
            recv_offset: reader.u32().ok_or(SHORT)?,
            delivered: number(reader)?,
        };
        if position.delivered > position.recv_next {
            return Err(FlightError("more delivered than received"));
        }
        Ok(position)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.delivered <= self.recv_next && self.recv_next <= varint::MAX);
        out.extend_from_slice(&self.recv_next.to_be_bytes());
        out.extend_from_slice(&self.recv_offset.to_be_bytes());
        out.extend_from_slice(&self.delivered.to_be_bytes());
    }
}

/// A sequence number in eight bytes. It has room for more than a varint, and those values are nobody's (U-37).
pub(super) fn number(reader: &mut Reader<'_>) -> Result<u64, FlightError> {
    let value = reader.u64().ok_or(SHORT)?;
    if value > varint::MAX {
        return Err(FlightError("a sequence number above 2^62 - 1"));
    }
    Ok(value)
}

const NARROW: FlightError = FlightError("a window that a message does not fit");
pub(super) const VERSIONS: FlightError = FlightError("an empty range of versions");
