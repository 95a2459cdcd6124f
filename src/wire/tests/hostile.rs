//! Frames that are not well formed: cut, bent, out of range, or huge.

use alloc::vec;
use alloc::vec::Vec;
use proptest::collection::vec;
use proptest::prelude::*;

use super::model::{Model, any_frame, record, samples};
use crate::wire::frame::{Frame, FrameError, Frames, KEYS_MAX, for_each_message};
use crate::wire::record::PLAINTEXT_MAX;
use crate::wire::varint::{self, MAX};

fn first_error(record: &[u8]) -> Option<FrameError> {
    Frames::new(record).find_map(Result::err)
}

fn with(code: u8, numbers: &[u64]) -> Vec<u8> {
    let mut out = vec![code];
    for &number in numbers {
        varint::put(&mut out, number);
    }
    out
}

/// What must hold for any input: it ends, an error is the last item, and runs are what they say.
fn check_totality(record: &[u8]) {
    let mut frames = Frames::new(record);
    let mut items = 0;
    while let Some(item) = frames.next() {
        items += 1;
        assert!(items <= record.len(), "more frames than bytes");
        match item {
            Err(_) => assert_eq!(frames.next(), None, "goes on after an error"),
            Ok(Frame::Data(run)) => {
                assert!(run.count >= 1 && run.seq + run.count <= MAX);
                assert_eq!(run.bytes, &record[run.offset..run.offset + run.bytes.len()]);
                assert_eq!(run.iter().count() as u64, run.count);
                assert_eq!(run.iter().map(<[u8]>::len).sum::<usize>() as u64, run.payload);
                let mut messages = run.iter();
                for_each_message(run.bytes, |message| assert_eq!(messages.next(), Some(message)));
                assert_eq!(messages.next(), None);
            }
            Ok(Frame::Fragment(part)) => {
                assert!(!part.bytes.is_empty() && part.seq < MAX);
                assert!(u64::from(part.offset) + part.bytes.len() as u64 <= u64::from(part.total));
            }
            Ok(Frame::Keys(keys)) => assert!((1..=KEYS_MAX).contains(&keys.iter().count())),
            Ok(_) => {}
        }
    }
}

/// Every cut of a frame is an error, except a DATA cut between two messages: that is a shorter DATA.
fn check_cuts(model: &Model) {
    let bytes = model.bytes();
    for cut in 1..bytes.len() {
        let mut frames = Frames::new(&bytes[..cut]);
        match (frames.next(), model) {
            (Some(Err(FrameError::Truncated | FrameError::Empty)), _) => {}
            (Some(Ok(Frame::Data(run))), Model::Data(seq, messages)) => {
                let count = run.count as usize;
                assert!(run.seq == *seq && count < messages.len());
                assert!(run.iter().eq(messages[..count].iter().map(Vec::as_slice)));
            }
            (other, _) => panic!("{model:?} cut at {cut} became {other:?}"),
        }
        assert_eq!(frames.next(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn f34_any_frame_cut_anywhere_is_an_error_or_a_shorter_run(model in any_frame()) {
        check_cuts(&model);
    }

    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        check_totality(&bytes);
    }

    /// Random bytes seldom get past the first code; bent records do.
    #[test]
    fn bent_records_are_parsed_or_refused(
        frames in vec(any_frame(), 1..4), bends in vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..4),
    ) {
        let mut record = record(&frames, 3);
        for (at, byte, how) in bends {
            let at = at.index(record.len());
            match how {
                0 => record[at] = byte,
                1 => record.insert(at, byte),
                _ => record.truncate(at + 1),
            }
        }
        check_totality(&record);
    }
}

#[test]
fn f34_each_kind_cut_at_every_byte() {
    for model in samples() {
        check_cuts(&model);
    }
}

#[test]
fn f33_every_code_is_known_skipped_or_refused() {
    for code in 0..=u8::MAX {
        // As a frame of the future: two bytes of body, then a CLOSE_ACK.
        let record = [code, 2, 0xff, 0xff, 0x09, 7];
        let first = Frames::new(&record).next();
        match code {
            0x00..=0x0c => assert_ne!(first, Some(Err(FrameError::UnknownCritical(code)))),
            0x40..=0x7f => assert_eq!(first, Some(Ok(Frame::CloseAck { recv_next: 7 }))),
            _ => assert_eq!(first, Some(Err(FrameError::UnknownCritical(code)))),
        }
        if (0x40..=0x7f).contains(&code) {
            for cut in 1..4 {
                assert_eq!(first_error(&record[..cut]), Some(FrameError::Truncated));
            }
            assert_eq!(Frames::new(&record[..4]).next(), None);
        }
    }
}

#[test]
fn f37_no_number_reaches_two_to_the_62nd() {
    let data = |seq, messages| first_error(&Model::Data(seq, vec![Vec::new(); messages]).bytes());
    assert_eq!(data(MAX - 1, 1), None);
    assert_eq!(data(MAX - 1, 2), Some(FrameError::Number));
    assert_eq!(data(MAX - 2, 2), None);
    assert_eq!(
        first_error(&[&with(1, &[MAX])[..], &[1]].concat()),
        Some(FrameError::Number)
    );
    let fragment = |seq| first_error(&[&with(0x0c, &[seq, 9, 0, 1])[..], b"x"].concat());
    assert_eq!(fragment(MAX - 1), None);
    assert_eq!(fragment(MAX), Some(FrameError::Number));
}

#[test]
fn l24_huge_lengths_cost_nothing() {
    // Each number that is a length, at the largest value, in front of a whole record of bytes. All are refused from
    // the number alone: nothing is allocated, and nothing behind it is read.
    let huge = [
        with(0x01, &[0, MAX]),
        with(0x01, &[0, 1 << 32]),
        with(0x03, &[MAX]),
        with(0x06, &[MAX]),
        [&[0x07, 0, 0, 0, 0, 0][..], &with(0, &[MAX])[1..]].concat(),
        [&[0x0a, 0, 0, 0, 0][..], &with(0, &[MAX])[1..]].concat(),
        with(0x0c, &[0, MAX, 0, 1]),
        with(0x0c, &[0, u64::from(u32::MAX), MAX, 1]),
        with(0x0c, &[0, u64::from(u32::MAX), 0, MAX]),
        with(0x40, &[MAX]),
        with(0x7f, &[1 << 32]),
    ];
    for mut record in huge {
        record.resize(PLAINTEXT_MAX, 0xff);
        let error = Frames::new(&record).next().unwrap().unwrap_err();
        assert!(matches!(error, FrameError::Truncated | FrameError::Size), "{error:?}");
    }
}

#[test]
fn l24_the_fullest_records_yield_what_their_bytes_hold() {
    let mut empties = vec![1; PLAINTEXT_MAX];
    empties[1] = 0;
    let frames: Vec<_> = Frames::new(&empties).collect();
    assert!(matches!(frames[..], [Ok(Frame::Data(run))] if run.count == PLAINTEXT_MAX as u64 - 2 && run.payload == 0));
    // Nothing but frames to skip: one call of `next` goes through all of them and comes back.
    let skipped = [0x40, 0].repeat(PLAINTEXT_MAX / 2);
    assert_eq!(Frames::new(&skipped).next(), None);
}

#[test]
fn padding_is_zero_to_the_end() {
    for length in 1..40 {
        for at in 1..length {
            for byte in [1, 0x40, 0xff] {
                let mut record = vec![0; length];
                record[at] = byte;
                assert_eq!(first_error(&record), Some(FrameError::Padding));
            }
        }
    }
    // Behind a run the first zero ends the run and the second begins the padding.
    assert_eq!(first_error(&[1, 0, 2, b'x', 0, 0, 9]), Some(FrameError::Padding));
}

#[test]
fn empty_frames_are_refused() {
    assert_eq!(first_error(&[1, 0]), Some(FrameError::Empty));
    assert_eq!(first_error(&[1, 0, 0]), Some(FrameError::Empty));
    assert_eq!(first_error(&with(0x0c, &[0, 5, 0, 0])), Some(FrameError::Empty));
    assert_eq!(first_error(&with(0x0c, &[0, 0, 0, 0])), Some(FrameError::Empty));
}

#[test]
fn a_zero_in_a_longer_form_is_no_entry() {
    for zero in [&[0x40, 0][..], &[0x80, 0, 0, 0], &[0xc0, 0, 0, 0, 0, 0, 0, 0]] {
        assert_eq!(
            first_error(&[&[1, 0, 2, b'x'][..], zero].concat()),
            Some(FrameError::Number)
        );
    }
}

#[test]
fn fragments_stay_within_their_message() {
    let fragment = |total, offset, len: usize| {
        let mut record = with(0x0c, &[0, total, offset, len as u64]);
        record.resize(record.len() + len, 1);
        first_error(&record)
    };
    assert_eq!(fragment(10, 7, 3), None);
    assert_eq!(fragment(10, 8, 3), Some(FrameError::Size));
    assert_eq!(fragment(10, 10, 1), Some(FrameError::Size));
    assert_eq!(fragment(u64::from(u32::MAX), u64::from(u32::MAX) - 1, 1), None);
    assert_eq!(fragment(u64::from(u32::MAX) + 1, 0, 1), Some(FrameError::Size));
}

#[test]
fn fields_over_their_bound_are_refused() {
    let sized = |head: &[u8], length: usize| {
        let mut record = head.to_vec();
        varint::put(&mut record, length as u64);
        record.resize(record.len() + length, b'a');
        first_error(&record)
    };
    for (head, max) in [
        (&[6][..], 8192),
        (&[7, 0, 0, 0, 0, 0], 1024),
        (&[0x0a, 0, 0, 0, 0], 255),
    ] {
        assert_eq!(sized(head, max), None);
        assert_eq!(sized(head, max + 1), Some(FrameError::Size));
    }
    assert_eq!(first_error(b"\x0a\0\0\0\0\x01\xff"), Some(FrameError::Text));
}

#[test]
fn kinds_verdicts_and_counts_without_a_meaning_are_refused() {
    for byte in 0..=u8::MAX {
        let expected = |good: bool| (!good).then_some(FrameError::Number);
        assert_eq!(first_error(&[8, byte, 0, 0, 0, 0, 1, 1]), expected(byte <= 7));
        assert_eq!(first_error(&[7, byte, 0, 0, 0, 0, 0]), expected(byte <= 1));
        let mut keys = vec![0x0b, byte];
        keys.resize(2 + 36 * usize::from(byte), 7);
        assert_eq!(first_error(&keys), expected((1..=4).contains(&byte)));
    }
}
