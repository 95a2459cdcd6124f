//! The envelope and its fields, and what does not open.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::v1::{Generation, Malformed};
use super::{Format, HEAD, Snapshot, Unusable, Vault};
use crate::crypto::{ClusterKey, Rng, Seed};
use crate::wire::varint;

const KEY: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
const TOKEN: u64 = 77;

fn cluster(fill: u8) -> ClusterKey {
    ClusterKey::from_bytes([fill; 32]).unwrap()
}

fn vault(realm: &[u8], clusters: &[u8]) -> Vault {
    let clusters: Vec<ClusterKey> = clusters.iter().map(|fill| cluster(*fill)).collect();
    Vault::new(realm, &clusters)
}

fn full() -> Snapshot<'static> {
    Snapshot {
        session: [1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 9, 9, 9, 9],
        attempt: 9,
        current: Generation {
            number: 7,
            secret: &[0x77; 32],
        },
        pending: Some(Generation {
            number: 9,
            secret: &[0x99; 32],
        }),
        delivered: 41,
        base: 100,
        carried: 102,
        count: 3,
        messages: b"\x03hi\x01\x06there",
        peer_max_message: 1 << 20,
        welcome: b"welcome",
        mail: 12,
        life: Duration::from_millis(29_500),
        user: Some(b"anna"),
        app: Some(b"the application's state"),
    }
}

fn sealed(vault: &Vault) -> Vec<u8> {
    vault.seal(&full(), &KEY, TOKEN, &mut Rng::new(&Seed::new([5; 32])))
}

#[test]
fn what_was_sealed_opens_at_its_place() {
    let vault = vault(b"game", &[1]);
    let blob = sealed(&vault);
    assert!(vault.open(&blob, &KEY, TOKEN).unwrap().snapshot() == Ok(full()));
    let bare = Snapshot {
        pending: None,
        user: None,
        app: None,
        count: 0,
        carried: 100,
        messages: b"",
        ..full()
    };
    let blob = vault.seal(&bare, &KEY, TOKEN, &mut Rng::new(&Seed::new([5; 32])));
    assert!(vault.open(&blob, &KEY, TOKEN).unwrap().snapshot() == Ok(bare));
}

#[test]
fn no_two_are_alike() {
    let vault = vault(b"game", &[1]);
    let mut rng = Rng::new(&Seed::new([5; 32]));
    let first = vault.seal(&full(), &KEY, TOKEN, &mut rng);
    let second = vault.seal(&full(), &KEY, TOKEN, &mut rng);
    assert_ne!(first[HEAD - 32..HEAD], second[HEAD - 32..HEAD], "the salt");
    assert_ne!(first[HEAD..], second[HEAD..]);
}

/// F-83, F-84.
#[test]
fn nothing_opens_elsewhere_or_damaged() {
    let vault = vault(b"game", &[1]);
    let blob = sealed(&vault);
    let damaged = |blob: &[u8], key: &[u8; 8], token| vault.open(blob, key, token).err() == Some(Unusable::Damaged);
    assert!(damaged(&blob, &[8; 8], TOKEN), "another session");
    assert!(damaged(&blob, &KEY, TOKEN + 1), "another token");
    for length in 0..blob.len() {
        assert!(damaged(&blob[..length], &KEY, TOKEN), "cut at {length}");
    }
    const FORMAT: usize = 4;
    const KEY_ID: core::ops::Range<usize> = 5..9;
    for at in (0..blob.len()).filter(|at| *at != FORMAT) {
        for bit in 0..8 {
            let mut flipped = blob.clone();
            flipped[at] ^= 1 << bit;
            let result = vault.open(&flipped, &KEY, TOKEN).err();
            // The key id only says who may read it.
            let expected = if KEY_ID.contains(&at) {
                Unusable::Foreign
            } else {
                Unusable::Damaged
            };
            assert_eq!(result, Some(expected), "bit {bit} of byte {at}");
        }
    }
    assert!(
        super::tests::vault(b"shop", &[1]).open(&blob, &KEY, TOKEN).is_err(),
        "another realm (L-18)"
    );
    assert!(
        super::tests::vault(b"game", &[2]).open(&blob, &KEY, TOKEN).is_err(),
        "another cluster"
    );
}

/// Formats of builds that do not exist yet. What their fields would be does not matter here, only who is asked to read them.
const SECOND: Format = Format {
    number: 2,
    ..super::v1::FORMAT
};
const THIRD: Format = Format {
    number: 3,
    read: |_| Err(Malformed),
};

/// F-85. Each build reads its own format and the one before, by that one's reader; others are left alone, whole and rightly sealed as they are.
#[test]
fn a_build_reads_its_own_format_and_the_one_before_and_guesses_at_no_other() {
    let now = || vault(b"game", &[1]);
    let next = || vault(b"game", &[1]).knowing(&[SECOND, super::v1::FORMAT]);
    let later = || vault(b"game", &[1]).knowing(&[THIRD, SECOND]);
    let formats = [sealed(&now()), sealed(&next()), sealed(&later())];
    assert_eq!(
        formats.each_ref().map(|blob| blob[4]),
        [1, 2, 3],
        "each writes its newest"
    );
    let reads = |vault: &Vault| formats.each_ref().map(|blob| vault.open(blob, &KEY, TOKEN).map(|_| ()));
    let (good, foreign) = (Ok(()), Err(Unusable::Foreign));
    assert_eq!(reads(&now()), [good, foreign, foreign]);
    assert_eq!(reads(&next()), [good, good, foreign]);
    assert_eq!(reads(&later()), [foreign, good, good]);
    for blob in &formats[..2] {
        assert!(next().open(blob, &KEY, TOKEN).unwrap().snapshot() == Ok(full()));
    }
    let own = later().open(&formats[2], &KEY, TOKEN).unwrap();
    assert!(own.snapshot() == Err(Malformed), "its own reader was asked");
}

/// The format stands in the clear, but it is sealed with the rest.
#[test]
fn a_format_that_was_changed_is_damage_or_left_alone() {
    let vault = vault(b"game", &[1]).knowing(&[SECOND, super::v1::FORMAT]);
    for (written, expected) in [(1, Unusable::Damaged), (200, Unusable::Foreign), (0, Unusable::Damaged)] {
        let mut blob = sealed(&vault);
        blob[4] = written;
        assert_eq!(vault.open(&blob, &KEY, TOKEN).err(), Some(expected), "{written}");
    }
}

#[test]
fn older_cluster_keys_still_open() {
    let before = vault(b"game", &[1]);
    let during = vault(b"game", &[2, 1]);
    let after = vault(b"game", &[2]);
    assert!(during.open(&sealed(&before), &KEY, TOKEN).is_ok());
    assert!(after.open(&sealed(&during), &KEY, TOKEN).is_ok());
    let untold = before.open(&sealed(&during), &KEY, TOKEN).err();
    assert_eq!(
        untold,
        Some(Unusable::Foreign),
        "one that was not told of the key leaves it to the others"
    );
}

#[test]
fn fields_that_do_not_fit_together_are_found() {
    let mut good = Vec::new();
    full().encode(&mut good);
    assert!(Snapshot::parse(&good).is_ok());
    for length in 0..good.len() {
        assert!(Snapshot::parse(&good[..length]) == Err(Malformed), "cut at {length}");
    }
    let with_more = [&good[..], &[0]].concat();
    assert!(Snapshot::parse(&with_more) == Err(Malformed), "more behind");
    let wrong: Vec<Snapshot<'_>> = vec![
        Snapshot { carried: 99, ..full() },
        Snapshot { carried: 104, ..full() },
        Snapshot { count: 2, ..full() },
        Snapshot { count: 4, ..full() },
        Snapshot { attempt: 8, ..full() },
        Snapshot {
            delivered: 1 << 62,
            ..full()
        },
        Snapshot {
            base: u64::MAX,
            carried: u64::MAX,
            ..full()
        },
    ];
    for (at, snapshot) in wrong.iter().enumerate() {
        let mut bytes = Vec::new();
        snapshot.encode(&mut bytes);
        assert!(Snapshot::parse(&bytes) == Err(Malformed), "case {at}");
    }
}

fn is_read(snapshot: &Snapshot<'_>) -> bool {
    let mut bytes = Vec::new();
    snapshot.encode(&mut bytes);
    Snapshot::parse(&bytes).is_ok()
}

/// Each bound is met exactly, and then passed by one while all else fits.
#[test]
fn numbers_may_reach_their_bounds() {
    let empty = Snapshot {
        count: 0,
        messages: b"",
        ..full()
    };
    let at = |end| Snapshot {
        base: end,
        carried: end,
        ..empty.clone()
    };
    assert!(is_read(&at(varint::MAX)) && !is_read(&at(varint::MAX + 1)));
    let delivered = |delivered| Snapshot { delivered, ..full() };
    assert!(is_read(&delivered(varint::MAX)) && !is_read(&delivered(varint::MAX + 1)));
    // base 100 and three messages.
    let carried = |carried| Snapshot { carried, ..full() };
    assert_eq!(
        [99, 100, 103, 104].map(|number| is_read(&carried(number))),
        [false, true, true, false]
    );
    // The newer generation is 9, the attempt is 9.
    let current = |number| Snapshot {
        current: Generation {
            number,
            ..full().current
        },
        attempt: 10,
        ..full()
    };
    assert_eq!([8, 9, 10].map(|number| is_read(&current(number))), [true, true, false]);
    let attempt = |attempt| Snapshot { attempt, ..full() };
    assert_eq!([8, 9, 10].map(|number| is_read(&attempt(number))), [false, true, true]);
}

/// What is there or not is told by a byte that is 0 or 1 and nothing else.
#[test]
fn a_flag_has_two_values() {
    let mut with = Vec::new();
    full().encode(&mut with);
    let lacking = [
        Snapshot {
            pending: None,
            ..full()
        },
        Snapshot { user: None, ..full() },
        Snapshot { app: None, ..full() },
    ];
    for snapshot in lacking {
        let mut without = Vec::new();
        snapshot.encode(&mut without);
        let flag = with
            .iter()
            .zip(&without)
            .position(|(a, b)| a != b)
            .expect("a difference");
        assert_eq!((with[flag], without[flag]), (1, 0));
        for other in 2..=u8::MAX {
            let mut changed = with.clone();
            changed[flag] = other;
            assert!(Snapshot::parse(&changed) == Err(Malformed), "{other} at {flag}");
        }
    }
}

/// A store's host makes room by the hint, so nothing may be longer; and a limit is held against it, so it may not be much longer either.
#[test]
fn the_hint_is_never_less_than_the_length_and_hardly_more() {
    let large = [0x61; 5000];
    let mut lengths = Vec::new();
    for (messages, welcome, user, app) in [
        (0, 0, None, None),
        (5000, 0, None, None),
        (0, 5000, None, None),
        (0, 0, Some(5000), None),
        (0, 0, None, Some(5000)),
        (600, 700, Some(4000), Some(3000)),
    ] {
        // The hint does not look into them.
        let snapshot = Snapshot {
            messages: &large[..messages],
            welcome: &large[..welcome],
            user: user.map(|length| &large[..length]),
            app: app.map(|length| &large[..length]),
            ..full()
        };
        let mut bytes = Vec::new();
        snapshot.encode(&mut bytes);
        let hint = snapshot.size_hint();
        assert!(
            (bytes.len()..=bytes.len() + 256).contains(&hint),
            "{hint} for {}",
            bytes.len()
        );
        lengths.push(bytes.len());
    }
    assert!(lengths.iter().max() > lengths.iter().min());
}
