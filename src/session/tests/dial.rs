//! The dialler: never more than two connections, one flight at a time, and no plan forgotten.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::Dice;
use crate::config::Backoff as Bounds;
use crate::crypto::{Rng, Seed};
use crate::event::{LinkId, Output, Target};
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
    assert!(dialler.open_due(Instant::ZERO, "one.example:4", &mut outputs));
    assert_eq!(opened(&mut outputs), [(0, Target::Advised("one.example:4".into()))]);
    assert_eq!(dialler.deadline(LIMIT), Instant::from_millis(250));
    assert!(!dialler.open_due(Instant::from_millis(249), "one.example:4", &mut outputs));
    assert!(dialler.open_due(Instant::from_millis(250), "one.example:4", &mut outputs));
    assert_eq!(opened(&mut outputs), [(1, Target::Configured)]);
    assert_eq!(dialler.deadline(LIMIT), Instant::ZERO + LIMIT);
}

#[test]
fn an_advised_address_is_tried_until_a_link_stands() {
    let (mut dialler, mut outputs) = (Dialler::new(Instant::ZERO), VecDeque::new());
    dialler.advised = Some("two.example:4".into());
    dialler.open_due(Instant::ZERO, "", &mut outputs);
    assert_eq!(opened(&mut outputs), [(0, Target::Advised("two.example:4".into()))]);
    dialler.cancel(&mut outputs);
    assert_eq!(
        outputs.drain(..).collect::<Vec<_>>(),
        [Output::CloseLink { link: LinkId(0) }]
    );
    assert_eq!(dialler.deadline(LIMIT), Instant::FAR_FUTURE);
    dialler.plan(Instant::from_millis(9));
    dialler.open_due(Instant::from_millis(9), "", &mut outputs);
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
    dialler.open_due(Instant::ZERO, "", &mut outputs);
    assert_eq!(opened(&mut outputs), [(0, Target::Configured)]);
    dialler.open_due(Instant::from_millis(1000), "", &mut outputs);
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
        dialler.replan(now, MS(2000), &Bounds::default(), &mut rng);
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
                1 => dialler.replan(now, MS(dice.between(0, 500)), &Bounds::default(), &mut rng),
                2 => dialler.hurry(now),
                3 if !dialler.tries.is_empty() => {
                    dialler
                        .tries
                        .remove(dice.between(0, dialler.tries.len() as u64 - 1) as usize);
                    if dialler.take_hedge() {
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
            dialler.open_due(now, own, &mut outputs);
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
