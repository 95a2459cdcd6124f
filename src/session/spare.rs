//! The spare: a connection made ahead, when an answer is late but nothing is wrong yet.
//!
//! ```text
//!   late ──► connect beside ──► up, and the old link still owes its answer ──► resume on it at once
//!                               up, and the old link has answered ──► kept warm a while ──► late again, suspect, lost ──► resume on it
//!                                                                                     └──► unused: closed
//! ```
//!
//! A connection that came up while a question asked before it is still open has won a race against the old link: that is evidence. One late
//! answer is none, so it costs a TCP handshake and no more. A budget keeps a link that is late all the time from dialling all the time.

use core::time::Duration;

use super::client::Session;
use super::dial::Stage;
use crate::event::HandoverCause;
use crate::time::Instant;

/// How long a spare is kept. Below the 5 s that a server waits for a flight.
const WARM: Duration = Duration::from_secs(4);
/// Spares in a row ...
const BURST: u32 = 4;
/// ... and then as often as this.
const REFILL: Duration = Duration::from_secs(30);

/// How many spares may still be made.
pub struct Budget {
    tokens: u32,
    refilled: Instant,
}

impl Budget {
    pub fn new(now: Instant) -> Self {
        Budget {
            tokens: BURST,
            refilled: now,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let earned = now.since(self.refilled).as_micros() / REFILL.as_micros();
        if earned > 0 {
            self.tokens = BURST.min(self.tokens.saturating_add(u32::try_from(earned).unwrap_or(BURST)));
            self.refilled = now;
        }
        let allowed = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        allowed
    }
}

impl Session {
    /// The carrier owes an answer for longer than usual.
    pub(super) fn answer_late(&mut self) {
        if self.talk.suspended || self.talk.closing.has_begun() || self.dialler.stopped || self.ticket.is_none() {
            return;
        }
        if self.dialler.has_warm() {
            return self.use_spare_if_up();
        }
        let now = self.talk.now;
        if !self.dialler.tries.is_empty() || self.dialler.is_held(now) || !self.dialler.spares.take(now) {
            return;
        }
        let Some(carrier) = self.talk.carrier() else { return };
        self.dialler.networks.shun(self.talk.links[carrier].network);
        let own = self.ticket.as_ref().map_or("", |ticket| ticket.address.as_str());
        self.dialler.open_warm(own, now, now + WARM, &mut self.outputs);
        self.talk.stats.spares += 1;
    }

    /// A connection made ahead stands.
    pub(super) fn spare_up(&mut self) {
        if self.carrier_is_late() {
            self.use_spare_if_up();
        }
    }

    fn use_spare_if_up(&mut self) {
        let up = |attempt: &super::dial::Try| attempt.warm.is_some() && matches!(attempt.stage, Stage::Spare);
        if self.dialler.tries.iter().any(up) {
            let since = self
                .talk
                .carrier()
                .and_then(|carrier| self.talk.links[carrier].liveness.silent_since());
            self.talk.begin_handover(HandoverCause::LinkSuspect, since);
            self.commit_spare();
        }
    }

    /// From now on the spare is a connection like any other, and one that stands sends its flight unless another has one under way.
    pub(super) fn commit_spare(&mut self) {
        self.dialler.commit_warm(self.talk.now);
        if self.dialler.handshaking().is_some() {
            return;
        }
        let up = |attempt: &super::dial::Try| matches!(attempt.stage, Stage::Spare);
        if let Some(index) = self.dialler.tries.iter().position(up) {
            self.start_handshake(index);
        }
    }

    fn carrier_is_late(&self) -> bool {
        self.talk
            .carrier()
            .is_none_or(|carrier| self.talk.links[carrier].liveness.is_late())
    }
}
