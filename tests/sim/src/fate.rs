//! What will become of a connection. Drawn when it is made, or written down by a test.

use core::time::Duration;

use crate::options::FaultOptions;
use crate::rng::Rng;

/// The two ends of a connection. A direction is named by the side that receives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    Client = 0,
    Server = 1,
}

impl Side {
    pub const BOTH: [Side; 2] = [Side::Client, Side::Server];

    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Connect {
    #[default]
    Works,
    Refused,
    /// Neither made nor refused.
    BlackHole,
}

/// When a connection is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// As soon as `side` has received so many bytes: exactly these, no more.
    Received(Side, u64),
    /// So long after the client's end is up.
    After(Duration),
}

/// How a connection is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    pub when: When,
    /// When each side learns of it: after so long, or never.
    pub notice: [Option<Duration>; 2],
    /// What was received and not yet read is lost, as after a reset.
    pub reset: bool,
}

impl Cut {
    /// Both sides see it at once, after they have read what arrived.
    pub fn at_byte(side: Side, bytes: u64) -> Self {
        Cut {
            when: When::Received(side, bytes),
            notice: [Some(Duration::ZERO); 2],
            reset: false,
        }
    }
}

/// Nothing arrives for a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stall {
    pub from: Duration,
    /// `None`: for ever.
    pub lasts: Option<Duration>,
    /// Which receivers.
    pub sides: [bool; 2],
}

/// Somebody else in the server's place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Forge {
    /// Answers the first flight with these bytes, then closes or stays.
    Says(Vec<u8>, bool),
    /// Accepts, and says nothing.
    Silence,
    /// A REFUSE with this code, the client's key id, a waiting time in milliseconds and a version range.
    Refuse(u8, u32, [u8; 2]),
}

/// Another connection with the same bytes from the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Copied {
    /// How far behind the original it runs.
    pub behind: Duration,
    /// Only so many bytes of it.
    pub bytes: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fate {
    pub connect: Connect,
    pub cut: Option<Cut>,
    pub stall: Option<Stall>,
    /// The byte with this number, on its way to `Side`, changes.
    pub corrupt: Option<(Side, u64)>,
    pub forge: Option<Forge>,
    pub copy: Option<Copied>,
}

impl Fate {
    pub fn cut(cut: Cut) -> Self {
        Fate {
            cut: Some(cut),
            ..Fate::default()
        }
    }

    pub fn connect(connect: Connect) -> Self {
        Fate {
            connect,
            ..Fate::default()
        }
    }

    pub fn forged(forge: Forge) -> Self {
        Fate {
            forge: Some(forge),
            ..Fate::default()
        }
    }

    pub fn stalled(from: Duration, lasts: Option<Duration>) -> Self {
        Fate {
            stall: Some(Stall {
                from,
                lasts,
                sides: [true; 2],
            }),
            ..Fate::default()
        }
    }

    pub fn draw(o: &FaultOptions, rng: &mut Rng) -> Self {
        let mut fate = Fate::default();
        if rng.permille(o.refused) {
            fate.connect = Connect::Refused;
            return fate;
        }
        if rng.permille(o.connect_black_hole) {
            fate.connect = Connect::BlackHole;
            return fate;
        }
        let side = *rng.pick(&Side::BOTH);
        let at_byte = rng.permille(o.cut_at_byte);
        let after = rng.permille(o.cut_after);
        if at_byte || after {
            let when = if at_byte {
                When::Received(side, rng.log_range(0..=o.cut_below))
            } else {
                When::After(rng.duration(Duration::ZERO..=o.life))
            };
            let notice = core::array::from_fn(|_| match () {
                () if rng.permille(o.unnoticed) => None,
                () if rng.coin() => Some(Duration::ZERO),
                () => Some(Duration::from_micros(rng.log_range(1..=3_000_000))),
            });
            fate.cut = Some(Cut {
                when,
                notice,
                reset: rng.coin(),
            });
        }
        if rng.permille(o.stall) {
            fate.stall = Some(Stall {
                from: rng.duration(Duration::ZERO..=o.life.max(Duration::from_secs(1))),
                lasts: (!rng.permille(250)).then(|| rng.duration(Duration::ZERO..=o.stall_for)),
                sides: *rng.pick(&[[true; 2], [true; 2], [true, false], [false, true]]),
            });
        }
        if rng.permille(o.corrupt) {
            fate.corrupt = Some((side, rng.log_range(0..=3000)));
        }
        if rng.permille(o.forge) {
            fate.forge = Some(match rng.below(4) {
                0 => Forge::Silence,
                1 => Forge::Says(
                    b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\n\r\n".to_vec(),
                    rng.coin(),
                ),
                2 => {
                    let len = rng.log_range(1..=3000) as usize;
                    Forge::Says(rng.bytes(len), rng.coin())
                }
                _ => Forge::Refuse(
                    rng.range(0..=8) as u8,
                    rng.log_range(0..=600_000) as u32,
                    *rng.pick(&[[1, 1], [2, 9], [0, 0], [9, 2], [1, 255]]),
                ),
            });
        }
        if rng.permille(o.copy) {
            let behind = rng.duration(Duration::ZERO..=Duration::from_secs(2));
            fate.copy = Some(Copied {
                behind,
                bytes: rng.log_range(1..=100_000),
            });
        }
        fate
    }
}
