//! The two bytes in front of each sealed record (U-29).
//!
//! A record's length is checked before a byte of it is waited for: a stream that is not ours, or that lost its place,
//! ends after two bytes instead of after 64 KiB (U-31).

use core::fmt;

/// Bytes of the length field.
pub const LENGTH_LEN: usize = 2;
/// Bytes of the AES-GCM tag behind the sealed plaintext.
pub const TAG: usize = 16;
/// The most plaintext one record carries.
pub const PLAINTEXT_MAX: usize = 16384;
/// The most bytes of a sealed record, without its length field.
pub const SEALED_MAX: usize = PLAINTEXT_MAX + TAG;

/// A record of this claimed length cannot be one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLength(pub u16);

/// The length of the sealed record that begins at `bytes`, without the length field itself: 17 to 16400.
///
/// `None` as long as the two bytes are not both there.
#[inline]
pub fn length(bytes: &[u8]) -> Result<Option<usize>, BadLength> {
    let Some(field) = bytes.first_chunk::<LENGTH_LEN>() else {
        return Ok(None);
    };
    let field = u16::from_be_bytes(*field);
    let length = usize::from(field);
    // At least one byte of plaintext: an empty record would be work for the receiver that says nothing.
    if (TAG + 1..=SEALED_MAX).contains(&length) {
        Ok(Some(length))
    } else {
        Err(BadLength(field))
    }
}

/// The length field for a plaintext of `plaintext` bytes, 1 to [`PLAINTEXT_MAX`].
#[inline]
pub fn length_field(plaintext: usize) -> [u8; LENGTH_LEN] {
    debug_assert!((1..=PLAINTEXT_MAX).contains(&plaintext));
    ((plaintext + TAG) as u16).to_be_bytes()
}

impl fmt::Display for BadLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record length {} out of bounds", self.0)
    }
}

impl core::error::Error for BadLength {}
