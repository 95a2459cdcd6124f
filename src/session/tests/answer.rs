//! What a client makes of the answer to its flight, and of a pin that is no good.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::actor::{NEW, Play};
use crate::config::Backoff;
use crate::crypto::{PublicKey, ServerKey};
use crate::error::{CloseReason, FailReason};
use crate::event::{Event, NetworkEvent, NetworkId, SessionId, State};
use crate::session::handshake::Answer;
use crate::time::Instant;
use crate::wire::flight::{Accept, AcceptOk, LostStatus, Position, Refuse, RefuseCode, Resume, Window};
use crate::wire::frame::{CloseKind, Frame, Frames};
use crate::wire::prelude::{self, FlightKind, Prelude};

const ROLLED_BACK: Event = Event::Closed(CloseReason::RolledBack);

#[test]
fn an_answer_may_come_byte_by_byte() {
    let mut play = Play::new();
    let flight = play.flight();
    assert_eq!(flight.prelude.kind, FlightKind::Hello);
    let (words, _) = Play::answer(flight, &Accept::Ok(NEW));
    for byte in &words {
        assert_eq!(play.session.id(), None);
        play.session.handle_input(play.link, &[*byte], play.now);
    }
    assert_eq!(play.session.id(), Some(SessionId(NEW.session_id)));
}

/// U-44: its windows may be smaller than those of the owner before. Whoever is the same has given what it gave.
#[test]
fn another_owner_gives_credit_of_its_own() {
    for (token, goes) in [(NEW.token, 100), (NEW.token + 1, 10)] {
        let mut play = Play::established();
        play.cut();
        let flight = play.flight();
        let window = Window {
            messages: 10,
            ..NEW.window
        };
        play.says(flight, &Accept::Ok(AcceptOk { token, window, ..NEW }));
        for _ in 0..100 {
            play.session.send("?".into()).expect("there is room");
        }
        play.perform();
        assert_eq!(play.session.talk.outbox.carried(), goes, "{token}");
    }
}

/// A client that sent three messages, of which two were ACKed, and heard two; its link has broken, and the server answers its RESUME. And what it says to that.
fn resumes(answer: AcceptOk<'_>) -> (Play, Vec<u8>) {
    let mut play = Play::begun();
    for word in ["one", "two", "three"] {
        play.session.send(word.into()).expect("there is room");
    }
    play.perform();
    play.session.talk.acknowledged(2, 1000, 1 << 20);
    play.session.talk.inbox.resume_at(2);
    play.cut();
    let flight = play.flight();
    assert_eq!(flight.prelude.kind, FlightKind::Resume);
    play.events();
    let said = play.says(flight, &Accept::Ok(answer));
    (play, said)
}

fn position(recv_next: u64, delivered: u64) -> Position {
    Position {
        recv_next,
        recv_offset: 0,
        delivered,
    }
}

/// What a server says that knows exactly what the client of [`resumes`] does.
const SAME: AcceptOk<'static> = AcceptOk {
    position: Position {
        recv_next: 3,
        recv_offset: 0,
        delivered: 2,
    },
    send_base: 2,
    send_end: 2,
    ..NEW
};

#[test]
fn a_server_that_knows_what_the_client_knows_goes_on() {
    let elsewhere = AcceptOk { token: 2, ..SAME };
    // While the owner is the same, what it said on the old link may have overtaken its answer.
    let earlier = AcceptOk {
        position: position(1, 1),
        send_end: 1,
        send_base: 1,
        ..SAME
    };
    for answer in [SAME, elsewhere, earlier] {
        let (mut play, _) = resumes(answer);
        assert!(!play.events().contains(&ROLLED_BACK), "{answer:?}");
        assert_eq!(play.session.talk.links.len(), 1);
        assert_eq!(play.session.dialler.tries.len(), 0);
    }
}

/// U-17, U-64: each sign by itself that one of the ends has lost state ends the session, and the server is told.
#[test]
fn any_single_sign_of_lost_state_ends_the_session_and_the_server_is_told() {
    let signs = [
        (
            "another session",
            AcceptOk {
                session_id: [5; 16],
                ..SAME
            },
        ),
        (
            "it received what was not sent",
            AcceptOk {
                position: position(4, 2),
                ..SAME
            },
        ),
        (
            "it was ACKed what was not taken",
            AcceptOk {
                send_base: 3,
                send_end: 3,
                ..SAME
            },
        ),
        (
            "another owner, who has delivered less",
            AcceptOk {
                position: position(3, 1),
                token: 2,
                ..SAME
            },
        ),
        (
            "another owner, who has sent less",
            AcceptOk {
                send_base: 1,
                send_end: 1,
                token: 2,
                ..SAME
            },
        ),
    ];
    for (sign, answer) in signs {
        let (mut play, said) = resumes(answer);
        assert!(play.events().contains(&ROLLED_BACK), "{sign}");
        assert_eq!(play.session.state(), State::Closed);
        assert!(!said.is_empty(), "{sign}: there is a CLOSE in it");
        play.pass(Duration::from_secs(60));
        play.perform();
        assert_eq!(
            play.session.dialler.tries.len(),
            0,
            "{sign}: nothing is dialled any more"
        );
    }
}

/// Only a QUERY is answered by "it lives", and never by a session.
#[test]
fn an_answer_to_another_question_is_none() {
    let alive = Accept::Lost(LostStatus::Alive);
    for (query, accept, good) in [
        (false, Accept::Ok(SAME), true),
        (false, alive, false),
        (true, Accept::Ok(SAME), false),
        (true, alive, true),
    ] {
        let mut play = Play::begun();
        play.cut();
        play.session.query = query;
        let flight = play.flight();
        let (words, _) = Play::answer(flight, &accept);
        let outcome = play.handshake().finish(&words, 0);
        assert_eq!(outcome.is_ok(), good, "{query}, {accept:?}");
        if good && query {
            assert!(matches!(outcome, Ok(Answer::Alive)));
        }
    }
}

/// A RESUME carries what was not ACKed as far as that fits, and says how much of it a link had carried before.
#[test]
fn early_data_is_counted_as_far_as_it_goes() {
    let mut play = Play::begun();
    for _ in 0..100 {
        play.session.send(vec![1; 100].into()).expect("there is room");
    }
    play.perform();
    play.cut();
    play.session.dialler.early_max = 2048;
    let flight = play.flight();
    let resume = Resume::parse(&flight.payload).expect("a good one");
    let frames: Vec<_> = Frames::early(resume.early).collect();
    let [Ok(Frame::Data(run))] = &frames[..] else {
        panic!("one run: {frames:?}");
    };
    // Each has a header of two bytes; the frame has two more, and its end.
    assert_eq!((run.seq, run.count), (0, (2048 - 2) / 102));
    assert_eq!(play.handshake().early_replay, (run.count, run.count * 100));
}

/// What comes behind a run, because it fits no record, goes along in part.
#[test]
fn early_data_is_filled_up_with_the_beginning_of_a_large_message() {
    let mut play = Play::begun();
    play.session.send(vec![1; 100].into()).expect("there is room");
    play.session.send(vec![2; 5000].into()).expect("there is room");
    play.cut();
    play.session.dialler.early_max = 2048;
    let flight = play.flight();
    let resume = Resume::parse(&flight.payload).expect("a good one");
    let frames: Vec<_> = Frames::early(resume.early).collect();
    let [Ok(Frame::Data(run)), Ok(Frame::Fragment(fragment))] = &frames[..] else {
        panic!("a run and a fragment: {frames:?}");
    };
    assert_eq!((run.count, fragment.seq, fragment.offset), (1, 1, 0));
    assert_eq!(resume.early.len(), 2048);
    assert_eq!(play.handshake().early_replay, (0, 0), "no link had carried any of it");
}

// ---- pins ----

/// Passes over time until the client has made a flight.
fn next_flight(play: &mut Play) -> Option<Prelude> {
    for _ in 0..100 {
        let sent = play.perform();
        if sent.len() > prelude::LEN {
            return sent.first_chunk().and_then(|head| Prelude::parse(head).ok());
        }
        if !play.pass_to_next() {
            break;
        }
    }
    None
}

/// Which key it is for.
fn key_of_next_flight(play: &mut Play) -> Option<[u8; 4]> {
    next_flight(play).map(|prelude| prelude.key_id)
}

/// With some points no secret can be agreed; such a pin costs a try and no more.
#[test]
fn a_pin_that_is_no_key_is_passed_over() {
    let good = ServerKey::from_bytes([7; 32]).expect("not zero").public();
    let mut play = Play::new();
    play.session.pins = vec![(PublicKey([0; 32]), Instant::FAR_FUTURE), (good, Instant::FAR_FUTURE)];
    assert_eq!(key_of_next_flight(&mut play), Some(good.id()));
}

#[test]
fn a_pin_is_trusted_until_its_end_and_not_at_it() {
    let good = ServerKey::from_bytes([7; 32]).expect("not zero").public();
    for (left, trusted) in [(1, true), (0, false)] {
        let mut play = Play::new();
        play.session.pins = vec![(good, play.now + Duration::from_micros(left))];
        assert_eq!(play.perform().len() > 12, trusted, "{left} µs before it");
    }
}

// ---- refusals ----

/// U-24: after code 3 another pinned key is tried, and all have their turn.
#[test]
fn a_refused_key_is_followed_by_the_next_one() {
    let pin = |byte| ServerKey::from_bytes([byte; 32]).expect("not zero").public();
    let (first, second) = (pin(7), pin(8));
    let mut play = Play::with(|config| config.also_pin(second));
    for expected in [first, second, first, second] {
        assert_eq!(key_of_next_flight(&mut play), Some(expected.id()));
        play.refuses(&Refuse {
            code: RefuseCode::Key,
            retry_ms: 0,
            min_version: 1,
            max_version: 1,
        });
    }
}

/// U-24: after code 2 the highest version that both have is tried, once; if there is none, that is why the client gives up.
#[test]
fn a_refused_version_is_followed_by_the_highest_in_common() {
    let none = (5, FailReason::VersionMismatch);
    for (min_version, max_version, expected) in [
        (1, 2, none),
        (1, 3, (3, FailReason::GaveUp)),
        (3, 4, (4, FailReason::GaveUp)),
        (4, 9, (5, FailReason::GaveUp)),
        (5, 5, (5, FailReason::GaveUp)),
        (6, 9, none),
    ] {
        let mut play = Play::with(|config| config.versions(3..=5));
        assert_eq!(next_flight(&mut play).map(|prelude| prelude.version), Some(5));
        play.refuses(&Refuse {
            code: RefuseCode::Version,
            retry_ms: 0,
            min_version,
            max_version,
        });
        let next = next_flight(&mut play).map(|prelude| prelude.version);
        let reason = play.gives_up().0;
        assert_eq!(
            (next, reason),
            (Some(expected.0), expected.1),
            "{min_version} to {max_version}"
        );
    }
}

/// What a server said once is no reason when the application has tried again and no server was reached.
#[test]
fn a_version_that_was_refused_before_is_no_reason_after_another_try() {
    let mut play = Play::new();
    play.flight();
    play.refuses(&Refuse {
        code: RefuseCode::Version,
        retry_ms: 0,
        min_version: 6,
        max_version: 9,
    });
    play.stands = false;
    for expected in [FailReason::VersionMismatch, FailReason::GaveUp] {
        assert_eq!(play.gives_up().0, expected);
        play.session.retry(play.now);
    }
}

// ---- what the server takes ----

/// What was taken from the application before the server said what it takes would end each link anew.
#[test]
fn a_message_that_the_server_never_takes_ends_the_session() {
    for (max_message, ends) in [(4999, true), (5000, false), (5001, false)] {
        let mut play = Play::established();
        play.session.send(vec![1; 5000].into()).expect("there is room");
        play.cut();
        let flight = play.flight();
        let window = Window {
            max_message,
            ..NEW.window
        };
        play.says(flight, &Accept::Ok(AcceptOk { window, ..NEW }));
        let over = play.events().contains(&Event::Closed(CloseReason::Overflow));
        assert_eq!(over, ends, "{max_message}");
    }
}

// ---- a session that nobody has ----

const UNKNOWN: Accept<'static> = Accept::Lost(LostStatus::Unknown);

#[test]
fn a_session_that_stood_ends_when_nobody_knows_it() {
    let mut play = Play::established();
    play.cut();
    let flight = play.flight();
    play.says(flight, &UNKNOWN);
    assert!(play.events().contains(&Event::Closed(CloseReason::UnknownSession)));
}

/// A client in Standby whose link is suspect. The server that it asks beside that does not know the session, while a second connection stands.
fn starts_over(give_up_after: Duration) -> Play {
    let mut play = Play::with(|config| {
        config.backoff(Backoff {
            give_up_after,
            ..Backoff::default()
        })
    });
    let flight = play.flight();
    play.says(flight, &Accept::Ok(NEW));
    play.session.talk.links[0].liveness.suspect = true;
    play.stands = false;
    play.session
        .handle_network(NetworkEvent::Changed(NetworkId(1)), play.now);
    play.perform();
    let first = play.link;
    play.pass(Duration::from_millis(900));
    play.session.handle_link_up(first, play.now);
    let flight = play.flight();
    play.pass(Duration::from_millis(100));
    play.perform();
    assert_ne!(play.link, first);
    play.session.handle_link_up(play.link, play.now);
    let (words, _) = Play::answer(flight, &UNKNOWN);
    play.session.handle_input(first, &words, play.now);
    assert_eq!(play.flight().prelude.kind, FlightKind::Hello);
    assert_eq!((play.session.id(), play.session.talk.links.len()), (None, 0));
    play
}

/// Its links are gone with the session that they were of.
#[test]
fn who_starts_over_says_so_and_can_try_again_when_it_has_given_up() {
    let play = starts_over(Duration::from_secs(60));
    assert_eq!(play.session.state(), State::Handshaking);
    let mut play = starts_over(Duration::from_secs(1));
    assert_eq!(play.gives_up().0, FailReason::GaveUp);
    assert_eq!(play.session.state(), State::None);
    let opened = play.opened;
    play.session.retry(play.now);
    play.perform();
    assert_eq!((play.session.state(), play.opened), (State::Connecting, opened + 1));
}

/// Who answered does not have it, but somebody does.
#[test]
fn a_session_whose_link_is_sound_goes_on_when_somebody_else_does_not_know_it() {
    let mut play = Play::established();
    play.session
        .handle_network(NetworkEvent::Changed(NetworkId(1)), play.now);
    let flight = play.flight();
    play.says(flight, &UNKNOWN);
    assert_eq!(play.session.state(), State::Established);
    assert!(matches!(play.events().last(), Some(Event::HandoverEnd(_))));
    assert_eq!(
        (play.session.talk.links.len(), play.session.dialler.tries.len()),
        (1, 0)
    );
}

/// U-48: by the counters of both ends, as with a CLOSE on a link.
#[test]
fn an_end_that_is_told_late_is_truncated_if_messages_are_missing() {
    for (received, truncated) in [(2, true), (3, false), (4, false)] {
        let mut play = Play::established();
        play.session.talk.inbox.resume_at(received);
        play.cut();
        let flight = play.flight();
        let closed = LostStatus::Closed {
            kind: CloseKind::Application,
            code: 9,
            send_end: 3,
        };
        play.says(flight, &Accept::Lost(closed));
        let told = Event::Closed(CloseReason::Peer { code: 9, truncated });
        assert_eq!(play.events().last(), Some(&told), "{received} of 3");
    }
}
