//! What seeds have found, each by itself.

use unbroken::{CloseReason, Durability, NetworkEvent, NetworkId, Record};
use unbroken_sim::cluster::{ClusterOptions, Step, StoreFate, World};

use crate::common::*;

#[test]
fn two_connections_of_one_client_make_one_claim() {
    for durability in BOTH {
        let mut stage = Stage::new(durability);
        stage.park();
        stage.store_script.push((Some(1), Step::Claim, StoreFate::Slow(SECOND)));
        stage.let_in();
        stage.only_to(1);
        stage.run_to("that it claims", 20 * SECOND, |w| w.store_script.is_empty());
        stage.kill_links();
        stage.arrive_at(1);
        stage.run_for(3 * SECOND);
        assert_eq!(stage.counters.takeovers, 1);
        stage.all_is_well();
    }
}

#[test]
fn letters_that_came_while_a_session_was_out_of_reach_are_told_afterwards() {
    for durability in BOTH {
        let mut stage = Stage::new(durability);
        let id = stage.id();
        stage.store_script.push((Some(0), Step::Park, StoreFate::Unavailable));
        stage.post(0);
        stage.processes[0].endpoint.session(id).unwrap().swap_out();
        stage.look_after(0);
        for _ in 0..20 {
            stage.post(0);
            stage.run_for(5 * MS);
        }
        stage.all_is_well();
        assert_eq!(stage.talks[0].mail_taken, 21);
    }
}

#[test]
fn who_dies_before_the_welcome_leaves_the_welcome_to_the_next() {
    let mut world = World::new(ClusterOptions::calm(Durability::Durable), 1);
    world.routes.extend([0; 1]);
    world.routes.extend([1; 100]);
    world
        .store_script
        .push((Some(0), Step::Create, StoreFate::CrashBetween));
    // That the welcome is the right one is checked with Established.
    world.run_to("that it is established", 60 * SECOND, |w| w.talks[0].life.established);
    assert_eq!(world.counters.crashes, 1);
    let mut stage = Stage(world);
    stage.all_is_well();
    assert_eq!(stage.counters.takeovers, 1);
}

#[test]
fn who_came_before_its_maker_knew_is_not_rolled_back() {
    let mut world = World::new(ClusterOptions::calm(Durability::Durable), 1);
    world.routes.extend([0; 1]);
    world.routes.extend([1; 20]);
    world
        .store_script
        .push((Some(0), Step::Create, StoreFate::Slow(60 * SECOND)));
    world.run_to("that the store has it", 10 * SECOND, |w| !w.store.keys().is_empty());
    world.pause(0, 10 * SECOND);
    world.kill_links();
    world.run_to("that another has it", 60 * SECOND, |w| {
        w.counters.takeovers == 1 && is_up(w)
    });
    world.run_for(12 * SECOND);
    // Process 0 is awake, and still waits for its answer: what it says of the session must not be its own idea.
    let mut stage = Stage(world);
    stage.move_to(0);
    stage.arrive_at(0);
    stage.all_is_well();
}

#[test]
fn a_session_that_ends_during_a_write_is_buried() {
    for fate in [StoreFate::Slow(SECOND), StoreFate::ReplyLost, StoreFate::Held(SECOND)] {
        let mut stage = Stage::new(Durability::Durable);
        stage.store_script.push((Some(0), Step::Commit, fate));
        stage.run_to("that it commits", 10 * SECOND, |w| w.store_script.is_empty());
        stage.disconnect(0, 4);
        stage.run_for(15 * SECOND);
        let record = stage.record();
        assert!(matches!(record, Some(Record::Tomb { .. })), "{fate:?}: {record:?}");
    }
}

/// CLOSE does not wait for the store. Who claims the session cannot know of it, and may not let go of a claim of which nothing is known.
#[test]
fn a_claim_that_is_carried_out_after_the_end_only_has_a_session_without_a_client() {
    let mut stage = Stage::orphaned();
    stage.store_script.push((Some(1), Step::Claim, StoreFate::Lost));
    for step in [Step::Commit, Step::Bury] {
        stage.store_script.push((Some(0), step, StoreFate::Lost));
    }
    stage.move_to(1);
    stage.run_to("that it is claimed", 10 * SECOND, |w| {
        !w.store_script.iter().any(|(_, step, _)| *step == Step::Claim)
    });
    assert!(stage.close_from_server(0, 7));
    stage.move_to(0);
    assert!(!stage.talks[0].goes_on_elsewhere());
    assert!(matches!(stage.ends(), CloseReason::Peer { code: 7, .. }));
    stage.run_for(30 * SECOND);
    assert_eq!(stage.owner_of(stage.id()), Some(1));
    assert!(stage.talks[0].goes_on_elsewhere());
    assert!(!stage.processes[0].endpoint.owes_store());
}

#[test]
fn a_commit_between_look_and_claim_is_not_overwritten() {
    let mut stage = Stage::orphaned();
    // The claim is on its way for a while, and on the old link the owner goes on.
    stage
        .store_script
        .push((Some(1), Step::Claim, StoreFate::Held(300 * MS)));
    stage.only_to(1);
    stage.network(0, NetworkEvent::Changed(NetworkId(1)));
    stage.run_to("that it is claimed", 10 * SECOND, |w| {
        !w.store_script.iter().any(|(_, step, _)| *step == Step::Claim)
    });
    let acked = stage.clients[0].session.acked();
    stage.run_for(250 * MS);
    assert!(stage.clients[0].session.acked() > acked, "vacuous");
    stage.run_to("that it stands again", 60 * SECOND, is_up);
    stage.all_is_well();
}

/// What a former owner says need not be what the new one knows (U-64). This one has not heard that it is one, and never will.
#[test]
fn the_link_of_a_former_owner_is_left_at_once() {
    let mut stage = Stage::orphaned();
    stage.quiet = true;
    stage.run_for(SECOND);
    stage.only_to(1);
    stage.network(0, NetworkEvent::Changed(NetworkId(1)));
    stage.arrive_at(1);
    assert_eq!(stage.net.open_conns(), 2, "vacuous: the old link was gone before");
    stage.run_for(200 * MS);
    assert_eq!(stage.net.open_conns(), 1);
}
