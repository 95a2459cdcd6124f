//! Two live links at the server, and two devices with the same secrets.

use unbroken::NetworkEvent;
use unbroken_sim::Side;
use unbroken_sim::links::road::CELLULAR;
use unbroken_sim::links::{Road, Setup};

use crate::{SECOND, quiet};

#[test]
fn the_newer_link_dies_before_it_was_confirmed_and_the_older_carries_on() {
    for seed in 0..10 {
        let mut road = Road::new(Setup::new(), seed);
        road.establish();
        // RESUME arrives, ACCEPT never does.
        road.paths[1].dead = [true, false];
        road.hint(NetworkEvent::Changed(CELLULAR));
        road.run_for(SECOND);
        road.run_for(20 * SECOND);
        road.finish();
        assert_eq!((road.links_on(0), road.links_on(1)), (1, 0));
    }
}

#[test]
fn hints_in_swarms_end_on_one_link() {
    let mut road = Road::new(quiet(), 2);
    road.establish();
    for n in 0..200 {
        road.hint(NetworkEvent::Changed(
            [CELLULAR, unbroken_sim::links::road::WIFI][n % 2],
        ));
        road.say(if n % 2 == 0 { Side::Client } else { Side::Server });
        road.run_for(SECOND / 30);
    }
    road.finish();
    road.run_for(10 * SECOND);
    assert_eq!(road.open_links(), (1, 1));
}
