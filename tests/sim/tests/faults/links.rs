//! Faults of links and networks: F-100 to F-107.

use core::time::Duration;

use unbroken::{Limits, NetworkEvent, NetworkId, State, Target};
use unbroken_sim::options::Chunks;
use unbroken_sim::raw::frames;
use unbroken_sim::{Connect, Cut, Fate, Fleet, Node, Options, Pair, Side, When};

use crate::common::*;

/// Cuts connection `index` after `byte` bytes to `side`; all must be delivered nevertheless. Returns how many bytes that
/// connection carries to `side` at most.
fn cut_and_deliver(before: usize, side: Side, byte: u64, reset: bool, options: &Options) -> bool {
    let calm = core::iter::repeat_n(Fate::default(), before);
    let cut = Cut {
        reset,
        ..Cut::at_byte(side, byte)
    };
    let mut pair = Pair::scripted(options.clone(), calm.chain([Fate::cut(cut)]));
    for _ in 0..before {
        // The connections before are lost in good order, in the middle of the conversation.
        pair.establish();
        pair.run_for(20 * MS);
        pair.kill_all();
        pair.run_for(MS);
    }
    pair.deliver();
    assert_eq!(pair.talk(0, Side::Server).reader.received, options.app.messages[0]);
    assert_eq!(pair.talk(0, Side::Client).reader.received, options.app.messages[1]);
    let happened = pair.net.counters.failures > before as u64;
    // And the end is the end.
    let totals = pair.run();
    assert_eq!(totals.ended_early, 0);
    happened
}

fn talkative() -> Options {
    let mut options = Options::calm();
    options.net.delay = [3 * MS; 2];
    options.app.messages = [12, 12];
    options.app.interval = 2 * MS;
    options.app.size = 60;
    options.app.rare_size = 60;
    options
}

/// All cuts of a connection in one direction, until the cut lies behind all that it carries.
fn cut_everywhere(before: usize, side: Side, options: &Options) -> u64 {
    let mut cuts = 0;
    let mut beyond = 0;
    for byte in 0.. {
        if cut_and_deliver(before, side, byte, byte % 2 == 1, options) {
            cuts += 1;
            beyond = 0;
        } else {
            beyond += 1;
            if beyond == 3 {
                break;
            }
        }
    }
    cuts
}

#[test]
fn f100_l7_cut_at_every_byte_of_every_flight_of_a_first_connect() {
    for side in Side::BOTH {
        let cuts = cut_everywhere(0, side, &talkative());
        // HELLO, AUTH, messages and ACKs; ACCEPT, AUTH_RESULT, messages and ACKs.
        assert!(cuts > 500, "only {cuts} bytes to {side:?}");
    }
}

#[test]
fn f100_l7_cut_at_every_byte_of_every_flight_of_a_resume() {
    for side in Side::BOTH {
        let cuts = cut_everywhere(1, side, &talkative());
        assert!(cuts > 150, "only {cuts} bytes to {side:?}");
    }
}

#[test]
fn f100_l7_cut_at_every_byte_of_a_second_resume_and_of_fragments() {
    let mut options = talkative();
    options.app.messages = [2, 2];
    options.app.size = 0;
    options.app.rare_size = 0;
    for side in Side::BOTH {
        let cuts = cut_everywhere(2, side, &options);
        assert!(cuts > 100, "only {cuts} bytes to {side:?}");
    }
    // Large messages: at every 97th byte.
    let mut options = Options::calm();
    options.app.messages = [3, 3];
    options.app.size = 40_000;
    options.app.rare_size = 40_000;
    for side in Side::BOTH {
        let mut cuts = 0;
        for byte in (0..120_000).step_by(97) {
            cuts += u32::from(cut_and_deliver(0, side, byte, false, &options));
        }
        assert!(cuts > 60, "only {cuts}");
    }
}

/// The close: wherever it is cut, the side that asked for it ends as it asked, and the other learns the truth or expires.
#[test]
fn f100_cut_at_every_byte_of_the_close() {
    let mut ends = [0; 3];
    for (by_client, side) in [
        (true, Side::Client),
        (true, Side::Server),
        (false, Side::Client),
        (false, Side::Server),
    ] {
        for byte in 0..80 {
            let mut options = talkative();
            options.server_limits.detached = 5 * SECOND;
            let mut pair = Pair::calm([]);
            pair.0 = unbroken_sim::World::new(Options { ..options }, 1);
            pair.establish();
            pair.deliver();
            pair.run_for(SECOND);
            let conn = pair.only_conn();
            pair.net.cut_after(conn, side, byte);
            if by_client {
                pair.disconnect(0, 5);
            } else {
                pair.close_from_server(0, 5);
            }
            pair.run_for(30 * SECOND);
            let reasons = [
                pair.talk(0, Side::Client).life.closed,
                pair.talk(0, Side::Server).life.closed,
            ];
            let own = if by_client { reasons[0] } else { reasons[1] };
            let other = if by_client { reasons[1] } else { reasons[0] };
            assert_eq!(
                own,
                Some(unbroken::CloseReason::Local { code: 5 }),
                "byte {byte} to {side:?}, by client: {by_client}"
            );
            match other {
                Some(unbroken::CloseReason::Peer {
                    code: 5,
                    truncated: false,
                }) => ends[0] += 1,
                Some(unbroken::CloseReason::Expired | unbroken::CloseReason::UnknownSession) => ends[1] += 1,
                other => panic!("byte {byte} to {side:?}, by client: {by_client}: {other:?}"),
            }
        }
    }
    assert!(ends[0] > 0 && ends[1] > 0, "{ends:?}");
}

#[test]
fn f101_a_half_open_link_is_found_by_the_probe() {
    let mut options = Options::calm();
    options.server_limits.detached = Duration::from_secs(3600);
    for (speaks, within) in [(Some(Side::Client), 3), (Some(Side::Server), 40), (None, 40)] {
        let mut pair = Pair::new(options.clone(), 1);
        pair.establish();
        pair.deliver();
        pair.run_for(60 * SECOND);
        let conn = pair.only_conn();
        pair.black_hole(conn);
        if let Some(side) = speaks {
            assert!(pair.say_more(0, side));
        }
        let lost = pair.now();
        pair.run_to("a new link", 15 * 60 * SECOND, |w| {
            w.clients[0].talk.life.handovers > 0
                && speaks.is_none_or(|side| w.talk(0, side.other()).reader.received == 11)
        });
        let took = pair.now().since(lost);
        assert!(took < within * SECOND, "{speaks:?} speaks: found after {took:?}");
        pair.run_for(60 * SECOND);
        assert_eq!(
            pair.servers[0].host.links.len(),
            1,
            "the dead link is gone at the server, too"
        );
    }
}

#[test]
fn f102_a_black_hole_after_tcp_accept_is_left_after_five_seconds() {
    let mut pair = Pair::calm(vec![Fate::forged(unbroken_sim::Forge::Silence); 3]);
    let start = pair.now();
    pair.establish();
    let took = pair.now().since(start);
    assert!(took < 12 * SECOND, "{took:?}");
    pair.deliver();
    // The bench sees the moment.
    let mut bench = unbroken_sim::ClientBench::new(client_config().build().unwrap());
    let (link, _) = bench.link_up();
    bench.pass(4900 * MS);
    let hedges = bench.links.asked.len();
    assert!(hedges >= 1 || !bench.links.closed.contains(&link));
    bench.pass(200 * MS);
    assert!(bench.links.closed.contains(&link), "5 s");
    // A connection that is never made is given up, too.
    let mut pair = Pair::calm(vec![Fate::connect(Connect::BlackHole); 3]);
    pair.establish();
    pair.deliver();
}

#[test]
fn f103_the_address_changes_inside_a_record() {
    for bytes in [0u64, 1, 2, 3, 17, 100, 500, 1500, 5000] {
        for told in [false, true] {
            let mut options = Options::calm();
            options.app.messages = [2, 2];
            options.app.size = 9000;
            options.app.rare_size = 9000;
            options.app.interval = 50 * MS;
            let mut pair = Pair::new(options, bytes + 1);
            pair.establish();
            // So many bytes more pass, then the old address is gone: nobody is told by the network itself.
            let conn = pair.only_conn();
            pair.net.cut_after(conn, Side::Server, bytes);
            pair.net.set_notice(conn, [None; 2]);
            pair.run_for(60 * MS);
            if told {
                pair.network(0, NetworkEvent::Changed(NetworkId(2)));
            }
            let start = pair.now();
            pair.deliver();
            assert!(!told || pair.now().since(start) < 2 * SECOND);
        }
    }
}

/// The balancer sends a resume to a process that does not have the session. That process says so; the client then asks for
/// proof. With the shards of one process the router finds the right one; among several processes the server's own address does.
#[test]
fn f104_the_balancer_picks_another_process() {
    let config = |address: &str| server_config().address(address).build().unwrap();
    let mut hand = Hand::with(config("a.example:7"));
    let mut other = unbroken_sim::ServerBench::new(config("b.example:7"));
    let (flight, _) = hand.client.resume(&unbroken_sim::raw::Resume::default());
    let (_, answer) = other.connect(&flight);
    assert_eq!(answer[12], 4, "not here");
    assert_eq!(other.endpoint.sessions(), 0);
    // It was no use to the wrong one and is still good for the right one.
    let (_, answer) = hand.bench.connect(&flight);
    assert_eq!(answer[4], 2, "ACCEPT");

    // A client goes to the address that the server gave first, and falls back to the configured one beside it.
    let mut bench = unbroken_sim::ClientBench::new(client_config().build().unwrap());
    let mut server = unbroken_sim::raw::RawServer::new(server_key(), REALM, 1);
    server.address = "a.example:7".to_string();
    let (link, flight) = bench.link_up();
    let served = server.read(&flight);
    let (answer, _) = server.accept(served, 0, 0, 0);
    bench.input(link, &answer);
    bench.down(link);
    bench.pass(MS);
    assert_eq!(
        bench.links.asked.front().map(|(_, target, _)| target.clone()),
        Some(Target::Advised("a.example:7".into()))
    );
    bench.pass(400 * MS);
    assert_eq!(
        bench.links.asked.get(1).map(|(_, target, _)| target.clone()),
        Some(Target::Configured)
    );

    // Four shards behind one balancer: each resume finds its shard.
    let mut fleet = Fleet::calm(40, 4);
    fleet.establish();
    for _ in 0..5 {
        fleet.kill_all();
        fleet.run_for(3 * SECOND);
    }
    fleet.settle_down();
    let used: std::collections::BTreeSet<usize> = fleet.seats.iter().map(|s| s.server).collect();
    assert_eq!(used.len(), 4);
    assert!(fleet.clients.iter().all(|c| c.talk.life.handovers >= 4));
}

#[test]
fn f105_flapping_backs_off_and_leaks_nothing() {
    let mut options = Options::calm();
    options.app.messages = [50, 50];
    let mut pair = Pair::new(options, 1);
    pair.establish();
    // A hundred times a minute, for ten minutes: half of the connections die in their handshake.
    for round in 0..1000 {
        let life = if round % 2 == 0 { 60 * MS } else { 300 * MS };
        let cut = Cut {
            when: When::After(life),
            notice: [Some(Duration::ZERO); 2],
            reset: false,
        };
        pair.script.push_back(Fate::cut(cut));
    }
    let start = pair.clients[0].links_opened;
    pair.kill_all();
    pair.run_for(10 * 60 * SECOND);
    let opened = pair.clients[0].links_opened - start;
    assert!(opened > 600, "it tries: {opened}");
    assert!(opened < 6000, "it does not hammer: {opened} connections in ten minutes");
    pair.script.clear();
    pair.deliver();
    pair.run_for(30 * SECOND);
    assert_eq!(
        (
            pair.clients[0].host.links.len(),
            pair.servers[0].host.links.len(),
            pair.net.open_conns()
        ),
        (1, 1, 1)
    );
    assert_eq!(pair.servers[0].endpoint.sessions(), 1);

    // Nobody answers: the back-off grows up to its bound, and ends.
    let mut options = Options::calm();
    options.backoff = unbroken::Backoff {
        give_up_after: 60 * SECOND,
        ..Default::default()
    };
    let mut pair = Pair::new(options, 1);
    pair.establish();
    pair.script = vec![Fate::connect(Connect::Refused); 10_000].into();
    pair.kill_all();
    let start = pair.clients[0].links_opened;
    pair.run_for(59 * SECOND);
    let opened = pair.clients[0].links_opened - start;
    assert!((5..80).contains(&opened), "{opened} connections in a minute");
}

#[test]
fn f107_everything_a_byte_at_a_time_and_everything_coalesced() {
    for chunks in [Chunks::Single, Chunks::All, Chunks::Random] {
        for coalesce in [Duration::ZERO, 5 * SECOND / 10] {
            let mut options = talkative();
            options.net.chunks = chunks;
            options.net.coalesce = coalesce;
            options.app.size = 20_000;
            options.app.rare_size = 20_000;
            let mut pair = Pair::new(options, 3);
            pair.establish();
            pair.kill_all();
            pair.deliver();
            assert_eq!(pair.talk(0, Side::Server).reader.received, 12);
        }
    }
    // Even the host's buffer may be small.
    let mut options = talkative();
    options.host.buffer = 256;
    options.app.size = 5_000;
    options.app.rare_size = 5_000;
    let mut pair = Pair::new(options, 3);
    pair.establish();
    pair.kill_all();
    pair.deliver();
}

/// What a drain of a large server looks like: each client moves at its own moment within the window, and none loses a message.
#[test]
fn f106_l27_a_drain_is_spread_over_its_window() {
    let clients = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
    let half =
        |half: u64| std::thread::spawn(move || (0..clients / 2).map(|n| drained(n * 2 + half)).collect::<Vec<_>>());
    let halves = [half(0), half(1)];
    let mut buckets = [0u64; 60];
    for moment in halves.into_iter().flat_map(|half| half.join().unwrap()) {
        buckets[(moment.as_millis() as usize / 1000).min(59)] += 1;
    }
    let mean = clients / 60;
    assert!(
        buckets.iter().all(|n| (mean * 7 / 10..=mean * 13 / 10).contains(n)),
        "{buckets:?}"
    );
}

/// One client is told to move within a minute; when it does.
fn drained(n: u64) -> Duration {
    let window = Duration::from_secs(60);
    let mut server = unbroken_sim::raw::RawServer::new(server_key(), REALM, n);
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&n.to_be_bytes());
    let mut bench = unbroken_sim::ClientBench::seeded(client_config().build().unwrap(), seed);
    let (link, flight) = bench.link_up();
    let served = server.read(&flight);
    let (answer, mut wire) = server.accept(served, 0, 0, 0);
    bench.input(link, &answer);
    let answers = pongs(&wire.open(&bench.links.take(link)));
    let drain = frames::drain(window.as_millis() as u32, "b.example:1");
    bench.input(
        link,
        &wire.seal(&[frames::auth_result(0, 0, b""), drain, answers].concat()),
    );
    assert!(bench.events.contains(&unbroken::Event::Draining { window }));
    assert_eq!(
        bench.session.state(),
        State::Established,
        "it goes on until it has moved"
    );
    // What is said meanwhile goes through the old link, and is not lost.
    bench.session.send(n.to_be_bytes().to_vec().into()).unwrap();
    bench.pump();
    let start = bench.now;
    let mut said = Vec::new();
    loop {
        // The old link stays well: what is asked there is answered at once.
        while !bench.links.quiet(link) {
            let heard = wire.open(&bench.links.take(link));
            said.extend(messages(&heard));
            for frame in heard {
                if let unbroken_sim::raw::RawFrame::Ping(token) = frame {
                    let answer = [frames::pong(token), frames::ack(1, 4096, 1 << 20)].concat();
                    bench.input(link, &wire.seal(&answer));
                }
            }
        }
        if !bench.links.asked.is_empty() {
            break;
        }
        let next = bench.session.poll_timeout().expect("it moves");
        bench.pass(next.since(bench.now));
        assert!(bench.now.since(start) <= window + MS);
    }
    assert_eq!(said, [(0, n.to_be_bytes().to_vec())], "0 lost");
    let stats = bench.session.stats();
    assert_eq!(
        bench.links.asked[0].1,
        Target::Advised("b.example:1".into()),
        "{:?}: {stats:?}",
        bench.now.since(start)
    );
    bench.now.since(start)
}

#[test]
fn f101_a_stalled_link_that_comes_back_harms_nothing() {
    let mut options = Options::calm();
    options.app.messages = [200, 200];
    options.server_limits = Limits {
        detached: Duration::from_secs(3600),
        ..options.server_limits
    };
    for lasts in [1, 3, 10, 60] {
        let mut pair = Pair::scripted(options.clone(), [Fate::stalled(500 * MS, Some(lasts * SECOND))]);
        pair.establish();
        pair.deliver();
        pair.after_input(Node::Client(0));
    }
}
