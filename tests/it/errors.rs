//! What errors and reasons say to a person: each something of its own, with the figures that belong to it.

use std::collections::HashSet;
use std::fmt::{Debug, Display};

use bytes::Bytes;
use unbroken::{
    CloseReason, ConfigError, FailReason, NoStore, Owner, Peeked, Record, Refusal, SaveError, SendError, SessionId,
    StoreReply,
};

/// Each text is told from the others, and has the figures beside it.
#[track_caller]
fn assert_telling<E: Display + Debug>(errors: &[(E, &[&str])]) {
    let texts: HashSet<String> = errors.iter().map(|(error, _)| error.to_string()).collect();
    assert_eq!(texts.len(), errors.len(), "two of these say the same: {texts:?}");
    for (error, figures) in errors {
        let text = error.to_string();
        assert!(text.len() > 5, "{error:?} says `{text}`");
        for figure in *figures {
            assert!(text.contains(figure), "`{text}` does not tell of {figure}");
        }
    }
}

#[test]
fn each_reason_of_an_end_is_told_from_the_others() {
    use CloseReason::*;
    assert_telling::<CloseReason>(&[
        (Local { code: 4711 }, &["4711"]),
        (
            Peer {
                code: 4711,
                truncated: false,
            },
            &["4711", "peer"],
        ),
        (
            Peer {
                code: 4711,
                truncated: true,
            },
            &["4711", "peer", "missing"],
        ),
        (Expired, &[]),
        (Kicked { code: 4711 }, &["4711"]),
        (Superseded, &["another device"]),
        (Refused { code: 4711 }, &["4711"]),
        (UnknownSession, &[]),
        (RolledBack, &["older state"]),
        (OwnerCrashed, &[]),
        (VersionMismatch, &["version"]),
        (Overflow, &[]),
        (Internal, &["internal"]),
    ]);
}

#[test]
fn each_reason_of_a_failed_handover_is_told_from_the_others_and_only_two_may_be_tried_again() {
    use FailReason::*;
    let all = [
        Expired,
        Kicked,
        Refused,
        UnknownSession,
        RolledBack,
        OwnerCrashed,
        VersionMismatch,
        Overflow,
        GaveUp,
        Closed,
    ];
    assert_telling(&all.map(|reason| (reason, &[] as &[&str])));
    let again: Vec<FailReason> = all.into_iter().filter(|reason| !reason.is_final()).collect();
    assert_eq!(again, [VersionMismatch, GaveUp]);
}

#[test]
fn an_end_is_the_reason_why_the_handover_failed() {
    let reasons = [
        (CloseReason::Local { code: 1 }, FailReason::Closed),
        (
            CloseReason::Peer {
                code: 1,
                truncated: true,
            },
            FailReason::Closed,
        ),
        (CloseReason::Expired, FailReason::Expired),
        (CloseReason::Kicked { code: 1 }, FailReason::Kicked),
        (CloseReason::Superseded, FailReason::Kicked),
        (CloseReason::Refused { code: 1 }, FailReason::Refused),
        (CloseReason::UnknownSession, FailReason::UnknownSession),
        (CloseReason::RolledBack, FailReason::RolledBack),
        (CloseReason::OwnerCrashed, FailReason::OwnerCrashed),
        (CloseReason::VersionMismatch, FailReason::VersionMismatch),
        (CloseReason::Overflow, FailReason::Overflow),
        (CloseReason::Internal, FailReason::Closed),
    ];
    for (end, failure) in reasons {
        assert_eq!(FailReason::from(end), failure, "{end:?}");
    }
}

#[test]
fn a_message_that_was_not_taken_comes_back_with_the_reason() {
    let message = Bytes::from_static(b"fourteen bytes");
    let refusals = [
        (Refusal::WouldBlock, "14 bytes"),
        (Refusal::TooLarge { max: 13 }, "limit of 13"),
        (Refusal::Closed, "closed"),
        (Refusal::NoLink, "no link"),
        (Refusal::Full, "limit"),
    ];
    let mut texts = HashSet::new();
    for (refusal, figure) in refusals {
        let error = refusal.with(message.clone());
        let text = error.to_string();
        assert!(text.contains(figure), "{refusal:?}: `{text}`");
        assert!(format!("{error:?}").contains(&text), "{error:?}");
        assert!(texts.insert(text), "two refusals say the same: {refusal:?}");
        assert_eq!(error.into_message(), message, "{refusal:?}");
    }
    assert!(matches!(
        Refusal::TooLarge { max: 13 }.with(message),
        SendError::TooLarge { max: 13, .. }
    ));
}

#[test]
fn the_other_errors_name_what_to_change() {
    let field = ConfigError {
        field: "some_field",
        problem: "must not be 17".into(),
    };
    assert_telling(&[(field, &["some_field", "must not be 17"])]);
    assert_telling(&[
        (SaveError::Unwanted, &["poll_snapshot"] as &[&str]),
        (
            SaveError::TooLarge {
                size: 70_001,
                max: 65_536,
            },
            &["70001", "65536", "Limits::snapshot"],
        ),
    ]);
    assert_telling(&[(NoStore, &["Durability"])]);
}

#[test]
fn names_are_hex_in_a_log() {
    let bytes: [u8; 16] = std::array::from_fn(|i| 0xf0 - i as u8);
    let hex = "f0efeeedecebeae9e8e7e6e5e4e3e2e1";
    for text in [
        SessionId(bytes).to_string(),
        format!("{:?}", SessionId(bytes)),
        Owner(bytes).to_string(),
        format!("{:?}", Owner(bytes)),
    ] {
        assert_eq!(text, hex);
    }
}

#[test]
fn what_a_store_answers_shows_no_content_in_a_log() {
    let secret = || Bytes::from_static(b"Secret");
    let record = Record::Parked {
        token: 7,
        blob: secret(),
    };
    let found = Peeked {
        record,
        expired: false,
        owner_alive: false,
    };
    for (reply, tells) in [
        (StoreReply::Notes(vec![secret(), secret()]), "Notes(2, 12 bytes)"),
        (
            StoreReply::Messages(vec![(Default::default(), secret())]),
            "Messages(1, 6 bytes)",
        ),
        (StoreReply::Peeked(Some(found)), "Parked(7, 6 bytes)"),
    ] {
        let text = format!("{reply:?}");
        assert!(text.contains(tells), "{text}");
        assert!(!text.contains("Secret") && !text.contains("83, 101"), "{text}");
    }
}
