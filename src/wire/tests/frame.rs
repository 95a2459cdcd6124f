//! Frames that are well formed: alone, in records, padded, with frames of the future between them.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use proptest::collection::vec;
use proptest::prelude::*;

use super::model::{Model, any_frame, record, samples};
use crate::wire::frame::{Frame, FrameError, Frames, for_each_message, next_message};

fn parsed(record: &[u8]) -> Result<Vec<Frame<'_>>, FrameError> {
    Frames::new(record).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_round_trip(frames in vec(any_frame(), 1..6), zeros in 0..20usize) {
        let record = record(&frames, zeros);
        let parsed = parsed(&record).unwrap();
        prop_assert_eq!(parsed.len(), frames.len());
        for (model, frame) in frames.iter().zip(&parsed) {
            prop_assert!(model.is(frame), "{:?} became {:?}", model, frame);
            if let Frame::Data(run) = frame {
                prop_assert_eq!(run.bytes, &record[run.offset..run.offset + run.bytes.len()]);
            }
        }
    }

    #[test]
    fn f33_frames_of_the_future_are_skipped_anywhere(
        frames in vec(any_frame(), 1..4), code in 0x40u8..0x80, body in vec(any::<u8>(), 0..64),
    ) {
        let mut future = vec![code, body.len() as u8];
        if body.len() == 64 {
            future = vec![code, 0x40, 64];
        }
        future.extend_from_slice(&body);
        let mut record = future.clone();
        for frame in &frames {
            frame.write(&mut record);
            if matches!(frame, Model::Data(..)) {
                record.push(0);
            }
            record.extend_from_slice(&future);
        }
        let parsed = parsed(&record).unwrap();
        prop_assert!(parsed.len() == frames.len() && frames.iter().zip(&parsed).all(|(model, frame)| model.is(frame)));
    }
}

#[test]
fn every_frame_round_trips_alone_and_early_frames_are_few() {
    for model in samples() {
        let bytes = model.bytes();
        let frames = parsed(&bytes).unwrap();
        assert!(frames.len() == 1 && model.is(&frames[0]), "{model:?}");
        let early: Result<Vec<_>, _> = Frames::early(&bytes).collect();
        match model {
            Model::Data(..) | Model::Fragment(..) => assert_eq!(early, Ok(frames)),
            _ => assert_eq!(early, Err(FrameError::NotEarly(bytes[0]))),
        }
    }
    assert_eq!(Frames::early(&[]).next(), None);
    assert_eq!(Frames::early(&[0, 0]).next(), None);
    assert_eq!(Frames::early(&[0x40, 0]).next(), Some(Err(FrameError::NotEarly(0x40))));
}

#[test]
fn layouts_are_the_documents() {
    let layouts: [(&[u8], &str); 6] = [
        (b"\x01\x05\x02a\x01\x03bc", "[Data(5, 3 messages, 3 bytes)]"),
        (b"\x01\x05\x02a\x00\x04tokentok", "[Data(5, 1 messages, 1 bytes), Ping]"),
        (
            b"\x02\x01\x02\x43\x00",
            "[Ack { recv_next: 1, messages: 2, bytes: 768 }]",
        ),
        (b"\x07\x01\x00\x00\x00\x09\x02no", "[AuthResult(false, 9, 2 bytes)]"),
        (b"\x0a\x00\x00\x01\x00\x03h:1", "[Drain(256, \"h:1\")]"),
        (b"\x0c\x01\x0a\x04\x02ab\x00", "[Fragment(1, 4+2 of 10)]"),
    ];
    for (bytes, expected) in layouts {
        assert_eq!(format!("{:?}", parsed(bytes).unwrap()), expected);
    }
}

#[test]
fn a_frame_in_a_log_shows_no_contents() {
    for bytes in [
        &b"\x06\x06secret"[..],
        b"\x03\x06secret",
        b"\x01\x01\x07secret",
        b"\x0c\x01\x06\x00\x06secret",
    ] {
        let shown = format!("{:?}", parsed(bytes).unwrap());
        assert!(!shown.contains("secret") && !shown.contains("115"), "{shown}");
    }
}

#[test]
fn a_record_of_padding_says_nothing() {
    for zeros in 0..40 {
        assert_eq!(parsed(&vec![0; zeros]), Ok(Vec::new()));
    }
}

#[test]
fn a_run_ends_at_its_first_zero_and_padding_follows() {
    for zeros in 0..20 {
        let frames = [Model::Data(1, vec![b"x".to_vec(), Vec::new()])];
        let record = record(&frames, zeros);
        let parsed = parsed(&record).unwrap();
        assert!(parsed.len() == 1 && frames[0].is(&parsed[0]));
    }
}

#[test]
fn next_message_takes_what_the_walk_counted() {
    // Every length around the borders of the head's forms.
    for length in (0..200).chain(16_300..16_384) {
        let message = vec![5; length];
        let bytes = Model::Data(0, vec![message.clone()]).bytes();
        let entry = &bytes[2..];
        assert_eq!(next_message(entry), Some((&message[..], entry.len())));
        for cut in [0, 1, entry.len() / 2, entry.len() - 1] {
            if cut < entry.len() {
                assert_eq!(next_message(&entry[..cut]), None);
            }
        }
    }
    assert_eq!(next_message(&[]), None);
    assert_eq!(next_message(&[0, 1, 1]), None);
    assert_eq!(next_message(&[0x40, 0, 1]), None, "a long zero is no message");
    assert_eq!(
        next_message(&[0x40, 2, 9]),
        Some((&[9][..], 3)),
        "a longer head than needed"
    );
}

/// Both walks guess that a message is as long as the one before.
#[test]
fn messages_of_one_size_and_others_behind_them_are_told_apart() {
    let lengths = [0, 1, 5, 61, 62, 63, 64, 200, 318, 16_382, 16_383, 16_384];
    for (length, next) in lengths
        .into_iter()
        .flat_map(|length| lengths.map(|next| (length, next)))
    {
        for count in 1..4 {
            let mut messages = vec![vec![6; length]; count];
            messages.push(vec![7; next]);
            messages.push(vec![8; length]);
            let model = Model::Data(3, messages.clone());
            let bytes = model.bytes();
            let Ok(Some(Frame::Data(run))) = Frames::new(&bytes).next().transpose() else {
                panic!("{count} times {length}, {next}: not a run");
            };
            assert!(model.is(&Frame::Data(run)));
            let mut seen = Vec::new();
            for_each_message(run.bytes, |message| seen.push(message.to_vec()));
            assert!(seen == messages, "{count} times {length}, {next}");

            // Cut anywhere in the last message; it guesses rightly if that has the length of the one before.
            let last = bytes.len() - 1 - length;
            for cut in [last + 1, (last + bytes.len()) / 2, bytes.len() - 1] {
                let cut_off = Frames::new(&bytes[..cut]).next();
                if cut > last && cut < bytes.len() {
                    assert_eq!(
                        cut_off,
                        Some(Err(FrameError::Truncated)),
                        "{count} times {length}, {next}, cut at {cut}"
                    );
                }
            }
        }
    }
}
