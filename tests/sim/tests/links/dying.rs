//! Links that die, stall, or only seem to.

use core::time::Duration;

use unbroken_sim::Side;
use unbroken_sim::links::road::{CELLULAR, WIFI};
use unbroken_sim::links::{Path, Road, Setup, Weather};

use crate::{HOUR, MS, SECOND, one_network, patient_server, quiet};

#[test]
fn f101_a_half_open_link_of_15_minutes_is_found_by_the_probe() {
    let mut road = Road::new(
        Setup {
            server: patient_server().build().unwrap(),
            ..one_network(quiet())
        },
        1,
    );
    road.establish_blind();
    road.strand(0);
    let from = road.now();
    let links = road.phone.stats().links;
    road.run_to("a new link", 26 * SECOND, |r| r.phone.stats().links > links);
    road.run_until(from + 15 * 60 * SECOND);
    assert!(road.say(Side::Server) && road.say(Side::Client));
    road.run_to("both delivered", 100 * MS, |r| r.undelivered() == 0);
    assert_eq!(road.open_links().0, 1, "the dead one is closed");
}

#[test]
fn a_black_hole_in_either_direction_or_both_costs_less_than_a_second() {
    for dead in [[true, true], [false, true], [true, false]] {
        for seed in 0..20 {
            let mut road = Road::new(Setup::new(), seed);
            road.establish();
            let from = road.now();
            road.paths[0].dead = dead;
            road.run_for(3 * SECOND);
            road.finish();
            let downtime = road.downtime(from, 27 * MS);
            assert!(downtime < 200 * MS, "{dead:?}, seed {seed}: {downtime:?}");
        }
    }
}

#[test]
fn a_walk_out_asks_for_the_other_network_at_once_and_loses_nothing() {
    let mut road = Road::new(Setup::new(), 3);
    road.establish();
    let from = road.now();
    road.paths[0].weather = Weather::Fading {
        from,
        lasts: 5 * SECOND,
    };
    road.run_for(10 * SECOND);
    road.finish();
    assert_eq!(road.networks_asked(from), [Some(CELLULAR)].into());
    // And back, when the wifi is reported again.
    road.paths[0].weather = Weather::Fair { jitter: MS };
    let from = road.now();
    road.hint(unbroken::NetworkEvent::Available(WIFI));
    road.run_for(SECOND);
    assert_eq!((road.networks_asked(from), road.links_on(0)), ([Some(WIFI)].into(), 1));
}

#[test]
fn a_stalled_application_keeps_no_link_under_suspicion() {
    for stalled in Side::BOTH {
        let mut road = Road::new(Setup::new(), 4);
        road.establish();
        let links = road.phone.stats().links;
        road.apps[stalled as usize].reads = false;
        road.run_for(20 * SECOND);
        let stats = road.phone.stats();
        assert_eq!((stats.suspicions, stats.links), (0, links), "{stalled:?}");
        road.apps[stalled as usize].reads = true;
        road.say(Side::Client);
        road.say(Side::Server);
        road.finish();
    }
}

#[test]
fn bulk_on_a_thin_line_is_slow_and_not_suspect() {
    for (sender, bandwidth) in [
        (Side::Client, 50_000),
        (Side::Server, 50_000),
        (Side::Client, 400_000),
        (Side::Server, 400_000),
    ] {
        for size in [1000, 60_000] {
            let mut path = Path::fair();
            path.bandwidth = bandwidth;
            let mut road = Road::new(
                Setup {
                    paths: vec![path],
                    size,
                    ..quiet()
                },
                5,
            );
            road.establish_blind();
            let mut left = 1_000_000 / size;
            while left > 0 {
                if road.say(sender) {
                    left -= 1;
                } else {
                    road.run_for(10 * MS);
                }
            }
            road.run_to("all is through", 120 * SECOND, |r| r.is_settled());
            let stats = road.phone.stats();
            assert_eq!(
                (stats.suspicions, stats.links),
                (0, 1),
                "{sender:?} at {bandwidth} bytes a second, messages of {size}"
            );
        }
    }
}

#[test]
fn a_slow_link_is_not_suspected_and_what_it_costs_is_bounded() {
    for weather in [
        Weather::Fair { jitter: 75 * MS },
        Weather::Bursts {
            calm: 10 * SECOND,
            burst: 2 * SECOND,
            jitter: 75 * MS,
        },
    ] {
        let path = || Path::new(25 * MS, weather);
        let mut road = Road::new(
            Setup {
                paths: vec![path(), path()],
                ..Setup::new()
            },
            6,
        );
        road.establish();
        road.run_for(600 * SECOND);
        road.finish();
        let stats = road.phone.stats();
        assert_eq!(stats.suspicions, 0, "{weather:?}");
        assert!(
            stats.spares <= 4 + 20,
            "{weather:?}: {} connections made ahead in ten minutes",
            stats.spares
        );
    }
}

#[test]
fn an_idle_session_probes_once_in_25_seconds_and_never_while_suspended() {
    let mut road = Road::new(
        Setup {
            server: patient_server().build().unwrap(),
            ..quiet()
        },
        7,
    );
    road.establish();
    road.run_for(5 * SECOND);
    let writes = road.phone_writes;
    road.run_for(HOUR);
    assert!(
        (120..=144).contains(&(road.phone_writes - writes)),
        "{}",
        road.phone_writes - writes
    );
    road.hint(unbroken::NetworkEvent::Suspend);
    let writes = road.phone_writes;
    road.run_for(HOUR);
    assert_eq!(road.phone_writes, writes);
}

#[test]
fn the_old_link_recovers_while_the_new_one_cannot_be_made() {
    let mut road = Road::new(Setup::new(), 8);
    road.establish();
    let from = road.now();
    road.paths[1].dead = [true; 2];
    road.paths[0].dead = [true; 2];
    road.run_for(500 * MS);
    assert!(road.apps[0].life.in_handover);
    road.paths[0].dead = [false; 2];
    road.run_for(20 * SECOND);
    road.finish();
    assert_eq!(road.links_on(1), 0);
    assert!(
        road.downtime(from, 27 * MS) < 2 * SECOND,
        "{:?}",
        road.downtime(from, Duration::ZERO)
    );
}

#[test]
fn both_links_die_and_the_third_carries_on() {
    for seed in 0..20 {
        let mut road = Road::new(Setup::new(), seed);
        road.establish();
        road.hint(unbroken::NetworkEvent::Changed(CELLULAR));
        let links = road.phone.stats().links;
        road.run_to("the second link", SECOND, |r| r.phone.stats().links > links);
        // Right after ACCEPT: the first record may not even have left.
        road.reset(1);
        road.reset(0);
        road.run_for(3 * SECOND);
        road.finish();
    }
}

#[test]
fn an_answer_that_comes_after_the_next_try_was_begun_doubles_nothing() {
    for delay in [300, 600, 900, 1200] {
        let mut road = Road::new(Setup::new(), delay);
        road.establish();
        road.paths[1].delay = delay as u32 * MS;
        road.paths[0].dead = [true; 2];
        road.run_for(10 * SECOND);
        road.finish();
        road.run_for(10 * SECOND);
        assert_eq!(road.open_links().0, 1, "{delay} ms");
    }
}
