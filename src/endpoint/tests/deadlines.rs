//! The heap of deadlines against a plain list.

use alloc::collections::BTreeMap;
use core::time::Duration;

use crate::endpoint::Locator;
use crate::endpoint::deadlines::{Armed, Deadlines};
use crate::session::tests::Dice;
use crate::time::Instant;

/// A session as the endpoint keeps it: what it wants, and what it has in the heap.
struct Wish {
    at: Instant,
    armed: Armed,
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
                        armed: Armed::new(),
                    });
                    wish.at = at;
                    deadlines.arm(name, at, &mut wish.armed);
                }
                _ => {
                    now += Duration::from_millis(dice.between(0, 50));
                    while let Some((at, name)) = deadlines.pop_due(now) {
                        let Some(wish) = sessions.get_mut(&name) else { continue };
                        if !wish.armed.fired(at) {
                            continue;
                        }
                        asked += 1;
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
