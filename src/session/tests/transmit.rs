//! What goes into one output: how many records and how long they are, what rides with what, and what waits for the next.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::inbox::run;
use super::{START, linked};
use crate::config::{Limits, Timing};
use crate::event::{LinkId, Output};
use crate::session::conversation::{Conversation, Role};
use crate::session::link::Life;
use crate::time::Instant;
use crate::wire::frame;
use crate::wire::record::{LENGTH_LEN, PLAINTEXT_MAX, TAG};

const OVERHEAD: usize = LENGTH_LEN + TAG;
/// A record that holds as much as a record can.
const FULL: usize = PLAINTEXT_MAX + OVERHEAD;

/// One that has a link and may send.
fn sender(role: Role) -> Conversation {
    let mut talk = linked(role, Limits::default());
    talk.acknowledged(0, 1000, 1 << 20);
    talk
}

/// The plaintext lengths of the records in one output.
fn lengths(talk: &mut Conversation, buffer: usize) -> Vec<usize> {
    let mut buffer = vec![0; buffer];
    let Some(Output::Send { len, .. }) = talk.poll_output(&mut buffer) else {
        return Vec::new();
    };
    let (mut rest, mut lengths) = (&buffer[..len], Vec::new());
    while let Some((length, behind)) = rest.split_first_chunk() {
        let sealed = usize::from(u16::from_be_bytes(*length));
        lengths.push(sealed - TAG);
        rest = &behind[sealed..];
    }
    lengths
}

/// A large message: a short record in the middle of it would cost its head and its tag for nothing.
#[test]
fn a_further_record_begins_only_where_there_is_room_for_a_full_one() {
    for (buffer, expected) in [
        (1000, vec![1000 - OVERHEAD]),
        (FULL - 1, vec![PLAINTEXT_MAX - 1]),
        (FULL, vec![PLAINTEXT_MAX]),
        (2 * FULL - 1, vec![PLAINTEXT_MAX]),
        (2 * FULL, vec![PLAINTEXT_MAX; 2]),
        (2 * FULL + 1000, vec![PLAINTEXT_MAX; 2]),
    ] {
        let mut talk = sender(Role::Server);
        talk.send(&[7; 100_000]).expect("there is room");
        assert_eq!(lengths(&mut talk, buffer), expected, "{buffer}");
    }
}

#[test]
fn what_is_rare_goes_before_the_messages_in_the_same_output() {
    let mut talk = sender(Role::Server);
    frame::auth_result(&mut talk.links[0].control, true, 0, b"welcome");
    let rare = talk.links[0].control.len();
    talk.send(b"message").expect("there is room");
    let message = frame::data_header_len(0) + frame::message_header_len(7) + 7;
    assert_eq!(lengths(&mut talk, 4 * FULL), [rare, message]);
    assert!(!talk.has_output());
}

/// What is left of a record that did not fit is no record of its own, with which an ACK could ride.
#[test]
fn an_ack_that_is_not_due_does_not_leave_with_the_rest_of_a_record() {
    let mut talk = sender(Role::Server);
    frame::auth_result(&mut talk.links[0].control, true, 0, &[7; 600]);
    let whole = talk.links[0].control.len() + OVERHEAD;
    let sent = |talk: &mut Conversation, buffer| match talk.poll_output(&mut vec![0; buffer]) {
        Some(Output::Send { len, .. }) => len,
        output => panic!("{output:?}"),
    };
    assert_eq!(sent(&mut talk, 500), 500);
    let mut frames = Vec::new();
    run(&mut frames, 0, &[vec![1; 3]]);
    talk.receive_early(&frames).expect("it may come");
    assert!(talk.recv().is_some());
    assert_eq!(sent(&mut talk, 4 * FULL), whole - 500);
    assert!(!talk.has_output());
    talk.tick(START + Timing::default().ack_delay);
    assert!(talk.has_output(), "now it is due");
}

/// Blocks of 16 bytes are quicker to seal; from 512 bytes on that is worth some zeros.
#[test]
fn a_long_record_is_padded_to_whole_blocks_and_a_short_one_is_not() {
    let heads = |length| frame::data_header_len(0) + frame::message_header_len(length);
    for (length, pads) in [(10, 0), (500, 0), (600, 4), (612, 8)] {
        let mut talk = sender(Role::Server);
        talk.send(&vec![7; length]).expect("there is room");
        let plain = heads(length) + length;
        assert_eq!(lengths(&mut talk, FULL), [plain + pads], "{length}");
    }
}

#[test]
fn unreliable_messages_fill_a_record_to_the_byte() {
    let head = frame::unreliable_header_len(8000);
    let rest = PLAINTEXT_MAX - (head + 8000) - head;
    for (second, expected) in [
        (rest - 1, vec![PLAINTEXT_MAX - 1]),
        (rest, vec![PLAINTEXT_MAX]),
        (rest + 1, vec![head + 8000, head + rest + 1]),
    ] {
        let mut talk = sender(Role::Server);
        for length in [8000, second] {
            talk.send_unreliable(&vec![7; length]).expect("there is room");
        }
        assert_eq!(lengths(&mut talk, 4 * FULL), expected, "{second}");
    }
}

/// After 16 KiB a question rides with the next record, and does not make one.
#[test]
fn behind_the_last_message_that_may_leave_nothing_follows() {
    let mut talk = linked(Role::Client, Limits::default());
    talk.acknowledged(0, 1, 1 << 20);
    let length = PLAINTEXT_MAX - frame::data_header_len(0) - frame::message_header_len(16_000);
    for _ in 0..2 {
        talk.send(&vec![7; length]).expect("there is room");
    }
    assert_eq!(lengths(&mut talk, 4 * FULL), [frame::PING_LEN, PLAINTEXT_MAX]);
    assert!(!talk.has_output());
}

/// A client's first record holds nothing but its first question; when it is too soon for one, the messages need not wait for another record.
#[test]
fn messages_leave_a_new_link_though_no_question_is_due_on_it() {
    let mut talk = sender(Role::Client);
    // No question is due within 10 ms of the last, and there is nothing before time began.
    talk.now = Instant::from_millis(1);
    talk.send(b"message").expect("there is room");
    let message = frame::data_header_len(0) + frame::message_header_len(7) + 7;
    assert_eq!(lengths(&mut talk, FULL), [message]);
}

/// On a slow line the server would wait for all of a record before it relies on the new link.
#[test]
fn what_is_unreliable_waits_until_a_client_has_proved_its_keys() {
    for rare in [false, true] {
        let mut talk = sender(Role::Client);
        talk.acks.force();
        if rare {
            frame::auth(&mut talk.links[0].control, b"me");
        }
        for _ in 0..2 {
            talk.send_unreliable(&[7; 9000]).expect("there is room");
        }
        let unreliable = frame::unreliable_header_len(9000) + 9000;
        let mut records = Vec::new();
        while talk.has_output() {
            records.extend(lengths(&mut talk, 4 * FULL));
        }
        assert!(records[0] < 50, "{records:?}");
        assert_eq!(records[1..], [unreliable; 2], "{rare}");
    }
}

/// On a line that takes less than there is to say the queue of what is unreliable is never empty.
#[test]
fn what_is_unreliable_and_what_is_not_take_turns() {
    for role in [Role::Server, Role::Client] {
        let mut talk = sender(role);
        talk.send(&[7; 3 * PLAINTEXT_MAX]).expect("there is room");
        let mut outputs = 0;
        while !talk.outbox.all_carried(&talk.links[0].cursor) {
            while talk.send_unreliable(&[7; 9000]).is_ok() {}
            assert_eq!(lengths(&mut talk, FULL).len(), 1);
            outputs += 1;
            assert!(outputs <= 8, "four records of it, and as many of the others");
        }
        assert!(outputs >= 7, "{outputs}: they have their turn, too");
    }
}

/// A server has nothing to prove, and nor has a client whose first record has left.
#[test]
fn what_is_unreliable_leaves_with_an_ack_in_one_record() {
    for role in [Role::Server, Role::Client] {
        let mut talk = sender(role);
        if role == Role::Client {
            talk.send_unreliable(&[7]).expect("there is room");
            assert_eq!(lengths(&mut talk, FULL).len(), 1, "the first");
        }
        talk.acks.force();
        talk.send_unreliable(&[7; 9000]).expect("there is room");
        let records = lengths(&mut talk, 4 * FULL);
        assert_eq!(records.len(), 1, "{records:?}");
        assert!(records[0] > 9000);
    }
}

/// An answer may have been stuck behind what the socket did not take. That a socket is still full, or was free all the time, says nothing.
#[test]
fn a_socket_that_takes_bytes_again_is_a_sign_of_life() {
    for (was, is) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut talk = sender(Role::Server);
        let timing = Timing::default();
        talk.links[0].liveness.ping(START);
        talk.set_blocked(LinkId(1), was);
        let before = talk.links[0].liveness.deadline(&timing);
        let later = Duration::from_millis(100);
        talk.now += later;
        talk.set_blocked(LinkId(1), is);
        let more = talk.links[0].liveness.deadline(&timing).since(before);
        let expected = if was && !is { later } else { Duration::ZERO };
        assert_eq!(more, expected, "was full: {was}, is full: {is}");
    }
}

/// The host says so without the time; the next call tells it.
#[test]
fn a_socket_that_takes_bytes_again_does_so_now_and_not_when_the_host_was_last_heard() {
    let calls: [fn(&mut Conversation); 2] = [
        |talk| _ = talk.poll_output(&mut [0; 1000]),
        |talk| _ = talk.check_links(),
    ];
    for call in calls {
        let mut talk = sender(Role::Server);
        let timing = Timing::default();
        talk.links[0].liveness.ping(START);
        talk.set_blocked(LinkId(1), true);
        let before = talk.links[0].liveness.deadline(&timing);
        talk.set_blocked(LinkId(1), false);
        let later = Duration::from_millis(100);
        for time in [later, later * 2] {
            talk.tick(START + time);
            call(&mut talk);
            assert_eq!(talk.links[0].liveness.deadline(&timing), before + later, "once");
        }
    }
}

/// Nobody waits for the answer.
#[test]
fn a_link_on_its_way_out_asks_nothing_beside_what_it_says() {
    let later = START + Duration::from_secs(1);
    for (life, asks) in [(Life::Open, 1), (Life::Draining(later), 0), (Life::Closing(later), 0)] {
        let mut talk = sender(Role::Client);
        talk.links[0].life = life;
        frame::close_ack(&mut talk.links[0].control, 0);
        let said = talk.links[0].control.len();
        assert_eq!(lengths(&mut talk, FULL), [said + asks * frame::PING_LEN], "{life:?}");
    }
}
