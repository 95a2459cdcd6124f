//! What a client is told that asks what became of its session: as long as somebody may still have it, not that it is lost.

use bytes::Bytes;
use core::time::Duration;
use hashbrown::HashSet;

use super::leaving::goes_away;
use super::requests::is_burial;
use super::stand::Stand;
use crate::config::{Durability, Limits};
use crate::endpoint::burial::{End, Tried};
use crate::endpoint::cluster::Purpose;
use crate::error::CloseReason;
use crate::event::SessionId;
use crate::store::{Owner, Record, StoreKey, StoreOp, StoreReply};
use crate::wire::flight::LostStatus;
use crate::wire::frame::CloseKind;

const SECOND: Duration = Duration::from_secs(1);
const BOTH: [Durability; 2] = [Durability::SwapOut, Durability::Durable];

/// A client whose session is parked. It has come, and the store will show nothing, as what it reads from lags behind: so the client is going to ask.
struct Inquiry {
    stand: Stand,
    i: usize,
    id: SessionId,
    token: u64,
    blob: Bytes,
}

impl Inquiry {
    fn new(durability: Durability) -> Self {
        let mut stand = Stand::new(durability);
        let (i, id) = stand.session();
        stand.clients[i].away = true;
        let newest = stand.clients[i].newest;
        stand.cut(i, newest);
        stand.server.session(id).expect("it is here").swap_out();
        stand.run_for(SECOND);
        let Record::Parked { token, blob } = stand.shelf.records[&Stand::key_of(id)].clone() else {
            panic!("it is parked")
        };
        stand.clients[i].away = false;
        stand.shelf.silent = true;
        while stand.server.links() == 0 {
            stand.run_for(Duration::from_millis(10));
        }
        Inquiry {
            stand,
            i,
            id,
            token,
            blob,
        }
    }

    /// When it asks, the store shows this.
    fn finds(&mut self, record: Record) {
        self.stand.shelf.records.insert(Stand::key_of(self.id), record);
        let is_peek = |op: &StoreOp| matches!(op, StoreOp::Peek { .. });
        self.stand.speak_as(&StoreReply::Peeked(None), is_peek);
        let until = self.stand.now + 10 * SECOND;
        while self.stand.server.counters().queries == 0 && self.stand.now < until {
            self.stand.run_for(Duration::from_millis(10));
        }
        let counters = self.stand.server.counters();
        assert_eq!((counters.resumes_unknown, counters.queries), (1, 1), "it has asked");
    }

    /// It has not been told that its session is lost; and it gets it, as soon as that is parked again.
    fn goes_on(&mut self) {
        assert_eq!(self.stand.clients[self.i].closed(), None);
        let parked = Record::Parked {
            token: self.token,
            blob: self.blob.clone(),
        };
        self.stand.shelf.records.insert(Stand::key_of(self.id), parked);
        self.stand.run_for(10 * SECOND);
        self.is_here();
    }

    fn is_here(&mut self) {
        let mut session = self.stand.server.session(self.id).expect("it is here");
        session.send("welcome back".into()).expect("there is room");
        drop(session);
        self.stand.run_for(SECOND);
        let client = &self.stand.clients[self.i];
        assert_eq!((client.closed(), client.heard.len()), (None, 1));
        assert_eq!(self.stand.server.counters().takeovers, 1);
    }
}

fn claims(stand: &mut Stand) -> &mut HashSet<StoreKey> {
    &mut stand.server.cluster.as_mut().expect("it has a store").claiming
}

#[test]
fn a_session_that_the_store_did_not_show_at_once_is_not_lost() {
    for durability in BOTH {
        let mut inquiry = Inquiry::new(durability);
        let (token, blob) = (inquiry.token, inquiry.blob.clone());
        inquiry.finds(Record::Parked { token, blob });
        inquiry.stand.run_for(10 * SECOND);
        inquiry.is_here();
    }
}

/// In a format that this server does not know, as after the first of several servers was replaced by a newer one.
#[test]
fn a_session_that_only_another_server_can_read_is_not_lost() {
    for durability in BOTH {
        let mut inquiry = Inquiry::new(durability);
        let (token, mut blob) = (inquiry.token, inquiry.blob.to_vec());
        let format = b"UNBS".len();
        blob[format] = 200;
        let blob = blob.into();
        inquiry.finds(Record::Parked { token, blob });
        inquiry.goes_on();
    }
}

#[test]
fn a_session_that_another_server_has_is_not_lost() {
    let mut inquiry = Inquiry::new(Durability::SwapOut);
    let (token, owner, blob) = (inquiry.token, Owner([9; 16]), Bytes::new());
    inquiry.finds(Record::Live { token, owner, blob });
    inquiry.goes_on();
}

/// By another flight of the same client: the store has taken the claim, and its answer is on its way.
#[test]
fn a_session_that_is_just_being_claimed_is_not_lost() {
    for durability in BOTH {
        let mut inquiry = Inquiry::new(durability);
        let (key, owner) = (Stand::key_of(inquiry.id), inquiry.stand.server.owner());
        claims(&mut inquiry.stand).insert(key);
        let (token, blob) = (inquiry.token + 1, inquiry.blob.clone());
        inquiry.finds(Record::Live { token, owner, blob });
        claims(&mut inquiry.stand).remove(&key);
        inquiry.goes_on();
    }
}

/// Nobody is on his way to it, and it names this server, which does not have it: the store went back to a time when it had.
#[test]
fn a_session_that_the_store_says_to_be_here_and_that_is_not_has_been_rolled_back() {
    for durability in BOTH {
        let mut inquiry = Inquiry::new(durability);
        let owner = inquiry.stand.server.owner();
        let (token, blob) = (inquiry.token - 1, inquiry.blob.clone());
        inquiry.finds(Record::Live { token, owner, blob });
        let client = &inquiry.stand.clients[inquiry.i];
        assert_eq!(client.closed(), Some(CloseReason::RolledBack), "{durability:?}");
    }
}

/// Its owner is dead, and what it has left cannot be read by anybody.
#[test]
fn a_session_that_a_dead_server_has_left_damaged_has_been_rolled_back() {
    let mut inquiry = Inquiry::new(Durability::Durable);
    let owner = Owner([9; 16]);
    inquiry.stand.shelf.dead.push(owner);
    let (token, mut blob) = (inquiry.token, inquiry.blob.to_vec());
    *blob.last_mut().expect("it is not empty") ^= 1;
    let blob = blob.into();
    inquiry.finds(Record::Live { token, owner, blob });
    let client = &inquiry.stand.clients[inquiry.i];
    assert_eq!(client.closed(), Some(CloseReason::RolledBack));
}

/// Whoever asks with secrets that are used up is told so, and which number the session would have given out next (U-25).
#[test]
fn a_parked_session_says_of_itself_what_it_would_say_if_it_were_here() {
    let mut stand = Stand::new(Durability::SwapOut);
    let (i, id) = stand.session();
    let send = |stand: &mut Stand, many| {
        let mut session = stand.server.session(id).expect("it is here");
        for _ in 0..many {
            session.send("message".into()).expect("there is room");
        }
        drop(session);
        stand.run_for(SECOND);
    };
    send(&mut stand, 2);
    let newest = stand.clients[i].newest;
    stand.cut(i, newest);
    stand.run_for(SECOND);
    assert_eq!((stand.server.counters().resumes, stand.clients[i].heard.len()), (1, 2));
    goes_away(&mut stand, i);
    send(&mut stand, 3);
    stand.server.session(id).expect("it is here").swap_out();
    stand.exchange();
    let key = Stand::key_of(id);
    let Record::Parked { token, blob } = stand.shelf.records[&key].clone() else {
        panic!("it is parked")
    };
    let used_up = LostStatus::Closed {
        kind: CloseKind::Superseded,
        code: 0,
        send_end: 2 + 3,
    };
    let said = |generation| stand.server.judge_snapshot(&blob, &key, token, generation);
    assert_eq!(
        [0, 1, 2].map(said),
        [used_up, LostStatus::Alive, LostStatus::RolledBack]
    );
}

/// Redis without memory reads and does not write; another store takes its time. So the record is still as it was, and what was to be written is all that is known.
#[test]
fn an_end_that_the_store_has_not_taken_is_told_as_it_was_however_long_ago() {
    for durability in BOTH {
        for silent in [false, true] {
            let mut stand = Stand::new(durability);
            let (i, id) = stand.session();
            goes_away(&mut stand, i);
            if silent {
                stand.shelf.silent_to = Some(is_burial);
            } else {
                stand.shelf.instead = Some(|op| is_burial(op).then_some(StoreReply::Unavailable));
            }
            stand.server.session(id).expect("it is here").kick(7);
            stand.run_for(Limits::default().tombstone + SECOND);
            assert_eq!(stand.server.tombstones(), 0);
            assert!(stand.server.owes_store(), "the end is still known");
            stand.clients[i].away = false;
            stand.run_for(10 * SECOND);
            let kicked = Some(CloseReason::Kicked { code: 7 });
            assert_eq!(stand.clients[i].closed(), kicked, "{durability:?}, silent: {silent}");
        }
    }
}

/// Whichever step its burial is at. Of several words about one session the latest counts.
#[test]
fn the_end_of_each_session_is_known_at_every_step_of_its_burial() {
    let mut stand = Stand::new(Durability::SwapOut);
    let cluster = stand.server.cluster.as_mut().expect("it has a store");
    let end = |code| End {
        status: LostStatus::Closed {
            kind: CloseKind::Kicked,
            code,
            send_end: 0,
        },
        parked: None,
        made: None,
    };
    let [looked_for, written, waits, unknown] = [[1; 8], [2; 8], [3; 8], [4; 8]];
    let looks = |code| Purpose::Orphan {
        key: looked_for,
        end: Some(end(code)),
    };
    let writes = Purpose::Bury {
        key: written,
        end: end(2),
        tried: Tried::Looked,
    };
    cluster.unburied.insert(waits, end(3));
    cluster.ask(StoreOp::Peek { key: looked_for }, looks(9));
    cluster.ask(StoreOp::Peek { key: looked_for }, looks(1));
    cluster.ask(StoreOp::Peek { key: written }, writes);
    let code = |key| match cluster.unwritten_end(&key)?.status {
        LostStatus::Closed { code, .. } => Some(code),
        _ => None,
    };
    let codes = [looked_for, written, waits, unknown].map(code);
    assert_eq!(codes, [Some(1), Some(2), Some(3), None]);
}
