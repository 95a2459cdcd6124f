//! Which of several endpoints a connection belongs to, told from its first bytes, without any I/O.
//!
//! A session lives where its locator says: `locator mod count`. The endpoint that makes a session draws a locator of its own,
//! so every RESUME and QUERY finds its worker by one AES block, and a HELLO may go anywhere.

use super::Locator;
use crate::crypto::{ClusterKey, HandleCipher};
use crate::wire::flight::ResumeHeader;
use crate::wire::prelude::{self, FlightKind};

/// See the module's head.
pub struct Router {
    handles: HandleCipher,
    count: u16,
}

/// Where a connection belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// Read more: at most [`Router::NEEDED`] bytes in all.
    NeedMore,
    /// Any endpoint will do: a new session, or nonsense for one of them to judge.
    Any,
    /// This one.
    Shard(u16),
}

impl Router {
    /// As many bytes are enough to decide.
    pub const NEEDED: usize = prelude::LEN + 16;

    /// For `count` endpoints whose configurations share this cluster key.
    pub fn new(cluster: &ClusterKey, count: u16) -> Self {
        Router {
            handles: HandleCipher::new(cluster),
            count: count.max(1),
        }
    }

    /// The same, and handles made under other cluster keys are understood too
    /// ([`ServerConfigBuilder::also_cluster`](crate::config::ServerConfigBuilder::also_cluster)).
    pub fn also_opening(mut self, others: &[ClusterKey]) -> Self {
        self.handles = self.handles.also_opening(others);
        self
    }

    /// Judges the first bytes of a connection.
    pub fn route(&self, first: &[u8]) -> Route {
        if !prelude::magic_matches(first) {
            return Route::Any;
        }
        const KIND: usize = 4;
        match first.get(KIND).map(|&kind| FlightKind::from_byte(kind)) {
            None => Route::NeedMore,
            Some(Some(FlightKind::Resume | FlightKind::Query)) => match first.get(prelude::LEN..Self::NEEDED) {
                None => Route::NeedMore,
                Some(header) => match self.handles.open(&handle(header)) {
                    Some((locator, _)) => Route::Shard(shard_of(&locator, self.count)),
                    None => Route::Any,
                },
            },
            Some(_) => Route::Any,
        }
    }
}

/// The part of the sessions that a locator belongs to.
pub fn shard_of(locator: &Locator, count: u16) -> u16 {
    (u64::from_be_bytes(*locator) % u64::from(count)) as u16
}

fn handle(header: &[u8]) -> [u8; 16] {
    const { assert!(ResumeHeader::LEN >= 16) };
    let mut handle = [0; 16];
    handle.copy_from_slice(&header[..16]);
    handle
}
