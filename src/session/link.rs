//! One authenticated link: its keys, its half-read record, what it has carried, and whether it is alive.

use alloc::vec::Vec;

use super::conversation::Conversation;
use super::liveness::Liveness;
use super::outbox::Cursor;
use crate::crypto::{Opener, Sealer};
use crate::event::{LinkId, NetworkId};
use crate::time::Instant;

/// What a link is there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// It may carry the session.
    Open,
    /// A newer link carries the session. This one is read until it ends, but not beyond this moment.
    Draining(Instant),
    /// It closes as soon as what is staged has left, at the latest at this moment.
    Closing(Instant),
}

impl Life {
    #[inline]
    pub fn is_open(self) -> bool {
        matches!(self, Life::Open)
    }

    pub fn is_closing(self) -> bool {
        matches!(self, Life::Closing(_))
    }
}

/// See the module's head.
pub struct Link {
    pub id: LinkId,
    /// The attempt whose handshake made it; 0 for the first connect. The highest is the newest link.
    pub attempt: u32,
    /// When it was adopted.
    pub born: Instant,
    /// The network the host was asked to bind it to.
    pub network: Option<NetworkId>,
    pub sealer: Sealer,
    pub opener: Opener,
    /// The beginning of a record whose rest has not come.
    pub partial: Vec<u8>,
    /// Bytes that must leave before any record is sealed: an ACCEPT, or a record that did not fit the host's buffer.
    pub staged: Vec<u8>,
    pub staged_from: usize,
    /// Encoded frames for the next record: the rare ones.
    pub control: Vec<u8>,
    /// How far it has carried the outbox.
    pub cursor: Cursor,
    /// The peer has proved its keys (U-33).
    pub confirmed: bool,
    /// It was quiet until its probe: once that is answered and nothing else is outstanding, what a quiet link does not need is given back.
    pub probed: bool,
    /// Its last record of messages was one of unreliable ones.
    pub unreliable_last: bool,
    /// The host's socket is full.
    pub blocked: bool,
    /// Its socket takes bytes again, since a moment that the host has not told yet.
    pub unblocked: bool,
    /// Its ACCEPT waits until the store has the keys it stands for.
    pub uncommitted: bool,
    pub life: Life,
    pub liveness: Liveness,
    pub pong_due: Option<[u8; 8]>,
    /// A CLOSE was seen: nothing behind it counts (U-50).
    pub deaf: bool,
    /// AUTH, DRAIN and KEYS frames seen (U-54).
    pub rare_frames: u8,
    /// DRAIN and KEYS frames sent: the peer takes as many.
    pub rare_told: u8,
}

impl Link {
    pub fn new(id: LinkId, attempt: u32, sealer: Sealer, opener: Opener, liveness: Liveness) -> Self {
        Link {
            id,
            attempt,
            born: liveness.born(),
            network: None,
            sealer,
            opener,
            partial: Vec::new(),
            staged: Vec::new(),
            staged_from: 0,
            control: Vec::new(),
            cursor: Cursor::default(),
            confirmed: false,
            probed: false,
            unreliable_last: false,
            blocked: false,
            unblocked: false,
            uncommitted: false,
            life: Life::Open,
            liveness,
            pong_due: None,
            deaf: false,
            rare_frames: 0,
            rare_told: 0,
        }
    }

    /// Copies staged bytes out.
    pub fn unstage(&mut self, out: &mut [u8]) -> usize {
        let rest = &self.staged[self.staged_from..];
        let size = rest.len().min(out.len());
        out[..size].copy_from_slice(&rest[..size]);
        self.staged_from += size;
        if self.staged_from == self.staged.len() {
            self.staged.clear();
            self.staged_from = 0;
        }
        size
    }

    /// Nothing can leave now.
    pub fn is_held(&self) -> bool {
        self.blocked || self.uncommitted
    }

    pub fn has_staged(&self) -> bool {
        self.staged_from < self.staged.len()
    }

    /// Whether it owes the peer nothing, nor the peer it.
    pub fn is_settled(&self) -> bool {
        !self.has_staged() && self.control.is_empty() && self.pong_due.is_none() && !self.liveness.awaits_answer()
    }

    /// Gives the memory back that a quiet link does not need.
    pub fn shrink(&mut self) {
        self.sealer.rest();
        self.opener.rest();
        for buffer in [&mut self.partial, &mut self.staged, &mut self.control] {
            if buffer.is_empty() {
                *buffer = Vec::new();
            }
        }
        self.liveness.shrink();
    }
}

/// Which of the links.
impl Conversation {
    /// The link that new messages go to: the newest that is not on its way out.
    #[inline]
    pub fn carrier(&self) -> Option<usize> {
        self.newest_where(|link| link.life.is_open())
    }

    /// Whether it is this one.
    #[inline(always)]
    pub fn is_carrier(&self, index: usize) -> bool {
        self.links[index].life.is_open() && (index + 1 == self.links.len() || self.is_newest_open(index))
    }

    #[inline(never)]
    fn is_newest_open(&self, index: usize) -> bool {
        !self.links[index + 1..].iter().any(|link| link.life.is_open())
    }

    /// The newest link whose peer has proved its keys: the only one that may end the session (U-50).
    #[inline]
    pub fn newest_confirmed(&self) -> Option<usize> {
        self.newest_where(|link| link.life.is_open() && link.confirmed)
    }

    /// Mostly the newest of all, and the only one.
    #[inline]
    fn newest_where(&self, holds: impl Fn(&Link) -> bool) -> Option<usize> {
        let (newest, older) = self.links.split_last()?;
        if holds(newest) {
            Some(older.len())
        } else {
            older.iter().rposition(holds)
        }
    }

    pub fn link_index(&self, id: LinkId) -> Option<usize> {
        self.links.iter().position(|link| link.id == id)
    }
}
