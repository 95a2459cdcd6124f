//! The payloads of the first flights (sections 2.1 to 2.5): fixed-width fields, big-endian.
//!
//! What stands here is inside the Noise message, except for [`ResumeHeader`] and [`Refuse`], which are in the clear.
//! The parsers check what is wrong in itself: a range upside down, a window smaller than the message it must take, a
//! number no sequence reaches. What is wrong only against a session's counters (U-17, U-21) is for the session, which
//! answers it with RolledBack.
//!
//! HELLO, QUERY and ACCEPT may grow: bytes behind the fields known here are ignored (U-10). In RESUME the rest is the
//! early frames; REFUSE has exactly its seven bytes.
//!
//! - `parts`: the groups of fields the flights share.
//! - `accept`: the server's authenticated answer.

mod accept;
mod parts;

use alloc::vec::Vec;
use core::fmt;

use super::prelude;
use super::reader::Reader;
use super::record::TAG;

pub use accept::{Accept, AcceptOk, LostStatus};
pub use parts::{Position, Versions, Window};

/// The most a HELLO or QUERY has behind its prelude.
pub const HELLO_MAX: usize = 2048;
/// The most a RESUME has behind its prelude.
pub const RESUME_MAX: usize = EARLY_MAX + 256;
/// The most an ACCEPT has behind its prelude.
pub const ACCEPT_MAX: usize = 2048;
/// What a REFUSE has behind its prelude.
pub const REFUSE_LEN: usize = 7;
/// The most bytes of early frames in a RESUME (U-16).
pub const EARLY_MAX: usize = 16384;
/// Where `mac1` begins in a RESUME, counted from the prelude's first byte.
pub const MAC1_OFFSET: usize = prelude::LEN + ResumeHeader::LEN;
/// Bytes of `mac1`.
pub const MAC1_LEN: usize = 16;
/// Bytes of the ephemeral key every Noise message begins with.
pub const E_LEN: usize = 32;
/// How much of a RESUME `mac1` needs to be judged (U-12): prelude, header, mac1 and e.
pub const RESUME_JUDGED: usize = MAC1_OFFSET + MAC1_LEN + E_LEN;
/// What a Noise message adds to its payload: e and the tag.
pub const NOISE_OVERHEAD: usize = E_LEN + TAG;

/// A flight that is not well formed. The answer is always the same: the link ends (the reason is for the log).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlightError(pub &'static str);

/// The payload of HELLO and of QUERY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// What the client speaks.
    pub versions: Versions,
    /// Bits to come; unknown ones are ignored (U-10).
    pub capabilities: u32,
    /// What the client will receive.
    pub window: Window,
}

/// The clear fields behind the prelude of RESUME and QUERY. Every value is legal: the server judges them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeHeader {
    /// Names the session (U-22).
    pub handle: [u8; 16],
    /// Grows with each RESUME (U-13).
    pub attempt: u32,
}

/// The payload of RESUME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume<'a> {
    /// What the client speaks.
    pub versions: Versions,
    /// The attempt of the last RESUME whose ACCEPT was valid (U-14).
    pub last_live: u32,
    /// The owner token of that ACCEPT.
    pub last_token: u64,
    /// How far the client received.
    pub position: Position,
    /// The first own message not ACKed. At most 2^62 - 1; how it stands to `send_end` is U-17's matter.
    pub send_base: u64,
    /// The first own number not given out. At most 2^62 - 1.
    pub send_end: u64,
    /// What the client will receive.
    pub window: Window,
    /// Frames to replay at once, for `Frames::early` (U-16).
    pub early: &'a [u8],
}

/// The payload of REFUSE: a hint in the clear (U-23).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refuse {
    /// Why.
    pub code: RefuseCode,
    /// How long to wait at least. As received: the client bounds it.
    pub retry_ms: u32,
    /// The server's lowest version. Not above `max_version`.
    pub min_version: u8,
    /// The server's highest version.
    pub max_version: u8,
}

/// The reasons of a REFUSE.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefuseCode {
    /// Too many handshakes.
    Busy = 1,
    /// The prelude's version is unknown.
    Version = 2,
    /// The prelude's key id is unknown.
    Key = 3,
    /// The session is not here.
    NotHere = 4,
    /// The session is being moved.
    Later = 5,
    /// This server takes no more.
    Draining = 6,
}

impl Hello {
    /// Bytes it takes.
    pub const LEN: usize = Versions::LEN + 4 + Window::LEN;

    /// Reads it; bytes behind it are ignored (U-10).
    pub fn parse(payload: &[u8]) -> Result<Self, FlightError> {
        let mut reader = Reader::new(payload);
        Ok(Self {
            versions: Versions::take(&mut reader)?,
            capabilities: reader.u32().ok_or(SHORT)?,
            window: Window::take(&mut reader)?,
        })
    }

    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.versions.encode(out);
        out.extend_from_slice(&self.capabilities.to_be_bytes());
        self.window.encode(out);
    }
}

impl ResumeHeader {
    /// Bytes it takes.
    pub const LEN: usize = 20;

    /// Reads it from the bytes behind the prelude; only too few are an error.
    pub fn parse(bytes: &[u8]) -> Result<Self, FlightError> {
        let mut reader = Reader::new(bytes);
        Ok(Self {
            handle: reader.array().ok_or(SHORT)?,
            attempt: reader.u32().ok_or(SHORT)?,
        })
    }

    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.handle);
        out.extend_from_slice(&self.attempt.to_be_bytes());
    }
}

impl<'a> Resume<'a> {
    /// Bytes in front of the early frames.
    pub const FIXED_LEN: usize = Versions::LEN + 4 + 8 + Position::LEN + 8 + 8 + Window::LEN;

    /// Reads it. The early frames are bounded, not parsed: they mean nothing before U-17 is checked.
    pub fn parse(payload: &'a [u8]) -> Result<Self, FlightError> {
        let mut reader = Reader::new(payload);
        let resume = Self {
            versions: Versions::take(&mut reader)?,
            last_live: reader.u32().ok_or(SHORT)?,
            last_token: reader.u64().ok_or(SHORT)?,
            position: Position::take(&mut reader)?,
            send_base: parts::number(&mut reader)?,
            send_end: parts::number(&mut reader)?,
            window: Window::take(&mut reader)?,
            early: reader.rest(),
        };
        if resume.early.len() > EARLY_MAX {
            return Err(FlightError("more early frames than allowed"));
        }
        Ok(resume)
    }

    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.early.len() <= EARLY_MAX);
        self.versions.encode(out);
        out.extend_from_slice(&self.last_live.to_be_bytes());
        out.extend_from_slice(&self.last_token.to_be_bytes());
        self.position.encode(out);
        out.extend_from_slice(&self.send_base.to_be_bytes());
        out.extend_from_slice(&self.send_end.to_be_bytes());
        self.window.encode(out);
        out.extend_from_slice(self.early);
    }
}

impl Refuse {
    /// Reads it from the bytes behind the prelude, exactly [`REFUSE_LEN`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FlightError> {
        let &[code, r0, r1, r2, r3, min, max] = bytes else {
            return Err(FlightError("a REFUSE of another length"));
        };
        let versions = Versions::new(min, max).ok_or(parts::VERSIONS)?;
        Ok(Self {
            code: RefuseCode::from_byte(code).ok_or(FlightError("unknown REFUSE code"))?,
            retry_ms: u32::from_be_bytes([r0, r1, r2, r3]),
            min_version: versions.min,
            max_version: versions.max,
        })
    }

    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.code as u8);
        out.extend_from_slice(&self.retry_ms.to_be_bytes());
        out.extend_from_slice(&[self.min_version, self.max_version]);
    }
}

impl RefuseCode {
    /// The reason with this code.
    pub const fn from_byte(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Busy,
            2 => Self::Version,
            3 => Self::Key,
            4 => Self::NotHere,
            5 => Self::Later,
            6 => Self::Draining,
            _ => return None,
        })
    }
}

impl fmt::Display for FlightError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for FlightError {}

const SHORT: FlightError = FlightError("a flight that ends too early");
