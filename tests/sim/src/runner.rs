//! Runs seeds, and makes of a violation something that can be looked at.

use core::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::cluster;
use crate::profile::Profile;
use crate::setting::Setting;
use crate::shrink::{self, Reductions};
use crate::world::{Totals, World};

/// A violation and how to see it again.
pub struct Failure {
    pub seed: u64,
    pub profile: Profile,
    /// What was taken out of the setting that the seed gives.
    pub reductions: Reductions,
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
        )?;
        if !self.reductions.is_empty() {
            write!(f, " --reduce {}", self.reductions.join(","))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One seed, from its options to the end; a failure shows so many of the last events.
pub fn run_seed(profile: Profile, seed: u64, trace: usize) -> Result<Totals, Box<Failure>> {
    run_reduced(profile, seed, &[], trace)
}

/// The same, made simpler: as a run that was shrunk is repeated.
pub fn run_reduced(
    profile: Profile,
    seed: u64,
    reductions: &[&'static str],
    trace: usize,
) -> Result<Totals, Box<Failure>> {
    let drawn = Setting::draw(profile, seed);
    let setting = reductions
        .iter()
        .fold(drawn, |setting, name| shrink::reduce(&setting, name).unwrap_or(setting));
    setting.run(seed, trace).map_err(|failure| {
        Box::new(Failure {
            profile,
            reductions: reductions.to_vec(),
            ..*failure
        })
    })
}

/// The simplest run that was found to fail like this one, in at most `budget` runs.
pub fn simplest(failure: Box<Failure>, trace: usize, budget: usize) -> Box<Failure> {
    let drawn = Setting::draw(failure.profile, failure.seed);
    if budget == 0 {
        return failure;
    }
    let fails = |setting: &Setting| setting.run(failure.seed, 0).err().map(|failure| failure.what);
    let (_, reductions) = shrink::shrink(&drawn, &failure.what, budget, fails);
    run_reduced(failure.profile, failure.seed, &reductions, trace)
        .err()
        .unwrap_or(failure)
}

/// Does something with a world and reports a panic with all that is known.
pub fn run_world<T>(mut world: World, run: impl FnOnce(&mut World) -> T) -> Result<T, Box<Failure>> {
    catch(|| run(&mut world)).map_err(|what| {
        Box::new(Failure {
            seed: world.seed,
            profile: world.options.profile,
            reductions: Reductions::new(),
            what,
            trace: world.trace.to_string(),
            options: world.options.to_string(),
        })
    })
}

/// The same for a world of several processes.
pub fn run_cluster<T>(
    mut world: cluster::World,
    run: impl FnOnce(&mut cluster::World) -> T,
) -> Result<T, Box<Failure>> {
    catch(|| run(&mut world)).map_err(|what| {
        Box::new(Failure {
            seed: world.seed,
            profile: Profile::Cluster,
            reductions: Reductions::new(),
            what,
            trace: world.trace.to_string(),
            options: world.options.to_string(),
        })
    })
}

fn catch<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_default()
    })
}
