//! What liveness measures and how far its patience goes, to the byte and the microsecond where the rules name them.

use alloc::vec::Vec;
use core::time::Duration;

use super::liveness::{MS, data, link, next};
use crate::config::Timing;
use crate::session::conversation::Role;
use crate::session::liveness::{Liveness, Verdict};
use crate::session::rtt::Rtt;
use crate::time::Instant;

const START: Instant = Instant::from_millis(10_000);
/// What a link whose round trip is 50 ms may take before an answer is late: a quarter more.
const LATE: Duration = Duration::from_micros(62_500);
/// As many bytes around a question are bulk.
const BULK: usize = 8 << 10;

/// A question behind `before` bytes that leave at once, after which the peer is never heard again: how long until the link is suspect.
fn suspect_after(link: &mut Liveness, before: usize, now: Instant) -> Duration {
    data(link, before, now).expect("the question rides along");
    loop {
        let (at, verdict) = next(link, &Timing::default());
        if verdict == Verdict::Suspect {
            return at.since(now);
        }
        assert_ne!(verdict, Verdict::Dead);
    }
}

/// What the first timer says that means something.
fn first_verdict(link: &mut Liveness) -> Verdict {
    next(link, &Timing::default()).1
}

// ---- the speed of a link ----

/// `bytes` leave, and are answered `took` after an answer without a queue would have come.
fn proves(link: &mut Liveness, bytes: usize, took: Duration, now: Instant) -> Instant {
    let token = data(link, bytes, now).expect("the question rides along");
    let answered = now + MS(50) + took;
    link.heard(answered);
    link.pong(token, answered);
    answered
}

/// Twice the time that a link of this speed needs for a megabyte, which is what is allowed for one before a question.
fn allowed(rate: u64) -> Duration {
    Duration::from_micros((2_000_000 << 20) / rate)
}

/// How much longer is waited for an answer behind a megabyte than for one behind 100 bytes.
fn patience(history: &[(usize, Duration)]) -> Duration {
    let [large, small] = [1 << 20, 100].map(|before| {
        let mut link = link(Role::Client, 50, START);
        let mut now = START;
        for (bytes, took) in history {
            now = proves(&mut link, *bytes, *took, now) + MS(100);
        }
        suspect_after(&mut link, before, now)
    });
    large - small
}

#[track_caller]
fn assert_allowed(history: &[(usize, Duration)], rate: u64) {
    let (found, expected) = (patience(history), allowed(rate) - allowed(rate) * 100 / (1 << 20));
    let off = found.abs_diff(expected);
    assert!(off <= Duration::from_micros(3), "{found:?} instead of {expected:?}");
}

/// A guess of 64 KiB/s moves a quarter of the way to what was seen, and what was seen counts for at most twice the guess.
#[test]
fn a_link_is_trusted_with_the_speed_that_it_has_shown() {
    const GUESS: u64 = 64 << 10;
    assert_allowed(&[], GUESS);
    // 64 KiB in two seconds.
    let slow = (64 << 10, Duration::from_secs(2));
    let after_slow = GUESS * 3 / 4 + (32 << 10) / 4;
    assert_allowed(&[slow], after_slow);
    // In a hundredth of a second: a hundred times the guess.
    let fast = (64 << 10, MS(10));
    assert_allowed(&[fast], GUESS * 3 / 4 + GUESS * 2 / 4);
    // Only what lay before the second question counts for it.
    assert_allowed(&[slow, slow], after_slow * 3 / 4 + (32 << 10) / 4);
}

#[test]
fn a_few_bytes_say_nothing_about_speed() {
    let second = Duration::from_secs(1);
    assert_allowed(&[(BULK - 1, second)], 64 << 10);
    assert_allowed(&[(BULK, second)], (64 << 10) * 3 / 4 + BULK as u64 / 4);
}

// ---- when a link is suspect ----

/// What was answered long ago is not waited for again.
#[test]
fn a_steady_link_is_suspect_after_three_round_trips_and_what_is_allowed_for_radio() {
    let mut link = link(Role::Client, 50, START);
    let now = proves(&mut link, 7000, Duration::ZERO, START);
    let after = suspect_after(&mut link, 100, now);
    let least = MS(3 * 50 + 150);
    assert!(after >= least && after <= least + MS(5), "{after:?}");
}

#[test]
fn a_link_that_was_slow_lately_is_suspect_later() {
    let mut rtt = Rtt::default();
    for tenth in 0..100 {
        let trip = if tenth == 40 { 400 } else { 50 };
        rtt.sample(MS(trip).into(), Instant::from_millis(tenth * 100));
    }
    let after = suspect_after(&mut Liveness::new(Role::Client, rtt, START), 100, START);
    let least = MS(400 * 5 / 4 + 150);
    assert!(after >= least && after <= least + MS(5), "{after:?}");
}

/// A socket that takes bytes again, and half a record, show that something moves.
#[test]
fn what_moves_puts_the_suspicion_off() {
    let moves: [fn(&mut Liveness, Instant); 2] = [Liveness::moved, |link, now| link.received(1, now)];
    for moves in moves {
        let mut still = link(Role::Client, 50, START);
        let mut moving = link(Role::Client, 50, START);
        data(&mut moving, 100, START).expect("the question rides along");
        moves(&mut moving, START + MS(40));
        let suspect = |link: &mut Liveness| loop {
            let (at, verdict) = next(link, &Timing::default());
            if verdict == Verdict::Suspect {
                break at.since(START);
            }
        };
        assert_eq!(suspect(&mut moving), suspect_after(&mut still, 100, START) + MS(40));
    }
}

// ---- when an answer is late ----

/// `bytes` come in pieces of 4 KiB, so far apart.
fn receives(link: &mut Liveness, bytes: usize, apart: Duration, mut now: Instant) -> Instant {
    for _ in 0..bytes / 4096 {
        now += apart;
        link.received(4096, now);
        link.heard(now);
    }
    now
}

/// 32 KiB within a second fill a thin line; the same in two seconds does not.
#[test]
fn nothing_is_late_for_a_second_after_bulk() {
    for (apart, expected) in [(MS(100), Verdict::Suspect), (MS(250), Verdict::Late)] {
        let mut link = link(Role::Client, 50, START);
        let now = receives(&mut link, 32 << 10, apart, START);
        data(&mut link, 100, now).expect("the question rides along");
        assert_eq!(first_verdict(&mut link), expected, "{apart:?}");
    }
    let mut link = link(Role::Client, 50, START);
    let now = receives(&mut link, 28 << 10, MS(100), START);
    data(&mut link, 100, now).expect("the question rides along");
    assert_eq!(first_verdict(&mut link), Verdict::Late, "that was less");
}

/// An answer may be stuck behind what the peer sends, and the question behind what this end does; what is long through has nothing to do with it.
#[test]
fn an_answer_is_not_late_while_bulk_lies_around_its_question() {
    for (bytes, expected) in [(BULK - 1, Verdict::Late), (BULK, Verdict::Suspect)] {
        let mut behind = link(Role::Client, 50, START);
        data(&mut behind, bytes, START).expect("the question rides along");
        assert_eq!(first_verdict(&mut behind), expected, "sent before it: {bytes}");

        let mut under = link(Role::Client, 50, START);
        data(&mut under, 100, START).expect("the question rides along");
        // In two pieces, as it comes.
        under.received(bytes / 2, START);
        under.received(bytes - bytes / 2, START);
        assert_eq!(first_verdict(&mut under), expected, "received since: {bytes}");

        let mut earlier = link(Role::Client, 50, START);
        earlier.received(bytes, START);
        let now = proves(&mut earlier, bytes, Duration::ZERO, START);
        data(&mut earlier, 100, now).expect("the question rides along");
        assert_eq!(first_verdict(&mut earlier), Verdict::Late, "before: {bytes}");
    }
}

/// For four seconds after a late answer the next ones are judged as that was, though the link has become three times as slow; and these four seconds
/// are not begun again by each.
#[test]
fn for_four_seconds_the_measure_of_a_late_answer_stands() {
    let timing = Timing::default();
    // A stretch of the round trips that are remembered ends at 7 s.
    let start = Instant::from_millis(5000);
    let mut link = link(Role::Client, 50, start);
    let mut late_after = |left: Instant| {
        let token = data(&mut link, 100, left).expect("the question rides along");
        let (late, verdict) = next(&mut link, &timing);
        assert_eq!(verdict, Verdict::Late);
        link.heard(left + MS(250));
        link.pong(token, left + MS(250));
        late.since(left)
    };
    assert_eq!(late_after(start), LATE);
    let first_late = start + LATE;
    for after in [2200, 3000, 3500] {
        assert_eq!(late_after(start + MS(after)), LATE, "{after} ms later");
    }
    // Then the link is what it has been lately, and slack comes on top.
    assert_eq!(late_after(first_late + MS(4000)), MS(250) + (LATE - MS(50)));
}

// ---- when it asks ----

#[test]
fn an_eager_end_asks_again_after_a_quarter_of_a_round_trip_or_16_kib() {
    let mut busy = link(Role::Client, 50, START);
    assert!(data(&mut busy, 10_000, START).is_some());
    let at = |micros| START + Duration::from_micros(micros);
    assert!(data(&mut busy, 100, at(12_499)).is_none());
    assert!(data(&mut busy, 1, at(12_500)).is_some(), "a quarter of 50 ms");
    // Since that question left, and in little time.
    assert!(data(&mut busy, 16_382, at(13_000)).is_none());
    assert!(data(&mut busy, 1, at(14_000)).is_none(), "16,383 bytes ago");
    assert!(data(&mut busy, 1, at(15_000)).is_some(), "16,384 bytes ago");
    assert!(data(&mut busy, 1, at(27_499)).is_none());
    assert!(data(&mut busy, 1, at(27_500)).is_some());
}

#[test]
fn eight_questions_are_enough() {
    let mut link = link(Role::Client, 50, START);
    let mut tokens = Vec::new();
    for _ in 0..20 {
        tokens.extend(data(&mut link, 16 << 10, START));
    }
    assert_eq!(tokens.len(), 8);
    assert!(
        tokens.windows(2).all(|pair| pair[0] < pair[1]),
        "each has a token of its own"
    );
    link.heard(START + MS(50));
    link.pong(tokens[0], START + MS(50));
    assert!(
        data(&mut link, 1, START + MS(50)).is_some(),
        "there is room for one more"
    );
}

#[test]
fn a_link_says_whether_it_waits_and_since_when_it_is_quiet() {
    let mut link = link(Role::Client, 50, START);
    assert!(!link.awaits_answer());
    assert_eq!(link.quiet_since(), START);
    let token = data(&mut link, 100, START).expect("the question rides along");
    assert!(link.awaits_answer());
    link.heard(START + MS(50));
    assert!(link.awaits_answer(), "that was not the answer");
    link.pong(token, START + MS(50));
    assert!(!link.awaits_answer());
    assert_eq!(link.quiet_since(), START + MS(50));
}

/// A quiet link holds no room for questions; one that waits for an answer keeps the question.
#[test]
fn a_link_gives_back_the_room_for_questions_once_they_are_answered() {
    let mut link = link(Role::Client, 50, START);
    let token = data(&mut link, 100, START).expect("the question rides along");
    link.shrink();
    assert!(link.awaits_answer() && link.memory() > 0);
    link.pong(token, START + MS(50));
    assert!(link.memory() > 0, "it may soon ask again");
    link.shrink();
    assert_eq!(link.memory(), 0);
}
