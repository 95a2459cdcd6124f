//! The variable-length integer of RFC 9000, section 16.
//!
//! The two top bits of the first byte say how many bytes there are (1, 2, 4 or 8), the rest is the value, big-endian.
//! Nearly all lengths on a game's or a chat's link are below 64 and nearly all others below 16384, so one and two
//! bytes are inlined into the caller and the two long forms stay out of line.
//!
//! A reader accepts a longer form than needed (section 16 of the RFC does too); a writer always takes the shortest.

use alloc::vec::Vec;

/// The largest value a varint can hold.
pub const MAX: u64 = (1 << 62) - 1;

/// The number of bytes [`write()`] takes for `value`.
#[inline]
pub const fn len(value: u64) -> usize {
    match value {
        0..0x40 => 1,
        0x40..0x4000 => 2,
        0x4000..0x4000_0000 => 4,
        _ => 8,
    }
}

/// Writes `value` at the front of `out` and says how many bytes it took.
///
/// `out` must have room for [`len`] bytes. A value above [`MAX`] is a bug of the caller: it is written as `MAX`,
/// since anything else would change the length bits and with them the meaning of every byte behind.
#[inline]
pub fn write(out: &mut [u8], value: u64) -> usize {
    if value < 0x40 {
        out[0] = value as u8;
        1
    } else if value < 0x4000 {
        out[..2].copy_from_slice(&(value as u16 | 0x4000).to_be_bytes());
        2
    } else {
        write_long(out, value)
    }
}

/// Reads the varint at the front of `bytes`: its value and how many bytes it took. `None` if it is cut off.
#[inline]
pub fn read(bytes: &[u8]) -> Option<(u64, usize)> {
    match *bytes {
        [a, ..] if a < 0x40 => Some((u64::from(a), 1)),
        [a, b, ..] if a < 0x80 => Some((u64::from(a & 0x3f) << 8 | u64::from(b), 2)),
        _ => read_long(bytes),
    }
}

/// Appends `value` to `out`.
pub fn put(out: &mut Vec<u8>, value: u64) {
    let mut buffer = [0; 8];
    let written = write(&mut buffer, value);
    out.extend_from_slice(&buffer[..written]);
}

fn write_long(out: &mut [u8], value: u64) -> usize {
    debug_assert!(value <= MAX, "{value} does not fit a varint");
    if value < 0x4000_0000 {
        out[..4].copy_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes());
        4
    } else {
        out[..8].copy_from_slice(&(value.min(MAX) | 0xc000_0000_0000_0000).to_be_bytes());
        8
    }
}

fn read_long(bytes: &[u8]) -> Option<(u64, usize)> {
    match bytes.first()? >> 6 {
        2 => {
            let value = u32::from_be_bytes(*bytes.first_chunk()?) & 0x3fff_ffff;
            Some((u64::from(value), 4))
        }
        3 => Some((u64::from_be_bytes(*bytes.first_chunk()?) & MAX, 8)),
        // One byte never comes here; two come here only when the second is missing.
        _ => None,
    }
}
