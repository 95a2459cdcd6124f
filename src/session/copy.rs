//! Copying what is mostly short: in pieces of a fixed size, the last of which overlaps the one before it. A call of `memcpy` would take longer than the
//! copying itself.

/// The piece, and the longest that is copied in pieces.
const PIECE: usize = 16;
const SHORT: usize = 4 * PIECE;

/// As `to.copy_from_slice(from)`.
#[inline]
pub fn copy(to: &mut [u8], from: &[u8]) {
    let length = from.len();
    if !(PIECE..=SHORT).contains(&length) {
        to.copy_from_slice(from);
        return;
    }
    let (last, mut at) = (length - PIECE, 0);
    while at < last {
        to[at..at + PIECE].copy_from_slice(&from[at..at + PIECE]);
        at += PIECE;
    }
    to[last..].copy_from_slice(&from[last..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_every_length_is_copied() {
        let from: [u8; SHORT * 2] = core::array::from_fn(|index| index as u8 + 1);
        for length in 0..=from.len() {
            let mut to = [0; SHORT * 2];
            copy(&mut to[..length], &from[..length]);
            assert_eq!(to[..length], from[..length]);
            assert!(to[length..].iter().all(|byte| *byte == 0));
        }
    }
}
