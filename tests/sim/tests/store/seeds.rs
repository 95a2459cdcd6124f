//! A share of what the runner does: seeds of worlds with several processes.

use unbroken_sim::cluster::{ClusterOptions, Counters, World};
use unbroken_sim::{Profile, Totals, run_seed};

#[test]
fn f90_f104_l15_thousands_of_handovers_between_processes_lose_nothing() {
    let wanted = if cfg!(debug_assertions) { 2_000 } else { 10_000 };
    let mut totals = Totals::default();
    for seed in 0.. {
        totals += run_seed(Profile::Cluster, seed, 60).unwrap_or_else(|failure| panic!("{failure}"));
        if totals.servers.takeovers >= wanted {
            break;
        }
    }
    println!("{totals}");
    assert_eq!(totals.servers.missing(), [""; 0], "{totals}");
    assert!(totals.messages > wanted * 5, "{totals}");
}

#[test]
fn a_run_in_which_nothing_moved_is_no_proof() {
    let options = ClusterOptions {
        processes: 1,
        ..ClusterOptions::calm(unbroken::Durability::SwapOut)
    };
    let failure = unbroken_sim::runner::run_cluster(World::new(options, 1), World::run).unwrap_err();
    assert!(failure.what.contains("vacuous"), "{failure}");
}

#[test]
fn what_never_happened_is_named() {
    let missing = Counters::default().missing();
    assert!(missing.contains(&"no crash".to_string()) && missing.contains(&"no fault at Claim".to_string()));
    assert!(missing.len() > 15, "{missing:?}");
}
