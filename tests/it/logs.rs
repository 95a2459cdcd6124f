//! What ends up in a log by way of `{:?}`: names, numbers and lengths, never a credential or a payload.

use bytes::Bytes;
use unbroken::{Event, Message, MessageId, SendError};

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
