//! Bytes before authentication: F-1 to F-23. All of them leave every session as it was (G3).

use unbroken::crypto::HandleCipher;
use unbroken::{ClusterKey, Event, ServerKey, State};
use unbroken_sim::raw::{ACCEPT, HELLO, QUERY, REFUSE, RESUME, RawClient, Resume, frames, prelude};
use unbroken_sim::{ClientBench, Rng, ServerBench};

use crate::common::*;

/// An endpoint with one live session, and what can be seen of it.
fn watched() -> (Hand, String) {
    let mut hand = Hand::new();
    hand.say(&frames::data(0, &[b"one"]));
    hand.bench.pass(SECOND);
    hand.hear();
    hand.bench.take_events();
    let looks = looks(&mut hand);
    (hand, looks)
}

fn looks(hand: &mut Hand) -> String {
    let session = hand.bench.endpoint.session(hand.id).expect("the session");
    format!("{:?} {:?}", session.state(), session.stats())
}

/// These bytes end their link without an answer, and nothing else happens.
fn assert_dropped(bytes: &[u8]) {
    for step in [bytes.len().max(1), 1] {
        let (mut hand, before) = watched();
        let link = hand.bench.up();
        for chunk in bytes.chunks(step) {
            hand.bench.input(link, chunk);
        }
        assert!(hand.bench.links.closed.contains(&link), "the link stays: {bytes:02x?}");
        assert!(hand.bench.links.quiet(link), "an answer to {bytes:02x?}");
        assert_untouched(hand, &before);
    }
}

fn assert_untouched(mut hand: Hand, before: &str) {
    assert_eq!(looks(&mut hand), before);
    assert_eq!(hand.bench.take_events(), []);
    assert_eq!(hand.bench.endpoint.sessions(), 1);
    // And it works.
    hand.say(&frames::data(1, &[b"two"]));
    assert_eq!(hand.delivered(), [b"one".to_vec(), b"two".to_vec()]);
    assert!(!hand.is_cut());
}

/// The clear REFUSE at the front of `answer`: its code.
fn refused(answer: &[u8]) -> Option<u8> {
    (answer.len() == 19 && answer[..5] == *b"UNB\x01\x04" && answer[10..12] == [0, 7]).then(|| answer[12])
}

fn honest_hello() -> Vec<u8> {
    RawClient::new(server_key().public(), REALM, 5).hello().0
}

#[test]
fn f1_a_wrong_magic_ends_the_link() {
    for at in 0..3 {
        let mut flight = honest_hello();
        flight[at] ^= 0x20;
        assert_dropped(&flight);
    }
    assert_dropped(&[0; 12]);
    // At the first byte that is wrong.
    let mut bench = ServerBench::new(server_config().build().unwrap());
    let link = bench.up();
    bench.input(link, b"UNA");
    assert!(bench.links.closed.contains(&link));
}

#[test]
fn f2_an_unknown_version_is_refused_with_the_range_and_the_rest_is_not_read() {
    for version in [0, 2, 99, 255] {
        let (mut hand, before) = watched();
        let mut flight = honest_hello();
        flight[3] = version;
        let (link, answer) = hand.bench.connect(&flight);
        assert_eq!(
            refused(&[&answer[..3], &[1], &answer[4..]].concat()),
            Some(2),
            "{answer:02x?}"
        );
        assert_eq!(answer[17..], [1, 1], "the server's range");
        assert!(hand.bench.links.closed.contains(&link));
        assert_untouched(hand, &before);
    }
}

#[test]
fn f2_a_client_never_goes_below_its_lowest_version() {
    // It speaks 2 and 3; somebody says that only 1 is left.
    let mut bench = ClientBench::new(client_config().versions(2..=3).build().unwrap());
    let mut seen = Vec::new();
    for _ in 0..6 {
        let (link, flight) = bench.next_link(60 * SECOND);
        seen.push(flight[3]);
        let refuse = [
            &prelude(REFUSE, server_key().public().id(), 7)[..],
            &[2, 0, 0, 0, 0, 1, 1],
        ]
        .concat();
        bench.input(link, &refuse);
    }
    assert!(seen.iter().all(|v| (2..=3).contains(v)), "{seen:?}");
}

#[test]
fn f2_a_server_notices_a_forged_downgrade() {
    // U-9: the client speaks 1 to 2 and so does the server, yet the client came with 1.
    let mut bench = ServerBench::new(server_config().versions(1..=2).build().unwrap());
    let mut client = RawClient::new(server_key().public(), REALM, 5);
    client.versions = (1, 2);
    let (link, answer) = bench.connect(&client.hello().0);
    assert_eq!(answer, []);
    assert!(bench.links.closed.contains(&link));
    // An old client is welcome.
    let mut client = RawClient::new(server_key().public(), REALM, 5);
    hello(&mut bench, &mut client);
}

#[test]
fn f3_an_unknown_type_or_flag_ends_the_link() {
    for (at, values) in [(4, &[0u8, 6, 7, 255, ACCEPT, REFUSE][..]), (5, &[1, 2, 0x80, 0xff])] {
        for value in values {
            let mut flight = honest_hello();
            flight[at] = *value;
            assert_dropped(&flight);
        }
    }
}

#[test]
fn f4_length_zero_ends_the_link() {
    for kind in [HELLO, RESUME, QUERY] {
        assert_dropped(&prelude(kind, server_key().id(), 0));
    }
}

#[test]
fn f5_a_length_over_the_cap_ends_the_link_before_more_is_read() {
    for (kind, cap) in [(HELLO, 2048), (QUERY, 2048), (RESUME, 16384 + 256)] {
        assert_dropped(&prelude(kind, server_key().id(), cap + 1));
        assert_dropped(&prelude(kind, server_key().id(), 65535));
    }
    // And in an answer, for the client.
    for (kind, length) in [(ACCEPT, 2049), (REFUSE, 8), (REFUSE, 6), (ACCEPT, 0)] {
        let mut bench = ClientBench::new(client_config().build().unwrap());
        let (link, _) = bench.link_up();
        bench.input(link, &prelude(kind, server_key().id(), length));
        assert!(bench.links.closed.contains(&link), "type {kind}, length {length}");
    }
}

#[test]
fn f6_a_truncated_prelude_and_a_fin_leave_nothing() {
    let flight = honest_hello();
    for len in 0..flight.len() {
        let (mut hand, before) = watched();
        let link = hand.bench.up();
        hand.bench.input(link, &flight[..len]);
        assert!(!hand.bench.links.closed.contains(&link) && hand.bench.links.quiet(link));
        hand.bench.down(link);
        // What comes late is ignored.
        hand.bench.input(link, &flight[len..]);
        assert!(hand.bench.links.quiet(link));
        assert_untouched(hand, &before);
    }
}

#[test]
fn f7_a_byte_a_second_is_dropped_at_five_seconds() {
    for flight in [honest_hello(), Vec::new()] {
        let (mut hand, _) = watched();
        let start = hand.bench.now;
        let link = hand.bench.up();
        for byte in flight.iter().take(30) {
            if hand.bench.links.closed.contains(&link) {
                break;
            }
            hand.bench.input(link, &[*byte]);
            hand.bench.pass(SECOND);
        }
        hand.bench.pass(SECOND * u32::from(flight.is_empty()) * 6);
        assert!(hand.bench.links.closed.contains(&link));
        assert!(hand.bench.now.since(start) <= 6 * SECOND);
        assert!(hand.bench.links.quiet(link));
    }
    // Not sooner.
    let (mut hand, _) = watched();
    let link = hand.bench.up();
    hand.bench.pass(4900 * MS);
    assert!(!hand.bench.links.closed.contains(&link));
}

#[test]
fn f8_http_and_tls_end_the_link() {
    assert_dropped(b"GET / HTTP/1.1\r\nHost: game.example\r\n\r\n");
    assert_dropped(b"POST /login HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
    assert_dropped(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_dropped(b"SSH-2.0-OpenSSH_9.7\r\n");
    assert_dropped(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03, 0x55]);
}

#[test]
fn f9_an_unknown_key_id_is_refused_and_only_another_pin_is_tried() {
    let other = ServerKey::from_bytes([0x99; 32]).unwrap();
    let (mut hand, before) = watched();
    let (link, answer) = hand.bench.connect(&RawClient::new(other.public(), REALM, 5).hello().0);
    assert_eq!(refused(&answer), Some(3), "{answer:02x?}");
    assert_eq!(answer[6..10], other.id(), "the client's key id, repeated");
    assert!(hand.bench.links.closed.contains(&link));
    assert_untouched(hand, &before);

    let asked_for = |config: unbroken::ClientConfig| {
        let mut bench = ClientBench::new(config);
        let mut ids = Vec::new();
        for _ in 0..5 {
            let (link, flight) = bench.next_link(60 * SECOND);
            let id: [u8; 4] = flight[6..10].try_into().unwrap();
            bench.input(link, &[&prelude(REFUSE, id, 7)[..], &[3, 0, 0, 0, 0, 1, 1]].concat());
            ids.push(id);
        }
        ids
    };
    let (a, b) = (server_key().public().id(), other.public().id());
    assert_eq!(asked_for(client_config().build().unwrap()), [a; 5]);
    assert_eq!(
        asked_for(client_config().also_pin(other.public()).build().unwrap()),
        [a, b, a, b, a]
    );
}

/// Points whose X25519 result is zero whatever the other secret is (RFC 7748, section 6.1, and their non-canonical forms).
fn low_order_points() -> Vec<[u8; 32]> {
    let hex = |text: &str| core::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap());
    vec![
        [0; 32],
        core::array::from_fn(|i| u8::from(i == 0)),
        hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        hex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        hex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        hex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
        hex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ]
}

#[test]
fn f10_a_low_order_public_key_ends_the_link() {
    for point in low_order_points() {
        let mut flight = honest_hello();
        flight[12..44].copy_from_slice(&point);
        assert_dropped(&flight);
        // In a RESUME, under a mac1 that is right.
        let (mut hand, before) = watched();
        let (mut flight, _) = hand.client.resume(&Resume::default());
        flight[48..80].copy_from_slice(&point);
        let mac1 = hand.client.resumption.as_ref().unwrap().mac1(&flight[..32], &point);
        flight[32..48].copy_from_slice(&mac1);
        let (link, answer) = hand.bench.connect(&flight);
        assert!(answer.is_empty() && hand.bench.links.closed.contains(&link));
        assert_untouched(hand, &before);
        // In an ACCEPT.
        let mut bench = ClientBench::new(client_config().build().unwrap());
        let (link, _) = bench.link_up();
        let forged = [&prelude(ACCEPT, server_key().id(), 200)[..], &point, &[0; 168]].concat();
        bench.input(link, &forged);
        assert!(bench.links.closed.contains(&link));
        assert_ne!(bench.session.state(), State::Closed);
    }
}

#[test]
fn f11_a_random_handle_changes_nothing() {
    let mut rng = Rng::new(3);
    for _ in 0..100 {
        let (mut hand, before) = watched();
        let genuine = hand.client.handle;
        rng.fill(&mut hand.client.handle);
        let (flight, _) = hand.client.resume(&Resume {
            send_end: 1,
            ..Resume::default()
        });
        hand.client.handle = genuine;
        let (link, answer) = hand.bench.connect(&flight);
        assert_eq!(refused(&answer), Some(4), "{answer:02x?}");
        assert!(hand.bench.links.closed.contains(&link));
        assert_untouched(hand, &before);
    }
}

#[test]
fn f12_a_valid_handle_with_a_wrong_mac1_is_dropped_at_80_bytes() {
    for at in 32..48 {
        let (mut hand, before) = watched();
        let (mut flight, _) = hand.client.resume(&Resume {
            send_end: 1,
            ..Resume::default()
        });
        flight[at] ^= 1;
        let link = hand.bench.up();
        hand.bench.input(link, &flight[..79]);
        assert!(!hand.bench.links.closed.contains(&link));
        // The 80th byte is enough: before any Diffie-Hellman, which needs the whole flight.
        hand.bench.input(link, &flight[79..80]);
        assert!(hand.bench.links.closed.contains(&link) && hand.bench.links.quiet(link));
        assert_eq!(hand.bench.endpoint.counters().resumes_forged, 1);
        assert_untouched(hand, &before);
    }
}

#[test]
fn f13_l8_a_replayed_resume_to_the_same_server_changes_nothing() {
    let mut hand = Hand::new();
    let (flight, pending) = hand.client.resume(&Resume::default());
    let (link, answer) = hand.bench.connect(&flight);
    let (_, wire, len) = hand.client.accept(pending, &answer).unwrap();
    (hand.link, hand.wire) = (link, wire);
    hand.wire.open(&answer[len..]);
    hand.say(&frames::data(0, &[b"one"]));
    hand.bench.pass(SECOND);
    hand.hear();
    hand.bench.take_events();
    let before = looks(&mut hand);
    for _ in 0..3 {
        let (link, answer) = hand.bench.connect(&flight);
        // Its generation is gone since the client confirmed the next one.
        assert!(answer.is_empty() || refused(&answer) == Some(4), "{answer:02x?}");
        assert!(hand.bench.links.closed.contains(&link));
    }
    assert_untouched(hand, &before);
}

#[test]
fn f13_a_replayed_resume_does_not_take_a_detached_session_either() {
    let mut hand = Hand::new();
    let (flight, pending) = hand.client.resume(&Resume::default());
    let (link, answer) = hand.bench.connect(&flight);
    hand.client.accept(pending, &answer).unwrap();
    hand.bench.down(link);
    let (link, answer) = hand.bench.connect(&flight);
    assert_eq!(answer, []);
    assert!(hand.bench.links.closed.contains(&link));
    assert_eq!(hand.bench.endpoint.counters().resumes_stale, 1);
    hand.assert_resumable(&Resume::default());
}

#[test]
fn f14_a_resume_replayed_to_another_server_leaves_it_untouched() {
    let mut hand = Hand::new();
    let (flight, _) = hand.client.resume(&Resume::default());
    let mut other = ServerBench::new(server_config().build().unwrap());
    let (link, answer) = other.connect(&flight);
    assert_eq!(refused(&answer), Some(4), "not here");
    assert!(other.links.closed.contains(&link));
    assert_eq!((other.endpoint.sessions(), other.take_events()), (0, vec![]));
    // A server of another cluster cannot even read the handle.
    let cluster = ClusterKey::from_bytes([0xdd; 32]).unwrap();
    let mut other = ServerBench::new(
        unbroken::ServerConfig::builder(server_key(), cluster)
            .realm(REALM)
            .build()
            .unwrap(),
    );
    assert_eq!(refused(&other.connect(&flight).1), Some(4));
}

#[test]
fn f15_a_late_older_attempt_changes_nothing() {
    let mut hand = Hand::new();
    let (old, _) = hand.client.resume(&Resume::default());
    // The newer one gets there first.
    hand.assert_resumable(&Resume::default());
    hand.say(&frames::data(0, &[b"one"]));
    hand.bench.pass(SECOND);
    hand.hear();
    hand.bench.take_events();
    let before = looks(&mut hand);
    let (link, answer) = hand.bench.connect(&old);
    assert!(answer.is_empty() || refused(&answer) == Some(4), "{answer:02x?}");
    assert!(hand.bench.links.closed.contains(&link));
    assert_untouched(hand, &before);
}

#[test]
fn f16_l9_of_two_concurrent_resumes_the_higher_attempt_wins() {
    for late_confirmation in [false, true] {
        let mut hand = Hand::new();
        let id = hand.id;
        // Both under the same generation, as two devices with one snapshot would.
        let (first, pending_first) = hand.client.resume(&Resume::default());
        let (second, pending_second) = hand.client.resume(&Resume::default());
        let (link_1, answer_1) = hand.bench.connect(&first);
        let (link_2, answer_2) = hand.bench.connect(&second);
        let (_, mut wire_1, _) = hand.client.accept(pending_first, &answer_1).unwrap();
        let (_, mut wire_2, _) = hand.client.accept(pending_second, &answer_2).unwrap();
        let confirm_1 = wire_1.seal(&frames::data(0, &[b"from the first"]));
        let confirm_2 = wire_2.seal(&frames::data(0, &[b"from the second"]));
        if late_confirmation {
            hand.bench.input(link_2, &confirm_2);
            hand.bench.input(link_1, &confirm_1);
        } else {
            hand.bench.input(link_1, &confirm_1);
            hand.bench.input(link_2, &confirm_2);
        }
        assert!(hand.bench.links.closed.contains(&link_1), "the lower attempt loses");
        assert!(!hand.bench.links.closed.contains(&link_2), "the higher attempt wins");
        let delivered = hand.delivered();
        assert_eq!(delivered.len(), 1, "nothing is doubled: {delivered:?}");
        assert_eq!(hand.bench.endpoint.sessions(), 1);
        let ids: Vec<_> = hand.bench.events.iter().map(|(i, _)| *i).collect();
        assert!(ids.iter().all(|i| *i == id));
    }
}

#[test]
fn f17_l22_a_flipped_bit_anywhere_in_the_first_flight_gives_no_session() {
    let flight = honest_hello();
    for bit in 0..flight.len() * 8 {
        let mut hand = ServerBench::new(server_config().build().unwrap());
        let mut changed = flight.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let (link, answer) = hand.connect(&changed);
        assert_ne!(answer.get(4), Some(&ACCEPT), "bit {bit} of a HELLO does not count");
        if refused(&answer).is_none() && answer.get(4) != Some(&REFUSE) {
            assert_eq!(answer, [], "bit {bit}");
            hand.pass(6 * SECOND);
        }
        assert!(hand.links.closed.contains(&link), "bit {bit}");
        assert_eq!((hand.endpoint.sessions(), hand.take_events()), (0, vec![]));
    }
}

#[test]
fn f17_l13_a_flipped_bit_in_a_resume_burns_nothing() {
    let (mut hand, before) = watched();
    let at = Resume {
        send_end: 2,
        early: frames::data(1, &[b"early"]),
        ..Resume::default()
    };
    let (flight, pending) = hand.client.resume(&at);
    for byte in 0..flight.len() {
        let mut changed = flight.clone();
        changed[byte] ^= 1 << (byte % 8);
        let (link, answer) = hand.bench.connect(&changed);
        assert_ne!(answer.get(4), Some(&ACCEPT), "byte {byte} of a RESUME does not count");
        if !hand.bench.links.closed.contains(&link) {
            hand.bench.down(link);
        }
        assert_eq!(looks(&mut hand), before, "byte {byte}");
        assert_eq!(hand.bench.take_events(), []);
    }
    // The claim was not burnt: the flight itself is as good as ever.
    let (link, answer) = hand.bench.connect(&flight);
    let (_, wire, _) = hand
        .client
        .accept(pending, &answer)
        .expect("the honest flight, after all the bad ones");
    (hand.link, hand.wire) = (link, wire);
    hand.say(&frames::ack(0, 100, 1 << 20));
    assert_eq!(hand.delivered(), [b"one".to_vec(), b"early".to_vec()]);
}

#[test]
fn f17_l22_a_changed_byte_of_the_answer_is_noticed() {
    let honest = || {
        let mut bench = ClientBench::new(client_config().build().unwrap());
        let (link, flight) = bench.link_up();
        let mut server = unbroken_sim::raw::RawServer::new(server_key(), REALM, 1);
        let served = server.read(&flight);
        let answer = server.accept(served, 0, 0, 0).0;
        (bench, link, answer)
    };
    let length = honest().2.len();
    for byte in 0..length {
        let (mut bench, link, mut answer) = honest();
        answer[byte] ^= 0x40;
        bench.input(link, &answer);
        assert_eq!(bench.session.id(), None, "byte {byte} of an ACCEPT does not count");
        assert_ne!(bench.session.state(), State::Closed);
        if !bench.links.closed.contains(&link) {
            // A greater length: it waits for the rest, not for ever.
            bench.pass(6 * SECOND);
        }
        assert!(bench.links.closed.contains(&link), "byte {byte}");
    }
}

#[test]
fn f18_early_data_over_the_cap_is_dropped() {
    let message = vec![7; 16000];
    let at = |early: Vec<u8>| Resume {
        send_end: 9,
        early,
        ..Resume::default()
    };
    let (mut hand, before) = watched();
    // 16,384 bytes are allowed ...
    let mut early = frames::data(1, &[&message]);
    early.resize(16384, 0);
    let (flight, _) = hand.client.resume(&at(early.clone()));
    let (_, answer) = hand.bench.connect(&flight);
    assert_eq!(answer.get(4), Some(&ACCEPT));
    // ... one more is not, though the flight's own bound would let it pass.
    let (mut hand, _) = watched();
    early.push(0);
    let (flight, _) = hand.client.resume(&at(early));
    let (link, answer) = hand.bench.connect(&flight);
    assert_eq!(answer, []);
    assert!(hand.bench.links.closed.contains(&link));
    assert_untouched(hand, &before);
    // Nor is any frame but messages (U-16), nor a gap between them: no answer, and the old link stays. (The keys of that flight were right: what stood
    // before the wrong frame may have counted.)
    for frame in [
        frames::ack(0, 1, 1),
        frames::ping([1; 8]),
        frames::close(0, 0, 0, 0),
        frames::auth(b"x"),
        vec![0x40, 0],
        frames::data(3, &[b"four"]),
    ] {
        let (mut hand, _) = watched();
        let (flight, _) = hand
            .client
            .resume(&at([frames::data(1, &[b"two"]), vec![0], frame].concat()));
        let (link, answer) = hand.bench.connect(&flight);
        assert_eq!(answer, []);
        assert!(hand.bench.links.closed.contains(&link));
        assert_eq!(hand.bench.endpoint.counters().bad_records, 1);
        assert_eq!(hand.state(), Some(State::Established));
        hand.say(&frames::data(1, &[b"two", b"three"]));
        assert_eq!(hand.delivered(), [&b"one"[..], b"two", b"three"].map(<[u8]>::to_vec));
        assert!(!hand.is_cut());
    }
}

#[test]
fn f19_a_flood_of_forged_refuse_makes_it_wait_and_ends_nothing() {
    for code in 0..=8 {
        let mut guest = Guest::new();
        guest.bench.down(guest.link);
        let start = guest.bench.now;
        let mut dials = 0;
        while guest.bench.now.since(start) < 50 * SECOND {
            let (link, flight) = guest.bench.next_link(40 * SECOND);
            assert!([RESUME, QUERY].contains(&flight[4]), "it does not begin a new session");
            dials += 1;
            for _ in 0..10 {
                guest.bench.input(link, &guest.server.refuse(code, 0, [1, 1]));
            }
            assert!(guest.bench.links.closed.contains(&link));
            guest.assert_open();
        }
        assert!(dials < 60, "{dials} connections within 50 s");
        // The real server is back: a QUERY says that the session lives, a RESUME goes on with it.
        guest.bench.session.send(b"after the flood"[..].into()).unwrap();
        let heard = loop {
            let (link, flight) = guest.bench.next_link(40 * SECOND);
            let served = guest.server.read(&flight);
            if served.kind == QUERY {
                let alive = guest.server.lost(served, 6, 0, 0);
                guest.bench.input(link, &alive);
                continue;
            }
            let early = unbroken_sim::raw::parse(&served.resume.early);
            let (answer, wire) = guest.server.accept(served, 1, 0, 1);
            guest.bench.input(link, &answer);
            (guest.link, guest.wire) = (link, wire);
            break messages(&early);
        };
        assert_eq!(heard, [(0, b"after the flood".to_vec())]);
        assert_eq!(guest.bench.session.state(), State::Established);
    }
}

#[test]
fn f20_a_corrupted_message_2_is_followed_by_a_retry_under_the_same_generation() {
    let mut guest = Guest::new();
    guest.bench.down(guest.link);
    let (link, flight) = guest.bench.next_link(10 * SECOND);
    let (handle, attempt) = (
        flight[12..28].to_vec(),
        u32::from_be_bytes(flight[28..32].try_into().unwrap()),
    );
    let served = guest.server.read(&flight);
    let (mut answer, _) = guest.server.accept(served, 0, 0, 0);
    let last = answer.len() - 1;
    answer[last] ^= 1;
    guest.bench.input(link, &answer);
    assert!(guest.bench.links.closed.contains(&link));
    guest.assert_open();
    // The server now holds two generations; the client still has the former one.
    let (link, flight) = guest.bench.next_link(10 * SECOND);
    assert_eq!(flight[12..28], handle, "the same handle");
    assert!(u32::from_be_bytes(flight[28..32].try_into().unwrap()) > attempt, "U-13");
    let served = guest.server.read(&flight);
    assert!(served.mac1_right);
    assert_eq!(served.last_live, 0, "U-14: no RESUME was answered yet");
    let (answer, wire) = guest.server.accept(served, 0, 0, 0);
    guest.bench.input(link, &answer);
    (guest.link, guest.wire) = (link, wire);
    assert_eq!(guest.bench.session.state(), State::Established);
}

#[test]
fn f20_the_server_takes_both_generations_until_one_is_confirmed() {
    let mut hand = Hand::new();
    for _ in 0..5 {
        // The ACCEPT does not get through, again and again.
        let (flight, _) = hand.client.resume(&Resume::default());
        let (link, answer) = hand.bench.connect(&flight);
        assert_eq!(answer.get(4), Some(&ACCEPT));
        hand.bench.down(link);
    }
    hand.assert_resumable(&Resume::default());
    hand.say(&frames::data(0, &[b"alive"]));
    assert_eq!(hand.delivered(), [b"alive".to_vec()]);
}

#[test]
fn f21_l18_a_wrong_realm_is_dropped() {
    for realm in [&b""[..], b"gam", b"game ", b"gamf"] {
        assert_dropped(&RawClient::new(server_key().public(), realm, 5).hello().0);
        let (mut hand, before) = watched();
        hand.client.realm = realm.to_vec();
        let (flight, _) = hand.client.resume(&Resume {
            send_end: 1,
            ..Resume::default()
        });
        let (link, answer) = hand.bench.connect(&flight);
        assert_eq!(answer, []);
        assert!(hand.bench.links.closed.contains(&link));
        assert_untouched(hand, &before);
    }
}

#[test]
fn f22_bytes_between_the_first_flight_and_its_answer_are_buffered_up_to_a_bound() {
    // The application thinks about the resume: its answer, and with it message 2, takes a while.
    let held = |bytes: usize| {
        let mut hand = Hand::with(server_config().ask_on_resume(true).build().unwrap());
        let (flight, _) = hand.client.resume(&Resume::default());
        let (link, answer) = hand.bench.connect(&flight);
        assert_eq!(answer, [], "it waits for the application");
        assert!(hand.bench.take_events().contains(&Event::ResumeRequest));
        for _ in 0..bytes.div_ceil(1000) {
            hand.bench.input(link, &[0x55; 1000]);
        }
        hand.bench.links.closed.contains(&link)
    };
    assert!(!held(10_000));
    assert!(!held(16_000));
    assert!(held(20_000));
}

#[test]
fn f23_a_captive_portal_changes_nothing() {
    let mut guest = Guest::new();
    guest.bench.session.send(b"through the portal"[..].into()).unwrap();
    guest.bench.pump();
    guest.bench.down(guest.link);
    for page in [
        &b"HTTP/1.1 302 Found\r\nLocation: http://portal.example\r\n\r\n"[..],
        b"<html>",
        &[0x15, 3, 1, 0, 2, 2, 40],
    ] {
        let (link, _) = guest.bench.next_link(10 * SECOND);
        guest.bench.input(link, page);
        assert!(guest.bench.links.closed.contains(&link));
        guest.assert_open();
    }
    let resume = guest.resume(0);
    assert_eq!((resume.send_base, resume.send_end), (0, 1));
}

#[test]
fn f11_a_made_up_handle_of_the_cluster_names_nobody() {
    // Even with the cluster key a handle names only a session that is there.
    let cipher = HandleCipher::new(&ClusterKey::from_bytes([0xc1; 32]).unwrap());
    let (mut hand, before) = watched();
    hand.client.handle = cipher.seal([1, 2, 3, 4, 5, 6, 7, 8], 0);
    let (flight, _) = hand.client.resume(&Resume::default());
    let (_, answer) = hand.bench.connect(&flight);
    assert_eq!(refused(&answer), Some(4));
    assert_untouched(hand, &before);
}
