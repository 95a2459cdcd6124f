//! What a client does about networks, sleep and time that runs out.

use core::time::Duration;

use super::actor::{NEW, Play};
use crate::event::{Event, LinkHealth, NetworkEvent, NetworkId, Target};
use crate::session::networks::Networks;
use crate::time::Instant;
use crate::wire::flight::{Accept, EARLY_MAX};

const WIFI: NetworkId = NetworkId(1);
const CELL: NetworkId = NetworkId(2);

impl Play {
    fn hint(&mut self, hint: NetworkEvent) {
        self.session.handle_network(hint, self.now);
    }

    /// A link was opened since, on this network, and the server lets the client in there.
    fn moves_to(&mut self, network: NetworkId) {
        let before = self.opened;
        let flight = self.flight();
        assert_eq!((self.opened, self.network), (before + 1, Some(network)));
        self.says(flight, &Accept::Ok(NEW));
    }

    /// Nothing comes of it.
    fn stays(&mut self) {
        let before = (self.opened, self.closed.len());
        self.perform();
        assert_eq!((self.opened, self.closed.len()), before);
    }
}

/// A network that carries the session is no news, another one is, and so is a new address.
#[test]
fn a_network_is_moved_to_when_it_is_another_or_has_changed() {
    let mut play = Play::begun();
    play.hint(NetworkEvent::Available(WIFI));
    play.moves_to(WIFI);
    play.hint(NetworkEvent::Available(WIFI));
    play.stays();
    play.hint(NetworkEvent::Changed(WIFI));
    play.moves_to(WIFI);
    play.hint(NetworkEvent::Available(CELL));
    play.moves_to(CELL);
    // A link that has fallen silent does not count as carrying; and another network that is up is tried first.
    let carrier = play.session.talk.carrier().expect("it stands");
    play.session.talk.links[carrier].liveness.suspect = true;
    play.hint(NetworkEvent::Available(CELL));
    play.moves_to(WIFI);
}

#[test]
fn links_go_with_their_network_and_no_others() {
    let mut play = Play::begun();
    play.hint(NetworkEvent::Available(WIFI));
    play.moves_to(WIFI);
    let on_wifi = play.link;
    play.hint(NetworkEvent::Lost(CELL));
    play.stays();
    play.hint(NetworkEvent::Available(CELL));
    play.moves_to(CELL);
    let (on_cell, opened) = (play.link, play.opened);
    assert!(play.closed.is_empty(), "what carried before is still read");
    play.hint(NetworkEvent::Lost(WIFI));
    play.perform();
    assert_eq!((&play.closed[..], play.opened), (&[on_wifi][..], opened));
    play.hint(NetworkEvent::Lost(CELL));
    play.perform();
    assert_eq!(play.closed, [on_wifi, on_cell]);
    assert_eq!((play.opened, play.network), (opened + 1, None), "the system may choose");
}

/// Nothing would come of it but its time passing by. Whether it replaces a link that was on that network, too, or one that is gone or suspect already.
#[test]
fn a_connection_under_way_goes_with_its_network_and_another_takes_its_place() {
    for before in ["on it", "gone", "suspect"] {
        let mut play = Play::begun();
        for network in if before == "on it" { [CELL, WIFI] } else { [WIFI, CELL] } {
            play.hint(NetworkEvent::Available(network));
            play.moves_to(network);
        }
        play.stands = false;
        let carrier = play.session.talk.carrier().expect("it stands");
        match before {
            "on it" => play.hint(NetworkEvent::Changed(WIFI)),
            "gone" => {
                play.hint(NetworkEvent::Available(WIFI));
                play.perform();
                play.hint(NetworkEvent::Lost(CELL));
                play.hint(NetworkEvent::Available(CELL));
                play.hint(NetworkEvent::Available(WIFI));
            }
            _ => {
                play.session.talk.links[carrier].liveness.suspect = true;
                play.hint(NetworkEvent::Available(WIFI));
            }
        }
        play.perform();
        let (under_way, opened) = (play.link, play.opened);
        assert_eq!(play.network, Some(WIFI), "{before}");
        play.hint(NetworkEvent::Lost(WIFI));
        play.perform();
        assert!(play.closed.contains(&under_way), "{before}");
        assert_eq!((play.network, play.opened), (Some(CELL), opened + 1), "{before}");
        assert_eq!(play.session.dialler.tries.len(), 1, "{before}");
    }
}

/// U-22: it says nothing of the server, so that is looked for at its own address still, and the configured one is behind that.
#[test]
fn what_takes_the_place_of_a_connection_that_went_with_its_network_leads_to_the_servers_own_address() {
    let own = "own.example:4";
    let mut play = Play::begun();
    for network in [CELL, WIFI] {
        play.joins(network, own);
    }
    play.stands = false;
    play.cut();
    play.perform();
    for (network, target) in [
        (WIFI, Target::Advised(own.into())),
        (CELL, Target::Advised(own.into())),
        (CELL, Target::Configured),
    ] {
        assert_eq!((play.network, &play.target), (Some(network), &target));
        if network == WIFI {
            play.hint(NetworkEvent::Lost(WIFI));
        } else {
            play.pass(Duration::from_millis(250));
        }
        play.perform();
    }
}

/// A network that comes up is often reported several times within moments. What was begun at the first hint may fail for what the next one tells of; it is not the last word.
#[test]
fn a_connection_whose_network_changed_under_it_is_begun_anew_when_it_fails_and_only_then() {
    for sound in [true, false] {
        let mut play = Play::established();
        play.stands = false;
        if !sound {
            play.cut();
        }
        play.hint(NetworkEvent::Changed(WIFI));
        play.perform();
        let opened = play.opened;
        play.pass(Duration::from_millis(249));
        play.hint(NetworkEvent::Changed(WIFI));
        play.stays();
        play.cut();
        play.perform();
        assert_eq!((play.opened, play.network), (opened + 1, Some(WIFI)), "sound: {sound}");
        play.events();
        // No hint has come since.
        play.cut();
        play.perform();
        assert_eq!(play.opened, opened + 1, "sound: {sound}");
        let ends = |event: &Event| matches!(event, Event::HandoverEnd(_));
        assert_eq!(play.events().iter().any(ends), sound);
    }
}

/// Also when another is under way beside it; and that one leads to the network that the hint was for, as the session has what the other could give it.
#[test]
fn what_comes_beside_a_connection_whose_network_changed_leads_to_that_network_too() {
    let mut play = Play::established_at("own.example:4");
    for network in [WIFI, CELL] {
        play.joins(network, "own.example:4");
    }
    let asked = play.now;
    play.pass(Duration::from_millis(50));
    play.pongs(asked);
    play.perform();
    play.stands = false;
    play.hint(NetworkEvent::Changed(WIFI));
    play.perform();
    let first = play.link;
    play.pass(Duration::from_millis(100));
    play.hint(NetworkEvent::Changed(WIFI));
    play.pass(Duration::from_millis(150));
    play.perform();
    assert_ne!(play.link, first);
    assert_eq!((play.network, &play.target), (Some(WIFI), &Target::Configured));
    let opened = play.opened;
    play.session.handle_link_down(first, play.now);
    play.perform();
    let own = Target::Advised("own.example:4".into());
    assert_eq!(
        (play.opened, play.network, &play.target),
        (opened + 1, Some(WIFI), &own)
    );
}

/// Nor is it the last word that it got no answer and gave way.
#[test]
fn a_flight_whose_network_changed_under_it_is_begun_anew_when_it_gives_way() {
    for changes in [1, 2] {
        let mut play = Play::established();
        for _ in 0..changes {
            play.hint(NetworkEvent::Changed(WIFI));
            play.perform();
            play.pass(Duration::from_millis(100));
        }
        let (first, opened) = (play.link, play.opened);
        while !play.closed.contains(&first) {
            assert!(play.pass_to_next());
            play.perform();
        }
        assert_eq!(play.opened - opened, changes, "the spare, and what is begun anew");
    }
}

/// The hint that asked for it was false, or came too early: what carries goes on.
#[test]
fn a_connection_that_goes_with_its_network_leaves_a_sound_link_alone() {
    let mut play = Play::established();
    play.hint(NetworkEvent::Available(CELL));
    play.moves_to(CELL);
    play.events();
    play.stands = false;
    play.hint(NetworkEvent::Available(WIFI));
    play.perform();
    let opened = play.opened;
    play.hint(NetworkEvent::Lost(WIFI));
    play.perform();
    assert_eq!((play.opened, play.session.dialler.tries.len()), (opened, 0));
    let limit = Duration::from_secs(5);
    assert_eq!(
        play.session.dialler.deadline(limit),
        Instant::FAR_FUTURE,
        "nor is one planned"
    );
    let ends = |event: &Event| matches!(event, Event::HandoverEnd(_));
    assert!(play.events().iter().any(ends));
}

/// That it is there is no news for what is under way on it; a new address is.
#[test]
fn a_network_that_is_reported_again_and_again_does_not_starve_a_connection_on_it() {
    for (hint, stays) in [
        (NetworkEvent::Available(WIFI), true),
        (NetworkEvent::Changed(WIFI), false),
    ] {
        let mut play = Play::begun();
        play.stands = false;
        play.cut();
        play.hint(NetworkEvent::Available(WIFI));
        play.perform();
        let under_way = play.link;
        assert_eq!(play.network, Some(WIFI));
        for _ in 0..3 {
            play.pass(Duration::from_millis(250));
            play.hint(hint);
            play.perform();
        }
        assert_eq!(!play.closed.contains(&under_way), stays, "{hint:?}");
    }
    // Nobody said which network it is on, so it may be the one that went.
    let mut play = Play::begun();
    play.stands = false;
    play.hint(NetworkEvent::Lost(WIFI));
    play.perform();
    let under_way = play.link;
    play.pass(Duration::from_millis(250));
    play.hint(NetworkEvent::Lost(WIFI));
    play.perform();
    assert!(play.closed.contains(&under_way));
}

/// The host said nothing of the network that the first link is on, so it may have been the one that went.
#[test]
fn a_link_on_a_network_that_nobody_named_is_replaced_when_one_goes() {
    let mut play = Play::begun();
    let first = play.link;
    play.hint(NetworkEvent::Lost(WIFI));
    let flight = play.flight();
    assert!(!play.closed.contains(&first), "it may be good still");
    play.says(flight, &Accept::Ok(NEW));
    assert_ne!(play.link, first);
}

#[test]
fn a_link_that_carries_forgives_its_network_what_was_before() {
    let spoils: [fn(&mut Networks); 2] = [
        |networks| networks.shun(Some(WIFI)),
        |networks| {
            networks.failed(Some(WIFI), networks.order());
        },
    ];
    for spoil in spoils {
        let mut networks = Networks::default();
        networks.report(CELL);
        networks.report(WIFI);
        spoil(&mut networks);
        assert_eq!((networks.choice(), networks.second_choice()), (Some(CELL), Some(WIFI)));
        networks.carried();
        assert_eq!((networks.choice(), networks.second_choice()), (Some(WIFI), Some(CELL)));
    }
}

/// Whether it is no answer at all or one that only looks like one: what fails there is not insisted on.
#[test]
fn another_network_has_its_turn_after_an_answer_that_cannot_be() {
    for looks_like_one in [true, false] {
        let mut play = Play::begun();
        for network in [CELL, WIFI] {
            play.hint(NetworkEvent::Available(network));
            play.moves_to(network);
        }
        play.cut();
        let flight = play.flight();
        assert_eq!(play.network, Some(WIFI));
        let (mut words, _) = Play::answer(flight, &Accept::Ok(NEW));
        *words.last_mut().expect("a tag") ^= 1;
        if !looks_like_one {
            words[0] ^= 1;
        }
        play.session.handle_input(play.link, &words, play.now);
        let opened = play.opened;
        while play.opened == opened {
            assert!(play.pass_to_next());
            play.perform();
        }
        assert_eq!(play.network, Some(CELL), "{looks_like_one}");
    }
}

/// A connection that was begun when another network was wanted says nothing against the one that is wanted now, whether it breaks or is answered with nonsense.
#[test]
fn a_network_does_not_lose_its_turn_to_what_fails_on_one_that_was_wanted_before() {
    for nonsense in [false, true] {
        let mut play = Play::begun();
        play.hint(NetworkEvent::Available(WIFI));
        play.moves_to(WIFI);
        let carrier = play.link;
        play.hint(NetworkEvent::Available(CELL));
        play.perform();
        assert_eq!(play.network, Some(CELL));
        play.hint(NetworkEvent::Available(WIFI));
        play.stays();
        if nonsense {
            play.session.handle_input(play.link, &[0; 64], play.now);
        } else {
            play.cut();
        }
        assert!(play.session.dialler.tries.is_empty());
        play.session.handle_link_down(carrier, play.now);
        play.moves_to(WIFI);
    }
}

/// U-60: what goes with its network breaks, and the goodbye goes on the link before it.
#[test]
fn a_goodbye_does_not_wait_on_a_network_that_is_gone() {
    let mut play = Play::begun();
    play.hint(NetworkEvent::Available(CELL));
    play.moves_to(CELL);
    play.pass(Duration::from_secs(2));
    let on_cell = play.link;
    play.hint(NetworkEvent::Available(WIFI));
    play.moves_to(WIFI);
    let on_wifi = play.link;
    play.session.disconnect(5);
    play.hint(NetworkEvent::Lost(WIFI));
    play.link = on_cell;
    assert!(!play.perform().is_empty(), "the CLOSE");
    assert!(play.closed.contains(&on_wifi) && !play.closed.contains(&on_cell));
    assert_eq!(play.session.talk.closing.reason(), None, "it waits for the answer");
    play.hint(NetworkEvent::Lost(CELL));
    assert!(
        play.session.talk.closing.reason().is_some(),
        "there is nobody to tell any more"
    );
}

#[test]
fn a_client_that_sleeps_says_nothing_of_its_link() {
    let mut play = Play::begun();
    assert_eq!(play.session.link_health(), LinkHealth::Sound { network: None });
    play.hint(NetworkEvent::Suspend);
    assert_eq!(play.session.link_health(), LinkHealth::Idle);
    play.hint(NetworkEvent::Wake);
    assert_eq!(play.session.link_health(), LinkHealth::Sound { network: None });
}

/// A line may be too thin for what a RESUME takes along: each that is not answered in time is followed by a smaller one.
#[test]
fn a_flight_that_takes_too_long_is_followed_by_a_smaller_one() {
    let mut play = Play::begun();
    play.cut();
    let mut seen = alloc::vec![play.session.dialler.early_max];
    for _ in 0..200 {
        play.perform();
        let Some(next) = play.session.poll_timeout() else { break };
        play.pass(next.since(play.now));
        if seen.last() != Some(&play.session.dialler.early_max) {
            seen.push(play.session.dialler.early_max);
        }
    }
    assert_eq!(seen, [EARLY_MAX, 2048, 0]);
}

/// A connection that does not come to stand says nothing of the line's width.
#[test]
fn a_connection_that_does_not_stand_makes_no_flight_smaller() {
    let mut play = Play::begun();
    play.cut();
    play.session.dialler.took_too_long(0);
    assert_eq!(play.session.dialler.early_max, EARLY_MAX);
}

/// It moves nowhere, does not fall asleep over it, and asks nobody whether they are there.
#[test]
fn whoever_says_goodbye_hears_only_of_networks_that_are_gone() {
    let mut play = Play::established();
    play.session.disconnect(5);
    assert!(!play.perform().is_empty(), "the CLOSE");
    let opened = play.opened;
    for hint in [
        NetworkEvent::Available(WIFI),
        NetworkEvent::Changed(WIFI),
        NetworkEvent::Suspend,
        NetworkEvent::Wake,
    ] {
        play.hint(hint);
        assert!(!play.session.talk.suspended, "{hint:?}");
        assert!(play.perform().is_empty() && play.opened == opened, "{hint:?}");
    }
}

/// The old link may be dead with the old address. If nothing comes of the new one at first, it must not wait for the next idle probe until that is known.
#[test]
fn a_link_whose_network_may_have_changed_is_asked_whether_it_lives() {
    // On a network that changed; on one that nobody named, when one was lost.
    for named in [true, false] {
        let mut play = Play::established();
        if named {
            play.hint(NetworkEvent::Available(WIFI));
            play.moves_to(WIFI);
            let asked = play.now;
            play.now += Duration::from_millis(50);
            play.pongs(asked);
            play.perform();
        }
        play.stands = false;
        play.hint(if named {
            NetworkEvent::Changed(WIFI)
        } else {
            NetworkEvent::Lost(CELL)
        });
        play.perform();
        play.session.handle_link_down(play.link, play.now);
        play.perform();
        let (opened, begun) = (play.opened, play.now);
        while play.now < begun + Duration::from_secs(2) && play.pass_to_next() {
            play.perform();
        }
        assert_eq!(play.session.stats().suspicions, 1, "{named}");
        assert!(play.opened > opened, "{named}");
    }
}
