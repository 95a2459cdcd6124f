//! When the client dials, where to, what takes that back, and when it stops.

use alloc::vec::Vec;
use core::time::Duration;

use super::actor::{NEW, Play};
use crate::error::{CloseReason, FailReason, SendError};
use crate::event::{Event, HandoverCause, MessageId, NetworkEvent, NetworkId, State, Target};
use crate::session::transmit::MIN_BUFFER;
use crate::time::Instant;
use crate::wire::flight::{Accept, Refuse, RefuseCode};
use crate::wire::frame::{self, Close, CloseKind, Key};
use crate::wire::prelude::FlightKind;

const SECOND: Duration = Duration::from_secs(1);
const WIFI: NetworkId = NetworkId(1);
const CLOSE: Close = Close {
    kind: CloseKind::Application,
    code: 5,
    send_end: 0,
    recv_next: 0,
};

pub fn begun_by(cause: HandoverCause) -> Event {
    Event::HandoverBegin { cause }
}

pub fn drain(address: &str) -> Vec<u8> {
    let mut frames = Vec::new();
    frame::drain(&mut frames, 0, address);
    frames
}

impl Play {
    pub fn changes_network(&mut self) {
        self.session.handle_network(NetworkEvent::Changed(WIFI), self.now);
        self.perform();
    }

    /// The connection that was opened last fails.
    pub fn fails(&mut self) {
        self.session.handle_link_down(self.link, self.now);
        self.perform();
    }

    /// A client that was let in and has lost its link, in a world where no connection comes to stand.
    fn cut_off() -> Self {
        let mut play = Play::established();
        play.stands = false;
        play.cut();
        play.perform();
        play
    }

    /// Passes time until the client gives up, and says why; all events are kept.
    pub fn gives_up(&mut self) -> (FailReason, Vec<Event>) {
        let mut told = Vec::new();
        for _ in 0..1000 {
            told.extend(self.events());
            if let Some(Event::HandoverFailed { reason, .. }) = told.last() {
                return (*reason, told);
            }
            assert!(self.pass_to_next(), "it waits for nothing and has not given up");
            self.perform();
        }
        panic!("it does not give up");
    }
}

// ---- what the server asks for ----

/// U-53.
#[test]
fn a_drain_is_told_and_followed_to_where_it_says() {
    let named = || Target::Advised("two.example:4".into());
    for (address, target) in [("", Target::Configured), ("two.example:4", named())] {
        let mut play = Play::established();
        play.tells(&drain(address));
        play.pass(Duration::ZERO);
        assert_eq!(play.flight().prelude.kind, FlightKind::Resume);
        assert_eq!(play.target, target);
        let events = play.events();
        let told = Event::Draining { window: Duration::ZERO };
        assert!(
            events.contains(&told) && events.contains(&begun_by(HandoverCause::Drain)),
            "{events:?}"
        );
        assert!(play.closed.is_empty(), "the old link goes on until then");
    }
}

/// Before the verdict there is no handover to tell of. What follows behind it, beside what was begun then, is none that the server asked for.
#[test]
fn a_connection_that_was_begun_before_the_verdict_is_no_drain() {
    let mut play = Play::begun();
    play.stands = false;
    play.changes_network();
    let mut verdict = Vec::new();
    frame::auth_result(&mut verdict, true, 0, b"");
    play.tells(&verdict);
    let left = play.now;
    play.pass(Duration::from_millis(20));
    play.pongs(left);
    play.pass(SECOND);
    play.perform();
    assert_eq!(play.opened, 3);
    let events = play.events();
    let begins = |event: &Event| matches!(event, Event::HandoverBegin { .. });
    assert!(!events.iter().any(begins), "{events:?}");
}

#[test]
fn a_drain_in_one_record_with_the_end_means_nothing() {
    let mut play = Play::established();
    let mut frames = drain("");
    frame::close(&mut frames, &CLOSE);
    play.tells(&frames);
    play.pass(SECOND);
    play.perform();
    let closed = Event::Closed(CloseReason::Peer {
        code: 5,
        truncated: false,
    });
    let events = play.events();
    assert_eq!((events.last(), play.opened), (Some(&closed), 1), "{events:?}");
    assert!(!events.iter().any(|event| matches!(event, Event::Draining { .. })));
}

/// The keys of KEYS that the client trusts, each with the seconds it has left.
fn trusted(play: &Play) -> Vec<(u8, u64)> {
    let told = play.session.pins[1..].iter();
    told.map(|(pin, until)| (pin.0[0], until.since(play.now).as_secs()))
        .collect()
}

fn keys(play: &mut Play, names: impl IntoIterator<Item = u8>, lifetime_s: u32) {
    let key = |name| Key {
        public: [name; 32],
        lifetime_s,
    };
    let keys: Vec<_> = names.into_iter().map(key).collect();
    for four in keys.chunks(4) {
        let mut frames = Vec::new();
        frame::keys(&mut frames, four);
        play.tells(&frames);
    }
}

/// U-54.
#[test]
fn at_most_sixteen_keys_are_trusted_and_those_that_ended_make_room() {
    let mut play = Play::established();
    keys(&mut play, 21..=34, 30);
    keys(&mut play, 35..=38, 10);
    let of_old = |left| (21..=34).map(move |name| (name, left));
    let full: Vec<_> = of_old(30).chain([(35, 10)]).collect();
    assert_eq!(trusted(&play), full, "and the configured one");
    play.now += SECOND * 10 - Duration::from_micros(1);
    keys(&mut play, [40], 10);
    assert_eq!(trusted(&play).last(), Some(&(35, 0)), "it has a microsecond left");
    play.now += Duration::from_micros(1);
    keys(&mut play, [40], 10);
    let after: Vec<_> = of_old(20).chain([(40, 10)]).collect();
    assert_eq!(trusted(&play), after);
}

#[test]
fn a_key_that_is_told_again_is_trusted_until_the_later_end() {
    let mut play = Play::established();
    keys(&mut play, [1, 2], 30);
    keys(&mut play, [1], 10);
    keys(&mut play, [2], 60);
    assert_eq!(trusted(&play), [(1, 30), (2, 60)]);
}

// ---- beside a link that carries ----

/// A false hint costs a connection, and leaves nothing behind.
#[test]
fn a_link_that_is_sound_goes_on_when_another_comes_to_nothing() {
    let mut play = Play::established();
    let before = play.session.poll_timeout();
    play.stands = false;
    play.changes_network();
    assert_eq!(
        (play.opened, play.events()),
        (2, [begun_by(HandoverCause::NetworkChanged)].into())
    );
    play.fails();
    let events = play.events();
    let [Event::HandoverEnd(end)] = &events[..] else {
        panic!("it has ended: {events:?}");
    };
    assert_eq!((end.downtime, end.same_server), (Duration::ZERO, true));
    assert_eq!(play.session.poll_timeout(), before);
    play.pass(SECOND * 10);
    play.perform();
    assert_eq!((play.opened, play.closed.len()), (2, 0));
}

/// It is not enough that it stands: what is suspect, or is to be left, is replaced however often that fails.
#[test]
fn a_link_that_is_suspect_or_to_be_left_is_not_contented_with() {
    let spoils: [fn(&mut Play); 2] = [
        |play| {
            play.session.talk.links[0].liveness.suspect = true;
            play.changes_network();
        },
        |play| {
            play.tells(&drain(""));
            play.pass(Duration::ZERO);
            play.perform();
        },
    ];
    for spoil in spoils {
        let mut play = Play::established();
        play.stands = false;
        spoil(&mut play);
        for opened in 2..6 {
            assert_eq!(play.opened, opened);
            play.fails();
            play.pass_to_next();
            play.perform();
        }
    }
}

/// The link that is probed in vain is suspect first; then the next one is sought beside it.
#[test]
fn a_silent_link_is_suspect_then_dead_and_then_the_time_to_give_up_runs() {
    let mut play = Play::established();
    let first = play.link;
    play.stands = false;
    while play.opened == 1 {
        assert!(play.pass_to_next());
        play.perform();
    }
    assert_eq!(play.events(), [begun_by(HandoverCause::LinkSuspect)]);
    assert!(play.session.stats().suspicions == 1 && play.closed.is_empty());
    while !play.closed.contains(&first) {
        assert!(play.pass_to_next());
        play.perform();
    }
    let dead = play.now;
    let (reason, _) = play.gives_up();
    assert_eq!((reason, play.now), (FailReason::GaveUp, dead + SECOND * 60));
}

/// What was under way leads over the old network if that changed, and else is as good as another.
#[test]
fn only_a_change_of_network_takes_back_a_connection_under_way() {
    let mut play = Play::established();
    play.stands = false;
    play.tells(&drain(""));
    play.pass(Duration::ZERO);
    play.perform();
    let under_way = play.link;
    play.pass(Duration::from_millis(300));
    play.session.send("?".into()).expect("there is room");
    while play.session.stats().suspicions == 0 {
        play.perform();
        assert!(play.pass_to_next());
    }
    play.perform();
    assert_eq!(play.session.stats().suspicions, 1);
    assert!(play.closed.is_empty());
    play.changes_network();
    assert!(play.closed.contains(&under_way));
    assert_eq!(play.network, Some(WIFI));
}

/// Two are under way when the carrier goes: when one of them fails there is still the other.
#[test]
fn a_loss_while_two_connections_are_under_way_asks_for_no_third() {
    let mut play = Play::established();
    play.stands = false;
    let carrier = play.link;
    play.changes_network();
    play.pass(SECOND);
    play.perform();
    assert_eq!(play.opened, 3);
    play.session.handle_link_down(carrier, play.now);
    play.perform();
    play.fails();
    play.pass(Duration::ZERO);
    play.perform();
    assert_eq!(play.opened, 3);
}

// ---- when it stops ----

/// G8.
#[test]
fn the_end_of_a_session_takes_back_a_connection_under_way_and_a_record_does_not() {
    let takes_back = |end: fn(&mut Play)| {
        let mut play = Play::established();
        play.stands = false;
        play.changes_network();
        let under_way = play.link;
        end(&mut play);
        play.perform();
        play.closed.contains(&under_way)
    };
    assert!(takes_back(|play| play.session.disconnect(5)));
    assert!(takes_back(|play| {
        let mut close = Vec::new();
        frame::close(&mut close, &CLOSE);
        play.tells(&close);
    }));
    assert!(!takes_back(|play| play.pongs(Instant::ZERO)));
}

/// Neither a hint nor the server wakes it; then what was asked for is done.
#[test]
fn a_client_that_sleeps_dials_nothing_and_waits_for_nothing() {
    let mut play = Play::established();
    play.session.handle_network(NetworkEvent::Suspend, play.now);
    play.session.handle_network(NetworkEvent::Available(WIFI), play.now);
    play.tells(&drain(""));
    play.pass(SECOND);
    play.perform();
    let events = play.events();
    assert!(
        !events.iter().any(|event| matches!(event, Event::HandoverBegin { .. })),
        "{events:?}"
    );
    assert_eq!((play.opened, play.session.poll_timeout()), (1, None));
    play.session.handle_network(NetworkEvent::Wake, play.now);
    play.flight();
    assert_eq!((play.opened, play.network), (2, Some(WIFI)));
}

#[test]
fn the_time_asleep_is_no_time_of_trying() {
    let mut play = Play::cut_off();
    play.session.handle_network(NetworkEvent::Suspend, play.now);
    play.perform();
    play.events();
    assert_eq!(play.session.poll_timeout(), None);
    play.pass(SECOND * 3600);
    play.perform();
    assert_eq!(play.events(), []);
    let woken = play.now;
    play.session.handle_network(NetworkEvent::Wake, woken);
    let (reason, _) = play.gives_up();
    assert_eq!((reason, play.now), (FailReason::GaveUp, woken + SECOND * 60));
}

/// The same if nobody told of it: the process was stopped, on a clock that went on. Whatever its host tells it first.
#[test]
fn the_time_stopped_is_no_time_of_trying() {
    let firsts: [fn(&mut Play); 6] = [
        |play| play.pass(Duration::ZERO),
        |play| play.session.handle_link_down(play.link, play.now),
        |play| play.session.handle_input(play.link, b"?", play.now),
        |play| play.session.handle_network(NetworkEvent::Lost(NetworkId(9)), play.now),
        |play| play.session.retry(play.now),
        |play| drop(play.perform()),
    ];
    for (i, first) in firsts.into_iter().enumerate() {
        let mut play = Play::cut_off();
        let since = play.now;
        assert!(play.pass_to_next());
        play.perform();
        play.events();
        let (opened, due) = (play.opened, play.session.poll_timeout().expect("it dials"));
        play.now += SECOND * 3600;
        let late = play.now.since(due);
        first(&mut play);
        let (reason, _) = play.gives_up();
        assert_eq!(
            (reason, play.now),
            (FailReason::GaveUp, since + SECOND * 60 + late),
            "{i}"
        );
        assert!(play.opened > opened + 3, "{i}: it has tried");
    }
}

/// A host that is somewhat late with each call is trying all the same.
#[test]
fn a_moment_late_is_time_of_trying() {
    let mut play = Play::cut_off();
    let since = play.now;
    play.events();
    while play.events().is_empty() {
        let next = play.session.poll_timeout().expect("it dials");
        play.pass(next.since(play.now) + (SECOND - Duration::from_micros(1)));
        play.perform();
    }
    assert!(play.now < since + SECOND * 61, "{:?}", play.now.since(since));
}

#[test]
fn a_client_gives_up_once_at_its_time_and_goes_on_when_it_is_told_to() {
    let mut play = Play::established();
    play.stands = false;
    play.session.send("kept".into()).expect("there is room");
    play.cut();
    for _ in 0..2 {
        let since = play.now;
        play.perform();
        let (reason, told) = play.gives_up();
        assert_eq!((reason, play.now), (FailReason::GaveUp, since + SECOND * 60));
        assert!(told.contains(&begun_by(HandoverCause::LinkLost)), "{told:?}");
        let failed = Event::HandoverFailed {
            reason,
            acked: MessageId(0),
        };
        assert_eq!(told.last(), Some(&failed));
        assert_eq!((play.session.state(), play.session.poll_timeout()), (State::None, None));
        let opened = play.opened;
        assert_eq!(play.closed.len(), opened - 1, "all but the one that was cut");
        play.pass(SECOND * 3600);
        play.session.handle_network(NetworkEvent::Available(WIFI), play.now);
        play.perform();
        assert_eq!((play.events(), play.opened), (Vec::new(), opened));
        play.session.retry(play.now);
        play.perform();
        assert_eq!(play.opened, opened + 1);
    }
}

#[test]
fn who_has_not_given_up_does_not_begin_anew() {
    let mut play = Play::cut_off();
    let opened = play.opened;
    let at = play.session.poll_timeout();
    play.events();
    play.session.retry(play.now);
    play.perform();
    assert_eq!(
        (play.opened, play.session.poll_timeout(), play.events()),
        (opened, at, Vec::new())
    );
}

/// A handover ends in one of two ways, always.
#[test]
fn the_end_of_the_session_is_the_failure_of_its_handover() {
    let mut play = Play::cut_off();
    play.events();
    play.session.disconnect(5);
    play.perform();
    let events = play.events();
    let [Event::HandoverFailed { reason, .. }, .., Event::Closed(closed)] = &events[..] else {
        panic!("first the handover, last the session: {events:?}");
    };
    assert_eq!((*reason, *closed), (FailReason::Closed, CloseReason::Local { code: 5 }));
}

// ---- the host ----

/// Whether it is a flight or a record that waits.
#[test]
fn nothing_leaves_while_the_socket_is_full() {
    let mut play = Play::new();
    play.stands = false;
    play.perform();
    for round in 0..2 {
        let link = play.link;
        play.session.handle_link_blocked(link);
        if round == 0 {
            play.session.handle_link_up(link, play.now);
        } else {
            play.session.send("record".into()).expect("there is room");
        }
        assert!(play.perform().is_empty(), "round {round}");
        play.session.handle_link_writable(link);
        if round == 0 {
            let flight = play.flight();
            play.says(flight, &Accept::Ok(NEW));
        } else {
            assert!(!play.perform().is_empty());
        }
    }
}

#[test]
fn what_waits_for_the_host_is_due_at_once() {
    let mut play = Play::new();
    play.stands = false;
    let due = |play: &Play| play.session.poll_timeout() == Some(play.now);
    while play.session.poll_event().is_some() {}
    assert!(due(&play), "a connection is to be opened");
    play.perform();
    assert!(!due(&play));
    play.session.handle_link_up(play.link, play.now);
    while play.session.poll_event().is_some() {}
    assert!(due(&play), "a flight is to be sent");
    play.perform();
    assert!(!due(&play));
}

#[test]
fn a_buffer_is_filled_from_its_least_size_on() {
    for (size, filled) in [(MIN_BUFFER - 1, false), (MIN_BUFFER, true)] {
        let mut play = Play::new();
        let output = play.session.poll_output(&mut alloc::vec![0; size], play.now);
        assert_eq!(output.is_some(), filled, "{size}");
    }
}

#[test]
fn an_unreliable_message_leaves_or_is_given_back() {
    let mut play = Play::established();
    assert_eq!(play.session.send_unreliable("now".into()), Ok(()));
    assert!(!play.perform().is_empty());
    play.stands = false;
    play.cut();
    let refused = play.session.send_unreliable("or never".into());
    assert_eq!(refused, Err(SendError::NoLink("or never".into())));
}

/// A server that did not know the session is a reason to ask whether it lives. While a link carries it, that is known.
#[test]
fn who_does_not_have_the_session_leaves_no_question_behind_while_a_link_carries_it() {
    let mut play = Play::established();
    let carrier = play.link;
    play.session.handle_network(NetworkEvent::Changed(WIFI), play.now);
    play.flight();
    play.refuses(&Refuse {
        code: RefuseCode::NotHere,
        retry_ms: 0,
        min_version: 1,
        max_version: 1,
    });
    play.perform();
    play.pass(SECOND * 10);
    play.session.handle_link_down(carrier, play.now);
    assert_eq!(play.flight().prelude.kind, FlightKind::Resume);
}
