//! The whole design, in worlds small enough for a test; the large ones are for `cargo run --release -p unbroken-model`.

use unbroken_model::check::run;
use unbroken_model::{Bounds, Mode, Rule, Takeover, Without};

fn holds(mode: Mode, bounds: Bounds) {
    let without = Without::default();
    let report = run(Takeover { mode, bounds, without }, 2);
    let failed: Vec<_> = report.failed.iter().map(|(name, _)| name).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert!(report.missed.is_empty(), "never seen: {:?}", report.missed);
}

#[test]
fn swap_out_holds_under_a_crash_and_a_forgetful_store() {
    holds(
        Mode::SwapOut,
        Bounds::attempts(1).up(1).down(1).drains(1).crashes(1).rollbacks(1),
    );
}

#[test]
fn durable_holds_under_a_zombie_and_a_crash() {
    holds(
        Mode::Durable,
        Bounds::attempts(1).up(1).down(1).crashes(1).lease_losses(1),
    );
}

/// With the pages' first wording a lost rollback or commit was not even noticed: two rules that are missing together fail in silence.
#[test]
fn a_commit_between_peek_and_claim_would_be_lost_in_silence() {
    let without = Without::default()
        .and(Rule::ClaimNamesSnapshot)
        .and(Rule::AcceptKnowsAll);
    let bounds = Bounds::attempts(1).down(1).lease_losses(1);
    let report = run(
        Takeover {
            mode: Mode::Durable,
            bounds,
            without,
        },
        1,
    );
    let failed: Vec<_> = report.failed.iter().map(|(name, _)| *name).collect();
    assert_eq!(failed, [unbroken_model::properties::DOWN]);
}

#[test]
fn traces_can_be_read() {
    let (model, property) = unbroken_model::scenarios::without(Rule::TwoGenerations);
    let trace = unbroken_model::check::shortest(model, property).expect("a counterexample");
    let told: Vec<_> = trace.into_actions().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], "client: sends the next RESUME");
}
