//! The payload of ACCEPT (section 2.3).
//!
//! It begins with the prelude once more. The outer one is in the clear and bare of protection; the copy inside the
//! sealed payload shows that nobody changed it on the way (U-19), so [`Accept::parse`] takes the outer one too.

use alloc::vec::Vec;

use super::{FlightError, Position, SHORT, Window};
use crate::wire::frame::CloseKind;
use crate::wire::prelude;
use crate::wire::reader::Reader;
use crate::wire::varint;

/// The server's authenticated answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept<'a> {
    /// The link carries the session.
    Ok(AcceptOk<'a>),
    /// It does not, and the link ends (U-20).
    Lost(LostStatus),
}

/// What an accepted client learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptOk<'a> {
    /// Names the session in the next RESUME (U-22).
    pub handle: [u8; 16],
    /// The id that never changes.
    pub session_id: [u8; 16],
    /// The owner token.
    pub token: u64,
    /// How far the server received (U-21).
    pub position: Position,
    /// What the server will receive.
    pub window: Window,
    /// How long the session is kept without a link.
    pub detached_ms: u32,
    /// Where this server can be reached directly; may be empty. At most 255 bytes.
    pub address: &'a str,
    /// The server's first message not ACKed. At most 2^62 - 1.
    pub send_base: u64,
    /// The server's first number not given out (U-64). At most 2^62 - 1; [`varint::MAX`] if the server did not say.
    pub send_end: u64,
}

/// Why there is no session on this link (U-20).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostStatus {
    /// Nobody knows the session.
    Unknown,
    /// It was closed.
    Closed {
        /// As in CLOSE.
        kind: CloseKind,
        /// As in CLOSE.
        code: u32,
        /// The first number the server did not give out: a client that received less misses the end. At most 2^62 - 1.
        send_end: u64,
    },
    /// One of the ends lost state.
    RolledBack,
    /// The server that had it died.
    OwnerCrashed,
    /// The application refused it.
    Refused {
        /// The application's.
        code: u32,
    },
    /// It lives: RESUME again (only to a QUERY).
    Alive,
}

/// The most bytes of an address.
pub(super) const ADDRESS_MAX: usize = 255;

impl<'a> Accept<'a> {
    /// Reads the payload of message 2 that came behind `outer_prelude`; bytes behind it are ignored (U-10).
    pub fn parse(payload: &'a [u8], outer_prelude: &[u8; prelude::LEN]) -> Result<Self, FlightError> {
        let mut reader = Reader::new(payload);
        if reader.array().ok_or(SHORT)? != *outer_prelude {
            return Err(FlightError("an ACCEPT under another's prelude"));
        }
        match reader.u8().ok_or(SHORT)? {
            OK => AcceptOk::take(&mut reader).map(Self::Ok),
            status => LostStatus::take(status, &mut reader).map(Self::Lost),
        }
    }

    /// Appends it, as the payload of a flight with this prelude.
    pub fn encode(&self, outer_prelude: &[u8; prelude::LEN], out: &mut Vec<u8>) {
        out.extend_from_slice(outer_prelude);
        match self {
            Self::Ok(ok) => ok.encode(out),
            Self::Lost(status) => status.encode(out),
        }
    }

    /// Bytes [`encode`](Self::encode) appends. The prelude's own length field depends on it.
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Ok(ok) => AcceptOk::FIXED_LEN + ok.sent_address().len(),
            Self::Lost(LostStatus::Closed { .. }) => LostStatus::LEN + 8,
            Self::Lost(_) => LostStatus::LEN,
        }
    }
}

impl<'a> AcceptOk<'a> {
    /// Bytes of the payload without the address, from the inner prelude on.
    pub const FIXED_LEN: usize = prelude::LEN + 1 + 16 + 16 + 8 + Position::LEN + Window::LEN + 4 + 1 + 8 + 8;

    fn take(reader: &mut Reader<'a>) -> Result<Self, FlightError> {
        Ok(Self {
            handle: reader.array().ok_or(SHORT)?,
            session_id: reader.array().ok_or(SHORT)?,
            token: reader.u64().ok_or(SHORT)?,
            position: Position::take(reader)?,
            window: Window::take_answer(reader)?,
            detached_ms: reader.u32().ok_or(SHORT)?,
            address: {
                let length = reader.u8().ok_or(SHORT)?;
                let bytes = reader.bytes(usize::from(length)).ok_or(SHORT)?;
                core::str::from_utf8(bytes).map_err(|_| FlightError("an address that is not UTF-8"))?
            },
            send_base: super::parts::number(reader)?,
            send_end: match reader.u64() {
                None => varint::MAX,
                Some(number) if number > varint::MAX => return Err(FlightError("a sequence number above 2^62 - 1")),
                Some(number) => number,
            },
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(OK);
        out.extend_from_slice(&self.handle);
        out.extend_from_slice(&self.session_id);
        out.extend_from_slice(&self.token.to_be_bytes());
        self.position.encode(out);
        self.window.encode(out);
        out.extend_from_slice(&self.detached_ms.to_be_bytes());
        let address = self.sent_address();
        out.push(address.len() as u8);
        out.extend_from_slice(address.as_bytes());
        out.extend_from_slice(&self.send_base.to_be_bytes());
        out.extend_from_slice(&self.send_end.to_be_bytes());
    }

    /// An address too long for its length byte is left out: half a host name would lead the client elsewhere, none
    /// leads it to the address it was configured with.
    fn sent_address(&self) -> &'a str {
        debug_assert!(self.address.len() <= ADDRESS_MAX);
        if self.address.len() <= ADDRESS_MAX {
            self.address
        } else {
            ""
        }
    }
}

impl LostStatus {
    /// Bytes of the payload, from the inner prelude on; Closed has 8 more.
    pub const LEN: usize = prelude::LEN + 1 + 1 + 4;

    /// Kind and code are there for every status; those that give them no meaning ignore them.
    fn take(status: u8, reader: &mut Reader<'_>) -> Result<Self, FlightError> {
        let kind = reader.u8().ok_or(SHORT)?;
        let code = reader.u32().ok_or(SHORT)?;
        Ok(match status {
            1 => Self::Unknown,
            2 => Self::Closed {
                kind: CloseKind::from_byte(kind).ok_or(FlightError("unknown CLOSE kind"))?,
                code,
                send_end: super::parts::number(reader)?,
            },
            3 => Self::RolledBack,
            4 => Self::OwnerCrashed,
            5 => Self::Refused { code },
            6 => Self::Alive,
            _ => return Err(FlightError("unknown ACCEPT status")),
        })
    }

    /// As a tombstone in a store keeps it.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }

    /// Reads what [`LostStatus::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let status = reader.u8()?;
        Self::take(status, &mut reader).ok()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (status, kind, code) = match *self {
            Self::Unknown => (1, 0, 0),
            Self::Closed { kind, code, .. } => (2, kind as u8, code),
            Self::RolledBack => (3, 0, 0),
            Self::OwnerCrashed => (4, 0, 0),
            Self::Refused { code } => (5, 0, code),
            Self::Alive => (6, 0, 0),
        };
        out.extend_from_slice(&[status, kind]);
        out.extend_from_slice(&code.to_be_bytes());
        if let Self::Closed { send_end, .. } = self {
            out.extend_from_slice(&send_end.to_be_bytes());
        }
    }
}

const OK: u8 = 0;
