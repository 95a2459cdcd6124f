//! What somebody without keys can do to a flight: change it, cut it, or say something else.

use arbitrary::Arbitrary;
use unbroken::wire::flight::{REFUSE_LEN, Refuse, RefuseCode};
use unbroken::wire::prelude::{FlightKind, Prelude};

use crate::host::server_key;

#[derive(Debug, Arbitrary)]
pub struct Attack {
    pub kind: Kind,
    /// In pieces of this size; 0 is all at once.
    pub pieces: u8,
}

#[derive(Debug, Arbitrary)]
pub enum Kind {
    /// The true flight, edited.
    Edited(Vec<Edit>),
    /// Any bytes.
    Raw(Vec<u8>),
    /// Any bytes behind a prelude that is in order.
    Headed { kind: u8, length: u16, body: Vec<u8> },
    /// A hint in the clear.
    Refused { code: u8, retry_ms: u32, min: u8, max: u8 },
}

#[derive(Debug, Arbitrary)]
pub enum Edit {
    Flip { at: u16, with: u8 },
    Cut { at: u16 },
    Insert { at: u16, bytes: [u8; 3] },
    Remove { at: u16, count: u8 },
    Append { bytes: Vec<u8> },
}

impl Attack {
    /// The bytes that arrive instead of `flight`.
    pub fn bytes(&self, flight: &[u8]) -> Vec<u8> {
        match &self.kind {
            Kind::Edited(edits) => {
                let mut bytes = flight.to_vec();
                edits.iter().for_each(|edit| edit.apply(&mut bytes));
                bytes
            }
            Kind::Raw(bytes) => bytes.clone(),
            Kind::Headed { kind, length, body } => {
                let kind = FlightKind::from_byte(kind % 6).unwrap_or(FlightKind::Hello);
                let mut bytes = head(kind, *length).to_vec();
                bytes.extend_from_slice(body);
                bytes
            }
            Kind::Refused {
                code,
                retry_ms,
                min,
                max,
            } => refuse(*code, *retry_ms, *min, *max),
        }
    }

    /// Hands them over piece by piece.
    pub fn in_pieces(&self, bytes: &[u8], take: impl FnMut(&[u8])) {
        let size = if self.pieces == 0 {
            bytes.len()
        } else {
            self.pieces.into()
        };
        bytes.chunks(size.max(1)).for_each(take);
    }
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |at: u16| usize::from(at) % (bytes.len() + 1);
        match self {
            Edit::Flip { at, with } => {
                let at = place(*at);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= with;
                }
            }
            Edit::Cut { at } => bytes.truncate(place(*at)),
            Edit::Insert { at, bytes: more } => {
                let at = place(*at);
                bytes.splice(at..at, *more);
            }
            Edit::Remove { at, count } => {
                let at = place(*at);
                let end = (at + usize::from(*count)).min(bytes.len());
                bytes.drain(at..end);
            }
            Edit::Append { bytes: more } => bytes.extend_from_slice(more),
        }
    }
}

fn head(kind: FlightKind, length: u16) -> [u8; 12] {
    Prelude {
        version: 1,
        kind,
        key_id: server_key().id(),
        length,
    }
    .encode()
}

/// A well-formed REFUSE, which anybody on the path can make.
pub fn refuse(code: u8, retry_ms: u32, min: u8, max: u8) -> Vec<u8> {
    let code = RefuseCode::from_byte(1 + code % 6).expect("1 to 6 are codes");
    let mut out = head(FlightKind::Refuse, REFUSE_LEN as u16).to_vec();
    let (min_version, max_version) = (min.min(max), max.max(min));
    Refuse {
        code,
        retry_ms,
        min_version,
        max_version,
    }
    .encode(&mut out);
    out
}
