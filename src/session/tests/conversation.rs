//! What both ends have in common: which link carries, what a peer may claim, what a handover is said to have cost, and who may read when.

use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

use super::inbox::run;
use super::{START, conversation, link, linked, peer, record};
use crate::config::Limits;
use crate::error::CloseReason;
use crate::event::{Event, HandoverCause, SessionId, State};
use crate::session::Batch;
use crate::session::ack::Taken;
use crate::session::auth::{Auth, Verdict};
use crate::session::conversation::{Conversation, Gate, Role, Settings};
use crate::session::handover::Handover;
use crate::session::link::Life;
use crate::session::outbox::{Credit, Outbox};
use crate::wire::flight::Position;
use crate::wire::frame::{self, Close, CloseKind, Frame, Frames};

const LOCAL: CloseReason = CloseReason::Local { code: 0 };

/// One message, as the early data of a RESUME brings it.
fn brings(talk: &mut Conversation, seq: u64, message: &[u8]) {
    let mut frames = Vec::new();
    let mut head = [0; 16];
    let used = frame::data_header(&mut head, seq);
    frames.extend_from_slice(&head[..used]);
    let used = frame::message_header(&mut head, message.len());
    frames.extend_from_slice(&head[..used]);
    frames.extend_from_slice(message);
    talk.receive_early(&frames).expect("it may come");
}

/// Of any three links in any state, the last that is open carries, and no other.
#[test]
fn the_newest_open_link_carries_and_no_other() {
    let lives = [Life::Open, Life::Draining(START), Life::Closing(START)];
    for row in 0..27 {
        let chosen = [lives[row % 3], lives[row / 3 % 3], lives[row / 9]];
        let mut talk = conversation(Role::Client, Limits::default());
        for (number, life) in (1..).zip(chosen) {
            let mut link = link(Role::Client, number);
            link.life = life;
            talk.links.push(link);
        }
        let expected = (0..3).rev().find(|&index| chosen[index] == Life::Open);
        assert_eq!(talk.carrier(), expected, "{chosen:?}");
        for index in 0..3 {
            assert_eq!(talk.is_carrier(index), expected == Some(index), "{index} of {chosen:?}");
        }
    }
}

/// U-17, U-21: a claim to know more of this end than it did itself means that it has lost state.
#[test]
fn a_peer_cannot_know_more_than_this_end_did() {
    let mut talk = conversation(Role::Server, Limits::default());
    for _ in 0..4 {
        talk.send(&[1; 10]).expect("there is room");
    }
    talk.acknowledged(2, 10, 1000);
    brings(&mut talk, 0, b"taken");
    brings(&mut talk, 1, b"not taken");
    assert!(talk.recv().is_some());
    let possible = |recv_next, recv_offset, acked| {
        let position = Position {
            recv_next,
            recv_offset,
            delivered: 0,
        };
        talk.is_possible(&position, acked)
    };
    for recv_next in 0..=4 {
        assert!(
            possible(recv_next, 0, 0),
            "{recv_next}: an older claim is no sign of anything"
        );
    }
    assert!(!possible(5, 0, 0), "there are four messages");
    assert!(possible(4, 0, 1));
    assert!(!possible(4, 0, 2), "only one was taken, so nothing else was ACKed");
    assert!(possible(3, 9, 0), "the beginning of a message");
    assert!(!possible(3, 10, 0), "that would be all of it");
    assert!(!possible(2, 10, 0), "also of the first that is not ACKed");
    assert!(possible(1, 10, 0), "what is ACKed is forgotten, and cannot be judged");
    assert!(!possible(4, 1, 0), "nothing of it was made");
}

#[test]
fn whoever_starts_over_forgets_whom_it_spoke_with() {
    let mut talk = Conversation::new(
        Role::Client,
        Arc::new(Settings::default()),
        Auth::Asking {
            credential: Bytes::new(),
        },
        START,
    );
    talk.send(b"it waits for anybody").expect("there is room");
    talk.id = Some(SessionId([4; 16]));
    talk.peer_max_message = 2000;
    talk.credit = Credit {
        messages: 7,
        payload: 70,
    };
    talk.acks.force();
    talk.forget_peer();
    assert_eq!(talk.id, None);
    assert_eq!(talk.credit, Credit::default());
    assert_eq!(talk.peer_max_message, Limits::default().message);
    assert!(!talk.acks.due(START), "nothing is owed to the former peer");
    assert_eq!(talk.outbox.messages(), 1, "the application's message is kept");
}

/// The counters add up over handovers, and each handover over its links.
#[test]
fn what_handovers_sent_again_is_added_up() {
    let mut talk = linked(Role::Client, Limits::default());
    for (messages, bytes) in [(2, 20), (3, 50)] {
        talk.begin_handover(HandoverCause::LinkLost, Some(START));
        talk.handover.replays((messages, bytes));
        talk.handover.replays((1, 7));
        talk.carried_again(true);
        let Some(Event::HandoverEnd(end)) = talk.events.pop_back() else {
            panic!("it has ended");
        };
        assert_eq!((end.replayed_messages, end.replayed_bytes), (messages + 1, bytes + 7));
    }
    let stats = talk.stats_now();
    assert_eq!(
        (stats.handovers, stats.replayed_messages, stats.replayed_bytes),
        (2, 7, 84)
    );
}

/// A handover that ends while the session closes tells its downtime as any other.
#[test]
fn a_link_that_breaks_while_the_session_closes_counts_in_the_handover_that_has_begun() {
    let mut talk = linked(Role::Server, Limits::default());
    let mut newer = link(Role::Server, 2);
    newer.confirmed = false;
    talk.links.push(newer);
    talk.begin_handover(HandoverCause::PeerMoved, None);
    talk.close(CloseKind::Application, 5, CloseReason::Local { code: 5 });
    talk.tick(START + Duration::from_secs(2));
    let gone = talk.close_link(0);
    talk.after_loss(&gone, HandoverCause::LinkLost);
    talk.tick(START + Duration::from_secs(5));
    talk.carried_again(true);
    let Some(Event::HandoverEnd(end)) = talk.events.pop_back() else {
        panic!("it has ended");
    };
    assert_eq!(end.downtime, Duration::from_secs(3));
}

#[test]
fn a_link_that_carries_again_was_not_down() {
    let second = Duration::from_secs(1);
    let mut handover = Handover::default();
    handover.begin(HandoverCause::LinkSuspect, Some(START));
    let end = handover.end(START + second, true).expect("it is under way");
    assert_eq!(end.downtime, second);
    handover.begin(HandoverCause::LinkSuspect, Some(START));
    handover.alive_again();
    let end = handover.end(START + second, true).expect("it is under way");
    assert_eq!(end.downtime, Duration::ZERO);
    handover.begin(HandoverCause::LinkSuspect, Some(START));
    handover.alive_again();
    handover.begin(HandoverCause::LinkLost, Some(START + second));
    let end = handover.end(START + second * 3, true).expect("it is under way");
    assert_eq!(end.downtime, second * 2, "since it went for good");
}

/// G8: whoever ends the session does not want to hear of a handover.
#[test]
fn a_session_that_is_being_ended_begins_no_handover() {
    let mut talk = linked(Role::Client, Limits::default());
    talk.send(b"so that it is not over at once").expect("there is room");
    talk.close(CloseKind::Application, 0, LOCAL);
    talk.begin_handover(HandoverCause::NetworkChanged, None);
    assert!(
        !talk
            .events
            .iter()
            .any(|event| matches!(event, Event::HandoverBegin { .. }))
    );
    assert!(!talk.handover.fail(), "none is under way");
}

#[test]
fn the_application_is_awaited_only_while_it_judges_a_client_that_is_there() {
    let mut talk = linked(Role::Server, Limits::default());
    assert!(!talk.awaits_verdict(), "it has judged");
    talk.auth = Auth::Expected { open_to_all: false };
    assert!(!talk.awaits_verdict(), "there is nothing to judge");
    talk.ask(b"let me in", false);
    assert!(talk.awaits_verdict());
    talk.send(b"so that it is not over at once").expect("there is room");
    talk.close(CloseKind::Kicked, 0, LOCAL);
    assert!(!talk.awaits_verdict(), "the session is being ended");
}

/// U-42, and the same for a session that is on its way elsewhere: what waits is not given out, neither one by one nor all at once.
#[test]
fn nothing_is_given_out_before_the_verdict_or_while_out_of_reach() {
    for one_by_one in [true, false] {
        let mut talk = linked(Role::Server, Limits::default());
        talk.auth = Auth::Judging;
        let mut record = Vec::new();
        run(
            &mut record,
            0,
            &["first", "second", "third"].map(|message| message.as_bytes().to_vec()),
        );
        talk.receive_early(&record).expect("it may come");
        let gets = |talk: &mut Conversation| {
            if one_by_one {
                talk.recv().is_some()
            } else {
                talk.recv_batch(&mut Batch::new())
            }
        };
        assert!(!gets(&mut talk), "nobody has judged");
        talk.frozen = true;
        assert!(!gets(&mut talk), "nor is it in reach");
        talk.auth = Auth::Accepted { message: Bytes::new() };
        // Before the first, which an ACK must be decided for, and behind it.
        for delivered in if one_by_one { [0, 1] } else { [0, 3] } {
            for out_of_reach in [(true, false), (false, true), (true, true)] {
                (talk.frozen, talk.moved) = out_of_reach;
                assert!(!gets(&mut talk), "{out_of_reach:?}");
            }
            assert_eq!(talk.inbox.delivered(), delivered);
            (talk.frozen, talk.moved) = (false, false);
            assert_eq!(gets(&mut talk), delivered < 3);
        }
    }
}

/// U-61: what arrived before the end is its application's, though that was not let in. A server's is told nothing of a client that it turned away.
#[test]
fn a_client_that_was_turned_away_reads_what_had_arrived() {
    for one_by_one in [true, false] {
        let mut talk = linked(Role::Client, Limits::default());
        let credential = Bytes::new();
        talk.auth = Auth::Asking { credential };
        let mut frames = Vec::new();
        run(&mut frames, 0, &[b"why".to_vec()]);
        frame::auth_result(&mut frames, false, 7, b"no");
        let close = Close {
            kind: CloseKind::NotAuthorised,
            code: 7,
            send_end: 1,
            recv_next: 0,
        };
        frame::close(&mut frames, &close);
        let taken = talk.receive(0, &record(&mut peer(), &frames), &mut Vec::new());
        assert!(taken.is_ok());
        assert_eq!(talk.closing.reason(), Some(CloseReason::Refused { code: 7 }));
        if one_by_one {
            assert_eq!(talk.recv().map(|found| found.payload), Some(&b"why"[..]));
        } else {
            assert!(talk.recv_batch(&mut Batch::new()));
        }
    }
    let mut talk = linked(Role::Server, Limits::default());
    talk.auth = Auth::Judging;
    brings(&mut talk, 0, b"let me in");
    let message = Bytes::new();
    assert!(talk.judge(Verdict::Refuse { code: 7, message }));
    assert!(talk.recv().is_none() && !talk.recv_batch(&mut Batch::new()));
}

/// Durable: what the application took and the store does not have may still be lost.
#[test]
fn an_ack_says_what_the_store_has_and_no_more() {
    let mut talk = linked(Role::Server, Limits::default());
    talk.gate = Some(Gate {
        send_end: 0,
        taken: Taken::default(),
    });
    for (delivered, bytes, expected) in [(2, 7, (2, 7)), (2, 7, (2, 7)), (3, 4, (3, 11))] {
        talk.committed(0, delivered, bytes);
        assert_eq!((talk.may_ack().messages, talk.may_ack().bytes), expected);
    }
}

/// A client that asks for the verdict all the time gets as many answers as fit beside each other, and costs no more memory than that.
#[test]
fn a_verdict_is_repeated_only_while_few_answers_wait() {
    let mut talk = linked(Role::Server, Limits::default());
    for (waiting, said) in [(frame::AUTH_MAX - 1, true), (frame::AUTH_MAX, false)] {
        talk.links[0].control = alloc::vec![0; waiting];
        talk.repeat_verdict(0);
        assert_eq!(talk.links[0].control.len() > waiting, said, "{waiting}");
    }
}

/// Whenever it falls: also for a client that has said goodbye meanwhile, and asks again.
#[test]
fn a_verdict_says_so_much_and_no_more() {
    for closed in [false, true] {
        let mut talk = linked(Role::Server, Limits::default());
        talk.auth = Auth::Judging;
        if closed {
            talk.close(CloseKind::Application, 0, LOCAL);
        }
        let message = alloc::vec![7; frame::AUTH_RESULT_MAX + 1].into();
        assert!(talk.judge(Verdict::Accept { message }));
        talk.links[0].control.clear();
        // On a new link, where CLOSE has not been said.
        talk.closing.moved();
        talk.repeat_verdict(0);
        let mut frames = Frames::new(&talk.links[0].control);
        let told = frames.next().expect("a frame").expect("a sound one");
        let message = &[7; frame::AUTH_RESULT_MAX][..];
        let (accepted, code) = (true, 0);
        assert_eq!(
            told,
            Frame::AuthResult {
                accepted,
                code,
                message
            },
            "closed: {closed}"
        );
    }
}

/// A good verdict that comes while the session ends: its application hears of the beginning first, and behind Closed of nothing.
#[test]
fn who_is_let_in_while_the_session_ends_is_told_of_before_what_he_says() {
    for closed in [false, true] {
        let mut talk = linked(Role::Server, Limits::default());
        (talk.auth, talk.state) = (Auth::Judging, State::Standby);
        talk.id = Some(SessionId([1; 16]));
        brings(&mut talk, 0, b"let me in");
        talk.close(CloseKind::Kicked, 0, LOCAL);
        if closed {
            talk.finish(LOCAL);
        }
        talk.events.clear();
        let message = Bytes::new();
        assert!(talk.judge(Verdict::Accept { message }));
        let told: Vec<_> = talk.events.drain(..).collect();
        if closed {
            assert_eq!(told, []);
        } else {
            assert!(
                matches!(
                    told[..],
                    [
                        Event::State(State::Established),
                        Event::Established { .. },
                        Event::Readable
                    ]
                ),
                "{told:?}"
            );
        }
        assert_eq!(talk.recv().map(|found| found.payload), Some(&b"let me in"[..]));
    }
}

/// What may have arrived and what may not is told apart when an outbox comes back: only the former is sent *again*.
#[test]
fn a_restored_outbox_knows_how_far_it_was_carried() {
    let mut entries = Vec::new();
    let mut head = [0; 8];
    for length in 1..=4 {
        let used = frame::message_header(&mut head, length);
        entries.extend_from_slice(&head[..used]);
        entries.resize(entries.len() + length, 9);
    }
    // Messages 10 to 13, of 1, 2, 3 and 4 bytes.
    for (carried, bytes) in [(10, 0), (11, 1), (12, 3), (13, 6), (14, 10)] {
        let outbox = Outbox::restore(10, carried, 4, &entries);
        assert_eq!(outbox.carried(), carried);
        assert_eq!(outbox.replayed(&outbox.rewind()), (carried - 10, bytes), "{carried}");
        assert_eq!((outbox.acked(), outbox.next(), outbox.payload()), (10, 14, 10));
        assert_eq!(outbox.taken(), Taken::default(), "none of it is new");
    }
}

/// Nothing carried the session there, so nothing needs to be said again, and a handover that is under way is not over.
#[test]
fn the_loss_of_a_link_that_did_not_carry_changes_nothing() {
    for life in [Life::Draining(START), Life::Closing(START)] {
        let mut talk = linked(Role::Client, Limits::default());
        talk.begin_handover(HandoverCause::NetworkChanged, None);
        talk.events.clear();
        let mut gone = link(Role::Client, 0);
        gone.life = life;
        assert!(!talk.after_loss(&gone, HandoverCause::LinkLost));
        assert!(talk.events.is_empty() && !talk.acks.due(START), "{life:?}");
    }
}
