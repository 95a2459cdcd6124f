//! The heap of deadlines against a plain list.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use crate::endpoint::Locator;
use crate::endpoint::deadlines::Deadlines;
use crate::session::tests::Dice;
use crate::time::Instant;

/// A session as the endpoint keeps it: what it wants, and what it has in the heap.
struct Wish {
    at: Instant,
    armed: Instant,
}

fn locator(number: u64) -> Locator {
    number.to_be_bytes()
}

#[test]
fn every_session_is_asked_in_time_and_none_too_often() {
    for seed in 0..100 {
        let mut dice = Dice::new(seed);
        let mut deadlines = Deadlines::default();
        let mut sessions: BTreeMap<Locator, Wish> = BTreeMap::new();
        let mut now = Instant::from_millis(1);
        let (mut asked, mut in_vain) = (0, 0);
        for _ in 0..2000 {
            let name = locator(dice.between(0, 20));
            match dice.between(0, 9) {
                0 => {
                    sessions.remove(&name);
                }
                1..=6 => {
                    let at = now + Duration::from_millis(dice.between(0, 1000));
                    let wish = sessions.entry(name).or_insert(Wish {
                        at,
                        armed: Instant::FAR_FUTURE,
                    });
                    wish.at = at;
                    deadlines.arm(name, at, &mut wish.armed);
                }
                _ => {
                    now += Duration::from_millis(dice.between(0, 50));
                    while let Some((at, name)) = deadlines.pop_due(now) {
                        let Some(wish) = sessions.get_mut(&name).filter(|wish| wish.armed == at) else {
                            continue;
                        };
                        asked += 1;
                        wish.armed = Instant::FAR_FUTURE;
                        if wish.at <= now {
                            wish.at = now + Duration::from_millis(dice.between(1, 1000));
                        } else {
                            in_vain += 1;
                        }
                        deadlines.arm(name, wish.at, &mut wish.armed);
                    }
                    for (name, wish) in &sessions {
                        assert!(wish.at > now, "seed {seed}: {name:?} was not asked");
                    }
                }
            }
            let counts = |at: Instant, name: &Locator| sessions.get(name).is_some_and(|wish| wish.armed == at);
            deadlines.sweep(sessions.len(), counts);
            let first = sessions
                .values()
                .map(|wish| wish.at)
                .min()
                .unwrap_or(Instant::FAR_FUTURE);
            assert!(deadlines.next() <= first, "seed {seed}: it would sleep too long");
        }
        assert!(
            asked > 100 && in_vain < asked,
            "seed {seed}: {asked} asked, {in_vain} in vain"
        );
    }
}

/// A busy session: an ACK due every 20 ms, its life every 80 s. The heap must not grow with the number of ACKs (G7).
#[test]
fn a_busy_session_does_not_fill_the_heap() {
    let mut deadlines = Deadlines::default();
    let names: Vec<_> = (0..10).map(locator).collect();
    let mut armed = [Instant::FAR_FUTURE; 10];
    let mut now = Instant::ZERO;
    for _ in 0..5000 {
        for (name, armed) in names.iter().zip(&mut armed) {
            deadlines.arm(*name, now + Duration::from_secs(80), armed);
            deadlines.arm(*name, now + Duration::from_millis(20), armed);
        }
        now += Duration::from_millis(20);
        let mut asked = 0;
        while let Some((at, name)) = deadlines.pop_due(now) {
            let armed = &mut armed[u64::from_be_bytes(name) as usize];
            if *armed == at {
                *armed = Instant::FAR_FUTURE;
                asked += 1;
            }
        }
        assert_eq!(asked, 10);
        deadlines.sweep(10, |at, name| armed[u64::from_be_bytes(*name) as usize] == at);
        assert!(
            deadlines.len() <= 64 + 2 * 10 + 10,
            "{} entries for 10 sessions",
            deadlines.len()
        );
    }
}
