//! A long lease says how long a silent server counts as alive, not how long it waits after the store has not answered.

use alloc::format;
use core::time::Duration;

use super::leaving::{goes_away, is_buried};
use super::requests::is_burial;
use super::stand::Stand;
use crate::config::{Durability, ServerConfig};
use crate::event::Event;
use crate::store::{StoreOp, StoreReply};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const NOT_TAKEN: [StoreReply; 2] = [StoreReply::Failed, StoreReply::Unavailable];

fn is_lease(op: &StoreOp) -> bool {
    matches!(op, StoreOp::Lease { .. })
}

/// The longest that may be chosen.
fn long(mut config: ServerConfig) -> ServerConfig {
    config.timing.lease = 5 * MINUTE;
    config
}

/// The store does not take what is like this.
fn refuse(stand: &mut Stand, reply: &StoreReply, like: [fn(&StoreOp) -> Option<StoreReply>; 2]) {
    stand.shelf.instead = Some(like[usize::from(*reply == StoreReply::Unavailable)]);
}

fn refuse_leases(stand: &mut Stand, reply: &StoreReply) {
    refuse(
        stand,
        reply,
        [
            |op| is_lease(op).then_some(StoreReply::Failed),
            |op| is_lease(op).then_some(StoreReply::Unavailable),
        ],
    );
}

#[test]
fn a_server_lets_clients_in_as_soon_as_the_store_takes_its_lease_however_long_that_is() {
    for reply in NOT_TAKEN {
        let mut stand = Stand::changed(Durability::SwapOut, true, long);
        refuse_leases(&mut stand, &reply);
        stand.run_for(SECOND);
        assert!(!stand.server.store_is_up(), "{reply:?}");
        stand.shelf.instead = None;
        stand.run_for(3 * SECOND);
        assert!(stand.server.store_is_up(), "{reply:?}: the first");
        stand.run_for(98 * SECOND);
        refuse_leases(&mut stand, &reply);
        stand.run_for(3 * SECOND);
        assert!(!stand.server.store_is_up(), "{reply:?}");
        stand.shelf.instead = None;
        let i = stand.client();
        stand.run_for(5 * SECOND);
        assert!(stand.clients[i].session.id().is_some(), "{reply:?}: a later one");
    }
}

/// Neither more often than with a short one while the store is away, nor without need.
#[test]
fn a_long_lease_is_taken_seldom_and_asked_for_again_not_all_the_time() {
    let mut stand = Stand::changed(Durability::SwapOut, true, long);
    stand.run_for(5 * MINUTE);
    let quiet = stand.shelf.count(is_lease);
    assert!((3..=4).contains(&quiet), "{quiet} times in five minutes");
    refuse_leases(&mut stand, &StoreReply::Unavailable);
    stand.run_for(5 * MINUTE);
    let failing = stand.shelf.count(is_lease) - quiet;
    assert!((60..=150).contains(&failing), "{failing} times in five minutes");
}

/// Nobody hears a note meanwhile.
#[test]
fn a_server_with_a_long_lease_that_waited_for_notes_in_vain_waits_again_soon() {
    for reply in NOT_TAKEN {
        let mut stand = Stand::changed(Durability::SwapOut, true, long);
        let (_, id) = stand.session();
        let letter = (1, b"read me"[..].into());
        stand.shelf.queues.insert(Stand::key_of(id), [letter].into());
        stand.notes(reply.clone());
        stand.run_for(3 * SECOND);
        assert!(stand.told.contains(&(id, Event::Mail)), "{reply:?}");
        stand.notes(StoreReply::Notes([].into()));
    }
}

/// Until then whoever leaves is held up.
#[test]
fn an_end_that_the_store_did_not_take_is_written_soon_however_long_the_lease_is() {
    for reply in NOT_TAKEN {
        let mut stand = Stand::changed(Durability::SwapOut, true, long);
        let (i, id) = stand.session();
        goes_away(&mut stand, i);
        let burials: [fn(&StoreOp) -> Option<StoreReply>; 2] = [
            |op| is_burial(op).then_some(StoreReply::Failed),
            |op| is_burial(op).then_some(StoreReply::Unavailable),
        ];
        refuse(&mut stand, &reply, burials);
        stand.server.session(id).expect("it is here").kick(7);
        stand.run_for(SECOND);
        stand.shelf.instead = None;
        stand.run_for(3 * SECOND);
        let what = format!("{reply:?}");
        assert!(is_buried(&stand, id), "{what}");
        assert!(!stand.server.owes_store(), "{what}");
    }
}
