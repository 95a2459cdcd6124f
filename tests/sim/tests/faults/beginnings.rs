//! Before a session has ever stood: links that break again and again, servers that have never heard of it, messages the
//! server will not take, pins that are no keys (U-11, U-25, U-54, U-58, F-100).

use unbroken::{ClientConfig, CloseReason, Event, LinkId, PublicKey, SessionId, State};
use unbroken_sim::raw::{
    Accepted, HELLO, QUERY, RESUME, RawClient, RawFrame, RawLink, RawServer, Resume, Window, frames,
};
use unbroken_sim::{ClientBench, ServerBench};

use crate::common::*;

#[test]
fn f100_u58_a_session_that_was_never_confirmed_is_resumed_under_any_generation() {
    let mut bench = ServerBench::new(server_config().build().unwrap());
    let mut client = RawClient::new(server_key().public(), REALM, 41);
    let (mut link, mut wire, _) = hello(&mut bench, &mut client);
    for round in 0..4 {
        // The ACCEPT came, and the link broke before the client's first record.
        bench.down(link);
        bench.pass(200 * MS);
        let (flight, pending) = client.resume(&Resume::default());
        let (next, answer) = bench.connect(&flight);
        let accepted = client.accept(pending, &answer);
        let Some((Accepted::Ok { .. }, next_wire, _)) = accepted else {
            panic!("round {round}: no ACCEPT but {answer:02x?}");
        };
        (link, wire) = (next, next_wire);
    }
    bench.input(
        link,
        &wire.seal(&[frames::auth(b"me"), frames::data(0, &[b"at last"])].concat()),
    );
    assert_eq!(bench.payloads(SessionId(client.session_id)), [b"at last".to_vec()]);
}

/// A client in Standby: it has its keys and waits for the verdict.
struct Waiting {
    bench: ClientBench,
    server: RawServer,
    link: LinkId,
    wire: RawLink,
}

fn waiting() -> Waiting {
    let mut bench = ClientBench::new(client_config().build().unwrap());
    let mut server = RawServer::new(server_key(), REALM, 42);
    let (link, flight) = bench.link_up();
    let served = server.read(&flight);
    let (answer, wire) = server.accept(served, 0, 0, 0);
    bench.input(link, &answer);
    assert_eq!(bench.session.state(), State::Standby);
    Waiting {
        bench,
        server,
        link,
        wire,
    }
}

impl Waiting {
    /// Its next links lead to a process that knows nothing of it, and says so, in the clear and then under its keys.
    fn asks_a_stranger(&mut self) {
        let (link, flight) = self.question();
        self.is_unknown_to(link, &flight);
    }

    /// Until it asks whether the session lives: it does not while its link is merely late.
    fn question(&mut self) -> (LinkId, Vec<u8>) {
        for _ in 0..10 {
            let (link, flight) = self.bench.next_link(30 * SECOND);
            if flight[4] == QUERY {
                return (link, flight);
            }
            assert_eq!(flight[4], RESUME);
            self.is_unknown_to(link, &flight);
        }
        panic!("it does not ask");
    }

    /// The answer of a process that knows nothing of it.
    fn is_unknown_to(&mut self, link: LinkId, flight: &[u8]) {
        let served = self.server.read(flight);
        let answer = if served.kind == RESUME {
            self.server.refuse(4, 0, [1, 1])
        } else {
            self.server.lost(served, 1, 0, 0)
        };
        self.bench.input(link, &answer);
    }
}

#[test]
fn u25_unknown_elsewhere_does_not_end_what_a_link_still_carries() {
    let mut client = waiting();
    let id = client.bench.session.id();
    // Its link falls silent, and goes on while the question is under way.
    let (link, flight) = client.question();
    let record = client.wire.seal(&frames::auth_result(0, 0, b"hi"));
    client.bench.input(client.link, &record);
    assert!(
        !client.bench.links.closed.contains(&link),
        "it still waits for the answer"
    );
    client.is_unknown_to(link, &flight);
    assert_eq!(client.bench.session.state(), State::Established);
    assert_eq!(client.bench.session.id(), id);
    let record = client.wire.seal(&frames::data(0, &[b"one"]));
    client.bench.input(client.link, &record);
    assert_eq!(client.bench.received, [(Some(0), b"one".to_vec())]);
}

#[test]
fn u25_g1_a_session_that_starts_over_takes_nothing_from_its_old_links() {
    let mut client = waiting();
    // The link falls silent. When it is suspected, nobody else knows the session; when it is given up, nobody at all.
    let (link, flight) = loop {
        let (link, flight) = client.bench.next_link(30 * SECOND);
        if flight[4] == HELLO {
            break (link, flight);
        }
        client.is_unknown_to(link, &flight);
        assert_ne!(client.bench.session.state(), State::Closed, "nothing was lost");
    };
    let mut server = RawServer::new(server_key(), REALM, 43);
    server.session_id = [0xcd; 16];
    let served = server.read(&flight);
    let (answer, mut wire) = server.accept(served, 0, 0, 0);
    client.bench.input(link, &answer);
    if !client.bench.links.closed.contains(&client.link) {
        let late = client.wire.seal(&frames::data(0, &[b"of the old session"]));
        client.bench.input(client.link, &late);
    }
    let record = wire.seal(&[frames::auth_result(0, 0, b""), frames::data(0, &[b"of the new one"])].concat());
    client.bench.input(link, &record);
    assert_eq!(client.bench.session.state(), State::Established);
    assert_eq!(client.bench.session.id(), Some(SessionId([0xcd; 16])));
    assert_eq!(client.bench.received, [(Some(0), b"of the new one".to_vec())]);
}

#[test]
fn u25_g1_half_a_message_is_something_received() {
    let mut client = waiting();
    let record = client.wire.seal(&frames::fragment(0, 1000, 0, &[1; 500]));
    client.bench.input(client.link, &record);
    client.bench.down(client.link);
    client.asks_a_stranger();
    client.bench.pass(SECOND);
    assert_eq!(
        client.bench.events.last(),
        Some(&Event::Closed(CloseReason::UnknownSession)),
        "it would make one message of two sessions' bytes"
    );
}

/// A client that sends before it knows what the server takes.
fn sends_early(window: Window, sizes: &[usize]) -> (ClientBench, Vec<RawFrame>) {
    let mut bench = ClientBench::new(client_config().build().unwrap());
    for size in sizes {
        bench.session.send(vec![7; *size].into()).unwrap();
    }
    let mut server = RawServer::new(server_key(), REALM, 44);
    server.window = window;
    let (link, flight) = bench.link_up();
    let served = server.read(&flight);
    let (answer, mut wire) = server.accept(served, 0, 0, 0);
    bench.input(link, &answer);
    bench.input(link, &wire.seal(&frames::auth_result(0, 0, b"")));
    let mut heard = Vec::new();
    for _ in 0..30 {
        heard.extend(wire.open(&bench.links.take(link)));
        bench.pass(100 * MS);
        if bench.links.closed.contains(&link) {
            break;
        }
        for frame in &heard {
            if let RawFrame::Ping(token) = frame {
                bench.input(link, &wire.seal(&frames::pong(*token)));
            }
        }
        heard.retain(|frame| !matches!(frame, RawFrame::Ping(_)));
    }
    heard.extend(wire.open(&bench.links.take(link)));
    (bench, heard)
}

fn payload(heard: &[RawFrame]) -> usize {
    let part = |frame: &RawFrame| match frame {
        RawFrame::Fragment { bytes, .. } => bytes.len(),
        RawFrame::Data { messages, .. } => messages.iter().map(Vec::len).sum(),
        _ => 0,
    };
    heard.iter().map(part).sum()
}

#[test]
fn u11_a_message_larger_than_the_server_takes_ends_the_session_and_says_why() {
    for window in [Window(4096, 1 << 20, 64 << 10), Window(4096, 64 << 10, 64 << 10)] {
        for sizes in [&[200 << 10][..], &[10, (64 << 10) + 1, 10]] {
            let (bench, heard) = sends_early(window, sizes);
            assert!(
                !heard
                    .iter()
                    .any(|f| matches!(f, RawFrame::Fragment { total, .. } if *total > 64 << 10)),
                "{window:?}: it sends what the server may not take"
            );
            assert_eq!(
                bench.events.last(),
                Some(&Event::Closed(CloseReason::Overflow)),
                "{window:?}, {sizes:?}"
            );
            assert!(
                heard.iter().any(|f| matches!(f, RawFrame::Close { kind: 5, .. })),
                "the server hears it, too: {heard:?}"
            );
        }
        // The largest that it takes is taken.
        let (bench, heard) = sends_early(window, &[64 << 10]);
        assert_eq!(payload(&heard), 64 << 10);
        assert_eq!(bench.session.state(), State::Established);
    }
}

#[test]
fn u11_a_client_that_comes_back_with_a_smaller_limit_is_told() {
    let mut hand = Hand::new();
    hand.bench.down(hand.link);
    let large = vec![1; 200 << 10];
    hand.server_sends(&[&large]);
    hand.client.window = Window(4096, 1 << 20, 64 << 10);
    hand.resume(&Resume::default());
    hand.bench.pass(3 * SECOND);
    let events = hand.bench.take_events();
    assert!(events.contains(&Event::Closed(CloseReason::Overflow)), "{events:?}");
}

/// After a forged "key unknown" the client must find back to the key that is one.
fn finds_back(bench: &mut ClientBench) {
    let (link, _) = bench.next_link(10 * SECOND);
    let server = RawServer::new(server_key(), REALM, 45);
    bench.input(link, &server.refuse(3, 0, [1, 1]));
    for _ in 0..10 {
        let (_, flight) = bench.next_link(10 * SECOND);
        if flight.get(6..10) == Some(&server_key().public().id()[..]) {
            return;
        }
    }
    panic!("no flight leaves any more");
}

#[test]
fn f19_a_pin_that_is_no_key_is_no_dead_end() {
    // x = 0, and a point of small order (both of RFC 7748's "all-zero" kind).
    for bad in [0, 1] {
        let mut key = [0; 32];
        key[0] = bad;
        let config = ClientConfig::builder(server_key().public())
            .realm(REALM)
            .also_pin(PublicKey(key))
            .build();
        match config {
            Err(error) => assert_eq!(error.field, "pins"),
            Ok(config) => finds_back(&mut ClientBench::new(config)),
        }
    }
}

#[test]
fn f19_u54_an_announced_pin_that_is_no_key_is_no_dead_end() {
    let mut guest = Guest::new();
    guest.say(&frames::keys(&[([0; 32], 3600)]));
    guest.bench.down(guest.link);
    finds_back(&mut guest.bench);
}
