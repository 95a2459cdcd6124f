//! Records: numbers, REKEY, and what must not move them. Golden values as in `keys`.

use std::vec;

use super::*;
use crate::crypto::record::REKEY_INTERVAL;
use crate::crypto::{Exhausted, Key, Opener, Sealer, TAG};

fn key() -> Key {
    Key::from_bytes(counting(0))
}

fn seal(sealer: &mut Sealer, text: &[u8]) -> Vec<u8> {
    let mut sealed = vec![0; text.len() + TAG];
    sealer.seal(text, &mut sealed).expect("numbers are left");
    sealed
}

fn open(opener: &mut Opener, sealed: &[u8]) -> Result<Vec<u8>, AuthError> {
    let mut text = vec![0; sealed.len() - TAG];
    opener.open(sealed, &mut text)?;
    Ok(text)
}

#[test]
fn records_have_the_golden_values_across_a_rekey() {
    let mut sealer = Sealer::new(&key());
    assert_eq!(
        seal(&mut sealer, b"record"),
        unhex("7cd9d6b1c748c1075cda2add8622a2895f380ef22c0d")
    );
    while sealer.sealed() < REKEY_INTERVAL - 1 {
        seal(&mut sealer, b"");
    }
    let last = unhex("d383cc048a6ad97d9e54712bd3bef5d64224e11056c3");
    let first = unhex("c8570e8df8e95986933df05949c3a3ffde66ee666642");
    assert_eq!(seal(&mut sealer, b"record"), last);
    assert_eq!(seal(&mut sealer, b"record"), first);

    let mut sealer = Sealer::starting_at(&key(), REKEY_INTERVAL - 1);
    assert_eq!(seal(&mut sealer, b"record"), last);
    assert_eq!(seal(&mut sealer, b"record"), first);
}

#[test]
fn a_key_that_was_put_away_is_the_same_afterwards_across_a_rekey_too() {
    let start = REKEY_INTERVAL - 3;
    let (mut steady, mut resting) = (Sealer::starting_at(&key(), start), Sealer::starting_at(&key(), start));
    let mut opener = Opener::starting_at(&key(), start);
    for number in 0..6_u8 {
        let sealed = seal(&mut steady, &[number; 40]);
        resting.rest();
        assert!(resting.rests());
        assert_eq!(seal(&mut resting, &[number; 40]), sealed, "record {number}");
        opener.rest();
        assert!(opener.rests());
        assert_eq!(open(&mut opener, &sealed), Ok(vec![number; 40]));
        assert!(!resting.rests() && !opener.rests());
    }
}

#[test]
fn in_place_and_out_of_place_agree() {
    let (mut one, mut two, mut opener) = (Sealer::new(&key()), Sealer::new(&key()), Opener::new(&key()));
    for length in [1, 15, 16, 17, 127, 128, 129, 1000, 16383, 16384] {
        let text: Vec<u8> = (0..length).map(|n| (n * 7) as u8).collect();
        let mut buffer = text.clone();
        buffer.resize(length + TAG, 0xee);
        two.seal_in_place(&mut buffer).expect("numbers are left");
        assert_eq!(seal(&mut one, &text), buffer);
        assert_eq!(open(&mut opener, &buffer), Ok(text));
    }
    assert_eq!((one.sealed(), two.sealed(), opener.opened()), (10, 10, 10));
}

#[test]
fn l23_a_forged_record_moves_no_number_and_shows_nothing() {
    let mut sealer = Sealer::starting_at(&key(), REKEY_INTERVAL - 1);
    let mut opener = Opener::starting_at(&key(), REKEY_INTERVAL - 1);
    for text in [b"before the rekey".as_slice(), b"after the rekey"] {
        let sealed = seal(&mut sealer, text);
        let number = opener.opened();
        for flipped in flips(&sealed) {
            let mut out = vec![0; text.len()];
            assert_eq!(opener.open(&flipped, &mut out), Err(AuthError));
            assert_eq!(out, vec![0; text.len()]);
            assert_eq!(opener.opened(), number);
        }
        assert_eq!(open(&mut opener, &sealed), Ok(text.to_vec()));
        assert_eq!(open(&mut opener, &sealed), Err(AuthError)); // and not a second time
    }
}

#[test]
fn a_record_shorter_than_a_tag_does_not_open() {
    let mut opener = Opener::new(&key());
    for length in 0..TAG {
        assert_eq!(opener.open(&vec![0; length], &mut []), Err(AuthError));
    }
    assert_eq!(opener.opened(), 0);
}

#[test]
fn a_lost_or_swapped_record_does_not_open() {
    let (mut sealer, mut opener) = (Sealer::new(&key()), Opener::new(&key()));
    let (first, second) = (seal(&mut sealer, b"first"), seal(&mut sealer, b"second"));
    assert!(open(&mut opener, &second).is_err());
    assert!(open(&mut opener, &first).is_ok());
    assert!(open(&mut opener, &second).is_ok());
}

#[test]
fn the_last_number_is_refused_on_both_ends() {
    let mut sealer = Sealer::starting_at(&key(), u64::MAX - 1);
    let mut opener = Opener::starting_at(&key(), u64::MAX - 1);
    let sealed = seal(&mut sealer, b"the last");
    assert!(open(&mut opener, &sealed).is_ok());
    for _ in 0..2 {
        let mut buffer = [0; 1 + TAG];
        assert_eq!(sealer.seal(b"x", &mut buffer), Err(Exhausted));
        assert_eq!(sealer.seal_in_place(&mut buffer), Err(Exhausted));
        assert_eq!(buffer, [0; 1 + TAG]);
        assert_eq!(sealer.sealed(), u64::MAX);
    }

    // Not even a record that was truly sealed with that nonce opens.
    use crate::crypto::backend::{Active, Backend, Cipher};
    let mut sealed = [0; 1 + TAG];
    <Active as Backend>::Cipher::new(key().as_bytes()).seal(u64::MAX, &[], b"x", &mut sealed);
    let mut last = Opener::starting_at(&key(), u64::MAX);
    assert_eq!(last.open(&sealed, &mut [0]), Err(AuthError));
    assert_eq!(last.opened(), u64::MAX);
}

/// What comes next on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comes {
    Next,
    /// The one that was opened last, once more.
    Again,
    /// The one behind the next.
    Ahead,
    Forged,
    Short,
}

/// Bounded-exhaustive: all rows of six records, 5^6 = 15,625, from number 0, across a REKEY, and up to the last number there is. The model is one counter:
/// only the next record opens, and only it moves the number.
#[test]
fn l23_every_row_of_six_records_moves_the_number_by_those_that_open() {
    const COMES: [Comes; 5] = [Comes::Next, Comes::Again, Comes::Ahead, Comes::Forged, Comes::Short];
    const STEPS: u32 = 6;
    for start in [0, REKEY_INTERVAL - 3, u64::MAX - 3] {
        let mut sealer = Sealer::starting_at(&key(), start);
        let mut records = Vec::new();
        while records.len() < STEPS as usize + 2 && sealer.sealed() != u64::MAX {
            records.push(seal(&mut sealer, &[records.len() as u8]));
        }
        for row in 0..5u32.pow(STEPS) {
            let mut opener = Opener::starting_at(&key(), start);
            let mut opened = 0;
            for step in 0..STEPS {
                let comes = COMES[(row / 5u32.pow(step) % 5) as usize];
                let at = match comes {
                    Comes::Again => opened.max(1) - 1,
                    Comes::Ahead => opened + 1,
                    _ => opened,
                };
                let mut record = records.get(at).cloned().unwrap_or_else(|| vec![0; 1 + TAG]);
                match comes {
                    Comes::Forged => record[row as usize % (1 + TAG)] ^= 1,
                    Comes::Short => record.truncate(TAG),
                    _ => {}
                }
                let good = matches!(comes, Comes::Next | Comes::Again) && at == opened && opened < records.len();
                assert_eq!(
                    open(&mut opener, &record).is_ok(),
                    good,
                    "{start} {row}: {comes:?} at step {step}"
                );
                opened += usize::from(good);
                assert_eq!(
                    opener.opened(),
                    start + opened as u64,
                    "{start} {row}: {comes:?} at step {step}"
                );
            }
        }
    }
}
