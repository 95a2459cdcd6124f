//! Liveness: what silence leads to, and that its timer always asks for something.

use core::time::Duration;

use super::Dice;
use crate::config::Timing;
use crate::session::liveness::{Liveness, Verdict};
use crate::session::rtt::Rtt;
use crate::time::Instant;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn link(rtt_ms: u64, now: Instant) -> Liveness {
    let mut rtt = Rtt::default();
    for _ in 0..50 {
        rtt.sample(MS(rtt_ms));
    }
    Liveness::new(rtt, now)
}

/// Runs the timer to its next verdict that means something, answering nothing.
fn next(link: &mut Liveness, timing: &Timing, probes_idle: bool) -> (Instant, Verdict) {
    loop {
        let at = link.deadline(timing, probes_idle);
        let verdict = link.check(at, timing, probes_idle);
        if link.ping_due {
            link.ping(at);
        }
        if verdict != Verdict::Fine {
            return (at, verdict);
        }
    }
}

#[test]
fn data_without_an_answer_is_probed_suspected_and_given_up() {
    let timing = Timing::default();
    let start = Instant::from_millis(1000);
    let mut link = link(50, start);
    link.sent_data(start);
    let (probed, verdict) = next(&mut link, &timing, true);
    assert_eq!(verdict, Verdict::Probe);
    assert!(probed <= start + MS(100), "{probed:?}");
    let (suspected, verdict) = next(&mut link, &timing, true);
    assert_eq!(verdict, Verdict::Suspect);
    assert!(
        link.suspect && suspected <= start + MS(3 * 50 + 200),
        "within three round trips and 200 ms: {suspected:?}"
    );
    let (dead, verdict) = next(&mut link, &timing, true);
    assert_eq!((dead, verdict), (start + timing.dead_after, Verdict::Dead));
}

#[test]
fn an_answer_clears_the_suspicion() {
    let timing = Timing::default();
    let start = Instant::from_millis(1000);
    let mut link = link(50, start);
    let token = link.ping(start);
    while next(&mut link, &timing, true).1 != Verdict::Suspect {}
    let now = start + MS(400);
    assert!(link.heard(now), "it was suspect");
    assert!(!link.suspect && !link.heard(now));
    assert!(
        link.silent_since().is_some(),
        "the question is open: what came may have left before"
    );
    link.pong([0xff; 8], now);
    assert!(link.silent_since().is_some(), "that is not the answer");
    link.pong(token, now);
    assert!(link.silent_since().is_none());
    assert_eq!(link.deadline(&timing, true), now + timing.idle_probe);
}

/// The ACK of data waits for the peer's application, so data with an answered PING is no reason to suspect a link.
#[test]
fn a_slow_reader_is_not_a_dead_link() {
    let timing = Timing::default();
    let mut now = Instant::from_millis(1000);
    let mut link = link(50, now);
    for _ in 0..100 {
        link.sent_data(now);
        now = link.deadline(&timing, true);
        assert_eq!(link.check(now, &timing, true), Verdict::Probe);
        let token = link.ping(now);
        now += MS(50);
        link.heard(now);
        link.pong(token, now);
        assert!(!link.suspect);
    }
}

#[test]
fn an_idle_link_is_probed_by_the_client_and_expected_to_be_by_the_server() {
    let timing = Timing::default();
    let start = Instant::from_millis(1000);
    let (at, verdict) = next(&mut link(50, start), &timing, true);
    assert_eq!((at, verdict), (start + timing.idle_probe, Verdict::Probe));
    let (at, verdict) = next(&mut link(50, start), &timing, false);
    assert_eq!(
        (at, verdict),
        (start + timing.idle_probe * 3 + timing.dead_after, Verdict::Dead)
    );
}

#[test]
fn after_sleep_the_clock_proves_nothing() {
    let timing = Timing::default();
    let start = Instant::from_millis(1000);
    let mut link = link(50, start);
    link.sent_data(start);
    let woken = start + Duration::from_secs(3600);
    link.woken(woken);
    assert!(link.ping_due, "it asks at once");
    assert_eq!(link.check(woken, &timing, true), Verdict::Fine);
    link.ping(woken);
    assert_eq!(next(&mut link, &timing, true).1, Verdict::Suspect);
}

/// The contract of every timer: once asked at `now`, and its PING sent, it wants to be asked later than `now`; and silence after
/// something that wants an answer always ends the link, in bounded time.
#[test]
fn once_asked_it_wants_to_be_asked_later() {
    let timing = Timing::default();
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        let probes_idle = dice.one_in(2);
        let mut now = Instant::from_millis(1000);
        let mut link = link(dice.between(1, 2000), now);
        let mut token = None;
        for step in 0..300 {
            match dice.between(0, 5) {
                0 => link.sent_data(now),
                1 => {
                    link.heard(now);
                }
                2 => {
                    link.probe(now);
                }
                3 => {
                    if let Some(token) = token.take() {
                        link.heard(now);
                        link.pong(token, now);
                    }
                }
                4 => now = now.max(link.deadline(&timing, probes_idle)),
                _ => now += MS(dice.between(0, 3000)),
            }
            let verdict = link.check(now, &timing, probes_idle);
            if link.ping_due {
                token = Some(link.ping(now));
            }
            if verdict == Verdict::Dead {
                break;
            }
            let deadline = link.deadline(&timing, probes_idle);
            assert!(
                deadline > now,
                "seed {seed}, step {step}: {verdict:?}, then asked for again at once"
            );
        }
        link.sent_data(now);
        let mut asked = 0;
        loop {
            let (at, verdict) = next(&mut link, &timing, probes_idle);
            asked += 1;
            assert!(asked < 10, "seed {seed}: silence does not end it");
            if verdict == Verdict::Dead {
                assert!(at.since(now) < Duration::from_secs(60), "seed {seed}");
                break;
            }
        }
    }
}
