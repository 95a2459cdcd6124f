//! Two connections under way: where the second leads, when it may send its flight, and what the state is meanwhile.

use alloc::vec::Vec;
use core::time::Duration;

use super::actor::{NEW, Play};
use crate::event::{Event, NetworkEvent, NetworkId, State, Target};
use crate::wire::flight::{Accept, AcceptOk, Refuse, RefuseCode};
use crate::wire::prelude::FlightKind;

const SECOND: Duration = Duration::from_secs(1);
const HEAD_START: Duration = Duration::from_millis(250);
/// The longest that the first failure is waited for.
const BACK_OFF: Duration = Duration::from_millis(100);
const WIFI: NetworkId = NetworkId(1);
const CELL: NetworkId = NetworkId(2);
const OWN: &str = "own.example:4";

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

/// A client whose link broke; to the server's own address no connection comes to stand, and that to the configured one is the newest.
fn beside_one_that_hangs() -> Play {
    let mut play = Play::begun_at(OWN);
    play.stands = false;
    play.cut();
    play.perform();
    assert_eq!(play.target, Target::Advised(OWN.into()));
    play.pass(HEAD_START);
    play.perform();
    assert_eq!((play.opened, &play.target), (3, &Target::Configured));
    play
}

/// Passes over time until another connection has been opened; how long that took.
fn until_next(play: &mut Play) -> Duration {
    let (begin, opened) = (play.now, play.opened);
    while play.opened == opened {
        assert!(play.pass_to_next());
        play.perform();
    }
    play.now.since(begin)
}

fn refused(code: RefuseCode, retry_ms: u32) -> Refuse {
    Refuse {
        code,
        retry_ms,
        min_version: 1,
        max_version: 1,
    }
}

/// U-23, U-24: whoever is not answered at one address does what the other says, and when it says.
#[test]
fn a_refusal_is_followed_though_the_first_connection_hangs() {
    for (code, retry_ms, kind) in [
        (RefuseCode::NotHere, 0, FlightKind::Query),
        (RefuseCode::NotHere, 300, FlightKind::Query),
        (RefuseCode::Later, 100, FlightKind::Resume),
        (RefuseCode::Busy, 2000, FlightKind::Resume),
    ] {
        let mut play = beside_one_that_hangs();
        play.session.handle_link_up(play.link, play.now);
        assert_eq!(play.flight().prelude.kind, FlightKind::Resume);
        play.refuses(&refused(code, retry_ms));
        let waited = until_next(&mut play);
        let least = Duration::from_millis(retry_ms.into());
        let most = (least + least / 2).max(BACK_OFF);
        assert!(waited >= least && waited <= most, "{code:?}, {retry_ms}: {waited:?}");
        assert_eq!(
            (&play.target, play.session.dialler.tries.len()),
            (&Target::Configured, 2)
        );
        play.session.handle_link_up(play.link, play.now);
        assert_eq!(play.flight().prelude.kind, kind);
    }
}

/// It is tried less and less often; and the first keeps its time, and its own back-off.
#[test]
fn a_second_connection_that_fails_is_tried_again_while_the_first_hangs() {
    let mut play = beside_one_that_hangs();
    let (begun, mut last) = (play.now, play.now);
    for round in 0..50 {
        play.fails();
        let waited = until_next(&mut play);
        if play.target != Target::Configured {
            break;
        }
        assert!(waited <= BACK_OFF * (1 << round), "{round}: {waited:?}");
        last = play.now;
    }
    assert_eq!(play.target, Target::Advised(OWN.into()));
    let hung = begun + (SECOND * 5 - HEAD_START);
    assert!(last < hung && play.now >= hung && play.now <= hung + BACK_OFF);
    assert!((6..=12).contains(&play.opened), "{}", play.opened);
}

/// Whichever of the two fails: what follows leads where the other does not, if there is a choice.
#[test]
fn what_follows_leads_neither_to_the_address_nor_over_the_network_of_the_one_that_hangs() {
    let (own, configured) = (Target::Advised(OWN.into()), Target::Configured);
    for (first_fails, refuses, networks) in [
        (false, false, &[CELL, WIFI][..]),
        (false, true, &[CELL, WIFI]),
        (true, false, &[CELL, WIFI]),
        (true, true, &[CELL, WIFI]),
        (true, false, &[WIFI]),
        (false, false, &[]),
    ] {
        let mut play = Play::begun_at(OWN);
        for network in networks {
            play.joins(*network, OWN);
        }
        play.stands = false;
        play.cut();
        play.perform();
        let first = (play.link, play.network);
        assert_eq!((play.network, &play.target), (networks.last().copied(), &own));
        play.pass(HEAD_START);
        play.perform();
        let second = (play.link, play.network);
        assert_eq!((play.network, &play.target), (networks.first().copied(), &configured));
        let (fails, hangs) = if first_fails { (first, second) } else { (second, first) };
        play.link = fails.0;
        if refuses {
            play.session.handle_link_up(play.link, play.now);
            play.perform();
            play.refuses(&refused(RefuseCode::Later, 100));
        } else {
            play.session.handle_link_down(play.link, play.now);
        }
        let waited = until_next(&mut play);
        // The configured address has a second before anything else follows.
        let most = if first_fails { SECOND } else { BACK_OFF * 3 / 2 };
        assert!(waited <= most, "{waited:?}");
        assert_eq!(&play.target, if first_fails { &own } else { &configured });
        let elsewhere = play.network != hangs.1 || networks.len() < 2;
        assert!(elsewhere, "{first_fails}, {refuses}: {:?}", play.network);
    }
}

/// There is no session yet, and no other address: the same.
#[test]
fn a_first_connect_is_tried_again_too_while_another_hangs() {
    let mut play = Play::new();
    play.stands = false;
    play.perform();
    play.pass(SECOND);
    play.perform();
    assert_eq!(play.opened, 2);
    play.fails();
    assert!(until_next(&mut play) <= BACK_OFF);
    play.session.handle_link_up(play.link, play.now);
    assert_eq!(play.flight().prelude.kind, FlightKind::Hello);
}

/// Nobody waits for either.
#[test]
fn beside_a_link_that_carries_nothing_follows_while_one_hangs() {
    let mut play = Play::established_at(OWN);
    play.stands = false;
    play.changes_network();
    play.pass(HEAD_START);
    play.perform();
    assert_eq!(play.opened, 3);
    play.fails();
    play.pass(SECOND);
    play.perform();
    assert_eq!(play.opened, 3);
}

/// When neither is answered there are two connections in five seconds and the back-off, and no more.
#[test]
fn two_that_hang_are_followed_when_both_had_their_time() {
    for (address, beside) in [(OWN, HEAD_START), ("", SECOND)] {
        let mut play = Play::begun_at(address);
        play.stands = false;
        play.cut();
        play.perform();
        let begun = play.now;
        assert_eq!((until_next(&mut play), play.opened), (beside, 3), "{address}");
        until_next(&mut play);
        let both = begun + (SECOND * 5 + beside);
        assert!(play.now >= both && play.now <= both + BACK_OFF, "{address}");
    }
}

/// It must not be the newer of two that hang for which all else waits.
#[test]
fn one_whose_time_is_up_is_followed_if_the_other_has_more_than_a_second() {
    let mut play = beside_one_that_hangs();
    let begun = play.now;
    play.pass(SECOND * 3);
    play.fails();
    until_next(&mut play);
    let second = play.now;
    play.pass((begun + (SECOND * 5 - HEAD_START)).since(play.now));
    play.perform();
    assert_eq!((play.opened, play.closed.len()), (4, 1));
    let least = (second + SECOND).since(play.now);
    let waited = until_next(&mut play);
    assert!(waited >= least && waited <= BACK_OFF * 2, "{waited:?}");
    assert_eq!(play.target, Target::Advised(OWN.into()));
}

/// What failed beside a link that carried is missed when that goes or falls silent: the one that hangs is not all there is.
#[test]
fn a_link_that_goes_while_one_connection_hangs_alone_is_followed_by_another() {
    for silent in [false, true] {
        let mut play = Play::established_at(OWN);
        let carrier = play.link;
        play.stands = false;
        play.changes_network();
        play.pass(HEAD_START);
        play.perform();
        play.fails();
        play.pass(HEAD_START);
        assert_eq!(play.opened, 3);
        let missed = if silent {
            play.session.send("?".into()).expect("there is room");
            while play.session.stats().suspicions == 0 {
                play.perform();
                assert!(play.pass_to_next());
            }
            play.now
        } else {
            play.session.handle_link_down(carrier, play.now);
            play.now
        };
        play.perform();
        if play.opened == 3 {
            until_next(&mut play);
        }
        let waited = play.now.since(missed);
        assert!(waited <= BACK_OFF, "{silent}: {waited:?}");
        assert_eq!((play.opened, &play.target), (4, &Target::Configured));
    }
}

/// Of two addresses and two networks one pair is good; whether the others fail at once or hang, it has its turn.
#[test]
fn every_address_has_its_turn_over_every_network() {
    let (own, configured) = (Target::Advised(OWN.into()), Target::Configured);
    for (good, hangs) in [(&own, WIFI), (&own, CELL), (&configured, WIFI), (&configured, CELL)]
        .into_iter()
        .flat_map(|good| [(good, false), (good, true)])
    {
        let mut play = Play::begun();
        for network in [CELL, WIFI] {
            play.joins(network, OWN);
        }
        play.stands = false;
        play.cut();
        let begun = play.now;
        play.perform();
        while (&play.target, play.network) != (good.0, Some(good.1)) {
            let opened = play.opened;
            if !hangs {
                play.fails();
            }
            if play.opened == opened {
                until_next(&mut play);
            }
            let waited = play.now.since(begun);
            assert!(waited < SECOND * 20, "{good:?}, {hangs}: {waited:?}");
        }
    }
}

/// U-23: a refusal does not hold for a second connection over another network. It leads over that, whosever turn it is when its time has come.
#[test]
fn what_comes_though_the_first_was_refused_leads_over_another_network_however_often_that_failed() {
    for (failures, lost) in (1..6).flat_map(|failures| [(failures, false), (failures, true)]) {
        let mut play = Play::begun();
        for network in [WIFI, CELL] {
            play.joins(network, "");
        }
        play.stands = false;
        play.cut();
        play.perform();
        let first = play.link;
        assert_eq!(play.network, Some(CELL));
        for _ in 0..failures {
            until_next(&mut play);
            assert_eq!(play.network, Some(WIFI));
            play.fails();
        }
        let opened = play.opened;
        play.session.handle_link_up(first, play.now);
        play.perform();
        play.link = first;
        play.refuses(&refused(RefuseCode::Later, 5000));
        let refusal = play.now;
        if lost {
            play.session.handle_network(NetworkEvent::Lost(WIFI), play.now);
            play.perform();
        }
        while play.opened == opened {
            assert!(play.pass_to_next());
            play.perform();
        }
        // Without that network there is the one of the refusal, when its time is over.
        let came = play.now.since(refusal);
        assert_eq!(came >= SECOND * 5, lost, "{failures}: {came:?}");
        assert_eq!(play.network, Some(if lost { CELL } else { WIFI }), "{failures}");
    }
}

/// The link that carries answers what it was asked last.
fn answers(play: &mut Play) {
    let carrier = play.session.talk.carrier().expect("it stands");
    play.pongs(play.session.talk.links[carrier].liveness.asked_last());
    play.perform();
}

/// What was planned for later, when a server's advice to wait is over, was for a link that was suspect. That carries again, and nothing came of what was tried beside it.
#[test]
fn a_link_that_carries_again_is_not_left_for_what_was_planned_while_it_was_silent() {
    let mut play = Play::established();
    for network in [CELL, WIFI] {
        play.joins(network, "");
    }
    answers(&mut play);
    play.session.send("?".into()).expect("there is room");
    play.perform();
    while play.session.stats().suspicions == 0 {
        assert!(play.pass_to_next());
        play.perform();
    }
    assert_eq!(play.network, Some(CELL));
    play.refuses(&refused(RefuseCode::Later, 5000));
    play.stands = false;
    until_next(&mut play);
    assert_eq!(play.network, Some(WIFI));
    answers(&mut play);
    play.fails();
    let ends = |event: &Event| matches!(event, Event::HandoverEnd(_));
    assert!(play.events().iter().any(ends));
    let opened = play.opened;
    for _ in 0..80 {
        play.pass(SECOND / 10);
        play.perform();
        answers(&mut play);
    }
    assert_eq!((play.opened, play.events()), (opened, Vec::new()));
}

/// The try was refused first, and the link came back after it: nothing is under way whose end would tell that the handover is over.
#[test]
fn a_link_that_carries_again_after_the_try_was_refused_ends_the_handover_and_is_not_left_either() {
    let mut play = Play::established();
    play.session.send("?".into()).expect("there is room");
    play.perform();
    while play.session.stats().suspicions == 0 {
        assert!(play.pass_to_next());
        play.perform();
    }
    play.refuses(&refused(RefuseCode::Later, 5000));
    play.perform();
    let ends = |event: &Event| matches!(event, Event::HandoverEnd(_));
    assert!(!play.events().iter().any(ends), "the link is still suspect");
    answers(&mut play);
    assert!(play.events().iter().any(ends));
    let opened = play.opened;
    for _ in 0..80 {
        play.pass(SECOND / 10);
        play.perform();
        answers(&mut play);
    }
    assert_eq!((play.opened, play.events()), (opened, Vec::new()));
}

/// What is under way when the link carries again is waited for: the server may have answered it, and have left the link.
#[test]
fn a_link_that_carries_again_while_a_flight_is_under_way_waits_for_what_becomes_of_that() {
    let mut play = Play::established();
    play.session.send("?".into()).expect("there is room");
    play.perform();
    while play.session.stats().suspicions == 0 {
        assert!(play.pass_to_next());
        play.perform();
    }
    play.events();
    answers(&mut play);
    assert_eq!(play.events(), Vec::new());
    play.refuses(&refused(RefuseCode::Later, 5000));
    play.perform();
    assert!(play.events().iter().any(|event| matches!(event, Event::HandoverEnd(_))));
}

/// The network takes the link that carries and a connection begun beside it: what follows is planned once, and the configured address comes at once if the server's own fails.
#[test]
fn a_network_that_takes_the_link_and_a_try_has_the_configured_address_tried_when_the_servers_own_fails() {
    let mut play = Play::begun_at(OWN);
    for network in [CELL, WIFI] {
        play.joins(network, OWN);
    }
    play.stands = false;
    play.session.handle_network(NetworkEvent::Changed(WIFI), play.now);
    play.perform();
    play.session.handle_network(NetworkEvent::Lost(WIFI), play.now);
    play.perform();
    assert_eq!((play.network, &play.target), (Some(CELL), &Target::Advised(OWN.into())));
    let opened = play.opened;
    play.fails();
    assert_eq!((play.opened, &play.target), (opened + 1, &Target::Configured));
}
