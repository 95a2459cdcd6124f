//! The time around the verdict: who is asked when, which link hears the answer, and who never asks (U-42, U-61, F-107).

use bytes::Bytes;
use unbroken::{CloseReason, Event, LinkId, SessionId, State, Verdict};
use unbroken_sim::ServerBench;
use unbroken_sim::raw::{Accepted, RawClient, RawFrame, RawLink, Resume, frames};

use crate::common::*;

/// An endpoint whose client has its keys, and has not said who it is.
struct Guest {
    bench: ServerBench,
    client: RawClient,
    link: LinkId,
    wire: RawLink,
    id: SessionId,
}

fn guest(authorise_all: bool, lets_in: bool) -> Guest {
    let config = server_config().authorise_all(authorise_all).build().unwrap();
    let mut bench = ServerBench::new(config);
    bench.lets_in = lets_in;
    let mut client = RawClient::new(server_key().public(), REALM, 21);
    let (link, wire, answer) = hello(&mut bench, &mut client);
    assert!(matches!(answer, Accepted::Ok { .. }), "{answer:?}");
    let id = SessionId(client.session_id);
    Guest {
        bench,
        client,
        link,
        wire,
        id,
    }
}

impl Guest {
    fn say(&mut self, plaintext: &[u8]) {
        let record = self.wire.seal(plaintext);
        self.bench.input(self.link, &record);
    }

    fn hear(&mut self) -> Vec<RawFrame> {
        let bytes = self.bench.links.take(self.link);
        self.wire.open(&bytes)
    }

    fn judge(&mut self, verdict: Verdict) -> bool {
        let judged = self.bench.endpoint.session(self.id).unwrap().authorise(verdict);
        self.bench.pump();
        judged
    }
}

/// AUTH, three messages and CLOSE, as a client says them that has no more to say.
fn short_visit(guest: &mut Guest) -> Vec<u8> {
    [
        guest
            .wire
            .seal(&[frames::auth(b"me"), frames::ack(0, 4096, 1 << 20)].concat()),
        guest.wire.seal(&frames::data(0, &[b"a", b"b", b"c"])),
        guest.wire.seal(&frames::close(0, 7, 3, 0)),
    ]
    .concat()
}

fn assert_closed_is_last(events: &[Event]) {
    let closed = events.iter().filter(|e| matches!(e, Event::Closed(_))).count();
    assert_eq!(closed, 1, "{events:?}");
    assert!(matches!(events.last(), Some(Event::Closed(_))), "{events:?}");
}

#[test]
fn f107_u61_a_short_visit_in_one_read_or_in_two_is_the_same() {
    let len = short_visit(&mut guest(true, true)).len();
    for cut in 0..len {
        let mut guest = guest(true, true);
        let visit = short_visit(&mut guest);
        for part in [&visit[..cut], &visit[cut..]] {
            guest.bench.input(guest.link, part);
        }
        guest.bench.read(guest.id);
        let heard = guest.hear();
        assert!(
            heard.contains(&RawFrame::CloseAck { recv_next: 3 }),
            "cut at {cut}: {heard:?}"
        );
        assert_eq!(
            guest.bench.payloads(guest.id),
            [b"a", b"b", b"c"].map(|m| m.to_vec()),
            "cut at {cut}: acknowledged, and not delivered"
        );
        let events = guest.bench.take_events();
        assert!(
            events.iter().any(|e| matches!(e, Event::Established { .. })),
            "{events:?}"
        );
        assert!(events.contains(&Event::Readable), "{events:?}");
        assert_closed_is_last(&events);
        guest.bench.pass(10 * SECOND);
        assert_eq!((guest.bench.endpoint.sessions(), guest.bench.endpoint.links()), (0, 0));
    }
}

#[test]
fn f107_u61_what_a_slow_judge_finds_is_delivered_or_told_as_missing() {
    for cut in [false, true] {
        let mut guest = guest(false, true);
        let visit = short_visit(&mut guest);
        let (first, rest) = visit.split_at(if cut { visit.len() / 2 } else { 0 });
        for part in [first, rest] {
            guest.bench.input(guest.link, part);
        }
        guest.bench.read(guest.id);
        let delivered = guest.bench.payloads(guest.id).len();
        let events = guest.bench.take_events();
        let told = events.iter().any(|e| {
            matches!(
                e,
                Event::Closed(CloseReason::Peer {
                    code: 7,
                    truncated: true
                })
            )
        });
        assert!(
            delivered == 3 || told,
            "{delivered} of 3 messages, and nobody says so: {events:?}"
        );
    }
}

#[test]
fn u42_nobody_is_asked_behind_the_end() {
    // The first link brings no AUTH; the second one brings it together with CLOSE.
    let mut guest = guest(false, false);
    guest.say(&frames::ack(0, 4096, 1 << 20));
    guest.bench.down(guest.link);
    let (flight, pending) = guest.client.resume(&Resume::default());
    let (link, answer) = guest.bench.connect(&flight);
    let (_, mut wire, _) = guest.client.accept(pending, &answer).expect("an ACCEPT");
    let both = [
        wire.seal(&[frames::ack(0, 4096, 1 << 20), frames::auth(b"me")].concat()),
        wire.seal(&frames::close(0, 0, 0, 0)),
    ]
    .concat();
    guest.bench.input(link, &both);
    assert_closed_is_last(&guest.bench.take_events());
}

/// AUTH came on one link; a RESUME came on another, whose ACCEPT the client never saw.
fn asked_between_two_links() -> Guest {
    let mut guest = guest(false, false);
    guest.say(&frames::auth(b"me"));
    guest.hear();
    let (flight, _lost) = guest.client.resume(&Resume::default());
    let (_, answer) = guest.bench.connect(&flight);
    assert!(!answer.is_empty(), "an ACCEPT");
    guest
}

#[test]
fn u42_the_verdict_goes_where_the_client_is() {
    let mut guest = asked_between_two_links();
    assert!(guest.judge(Verdict::Accept {
        message: Bytes::from_static(b"hi")
    }));
    guest.bench.pass(3 * SECOND);
    let heard = guest.hear();
    assert!(
        heard
            .iter()
            .any(|f| matches!(f, RawFrame::AuthResult { verdict: 0, .. })),
        "the client waits for ever: {heard:?}"
    );
    assert!(!guest.bench.links.closed.contains(&guest.link));
    guest.say(&frames::data(0, &[b"in"]));
    assert_eq!(guest.bench.payloads(guest.id), [b"in".to_vec()]);
}

#[test]
fn u42_a_refusal_says_why_where_the_client_is() {
    let mut guest = asked_between_two_links();
    assert!(guest.judge(Verdict::Refuse {
        code: 5,
        message: Bytes::from_static(b"no")
    }));
    guest.bench.pass(3 * SECOND);
    let heard = guest.hear();
    let refused = |f: &RawFrame| {
        matches!(
            f,
            RawFrame::AuthResult {
                verdict: 1,
                code: 5,
                ..
            }
        )
    };
    let at = heard.iter().position(refused);
    let close = heard
        .iter()
        .position(|f| matches!(f, RawFrame::Close { kind: 4, code: 5, .. }));
    assert!(at.is_some() && at < close, "{heard:?}");
}

#[test]
fn u42_a_client_that_never_says_who_it_is_takes_no_place() {
    let limits = unbroken::Limits {
        sessions: 1,
        ..unbroken::Limits::default()
    };
    let mut bench = ServerBench::new(server_config().limits(limits).build().unwrap());
    let mut client = RawClient::new(server_key().public(), REALM, 22);
    let (link, mut wire, _) = hello(&mut bench, &mut client);
    // It proves its keys and keeps the link alive, and that is all.
    for n in 0..6u8 {
        let record = wire.seal(&frames::ping([n; 8]));
        bench.input(link, &record);
        bench.pass(5 * SECOND);
    }
    assert!(
        bench.links.closed.contains(&link),
        "it has waited half a minute for AUTH"
    );
    assert_eq!((bench.endpoint.sessions(), bench.endpoint.links()), (0, 0));
    // The place is free for somebody who does.
    let mut client = RawClient::new(server_key().public(), REALM, 23);
    let (link, mut wire, answer) = hello(&mut bench, &mut client);
    assert!(matches!(answer, Accepted::Ok { .. }), "{answer:?}");
    bench.input(link, &wire.seal(&frames::auth(b"me")));
    let id = SessionId(client.session_id);
    assert_eq!(bench.endpoint.session(id).map(|s| s.state()), Some(State::Established));
}

#[test]
fn u42_a_client_that_has_asked_waits_for_its_judge() {
    let mut guest = guest(false, false);
    guest.say(&frames::auth(b"me"));
    guest.bench.pass(4 * SECOND);
    assert!(guest.judge(Verdict::Accept { message: Bytes::new() }));
    assert_eq!(
        guest.bench.endpoint.session(guest.id).map(|s| s.state()),
        Some(State::Established)
    );
}
