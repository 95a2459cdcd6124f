//! The random numbers: NIST's answers, the same run from the same seed, and an even spread.

use super::*;
use crate::crypto::{Rng, Seed};

/// The first two cases of `[SHA-256]` without reseed, personalisation or additional input in NIST's CAVP file
/// `HMAC_DRBG.rsp`: entropy, nonce, and what the second of two requests for 128 bytes returns.
const CAVP: [[&str; 3]; 2] = [
    [
        "ca851911349384bffe89de1cbdc46e6831e44d34a4fb935ee285dd14b71a7488",
        "659ba96c601dc69fc902940805ec0ca8",
        "e528e9abf2dece54d47c7e75e5fe302149f817ea9fb4bee6f4199697d04d5b89d54fbb978a15b5c443c9ec21036d2460\
         b6f73ebad0dc2aba6e624abf07745bc107694bb7547bb0995f70de25d6b29e2d3011bb19d27676c07162c8b5ccde0668\
         961df86803482cb37ed6d5c0bb8d50cf1f50d476aa0458bdaba806f48be9dcb8",
    ],
    [
        "79737479ba4e7642a221fcfd1b820b134e9e3540a35bb48ffae29c20f5418ea3",
        "3593259c092bef4129bc2c6c9e19f343",
        "cf5ad5984f9e43917aa9087380dac46e410ddc8a7731859c84e9d0f31bd43655b924159413e2293b17610f211e09f770\
         f172b8fb693a35b85d3b9e5e63b1dc252ac0e115002e9bedfb4b5b6fd43f33b8e0eafb2d072e1a6fee1f159df9b51e6c\
         8da737e60d5032dd30544ec51558c6f080bdbdab1de8a939e961e06b5f1aca37",
    ],
];

fn rng(seed: u8) -> Rng {
    Rng::new(&Seed::new([seed; 32]))
}

#[test]
fn it_is_nists_generator() {
    for [entropy, nonce, expected] in CAVP {
        let mut material = unhex(entropy);
        material.extend(unhex(nonce));
        let mut rng = Rng::instantiate(&material);
        let mut out = [0; 128];
        rng.fill(&mut out);
        rng.fill(&mut out);
        assert_eq!(out.as_slice(), unhex(expected));
    }
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_another() {
    let (mut one, mut two, mut three) = (rng(1), rng(1), rng(2));
    for _ in 0..100 {
        let key = one.key();
        assert_eq!(key, two.key());
        assert_ne!(key, three.key());
    }
    two.reseed(b"more entropy");
    assert_ne!(one.key(), two.key());
}

#[test]
fn the_state_moves_with_each_request() {
    let (mut whole, mut halves) = ([0; 64], [0; 64]);
    rng(1).fill(&mut whole);
    let mut other = rng(1);
    let (first, second) = halves.split_at_mut(32);
    other.fill(first);
    other.fill(second);
    assert_eq!(whole[..32], halves[..32]);
    assert_ne!(whole[32..], halves[32..]);
}

#[test]
fn a_long_request_has_no_repeating_blocks() {
    let mut long = std::vec![0; 200_001];
    rng(1).fill(&mut long);
    let mut blocks: Vec<&[u8]> = long.chunks_exact(32).collect();
    let count = blocks.len();
    blocks.sort_unstable();
    blocks.dedup();
    assert_eq!(blocks.len(), count);
}

#[test]
fn below_stays_below_and_spreads_evenly() {
    let mut rng = rng(1);
    assert_eq!(rng.below(0), 0);
    assert_eq!(rng.below(1), 0);
    let mut seen = [0_u32; 6];
    for _ in 0..60_000 {
        seen[rng.below(6) as usize] += 1;
    }
    for count in seen {
        assert!((9_500..10_500).contains(&count), "{count} of 60000"); // 5 standard deviations
    }
}

#[test]
fn below_has_no_bias_where_a_remainder_would() {
    // A remainder by 3 * 2^62 would give the lowest third twice the share of the others.
    let mut rng = rng(1);
    let third = 1 << 62;
    let mut seen = [0_u32; 3];
    for _ in 0..30_000 {
        seen[(rng.below(3 * third) / third) as usize] += 1;
    }
    for count in seen {
        assert!((9_550..10_450).contains(&count), "{count} of 30000");
    }
}
