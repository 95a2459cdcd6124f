//! Notes between endpoints, by way of their mailboxes in the store.
//!
//! ```text
//!   1 Ask      from 16 │ key 8 │ the first 80 bytes of the client's RESUME      let go of this session: its client is here
//!   2 Handed   key 8                                                            look again, it is yours to take
//!   3 Mail     key 8                                                            a message waits in its queue
//!   4 Unseat   key 8 │ code 4 │ nothing, or the digest of a user 32             that user is somewhere else now: if it is his, it ends
//! ```
//!
//! A note is a hint that saves waiting. What follows from it is proved otherwise: by the client's mac1, by a compare-and-set, by reading the queue.

use alloc::vec::Vec;
use bytes::Bytes;

use super::cluster::Purpose;
use super::users::UserDigest;
use super::{Endpoint, Locator};
use crate::store::{Owner, StoreKey, StoreOp};
use crate::wire::flight::{MAC1_LEN, MAC1_OFFSET, RESUME_JUDGED, ResumeHeader};
use crate::wire::prelude;
use crate::wire::reader::Reader;

const ASK: u8 = 1;
const HANDED: u8 = 2;
const MAIL: u8 = 3;
const UNSEAT: u8 = 4;

/// What to put into the mailbox of a session's owner after a message was appended to the session's queue ([`StoreOp::Append`]).
pub fn mail_note(key: StoreKey) -> Bytes {
    about(MAIL, &key)
}

pub fn ask(from: Owner, key: &Locator, flight: &[u8]) -> Bytes {
    let mut note = Vec::with_capacity(1 + 16 + 8 + RESUME_JUDGED);
    note.push(ASK);
    note.extend_from_slice(&from.0);
    note.extend_from_slice(key);
    note.extend_from_slice(&flight[..RESUME_JUDGED.min(flight.len())]);
    note.into()
}

pub fn handed(key: &Locator) -> Bytes {
    about(HANDED, key)
}

pub fn unseat(key: &Locator, code: u32, user: Option<&UserDigest>) -> Bytes {
    let mut note = Vec::from(&about(UNSEAT, key)[..]);
    note.extend_from_slice(&code.to_be_bytes());
    note.extend(user.into_iter().flatten());
    note.into()
}

fn about(kind: u8, key: &Locator) -> Bytes {
    let mut note = Vec::with_capacity(9);
    note.push(kind);
    note.extend_from_slice(key);
    note.into()
}

impl Endpoint {
    /// One that cannot be read is of a newer version, and left alone.
    pub(super) fn take_note(&mut self, note: &[u8]) {
        let mut reader = Reader::new(note);
        let kind = reader.u8();
        let from = if kind == Some(ASK) {
            reader.array()
        } else {
            Some([0; 16])
        };
        let (Some(kind), Some(from), Some(key)) = (kind, from, reader.array()) else {
            return;
        };
        match kind {
            ASK => self.asked(Owner(from), key, reader.rest()),
            HANDED => {
                if let Some(cluster) = &mut self.cluster {
                    cluster.look_again(&key);
                }
            }
            MAIL => self.read_mail(key),
            UNSEAT => {
                if let Some(code) = reader.u32() {
                    let user = reader.array();
                    self.unseat_here(key, code, user.as_ref());
                }
            }
            _ => {}
        }
    }

    /// Another endpoint has a client that wants to resume a session of this one. The flight must prove that it could: nobody can move a session that
    /// he cannot resume.
    fn asked(&mut self, from: Owner, key: Locator, flight: &[u8]) {
        let here = self.sessions.get_mut(&key);
        let Some(served) = here.filter(|served| served.talk.closing.reason().is_none()) else {
            // Not here, or ended here: the record will say so.
            self.ask(StoreOp::Peek { key }, Purpose::Orphan { key, end: None });
            return self.tell_handed(key, from);
        };
        let Some(header) = flight
            .get(prelude::LEN..)
            .and_then(|rest| ResumeHeader::parse(rest).ok())
        else {
            return;
        };
        let named = self.handles.open(&header.handle);
        let Some((locator, generation)) = named.filter(|_| flight.len() == RESUME_JUDGED) else {
            return;
        };
        let (mac1, e) = flight[MAC1_OFFSET..].split_at(MAC1_LEN);
        let proved = served
            .ratchet
            .find(generation)
            .is_some_and(|resumption| resumption.verify_mac1(&flight[..MAC1_OFFSET], e, mac1));
        if locator != key || !proved {
            self.counters.resumes_forged += 1;
        } else if header.attempt <= served.highest_attempt() {
            self.counters.resumes_stale += 1;
        } else if served.talk.closing.has_begun() {
            // Nobody hears the goodbye here any more, and whoever asks must find the end in the record.
            served.talk.cut_goodbye_short();
            self.touch(key);
            self.tell_handed(key, from);
        } else {
            self.leave(key, Some(from));
        }
    }

    /// Whoever asked for a session may look at its record.
    pub(super) fn tell_handed(&mut self, key: Locator, to: Owner) {
        let note = handed(&key);
        self.ask(StoreOp::Send { to, note }, Purpose::Nothing);
    }
}
