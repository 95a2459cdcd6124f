//! One session for each user.

use unbroken::{CloseReason, Durability, USER_MOVED};
use unbroken_sim::cluster::{ClusterOptions, Step, StoreFate, World};

use crate::common::*;

/// Two clients; the first is at process 0 and bound.
fn two(durability: unbroken::Durability) -> Stage {
    let mut stage = Stage::with(ClusterOptions {
        clients: 2,
        ..ClusterOptions::calm(durability)
    });
    bind(&mut stage, 0);
    stage.run_for(SECOND);
    stage.talks[0].excuses.unseated = true;
    stage
}

fn bind(stage: &mut World, i: usize) {
    let (at, id) = (stage.talks[i].holder.unwrap(), stage.talks[i].id.unwrap());
    stage.processes[at.process]
        .endpoint
        .session(id)
        .unwrap()
        .bind_user(b"anna")
        .unwrap();
    stage.look_after(at.process);
}

const MOVED: CloseReason = CloseReason::Kicked { code: USER_MOVED };

#[test]
fn a_user_who_comes_again_puts_his_former_session_out() {
    for durability in BOTH {
        let mut stage = two(durability);
        bind(&mut stage, 1);
        assert_eq!(stage.ends(), MOVED);
        assert!(!stage.talks[1].client_closed());
    }
}

#[test]
fn also_from_another_process() {
    for durability in BOTH {
        let mut stage = two(durability);
        stage.move_to(1);
        stage.run_to("that both have moved", 20 * SECOND, |w| {
            w.counters.takeovers == 2 && is_up(w)
        });
        stage.only_to(2);
        stage.kill_links_of(1);
        stage.run_to("that the second has moved on", 20 * SECOND, |w| {
            w.counters.takeovers == 3
        });
        stage.run_for(SECOND);
        bind(&mut stage, 1);
        assert_eq!(stage.ends(), MOVED, "{durability:?}");
        assert!(!stage.talks[1].client_closed());
    }
}

#[test]
fn also_when_the_store_must_be_asked_twice() {
    for durability in BOTH {
        for fate in [StoreFate::Lost, StoreFate::Unavailable] {
            let mut stage = two(durability);
            stage.store_script.push((None, Step::Bind, fate));
            bind(&mut stage, 1);
            assert_eq!(stage.ends(), MOVED, "{durability:?} {fate:?}");
        }
    }
}

#[test]
fn also_if_the_answer_is_lost() {
    for durability in BOTH {
        for fate in [StoreFate::ReplyLost, StoreFate::Late(SECOND)] {
            let mut stage = two(durability);
            stage.store_script.push((None, Step::Bind, fate));
            bind(&mut stage, 1);
            assert_eq!(stage.ends(), MOVED, "{durability:?} {fate:?}");
            stage.run_for(5 * SECOND);
            assert!(!stage.talks[1].client_closed());
        }
    }
}

/// The process that bound the second session dies before it has put the first one out: who takes the second over does it.
#[test]
fn also_if_its_process_dies_in_between() {
    let mut stage = two(Durability::Durable);
    stage.only_to(1);
    stage.kill_links_of(1);
    stage.run_to("that the second has moved", 20 * SECOND, |w| w.counters.takeovers == 1);
    stage.run_for(SECOND);
    stage.store_script.push((Some(1), Step::Bind, StoreFate::ReplyLost));
    bind(&mut stage, 1);
    // Long enough for a commit, not for the answer to be missed.
    stage.run_for(500 * MS);
    assert!(!stage.talks[0].client_closed());
    let at = stage.at(1);
    stage.only_to(2);
    stage.crash(at);
    assert_eq!(stage.ends(), MOVED);
    stage.run_to("that the second stands elsewhere", 20 * SECOND, |w| {
        w.counters.takeovers == 2
    });
    assert!(!stage.talks[1].client_closed());
}

/// Two bind the user at different processes, and one of the answers is late: the store has put them in order, and both keep to it.
#[test]
fn of_two_that_cross_the_later_one_stays() {
    for durability in BOTH {
        for loser in [0, 1] {
            let mut stage = Stage::with(ClusterOptions {
                clients: 2,
                ..ClusterOptions::calm(durability)
            });
            stage.only_to(1);
            stage.kill_links_of(1);
            stage.run_to("that the second has moved", 20 * SECOND, |w| w.counters.takeovers == 1);
            stage.run_for(SECOND);
            stage.talks[loser].excuses.unseated = true;
            stage.store_script.push((Some(loser), Step::Bind, StoreFate::ReplyLost));
            bind(&mut stage, loser);
            stage.run_for(100 * MS);
            bind(&mut stage, 1 - loser);
            stage.run_for(20 * SECOND);
            let closed = [0, 1].map(|i| stage.talks[i].client_closed());
            assert_eq!(closed, [loser == 0, loser == 1], "{durability:?}");
        }
    }
}
