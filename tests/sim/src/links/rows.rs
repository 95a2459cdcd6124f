//! The scenarios of `docs/HANDOVER.md`: one seed in, what was measured out. Round trip 50 ms, jitter up to 2 ms each way.

use core::time::Duration;

use unbroken::NetworkEvent;

use super::path::{Path, Weather};
use super::report::Spread;
use super::road::{CELLULAR, Road, Setup, WIFI};
use crate::fate::Side;
use crate::rng::Rng;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
/// What a message takes on a path without weather: 25 ms, 2 ms of jitter, in order.
pub const NORMAL: Duration = Duration::from_millis(27);

/// What came of one seed, or of many.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// From the fault (or hint) until the library acted.
    pub noticed: Spread,
    /// ... until messages arrived again at both ends that were sent after it.
    pub flowing: Spread,
    /// How long an application went without what it was due, beyond the normal delay: by the simulator.
    pub downtime: Spread,
    /// The same as the library told the phone's application.
    pub told: Spread,
    pub link_minutes: f64,
    pub suspicions: u64,
    pub spares: u64,
    pub handovers: u64,
    /// Writes and bytes of the phone while idle.
    pub writes: u64,
    pub bytes: u64,
    pub hours: f64,
}

impl Outcome {
    pub fn add(&mut self, other: Outcome) {
        self.noticed.extend(other.noticed);
        self.flowing.extend(other.flowing);
        self.downtime.extend(other.downtime);
        self.told.extend(other.told);
        self.link_minutes += other.link_minutes;
        self.suspicions += other.suspicions;
        self.spares += other.spares;
        self.handovers += other.handovers;
        self.writes += other.writes;
        self.bytes += other.bytes;
        self.hours += other.hours;
    }
}

/// A row of the table.
pub struct Row {
    pub name: &'static str,
    pub goal: &'static str,
    /// Of the seeds asked for, one in so many is run: some are long.
    pub share: u64,
    pub run: fn(u64) -> Outcome,
    /// Whether the goal is met.
    pub met: fn(&Outcome) -> bool,
}

fn any(_: &Outcome) -> bool {
    true
}

fn black_hole_goal(o: &Outcome) -> bool {
    o.noticed.max() <= 350 * MS && o.flowing.max() <= SECOND
}

fn flows_within_a_second(o: &Outcome) -> bool {
    o.flowing.max() <= SECOND
}

pub const ROWS: &[Row] = &[
    Row {
        name: "black hole under traffic, another network up",
        goal: "suspect <= 350 ms, flowing <= 1 s",
        share: 10,
        run: |seed| black_hole(seed, Setup::new(), |r| r.paths[0].dead = [true; 2]),
        met: black_hole_goal,
    },
    Row {
        name: "... the connection alone, one network (NAT forgot it)",
        goal: "suspect <= 350 ms, flowing <= 1 s",
        share: 10,
        run: |seed| {
            black_hole(
                seed,
                Setup {
                    paths: vec![Path::fair()],
                    ..Setup::new()
                },
                |r| r.strand(0),
            )
        },
        met: black_hole_goal,
    },
    Row {
        name: "... uplink only",
        goal: "flowing <= 1 s",
        share: 10,
        run: |seed| black_hole(seed, Setup::new(), |r| r.paths[0].dead = [false, true]),
        met: flows_within_a_second,
    },
    Row {
        name: "... downlink only",
        goal: "flowing <= 1 s",
        share: 10,
        run: |seed| black_hole(seed, Setup::new(), |r| r.paths[0].dead = [true, false]),
        met: flows_within_a_second,
    },
    Row {
        name: "... the phone only receives",
        goal: "suspect <= 350 ms, flowing <= 1 s",
        share: 10,
        run: |seed| {
            black_hole(
                seed,
                Setup {
                    every: [Duration::ZERO, 20 * MS],
                    ..Setup::new()
                },
                |r| r.paths[0].dead = [true; 2],
            )
        },
        met: black_hole_goal,
    },
    Row {
        name: "... the phone only sends, one message a second",
        goal: "suspect <= 350 ms after the first send, flowing <= 1 s",
        share: 10,
        run: sparse_sender,
        met: black_hole_goal,
    },
    Row {
        name: "black hole when idle, OS hint",
        goal: "flowing <= 150 ms after the hint",
        share: 10,
        run: idle_with_hint,
        met: |o| o.flowing.max() <= 150 * MS,
    },
    Row {
        name: "black hole when idle, no hint: the first probe",
        goal: "noticed <= 25 s + 350 ms",
        share: 10,
        run: idle_until_probe,
        met: |o| o.noticed.max() <= 25 * SECOND + 350 * MS,
    },
    Row {
        name: "address changed, hint, both networks up",
        goal: "downtime 0",
        share: 10,
        run: |seed| moved(seed, false),
        met: |o| o.downtime.max() <= 2 * MS,
    },
    Row {
        name: "address changed, hint, the old one dead at once",
        goal: "flowing <= 150 ms after the hint",
        share: 10,
        run: |seed| moved(seed, true),
        met: |o| o.flowing.max() <= 150 * MS,
    },
    Row {
        name: "fading wifi (the radio repeats), another network up",
        goal: "downtime p99 <= 100 ms",
        share: 1,
        run: |seed| fading(seed, |from, lasts| Weather::Fading { from, lasts }),
        met: |o| o.downtime.percentile(99.0) <= 100 * MS,
    },
    Row {
        name: "... loss alone, no repeats",
        goal: "none: p99 is above 100 ms",
        share: 1,
        run: |seed| fading(seed, |from, lasts| Weather::Lossy { from, lasts }),
        met: any,
    },
    Row {
        name: "slow, not dead: round trips 50 to 200 ms, evenly",
        goal: "< 1 suspicion in 1,000 link-minutes",
        share: 50,
        run: |seed| slow(seed, Weather::Fair { jitter: 75 * MS }),
        met: rarely_suspect,
    },
    Row {
        name: "... in bursts of 2 s, calm for 10 s",
        goal: "< 1 suspicion in 1,000 link-minutes",
        share: 50,
        run: |seed| {
            slow(
                seed,
                Weather::Bursts {
                    calm: 10 * SECOND,
                    burst: 2 * SECOND,
                    jitter: 75 * MS,
                },
            )
        },
        met: rarely_suspect,
    },
    Row {
        name: "... in bursts of 300 ms, calm for 3 s",
        goal: "< 1 suspicion in 1,000 link-minutes",
        share: 50,
        run: |seed| {
            slow(
                seed,
                Weather::Bursts {
                    calm: 3 * SECOND,
                    burst: 300 * MS,
                    jitter: 75 * MS,
                },
            )
        },
        met: rarely_suspect,
    },
    Row {
        name: "idle for an hour, healthy",
        goal: "<= 144 probes an hour (one in 25 s)",
        share: 100,
        run: |seed| idle(seed, false),
        met: |o| o.writes as f64 <= o.hours * 144.0 && o.writes > 0,
    },
    Row {
        name: "suspended for an hour",
        goal: "0 probes",
        share: 100,
        run: |seed| idle(seed, true),
        met: |o| o.writes == 0,
    },
];

fn rarely_suspect(o: &Outcome) -> bool {
    (o.suspicions as f64) < o.link_minutes / 1000.0
}

/// Something ends the way in the middle of traffic.
fn black_hole(seed: u64, setup: Setup, fault: impl Fn(&mut Road)) -> Outcome {
    let mut rng = Rng::new(seed).fork("row");
    let one_network = setup.paths.len() == 1;
    let mut road = Road::new(setup, seed);
    if one_network {
        road.establish_blind()
    } else {
        road.establish()
    }
    road.run_for(rng.duration(Duration::ZERO..=2 * SECOND));
    let from = road.now();
    fault(&mut road);
    measure(&mut road, from)
}

/// Runs until messages sent after `from` have arrived at both ends (at those that are written to), then to the end.
fn measure(road: &mut Road, from: unbroken::Instant) -> Outcome {
    let mut out = Outcome::default();
    let handovers = road.phone.stats().handovers;
    let suspicions = road.phone.stats().suspicions;
    road.run_to("noticed", 60 * SECOND, |r| {
        r.apps[0].life.in_handover || r.phone.stats().suspicions > suspicions || r.phone.stats().handovers > handovers
    });
    out.noticed.add(road.now().since(from));
    let arrived = |r: &Road, side: Side| {
        let (sender, receiver) = (&r.apps[side.other() as usize], &r.apps[side as usize]);
        let first = sender.sent_at.partition_point(|at| *at < from);
        sender.every.is_zero() || receiver.received_at.len() > first
    };
    road.run_to("flowing", 60 * SECOND, |r| {
        Side::BOTH.iter().all(|side| arrived(r, *side))
    });
    out.flowing.add(road.now().since(from));
    road.run_for(SECOND);
    road.finish();
    out.downtime.add(road.downtime(from, NORMAL));
    out.told.add(road.told_downtime(from));
    out
}

fn sparse_sender(seed: u64) -> Outcome {
    let mut road = Road::new(
        Setup {
            every: [SECOND, Duration::ZERO],
            ..Setup::new()
        },
        seed,
    );
    let mut rng = Rng::new(seed).fork("row");
    road.establish();
    road.run_for(3 * SECOND);
    let sent = road.apps[0].sent_at.len();
    road.run_to("a message", 2 * SECOND, |r| r.apps[0].sent_at.len() > sent);
    road.run_for(rng.duration(300 * MS..=900 * MS));
    road.paths[0].dead = [true; 2];
    let sent = road.apps[0].sent_at.len();
    road.run_to("the next message", 2 * SECOND, |r| r.apps[0].sent_at.len() > sent);
    let from = road.now();
    measure(&mut road, from)
}

fn quiet(seed: u64) -> (Road, Rng) {
    let mut road = Road::new(
        Setup {
            every: [Duration::ZERO; 2],
            ..Setup::new()
        },
        seed,
    );
    let mut rng = Rng::new(seed).fork("row");
    road.establish();
    road.run_for(rng.duration(3 * SECOND..=20 * SECOND));
    road.paths[0].dead = [true; 2];
    (road, rng)
}

fn idle_with_hint(seed: u64) -> Outcome {
    let (mut road, mut rng) = quiet(seed);
    road.run_for(rng.duration(Duration::ZERO..=4 * SECOND));
    let from = road.now();
    road.hint(NetworkEvent::Changed(CELLULAR));
    let mut out = Outcome::default();
    out.noticed.add(Duration::ZERO);
    for side in Side::BOTH {
        road.say(side);
    }
    road.run_to("flowing", 10 * SECOND, |r| r.undelivered() == 0);
    out.flowing.add(road.now().since(from));
    road.finish();
    out.downtime.add(road.downtime(from, NORMAL));
    out.told.add(road.told_downtime(from));
    out
}

fn idle_until_probe(seed: u64) -> Outcome {
    let (mut road, _) = quiet(seed);
    let from = road.now();
    measure(&mut road, from)
}

fn moved(seed: u64, at_once: bool) -> Outcome {
    let mut road = Road::new(Setup::new(), seed);
    let mut rng = Rng::new(seed).fork("row");
    road.establish();
    road.run_for(rng.duration(Duration::ZERO..=2 * SECOND));
    let from = road.now();
    if at_once {
        road.paths[0].dead = [true; 2];
    }
    road.hint(NetworkEvent::Changed(CELLULAR));
    measure(&mut road, from)
}

/// Walking out of the wifi's reach, within 2 to 20 seconds.
fn fading(seed: u64, weather: fn(unbroken::Instant, Duration) -> Weather) -> Outcome {
    let mut road = Road::new(Setup::new(), seed);
    let mut rng = Rng::new(seed).fork("row");
    road.establish();
    road.run_for(rng.duration(2 * SECOND..=20 * SECOND));
    let from = road.now();
    let lasts = rng.duration(2 * SECOND..=20 * SECOND);
    road.paths[WIFI.0 as usize].weather = weather(from, lasts);
    road.run_for(lasts + SECOND);
    road.finish();
    let mut out = Outcome::default();
    let begun = road.apps[0]
        .events
        .iter()
        .find(|(at, e)| *at >= from && matches!(e, unbroken::Event::HandoverBegin { .. }));
    out.noticed.add(begun.map_or(lasts, |(at, _)| at.since(from)));
    out.downtime.add(road.downtime(from, NORMAL));
    out.told.add(road.told_downtime(from));
    let stats = road.phone.stats();
    (out.spares, out.handovers, out.suspicions) = (stats.spares, stats.handovers, stats.suspicions);
    out
}

/// Ten minutes on a link that is slow, or one of a second or so: half of the seeds under traffic, half with a message a second.
fn slow(seed: u64, weather: Weather) -> Outcome {
    let path = || Path::new(25 * MS, weather);
    let every = if seed.is_multiple_of(2) { 20 * MS } else { SECOND };
    let mut road = Road::new(
        Setup {
            paths: vec![path(), path()],
            every: [every; 2],
            ..Setup::new()
        },
        seed,
    );
    road.establish();
    let minutes = 10;
    road.run_for(minutes * 60 * SECOND);
    road.finish();
    let stats = road.phone.stats();
    Outcome {
        link_minutes: f64::from(minutes),
        suspicions: stats.suspicions,
        spares: stats.spares,
        handovers: stats.handovers,
        ..Outcome::default()
    }
}

fn idle(seed: u64, suspended: bool) -> Outcome {
    let mut road = Road::new(
        Setup {
            every: [Duration::ZERO; 2],
            ..Setup::new()
        },
        seed,
    );
    road.establish();
    road.run_for(5 * SECOND);
    if suspended {
        road.hint(NetworkEvent::Suspend);
    }
    let (writes, bytes) = (road.phone_writes, road.phone_bytes);
    road.run_for(3600 * SECOND);
    Outcome {
        writes: road.phone_writes - writes,
        bytes: road.phone_bytes - bytes,
        hours: 1.0,
        ..Outcome::default()
    }
}
