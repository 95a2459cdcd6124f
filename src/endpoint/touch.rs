//! What an endpoint notes of a session after anything that may have changed it: its events, its output, its timer, its end.
//!
//! Every record that comes and every record that leaves passes here, so the session is looked up once and the rest happens beside it.
//! Only what a store wants to know, and a session's end, look it up again: both are rare.

use alloc::boxed::Box;

use super::served::Served;
use super::{Endpoint, Locator, Ready, tombstones};
use crate::error::CloseReason;
use crate::event::Event;
use crate::session::Verdict;

impl Endpoint {
    /// After anything that may have changed a session: collects its events, queues it if it has output, arms its timer, and
    /// lets it go when it is over.
    pub(crate) fn touch(&mut self, locator: Locator) {
        if self.cluster.is_some() {
            self.touch_stored(locator);
        }
        let Some(mut served) = self.sessions.get_mut(&locator) else {
            return;
        };
        served.tell_mail();
        while let Some(event) = served.talk.events.pop_front() {
            let id = served.id;
            match event {
                // Before the client proved its keys there is nothing to tell: the flight may be an echo of nobody.
                _ if !served.confirmed => {}
                // Nearly all are. Made anew where it is to stand, as in `tell_readable`.
                Event::Readable => self.events.resize_with(self.events.len() + 1, || (id, Event::Readable)),
                event => self.events.push_back((id, event)),
            }
        }
        served.note_links();
        served.count(&mut self.counters);
        if !served.ready && served.talk.has_output() {
            served.ready = true;
            self.ready.push_back(Ready::Session(locator));
        }
        if served.ended.is_none()
            && let Some(reason) = served.talk.closing.reason()
        {
            served.ended = Some(self.now);
            self.ended(locator, reason);
            match self.sessions.get_mut(&locator) {
                Some(again) => served = again,
                None => return,
            }
        }
        // Other code changes what this depends on, so what was counted is remembered.
        let detached = served.confirmed && served.ended.is_none() && served.detached.is_some();
        if detached != served.counted_detached {
            served.counted_detached = detached;
            if detached {
                self.detached += 1;
                self.counters.detached += 1;
            } else {
                self.detached -= 1;
            }
        }
        if let Some(ended) = served.ended {
            let read = served.talk.inbox.is_empty() || self.now >= ended + self.config.limits.detached;
            if served.talk.links.is_empty() && served.talk.to_close.is_empty() {
                if read || !served.confirmed {
                    return self.forget(locator);
                }
                self.unread += usize::from(!core::mem::replace(&mut served.counted_unread, true));
            }
        }
        let mut deadline = served.deadline(&self.config);
        if let Some(held) = &served.held {
            deadline = deadline.min(held.until);
        }
        self.deadlines.arm(locator, deadline, &mut served.armed);
    }

    /// What a store is to know of the session.
    fn touch_stored(&mut self, locator: Locator) {
        let Some(served) = self.sessions.get_mut(&locator) else {
            return;
        };
        if core::mem::take(&mut served.talk.waved_through) {
            let message = bytes::Bytes::new();
            self.create(locator, Verdict::Accept { message }, None);
        }
        self.note_wanted(locator);
    }

    /// Counts and remembers an end.
    #[cold]
    fn ended(&mut self, locator: Locator, reason: CloseReason) {
        let Some(served) = self.sessions.get_mut(&locator) else {
            return;
        };
        if let Some(held) = served.held.take() {
            self.reject(held.link);
        }
        let Some(served) = self.sessions.get_mut(&locator) else {
            return;
        };
        if !served.confirmed {
            return;
        }
        let send_end = served.talk.outbox.next();
        self.bury(locator, tombstones::status(reason, send_end));
        self.counters.sessions_closed += 1;
        self.counters.sessions_expired += u64::from(reason == CloseReason::Expired);
        self.tombstones
            .bury(locator, reason, send_end, self.now + self.config.limits.tombstone);
    }

    /// Removes a session that is over.
    #[cold]
    fn forget(&mut self, locator: Locator) {
        self.take_out(locator);
    }

    /// Takes a session out of all accounts.
    pub(super) fn take_out(&mut self, locator: Locator) -> Option<Box<Served>> {
        let served = self.sessions.remove(&locator)?;
        self.detached -= usize::from(served.counted_detached);
        self.unread -= usize::from(served.counted_unread);
        self.unconfirmed -= usize::from(!served.confirmed);
        Some(served)
    }
}
