//! Messages from servers to a session: read from its queue in the store, handed out once and in order.
//!
//! Two places in the queue: what has been read here, and what the application has taken. The second is part of each snapshot, so after a takeover reading
//! begins behind what the application's state has seen, and nowhere else. A note says that there is something to read; after a takeover
//! it is read in any case.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;

use super::cluster::{Later, Purpose};
use super::served::Served;
use super::{Endpoint, Locator};
use crate::event::{Event, State};
use crate::store::{Cursor, StoreOp, StoreReply};

/// Messages asked for at a time, and kept at most.
const BATCH: u32 = 64;

/// See the module's head.
#[derive(Default)]
pub struct Mail {
    waiting: VecDeque<(Cursor, Bytes)>,
    read: Cursor,
    taken: Cursor,
    trimmed: Cursor,
    reading: Reading,
    /// There may be more than was read.
    more: bool,
    told: bool,
}

/// Whether the queue is being read.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Reading {
    #[default]
    No,
    /// The store was asked.
    Asked,
    /// It could not be read: the timer asks again, and nobody before it.
    PutOff,
}

impl Mail {
    /// Of a restored session: all up to here is part of its application's state.
    pub fn behind(taken: Cursor) -> Self {
        Mail {
            read: taken,
            taken,
            trimmed: taken,
            ..Mail::default()
        }
    }

    /// The store has lost the record, and with it the queue: its messages are numbered anew. What was read of the former ones stands in front of all that come.
    pub fn begin_anew(&mut self) {
        (self.read, self.taken, self.trimmed) = (0, 0, 0);
        for (cursor, _) in &mut self.waiting {
            *cursor = 0;
        }
    }

    /// All up to here was taken by the application.
    pub fn taken(&self) -> Cursor {
        self.taken
    }

    /// The next message.
    pub fn pop(&mut self) -> Option<Bytes> {
        let next = self.waiting.pop_front();
        match next {
            Some((cursor, message)) => {
                self.taken = cursor;
                Some(message)
            }
            None => {
                self.told = false;
                None
            }
        }
    }

    /// The application was told that there is some, and could not take it.
    pub fn not_taken(&mut self) {
        self.told = false;
    }

    /// Whether it is time to read on.
    pub fn is_dry(&self) -> bool {
        self.more && self.may_read()
    }

    fn may_read(&self) -> bool {
        self.waiting.is_empty() && self.reading == Reading::No
    }
}

impl Served {
    /// Tells the application of messages, once, when it can take them.
    #[inline]
    pub fn tell_mail(&mut self) {
        if self.kept.is_some() {
            self.tell_kept_mail();
        }
    }

    fn tell_kept_mail(&mut self) {
        if let Some(kept) = &mut self.kept
            && !kept.mail.waiting.is_empty()
            && !self.talk.is_out_of_reach()
            && self.talk.state != State::Closed
            && self.talk.auth.may_deliver()
            && !core::mem::replace(&mut kept.mail.told, true)
        {
            self.talk.events.push_back(Event::Mail);
        }
    }
}

impl Endpoint {
    /// There may be messages in a session's queue.
    pub(super) fn read_mail(&mut self, key: Locator) {
        let Some(kept) = self.sessions.get_mut(&key).and_then(|served| served.kept.as_mut()) else {
            return;
        };
        let mail = &mut kept.mail;
        if !mail.may_read() {
            mail.more = true;
            return;
        }
        mail.reading = Reading::Asked;
        mail.more = false;
        let (after, max) = (mail.read, BATCH);
        self.ask(StoreOp::Read { key, after, max }, Purpose::Mail { key, after });
    }

    /// The moment after a reading that failed is over.
    pub(super) fn read_mail_again(&mut self, key: Locator) {
        if let Some(kept) = self.sessions.get_mut(&key).and_then(|served| served.kept.as_mut())
            && kept.mail.reading == Reading::PutOff
        {
            kept.mail.reading = Reading::No;
            self.read_mail(key);
        }
    }

    pub(super) fn mail_came(&mut self, key: Locator, after: Cursor, reply: StoreReply) {
        let Some(served) = self.sessions.get_mut(&key) else {
            return;
        };
        let Some(kept) = &mut served.kept else { return };
        let mail = &mut kept.mail;
        mail.reading = Reading::No;
        let StoreReply::Messages(messages) = reply else {
            mail.reading = Reading::PutOff;
            return self.try_later(Later::Mail(key));
        };
        if after != mail.read {
            // Asked for during an earlier stay here.
            return self.read_mail(key);
        }
        mail.more |= messages.len() >= BATCH as usize;
        for (cursor, message) in messages {
            if cursor > mail.read {
                mail.read = cursor;
                mail.waiting.push_back((cursor, message));
            }
        }
        if mail.is_dry() {
            self.read_mail(key);
        }
        self.touch(key);
    }

    /// Notes may have been lost: every queue is looked into. That of a session on its way out when it stays.
    pub(super) fn read_all_mail(&mut self) {
        let mut keys: Vec<Locator> = self.sessions.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            let kept = self.sessions.get_mut(&key).and_then(|served| served.kept.as_mut());
            match kept {
                Some(kept) if !kept.is_settled() => kept.mail.more = true,
                _ => self.read_mail(key),
            }
        }
    }

    /// Reads on when there may be more: all has been taken, or the session stays that was on its way out.
    pub(super) fn read_on(&mut self, key: Locator) {
        let served = self.sessions.get(&key).and_then(|served| served.kept.as_ref());
        if served.is_some_and(|kept| kept.mail.is_dry()) {
            self.read_mail(key);
        }
    }

    /// The store may forget what is safe: with `Durable` what a snapshot covers, else what was taken.
    pub(super) fn forget_mail(&mut self, key: Locator) {
        let durable = self.cluster.as_ref().is_some_and(|cluster| cluster.durable);
        let Some(kept) = self.sessions.get_mut(&key).and_then(|served| served.kept.as_mut()) else {
            return;
        };
        let upto = if durable {
            kept.committed_mail()
        } else {
            kept.mail.taken
        };
        if upto > kept.mail.trimmed {
            kept.mail.trimmed = upto;
            self.ask(StoreOp::Trim { key, upto }, Purpose::Nothing);
        }
    }
}
