//! What the lying peer does.

use arbitrary::Arbitrary;

use crate::host::Bounds;

#[derive(Debug, Default, Arbitrary)]
pub struct Program {
    pub against_client: bool,
    /// The bounds of the end under test.
    pub bounds: Bounds,
    /// What the peer says that it will receive.
    pub window: (u8, u16, u16),
    pub steps: Vec<Step>,
}

#[derive(Debug, Arbitrary)]
pub enum Step {
    /// Frames in one record.
    Record(Vec<Says>),
    /// Any plaintext.
    Plaintext(Vec<u8>),
    /// So many records of one frame each.
    Flood {
        says: Says,
        count: u8,
    },
    /// Any bytes on the link.
    Bytes(Vec<u8>),
    /// The application of the end under test.
    Send {
        count: u8,
        size: u16,
    },
    SendUnreliable {
        size: u16,
    },
    Recv {
        count: u8,
    },
    Close,
    /// The host takes what there is to write.
    Poll,
    Blocked(bool),
    Advance {
        ms: u16,
    },
    /// The link ends.
    Cut,
    /// A new link, with these lies in its flight.
    Resume(Lies),
    Verdict {
        accept: bool,
    },
}

/// Where the peer says that it stands: differences from the truth.
#[derive(Clone, Copy, Debug, Default, Arbitrary)]
pub struct Lies {
    pub recv_next: i8,
    pub recv_offset: u16,
    pub delivered: i8,
    pub send_base: i8,
    pub send_end: i8,
    pub last_live: i8,
    pub status: u8,
    /// Early data, or what comes behind the ACCEPT: a record.
    pub early: Option<Early>,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
pub struct Early {
    pub seq: i8,
    pub count: u8,
    pub size: u8,
}

#[derive(Clone, Debug, Arbitrary)]
pub enum Says {
    /// Messages from the next number on, shifted.
    Data {
        shift: i8,
        count: u8,
        size: u16,
    },
    Ack {
        shift: i8,
        messages: u16,
        bytes: u16,
    },
    /// An ACK of anything.
    WildAck {
        recv_next: u64,
        messages: u64,
        bytes: u64,
    },
    Unreliable(u16),
    Ping([u8; 8]),
    Pong([u8; 8]),
    Auth(u16),
    AuthResult {
        accepted: bool,
        code: u32,
        size: u16,
    },
    Close {
        kind: u8,
        code: u32,
        send_end: i8,
        recv_next: i8,
    },
    CloseAck(u8),
    Drain {
        window_ms: u32,
        address: u8,
    },
    Keys {
        count: u8,
        lifetime_s: u32,
    },
    Fragment {
        shift: i8,
        total: u32,
        offset: i16,
        size: u16,
    },
    Future {
        code: u8,
        size: u8,
    },
    Pad(u8),
    Raw(Vec<u8>),
}
