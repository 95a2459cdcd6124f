//! What ends up in a log by way of `{:?}`: names, numbers and lengths, never a credential or a payload.

use std::sync::Arc;

use bytes::Bytes;
use unbroken::{
    ClientConfig, ClusterKey, Endpoint, Event, Instant, Message, MessageId, Output, Seed, SendError, ServerConfig,
    ServerKey, Session,
};

const SECRET: &[u8] = b"hunter2-hunter2-hunter2";

#[track_caller]
fn assert_discreet(value: &dyn std::fmt::Debug) {
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        let bare: String = text.split_whitespace().collect();
        assert!(!bare.contains("hunter2"), "{text}");
        // As numbers, decimal or hex.
        assert!(!bare.contains("104,117,110"), "{text}");
        assert!(!bare.to_lowercase().contains("68756e74"), "{text}");
        assert!(bare.contains(&SECRET.len().to_string()), "no length in {text}");
    }
}

/// What a server's application is asked about a client with this credential.
fn asked() -> Event {
    let key = ServerKey::from_bytes([7; 32]).expect("not zero");
    let cluster = ClusterKey::from_bytes([9; 32]).expect("not zero");
    let client = ClientConfig::builder(key.public()).credential(SECRET).build();
    let server = ServerConfig::builder(key, cluster).build();
    let now = Instant::from_millis(1000);
    let mut client = Session::connect(Arc::new(client.expect("within bounds")), Seed::new([1; 32]), now);
    let mut server = Endpoint::new(Arc::new(server.expect("within bounds")), Seed::new([2; 32]), now);
    let mut buffer = vec![0; 65536];
    for _ in 0..100 {
        match client.poll_output(&mut buffer, now) {
            Some(Output::OpenLink { link, .. }) => {
                server.handle_link_up(link, now);
                client.handle_link_up(link, now);
            }
            Some(Output::Send { link, len }) => server.handle_input(link, &buffer[..len], now),
            Some(Output::CloseLink { .. }) | None => {}
        }
        if let Some(Output::Send { link, len }) = server.poll_output(&mut buffer, now) {
            client.handle_input(link, &buffer[..len], now);
        }
        while let Some((_, event)) = server.poll_event() {
            if matches!(event, Event::Authorise { .. }) {
                return event;
            }
        }
    }
    panic!("nobody is asked");
}

#[test]
fn an_event_does_not_show_a_credential() {
    let event = asked();
    assert_discreet(&event);
    let Event::Authorise { credential } = event else {
        unreachable!("as `asked` says")
    };
    assert_eq!(credential[..], *SECRET);
    assert_discreet(&credential);
}

#[test]
fn a_message_does_not_show_its_payload() {
    for id in [Some(MessageId(7)), None] {
        assert_discreet(&Message { id, payload: SECRET });
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
