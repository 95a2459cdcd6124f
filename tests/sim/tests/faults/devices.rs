//! Two devices that hold the secrets of one session, as after a restored backup: one of them goes on, the other is told so, and they
//! do not fight.

use unbroken::{CloseReason, Event, State};
use unbroken_sim::raw::{Accepted, RawFrame, Resume, frames};

use crate::common::*;

/// The server: whose attempt is higher takes the session; the link of the other is ended by a CLOSE that says so, its secrets are worth
/// nothing any more, and when it asks it hears the same.
#[test]
fn of_two_devices_the_later_takes_the_session_and_the_earlier_is_told() {
    let mut hand = Hand::new();
    let earlier = hand.link;
    hand.say(&frames::data(0, &[b"from the first device"]));
    let mut first = hand.client.copy();
    let (flight, pending) = hand.client.resume(&Resume {
        send_end: 1,
        ..Resume::default()
    });
    let (link, answer) = hand.bench.connect(&flight);
    let (_, wire, _) = hand
        .client
        .accept(pending, &answer)
        .expect("the second device is let in");
    let mut earlier_wire = core::mem::replace(&mut hand.wire, wire);
    hand.link = link;
    hand.say(&frames::data(1, &[b"from the second"]));
    let told = earlier_wire.open(&hand.bench.links.take(earlier));
    assert!(
        told.iter()
            .any(|frame| matches!(frame, RawFrame::Close { kind: 3, .. })),
        "the first device is told: {told:?}"
    );
    assert!(hand.bench.links.closed.contains(&earlier));
    // The first device tries to come back, with secrets whose successors have been used; and asks.
    for _ in 0..3 {
        let (flight, _) = first.resume(&Resume {
            send_end: 1,
            ..Resume::default()
        });
        let (_, answer) = hand.bench.connect(&flight);
        assert_eq!(
            (answer.get(4), answer.get(12)),
            (Some(&4), Some(&4)),
            "REFUSE, not here"
        );
    }
    let (flight, pending) = first.query(9);
    let (_, answer) = hand.bench.connect(&flight);
    let (said, ..) = first.accept(pending, &answer).expect("an authenticated answer");
    let superseded = Accepted::Lost {
        status: 2,
        kind: 3,
        code: 0,
    };
    assert_eq!(said, superseded);
    // The second device has noticed nothing of it.
    hand.say(&frames::data(2, &[b"still here"]));
    assert_eq!(hand.delivered().len(), 3);
    assert_eq!(hand.state(), Some(State::Established));
    assert!(
        !hand
            .bench
            .take_events()
            .iter()
            .any(|event| matches!(event, Event::Closed(_)))
    );
}

/// The loser: the typed end, and no dialling after it.
#[test]
fn the_device_that_lost_ends_with_superseded_and_dials_no_more() {
    let mut guest = Guest::new();
    guest.say(&frames::close(3, 0, 0, 0));
    assert_eq!(guest.bench.session.state(), State::Closed);
    let last = guest.bench.events.last();
    assert_eq!(last, Some(&Event::Closed(CloseReason::Superseded)));
    let opened = guest.bench.session.stats().links;
    guest.bench.pass(120 * SECOND);
    assert_eq!(guest.bench.session.stats().links, opened);
    assert!(guest.bench.session.poll_timeout().is_none(), "nothing is planned");
}
