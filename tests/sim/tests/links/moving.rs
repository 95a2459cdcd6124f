//! Phones that sleep, move, and flap.

use unbroken::{CloseReason, Event, NetworkEvent};
use unbroken_sim::Side;
use unbroken_sim::links::road::{CELLULAR, WIFI};
use unbroken_sim::links::{Road, Setup};

use crate::{HOUR, MS, SECOND, handovers, patient_server, quiet};

#[test]
fn l26_asleep_for_an_hour_then_resumed_whether_the_clock_ran_or_stood_still() {
    for stood_still in [None, Some(HOUR)] {
        for cut in [false, true] {
            let mut road = Road::new(
                Setup {
                    server: patient_server().build().unwrap(),
                    ..Setup::new()
                },
                1,
            );
            road.establish();
            road.sleep();
            let writes = road.phone_writes;
            road.run_for(10 * SECOND);
            road.stop_talking();
            if cut {
                road.reset(0);
            } else {
                road.strand(0);
            }
            road.run_for(HOUR - 10 * SECOND);
            assert_eq!(road.phone_writes, writes, "asleep is quiet");
            let woken = road.now();
            road.wake(stood_still);
            road.run_to("all is delivered", 400 * MS, |r| r.is_settled());
            let told = road.told_downtime(woken);
            assert!(told <= HOUR, "{told:?}");
        }
    }
}

#[test]
fn l26_asleep_longer_than_the_session_lives_is_an_honest_end() {
    let mut road = Road::new(Setup::new(), 2);
    road.establish();
    road.sleep();
    road.strand(0);
    road.run_for(HOUR);
    road.wake(None);
    road.run_to("the end", 5 * SECOND, |r| r.apps[0].life.closed.is_some());
    let reason = road.apps[0].life.closed;
    assert!(
        matches!(reason, Some(CloseReason::Expired | CloseReason::UnknownSession)),
        "{reason:?}"
    );
}

#[test]
fn l25_a_client_that_only_receives_speaks_first_after_it_moved() {
    // In the middle of what it receives, and nobody tells it.
    let mut road = Road::new(
        Setup {
            every: [core::time::Duration::ZERO, 20 * MS],
            ..Setup::new()
        },
        3,
    );
    road.establish();
    let from = road.now();
    road.strand(0);
    road.run_for(3 * SECOND);
    road.finish();
    assert!(
        road.downtime(from, 27 * MS) < SECOND,
        "{:?}",
        road.downtime(from, 27 * MS)
    );
    // In silence, with a hint: what the server says afterwards comes at once, on the new way.
    let mut road = Road::new(quiet(), 4);
    road.establish();
    road.run_for(10 * SECOND);
    road.paths[0].dead = [true; 2];
    road.hint(NetworkEvent::Changed(CELLULAR));
    road.run_for(SECOND);
    assert!(road.say(Side::Server));
    road.run_to("delivered", 30 * MS, |r| r.undelivered() == 0);
}

#[test]
fn a_change_with_both_networks_up_has_no_downtime() {
    for seed in 0..50 {
        let mut road = Road::new(Setup::new(), seed);
        road.establish();
        let from = road.now();
        road.hint(NetworkEvent::Changed(CELLULAR));
        road.run_for(3 * SECOND);
        road.finish();
        assert_eq!((handovers(&road), road.links_on(0), road.links_on(1)), (1, 0, 1));
        assert!(
            road.downtime(from, 27 * MS) <= 2 * MS,
            "{:?}",
            road.downtime(from, 27 * MS)
        );
        assert!(road.told_downtime(from).is_zero());
    }
}

#[test]
fn f105_flapping_100_times_a_minute_is_answered_by_backing_off_and_leaks_nothing() {
    let mut road = Road::new(
        Setup {
            every: [200 * MS; 2],
            ..Setup::new()
        },
        5,
    );
    road.establish();
    let from = road.now();
    let before = road.asked.len();
    for flap in 0..300 {
        match flap % 3 {
            0 => road.reset(flap / 3 % 2),
            1 => road.strand(flap / 3 % 2),
            _ => road.hint(NetworkEvent::Changed([WIFI, CELLULAR][flap / 3 % 2])),
        }
        road.run_for(600 * MS);
        let (phone, server) = road.open_links();
        assert!(phone <= 4 && server <= 30, "flap {flap}: {phone} and {server} links");
    }
    let asked = road.asked.len() - before;
    assert!(asked <= 300 * 2, "{asked} connections for 300 flaps");
    road.finish();
    road.run_for(120 * SECOND);
    assert_eq!(road.open_links(), (1, 1));
    assert_eq!((road.servers[0].links(), road.servers[0].sessions()), (1, 1));
    let begun = road.apps[0]
        .events
        .iter()
        .filter(|(at, e)| *at >= from && matches!(e, Event::HandoverBegin { .. }));
    assert_eq!(begun.count(), handovers(&road), "each has one end");
}
