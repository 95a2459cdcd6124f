//! How much an application may send: the bounds themselves, when it must wait, and when it is told to go on.

use alloc::vec;
use core::time::Duration;

use super::{START, conversation, linked};
use crate::config::Limits;
use crate::error::{CloseReason, Refusal};
use crate::event::Event;
use crate::session::auth::Auth;
use crate::session::conversation::{Conversation, Gate, Role};
use crate::session::outbox::{Credit, Outbox};
use crate::wire::frame::CloseKind;
use crate::wire::varint;

fn limits() -> Limits {
    Limits {
        message: 500,
        unacked_messages: 8,
        unacked_bytes: 1000,
        unreliable_bytes: 100,
        ..Limits::default()
    }
}

fn filled(messages: usize, bytes: usize) -> Conversation {
    let mut talk = conversation(Role::Client, limits());
    for _ in 0..messages {
        talk.send(&vec![1; bytes]).expect("there is room");
    }
    talk
}

/// A quarter of either bound must be free: 2 of 8 messages, 250 of 1000 bytes.
#[test]
fn a_sender_goes_on_when_a_quarter_of_both_bounds_is_free() {
    assert!(filled(6, 0).ask_room() && !filled(7, 0).ask_room(), "by number");
    assert!(filled(3, 250).ask_room() && !filled(3, 251).ask_room(), "by bytes");
    assert!(!filled(7, 140).ask_room(), "by both");
    // What is empty has room, however small the bounds are.
    let mut talk = conversation(
        Role::Client,
        Limits {
            unacked_messages: 1,
            ..limits()
        },
    );
    assert!(talk.ask_room());
    talk.send(b"").expect("there is room");
    assert!(!talk.ask_room());
}

#[test]
fn whoever_asked_in_vain_is_told_once_when_there_is_room() {
    let mut talk = filled(8, 0);
    assert_eq!(talk.send(b""), Err(Refusal::WouldBlock));
    for acked in 1..=8 {
        talk.acknowledged(acked, 100, 100);
        let told = talk.events.drain(..).filter(|event| *event == Event::Writable).count();
        assert_eq!(told, usize::from(acked == 2), "after {acked}");
    }
}

/// A session that is out of reach has no room, however empty it is, and what was owed meanwhile is told when it is there again.
#[test]
fn what_was_owed_while_a_session_was_out_of_reach_is_told_when_it_is_not() {
    let mut talk = conversation(Role::Server, limits());
    talk.frozen = true;
    assert!(!talk.ask_room());
    assert_eq!(talk.send(b""), Err(Refusal::WouldBlock));
    assert_eq!(talk.send_many(&[b""]), (0, Some(Refusal::WouldBlock)));
    assert!(talk.events.is_empty());
    talk.thaw();
    assert_eq!(talk.events.pop_front(), Some(Event::Writable));
    assert!(talk.ask_room());
}

/// U-42: nobody would read what it writes.
#[test]
fn whoever_was_turned_away_or_did_that_is_told_of_no_room() {
    for (role, auth) in [
        (Role::Client, Auth::Refused { code: 7 }),
        (Role::Server, Auth::Dismissed),
    ] {
        let mut talk = filled(8, 0);
        assert_eq!(talk.send(b""), Err(Refusal::WouldBlock));
        (talk.role, talk.auth) = (role, auth);
        talk.acknowledged(8, 100, 100);
        assert!(talk.events.is_empty(), "{role:?}: {:?}", talk.events);
    }
}

#[test]
fn an_unreliable_message_is_taken_up_to_its_bound_and_no_further() {
    let mut talk = linked(Role::Client, limits());
    assert_eq!(
        talk.send_unreliable(&[0; 99]),
        Ok(()),
        "with its header all the room there is"
    );
    assert_eq!(talk.send_unreliable(&[0; 100]), Err(Refusal::TooLarge { max: 99 }));
    assert_eq!(talk.send_unreliable(&[0; 101]), Err(Refusal::TooLarge { max: 99 }));
}

#[test]
fn a_message_is_taken_up_to_the_smaller_of_both_bounds() {
    let mut talk = conversation(Role::Client, limits());
    assert!(talk.send(&[0; 500]).is_ok());
    assert_eq!(talk.send(&[0; 501]), Err(Refusal::TooLarge { max: 500 }));
    talk.peer_max_message = 40;
    assert!(talk.send(&[0; 40]).is_ok());
    assert_eq!(talk.send(&[0; 41]), Err(Refusal::TooLarge { max: 40 }));
}

#[test]
fn what_waits_for_its_ack_fills_the_bound_to_the_byte() {
    for (last, taken) in [(500, true), (501, false), (502, false)] {
        let mut talk = conversation(
            Role::Client,
            Limits {
                message: 600,
                ..limits()
            },
        );
        assert!(talk.send(&[0; 500]).is_ok());
        let expected = if taken { Ok(1) } else { Err(Refusal::WouldBlock) };
        assert_eq!(talk.send(&vec![0; last]).map(|id| id.0), expected, "{last}");
    }
}

/// An end is one above the last number, and must fit a varint too.
#[test]
fn the_numbers_of_messages_end_before_those_of_varints() {
    let last = varint::MAX - 2;
    let near_the_end = || {
        let mut talk = conversation(Role::Client, limits());
        talk.outbox = Outbox::restore(last, last, 0, &[]);
        talk
    };
    let mut talk = near_the_end();
    assert_eq!(talk.send(b"").map(|id| id.0), Ok(last));
    assert_eq!(talk.send(b""), Err(Refusal::WouldBlock));
    assert_eq!(talk.outbox.next(), varint::MAX - 1);
    let mut talk = near_the_end();
    assert_eq!(talk.send_many(&[b"", b"", b""]), (1, Some(Refusal::WouldBlock)));
    assert_eq!(talk.outbox.next(), varint::MAX - 1);
}

#[test]
fn nothing_is_taken_behind_the_end() {
    let mut talk = linked(Role::Client, limits());
    talk.close(CloseKind::Application, 7, CloseReason::Local { code: 7 });
    assert_eq!(talk.send(b"late"), Err(Refusal::Closed));
    assert_eq!(talk.send_many(&[b"late"]), (0, Some(Refusal::Closed)));
    assert_eq!(talk.send_unreliable(b"late"), Err(Refusal::Closed));
}

#[test]
fn what_may_leave_is_bounded_by_the_peer_and_by_the_store() {
    let mut talk = conversation(Role::Server, limits());
    talk.credit = Credit {
        messages: 20,
        payload: 3000,
    };
    assert_eq!(talk.allowance(), talk.credit);
    for (send_end, messages) in [(0, 0), (19, 19), (20, 20), (21, 20)] {
        talk.gate = Some(Gate {
            send_end,
            ..Gate::default()
        });
        let expected = Credit {
            messages,
            payload: 3000,
        };
        assert_eq!(talk.allowance(), expected);
    }
}

#[test]
fn the_counters_tell_what_waits_and_how_far_the_peer_is() {
    let mut talk = linked(Role::Client, limits());
    assert_eq!(talk.stats_now().rtt, None, "nothing was measured");
    let trip = Duration::from_millis(30);
    talk.links[0].liveness.rtt.sample(trip.into(), START);
    talk.send(b"seven..").expect("there is room");
    talk.send(b"four").expect("there is room");
    let stats = talk.stats_now();
    assert_eq!(
        (stats.unacked_messages, stats.unacked_bytes, stats.rtt),
        (2, 11, Some(trip))
    );
    talk.acknowledged(1, 100, 100);
    let stats = talk.stats_now();
    assert_eq!(
        (stats.sent_messages, stats.sent_bytes),
        (2, 11),
        "since the session began"
    );
    assert_eq!((stats.unacked_messages, stats.unacked_bytes), (1, 4));
}
