//! The run: a server for sessions and one for plain TCP, all clients with their twins, and one task per client that follows its script.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};
use unbroken_fault_proxy::Counts;
use unbroken_tokio::{Client, ClientConfig, CloseReason, ClusterKey, ServerConfig, ServerKey};

use super::network::Network;
use super::script::{Act, Net, Scenario, Script};
use super::twin;
use crate::ledger::Direction;
use crate::options::Options;
use crate::run::{self, Stage, World};

/// How long what is under way may take to arrive in the end.
const DRAIN: Duration = Duration::from_secs(15);

/// What the figures are made of.
pub struct Outcome {
    pub scripts: Vec<Script>,
    /// The sessions' and the twins'.
    pub worlds: [Arc<World>; 2],
    /// When the first message was sent, and how long messages were sent.
    pub begun: Instant,
    pub sending: Duration,
    pub total: Duration,
    pub network: [Counts; 2],
    /// Sessions that ended before the run did, and why.
    pub ended_early: Vec<(u32, String)>,
}

/// What one client's script works on: the session's networks and the twin's.
#[derive(Clone)]
struct Set {
    networks: [[Arc<Network>; 2]; 2],
    preferred: watch::Sender<usize>,
    frozen: watch::Sender<bool>,
}

/// The whole run.
pub async fn run(options: &Options, scenario: Scenario) -> Result<Outcome, Box<dyn Error>> {
    let worlds = [
        World::new(options.clients, options.seed),
        World::new(options.clients, options.seed),
    ];
    let key = ServerKey::from_bytes(run::secret(options.seed, 1))?;
    let pin = key.public();
    let config = ServerConfig::builder(key, ClusterKey::from_bytes(run::secret(options.seed, 2))?).build()?;
    let server = run::serve(config, worlds[0].clone()).await?;
    let (plain, mut plain_tasks) = twin::listen(worlds[1].clone(), options.clients).await?;

    let begun = Instant::now();
    let mut sets = Vec::new();
    let mut scripts = Vec::new();
    let mut sessions = JoinSet::new();
    let mut twins = JoinSet::new();
    let mut follow_all = JoinSet::new();
    for number in 0..options.clients {
        let pair = async |to| Ok::<_, std::io::Error>([Network::start(to).await?, Network::start(to).await?]);
        let set = Set {
            networks: [pair(server.local_addr()).await?, pair(plain).await?],
            preferred: watch::Sender::new(Net::Wifi as usize),
            frozen: watch::Sender::new(false),
        };
        let config = ClientConfig::builder(pin)
            .credential(number.to_be_bytes().to_vec())
            .build()?;
        let mut builder = Client::builder(server.local_addr(), Arc::new(config));
        for net in Net::BOTH {
            builder = builder.network(net.id(), set.networks[0][net as usize].binding());
        }
        let script = scenario.script(options.seed, number, options.time());
        // How things are in the beginning, before anybody dials; what is said about it comes at once.
        let (now, later): (Vec<_>, Vec<_>) = script
            .acts
            .iter()
            .partition(|(at, act)| at.is_zero() && !matches!(act, Act::Hint(_)));
        for (_, act) in now {
            happen(act, &set).await;
        }
        let client = builder.start()?;
        sessions.spawn(live(worlds[0].clone(), number, client.clone(), set.frozen.subscribe()));
        twins.spawn(twin_of(worlds[1].clone(), number, set.clone()));
        follow_all.spawn(follow(later, begun, set.clone(), client));
        sets.push(set);
        scripts.push(script);
    }

    tokio::select! {
        () = sleep_until((begun + options.time()).into()) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    let sending = begun.elapsed();
    for world in &worlds {
        world.enter(Stage::Draining);
    }
    // The show is over: the sessions' networks are good again. (The twins' stay as they are, else messages of days gone by would arrive.)
    follow_all.shutdown().await;
    for set in &sets {
        set.networks[0].iter().for_each(|network| network.stall(false));
        set.frozen.send_replace(false);
    }
    let drained = async {
        let begun = Instant::now();
        let mut quiet = 0;
        while quiet < 3 && begun.elapsed() < DRAIN {
            sleep(Duration::from_millis(100)).await;
            quiet = if worlds[0].ledger.tally().lost == 0 {
                quiet + 1
            } else {
                0
            };
        }
    };
    tokio::select! {
        () = drained => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    for world in &worlds {
        world.enter(Stage::Over);
    }
    let mut ended_early = Vec::new();
    let goodbyes = async {
        while let Some(Ok((number, reason))) = sessions.join_next().await {
            if !matches!(reason, CloseReason::Local { .. }) {
                ended_early.push((number, reason.to_string()));
            }
        }
    };
    if tokio::time::timeout(run::GOODBYE, goodbyes).await.is_err() {
        ended_early.push((0, "it never said goodbye".into()));
    }
    server.shutdown(0, run::GOODBYE).await;
    twins.shutdown().await;
    plain_tasks.shutdown().await;
    let sum = |kind: usize| {
        let all = sets.iter().flat_map(|set| &set.networks[kind]);
        all.map(|network| network.counts())
            .fold(Counts::default(), |a, b| a + b)
    };
    Ok(Outcome {
        scripts,
        network: [sum(0), sum(1)],
        worlds,
        begun,
        sending,
        total: begun.elapsed(),
        ended_early,
    })
}

/// One client with a session. The library keeps it alive; nothing here does.
async fn live(world: Arc<World>, number: u32, client: Client, frozen: watch::Receiver<bool>) -> (u32, CloseReason) {
    let mut events = client.events();
    let watch = async {
        while let Some(event) = events.next().await {
            world.timeline.event(number, &event);
        }
    };
    let receive = async {
        let mut frozen = frozen.clone();
        while let Some(message) = client.recv().await {
            let _ = frozen.wait_for(|frozen| !frozen).await;
            world.ledger.received(number, Direction::Down, &message.payload);
        }
    };
    let send = run::talk(&world, number, Direction::Up, async |message| {
        let _ = frozen.clone().wait_for(|frozen| !frozen).await;
        client.send(message).await.is_ok()
    });
    let leave = async {
        world.reached(Stage::Over).await;
        client.disconnect(0).await
    };
    let (.., reason) = tokio::join!(watch, receive, send, leave);
    (number, reason)
}

/// Its twin.
async fn twin_of(world: Arc<World>, number: u32, set: Set) {
    let end = twin::End::new(world, number, set.frozen.subscribe());
    let dial = twin::dial(&end, set.networks[1].clone(), set.preferred.subscribe());
    let send = async {
        end.talk(Direction::Up).await;
        std::future::pending::<()>().await
    };
    tokio::select! {
        () = dial => {}
        () = send => {}
    }
}

/// Does what the script says, to both alike.
async fn follow(acts: Vec<(Duration, Act)>, begun: Instant, set: Set, client: Client) {
    for (at, act) in acts {
        sleep_until((begun + at).into()).await;
        match act {
            Act::Hint(event) => client.network(event),
            act => happen(act, &set).await,
        }
    }
}

async fn happen(act: Act, set: &Set) {
    let on = |net: Net| set.networks.each_ref().map(|pair| pair[net as usize].clone());
    match act {
        Act::Stall(net) => on(net).iter().for_each(|network| network.stall(true)),
        Act::Carry(net) => on(net).iter().for_each(|network| network.stall(false)),
        Act::Cut(net) => on(net).iter().for_each(|network| network.cut()),
        Act::Forget(net) => {
            for network in on(net) {
                let _ = network.forget().await;
            }
        }
        Act::Prefer(net) => drop(set.preferred.send_replace(net as usize)),
        Act::Freeze => drop(set.frozen.send_replace(true)),
        Act::Thaw => drop(set.frozen.send_replace(false)),
        // Only sessions listen.
        Act::Hint(_) => {}
    }
}
