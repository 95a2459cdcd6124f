//! What an application or a host may do wrong: F-53 to F-61, as far as Rust lets it happen.

use core::time::Duration;

use bytes::Bytes;
use unbroken::{
    Backoff, ClientConfig, ClusterKey, Endpoint, Event, Instant, Limits, LinkId, NetworkEvent, SendError, ServerConfig,
    ServerKey, Session, Shard, State, Timing,
};
use unbroken_sim::raw::frames;
use unbroken_sim::{Options, Pair, Side};

use crate::common::*;

/// Roles are types: a server has no `connect`, a client no `authorise`; what is left of F-53 in Rust does not compile. Two threads
/// cannot hold one session at once, as every call takes `&mut self`; it may be moved between them.
#[test]
fn f54_a_session_and_an_endpoint_may_move_between_threads() {
    fn moves<T: Send>() {}
    moves::<Session>();
    moves::<Endpoint>();
    let mut hand = Hand::new();
    let mut endpoint = hand.bench.endpoint;
    endpoint = std::thread::spawn(move || {
        endpoint.handle_timeout(Instant::from_millis(1));
        endpoint
    })
    .join()
    .unwrap();
    hand.bench.endpoint = endpoint;
    assert_eq!(hand.state(), Some(State::Established));
}

#[test]
fn f55_send_after_disconnect_gives_the_message_back() {
    let mut guest = Guest::new();
    guest.bench.session.send(Bytes::from_static(b"before")).unwrap();
    guest.bench.session.disconnect(3);
    let message = Bytes::from_static(b"after");
    for _ in 0..3 {
        assert_eq!(
            guest.bench.session.send(message.clone()),
            Err(SendError::Closed(message.clone()))
        );
        assert_eq!(
            guest.bench.session.send_unreliable(message.clone()),
            Err(SendError::Closed(message.clone()))
        );
        guest.bench.pump();
        guest.bench.pass(SECOND);
    }
    assert_eq!(messages(&guest.hear()), [(0, b"before".to_vec())]);
    // At the server.
    let mut hand = Hand::new();
    hand.bench.endpoint.session(hand.id).unwrap().close(3);
    let result = hand.bench.endpoint.session(hand.id).unwrap().send(message.clone());
    assert_eq!(result, Err(SendError::Closed(message.clone())));
    hand.say(&frames::close_ack(0));
    if let Some(mut session) = hand.bench.endpoint.session(hand.id) {
        assert_eq!(session.send(message.clone()), Err(SendError::Closed(message)));
    }
}

#[test]
fn f56_l10_send_over_the_cap_would_block_and_gives_the_message_back() {
    let limits = Limits {
        unacked_messages: 4,
        message: 1024,
        unacked_bytes: 2048,
        ..Limits::default()
    };
    for (size, fit) in [(1, 4), (1000, 2), (1024, 2)] {
        let mut guest = Guest::with(client_config().limits(limits.clone()).build().unwrap());
        let message = Bytes::from(vec![7; size]);
        for n in 0..fit {
            assert_eq!(guest.bench.session.send(message.clone()).unwrap().0, n);
        }
        for _ in 0..100 {
            assert_eq!(
                guest.bench.session.send(message.clone()),
                Err(SendError::WouldBlock(message.clone()))
            );
        }
        assert_eq!(guest.bench.session.stats().unacked_messages, fit);
        guest.bench.pump();
        assert_eq!(
            messages(&guest.hear()).len() as u64,
            fit,
            "nothing was dropped to make room"
        );
        assert!(!guest.bench.events.contains(&Event::Writable));
        guest.say(&frames::ack(fit, 4096, 1 << 20));
        assert_eq!(guest.bench.events.iter().filter(|e| **e == Event::Writable).count(), 1);
        assert_eq!(
            guest.bench.session.send(message.clone()).unwrap().0,
            fit,
            "the number was not used up"
        );
    }
    // Too large for either end is another error, and comes at once.
    let mut guest = Guest::with(client_config().limits(limits).build().unwrap());
    let large = Bytes::from(vec![7; 1025]);
    let error = guest.bench.session.send(large.clone()).unwrap_err();
    assert_eq!(
        error,
        SendError::TooLarge {
            message: large,
            max: 1024
        }
    );
}

#[test]
fn f57_input_for_an_old_or_unknown_link_is_ignored() {
    let mut hand = Hand::new();
    let record = hand.wire.seal(&frames::data(0, &[b"late"]));
    let old = hand.link;
    hand.assert_resumable(&unbroken_sim::raw::Resume {
        send_end: 1,
        ..Default::default()
    });
    hand.bench.down(old);
    hand.bench.links.take(old);
    hand.bench.take_events();
    let before = format!(
        "{:?}",
        hand.bench.endpoint.session(hand.id).map(|s| (s.state(), s.stats()))
    );
    for link in [old, LinkId(9999)] {
        hand.bench.input(link, &record);
        hand.bench.input(link, b"nonsense");
        hand.bench.down(link);
        hand.bench.endpoint.handle_link_blocked(link);
        hand.bench.endpoint.handle_link_writable(link);
        hand.bench.pump();
        assert!(hand.bench.links.quiet(link));
    }
    assert_eq!(
        format!(
            "{:?}",
            hand.bench.endpoint.session(hand.id).map(|s| (s.state(), s.stats()))
        ),
        before
    );
    assert_eq!(hand.bench.take_events(), []);
    // The client.
    let mut guest = Guest::new();
    let record = guest.wire.seal(&frames::data(0, &[b"late"]));
    let old = guest.link;
    guest.bench.down(old);
    guest.resume(0);
    let before = format!("{:?}", guest.bench.session.stats());
    for link in [old, LinkId(9999)] {
        guest.bench.input(link, &record);
        guest.bench.input(link, b"nonsense");
        guest.bench.down(link);
        guest.bench.session.handle_link_up(link, guest.bench.now);
        guest.bench.session.handle_link_blocked(link);
        guest.bench.session.handle_link_writable(link);
        guest.bench.pump();
    }
    assert_eq!(format!("{:?}", guest.bench.session.stats()), before);
    assert_eq!(guest.bench.received, []);
    assert_eq!(guest.bench.session.state(), State::Established);
}

/// In Rust a buffer cannot be told that it is too small; but a small one must cost nothing but calls.
#[test]
fn f58_a_small_output_buffer_loses_nothing() {
    for buffer in [256, 257, 300, 511, 512, 1000, 4096] {
        let mut options = Options::calm();
        options.host.buffer = buffer;
        options.app.messages = [20, 20];
        options.app.size = 3000;
        options.app.rare_size = 70_000;
        options.app.unreliable = 300;
        let mut pair = Pair::new(options, buffer as u64);
        pair.establish();
        pair.kill_all();
        pair.deliver();
    }
    // Nothing is consumed by a buffer that is of no use at all.
    let mut guest = Guest::new();
    guest.bench.session.send(Bytes::from_static(b"whole")).unwrap();
    for len in 0..40 {
        let output = guest.bench.session.poll_output(&mut vec![0; len], guest.bench.now);
        assert_eq!(output, None, "{len} bytes");
    }
    guest.bench.pump();
    assert_eq!(messages(&guest.hear()), [(0, b"whole".to_vec())]);
    assert_eq!(guest.bench.session.state(), State::Established);
}

#[test]
fn f61_a_configuration_out_of_range_is_refused_and_names_the_field() {
    type Change = fn(&mut Limits);
    let cases: [(&str, Change); 22] = [
        ("limits.message", |l| l.message = 1023),
        ("limits.message", |l| l.message = (16 << 20) + 1),
        ("limits.unacked_bytes", |l| l.unacked_bytes = l.message - 1),
        ("limits.unacked_bytes", |l| l.unacked_bytes = (64 << 20) + 1),
        ("limits.unacked_messages", |l| l.unacked_messages = 0),
        ("limits.unacked_messages", |l| l.unacked_messages = 65_537),
        ("limits.window_bytes", |l| l.window_bytes = l.message - 1),
        ("limits.window_bytes", |l| l.window_bytes = u32::MAX),
        ("limits.window_messages", |l| l.window_messages = 0),
        ("limits.window_messages", |l| l.window_messages = u32::MAX),
        ("limits.unreliable_bytes", |l| l.unreliable_bytes = (1 << 20) + 1),
        ("limits.handshake", |l| l.handshake = Duration::from_millis(99)),
        ("limits.handshake", |l| l.handshake = Duration::MAX),
        ("limits.pending_handshakes", |l| l.pending_handshakes = 0),
        ("limits.pending_handshakes", |l| l.pending_handshakes = u32::MAX),
        ("limits.sessions", |l| l.sessions = 0),
        ("limits.sessions", |l| l.sessions = (1 << 24) + 1),
        ("limits.detached", |l| l.detached = Duration::from_millis(999)),
        ("limits.detached", |l| l.detached = Duration::from_secs(86_401)),
        ("limits.tombstone", |l| l.tombstone = Duration::from_secs(86_401)),
        ("limits.tombstones", |l| l.tombstones = (1 << 24) + 1),
        ("limits.unacked_bytes", |l| {
            (l.message, l.unacked_bytes) = (16 << 20, 1 << 20)
        }),
    ];
    for (field, change) in cases {
        let mut limits = Limits::default();
        change(&mut limits);
        let client = client_config().limits(limits.clone()).build().err().expect(field);
        let server = server_config().limits(limits).build().err().expect(field);
        for error in [client, server] {
            assert_eq!(error.field, field);
            assert!(error.to_string().contains(field) && !error.problem.is_empty());
        }
    }
    type ChangeTiming = fn(&mut Timing);
    let timing: [(&str, ChangeTiming); 8] = [
        ("timing.ack_messages", |t| t.ack_messages = 0),
        ("timing.ack_messages", |t| t.ack_messages = 4097),
        ("timing.ack_bytes", |t| t.ack_bytes = 0),
        ("timing.ack_delay", |t| t.ack_delay = Duration::from_millis(501)),
        ("timing.idle_probe", |t| t.idle_probe = Duration::from_millis(999)),
        ("timing.idle_probe", |t| t.idle_probe = Duration::from_secs(3601)),
        ("timing.dead_after", |t| t.dead_after = Duration::from_millis(499)),
        ("timing.dead_after", |t| t.dead_after = Duration::from_secs(301)),
    ];
    for (field, change) in timing {
        let mut timing = Timing::default();
        change(&mut timing);
        assert_eq!(
            client_config().timing(timing.clone()).build().err().expect(field).field,
            field
        );
        assert_eq!(server_config().timing(timing).build().err().expect(field).field, field);
    }
    type ChangeBackoff = fn(&mut Backoff);
    let backoff: [(&str, ChangeBackoff); 5] = [
        ("backoff.base", |b| b.base = Duration::ZERO),
        ("backoff.base", |b| b.base = Duration::from_secs(61)),
        ("backoff.cap", |b| b.cap = Duration::from_millis(1)),
        ("backoff.cap", |b| b.cap = Duration::from_secs(3601)),
        ("backoff.give_up_after", |b| b.give_up_after = Duration::from_millis(1)),
    ];
    for (field, change) in backoff {
        let mut backoff = Backoff::default();
        change(&mut backoff);
        assert_eq!(
            client_config().backoff(backoff).build().err().expect(field).field,
            field
        );
    }
    assert_eq!(
        client_config().realm(vec![0; 256]).build().err().unwrap().field,
        "realm"
    );
    assert_eq!(
        client_config().credential(vec![0; 8193]).build().err().unwrap().field,
        "credential"
    );
    assert_eq!(
        server_config().realm(vec![0; 256]).build().err().unwrap().field,
        "realm"
    );
    assert_eq!(
        server_config().address("a".repeat(256)).build().err().unwrap().field,
        "address"
    );
    let pins = |n: u8| {
        (1..n).fold(ClientConfig::builder(server_key().public()), |b, i| {
            b.also_pin(unbroken::PublicKey([i; 32]))
        })
    };
    assert!(pins(8).build().is_ok());
    assert_eq!(pins(9).build().err().unwrap().field, "pins");
    let keys = |n: u8| {
        let cluster = ClusterKey::from_bytes([1; 32]).unwrap();
        let first = ServerConfig::builder(server_key(), cluster);
        (1..n).fold(first, |b, i| b.also_key(ServerKey::from_bytes([i; 32]).unwrap()))
    };
    assert!(keys(8).build().is_ok());
    assert_eq!(keys(9).build().err().unwrap().field, "keys");
    let config = server_config().build().unwrap();
    assert!(config.for_shard(Shard { index: 3, count: 4 }).is_ok());
    for (index, count) in [(4, 4), (0, 0), (1, 0)] {
        assert!(config.for_shard(Shard { index, count }).is_err());
    }
}

#[test]
fn f57_a_host_may_say_anything_about_links_in_any_order() {
    let mut guest = Guest::new();
    let now = guest.bench.now;
    for n in 0..20 {
        let link = LinkId(n);
        guest.bench.session.handle_link_writable(link);
        guest.bench.session.handle_link_up(link, now);
        guest.bench.session.handle_link_blocked(link);
        guest.bench.session.handle_link_blocked(link);
        guest.bench.session.handle_link_writable(link);
        guest.bench.pump();
    }
    guest.bench.network(NetworkEvent::Wake);
    guest.bench.session.retry(now);
    guest.bench.pump();
    guest.assert_open();
    assert_eq!(guest.bench.session.state(), State::Established);
    let _ = Side::BOTH;
}
