//! What the errors say: each its own, with the figure that was wrong. Logs are all that is left of a peer that sent nonsense.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;

use super::model::{Model, record};
use crate::wire::flight::Refuse;
use crate::wire::frame::{Frame, FrameError, Frames, Key};
use crate::wire::prelude::{FlightKind, PreludeError};
use crate::wire::record::BadLength;

#[track_caller]
fn assert_telling(texts: &[(String, &[&str])]) {
    let different: BTreeSet<&str> = texts.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(different.len(), texts.len(), "two errors say the same: {texts:?}");
    for (text, figures) in texts {
        assert!(!text.is_empty());
        for figure in *figures {
            assert!(text.contains(figure), "`{text}` does not tell of {figure}");
        }
    }
}

#[test]
fn a_records_length_is_named() {
    assert_telling(&[
        (BadLength(16).to_string(), &["16"]),
        (BadLength(16401).to_string(), &["16401"]),
    ]);
}

#[test]
fn each_error_of_a_prelude_tells_what_was_there() {
    let kind = FlightKind::Hello;
    assert_telling(&[
        (PreludeError::Magic.to_string(), &["magic"]),
        (PreludeError::Kind(0x7b).to_string(), &["123"]),
        (PreludeError::Flags(0x81).to_string(), &["0x81"]),
        (
            PreludeError::Length { kind, length: 4321 }.to_string(),
            &["4321", "Hello"],
        ),
    ]);
}

#[test]
fn each_error_of_a_frame_tells_what_was_there() {
    assert_telling(&[
        (FrameError::Truncated.to_string(), &[]),
        (FrameError::UnknownCritical(0x7c).to_string(), &["0x7c"]),
        (FrameError::Padding.to_string(), &["padding"]),
        (FrameError::Empty.to_string(), &["empty"]),
        (FrameError::Number.to_string(), &["number"]),
        (FrameError::Text.to_string(), &["UTF-8"]),
        (FrameError::Size.to_string(), &["long"]),
        (FrameError::NotEarly(0x7c).to_string(), &["0x7c", "early"]),
    ]);
}

#[test]
fn a_flight_that_cannot_be_read_says_why() {
    let why = Refuse::parse(&[]).expect_err("there is nothing to read");
    assert_telling(&[(why.to_string(), &["REFUSE"])]);
}

#[test]
fn a_frame_in_a_log_shows_its_length_and_not_its_content() {
    let secret = b"hunter2-hunter2".to_vec();
    let key = |lifetime_s| Key {
        public: [0x5a; 32],
        lifetime_s,
    };
    let frames: [(Model, &[&str]); 9] = [
        (
            Model::Data(4711, vec![secret.clone(), secret.clone()]),
            &["4711", "2 messages", "30 bytes"],
        ),
        (Model::Unreliable(secret.clone()), &["15 bytes"]),
        (Model::Auth(secret.clone()), &["15 bytes"]),
        (Model::AuthResult(true, 4711, secret.clone()), &["4711", "15 bytes"]),
        (Model::Fragment(4711, 20, secret, 30), &["4711", "20+15", "65"]),
        (Model::CloseAck(4711), &["4711"]),
        (Model::Drain(4711, "example.org".into()), &["4711", "example.org"]),
        (Model::Ping([7; 8]), &["Ping"]),
        (Model::Pong([7; 8]), &["Pong"]),
    ];
    for (model, figures) in frames {
        let bytes = record(&[model], 0);
        let frame = Frames::new(&bytes).next().expect("a frame").expect("well formed");
        let text = format!("{frame:?}");
        assert!(!text.contains("hunter2") && !text.contains("104, 117"), "{text}");
        for figure in figures {
            assert!(text.contains(figure), "`{text}` does not tell of {figure}");
        }
    }
    let bytes = record(&[Model::Keys(vec![key(4711), key(4712)])], 0);
    let Some(Ok(Frame::Keys(keys))) = Frames::new(&bytes).next() else {
        panic!("no list of keys");
    };
    let text = format!("{keys:?}");
    assert!(text.contains("4711") && text.contains("4712"), "{text}");
}
