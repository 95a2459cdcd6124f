//! The length field: all 65536 values, and its parts.

use crate::wire::record::{BadLength, PLAINTEXT_MAX, TAG, length, length_field};

#[test]
fn every_length_is_judged() {
    for field in 0..=u16::MAX {
        let expected = match field {
            17..=16400 => Ok(Some(usize::from(field))),
            _ => Err(BadLength(field)),
        };
        let [a, b] = field.to_be_bytes();
        assert_eq!(length(&[a, b]), expected);
        // What follows is not looked at.
        assert_eq!(length(&[a, b, 0xff]), expected);
        assert_eq!(length(&[a]), Ok(None));
    }
    assert_eq!(length(&[]), Ok(None));
}

#[test]
fn every_plaintext_has_its_field() {
    for plaintext in 1..=PLAINTEXT_MAX {
        assert_eq!(length(&length_field(plaintext)), Ok(Some(plaintext + TAG)));
    }
}
