//! What happens when: start, restart each in turn, kill one, and the reckoning.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use unbroken_tokio::{ClientConfig, Limits};

use crate::balancer;
use crate::chronicle::Chronicle;
use crate::display::Display;
use crate::fleet::{Place, Server};
use crate::options::{Options, Promise};
use crate::player::{Finding, Player};
use crate::server::keys;
use crate::storing;
use crate::summary::Summary;

/// Server processes.
pub const SERVERS: usize = 3;
/// How long everybody plays in peace before, between and after the restarts.
const PEACE: Duration = Duration::from_millis(1500);
/// How long what is under way may take to arrive after the last turn.
const SETTLE: Duration = Duration::from_secs(40);
/// How long the clients may take to connect at first.
const CONNECT: Duration = Duration::from_secs(60);

/// How far the run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    Playing,
    /// No more turns; what is under way arrives.
    Settling,
    Over,
}

/// What the report is made of.
pub struct Outcome {
    pub summary: Summary,
    pub chronicle: Arc<Chronicle>,
    /// Where the processes wrote what they had to say.
    pub logs: PathBuf,
}

/// The whole run.
pub async fn run(options: &Options) -> Result<Outcome, Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("rolling-restart-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let chronicle = Arc::new(Chronicle::new());
    let store = storing::start(options, &folder).await?;

    let places = (0..SERVERS).map(|_| Place::find()).collect::<Result<Vec<_>, _>>()?;
    let server =
        |(index, place): (usize, &Place)| Server::new(index, *place, &store.url, options, &folder, chronicle.clone());
    let mut servers: Vec<Server> = places.iter().enumerate().map(server).collect();
    for server in &mut servers {
        server.start().await?;
    }
    let balancer = balancer::start(options.balancer, &places, &folder).await?;

    let stage = watch::Sender::new(Stage::Playing);
    let mut players = players(options, balancer.address, &chronicle, &stage)?;
    let display = Display::new(options, balancer.name, store.name, chronicle.clone());
    let showing = tokio::spawn(display.run());
    let killed = play(options, &mut servers, &chronicle).await;

    stage.send_replace(Stage::Settling);
    let settled = Instant::now();
    let done = || chronicle.counts().finished >= options.clients;
    while killed.is_ok() && !done() && settled.elapsed() < SETTLE {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stage.send_replace(Stage::Over);
    let mut findings: Vec<Finding> = Vec::new();
    while let Some(finding) = players.join_next().await {
        findings.push(finding?);
    }
    showing.abort();
    let summary = Summary::new(options, &findings, &chronicle, killed?, (balancer.name, store.name));
    if summary.verdict().is_ok() {
        let _ = std::fs::remove_dir_all(&folder);
    }
    Ok(Outcome {
        summary,
        chronicle,
        logs: folder,
    })
}

/// Everybody plays; meanwhile each server is restarted, and one killed. Returns how many were.
async fn play(options: &Options, servers: &mut [Server], chronicle: &Chronicle) -> Result<u64, Box<dyn Error>> {
    let begun = Instant::now();
    while chronicle.counts().established < options.clients {
        if begun.elapsed() > CONNECT {
            let up = chronicle.counts().established;
            return Err(format!("{up} of {} clients connected within {CONNECT:?}", options.clients).into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let patience = Duration::from_millis(options.window) + Duration::from_secs(30);
    for server in servers.iter_mut() {
        tokio::time::sleep(PEACE).await;
        server.leave(patience).await?;
        server.start().await?;
    }
    tokio::time::sleep(PEACE).await;
    let kills = if options.durability == Promise::Durable {
        options.kills
    } else {
        0
    };
    let mut rng = fastrand::Rng::with_seed(options.seed);
    for _ in 0..kills {
        // Without a word, in the middle of whatever it was doing.
        let victim = &mut servers[rng.usize(..SERVERS)];
        victim.kill().await?;
        tokio::time::sleep(PEACE.mul_f64(rng.f64())).await;
        victim.start().await?;
        tokio::time::sleep(PEACE.mul_f64(rng.f64())).await;
    }
    Ok(kills)
}

fn players(
    options: &Options,
    balancer: std::net::SocketAddr,
    chronicle: &Arc<Chronicle>,
    stage: &watch::Sender<Stage>,
) -> Result<JoinSet<Finding>, Box<dyn Error>> {
    let (key, _) = keys(options.seed)?;
    let mut players = JoinSet::new();
    for number in 0..options.clients as u32 {
        let config = ClientConfig::builder(key.public())
            .credential(number.to_be_bytes().to_vec())
            .limits(Limits::default())
            .build()?;
        let player = Player {
            number,
            balancer,
            config: Arc::new(config),
            turn_every: Duration::from_millis(options.turn_every),
            seed: options.seed,
        };
        players.spawn(player.play(chronicle.clone(), stage.subscribe()));
    }
    Ok(players)
}
