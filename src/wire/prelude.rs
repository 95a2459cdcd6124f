//! The 12 bytes in front of every first flight (section 2).
//!
//! This is what a server shows to the whole internet, so most of what it reads here is not ours: HTTP, TLS, scanners.
//! [`magic_matches`] drops those after the first byte that cannot be `"UNB"`; [`Prelude::parse`] judges the rest in a
//! fixed order: magic, type, flags, length (U-4, U-7). The version is carried, not judged: an unknown one is answered
//! (U-5), and the caller knows which versions it speaks. Lengths of an unknown version mean nothing here, so only
//! version 1's are held against bounds.

use core::fmt;

use super::flight::{
    ACCEPT_MAX, HELLO_MAX, Hello, LostStatus, NOISE_OVERHEAD, REFUSE_LEN, RESUME_JUDGED, RESUME_MAX, Resume,
    ResumeHeader,
};
use super::record::TAG;

/// Bytes of the prelude.
pub const LEN: usize = 12;
/// The first bytes of every link.
pub const MAGIC: [u8; 3] = *b"UNB";
/// The version whose lengths [`Prelude::parse`] knows.
pub const VERSION: u8 = 1;

/// Which of the five first flights follows the prelude.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlightKind {
    /// A new session, client to server.
    Hello = 1,
    /// The answer to the other three.
    Accept = 2,
    /// A session on a new link.
    Resume = 3,
    /// An unauthenticated hint to come again another way.
    Refuse = 4,
    /// Asks whether a session still lives.
    Query = 5,
}

/// A well-formed prelude.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prelude {
    /// As the sender wrote it; the caller compares it with what it speaks.
    pub version: u8,
    /// The type of the flight.
    pub kind: FlightKind,
    /// The first bytes of the hash of the server key in use.
    pub key_id: [u8; 4],
    /// Bytes of the flight behind the prelude. For version 1 within [`FlightKind::lengths`].
    pub length: u16,
}

/// Why 12 bytes are no prelude. The answer to each is silence (U-4, U-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreludeError {
    /// It does not begin with `"UNB"`.
    Magic,
    /// There is no such type.
    Kind(u8),
    /// A flag is set, and there are none.
    Flags(u8),
    /// No flight of this type has this length (U-7).
    Length {
        /// The type the prelude named.
        kind: FlightKind,
        /// The length it claimed.
        length: u16,
    },
}

/// Whether these first bytes of a link can still become a prelude. Only the magic is looked at.
#[inline]
pub fn magic_matches(prefix: &[u8]) -> bool {
    prefix.iter().zip(&MAGIC).all(|(byte, magic)| byte == magic)
}

impl FlightKind {
    /// The type with this code.
    pub const fn from_byte(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Hello,
            2 => Self::Accept,
            3 => Self::Resume,
            4 => Self::Refuse,
            5 => Self::Query,
            _ => return None,
        })
    }

    /// The least and the greatest length behind the prelude of a flight of this type, in version 1.
    ///
    /// U-7 gives the greatest. The least is what the layout itself needs: a shorter flight can never be whole, and
    /// refusing it here lets the owner of a RESUME count on its first 80 bytes.
    pub const fn lengths(self) -> (u16, u16) {
        let (min, max) = match self {
            Self::Hello => (NOISE_OVERHEAD + Hello::LEN, HELLO_MAX),
            Self::Query => (ResumeHeader::LEN + NOISE_OVERHEAD + Hello::LEN, HELLO_MAX),
            Self::Resume => (RESUME_JUDGED - LEN + Resume::FIXED_LEN + TAG, RESUME_MAX),
            Self::Accept => (NOISE_OVERHEAD + LostStatus::LEN, ACCEPT_MAX),
            Self::Refuse => (REFUSE_LEN, REFUSE_LEN),
        };
        (min as u16, max as u16)
    }
}

impl Prelude {
    /// Reads a prelude.
    pub fn parse(bytes: &[u8; LEN]) -> Result<Self, PreludeError> {
        let [m0, m1, m2, version, kind, flags, k0, k1, k2, k3, l0, l1] = *bytes;
        if [m0, m1, m2] != MAGIC {
            return Err(PreludeError::Magic);
        }
        let kind = FlightKind::from_byte(kind).ok_or(PreludeError::Kind(kind))?;
        if flags != 0 {
            return Err(PreludeError::Flags(flags));
        }
        let length = u16::from_be_bytes([l0, l1]);
        let (min, max) = kind.lengths();
        if version == VERSION && !(min..=max).contains(&length) {
            return Err(PreludeError::Length { kind, length });
        }
        Ok(Self {
            version,
            kind,
            key_id: [k0, k1, k2, k3],
            length,
        })
    }

    /// Writes it.
    pub fn encode(&self) -> [u8; LEN] {
        let [m0, m1, m2] = MAGIC;
        let [k0, k1, k2, k3] = self.key_id;
        let [l0, l1] = self.length.to_be_bytes();
        [m0, m1, m2, self.version, self.kind as u8, 0, k0, k1, k2, k3, l0, l1]
    }
}

impl fmt::Display for PreludeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => f.write_str("not our magic"),
            Self::Kind(kind) => write!(f, "unknown flight type {kind}"),
            Self::Flags(flags) => write!(f, "unknown flags {flags:#04x}"),
            Self::Length { kind, length } => {
                write!(f, "length {length} of a {kind:?} out of bounds")
            }
        }
    }
}

impl core::error::Error for PreludeError {}
