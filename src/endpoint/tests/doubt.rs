//! A client that knows more of its session than the process that holds it: before anybody is told that state was lost, the store is asked whose the session is.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::leaving::goes_away;
use super::requests::is_peek;
use super::stand::{Stand, name};
use crate::config::Durability;
use crate::error::CloseReason;
use crate::event::{Event, LinkId, NetworkEvent, NetworkId, SessionId};
use crate::store::{Record, StoreReply};
use crate::wire::flight::RefuseCode;

const SECOND: Duration = Duration::from_secs(1);
const WORDS: [&str; 3] = ["one", "two", "three"];
const ROLLED_BACK: CloseReason = CloseReason::RolledBack;

/// A session that two processes believe to have.
struct Twice {
    stand: Stand,
    i: usize,
    id: SessionId,
    /// What the first one wrote last.
    newest: Record,
    /// The client's, to the first and to the second.
    links: [LinkId; 2],
}

/// The store has gone back to a time before three messages were sent. A flight that the client made before it heard them has brought the session to another process; the answer was
/// lost, and meanwhile the messages have come, by the link that the client has to the first process.
fn restored_too_old() -> Twice {
    restored_too_old_with("")
}

/// The same, and the client has said this, which neither process's application has read.
fn restored_too_old_with(unread: &'static str) -> Twice {
    let mut stand = Stand::new(Durability::Durable);
    let (i, id) = stand.session();
    let key = Stand::key_of(id);
    if !unread.is_empty() {
        stand.clients[i].session.send(unread.into()).expect("there is room");
    }
    let older = stand.shelf.records[&key].clone();
    stand.clients[i].late = Some(Vec::new());
    for word in WORDS {
        let mut session = stand.server.session(id).expect("it is here");
        session.send(word.into()).expect("there is room");
        drop(session);
        stand.exchange();
    }
    let newest = stand.shelf.records.insert(key, older).expect("it is there");
    stand.replace_server();
    stand.skip(Duration::ZERO);
    let old = stand.clients[i].newest;
    stand.clients[i].deaf = vec![LinkId(old.0 + 1)];
    let now = stand.now;
    let changed = NetworkEvent::Changed(NetworkId(1));
    stand.clients[i].session.handle_network(changed, now);
    stand.run_for(Duration::from_millis(750));
    assert_eq!(stand.server.counters().takeovers, 1);
    stand.arrive(i);
    assert_eq!(stand.clients[i].heard, WORDS.map(str::as_bytes));
    Twice {
        stand,
        i,
        id,
        newest,
        links: [old, LinkId(old.0 + 1)],
    }
}

impl Twice {
    /// The client's links break, and it dials again.
    fn comes_again(&mut self) {
        for link in self.links {
            self.stand.cut(self.i, link);
        }
    }
}

#[test]
fn a_client_that_knows_more_than_the_owner_is_told_of_the_rollback_and_so_is_the_application() {
    let mut twice = restored_too_old();
    let looked = twice.stand.shelf.count(is_peek);
    twice.comes_again();
    let Twice { mut stand, i, id, .. } = twice;
    assert!(stand.told.contains(&(id, Event::Closed(ROLLED_BACK))), "at once");
    assert_eq!(stand.clients[i].closed(), Some(ROLLED_BACK));
    assert_eq!(stand.shelf.count(is_peek), looked + 1, "the store was asked first");
    stand.run_for(SECOND);
    assert_eq!((stand.server.sessions(), stand.server.counters().rollbacks), (0, 1));
    assert!(
        matches!(stand.shelf.records[&Stand::key_of(id)], Record::Tomb { .. }),
        "and nobody takes it up again"
    );
}

/// It may be that this process is the one that knows too little.
#[test]
fn as_long_as_the_store_does_not_say_whose_it_is_nobody_is_told_of_a_loss() {
    for silence in [StoreReply::Failed, StoreReply::Unavailable] {
        let mut twice = restored_too_old();
        let looked = twice.stand.shelf.count(is_peek);
        twice.stand.shelf.instead = Some(match silence {
            StoreReply::Failed => |op| is_peek(op).then_some(StoreReply::Failed),
            _ => |op| is_peek(op).then_some(StoreReply::Unavailable),
        });
        twice.comes_again();
        let Twice { mut stand, i, id, .. } = twice;
        stand.run_for(5 * SECOND);
        let asked = stand.shelf.count(is_peek) - looked;
        assert!((2..=50).contains(&asked), "{asked} times in 5 seconds");
        assert_eq!(stand.clients[i].closed(), None, "{silence:?}");
        assert!(!stand.told.contains(&(id, Event::Closed(ROLLED_BACK))));
        assert_eq!(stand.server.sessions(), 1);
        stand.shelf.instead = None;
        stand.run_for(5 * SECOND);
        assert_eq!(stand.clients[i].closed(), Some(ROLLED_BACK), "{silence:?}");
    }
}

/// The store remembers after all: then the copy here is worth nothing, and the record everything.
#[test]
fn a_copy_that_turns_out_to_be_anothers_is_wiped_and_the_client_goes_on_with_the_record() {
    let mut twice = restored_too_old();
    let key = Stand::key_of(twice.id);
    twice.stand.shelf.records.insert(key, twice.newest.clone());
    twice.comes_again();
    let Twice { mut stand, i, id, .. } = twice;
    stand.run_for(5 * SECOND);
    let counters = stand.server.counters();
    assert_eq!((counters.fenced, counters.rollbacks, counters.takeovers), (1, 0, 2));
    assert!(
        stand.told.contains(&(id, Event::SwappedOut)),
        "the copy's application hears of it"
    );
    assert_eq!(stand.clients[i].closed(), None);
    let mut session = stand.server.session(id).expect("it is here, as it should be");
    session.send("four".into()).expect("there is room");
    drop(session);
    stand.run_for(SECOND);
    assert_eq!(
        stand.clients[i].heard,
        ["one", "two", "three", "four"].map(str::as_bytes)
    );
}

/// "Nothing is missing" was said of it; whose the session is by then does not matter any more.
#[test]
fn what_has_come_can_be_read_though_the_session_has_ended_while_it_was_asked_whose_it_is() {
    let mut twice = restored_too_old_with("unread");
    let key = Stand::key_of(twice.id);
    twice.stand.shelf.records.insert(key, twice.newest.clone());
    twice.stand.shelf.silent = true;
    twice.comes_again();
    let Twice { mut stand, id, .. } = twice;
    stand.server.session(id).expect("it is here").kick(7);
    stand.exchange();
    let end = Event::Closed(CloseReason::Kicked { code: 7 });
    assert!(stand.told.contains(&(id, end)));
    stand.speak();
    assert!(!stand.told.contains(&(id, Event::SwappedOut)));
    let read = stand.server.recv(id, |message| message.payload.to_vec());
    assert_eq!(read.as_deref(), Some(&b"unread"[..]));
}

/// What is here by then is what the client knows, so it has lost nothing.
#[test]
fn an_answer_about_a_copy_that_was_given_up_since_does_not_end_the_session_that_came_back() {
    let mut twice = restored_too_old();
    twice.stand.shelf.silent_to = Some(is_peek);
    twice.comes_again();
    let Twice {
        mut stand,
        i,
        id,
        newest,
        ..
    } = twice;
    stand.shelf.silent_to = None;
    stand.shelf.records.insert(Stand::key_of(id), newest);
    let waiting = stand.clients[i].newest;
    stand.cut(i, waiting);
    stand.run_for(5 * SECOND);
    let counters = stand.server.counters();
    assert_eq!((counters.fenced, counters.takeovers), (1, 2));
    stand.speak();
    stand.run_for(SECOND);
    assert_eq!((stand.server.sessions(), stand.server.counters().rollbacks), (1, 0));
    assert_eq!(stand.clients[i].closed(), None);
}

#[test]
fn who_was_put_out_while_it_was_asked_whose_his_session_is_hears_that_and_of_no_loss() {
    let mut twice = restored_too_old_with("unread");
    twice.stand.shelf.silent_to = Some(is_peek);
    twice.comes_again();
    let Twice { mut stand, i, id, .. } = twice;
    stand.server.session(id).expect("it is here").kick(7);
    stand.exchange();
    stand.speak();
    stand.run_for(5 * SECOND);
    assert_eq!(stand.clients[i].closed(), Some(CloseReason::Kicked { code: 7 }));
    assert_eq!(stand.server.counters().rollbacks, 0);
}

/// A flight in doubt waits for the store as one does whose session is elsewhere, and is held though its connection is gone.
#[test]
fn so_many_flights_in_doubt_wait_for_the_store_and_no_more() {
    let mut stand = Stand::changed(Durability::SwapOut, true, |mut config| {
        config.limits.pending_handshakes = 2;
        config
    });
    let (i, id) = stand.session();
    goes_away(&mut stand, i);
    // So the client knows of more than this process does.
    let served = stand.server.sessions.get_mut(&Stand::key_of(id)).expect("it is here");
    served.token = 0;
    let flight = stand.flight(i);
    stand.shelf.silent_to = Some(is_peek);
    let before = stand.server.counters().refused_busy;
    for link in 1000..1010 {
        stand.brings(i, LinkId(link), &flight);
        stand.server.handle_link_down(name(i, LinkId(link)), stand.now);
    }
    let refused = stand.server.counters().refused_busy - before;
    assert_eq!((stand.shelf.waits_for(), refused), (2, 8));
    assert_eq!(stand.clients[i].refused(LinkId(1009)), Some(RefuseCode::Later));
}
