//! The dialler: never more than two connections, one flight at a time, and no plan forgotten.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::Dice;
use crate::config::Backoff as Bounds;
use crate::crypto::{Rng, Seed};
use crate::event::{LinkId, NetworkId, Output, Target};
use crate::session::dial::Dialler;
use crate::time::Instant;

const LIMIT: Duration = Duration::from_secs(5);
const MS: fn(u64) -> Duration = Duration::from_millis;

fn opened(outputs: &mut VecDeque<Output>) -> Vec<(u64, Target)> {
    outputs
        .drain(..)
        .filter_map(|output| match output {
            Output::OpenLink { link, target, .. } => Some((link.0, target)),
            _ => None,
        })
        .collect()
}

#[test]
fn the_servers_own_address_has_a_head_start() {
    let (mut dialler, mut outputs) = (Dialler::new(Instant::ZERO), VecDeque::new());
    assert!(dialler.open_due(Instant::ZERO, "one.example:4", None, &mut outputs));
    assert_eq!(opened(&mut outputs), [(0, Target::Advised("one.example:4".into()))]);
    assert_eq!(dialler.deadline(LIMIT), Instant::from_millis(250));
    assert!(!dialler.open_due(Instant::from_millis(249), "one.example:4", None, &mut outputs));
    assert!(dialler.open_due(Instant::from_millis(250), "one.example:4", None, &mut outputs));
    assert_eq!(opened(&mut outputs), [(1, Target::Configured)]);
    assert_eq!(dialler.deadline(LIMIT), Instant::ZERO + LIMIT);
}

#[test]
fn an_advised_address_is_tried_until_a_link_stands() {
    let (mut dialler, mut outputs) = (Dialler::new(Instant::ZERO), VecDeque::new());
    dialler.advised = Some("two.example:4".into());
    dialler.open_due(Instant::ZERO, "", None, &mut outputs);
    assert_eq!(opened(&mut outputs), [(0, Target::Advised("two.example:4".into()))]);
    dialler.cancel(&mut outputs);
    assert_eq!(
        outputs.drain(..).collect::<Vec<_>>(),
        [Output::CloseLink { link: LinkId(0) }]
    );
    assert_eq!(dialler.deadline(LIMIT), Instant::FAR_FUTURE);
    dialler.plan(Instant::from_millis(9));
    dialler.open_due(Instant::from_millis(9), "", None, &mut outputs);
    assert_eq!(
        opened(&mut outputs),
        [(1, Target::Advised("two.example:4".into()))],
        "and no link has the name of one before"
    );
}

/// What the host was not told yet is not opened only to be closed.
#[test]
fn a_connection_that_was_never_asked_for_is_taken_back() {
    let (mut dialler, mut outputs) = (Dialler::new(Instant::ZERO), VecDeque::new());
    dialler.open_due(Instant::ZERO, "", None, &mut outputs);
    assert_eq!(opened(&mut outputs), [(0, Target::Configured)]);
    dialler.open_due(Instant::from_millis(1000), "", None, &mut outputs);
    assert_eq!(outputs.len(), 1, "the hedge waits to be told");
    dialler.cancel(&mut outputs);
    assert_eq!(
        outputs.drain(..).collect::<Vec<_>>(),
        [Output::CloseLink { link: LinkId(0) }]
    );
}

#[test]
fn the_earlier_of_two_plans_counts_and_none_after_the_end() {
    let (mut dialler, mut outputs) = (Dialler::new(Instant::ZERO), VecDeque::new());
    dialler.cancel(&mut outputs);
    for at in [70, 50, 90] {
        dialler.plan(Instant::from_millis(at));
    }
    assert_eq!(dialler.deadline(LIMIT), Instant::from_millis(50));
    dialler.cancel(&mut outputs);
    dialler.stopped = true;
    dialler.plan(Instant::from_millis(50));
    assert_eq!(dialler.deadline(LIMIT), Instant::FAR_FUTURE);
}

/// A server's advice is a least delay, with jitter on top of it and never below (L-27, U-23).
#[test]
fn advice_is_obeyed() {
    let mut rng = Rng::new(&Seed::new([4; 32]));
    let now = Instant::from_millis(1000);
    let mut latest = Instant::ZERO;
    for _ in 0..100 {
        let (mut dialler, mut outputs) = (Dialler::new(now), VecDeque::new());
        dialler.cancel(&mut outputs);
        dialler.hold_off(now, MS(2000), (&Target::Configured, None), &mut rng, &mut outputs);
        dialler.replan(now, &Bounds::default(), &mut rng);
        let at = dialler.deadline(LIMIT);
        assert!(at >= now + MS(2000) && at <= now + MS(3000), "{at:?}");
        latest = latest.max(at);
    }
    assert!(latest > now + MS(2800), "spread over the half of it: {latest:?}");
}

#[test]
fn never_more_than_two_and_never_a_deadline_that_passed() {
    let mut rng = Rng::new(&Seed::new([5; 32]));
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let (mut dialler, mut outputs) = (Dialler::new(Instant::ZERO), VecDeque::new());
        let mut now = Instant::ZERO;
        let mut names = Vec::new();
        for _ in 0..200 {
            match dice.between(0, 6) {
                0 => dialler.plan(now + MS(dice.between(0, 300))),
                1 => {
                    let wait = MS(dice.between(0, 500));
                    dialler.hold_off(now, wait, (&Target::Configured, None), &mut rng, &mut outputs);
                    dialler.replan(now, &Bounds::default(), &mut rng);
                }
                2 => dialler.hurry(now),
                3 if !dialler.tries.is_empty() => {
                    dialler
                        .tries
                        .remove(dice.between(0, dialler.tries.len() as u64 - 1) as usize);
                    if dialler.take_hedge(now) {
                        dialler.open(Target::Configured, None, now, &mut outputs);
                    }
                }
                4 => now = now.max(dialler.deadline(LIMIT).min(now + MS(6000))),
                _ => now += MS(dice.between(0, 400)),
            }
            while let Some(index) = dialler.overdue(now, LIMIT) {
                dialler.tries.remove(index);
            }
            let own = if dice.one_in(2) { "own.example:1" } else { "" };
            dialler.open_due(now, own, None, &mut outputs);
            names.extend(opened(&mut outputs).into_iter().map(|(name, _)| name));
            assert!(dialler.tries.len() <= 2, "seed {seed}");
            assert!(dialler.deadline(LIMIT) > now, "seed {seed}: due again at once");
        }
        assert!(
            names.windows(2).all(|pair| pair[0] < pair[1]),
            "seed {seed}: a name was used twice"
        );
        assert!(names.len() > 10, "seed {seed}");
    }
}

/// What began on the old network is of no use on the new one; but hints that come in swarms leave a try its time.
#[test]
fn a_change_of_network_takes_back_what_is_old_or_elsewhere() {
    let (wifi, cell) = (Some(NetworkId(1)), Some(NetworkId(2)));
    let begun = Instant::from_millis(1000);
    for (network, age, stays) in [
        (wifi, 0, true),
        (wifi, 249, true),
        (wifi, 250, false),
        (wifi, 251, false),
        (cell, 0, false),
    ] {
        let (mut dialler, mut outputs) = (Dialler::new(begun), VecDeque::new());
        dialler.networks.report(NetworkId(1));
        dialler.open(Target::Configured, network, begun, &mut outputs);
        outputs.clear();
        dialler.cancel_old(wifi, begun + MS(age), &mut outputs);
        dialler.cancel_elsewhere(&mut outputs);
        assert_eq!(dialler.tries.len(), usize::from(stays), "{network:?}, {age} ms old");
        let closed = [Output::CloseLink { link: LinkId(0) }];
        assert_eq!(outputs, &closed[usize::from(stays)..], "{network:?}, {age} ms old");
    }
}

/// A connection made ahead becomes one like any other, with the time and the hedge of one; without any, nothing begins.
#[test]
fn what_was_made_ahead_is_taken_when_it_is_needed() {
    let (mut dialler, mut outputs) = (Dialler::new(Instant::ZERO), VecDeque::new());
    dialler.cancel(&mut outputs);
    dialler.commit_warm(Instant::ZERO);
    assert!(!dialler.has_warm());
    assert_eq!(dialler.deadline(LIMIT), Instant::FAR_FUTURE, "and nothing beside it");
    let unused = Instant::from_millis(4000);
    dialler.open_warm("", Instant::ZERO, unused, &mut outputs);
    assert!(dialler.has_warm());
    assert_eq!(dialler.deadline(LIMIT), unused);
    let needed = Instant::from_millis(3000);
    dialler.commit_warm(needed);
    assert!(!dialler.has_warm());
    assert_eq!(
        dialler.deadline(LIMIT),
        needed + MS(1000),
        "then another one is tried beside it"
    );
    assert!(dialler.open_due(needed + MS(1000), "", None, &mut outputs));
    assert_eq!(
        dialler.deadline(LIMIT),
        needed + LIMIT,
        "it has all its time from then on"
    );
}

/// A hedge that is planned already keeps its time.
#[test]
fn what_was_made_ahead_does_not_put_a_hedge_off() {
    let (mut dialler, mut outputs) = (Dialler::new(Instant::ZERO), VecDeque::new());
    dialler.open_due(Instant::ZERO, "own.example:1", None, &mut outputs);
    dialler.open_warm("", Instant::ZERO, Instant::from_millis(4000), &mut outputs);
    dialler.commit_warm(Instant::from_millis(100));
    assert_eq!(dialler.deadline(LIMIT), Instant::from_millis(250));
}

/// The first went with its network. What follows is planned by whoever saw that; only if it was refused does the second come by itself.
#[test]
fn the_second_connection_comes_only_beside_the_first_or_when_that_was_refused() {
    let (wifi, cell) = (NetworkId(1), NetworkId(2));
    for refused in [false, true] {
        let (mut dialler, mut outputs) = (Dialler::new(Instant::ZERO), VecDeque::new());
        for network in [cell, wifi] {
            dialler.networks.report(network);
        }
        dialler.open_due(Instant::ZERO, "", None, &mut outputs);
        assert_eq!(dialler.tries[0].network, Some(wifi));
        if refused {
            dialler.tries.clear();
            dialler.keep_hedge(Some(wifi), Instant::ZERO);
        } else {
            assert!(dialler.cancel_on(wifi, &mut outputs));
        }
        assert_eq!(
            dialler.open_due(Instant::ZERO + MS(1000), "", None, &mut outputs),
            refused
        );
    }
}
