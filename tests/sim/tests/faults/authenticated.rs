//! What a peer with the right keys may do wrong: F-30 to F-46. The link ends, or the nonsense is ignored; the session lives.

use unbroken::{CloseReason, Event, HandoverCause, State};
use unbroken_sim::raw::{Accepted, RawFrame, Resume, Window, frames};

use crate::common::*;

fn at(delivered: u64, sent: u64) -> Resume {
    Resume {
        recv_next: delivered,
        delivered,
        send_base: 0,
        send_end: sent,
        ..Resume::default()
    }
}

/// This record ends the link and changes nothing else; the session goes on.
fn assert_ends_link(plaintext: &[u8]) {
    let mut hand = Hand::new();
    hand.say(&frames::data(0, &[b"before"]));
    hand.say(plaintext);
    hand.assert_detached();
    assert_eq!(hand.delivered(), [b"before".to_vec()], "{plaintext:02x?}");
    hand.assert_resumable(&at(0, 1));
    hand.say(&frames::data(1, &[b"after"]));
    assert_eq!(hand.delivered(), [b"before".to_vec(), b"after".to_vec()]);
}

#[test]
fn f30_a_bad_tag_ends_the_link_and_nothing_else() {
    for at_byte in [2, 10, 20] {
        let mut hand = Hand::new();
        let mut record = hand.wire.seal(&frames::data(0, &[b"one"]));
        record[at_byte] ^= 1;
        hand.bench.input(hand.link, &record);
        hand.assert_detached();
        assert_eq!(hand.delivered(), Vec::<Vec<u8>>::new());
        assert_eq!(hand.bench.endpoint.counters().bad_records, 1);
        hand.assert_resumable(&at(0, 1));
    }
    // The client's end does the same.
    let mut guest = Guest::new();
    let mut record = guest.wire.seal(&frames::data(0, &[b"one"]));
    record[5] ^= 1;
    guest.bench.input(guest.link, &record);
    assert!(guest.is_cut());
    guest.assert_open();
    assert!(guest.bench.events.contains(&Event::HandoverBegin {
        cause: HandoverCause::BadInput
    }));
    assert_eq!(guest.resume(0).recv_next, 0, "no counter moved");
}

#[test]
fn f31_a_record_out_of_order_missing_or_doubled_ends_the_link() {
    type Reorder = fn(Vec<Vec<u8>>) -> Vec<Vec<u8>>;
    let swapped: Reorder = |r| vec![r[1].clone(), r[0].clone(), r[2].clone()];
    let missing: Reorder = |r| vec![r[0].clone(), r[2].clone()];
    let doubled: Reorder = |r| vec![r[0].clone(), r[0].clone()];
    for (change, arrives) in [(swapped, 0), (missing, 1), (doubled, 1)] {
        let mut hand = Hand::new();
        let records = (0..3)
            .map(|n| hand.wire.seal(&frames::data(n, &[&[n as u8]])))
            .collect();
        for record in change(records) {
            hand.bench.input(hand.link, &record);
        }
        hand.assert_detached();
        assert_eq!(hand.delivered().len(), arrives);
        hand.assert_resumable(&at(0, 3));
    }
}

#[test]
fn f32_a_record_over_16_kib_ends_the_link_before_it_is_read() {
    for length in [0u16, 1, 16, 16401, 20000, 65535] {
        let mut hand = Hand::new();
        hand.bench.input(hand.link, &length.to_be_bytes());
        hand.assert_detached();
        hand.assert_resumable(&at(0, 0));
    }
    // The largest is taken.
    let mut hand = Hand::new();
    let mut plaintext = frames::data(0, &[&[7; 16000]]);
    plaintext.resize(16384, 0);
    hand.say(&plaintext);
    assert_eq!(hand.delivered(), [vec![7; 16000]]);
}

#[test]
fn f33_an_unknown_frame_that_may_be_skipped_is_skipped_and_others_end_the_link() {
    let mut hand = Hand::new();
    for code in 0x40..=0x7f {
        hand.say(&[&[code, 3, 1, 2, 3][..], &frames::ping([code; 8])].concat());
        assert!(
            hand.hear().contains(&RawFrame::Pong([code; 8])),
            "the frame behind {code:#x} is lost"
        );
    }
    for code in (0x0d..0x40).chain(0x80..=0xff) {
        assert_ends_link(&[code, 0]);
    }
}

#[test]
fn f34_a_frame_past_the_end_of_the_record_ends_the_link() {
    let good = [frames::data(1, &[b"good"]), vec![0]].concat();
    let ack = frames::ack(0, 1000, 100_000);
    for bad in [
        &[0x40, 5, 1][..],
        &[1],
        &[1, 2, 9, b'x'],
        &[4, 1, 2, 3],
        &[8, 0, 0],
        &ack[..ack.len() - 1],
        &[6, 200, 1],
        &[12, 2, 10, 0, 9, 1],
        &[3, 0x7f, 0xff, 0],
        &[0, 1],
        &[1, 2],
        &[12, 2, 10, 0, 0],
        &[3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ] {
        assert_ends_link(bad);
        // What stood before it in the record may have counted; then the ACCEPT says so.
        let mut hand = Hand::new();
        hand.say(&frames::data(0, &[b"before"]));
        hand.say(&[&good, bad].concat());
        hand.assert_detached();
        let accepted = hand.resume(&at(0, 2));
        let Accepted::Ok { recv_next, .. } = accepted else {
            panic!("{accepted:?}");
        };
        assert_eq!(hand.delivered().len() as u64, recv_next);
        assert!((1..=2).contains(&recv_next));
        hand.say(&frames::data(1, &[b"good", b"after"]));
        assert_eq!(
            hand.delivered(),
            [&b"before"[..], b"good", b"after"].map(<[u8]>::to_vec)
        );
    }
}

#[test]
fn f35_data_with_a_known_number_is_dropped_and_acknowledged_again() {
    let mut hand = Hand::new();
    hand.say(&frames::data(0, &[b"one", b"two"]));
    hand.bench.pass(SECOND);
    assert!(
        hand.hear()
            .iter()
            .any(|f| matches!(f, RawFrame::Ack { recv_next: 2, .. }))
    );
    hand.say(&frames::data(0, &[b"one", b"two", b"three"]));
    hand.say(&frames::data(1, &[b"two"]));
    assert!(
        hand.hear()
            .iter()
            .any(|f| matches!(f, RawFrame::Ack { recv_next: 3, .. })),
        "at once"
    );
    assert_eq!(hand.delivered(), [&b"one"[..], b"two", b"three"].map(<[u8]>::to_vec));
    assert!(!hand.is_cut());
}

#[test]
fn f36_a_gap_ends_the_link() {
    assert_ends_link(&frames::data(2, &[b"x"]));
    assert_ends_link(&frames::data(1000, &[b"x"]));
    assert_ends_link(&frames::fragment(2, 10, 0, b"x"));
    assert_ends_link(&frames::fragment(1, 10, 3, b"x"));
}

#[test]
fn f37_l3_a_number_at_the_end_of_the_range_ends_the_link() {
    for seq in [(1 << 62) - 1, (1 << 62) - 2, 1 << 61] {
        assert_ends_link(&frames::data(seq, &[b"x", b"y"]));
        assert_ends_link(&frames::fragment(seq, 10, 0, b"x"));
    }
}

#[test]
fn f38_l3_an_ack_beyond_what_was_sent_ends_the_link() {
    for recv_next in [1, 2, 1 << 40, (1 << 62) - 1] {
        assert_ends_link(&frames::ack(recv_next, 4096, 1 << 20));
    }
    let mut hand = Hand::new();
    hand.server_sends(&[b"a", b"b"]);
    hand.say(&frames::ack(2, 4096, 1 << 20));
    assert!(!hand.is_cut());
    hand.say(&frames::ack(3, 4096, 1 << 20));
    hand.assert_detached();
}

#[test]
fn f39_an_ack_that_goes_back_is_ignored() {
    let mut hand = Hand::new();
    hand.server_sends(&[b"a", b"b", b"c"]);
    hand.say(&frames::ack(3, 4096, 1 << 20));
    hand.say(&frames::ack(1, 1, 1));
    hand.say(&frames::ack(0, 1 << 20, 1 << 30));
    assert!(!hand.is_cut());
    let stats = hand.bench.endpoint.session(hand.id).unwrap().stats();
    assert_eq!(stats.unacked_messages, 0);
    // Nor does the credit move back: the edge stays at 3 + 4096.
    hand.hear();
    hand.server_sends(&[b"d", b"e"]);
    assert_eq!(messages(&hand.hear()).len(), 2);
}

#[test]
fn f40_data_beyond_the_credit_ends_the_link() {
    let limits = unbroken::Limits {
        window_messages: 4,
        message: 1024,
        window_bytes: 2000,
        ..Default::default()
    };
    let config = || server_config().limits(limits.clone()).build().unwrap();
    // Nobody reads: five messages are one too many, four are not.
    for (count, size, cut) in [
        (4, 10, false),
        (5, 10, true),
        (2, 1000, false),
        (3, 1000, true),
        (1, 1025, true),
    ] {
        let mut hand = Hand::with(config());
        hand.bench.reads = false;
        let payload = vec![1; size];
        for seq in 0..count {
            hand.say(&frames::data(seq, &[&payload]));
        }
        assert_eq!(hand.is_cut(), cut, "{count} messages of {size} bytes");
        assert_eq!(
            hand.state(),
            Some(if cut { State::Connecting } else { State::Established })
        );
    }
    // Reading opens the window, and says so.
    let mut hand = Hand::with(config());
    for seq in 0..20 {
        hand.say(&frames::data(seq, &[&[1; 900]]));
        hand.bench.pass(SECOND);
        let ack = RawFrame::Ack {
            recv_next: seq + 1,
            messages: 4,
            bytes: 2000,
        };
        assert!(hand.hear().contains(&ack));
    }
    assert!(!hand.is_cut());
}

#[test]
fn f40_the_core_itself_keeps_to_the_peers_credit() {
    // A window of three messages and 1000 bytes.
    let mut hand = Hand::new();
    hand.client.window = Window(3, 1000, 1000);
    hand.resume(&at(0, 0));
    hand.hear();
    hand.say(&frames::ack(0, 3, 1000));
    hand.server_sends(&[b"a", b"b", b"c", b"d"]);
    assert_eq!(
        messages(&hand.hear()).len(),
        4,
        "the edge never moves left: before, it was at 4096"
    );
    // A session that began with it.
    let mut bench = unbroken_sim::ServerBench::new(server_config().authorise_all(true).build().unwrap());
    let mut client = unbroken_sim::raw::RawClient::new(server_key().public(), REALM, 1);
    client.window = Window(3, 1000, 1000);
    let (link, mut wire, _) = hello(&mut bench, &mut client);
    bench.input(link, &wire.seal(&frames::auth(b"")));
    let id = unbroken::SessionId(client.session_id);
    for size in [10, 980, 11, 5] {
        bench.endpoint.session(id).unwrap().send(vec![1; size].into()).unwrap();
    }
    bench.pump();
    let bytes = bench.links.take(link);
    assert_eq!(
        messages(&wire.open(&bytes)).len(),
        2,
        "990 bytes; 1001 are too many, and nothing overtakes"
    );
    bench.input(link, &wire.seal(&frames::ack(1, 3, 1000)));
    let bytes = bench.links.take(link);
    assert_eq!(
        messages(&wire.open(&bytes)).iter().map(|(n, _)| *n).collect::<Vec<_>>(),
        [2, 3]
    );
}

#[test]
fn f41_l20_a_ping_flood_gives_one_pong() {
    let mut hand = Hand::new();
    // Without a chance to write in between.
    let mut flood = Vec::new();
    for n in 0..10_000u64 {
        flood.extend(
            hand.wire
                .seal(&[frames::ping([1; 8]), frames::ping(n.to_be_bytes())].concat()),
        );
    }
    hand.bench.input(hand.link, &flood);
    let pongs: Vec<_> = hand
        .hear()
        .into_iter()
        .filter(|f| matches!(f, RawFrame::Pong(_)))
        .collect();
    assert_eq!(pongs, [RawFrame::Pong(9_999u64.to_be_bytes())]);
    // The client's end as well.
    let mut guest = Guest::new();
    let mut flood = Vec::new();
    for n in 0..1000u64 {
        flood.extend(guest.wire.seal(&frames::ping(n.to_be_bytes())));
    }
    guest.bench.input(guest.link, &flood);
    let pongs: Vec<_> = guest
        .hear()
        .into_iter()
        .filter(|f| matches!(f, RawFrame::Pong(_)))
        .collect();
    assert_eq!(pongs, [RawFrame::Pong(999u64.to_be_bytes())]);
}

#[test]
fn f42_data_behind_a_close_is_ignored() {
    let mut hand = Hand::new();
    hand.say(&frames::data(0, &[b"before"]));
    hand.say(&[frames::close(0, 77, 1, 0), frames::data(1, &[b"in the same record"])].concat());
    let late = hand.wire.seal(&frames::data(1, &[b"in another record"]));
    hand.bench.input(hand.link, &late);
    assert_eq!(hand.delivered(), [b"before".to_vec()]);
    assert_eq!(hand.hear().last(), Some(&RawFrame::CloseAck { recv_next: 1 }));
    let closed = Event::Closed(CloseReason::Peer {
        code: 77,
        truncated: false,
    });
    assert_eq!(hand.bench.take_events().last(), Some(&closed));
    assert!(hand.is_cut());
    // The end of a conversation that is missing is reported.
    let mut hand = Hand::new();
    hand.say(&frames::close(0, 77, 3, 0));
    let closed = Event::Closed(CloseReason::Peer {
        code: 77,
        truncated: true,
    });
    assert_eq!(hand.bench.take_events().last(), Some(&closed));
}

#[test]
fn f43_a_close_from_the_previous_link_is_ignored() {
    let mut hand = Hand::new();
    let (flight, pending) = hand.client.resume(&at(0, 0));
    let (link, answer) = hand.bench.connect(&flight);
    let (_, wire, _) = hand.client.accept(pending, &answer).unwrap();
    let old_link = core::mem::replace(&mut hand.link, link);
    let mut old_wire = core::mem::replace(&mut hand.wire, wire);
    // The new link is confirmed; the old one says CLOSE.
    hand.say(&frames::data(0, &[b"on the new link"]));
    let close = old_wire.seal(&frames::close(0, 1, 0, 0));
    hand.bench.input(old_link, &close);
    assert_eq!(hand.state(), Some(State::Established));
    hand.say(&frames::data(1, &[b"still"]));
    assert_eq!(hand.delivered().len(), 2);
    assert!(!hand.bench.take_events().iter().any(|e| matches!(e, Event::Closed(_))));
    // The client: a server's CLOSE "superseded" on the old link ends that link only.
    let mut guest = Guest::new();
    guest
        .bench
        .network(unbroken::NetworkEvent::Changed(unbroken::NetworkId(2)));
    let old_link = guest.link;
    let (link, flight) = guest.bench.next_link(10 * SECOND);
    let served = guest.server.read(&flight);
    let (answer, wire) = guest.server.accept(served, 0, 0, 0);
    guest.bench.input(link, &answer);
    let mut old_wire = core::mem::replace(&mut guest.wire, wire);
    guest.link = link;
    for kind in [3, 0] {
        let close = old_wire.seal(&frames::close(kind, 0, 0, 0));
        guest.bench.input(old_link, &close);
        guest.assert_open();
    }
    assert_eq!(guest.bench.session.state(), State::Established);
}

#[test]
fn f44_a_fin_without_close_detaches_and_the_session_resumes() {
    let mut hand = Hand::new();
    hand.bench.down(hand.link);
    assert_eq!(hand.state(), Some(State::Connecting));
    hand.bench.pass(29 * SECOND);
    hand.assert_resumable(&at(0, 0));
    // Once nobody comes for the detached life, it expires, and says so (G2).
    hand.bench.take_events();
    hand.bench.down(hand.link);
    hand.bench.pass(31 * SECOND);
    let events = hand.bench.take_events();
    assert!(
        matches!(
            events[..],
            [Event::HandoverBegin { .. }, .., Event::Closed(CloseReason::Expired)]
        ),
        "{events:?}"
    );
    assert!(events.iter().any(|e| matches!(e, Event::HandoverFailed { .. })));
    assert_eq!(hand.bench.endpoint.sessions(), 0);
    // A late client is told honestly, and by a server that proves who it is.
    let (flight, _) = hand.client.resume(&at(0, 0));
    let (_, answer) = hand.bench.connect(&flight);
    assert_eq!(answer[12], 4, "not here: ask");
    let (flight, pending) = hand.client.query(hand.client.attempt + 1);
    let (_, answer) = hand.bench.connect(&flight);
    let (accepted, ..) = hand.client.accept(pending, &answer).unwrap();
    assert!(
        matches!(accepted, Accepted::Lost { status: 2, kind: 1, .. }),
        "{accepted:?}"
    );
    hand.bench.pass(60 * SECOND);
    hand.bench.endpoint.handle_timeout(hand.bench.now);
    let (flight, pending) = hand.client.query(hand.client.attempt + 2);
    let (_, answer) = hand.bench.connect(&flight);
    let (accepted, ..) = hand.client.accept(pending, &answer).unwrap();
    assert!(matches!(accepted, Accepted::Lost { status: 1, .. }), "{accepted:?}");
}

#[test]
fn f45_too_many_keys_end_the_link() {
    let mut guest = Guest::new();
    let key = ([0x77; 32], 60);
    for _ in 0..16 {
        guest.say(&frames::keys(&[key]));
    }
    assert!(!guest.is_cut());
    guest.say(&frames::keys(&[key]));
    assert!(guest.is_cut());
    guest.assert_open();
    guest.resume(0);
    // More than four in a frame, or none.
    for count in [0, 5] {
        let mut guest = Guest::new();
        guest.say(&frames::keys(&vec![key; count]));
        assert!(guest.is_cut());
        guest.assert_open();
    }
    // A thousand different keys do not become a thousand pins: the pinned one is still tried.
    let mut guest = Guest::new();
    for n in 0..16u8 {
        guest.say(&frames::keys(&core::array::from_fn::<_, 4, _>(|i| {
            ([n * 4 + i as u8 + 1; 32], 60)
        })));
    }
    guest.bench.down(guest.link);
    assert!(guest.resume(0).send_end == 0);
}

#[test]
fn f46_a_fragmented_message_that_never_ends_is_capped_and_expires() {
    // It may not be larger than the receiver said ...
    assert_ends_link(&frames::fragment(1, (1 << 20) + 1, 0, &[1; 1000]));
    // ... nor change its size, nor go past it.
    for second in [
        frames::fragment(0, 5001, 1000, &[1; 10]),
        frames::fragment(0, 5000, 4990, &[1; 11]),
    ] {
        let mut hand = Hand::new();
        hand.say(&frames::fragment(0, 5000, 0, &[1; 1000]));
        hand.say(&second);
        hand.assert_detached();
    }
    // The rest may come on another link, from where it broke off; overlap is dropped.
    let mut hand = Hand::new();
    let message: Vec<u8> = (0..5000u32).map(|n| n as u8).collect();
    hand.say(&frames::fragment(0, 5000, 0, &message[..2000]));
    hand.say(&frames::fragment(0, 5000, 1000, &message[1000..3000]));
    let accepted = hand.resume(&at(0, 1));
    assert!(
        matches!(
            accepted,
            Accepted::Ok {
                recv_next: 0,
                recv_offset: 3000,
                ..
            }
        ),
        "{accepted:?}"
    );
    hand.say(&frames::fragment(0, 5000, 3000, &message[3000..]));
    assert_eq!(hand.delivered(), [message]);
    // One that never ends goes with its session.
    hand.say(&frames::fragment(1, 1 << 20, 0, &[1; 10_000]));
    hand.bench.down(hand.link);
    hand.bench.pass(31 * SECOND);
    assert_eq!(hand.bench.endpoint.sessions(), 0);
    assert_eq!(hand.delivered().len(), 1);
}
