//! Copies of every length, against the slice's own.

use alloc::vec;
use alloc::vec::Vec;

use crate::session::copy::copy;

#[test]
fn all_of_a_message_is_copied_and_nothing_beside_it_is_touched() {
    for length in 0..200 {
        let message: Vec<u8> = (1..=length).collect();
        let mut room = vec![0xee; usize::from(length) + 70];
        copy(&mut room[3..], &message);
        let mut expected = vec![0xee; 3];
        expected.extend(&message);
        expected.resize(room.len(), 0xee);
        assert_eq!(room, expected, "{length} bytes");
    }
}
