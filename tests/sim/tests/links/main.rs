//! Links that are weak, changing or doubled, over networks that behave as TCP over radio does. Names say the row of the fault list.

mod account;
mod dialling;
mod doubled;
mod dying;
mod moving;
mod server_side;

use core::time::Duration;

use unbroken::config::ServerConfigBuilder;
use unbroken::{Event, Limits};
use unbroken_sim::links::road::server_config;
use unbroken_sim::links::{Path, Road, Setup};

pub const MS: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);
pub const HOUR: Duration = Duration::from_secs(3600);

/// Both networks, nobody says anything by himself.
pub fn quiet() -> Setup {
    Setup {
        every: [Duration::ZERO; 2],
        ..Setup::new()
    }
}

pub fn one_network(setup: Setup) -> Setup {
    Setup {
        paths: vec![Path::fair()],
        ..setup
    }
}

/// A server that keeps a detached session for a day.
pub fn patient_server() -> ServerConfigBuilder {
    server_config().limits(Limits {
        detached: 24 * HOUR,
        ..Limits::default()
    })
}

pub fn handovers(road: &Road) -> usize {
    road.apps[0]
        .events
        .iter()
        .filter(|(_, event)| matches!(event, Event::HandoverEnd(_)))
        .count()
}
