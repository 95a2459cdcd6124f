//! What happens to the paths, and when. Times are marked for the checker.

use std::time::Duration;

use tokio::time::sleep;

use crate::book::{self, Book};
use crate::world::{Path, Program, Result, World};

/// Traffic before the fault: the round trip is known then.
const WARM: Duration = Duration::from_millis(1200);
/// After the fault. Long enough for the peer, which gives a silent connection up after 5 s.
const WATCH: Duration = Duration::from_millis(6500);
/// Without a hint to anybody, the system moves its default route away from a dead path after this time.
const SYSTEM: Duration = Duration::from_secs(3);

/// The scenarios.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scenario {
    Address { hint: bool },
    Fade { hint: bool },
    Idle { hint: bool },
    BlackHole,
    Reset,
    Outage { hint: bool },
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Figure {
    /// The longest time without a delivery, from the fault on.
    Gap,
    /// From the mark to the first delivery.
    SinceMark,
}

/// When things happened, on the monotonic clock, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The fault, or its beginning.
    pub fault: u64,
    /// From when on messages can flow: the hint, the path's return.
    pub mark: u64,
    /// The end of the observation.
    pub until: u64,
}

/// All that is known of one run.
pub struct Record {
    pub times: Times,
    pub client: Book,
    pub server: Book,
    pub plain_client: Book,
    pub plain_server: Book,
}

impl Scenario {
    /// In the order of the table.
    pub fn all() -> [Scenario; 10] {
        use Scenario::*;
        [
            Address { hint: true },
            Address { hint: false },
            Fade { hint: true },
            Fade { hint: false },
            Idle { hint: true },
            Idle { hint: false },
            BlackHole,
            Reset,
            Outage { hint: true },
            Outage { hint: false },
        ]
    }

    /// For names of namespaces, and for `--only`.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Address { hint: true } => "address-hint",
            Scenario::Address { hint: false } => "address",
            Scenario::Fade { hint: true } => "fade-hint",
            Scenario::Fade { hint: false } => "fade",
            Scenario::Idle { hint: true } => "idle-hint",
            Scenario::Idle { hint: false } => "idle",
            Scenario::BlackHole => "blackhole",
            Scenario::Reset => "reset",
            Scenario::Outage { hint: true } => "outage-hint",
            Scenario::Outage { hint: false } => "outage",
        }
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Scenario::Address { hint: true } => "Wi-Fi address replaced in mid-transfer, OS hint",
            Scenario::Address { hint: false } => "Wi-Fi address replaced in mid-transfer, no hint",
            Scenario::Fade { hint: true } => "Wi-Fi loses 5 to 60 %, then swallows all; OS hint at 30 %",
            Scenario::Fade { hint: false } => "Wi-Fi loses 5 to 60 %, then swallows all; no hint",
            Scenario::Idle { hint: true } => "black hole while idle, OS hint (from the hint)",
            Scenario::Idle { hint: false } => "black hole while idle, no hint (from the first send)",
            Scenario::BlackHole => "black hole under traffic, no hint",
            Scenario::Reset => "connection reset (RST at the server)",
            Scenario::Outage { hint: true } => "both paths dead for 10 to 13 s, one returns, OS hint (from its return)",
            Scenario::Outage { hint: false } => {
                "both paths dead for 10 to 13 s, one returns, no hint (from its return)"
            }
        }
    }

    /// How often it runs, unless told otherwise.
    pub fn runs(self) -> u32 {
        match self {
            Scenario::Outage { .. } => 5,
            _ => 10,
        }
    }

    pub fn figure(self) -> Figure {
        match self {
            Scenario::Idle { .. } | Scenario::Outage { .. } => Figure::SinceMark,
            _ => Figure::Gap,
        }
    }

    /// What the median of the figure must not exceed. Where the target is set for the protocol (idle: 3 round trips; black hole: 1 s),
    /// this is twice as much: schedulers of machines that do other things have a say too.
    pub fn limit(self) -> Duration {
        Duration::from_millis(match self {
            Scenario::Idle { hint: true } => 2 * 150,
            Scenario::Idle { hint: false } | Scenario::BlackHole => 2 * 1000,
            Scenario::Address { hint: true } | Scenario::Fade { hint: true } => 600,
            Scenario::Address { hint: false } | Scenario::Fade { hint: false } => 2000,
            Scenario::Reset | Scenario::Outage { hint: true } => 600,
            Scenario::Outage { hint: false } => 6000,
        })
    }

    /// How the client binds its networks: by device where the address changes, else by source address.
    fn networks(self) -> [String; 2] {
        match self {
            Scenario::Address { .. } => ["--network=1=wifi", "--network=2=cellular"],
            _ => ["--network=1=10.81.1.2", "--network=2=10.81.2.2"],
        }
        .map(Into::into)
    }

    /// The n-th run, from 0, in a world that is as in the beginning.
    pub async fn run(self, nth: u32, world: &mut World) -> Result<Record> {
        let mut cast = Cast::enter(self, world).await?;
        cast.talk(true).await?;
        sleep(WARM).await;
        let times = self.play(nth, world, &mut cast).await?;
        cast.leave(times).await
    }

    async fn play(self, nth: u32, world: &mut World, cast: &mut Cast) -> Result<Times> {
        let fault = book::now();
        let mut mark = fault;
        match self {
            Scenario::Address { hint } => {
                world.address("10.81.1.77").await?;
                if hint {
                    cast.client.order("hint changed 1").await?;
                }
            }
            Scenario::Fade { hint } => {
                for loss in [0.05, 0.15, 0.3, 0.45, 0.6] {
                    world.shape(Path::Wifi, loss).await?;
                    if hint && loss == 0.3 {
                        world.prefer(Path::Cellular).await?;
                        cast.client.order("hint available 2").await?;
                    }
                    sleep(Duration::from_millis(400)).await;
                }
                world.shape(Path::Wifi, 1.0).await?;
                if !hint {
                    sleep(SYSTEM).await;
                    world.prefer(Path::Cellular).await?;
                }
            }
            Scenario::Idle { hint } => {
                cast.talk(false).await?;
                sleep(Duration::from_millis(400)).await;
                world.shape(Path::Wifi, 1.0).await?;
                sleep(Duration::from_millis(300)).await;
                if hint {
                    world.prefer(Path::Cellular).await?;
                }
                mark = book::now();
                if hint {
                    cast.client.order("hint changed 2").await?;
                }
                cast.talk(true).await?;
                if !hint {
                    sleep(SYSTEM).await;
                    world.prefer(Path::Cellular).await?;
                }
            }
            Scenario::BlackHole => {
                world.shape(Path::Wifi, 1.0).await?;
                sleep(SYSTEM).await;
                world.prefer(Path::Cellular).await?;
            }
            Scenario::Reset => world.reset().await?,
            Scenario::Outage { hint } => {
                for path in Path::BOTH {
                    world.shape(path, 1.0).await?;
                }
                // Timers that double must not be in step with the path's return.
                sleep(Duration::from_millis(u64::from(10_000 + 700 * (nth % 5)))).await;
                world.prefer(Path::Cellular).await?;
                mark = book::now();
                world.shape(Path::Cellular, 0.0).await?;
                if hint {
                    // A system that sees a network come up has forgotten that nobody answered there; else its next ARP request may take a second to come.
                    world.forget_neighbours().await?;
                    cast.client.order("hint available 2").await?;
                }
            }
        }
        sleep(match self {
            Scenario::Fade { hint: false } | Scenario::Idle { hint: false } | Scenario::BlackHole => WATCH - SYSTEM,
            Scenario::Reset => Duration::from_millis(1500),
            _ => WATCH,
        })
        .await;
        let until = book::now();
        Ok(Times { fault, mark, until })
    }
}

/// The programs of one run.
struct Cast {
    server: Program,
    client: Program,
    plain: Program,
}

impl Cast {
    async fn enter(scenario: Scenario, world: &World) -> Result<Cast> {
        let args = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut server = world.spawn('s', &args(&["server", "10.81.0.1:7000", "10.81.0.1:7001"]))?;
        ready(&mut server).await?;
        let client = [args(&["client", "10.81.0.1:7000"]), scenario.networks().into()].concat();
        let mut client = world.spawn('c', &client)?;
        let mut plain = world.spawn('c', &args(&["plain", "10.81.0.1:7001"]))?;
        ready(&mut client).await?;
        ready(&mut plain).await?;
        Ok(Cast { server, client, plain })
    }

    async fn talk(&mut self, on: bool) -> Result<()> {
        let order = if on { "talk" } else { "quiet" };
        for program in [&mut self.client, &mut self.plain, &mut self.server] {
            program.order(order).await?;
        }
        Ok(())
    }

    async fn leave(mut self, times: Times) -> Result<Record> {
        self.talk(false).await?;
        let (client, plain_client) = tokio::try_join!(self.client.finish(), self.plain.finish())?;
        let [server, plain_server] = self.server.finish().await?;
        Ok(Record {
            times,
            client,
            server,
            plain_client,
            plain_server,
        })
    }
}

async fn ready(program: &mut Program) -> Result<()> {
    match program.answer().await?.as_str() {
        "ready" => Ok(()),
        other => Err(format!("a program said `{other}` instead of `ready`").into()),
    }
}
