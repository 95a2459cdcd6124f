//! The mechanisms of a session, each against a model that is too simple to be wrong.

mod actor;
mod advice;
mod answer;
mod backoff;
mod batch;
mod closing;
mod conversation;
mod copy;
mod dial;
mod hedge;
mod hints;
mod inbox;
mod liveness;
mod marks;
mod measure;
mod memory;
mod outbox;
mod patience;
mod queue;
mod receive;
mod redial;
mod room;
mod spare;
mod timers;
mod transmit;
mod verdict;
mod window;

use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

use super::auth::Auth;
use super::conversation::{Conversation, Role, Settings};
use super::link::Link;
use super::liveness::Liveness;
use super::rtt::Rtt;
use crate::config::Limits;
use crate::crypto::{ClusterKey, Opener, Sealer};
use crate::event::{LinkId, SessionId, State};
use crate::time::Instant;
use crate::wire::frame;
use crate::wire::record::{self, LENGTH_LEN, TAG};

/// When the conversations of these tests begin.
const START: Instant = Instant::from_millis(10_000);

/// A conversation that stands, without a link.
fn conversation(role: Role, limits: Limits) -> Conversation {
    let settings = Arc::new(Settings {
        limits,
        ..Settings::default()
    });
    let message = Bytes::new();
    let mut talk = Conversation::new(role, settings, Auth::Accepted { message }, START);
    talk.id = Some(SessionId([1; 16]));
    talk.state = State::Established;
    talk
}

/// A link whose peer has proved its keys; the numbers of links grow, as their attempts do.
fn link(role: Role, number: u32) -> Link {
    let keys = ClusterKey::from_bytes([7; 32]).expect("not zero");
    let sealer = Sealer::new(&keys.derive(b"out"));
    let opener = Opener::new(&keys.derive(b"in"));
    let liveness = Liveness::new(role, Rtt::default(), START);
    let mut link = Link::new(LinkId(number.into()), number, sealer, opener, liveness);
    link.confirmed = true;
    link
}

/// What the peer of a [`link`] seals with.
fn peer() -> Sealer {
    let keys = ClusterKey::from_bytes([7; 32]).expect("not zero");
    Sealer::new(&keys.derive(b"in"))
}

/// A record of these frames.
fn record(sealer: &mut Sealer, frames: &[u8]) -> Vec<u8> {
    let mut record = record::length_field(frames.len()).to_vec();
    record.resize(LENGTH_LEN + frames.len() + TAG, 0);
    sealer.seal(frames, &mut record[LENGTH_LEN..]).expect("few records");
    record
}

fn ping() -> [u8; frame::PING_LEN] {
    let mut ping = [0; frame::PING_LEN];
    frame::ping(&mut ping, [1; 8]);
    ping
}

/// A conversation that stands, with one link.
fn linked(role: Role, limits: Limits) -> Conversation {
    let mut talk = conversation(role, limits);
    talk.links.push(link(role, 1));
    talk
}

/// Numbers from a seed (splitmix64): a failed run names its seed and is the same again.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.roll() % (high - low + 1)
    }

    /// Once in `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.roll().is_multiple_of(n)
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.roll() as u8).collect()
    }

    /// Mostly small, as messages are; some that fill a record; few that need several.
    pub fn length(&mut self) -> usize {
        let (low, high) = match self.between(0, 99) {
            0..=4 => (0, 0),
            5..=69 => (1, 70),
            70..=89 => (71, 2000),
            90..=96 => (15_000, 17_000),
            _ => (17_001, 60_000),
        };
        self.between(low, high) as usize
    }
}
