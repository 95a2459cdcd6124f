//! What the store may do to a record, and what is made of it: nothing that is wrong is taken for a session (F-83 to F-89).

use core::time::Duration;

use unbroken::{CloseReason, Durability, NetworkEvent, NetworkId, Record};
use unbroken_sim::cluster::{ClusterOptions, store_key};
use unbroken_sim::{Connect, Fate, Stall};

use crate::common::*;

#[test]
fn f83_a_blob_that_is_flipped_or_cut_is_told_as_lost() {
    // But for the format and the key's id, which might be those of another server: F-85.
    let spoils: [fn(&mut Vec<u8>); 5] = [
        |blob| blob[0] ^= 1,
        |blob| blob[20] ^= 4,
        |blob| *blob.last_mut().unwrap() ^= 1,
        |blob| blob.truncate(blob.len() / 2),
        |blob| blob.truncate(3),
    ];
    for durability in BOTH {
        for (n, spoil) in spoils.into_iter().enumerate() {
            let mut stage = Stage::new(durability);
            stage.park();
            let key = store_key(stage.id());
            assert!(stage.store.spoil(&key, spoil));
            stage.tampered();
            stage.let_in();
            assert_eq!(stage.ends(), CloseReason::RolledBack, "spoil {n}");
            assert_eq!(stage.counters.takeovers, 0);
        }
    }
}

#[test]
fn f84_the_blob_of_another_session_is_nobodys() {
    for durability in BOTH {
        let mut stage = Stage::with(ClusterOptions {
            clients: 2,
            ..ClusterOptions::calm(durability)
        });
        stage.park();
        let [one, other] = [0, 1].map(|i| store_key(stage.talks[i].id.unwrap()));
        let before = stage.record();
        stage.swap_blobs(&one, &other);
        assert_ne!(stage.record(), before, "vacuous");
        for talk in &mut stage.talks {
            talk.excuses.tampered = true;
        }
        stage.let_in();
        assert_eq!(stage.ends(), CloseReason::RolledBack);
        stage.run_to("the other's end", 60 * SECOND, |w| w.talks[1].client_closed());
        assert_eq!(stage.talks[1].life.closed, Some(CloseReason::RolledBack));
    }
}

/// The word on an end is not sealed, so it can be changed. Its client hears what stands there.
#[test]
fn f83_an_end_that_is_flipped_in_the_store_is_told_as_it_stands_there() {
    let spoils: [fn(&mut Vec<u8>); 3] = [|blob| blob[1] ^= 2, |blob| blob[5] ^= 8, |blob| blob.truncate(3)];
    for durability in BOTH {
        for (n, spoil) in spoils.into_iter().enumerate() {
            let mut stage = Stage::new(durability);
            stage.script.extend(vec![Fate::connect(Connect::Refused); 50]);
            stage.kill_links();
            stage.run_for(100 * MS);
            let key = store_key(stage.id());
            assert!(stage.close_from_server(0, 7));
            stage.run_for(SECOND);
            assert_eq!(stage.store.epitaph(&key), Some(7));
            assert!(stage.store.spoil(&key, spoil));
            stage.note_misquote(&key);
            stage.tampered();
            stage.let_in();
            stage.only_to(2);
            let truncated = stage.talks[0].heard.len() < stage.talks[0].said.len();
            let told = match n {
                0 => CloseReason::Kicked { code: 7 },
                1 => CloseReason::Peer { code: 15, truncated },
                _ => CloseReason::UnknownSession,
            };
            assert_eq!(stage.ends(), told, "{durability:?}, spoil {n}");
        }
    }
}

#[test]
fn f85_a_newer_format_is_left_to_newer_servers() {
    for durability in BOTH {
        let mut stage = Stage::new(durability);
        stage.park();
        let key = store_key(stage.id());
        stage.make_newer(&key);
        let as_it_was = stage.record();
        stage.let_in();
        stage.run_for(20 * SECOND);
        assert!(!stage.talks[0].client_closed(), "never guessed");
        assert_eq!((stage.record(), stage.counters.takeovers), (as_it_was, 0));
        stage.mend(&key);
        stage.run_to("that one takes it", 60 * SECOND, is_up);
        assert_eq!(stage.counters.takeovers, 1);
        stage.all_is_well();
    }
}

#[test]
fn f83_f85_a_key_that_nobody_here_has_is_waited_for_and_then_expires() {
    let mut options = ClusterOptions::calm(Durability::SwapOut);
    options.limits.detached = 60 * SECOND;
    let mut stage = Stage::with(options);
    stage.park();
    let key = store_key(stage.id());
    assert!(stage.store.spoil(&key, |blob| blob[7] ^= 0x80));
    stage.tampered();
    stage.let_in();
    stage.run_for(40 * SECOND);
    assert!(!stage.talks[0].client_closed(), "another server may have it");
    assert_eq!(stage.ends(), CloseReason::Expired);
}

#[test]
fn f86_a_store_that_went_back_is_found_out_by_the_client() {
    for durability in BOTH {
        let mut stage = Stage::new(durability);
        stage.park();
        stage.backup();
        stage.let_in();
        stage.run_to("that it stands again", 20 * SECOND, is_up);
        stage.run_for(SECOND);
        stage.park();
        stage.roll_back(Duration::ZERO);
        assert_eq!(stage.counters.rollbacks, 1);
        stage.let_in();
        assert_eq!(stage.ends(), CloseReason::RolledBack, "{durability:?}");
    }
}

#[test]
fn f86_a_process_that_dies_before_the_store_goes_back_is_no_excuse() {
    let mut stage = Stage::new(Durability::Durable);
    stage.backup();
    stage.run_for(SECOND);
    let at = stage.at(0);
    stage.only_to(1);
    stage.crash(at);
    stage.roll_back(Duration::ZERO);
    assert_eq!(stage.ends(), CloseReason::RolledBack);
}

/// The secrets are the same as in the snapshot, so only the counts tell that it is older than what the client knows. They are judged before anything is claimed: a
/// session that cannot go on is nobody's to have, and no application is given it.
#[test]
fn f86_counts_are_judged_before_anything_is_claimed() {
    let mut stage = Stage::new(Durability::Durable);
    let generation = stage.clients[0].session.stats().handovers;
    stage.backup();
    stage.run_for(SECOND);
    assert_eq!(
        stage.clients[0].session.stats().handovers,
        generation,
        "one link all the time"
    );
    let at = stage.at(0);
    stage.only_to(1);
    stage.crash(at);
    stage.roll_back(Duration::ZERO);
    assert_eq!(stage.ends(), CloseReason::RolledBack);
    let judge = stage.processes[1].endpoint.counters();
    assert_eq!((judge.rollbacks, judge.takeovers, stage.counters.takeovers), (1, 0, 0));
    assert!(matches!(stage.record(), Some(Record::Tomb { .. })));
}

/// The server finds nothing wrong: when the client asked, it knew no more than the store does. What it has been told since only the client can hold against the
/// answer (U-64).
#[test]
fn f86_what_was_acked_while_the_client_asked_is_not_forgotten() {
    let mut stage = Stage::orphaned();
    // The question to process 1 is on its way for a while.
    stage.script.push_front(Fate {
        stall: Some(Stall {
            from: Duration::ZERO,
            lasts: Some(400 * MS),
            sides: [false, true],
        }),
        ..Fate::default()
    });
    stage.only_to(1);
    let handovers = stage.clients[0].session.stats().handovers;
    stage.network(0, NetworkEvent::Changed(NetworkId(1)));
    stage.run_for(200 * MS);
    assert!(stage.script.is_empty(), "vacuous: it has not asked");
    stage.backup();
    let acked = stage.clients[0].session.acked();
    stage.run_for(200 * MS);
    assert!(stage.clients[0].session.acked() > acked, "vacuous");
    stage.roll_back(Duration::ZERO);
    assert_eq!(stage.ends(), CloseReason::RolledBack);
    assert_eq!(stage.counters.takeovers, 1, "vacuous: the server saw it");
    let now = stage.clients[0].session.stats().handovers;
    assert_eq!(now, handovers, "it went on until the gap was found");
}

#[test]
fn f86_a_store_that_names_an_owner_of_before_keeps_nobody_waiting() {
    let mut stage = Stage::new(Durability::SwapOut);
    stage.backup();
    stage.move_to(1);
    stage.arrive_at(1);
    stage.roll_back(Duration::ZERO);
    // Now process 0 is said to have it, which lives and has not.
    stage.move_to(2);
    assert_eq!(stage.ends(), CloseReason::RolledBack);
}

#[test]
fn f88_an_expiry_that_fired_early_is_told_as_one() {
    for durability in BOTH {
        let mut stage = Stage::new(durability);
        stage.park();
        let (key, now) = (store_key(stage.id()), stage.now());
        stage.store.expire(&key, now);
        stage.tampered();
        stage.let_in();
        assert_eq!(stage.ends(), CloseReason::Expired);
    }
}

#[test]
fn f89_an_evicted_record_is_told_as_unknown() {
    for durability in BOTH {
        let mut stage = Stage::new(durability);
        stage.park();
        let key = store_key(stage.id());
        stage.store.evict(&key);
        stage.tampered();
        stage.let_in();
        assert_eq!(stage.ends(), CloseReason::UnknownSession);
    }
}

#[test]
fn an_end_is_told_wherever_the_client_asks() {
    for durability in BOTH {
        let mut stage = Stage::new(durability);
        // Its link breaks before it hears of the end.
        stage
            .script
            .extend(vec![unbroken_sim::Fate::connect(unbroken_sim::Connect::Refused); 50]);
        stage.kill_links();
        stage.run_for(100 * MS);
        assert!(stage.close_from_server(0, 7));
        stage.run_for(SECOND);
        assert!(matches!(stage.record(), Some(Record::Tomb { .. })));
        stage.let_in();
        stage.only_to(2);
        let truncated = stage.talks[0].heard.len() < stage.talks[0].said.len();
        assert_eq!(stage.ends(), CloseReason::Peer { code: 7, truncated });
    }
}
