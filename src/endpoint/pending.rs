//! Connections that are not links yet: those that wait, their time-outs, and the last words to those that are turned away.

use super::handshake::AHEAD_MAX;
use super::{Endpoint, Ready};
use crate::event::{LinkId, Output};
use crate::wire::prelude::Prelude;

impl Endpoint {
    /// Ends a connection that never became a link.
    pub(super) fn reject(&mut self, link: LinkId) {
        if self.pending.remove(link).is_some() {
            self.counters.links_rejected += 1;
            self.outputs.push_back(Output::CloseLink { link });
        }
    }

    /// A whole flight waits for the store or for the application, with its time anew, and what came behind it for its answer. On `false` that was too much, and the link has ended.
    pub(super) fn hold(&mut self, link: LinkId, prelude: Prelude, ahead: &[u8]) -> bool {
        if ahead.len() > AHEAD_MAX {
            self.reject(link);
            return false;
        }
        if let Some(pending) = self.pending.by_link.get_mut(&link) {
            pending.hold(prelude, ahead);
        }
        self.pending.renew(link, self.now);
        true
    }

    pub(super) fn overdue_pending(&mut self) -> Option<LinkId> {
        let limit = self.config.limits.handshake;
        let first = self.pending.first()?;
        if self.now < first + limit {
            None
        } else {
            self.pending.oldest(first)
        }
    }

    pub(super) fn queue_farewell(&mut self, link: LinkId) {
        if let Some(pending) = self.pending.by_link.get_mut(&link)
            && !pending.ready
            && pending.has_output()
        {
            pending.ready = true;
            self.ready.push_back(Ready::Link(link));
        }
    }

    pub(super) fn farewell(&mut self, link: LinkId, buf: &mut [u8]) -> Option<Output> {
        let pending = self.pending.by_link.get_mut(&link)?;
        pending.ready = false;
        if !pending.has_output() {
            return None;
        }
        if pending.taken == pending.farewell.len() {
            self.pending.remove(link);
            self.counters.links_rejected += 1;
            return Some(Output::CloseLink { link });
        }
        let rest = &pending.farewell[pending.taken..];
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        pending.taken += len;
        self.queue_farewell(link);
        Some(Output::Send { link, len })
    }
}
