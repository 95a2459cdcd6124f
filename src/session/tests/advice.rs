//! A server that refuses says how long to wait. For whom and for how long that holds (U-23).

use core::time::Duration;

use super::actor::{NEW, Play};
use super::redial::drain;
use crate::config::Backoff;
use crate::event::{NetworkEvent, NetworkId, Target};
use crate::wire::flight::{Accept, AcceptOk, Refuse, RefuseCode};

fn busy(retry_ms: u32) -> Refuse {
    Refuse {
        code: RefuseCode::Busy,
        retry_ms,
        min_version: 1,
        max_version: 1,
    }
}

/// Passes over time until a connection has been opened since; how long that took.
fn until_opened(play: &mut Play, since: usize) -> Duration {
    let begin = play.now;
    while play.opened == since {
        assert!(play.pass_to_next());
        play.perform();
    }
    play.now.since(begin)
}

/// U-23: a server that has too much to do has that also when links break.
#[test]
fn advice_to_wait_outlasts_the_link_that_carries() {
    for suspect in [true, false] {
        let mut play = Play::established();
        play.session.talk.links[0].liveness.suspect = suspect;
        let carrier = play.link;
        play.session
            .handle_network(NetworkEvent::Changed(NetworkId(1)), play.now);
        play.flight();
        play.refuses(&busy(10_000));
        play.perform();
        play.pass(Duration::from_secs(1));
        play.session.handle_link_down(carrier, play.now);
        let opened = play.opened;
        let waited = until_opened(&mut play, opened);
        assert!(waited >= Duration::from_secs(9), "{waited:?}");
    }
}

/// U-23: whether it stands already or comes to stand. One that leads elsewhere may be to another server.
#[test]
fn advice_to_wait_holds_for_a_second_connection_to_the_same_address() {
    for (address, same) in [("", true), ("own.example:4", false)] {
        for stands in [true, false] {
            let mut play = Play::new();
            let flight = play.flight();
            play.says(flight, &Accept::Ok(AcceptOk { address, ..NEW }));
            play.stands = false;
            play.cut();
            play.perform();
            let first = play.link;
            play.pass(Duration::from_millis(900));
            play.perform();
            if same {
                play.session.handle_link_up(first, play.now);
                play.flight();
                play.pass(Duration::from_millis(100));
                play.perform();
            } else {
                let second = play.link;
                play.link = first;
                play.session.handle_link_up(first, play.now);
                play.flight();
                play.link = second;
            }
            let second = play.link;
            assert_ne!(second, first);
            if stands {
                play.session.handle_link_up(second, play.now);
                assert!(play.perform().is_empty());
            }
            play.link = first;
            play.refuses(&busy(10_000));
            play.link = second;
            play.session.handle_link_up(second, play.now);
            let opened = play.opened;
            assert_eq!(play.perform().is_empty(), same, "{address}, {stands}");
            assert_eq!(play.closed.contains(&second), same, "{address}, {stands}");
            if same {
                assert!(until_opened(&mut play, opened) >= Duration::from_secs(10));
            }
        }
    }
}

/// On another way another server may answer; and it is in the clear, so whoever makes it up shall hold a client back where he is, and nowhere else.
#[test]
fn advice_to_wait_is_over_with_the_network_with_sleep_or_when_the_application_insists() {
    let happens: [fn(&mut Play); 3] = [
        |play| {
            play.session
                .handle_network(NetworkEvent::Changed(NetworkId(2)), play.now)
        },
        |play| {
            play.session.handle_network(NetworkEvent::Suspend, play.now);
            play.session.handle_network(NetworkEvent::Wake, play.now);
        },
        |play| {
            play.gives_up();
            play.session.retry(play.now);
        },
    ];
    for happens in happens {
        let mut play = Play::with(|config| {
            let give_up_after = Duration::from_secs(5);
            config.backoff(Backoff {
                give_up_after,
                ..Backoff::default()
            })
        });
        play.flight();
        play.refuses(&busy(10_000));
        play.perform();
        let opened = play.opened;
        play.pass(Duration::from_secs(1));
        play.perform();
        assert_eq!(play.opened, opened);
        happens(&mut play);
        play.perform();
        assert_eq!(play.opened, opened + 1);
    }
    let mut play = Play::established();
    let wifi = NetworkId(1);
    for advice in [None, Some(busy(10_000))] {
        play.session.handle_network(NetworkEvent::Changed(wifi), play.now);
        let flight = play.flight();
        match advice {
            None => _ = play.says(flight, &Accept::Ok(NEW)),
            Some(advice) => play.refuses(&advice),
        }
    }
    let opened = play.opened;
    play.session.handle_network(NetworkEvent::Lost(wifi), play.now);
    play.perform();
    assert_eq!(play.opened, opened + 1);
}

/// U-23: whoever makes it up must not make the session expire, so it takes at most half of what that lives without a link. Without a session there is nothing to lose.
#[test]
fn advice_to_wait_leaves_a_session_half_of_its_life_without_a_link() {
    const SECOND: Duration = Duration::from_secs(1);
    for (stands, least, most) in [(true, 10, 15), (false, 30, 45)] {
        for retry_ms in [30_000, u32::MAX] {
            let mut play = if stands { Play::established() } else { Play::new() };
            if stands {
                play.cut();
            }
            play.flight();
            play.refuses(&busy(retry_ms));
            let opened = play.opened;
            let waited = until_opened(&mut play, opened);
            assert!(
                waited >= SECOND * least && waited <= SECOND * most,
                "{stands}: {waited:?}"
            );
        }
    }
}

/// U-23: on another way another server may answer, and whoever makes it up on this one is not there.
#[test]
fn advice_to_wait_takes_back_nothing_that_is_under_way_on_another_network() {
    let (wifi, cell) = (NetworkId(1), NetworkId(2));
    for (networks, stays) in [(&[cell, wifi][..], true), (&[wifi], false)] {
        let mut play = Play::begun();
        for network in networks {
            play.joins(*network, "");
        }
        play.stands = false;
        play.cut();
        play.perform();
        let first = play.link;
        assert_eq!(play.network, Some(wifi));
        play.pass(Duration::from_millis(900));
        play.session.handle_link_up(first, play.now);
        play.flight();
        play.pass(Duration::from_millis(100));
        play.perform();
        let second = play.link;
        assert_eq!(play.network, Some(if stays { cell } else { wifi }));
        play.link = first;
        play.refuses(&busy(10_000));
        play.perform();
        assert_eq!(play.closed.contains(&second), !stays);
    }
}

/// U-23: nor does it put off the second connection, if that is to lead over another network. The first leads to the server's own address or not; the wait is long or none, and
/// comes again and again.
#[test]
fn advice_to_wait_does_not_put_off_a_second_connection_over_another_network() {
    let (wifi, cell) = (NetworkId(1), NetworkId(2));
    for (address, retry_ms) in [("", 30_000), ("", 0), ("own.example:4", 30_000), ("own.example:4", 0)] {
        let mut play = Play::begun();
        for network in [cell, wifi] {
            play.joins(network, address);
        }
        let begun = play.now;
        play.cut();
        play.perform();
        while play.network == Some(wifi) {
            let opened = play.opened;
            play.refuses(&busy(retry_ms));
            play.perform();
            if play.opened == opened {
                until_opened(&mut play, opened);
            }
        }
        assert_eq!(play.network, Some(cell));
        let waited = play.now.since(begun);
        let most = Duration::from_secs(if retry_ms == 0 { 15 } else { 1 });
        assert!(waited <= most, "{address}, {retry_ms}: {waited:?}");
    }
}

/// A link that carries is not left for another network because a server that is to be followed is busy.
#[test]
fn advice_to_wait_sends_nobody_to_another_network_from_a_link_that_carries() {
    let (wifi, cell) = (NetworkId(1), NetworkId(2));
    let mut play = Play::established();
    for network in [cell, wifi] {
        play.joins(network, "");
    }
    play.pongs(play.now);
    play.tells(&drain(""));
    play.pass(Duration::ZERO);
    play.flight();
    let opened = play.opened;
    play.refuses(&busy(5000));
    play.perform();
    let waited = until_opened(&mut play, opened);
    assert!(waited >= Duration::from_secs(5), "{waited:?}");
    assert_eq!(play.network, Some(wifi));
}

/// U-22: the one over another network is no turn of its own.
#[test]
fn the_configured_address_has_its_turn_though_a_second_connection_was_to_lead_there() {
    let (wifi, cell) = (NetworkId(1), NetworkId(2));
    let own = "own.example:4";
    let mut play = Play::begun();
    for network in [cell, wifi] {
        play.joins(network, own);
    }
    play.cut();
    play.perform();
    play.stands = false;
    assert_eq!((play.network, &play.target), (Some(wifi), &Target::Advised(own.into())));
    play.refuses(&busy(5000));
    for _ in 0..2 {
        let opened = play.opened;
        until_opened(&mut play, opened);
        assert_eq!(play.target, Target::Configured);
        play.session.handle_link_down(play.link, play.now);
    }
}

/// U-22: who is told to wait longer than it takes to give up would else ask the server's own address for ever.
#[test]
fn the_configured_address_has_its_turn_though_the_client_gave_up_before() {
    let own = "own.example:4";
    let mut play = Play::with(|config| {
        let give_up_after = Duration::from_secs(5);
        config.backoff(Backoff {
            give_up_after,
            ..Backoff::default()
        })
    });
    let flight = play.flight();
    play.says(flight, &Accept::Ok(AcceptOk { address: own, ..NEW }));
    play.stands = false;
    play.cut();
    for target in [
        Target::Advised(own.into()),
        Target::Configured,
        Target::Advised(own.into()),
    ] {
        play.perform();
        assert_eq!(play.target, target);
        play.session.handle_link_up(play.link, play.now);
        play.flight();
        play.refuses(&busy(10_000));
        play.gives_up();
        play.session.retry(play.now);
    }
}
