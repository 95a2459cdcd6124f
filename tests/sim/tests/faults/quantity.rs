//! How much an application may ask for: many announcements, long addresses, unreliable messages without end (U-40, U-54, L-20).

use core::time::Duration;

use bytes::Bytes;
use unbroken::{Event, Limits, SendError};
use unbroken_sim::raw::{RawFrame, frames};

use crate::common::*;

fn rare(heard: &[RawFrame]) -> usize {
    let is_rare = |f: &&RawFrame| matches!(f, RawFrame::Drain { .. } | RawFrame::Keys(_));
    heard.iter().filter(is_rare).count()
}

#[test]
fn u54_l20_no_number_of_announcements_costs_a_client_its_link() {
    let mut hand = Hand::new();
    for day in 0..40u8 {
        if day % 2 == 0 {
            let _ = hand
                .bench
                .endpoint
                .announce_keys(&[(server_key().public(), Duration::from_secs(86_400))]);
        } else {
            let _ = hand.bench.endpoint.drain(SECOND, "other:1");
        }
        hand.bench.pump();
        for _ in 0..10 {
            let answer = pongs(&hand.hear());
            if !answer.is_empty() {
                hand.say(&answer);
            }
            hand.bench.pass(100 * MS);
        }
    }
    let heard = core::mem::take(&mut hand.heard);
    assert!((1..=16).contains(&rare(&heard)), "{} on one link", rare(&heard));
    // A new link has a new allowance.
    hand.assert_resumable(&Default::default());
    hand.hear();
    let _ = hand.bench.endpoint.drain(SECOND, "other:1");
    hand.bench.pump();
    assert_eq!(rare(&hand.hear()), 1);
}

#[test]
fn u54_l20_announcements_do_not_pile_up_before_a_link_that_takes_nothing() {
    let mut hand = Hand::new();
    hand.bench.endpoint.handle_link_blocked(hand.link);
    for _ in 0..1000 {
        let _ = hand.bench.endpoint.drain(SECOND, "some-other-server.example:4433");
        hand.bench.pump();
    }
    hand.bench.endpoint.handle_link_writable(hand.link);
    hand.bench.pump();
    let heard = hand.hear();
    assert!((1..=16).contains(&rare(&heard)), "{} on one link", rare(&heard));
    hand.say(&frames::data(0, &[b"still here"]));
    assert_eq!(hand.delivered(), [b"still here".to_vec()]);
}

#[test]
fn u54_an_address_that_is_too_long_is_refused_and_nothing_else() {
    let mut hand = Hand::new();
    let _ = hand.bench.endpoint.drain(SECOND, &"a".repeat(256));
    hand.bench.pump();
    let heard = hand.hear();
    assert_eq!(rare(&heard), 0, "{heard:?}");
    assert!(!hand.is_cut());
}

#[test]
fn u40_who_is_told_to_wait_with_an_unreliable_message_is_told_when_it_is_over() {
    let mut guest = Guest::new();
    guest.bench.session.handle_link_blocked(guest.link);
    let message = Bytes::from_static(&[7; 1000]);
    let refused = (0..1000).find_map(|_| guest.bench.session.send_unreliable(message.clone()).err());
    let refused = refused.expect("not a megabyte fits");
    guest.bench.session.handle_link_writable(guest.link);
    guest.bench.pump();
    assert!(!guest.hear().is_empty());
    // Either it is not told to wait, or it learns when to go on.
    assert!(
        !matches!(refused, SendError::WouldBlock(_)) || guest.bench.events.contains(&Event::Writable),
        "{:?}",
        guest.bench.events
    );
    assert!(guest.bench.session.send_unreliable(message).is_ok());

    let mut hand = Hand::new();
    hand.bench.endpoint.handle_link_blocked(hand.link);
    let message = Bytes::from_static(&[7; 1000]);
    let mut session = hand.bench.endpoint.session(hand.id).unwrap();
    let refused = (0..1000).find_map(|_| session.send_unreliable(message.clone()).err());
    drop(session);
    hand.bench.endpoint.handle_link_writable(hand.link);
    hand.bench.pump();
    let events = hand.bench.take_events();
    assert!(
        !matches!(refused, Some(SendError::WouldBlock(_))) || events.contains(&Event::Writable),
        "{events:?}"
    );
}

#[test]
fn u40_without_room_for_unreliable_messages_nobody_waits_for_it() {
    let limits = Limits {
        unreliable_bytes: 0,
        ..Limits::default()
    };
    let config = match client_config().limits(limits).build() {
        Err(error) => return assert_eq!(error.field, "limits.unreliable_bytes"),
        Ok(config) => config,
    };
    let mut guest = Guest::with(config);
    for message in [&b""[..], b"x"] {
        let refused = guest.bench.session.send_unreliable(message.into()).unwrap_err();
        assert!(!matches!(refused, SendError::WouldBlock(_)), "{refused}");
    }
}
