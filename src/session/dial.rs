//! The client's dialler: when to open a link, where to, and what to do with an answer.
//!
//! At most two connections are tried at once: the one the plan asked for, and a *hedge* beside it when the first does not get
//! through soon (the server's own address first, the configured one behind it, as in happy eyeballs; on another network, if one is
//! up). If one of the two fails while the other hangs, the hedge comes again in its place, after a back-off of its own. Only one of them has a
//! flight under way: before a second RESUME leaves, the link of the first is closed (U-18). Each that is given up so leaves the next twice the time: two addresses must not
//! take each other's turn for ever, where the one only refuses and the other is slow.
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
use super::networks::Networks;
use super::spare::Budget;
use crate::config::Backoff as Bounds;
use crate::crypto::Rng;
use crate::event::{LinkId, NetworkId, Output, Target};
use crate::time::Instant;
use crate::wire::flight::EARLY_MAX;

/// Head start of a server's own address over the configured one.
const HEAD_START: Duration = Duration::from_millis(250);
/// Without an answer for this long, a second connection is tried beside the first; and it has its turn if it stands.
const PATIENCE: Duration = Duration::from_secs(1);
/// Most bytes of an answer that wait to be whole.
pub const ANSWER_MAX: usize = 4096;

/// What the host is to do.
type Outputs = VecDeque<Output>;

/// One connection on its way to become a link.
pub struct Try {
    pub id: LinkId,
    pub target: Target,
    pub network: Option<NetworkId>,
    /// That of the networks when it was asked for.
    pub order: u32,
    pub since: Instant,
    pub stage: Stage,
    /// The first flight, and how much of it the host has taken.
    pub flight: Vec<u8>,
    pub taken: usize,
    /// What came of the answer.
    pub input: Vec<u8>,
    pub blocked: bool,
    /// Made ahead ([`super::spare`]); it goes if nobody needed it by then.
    pub warm: Option<Instant>,
    /// Its network's address has changed since, and it was too young to be given up ([`Dialler::cancel_old`]).
    pub outdated: bool,
}

pub enum Stage {
    /// The host is connecting.
    Opening,
    /// Connected, while another one is handshaking or none is needed.
    Spare,
    /// The flight is under way.
    Handshaking(Handshake),
}

impl Try {
    fn overdue_at(&self, limit: Duration) -> Instant {
        self.warm.unwrap_or(self.since + limit)
    }
}

/// See the module's head.
pub struct Dialler {
    next_link: u64,
    pub backoff: Backoff,
    /// When to open the next connection.
    plan: Option<Instant>,
    /// A server's advice: no plan is for an earlier time.
    not_before: Instant,
    pub tries: Vec<Try>,
    /// When to open another one beside those under way.
    hedge: Option<Hedge>,
    /// A hedge that was to lead elsewhere could not: the next plan does, unless a DRAIN named where to go (F-106).
    elsewhere: bool,
    /// Since when no link carries the session.
    pub failing_since: Option<Instant>,
    /// Given up: nothing happens before `retry`.
    pub stopped: bool,
    pub networks: Networks,
    /// How many connections may be made ahead.
    pub spares: Budget,
    /// How much early data the next RESUME may carry.
    pub early_max: usize,
    /// A DRAIN asked for another link, and there is none yet. It is not followed before this.
    pub draining: Option<Instant>,
    /// The DRAIN named this address for it.
    pub advised: Option<alloc::string::String>,
}

/// A second connection, and when it is to come.
#[derive(Clone, Copy)]
struct Hedge {
    at: Instant,
    leads: Leads,
}

/// Where a second connection leads. That says what becomes of it when the first ends before it comes:
///
/// | | the first is refused | the first fails |
/// |---|---|---|
/// | `Alike`, `Again` | `Apart` if another network is up, else dropped | dropped: it would only knock twice |
/// | `Elsewhere` | comes at once; if it has to wait, the next plan leads there, and it is `Apart` too if another network is up | comes at once; if it has to wait, the next plan leads there |
/// | `Apart` | keeps its time | keeps its time |
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leads {
    /// Both lead to the configured address.
    Alike,
    /// To the configured address; the first to a server's own.
    Elsewhere,
    /// One of two failed: where the other does not.
    Again,
    /// The first was refused, which does not hold on another network: to the configured address over that, whosever turn it is by then.
    Apart(NetworkId),
}

impl Hedge {
    fn behind(advised: bool, now: Instant) -> Self {
        let (wait, leads) = if advised {
            (HEAD_START, Leads::Elsewhere)
        } else {
            (PATIENCE, Leads::Alike)
        };
        Hedge { at: now + wait, leads }
    }
}

impl Dialler {
    pub fn new(now: Instant) -> Self {
        Dialler {
            next_link: 0,
            backoff: Backoff::new(now),
            plan: Some(now),
            not_before: Instant::ZERO,
            tries: Vec::new(),
            hedge: None,
            elsewhere: false,
            failing_since: Some(now),
            stopped: false,
            networks: Networks::default(),
            spares: Budget::new(now),
            early_max: EARLY_MAX,
            draining: None,
            advised: None,
        }
    }

    /// Plans a connection, unless an earlier one is planned; not before a server wants to see another.
    pub fn plan(&mut self, at: Instant) {
        if !self.stopped {
            let at = at.max(self.not_before);
            self.plan = Some(self.plan.map_or(at, |plan| plan.min(at)));
        }
    }

    /// The server there advises to wait at least so long. What it is spared must not come all at once then, so it is up to a half more (L-27, U-23); and what else is
    /// under way to the same address would ask it now. Over another network it may be another server, and who made this up is not there.
    pub fn hold_off(
        &mut self,
        now: Instant,
        at_least: Duration,
        (target, network): (&Target, Option<NetworkId>),
        rng: &mut Rng,
        outputs: &mut Outputs,
    ) {
        if !at_least.is_zero() {
            let until = now + at_least + jitter(at_least / 2, rng);
            self.not_before = self.not_before.max(until);
            self.plan = self.plan.map(|plan| plan.max(self.not_before));
            let there = |attempt: &Try| attempt.target == *target && attempt.network == network;
            self.close_where(there, outputs);
        }
    }

    /// The first connection was refused on this network, and [`Dialler::hold_off`] has been told. If the second can lead over another one, it comes all the same ([`Leads`]).
    pub fn keep_hedge(&mut self, refused: Option<NetworkId>, now: Instant) {
        let choices = [self.networks.second_choice(), self.networks.choice()];
        let other = choices.into_iter().flatten().find(|other| Some(*other) != refused);
        let is_held = self.is_held(now);
        if let (Some(hedge), Some(other), []) = (&mut self.hedge, other, &self.tries[..]) {
            let elsewhere = hedge.leads == Leads::Elsewhere;
            if is_held || !elsewhere {
                hedge.leads = Leads::Apart(other);
                self.elsewhere = elsewhere;
            }
        }
    }

    /// The host must close these connections.
    fn close_where(&mut self, gone: impl Fn(&Try) -> bool, outputs: &mut Outputs) {
        self.tries.retain(|attempt| {
            let gone = gone(attempt);
            if gone {
                close(attempt.id, outputs);
            }
            !gone
        });
    }

    /// Whether a server has advised to wait until later than this.
    pub fn is_held(&self, now: Instant) -> bool {
        now < self.not_before
    }

    /// The advice was for another network, or another time.
    pub fn forget_advice(&mut self) {
        self.not_before = Instant::ZERO;
    }

    /// Forgets plans and connections, and what a server advised; the host must close the connections.
    pub fn cancel(&mut self, outputs: &mut Outputs) {
        self.forget_advice();
        self.plan = None;
        self.hedge = None;
        self.elsewhere = false;
        for attempt in self.tries.drain(..) {
            close(attempt.id, outputs);
        }
    }

    /// Nothing happens before `retry`. But whose turn it is then stays known: who is told to wait longer than it takes to give up would ask the server's own address for ever.
    pub fn give_up(&mut self, outputs: &mut Outputs) {
        let elsewhere = self.elsewhere;
        self.cancel(outputs);
        self.elsewhere = elsewhere;
        self.stopped = true;
    }

    /// Forgets what is under way on a network that is gone; says whether any of it was to carry the session.
    pub fn cancel_on(&mut self, network: NetworkId, outputs: &mut Outputs) -> bool {
        self.hedge = self.hedge.filter(|hedge| hedge.leads != Leads::Apart(network));
        let on_it = |attempt: &Try| attempt.network == Some(network);
        let missed = self
            .tries
            .iter()
            .any(|attempt| on_it(attempt) && attempt.warm.is_none());
        self.close_where(on_it, outputs);
        missed
    }

    /// Forgets what was begun on this network before the latest moments: its address is another now. But hints that come in swarms must not starve each other, so what is
    /// younger goes on, and is begun anew only if it fails.
    pub fn cancel_old(&mut self, network: Option<NetworkId>, now: Instant, outputs: &mut Outputs) {
        let old = |attempt: &Try| now >= attempt.since + HEAD_START && attempt.network == network;
        self.close_where(old, outputs);
        for attempt in self.tries.iter_mut().filter(|attempt| attempt.network == network) {
            attempt.outdated = true;
        }
    }

    /// Forgets what is under way on other networks than the wanted one.
    pub fn cancel_elsewhere(&mut self, outputs: &mut Outputs) {
        let network = self.networks.choice();
        self.close_where(|attempt| attempt.network != network, outputs);
    }

    /// What the last try's failure leads to.
    pub fn replan(&mut self, now: Instant, bounds: &Bounds, rng: &mut Rng) {
        let delay = self.backoff.after_failure(bounds, rng);
        self.plan(now + delay);
    }

    /// One of two failed, and the other may hang for long: its place is taken after the back-off, but not before the other has had its head start. One that would be over
    /// soon after is waited for: a pair for which time is up is planned anew as a pair.
    pub fn replan_beside(&mut self, now: Instant, limit: Duration, bounds: &Bounds, rng: &mut Rng) {
        self.hedge = None;
        if let [other] = &self.tries[..]
            && other.overdue_at(limit) > now + PATIENCE
        {
            let delay = self.backoff.after_failure_beside(bounds, rng);
            let head_start = Hedge::behind(other.target != Target::Configured, other.since).at;
            self.hedge = Some(Hedge {
                at: head_start.max(now + delay).max(self.not_before),
                leads: Leads::Again,
            });
        }
    }

    /// One is under way, and none is to come beside it.
    pub fn hangs_alone(&self) -> bool {
        matches!(&self.tries[..], [alone] if alone.warm.is_none()) && self.hedge.is_none()
    }

    /// Where a connection leads that is to be unlike the one under way, if there is a choice.
    fn unlike(&self, other: &Try, own: &str) -> (Target, Option<NetworkId>) {
        let address = self.advised.as_deref().unwrap_or(own);
        let target = if other.target == Target::Configured && !address.is_empty() {
            Target::Advised(address.into())
        } else {
            Target::Configured
        };
        let network = self.networks.choice();
        if network == other.network {
            return (target, self.networks.second_choice());
        }
        (target, network)
    }

    /// Opens what is due; says whether it opened anything. `served` is a network whose link carries the session and is to be left for another one: there is nothing to win on it.
    pub fn open_due(&mut self, now: Instant, own: &str, served: Option<NetworkId>, outputs: &mut Outputs) -> bool {
        let before = outputs.len();
        if self.plan.is_some_and(|plan| plan <= now) && self.tries.len() < 2 {
            self.plan = None;
            let own = if core::mem::take(&mut self.elsewhere) { "" } else { own };
            let advised = self.advised.clone().or_else(|| (!own.is_empty()).then(|| own.into()));
            self.hedge = Some(Hedge::behind(advised.is_some(), now));
            let target = advised.map_or(Target::Configured, Target::Advised);
            self.open(target, self.networks.choice(), now, outputs);
        }
        if let Some(hedge) = self.hedge.filter(|hedge| hedge.at <= now) {
            self.hedge = None;
            let to = match (&self.tries[..], hedge.leads) {
                ([] | [_], Leads::Apart(network)) => Some((Target::Configured, Some(network))),
                ([_], Leads::Alike | Leads::Elsewhere) => {
                    let other = self.networks.second_choice().filter(|other| Some(*other) != served);
                    Some((Target::Configured, other.or(self.networks.choice())))
                }
                ([other], Leads::Again) => Some(self.unlike(other, own)),
                _ => None,
            };
            if let Some((target, network)) = to {
                self.open(target, network, now, outputs);
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

    /// The hedge comes now: the first connection failed, or the network changed under it. One that failed already keeps its back-off.
    pub fn hurry(&mut self, now: Instant) {
        if let Some(hedge) = self.hedge.as_mut().filter(|hedge| hedge.leads != Leads::Again) {
            hedge.at = now;
        }
    }

    /// What was to come beside the first connection does not, as that is begun anew.
    pub fn forget_hedge(&mut self) {
        self.hedge = None;
    }

    /// Nothing more is wanted: the link that carries goes on. A plan that is left would be taken for what a DRAIN asked for.
    pub fn rest(&mut self) {
        self.plan = None;
        self.hedge = None;
        self.elsewhere = false;
    }

    pub fn is_at_rest(&self) -> bool {
        self.plan.is_none() && self.hedge.is_none()
    }

    /// A connection failed, and none is left: what becomes of the second ([`Leads`]). Says whether it comes now, as the first.
    pub fn take_hedge(&mut self, now: Instant) -> bool {
        if !self.tries.is_empty() {
            return false;
        }
        let Some(hedge) = self.hedge else { return false };
        let comes = hedge.leads == Leads::Elsewhere && !self.is_held(now);
        match hedge.leads {
            Leads::Apart(_) => return false,
            Leads::Elsewhere => self.elsewhere = !comes,
            Leads::Alike | Leads::Again => self.elsewhere = false,
        }
        self.hedge = comes.then(|| Hedge::behind(false, now));
        comes
    }

    pub fn open(&mut self, target: Target, network: Option<NetworkId>, now: Instant, outputs: &mut Outputs) {
        let id = LinkId(self.next_link);
        self.next_link += 1;
        self.tries.push(Try {
            id,
            target: target.clone(),
            network,
            order: self.networks.order(),
            since: now,
            stage: Stage::Opening,
            flight: Vec::new(),
            taken: 0,
            input: Vec::new(),
            blocked: false,
            warm: None,
            outdated: false,
        });
        outputs.push_back(Output::OpenLink {
            link: id,
            target,
            network,
        });
    }

    /// Opens a connection ahead of need, to the server's own address if it has one.
    pub fn open_warm(&mut self, own: &str, now: Instant, until: Instant, outputs: &mut Outputs) {
        let target = if own.is_empty() {
            Target::Configured
        } else {
            Target::Advised(own.into())
        };
        self.open(target, self.networks.choice(), now, outputs);
        if let Some(attempt) = self.tries.last_mut() {
            attempt.warm = Some(until);
        }
    }

    pub fn has_warm(&self) -> bool {
        self.tries.iter().any(|attempt| attempt.warm.is_some())
    }

    /// Connections made ahead, if there are any, are needed now.
    pub fn commit_warm(&mut self, now: Instant) {
        let mut needed = None;
        for attempt in &mut self.tries {
            if attempt.warm.take().is_some() {
                attempt.since = now;
                needed = Some(Hedge::behind(attempt.target != Target::Configured, now));
            }
        }
        self.hedge = self.hedge.or(needed);
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
    pub fn overtaking(&self, now: Instant, limit: Duration) -> Option<(usize, usize)> {
        let pair = self.elder_and_spare()?;
        (now >= self.gives_way_at(pair, limit)).then_some(pair)
    }

    fn elder_and_spare(&self) -> Option<(usize, usize)> {
        let is_spare = |attempt: &Try| matches!(attempt.stage, Stage::Spare);
        Some((self.handshaking()?, self.tries.iter().position(is_spare)?))
    }

    /// However patient the client is, the spare must have its turn while the server at its other end still waits for a flight.
    fn gives_way_at(&self, (elder, spare): (usize, usize), limit: Duration) -> Instant {
        let (elder, spare) = (&self.tries[elder], &self.tries[spare]);
        let last = spare.since + limit.saturating_sub(PATIENCE);
        let patient = elder.since + self.backoff.patience(PATIENCE);
        patient.min(last.max(elder.since + PATIENCE))
    }

    /// The first connection that has taken too long.
    pub fn overdue(&self, now: Instant, limit: Duration) -> Option<usize> {
        self.tries.iter().position(|attempt| now >= attempt.overdue_at(limit))
    }

    pub fn deadline(&self, limit: Duration) -> Instant {
        let mut deadline = self.plan.unwrap_or(Instant::FAR_FUTURE);
        if self.tries.len() >= 2 {
            // A plan waits for a place.
            deadline = Instant::FAR_FUTURE;
        }
        deadline = deadline.min(self.hedge.map_or(Instant::FAR_FUTURE, |hedge| hedge.at));
        for attempt in &self.tries {
            deadline = deadline.min(attempt.overdue_at(limit));
        }
        if let Some(pair) = self.elder_and_spare() {
            deadline = deadline.min(self.gives_way_at(pair, limit));
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

/// The host must close this connection; or, if it has not yet heard of the wish for it, forget that.
fn close(id: LinkId, outputs: &mut Outputs) {
    let unheard = |output: &Output| matches!(output, Output::OpenLink { link, .. } if *link == id);
    match outputs.iter().position(unheard) {
        Some(at) => drop(outputs.remove(at)),
        None => outputs.push_back(Output::CloseLink { link: id }),
    }
}
