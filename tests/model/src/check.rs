//! Runs the checker, breadth first.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model, Path};

use crate::actions::Action;
use crate::rules::Takeover;
use crate::state::World;

/// What came of a run.
pub struct Report {
    /// States that differ.
    pub unique: usize,
    /// States that were met, each as often as it was.
    pub met: usize,
    /// Steps to the farthest one.
    pub depth: usize,
    /// How long it took.
    pub time: Duration,
    /// Properties that failed, each with the steps there.
    pub failed: Vec<(&'static str, Trace)>,
    /// What should have happened in some state and did not. Of interest only if nothing failed: a failure ends the run.
    pub missed: Vec<&'static str>,
}

/// A way to a state.
pub type Trace = Path<World, Action>;

/// Visits all states, or those up to a first failure.
pub fn run(model: Takeover, threads: usize) -> Report {
    search(model, threads, None)
}

/// Visits all states that are at most so many steps away.
pub fn run_to(model: Takeover, steps: usize) -> Report {
    search(model, 1, NonZeroUsize::new(steps + 2))
}

/// A shortest way to a state in which the property fails, if there is one.
pub fn shortest(model: Takeover, property: &str) -> Option<Trace> {
    let of = |report: Report| {
        report
            .failed
            .into_iter()
            .find(|(name, _)| *name == property)
            .map(|(_, trace)| trace)
    };
    let mut best = of(search(model, 1, None))?;
    // The checker looks at some states more before it stops, and keeps the last failure.
    while let Some(shorter) = of(search(model, 1, NonZeroUsize::new(steps(&best) + 1))) {
        best = shorter;
    }
    Some(best)
}

/// How many steps a way has.
pub fn steps(trace: &Trace) -> usize {
    trace.clone().into_actions().len()
}

/// Counts states along the way, the first and the last among them, and does not look at those on place `below`.
fn search(model: Takeover, threads: usize, below: Option<NonZeroUsize>) -> Report {
    let started = Instant::now();
    let mut builder = model
        .checker()
        .threads(threads)
        .finish_when(HasDiscoveries::AnyFailures);
    if let Some(below) = below {
        builder = builder.target_max_depth(below.get());
    }
    let checker = builder.spawn_bfs().join();
    let found = checker.discoveries();
    let (mut failed, mut missed) = (Vec::new(), Vec::new());
    for property in model.properties() {
        match (property.expectation, found.get(property.name)) {
            (Expectation::Sometimes, None) => missed.push(property.name),
            (Expectation::Always, Some(trace)) => failed.push((property.name, trace.clone())),
            _ => {}
        }
    }
    Report {
        unique: checker.unique_state_count(),
        met: checker.state_count(),
        depth: checker.max_depth().saturating_sub(1),
        time: started.elapsed(),
        failed,
        missed,
    }
}
