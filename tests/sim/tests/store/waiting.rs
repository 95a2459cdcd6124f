//! Requests whose outcome is late or unknown, and clients who are quicker than the store (F-80, F-81, L-13 to L-15).

use core::time::Duration;

use unbroken::{CloseReason, Durability};
use unbroken_sim::cluster::{ClusterOptions, Step, StoreFate, World};
use unbroken_sim::{Cut, Fate, Side, When};

use crate::common::*;

#[test]
fn f80_a_claim_of_whose_outcome_nothing_is_known_is_looked_up() {
    let fates = [
        StoreFate::ReplyLost,
        StoreFate::Lost,
        StoreFate::Late(200 * MS),
        StoreFate::Slow(2 * SECOND),
        StoreFate::Unavailable,
    ];
    for durability in BOTH {
        for fate in fates {
            let mut stage = Stage::new(durability);
            stage.store_script.push((Some(1), Step::Claim, fate));
            stage.move_to(1);
            stage.arrive_at(1);
            assert!(stage.store_script.is_empty(), "vacuous");
            assert_eq!(stage.counters.takeovers, 1, "{durability:?} {fate:?}");
            stage.all_is_well();
        }
    }
}

#[test]
fn f80_every_write_may_be_unknown_once() {
    let steps = [Step::Create, Step::Commit, Step::Park, Step::Claim, Step::Bury];
    for durability in BOTH {
        for step in steps {
            for fate in [StoreFate::ReplyLost, StoreFate::Lost, StoreFate::Late(SECOND)] {
                let mut world = World::new(ClusterOptions::calm(durability), 1);
                world.store_script.push((None, step, fate));
                world.run_to("that it is established", 60 * SECOND, is_up);
                let mut stage = Stage(world);
                stage.move_to(1);
                stage.run_for(10 * SECOND);
                stage.move_to(2);
                stage.run_for(10 * SECOND);
                stage.all_is_well();
                let closed = stage.close_from_server(0, 3);
                assert!(closed);
                assert_eq!(
                    stage.ends(),
                    CloseReason::Peer {
                        code: 3,
                        truncated: false
                    }
                );
                stage.run_for(20 * SECOND);
                assert!(
                    matches!(stage.record(), None | Some(unbroken::Record::Tomb { .. })),
                    "{step:?} {fate:?}"
                );
                // Nothing is committed with SwapOut.
                let asked = stage.store_script.is_empty();
                assert!(
                    asked || (durability, step) == (Durability::SwapOut, Step::Commit),
                    "{step:?} {fate:?}"
                );
            }
        }
    }
}

#[test]
fn f81_who_loses_a_claim_says_later_not_gone() {
    for durability in BOTH {
        let mut stage = Stage::new(durability);
        stage.park();
        // Longer than the client waits before it dials again.
        stage
            .store_script
            .push((Some(1), Step::Claim, StoreFate::Held(3 * SECOND)));
        stage.let_in();
        stage.only_to(1);
        stage.run_to("that it claims", 20 * SECOND, |w| w.store_script.is_empty());
        // The client goes elsewhere meanwhile, and is served at once.
        stage.move_to(2);
        stage.arrive_at(2);
        stage.run_for(5 * SECOND);
        let loser = stage.processes[1].endpoint.counters();
        assert_eq!((loser.takeovers, loser.resumes_unknown, loser.queries), (0, 0, 0));
        assert_eq!(stage.processes[1].endpoint.sessions(), 0);
        assert_eq!(stage.counters.takeovers, 1);
        stage.all_is_well();
    }
}

#[test]
fn l13_a_bad_flight_changes_nothing_in_the_store() {
    for durability in BOTH {
        let mut stage = Stage::new(durability);
        stage.park();
        let as_it_was = stage.record();
        stage.let_in();
        // Each byte of a RESUME in turn; those of the handle last, as the client then asks by QUERY.
        for byte in (28..158).chain(0..28) {
            stage.script.extend([Fate {
                corrupt: Some((Side::Server, byte)),
                cut: Some(Cut {
                    when: When::After(300 * MS),
                    notice: [Some(Duration::ZERO); 2],
                    reset: false,
                }),
                ..Fate::default()
            }]);
        }
        let before = stage.net.counters.corrupted;
        stage.run_to("that all are spoilt", 3000 * SECOND, |w| w.script.is_empty());
        assert!(stage.net.counters.corrupted - before > 100, "vacuous");
        assert_eq!(stage.record(), as_it_was, "{durability:?}");
        stage.run_to("that a good one resumes", 60 * SECOND, is_up);
        stage.all_is_well();
    }
}

#[test]
fn l13_a_bad_flight_does_not_move_a_session_that_lives_elsewhere() {
    for durability in BOTH {
        let mut stage = Stage::new(durability);
        stage.only_to(1);
        // What the owner judges: attempt, mac1, e. Where only the tail is bad, it may let go: the client had sent it.
        for byte in 28..80 {
            stage.script.extend([Fate {
                corrupt: Some((Side::Server, byte)),
                cut: Some(Cut {
                    when: When::After(200 * MS),
                    notice: [Some(Duration::ZERO); 2],
                    reset: false,
                }),
                ..Fate::default()
            }]);
        }
        stage.kill_links();
        stage.run_to("that all are spoilt", 3000 * SECOND, |w| w.script.len() <= 1);
        assert_eq!(stage.owner_of(stage.id()), Some(0), "{durability:?}");
        assert_eq!(stage.counters.takeovers, 0);
        let judged = stage.processes[0].endpoint.counters().resumes_forged;
        assert!(judged > 20, "vacuous: the owner was asked {judged} times");
        stage.arrive_at(1);
        stage.all_is_well();
    }
}

#[test]
fn l14_a_client_that_is_quicker_than_the_write_is_told_later() {
    for durability in BOTH {
        let mut stage = Stage::new(durability);
        stage
            .store_script
            .push((Some(0), Step::Park, StoreFate::Held(2500 * MS)));
        stage.move_to(1);
        stage.arrive_at(1);
        let taker = stage.processes[1].endpoint.counters();
        assert_eq!((taker.takeovers, taker.resumes_unknown, taker.queries), (1, 0, 0));
        stage.all_is_well();
    }
}

#[test]
fn l14_a_client_that_moves_before_its_session_is_stored_starts_over() {
    for durability in BOTH {
        for life in [30, 60, 100] {
            let mut world = World::new(ClusterOptions::calm(durability), 1);
            world.routes.extend([0, 1, 1, 1, 1]);
            world
                .store_script
                .push((Some(0), Step::Create, StoreFate::Held(2 * SECOND)));
            world.script.extend([Fate::cut(Cut {
                when: When::After(life * MS),
                notice: [Some(Duration::ZERO); 2],
                reset: true,
            })]);
            world.run_to("that it is established elsewhere", 60 * SECOND, is_up);
            let mut stage = Stage(world);
            stage.all_is_well();
            assert!(!stage.talks[0].client_closed());
        }
    }
}

#[test]
fn l15_what_comes_while_a_session_leaves_is_not_lost() {
    for durability in BOTH {
        let mut stage = Stage::new(durability);
        stage
            .store_script
            .push((Some(0), Step::Park, StoreFate::Held(2 * SECOND)));
        let id = stage.id();
        stage.processes[0].endpoint.session(id).unwrap().swap_out();
        stage.look_after(0);
        stage.run_for(100 * MS);
        assert!(stage.store_script.is_empty(), "on its way");
        let (sent, taken) = (stage.talks[0].sent, stage.talks[0].taken);
        // Its old link is up, and the client goes on.
        stage.run_for(1500 * MS);
        assert!(stage.talks[0].sent > sent + 10, "vacuous");
        assert_eq!(stage.talks[0].taken, taken, "the application is out of reach");
        stage.run_to("that it has come back somewhere", 60 * SECOND, |w| {
            w.counters.takeovers == 1
        });
        stage.all_is_well();
    }
}
