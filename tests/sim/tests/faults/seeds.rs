//! A share of what the runner does: seeds of all profiles, and one hundred thousand broken links.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use unbroken_sim::{Options, Profile, Totals, World, run_seed};

/// Runs seeds on two threads until `enough`.
fn sweep(profile: Profile, from: u64, enough: impl Fn(&Totals) -> bool + Sync) -> Totals {
    let totals = Mutex::new(Totals::default());
    let next = AtomicU64::new(from);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !enough(&totals.lock().unwrap()) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    match run_seed(profile, seed, 60) {
                        Ok(one) => *totals.lock().unwrap() += one,
                        Err(failure) => panic!("{failure}"),
                    }
                }
            });
        }
    });
    totals.into_inner().unwrap()
}

#[test]
fn f105_l7_a_hundred_thousand_broken_links_lose_nothing() {
    let wanted = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
    let totals = sweep(Profile::Cuts, 0, |t| t.failures >= wanted);
    println!("{totals}");
    assert!(totals.handovers > wanted / 4, "{totals}");
    assert!(totals.messages > wanted, "{totals}");
}

#[test]
fn l2_l9_seeds_of_every_profile() {
    for profile in Profile::ALL {
        let runs = if profile == Profile::Fleet { 20 } else { 60 };
        let totals = sweep(profile, 0, |t| t.runs >= runs);
        println!("{}: {totals}", profile.name());
        assert!(totals.failures > 100, "{}: {totals}", profile.name());
    }
}

#[test]
fn one_seed_is_one_run() {
    for profile in Profile::ALL {
        for seed in 3..6 {
            let (first, second) = (
                run_seed(profile, seed, 60).unwrap(),
                run_seed(profile, seed, 60).unwrap(),
            );
            assert_eq!(first, second, "{} {seed}", profile.name());
        }
        let digests = [3, 4].map(|seed| run_seed(profile, seed, 60).unwrap().digest);
        assert_ne!(digests[0], digests[1]);
    }
}

#[test]
fn a_run_in_which_nothing_broke_is_no_proof() {
    let mut options = Options {
        profile: Profile::Chaos,
        ..Options::calm()
    };
    options.app.messages = [0, 0];
    let failure = unbroken_sim::runner::run_world(World::new(options, 1), World::run).unwrap_err();
    assert!(failure.what.contains("vacuous"), "{failure}");
    assert!(
        failure.to_string().contains("--seeds 1..2 --profile chaos"),
        "{failure}"
    );
}
