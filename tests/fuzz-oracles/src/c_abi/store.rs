//! A store for the servers of one process, to the letter of the header: maps, and a clock that is given.

use std::collections::BTreeMap;

use unbroken_c_calls::abi::unbroken_record::*;
use unbroken_c_calls::abi::unbroken_store_op::*;
use unbroken_c_calls::abi::unbroken_store_reply_kind::*;
use unbroken_c_calls::abi::unbroken_store_request;
use unbroken_c_calls::{Calls, Data, Handle, Reply};

type Key = [u8; 8];
type Owner = [u8; 16];

struct Record {
    kind: i32,
    token: u64,
    owner: Owner,
    data: Vec<u8>,
    until: u64,
    gone: u64,
}

#[derive(Default)]
struct Queue {
    last: u64,
    messages: BTreeMap<u64, Vec<u8>>,
}

/// A RECEIVE that waits for notes.
struct Waiting {
    endpoint: Handle,
    id: u64,
    owner: Owner,
    until: u64,
}

/// What is answered later, and then not known.
struct Silent {
    endpoint: Handle,
    id: u64,
}

#[derive(Default)]
pub struct Store {
    records: BTreeMap<Key, Record>,
    queues: BTreeMap<Key, Queue>,
    notes: BTreeMap<Owner, Vec<Vec<u8>>>,
    leases: BTreeMap<Owner, u64>,
    users: BTreeMap<[u8; 32], Vec<Key>>,
    waiting: Vec<Waiting>,
    silent: Vec<Silent>,
    pub mode: Mode,
    /// The last requests, for replies that it never gave.
    pub asked: Vec<u64>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Mode {
    #[default]
    Works,
    /// Nothing is done.
    Unavailable,
    /// It is not known whether it was done; it was not, or it was.
    Failed { done: bool },
    /// No answer until it works again.
    Silent,
}

impl Mode {
    pub fn of(number: u8) -> Mode {
        match number % 8 {
            0..=3 => Mode::Works,
            4 => Mode::Unavailable,
            5 => Mode::Failed { done: false },
            6 => Mode::Failed { done: true },
            _ => Mode::Silent,
        }
    }
}

/// What is to be answered.
#[derive(Default)]
struct Answer {
    reply: Reply<'static>,
    data: Vec<u8>,
    items: Vec<(u64, Vec<u8>)>,
}

impl Answer {
    fn of(kind: unbroken_c_calls::abi::unbroken_store_reply_kind) -> Answer {
        let reply = Reply {
            kind: kind as i32,
            ..Reply::default()
        };
        Answer {
            reply,
            ..Answer::default()
        }
    }

    fn give(&self, calls: &mut Calls, to: Handle, id: u64, now: u64) {
        let items = self.items.iter().map(|(at, data)| (*at, Data::Bytes(data))).collect();
        let reply = Reply {
            data: Data::Bytes(&self.data),
            items,
            ..self.reply.clone()
        };
        assert_eq!(
            calls.endpoint_handle_store(to, id, &reply, now),
            0,
            "an honest reply is taken"
        );
    }
}

impl Store {
    /// Carries out one request of an endpoint, whose data is there.
    pub fn serve(&mut self, calls: &mut Calls, of: Handle, asked: &unbroken_store_request, data: Vec<u8>, now: u64) {
        self.asked.push(asked.id);
        let answer = match self.mode {
            Mode::Works => match self.apply(of, asked, data, now) {
                Some(answer) => answer,
                None => return,
            },
            Mode::Unavailable => Answer::of(UNBROKEN_REPLY_UNAVAILABLE),
            Mode::Failed { done } => {
                if done && asked.op != UNBROKEN_STORE_RECEIVE as i32 {
                    self.apply(of, asked, data, now);
                }
                Answer::of(UNBROKEN_REPLY_FAILED)
            }
            Mode::Silent => {
                self.silent.push(Silent {
                    endpoint: of,
                    id: asked.id,
                });
                return;
            }
        };
        answer.give(calls, of, asked.id, now);
    }

    /// Answers those who wait; whether there was one.
    pub fn answer(&mut self, calls: &mut Calls, now: u64) -> bool {
        let mut any = false;
        if self.mode != Mode::Silent {
            for Silent { endpoint, id } in std::mem::take(&mut self.silent) {
                any = true;
                if calls.is_alive(endpoint) {
                    Answer::of(UNBROKEN_REPLY_FAILED).give(calls, endpoint, id, now);
                }
            }
        }
        for waiting in std::mem::take(&mut self.waiting) {
            if !calls.is_alive(waiting.endpoint) {
                continue;
            }
            let notes = self.notes.remove(&waiting.owner).unwrap_or_default();
            if notes.is_empty() && now < waiting.until {
                self.waiting.push(waiting);
                continue;
            }
            any = true;
            let mut answer = Answer::of(UNBROKEN_REPLY_NOTES);
            answer.items = notes.into_iter().map(|note| (0, note)).collect();
            answer.give(calls, waiting.endpoint, waiting.id, now);
        }
        any
    }

    /// When the next RECEIVE is answered at the latest.
    pub fn deadline(&self) -> Option<u64> {
        self.waiting.iter().map(|waiting| waiting.until).min()
    }

    /// Puts a message into a session's queue, and a note for its owner; whether there is such a session.
    pub fn mail(&mut self, calls: &mut Calls, key: Key, message: Vec<u8>, now: u64) -> bool {
        let Some(record) = self.records.get(&key).filter(|record| record.until > now) else {
            return false;
        };
        if record.kind == UNBROKEN_RECORD_TOMB as i32 {
            return false;
        }
        let queue = self.queues.entry(key).or_default();
        queue.last += 1;
        queue.messages.insert(queue.last, message);
        if record.kind == UNBROKEN_RECORD_LIVE as i32 {
            let note = calls.mail_note(Some(key), unbroken_c_calls::Space::Of(512));
            self.notes.entry(record.owner).or_default().push(note.bytes);
        }
        true
    }

    fn apply(&mut self, of: Handle, asked: &unbroken_store_request, data: Vec<u8>, now: u64) -> Option<Answer> {
        self.records.retain(|_, record| record.gone > now);
        let is = |op: unbroken_c_calls::abi::unbroken_store_op| asked.op == op as i32;
        Some(if is(UNBROKEN_STORE_PEEK) {
            self.peek(asked.key, now)
        } else if is(UNBROKEN_STORE_PUT) {
            self.put(asked, data, now)
        } else if is(UNBROKEN_STORE_LEASE) {
            if asked.life_us == 0 {
                self.notes.remove(&asked.owner);
                self.leases.remove(&asked.owner);
            } else {
                self.leases.insert(asked.owner, now.saturating_add(asked.life_us));
            }
            Answer::of(UNBROKEN_REPLY_DONE)
        } else if is(UNBROKEN_STORE_SEND) {
            assert!(data.len() <= 512, "a note of {} bytes", data.len());
            if self.leases.get(&asked.owner).is_none_or(|until| *until <= now) {
                return Some(Answer::of(UNBROKEN_REPLY_CONFLICT));
            }
            self.notes.entry(asked.owner).or_default().push(data);
            Answer::of(UNBROKEN_REPLY_DONE)
        } else if is(UNBROKEN_STORE_RECEIVE) {
            assert!(
                !self.waiting.iter().any(|waiting| waiting.endpoint == of),
                "an endpoint has more than one RECEIVE out"
            );
            let until = now.saturating_add(2_000_000);
            self.waiting.push(Waiting {
                endpoint: of,
                id: asked.id,
                owner: asked.owner,
                until,
            });
            return None;
        } else if is(UNBROKEN_STORE_READ) {
            let mut answer = Answer::of(UNBROKEN_REPLY_MESSAGES);
            let messages = self
                .queues
                .get(&asked.key)
                .map(|queue| queue.messages.range(asked.cursor + 1..));
            let messages = messages.into_iter().flatten().take(asked.max as usize);
            answer.items = messages.map(|(at, message)| (*at, message.clone())).collect();
            answer
        } else if is(UNBROKEN_STORE_TRIM) {
            if let Some(queue) = self.queues.get_mut(&asked.key) {
                queue.messages.retain(|at, _| *at > asked.cursor);
            }
            Answer::of(UNBROKEN_REPLY_DONE)
        } else if is(UNBROKEN_STORE_BIND) {
            self.bind(asked)
        } else {
            // An endpoint appends nothing by itself.
            panic!("the store is asked for {}", asked.op);
        })
    }

    fn peek(&self, key: Key, now: u64) -> Answer {
        let mut answer = Answer::of(UNBROKEN_REPLY_PEEKED);
        if let Some(record) = self.records.get(&key) {
            let live = record.kind == UNBROKEN_RECORD_LIVE as i32;
            answer.reply.record = record.kind;
            answer.reply.token = record.token;
            answer.reply.owner = record.owner;
            answer.reply.expired = record.until <= now;
            answer.reply.owner_alive = live && self.leases.get(&record.owner).is_some_and(|until| *until > now);
            answer.data = record.data.clone();
        }
        answer
    }

    fn put(&mut self, asked: &unbroken_store_request, data: Vec<u8>, now: u64) -> Answer {
        let there = self.records.get(&asked.key).filter(|record| record.until > now);
        let kind = there.map_or(UNBROKEN_RECORD_NONE as i32, |record| record.kind);
        let same = there.is_none_or(|record| {
            let owned = record.kind != UNBROKEN_RECORD_LIVE as i32 || record.owner == asked.expect_owner;
            record.token == asked.expect_token && owned
        });
        if kind != asked.expect || !same {
            return Answer::of(UNBROKEN_REPLY_CONFLICT);
        }
        let until = now.saturating_add(asked.life_us);
        let parked = asked.record == UNBROKEN_RECORD_PARKED as i32;
        let record = Record {
            kind: asked.record,
            token: asked.token,
            owner: asked.owner,
            data,
            until,
            gone: until.saturating_add(if parked { asked.linger_us } else { 0 }),
        };
        self.records.insert(asked.key, record);
        Answer::of(UNBROKEN_REPLY_DONE)
    }

    fn bind(&mut self, asked: &unbroken_store_request) -> Answer {
        let sessions = self.users.entry(asked.user).or_default();
        match sessions.iter().rposition(|key| *key == asked.key) {
            Some(at) if at + 1 < sessions.len() => return Answer::of(UNBROKEN_REPLY_CONFLICT),
            Some(_) => {}
            None => sessions.push(asked.key),
        }
        let mut answer = Answer::of(UNBROKEN_REPLY_BOUND);
        answer.reply.key = sessions.iter().rev().nth(1).copied();
        answer
    }
}
