//! The spare: made when an answer is late, used on evidence, kept a while, and not made all the time.

use alloc::vec::Vec;
use core::time::Duration;

use super::actor::{NEW, Play};
use super::ping;
use crate::event::{Event, HandoverCause, LinkId, NetworkEvent, NetworkId, Target};
use crate::session::dial::Stage;
use crate::time::Instant;
use crate::wire::flight::Accept;
use crate::wire::frame;
use crate::wire::prelude::FlightKind;

const WIFI: NetworkId = NetworkId(1);
const CELL: NetworkId = NetworkId(2);
const CABLE: NetworkId = NetworkId(3);
const SUSPECT: Event = Event::HandoverBegin {
    cause: HandoverCause::LinkSuspect,
};
/// So long one is kept.
const KEPT: Duration = Duration::from_secs(4);
const MICROSECOND: Duration = Duration::from_micros(1);

impl Play {
    fn carrier_is_late(&self) -> bool {
        let carrier = self.session.talk.carrier().expect("one carries");
        self.session.talk.links[carrier].liveness.is_late()
    }

    /// A question leaves, and has no answer when one is usual. When it left.
    fn becomes_late(&mut self) -> Instant {
        let left = self.now;
        self.session.send("?".into()).expect("there is room");
        self.perform();
        for _ in 0..10 {
            self.pass_to_next();
            if self.carrier_is_late() {
                return left;
            }
        }
        panic!("nobody misses the answer");
    }

    /// A client with a spare that stands, after all answers have come.
    fn with_spare() -> Self {
        let mut play = Play::established();
        play.stands = false;
        let left = play.becomes_late();
        play.perform();
        play.pongs(left);
        play.session.handle_link_up(play.link, play.now);
        play.stands = true;
        play
    }

    fn cut_carrier(&mut self) {
        let carrier = self.session.talk.carrier().expect("one carries");
        self.session
            .handle_link_down(self.session.talk.links[carrier].id, self.now);
    }

    /// The links whose flights are under way.
    fn flights(&self) -> Vec<LinkId> {
        let tries = self.session.dialler.tries.iter();
        tries
            .filter(|attempt| matches!(attempt.stage, Stage::Handshaking(_)))
            .map(|attempt| attempt.id)
            .collect()
    }
}

/// It has won a race against the link that carries, which is evidence.
#[test]
fn a_spare_that_stands_before_the_late_answer_comes_is_resumed_on() {
    let mut play = Play::established();
    play.stands = false;
    play.becomes_late();
    play.perform();
    assert_eq!((play.opened, play.session.stats().spares), (2, 1));
    assert!(
        !play.events().contains(&SUSPECT),
        "so far it costs a connection and no more"
    );
    play.session.handle_link_up(play.link, play.now);
    let flight = play.flight();
    assert_eq!(flight.prelude.kind, FlightKind::Resume);
    assert!(play.events().contains(&SUSPECT));
    play.says(flight, &Accept::Ok(NEW));
    assert!(play.events().iter().any(|event| matches!(event, Event::HandoverEnd(_))));
    assert_eq!((play.opened, play.closed.len()), (2, 0));
}

#[test]
fn a_spare_that_nobody_needs_goes_after_four_seconds_and_nothing_follows() {
    let mut play = Play::with_spare();
    let (spare, since) = (play.link, play.now);
    assert!(play.perform().is_empty(), "no flight");
    let opened = play.session.dialler.tries[0].since;
    play.pass((opened + KEPT).since(since) - MICROSECOND);
    play.perform();
    assert!(play.closed.is_empty());
    play.pass(MICROSECOND);
    play.perform();
    assert_eq!(play.closed, [spare]);
    play.pass(KEPT);
    play.perform();
    assert_eq!((play.opened, play.flights()), (2, Vec::new()));
    assert!(!play.events().contains(&SUSPECT));
}

#[test]
fn a_spare_is_resumed_on_when_an_answer_is_late_again_or_the_link_is_lost() {
    let happens: [fn(&mut Play); 2] = [|play| _ = play.becomes_late(), Play::cut_carrier];
    for happens in happens {
        let mut play = Play::with_spare();
        let spare = play.link;
        happens(&mut play);
        play.perform();
        assert_eq!(play.flights(), [spare]);
        let begun = |event: &Event| matches!(event, Event::HandoverBegin { .. });
        assert!(play.events().iter().any(begun));
    }
}

/// U-22: as with any connection. Once it is needed the configured address follows as soon as it does behind one that was made for the need; and at once if it fails.
#[test]
fn a_spare_leads_to_the_servers_own_address_and_the_configured_one_is_behind_it() {
    let own = Target::Advised("own.example:4".into());
    for fails in [true, false] {
        let mut play = Play::established_at("own.example:4");
        play.stands = false;
        play.becomes_late();
        play.perform();
        assert_eq!((play.opened, &play.target), (2, &own));
        while play.session.stats().suspicions == 0 {
            assert!(play.pass_to_next());
            play.perform();
        }
        let needed = play.now;
        assert_eq!((play.opened, play.session.dialler.has_warm()), (2, false));
        if fails {
            play.session.handle_link_down(play.link, play.now);
            play.perform();
        } else {
            while play.opened == 2 {
                assert!(play.pass_to_next());
                play.perform();
            }
        }
        let waited = play.now.since(needed);
        let head_start = Duration::from_millis(if fails { 0 } else { 250 });
        assert_eq!(
            (play.opened, &play.target, waited),
            (3, &Target::Configured, head_start)
        );
    }
}

/// Late twice while the spare is still connecting: there is nothing to go over to.
#[test]
fn a_spare_that_does_not_stand_changes_nothing() {
    let mut play = Play::established();
    play.stands = false;
    let left = play.becomes_late();
    play.perform();
    play.pongs(left);
    play.becomes_late();
    play.perform();
    assert_eq!((play.opened, play.closed.len()), (2, 0));
    assert!(!play.events().contains(&SUSPECT));
    assert!(play.session.dialler.has_warm());
}

/// U-18: a link that a DRAIN asked for has its flight under way when the carrier goes; the spare waits.
#[test]
fn a_spare_sends_no_second_flight_beside_one() {
    let mut play = Play::with_spare();
    let mut drain = Vec::new();
    frame::drain(&mut drain, 0, "");
    play.tells(&drain);
    play.pass(Duration::ZERO);
    play.flight();
    let asked_for = play.link;
    assert_eq!((play.opened, play.flights()), (3, [asked_for].into()));
    play.cut_carrier();
    play.perform();
    assert_eq!((play.opened, play.flights()), (3, [asked_for].into()));
}

#[test]
fn no_spare_is_made_beside_a_connection_under_way() {
    let mut play = Play::established();
    play.stands = false;
    play.session
        .handle_network(NetworkEvent::Changed(NetworkId(1)), play.now);
    play.perform();
    assert_eq!(play.opened, 2);
    play.becomes_late();
    play.perform();
    assert_eq!((play.opened, play.session.stats().spares), (2, 0));
}

/// A client that carries its session over the last of these networks, where an answer has become late, in a world where no other connection comes to stand; and when the question left.
fn late_on(networks: &[NetworkId]) -> (Play, Instant) {
    let mut play = Play::established();
    for network in networks {
        play.joins(*network, "");
    }
    let asked = play.now;
    play.now += Duration::from_millis(50);
    play.pongs(asked);
    play.perform();
    play.stands = false;
    let left = play.becomes_late();
    play.perform();
    (play, left)
}

/// When all is well again the wanted network is asked for as before: if nobody needed the spare, if it could not be made, if nothing came of the flight on it.
#[test]
fn a_network_is_forgiven_a_late_answer_when_the_spare_was_not_needed() {
    let happens: [fn(&mut Play); 3] = [
        |_| {},
        |play| play.session.handle_link_down(play.link, play.now),
        |play| {
            play.session.handle_link_up(play.link, play.now);
            play.flight();
            play.session.handle_link_down(play.link, play.now);
        },
    ];
    for (number, happens) in happens.into_iter().enumerate() {
        let (mut play, left) = late_on(&[CELL, WIFI]);
        assert_eq!((play.network, play.session.stats().spares), (Some(CELL), 1));
        happens(&mut play);
        play.pongs(left);
        play.pass(KEPT);
        play.perform();
        assert!(!play.session.dialler.has_warm());
        let mut drain = Vec::new();
        frame::drain(&mut drain, 0, "");
        play.tells(&drain);
        play.pass(Duration::ZERO);
        play.perform();
        assert_eq!(play.network, Some(WIFI), "{number}");
    }
}

/// The same if the spare neither was needed nor failed, but was taken back: before sleep, or with its network.
#[test]
fn a_network_is_forgiven_a_late_answer_when_the_spare_is_taken_back() {
    let takes_back: [fn(&mut Play); 2] = [
        |play| {
            play.session.handle_network(NetworkEvent::Suspend, play.now);
            play.perform();
            play.pass(Duration::from_secs(3600));
            play.session.handle_network(NetworkEvent::Wake, play.now);
        },
        |play| {
            play.session.handle_network(NetworkEvent::Lost(CELL), play.now);
            let mut drain = Vec::new();
            frame::drain(&mut drain, 0, "");
            play.tells(&drain);
            play.pass(Duration::ZERO);
        },
    ];
    for (number, takes_back) in takes_back.into_iter().enumerate() {
        let (mut play, left) = late_on(&[CABLE, CELL, WIFI]);
        assert_eq!((play.network, play.session.stats().spares), (Some(CELL), 1));
        play.pongs(left);
        takes_back(&mut play);
        play.perform();
        assert_eq!(play.network, Some(WIFI), "{number}");
    }
}

/// But not when another network goes while the link is silent.
#[test]
fn a_silent_network_is_not_forgiven_because_another_one_goes() {
    let (mut play, _) = late_on(&[CABLE, CELL, WIFI]);
    while play.session.stats().suspicions == 0 {
        assert!(play.pass_to_next());
        play.perform();
    }
    assert_eq!(play.network, Some(CELL));
    play.session.handle_link_down(play.link, play.now);
    play.perform();
    while let Some(attempt) = play.session.dialler.tries.first() {
        play.session.handle_link_down(attempt.id, play.now);
    }
    play.session.handle_network(NetworkEvent::Lost(CABLE), play.now);
    let opened = play.opened;
    while play.opened == opened {
        assert!(play.pass_to_next());
        play.perform();
    }
    assert_eq!(play.network, Some(CELL));
}

/// An answer is late, the spare comes to nothing, and then the answer is there. Whether a spare was made.
fn is_made(play: &mut Play) -> bool {
    let before = (play.opened, play.session.stats().spares);
    let left = play.becomes_late();
    play.perform();
    let made = play.opened > before.0;
    assert_eq!(play.session.stats().spares - before.1, u64::from(made));
    if made {
        play.session.handle_link_down(play.link, play.now);
    }
    play.pongs(left);
    play.perform();
    made
}

/// The server says something now and then, until so many seconds after `begin`.
fn quiet_until(play: &mut Play, begin: Instant, seconds: u64) {
    let until = begin + Duration::from_secs(seconds);
    while play.now < until {
        play.pass(until.since(play.now).min(Duration::from_secs(10)));
        play.tells(&ping());
        play.perform();
    }
}

/// Four in a row, and then one in thirty seconds, however often one is asked for.
#[test]
fn a_link_that_is_late_all_the_time_is_not_answered_by_a_spare_each_time() {
    let mut play = Play::established();
    let begin = play.now;
    play.stands = false;
    for _ in 0..4 {
        assert!(is_made(&mut play));
    }
    assert!(!is_made(&mut play), "the fifth");
    for (seconds, row) in [(28, 0), (30, 1), (58, 0), (62, 1), (200, 4)] {
        quiet_until(&mut play, begin, seconds);
        for number in 0..=row {
            assert_eq!(is_made(&mut play), number < row, "{number} at {seconds} s");
        }
    }
}
