//! From bytes to messages: records that are cut, frames that one end gets only, what comes too late or too often, and what a fault leads to.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::inbox::{part, run};
use super::{START, conversation, link, linked, peer, ping, record};
use crate::config::Limits;
use crate::crypto::Sealer;
use crate::error::CloseReason;
use crate::event::{Event, HandoverCause, LinkId, State};
use crate::session::conversation::{Conversation, Role};
use crate::session::link::Life;
use crate::session::receive::{LinkFault, Notice, RARE_FRAMES};
use crate::wire::frame::{self, Close, CloseKind, Frame, Frames, Key};

const LOCAL: CloseReason = CloseReason::Local { code: 5 };
const SUPERSEDED: Close = Close {
    kind: CloseKind::Superseded,
    code: 0,
    send_end: 0,
    recv_next: 0,
};

/// A record of these frames comes on a link.
fn comes(talk: &mut Conversation, index: usize, sealer: &mut Sealer, frames: &[u8]) -> Result<Vec<Notice>, LinkFault> {
    let mut notices = Vec::new();
    let record = record(sealer, frames);
    talk.receive(index, &record, &mut notices).map(|()| notices)
}

fn message(seq: usize) -> Vec<u8> {
    let mut frames = Vec::new();
    run(&mut frames, seq, &[vec![seq as u8; 3]]);
    frames
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut frames = Vec::new();
    encode(&mut frames);
    frames
}

fn control(talk: &Conversation, index: usize) -> Vec<Frame<'_>> {
    let frames = Frames::new(&talk.links[index].control);
    frames.map(|frame| frame.expect("a good one")).collect()
}

// ---- bytes ----

#[test]
fn records_may_be_cut_anywhere() {
    let messages: [&[u8]; 3] = [b"one", b"two, which is longer", b"three"];
    let (mut sealer, mut stream) = (peer(), Vec::new());
    for (seq, message) in messages.iter().enumerate() {
        let mut frames = Vec::new();
        run(&mut frames, seq, &[message.to_vec()]);
        stream.extend(record(&mut sealer, &frames));
    }
    let in_two = (0..=stream.len()).map(|at| vec![&stream[..at], &stream[at..]]);
    let in_many = (1..stream.len()).map(|size| stream.chunks(size).collect());
    for pieces in in_two.chain(in_many) {
        let sizes: Vec<_> = pieces.iter().map(|piece| piece.len()).collect();
        let mut talk = linked(Role::Client, Limits::default());
        for piece in pieces {
            let taken = talk.receive(0, piece, &mut Vec::new());
            assert_eq!(taken, Ok(()), "cut into {sizes:?}");
        }
        for message in messages {
            assert_eq!(
                talk.recv().map(|found| found.payload),
                Some(message),
                "cut into {sizes:?}"
            );
        }
        assert_eq!(talk.stats_now().wire_received, stream.len() as u64);
    }
}

/// U-16: what a RESUME brings early and what its link brings then are one.
#[test]
fn a_message_may_begin_in_early_data_and_end_on_the_link() {
    let large = vec![5; 5000];
    let mut talk = linked(Role::Server, Limits::default());
    let mut early = message(0);
    part(&mut early, 1, &large, 0, 2000);
    assert_eq!(talk.receive_early(&early), Ok(()));
    let rest = encoded(|out| part(out, 1, &large, 2000, 3000));
    assert!(comes(&mut talk, 0, &mut peer(), &rest).is_ok());
    assert_eq!(talk.recv().map(|found| found.payload.to_vec()), Some(vec![0; 3]));
    assert_eq!(talk.recv().map(|found| found.payload == large), Some(true));
}

/// U-46: who sends again has not heard the ACK; else there is time for it until the application has taken the message.
#[test]
fn what_comes_twice_is_acked_at_once() {
    let (mut talk, mut sealer) = (linked(Role::Client, Limits::default()), peer());
    for due in [false, true] {
        assert!(comes(&mut talk, 0, &mut sealer, &message(0)).is_ok());
        assert_eq!(talk.acks.due(START), due);
    }
}

/// U-37, U-46: whether all of the record came twice or the beginning of it.
#[test]
fn what_comes_twice_is_acked_at_once_though_something_new_is_behind_it() {
    for (seq, at_once) in [(0, true), (1, false)] {
        let mut talk = conversation(Role::Server, Limits::default());
        talk.receive_early(&message(0)).expect("the first time");
        let mut frames = Vec::new();
        run(&mut frames, seq, &vec![vec![seq as u8; 3]; 2]);
        talk.receive_early(&frames).expect("it may come");
        assert_eq!(talk.inbox.next(), seq as u64 + 2);
        assert_eq!(talk.acks.due(START), at_once, "from {seq} on");
    }
}

/// The same for a part of a message, of which the next parts are no repetition.
#[test]
fn a_part_that_comes_twice_is_acked_at_once_and_a_further_one_is_not() {
    let large = vec![5; 3000];
    let (mut talk, mut sealer) = (linked(Role::Client, Limits::default()), peer());
    for (offset, due) in [(0, false), (1000, false), (1000, true)] {
        let frames = encoded(|out| part(out, 0, &large, offset, 1000));
        assert!(comes(&mut talk, 0, &mut sealer, &frames).is_ok());
        assert_eq!(talk.acks.due(START), due, "from {offset} on");
    }
}

// ---- behind the end ----

/// U-50: behind a CLOSE nothing counts, neither in its record nor after it, though the session goes on over another link.
#[test]
fn nothing_counts_on_a_link_behind_its_close() {
    for together in [true, false] {
        let mut talk = linked(Role::Client, Limits::default());
        talk.links.push(link(Role::Client, 2));
        let mut older = peer();
        let mut frames = encoded(|out| frame::close(out, &SUPERSEDED));
        if together {
            frames.extend(message(0));
        }
        assert!(comes(&mut talk, 0, &mut older, &frames).is_ok());
        if !together {
            assert!(comes(&mut talk, 0, &mut older, &message(0)).is_ok());
        }
        assert_eq!((talk.inbox.next(), talk.state), (0, State::Established));
        assert!(comes(&mut talk, 1, &mut peer(), &message(0)).is_ok());
        assert_eq!(talk.inbox.next(), 1);
    }
}

#[test]
fn nothing_counts_when_the_session_is_over() {
    let mut talk = linked(Role::Client, Limits::default());
    talk.finish(LOCAL);
    assert!(comes(&mut talk, 0, &mut peer(), &message(0)).is_ok());
    assert_eq!((talk.inbox.next(), talk.stats_now().wire_received), (0, 0));
}

// ---- what a record proves ----

#[test]
fn only_a_link_that_may_carry_shows_that_the_session_is_not_down() {
    let second = Duration::from_secs(1);
    for (life, downtime) in [
        (Life::Open, Duration::ZERO),
        (Life::Draining(START + second * 2), second),
    ] {
        let mut talk = linked(Role::Client, Limits::default());
        talk.links[0].life = life;
        talk.begin_handover(HandoverCause::LinkSuspect, Some(START));
        talk.tick(START + second);
        assert!(comes(&mut talk, 0, &mut peer(), &ping()).is_ok());
        talk.carried_again(true);
        let Some(Event::HandoverEnd(end)) = talk.events.pop_back() else {
            panic!("it has ended");
        };
        assert_eq!(end.downtime, downtime, "{life:?}");
    }
}

/// A server's conversation with a link beside a newer one that its client has not spoken on.
fn with_newer() -> Conversation {
    let mut talk = linked(Role::Server, Limits::default());
    let mut newer = link(Role::Server, 2);
    newer.confirmed = false;
    talk.links.push(newer);
    talk
}

/// U-33, U-52. Where the application has ended the session, its CLOSE may have gone nowhere: it goes again, and on the older link no second one is of use.
#[test]
fn the_first_record_on_a_newer_link_closes_the_older_one() {
    let mut talk = with_newer();
    assert!(comes(&mut talk, 1, &mut peer(), &ping()).is_ok());
    assert!(talk.links[0].life.is_closing() && !talk.links[1].life.is_closing());
    assert_eq!(control(&talk, 0), [Frame::Close(SUPERSEDED)]);

    let mut talk = with_newer();
    talk.close(CloseKind::Application, 5, LOCAL);
    assert!(comes(&mut talk, 1, &mut peer(), &ping()).is_ok());
    talk.close_when_carried();
    let close = Close {
        kind: CloseKind::Application,
        code: 5,
        ..SUPERSEDED
    };
    for index in [0, 1] {
        assert_eq!(control(&talk, index), [Frame::Close(close)], "link {index}");
    }
}

/// R4: before its client has spoken here nobody knows whether a restored session is the latest.
#[test]
fn a_session_from_elsewhere_is_within_reach_once_its_client_is_heard() {
    for moved in [true, false] {
        let mut talk = conversation(Role::Server, Limits::default());
        let mut first = link(Role::Server, 1);
        first.confirmed = false;
        talk.links.push(first);
        talk.moved = moved;
        assert_eq!(talk.send(b"").is_err(), moved);
        talk.begin_handover(HandoverCause::LinkLost, None);
        assert!(comes(&mut talk, 0, &mut peer(), &ping()).is_ok());
        let ended = |event: &Event| matches!(event, Event::HandoverEnd(end) if end.same_server != moved);
        assert!(talk.events.iter().any(ended), "{moved}");
        assert_eq!(
            talk.events.contains(&Event::Writable),
            moved,
            "what it asked for in vain"
        );
        assert!(talk.send(b"").is_ok());
    }
}

// ---- frames ----

#[test]
fn a_frame_that_this_end_never_gets_ends_the_link() {
    let key = Key {
        public: [9; 32],
        lifetime_s: 60,
    };
    // Whether a client gets it, and a server.
    let rare = [
        (encoded(|out| frame::auth(out, b"me")), false, true),
        (encoded(|out| frame::auth_result(out, true, 0, b"")), true, false),
        (encoded(|out| frame::drain(out, 0, "")), true, false),
        (encoded(|out| frame::keys(out, &[key])), true, false),
        (encoded(|out| frame::close_ack(out, 0)), false, false),
    ];
    for (frames, client, server) in rare {
        for (role, taken) in [(Role::Client, client), (Role::Server, server)] {
            let mut talk = linked(role, Limits::default());
            let result = comes(&mut talk, 0, &mut peer(), &frames);
            let expected = if taken { None } else { Some(LinkFault::Misplaced) };
            assert_eq!(result.err(), expected, "{role:?}, {:?}", frames[0]);
        }
    }
}

#[test]
fn the_answer_to_a_close_ends_the_session() {
    for role in [Role::Client, Role::Server] {
        let mut talk = linked(role, Limits::default());
        talk.close(CloseKind::Application, 5, LOCAL);
        assert_eq!(talk.closing.reason(), None);
        let answer = encoded(|out| frame::close_ack(out, 0));
        assert!(comes(&mut talk, 0, &mut peer(), &answer).is_ok());
        assert_eq!(talk.closing.reason(), Some(LOCAL));
    }
}

/// From an older link it concerns a server that the session has left already.
#[test]
fn only_the_newest_link_can_ask_for_another() {
    let mut talk = linked(Role::Client, Limits::default());
    talk.links.push(link(Role::Client, 2));
    let drain = encoded(|out| frame::drain(out, 0, ""));
    for (index, asked) in [(0, 0), (1, 1)] {
        let notices = comes(&mut talk, index, &mut peer(), &drain);
        assert_eq!(notices.map(|notices| notices.len()), Ok(asked), "link {index}");
    }
}

/// U-54, L-20: each may cost memory or an event.
#[test]
fn sixteen_rare_frames_may_come_on_a_link_and_no_more() {
    let key = Key {
        public: [9; 32],
        lifetime_s: 60,
    };
    let auth = encoded(|out| frame::auth(out, b"me"));
    let drain = encoded(|out| frame::drain(out, 0, ""));
    let keys = encoded(|out| frame::keys(out, &[key]));
    for (role, kinds) in [
        (Role::Server, vec![&auth]),
        (Role::Client, vec![&drain]),
        (Role::Client, vec![&keys]),
        (Role::Client, vec![&drain, &keys]),
    ] {
        let (mut talk, mut sealer) = (linked(role, Limits::default()), peer());
        for (number, frames) in (1..=17).zip(kinds.into_iter().cycle()) {
            let taken = comes(&mut talk, 0, &mut sealer, frames);
            assert_eq!(taken.is_ok(), number <= RARE_FRAMES, "{role:?}, number {number}");
        }
    }
}

// ---- faults ----

/// U-31: though it came in the same bytes and is sound.
#[test]
fn behind_a_fault_nothing_is_taken() {
    let (mut talk, mut sealer) = (linked(Role::Client, Limits::default()), peer());
    let mut bytes = record(&mut sealer, &encoded(|out| frame::close_ack(out, 0)));
    bytes.extend(record(&mut sealer, &message(0)));
    let taken = talk.receive(0, &bytes, &mut Vec::new());
    assert_eq!((taken, talk.inbox.next()), (Err(LinkFault::Misplaced), 0));
}

#[test]
fn a_fault_ends_its_link_and_is_a_loss_only_if_that_carried() {
    let mut talk = linked(Role::Client, Limits::default());
    talk.links[0].life = Life::Draining(START);
    talk.links.push(link(Role::Client, 2));
    assert!(!talk.fault(0));
    assert_eq!((talk.links.len(), &talk.to_close[..]), (1, &[LinkId(1)][..]));
    assert!(talk.events.is_empty());
    assert!(talk.fault(0));
    assert_eq!((talk.links.len(), &talk.to_close[..]), (0, &[LinkId(1), LinkId(2)][..]));
    let begun = Event::HandoverBegin {
        cause: HandoverCause::BadInput,
    };
    assert!(talk.events.contains(&begun));
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "broken invariant"))]
fn a_broken_invariant_ends_that_one_session() {
    let mut talk = linked(Role::Client, Limits::default());
    talk.broken();
    assert_eq!(talk.closing.reason(), Some(CloseReason::Internal));
}
