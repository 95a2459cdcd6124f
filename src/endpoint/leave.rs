//! How a session leaves its process: swapped out to the store, or taken by another server.
//!
//! From the moment it is to leave, its application may not touch it; links are read on, as nothing of what comes is ACKed. The host gives the
//! application's bytes, the record becomes `Parked`, and then, not before, the copy here is wiped and the links are closed. If the store was not reached the session
//! stays; if nothing is known of the write it waits, out of reach, until the store says what stands there. If it ends meanwhile, that is `burial`'s.

use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

use super::burial::End;
use super::cluster::Purpose;
use super::keep::Stage;
use super::served::Served;
use super::{Endpoint, Locator, tombstones};
use crate::event::{Event, Output};
use crate::store::{Owner, Record, StoreReply};

impl Endpoint {
    /// Swaps all sessions out, to leave: from now on nobody is let in here, and [`Endpoint::poll_snapshot`] names session after session. It is done
    /// when [`Endpoint::sessions`] is 0 and [`Endpoint::owes_store`] is false. Sessions that the store does not take go on, with [`Event::SwapOutFailed`]; call this again to try them
    /// again, or [`Endpoint::stay`]. Does nothing with [`Durability::Memory`](crate::Durability::Memory).
    pub fn retire(&mut self) {
        let Some(cluster) = &mut self.cluster else { return };
        (cluster.turning_away, cluster.leaving) = (true, true);
        let mut locators: Vec<Locator> = self.sessions.keys().copied().collect();
        // In an order that does not depend on where the map happens to lie: one seed must reproduce everything.
        locators.sort_unstable();
        for locator in locators {
            if self
                .sessions
                .get(&locator)
                .is_some_and(|served| served.may_start_over())
            {
                self.gone(locator);
            } else {
                self.leave(locator, None);
            }
        }
    }

    /// As a first step of leaving: from now on nobody is let in here; the sessions that are here go on, and may be taken over by others. Does nothing with
    /// [`Durability::Memory`](crate::Durability::Memory).
    pub fn turn_away(&mut self) {
        if let Some(cluster) = &mut self.cluster {
            cluster.turning_away = true;
        }
    }

    /// Takes [`Endpoint::retire`] and [`Endpoint::turn_away`] back: clients are let in again. What has left has left.
    pub fn stay(&mut self) {
        if let Some(cluster) = &mut self.cluster {
            (cluster.turning_away, cluster.leaving) = (false, false);
        }
        let mut locators: Vec<Locator> = self.sessions.keys().copied().collect();
        locators.sort_unstable();
        for locator in locators {
            let kept = self.sessions.get_mut(&locator).and_then(|served| served.kept.as_mut());
            let Some(kept) = kept else { continue };
            kept.leaves_then = false;
            if kept.stage == Stage::Leaving {
                self.stay_here(locator);
            }
        }
    }

    /// One that comes to stand here while all others leave, or that was to leave before it stood.
    pub(super) fn leave_too(&mut self, locator: Locator) {
        let all = self.cluster.as_ref().is_some_and(|cluster| cluster.leaving);
        let kept = self.sessions.get_mut(&locator).and_then(|served| served.kept.as_mut());
        if kept.is_some_and(|kept| core::mem::take(&mut kept.leaves_then)) || all {
            self.leave(locator, None);
        }
    }

    /// Wants a session swapped out, and `teller` told of it.
    pub(super) fn leave(&mut self, locator: Locator, teller: Option<Owner>) {
        let Some(served) = self.sessions.get_mut(&locator) else {
            return;
        };
        let closing = served.talk.closing.has_begun();
        let Some(kept) = &mut served.kept else { return };
        if let Some(owner) = teller
            && !kept.asked_by.contains(&owner)
            && kept.asked_by.len() < 16
        {
            kept.asked_by.push(owner);
        }
        kept.leaves_then = matches!(kept.stage, Stage::Unstored | Stage::Creating);
        if kept.stage == Stage::Live && !closing {
            kept.stage = Stage::Leaving;
            served.talk.frozen = true;
            // A held resume would make keys that the snapshot does not have.
            if let Some(held) = served.held.take() {
                self.reject(held.link);
            }
            self.touch(locator);
        }
    }

    pub(super) fn put_parked(&mut self, locator: Locator, app: Option<&[u8]>) {
        let (Some(cluster), Some(served)) = (&mut self.cluster, self.sessions.get_mut(&locator)) else {
            return;
        };
        let Some(kept) = &mut served.kept else { return };
        kept.stage = Stage::Parking;
        kept.app = app.map(Bytes::copy_from_slice);
        kept.highest += 1;
        kept.parked = kept.highest;
        let (token, expect) = (kept.highest, kept.replaces(cluster.owner));
        let snapshot = served.snapshot(&self.config.limits, app, self.now);
        let life = snapshot.life.max(Duration::from_secs(1));
        let blob = cluster.vault.seal(&snapshot, &locator, token, &mut self.rng).into();
        cluster.parking += 1;
        let record = Record::Parked { token, blob };
        self.put(locator, expect, record, life, Purpose::Park { locator, token });
    }

    pub(super) fn parked(&mut self, locator: Locator, token: u64, reply: &StoreReply) {
        let kept = self.sessions.get(&locator).and_then(|served| served.kept.as_ref());
        if !kept.is_some_and(|kept| kept.stage == Stage::Parking && kept.parked == token) {
            // It has ended meanwhile, or was found to be another's.
            return;
        }
        match reply {
            StoreReply::Done => self.gone(locator),
            StoreReply::Unavailable => {
                self.unpark();
                if let Some(kept) = self.sessions.get_mut(&locator).and_then(|served| served.kept.as_mut()) {
                    kept.stage = Stage::Leaving;
                }
                self.stay_here(locator);
            }
            // Not known, or refused: perhaps because an earlier one was done.
            _ => {
                if let Some(kept) = self.sessions.get_mut(&locator).and_then(|served| served.kept.as_mut()) {
                    kept.writing = true;
                }
                self.check(locator);
            }
        }
    }

    /// What was to leave does not: the application goes on.
    pub(super) fn stay_here(&mut self, locator: Locator) {
        let Some(served) = self.sessions.get_mut(&locator) else {
            return;
        };
        let Some(kept) = &mut served.kept else { return };
        if served.talk.frozen {
            kept.stage = Stage::Live;
            kept.app = None;
            kept.asked_by.clear();
            served.talk.thaw();
            served.talk.events.push_back(Event::SwapOutFailed);
            self.read_on(locator);
        }
        self.touch(locator);
    }

    /// The session is another's.
    pub(super) fn fence(&mut self, locator: Locator) {
        let before = self.counters.swapped_out;
        self.gone(locator);
        // Not if it was to end, or is over.
        self.counters.fenced += self.counters.swapped_out - before;
    }

    /// The session is not this process's any more: its copy is wiped (F-82).
    pub(super) fn gone(&mut self, locator: Locator) {
        if self.is_over(&locator) {
            // It stays until what had arrived is read: its application was told that nothing is missing.
            return;
        }
        let Some(mut served) = self.take_out(locator) else {
            return;
        };
        let parking = served.kept.as_ref().is_some_and(|kept| kept.stage == Stage::Parking);
        if parking {
            self.unpark();
        }
        if let Some(held) = served.held.take() {
            self.reject(held.link);
        }
        self.close_links(&mut served);
        if let Some(reason) = served.talk.closing.wish() {
            // It was to end while it was on its way out.
            let status = tombstones::status(reason, served.talk.outbox.next());
            if let Some(kept) = &served.kept
                && parking
            {
                let parked = Some(kept.parked);
                let made = kept.making.then_some(kept.highest);
                self.find_and_bury(locator, End { status, parked, made });
            }
            // A handover that was under way has failed first.
            served.talk.finish(reason);
            for event in served.talk.events.drain(..) {
                // What has arrived goes with the copy.
                if !matches!(event, Event::Readable) {
                    self.events.push_back((served.id, event));
                }
            }
            self.counters.sessions_closed += 1;
            return;
        }
        if !served.confirmed {
            // Nobody was told of it.
            return;
        }
        self.counters.swapped_out += u64::from(served.kept.as_ref().is_some_and(|kept| kept.is_stored()));
        for event in served.talk.events.drain(..) {
            self.events.push_back((served.id, event));
        }
        self.events.push_back((served.id, Event::SwappedOut));
        if let Some(kept) = served.kept {
            for to in kept.asked_by {
                self.tell_handed(locator, to);
            }
        }
    }

    /// Closes the links of a session that was taken out.
    pub(super) fn close_links(&mut self, served: &mut Served) {
        let links = served.talk.links.iter().map(|link| link.id);
        for link in links.chain(core::mem::take(&mut served.talk.to_close)) {
            self.links.remove(&link);
            self.outputs.push_back(Output::CloseLink { link });
        }
    }

    pub(super) fn unpark(&mut self) {
        if let Some(cluster) = &mut self.cluster {
            cluster.parking = cluster.parking.saturating_sub(1);
        }
    }
}
