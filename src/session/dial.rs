//! The client's dialler: when to open a link, where to, and what to do with an answer.
//!
//! At most two connections are tried at once: the one the plan asked for, and a *hedge* beside it when the first does not get
//! through soon (the server's own address first, the configured one behind it, as in happy eyeballs). Only one of them has a
//! flight under way: before a second RESUME leaves, the link of the first is closed (U-18).
//!
//! ```text
//!   plan ── due ──► Opening ── link up ──► Handshaking ── ACCEPT ──► adopted by the conversation
//!    ▲                 │          └──► Spare (another one is handshaking)
//!    └──── back-off ◄──┴── link down, time-out, REFUSE, nonsense
//! ```

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::backoff::{Backoff, jitter};
use super::handshake::Handshake;
use crate::config::Backoff as Bounds;
use crate::crypto::Rng;
use crate::event::{LinkId, NetworkId, Output, Target};
use crate::time::Instant;
use crate::wire::flight::EARLY_MAX;

/// Head start of a server's own address over the configured one.
const HEAD_START: Duration = Duration::from_millis(250);
/// Without an answer for this long, a second connection is tried beside the first.
const PATIENCE: Duration = Duration::from_secs(1);
/// Most bytes of an answer that wait to be whole.
pub const ANSWER_MAX: usize = 4096;

/// One connection on its way to become a link.
pub struct Try {
    pub id: LinkId,
    pub network: Option<NetworkId>,
    pub since: Instant,
    pub stage: Stage,
    /// The first flight, and how much of it the host has taken.
    pub flight: Vec<u8>,
    pub taken: usize,
    /// What came of the answer.
    pub input: Vec<u8>,
    pub blocked: bool,
}

pub enum Stage {
    /// The host is connecting.
    Opening,
    /// Connected, while another one is handshaking.
    Spare,
    /// The flight is under way.
    Handshaking(Handshake),
}

/// See the module's head.
pub struct Dialler {
    next_link: u64,
    pub backoff: Backoff,
    /// When to open the next connection.
    plan: Option<Plan>,
    pub tries: Vec<Try>,
    /// When to open another one beside those under way.
    hedge: Option<Instant>,
    /// Since when no link carries the session.
    pub failing_since: Option<Instant>,
    /// Given up: nothing happens before `retry`.
    pub stopped: bool,
    /// The network the application's host prefers.
    pub network: Option<NetworkId>,
    /// How much early data the next RESUME may carry.
    pub early_max: usize,
    /// A DRAIN named this address for the next link.
    pub advised: Option<alloc::string::String>,
}

#[derive(Clone, Copy)]
struct Plan {
    at: Instant,
}

impl Dialler {
    pub fn new(now: Instant) -> Self {
        Dialler {
            next_link: 0,
            backoff: Backoff::new(now),
            plan: Some(Plan { at: now }),
            tries: Vec::new(),
            hedge: None,
            failing_since: Some(now),
            stopped: false,
            network: None,
            early_max: EARLY_MAX,
            advised: None,
        }
    }

    /// Plans a connection, unless an earlier one is planned.
    pub fn plan(&mut self, at: Instant) {
        if !self.stopped {
            let at = self.plan.map_or(at, |plan| plan.at.min(at));
            self.plan = Some(Plan { at });
        }
    }

    /// Forgets plans and connections; the host must close the latter.
    pub fn cancel(&mut self, outputs: &mut VecDeque<Output>) {
        self.plan = None;
        self.hedge = None;
        for attempt in self.tries.drain(..) {
            outputs.push_back(Output::CloseLink { link: attempt.id });
        }
    }

    /// Forgets what was begun before the latest moments, or for another network.
    pub fn cancel_old(&mut self, now: Instant, outputs: &mut VecDeque<Output>) {
        let network = self.network;
        self.tries.retain(|attempt| {
            let young = now < attempt.since + HEAD_START && attempt.network == network;
            if !young {
                outputs.push_back(Output::CloseLink { link: attempt.id });
            }
            young
        });
    }

    /// What the last try's failure leads to.
    pub fn replan(&mut self, now: Instant, at_least: Duration, bounds: &Bounds, rng: &mut Rng) {
        let delay = self.backoff.after_failure(bounds, rng);
        let floor = at_least
            + if at_least.is_zero() {
                Duration::ZERO
            } else {
                jitter(at_least / 2, rng)
            };
        self.plan(now + delay.max(floor));
    }

    /// Opens what is due; says whether it opened anything.
    pub fn open_due(&mut self, now: Instant, own: &str, outputs: &mut VecDeque<Output>) -> bool {
        let before = outputs.len();
        if self.plan.is_some_and(|plan| plan.at <= now) && self.tries.len() < 2 {
            self.plan = None;
            let advised = self.advised.take().or_else(|| (!own.is_empty()).then(|| own.into()));
            self.hedge = Some(now + if advised.is_some() { HEAD_START } else { PATIENCE });
            self.open(advised.map_or(Target::Configured, Target::Advised), now, outputs);
        }
        if self.hedge.is_some_and(|hedge| hedge <= now) {
            self.hedge = None;
            if self.tries.len() == 1 {
                self.open(Target::Configured, now, outputs);
            }
        }
        outputs.len() > before
    }

    /// A try is given up for time. If its flight was under way, the line may be too thin for it: the next one is smaller, down to
    /// no early data at all.
    pub fn took_too_long(&mut self, index: usize) {
        if matches!(self.tries[index].stage, Stage::Handshaking(_)) {
            self.early_max = if self.early_max > 2048 { 2048 } else { 0 };
        }
    }

    /// The hedge comes now: the first connection failed, or the network changed under it.
    pub fn hurry(&mut self, now: Instant) {
        if self.hedge.is_some() {
            self.hedge = Some(now);
        }
    }

    /// A connection failed. If there was a hedge still to come, it comes now, as the first.
    pub fn take_hedge(&mut self) -> bool {
        self.tries.is_empty() && self.hedge.take().is_some()
    }

    pub fn open(&mut self, target: Target, now: Instant, outputs: &mut VecDeque<Output>) {
        let id = LinkId(self.next_link);
        self.next_link += 1;
        self.tries.push(Try {
            id,
            network: self.network,
            since: now,
            stage: Stage::Opening,
            flight: Vec::new(),
            taken: 0,
            input: Vec::new(),
            blocked: false,
        });
        outputs.push_back(Output::OpenLink {
            link: id,
            target,
            network: self.network,
        });
    }

    pub fn index(&self, id: LinkId) -> Option<usize> {
        self.tries.iter().position(|attempt| attempt.id == id)
    }

    pub fn handshaking(&self) -> Option<usize> {
        self.tries
            .iter()
            .position(|attempt| matches!(attempt.stage, Stage::Handshaking(_)))
    }

    /// A spare whose elder has had its time: the elder's index and the spare's.
    pub fn overtaking(&self, now: Instant) -> Option<(usize, usize)> {
        let elder = self.handshaking()?;
        let spare = self
            .tries
            .iter()
            .position(|attempt| matches!(attempt.stage, Stage::Spare))?;
        (now >= self.tries[elder].since + PATIENCE).then_some((elder, spare))
    }

    /// The first connection that has taken too long.
    pub fn overdue(&self, now: Instant, limit: Duration) -> Option<usize> {
        self.tries.iter().position(|attempt| now >= attempt.since + limit)
    }

    pub fn deadline(&self, limit: Duration) -> Instant {
        let mut deadline = self.plan.map_or(Instant::FAR_FUTURE, |plan| plan.at);
        if self.tries.len() >= 2 {
            // A plan waits for a place.
            deadline = Instant::FAR_FUTURE;
        }
        deadline = deadline.min(self.hedge.unwrap_or(Instant::FAR_FUTURE));
        for attempt in &self.tries {
            deadline = deadline.min(attempt.since + limit);
        }
        if self.tries.iter().any(|attempt| matches!(attempt.stage, Stage::Spare))
            && let Some(elder) = self.handshaking()
        {
            deadline = deadline.min(self.tries[elder].since + PATIENCE);
        }
        deadline
    }

    /// Whether a flight has bytes for the host.
    pub fn sendable(&self) -> Option<usize> {
        self.tries
            .iter()
            .position(|attempt| !attempt.blocked && attempt.taken < attempt.flight.len())
    }
}
