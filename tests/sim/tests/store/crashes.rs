//! Processes that die, and one that only slept.

use unbroken::{CloseReason, Durability};
use unbroken_sim::cluster::{ClusterOptions, Step, StoreFate, World};

use crate::common::*;

#[test]
fn a_crash_in_swap_out_is_reported_as_one() {
    let mut stage = Stage::new(Durability::SwapOut);
    let at = stage.at(0);
    stage.crash(at);
    assert_eq!(stage.ends(), CloseReason::OwnerCrashed);
}

#[test]
fn f90_a_crash_in_durable_loses_nothing() {
    let mut stage = Stage::new(Durability::Durable);
    for p in [0, 1, 2, 0] {
        let at = stage.at(p);
        let next = (p + 1) % 3;
        stage.only_to(next);
        stage.crash(at);
        stage.arrive_at(next);
        stage.run_for(SECOND);
    }
    assert_eq!(stage.counters.inherited, 4);
    stage.all_is_well();
}

/// Who asks what of the store when a session goes from process 0 to process 1.
const TAKEOVER: [(usize, Step); 5] = [
    (1, Step::Peek),
    (1, Step::Send),
    (0, Step::Park),
    (0, Step::Send),
    (1, Step::Claim),
];

#[test]
fn f90_a_crash_in_each_step_of_a_takeover_loses_nothing_or_is_told() {
    for durability in BOTH {
        for (p, step) in TAKEOVER {
            for fate in [StoreFate::CrashBefore, StoreFate::CrashBetween, StoreFate::CrashAfter] {
                let mut stage = Stage::new(durability);
                stage.store_script.push((Some(p), step, fate));
                stage.move_to(1);
                let told = survives(&mut stage);
                assert_eq!(
                    stage.counters.crashes, 1,
                    "{durability:?} {p} {step:?} {fate:?}: nobody died"
                );
                // Only who has the session can take it along.
                let owner_dies = match (p, step) {
                    (0, Step::Park) => fate == StoreFate::CrashBefore,
                    (1, Step::Claim) => fate != StoreFate::CrashBefore,
                    _ => false,
                };
                let lost = owner_dies && durability == Durability::SwapOut;
                let expected = lost.then_some(CloseReason::OwnerCrashed);
                assert_eq!(told, expected, "{durability:?} {p} {step:?} {fate:?}");
            }
        }
    }
}

/// Until all is delivered, or the client knows why not.
fn survives(stage: &mut Stage) -> Option<CloseReason> {
    stage.run_for(30 * SECOND);
    if stage.talks[0].client_closed() {
        return stage.talks[0].life.closed;
    }
    stage.all_is_well();
    assert!(stage.counters.takeovers > 0, "it has not moved");
    None
}

#[test]
fn f82_a_sleeper_is_fenced_and_its_copy_wiped() {
    let mut stage = Stage::new(Durability::Durable);
    stage.pause(0, 20 * SECOND);
    stage.only_to(1);
    stage.arrive_at(1);
    assert_eq!(stage.counters.inherited + stage.counters.asked, 1);
    assert_eq!(stage.counters.fenced, 0, "it sleeps");
    stage.run_for(25 * SECOND);
    assert_eq!(stage.counters.fenced, 1);
    assert_eq!(stage.processes[0].endpoint.sessions(), 0);
    assert_eq!(stage.owner_of(stage.id()), Some(1));
    stage.all_is_well();
}

#[test]
fn f82_who_sleeps_while_its_new_session_is_taken_does_not_begin_it_a_second_time() {
    let mut stage = Stage(World::new(ClusterOptions::calm(Durability::Durable), 1));
    stage.only_to(0);
    stage.store_script.push((None, Step::Create, StoreFate::Slow(SECOND)));
    stage.run_to("that the store has it", 20 * SECOND, |w| w.store_script.is_empty());
    // The answer waits for it.
    stage.pause(0, 20 * SECOND);
    stage.move_to(1);
    stage.arrive_at(1);
    assert_eq!(stage.processes[0].endpoint.sessions(), 1, "it sleeps");
    stage.run_for(25 * SECOND);
    let slept = &stage.processes[0].endpoint;
    assert_eq!((slept.sessions(), slept.counters().fenced), (0, 1));
    assert_eq!(stage.counters.begun_late, 0);
    assert_eq!(stage.owner_of(stage.id()), Some(1));
    stage.all_is_well();
}

#[test]
fn f82_a_sleeper_whose_claim_is_overtaken_does_not_take_the_session_back() {
    for durability in BOTH {
        let mut stage = Stage::new(durability);
        stage.park();
        stage
            .store_script
            .push((Some(1), Step::Claim, StoreFate::Held(3 * SECOND)));
        stage.let_in();
        stage.only_to(1);
        stage.run_to("that it claims", 20 * SECOND, |w| w.store_script.is_empty());
        stage.pause(1, 10 * SECOND);
        stage.move_to(2);
        stage.arrive_at(2);
        stage.run_for(15 * SECOND);
        assert_eq!(
            (stage.processes[1].endpoint.sessions(), stage.counters.takeovers),
            (0, 1)
        );
        stage.all_is_well();
    }
}
