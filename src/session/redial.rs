//! When the client dials again, and when it stops: after a loss, on a suspicion or a hint, as the server asks, and not for ever.
//!
//! | why | what |
//! |---|---|
//! | the last link ended | at once; with a delay only if that happens all the time |
//! | an answer is late | a connection to spare ([`super::spare`]) |
//! | a link is suspect, the network changed, the process woke | beside the link that carries (make before break) |
//! | DRAIN | at a random moment of the window; later only if that happens all the time |
//! | a try failed whose network had changed under it | at once |
//! | the link beside which it failed carries again | no more |
//! | a try failed | back-off with full jitter, at least what the server advised |
//! | ... while another hangs | the same, beside it: nobody waits until that has had its time |
//! | the client was refused | never again |
//! | nothing got through for `give_up_after` | `HandoverFailed`; nothing more before `retry()` |

use core::time::Duration;

use super::auth::Auth;
use super::backoff::jitter;
use super::client::Session;
use super::dial::Stage;
use super::link::Link;
use super::phase::Input;
use super::receive::Notice;
use crate::crypto::PublicKey;
use crate::error::{CloseReason, FailReason};
use crate::event::{Event, HandoverCause, MessageId, NetworkId, Output, State, Target};
use crate::time::Instant;

/// Most pins held, those of KEYS included.
const PINS_MAX: usize = 16;
/// Nobody who runs asks so long after the time that something is due.
const STOPPED: Duration = Duration::from_secs(1);

impl Session {
    pub(super) fn take_notice(&mut self, notice: Notice) {
        // It came in one record with the end, or between the verdict and that.
        if self.talk.state == State::Closed || self.talk.auth.refused() {
            return;
        }
        let now = self.talk.now;
        match notice {
            Notice::Drain { window_ms, address } => {
                let window = Duration::from_millis(window_ms.into());
                self.talk.events.push_back(Event::Draining { window });
                self.dialler.advised = (!address.is_empty()).then_some(address);
                // Servers that send their clients to each other cost them no more than a network that flaps.
                let dialler = &mut self.dialler;
                let least = *dialler
                    .draining
                    .get_or_insert_with(|| now + dialler.backoff.after_loss(now, &self.config.backoff, &mut self.rng));
                // The old address is the one that goes away.
                if let Some(ticket) = &mut self.ticket {
                    ticket.address.clear();
                }
                let delay = jitter(window, &mut self.rng);
                self.dialler.plan((now + delay).max(least));
            }
            Notice::Keys(keys) => {
                self.pins.retain(|(_, until)| *until > now);
                for (key, lifetime) in keys {
                    let until = now + Duration::from_secs(lifetime.into());
                    if let Some((_, end)) = self.pins.iter_mut().find(|(pin, _)| pin.0 == key) {
                        *end = until.max(*end);
                    } else if self.pins.len() < PINS_MAX {
                        self.pins.push((PublicKey(key), until));
                    }
                }
            }
        }
    }

    /// The last link that carried the session is gone: dial.
    pub(super) fn went_down(&mut self) {
        if let Auth::Refused { code } = self.talk.auth {
            return self.lost(CloseReason::Refused { code });
        }
        if self.dialler.handshaking().is_some() {
            // It began beside the link that is now gone.
            self.talk.step(Input::LinkUp);
        }
        let now = self.talk.now;
        self.dialler.failing_since.get_or_insert(now);
        self.commit_spare();
        if self.dialler.tries.is_empty() && !self.talk.suspended {
            let delay = self
                .dialler
                .backoff
                .after_loss(now, &self.config.backoff, &mut self.rng);
            self.dialler.plan(now + delay);
        }
        self.dialler.hurry(now);
        self.miss_second();
        self.dial();
    }

    /// What failed beside another while a link carried had nobody waiting for it, and was let be. Now it is missed.
    fn miss_second(&mut self) {
        if self.dialler.hangs_alone() && !self.carrier_is_sound() {
            self.replan_beside();
        }
    }

    fn replan_beside(&mut self) {
        let limit = self.config.limits().handshake;
        self.dialler
            .replan_beside(self.talk.now, limit, &self.config.backoff, &mut self.rng);
    }

    /// Opens a link beside the one that carries, or hurries the one under way.
    pub(super) fn dial_beside(&mut self, cause: HandoverCause) {
        if self.talk.suspended || self.talk.closing.has_begun() || self.dialler.stopped {
            return;
        }
        let now = self.talk.now;
        if let Some(carrier) = self.talk.carrier() {
            let liveness = &self.talk.links[carrier].liveness;
            let liveness_is_suspect = liveness.suspect;
            let since = if liveness.suspect {
                liveness.silent_since()
            } else {
                None
            };
            self.talk.begin_handover(cause, since);
            if liveness_is_suspect {
                self.dialler.networks.shun(self.talk.links[carrier].network);
            }
        }
        self.dialler.backoff.reset();
        if cause != HandoverCause::LinkSuspect {
            self.dialler.forget_advice();
        }
        if cause == HandoverCause::NetworkChanged {
            self.dialler.cancel_elsewhere(&mut self.outputs);
            self.note_no_flight();
        }
        self.commit_spare();
        if self.dialler.tries.is_empty() {
            self.dialler.plan(now);
        }
        self.miss_second();
        self.dial();
    }

    /// The address may have gone from under these links. Nobody need wait for the answer.
    pub(super) fn ask_links_on(&mut self, network: Option<NetworkId>) {
        for link in self.talk.links.iter_mut().filter(|link| link.network == network) {
            link.liveness.ask(self.talk.now);
        }
    }

    /// A spare went with its network, and the link that was late carries on: nothing is held against it any longer.
    pub(super) fn forgive_if_calm(&mut self) {
        if self.dialler.tries.is_empty() && self.carrier_is_sound() {
            self.dialler.networks.forgive();
        }
    }

    pub(super) fn carrier_is_sound(&self) -> bool {
        self.sound_carrier().is_some()
    }

    /// The link that carries the session, unless it is suspect.
    pub(super) fn sound_carrier(&self) -> Option<&Link> {
        let carrier = &self.talk.links[self.talk.carrier()?];
        (!carrier.liveness.suspect).then_some(carrier)
    }

    /// Opens what the plan says is due.
    pub(super) fn dial(&mut self) {
        // First, as it is what every call of a session at rest comes to.
        if self.dialler.is_at_rest() || self.talk.suspended || self.talk.closing.has_begun() || self.dialler.stopped {
            return;
        }
        let own = self.ticket.as_ref().map_or("", |ticket| ticket.address.as_str());
        // What drains is to be left for another server, on whichever network.
        let leaving = self.sound_carrier().filter(|_| self.dialler.draining.is_none());
        let served = leaving.and_then(|carrier| carrier.network);
        if self.dialler.open_due(self.talk.now, own, served, &mut self.outputs) {
            if self.talk.state == State::None {
                self.talk.step(Input::Dial);
            }
            // Whoever else gets here beside a link has begun, or came before the verdict, when there was nothing to tell.
            if self.talk.carrier().is_some() && self.dialler.draining.is_some() {
                self.talk.begin_handover(HandoverCause::Drain, None);
            }
        }
    }

    pub(super) fn cancel_tries(&mut self) {
        self.dialler.cancel(&mut self.outputs);
    }

    /// A connection attempt came to nothing.
    pub(super) fn fail_try(&mut self, index: usize, close: bool) {
        let attempt = self.dialler.tries.remove(index);
        if close {
            self.outputs.push_back(Output::CloseLink { link: attempt.id });
        }
        if attempt.warm.is_some() {
            // Nobody waits for it. Nor is a late answer to be held against the network any longer.
            if self.carrier_is_sound() {
                self.dialler.networks.forgive();
            }
            return;
        }
        if attempt.outdated {
            return self.renew_try();
        }
        self.dialler.networks.failed(attempt.network, attempt.order);
        self.after_failed_try();
    }

    /// What failed says nothing of the address that its network has now: that is tried at once, beside what else is under way.
    fn renew_try(&mut self) {
        self.dialler.plan(self.talk.now);
        if self.dialler.tries.iter().any(|attempt| attempt.warm.is_none()) {
            self.after_failed_try();
        } else {
            self.note_no_flight();
        }
        self.dial();
    }

    pub(super) fn after_failed_try(&mut self) {
        let now = self.talk.now;
        self.note_no_flight();
        // A spare that stands takes over.
        if self.dialler.handshaking().is_none()
            && let Some(index) = self
                .dialler
                .tries
                .iter()
                .position(|attempt| matches!(attempt.stage, Stage::Spare))
        {
            return self.start_handshake(index);
        }
        // One that is made ahead is nobody's hope: when it fails, nothing follows.
        if self.dialler.tries.iter().any(|attempt| attempt.warm.is_none()) {
            // While the old link carries nobody waits for either.
            if !self.carrier_is_sound() {
                self.replan_beside();
            }
            return;
        }
        if self.carrier_is_sound() && self.dialler.draining.is_none() {
            return self.stay();
        }
        if self.dialler.take_hedge(now) {
            let network = self.dialler.networks.choice();
            self.dialler.open(Target::Configured, network, now, &mut self.outputs);
        } else {
            self.dialler.networks.begin_round();
            self.dialler.replan(now, &self.config.backoff, &mut self.rng);
        }
    }

    /// The hint was false, or the old link recovered: it goes on carrying.
    fn stay(&mut self) {
        self.dialler.rest();
        self.dialler.networks.forgive();
        self.query = false;
        self.talk.carried_again(true);
    }

    /// A link that was suspect may have brought something. If what was tried beside it had failed by then, only a plan is left of all that, for which nobody waits any more.
    pub(super) fn stay_if_carried_again(&mut self) {
        let is_left_alone =
            !self.dialler.is_at_rest() && self.dialler.tries.iter().all(|attempt| attempt.warm.is_some());
        if is_left_alone && self.carrier_is_sound() && self.dialler.draining.is_none() {
            self.stay();
        }
    }

    /// What was under way went with its network, which says nothing of others and of the server: there is nothing to wait for.
    pub(super) fn replace_try(&mut self) {
        self.dialler.forget_advice();
        self.dialler.forget_hedge();
        self.after_failed_try();
        if !self.carrier_is_sound() && self.dialler.tries.iter().all(|attempt| attempt.warm.is_some()) {
            self.dialler.plan(self.talk.now);
        }
    }

    /// Flights or links came to nothing: without any there is at best a connection that was asked for.
    pub(super) fn note_no_flight(&mut self) {
        if self.talk.carrier().is_none() && self.dialler.handshaking().is_none() {
            self.talk.step(Input::LinkLost);
        }
    }

    /// The host says what time it is.
    pub(super) fn tick(&mut self, now: Instant) -> Instant {
        if self.dialler.failing_since.is_some() {
            self.forgive_a_stop(now);
        }
        self.talk.tick(now)
    }

    /// Nobody asked for what was due: the process was stopped, and that is no time spent trying.
    #[cold]
    fn forgive_a_stop(&mut self, now: Instant) {
        let due = self.poll_timeout().unwrap_or(now);
        let late = now.since(due.max(self.talk.now));
        if late >= STOPPED
            && let Some(since) = &mut self.dialler.failing_since
        {
            *since += late;
        }
    }

    pub(super) fn give_up_at(&self) -> Instant {
        let failing = if self.talk.carrier().is_some() {
            None
        } else {
            self.dialler.failing_since
        };
        match failing {
            Some(since) if !self.dialler.stopped => since + self.config.backoff.give_up_after,
            _ => Instant::FAR_FUTURE,
        }
    }

    pub(super) fn give_up_if_due(&mut self) {
        if self.talk.suspended || self.talk.now < self.give_up_at() || self.talk.closing.has_begun() {
            return;
        }
        self.dialler.give_up(&mut self.outputs);
        self.talk.step(Input::GaveUp);
        self.talk.handover.fail();
        let reason = if self.version_mismatch {
            FailReason::VersionMismatch
        } else {
            FailReason::GaveUp
        };
        let acked = MessageId(self.talk.outbox.acked());
        self.talk.events.push_back(Event::HandoverFailed { reason, acked });
    }
}
