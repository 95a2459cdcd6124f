//! Liveness: what silence leads to, and that its timer always asks for something.

use core::time::Duration;

use super::Dice;
use crate::config::Timing;
use crate::session::conversation::Role;
use crate::session::liveness::{Liveness, Verdict};
use crate::session::rtt::Rtt;
use crate::time::Instant;

pub const MS: fn(u64) -> Duration = Duration::from_millis;

/// A link whose round trip has been `rtt_ms` for long.
pub fn link(role: Role, rtt_ms: u64, now: Instant) -> Liveness {
    let mut rtt = Rtt::default();
    for tenth in 0..50 {
        rtt.sample(MS(rtt_ms).into(), Instant::from_millis(tenth * 100));
    }
    Liveness::new(role, rtt, now)
}

/// A record with messages is made; the token, if a PING rides on it.
pub fn data(link: &mut Liveness, bytes: usize, now: Instant) -> Option<[u8; 8]> {
    link.rides(now, true);
    let token = link.ping_due().then(|| link.ping(now));
    link.sent(bytes, now);
    token
}

/// Runs the timer to its next verdict that means something, answering nothing.
pub fn next(link: &mut Liveness, timing: &Timing) -> (Instant, Verdict) {
    loop {
        let at = link.deadline(timing);
        let verdict = link.check(at, timing);
        if link.ping_due() {
            link.ping(at);
        }
        if verdict != Verdict::Fine {
            return (at, verdict);
        }
    }
}

#[test]
fn silence_after_data_is_late_then_suspect_then_dead() {
    let timing = Timing::default();
    let start = Instant::from_millis(10_000);
    let mut link = link(Role::Client, 50, start);
    assert!(data(&mut link, 100, start).is_some(), "the question rides along");
    let (late, verdict) = next(&mut link, &timing);
    assert_eq!(verdict, Verdict::Late);
    assert!(late <= start + MS(70), "{late:?}");
    let (suspected, verdict) = next(&mut link, &timing);
    assert_eq!(verdict, Verdict::Suspect);
    assert!(
        link.suspect && suspected <= start + MS(3 * 50 + 200),
        "within three round trips and 200 ms: {suspected:?}"
    );
    let (dead, verdict) = next(&mut link, &timing);
    assert_eq!((dead, verdict), (start + timing.dead_after, Verdict::Dead));
}

#[test]
fn the_server_asks_only_when_its_data_stays_without_an_echo() {
    let timing = Timing::default();
    let start = Instant::from_millis(10_000);
    let mut link = link(Role::Server, 50, start);
    assert!(data(&mut link, 100, start).is_none());
    link.heard(start + MS(30));
    assert_eq!(
        link.deadline(&timing),
        start + MS(30) + timing.idle_probe * 3 + timing.dead_after
    );
    assert!(data(&mut link, 100, start + MS(40)).is_none());
    let at = link.deadline(&timing);
    assert_eq!((link.check(at, &timing), link.ping_due()), (Verdict::Fine, true));
    assert!(at <= start + MS(40 + 100), "{at:?}");
}

#[test]
fn what_comes_is_asked_about_with_the_next_that_leaves_or_by_the_time_of_its_ack() {
    let timing = Timing::default();
    let start = Instant::from_millis(10_000);
    let mut link = link(Role::Client, 50, start);
    let came = start + MS(10);
    link.heard(came);
    link.brought_data(came);
    assert_eq!(link.check(came + MS(39), &timing), Verdict::Fine);
    assert!(!link.ping_due(), "something may leave by itself");
    let token = data(&mut link, 100, came + MS(39)).expect("it carries the question");
    assert!(
        link.deadline(&timing) > came + timing.ack_delay,
        "which is asked only once"
    );
    link.heard(start + MS(99));
    link.pong(token, start + MS(99));
    // Nothing leaves this time.
    let came = start + MS(200);
    link.brought_data(came);
    link.rides(came + MS(39), false);
    assert!(
        !link.ping_due(),
        "an early ACK is no message, the peer may answer it yet"
    );
    assert_eq!(link.deadline(&timing), came + timing.ack_delay);
    assert_eq!(link.check(came + MS(40), &timing), Verdict::Fine);
    assert!(link.ping_due(), "in the record of the ACK");
}

/// Such data is too soon for a question of its own, and the last question does not cover it.
#[test]
fn what_leaves_soon_after_a_question_is_asked_about_with_the_next_record_or_as_late_as_an_ack() {
    let timing = Timing::default();
    let start = Instant::from_millis(10_000);
    for next_is_data in [true, false] {
        let mut link = link(Role::Client, 100, start);
        assert!(data(&mut link, 100, start).is_some());
        assert!(data(&mut link, 100, start + MS(5)).is_none(), "asked just before");
        link.rides(start + MS(24), next_is_data);
        assert!(!link.ping_due(), "a quarter of a round trip has not passed");
        link.rides(start + MS(25), next_is_data);
        assert!(link.ping_due(), "any record takes it along: {next_is_data}");
    }
    // And if nothing leaves, the timer says when.
    let mut link = link(Role::Client, 100, start);
    let token = data(&mut link, 100, start).unwrap();
    data(&mut link, 100, start + MS(5));
    assert_eq!(link.deadline(&timing), start + MS(25) + timing.ack_delay);
    link.pong(token, start + MS(60));
    assert_eq!(link.check(start + MS(65), &timing), Verdict::Fine);
    assert!(link.ping_due(), "the answer does not prove what left later");
}

#[test]
fn what_comes_with_an_answer_or_as_a_question_leaves_needs_no_other() {
    let timing = Timing::default();
    let start = Instant::from_millis(10_000);
    let mut link = link(Role::Client, 50, start);
    let token = data(&mut link, 100, start).unwrap();
    link.brought_data(start);
    let answered = start + MS(50);
    link.pong(token, answered);
    link.heard(answered);
    link.brought_data(answered);
    assert_eq!(link.deadline(&timing), answered + timing.idle_probe);
    // The way back may have gone since.
    link.brought_data(answered + MS(1));
    assert_eq!(link.deadline(&timing), answered + MS(1) + timing.ack_delay);
}

#[test]
fn an_answer_clears_the_suspicion_and_answers_all_questions_before() {
    let timing = Timing::default();
    let start = Instant::from_millis(10_000);
    let mut link = link(Role::Client, 50, start);
    let first = data(&mut link, 100, start).unwrap();
    let second = data(&mut link, 100, start + MS(20)).unwrap();
    while next(&mut link, &timing).1 != Verdict::Suspect {}
    let now = start + MS(400);
    link.heard(now);
    assert!(!link.suspect);
    assert!(
        link.silent_since().is_some(),
        "the question is open: what came may have left before"
    );
    link.pong([0xff; 8], now);
    assert!(link.silent_since().is_some(), "that is not the answer");
    link.pong(second, now);
    assert!(link.silent_since().is_none());
    assert_eq!(link.deadline(&timing), now + timing.idle_probe);
    link.pong(first, now);
    assert_eq!(link.deadline(&timing), now + timing.idle_probe, "answered before");
}

/// The ACK of data waits for the peer's application, so data with answered PINGs is no reason to suspect a link.
#[test]
fn a_slow_reader_is_not_a_dead_link() {
    let timing = Timing::default();
    let mut now = Instant::from_millis(10_000);
    let mut link = link(Role::Client, 50, now);
    for _ in 0..100 {
        let token = data(&mut link, 100, now).unwrap();
        now += MS(50);
        assert_eq!(link.check(now, &timing), Verdict::Fine);
        link.heard(now);
        link.pong(token, now);
    }
    assert!(link.deadline(&timing) >= now + timing.idle_probe);
}

/// A question behind a megabyte is answered when the megabyte is through.
#[test]
fn what_is_queued_before_a_question_is_allowed_for() {
    let timing = Timing::default();
    let start = Instant::from_millis(10_000);
    let mut link = link(Role::Client, 50, start);
    data(&mut link, 100, start);
    link.sent(1 << 20, start);
    let token = data(&mut link, 100, start).unwrap();
    // The first question was before all that.
    link.heard(start + MS(50));
    let first = start.as_micros().to_be_bytes();
    link.pong(first, start + MS(50));
    let (at, verdict) = next(&mut link, &timing);
    assert!(
        verdict == Verdict::Suspect && at > start + Duration::from_secs(4),
        "{verdict:?} at {at:?}"
    );
    link.heard(at);
    link.pong(token, at);
    assert!(!link.is_late());
}

/// Bulk is asked about by what the line carries in 10 ms: on a thin one often enough to learn its speed, on a fast one not with each record.
#[test]
fn the_faster_a_link_the_more_bytes_pass_between_two_questions() {
    let record = 16 << 10;
    let mut now = Instant::from_millis(10_000);
    let mut new = link(Role::Client, 1, now);
    let asked = (0..8).filter(|_| data(&mut new, record, now).is_some()).count();
    assert_eq!(asked, 8, "a new link is not known to be fast");

    let mut fast = link(Role::Client, 1, now);
    let mut questions = 0;
    for _ in 0..1000 {
        now += Duration::from_micros(100);
        let question = data(&mut fast, record, now);
        now += Duration::from_micros(100);
        if let Some(token) = question {
            questions += 1;
            fast.pong(token, now);
        }
    }
    assert!(
        (20..=100).contains(&questions),
        "{questions} in 1,000 records and 200 ms"
    );
}

/// After one late answer the same measure counts for a while: a fading link is not taken for a slow one.
#[test]
fn a_link_that_fades_is_not_got_used_to_at_once() {
    let timing = Timing::default();
    let mut now = Instant::from_millis(10_000);
    let mut link = link(Role::Client, 50, now);
    for takes in [90, 120, 150] {
        let token = data(&mut link, 100, now).unwrap();
        let (late, verdict) = next(&mut link, &timing);
        assert_eq!(verdict, Verdict::Late, "{takes}");
        assert!(late <= now + MS(75), "{takes}: {:?}", late.since(now));
        now += MS(takes);
        link.heard(now);
        link.pong(token, now);
        now += MS(300);
    }
}

#[test]
fn an_idle_link_is_probed_by_the_client_and_expected_to_be_by_the_server() {
    let timing = Timing::default();
    let start = Instant::from_millis(10_000);
    let (at, verdict) = next(&mut link(Role::Client, 50, start), &timing);
    assert_eq!((at, verdict), (start + timing.idle_probe, Verdict::Idle));
    let (at, verdict) = next(&mut link(Role::Server, 50, start), &timing);
    assert_eq!(
        (at, verdict),
        (start + timing.idle_probe * 3 + timing.dead_after, Verdict::Dead)
    );
}

#[test]
fn after_sleep_the_clock_proves_nothing() {
    let timing = Timing::default();
    let start = Instant::from_millis(10_000);
    let mut link = link(Role::Client, 50, start);
    data(&mut link, 100, start);
    let woken = start + Duration::from_secs(3600);
    link.woken(woken);
    assert!(link.ping_due(), "it asks at once");
    assert_eq!(link.check(woken, &timing), Verdict::Fine);
    link.ping(woken);
    assert_eq!(next(&mut link, &timing).1, Verdict::Late);
    assert_eq!(next(&mut link, &timing).1, Verdict::Suspect);
}

/// The contract of every timer: once asked at `now`, and its PING sent, it wants to be asked later than `now`; and silence after
/// something that wants an answer always ends the link, in bounded time.
#[test]
fn once_asked_it_wants_to_be_asked_later() {
    let timing = Timing::default();
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        let mut now = Instant::from_millis(10_000);
        let role = if dice.one_in(2) { Role::Client } else { Role::Server };
        let mut link = link(role, dice.between(1, 2000), now);
        let mut token = None;
        for step in 0..300 {
            match dice.between(0, 6) {
                0 => token = data(&mut link, dice.length(), now).or(token),
                1 => {
                    link.received(dice.length(), now);
                    link.heard(now);
                }
                2 => link.brought_data(now),
                3 => {
                    if let Some(token) = token.take() {
                        link.heard(now);
                        link.pong(token, now);
                    }
                }
                4 => now = now.max(link.deadline(&timing)),
                5 => link.moved(now),
                _ => now += MS(dice.between(0, 3000)),
            }
            let verdict = link.check(now, &timing);
            if link.ping_due() {
                token = Some(link.ping(now));
            }
            if verdict == Verdict::Dead {
                break;
            }
            let deadline = link.deadline(&timing);
            assert!(
                deadline > now,
                "seed {seed}, step {step}: {verdict:?}, then asked for again at once"
            );
        }
        data(&mut link, 100, now);
        let mut asked = 0;
        loop {
            let (at, verdict) = next(&mut link, &timing);
            asked += 1;
            assert!(asked < 10, "seed {seed}: silence does not end it");
            if verdict == Verdict::Dead {
                assert!(
                    at.since(now) < Duration::from_secs(120),
                    "seed {seed}: {:?}",
                    at.since(now)
                );
                break;
            }
        }
    }
}

#[test]
fn a_routine_question_is_suspect_and_never_late_unless_somebody_waits() {
    let timing = Timing::default();
    let start = Instant::from_millis(10_000);
    let mut idle = link(Role::Client, 50, start);
    let (asked, verdict) = next(&mut idle, &timing);
    assert_eq!((asked, verdict), (start + timing.idle_probe, Verdict::Idle));
    let (at, verdict) = next(&mut idle, &timing);
    assert_eq!(verdict, Verdict::Suspect);
    assert!(at <= asked + MS(350), "{at:?} after {asked:?}");

    // The same, but the application has something to say meanwhile.
    let mut busy = link(Role::Client, 50, start);
    let (asked, _) = next(&mut busy, &timing);
    data(&mut busy, 100, asked + MS(20));
    let (at, verdict) = next(&mut busy, &timing);
    assert_eq!(verdict, Verdict::Late);
    assert!(at >= asked + MS(20) && at <= asked + MS(90), "{at:?} after {asked:?}");

    // When the answer is overdue already: it is waited for from now on, and what is due lies ahead.
    let mut overdue = link(Role::Client, 50, start);
    let (asked, _) = next(&mut overdue, &timing);
    let said = asked + MS(120);
    data(&mut overdue, 100, said);
    assert!(overdue.deadline(&timing) > said);
    let (at, verdict) = next(&mut overdue, &timing);
    assert_eq!(verdict, Verdict::Late);
    assert!(at <= said + MS(70), "{at:?} after {said:?}");
}

/// On a slow line an answer takes its time: the timer had nothing to say yet, so nobody missed that it spoke.
#[test]
fn a_slow_answer_before_the_timer_would_speak_is_no_overdue_one() {
    let start = Instant::from_millis(5000);
    let mut link = link(Role::Client, 2000, start);
    link.ping(start);
    let timing = Timing::default();
    assert!(!link.is_overdue(start + MS(5000), &timing));
    assert!(link.is_overdue(start + MS(30_000), &timing));
}
