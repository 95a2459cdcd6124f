//! Server, proxies and clients, from the first connect to the last message.

use std::error::Error;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use unbroken_fault_proxy::{Counts, Plan, Proxy};
use unbroken_tokio::{
    Bytes, Client, ClientConfig, CloseReason, ClusterKey, Server, ServerConfig, ServerKey, ServerSession, Verdict,
};

use crate::display::Display;
use crate::ledger::{Direction, Ledger};
use crate::options::Options;
use crate::summary::Summary;
use crate::timeline::Timeline;

/// How long what is under way may take to arrive after sending stopped.
const DRAIN: Duration = Duration::from_secs(30);
/// How long the last words may take.
pub const GOODBYE: Duration = Duration::from_secs(5);

/// What the report is made of.
pub struct Outcome {
    /// The numbers.
    pub summary: Summary,
    /// The lives.
    pub timeline: Arc<Timeline>,
}

/// What all tasks share.
pub struct World {
    /// The independent checker.
    pub ledger: Ledger,
    /// What the clients live through.
    pub timeline: Arc<Timeline>,
    stage: watch::Sender<Stage>,
    seed: u64,
}

impl World {
    /// Before the first message.
    pub fn new(clients: u32, seed: u64) -> Arc<World> {
        Arc::new(World {
            ledger: Ledger::new(clients),
            timeline: Arc::new(Timeline::new(clients)),
            stage: watch::Sender::new(Stage::Sending),
            seed,
        })
    }

    /// Moves on to a stage.
    pub fn enter(&self, stage: Stage) {
        self.stage.send_replace(stage);
    }

    /// Waits for a stage.
    pub async fn reached(&self, stage: Stage) {
        let _ = self.stage.subscribe().wait_for(|now| *now == stage).await;
    }
}

/// How far the run is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub enum Stage {
    /// Messages are sent, links are cut.
    Sending,
    /// Neither; what is under way arrives.
    Draining,
    /// The clients say goodbye.
    Over,
}

/// The whole run.
pub async fn run(options: &Options) -> Result<Outcome, Box<dyn Error>> {
    let world = World::new(options.clients, options.seed);
    let timeline = world.timeline.clone();
    let key = ServerKey::from_bytes(secret(options.seed, 1))?;
    let pin = key.public();
    let cluster = ClusterKey::from_bytes(secret(options.seed, 2))?;
    let server = serve(ServerConfig::builder(key, cluster).build()?, world.clone()).await?;

    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut proxies = Vec::new();
    let mut clients = JoinSet::new();
    for number in 0..options.clients {
        let mut plan = Plan::new(options.seed, Duration::from_millis(options.cut_every));
        plan.seed = options.seed.wrapping_mul(1_000_003).wrapping_add(number.into());
        let proxy = Proxy::start(any, server.local_addr(), plan).await?;
        let config = ClientConfig::builder(pin)
            .credential(number.to_be_bytes().to_vec())
            .build()?;
        clients.spawn(live(world.clone(), number, proxy.local_addr(), Arc::new(config)));
        proxies.push(proxy);
    }

    let mut display = Display::new(options);
    let begun = Instant::now();
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let mut early = false;
    while begun.elapsed() < options.time() && !early {
        tokio::select! {
            _ = &mut interrupted => early = true,
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
        display.show(Stage::Sending, &world, &network(&proxies), begun.elapsed());
    }
    let sending = begun.elapsed();

    world.enter(Stage::Draining);
    proxies.iter().for_each(Proxy::calm);
    let drained = async {
        let begun_draining = Instant::now();
        // A message is in the book before it is sent, so the book is complete when all streams have stopped; two quiet looks make sure.
        let mut quiet = 0;
        let mut last = 0;
        while quiet < 2 && begun_draining.elapsed() < DRAIN {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let tally = world.ledger.tally();
            quiet = if tally.lost == 0 && tally.sent == last {
                quiet + 1
            } else {
                0
            };
            last = tally.sent;
            display.show(Stage::Draining, &world, &network(&proxies), begun.elapsed());
        }
    };
    tokio::select! {
        () = drained => {}
        // A second interrupt, or the first one now: the verdict is about what has arrived.
        _ = tokio::signal::ctrl_c() => {}
    }

    world.enter(Stage::Over);
    let goodbyes = async { while clients.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GOODBYE, goodbyes).await;
    server.shutdown(0, GOODBYE).await;
    display.finish();

    for (number, proxy) in proxies.iter().enumerate() {
        timeline.faults(number as u32, proxy.take_log());
    }
    let ended = timeline.each(|life| life.ended);
    let early = |end: &Option<CloseReason>| !matches!(end, Some(CloseReason::Local { .. }));
    let why = |end: Option<CloseReason>| end.map_or("it never said goodbye".into(), |reason| reason.to_string());
    let summary = Summary {
        tally: world.ledger.tally(),
        network: network(&proxies),
        handovers: timeline.handovers(),
        replayed: timeline.replayed(),
        downtime: timeline.downtime(),
        sending,
        total: begun.elapsed(),
        ended_early: (0..)
            .zip(ended)
            .filter(|(_, end)| early(end))
            .map(|(n, end)| (n, why(end)))
            .collect(),
    };
    Ok(Outcome { summary, timeline })
}

/// The server: whoever names a client number is let in, and is talked to.
pub async fn serve(config: ServerConfig, world: Arc<World>) -> std::io::Result<Server> {
    Server::builder(config)
        .authorise(async |credential: Bytes| match credential.len() {
            4 => Verdict::Accept { message: Bytes::new() },
            _ => Verdict::Refuse {
                code: 400,
                message: Bytes::from_static(b"not a client number"),
            },
        })
        .serve((Ipv4Addr::LOCALHOST, 0), move |session: ServerSession| {
            let world = world.clone();
            async move {
                let Ok(number) = session.credential().as_ref().try_into().map(u32::from_be_bytes) else {
                    return;
                };
                let receive = async {
                    while let Some(message) = session.recv().await {
                        world.ledger.received(number, Direction::Up, &message.payload);
                    }
                };
                let send = talk(&world, number, Direction::Down, async |message| {
                    session.send(message).await.is_ok()
                });
                tokio::join!(receive, send);
            }
        })
        .await
}

/// One client's life.
async fn live(world: Arc<World>, number: u32, address: SocketAddr, config: Arc<ClientConfig>) {
    let Ok(client) = Client::builder(address, config).start() else {
        return;
    };
    let mut events = client.events();
    let watch = async {
        while let Some(event) = events.next().await {
            world.timeline.event(number, &event);
        }
    };
    let receive = async {
        while let Some(message) = client.recv().await {
            world.ledger.received(number, Direction::Down, &message.payload);
        }
    };
    let send = talk(&world, number, Direction::Up, async |message| {
        client.send(message).await.is_ok()
    });
    let leave = async {
        world.reached(Stage::Over).await;
        client.disconnect(0).await;
    };
    tokio::join!(watch, receive, send, leave);
}

/// Sends numbered messages of all sizes in small bursts, until the stage changes.
pub async fn talk<S, F>(world: &World, number: u32, direction: Direction, send: S)
where
    S: Fn(Vec<u8>) -> F,
    F: Future<Output = bool>,
{
    let stage = world.stage.subscribe();
    let seed = world.seed ^ (u64::from(number) << 8 | direction as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut body = vec![0; 40_000];
    rng.fill(&mut body);
    loop {
        tokio::time::sleep(Duration::from_millis(rng.u64(5..35))).await;
        for _ in 0..rng.u32(1..5) {
            if *stage.borrow() != Stage::Sending {
                return;
            }
            let size = match rng.u32(0..100) {
                0 => rng.usize(2000..body.len()),
                1..15 => rng.usize(200..2000),
                _ => rng.usize(8..200),
            };
            let message = world.ledger.compose(number, direction, &body[..size]);
            if !send(message).await {
                // The session is over; the message was not taken.
                world.ledger.retract(number, direction);
                return;
            }
        }
    }
}

/// All proxies together.
fn network(proxies: &[Proxy]) -> Counts {
    proxies
        .iter()
        .map(Proxy::counts)
        .fold(Counts::default(), |sum, counts| sum + counts)
}

/// A key for the run.
pub fn secret(seed: u64, what: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    fastrand::Rng::with_seed(seed ^ (what << 56)).fill(&mut bytes);
    // A key of zeros is refused, and rightly.
    bytes[0] |= 1;
    bytes
}
