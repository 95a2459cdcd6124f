//! First flights byte by byte: each judgement comes as soon as it can and never sooner, and nothing holds more than its flight.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::config::{Limits, ServerConfig};
use crate::crypto::{ClusterKey, Seed, ServerKey};
use crate::endpoint::Endpoint;
use crate::endpoint::admission::{Pending, Queue, Stage, Step, refuse};
use crate::event::{LinkId, Output};
use crate::session::tests::Dice;
use crate::time::Instant;
use crate::wire::flight::{RESUME_JUDGED, Refuse, RefuseCode};
use crate::wire::prelude::{self, FlightKind, Prelude};

const KEY: [u8; 4] = *b"key1";

fn flight(kind: FlightKind, length: u16) -> Vec<u8> {
    let prelude = Prelude {
        version: 1,
        kind,
        key_id: KEY,
        length,
    };
    let mut bytes = prelude.encode().to_vec();
    bytes.resize(prelude::LEN + usize::from(length), 0xaa);
    bytes
}

/// All judgements that these bytes lead to, each with how many had been taken by then.
fn feed(pending: &mut Pending, mut bytes: &[u8]) -> Vec<(usize, Step)> {
    let mut steps = Vec::new();
    loop {
        let step = pending.feed(&mut bytes, &(1..=1), |id| id == KEY);
        if step == Step::More {
            assert!(bytes.is_empty(), "it asked for more and left {} bytes", bytes.len());
            return steps;
        }
        steps.push((pending.input.len(), step));
        if step != Step::Judge {
            return steps;
        }
    }
}

#[test]
fn the_cut_of_the_bytes_does_not_matter() {
    for (kind, length) in [
        (FlightKind::Hello, 200),
        (FlightKind::Query, 200),
        (FlightKind::Resume, 5000),
    ] {
        let bytes = flight(kind, length);
        let whole = bytes.len();
        let prelude = Prelude {
            version: 1,
            kind,
            key_id: KEY,
            length,
        };
        let mut wanted = Vec::from([(whole, Step::Whole(prelude, whole))]);
        if kind == FlightKind::Resume {
            wanted.insert(0, (RESUME_JUDGED, Step::Judge));
        }
        assert_eq!(feed(&mut Pending::new(), &bytes), wanted);
        for seed in 0..50 {
            let mut dice = Dice::new(seed);
            let (mut pending, mut steps, mut at) = (Pending::new(), Vec::new(), 0);
            while at < bytes.len() {
                let size = (dice.between(1, 40) as usize).min(bytes.len() - at);
                steps.extend(feed(&mut pending, &bytes[at..at + size]));
                at += size;
            }
            assert_eq!(steps, wanted, "seed {seed}");
        }
    }
}

#[test]
fn what_follows_a_flight_is_left_to_its_reader() {
    let mut bytes = flight(FlightKind::Hello, 200);
    bytes.extend_from_slice(b"records");
    let mut rest = bytes.as_slice();
    let mut pending = Pending::new();
    assert!(matches!(pending.feed(&mut rest, &(1..=1), |_| true), Step::Whole(..)));
    assert_eq!(rest, b"records");
}

/// F-1, F-3 to F-5, F-8: judged at the first byte that cannot be, before anything behind it is taken.
#[test]
fn nonsense_is_rejected_at_its_first_wrong_byte() {
    for nonsense in [
        b"GET / HTTP/1.1\r\n".as_slice(),
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"UN",
        b"\0",
    ] {
        let mut pending = Pending::new();
        let steps = feed(&mut pending, nonsense);
        if nonsense == b"UN" {
            assert!(steps.is_empty(), "it may still become a prelude");
        } else {
            assert_eq!(steps.last().map(|step| step.1), Some(Step::Reject), "{nonsense:?}");
            assert!(pending.input.len() <= prelude::LEN);
        }
    }
    let judged = |change: fn(&mut Vec<u8>)| {
        let mut bytes = flight(FlightKind::Hello, 200);
        change(&mut bytes);
        feed(&mut Pending::new(), &bytes)
    };
    for (why, change) in [
        ("type 9", (|bytes| bytes[4] = 9) as fn(&mut Vec<u8>)),
        ("ACCEPT, which a server never gets", |bytes| bytes[4] = 2),
        ("REFUSE, the same", |bytes| bytes[4] = 4),
        ("ACCEPT of an unknown version", |bytes| (bytes[3], bytes[4]) = (9, 2)),
        ("REFUSE of an unknown version", |bytes| (bytes[3], bytes[4]) = (9, 4)),
        ("a flag", |bytes| bytes[5] = 1),
        ("length 0", |bytes| bytes[10..12].fill(0)),
        ("length over the cap", |bytes| bytes[10..12].fill(0xff)),
    ] {
        assert_eq!(judged(change), [(prelude::LEN, Step::Reject)], "{why}");
    }
    assert_eq!(judged(|bytes| bytes[3] = 2), [(prelude::LEN, Step::Version(2, KEY))]);
    assert_eq!(
        judged(|bytes| bytes[6] = 0),
        [(prelude::LEN, Step::Key(1, [0, b'e', b'y', b'1']))]
    );
}

#[test]
fn a_refusal_is_a_flight_of_19_bytes() {
    let bytes = refuse(1, KEY, RefuseCode::Busy, 1500, &(1..=3));
    let (head, body) = bytes.split_first_chunk::<{ prelude::LEN }>().expect("a prelude");
    let prelude = Prelude::parse(head).expect("well formed");
    assert_eq!(
        (prelude.kind, prelude.key_id, usize::from(prelude.length)),
        (FlightKind::Refuse, KEY, body.len())
    );
    let said = Refuse::parse(body).expect("well formed");
    assert_eq!(
        (said.code, said.retry_ms, said.min_version, said.max_version),
        (RefuseCode::Busy, 1500, 1, 3)
    );
}

#[test]
fn a_leaving_connection_takes_nothing_more() {
    let mut pending = Pending::new();
    feed(&mut pending, b"UNB");
    pending.leave(b"words".to_vec());
    assert_eq!(
        (pending.stage, pending.input.len(), pending.has_output()),
        (Stage::Leaving, 0, true)
    );
    assert_eq!(pending.feed(&mut b"more".as_slice(), &(1..=1), |_| true), Step::More);
    pending.blocked = true;
    assert!(!pending.has_output());
    pending.taken = 5;
    assert!(pending.has_output(), "nothing is left to say, so it can be closed");
}

/// L-16: connections come and go; the queue knows the oldest and holds no more than there are.
#[test]
fn the_queue_knows_the_oldest_whatever_comes_and_goes() {
    for seed in 0..50 {
        let mut dice = Dice::new(seed);
        let mut queue = Queue::default();
        let mut model: Vec<(Instant, LinkId)> = Vec::new();
        let mut now = Instant::ZERO;
        for name in 0..1000 {
            now += Duration::from_millis(dice.between(0, 3));
            queue.push(LinkId(name), now);
            model.push((now, LinkId(name)));
            while model.len() > 20 || (dice.one_in(2) && !model.is_empty()) {
                let at = dice.between(0, model.len() as u64 - 1) as usize;
                let (_, link) = model.remove(at);
                assert!(
                    queue.remove(link).is_some() && queue.remove(link).is_none(),
                    "seed {seed}"
                );
            }
            assert_eq!(queue.first(), model.first().map(|(at, _)| *at), "seed {seed}");
            assert_eq!(queue.oldest(now), model.first().map(|(_, link)| *link), "seed {seed}");
            if let Some((at, _)) = model.first()
                && *at > Instant::ZERO
            {
                assert_eq!(
                    queue.oldest(Instant::from_micros(at.as_micros() - 1)),
                    None,
                    "seed {seed}"
                );
            }
            assert_eq!(queue.by_link.len(), model.len(), "seed {seed}");
        }
    }
}

/// What is held waits for somebody else, and has its own time from then on.
#[test]
fn whose_time_begins_anew_stands_last() {
    let at = Instant::from_millis;
    let mut queue = Queue::default();
    for link in 1..=3 {
        queue.push(LinkId(link), at(link));
    }
    queue.renew(LinkId(1), at(10));
    assert_eq!((queue.first(), queue.oldest(at(9))), (Some(at(2)), Some(LinkId(2))));
    // At the same moment twice: it stands there once.
    queue.renew(LinkId(1), at(10));
    queue.remove(LinkId(2));
    queue.remove(LinkId(3));
    assert_eq!((queue.first(), queue.oldest(at(9))), (Some(at(10)), None));
    assert_eq!(queue.oldest(at(10)), Some(LinkId(1)));
    queue.remove(LinkId(1));
    assert_eq!((queue.first(), queue.by_link.len()), (None, 0));
    queue.renew(LinkId(1), at(11));
    assert_eq!(queue.first(), None, "who has gone has no time");
}

/// A limit is a duration of nanoseconds and time passes in microseconds: a deadline that was told must be one that is kept, or the host would
/// be asked to call again at once until the next microsecond.
#[test]
fn f71_a_connection_is_over_when_its_deadline_said() {
    let key = ServerKey::from_bytes([1; 32]).unwrap();
    let limits = Limits {
        handshake: Duration::from_nanos(100_000_500),
        ..Limits::default()
    };
    let config = ServerConfig::builder(key, ClusterKey::from_bytes([2; 32]).unwrap()).limits(limits);
    let start = Instant::from_millis(1);
    let mut endpoint = Endpoint::new(Arc::new(config.build().unwrap()), Seed::new([3; 32]), start);
    endpoint.handle_link_up(LinkId(7), start);
    let deadline = endpoint.poll_timeout().unwrap();
    endpoint.handle_timeout(deadline);
    assert_eq!(
        endpoint.poll_output(&mut [0; 1024], deadline),
        Some(Output::CloseLink { link: LinkId(7) })
    );
    assert!(endpoint.poll_timeout().is_none_or(|next| next > deadline));
}

fn with_room_for_two(now: Instant) -> Endpoint {
    let key = ServerKey::from_bytes([1; 32]).unwrap();
    let limits = Limits {
        pending_handshakes: 2,
        ..Limits::default()
    };
    let config = ServerConfig::builder(key, ClusterKey::from_bytes([2; 32]).unwrap()).limits(limits);
    Endpoint::new(Arc::new(config.build().unwrap()), Seed::new([3; 32]), now)
}

#[test]
fn connections_that_never_become_links_are_counted_however_they_go() {
    let now = Instant::from_millis(1);
    let mut endpoint = with_room_for_two(now);
    for link in 1..=4 {
        endpoint.handle_link_up(LinkId(link), now);
    }
    let counters = endpoint.counters();
    assert_eq!(
        (counters.links_accepted, counters.refused_busy, counters.links_rejected),
        (4, 2, 2)
    );
    for link in 1..=2 {
        let closed = endpoint.poll_output(&mut [0; 1024], now);
        assert_eq!(
            closed,
            Some(Output::CloseLink { link: LinkId(link) }),
            "the oldest have made room"
        );
    }
    endpoint.handle_link_down(LinkId(3), now);
    endpoint.handle_input(LinkId(4), b"GET / HTTP/1.1", now);
    assert_eq!((endpoint.counters().links_rejected, endpoint.links()), (4, 0));
}

/// Nobody keeps a place among those that are judged by being turned away.
#[test]
fn whoever_was_refused_and_does_not_end_its_flight_goes_by_its_age() {
    let now = Instant::from_millis(1);
    let mut endpoint = with_room_for_two(now);
    endpoint.handle_link_up(LinkId(1), now);
    endpoint.handle_input(LinkId(1), &flight(FlightKind::Resume, 5000)[..100], now);
    let told = endpoint.poll_output(&mut [0; 1024], now);
    assert_eq!(
        told,
        Some(Output::Send {
            link: LinkId(1),
            len: 19
        })
    );
    assert_eq!(endpoint.poll_output(&mut [0; 1024], now), None);
    for link in 2..=3 {
        endpoint.handle_link_up(LinkId(link), now);
    }
    let closed = endpoint.poll_output(&mut [0; 1024], now);
    assert_eq!(closed, Some(Output::CloseLink { link: LinkId(1) }));
}

/// Somebody else makes a client wait whose flight is there, and who was refused with a flight that is whole reads its last words: neither makes room as long as there is one that has shown nothing.
#[test]
fn whoever_has_shown_a_flight_is_the_last_to_make_room() {
    let mut queue = Queue::default();
    for link in 1..=5 {
        queue.push(LinkId(link), Instant::from_millis(link));
    }
    let bytes = flight(FlightKind::Resume, 5000);
    for (link, shown) in [
        (1, bytes.len()),
        (2, bytes.len()),
        (3, RESUME_JUDGED),
        (4, RESUME_JUDGED),
    ] {
        let pending = queue.by_link.get_mut(&LinkId(link)).expect("it is there");
        let judged = feed(pending, &bytes[..shown]).pop();
        if let Some((_, Step::Whole(prelude, _))) = judged {
            // It is taken out before it is judged.
            pending.input.clear();
            if link == 1 {
                pending.hold(prelude, b"");
            }
        }
        if matches!(link, 2 | 3) {
            pending.leave(b"words".to_vec());
        }
    }
    for link in [3, 4, 5, 1, 2] {
        assert_eq!(queue.least_promising(), Some(LinkId(link)));
        queue.remove(LinkId(link));
    }
    assert_eq!(queue.least_promising(), None);
}
