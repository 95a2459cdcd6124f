//! Everything that can happen, at every step of a first connect, a resume, and a handover beside a link that lives (L-2, L-21).

use core::time::Duration;

use unbroken::{NetworkEvent, NetworkId};
use unbroken_sim::{Options, Pair, Side};

use crate::common::*;

/// Something that happens in between.
#[derive(Clone, Copy, Debug)]
enum Happens {
    ClientSends,
    ServerSends,
    BothSend,
    LinksDie,
    LinksBlackHole,
    NetworkChanged,
    NetworkLost,
    SuspendAndWake,
    ClientTicks,
    ServerTicks,
    Retry,
}

const ALL: [Happens; 11] = [
    Happens::ClientSends,
    Happens::ServerSends,
    Happens::BothSend,
    Happens::LinksDie,
    Happens::LinksBlackHole,
    Happens::NetworkChanged,
    Happens::NetworkLost,
    Happens::SuspendAndWake,
    Happens::ClientTicks,
    Happens::ServerTicks,
    Happens::Retry,
];

fn happen(pair: &mut Pair, what: Happens) {
    let network = NetworkId(1);
    match what {
        Happens::ClientSends => {
            pair.say_more(0, Side::Client);
        }
        Happens::ServerSends => {
            pair.say_more(0, Side::Server);
        }
        Happens::BothSend => {
            pair.say_more(0, Side::Server);
            pair.say_more(0, Side::Client);
        }
        Happens::LinksDie => pair.kill_all(),
        Happens::LinksBlackHole => {
            for conn in pair.clients[0].host.links.values().copied().collect::<Vec<_>>() {
                pair.black_hole(conn);
            }
        }
        Happens::NetworkChanged => pair.network(0, NetworkEvent::Changed(network)),
        Happens::NetworkLost => {
            pair.network(0, NetworkEvent::Lost(network));
            pair.network(0, NetworkEvent::Available(network));
        }
        Happens::SuspendAndWake => {
            pair.network(0, NetworkEvent::Suspend);
            pair.run_for(7 * MS);
            pair.network(0, NetworkEvent::Wake);
        }
        Happens::ClientTicks => pair.settle(unbroken_sim::Node::Client(0)),
        Happens::ServerTicks => pair.settle(unbroken_sim::Node::Server(0)),
        Happens::Retry => {
            let now = pair.now();
            pair.clients[0].session.retry(now);
            pair.after_input(unbroken_sim::Node::Client(0));
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Scene {
    FirstConnect,
    Resume,
    MakeBeforeBreak,
}

fn set(scene: Scene, seed: u64) -> Pair {
    let mut options = Options::calm();
    options.net.delay = [5 * MS; 2];
    options.app.messages = [6, 6];
    options.app.interval = 4 * MS;
    options.app.size = 50;
    options.app.rare_size = 20_000;
    options.app.verdict = 3 * MS;
    let mut pair = Pair::new(options, seed);
    if !matches!(scene, Scene::FirstConnect) {
        pair.establish();
        match scene {
            Scene::Resume => pair.kill_all(),
            _ => pair.network(0, NetworkEvent::Changed(NetworkId(9))),
        }
    }
    pair
}

/// So many events, if they come within a few seconds.
fn steps(pair: &mut Pair, count: u32) {
    let far = pair.now() + Duration::from_secs(3);
    for _ in 0..count {
        pair.step(far);
    }
}

fn finish(pair: &mut Pair) {
    pair.deliver();
    let (c, s) = (pair.talk(0, Side::Client), pair.talk(0, Side::Server));
    assert_eq!((c.reader.received, s.reader.received), (s.writer.total, c.writer.total));
    // No wish or link is left over, and the end works.
    pair.run();
}

#[test]
fn l2_everything_at_every_step() {
    for scene in [Scene::FirstConnect, Scene::Resume, Scene::MakeBeforeBreak] {
        for what in ALL {
            for step in 0..70 {
                let mut pair = set(scene, 1);
                steps(&mut pair, step);
                happen(&mut pair, what);
                finish(&mut pair);
            }
        }
    }
}

#[test]
fn l2_two_things_at_every_pair_of_steps() {
    let things = [
        Happens::BothSend,
        Happens::LinksDie,
        Happens::LinksBlackHole,
        Happens::NetworkChanged,
    ];
    for scene in [Scene::Resume, Scene::MakeBeforeBreak] {
        for first in things {
            for second in things {
                for (step, gap) in (0..40)
                    .step_by(3)
                    .flat_map(|step| (1..30).step_by(4).map(move |gap| (step, gap)))
                {
                    let mut pair = set(scene, 2);
                    steps(&mut pair, step);
                    happen(&mut pair, first);
                    steps(&mut pair, gap);
                    happen(&mut pair, second);
                    finish(&mut pair);
                }
            }
        }
    }
}

/// CLOSE and EOF in every state: the side that ends it ends, the other ends or expires, every drain ends (the world counts
/// its polls), nothing is redialled (the world watches).
#[test]
fn l21_the_end_at_every_step() {
    for scene in [Scene::FirstConnect, Scene::Resume, Scene::MakeBeforeBreak] {
        for by_client in [true, false] {
            for cut in [false, true] {
                for step in 0..70 {
                    let mut pair = set(scene, 3);
                    pair.0.options.profile = unbroken_sim::Profile::Calm;
                    steps(&mut pair, step);
                    if by_client {
                        pair.disconnect(0, 4);
                    } else {
                        pair.close_from_server(0, 4);
                    }
                    if cut {
                        pair.kill_all();
                    }
                    let asked = by_client || pair.seats[0].closed_by_app.is_some();
                    pair.run_for(Duration::from_secs(20));
                    if asked {
                        let end = if by_client { Side::Client } else { Side::Server };
                        assert!(pair.talk(0, end).life.closed.is_some(), "{scene:?}, step {step}");
                        assert!(!by_client || pair.clients[0].host.links.is_empty());
                    }
                    let other = pair.talk(0, Side::Client).life.closed;
                    assert!(
                        by_client || !asked || other.is_some(),
                        "a client comes back and is told"
                    );
                }
            }
        }
    }
}
