//! What the endpoint remembers of ended sessions, so that a late client gets an honest answer (U-51).

use alloc::collections::VecDeque;
use hashbrown::HashMap;

use super::Locator;
use crate::error::CloseReason;
use crate::time::Instant;
use crate::wire::flight::LostStatus;
use crate::wire::frame::CloseKind;

/// See the module's head.
pub struct Tombstones {
    by_locator: HashMap<Locator, LostStatus>,
    /// The same, in order of burial; all live equally long.
    order: VecDeque<(Instant, Locator)>,
    max: usize,
}

impl Tombstones {
    pub fn new(max: u32) -> Self {
        Tombstones {
            by_locator: HashMap::new(),
            order: VecDeque::new(),
            max: max as usize,
        }
    }

    /// Remembers an end, and the first number not given out, until `until`; forgets the oldest if there are too many.
    pub fn bury(&mut self, locator: Locator, reason: CloseReason, send_end: u64, until: Instant) {
        if self.max == 0 {
            return;
        }
        self.forget(&locator);
        if self.order.len() >= self.max
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.by_locator.remove(&oldest);
        }
        self.by_locator.insert(locator, status(reason, send_end));
        self.order.push_back((until, locator));
    }

    pub fn find(&self, locator: &Locator) -> Option<LostStatus> {
        self.by_locator.get(locator).copied()
    }

    /// The session came back to this endpoint: it has not ended after all.
    pub fn forget(&mut self, locator: &Locator) {
        // Its place goes too, else that would take a later end with it. Few sessions end and come back, so all may be looked through for one.
        if self.by_locator.remove(locator).is_some() {
            self.order.retain(|(_, other)| other != locator);
        }
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Forgets what is due. Not a deadline of its own: a tombstone that stands too long harms nobody.
    pub fn sweep(&mut self, now: Instant) {
        while let Some((until, locator)) = self.order.front() {
            if *until > now {
                break;
            }
            self.by_locator.remove(locator);
            self.order.pop_front();
        }
    }
}

/// How an end at the server looks from the client.
pub fn status(reason: CloseReason, send_end: u64) -> LostStatus {
    let closed = |kind, code| LostStatus::Closed { kind, code, send_end };
    match reason {
        CloseReason::Local { code } | CloseReason::Peer { code, .. } => closed(CloseKind::Application, code),
        CloseReason::Expired => closed(CloseKind::Expired, 0),
        CloseReason::Kicked { code } => closed(CloseKind::Kicked, code),
        CloseReason::Superseded => closed(CloseKind::Superseded, 0),
        CloseReason::Refused { code } => closed(CloseKind::NotAuthorised, code),
        CloseReason::UnknownSession => LostStatus::Unknown,
        CloseReason::RolledBack => LostStatus::RolledBack,
        CloseReason::OwnerCrashed => LostStatus::OwnerCrashed,
        CloseReason::Overflow => closed(CloseKind::Overflow, 0),
        CloseReason::VersionMismatch | CloseReason::Internal => closed(CloseKind::Internal, 0),
    }
}
