//! How long a flight is waited for while there is something else to try.

use alloc::vec::Vec;
use core::time::Duration;

use super::actor::{NEW, Play};
use crate::config::Limits;
use crate::event::{LinkId, Target};
use crate::time::Instant;
use crate::wire::flight::{Accept, AcceptOk, Refuse, RefuseCode};

/// The configured address is far away, and answers; the server's own is near, and refuses whoever comes. How long it takes until the first is heard.
fn until_answered(near: Duration, far: Duration) -> Duration {
    let mut play = Play::begun_at("own.example:4");
    play.stands = false;
    play.cut();
    let begun = play.now;
    let mut opened = play.opened;
    // When which connection stands, and whether it leads far.
    let mut under_way: Vec<(Instant, LinkId, bool)> = Vec::new();
    let mut asked: Option<(LinkId, Instant)> = None;
    loop {
        play.perform();
        if play.opened > opened {
            assert_eq!(play.opened, opened + 1);
            opened = play.opened;
            let is_far = play.target == Target::Configured;
            let time = if is_far { far } else { near };
            under_way.push((play.now + time, play.link, is_far));
        }
        let dialler = &play.session.dialler;
        under_way.retain(|(_, link, _)| dialler.index(*link).is_some());
        let flight = dialler.handshaking().map(|index| &dialler.tries[index]);
        let flight = flight.map(|attempt| (attempt.id, attempt.target == Target::Configured));
        if asked.map(|(link, _)| link) != flight.map(|(link, _)| link) {
            asked = flight.map(|(link, is_far)| (link, play.now + if is_far { far } else { near }));
        }
        let stands = under_way.iter().map(|(at, ..)| *at).min();
        let answered = asked.map(|(_, at)| at);
        let times = [play.session.poll_timeout(), stands, answered];
        play.pass(times.into_iter().flatten().min().expect("it waits").since(play.now));
        while let Some(index) = under_way.iter().position(|(at, ..)| *at <= play.now) {
            let (_, link, _) = under_way.remove(index);
            play.session.handle_link_up(link, play.now);
        }
        if let Some((link, at)) = asked
            && at <= play.now
            && let Some(index) = play.session.dialler.index(link)
        {
            if play.session.dialler.tries[index].target == Target::Configured {
                return play.now.since(begun);
            }
            play.link = link;
            play.refuses(&Refuse {
                code: RefuseCode::Later,
                retry_ms: 0,
                min_version: 1,
                max_version: 1,
            });
            asked = None;
        }
    }
}

#[test]
fn a_flight_that_takes_its_time_is_not_given_up_again_and_again_for_an_address_that_refuses() {
    for (near, far) in [(150, 1400), (200, 1100), (300, 1200), (400, 1300), (550, 1500)] {
        let waited = until_answered(Duration::from_millis(near), Duration::from_millis(far));
        assert!(waited < Duration::from_secs(8), "{near}, {far}: {waited:?}");
    }
}

/// Nobody answers, at either address, and each connection takes its time to stand. Where the flights of the next 55 seconds went.
fn flights(connecting: Duration, handshake: Duration) -> Vec<Target> {
    let limits = Limits {
        handshake,
        ..Limits::default()
    };
    let mut play = Play::with(|config| config.limits(limits));
    let flight = play.flight();
    let address = "own.example:4";
    play.says(flight, &Accept::Ok(AcceptOk { address, ..NEW }));
    play.stands = false;
    play.cut();
    let end = play.now + Duration::from_secs(55);
    let (mut opened, mut under_way, mut flights) = (play.opened, Vec::new(), Vec::new());
    let mut asked = None;
    while play.now < end {
        play.perform();
        if play.opened > opened {
            assert_eq!(play.opened, opened + 1);
            opened = play.opened;
            under_way.push((play.now + connecting, play.link));
        }
        let dialler = &play.session.dialler;
        under_way.retain(|(_, link)| dialler.index(*link).is_some());
        let flight = dialler.handshaking().map(|index| &dialler.tries[index]);
        if let Some(attempt) = flight.filter(|attempt| asked != Some(attempt.id)) {
            asked = Some(attempt.id);
            flights.push(attempt.target.clone());
        }
        let times = under_way.iter().map(|(at, _)| *at).chain(play.session.poll_timeout());
        play.pass(times.min().expect("it waits").since(play.now));
        while let Some(index) = under_way.iter().position(|(at, _)| *at <= play.now) {
            play.session.handle_link_up(under_way.remove(index).1, play.now);
        }
    }
    flights
}

/// A server's own address that hangs must not keep the client from the configured one, which stands beside it and has been waited for.
#[test]
fn a_connection_to_spare_has_its_turn_however_patient_the_client_has_become() {
    for connecting in [100, 300, 400, 900, 1200] {
        for handshake in [2, 5, 20] {
            let flights = flights(Duration::from_millis(connecting), Duration::from_secs(handshake));
            assert!(flights.len() > 4, "{connecting} ms, {handshake} s: {flights:?}");
            let own = |target: &Target| *target != Target::Configured;
            let again = flights.windows(3).any(|three| three.iter().all(own));
            assert!(!again, "{connecting} ms, {handshake} s: {flights:?}");
        }
    }
}
