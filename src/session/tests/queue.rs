//! The byte queue against a queue of vectors.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::Dice;
use crate::session::queue::{ByteQueue, Full};

#[test]
fn it_is_a_queue_with_a_bound() {
    for seed in 0..100 {
        let mut dice = Dice::new(seed);
        let max = [0, 1, 2, 50, 1000][(seed % 5) as usize];
        let mut queue = ByteQueue::new(max);
        let mut model: VecDeque<Vec<u8>> = VecDeque::new();
        let mut refused = 0;
        for _ in 0..1000 {
            match dice.between(0, 20) {
                0..=11 => {
                    let length = dice.between(0, max as u64 / 3 + 2) as usize;
                    let bytes = dice.bytes(length);
                    let held: usize = model.iter().map(|bytes| bytes.len() + 1).sum();
                    let fits = held + length < max;
                    assert_eq!(queue.push(&bytes), if fits { Ok(()) } else { Err(Full) }, "seed {seed}");
                    refused += u32::from(!fits);
                    if fits {
                        model.push_back(bytes);
                    }
                }
                12..=18 => {
                    assert_eq!(queue.front().map(<[u8]>::to_vec), model.front().cloned(), "seed {seed}");
                    assert_eq!(queue.pop().map(<[u8]>::to_vec), model.pop_front(), "seed {seed}");
                }
                19 => queue.shrink(),
                _ => {
                    queue.clear();
                    model.clear();
                }
            }
            assert_eq!(queue.is_empty(), model.is_empty(), "seed {seed}");
        }
        assert!(refused > 0, "seed {seed}: the bound was never met");
    }
}

/// A queue that never runs empty: what was taken goes, before it is more than what waits.
#[test]
fn what_was_taken_does_not_stay_in_front_of_what_waits() {
    const LONGEST: usize = 100;
    let string = |number: usize| alloc::vec![number as u8; LONGEST - number % 10];
    for waiting in [1, 2, 7, 50] {
        let mut queue = ByteQueue::new(10_000);
        for number in 0..5000 {
            queue.push(&string(number)).expect("there is room");
            if number >= waiting {
                assert_eq!(queue.pop(), Some(&string(number - waiting)[..]));
            }
        }
        assert_eq!(queue.len(), waiting);
        // A vector that grows may take twice what it needs.
        let bound = 2 * (2 * (waiting + 2) * LONGEST);
        assert!(queue.memory() <= bound, "{} for {waiting}", queue.memory());
    }
}

#[test]
fn an_empty_queue_gives_its_memory_back() {
    let mut queue = ByteQueue::new(1000);
    queue.push(&[1; 500]).expect("there is room");
    queue.shrink();
    assert_eq!(queue.front(), Some(&[1; 500][..]), "one that waits stays");
    queue.pop();
    assert!(queue.memory() >= 500, "more may come soon");
    queue.shrink();
    assert_eq!(queue.memory(), 0);
}
