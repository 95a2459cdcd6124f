//! Two connections under way: where the second leads, when it may send its flight, and what the state is meanwhile.

use core::time::Duration;

use super::actor::{NEW, Play};
use crate::event::{NetworkEvent, NetworkId, State, Target};
use crate::wire::flight::{Accept, AcceptOk, Refuse, RefuseCode};
use crate::wire::prelude::FlightKind;

const SECOND: Duration = Duration::from_secs(1);
const WIFI: NetworkId = NetworkId(1);

#[test]
fn the_configured_address_is_tried_at_once_when_the_servers_own_fails_and_not_twice() {
    for (address, at_once) in [("own.example:4", true), ("", false)] {
        let mut play = Play::new();
        let flight = play.flight();
        play.says(flight, &Accept::Ok(AcceptOk { address, ..NEW }));
        play.stands = false;
        play.cut();
        play.perform();
        assert_eq!((play.opened, play.target == Target::Configured), (2, !at_once));
        play.fails();
        assert_eq!(
            (play.opened, &play.target),
            (if at_once { 3 } else { 2 }, &Target::Configured)
        );
    }
}

/// That it came early, in the place of one that failed, makes it no better than another first connection.
#[test]
fn behind_a_configured_address_that_came_early_there_is_a_second_connection_too() {
    let mut play = Play::new();
    let flight = play.flight();
    let address = "own.example:4";
    play.says(flight, &Accept::Ok(AcceptOk { address, ..NEW }));
    play.stands = false;
    play.cut();
    play.perform();
    play.fails();
    assert_eq!(play.opened, 3);
    play.pass(SECOND - Duration::from_micros(1));
    play.perform();
    assert_eq!(play.opened, 3);
    play.pass(Duration::from_micros(1));
    play.perform();
    assert_eq!((play.opened, &play.target), (4, &Target::Configured));
}

/// U-22: advice to wait is obeyed before the next try, whoever gave it. But what a server that may be leaving says must not keep a client from all others.
#[test]
fn the_configured_address_has_its_turn_when_the_servers_own_says_later() {
    let mut play = Play::new();
    let flight = play.flight();
    let address = "own.example:4";
    play.says(flight, &Accept::Ok(AcceptOk { address, ..NEW }));
    play.stands = false;
    play.cut();
    play.perform();
    for configured in [false, true, false, true] {
        let opened = play.opened;
        assert_eq!(play.target == Target::Configured, configured, "{opened}");
        play.session.handle_link_up(play.link, play.now);
        play.flight();
        play.refuses(&Refuse {
            code: RefuseCode::Later,
            retry_ms: 100,
            min_version: 1,
            max_version: 1,
        });
        let refused = play.now;
        while play.opened == opened {
            assert!(play.pass_to_next());
            play.perform();
        }
        assert!(play.now >= refused + Duration::from_millis(100));
    }
}

/// U-18: the second connection waits until the flight on the first has had its second, and that one's link is closed before its own leaves.
#[test]
fn a_second_connection_sends_no_flight_while_the_first_may_be_answered() {
    let mut play = Play::new();
    let flight = play.flight();
    let address = "own.example:4";
    play.says(flight, &Accept::Ok(AcceptOk { address, ..NEW }));
    play.cut();
    play.flight();
    let (first, since) = (play.link, play.now);
    play.pass(Duration::from_millis(250));
    assert!(play.perform().is_empty());
    assert_ne!(play.link, first);
    assert_eq!(play.session.poll_timeout(), Some(since + SECOND));
    play.pass_to_next();
    assert_eq!(play.flight().prelude.kind, FlightKind::Resume);
    assert_eq!(play.closed, [first]);
}

/// Whether its link breaks, or the network does on which it is under way; another connection is under way all the time.
#[test]
fn without_a_flight_the_state_is_that_a_link_is_asked_for() {
    for changes in [false, true] {
        let mut play = Play::new();
        let flight = play.flight();
        let address = "own.example:4";
        play.says(flight, &Accept::Ok(AcceptOk { address, ..NEW }));
        play.cut();
        play.flight();
        let first = play.link;
        play.stands = false;
        play.pass(Duration::from_millis(250));
        play.perform();
        assert_ne!(play.link, first);
        assert_eq!(play.session.state(), State::Handshaking);
        if changes {
            play.changes_network();
        } else {
            play.session.handle_link_down(first, play.now);
        }
        assert_eq!(play.session.state(), State::Connecting);
        play.session.handle_link_up(play.link, play.now);
        assert_eq!(play.session.state(), State::Handshaking);
    }
}

/// The flight of the first was under way on an address that is gone; the second has begun since, and has nobody to wait for any more.
#[test]
fn a_second_connection_sends_its_flight_when_the_first_is_taken_back() {
    let mut play = Play::new();
    play.session.handle_network(NetworkEvent::Available(WIFI), play.now);
    let flight = play.flight();
    let address = "own.example:4";
    play.says(flight, &Accept::Ok(AcceptOk { address, ..NEW }));
    play.cut();
    play.flight();
    let first = play.link;
    play.pass(Duration::from_millis(250));
    assert!(play.perform().is_empty());
    let second = play.link;
    assert_ne!(second, first);
    play.session.handle_network(NetworkEvent::Changed(WIFI), play.now);
    assert_eq!(play.flight().prelude.kind, FlightKind::Resume);
    assert_eq!((play.link, &play.closed[..]), (second, &[first][..]));
}
