//! Records: compare-and-set, and time.

use super::*;

/// Nothing there: reads find nothing, writes that expect something conflict.
pub async fn absent_is_absent(subject: &Subject) {
    let (key, owner) = (key(), owner());
    assert_eq!(subject.peek(key).await, None);
    for expect in [Expect::Live(1, owner), Expect::Parked(1), Expect::Live(0, Owner::NONE)] {
        let reply = subject.one(put(key, expect, live(2, owner, "blob"))).await;
        assert_eq!(reply, StoreReply::Conflict, "{expect:?}");
    }
    assert_eq!(subject.one(append(key, "message")).await, StoreReply::NoSession);
    assert_eq!(subject.read(key, 0, 10).await, []);
    assert_eq!(subject.one(StoreOp::Trim { key, upto: 5 }).await, StoreReply::Done);
    assert_eq!(subject.peek(key).await, None, "a conflict changes nothing");
}

/// Every expectation against every record: only the right one replaces it, and a conflict changes nothing.
pub async fn a_record_is_replaced_only_if_it_is_as_expected(subject: &Subject) {
    let (a, b) = (owner(), owner());
    let records = [
        None,
        Some(live(7, a, "")),
        Some(live(7, a, "state")),
        Some(parked(7, "state")),
        Some(tomb(7)),
    ];
    let expectations = [
        Expect::Absent,
        Expect::Live(7, a),
        Expect::Live(7, b),
        Expect::Live(8, a),
        Expect::Parked(7),
        Expect::Parked(8),
    ];
    let (mut done, mut refused) = (0, 0);
    for record in &records {
        for expect in &expectations {
            let key = key();
            if let Some(record) = record {
                assert_eq!(
                    subject.one(put(key, Expect::Absent, record.clone())).await,
                    StoreReply::Done
                );
            }
            let fits = record
                .as_ref()
                .map_or(*expect == Expect::Absent, |record| record.is(expect));
            let next = live(9, b, "next");
            let (reply, left) = match fits {
                true => (StoreReply::Done, Some(next.clone())),
                false => (StoreReply::Conflict, record.clone()),
            };
            let case = format!("{record:?} with {expect:?}");
            assert_eq!(subject.one(put(key, *expect, next)).await, reply, "{case}");
            assert_eq!(subject.record(key).await, left, "{case}");
            *if fits { &mut done } else { &mut refused } += 1;
        }
    }
    assert_eq!(
        (done, refused),
        (4, 26),
        "one expectation fits each record but the tomb"
    );
}

/// Blobs of all sizes, tokens of all sizes, any bytes.
pub async fn what_was_put_is_found_as_it_was(subject: &Subject) {
    let all_bytes: Vec<u8> = (0..=255).collect();
    for size in [0, 1, 1024, 300_000] {
        let blob = Bytes::from_iter(all_bytes.iter().copied().cycle().take(size));
        for token in [0, 1, 1 << 53, (1 << 53) + 1, u64::MAX - 1, u64::MAX] {
            let owner = owner();
            for record in [live(token, owner, blob.clone()), parked(token, blob.clone())] {
                let key = key();
                let expect = match record {
                    Record::Live { .. } => Expect::Live(token, owner),
                    _ => Expect::Parked(token),
                };
                let again = put(key, expect, record.clone());
                let replies = subject.ask([put(key, Expect::Absent, record.clone()), again]).await;
                assert_eq!(replies, [StoreReply::Done, StoreReply::Done], "{record:?}");
                assert_eq!(subject.record(key).await, Some(record));
            }
        }
    }
    let (key, end) = (
        key(),
        Record::Tomb {
            token: 3,
            blob: all_bytes.into(),
        },
    );
    assert_eq!(
        subject.one(put(key, Expect::Absent, end.clone())).await,
        StoreReply::Done
    );
    assert_eq!(subject.record(key).await, Some(end));
}

/// `linger` is for parked records only.
pub async fn a_live_record_and_a_tomb_are_gone_when_their_life_is_over(subject: &Subject) {
    for record in [live(1, owner(), "state"), tomb(1)] {
        let mut lives = Lives::from(SHORT);
        while it_is_gone_after_its_life(subject, &record, lives.next())
            .await
            .is_none()
        {}
    }
}

async fn it_is_gone_after_its_life(subject: &Subject, record: &Record, life: Duration) -> Option<()> {
    let (key, watch) = (key(), Watch::start());
    let first = put_for(key, Expect::Absent, record.clone(), life, LONG);
    let [first, found] = subject.ask([first, StoreOp::Peek { key }]).await;
    watch.within(life)?;
    let owner = match record {
        Record::Live { owner, .. } => *owner,
        _ => owner(),
    };
    let there = Peeked {
        record: record.clone(),
        expired: false,
        owner_alive: false,
    };
    assert_eq!((first, found), (StoreReply::Done, StoreReply::Peeked(Some(there))));
    subject.elapse(life).await;
    assert_eq!(subject.peek(key).await, None, "{record:?}");
    assert_eq!(subject.one(append(key, "late")).await, StoreReply::NoSession);
    let old = put(key, Expect::Live(1, owner), live(1, owner, "late"));
    assert_eq!(subject.one(old).await, StoreReply::Conflict, "{record:?}");
    assert_eq!(
        subject.one(put(key, Expect::Absent, tomb(2))).await,
        StoreReply::Done,
        "{record:?}"
    );
    Some(())
}

/// Life, then linger: there, expired, gone.
pub async fn a_parked_record_expires_and_is_gone_after_that(subject: &Subject) {
    let mut lives = Lives::from(SHORT);
    while it_expires_and_is_gone(subject, lives.next()).await.is_none() {}
}

async fn it_expires_and_is_gone(subject: &Subject, life: Duration) -> Option<()> {
    let (key, other, owner, watch) = (key(), super::key(), owner(), Watch::start());
    // Twice as long to say that it expired: what is done then takes more requests.
    let park = |key| put_for(key, Expect::Absent, parked(4, "state"), life, 2 * life);
    let [.., found] = subject.ask([park(key), park(other), StoreOp::Peek { key }]).await;
    watch.within(life)?;
    let there = |expired| Peeked {
        record: parked(4, "state"),
        expired,
        owner_alive: false,
    };
    assert_eq!(found, StoreReply::Peeked(Some(there(false))));

    subject.elapse(life).await;
    let batch = [
        StoreOp::Peek { key },
        put(key, Expect::Parked(4), live(5, owner, "")),
        append(key, "late"),
        put(other, Expect::Absent, live(1, owner, "")),
        StoreOp::Peek { key: other },
    ];
    let fresh = Peeked {
        record: live(1, owner, ""),
        ..there(false)
    };
    let expected = [
        StoreReply::Peeked(Some(there(true))),
        StoreReply::Conflict,
        StoreReply::NoSession,
        StoreReply::Done,
        StoreReply::Peeked(Some(fresh)),
    ];
    let replies = subject.ask(batch).await;
    watch.within(3 * life)?;
    assert_eq!(replies, expected, "an expired record is only there to say so");

    subject.elapse(2 * life).await;
    assert_eq!(subject.peek(key).await, None);
    Some(())
}

/// A record's time counts from its last write, and a conflict does not prolong it.
pub async fn a_new_life_begins_with_each_put(subject: &Subject) {
    let mut lives = Lives::from(SHORT);
    while a_new_life_begins(subject, lives.next()).await.is_none() {}
}

async fn a_new_life_begins(subject: &Subject, short: Duration) -> Option<()> {
    let (renewed, refused, owner, watch) = (key(), key(), owner(), Watch::start());
    let write = |key, expect, life| put_for(key, expect, live(1, owner, "state"), life, Duration::ZERO);
    let batch = [
        write(renewed, Expect::Absent, short),
        write(refused, Expect::Absent, short),
        write(renewed, Expect::Live(1, owner), LONG),
        write(refused, Expect::Live(2, owner), LONG),
    ];
    let expected = [
        StoreReply::Done,
        StoreReply::Done,
        StoreReply::Done,
        StoreReply::Conflict,
    ];
    let replies = subject.ask(batch).await;
    watch.within(short)?;
    assert_eq!(replies, expected);
    subject.elapse(short).await;
    assert_eq!(subject.record(renewed).await, Some(live(1, owner, "state")));
    assert_eq!(subject.record(refused).await, None);

    let shorter = write(renewed, Expect::Live(1, owner), Duration::from_millis(1));
    assert_eq!(subject.one(shorter).await, StoreReply::Done);
    subject.elapse(Duration::from_millis(20)).await;
    assert_eq!(subject.record(renewed).await, None, "a shorter life counts, too");
    Some(())
}

/// A user's former session is told, again if it is asked again; and who was put out does not come back.
pub async fn a_user_is_bound_to_one_session(subject: &Subject) {
    let sessions: Vec<StoreKey> = (0..5).map(|_| key()).collect();
    let mut user = [0; 32];
    fastrand::fill(&mut user);
    let bind = |n: usize, life| StoreOp::Bind {
        user,
        key: sessions[n],
        life,
    };
    let after = |n: usize| StoreReply::Bound(Some(sessions[n]));
    let batch = [
        bind(0, LONG),
        bind(0, LONG),
        bind(1, LONG),
        bind(1, LONG),
        bind(0, LONG),
        bind(2, LONG),
        bind(1, LONG),
        bind(0, LONG),
        bind(2, LONG),
        bind(3, SHORT),
    ];
    let expected = [
        StoreReply::Bound(None),
        StoreReply::Bound(None),
        after(0),
        after(0),
        StoreReply::Conflict,
        after(1),
        StoreReply::Conflict,
        StoreReply::Conflict,
        after(1),
        after(2),
    ];
    assert_eq!(subject.ask(batch).await, expected);
    subject.elapse(SHORT).await;
    assert_eq!(
        subject.one(bind(2, LONG)).await,
        StoreReply::Bound(None),
        "forgotten after its life"
    );
    // However many there were: each knows the one before it.
    let many: Vec<StoreKey> = (0..20).map(|_| key()).collect();
    let bind_all = many.iter().map(|key| StoreOp::Bind {
        user,
        key: *key,
        life: LONG,
    });
    let before = [sessions[2]].into_iter().chain(many.iter().copied());
    let expected: Vec<_> = before.take(20).map(|key| StoreReply::Bound(Some(key))).collect();
    assert_eq!(subject.store().submit(bind_all.collect()).await, expected);
}
