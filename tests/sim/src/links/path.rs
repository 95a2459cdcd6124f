//! One network between the phone and the servers.

use core::time::Duration;

use unbroken::Instant;

use crate::fate::Side;
use crate::rng::Rng;

/// How segments fare.
#[derive(Clone, Copy, Debug)]
pub enum Weather {
    /// Up to so much is added to the way.
    Fair { jitter: Duration },
    /// A radio that is slow at times: for `burst` of every `calm + burst` (on average) a segment takes up to `jitter` longer, drawn evenly.
    Bursts {
        calm: Duration,
        burst: Duration,
        jitter: Duration,
    },
    /// A Wi-Fi out of whose reach somebody walks. The chance that a frame is lost grows from 0 to 1; the radio repeats it up to seven
    /// times, with doubling pauses, as 802.11 does. So delays grow first, then segments are lost, then all of them.
    Fading { from: Instant, lasts: Duration },
    /// The same without a radio that repeats: the share of lost segments grows from 0 to 1.
    Lossy { from: Instant, lasts: Duration },
}

#[derive(Clone, Debug)]
pub struct Path {
    /// One way.
    pub delay: Duration,
    pub weather: Weather,
    /// Nothing passes: to the client, to the server.
    pub dead: [bool; 2],
    /// Bytes a second, per direction; 0 is without bound.
    pub bandwidth: u64,
    line_free: [Instant; 2],
    /// Until when a burst, or the calm before it, lasts.
    turn: (Instant, bool),
}

const RADIO_REPEATS: u32 = 7;
const RADIO_PAUSE: Duration = Duration::from_millis(1);

impl Path {
    pub fn new(delay: Duration, weather: Weather) -> Self {
        Path {
            delay,
            weather,
            dead: [false; 2],
            bandwidth: 0,
            line_free: [Instant::ZERO; 2],
            turn: (Instant::ZERO, true),
        }
    }

    /// 25 ms each way, 2 ms of jitter.
    pub fn fair() -> Self {
        Path::new(
            Duration::from_millis(25),
            Weather::Fair {
                jitter: Duration::from_millis(2),
            },
        )
    }

    /// When a segment of `size` bytes that leaves now reaches `to`; `None` if it never does.
    pub fn cross(&mut self, to: Side, size: usize, now: Instant, rng: &mut Rng) -> Option<Instant> {
        let mut departs = now;
        if let Some(micros) = (size as u64 * 1_000_000).checked_div(self.bandwidth) {
            let free = &mut self.line_free[to as usize];
            departs = (*free).max(now) + Duration::from_micros(micros);
            // What takes no room may be asked about ahead of time.
            if size > 0 {
                *free = departs;
            }
        }
        let extra = self.extra(now, rng)?;
        (!self.dead[to as usize]).then(|| departs + self.delay + extra)
    }

    fn extra(&mut self, now: Instant, rng: &mut Rng) -> Option<Duration> {
        let zero = Duration::ZERO;
        match self.weather {
            Weather::Fair { jitter } => Some(rng.duration(zero..=jitter)),
            Weather::Bursts { calm, burst, jitter } => {
                while self.turn.0 <= now {
                    let bursting = !self.turn.1;
                    let lasts = rng.duration(zero..=if bursting { burst * 2 } else { calm * 2 });
                    self.turn = (self.turn.0.max(now) + lasts + Duration::from_micros(1), bursting);
                }
                Some(rng.duration(zero..=if self.turn.1 { jitter } else { Duration::from_millis(2) }))
            }
            Weather::Fading { from, lasts } => {
                let loss = progress(now, from, lasts);
                let mut delay = rng.duration(zero..=Duration::from_millis(2));
                for repeat in 0..=RADIO_REPEATS {
                    if !chance(loss, rng) {
                        return Some(delay);
                    }
                    delay += rng.duration(RADIO_PAUSE..=RADIO_PAUSE * (1 << repeat.min(4)));
                }
                None
            }
            Weather::Lossy { from, lasts } => {
                let lost = chance(progress(now, from, lasts), rng);
                (!lost).then(|| rng.duration(zero..=Duration::from_millis(2)))
            }
        }
    }
}

/// In millionths.
fn progress(now: Instant, from: Instant, lasts: Duration) -> u64 {
    (now.since(from).as_micros() * 1_000_000 / lasts.as_micros().max(1)).min(1_000_000) as u64
}

fn chance(millionths: u64, rng: &mut Rng) -> bool {
    rng.below(1_000_000) < millionths
}
