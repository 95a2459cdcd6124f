//! The sum of a conversation's timers: links that have had their time, sleep, and what is due at once.

use alloc::vec;
use core::time::Duration;

use super::actor::{NEW, Play};
use super::{START, link, linked};
use crate::config::{Limits, Timing};
use crate::event::{Event, LinkId, State};
use crate::session::conversation::{Conversation, Role};
use crate::session::link::Life;
use crate::time::Instant;
use crate::wire::flight::Accept;

const SECOND: Duration = Duration::from_secs(1);
const MICROSECOND: Duration = Duration::from_micros(1);

/// A sleeping client's links go as well: it reads them no longer than an awake one would.
#[test]
fn a_link_on_its_way_out_ends_at_its_time() {
    let until = START + SECOND * 2;
    for life in [Life::Draining(until), Life::Closing(until)] {
        for suspended in [false, true] {
            let mut talk = linked(Role::Client, Limits::default());
            talk.links[0].life = life;
            talk.links.push(link(Role::Client, 2));
            talk.suspended = suspended;
            assert_eq!(talk.timer_deadline(), until, "{life:?}");
            talk.tick(START + (SECOND * 2 - MICROSECOND));
            talk.check_links();
            assert_eq!((talk.links.len(), talk.to_close.len()), (2, 0), "{life:?}");
            talk.tick(until);
            let aftermath = talk.check_links();
            assert_eq!(
                (talk.links.len(), &talk.to_close[..]),
                (1, &[LinkId(1)][..]),
                "{life:?}"
            );
            assert!(!aftermath.lost, "the other one carries");
        }
    }
}

/// A client that has asked something.
fn asking() -> Conversation {
    let mut talk = linked(Role::Client, Limits::default());
    talk.acknowledged(0, 10, 1000);
    talk.send(b"with a question").expect("there is room");
    let mut buffer = [0; 1000];
    while talk.poll_output(&mut buffer).is_some() {}
    talk
}

#[test]
fn whoever_sleeps_waits_for_no_answer_and_judges_nobody() {
    let mut talk = asking();
    talk.suspended = true;
    assert_eq!(talk.timer_deadline(), Instant::FAR_FUTURE);
    for minutes in [1, 60] {
        talk.tick(START + SECOND * 60 * minutes);
        let aftermath = talk.check_links();
        assert!(
            !aftermath.late && !aftermath.suspect && !aftermath.lost,
            "{aftermath:?}"
        );
    }
    assert_eq!((talk.links.len(), talk.stats_now().suspicions), (1, 0));
    assert!(!talk.has_output(), "nor does it ask");
}

/// Nobody would look at the answer; and it would come when the radio could rest. Neither with what leaves anyway nor, if one was due before, by itself.
#[test]
fn whoever_sleeps_asks_nothing_beside_what_it_says() {
    for awake in [true, false] {
        let mut talk = asking();
        let asked = talk.links[0].liveness.asked_last();
        talk.tick(START + SECOND);
        talk.suspended = !awake;
        talk.send(b"while it sleeps").expect("there is room");
        assert!(talk.poll_output(&mut [0; 1000]).is_some());
        assert_eq!(talk.links[0].liveness.asked_last() > asked, awake, "rides");
        let mut talk = asking();
        talk.links[0].liveness.woken(START);
        talk.suspended = !awake;
        assert_eq!(talk.poll_output(&mut [0; 1000]).is_some(), awake, "is due");
    }
}

/// Late, then suspect, which is counted, then dead.
#[test]
fn whoever_is_awake_waits_and_judges() {
    let mut talk = asking();
    let (mut late, mut suspect) = (0, 0);
    for _ in 0..10 {
        let next = talk.timer_deadline();
        assert!(next > talk.now && next < START + SECOND * 10, "{next:?}");
        talk.tick(next);
        let aftermath = talk.check_links();
        late += u64::from(aftermath.late);
        suspect += u64::from(aftermath.suspect);
        assert_eq!(talk.stats_now().suspicions, suspect);
        if aftermath.lost {
            break;
        }
    }
    assert_eq!((late, suspect, talk.links.len()), (1, 1, 0));
}

/// What is queued is due at once; without that it is the timers' turn.
#[test]
fn an_event_or_an_output_alone_is_due_now() {
    for (event, output) in [(true, false), (false, true), (true, true), (false, false)] {
        let mut talk = linked(Role::Client, Limits::default());
        if event {
            talk.events.push_back(Event::State(State::Established));
        }
        if output {
            talk.to_close = vec![LinkId(7)];
        }
        assert_eq!(talk.next_deadline() == START, event || output, "{event}, {output}");
        assert!(talk.timer_deadline() > START);
    }
}

/// A socket that is full, and an ACCEPT that waits for the store, each hold everything back.
#[test]
fn nothing_leaves_a_link_that_is_held() {
    for (blocked, uncommitted) in [(true, false), (false, true), (true, true), (false, false)] {
        let mut talk = linked(Role::Server, Limits::default());
        talk.acknowledged(0, 10, 1000);
        talk.send(b"it waits").expect("there is room");
        (talk.links[0].blocked, talk.links[0].uncommitted) = (blocked, uncommitted);
        let leaves = talk.poll_output(&mut [0; 1000]).is_some();
        assert_eq!(leaves, !blocked && !uncommitted, "{blocked}, {uncommitted}");
    }
}

/// The link carries nothing any more: how long it takes until it is suspected.
fn missed_by(play: &mut Play) -> Duration {
    let asked = play.now;
    while play.session.stats().suspicions == 0 && play.pass_to_next() {
        play.perform();
    }
    play.now.since(asked)
}

/// A process that is stopped without being told sees no answers: the first that it reads afterwards has waited here, and says nothing of the line. By it, a link that
/// dies next would be missed after a minute.
#[test]
fn an_answer_that_waited_until_the_process_ran_again_is_no_round_trip() {
    for dead_after in [5, 300] {
        let timing = Timing {
            dead_after: dead_after * SECOND,
            ..Timing::default()
        };
        let mut play = Play::established_with(|config| config.timing(timing));
        play.session.send("?".into()).expect("there is room");
        let left = play.now;
        play.perform();
        play.now += 60 * SECOND;
        play.pongs(left);
        play.perform();
        let missed = missed_by(&mut play);
        assert!(missed <= Duration::from_millis(1500), "{dead_after}: {missed:?}");
    }
}

/// The same of the answer to a flight.
#[test]
fn an_accept_that_waited_until_the_process_ran_again_is_no_round_trip() {
    let mut play = Play::new();
    let flight = play.flight();
    play.now += 60 * SECOND;
    play.says(flight, &Accept::Ok(NEW));
    play.perform();
    let missed = missed_by(&mut play);
    assert!(missed <= Duration::from_millis(1500), "{missed:?}");
    assert_eq!(play.session.stats().rtt, None);
}

/// One that was late, and read in time, is.
#[test]
fn an_accept_within_its_time_is_a_round_trip() {
    let mut play = Play::new();
    let flight = play.flight();
    play.now += 5 * SECOND - MICROSECOND;
    play.says(flight, &Accept::Ok(NEW));
    assert_eq!(play.session.stats().rtt, Some(5 * SECOND - MICROSECOND));
    let mut play = Play::new();
    let flight = play.flight();
    play.now += 5 * SECOND;
    play.says(flight, &Accept::Ok(NEW));
    assert_eq!(
        play.session.stats().rtt,
        None,
        "that is when the timer would have given it up"
    );
}
