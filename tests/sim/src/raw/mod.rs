//! The protocol by hand: a client and a server written from `docs/PROTOCOL.md`, section by section, that share nothing with
//! the core but its cryptography. They do what they are told, also what no honest end would do.

pub mod client;
pub mod frames;
pub mod link;
pub mod server;

pub use client::{Accepted, Pending, RawClient, Resume};
pub use frames::{RawFrame, parse};
pub use link::RawLink;
pub use server::{RawServer, Served};

/// The prelude of section 2.
pub fn prelude(kind: u8, key_id: [u8; 4], length: usize) -> [u8; 12] {
    let mut out = [0; 12];
    out[..6].copy_from_slice(&[0x55, 0x4e, 0x42, 1, kind, 0]);
    out[6..10].copy_from_slice(&key_id);
    out[10..].copy_from_slice(&(length as u16).to_be_bytes());
    out
}

pub const HELLO: u8 = 1;
pub const ACCEPT: u8 = 2;
pub const RESUME: u8 = 3;
pub const REFUSE: u8 = 4;
pub const QUERY: u8 = 5;

/// What Noise adds to a payload: e and a tag.
pub const NOISE: usize = 48;

/// Window in messages, in bytes, and the largest message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window(pub u32, pub u32, pub u32);

impl Window {
    /// As the core has it by default.
    pub const USUAL: Window = Window(4096, 1 << 20, 1 << 20);

    pub(crate) fn bytes(self) -> Vec<u8> {
        [self.0, self.1, self.2].iter().flat_map(|n| n.to_be_bytes()).collect()
    }
}

/// Reads from the front; panics if there is too little: what the core writes must be right.
pub(crate) struct Take<'a>(pub(crate) &'a [u8]);

impl<'a> Take<'a> {
    pub(crate) fn bytes(&mut self, n: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(n);
        self.0 = tail;
        head
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        self.bytes(N).try_into().unwrap()
    }

    pub(crate) fn u8(&mut self) -> u8 {
        self.bytes(1)[0]
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    /// RFC 9000, section 16.
    pub(crate) fn varint(&mut self) -> u64 {
        let len = 1 << (self.0[0] >> 6);
        let bytes = self.bytes(len);
        bytes[1..]
            .iter()
            .fold(u64::from(bytes[0] & 0x3f), |n, b| n << 8 | u64::from(*b))
    }
}
