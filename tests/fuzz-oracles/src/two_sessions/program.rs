//! What an input says: the two ends' bounds, and what happens to them step by step.

use arbitrary::Arbitrary;

use crate::host::Bounds;

#[derive(Debug, Default, Arbitrary)]
pub struct Program {
    pub client: Bounds,
    pub server: Bounds,
    pub flags: Flags,
    pub steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, Default, Arbitrary)]
pub struct Flags {
    /// Let everybody in without asking.
    pub authorise_all: bool,
    /// Ask on each resume.
    pub ask_on_resume: bool,
    /// Start before anything is connected.
    pub cold: bool,
    /// Who says goodbye in the end.
    pub server_closes: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Arbitrary)]
pub enum Side {
    Client,
    Server,
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

/// Which of the links there are, counted from the newest.
pub type Which = u8;

#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Step {
    /// The application sends so many messages of this size.
    Send {
        side: Side,
        count: u8,
        size: u16,
    },
    SendUnreliable {
        side: Side,
        size: u16,
    },
    Recv {
        side: Side,
        count: u8,
    },
    /// Everything moves until nothing does.
    Exchange {
        read: bool,
    },
    /// The host takes some outputs; nothing arrives yet.
    Poll {
        side: Side,
        count: u8,
        buffer: u8,
    },
    /// So many bytes arrive.
    Deliver {
        to: Side,
        which: Which,
        bytes: u16,
    },
    /// A connection that was asked for stands, or cannot be made.
    Connect {
        which: Which,
        works: bool,
    },
    /// A connection breaks; what is on the way is lost. An end that is not told sees silence.
    Cut {
        which: Which,
        tell_client: bool,
        tell_server: bool,
    },
    /// From now on nothing passes, and nobody is told.
    Stall {
        which: Which,
    },
    Corrupt {
        to: Side,
        which: Which,
        at: u16,
        flip: u8,
    },
    /// What the client once sent is sent again on another connection.
    Replay {
        which: Which,
        bytes: u16,
    },
    /// Somebody on the path answers the client's flight in the clear.
    Refuse {
        which: Which,
        code: u8,
        retry_ms: u16,
        min: u8,
        max: u8,
    },
    /// Time passes; the ends are told or not.
    Advance {
        ms: u16,
        shift: u8,
        tell: bool,
    },
    Block {
        side: Side,
        which: Which,
    },
    Writable {
        side: Side,
        which: Which,
    },
    Network {
        event: u8,
        network: u8,
    },
    Retry,
    Verdict {
        accept: bool,
    },
    AnswerResume {
        accept: bool,
    },
    Disconnect {
        side: Side,
        code: u8,
    },
    Kick {
        code: u8,
    },
}
