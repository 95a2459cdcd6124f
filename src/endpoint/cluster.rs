//! The endpoint's side of the store: requests under way, the lease, and what waits for another try.
//!
//! Each request carries its purpose, so the reply finds everything it needs and no state machine has to be kept beside. What must be tried
//! again waits in one queue of equal delays. Nothing here reads a clock: time comes with the calls.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::time::Duration;
use hashbrown::{HashMap, HashSet};

use super::burial::{End, Tried};
use super::inquest::Doubt;
use super::keep::Mark;
use super::takeover::{Arrival, Claim};
use super::users::{Unseating, UserDigest};
use super::{Endpoint, Locator};
use crate::config::{Durability, ServerConfig};
use crate::crypto::Rng;
use crate::snapshot::Vault;
use crate::store::{Cursor, Owner, RequestId, StoreKey, StoreOp, StoreReply, StoreRequest};
use crate::time::Instant;

/// Between two tries of anything.
pub const AGAIN: Duration = Duration::from_millis(250);
/// Until the next sign of life when something waits for one: that the store takes it again, or notes, or ends. A long lease says how long a silent server counts as alive,
/// not how long its clients wait.
const SOON: Duration = Duration::from_secs(2);

/// See the module's head.
pub struct Cluster {
    pub owner: Owner,
    pub durable: bool,
    pub vault: Vault,
    queue: VecDeque<StoreRequest>,
    purposes: HashMap<RequestId, Purpose>,
    next: u64,
    later: VecDeque<(Instant, Later)>,
    /// Held by each flight that waits for the store.
    pub seats: Arc<()>,
    /// Sessions on their way here, one claim for each.
    pub claiming: HashSet<StoreKey>,
    /// Sessions whose application state is wanted.
    pub wanted: VecDeque<Locator>,
    /// Sessions on their way out.
    pub parking: usize,
    renew: Instant,
    /// Until when the lease lasts at least.
    leased: Instant,
    listening: bool,
    /// Notes may have been lost.
    deaf: bool,
    pub standing: Standing,
    /// Nobody is let in any more.
    pub turning_away: bool,
    /// All sessions are being swapped out.
    pub leaving: bool,
    /// Ends that the store has not taken yet. In an order that does not depend on where a map happens to lie.
    pub unburied: BTreeMap<Locator, End>,
}

/// What the store said to the last sign of life. Without one that it has taken nobody is let in: others would take the owner of the new session for dead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Nothing yet.
    Unheard,
    Alive,
    /// It did not take it.
    Failing,
}

/// What a request is for.
pub enum Purpose {
    /// Asked for then.
    Lease(Instant),
    Receive,
    /// A write that leaves the session here.
    Save {
        locator: Locator,
        token: u64,
        mark: Mark,
        asked: Instant,
    },
    Park {
        locator: Locator,
        token: u64,
    },
    /// After a write of which nothing is known, and its token.
    Check(Locator, u64),
    Bury {
        key: Locator,
        end: End,
        tried: Tried,
    },
    Peek(Box<Arrival>),
    Claim {
        claim: Box<Claim>,
        again: bool,
    },
    ClaimCheck(Box<Claim>),
    Doubt(Box<Doubt>),
    Orphan {
        key: StoreKey,
        end: Option<End>,
    },
    Mail {
        key: Locator,
        after: Cursor,
    },
    Bind {
        locator: Locator,
        /// The token that began the session's stay here.
        stay: u64,
        user: UserDigest,
    },
    Unseat(Unseating),
    Unseated(Unseating),
    Nothing,
}

/// What is tried again.
pub enum Later {
    Arrival(Box<Arrival>),
    Claim(Box<Claim>),
    /// A write of a session that is here, and its token.
    Write(Locator, u64),
    Check(Locator, u64),
    Mail(Locator),
    Bind(Locator, u64),
    Unseat(Unseating),
}

impl Cluster {
    /// None with [`Durability::Memory`].
    pub fn new(config: &ServerConfig, rng: &mut Rng, now: Instant) -> Option<Box<Self>> {
        if config.durability == Durability::Memory {
            return None;
        }
        let mut owner = Owner::NONE;
        rng.fill(&mut owner.0);
        Some(Box::new(Cluster {
            owner,
            durable: config.durability == Durability::Durable,
            vault: Vault::new(&config.realm, &config.clusters),
            queue: VecDeque::new(),
            purposes: HashMap::new(),
            next: 0,
            later: VecDeque::new(),
            seats: Arc::new(()),
            claiming: HashSet::new(),
            wanted: VecDeque::new(),
            parking: 0,
            renew: now,
            leased: now,
            listening: false,
            deaf: false,
            standing: Standing::Unheard,
            turning_away: false,
            leaving: false,
            unburied: BTreeMap::new(),
        }))
    }

    pub fn ask(&mut self, op: StoreOp, purpose: Purpose) {
        self.next += 1;
        let id = RequestId(self.next);
        self.queue.push_back(StoreRequest { id, op });
        self.purposes.insert(id, purpose);
    }

    /// Tries again in a moment.
    pub fn later(&mut self, now: Instant, what: Later) {
        self.later.push_back((now + AGAIN, what));
    }

    /// Something waits for the next sign of life.
    pub fn hurry(&mut self, now: Instant) {
        self.renew = self.renew.min(now + SOON);
    }

    /// Whoever waits for this session looks again now.
    pub fn look_again(&mut self, key: &StoreKey) {
        for (at, what) in core::mem::take(&mut self.later) {
            match what {
                Later::Arrival(arrival) if arrival.locator == *key => {
                    self.ask(StoreOp::Peek { key: *key }, Purpose::Peek(arrival));
                }
                what => self.later.push_back((at, what)),
            }
        }
    }

    /// The end of a session that the store has not taken yet: it waits, or is just being written, or it is looked where to.
    pub fn unwritten_end(&self, key: &Locator) -> Option<End> {
        let being_written = self.purposes.iter().filter_map(|(id, purpose)| match purpose {
            Purpose::Bury { key: of, end, .. } if of == key => Some((*id, *end)),
            Purpose::Orphan {
                key: of,
                end: Some(end),
            } if of == key => Some((*id, *end)),
            _ => None,
        });
        let newest = being_written.max_by_key(|(id, _)| *id).map(|(_, end)| end);
        newest.or_else(|| self.unburied.get(key).copied())
    }

    /// Whether the host has something to do now.
    pub fn has_work(&self) -> bool {
        !self.queue.is_empty() || !self.wanted.is_empty() && self.parking < super::keep::PARKING_MAX
    }

    pub fn deadline(&self) -> Instant {
        self.later.front().map_or(self.renew, |(at, _)| self.renew.min(*at))
    }
}

impl Endpoint {
    /// The next thing for the host to ask of the store; the outcome comes back by [`Endpoint::handle_store`]. Nothing with
    /// [`Durability::Memory`]. Several may be under way at once; those about one key are to be carried out in order.
    pub fn poll_store(&mut self) -> Option<StoreRequest> {
        self.cluster.as_mut()?.queue.pop_front()
    }

    /// A request was carried out, or not. A reply to a request that is not under way is ignored.
    pub fn handle_store(&mut self, id: RequestId, reply: StoreReply, now: Instant) {
        self.tick(now);
        let Some(purpose) = self.cluster.as_mut().and_then(|cluster| cluster.purposes.remove(&id)) else {
            return;
        };
        if matches!(reply, StoreReply::Failed | StoreReply::Unavailable) {
            self.counters.store_failures += 1;
        }
        match purpose {
            Purpose::Lease(asked) => self.renewed(asked, &reply),
            Purpose::Receive => self.received_notes(reply),
            Purpose::Save {
                locator,
                token,
                mark,
                asked,
            } => self.saved(locator, token, mark, asked, &reply),
            Purpose::Park { locator, token } => self.parked(locator, token, &reply),
            Purpose::Check(locator, token) => self.checked(locator, token, reply),
            Purpose::Bury { key, end, tried } => self.buried(key, end, tried, &reply),
            Purpose::Peek(arrival) => self.peeked(arrival, reply),
            Purpose::Claim { claim, again } => self.claimed(claim, again, &reply),
            Purpose::ClaimCheck(claim) => self.claim_checked(claim, &reply),
            Purpose::Doubt(doubt) => self.doubt_settled(*doubt, &reply),
            Purpose::Orphan { key, end } => self.orphaned(key, end, &reply),
            Purpose::Mail { key, after } => self.mail_came(key, after, reply),
            Purpose::Bind { locator, stay, user } => self.bound(locator, stay, user, &reply),
            Purpose::Unseat(whom) => self.unseat(whom, reply),
            Purpose::Unseated(whom) => self.unseated(whom, &reply),
            Purpose::Nothing => {}
        }
    }

    /// This endpoint's name among those that share the store; [`Owner::NONE`] with [`Durability::Memory`].
    pub fn owner(&self) -> Owner {
        self.cluster.as_ref().map_or(Owner::NONE, |cluster| cluster.owner)
    }

    /// Whether the store is still to be told something, or has not said what became of it. Who leaves waits for that after the last session has gone.
    pub fn owes_store(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| {
            let idle = |purpose: &Purpose| matches!(purpose, Purpose::Lease(_) | Purpose::Receive);
            // Who is put out may be elsewhere, and a claim may hold the only copy; what else is tried again is of sessions that are here.
            let owed = |(_, later): &(Instant, Later)| matches!(later, Later::Unseat(_) | Later::Claim(_));
            !cluster.purposes.values().all(idle) || !cluster.unburied.is_empty() || cluster.later.iter().any(owed)
        })
    }

    /// Whether the store can be relied on at the moment: the last sign of life was taken, and is not over.
    pub fn store_is_up(&self) -> bool {
        self.cluster
            .as_ref()
            .is_some_and(|cluster| cluster.standing == Standing::Alive && self.now < cluster.leased)
    }

    pub(super) fn is_durable(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.durable)
    }

    pub(super) fn turns_away(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.turning_away)
    }

    pub(super) fn ask(&mut self, op: StoreOp, purpose: Purpose) {
        if let Some(cluster) = &mut self.cluster {
            cluster.ask(op, purpose);
        }
    }

    pub(super) fn try_later(&mut self, what: Later) {
        let now = self.now;
        if let Some(cluster) = &mut self.cluster {
            cluster.later(now, what);
        }
    }

    /// The timers of this file.
    pub(super) fn cluster_timeout(&mut self) {
        let now = self.now;
        let Some(cluster) = &mut self.cluster else { return };
        // Whether or not the one before was answered: one that hangs must not cost the lease.
        if cluster.renew <= now {
            let lease = self.config.timing.lease;
            cluster.renew = now + lease / 3;
            let owner = cluster.owner;
            cluster.ask(StoreOp::Lease { owner, life: lease }, Purpose::Lease(now));
        }
        let due = cluster.later.iter().take_while(|(at, _)| *at <= now).count();
        for _ in 0..due {
            let next = self.cluster.as_mut().and_then(|cluster| cluster.later.pop_front());
            match next {
                Some((_, Later::Arrival(arrival))) => self.arrive(arrival),
                // Others would take its owner for dead.
                Some((_, claim @ Later::Claim(_))) if !self.store_is_up() => self.try_later(claim),
                Some((_, Later::Claim(claim))) => self.put_claim(claim, true),
                Some((_, Later::Write(locator, token))) => self.write_again(locator, token),
                Some((_, Later::Check(locator, token))) => self.check_again(locator, token),
                Some((_, Later::Mail(locator))) => self.read_mail_again(locator),
                Some((_, Later::Bind(locator, stay))) => self.bind_again(locator, stay),
                Some((_, Later::Unseat(whom))) => self.look_whom_to_unseat(whom),
                None => {}
            }
        }
    }

    fn renewed(&mut self, asked: Instant, reply: &StoreReply) {
        let now = self.now;
        let Some(cluster) = &mut self.cluster else { return };
        let until = asked + self.config.timing.lease;
        if *reply != StoreReply::Done {
            // Not if a later one was taken meanwhile.
            if until > cluster.leased {
                cluster.standing = Standing::Failing;
                cluster.hurry(now);
            }
            return;
        }
        // The one before may have been over when this one was taken: nobody could leave a note in between.
        let lapsed = now >= cluster.leased;
        cluster.deaf |= lapsed;
        cluster.leased = cluster.leased.max(until);
        let before = core::mem::replace(&mut cluster.standing, Standing::Alive);
        if (before == Standing::Failing) | core::mem::replace(&mut cluster.deaf, false) {
            self.read_all_mail();
            self.tell_all_bindings(lapsed);
        }
        let Some(cluster) = &mut self.cluster else { return };
        if !cluster.listening {
            cluster.listening = true;
            let owner = cluster.owner;
            cluster.ask(StoreOp::Receive { owner }, Purpose::Receive);
        }
        self.bury_what_is_left();
    }

    fn received_notes(&mut self, reply: StoreReply) {
        let now = self.now;
        let Some(cluster) = &mut self.cluster else { return };
        let StoreReply::Notes(notes) = reply else {
            // Not at once again: with the next sign of life. A note may have gone with the answer.
            cluster.listening = false;
            cluster.deaf = true;
            return cluster.hurry(now);
        };
        let owner = cluster.owner;
        cluster.ask(StoreOp::Receive { owner }, Purpose::Receive);
        for note in notes {
            self.take_note(&note);
        }
    }
}
