//! Between a process and the store: each request takes its time, and may be lost, done without a word, or done too late.
//!
//! Requests of one process about one key are carried out in the order in which they were given out, as the contract says. Only one that its
//! host has given up may be carried out later, behind others.

use core::time::Duration;

use bytes::Bytes;
use unbroken::{Expect, Owner, Record, RequestId, SessionId, StoreKey, StoreOp, StoreReply, mail_note};

use super::{At, Down, Event, World};

/// What a request is, as far as a takeover is concerned.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    Peek,
    Create,
    Commit,
    Claim,
    Park,
    Bury,
    Lease,
    Send,
    Receive,
    Mail,
    Bind,
}

impl Step {
    pub const ALL: [Step; 11] = [
        Step::Peek,
        Step::Create,
        Step::Commit,
        Step::Claim,
        Step::Park,
        Step::Bury,
        Step::Lease,
        Step::Send,
        Step::Receive,
        Step::Mail,
        Step::Bind,
    ];

    pub fn of(op: &StoreOp) -> Self {
        match op {
            StoreOp::Peek { .. } => Step::Peek,
            StoreOp::Put { expect, record, .. } => match (expect, record) {
                (_, Record::Parked { .. }) => Step::Park,
                (_, Record::Tomb { .. }) => Step::Bury,
                (Expect::Absent, _) => Step::Create,
                (Expect::Live(_, before), Record::Live { owner, .. }) if before == owner => Step::Commit,
                _ => Step::Claim,
            },
            StoreOp::Lease { .. } => Step::Lease,
            StoreOp::Send { .. } => Step::Send,
            StoreOp::Receive { .. } => Step::Receive,
            StoreOp::Append { .. } | StoreOp::Read { .. } | StoreOp::Trim { .. } => Step::Mail,
            StoreOp::Bind { .. } => Step::Bind,
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreFate {
    Works,
    /// Not done, and the host knows.
    Unavailable,
    /// Not done, and nobody knows.
    Lost,
    /// Done, and the reply is lost.
    ReplyLost,
    /// Done so long after the host gave it up.
    Late(Duration),
    /// Done, and the reply comes so much later: no fault, but others are quicker.
    Slow(Duration),
    /// Carried out only so much later, but in time for its host.
    Held(Duration),
    /// The process dies before the request leaves it.
    CrashBefore,
    /// ... when it has been carried out, and before the reply is there.
    CrashBetween,
    /// ... right after it has taken the reply in.
    CrashAfter,
}

/// A request on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    pub from: At,
    pub id: RequestId,
    pub op: StoreOp,
    pub fate: StoreFate,
}

fn key_of(op: &StoreOp) -> Option<StoreKey> {
    match op {
        StoreOp::Peek { key }
        | StoreOp::Put { key, .. }
        | StoreOp::Append { key, .. }
        | StoreOp::Read { key, .. }
        | StoreOp::Trim { key, .. }
        | StoreOp::Bind { key, .. } => Some(*key),
        StoreOp::Lease { .. } | StoreOp::Send { .. } | StoreOp::Receive { .. } => None,
    }
}

/// The key under which the store has a session.
pub fn store_key(id: SessionId) -> StoreKey {
    *id.0.first_chunk().unwrap()
}

impl World {
    /// Takes one request of a process, if there is one.
    pub(super) fn poll_store(&mut self, p: usize) -> bool {
        let Some(request) = self.processes[p].endpoint.poll_store() else {
            return false;
        };
        let (from, id, op) = (self.at(p), request.id, request.op);
        let step = Step::of(&op);
        self.watch_request(p, id, &op);
        self.trace_at(p, step_name(step), id.0, op_number(&op));
        self.counters.requests += 1;
        let fate = self.draw_store_fate(p, step);
        let process = &mut self.processes[p];
        process.hampered |= step == Step::Lease && (fate != StoreFate::Works || self.down.is_some());
        if fate == StoreFate::CrashBefore {
            self.queue.after(Duration::ZERO, Event::Crash(from));
            return true;
        }
        let mut at = self.now() + self.store_latency();
        match fate {
            StoreFate::Late(by) => at = self.now() + self.options.store.timeout + by,
            StoreFate::Held(by) => at += by,
            _ => {}
        }
        if let Some(key) = key_of(&op) {
            let free = self.key_free.entry((from, key)).or_insert(at);
            at = at.max(*free);
            if !matches!(fate, StoreFate::Late(_)) {
                *free = at;
            }
        }
        if matches!(fate, StoreFate::Late(_)) {
            let given_up = self.now() + self.options.store.timeout;
            self.queue
                .at(given_up, Event::Reply(from, id, StoreReply::Failed, false));
        }
        self.queue
            .at(at, Event::Store(Box::new(Request { from, id, op, fate })));
        true
    }

    fn store_latency(&mut self) -> Duration {
        self.rng.duration(Duration::ZERO..=self.options.store.latency)
    }

    fn draw_store_fate(&mut self, p: usize, step: Step) -> StoreFate {
        let planned = self
            .store_script
            .iter()
            .position(|(at, when, _)| at.is_none_or(|at| at == p) && *when == step);
        if let Some(index) = planned {
            return self.store_script.remove(index).2;
        }
        // Ends come when all else is calm: the store does not make them easier.
        if self.healed && step != Step::Bury || step == Step::Receive {
            return StoreFate::Works;
        }
        let faults = self.options.store.clone();
        let rng = &mut self.fates;
        let fate = match () {
            () if rng.permille(faults.unavailable) => StoreFate::Unavailable,
            () if rng.permille(faults.lost) => StoreFate::Lost,
            () if rng.permille(faults.reply_lost) => StoreFate::ReplyLost,
            () if rng.permille(faults.late) => StoreFate::Late(rng.duration(Duration::ZERO..=faults.late_by)),
            () if step != Step::Lease && !self.healed && rng.permille(faults.crash_at_step) => {
                *rng.pick(&[StoreFate::CrashBefore, StoreFate::CrashBetween, StoreFate::CrashAfter])
            }
            () => return StoreFate::Works,
        };
        self.counters.store_faults += 1;
        self.counters.faults_at[step as usize] += 1;
        fate
    }

    /// A request has reached the store, or would have.
    pub(super) fn on_store(&mut self, request: Request) {
        let Request { from, id, op, fate } = request;
        let late = matches!(fate, StoreFate::Late(_));
        let refuses = match self.down {
            None | Some(Down::Silent) => false,
            Some(Down::Refuses) => true,
            Some(Down::Either) => self.rng.coin(),
        };
        if fate == StoreFate::Unavailable || refuses {
            let after = self.store_latency();
            let reply = Event::Reply(from, id, StoreReply::Unavailable, false);
            if !late {
                self.queue.after(after, reply);
            }
            return;
        }
        if fate == StoreFate::Lost || self.down.is_some() {
            let after = self.options.store.timeout;
            let reply = Event::Reply(from, id, StoreReply::Failed, false);
            if !late {
                self.queue.after(after, reply);
            }
            return;
        }
        let Some(reply) = self.carry_out(&op) else {
            let StoreOp::Receive { owner } = op else {
                unreachable!("only Receive waits")
            };
            self.listening.insert(owner, (from, id));
            return self
                .queue
                .after(Duration::from_secs(3), Event::NoNotes(owner, from, id));
        };
        if late {
            return;
        }
        let after = self.store_latency();
        match fate {
            StoreFate::ReplyLost => self.queue.after(
                self.options.store.timeout,
                Event::Reply(from, id, StoreReply::Failed, false),
            ),
            StoreFate::CrashBetween => self.crash(from),
            StoreFate::Slow(by) => self.queue.after(by, Event::Reply(from, id, reply, false)),
            fate => {
                let dies = fate == StoreFate::CrashAfter;
                self.queue.after(after, Event::Reply(from, id, reply, dies));
            }
        }
    }

    /// Does it to the store, with what the store itself does wrong.
    fn carry_out(&mut self, op: &StoreOp) -> Option<StoreReply> {
        let now = self.now();
        if let StoreOp::Send { to, note } = op {
            let (lost, doubled) = if self.healed {
                (0, 0)
            } else {
                (self.options.store.note_lost, self.options.store.note_doubled)
            };
            if self.fates.permille(lost) {
                self.counters.store_faults += 1;
                return Some(StoreReply::Done);
            }
            let reply = self.store.apply(op, now);
            if reply == Some(StoreReply::Done) && self.fates.permille(doubled) {
                self.store.apply(op, now);
            }
            let _ = note;
            self.wake_listener(*to);
            return reply;
        }
        let reply = self.store.apply(op, now);
        if let (StoreOp::Put { key, .. }, Some(StoreReply::Done)) = (op, &reply) {
            self.note_put(key, op);
        }
        if let (StoreOp::Peek { key }, Some(StoreReply::Peeked(Some(found)))) = (op, &reply)
            && matches!(found.record, Record::Live { .. })
            && !found.owner_alive
        {
            self.note_lapse(key, &found.record);
        }
        reply
    }

    fn wake_listener(&mut self, owner: Owner) {
        if let Some((from, id)) = self.listening.remove(&owner) {
            match self.store.apply(&StoreOp::Receive { owner }, self.now()) {
                Some(notes) => {
                    let after = self.store_latency();
                    self.queue.after(after, Event::Reply(from, id, notes, false));
                }
                None => {
                    self.listening.insert(owner, (from, id));
                }
            }
        }
    }

    pub(super) fn on_no_notes(&mut self, owner: Owner, from: At, id: RequestId) {
        if self.listening.get(&owner) == Some(&(from, id)) {
            self.listening.remove(&owner);
            let now = self.now();
            self.queue
                .at(now, Event::Reply(from, id, StoreReply::Notes(Vec::new()), false));
        }
    }

    pub(super) fn on_reply(&mut self, from: At, id: RequestId, reply: StoreReply, dies: bool) {
        if !self.is_there(from) {
            return;
        }
        let p = from.process;
        self.trace_at(p, reply_name(&reply), id.0, 0);
        let now = self.now();
        self.watch_reply(p, id, &reply);
        self.processes[p].endpoint.handle_store(id, reply, now);
        self.after_process(p);
        if dies {
            self.crash(from);
        }
    }

    /// A server somewhere has a message for the session of client `i`.
    pub fn post(&mut self, i: usize) {
        let Some(id) = self.talks[i].id else { return };
        let n = self.talks[i].mail.len() as u64;
        let message = self.talks[i].letters.message(n);
        let key = store_key(id);
        if self.down.is_some() || self.talks[i].client_closed() {
            return;
        }
        let op = StoreOp::Append {
            key,
            message: message.clone().into(),
            life: Duration::from_secs(3600),
        };
        let reply = self.store.apply(&op, self.now());
        if let Some(StoreReply::Appended { cursor, owner }) = reply {
            let talk = &mut self.talks[i];
            if cursor != n + 1 && !talk.excuses.tampered {
                self.fail(format_args!("the store gave {cursor} to message {n} for client {i}"));
            }
            if cursor == n + 1 {
                talk.push_mail(&message);
            }
            if let Some(to) = owner {
                let note = mail_note(key);
                self.carry_out(&StoreOp::Send { to, note });
            }
        }
    }

    /// Tells the owner of the session of client `i` that there is mail, for certain.
    pub(super) fn remind(&mut self, i: usize) {
        let Some(id) = self.talks[i].id else { return };
        let key = store_key(id);
        if let Some(Record::Live { owner, .. }) = self.store.record(&key) {
            let (to, note): (Owner, Bytes) = (*owner, mail_note(key));
            self.carry_out(&StoreOp::Send { to, note });
        }
    }
}

fn step_name(step: Step) -> &'static str {
    match step {
        Step::Peek => "ask Peek",
        Step::Create => "ask Put: create",
        Step::Commit => "ask Put: commit",
        Step::Claim => "ask Put: claim",
        Step::Park => "ask Put: park",
        Step::Bury => "ask Put: bury",
        Step::Lease => "ask Lease",
        Step::Send => "ask Send",
        Step::Receive => "ask Receive",
        Step::Mail => "ask for mail",
        Step::Bind => "ask Bind",
    }
}

fn reply_name(reply: &StoreReply) -> &'static str {
    match reply {
        StoreReply::Done => "told Done",
        StoreReply::Conflict => "told Conflict",
        StoreReply::Peeked(None) => "told of nothing",
        StoreReply::Peeked(Some(peeked)) => match peeked.record {
            Record::Live { .. } => "told of Live",
            Record::Parked { .. } => "told of Parked",
            Record::Tomb { .. } => "told of Tomb",
        },
        StoreReply::Notes(_) => "told Notes",
        StoreReply::Appended { .. } => "told Appended",
        StoreReply::NoSession => "told NoSession",
        StoreReply::Messages(_) => "told Messages",
        StoreReply::Bound(_) => "told Bound",
        StoreReply::Unavailable => "told Unavailable",
        StoreReply::Failed => "told Failed",
    }
}

fn op_number(op: &StoreOp) -> u64 {
    match op {
        StoreOp::Put { record, .. } => record.token(),
        _ => 0,
    }
}
