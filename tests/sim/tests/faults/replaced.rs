//! One link replaces another: what an older or an unconfirmed one may and may not do to the session (U-23, U-52, U-60, F-15, F-106).

use core::time::Duration;

use bytes::Bytes;
use unbroken::{CloseReason, Event, HandoverEnd, LinkId, NetworkEvent, NetworkId, State, Target, Verdict};
use unbroken_sim::ServerBench;
use unbroken_sim::raw::{RawClient, RawFrame, RawLink, Resume, frames};

use crate::common::*;

/// A second link beside the first, whose ACCEPT the client has and which it has not confirmed.
fn second_link(bench: &mut ServerBench, client: &mut RawClient) -> (LinkId, RawLink, Vec<RawFrame>) {
    let (flight, pending) = client.resume(&Resume::default());
    let (link, answer) = bench.connect(&flight);
    let (_, mut wire, len) = client.accept(pending, &answer).expect("an ACCEPT");
    let heard = wire.open(&answer[len..]);
    (link, wire, heard)
}

#[test]
fn u52_the_old_link_may_end_before_the_new_one_is_confirmed() {
    let mut hand = Hand::new();
    let (link, wire, _) = second_link(&mut hand.bench, &mut hand.client);
    hand.bench.down(hand.link);
    (hand.link, hand.wire) = (link, wire);
    hand.say(&[frames::ack(0, 4096, 1 << 20), frames::data(0, &[b"here"])].concat());
    assert_eq!(hand.delivered(), [b"here".to_vec()]);
    assert_eq!(hand.state(), Some(State::Established), "its link is up");
    assert_eq!(hand.bench.endpoint.detached(), 0);
    let events = hand.bench.take_events();
    let last = events.iter().rev().find_map(|event| match event {
        Event::State(state) => Some(*state),
        _ => None,
    });
    assert_eq!(last.unwrap_or(State::Established), State::Established, "{events:?}");
}

#[test]
fn u52_a_verdict_counts_if_the_old_link_ended_before_the_new_one_was_confirmed() {
    let mut bench = ServerBench::new(server_config().build().unwrap());
    bench.lets_in = false;
    let mut client = RawClient::new(server_key().public(), REALM, 31);
    let (first, mut wire, _) = hello(&mut bench, &mut client);
    bench.input(first, &wire.seal(&frames::auth(b"me")));
    let (second, mut wire, _) = second_link(&mut bench, &mut client);
    bench.down(first);
    let again = [frames::auth(b"me"), frames::ack(0, 4096, 1 << 20)].concat();
    bench.input(second, &wire.seal(&again));
    let id = unbroken::SessionId(client.session_id);
    let mut session = bench.endpoint.session(id).unwrap();
    assert_eq!(session.state(), State::Standby);
    assert!(session.authorise(Verdict::Accept { message: Bytes::new() }));
    assert_eq!(session.state(), State::Established);
}

#[test]
fn u60_close_and_what_stands_before_it_go_to_a_newer_link() {
    let mut hand = Hand::new();
    // All of it goes into a link that is a black hole by now.
    let mut session = hand.bench.endpoint.session(hand.id).unwrap();
    for message in [&b"a"[..], b"b", b"c"] {
        session.send(message.to_vec().into()).unwrap();
    }
    session.close(6);
    drop(session);
    hand.bench.pump();
    hand.bench.pass(300 * MS);
    let (link, wire, mut heard) = second_link(&mut hand.bench, &mut hand.client);
    let (old, mut old_wire) = (hand.link, core::mem::replace(&mut hand.wire, wire));
    hand.link = link;
    hand.say(&frames::ack(0, 4096, 1 << 20));
    hand.bench.pass(1500 * MS);
    heard.extend(hand.hear());
    let sent: Vec<_> = messages(&heard).into_iter().map(|(_, m)| m).collect();
    assert_eq!(sent, [b"a", b"b", b"c"].map(|m| m.to_vec()), "{heard:?}");
    let close = heard.iter().position(|f| {
        matches!(
            f,
            RawFrame::Close {
                kind: 0,
                code: 6,
                send_end: 3,
                ..
            }
        )
    });
    let data = heard.iter().rposition(|f| matches!(f, RawFrame::Data { .. }));
    assert!(
        close.is_some() && data < close,
        "CLOSE comes behind the last message: {heard:?}"
    );
    // The old link was told once how it ends.
    let bytes = hand.bench.links.take(old);
    let old_heard = old_wire.open(&bytes);
    let closes = old_heard.iter().filter(|f| matches!(f, RawFrame::Close { .. })).count();
    assert_eq!(closes, 1, "{old_heard:?}");
    hand.say(&frames::close_ack(3));
    hand.bench.pass(3 * SECOND);
    let events = hand.bench.take_events();
    assert_eq!(events.last(), Some(&Event::Closed(CloseReason::Local { code: 6 })));
    assert_eq!(hand.bench.endpoint.links(), 0);
}

#[test]
fn f15_an_older_resume_that_comes_in_late_does_not_displace_a_newer_one() {
    let mut hand = Hand::with(server_config().ask_on_resume(true).build().unwrap());
    let (older, _) = hand.client.resume(&Resume::default());
    let (newer, pending) = hand.client.resume(&Resume::default());
    // Enough of the older one to be judged; then the newer one comes whole and waits for the application.
    let (slow, _) = hand.bench.connect(&older[..100]);
    let (link, answer) = hand.bench.connect(&newer);
    assert_eq!(answer, []);
    assert!(hand.bench.take_events().contains(&Event::ResumeRequest));
    hand.bench.input(slow, &older[100..]);
    assert!(hand.bench.links.closed.contains(&slow), "the older one is stale");
    assert!(
        !hand.bench.links.closed.contains(&link),
        "the client's link was closed for one it has left"
    );
    assert!(hand.bench.endpoint.session(hand.id).unwrap().answer_resume(Ok(())));
    hand.bench.pump();
    let answer = hand.bench.links.take(link);
    assert!(hand.client.accept(pending, &answer).is_some(), "{answer:02x?}");
}

/// A client that has moved to a second link, lost it, and was told to come back in `wait_ms`. The first link still drains.
fn told_to_wait(wait_ms: u32) -> (Guest, LinkId) {
    let mut guest = Guest::new();
    let old = guest.link;
    guest.bench.network(NetworkEvent::Changed(NetworkId(1)));
    guest.resume(0);
    assert!(!guest.bench.links.closed.contains(&old), "it drains");
    guest.bench.down(guest.link);
    let (link, _) = guest.bench.link_up();
    let busy = guest.server.refuse(1, wait_ms, [1, 1]);
    guest.bench.input(link, &busy);
    assert!(guest.bench.links.asked.is_empty(), "U-23");
    (guest, old)
}

#[test]
fn u23_the_end_of_an_older_link_does_not_shorten_the_wait() {
    let (mut guest, old) = told_to_wait(1000);
    guest.bench.down(old);
    guest.bench.pass(950 * MS);
    assert!(guest.bench.links.asked.is_empty(), "it was asked to wait 1 s");
    guest.bench.pass(SECOND);
    assert!(!guest.bench.links.asked.is_empty(), "and comes back");
    // Nor does its time running out.
    let (mut guest, old) = told_to_wait(5000);
    guest.bench.pass(4900 * MS);
    assert!(guest.bench.links.closed.contains(&old), "U-52");
    assert!(guest.bench.links.asked.is_empty(), "it was asked to wait 5 s");
    guest.bench.pass(4 * SECOND);
    assert!(!guest.bench.links.asked.is_empty(), "and comes back");
}

/// A client that follows a DRAIN, and the first server it comes to has no time.
fn turned_away_after_drain() -> Guest {
    let mut guest = Guest::new();
    guest.say(&frames::drain(100, "other:1"));
    talk_on(&mut guest, SECOND);
    let (link, _) = guest.bench.link_up();
    let busy = guest.server.refuse(1, 1000, [1, 1]);
    guest.bench.input(link, &busy);
    guest
}

fn handover_end(events: &[Event]) -> Option<HandoverEnd> {
    events.iter().find_map(|event| match event {
        Event::HandoverEnd(end) => Some(*end),
        _ => None,
    })
}

#[test]
fn f106_a_drain_is_followed_although_the_first_try_is_turned_away() {
    let mut guest = turned_away_after_drain();
    assert_eq!(handover_end(&guest.bench.events), None, "it has not moved");
    talk_on(&mut guest, 10 * SECOND);
    let (_, target, _) = guest
        .bench
        .links
        .asked
        .front()
        .expect("it stays on a server that goes away");
    assert_eq!(*target, Target::Advised("other:1".into()));
    guest.server.token = 2;
    let (link, flight) = guest.bench.link_up();
    let served = guest.server.read(&flight);
    let (answer, wire) = guest.server.accept(served, 0, 0, 0);
    guest.bench.input(link, &answer);
    (guest.link, guest.wire) = (link, wire);
    let end = handover_end(&guest.bench.events).expect("it has moved");
    assert_eq!((end.downtime, end.same_server), (Duration::ZERO, false));
    // That was it: it does not move on and on.
    talk_on(&mut guest, 10 * SECOND);
    assert!(guest.bench.links.asked.is_empty(), "{:?}", guest.bench.links.asked);
}

#[test]
fn f106_servers_that_send_a_client_on_and_on_cause_no_storm() {
    let mut guest = Guest::new();
    let until = guest.bench.now + 10 * SECOND;
    let mut moves = 0;
    while guest.bench.now < until && moves < 200 {
        guest.say(&frames::drain(0, "other:1"));
        talk_on(&mut guest, SECOND);
        assert!(!guest.bench.links.asked.is_empty(), "it moves");
        let (link, flight) = guest.bench.link_up();
        let served = guest.server.read(&flight);
        let (answer, wire) = guest.server.accept(served, 0, 0, 0);
        guest.bench.input(link, &answer);
        (guest.link, guest.wire) = (link, wire);
        moves += 1;
    }
    // Some at once, as after links that break, and then no more than for a network that flaps.
    assert!((16..=16 + 100).contains(&moves), "{moves} moves in ten seconds");
}

/// Time passes with a server that answers, until the client asks for a link.
fn talk_on(guest: &mut Guest, time: Duration) {
    let until = guest.bench.now + time;
    while guest.bench.now < until && guest.bench.links.asked.is_empty() {
        guest.answer();
        guest.bench.pass(10 * MS);
    }
}
