//! What ends up in a log by way of `{:?}`: names, numbers and lengths, never a credential or a payload.

use std::time::Duration;

use bytes::Bytes;
use unbroken::{Cursor, Event, Expect, Message, MessageId, Owner, Record, SendError, StoreOp};

const SECRET: &[u8] = b"hunter2-hunter2-hunter2";

#[track_caller]
fn assert_discreet(value: &dyn std::fmt::Debug) {
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        let bare: String = text.split_whitespace().collect();
        assert!(!bare.contains("hunter2"), "{text}");
        // As numbers, decimal or hex.
        assert!(!bare.contains("104,117,110"), "{text}");
        assert!(!bare.to_lowercase().contains("68756e74"), "{text}");
    }
}

#[test]
fn an_event_does_not_show_a_credential() {
    let event = Event::Authorise {
        credential: Bytes::from_static(SECRET).into(),
    };
    assert_discreet(&event);
    assert!(format!("{event:?}").contains("23"), "{event:?} tells no length");
}

#[test]
fn a_message_does_not_show_its_payload() {
    for id in [Some(MessageId(7)), None] {
        let message = Message { id, payload: SECRET };
        assert_discreet(&message);
        assert!(format!("{message:?}").contains("23"), "{message:?} tells no length");
    }
}

#[test]
fn an_error_does_not_show_the_message_it_gives_back() {
    let message = || Bytes::from_static(SECRET);
    for error in [
        SendError::WouldBlock(message()),
        SendError::Closed(message()),
        SendError::NoLink(message()),
        SendError::TooLarge {
            message: message(),
            max: 1,
        },
    ] {
        assert_discreet(&error);
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(error.into_message(), SECRET);
    }
}

#[test]
fn what_a_store_is_asked_shows_what_and_where_and_no_blob() {
    let (key, owner, life) = ([0xab; 8], Owner([0xcd; 16]), Duration::from_secs(77));
    let (place, blob) = ("ab, ab, ab, ab, ab, ab, ab, ab", || Bytes::from_static(SECRET));
    let put = |record, expect| StoreOp::Put {
        key,
        expect,
        record,
        life,
        linger: life,
    };
    let live = Record::Live {
        token: 4711,
        owner,
        blob: blob(),
    };
    let parked = Record::Parked {
        token: 4712,
        blob: blob(),
    };
    let tomb = Record::Tomb {
        token: 4713,
        blob: blob(),
    };
    let (message, note, max) = (blob(), blob(), 99);
    let asked: [(StoreOp, &[&str]); 11] = [
        (StoreOp::Peek { key }, &["Peek", place]),
        (
            put(live, Expect::Absent),
            &["Put", place, "Absent", "4711", "23 bytes", &owner.to_string()],
        ),
        (
            put(parked, Expect::Live(4711, owner)),
            &["Put", "4711", "Parked(4712", "23 bytes"],
        ),
        (put(tomb, Expect::Parked(4712)), &["Put", "4712", "Tomb(4713"]),
        (StoreOp::Lease { owner, life }, &["Lease", "77"]),
        (
            StoreOp::Send { to: owner, note },
            &["Send", &owner.to_string(), "23 bytes"],
        ),
        (StoreOp::Receive { owner }, &["Receive", &owner.to_string()]),
        (StoreOp::Append { key, message, life }, &["Append", place, "23 bytes"]),
        (StoreOp::Read { key, after: 4711, max }, &["Read", place, "4711", "99"]),
        (
            StoreOp::Trim {
                key,
                upto: 4711 as Cursor,
            },
            &["Trim", place, "4711"],
        ),
        (
            StoreOp::Bind {
                user: [7; 32],
                key,
                life,
            },
            &["Bind", place],
        ),
    ];
    for (op, told) in asked {
        assert_discreet(&op);
        let text = format!("{op:?}");
        for word in told {
            assert!(text.contains(word), "`{text}` does not tell of {word}");
        }
    }
}
