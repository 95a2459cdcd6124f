//! The honest clients: each sends numbered messages at a steady pace, gets each back once and in order, and measures round trips.
//!
//! Between them and the server stands a proxy that cuts a client's link every few seconds, in all phases alike, so that resumes happen under attack
//! and the phases can be compared. Beside them newcomers come one after the other: connect, one message, goodbye.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use unbroken_fault_proxy::{Plan, Proxy, Weights};
use unbroken_tokio::{Client, ClientConfig, CloseReason, Event};

use crate::latency::{Latency, Percentiles};
use crate::process::{self, Fault};
use crate::sequence::{self, Seen};
use crate::server::{HONEST, key};

/// Between two messages of a client.
const PACE: Duration = Duration::from_millis(50);
/// Mean time between two cuts of a client's link. It sends 400 messages in that time and one or two of them wait for a handover: fewer than one in a
/// hundred, so the 99th percentile is that of links that stand. How long handovers take is told apart.
const CUT_EVERY: Duration = Duration::from_secs(20);
/// Between two newcomers.
const NEWCOMERS: Duration = Duration::from_millis(500);
/// How long what is under way may take to arrive at the end.
const LAST: Duration = Duration::from_secs(30);
/// How long a newcomer may take to be let in, and to be answered. It tries again as often as the library does.
const NEWCOMER: Duration = Duration::from_secs(30);

/// What is told of a phase.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Phase {
    pub round_trips: Percentiles,
    /// Interruptions survived, and how long each lasted.
    pub handovers: Percentiles,
    /// From the first connect to the first answer.
    pub newcomers: Percentiles,
}

/// What the honest clients say when they are asked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    pub calm: Phase,
    pub attack: Phase,
    pub sent: u64,
    pub seen: Seen,
    pub links_cut: u64,
    /// `HandoverFailed`, and sessions that ended without having been told to.
    pub failed: u64,
    pub newcomers_kept_out: u64,
    pub panics: u64,
}

/// Which phase it is: what is measured counts for the phase in which it began and ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Now {
    Between,
    Calm,
    Attack,
    Over,
}

#[derive(Default)]
struct Book {
    phases: [[Latency; 3]; 2],
    report: Report,
}

/// What is measured of a phase.
#[derive(Clone, Copy)]
enum What {
    RoundTrip,
    Handover,
    Newcomer,
}

struct World {
    book: Mutex<Book>,
    now: watch::Sender<Now>,
}

pub async fn run(server: SocketAddr, clients: u32, seed: u64) -> Result<ExitCode, Fault> {
    process::count_panics();
    let mut plan = Plan::new(seed, CUT_EVERY);
    let none = Weights {
        fin: 0,
        reset: 0,
        cut_after: 0,
        stall_then_cut: 0,
        stall_then_recover: 0,
        delay: 0,
        refuse: 0,
    };
    plan.weights = Weights {
        fin: 1,
        reset: 1,
        cut_after: 1,
        ..none
    };
    let proxy = Proxy::start((Ipv4Addr::LOCALHOST, 0).into(), server, plan).await?;
    let world = Arc::new(World {
        book: Mutex::default(),
        now: watch::Sender::new(Now::Between),
    });
    let mut lives = JoinSet::new();
    let (up, mut standing) = tokio::sync::mpsc::channel(clients as usize);
    for number in 0..clients {
        lives.spawn(live(world.clone(), number, proxy.local_addr(), up.clone()));
    }
    drop(up);
    for _ in 0..clients {
        timeout(LAST, standing.recv())
            .await?
            .ok_or("an honest client could not connect")?;
    }
    let newcomers = tokio::spawn(newcomers(world.clone(), server));
    process::say(&clients)?;
    let mut questions = process::questions();
    while let Some(question) = questions.recv().await {
        match question.as_str() {
            "calm" => world.now.send_replace(Now::Calm),
            "attack" => world.now.send_replace(Now::Attack),
            "between" => world.now.send_replace(Now::Between),
            _ => {
                proxy.calm();
                world.now.send_replace(Now::Over);
                let all = async { while lives.join_next().await.is_some() {} };
                // Whoever has not come to its end then has lost something, which the sums tell.
                let _ = timeout(LAST + Duration::from_secs(5), all).await;
                newcomers.abort();
                Now::Over
            }
        };
        let mut report = world.with(|book| book.told());
        report.links_cut = proxy.counts().cut();
        report.panics = process::panics();
        process::say(&report)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl World {
    fn with<T>(&self, what: impl FnOnce(&mut Book) -> T) -> T {
        what(&mut self.book.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    fn now(&self) -> Now {
        *self.now.borrow()
    }

    /// Something lasted so long, and began in this phase.
    fn lasted(&self, what: What, began: Now, time: Duration) {
        let phase = match began {
            _ if began != self.now() => return,
            Now::Calm => 0,
            Now::Attack => 1,
            Now::Between | Now::Over => return,
        };
        self.with(|book| book.phases[phase][what as usize].record(time));
    }

    async fn over(&self) {
        let _ = self.now.subscribe().wait_for(|now| *now == Now::Over).await;
    }
}

impl Book {
    fn told(&self) -> Report {
        let [calm, attack] = &self.phases;
        let told = |[round_trips, handovers, newcomers]: &[Latency; 3]| Phase {
            round_trips: round_trips.percentiles(),
            handovers: handovers.percentiles(),
            newcomers: newcomers.percentiles(),
        };
        Report {
            calm: told(calm),
            attack: told(attack),
            ..self.report.clone()
        }
    }
}

fn credential(number: u32) -> Vec<u8> {
    [HONEST, &number.to_be_bytes()].concat()
}

async fn live(world: Arc<World>, number: u32, address: SocketAddr, up: tokio::sync::mpsc::Sender<()>) {
    let Ok(config) = ClientConfig::builder(key().public())
        .credential(credential(number))
        .build()
    else {
        return;
    };
    let Ok(client) = Client::connect(address, Arc::new(config)).await else {
        return;
    };
    let _ = up.send(()).await;
    let under_way = Mutex::new(VecDeque::new());
    let watch = async {
        let mut events = client.events();
        let mut began = world.now();
        while let Some(event) = events.next().await {
            match event {
                Event::HandoverBegin { .. } => began = world.now(),
                Event::HandoverEnd(end) => world.lasted(What::Handover, began, end.downtime),
                Event::HandoverFailed { .. } => world.with(|book| book.report.failed += 1),
                _ => {}
            }
        }
    };
    let send = async {
        // Not all at the same moment.
        sleep(PACE.mul_f64(fastrand::f64())).await;
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next = 0;
        while world.now() != Now::Over {
            pace.tick().await;
            // Before it is sent: waiting for room is part of the way.
            lock(&under_way).push_back((Instant::now(), world.now()));
            if client.send(sequence::message(number, next)).await.is_err() {
                lock(&under_way).pop_back();
                return;
            }
            next += 1;
            world.with(|book| book.report.sent += 1);
        }
    };
    let receive = async {
        let mut seen = Seen::default();
        while let Some(message) = client.recv().await {
            let before = seen;
            seen.arrived(number, &message.payload);
            if seen.good > before.good
                && let Some((sent, phase)) = lock(&under_way).pop_front()
            {
                world.lasted(What::RoundTrip, phase, sent.elapsed());
            }
            world.with(|book| {
                book.report.seen.good += seen.good - before.good;
                book.report.seen.doubled += seen.doubled - before.doubled;
                book.report.seen.ahead += seen.ahead - before.ahead;
                book.report.seen.changed += seen.changed - before.changed;
            });
        }
    };
    let leave = async {
        world.over().await;
        let begun = Instant::now();
        while !lock(&under_way).is_empty() && begun.elapsed() < LAST {
            sleep(Duration::from_millis(20)).await;
        }
        client.disconnect(0).await
    };
    let ((), (), (), end) = tokio::join!(watch, send, receive, leave);
    if !matches!(end, CloseReason::Local { .. }) {
        world.with(|book| book.report.failed += 1);
    }
}

/// One newcomer after the other.
async fn newcomers(world: Arc<World>, server: SocketAddr) {
    let mut number = 1 << 20;
    while world.now() != Now::Over {
        sleep(NEWCOMERS).await;
        number += 1;
        tokio::spawn(newcomer(world.clone(), server, number));
    }
}

async fn newcomer(world: Arc<World>, server: SocketAddr, number: u32) {
    let (came, phase) = (Instant::now(), world.now());
    let visit = async {
        let config = ClientConfig::builder(key().public())
            .credential(credential(number))
            .build()
            .ok()?;
        let client = Client::connect(server, Arc::new(config)).await.ok()?;
        client.send(sequence::message(number, 0)).await.ok()?;
        let answer = client.recv().await?;
        world.lasted(What::Newcomer, phase, came.elapsed());
        client.disconnect(0).await;
        (answer.payload == sequence::message(number, 0)).then_some(())
    };
    if !matches!(timeout(NEWCOMER, visit).await, Ok(Some(()))) {
        world.with(|book| book.report.newcomers_kept_out += 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
