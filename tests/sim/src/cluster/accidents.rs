//! What happens to processes and to the store, planned by a test or drawn by chance.

use core::time::Duration;

use unbroken::{Expect, Owner, Record, SessionId, StoreKey, StoreOp};

use super::{At, Down, Event, World, store_key};

/// A kind of accident that chance repeats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accident {
    Crash,
    Pause,
    Retire,
    /// An application has its session swapped out.
    Swap,
    StoreDown,
    Backup,
    Rollback,
    Spoil,
    Newer,
    PutOut,
}

impl Accident {
    pub const ALL: [Accident; 10] = [
        Accident::Crash,
        Accident::Pause,
        Accident::Retire,
        Accident::Swap,
        Accident::StoreDown,
        Accident::Backup,
        Accident::Rollback,
        Accident::Spoil,
        Accident::Newer,
        Accident::PutOut,
    ];
}

/// How long a retiring process is waited for between two looks, and how often.
const LOOK: Duration = Duration::from_millis(500);
const LOOKS: u32 = 20;

/// A format of the far future.
const NEWER: u8 = 200;

impl World {
    /// Mean time between two of a kind.
    pub(super) fn every(&self, accident: Accident) -> Duration {
        let mean = &self.options.accidents;
        match accident {
            Accident::Crash => mean.crash,
            Accident::Pause => mean.pause,
            Accident::Retire => mean.retire,
            Accident::Swap => mean.swap,
            Accident::StoreDown => mean.down,
            Accident::Backup if mean.rollback.is_zero() => Duration::ZERO,
            Accident::Backup => Duration::from_millis(500),
            Accident::Rollback => mean.rollback,
            Accident::Spoil => mean.spoil,
            Accident::Newer => mean.newer,
            Accident::PutOut => mean.put_out,
        }
    }

    pub(super) fn plan(&mut self, accident: Accident) {
        let every = self.every(accident);
        if !every.is_zero() && !self.healed {
            let after = self.fates.duration(Duration::ZERO..=every * 2);
            self.queue.after(after, Event::Accident(accident));
        }
    }

    pub(super) fn on_accident(&mut self, accident: Accident) {
        if self.healed {
            return;
        }
        let p = self.fates.below(self.processes.len() as u64) as usize;
        let at = self.at(p);
        match accident {
            Accident::Crash => self.crash(at),
            Accident::Pause => {
                let time = self.fates.duration(Duration::ZERO..=self.options.accidents.pause_for);
                self.pause(p, time);
            }
            Accident::Retire => self.retire(at),
            Accident::Swap => self.swap_something(p),
            Accident::StoreDown => {
                let time = self.fates.duration(Duration::ZERO..=self.options.accidents.down_for);
                self.take_store_down(Down::Either);
                self.queue.after(time, Event::StoreUp);
            }
            Accident::Backup => self.backup(),
            Accident::Rollback => {
                let by = self.fates.duration(Duration::ZERO..=self.options.accidents.rollback_by);
                self.roll_back(by);
            }
            Accident::Spoil => self.spoil_something(),
            Accident::Newer => {
                if let Some(key) = self.some_key() {
                    self.make_newer(&key);
                    let time = self.fates.duration(Duration::ZERO..=Duration::from_secs(5));
                    self.queue.after(time, Event::Mend(key));
                }
            }
            Accident::PutOut => self.put_somebody_out(p),
        }
        self.plan(accident);
    }

    // ---- processes ----

    /// kill -9: whatever the process had in memory is gone, and another takes its place.
    pub fn crash(&mut self, at: At) {
        if !self.is_there(at) {
            return;
        }
        self.counters.crashes += 1;
        let p = at.process;
        self.trace_at(p, "crash", at.life, 0);
        let owner = self.processes[p].endpoint.owner();
        for i in 0..self.talks.len() {
            let record = self.talks[i].id.and_then(|id| self.store.record(&store_key(id)));
            let owned = matches!(record, Some(Record::Live { owner: by, .. }) if *by == owner);
            if owned || record.is_none() || self.talks[i].holder == Some(at) {
                self.talks[i].excuses.crashed = true;
            }
        }
        self.replace(p);
    }

    /// Another process takes this one's place.
    fn replace(&mut self, p: usize) {
        let at = self.at(p);
        let conns: Vec<_> = self
            .ends
            .iter()
            .filter(|(_, ends)| ends.server == Some(at))
            .map(|(conn, _)| *conn)
            .collect();
        // A machine that is gone does not say so.
        let silent = !self.healed && self.fates.permille(200);
        for conn in conns {
            if silent {
                self.net.black_hole(conn, &mut self.queue);
            } else {
                self.net.kill(conn, &mut self.queue);
            }
        }
        self.listening.retain(|_, (from, _)| *from != at);
        self.key_free.retain(|(from, _), _| *from != at);
        let process = self.process(at.life + 1);
        self.processes[p] = process;
        self.after_process(p);
    }

    /// The process stands still for so long; everybody else goes on.
    pub fn pause(&mut self, p: usize, time: Duration) {
        let at = self.at(p);
        if self.processes[p].asleep.is_none() {
            self.counters.pauses += 1;
            self.trace_at(p, "falls asleep", 0, 0);
            self.processes[p].asleep = Some(Vec::new());
            self.processes[p].hampered = true;
            self.queue.after(time, Event::Wake(at));
        }
    }

    pub(super) fn wake(&mut self, at: At) {
        if !self.is_there(at) {
            return;
        }
        let p = at.process;
        self.trace_at(p, "wakes up", 0, 0);
        for event in self.processes[p].asleep.take().unwrap_or_default() {
            self.on_event(event);
        }
        if self.is_there(at) {
            self.settle(p);
        }
    }

    /// A planned restart: all sessions are swapped out, then another process takes the place.
    pub fn retire(&mut self, at: At) {
        if !self.is_there(at) || self.processes[at.process].retiring || self.processes[at.process].asleep.is_some() {
            return;
        }
        let p = at.process;
        self.trace_at(p, "retires", 0, 0);
        self.processes[p].retiring = true;
        if self.rng.coin() {
            // Politely: the clients are told first.
            let told = self.processes[p].endpoint.drain(Duration::from_millis(300), "");
            assert!(told.is_ok());
            self.after_process(p);
        }
        self.queue.after(LOOK, Event::Leaving(at, 0));
    }

    pub(super) fn on_leaving(&mut self, at: At, times: u32) {
        if !self.is_there(at) {
            return;
        }
        let p = at.process;
        if times == LOOKS {
            // The store does not take them: it stays (F-87).
            self.processes[p].endpoint.stay();
            self.processes[p].retiring = false;
            return self.after_process(p);
        }
        self.processes[p].endpoint.retire();
        self.after_process(p);
        if !self.is_there(at) {
            return;
        }
        if self.processes[p].endpoint.sessions() == 0 && !self.processes[p].endpoint.owes_store() {
            self.watch_leaving(p);
            self.counters.retired += 1;
            self.trace_at(p, "has left", 0, 0);
            if let Some((id, app)) = self.processes[p].apps.iter().find(|(_, app)| app.life.closed.is_none()) {
                self.fail(format_args!("{at:?} has left, and {id} with it, unnoticed: {app:?}"));
            }
            self.replace(p);
        } else {
            self.queue.after(LOOK, Event::Leaving(at, times + 1));
        }
    }

    /// The application of a session wants it swapped out.
    fn swap_something(&mut self, p: usize) {
        let ids: Vec<SessionId> = self.processes[p].apps.keys().copied().collect();
        if self.processes[p].asleep.is_some() || ids.is_empty() {
            return;
        }
        let id = *self.fates.pick(&ids);
        if let Some(mut session) = self.processes[p].endpoint.session(id) {
            session.swap_out();
        }
        self.after_process(p);
    }

    // ---- the store ----

    pub fn take_store_down(&mut self, how: Down) {
        self.down = Some(how);
        self.processes.iter_mut().for_each(|process| process.hampered = true);
        self.trace_at(0, "the store is down", 0, 0);
    }

    pub fn backup(&mut self) {
        let now = self.now();
        self.backups.push_back((now, self.store.clone()));
        if self.backups.len() > 30 {
            self.backups.pop_front();
        }
    }

    /// The store is as it was so long ago, or as long ago as anybody remembers.
    pub fn roll_back(&mut self, by: Duration) {
        let now = self.now();
        let Some((at, old)) = self.backups.iter().rev().find(|(at, _)| *at + by <= now) else {
            return;
        };
        let back = now.since(*at);
        self.store = old.clone();
        self.counters.rollbacks += 1;
        self.talks.iter_mut().for_each(|talk| talk.excuses.tampered = true);
        self.processes.iter_mut().for_each(|process| process.hampered = true);
        self.trace_at(0, "the store goes back", back.as_millis() as u64, 0);
    }

    fn some_key(&mut self) -> Option<StoreKey> {
        let keys = self.store.keys();
        (!keys.is_empty()).then(|| *self.fates.pick(&keys))
    }

    /// Whose session has this key.
    fn tamper(&mut self, key: &StoreKey) {
        let whose = self.talks.iter().position(|talk| talk.id.map(store_key) == Some(*key));
        if let Some(i) = whose {
            self.talks[i].excuses.tampered = true;
        }
        self.counters.spoilt += 1;
    }

    fn spoil_something(&mut self) {
        let Some(key) = self.some_key() else { return };
        self.tamper(&key);
        let now = self.now();
        let mut other = None;
        let (at, kind) = (self.fates.u64(), self.fates.below(5));
        self.trace_at(0, "the store spoils", kind, 0);
        match kind {
            0 => {
                self.store.spoil(&key, |blob| {
                    let at = at as usize % blob.len();
                    // The format and the key's id might be those of another server, who would be waited for.
                    let at = if (4..9).contains(&at) { 0 } else { at };
                    blob[at] ^= 1 << (at % 8);
                });
            }
            1 => {
                self.store.spoil(&key, |blob| blob.truncate(at as usize % blob.len()));
            }
            2 => {
                other = self.some_key();
                if let Some(other) = &other {
                    self.tamper(other);
                    self.swap_blobs(&key, other);
                }
            }
            3 => self.store.evict(&key),
            _ => self.store.expire(&key, now),
        }
        if kind <= 2 {
            let changed = [Some(key), other];
            changed.iter().flatten().for_each(|key| self.note_misquote(key));
        }
    }

    /// The blob under this key has been changed: if it is the word on a session's end, that is what its client may be told.
    pub fn note_misquote(&mut self, key: &StoreKey) {
        let whose = self.talks.iter().position(|talk| talk.id.map(store_key) == Some(*key));
        if let (Some(i), Some(code)) = (whose, self.store.epitaph(key)) {
            self.talks[i].misquotes.push(code);
        }
    }

    /// Each has the other's blob.
    pub fn swap_blobs(&mut self, one: &StoreKey, other: &StoreKey) {
        let mut blob = Vec::new();
        self.store.spoil(one, |own| blob.clone_from(own));
        let mut back = Vec::new();
        if !blob.is_empty() && self.store.spoil(other, |own| back = core::mem::replace(own, blob)) {
            self.store.spoil(one, |own| *own = back);
        }
    }

    /// The blob is of a format that nobody here knows.
    pub fn make_newer(&mut self, key: &StoreKey) {
        self.store.spoil(key, |blob| {
            if let [b'U', b'N', b'B', b'S', format, ..] = &mut blob[..] {
                *format = NEWER;
            }
        });
    }

    /// ... until somebody who knows it has written it anew.
    pub fn mend(&mut self, key: &StoreKey) {
        self.store.spoil(key, |blob| {
            if let [b'U', b'N', b'B', b'S', format @ NEWER, ..] = &mut blob[..] {
                *format = 1;
            }
        });
    }

    /// A write has been done: one that a dead process had sent takes its session to the grave, and one may take a session from its owner.
    pub(super) fn note_put(&mut self, key: &StoreKey, op: &StoreOp) {
        let StoreOp::Put {
            expect,
            record: Record::Live { owner, .. },
            ..
        } = op
        else {
            return;
        };
        let whose = |owner: &Owner| {
            let p = self
                .processes
                .iter()
                .position(|process| process.endpoint.owner() == *owner);
            p.map(|p| self.at(p))
        };
        let from = match expect {
            Expect::Live(_, before) if before != owner => whose(before),
            _ => None,
        };
        let to = whose(owner);
        if let Some(talk) = self.talks.iter_mut().find(|talk| talk.id.map(store_key) == Some(*key)) {
            talk.excuses.crashed |= to.is_none();
            talk.taken_from.extend(from);
            if let Some(at) = to {
                talk.taken_from.remove(&at);
            }
        }
    }

    /// A lease that is over: is that right?
    pub(super) fn note_lapse(&mut self, key: &StoreKey, record: &Record) {
        let Record::Live { owner, .. } = record else { return };
        let owner = self.processes.iter().find(|process| process.endpoint.owner() == *owner);
        if owner.is_some_and(|process| !process.hampered) {
            self.fail("the lease of a process is over that lives and was not hindered");
        }
        if let Some(i) = self.talks.iter().position(|talk| talk.id.map(store_key) == Some(*key)) {
            self.talks[i].excuses.crashed = true;
        }
    }

    /// The process that the store says has this session.
    pub fn owner_of(&self, id: SessionId) -> Option<usize> {
        let Some(Record::Live { owner, .. }) = self.store.record(&store_key(id)) else {
            return None;
        };
        self.processes
            .iter()
            .position(|process| process.endpoint.owner() == *owner)
    }
}
