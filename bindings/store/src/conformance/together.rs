//! Many requests at once: exactly one wins, order is kept, nothing is forgotten. And many at random, against the memory store.

use super::*;
use crate::MemoryStore;

/// Each by a call of its own, all at the same time.
pub async fn of_a_hundred_claims_one_succeeds(subject: &Subject) {
    for _ in 0..10 {
        let key = key();
        assert_eq!(
            subject.one(put(key, Expect::Absent, parked(1, "state"))).await,
            StoreReply::Done
        );
        let owners: Vec<Owner> = (0..100).map(|_| owner()).collect();
        let claims = owners.iter().map(|owner| {
            tokio::spawn(
                subject
                    .store()
                    .submit(vec![put(key, Expect::Parked(1), live(2, *owner, ""))]),
            )
        });
        let claims: Vec<_> = claims.collect();
        let mut winners = Vec::new();
        for (claim, owner) in claims.into_iter().zip(owners) {
            match claim.await.expect("it does not panic")[..] {
                [StoreReply::Done] => winners.push(owner),
                [StoreReply::Conflict] => {}
                ref other => panic!("a claim is answered by {other:?}"),
            }
        }
        let [winner] = winners[..] else {
            panic!("{} claims succeeded", winners.len());
        };
        assert_eq!(subject.record(key).await, Some(live(2, winner, "")));
    }
}

/// In the order of the calls, whether or not anybody has polled yet.
pub async fn requests_about_a_key_keep_their_order(subject: &Subject) {
    let (keys, owner): (Vec<StoreKey>, _) = ((0..5).map(|_| key()).collect(), owner());
    let begin = keys
        .iter()
        .map(|key| put(*key, Expect::Absent, live(0, owner, "")))
        .collect();
    let mut calls = vec![subject.store().submit(begin)];
    for i in 0..100 {
        let batch = keys.iter().flat_map(|key| {
            let next = live(i + 1, owner, "");
            [
                append(*key, i.to_string()),
                put(*key, Expect::Live(i, owner), next),
                StoreOp::Peek { key: *key },
            ]
        });
        calls.push(subject.store().submit(batch.collect()));
    }
    // Polled in the wrong order.
    let calls = calls.into_iter().rev().map(tokio::spawn).collect::<Vec<_>>();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.expect("it does not panic"));
    }
    answers.reverse();
    for (i, answer) in (0..).zip(&answers[1..]) {
        assert_eq!(answer.len(), 15);
        for replies in answer.chunks(3) {
            let found = Peeked {
                record: live(i + 1, owner, ""),
                expired: false,
                owner_alive: false,
            };
            let appended = StoreReply::Appended {
                cursor: i + 1,
                owner: Some(owner),
            };
            assert_eq!(
                replies,
                [appended, StoreReply::Done, StoreReply::Peeked(Some(found))],
                "call {i}"
            );
        }
    }
    let messages: Vec<(Cursor, Bytes)> = (1..=100).map(|i| (i, (i - 1).to_string().into())).collect();
    for key in keys {
        assert_eq!(subject.read(key, 0, 1000).await, messages);
    }
}

/// Ten thousand sessions parked by one call, as a server does that leaves.
pub async fn a_large_batch_is_answered_in_order(subject: &Subject) {
    let keys: Vec<StoreKey> = (0..10_000).map(|_| key()).collect();
    let blob = |i: usize| Bytes::from(format!("{i:0256}"));
    let park = keys
        .iter()
        .enumerate()
        .map(|(i, key)| put(*key, Expect::Absent, parked(i as u64, blob(i))));
    let replies = subject.store().submit(park.collect()).await;
    assert_eq!(replies.len(), keys.len());
    assert!(replies.iter().all(|reply| *reply == StoreReply::Done));
    let replies = subject
        .store()
        .submit(keys.iter().map(|key| StoreOp::Peek { key: *key }).collect())
        .await;
    assert_eq!(replies.len(), keys.len());
    for (i, reply) in replies.into_iter().enumerate() {
        let StoreReply::Peeked(Some(found)) = reply else {
            panic!("session {i} is answered by {reply:?}");
        };
        assert_eq!(found.record, parked(i as u64, blob(i)));
    }
}

/// A caller that gives up does not leave a session half moved.
pub async fn what_nobody_waits_for_is_done_all_the_same(subject: &Subject) {
    let (key, owner) = (key(), owner());
    drop(
        subject
            .store()
            .submit(vec![put(key, Expect::Absent, live(1, owner, "")), append(key, "1")]),
    );
    let next = StoreReply::Appended {
        cursor: 2,
        owner: Some(owner),
    };
    assert_eq!(subject.one(append(key, "2")).await, next);
}

/// Nothing asked, nothing answered.
pub async fn an_empty_batch_is_nothing(subject: &Subject) {
    assert_eq!(subject.store().submit(Vec::new()).await, []);
}

/// Few keys and few values, so that requests meet. Those about sessions and those about owners by turns: between the two no order is promised.
pub async fn random_requests_are_answered_as_the_memory_store_does(subject: &Subject) {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let model = MemoryStore::new();
    let keys: Vec<StoreKey> = (0..4).map(|_| key()).collect();
    let owners: Vec<Owner> = (0..3).map(|_| owner()).collect();
    let users: Vec<[u8; 32]> = (0..2).map(|_| std::array::from_fn(|_| fastrand::u8(..))).collect();
    let (mut done, mut conflicts) = (0, 0);
    for round in 0..60 {
        let any = |random: &mut fastrand::Rng| match round % 2 {
            0 => about_sessions(random, &keys, &owners, &users),
            _ => about_owners(random, &owners),
        };
        let batch: Vec<StoreOp> = (0..random.usize(1..50)).map(|_| any(&mut random)).collect();
        let replies = subject.store().submit(batch.clone()).await;
        let expected = model.submit(batch.clone()).await;
        for ((op, reply), expected) in batch.iter().zip(&replies).zip(&expected) {
            assert_eq!(reply, expected, "{op:?} in round {round} of seed {seed}");
            done += u32::from(*reply == StoreReply::Done);
            conflicts += u32::from(*reply == StoreReply::Conflict);
        }
        assert_eq!(replies.len(), expected.len());
    }
    assert!(
        done > 50 && conflicts > 50,
        "{done} done, {conflicts} conflicts: the requests did not meet"
    );
}

fn about_owners(random: &mut fastrand::Rng, owners: &[Owner]) -> StoreOp {
    let owner = owners[random.usize(..owners.len())];
    match random.u8(..3) {
        0 => lease(owner, if random.bool() { LONG } else { Duration::ZERO }),
        1 => StoreOp::Send {
            to: owner,
            note: random.u32(..).to_string().into(),
        },
        _ => StoreOp::Receive { owner },
    }
}

fn about_sessions(random: &mut fastrand::Rng, keys: &[StoreKey], owners: &[Owner], users: &[[u8; 32]]) -> StoreOp {
    let key = keys[random.usize(..keys.len())];
    let owner = owners[random.usize(..owners.len())];
    let token = random.u64(1..4);
    let text = Bytes::from(random.u32(..).to_string());
    match random.u8(..10) {
        0..4 => {
            let expect = match random.u8(..6) {
                0..3 => Expect::Live(token, owner),
                3..5 => Expect::Parked(token),
                _ => Expect::Absent,
            };
            let record = match random.u8(..20) {
                0..10 => live(random.u64(1..4), owners[random.usize(..owners.len())], text),
                10..19 => parked(random.u64(1..4), text),
                _ => tomb(token),
            };
            // Some are over at once; a tomb always, or its key would be dead for good.
            let over = matches!(record, Record::Tomb { .. }) || random.u8(..10) == 0;
            put_for(key, expect, record, if over { Duration::ZERO } else { LONG }, LONG)
        }
        4 => StoreOp::Peek { key },
        5..7 => append(key, text),
        7 => StoreOp::Read {
            key,
            after: random.u64(..8),
            max: random.u32(..8),
        },
        8 => StoreOp::Trim {
            key,
            upto: random.u64(..6),
        },
        _ => StoreOp::Bind {
            user: users[random.usize(..users.len())],
            key,
            life: LONG,
        },
    }
}
