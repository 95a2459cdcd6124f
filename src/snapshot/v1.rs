//! Format 1 of a snapshot's fields.
//!
//! ```text
//!   session id 16 │ ratchet: attempt 4 │ current: number 4, rs 32 │ 0, or 1 and pending: number 4, rs 32
//!   received: delivered 8 │ sent: base 8 │ carried 8 │ count 4 │ length 4 and as many bytes: varint(length + 1) | message, each
//!   peer's largest message 4 │ verdict: length 2 and its words │ mail cursor 8 │ detached life 4 (ms)
//!   user: 0, or 1, length 2 and its key │ application: 0, or 1, length 4 and its bytes
//! ```
//!
//! What is not in it need not be: messages received and not handed out are un-ACKed, so the client sends them again; credit comes anew with
//! the client's next flight; links die with their process.

use alloc::vec::Vec;
use core::time::Duration;

use super::Format;
use crate::wire::reader::Reader;
use crate::wire::varint;

/// This format.
pub const FORMAT: Format = Format {
    number: 1,
    read: |fields| Snapshot::parse(fields),
};

/// One generation of resumption secrets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Generation<'a> {
    /// The attempt that made it.
    pub number: u32,
    /// The resumption secret.
    pub secret: &'a [u8; 32],
}

/// The fields, borrowed from a session or from an opened blob.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot<'a> {
    pub session: [u8; 16],
    pub attempt: u32,
    pub current: Generation<'a>,
    pub pending: Option<Generation<'a>>,
    pub delivered: u64,
    /// The first number not ACKed.
    pub base: u64,
    /// The first number that no link has carried.
    pub carried: u64,
    /// The un-ACKed messages, as the outbox keeps them.
    pub count: u32,
    pub messages: &'a [u8],
    pub peer_max_message: u32,
    /// What the application said when it let the client in.
    pub welcome: &'a [u8],
    pub mail: u64,
    /// How long it may live without a link from now on.
    pub life: Duration,
    pub user: Option<&'a [u8]>,
    pub app: Option<&'a [u8]>,
}

/// The fields do not fit together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

impl<'a> Snapshot<'a> {
    /// About how long [`Snapshot::encode`] makes it; never less.
    pub fn size_hint(&self) -> usize {
        256 + self.messages.len()
            + self.welcome.len()
            + self.user.map_or(0, <[u8]>::len)
            + self.app.map_or(0, <[u8]>::len)
    }

    /// Appends the fields.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.session);
        out.extend_from_slice(&self.attempt.to_be_bytes());
        self.current.encode(out);
        out.push(self.pending.is_some().into());
        if let Some(pending) = &self.pending {
            pending.encode(out);
        }
        for number in [self.delivered, self.base, self.carried] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.count.to_be_bytes());
        long(out, self.messages);
        out.extend_from_slice(&self.peer_max_message.to_be_bytes());
        short(out, self.welcome);
        out.extend_from_slice(&self.mail.to_be_bytes());
        let life = u32::try_from(self.life.as_millis()).unwrap_or(u32::MAX);
        out.extend_from_slice(&life.to_be_bytes());
        out.push(self.user.is_some().into());
        if let Some(user) = self.user {
            short(out, user);
        }
        out.push(self.app.is_some().into());
        if let Some(app) = self.app {
            long(out, app);
        }
    }

    /// Reads the fields. They were sealed by a server, so what does not fit together is a bug or a stolen key: it is found all the same.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let snapshot = Self::take(&mut reader).ok_or(Malformed)?;
        if reader.rest().is_empty() && snapshot.is_sound() {
            Ok(snapshot)
        } else {
            Err(Malformed)
        }
    }

    fn take(reader: &mut Reader<'a>) -> Option<Self> {
        Some(Snapshot {
            session: reader.array()?,
            attempt: reader.u32()?,
            current: Generation::take(reader)?,
            pending: if flag(reader)? {
                Some(Generation::take(reader)?)
            } else {
                None
            },
            delivered: reader.u64()?,
            base: reader.u64()?,
            carried: reader.u64()?,
            count: reader.u32()?,
            messages: take_long(reader)?,
            peer_max_message: reader.u32()?,
            welcome: take_short(reader)?,
            mail: reader.u64()?,
            life: Duration::from_millis(reader.u32()?.into()),
            user: if flag(reader)? { Some(take_short(reader)?) } else { None },
            app: if flag(reader)? { Some(take_long(reader)?) } else { None },
        })
    }

    fn is_sound(&self) -> bool {
        let end = self.base.saturating_add(self.count.into());
        let pending = self.pending.map_or(self.current.number, |pending| pending.number);
        self.delivered <= varint::MAX
            && end <= varint::MAX
            && (self.base..=end).contains(&self.carried)
            && self.current.number <= pending
            && pending <= self.attempt
            && self.holds_whole_messages()
    }

    fn holds_whole_messages(&self) -> bool {
        let mut reader = Reader::new(self.messages);
        let mut message = || {
            let length = reader.varint()?.checked_sub(1)?;
            reader.bytes(usize::try_from(length).ok()?)
        };
        let whole = (0..self.count).all(|_| message().is_some());
        whole && reader.rest().is_empty()
    }
}

impl<'a> Generation<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(self.secret);
    }

    fn take(reader: &mut Reader<'a>) -> Option<Self> {
        Some(Generation {
            number: reader.u32()?,
            secret: reader.bytes(32)?.try_into().ok()?,
        })
    }
}

fn short(out: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= usize::from(u16::MAX));
    out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn long(out: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(u32::try_from(bytes.len()).is_ok());
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn take_short<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = u16::from_be_bytes(reader.array()?);
    reader.bytes(length.into())
}

fn take_long<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = reader.u32()?;
    reader.bytes(usize::try_from(length).ok()?)
}

fn flag(reader: &mut Reader<'_>) -> Option<bool> {
    match reader.u8()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}
