//! What a run with several server processes is like: drawn from the seed, printed when it fails.

use core::fmt;
use core::time::Duration;

use unbroken::{Backoff, Durability, Limits, Timing};

use crate::options::{FaultOptions, NetOptions, Options};
use crate::rng::Rng;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// What goes wrong between a process and the store: chances in a thousand, for each request.
#[derive(Clone, Debug, Default)]
pub struct StoreFaults {
    /// Until a request is carried out, and until its reply is there: up to so long each.
    pub latency: Duration,
    /// Lost before it was carried out, and the host knows.
    pub unavailable: u32,
    /// Lost before it was carried out, and nobody knows.
    pub lost: u32,
    /// Carried out, and the reply is lost.
    pub reply_lost: u32,
    /// Carried out after the host has given it up.
    pub late: u32,
    /// ... up to so long after.
    pub late_by: Duration,
    /// When a host gives a request up.
    pub timeout: Duration,
    /// Notes that vanish, and notes that come twice.
    pub note_lost: u32,
    pub note_doubled: u32,
    /// The process dies before, between or after the steps of a request.
    pub crash_at_step: u32,
}

impl StoreFaults {
    /// As quick as this, without a fault.
    pub fn honest(&self) -> Self {
        StoreFaults {
            latency: self.latency,
            timeout: self.timeout,
            ..StoreFaults::default()
        }
    }

    /// Whether whoever asks another process is heard, and whatever is written is there.
    pub fn is_honest(&self) -> bool {
        [
            self.unavailable,
            self.lost,
            self.reply_lost,
            self.late,
            self.note_lost,
            self.crash_at_step,
        ] == [0; 6]
    }
}

/// Mean time between accidents; zero: none.
#[derive(Clone, Debug, Default)]
pub struct Accidents {
    pub crash: Duration,
    pub pause: Duration,
    /// How long a process sleeps at most.
    pub pause_for: Duration,
    pub retire: Duration,
    /// An application swaps its session out.
    pub swap: Duration,
    pub down: Duration,
    pub down_for: Duration,
    pub rollback: Duration,
    /// How far back at most.
    pub rollback_by: Duration,
    /// A record is spoilt, swapped with another, evicted or expires early.
    pub spoil: Duration,
    /// A blob is of a newer format for a while.
    pub newer: Duration,
    /// An application ends a session, every second time over links that have just died unnoticed.
    pub put_out: Duration,
}

impl Accidents {
    /// Whether they keep processes from hearing each other and the store.
    pub fn hinder(&self) -> bool {
        [self.pause, self.down, self.rollback, self.spoil, self.newer]
            .iter()
            .any(|mean| !mean.is_zero())
    }
}

#[derive(Clone, Debug)]
pub struct Apps {
    pub size: u64,
    /// Mean time between bursts, at each end.
    pub interval: Duration,
    pub burst: u64,
    /// Mean time between messages from servers to a session; zero: none.
    pub mail: Duration,
    /// Bytes of the server application's state beside its digests.
    pub state: u64,
    /// How many users there are; 0: nobody says whose a session is.
    pub users: u64,
    /// Bytes that their keys have in common.
    pub user_key: u64,
    /// Some applications give a state with their verdict.
    pub first_states: bool,
    /// Of a thousand of these so many are larger than a snapshot may be.
    pub large_first: u32,
    /// Of a thousand conversations so many are ended while there are faults.
    pub ends: u32,
}

#[derive(Clone)]
pub struct ClusterOptions {
    pub durability: Durability,
    pub processes: usize,
    pub clients: usize,
    /// How long there are faults.
    pub safety: Duration,
    pub net: NetOptions,
    pub links: FaultOptions,
    /// Of a thousand connections the balancer sends so many to where the client's last one went.
    pub sticky: u32,
    pub store: StoreFaults,
    pub accidents: Accidents,
    pub apps: Apps,
    pub limits: Limits,
    /// What some processes have instead, as while a new version is rolled out: smaller windows.
    pub lesser: Vec<Limits>,
    pub timing: Timing,
    pub backoff: Backoff,
    pub trace: usize,
}

impl ClusterOptions {
    /// Three processes, one client, no fault of any kind.
    pub fn calm(durability: Durability) -> Self {
        let calm = Options::calm();
        ClusterOptions {
            durability,
            processes: 3,
            clients: 1,
            safety: Duration::ZERO,
            net: NetOptions {
                delay: [5 * MS; 2],
                ..calm.net
            },
            links: FaultOptions::default(),
            sticky: 0,
            store: StoreFaults {
                latency: MS,
                timeout: 3 * SECOND,
                ..StoreFaults::default()
            },
            accidents: Accidents::default(),
            apps: Apps {
                size: 60,
                interval: 20 * MS,
                burst: 2,
                mail: Duration::ZERO,
                state: 16,
                users: 0,
                user_key: 0,
                first_states: false,
                large_first: 0,
                ends: 0,
            },
            limits: calm.server_limits,
            lesser: Vec::new(),
            timing: Timing::default(),
            backoff: calm.backoff,
            trace: 60,
        }
    }

    /// Whatever the seed says.
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::new(seed).fork("cluster options");
        let rng = &mut rng;
        let durability = *rng.pick(&[Durability::SwapOut, Durability::Durable, Durability::Durable]);
        let mut o = ClusterOptions::calm(durability);
        o.processes = rng.range(2..=4) as usize;
        o.clients = rng.range(1..=4) as usize;
        o.safety = rng.duration(20 * SECOND..=40 * SECOND);
        let delay = Duration::from_micros(rng.log_range(100..=40_000));
        o.net.delay = [delay; 2];
        o.net.jitter = rng.duration(Duration::ZERO..=delay);
        o.links = FaultOptions {
            cut_after: 1000,
            cut_at_byte: *rng.pick(&[0, 200]),
            cut_below: 4096,
            life: Duration::from_micros(rng.log_range(100_000..=2_000_000)),
            unnoticed: *rng.pick(&[0, 30, 100]),
            refused: *rng.pick(&[0, 0, 100]),
            ..FaultOptions::default()
        };
        o.store = draw_store(rng);
        o.accidents = draw_accidents(rng, durability);
        o.apps = Apps {
            size: rng.log_range(0..=2_000),
            interval: rng.duration(5 * MS..=200 * MS),
            burst: rng.log_range(1..=8),
            mail: if rng.coin() {
                rng.duration(50 * MS..=SECOND)
            } else {
                Duration::ZERO
            },
            state: rng.log_range(0..=2_000),
            ..o.apps
        };
        o.timing.lease = rng.duration(2 * SECOND..=6 * SECOND);
        o.timing.ack_delay = rng.duration(Duration::ZERO..=50 * MS);
        o.timing.ack_messages = rng.log_range(1..=64) as u32;
        o.timing.dead_after = rng.duration(2 * SECOND..=5 * SECOND);
        o.backoff.base = rng.duration(5 * MS..=100 * MS);
        o.backoff.cap = o.backoff.base + rng.duration(20 * MS..=SECOND);
        o.draw_ends(&mut Rng::new(seed).fork("ends"));
        o.draw_put_out(&mut Rng::new(seed).fork("put out"));
        o
    }

    /// Who is put out, in every fourth run. In half of these the processes hear each other: then who was put out stays out.
    fn draw_put_out(&mut self, rng: &mut Rng) {
        if !rng.permille(250) {
            return;
        }
        self.accidents.put_out = rng.duration(3 * SECOND..=20 * SECOND);
        if rng.coin() {
            self.store = self.store.honest();
            self.accidents = Accidents {
                crash: self.accidents.crash,
                retire: self.accidents.retire,
                put_out: self.accidents.put_out,
                ..Accidents::default()
            };
        }
    }

    /// Whose the sessions are, who leaves when and comes back where.
    fn draw_ends(&mut self, rng: &mut Rng) {
        let clients = self.clients as u64;
        // As many users as clients, or fewer: then they put each other out.
        self.apps.users = *rng.pick(&[0, 0, clients * 8, clients.div_ceil(2)]);
        self.apps.user_key = *rng.pick(&[0, 4, 900, 1020, 1100]);
        self.apps.first_states = true;
        self.apps.large_first = *rng.pick(&[0, 0, 300]);
        self.apps.ends = *rng.pick(&[0, 0, 0, 400]);
        self.sticky = *rng.pick(&[0, 0, 500, 950]);
        if rng.permille(300) {
            self.accidents.swap = rng.duration(200 * MS..=5 * SECOND);
        }
        // Whoever writes late, has slept, was not heard or did not hear for a while must still find the end that he is too late for.
        let in_time = self.store.late + self.store.lost + self.store.note_lost == 0
            && self.accidents.pause.is_zero()
            && self.accidents.down.is_zero();
        if rng.permille(300) && in_time {
            self.limits.tombstone = rng.duration(Duration::ZERO..=10 * SECOND);
        }
    }

    /// The most time the calm phase may take until everything is delivered or its end is told.
    pub fn patience(&self) -> Duration {
        300 * SECOND + self.timing.dead_after * 4 + self.backoff.cap * 10 + self.accidents.pause_for
    }
}

fn draw_store(rng: &mut Rng) -> StoreFaults {
    let bad = *rng.pick(&[0, 1, 1, 5]);
    StoreFaults {
        latency: Duration::from_micros(rng.log_range(50..=30_000)),
        unavailable: bad * *rng.pick(&[0, 10, 40]),
        lost: bad * *rng.pick(&[0, 5, 20]),
        reply_lost: bad * *rng.pick(&[0, 5, 20]),
        late: bad * *rng.pick(&[0, 5, 20]),
        late_by: rng.duration(10 * MS..=8 * SECOND),
        timeout: rng.duration(500 * MS..=3 * SECOND),
        note_lost: *rng.pick(&[0, 50, 500]),
        note_doubled: *rng.pick(&[0, 50, 300]),
        crash_at_step: *rng.pick(&[0, 0, 3, 10]),
    }
}

fn draw_accidents(rng: &mut Rng, durability: Durability) -> Accidents {
    let sometimes = |rng: &mut Rng, permille: u32, least: u64, most: u64| {
        if rng.permille(permille) {
            rng.duration(Duration::from_secs(least)..=Duration::from_secs(most))
        } else {
            Duration::ZERO
        }
    };
    // With SwapOut a crash ends a session, and a run without sessions proves nothing.
    let crashes = if durability == Durability::Durable { 600 } else { 200 };
    Accidents {
        crash: sometimes(rng, crashes, 2, 20),
        pause: sometimes(rng, 500, 3, 20),
        pause_for: rng.duration(SECOND..=20 * SECOND),
        retire: sometimes(rng, 600, 2, 15),
        swap: Duration::ZERO,
        down: sometimes(rng, 300, 5, 20),
        down_for: rng.duration(SECOND..=10 * SECOND),
        rollback: sometimes(rng, 150, 5, 20),
        rollback_by: rng.duration(100 * MS..=10 * SECOND),
        spoil: sometimes(rng, 150, 5, 20),
        newer: sometimes(rng, 150, 5, 20),
        put_out: Duration::ZERO,
    }
}

impl fmt::Display for ClusterOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "profile cluster, {:?}, {} processes, {} clients, {} of 1000 come back to the same, faults for {:?}",
            self.durability, self.processes, self.clients, self.sticky, self.safety
        )?;
        writeln!(f, "{:?}", self.net)?;
        writeln!(f, "{:?}", self.links)?;
        writeln!(f, "{:?}", self.store)?;
        writeln!(f, "{:?}", self.accidents)?;
        writeln!(f, "{:?}", self.apps)?;
        writeln!(f, "{:?}", self.limits)?;
        for limits in &self.lesser {
            writeln!(f, "or {limits:?}")?;
        }
        writeln!(f, "{:?}", self.timing)?;
        writeln!(f, "{:?}", self.backoff)
    }
}
