//! A session goes on in another process: asked for, left behind, inherited.

use core::time::Duration;

use unbroken::CloseReason;
use unbroken_sim::cluster::{At, ClusterOptions, Down};
use unbroken_sim::{Connect, Cut, Fate, When};

use crate::common::*;

#[test]
fn f104_the_balancer_picks_another_process_and_the_owner_lets_go() {
    for durability in BOTH {
        let mut stage = Stage::new(durability);
        for p in [1, 2, 0, 2] {
            stage.move_to(p);
            stage.arrive_at(p);
            assert_eq!(stage.owner_of(stage.id()), Some(p), "{durability:?}");
        }
        assert_eq!((stage.counters.takeovers, stage.counters.asked), (4, 4));
        assert_eq!(stage.talks[0].life.handovers, 4);
        stage.all_is_well();
    }
}

#[test]
fn a_planned_restart_loses_nothing() {
    for durability in BOTH {
        let mut stage = Stage::new(durability);
        for p in [0, 1] {
            let at = stage.at(p);
            stage.only_to(p + 1);
            stage.retire(at);
            stage.run_to("that it has left", 10 * SECOND, |w| !w.is_there(at));
            stage.arrive_at(p + 1);
        }
        assert_eq!(stage.counters.retired, 2);
        stage.all_is_well();
    }
}

#[test]
fn messages_from_servers_come_once_and_in_order_wherever_the_session_is() {
    for durability in BOTH {
        let mut stage = Stage::new(durability);
        for round in 0..6 {
            stage.post(0);
            stage.post(0);
            if round % 2 == 0 {
                stage.move_to(round % 3);
                stage.run_for(50 * MS);
                stage.post(0);
            }
            stage.run_for(SECOND);
        }
        stage.all_is_well();
        assert_eq!(stage.talks[0].mail_taken, 15);
    }
}

#[test]
fn f87_a_store_that_is_down_keeps_a_process_from_leaving() {
    for durability in BOTH {
        let mut stage = Stage::new(durability);
        let at = stage.at(0);
        // Elsewhere its client would be taken in as soon as the store is there again.
        stage.only_to(0);
        stage.take_store_down(Down::Refuses);
        stage.retire(at);
        stage.run_for(20 * SECOND);
        assert!(stage.is_there(at), "it must not leave");
        assert_eq!(stage.processes[0].endpoint.sessions(), 1);
        let app = &stage.processes[0].apps[&stage.id()];
        assert!(app.swap_out_failed > 0, "the application is told");
        // Its operator has given up. It serves; with `Durable` as soon as the store is there again.
        let taken = stage.talks[0].taken;
        stage.run_for(SECOND);
        assert!(
            stage.talks[0].taken > taken,
            "{durability:?}: the application takes what comes"
        );
        stage.down = None;
        stage.run_for(5 * SECOND);
        assert_eq!(stage.talks[0].terms, 1);
        stage.routes.clear();
        leaves(stage, at);
    }
}

#[test]
fn f87_a_store_that_says_nothing_keeps_it_too() {
    for durability in BOTH {
        let mut stage = Stage::new(durability);
        let at = stage.at(0);
        // Elsewhere its client would be taken in as soon as the store is there again.
        stage.only_to(0);
        stage.take_store_down(Down::Silent);
        stage.retire(at);
        stage.run_for(20 * SECOND);
        assert!(stage.is_there(at), "it must not leave");
        assert_eq!(stage.processes[0].endpoint.sessions(), 1);
        stage.down = None;
        stage.run_for(5 * SECOND);
        let taken = stage.talks[0].taken;
        stage.run_for(SECOND);
        assert!(stage.talks[0].taken > taken, "{durability:?}: it serves");
        assert_eq!(stage.talks[0].terms, 1);
        stage.routes.clear();
        leaves(stage, at);
    }
}

fn leaves(mut stage: Stage, at: At) {
    stage.retire(at);
    stage.run_to("that it has left", 10 * SECOND, |w| !w.is_there(at));
    stage.all_is_well();
    assert_eq!(stage.counters.retired, 1);
}

#[test]
fn f106_a_drain_of_many_sessions_spreads_and_loses_nothing() {
    for durability in BOTH {
        let mut stage = Stage::with(ClusterOptions {
            clients: 60,
            ..ClusterOptions::calm(durability)
        });
        let at = stage.at(0);
        assert_eq!(stage.processes[0].endpoint.sessions(), 60);
        stage.processes[0].endpoint.turn_away();
        assert_eq!(stage.processes[0].endpoint.drain(2 * SECOND, "").unwrap(), 60);
        stage.look_after(0);
        let mut left = Vec::new();
        for _ in 0..30 {
            stage.run_for(100 * MS);
            left.push(stage.processes[0].endpoint.sessions());
        }
        // Not all at once: a third of the window, and not much may have gone.
        assert!(left[5] > 15, "all went at once: {left:?}");
        stage.retire(at);
        stage.run_to("that it has left", 20 * SECOND, |w| !w.is_there(at));
        stage.all_is_well();
        assert!(stage.counters.takeovers >= 60 && stage.counters.reported == 0);
        let held: Vec<usize> = stage
            .processes
            .iter()
            .map(|process| process.endpoint.sessions())
            .collect();
        assert_eq!(held.iter().sum::<usize>(), 60);
        assert!(held.iter().filter(|count| **count > 0).count() > 1, "{held:?}");
    }
}

/// The flight proves that its client was there, so the session gets a whole life from then on, however long it had been away; but it does not outlive it.
#[test]
fn a_takeover_gives_a_full_new_life() {
    for durability in BOTH {
        let mut options = ClusterOptions::calm(durability);
        options.limits.detached = 10 * SECOND;
        let mut stage = Stage::with(options);
        stage.park();
        stage.talks[0].excuses.expired = true;
        stage.run_for(4 * SECOND);
        // One flight gets through, and its connection dies before the answer.
        stage.let_in();
        stage.only_to(1);
        stage.script.extend([Fate::cut(Cut {
            when: When::After(18 * MS),
            notice: [Some(Duration::ZERO); 2],
            reset: true,
        })]);
        stage.script.extend(vec![Fate::connect(Connect::Refused); 5000]);
        stage.run_to("that it is taken over", 20 * SECOND, |w| w.counters.takeovers == 1);
        let taken = stage.now();
        stage.run_until(taken + 9 * SECOND);
        let server = &stage.processes[1].endpoint;
        assert_eq!((server.sessions(), server.detached()), (1, 1), "{durability:?}");
        stage.run_until(taken + 11 * SECOND);
        assert_eq!(stage.processes[1].endpoint.sessions(), 0, "{durability:?}");
        stage.let_in();
        assert_eq!(stage.ends(), CloseReason::Expired);
    }
}
