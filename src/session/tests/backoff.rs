//! Delays: within their bounds, spread over all of them, and never a storm.

use core::time::Duration;

use crate::config::Backoff as Bounds;
use crate::crypto::{Rng, Seed};
use crate::session::backoff::{Backoff, jitter};
use crate::time::Instant;

fn rng(seed: u8) -> Rng {
    Rng::new(&Seed::new([seed; 32]))
}

#[test]
fn the_bound_doubles_up_to_the_cap_and_starts_over() {
    let bounds = Bounds::default();
    let mut most = [Duration::ZERO; 40];
    for seed in 0..200 {
        let (mut backoff, mut rng) = (Backoff::new(Instant::ZERO), rng(seed));
        for (failures, most) in most.iter_mut().enumerate() {
            let delay = backoff.after_failure(&bounds, &mut rng);
            let bound = bounds.base.saturating_mul(1 << failures.min(20)).min(bounds.cap);
            assert!(delay <= bound, "failure {failures}: {delay:?} over {bound:?}");
            *most = (*most).max(delay);
        }
        backoff.reset();
        assert!(backoff.after_failure(&bounds, &mut rng) <= bounds.base);
    }
    for (failures, most) in most.iter().enumerate() {
        let bound = bounds.base.saturating_mul(1 << failures.min(20)).min(bounds.cap);
        assert!(
            *most > bound * 9 / 10,
            "of 200 draws the highest is {most:?} of {bound:?}: not the full range"
        );
    }
}

/// A connection that hangs is not put off by what fails beside it, nor the other way round; both start over together.
#[test]
fn what_fails_beside_another_has_a_delay_of_its_own() {
    let bounds = Bounds::default();
    for seed in 0..200 {
        let (mut backoff, mut rng) = (Backoff::new(Instant::ZERO), rng(seed));
        for failures in 0..10 {
            let bound = bounds.base.saturating_mul(1 << failures).min(bounds.cap);
            assert!(backoff.after_failure_beside(&bounds, &mut rng) <= bound);
        }
        assert!(backoff.after_failure(&bounds, &mut rng) <= bounds.base);
        backoff.reset();
        assert!(backoff.after_failure_beside(&bounds, &mut rng) <= bounds.base);
    }
}

#[test]
fn the_time_for_an_answer_doubles_up_to_eight_times_and_starts_over() {
    let least = Duration::from_secs(1);
    let mut backoff = Backoff::new(Instant::ZERO);
    for times in [1, 2, 4, 8, 8, 8] {
        assert_eq!(backoff.patience(least), least * times);
        backoff.gave_way();
    }
    backoff.reset();
    assert_eq!(backoff.patience(least), least);
}

#[test]
fn no_number_of_failures_overflows() {
    let bounds = Bounds {
        base: Duration::from_secs(60),
        cap: Duration::from_secs(3600),
        ..Bounds::default()
    };
    let (mut backoff, mut rng) = (Backoff::new(Instant::ZERO), rng(1));
    for _ in 0..5000 {
        assert!(backoff.after_failure(&bounds, &mut rng) <= bounds.cap);
    }
}

/// L-27: clients that fail together do not come back together.
#[test]
fn l27_ten_thousand_clients_come_back_as_a_stream() {
    let bounds = Bounds::default();
    let mut per_tenth = [0; 10];
    for client in 0..10_000u64 {
        let mut rng = Rng::new(&Seed::new(core::array::from_fn(|at| {
            client.to_be_bytes()[at % 8] ^ at as u8
        })));
        let delay = Backoff::new(Instant::ZERO).after_failure(&bounds, &mut rng);
        per_tenth[(delay.as_micros() * 10 / (bounds.base.as_micros() + 1)) as usize] += 1;
    }
    for count in per_tenth {
        assert!((850..1150).contains(&count), "{per_tenth:?}");
    }
}

/// F-105: a link that breaks once is redialled at once; one that breaks 100 times a minute and more is not answered by a storm.
#[test]
fn f105_a_flapping_link_is_redialled_at_once_but_not_all_the_time() {
    let bounds = Bounds::default();
    let (mut backoff, mut rng) = (Backoff::new(Instant::ZERO), rng(2));
    let mut now = Instant::ZERO;
    for minute in 0..10 {
        let mut at_once = 0;
        for _ in 0..600 {
            now += Duration::from_millis(100);
            at_once += u32::from(backoff.after_loss(now, &bounds, &mut rng).is_zero());
        }
        assert!(
            at_once <= 120 + if minute == 0 { 16 } else { 1 },
            "{at_once} dials at once within a minute"
        );
        assert!(at_once > 100, "{at_once}");
    }
    // After a quiet while the next losses are redialled at once again.
    now += Duration::from_secs(60);
    let burst = (0..40)
        .take_while(|_| backoff.after_loss(now, &bounds, &mut rng).is_zero())
        .count();
    assert_eq!(burst, 16);
}

#[test]
fn jitter_reaches_both_ends() {
    let mut rng = rng(3);
    assert_eq!(jitter(Duration::ZERO, &mut rng), Duration::ZERO);
    let draws: alloc::vec::Vec<_> = (0..200)
        .map(|_| jitter(Duration::from_micros(3), &mut rng).as_micros())
        .collect();
    assert!((0..=3).all(|value| draws.contains(&value)) && draws.iter().all(|&draw| draw <= 3));
    assert!(jitter(Duration::MAX, &mut rng) > Duration::from_secs(1 << 20));
}
