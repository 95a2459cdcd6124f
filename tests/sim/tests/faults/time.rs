//! Clocks: F-70 to F-72.

use core::time::Duration;

use unbroken::{Event, Instant, State};
use unbroken_sim::ServerBench;
use unbroken_sim::raw::{Accepted, RawClient, RawFrame, Resume, frames};

use crate::common::*;

const HOUR: Duration = Duration::from_secs(3600);

fn back(now: Instant, by: Duration) -> Instant {
    Instant::from_micros(now.as_micros() - by.as_micros() as u64)
}

#[test]
fn f70_a_clock_that_goes_backwards_is_clamped() {
    let mut hand = Hand::new();
    let mut guest = Guest::new();
    for step in 0..50u64 {
        let good = hand.bench.now;
        // An hour back, or before everything.
        let wrong = if step % 2 == 0 {
            back(good, Duration::from_secs(900))
        } else {
            Instant::ZERO
        };
        hand.bench.now = wrong;
        hand.say(&frames::data(step, &[&step.to_be_bytes()]));
        hand.bench.endpoint.handle_timeout(wrong);
        hand.bench.pump();
        let due = hand.bench.endpoint.poll_timeout().unwrap();
        assert!(due > back(good, SECOND), "a timer in the past: {due:?}");
        hand.bench.now = good;
        hand.bench.pass(100 * MS);

        guest.bench.now = wrong;
        guest.say(&frames::data(step, &[&step.to_be_bytes()]));
        guest.bench.session.handle_timeout(wrong);
        guest.bench.pump();
        guest.bench.now = good;
        guest.live(100 * MS);
    }
    assert_eq!(hand.delivered().len(), 50);
    assert_eq!(guest.bench.received.len(), 50);
    assert!(!hand.is_cut() && !guest.is_cut());
    // Time stood still, it did not run twice: the ACKs came, no link was suspected.
    assert!(
        hand.hear()
            .iter()
            .any(|f| matches!(f, RawFrame::Ack { recv_next: 50, .. }))
    );
    assert_eq!(guest.bench.session.stats().suspicions, 0);
    let stats = guest.bench.session.stats();
    assert!(stats.rtt.is_none_or(|rtt| rtt < SECOND), "{stats:?}");
}

#[test]
fn f71_after_an_hour_without_ticks_each_timer_fires_once() {
    // An idle client: one probe, or one new link; not a hundred and forty-four.
    let mut guest = Guest::new();
    guest.live(SECOND);
    assert!(guest.bench.links.asked.is_empty());
    guest.bench.now += HOUR;
    guest.bench.session.handle_timeout(guest.bench.now);
    guest.bench.pump();
    let pings = guest.hear().iter().filter(|f| matches!(f, RawFrame::Ping(_))).count();
    assert!(pings + guest.bench.links.asked.len() >= 1, "it does something");
    let asked = &guest.bench.links.asked;
    assert!(pings <= 1 && asked.len() <= 1, "{pings} questions, wishes {asked:?}");
    assert!(guest.bench.session.poll_timeout().unwrap() > guest.bench.now);
    guest.assert_open();
    // A session that is detached at a server: it expires once.
    let mut hand = Hand::new();
    hand.bench.down(hand.link);
    hand.bench.take_events();
    hand.bench.now += HOUR;
    hand.bench.endpoint.handle_timeout(hand.bench.now);
    hand.bench.pump();
    hand.bench.endpoint.handle_timeout(hand.bench.now);
    hand.bench.pump();
    let events = hand.bench.take_events();
    assert_eq!(events.iter().filter(|e| matches!(e, Event::Closed(_))).count(), 1);
    assert_eq!(
        events
            .iter()
            .filter(|e| matches!(e, Event::HandoverFailed { .. }))
            .count(),
        1
    );
    assert_eq!(
        hand.bench.endpoint.poll_timeout().filter(|t| *t <= hand.bench.now),
        None
    );
    // A delayed ACK: one.
    let mut hand = Hand::new();
    hand.say(&frames::data(0, &[b"x"]));
    hand.bench.now += HOUR;
    hand.bench.endpoint.handle_timeout(hand.bench.now);
    hand.bench.pump();
    if !hand.is_cut() {
        assert_eq!(
            hand.hear().iter().filter(|f| matches!(f, RawFrame::Ack { .. })).count(),
            1
        );
    }
    // A client that cannot connect: one wish at a time.
    let mut bench = unbroken_sim::ClientBench::new(client_config().build().unwrap());
    let (link, ..) = bench.links.asked.pop_front().unwrap();
    bench.down(link);
    bench.now += Duration::from_secs(50);
    bench.session.handle_timeout(bench.now);
    bench.pump();
    assert!(bench.links.asked.len() <= 2, "{:?}", bench.links.asked);
}

fn crowd(sessions: u64) -> ServerBench {
    let mut bench = ServerBench::new(server_config().build().unwrap());
    for n in 0..sessions {
        let mut client = RawClient::new(server_key().public(), REALM, n);
        let (link, mut wire, _) = hello(&mut bench, &mut client);
        bench.input(link, &wire.seal(&frames::auth(b"me")));
    }
    assert_eq!(bench.endpoint.sessions() as u64, sessions);
    bench
}

#[test]
fn f72_a_storm_of_ticks_costs_nothing_but_the_calls() {
    let storm = |bench: &mut ServerBench| {
        bench.pass(SECOND);
        let (writes, due) = (bench.links.writes, bench.endpoint.poll_timeout());
        let started = std::time::Instant::now();
        for tick in 0..200_000u64 {
            bench
                .endpoint
                .handle_timeout(bench.now + Duration::from_micros(tick % 7));
            let _ = bench.endpoint.poll_timeout();
        }
        let took = started.elapsed();
        bench.pump();
        assert_eq!(
            (bench.links.writes, bench.endpoint.poll_timeout()),
            (writes, due),
            "a tick did something"
        );
        took
    };
    let (few, many) = (storm(&mut crowd(2)), storm(&mut crowd(1000)));
    // The same work, whatever the number of sessions: a scan of all of them would be five hundred times as much.
    assert!(
        many < few * 50 + Duration::from_millis(100),
        "{few:?} for 2 sessions, {many:?} for 1000"
    );
    // The client.
    let mut guest = Guest::new();
    guest.bench.pass(SECOND);
    let (writes, due) = (guest.bench.links.writes, guest.bench.session.poll_timeout());
    for _ in 0..200_000 {
        guest.bench.session.handle_timeout(guest.bench.now);
    }
    guest.bench.pump();
    assert_eq!(
        (guest.bench.links.writes, guest.bench.session.poll_timeout()),
        (writes, due)
    );
    assert_eq!(guest.bench.session.state(), State::Established);
}

/// G2: without a link it lives from the break on, also if that link's first record and one that is none came in one read, so that nobody saw it carry.
#[test]
fn a_link_that_breaks_in_the_read_that_confirms_it_begins_the_life_without_a_link_anew() {
    let mut bench = ServerBench::new(server_config().build().unwrap());
    let mut client = RawClient::new(server_key().public(), REALM, 41);
    let (link, mut wire, _) = hello(&mut bench, &mut client);
    bench.input(link, &wire.seal(&frames::auth(b"me")));
    bench.down(link);
    bench.pass(20 * SECOND);
    let (flight, pending) = client.resume(&Resume::default());
    let (link, answer) = bench.connect(&flight);
    let Some((Accepted::Ok { .. }, mut wire, _)) = client.accept(pending, &answer) else {
        panic!("no ACCEPT but {answer:02x?}");
    };
    let mut read = wire.seal(&frames::ping([1; 8]));
    read.extend(wire.seal(&frames::ping([2; 8])));
    *read.last_mut().unwrap() ^= 1;
    bench.input(link, &read);
    assert!(bench.links.closed.contains(&link));
    bench.pass(20 * SECOND);
    assert_eq!(bench.endpoint.sessions(), 1, "30 s from the break on");
    bench.pass(11 * SECOND);
    assert_eq!(bench.endpoint.sessions(), 0);
}
