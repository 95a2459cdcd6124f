//! What must be true of a server process whatever happens: what it asks of the store, what it counts, what it leaves behind.
//!
//! | rule | |
//! |---|---|
//! | a session is taken from a server that lives | only half a second after that was asked to let go of it |
//! | ... from anybody | only by one whose own lease stands, as far as it knows |
//! | what is written | fits the limit of a snapshot |
//! | how long a session had no link | [`crate::absence`] |
//! | the counters | whoever came has ended, has left or is here; nobody lost more links than there were; no record of an honest client is refused |
//! | whoever has left | is nobody's owner any more |

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use unbroken::{
    Endpoint, Event as CoreEvent, Expect, Instant, Owner, Record, RequestId, StoreKey, StoreOp, StoreReply,
};

use super::{World, store_key};
use crate::absence::Tally;

/// How long an owner has to let go (`src/endpoint/takeover.rs`).
const PATIENCE: Duration = Duration::from_millis(500);

/// What the test remembers of a process.
#[derive(Debug, Default)]
pub struct Watch {
    /// When it asked which owner for what: each of two connections that bring the same session asks.
    asked: BTreeMap<(Owner, StoreKey), Vec<Instant>>,
    /// Its claims: one whose answer was lost is tried again.
    claims: BTreeSet<(StoreKey, u64)>,
    /// Its signs of life that are under way, and when it gave them.
    leases: BTreeMap<RequestId, Instant>,
    /// The latest that was taken.
    taken: Option<Instant>,
    /// Whether its lease stands, by what it was told.
    leased: bool,
    /// Sessions that it was told have left.
    left: u64,
}

/// Whether the counters of an endpoint fit each other, `left` being how many sessions its applications were told have left.
pub fn check_counters(endpoint: &Endpoint, left: u64) -> Result<(), String> {
    let counters = endpoint.counters();
    let (here, detached) = (endpoint.sessions() as u64, endpoint.detached() as u64);
    let came = counters.sessions_opened + counters.takeovers;
    let went = counters.sessions_closed + left;
    let links = counters.sessions_opened + counters.resumes;
    // One that has ended and says goodbye still counts as here, and one whose client was never let in leaves uncounted.
    let fits = went <= came
        && came <= went + here
        && counters.swapped_out <= left
        && counters.fenced <= counters.swapped_out
        && counters.detached <= links
        && detached <= here;
    if fits {
        return Ok(());
    }
    Err(format!(
        "{here} sessions, {detached} without a link, {left} told to have left, and it counts {counters:?}"
    ))
}

impl World {
    /// A process asks something of the store.
    pub(super) fn watch_request(&mut self, p: usize, id: RequestId, op: &StoreOp) {
        let now = self.now();
        match op {
            StoreOp::Lease { .. } => {
                self.processes[p].watch.leases.insert(id, now);
            }
            StoreOp::Send { to, note } => {
                // An Ask, see `src/endpoint/notes.rs`.
                if let [1, rest @ ..] = &note[..]
                    && let Some(key) = rest.get(16..24).and_then(|key| key.first_chunk::<8>())
                {
                    self.processes[p].watch.asked.entry((*to, *key)).or_default().push(now);
                }
            }
            StoreOp::Put {
                key, expect, record, ..
            } => {
                let (Record::Live { blob, .. } | Record::Parked { blob, .. } | Record::Tomb { blob, .. }) = record;
                if blob.len() > self.options.limits.snapshot as usize {
                    self.fail(format_args!(
                        "process {p} writes {} bytes, over the limit of a snapshot",
                        blob.len()
                    ));
                }
                self.watch_claim(p, *key, expect, record);
            }
            _ => {}
        }
    }

    fn watch_claim(&mut self, p: usize, key: StoreKey, expect: &Expect, record: &Record) {
        let (now, me) = (self.now(), self.processes[p].endpoint.owner());
        let before = match (expect, record) {
            (Expect::Live(_, before), Record::Live { owner, .. }) if *before != me && *owner == me => Some(*before),
            (Expect::Parked(_), Record::Live { owner, .. }) if *owner == me => None,
            _ => return,
        };
        let watch = &mut self.processes[p].watch;
        let first = watch.claims.insert((key, record.token()));
        if !watch.leased {
            self.fail(format_args!("process {p} claims a session and has no lease"));
        }
        // What follows was asked when it was made for the first time.
        if !first {
            return;
        }
        let Some(before) = before else { return };
        // The oldest is answered for by this claim.
        let asked = watch.asked.get_mut(&(before, key)).filter(|asked| !asked.is_empty());
        let asked = asked.map(|asked| asked.remove(0));
        let is_it = |process: &&super::Process| process.endpoint.owner() == before;
        let lives = self
            .processes
            .iter()
            .find(is_it)
            .is_some_and(|process| !process.hampered);
        if lives && asked.is_none_or(|asked| now < asked + PATIENCE) {
            self.fail(format_args!(
                "process {p} claims a session from one that lives, and asked it at {asked:?}, now it is {now:?}"
            ));
        }
    }

    /// ... and has its answer.
    pub(super) fn watch_reply(&mut self, p: usize, id: RequestId, reply: &StoreReply) {
        let watch = &mut self.processes[p].watch;
        let Some(asked) = watch.leases.remove(&id) else { return };
        if *reply == StoreReply::Done {
            watch.leased = true;
            watch.taken = watch.taken.max(Some(asked));
        } else if Some(asked) > watch.taken {
            // One that comes to nothing after a later one was taken says nothing.
            watch.leased = false;
        }
    }

    pub(super) fn watch_event(&mut self, p: usize, event: &CoreEvent) {
        self.processes[p].watch.left += u64::from(*event == CoreEvent::SwappedOut);
    }

    /// A process was called about a connection of this client's: before, its links stood so.
    pub(super) fn watch_absence(&mut self, p: usize, client: Option<usize>, before: Tally) {
        let now = self.now();
        let id = client.and_then(|i| self.talks[i].id);
        let process = &mut self.processes[p];
        let after = Tally::of(&process.endpoint);
        // One of which its client never learned has no application, and the call may concern it.
        let unknown = process.endpoint.sessions() > process.apps.len();
        if let Some(app) = id.and_then(|id| process.apps.get_mut(&id)) {
            if unknown && before.differs(after) {
                app.absence.lose_track();
            } else {
                app.absence.see_call(before, after, now);
            }
        }
    }

    /// All is drained.
    pub(super) fn watch_told(&mut self, p: usize) {
        for app in self.processes[p].apps.values_mut() {
            let i = app.client;
            if let Err(wrong) = app.absence.see_all_told()
                && self.talks[i].closed_by_server.is_none()
            {
                self.fail(format_args!("process {p}, session of client {i}: {wrong}"));
            }
        }
    }

    /// All is drained.
    pub(super) fn watch_counters(&self, p: usize) {
        let process = &self.processes[p];
        if let Err(wrong) = check_counters(&process.endpoint, process.watch.left) {
            self.fail(format_args!("process {p}: {wrong}"));
        }
        // The network changes nothing here, so whatever comes of an honest client is taken or left.
        let bad = process.endpoint.counters().bad_records;
        if bad > 0 && !self.talks.iter().any(|talk| talk.excuses.tampered) {
            self.fail(format_args!("process {p} refuses {bad} records of honest clients"));
        }
    }

    /// A process has left, and owes the store nothing.
    pub(super) fn watch_leaving(&self, p: usize) {
        let owner = self.processes[p].endpoint.owner();
        for (i, talk) in self.talks.iter().enumerate() {
            let record = talk.id.and_then(|id| self.store.record(&store_key(id)));
            if matches!(record, Some(Record::Live { owner: by, .. }) if *by == owner) && !talk.excuses.tampered {
                self.fail(format_args!(
                    "process {p} has left, and the store calls it the owner of the session of client {i}"
                ));
            }
        }
    }
}
