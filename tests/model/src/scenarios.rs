//! What is checked: the design, with all rules, under as much of everything as can be exhausted in a minute or two; and for each rule the
//! smallest world in which its absence does harm.

use crate::properties::{AUTHENTIC, CAUSE, DOWN};
use crate::rules::Mode::{self, Durable, SwapOut};
use crate::rules::{Bounds, Rule, Takeover, Without};

/// The design under some of the faults. No property may fail, and all that it can reach must be reached.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// For the table.
    pub name: &'static str,
    /// What to check.
    pub model: Takeover,
}

/// The runs of CI.
pub fn design() -> Vec<Scenario> {
    // One message each way.
    let talk = |attempts| Bounds::attempts(attempts).up(1).down(1);
    scenarios(&[
        ("drain, attacker", SwapOut, talk(2).drains(1).forgeries(1)),
        ("crash, lease lost", SwapOut, talk(2).crashes(1).lease_losses(1)),
        (
            "drain, answer lost, attacker",
            SwapOut,
            talk(2).drains(1).lost_replies(1).forgeries(1),
        ),
        (
            "crash, store rolled back",
            SwapOut,
            Bounds::attempts(2).down(1).crashes(1).rollbacks(1),
        ),
        (
            "answer lost, rolled back",
            SwapOut,
            talk(1).drains(1).lost_replies(1).rollbacks(1),
        ),
        ("attacker", Durable, talk(2).forgeries(1)),
        ("crash", Durable, talk(2).crashes(1)),
        ("zombie", Durable, talk(2).lease_losses(1)),
        ("crash, answer lost", Durable, talk(1).crashes(1).lost_replies(1)),
        (
            "zombie, crash, drain",
            Durable,
            talk(1).crashes(1).lease_losses(1).drains(1),
        ),
        ("crash, store rolled back", Durable, talk(1).crashes(1).rollbacks(1)),
        (
            "zombie, store rolled back",
            Durable,
            talk(1).lease_losses(1).rollbacks(1),
        ),
    ])
}

/// Runs that take minutes and gigabytes.
pub fn wide() -> Vec<Scenario> {
    let talk = |attempts| Bounds::attempts(attempts).up(1).down(1);
    scenarios(&[
        ("crash, store rolled back", SwapOut, talk(2).crashes(1).rollbacks(1)),
        (
            "drain, crash, answer lost",
            SwapOut,
            talk(2).drains(1).crashes(1).lost_replies(1),
        ),
    ])
}

fn scenarios(all: &[(&'static str, Mode, Bounds)]) -> Vec<Scenario> {
    let scenario = |&(name, mode, bounds): &(&'static str, Mode, Bounds)| {
        let without = Without::default();
        let model = Takeover { mode, bounds, without };
        Scenario { name, model }
    };
    all.iter().map(scenario).collect()
}

/// The world in which the absence of a rule does harm, and the property that fails there.
pub fn without(rule: Rule) -> (Takeover, &'static str) {
    let tries = Bounds::attempts;
    let forgetful = tries(1).crashes(1).rollbacks(1);
    let (mode, bounds, property) = match rule {
        Rule::TwoGenerations => (SwapOut, tries(1), CAUSE),
        Rule::Attempt => (SwapOut, tries(3), CAUSE),
        Rule::Counts | Rule::AcceptKnowsAll => (Durable, forgetful.down(1), DOWN),
        Rule::NumberAfterValidate | Rule::NumberAfterConfirm => (Durable, forgetful.down(2), DOWN),
        Rule::VerifyBeforeClaim => (SwapOut, tries(1).drains(1).forgeries(1), AUTHENTIC),
        Rule::Fence | Rule::ClaimNamesSnapshot => (Durable, tries(1).down(1).lease_losses(1), CAUSE),
        Rule::PersistBeforeSend => (Durable, tries(1).up(1).crashes(1), CAUSE),
        Rule::LookAfterUnknownPark => (SwapOut, tries(1).up(1).drains(1).lost_replies(1), CAUSE),
        Rule::LookBeforeLoss => (Durable, tries(2).lease_losses(1), CAUSE),
        Rule::HoldWhileParking => (SwapOut, tries(2).drains(1), CAUSE),
        Rule::LeaveFormerOwner => (Durable, forgetful.down(1), DOWN),
        Rule::FinishClaim => (SwapOut, tries(2).drains(1), CAUSE),
        Rule::OwnClaimCounts => (SwapOut, tries(1).drains(1).lost_replies(1), CAUSE),
    };
    let without = Without::default().and(rule);
    (Takeover { mode, bounds, without }, property)
}
