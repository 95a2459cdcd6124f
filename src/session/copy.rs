//! Copying a message into the outbox.
//!
//! To call `memcpy` costs more than a short message does: the call itself, and whatever the caller held in registers across it. So up to 128 bytes are copied in place, as
//! their first and their last 4, 8, 16, 32 or 64 bytes, which for most lengths lie over each other.

/// Copies `from` to the front of `to`, which must have room for it.
#[inline(always)]
pub fn copy(to: &mut [u8], from: &[u8]) {
    let to = &mut to[..from.len()];
    match from.len() {
        65..=128 => both_ends::<64>(to, from),
        33..=64 => both_ends::<32>(to, from),
        16..=32 => both_ends::<16>(to, from),
        8..=15 => both_ends::<8>(to, from),
        4..=7 => both_ends::<4>(to, from),
        _ => to.copy_from_slice(from),
    }
}

/// For `N` to `2 * N` bytes.
#[inline(always)]
fn both_ends<const N: usize>(to: &mut [u8], from: &[u8]) {
    let last = from.len() - N;
    to[..N].copy_from_slice(&from[..N]);
    to[last..].copy_from_slice(&from[last..]);
}
