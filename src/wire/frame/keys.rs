//! The list of a KEYS frame (U-54): 1 to 4 entries of fixed width, left where they are in the record.

use core::fmt;

use super::{FrameError, KEYS_MAX};
use crate::wire::reader::Reader;

/// A server key the client may trust from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The X25519 public key.
    pub public: [u8; 32],
    /// For how long.
    pub lifetime_s: u32,
}

/// One to four [`Key`]s.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyList<'a> {
    /// Whole entries, never empty.
    entries: &'a [[u8; KEY_LEN]],
}

/// The keys of a [`KeyList`].
#[derive(Clone, Debug)]
pub struct KeyIter<'a>(core::slice::Iter<'a, [u8; KEY_LEN]>);

/// Bytes of an entry.
pub(super) const KEY_LEN: usize = 36;

impl<'a> KeyList<'a> {
    /// The keys, in order.
    pub fn iter(&self) -> KeyIter<'a> {
        KeyIter(self.entries.iter())
    }

    /// How many there are, 1 to 4.
    #[allow(clippy::len_without_is_empty)] // It never is.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn take(reader: &mut Reader<'a>) -> Result<Self, FrameError> {
        let count = usize::from(reader.u8().ok_or(FrameError::Truncated)?);
        if !(1..=KEYS_MAX).contains(&count) {
            return Err(FrameError::Number);
        }
        let bytes = reader.bytes(count * KEY_LEN).ok_or(FrameError::Truncated)?;
        let (entries, _) = bytes.as_chunks();
        Ok(Self { entries })
    }
}

impl Iterator for KeyIter<'_> {
    type Item = Key;

    fn next(&mut self) -> Option<Key> {
        let (public, lifetime) = self.0.next()?.split_first_chunk()?;
        Some(Key {
            public: *public,
            lifetime_s: u32::from_be_bytes(*lifetime.first_chunk()?),
        })
    }
}

impl<'a> IntoIterator for &KeyList<'a> {
    type Item = Key;
    type IntoIter = KeyIter<'a>;

    fn into_iter(self) -> KeyIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for KeyList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
