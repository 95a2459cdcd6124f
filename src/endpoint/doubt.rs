//! A session's writes that came to nothing, and those of which nothing is known (F-80).
//!
//! ```text
//!   write ──┬─ Done
//!           ├─ Unavailable: not done ─────────────────────────────► again in a moment
//!           └─ Failed, Conflict ──► Peek ──┬─ own record ─────────► again in a moment, with the next token
//!                                          ├─ no record ──────────► written anew in a moment
//!                                          ├─ Parked, on its way ─► gone
//!                                          └─ another's ──────────► fenced
//! ```
//!
//! Until it is known the session stays as it is; one that was on its way out stays out of its application's reach. Each attempt has the token of the write in doubt: the session may
//! have left and come back meanwhile, and then it is about a life that is over.

use super::cluster::{Later, Purpose};
use super::keep::Stage;
use super::{Endpoint, Locator};
use crate::store::{Record, StoreOp, StoreReply};

impl Endpoint {
    /// Asks for its state again in a moment, not at once.
    pub(super) fn pause(&mut self, locator: Locator) {
        if let Some(kept) = self.sessions.get_mut(&locator).and_then(|served| served.kept.as_mut()) {
            kept.writing = true;
            let token = kept.highest;
            self.try_later(Later::Write(locator, token));
        }
    }

    /// A write that was not done is done again: the one that took `token`.
    pub(super) fn write_again(&mut self, locator: Locator, token: u64) {
        let durable = self.cluster.as_ref().is_some_and(|cluster| cluster.durable);
        let Some(served) = self.sessions.get_mut(&locator) else {
            return;
        };
        let ended = served.ended.is_some();
        let Some(kept) = &mut served.kept else { return };
        if kept.highest != token {
            // It has left meanwhile, and come back: this is about its former life here.
            return;
        }
        kept.writing = false;
        match kept.stage {
            _ if ended => {}
            Stage::Live | Stage::Leaving if durable => self.touch(locator),
            Stage::Parking => {
                let app = kept.app.clone();
                self.put_live(locator, app.as_deref());
            }
            Stage::Unstored => {}
            _ => self.put_live(locator, None),
        }
    }

    /// Looks what became of a write.
    pub(super) fn check(&mut self, locator: Locator) {
        if let Some(kept) = self.sessions.get(&locator).and_then(|served| served.kept.as_ref()) {
            let token = kept.highest;
            self.ask(StoreOp::Peek { key: locator }, Purpose::Check(locator, token));
        }
    }

    pub(super) fn check_again(&mut self, locator: Locator, token: u64) {
        let kept = self.sessions.get(&locator).and_then(|served| served.kept.as_ref());
        if kept.is_some_and(|kept| kept.highest == token) {
            self.check(locator);
        }
    }

    pub(super) fn checked(&mut self, locator: Locator, doubted: u64, reply: StoreReply) {
        let (owner, now) = (self.owner(), self.now);
        let Some(served) = self.sessions.get_mut(&locator) else {
            return;
        };
        let Some(kept) = &mut served.kept else { return };
        if kept.highest != doubted || served.ended.is_some() {
            // It has left meanwhile, and come back: this is about its former life here. Or it is over: see `bury`.
            return;
        }
        let StoreReply::Peeked(found) = reply else {
            return self.try_later(Later::Check(locator, doubted));
        };
        // Not at once: a store that refuses a write and then shows the very record that was expected would be asked without end.
        let again = Later::Write(locator, doubted);
        match found.map(|found| found.record) {
            Some(Record::Live { token, owner: by, .. }) if by == owner => {
                let made = kept.stands(token);
                if kept.stage == Stage::Creating {
                    // How much of it is covered does not matter: with `Durable` the next commit follows at once.
                    kept.writing = false;
                    kept.was_written(now);
                    let mark = kept.covers_nothing();
                    self.confirmed_by_store(locator, mark);
                } else {
                    self.try_later(again);
                }
                if made {
                    self.tell_binding(locator);
                }
            }
            None if kept.stage == Stage::Creating => self.try_later(again),
            // It went out after all.
            Some(Record::Parked { token, .. }) if kept.stage == Stage::Parking && token > kept.token => {
                self.gone(locator)
            }
            // The store has lost the record, not the session: it is written anew.
            None => {
                kept.absent = true;
                self.try_later(again);
            }
            _ => self.fence(locator),
        }
    }
}
