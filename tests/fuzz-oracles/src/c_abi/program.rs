//! What an input says: how the ends are configured, and what is called step by step.

use arbitrary::Arbitrary;
use unbroken_c_calls::Shape;

use crate::host::Bounds;

#[derive(Debug, Default, Arbitrary)]
pub struct Program {
    pub client: Bounds,
    pub server: Bounds,
    pub flags: Flags,
    /// How long messages are.
    pub lengths: [u16; 4],
    pub steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, Default, Arbitrary)]
pub struct Flags {
    /// One client and one server, joined by a loopback; else two of each with wires between them.
    pub loopback: bool,
    pub durability: u8,
    pub authorise_all: bool,
    pub ask_on_resume: bool,
    /// Start before anything is connected.
    pub cold: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Arbitrary)]
pub enum Side {
    Client,
    Server,
}

/// Which of the clients, servers or wires, counted round.
pub type Which = u8;

#[derive(Clone, Debug, Arbitrary)]
pub enum Step {
    Send {
        side: Side,
        who: Which,
        count: u8,
    },
    SendUnreliable {
        side: Side,
        who: Which,
        size: u16,
    },
    Recv {
        side: Side,
        who: Which,
        count: u8,
    },
    /// Everything moves until nothing does.
    Exchange,
    /// An end is asked what to do, with a buffer of this size; what it writes waits on the wire.
    Poll {
        side: Side,
        who: Which,
        count: u8,
        room: u16,
    },
    Deliver {
        wire: Which,
        to: Side,
        bytes: u16,
    },
    Cut {
        wire: Which,
        tell_client: bool,
        tell_server: bool,
    },
    /// New connections fail from now on, or go to this server.
    Network {
        refuse: bool,
        server: Which,
    },
    Advance {
        ms: u16,
        shift: u8,
    },
    Block {
        wire: Which,
        side: Side,
        blocked: bool,
    },
    Hint {
        who: Which,
        event: i8,
        network: u8,
    },
    Leave {
        who: Which,
        how: Leave,
        code: u8,
    },
    /// What a server can do with one of its sessions.
    Served {
        server: Which,
        who: Which,
        verb: u8,
        number: u8,
    },
    /// What a server can do with all of them.
    Server {
        server: Which,
        verb: u8,
        number: u16,
    },
    /// A server process ends without a word, and comes again or not.
    Crash {
        server: Which,
        again: bool,
    },
    /// How the store answers from now on.
    Store {
        mode: u8,
    },
    /// An answer from the store that it never gave.
    Reply {
        server: Which,
        request: u8,
        reply: OddReply,
    },
    /// A message from a server for a session, by the store.
    Mail {
        who: Which,
        size: u8,
    },
    /// A function called wrongly.
    Wrong {
        verb: u8,
        target: u8,
        flaws: u8,
        size: u16,
    },
    /// Something made from an odd configuration.
    Config {
        what: OddConfig,
    },
    /// A function that takes no handle.
    Library {
        verb: u8,
        flaw: u8,
        size: u16,
        bytes: [u8; 32],
    },
    /// How an end stands, asked for in all ways.
    Ask {
        side: Side,
        who: Which,
        size: u16,
    },
}

#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Leave {
    Disconnect,
    Retry,
    /// Freed without a word; another session takes its place.
    Free,
    /// The loopback is freed and made again.
    Rejoin,
}

#[derive(Clone, Debug, Arbitrary)]
pub struct OddReply {
    pub kind: i8,
    pub record: i8,
    pub more: i8,
    pub tail: u8,
    pub token: u8,
    pub expired: bool,
    pub owner_alive: bool,
    pub has_key: bool,
    pub data: Vec<u8>,
    pub items: u8,
    pub flaw: u8,
}

#[derive(Clone, Debug, Arbitrary)]
pub struct OddConfig {
    pub server: bool,
    pub own: (i8, u8),
    pub inner: (i8, u8),
    pub groups: u8,
    pub set: Vec<(u8, u8, u32)>,
    pub keys: u8,
    pub flaw: u8,
    pub realm: u16,
    pub number: u16,
    pub shard: (u8, u8),
    pub durability: i8,
}

pub fn shape((more, tail): (i8, u8)) -> Shape {
    Shape { more, tail }
}
