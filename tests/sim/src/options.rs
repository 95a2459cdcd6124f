//! What a run is like: all of it is drawn from the seed, and all of it is printed when a run fails.

use core::fmt;
use core::time::Duration;

use unbroken::{Backoff, Limits, Timing};

use crate::profile::Profile;
use crate::rng::Rng;

/// How bytes reach a receiver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chunks {
    /// All that is there, in one call.
    All,
    /// One byte a call.
    Single,
    /// Cut anywhere.
    Random,
}

#[derive(Clone, Debug)]
pub struct NetOptions {
    /// One way, per direction: client to server, server to client.
    pub delay: [Duration; 2],
    /// Each connection has its own path: up to so many percent slower.
    pub paths: u64,
    /// Added at random to each segment; never reorders.
    pub jitter: Duration,
    /// Bytes a second, per direction; 0 is without bound.
    pub bandwidth: u64,
    /// Bytes under way that a socket takes before it blocks.
    pub socket: usize,
    /// Bytes of a segment.
    pub segment: usize,
    pub chunks: Chunks,
    /// What arrives within this time is read at once.
    pub coalesce: Duration,
    /// Bytes for a closed socket are answered by a reset, as a host does that does not linger.
    pub reset_on_closed: bool,
    /// The server names an address of its own, and this is how it is there.
    pub own_address: Option<OwnAddress>,
}

/// A server's own address, by which its clients try to come back first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OwnAddress {
    Works,
    Refused,
    BlackHole,
    /// Somebody there says to come so much later, always.
    TurnsAway(Duration),
}

/// Chances in a thousand, per connection.
#[derive(Clone, Debug, Default)]
pub struct FaultOptions {
    pub refused: u32,
    /// The connection is never made, and nobody says so.
    pub connect_black_hole: u32,
    /// Cut at some byte of one direction.
    pub cut_at_byte: u32,
    /// ... which lies below this.
    pub cut_below: u64,
    /// Cut at some time.
    pub cut_after: u32,
    /// ... which lies below this.
    pub life: Duration,
    /// A cut end does not learn of it.
    pub unnoticed: u32,
    /// Nothing passes for a time (or for ever, one time in four).
    pub stall: u32,
    pub stall_for: Duration,
    /// A bit flips on the way.
    pub corrupt: u32,
    /// Somebody else answers: a forged REFUSE, a captive portal, noise.
    pub forge: u32,
    /// A copy of the client's bytes comes on another connection, sooner or later.
    pub copy: u32,
    /// Mean time between hostile connections; zero: none.
    pub hostile_every: Duration,
    /// Mean time between reports of a changed network; zero: none.
    pub network_every: Duration,
}

#[derive(Clone, Debug)]
pub struct AppOptions {
    /// Reliable messages, per direction: client to server, server to client.
    pub messages: [u64; 2],
    /// Of a thousand messages so many are sent unreliably beside.
    pub unreliable: u32,
    pub size: u64,
    /// One in a thousand is this large.
    pub rare_size: u64,
    /// Mean time between bursts.
    pub interval: Duration,
    pub burst: u64,
    /// Zero: reads at once. Else reads a few messages once in so long.
    pub read_every: Duration,
    pub read_batch: u64,
    /// How long the server's application thinks about a verdict.
    pub verdict: Duration,
    /// The server's application is asked at all.
    pub authorise: bool,
    pub ask_on_resume: bool,
    /// Of a thousand clients so many are not let in.
    pub refused: u32,
    /// To so many the server's application speaks before its verdict.
    pub early_words: u32,
    /// Of a thousand resumes it is asked about it forbids so many.
    pub vetoes: u32,
    /// Of a thousand conversations so many are ended while there are faults.
    pub ends: u32,
}

/// How punctual the host is.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// Timers and wake-ups are late by up to this.
    pub late: Duration,
    /// Of a thousand drains so many stop half-way; the rest follows when `poll_timeout` says so.
    pub lazy: u32,
    /// Bytes of the buffer for `poll_output`.
    pub buffer: usize,
}

#[derive(Clone)]
pub struct Options {
    pub profile: Profile,
    pub clients: usize,
    pub shards: u16,
    /// How long there are faults.
    pub safety: Duration,
    pub net: NetOptions,
    pub faults: FaultOptions,
    pub app: AppOptions,
    pub host: HostOptions,
    pub client_limits: Limits,
    pub server_limits: Limits,
    pub timing: Timing,
    pub backoff: Backoff,
    /// Events that are kept to be shown.
    pub trace: usize,
}

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

impl Options {
    /// No faults, 25 ms each way, ten messages each way.
    pub fn calm() -> Self {
        let limits = Limits {
            detached: HOUR,
            ..Limits::default()
        };
        Options {
            profile: Profile::Calm,
            clients: 1,
            shards: 1,
            safety: Duration::ZERO,
            net: NetOptions {
                delay: [25 * MS; 2],
                paths: 0,
                jitter: Duration::ZERO,
                bandwidth: 0,
                socket: 1 << 20,
                segment: 1460,
                chunks: Chunks::All,
                coalesce: Duration::ZERO,
                reset_on_closed: false,
                own_address: None,
            },
            faults: FaultOptions::default(),
            app: AppOptions {
                messages: [10; 2],
                unreliable: 0,
                size: 100,
                rare_size: 100,
                interval: 10 * MS,
                burst: 1,
                read_every: Duration::ZERO,
                read_batch: 0,
                verdict: Duration::ZERO,
                authorise: true,
                ask_on_resume: false,
                refused: 0,
                early_words: 0,
                vetoes: 0,
                ends: 0,
            },
            host: HostOptions {
                late: Duration::ZERO,
                lazy: 0,
                buffer: 64 << 10,
            },
            client_limits: limits.clone(),
            server_limits: limits,
            timing: Timing::default(),
            backoff: Backoff {
                give_up_after: 24 * HOUR,
                ..Backoff::default()
            },
            trace: 60,
        }
    }

    /// Whatever the seed says.
    pub fn draw(profile: Profile, seed: u64) -> Self {
        let mut rng = Rng::new(seed).fork("options");
        let rng = &mut rng;
        let mut o = Options {
            profile,
            ..Options::calm()
        };
        if profile == Profile::Calm {
            return o;
        }
        o.net = draw_net(rng);
        o.app = draw_app(rng);
        o.host = HostOptions {
            late: if rng.coin() {
                Duration::ZERO
            } else {
                rng.duration(Duration::ZERO..=5 * MS)
            },
            lazy: *rng.pick(&[0, 0, 50, 300]),
            buffer: rng.log_range(256..=64 << 10) as usize,
        };
        o.timing = Timing {
            ack_messages: rng.log_range(1..=256) as u32,
            ack_bytes: rng.log_range(64..=256 << 10) as u32,
            ack_delay: rng.duration(Duration::ZERO..=100 * MS),
            idle_probe: rng.duration(2 * SECOND..=30 * SECOND),
            dead_after: rng.duration(2 * SECOND..=10 * SECOND),
            ..Timing::default()
        };
        o.backoff.base = rng.duration(MS..=200 * MS);
        o.backoff.cap = o.backoff.base + rng.duration(MS..=3 * SECOND);
        let (client, server) = (draw_limits(rng, o.app.rare_size), draw_limits(rng, o.app.rare_size));
        (o.client_limits, o.server_limits) = (client, server);
        o.safety = rng.duration(20 * SECOND..=120 * SECOND);
        o.faults = draw_faults(rng);
        o.fit(profile, rng);
        o.draw_ends(&mut Rng::new(seed).fork("ends"));
        // A client that gives up before a connection can stand never has one.
        o.backoff.give_up_after = o.backoff.give_up_after.max(o.least_handshake() * 2);
        o
    }

    /// Who is turned away, who ends when, and where servers send their clients.
    fn draw_ends(&mut self, rng: &mut Rng) {
        self.app.refused = *rng.pick(&[0, 0, 0, 300]);
        self.app.early_words = *rng.pick(&[0, 500]);
        self.app.vetoes = *rng.pick(&[0, 0, 3, 30]);
        self.app.ends = *rng.pick(&[0, 0, 0, 200]);
        self.net.own_address = match rng.below(12) {
            0 => Some(OwnAddress::Works),
            1 => Some(OwnAddress::Refused),
            2 => Some(OwnAddress::BlackHole),
            // Whoever gives up before the wait is over never comes to try elsewhere.
            3 => Some(OwnAddress::TurnsAway(
                rng.duration(MS..=4 * SECOND).min(self.backoff.give_up_after / 3),
            )),
            _ => None,
        };
    }

    /// Two round trips on the slowest path, and a flight with an ACCEPT on the line.
    pub fn least_handshake(&self) -> Duration {
        let slowest = (self.net.delay[0] + self.net.delay[1]) * (100 + self.net.paths as u32) / 100;
        let line = 64_000_000_000u64.checked_div(self.net.bandwidth).unwrap_or(0);
        // A socket that takes little at a time needs a round trip for each piece.
        let trips = 3 + (4096 / self.net.socket.max(1)) as u32;
        (slowest + self.net.jitter * 2 + self.net.coalesce * 2 + self.host.late * 2) * trips
            + Duration::from_micros(line)
            + 200 * MS
    }

    /// Bends the draw to what the profile is about.
    fn fit(&mut self, profile: Profile, rng: &mut Rng) {
        let quick = FaultOptions {
            cut_after: 1000,
            cut_at_byte: 300,
            cut_below: 4096,
            unnoticed: 30,
            ..FaultOptions::default()
        };
        match profile {
            Profile::Chaos | Profile::Calm | Profile::Cluster | Profile::Random => {}
            Profile::Cuts => {
                self.net.delay = [
                    rng.duration(Duration::ZERO..=10 * MS),
                    rng.duration(Duration::ZERO..=10 * MS),
                ];
                self.net.jitter = rng.duration(Duration::ZERO..=2 * MS);
                self.net.bandwidth = 0;
                self.net.chunks = *rng.pick(&[Chunks::All, Chunks::All, Chunks::Random]);
                self.app.verdict = Duration::ZERO;
                self.app.read_every = Duration::ZERO;
                self.app.rare_size = self.app.rare_size.min(20_000);
                self.backoff.base = rng.duration(MS..=5 * MS);
                self.backoff.cap = rng.duration(10 * MS..=40 * MS);
                self.faults = FaultOptions {
                    life: rng.duration(40 * MS..=200 * MS),
                    ..quick
                };
                self.safety = 40 * SECOND;
            }
            Profile::Slow => {
                self.net.socket = rng.log_range(300..=20_000) as usize;
                self.net.bandwidth = rng.log_range(20_000..=1_000_000);
                self.app.read_every = rng.duration(MS..=500 * MS);
                self.app.read_batch = rng.log_range(1..=50);
            }
            Profile::Hostile => {
                self.faults.corrupt = 250;
                self.faults.forge = 100;
                self.faults.copy = 400;
                self.faults.hostile_every = rng.duration(20 * MS..=500 * MS);
            }
            Profile::Idle => {
                self.safety = rng.duration(600 * SECOND..=3 * HOUR);
                self.app.interval = rng.duration(5 * SECOND..=300 * SECOND);
                self.app.messages = [rng.range(0..=60), rng.range(1..=60)];
                self.faults = FaultOptions {
                    cut_after: 700,
                    life: 300 * SECOND,
                    unnoticed: 700,
                    stall: 500,
                    stall_for: 900 * SECOND,
                    connect_black_hole: 100,
                    network_every: 200 * SECOND,
                    ..FaultOptions::default()
                };
            }
            Profile::Expiry => {
                self.server_limits.detached = rng.duration(SECOND..=5 * SECOND);
                self.server_limits.tombstone = rng.duration(Duration::ZERO..=10 * SECOND);
                self.backoff.give_up_after = rng.duration(SECOND..=20 * SECOND);
                self.faults.refused = 500;
                self.faults.connect_black_hole = 200;
            }
            Profile::Fleet => {
                self.clients = rng.range(5..=40) as usize;
                self.shards = rng.range(1..=4) as u16;
                self.app.messages = [rng.range(1..=100), rng.range(1..=100)];
                self.app.rare_size = self.app.rare_size.min(50_000);
                self.faults.hostile_every = rng.duration(50 * MS..=500 * MS);
                self.safety = rng.duration(5 * SECOND..=20 * SECOND);
            }
        }
    }

    /// The most time the calm phase may take until all is delivered and closed.
    pub fn patience(&self) -> Duration {
        let bytes = self.app.messages.iter().sum::<u64>() * (self.app.size + self.app.rare_size / 500 + 200) * 4
            + 20 * self.app.rare_size;
        let line = bytes
            .saturating_mul(1_000_000)
            .checked_div(self.net.bandwidth)
            .unwrap_or(0);
        // One round trip for each socket full of bytes, and one for each window of messages.
        let slowest = (self.net.delay[0] + self.net.delay[1]) * (100 + self.net.paths as u32) / 100;
        let round = slowest + self.net.jitter * 2 + self.net.coalesce * 2 + self.timing.ack_delay;
        let room = self
            .client_limits
            .window_messages
            .min(self.server_limits.window_messages);
        let room = room
            .min(self.client_limits.unacked_messages)
            .min(self.server_limits.unacked_messages);
        let rounds = bytes / self.net.socket as u64 + self.app.messages.iter().max().unwrap() / u64::from(room) + 50;
        let reads = if self.app.read_every.is_zero() {
            Duration::ZERO
        } else {
            // No more than the window holds can be read at once.
            let batch = self.app.read_batch.min(u64::from(room)).max(1);
            self.app.read_every * 2 * (self.app.messages.iter().max().unwrap() / batch + 1) as u32
        };
        let sends = self.app.interval * 2 * (self.app.messages.iter().max().unwrap() / self.app.burst + 1) as u32;
        300 * SECOND
            + self.timing.idle_probe * 2
            + self.timing.dead_after * 4
            + self.backoff.cap * 4
            + Duration::from_micros(line)
            + round * rounds.min(u64::from(u32::MAX)) as u32
            + reads
            + sends
    }
}

fn draw_net(rng: &mut Rng) -> NetOptions {
    let delay = Duration::from_micros(rng.log_range(10..=300_000));
    NetOptions {
        delay: if rng.coin() {
            [delay; 2]
        } else {
            [delay, Duration::from_micros(rng.log_range(10..=300_000))]
        },
        paths: *rng.pick(&[0, 50, 400]),
        jitter: if rng.coin() {
            Duration::ZERO
        } else {
            rng.duration(Duration::ZERO..=delay)
        },
        bandwidth: if rng.coin() {
            0
        } else {
            rng.log_range(50_000..=100_000_000)
        },
        socket: rng.log_range(1_000..=1 << 20) as usize,
        segment: *rng.pick(&[536, 1460, 1460, 9000]),
        chunks: match rng.below(10) {
            0 => Chunks::Single,
            1..=3 => Chunks::Random,
            _ => Chunks::All,
        },
        coalesce: if rng.coin() {
            Duration::ZERO
        } else {
            rng.duration(Duration::ZERO..=50 * MS)
        },
        reset_on_closed: rng.permille(200),
        own_address: None,
    }
}

fn draw_app(rng: &mut Rng) -> AppOptions {
    let size = rng.log_range(0..=20_000);
    AppOptions {
        messages: [rng.log_range(0..=2_000), rng.log_range(1..=2_000)],
        unreliable: *rng.pick(&[0, 100, 500]),
        size,
        rare_size: if rng.permille(100) {
            1 << 20
        } else {
            size.max(rng.log_range(1..=100_000))
        },
        interval: rng.duration(MS..=500 * MS),
        burst: rng.log_range(1..=50),
        read_every: if rng.permille(800) {
            Duration::ZERO
        } else {
            rng.duration(MS..=300 * MS)
        },
        read_batch: rng.log_range(1..=100),
        verdict: if rng.coin() {
            Duration::ZERO
        } else {
            rng.duration(Duration::ZERO..=SECOND)
        },
        authorise: rng.permille(800),
        ask_on_resume: rng.permille(200),
        ..Options::calm().app
    }
}

fn draw_limits(rng: &mut Rng, rare_size: u64) -> Limits {
    let message = rare_size.max(1024) as u32 + rng.log_range(0..=100_000) as u32;
    let bytes = |rng: &mut Rng| message + rng.log_range(0..=1 << 20) as u32;
    Limits {
        message,
        unacked_bytes: bytes(rng),
        unacked_messages: rng.log_range(1..=8192) as u32,
        window_bytes: bytes(rng),
        window_messages: rng.log_range(1..=8192) as u32,
        unreliable_bytes: rng.log_range(0..=64 << 10) as u32,
        detached: HOUR * 24,
        ..Limits::default()
    }
}

fn draw_faults(rng: &mut Rng) -> FaultOptions {
    FaultOptions {
        refused: *rng.pick(&[0, 100, 400]),
        connect_black_hole: *rng.pick(&[0, 0, 100]),
        cut_at_byte: *rng.pick(&[0, 200, 600]),
        cut_below: rng.log_range(10..=100_000),
        cut_after: *rng.pick(&[300, 900]),
        life: Duration::from_micros(rng.log_range(100_000..=20_000_000)),
        unnoticed: *rng.pick(&[0, 100, 400]),
        stall: *rng.pick(&[0, 0, 100, 300]),
        stall_for: rng.duration(10 * MS..=20 * SECOND),
        corrupt: *rng.pick(&[0, 0, 50]),
        forge: *rng.pick(&[0, 0, 50]),
        copy: *rng.pick(&[0, 0, 100]),
        hostile_every: if rng.permille(300) {
            rng.duration(100 * MS..=5 * SECOND)
        } else {
            Duration::ZERO
        },
        network_every: if rng.permille(300) {
            rng.duration(SECOND..=20 * SECOND)
        } else {
            Duration::ZERO
        },
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "profile {}, {} clients, {} shards, faults for {:?}",
            self.profile.name(),
            self.clients,
            self.shards,
            self.safety
        )?;
        writeln!(f, "{:?}", self.net)?;
        writeln!(f, "{:?}", self.faults)?;
        writeln!(f, "{:?}", self.app)?;
        writeln!(f, "{:?}", self.host)?;
        writeln!(f, "client {:?}", self.client_limits)?;
        writeln!(f, "server {:?}", self.server_limits)?;
        writeln!(f, "{:?}", self.timing)?;
        writeln!(f, "{:?}", self.backoff)
    }
}
