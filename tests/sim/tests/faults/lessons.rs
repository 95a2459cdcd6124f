//! What others learned the hard way: the L rows that no other file has.

use core::time::Duration;
use std::collections::BTreeMap;

use bytes::Bytes;
use unbroken::crypto::{Key, Opener, Sealer};
use unbroken::{ClusterKey, Event, Limits, LinkId, NetworkEvent, NetworkId, ServerKey, SessionId, State, Verdict};
use unbroken_sim::raw::{Accepted, RawFrame, Resume, frames};
use unbroken_sim::{ClientBench, Connect, Fate, Fleet, Node, Options, Pair, Rng, Side};

use crate::common::*;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn l1_every_way_to_send_counts_in_one_row() {
    let mut bench = ClientBench::new(client_config().build().unwrap());
    let mut server = unbroken_sim::raw::RawServer::new(server_key(), REALM, 12);
    let mut next = 0;
    let mut send = |bench: &mut ClientBench, sizes: &[usize]| {
        for size in sizes {
            let id = bench.session.send(vec![next as u8; *size].into()).unwrap();
            assert_eq!(id.0, next);
            next += 1;
        }
    };
    // Before there is a link; while it handshakes; before and after the verdict; large; while detached; in a replay.
    send(&mut bench, &[5, 0]);
    let (link, flight) = bench.link_up();
    send(&mut bench, &[5]);
    let served = server.read(&flight);
    let (answer, mut wire) = server.accept(served, 0, 0, 0);
    bench.input(link, &answer);
    send(&mut bench, &[20_000, 1]);
    bench.pump();
    bench.input(link, &wire.seal(&frames::auth_result(0, 0, b"")));
    send(&mut bench, &[7, 40_000]);
    bench.pump();
    let heard = wire.open(&bench.links.take(link));
    bench.down(link);
    send(&mut bench, &[9]);
    let (link, flight) = bench.next_link(10 * SECOND);
    send(&mut bench, &[3]);
    let served = server.read(&flight);
    let early = unbroken_sim::raw::parse(&served.resume.early);
    let (answer, mut wire) = server.accept(served, 0, 0, 0);
    bench.input(link, &answer);
    send(&mut bench, &[2]);
    bench.pump();
    let again = wire.open(&bench.links.take(link));
    // Each number means the same message wherever it appears.
    let mut seen: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for (seq, payload) in [messages(&heard), messages(&early), messages(&again)].concat() {
        assert!(payload.iter().all(|b| *b == seq as u8));
        assert_eq!(*seen.entry(seq).or_insert(payload.clone()), payload);
    }
    let parts = [heard, early, again].concat();
    assert!(parts.iter().any(|f| matches!(
        f,
        RawFrame::Fragment {
            seq: 3,
            total: 20_000,
            ..
        }
    )));
    assert!(parts.iter().any(|f| matches!(
        f,
        RawFrame::Fragment {
            seq: 6,
            total: 40_000,
            ..
        }
    )));
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 4, 5, 7, 8, 9]);
}

#[test]
fn l4_a_stalled_reader_still_acknowledges_what_it_delivered() {
    let mut hand = Hand::new();
    hand.bench.reads = false;
    for seq in 0..10 {
        hand.say(&frames::data(seq, &[b"x"]));
    }
    hand.bench.pass(SECOND);
    assert!(
        !hand
            .hear()
            .iter()
            .any(|f| matches!(f, RawFrame::Ack { recv_next: 1.., .. })),
        "nothing was delivered yet"
    );
    // Its own sending is at the end of its credit, and stays so.
    hand.client.window = unbroken_sim::raw::Window(1, 1 << 20, 1 << 20);
    for _ in 0..4097 {
        let _ = hand
            .bench
            .endpoint
            .session(hand.id)
            .unwrap()
            .send(Bytes::from_static(b"y"));
    }
    hand.bench.pump();
    hand.hear();
    for read in 1..=3 {
        assert!(hand.bench.endpoint.session(hand.id).unwrap().recv().is_some());
        hand.bench.pump();
        hand.bench.pass(SECOND);
        assert!(
            hand.hear()
                .iter()
                .any(|f| matches!(f, RawFrame::Ack { recv_next, .. } if *recv_next == read)),
            "{read}"
        );
    }
    // In the middle of a replay, too: the ACK rides on the first record.
    hand.bench.endpoint.session(hand.id).unwrap().recv().unwrap();
    hand.resume(&Resume {
        send_end: 10,
        ..Resume::default()
    });
    let first = hand.heard.first().cloned();
    assert!(matches!(first, Some(RawFrame::Ack { recv_next: 4, .. })), "{first:?}");
}

#[test]
fn l5_counters_survive_ten_thousand_resumes() {
    let resumes = if cfg!(debug_assertions) { 2_000 } else { 10_000 };
    let mut options = Options::calm();
    options.net.delay = [Duration::from_micros(100); 2];
    options.app.messages = [0, 0];
    let mut pair = Pair::new(options, 1);
    pair.establish();
    for round in 0..resumes {
        // One message each way on its way when the link dies.
        pair.say_more(0, Side::Client);
        pair.say_more(0, Side::Server);
        if round % 3 == 0 {
            pair.run_for(Duration::from_micros(round % 300));
        }
        pair.kill_all();
        let handovers = pair.clients[0].talk.life.handovers;
        pair.run_to("a handover", 20 * SECOND, |w| {
            w.clients[0].talk.life.handovers > handovers
        });
    }
    pair.deliver();
    let received = [Side::Client, Side::Server].map(|side| pair.talk(0, side).reader.received);
    assert_eq!(received, [resumes; 2]);
    assert!(pair.clients[0].talk.life.handovers >= resumes);
}

#[test]
fn l6_what_is_sent_during_a_replay_comes_behind_it() {
    let mut options = Options::calm();
    options.net.bandwidth = 200_000;
    options.net.socket = 4000;
    options.app.messages = [0, 0];
    options.app.size = 2000;
    options.app.rare_size = 2000;
    let mut pair = Pair::new(options, 1);
    pair.establish();
    for _ in 0..200 {
        pair.say_more(0, Side::Client);
        pair.say_more(0, Side::Server);
    }
    pair.kill_all();
    // The replay takes about a second on this line; more is said all the while.
    for _ in 0..100 {
        pair.run_for(10 * MS);
        pair.say_more(0, Side::Client);
        pair.say_more(0, Side::Server);
    }
    pair.deliver();
    assert_eq!(pair.talk(0, Side::Server).reader.received, 300);
    assert!(pair.clients[0].session.stats().replayed_messages > 0);
}

#[test]
fn l9_identities_hold_under_concurrent_resumes() {
    // Each client says who it is and each event is checked against it; all links die together, again and again.
    let mut fleet = Fleet::calm(60, 3);
    fleet.establish();
    let ids: Vec<Option<SessionId>> = fleet.clients.iter().map(|c| c.session.id()).collect();
    for round in 0..20u64 {
        fleet.kill_all();
        fleet.run_for(Duration::from_millis(40 + round * 7));
    }
    fleet.settle_down();
    assert_eq!(fleet.clients.iter().map(|c| c.session.id()).collect::<Vec<_>>(), ids);
    let different: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(different.len(), 60);
}

#[test]
fn l11_one_stalled_client_never_delays_another() {
    let time = |stalled: bool| {
        let mut options = Options::calm();
        options.clients = 2;
        options.app.messages = [300, 300];
        options.app.size = 5000;
        options.app.rare_size = 5000;
        options.net.socket = 8000;
        let mut fleet = Fleet::new(options, 5);
        fleet.establish();
        let start = fleet.now();
        if stalled {
            for conn in fleet.clients[0].host.links.values().copied().collect::<Vec<_>>() {
                let unbroken_sim::World { net, queue, .. } = &mut fleet.0;
                net.black_hole(conn, queue);
            }
            // And its replacement never comes up.
            fleet.script = vec![Fate::connect(Connect::BlackHole); 100].into();
        }
        fleet.run_to("all of the other's messages", 600 * SECOND, |w| {
            [Side::Client, Side::Server]
                .iter()
                .all(|side| w.talk(1, *side).reader.received == 300)
        });
        if stalled {
            assert!(fleet.talk(0, Side::Client).reader.received < 300);
        }
        fleet.now().since(start)
    };
    let (with, without) = (time(true), time(false));
    // What the two say is drawn by lot, so it is not the same to the microsecond.
    assert!(
        with < without * 11 / 10,
        "{with:?} beside a stalled client, {without:?} without"
    );
}

#[test]
fn l12_the_application_may_veto_a_resume_before_anything_is_delivered() {
    let early = Resume {
        send_end: 1,
        early: frames::data(0, &[b"early"]),
        ..Resume::default()
    };
    for veto in [false, true] {
        let mut hand = Hand::with(server_config().ask_on_resume(true).build().unwrap());
        hand.bench.down(hand.link);
        let (flight, pending) = hand.client.resume(&early);
        let (link, answer) = hand.bench.connect(&flight);
        assert_eq!(answer, [], "no answer before the application's word");
        assert!(hand.bench.take_events().contains(&Event::ResumeRequest));
        assert_eq!(hand.delivered(), Vec::<Vec<u8>>::new());
        let answer = if veto { Err(9) } else { Ok(()) };
        assert!(hand.bench.endpoint.session(hand.id).unwrap().answer_resume(answer));
        hand.bench.pump();
        let answer = hand.bench.links.take(link);
        let (accepted, wire, _) = hand.client.accept(pending, &answer).unwrap();
        if veto {
            assert!(
                matches!(accepted, Accepted::Lost { status: 5, code: 9, .. }),
                "{accepted:?}"
            );
            assert_eq!(hand.delivered(), Vec::<Vec<u8>>::new());
            let events = hand.bench.take_events();
            assert_eq!(
                events.last(),
                Some(&Event::Closed(unbroken::CloseReason::Refused { code: 9 })),
                "{events:?}"
            );
        } else {
            (hand.link, hand.wire) = (link, wire);
            hand.say(&frames::ack(0, 1, 1 << 20));
            assert_eq!(hand.delivered(), [b"early".to_vec()]);
        }
    }
    // Nor is anything delivered before the first verdict (U-42).
    let mut bench = unbroken_sim::ServerBench::new(server_config().build().unwrap());
    bench.lets_in = false;
    let mut client = unbroken_sim::raw::RawClient::new(server_key().public(), REALM, 1);
    let (link, mut wire, _) = hello(&mut bench, &mut client);
    bench.input(
        link,
        &wire.seal(&[frames::auth(b"me"), frames::data(0, &[b"too early"])].concat()),
    );
    let id = SessionId(client.session_id);
    bench.read(id);
    assert_eq!(bench.payloads(id), Vec::<Vec<u8>>::new());
    bench.endpoint.session(id).unwrap().authorise(Verdict::Refuse {
        code: 3,
        message: Bytes::from_static(b"no"),
    });
    bench.pump();
    bench.read(id);
    assert_eq!(bench.payloads(id), Vec::<Vec<u8>>::new());
    let heard = wire.open(&bench.links.take(link));
    assert!(
        heard.contains(&RawFrame::AuthResult {
            verdict: 1,
            code: 3,
            message: b"no".to_vec()
        }),
        "{heard:?}"
    );
    assert!(
        heard.iter().any(|f| matches!(f, RawFrame::Close { kind: 4, .. })),
        "U-42: {heard:?}"
    );
}

#[test]
fn l16_of_a_thousand_parallel_resumes_one_wins_and_memory_is_flat() {
    let limits = Limits {
        pending_handshakes: 64,
        ..Limits::default()
    };
    let mut hand = Hand::with(server_config().limits(limits).build().unwrap());
    // All under one generation, as a thousand copies of one device.
    let flights: Vec<_> = (0..1000).map(|_| hand.client.resume(&Resume::default())).collect();
    let mut order: Vec<usize> = (0..1000).collect();
    let mut rng = Rng::new(4);
    for i in (1..order.len()).rev() {
        order.swap(i, rng.below(i as u64 + 1) as usize);
    }
    // All connections first, then all flights, a half at a time.
    let links: Vec<LinkId> = order.iter().map(|_| hand.bench.up()).collect();
    for (link, index) in links.iter().zip(&order) {
        let flight = &flights[*index].0;
        hand.bench.input(*link, &flight[..100]);
        assert!(
            hand.bench.endpoint.links() <= 64 + 8,
            "{} links",
            hand.bench.endpoint.links()
        );
    }
    let links: Vec<LinkId> = order.iter().map(|_| hand.bench.up()).collect();
    let mut accepted = 0;
    for (link, index) in links.iter().zip(&order) {
        hand.bench.input(*link, &flights[*index].0);
        accepted += u32::from(hand.bench.links.take(*link).get(4) == Some(&2));
        assert_eq!(hand.bench.endpoint.sessions(), 1);
        assert!(
            hand.bench.endpoint.links() <= 64 + 8,
            "{} links",
            hand.bench.endpoint.links()
        );
    }
    // Only those that were higher than all before.
    assert!((1..40).contains(&accepted), "{accepted}");
    // The last of all still gets in and is the only one.
    hand.bench.pass(20 * SECOND);
    hand.assert_resumable(&Resume::default());
    hand.bench.pass(20 * SECOND);
    assert_eq!((hand.bench.endpoint.links(), hand.bench.endpoint.sessions()), (1, 1));
    hand.say(&frames::data(0, &[b"one"]));
    assert_eq!(hand.delivered(), [b"one".to_vec()]);
}

#[test]
fn l17_who_is_banned_while_away_stays_out() {
    let mut hand = Hand::new();
    hand.bench.down(hand.link);
    hand.bench.endpoint.session(hand.id).unwrap().kick(13);
    hand.bench.pump();
    let (flight, _) = hand.client.resume(&Resume {
        send_end: 1,
        early: frames::data(0, &[b"let me in"]),
        ..Resume::default()
    });
    let (_, answer) = hand.bench.connect(&flight);
    assert_ne!(answer.get(4), Some(&2), "a banned client is let in");
    let (flight, pending) = hand.client.query(hand.client.attempt + 1);
    let (_, answer) = hand.bench.connect(&flight);
    let (accepted, ..) = hand.client.accept(pending, &answer).unwrap();
    assert_eq!(
        accepted,
        Accepted::Lost {
            status: 2,
            kind: 2,
            code: 13
        }
    );
    assert_eq!(hand.delivered(), Vec::<Vec<u8>>::new());
    assert_eq!(hand.bench.endpoint.sessions(), 0);
}

#[test]
fn l19_a_zero_key_cannot_be_constructed() {
    assert!(ServerKey::from_bytes([0; 32]).is_err());
    assert!(ClusterKey::from_bytes([0; 32]).is_err());
    assert!(ClusterKey::from_bytes([1; 32]).is_ok());
}

#[test]
fn l23_a_failed_record_does_not_move_the_nonce_and_the_last_nonce_is_not_used() {
    let key = Key::from_bytes([5; 32]);
    let (mut sealer, mut opener) = (Sealer::new(&key), Opener::new(&key));
    let mut record = [0; 19];
    let mut plain = [0; 3];
    sealer.seal(b"abc", &mut record).unwrap();
    for byte in 0..record.len() {
        let mut wrong = record;
        wrong[byte] ^= 1;
        assert!(opener.open(&wrong, &mut plain).is_err());
    }
    assert_eq!(opener.opened(), 0);
    opener.open(&record, &mut plain).unwrap();
    assert_eq!(&plain, b"abc");
    let mut last = Sealer::starting_at(&key, u64::MAX - 1);
    last.seal(b"abc", &mut record).unwrap();
    assert!(last.seal(b"abc", &mut record).is_err());
    let mut last = Opener::starting_at(&key, u64::MAX);
    assert!(last.open(&record, &mut plain).is_err());
}

#[test]
fn l24_a_huge_count_costs_no_time() {
    let started = std::time::Instant::now();
    let huge = [0xff; 8];
    for frame in [
        [&[11, 255][..], &[0; 100]].concat(),
        [&[1, 0][..], &huge].concat(),
        [&[2][..], &huge, &huge, &huge].concat(),
        [&[6][..], &huge].concat(),
        [&[12, 0][..], &huge, &huge, &huge].concat(),
        [&[12, 0][..], &[0xbf; 4], &[0], &[1, 1]].concat(),
        [&[0x40][..], &huge].concat(),
        [&[8, 0, 0, 0, 0, 0][..], &huge, &huge].concat(),
        // Ten thousand empty messages in a record are ten thousand messages, no more.
        [&[1, 0][..], &[1; 16_000]].concat(),
    ] {
        let mut hand = Hand::new();
        hand.say(&frame);
        hand.bench.pass(SECOND);
        assert!(hand.delivered().len() <= frame.len());
    }
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn l25_a_client_that_only_receives_moves_and_the_messages_keep_coming() {
    let mut options = Options::calm();
    options.app.messages = [0, 400];
    options.app.interval = 20 * MS;
    let mut pair = Pair::new(options, 1);
    pair.establish();
    for network in 2..8 {
        pair.run_for(SECOND);
        // The old address is gone without a word; the client's system tells it of the new one.
        for conn in pair.clients[0].host.links.values().copied().collect::<Vec<_>>() {
            pair.black_hole(conn);
        }
        let before = pair.talk(0, Side::Client).reader.received;
        pair.network(0, NetworkEvent::Changed(NetworkId(network)));
        let moved = pair.now();
        pair.run_to("the next message", 5 * SECOND, |w| {
            w.talk(0, Side::Client).reader.received > before
        });
        assert!(pair.now().since(moved) <= 200 * MS, "{:?}", pair.now().since(moved));
    }
    pair.deliver();
}

#[test]
fn l26_suspended_for_an_hour() {
    for (detached, lives) in [(2 * HOUR, true), (30 * SECOND, false)] {
        for (links_die, clock_stops) in [(true, false), (false, false), (true, true)] {
            let mut options = Options::calm();
            options.server_limits.detached = detached;
            // An app that slept through its session's life is told so: this is no violation here.
            options.profile = if lives {
                unbroken_sim::Profile::Calm
            } else {
                unbroken_sim::Profile::Expiry
            };
            let mut pair = Pair::new(options, 1);
            pair.establish();
            pair.deliver();
            pair.run_for(SECOND);
            pair.network(0, NetworkEvent::Suspend);
            if links_die {
                pair.kill_all();
            }
            pair.run_for(SECOND);
            let before = (pair.clients[0].links_opened, pair.clients[0].session.stats().wire_sent);
            if clock_stops {
                // The phone's clock stands still: the client hears of no time at all, the server's goes on.
                pair.0.frozen.insert(0);
            }
            pair.run_for(HOUR);
            let after = (pair.clients[0].links_opened, pair.clients[0].session.stats().wire_sent);
            assert_eq!(before, after, "no probes and no dialling while suspended");
            pair.0.frozen.clear();
            pair.network(0, NetworkEvent::Wake);
            let woken = pair.now();
            if lives {
                pair.say_more(0, Side::Client);
                pair.deliver();
                assert!(pair.now().since(woken) < 10 * SECOND);
                assert_eq!(pair.clients[0].session.state(), State::Established);
            } else {
                pair.run_to("an honest end", 100 * SECOND, |w| {
                    w.clients[0].talk.life.closed.is_some()
                });
                assert!(
                    pair.clients[0].talk.life.doomed.is_some(),
                    "HandoverFailed with its reason"
                );
            }
        }
    }
}

#[test]
fn l27_the_clients_of_a_restarted_server_come_back_spread() {
    let clients = if cfg!(debug_assertions) { 2_000 } else { 10_000 };
    // All lose their link at one moment; the server is away for ten seconds, then refuses for a while: busy, 5 s.
    let mut at_once = 0u32;
    let mut later: BTreeMap<u128, u32> = BTreeMap::new();
    let mut advised: BTreeMap<u128, u32> = BTreeMap::new();
    for n in 0..clients {
        let mut seed = [1; 32];
        seed[..4].copy_from_slice(&(n as u32).to_be_bytes());
        let mut bench = ClientBench::seeded(client_config().build().unwrap(), seed);
        let start = bench.now;
        loop {
            while bench.links.asked.is_empty() {
                let next = bench.session.poll_timeout().expect("it tries again");
                bench.pass(next.since(bench.now));
            }
            let away = bench.now.since(start);
            if away == Duration::ZERO {
                at_once += 1;
            }
            if away >= 10 * SECOND {
                *later.entry(away.as_millis() / 100).or_default() += 1;
                break;
            }
            let (link, ..) = bench.links.asked.pop_front().unwrap();
            bench.down(link);
        }
        let (link, _) = bench.link_up();
        let refused = bench.now;
        let key = server_key().public().id();
        bench.input(
            link,
            &[&unbroken_sim::raw::prelude(4, key, 7)[..], &[1, 0, 0, 0x13, 0x88, 1, 1]].concat(),
        );
        bench.links.asked.clear();
        while bench.links.asked.is_empty() {
            let next = bench.session.poll_timeout().expect("it tries again");
            bench.pass(next.since(bench.now));
        }
        let waited = bench.now.since(refused);
        assert!(waited >= 5 * SECOND, "the server's advice is a floor: {waited:?}");
        *advised.entry(waited.as_millis() / 100).or_default() += 1;
    }
    assert!(
        (clients as u32..=2 * clients as u32).contains(&at_once),
        "the first dial is not held back: {at_once}"
    );
    for spread in [later, advised] {
        let peak = *spread.values().max().unwrap();
        assert!(
            peak < clients as u32 / 8,
            "{peak} of {clients} in one tenth of a second: {spread:?}"
        );
    }
}

#[test]
fn l10_a_full_outbox_blocks_and_drops_nothing() {
    let mut options = Options::calm();
    options.client_limits = Limits {
        unacked_messages: 8,
        ..options.client_limits
    };
    options.server_limits = Limits {
        unacked_messages: 8,
        ..options.server_limits
    };
    options.app.messages = [500, 500];
    options.app.burst = 50;
    let mut pair = Pair::new(options, 1);
    pair.establish();
    pair.kill_all();
    pair.script = vec![Fate::connect(Connect::Refused); 8].into();
    pair.run_for(SECOND);
    assert!(pair.talk(0, Side::Client).writer.blocked, "it was full");
    pair.deliver();
    pair.settle(Node::Client(0));
}

#[test]
fn l4_an_ack_that_went_with_a_link_is_repeated_on_the_one_that_stays() {
    let mut hand = Hand::new();
    hand.hear();
    // A second link is accepted, never confirmed, and goes: what the server said there was heard by nobody.
    let (flight, _) = hand.client.resume(&Resume::default());
    let (second, _) = hand.bench.connect(&flight);
    hand.say(&frames::data(0, &[b"x"]));
    hand.bench.pass(100 * MS);
    let heard = hand.hear();
    hand.bench.down(second);
    hand.bench.pass(100 * MS);
    let heard = [heard, hand.hear()].concat();
    assert!(
        heard.iter().any(|f| matches!(f, RawFrame::Ack { recv_next: 1, .. })),
        "{heard:?}"
    );
    assert!(!hand.is_cut());
}
