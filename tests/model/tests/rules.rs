//! Each rule is needed: without it, the property that it serves fails. And with it, nothing fails in as many steps.

use unbroken_model::check::{run_to, shortest, steps};
use unbroken_model::{Rule, Takeover, Without, scenarios};

fn is_needed(rule: Rule) {
    let (model, property) = scenarios::without(rule);
    let trace = shortest(model, property).unwrap_or_else(|| panic!("without {} nothing fails", rule.name()));
    let sound = Takeover {
        without: Without::default(),
        ..model
    };
    let report = run_to(sound, steps(&trace));
    let failed: Vec<_> = report.failed.iter().map(|(name, _)| name).collect();
    assert!(failed.is_empty(), "with all rules, and yet: {failed:?}");
}

macro_rules! needed {
    ($($test:ident: $rule:ident,)*) => {
        $(#[test]
        fn $test() {
            is_needed(Rule::$rule);
        })*

        #[test]
        fn every_rule_has_its_test() {
            let tested = [$(Rule::$rule),*];
            assert!(Rule::ALL.iter().all(|rule| tested.contains(rule)));
        }
    };
}

needed! {
    r1_two_generations: TwoGenerations,
    r2_attempt: Attempt,
    r3_counts: Counts,
    r3_the_client_checks_that_a_new_owner_knows_all: AcceptKnowsAll,
    r3_the_client_leaves_the_links_of_a_former_owner: LeaveFormerOwner,
    r4_number_after_validate: NumberAfterValidate,
    r4_number_after_confirm: NumberAfterConfirm,
    r5_verify_before_claim: VerifyBeforeClaim,
    r6_fence: Fence,
    r6_persist_before_send: PersistBeforeSend,
    a_claim_names_the_snapshot_that_was_judged: ClaimNamesSnapshot,
    a_swap_out_of_unknown_outcome_is_looked_up: LookAfterUnknownPark,
    a_zombie_does_not_speak_of_a_loss: LookBeforeLoss,
    no_resume_is_accepted_during_a_swap_out: HoldWhileParking,
    f81_a_claim_is_finished_whatever_became_of_its_flight: FinishClaim,
    f80_own_token_and_name_mean_success: OwnClaimCounts,
}
