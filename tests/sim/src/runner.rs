//! Runs seeds, and makes of a violation something that can be looked at.

use core::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::options::{Options, Profile};
use crate::world::{Totals, World};

/// A violation and how to see it again.
pub struct Failure {
    pub seed: u64,
    pub profile: Profile,
    pub what: String,
    pub trace: String,
    pub options: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {} of profile {}: {}",
            self.seed,
            self.profile.name(),
            self.what
        )?;
        writeln!(f, "{}", self.options)?;
        writeln!(f, "{}", self.trace)?;
        let (seed, name) = (self.seed, self.profile.name());
        write!(
            f,
            "again: cargo run --release -p unbroken-sim -- --seeds {seed}..{} --profile {name}",
            seed + 1
        )
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One seed, from its options to the end; a failure shows so many of the last events.
pub fn run_seed(profile: Profile, seed: u64, trace: usize) -> Result<Totals, Box<Failure>> {
    let options = Options {
        trace,
        ..Options::draw(profile, seed)
    };
    run_world(World::new(options, seed), World::run)
}

/// Does something with a world and reports a panic with all that is known.
pub fn run_world<T>(mut world: World, run: impl FnOnce(&mut World) -> T) -> Result<T, Box<Failure>> {
    catch_unwind(AssertUnwindSafe(|| run(&mut world))).map_err(|panic| {
        let what = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_default();
        Box::new(Failure {
            seed: world.seed,
            profile: world.options.profile,
            what,
            trace: world.trace.to_string(),
            options: world.options.to_string(),
        })
    })
}
