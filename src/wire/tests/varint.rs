//! Bounded-exhaustive. Domain of the decoder: every pair of first bytes, with the tails all 00 and all ff, cut to every
//! length from 0 to 9: 65536 * 2 * 10 inputs, held against a decoder written bit by bit. Domain of the encoder: every
//! value below 2^17 and, for each power of two up to 2^62, the 65 values around it.

use alloc::vec::Vec;

use crate::wire::varint::{MAX, len, put, read, write};

#[test]
fn decodes_as_the_rfc_says() {
    for first in 0..=u16::MAX {
        for tail in [0x00, 0xff] {
            let [a, b] = first.to_be_bytes();
            let bytes = [a, b, tail, tail, tail, tail, tail, tail, tail];
            for cut in 0..=bytes.len() {
                assert_eq!(read(&bytes[..cut]), reference(&bytes[..cut]), "{:x?}", &bytes[..cut]);
            }
        }
    }
}

#[test]
fn decodes_the_rfcs_examples() {
    // RFC 9000, appendix A.1.
    let long = [0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c];
    assert_eq!(read(&long), Some((151_288_809_941_952_652, 8)));
    assert_eq!(read(&[0x9d, 0x7f, 0x3e, 0x7d]), Some((494_878_333, 4)));
    assert_eq!(read(&[0x7b, 0xbd]), Some((15_293, 2)));
    assert_eq!(read(&[0x25]), Some((37, 1)));
    // The longer form of the same value.
    assert_eq!(read(&[0x40, 0x25]), Some((37, 2)));
}

#[test]
fn encodes_the_shortest_form_and_back() {
    let around = (0..=62).flat_map(|bit| (0..65).map(move |i| ((1u64 << bit) + i).saturating_sub(32)));
    for value in (0..1 << 17).chain(around).filter(|&value| value <= MAX) {
        let mut buffer = [0xaa; 9];
        let written = write(&mut buffer, value);
        assert_eq!(written, len(value));
        assert_eq!(read(&buffer), Some((value, written)), "{value}");
        assert!(
            buffer[written..].iter().all(|&byte| byte == 0xaa),
            "wrote past its length"
        );
        let mut appended = Vec::new();
        put(&mut appended, value);
        assert_eq!(appended, &buffer[..written]);
        // One form shorter would not hold it.
        assert!(
            written == 1 || value >> (written * 4 - 2) != 0,
            "{value} in {written} bytes"
        );
    }
}

fn reference(bytes: &[u8]) -> Option<(u64, usize)> {
    let length = 1 << (bytes.first()? >> 6);
    let taken = bytes.get(..length)?;
    let value = taken.iter().fold(0u64, |value, &byte| value << 8 | u64::from(byte));
    Some((value & ((1 << (length * 8 - 2)) - 1), length))
}
