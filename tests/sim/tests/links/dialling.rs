//! Where a client dials, and what it makes of what answers.

use unbroken::config::VERSION;
use unbroken::{Event, FailReason, State, Target};
use unbroken_sim::Side;
use unbroken_sim::links::road::{client_config, server_config};
use unbroken_sim::links::{Road, Route, Setup};

use crate::{HOUR, MS, SECOND, one_network, patient_server, quiet};

const PORTAL: &[u8] = b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\n\r\n";
/// A REFUSE: "version unknown, we have 1 to 1".
const ONLY_VERSION_1: &[u8] = b"UNB\x02\x04\x00\0\0\0\0\0\x07\x02\0\0\0\0\x01\x01";
/// "Busy, come back in 3 s".
const BUSY: &[u8] = b"UNB\x01\x04\x00\0\0\0\0\0\x07\x01\0\0\x0b\xb8\x01\x01";

fn with_routes(setup: Setup, routes: &[Route]) -> Road {
    Road::new(
        Setup {
            balancer: routes.to_vec(),
            ..setup
        },
        1,
    )
}

fn established(road: &mut Road, patience: core::time::Duration) -> core::time::Duration {
    let from = road.now();
    road.run_to("established", patience, |r| r.phone.state() == State::Established);
    road.now().since(from)
}

#[test]
fn f102_a_server_that_accepts_and_says_nothing_is_overtaken_after_a_second() {
    let mut road = with_routes(quiet(), &[Route::Mute, Route::Server(0)]);
    let took = established(&mut road, 2 * SECOND);
    assert!(took >= SECOND, "{took:?}");
    let mut road = with_routes(quiet(), &[Route::Mute]);
    road.run_for(30 * SECOND);
    assert!(
        (6..=14).contains(&road.asked.len()),
        "5 s each, two at a time: {}",
        road.asked.len()
    );
    assert!(road.open_links().0 <= 2);
}

#[test]
fn f23_a_captive_portal_is_not_believed_and_not_stormed() {
    let mut road = with_routes(quiet(), &[Route::Says(PORTAL)]);
    road.run_for(20 * SECOND);
    assert!(road.asked.len() < 30, "{}", road.asked.len());
    road.balancer = vec![Route::Server(0)];
    established(&mut road, 10 * SECOND);
}

#[test]
fn a_servers_own_address_comes_first_and_the_balancer_after_a_head_start() {
    for (own, within) in [
        (Route::Server(0), 120),
        (Route::Refused, 200),
        (Route::BlackHole, 400),
        (Route::Mute, 1200),
    ] {
        let server = server_config().address("10.0.0.7:99").build().unwrap();
        let mut road = Road::new(
            Setup {
                server,
                ..one_network(quiet())
            },
            2,
        );
        road.addresses.insert("10.0.0.7:99".into(), own);
        road.establish_blind();
        let from = road.now();
        let before = road.asked.len();
        road.reset(0);
        road.say(Side::Client);
        road.run_to("delivered", 5 * SECOND, |r| r.undelivered() == 0);
        let took = road.now().since(from);
        assert!(took <= within * MS, "{own:?}: {took:?}");
        assert_eq!(road.asked[before].1, Target::Advised("10.0.0.7:99".into()));
        match (own, road.asked.get(before + 1)) {
            (Route::Server(_), next) => assert_eq!(next, None),
            (Route::BlackHole, Some((at, Target::Configured, _))) => assert_eq!(at.since(from), 250 * MS),
            (_, next) => assert!(matches!(next, Some((_, Target::Configured, _))), "{own:?}: {next:?}"),
        }
    }
}

#[test]
fn advice_to_come_back_later_is_obeyed() {
    let mut road = with_routes(quiet(), &[Route::Says(BUSY)]);
    road.run_for(3 * SECOND);
    let first = road.asked.len();
    assert!(first <= 4, "{first}");
    road.run_for(27 * SECOND);
    let more = road.asked.len() - first;
    assert!((3..=12).contains(&more), "one in 3 s and a little: {more}");
}

#[test]
fn after_giving_up_nothing_happens_before_retry() {
    let mut road = Road::new(
        Setup {
            server: patient_server().build().unwrap(),
            ..Setup::new()
        },
        3,
    );
    road.establish();
    road.stop_talking();
    road.say(Side::Client);
    road.paths.iter_mut().for_each(|path| path.dead = [true; 2]);
    road.run_to("given up", 90 * SECOND, |r| r.phone.state() == State::None);
    let failed = road.apps[0].events.iter().any(|(_, e)| {
        matches!(
            e,
            Event::HandoverFailed {
                reason: FailReason::GaveUp,
                ..
            }
        )
    });
    assert!(failed);
    let asked = road.asked.len();
    road.paths.iter_mut().for_each(|path| path.dead = [false; 2]);
    road.run_for(HOUR);
    assert_eq!((road.asked.len(), road.open_links().0), (asked, 0));
    let now = road.now();
    road.phone.retry(now);
    road.say(Side::Client);
    road.run_to("all is delivered", SECOND, |r| r.is_settled());
}

#[test]
fn versions_meet_at_the_highest_both_have() {
    for (client, server, meets) in [
        (1..=2, 1..=1, true),
        (1..=1, 1..=2, true),
        (1..=2, 1..=2, true),
        (2..=2, 1..=2, true),
        (2..=3, 1..=1, false),
        (1..=1, 2..=2, false),
    ] {
        let client_config = client_config().versions(client.clone()).build().unwrap();
        let server_config = server_config().versions(server.clone()).build().unwrap();
        let mut road = Road::new(
            Setup {
                client: client_config,
                server: server_config,
                ..quiet()
            },
            4,
        );
        if meets {
            established(&mut road, 2 * SECOND);
            continue;
        }
        road.run_for(120 * SECOND);
        let told = road.apps[0].events.iter().any(|(_, e)| {
            matches!(
                e,
                Event::HandoverFailed {
                    reason: FailReason::VersionMismatch,
                    ..
                }
            )
        });
        assert!(told && road.phone.state() == State::None, "{client:?} and {server:?}");
    }
    assert_eq!(VERSION, 1);
}

#[test]
fn a_forged_refuse_cannot_bring_the_version_down() {
    let config = |low| {
        (
            client_config().versions(low..=2).build().unwrap(),
            server_config().versions(1..=2).build().unwrap(),
        )
    };
    // It is tried once, the server sees the offer inside, and the next try is for the highest again.
    for low in [1, 2] {
        let (client, server) = config(low);
        let mut road = with_routes(
            Setup {
                client,
                server,
                ..quiet()
            },
            &[Route::Says(ONLY_VERSION_1)],
        );
        road.run_for(SECOND);
        assert!(road.phone.state() != State::Established);
        road.balancer = vec![Route::Server(0)];
        established(&mut road, 10 * SECOND);
        let counters = road.servers[0].counters();
        assert_eq!(counters.hellos, 1);
        // With 1 allowed, the lie is followed once; the server sees the offer inside and turns it away.
        assert_eq!(counters.links_rejected > 0, low == 1, "{counters:?}");
    }
}
