//! What a seed stands for: a world of one server process or one of several, before it runs.

use core::fmt;

use crate::cluster::{self, ClusterOptions};
use crate::options::Options;
use crate::profile::Profile;
use crate::random;
use crate::runner::{Failure, run_cluster, run_world};
use crate::world::{Totals, World};

#[derive(Clone)]
pub enum Setting {
    World(Box<Options>),
    Cluster(Box<ClusterOptions>),
}

impl Setting {
    pub fn draw(profile: Profile, seed: u64) -> Self {
        match profile {
            Profile::Cluster => Setting::Cluster(Box::new(ClusterOptions::draw(seed))),
            Profile::Random if random::has_processes(seed) => Setting::Cluster(Box::new(random::cluster(seed))),
            Profile::Random => Setting::World(Box::new(random::world(seed))),
            _ => Setting::World(Box::new(Options::draw(profile, seed))),
        }
    }

    /// From the beginning to the end. A failure shows so many of the last events.
    pub fn run(&self, seed: u64, trace: usize) -> Result<Totals, Box<Failure>> {
        match self.clone() {
            Setting::World(mut options) => {
                options.trace = trace;
                run_world(World::new(*options, seed), World::run)
            }
            Setting::Cluster(mut options) => {
                options.trace = trace;
                run_cluster(cluster::World::new(*options, seed), cluster::World::run)
            }
        }
    }
}

/// Everything that was drawn: two settings that print the same are the same.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::World(options) => fmt::Display::fmt(options, f),
            Setting::Cluster(options) => fmt::Display::fmt(options, f),
        }
    }
}
