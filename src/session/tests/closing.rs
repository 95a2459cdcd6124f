//! How a session ends: when a closing one looks again, what it does not wait for, and which reason is told.

use bytes::Bytes;
use core::time::Duration;

use super::{START, conversation, link, linked};
use crate::config::Limits;
use crate::error::CloseReason;
use crate::event::{Event, HandoverCause, LinkId};
use crate::session::auth::Auth;
use crate::session::closing::{Closing, LINGER};
use crate::session::conversation::{Conversation, Role};
use crate::time::Instant;
use crate::wire::frame::{Close, CloseKind, Frame, Frames};

const LOCAL: CloseReason = CloseReason::Local { code: 5 };
const MICROSECOND: Duration = Duration::from_micros(1);

fn lingering(since: Option<Instant>, sent: Option<LinkId>) -> Closing {
    Closing::Lingering {
        kind: CloseKind::Application,
        code: 5,
        reason: LOCAL,
        since,
        sent,
    }
}

/// The first look is at half the time, when CLOSE leaves whatever is still to be carried; the second at the end.
#[test]
fn a_closing_session_looks_again_at_half_of_its_time_and_at_its_end() {
    let half = START + Duration::from_secs(1);
    let end = START + Duration::from_secs(2);
    assert_eq!(
        lingering(None, None).deadline(START),
        Instant::ZERO,
        "it needs the time"
    );
    let mut closing = lingering(None, None);
    closing.tick(START);
    assert_eq!(closing.deadline(START), half);
    assert_eq!(closing.deadline(START + Duration::from_millis(999)), half);
    assert_eq!(closing.deadline(half), end, "nothing came of the first look");
    assert_eq!(closing.deadline(half + MICROSECOND), end);
    let sent = lingering(Some(START), Some(LinkId(1)));
    assert_eq!(sent.deadline(START), end, "only the answer is awaited");
    assert_eq!(Closing::No.deadline(START), Instant::FAR_FUTURE);
    assert_eq!(Closing::Done(LOCAL).deadline(START), Instant::FAR_FUTURE);
}

#[test]
fn close_waits_for_what_is_to_be_carried_but_not_beyond_half_of_the_time() {
    let mut talk = linked(Role::Client, Limits::default());
    talk.send(b"the peer gives no credit for it").expect("there is room");
    talk.close(CloseKind::Application, 5, LOCAL);
    talk.tick(START);
    talk.tick(START + (LINGER / 2 - MICROSECOND));
    talk.check_closing();
    assert!(talk.links[0].control.is_empty(), "it is still waiting");
    talk.tick(START + LINGER / 2);
    talk.check_closing();
    let frames: alloc::vec::Vec<_> = Frames::new(&talk.links[0].control).collect();
    let expected = Close {
        kind: CloseKind::Application,
        code: 5,
        send_end: 1,
        recv_next: 0,
    };
    assert_eq!(frames, [Ok(Frame::Close(expected))]);
}

/// What a CLOSE waits for may be over in any call: one that tells the time, or one that brings the ACK of what another link carried. From then on it is
/// asked for at once, and once: where it cannot leave yet it waits with all else that link has.
#[test]
fn a_close_that_has_come_due_is_asked_for_whatever_call_it_was() {
    let waiting = |acked: bool| {
        let mut talk = linked(Role::Client, Limits::default());
        talk.acknowledged(0, u64::from(acked), 1000);
        talk.send(b"before it").expect("there is room");
        let mut buffer = [0; 1000];
        assert_eq!(talk.poll_output(&mut buffer).is_some(), acked);
        talk.links.push(link(Role::Client, 2));
        talk.links[1].blocked = true;
        talk.close(CloseKind::Application, 5, LOCAL);
        talk.tick(START);
        assert!(
            !talk.has_output() && talk.next_deadline() > START,
            "it is still waiting"
        );
        talk
    };
    for (acked, blocked) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut talk = waiting(acked);
        if acked {
            talk.acknowledged(1, 0, 1000);
        } else {
            talk.tick(START + LINGER / 2);
        }
        talk.links[1].blocked = blocked;
        assert!(talk.has_output() && talk.next_deadline() == talk.now, "acked: {acked}");
        let mut buffer = [0; 1000];
        assert_eq!(talk.poll_output(&mut buffer).is_some(), !blocked, "acked: {acked}");
        while talk.poll_output(&mut buffer).is_some() {}
        assert!(!talk.has_output() && talk.next_deadline() > talk.now, "acked: {acked}");
        assert!(!talk.closing.allows_more(), "it is said, or as good as that");
    }
}

/// It may be lost, but not for certain.
#[test]
fn close_waits_for_what_is_unreliable_too() {
    let mut talk = linked(Role::Client, Limits::default());
    talk.send_unreliable(b"goodbye").expect("there is room");
    talk.close(CloseKind::Application, 5, LOCAL);
    talk.tick(START);
    talk.check_closing();
    assert!(talk.links[0].control.is_empty(), "it is still waiting");
    let mut buffer = [0; 1000];
    assert!(talk.poll_output(&mut buffer).is_some());
    assert!(talk.unreliable.is_empty(), "it has left");
    let frames: alloc::vec::Vec<_> = Frames::new(&talk.links[0].control).collect();
    assert!(matches!(frames[..], [Ok(Frame::Close(_))]), "{frames:?}");
    // Where it cannot leave it is not waited for beyond half of the time.
    let mut talk = linked(Role::Client, Limits::default());
    talk.send_unreliable(b"goodbye").expect("there is room");
    talk.links[0].blocked = true;
    talk.close(CloseKind::Application, 5, LOCAL);
    talk.tick(START);
    talk.tick(START + LINGER / 2);
    talk.check_closing();
    assert!(!talk.links[0].control.is_empty());
}

/// G2: what the peer says of the end reaches the application; and what only a server can say is not believed of a client.
#[test]
fn each_end_is_told_by_the_name_that_the_peer_gave_it() {
    let code = 9;
    let own = [
        (CloseKind::Expired, CloseReason::Expired),
        (CloseKind::Kicked, CloseReason::Kicked { code }),
        (CloseKind::Superseded, CloseReason::Superseded),
        (CloseKind::NotAuthorised, CloseReason::Refused { code }),
    ];
    let common = [
        (CloseKind::Overflow, CloseReason::Overflow),
        (CloseKind::Internal, CloseReason::Internal),
        (CloseKind::RolledBack, CloseReason::RolledBack),
    ];
    let by_peer = CloseReason::Peer { code, truncated: false };
    let told_by = |role, kind| {
        let mut talk = linked(role, Limits::default());
        let close = Close {
            kind,
            code,
            send_end: 0,
            recv_next: 0,
        };
        talk.peer_closed(0, &close);
        assert_eq!(
            Some(&Event::Closed(talk.closing.reason().expect("it is over"))),
            talk.events.back()
        );
        let answers: alloc::vec::Vec<_> = Frames::new(&talk.links[0].control).collect();
        assert_eq!(answers, [Ok(Frame::CloseAck { recv_next: 0 })]);
        talk.closing.reason()
    };
    for (kind, reason) in own {
        assert_eq!(told_by(Role::Client, kind), Some(reason));
        assert_eq!(told_by(Role::Server, kind), Some(by_peer), "{kind:?} of a client");
    }
    for (kind, reason) in common {
        assert_eq!(told_by(Role::Client, kind), Some(reason));
        assert_eq!(told_by(Role::Server, kind), Some(reason));
    }
    assert_eq!(told_by(Role::Client, CloseKind::Application), Some(by_peer));
}

#[test]
fn a_peer_that_closes_before_its_last_message_came_is_told_apart() {
    for (send_end, truncated) in [(0, false), (1, true)] {
        let mut talk = linked(Role::Server, Limits::default());
        let close = Close {
            kind: CloseKind::Application,
            code: 3,
            send_end,
            recv_next: 0,
        };
        talk.peer_closed(0, &close);
        assert_eq!(talk.closing.reason(), Some(CloseReason::Peer { code: 3, truncated }));
    }
}

#[test]
fn without_a_link_there_is_nobody_to_tell_and_it_ends_at_once() {
    let mut talk = conversation(Role::Client, Limits::default());
    talk.close(CloseKind::Application, 5, LOCAL);
    assert_eq!(talk.closing.reason(), Some(LOCAL));
}

/// What is left to say goes on the one link there is, which is the first; when that breaks, the session is over.
fn says_the_rest_and_is_over(mut talk: Conversation) {
    let mut buffer = [0; 1000];
    while talk.poll_output(&mut buffer).is_some() {}
    assert!(
        talk.outbox.all_carried(&talk.links[0].cursor),
        "the message comes first"
    );
    let said = Some(LinkId(1));
    assert!(matches!(talk.closing, Closing::Lingering { sent, .. } if sent == said));
    assert!(talk.links[0].control.is_empty(), "it has left");
    let older = talk.links.remove(0);
    assert!(!talk.after_loss(&older, HandoverCause::LinkLost));
    assert_eq!(talk.closing.reason(), Some(LOCAL), "that was the last");
}

/// U-60: the server may have left the newer link before it heard of it, and then the older one is still where it listens.
#[test]
fn a_goodbye_whose_link_breaks_is_said_on_the_one_before_it() {
    let mut talk = linked(Role::Client, Limits::default());
    talk.acknowledged(0, 10, 1000);
    talk.send(b"behind this").expect("there is room");
    talk.links.push(link(Role::Client, 2));
    talk.drain_older(START + LINGER);
    talk.close(CloseKind::Application, 5, LOCAL);
    talk.tick(START);
    talk.check_closing();
    let newer = talk.links.remove(1);
    assert!(!talk.after_loss(&newer, HandoverCause::LinkLost));
    assert_eq!(talk.closing.reason(), None, "there is a link left");
    says_the_rest_and_is_over(talk);
}

/// The same where the newer link broke before the goodbye, which the server may not have heard of either.
#[test]
fn a_goodbye_after_the_newest_link_broke_is_said_on_the_one_before_it() {
    let mut talk = linked(Role::Client, Limits::default());
    talk.acknowledged(0, 10, 1000);
    talk.links.push(link(Role::Client, 2));
    talk.drain_older(START + LINGER);
    talk.send(b"behind this").expect("there is room");
    let newer = talk.links.remove(1);
    assert!(talk.after_loss(&newer, HandoverCause::LinkLost));
    talk.close(CloseKind::Application, 5, LOCAL);
    assert_eq!(talk.closing.reason(), None, "there is a link that is still read");
    says_the_rest_and_is_over(talk);
}

/// Nobody asked its timers while it was on its way out: what they would have said by now says nothing of it, least of all that it is dead.
#[test]
fn the_link_that_a_goodbye_comes_back_to_has_its_timers_anew() {
    let mut talk = linked(Role::Client, Limits::default());
    talk.acknowledged(0, 10, 1000);
    talk.links[0].liveness.ping(START);
    talk.links.push(link(Role::Client, 2));
    talk.drain_older(START + LINGER * 30);
    talk.tick(START + LINGER * 25);
    talk.close(CloseKind::Application, 5, LOCAL);
    talk.tick(START + LINGER * 25);
    let newer = talk.links.remove(1);
    assert!(!talk.after_loss(&newer, HandoverCause::LinkLost));
    assert!(talk.timer_deadline() >= talk.now);
    talk.check_links();
    assert_eq!((talk.links.len(), talk.closing.reason()), (1, None));
}

/// U-50: nobody would read it. A client that asks once more while the goodbye is under way gets no second verdict behind it.
#[test]
fn behind_a_close_no_verdict_is_repeated() {
    let mut talk = linked(Role::Server, Limits::default());
    talk.auth = Auth::Accepted { message: Bytes::new() };
    talk.close(CloseKind::Application, 5, LOCAL);
    let said = talk.links[0].control.len();
    assert!(said > 0, "there was nothing to wait for");
    talk.repeat_verdict(0);
    assert_eq!(talk.links[0].control.len(), said);
    // The link went, and the CLOSE is to be said anew: the verdict comes before it.
    talk.closing.moved();
    talk.repeat_verdict(0);
    assert!(talk.links[0].control.len() > said);
}

/// U-60: the rest of what was to be carried does not follow, even if the peer gives credit for it now.
#[test]
fn nothing_follows_a_close() {
    let mut talk = linked(Role::Client, Limits::default());
    talk.send(b"the peer gives no credit for it").expect("there is room");
    talk.close(CloseKind::Application, 5, LOCAL);
    talk.tick(START);
    talk.tick(START + LINGER / 2);
    talk.check_closing();
    let mut buffer = [0; 1000];
    assert!(talk.poll_output(&mut buffer).is_some(), "the CLOSE");
    talk.acknowledged(0, 10, 1000);
    assert_eq!(talk.poll_output(&mut buffer), None);
}
