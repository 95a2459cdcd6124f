//! The store in a file: the suite, and that the file keeps what was confirmed.

use std::path::Path;
use std::time::Duration;

use unbroken_store::conformance::{Subject, suite};
use unbroken_store::{Bytes, EmbeddedStore, Expect, Owner, Record, Store, StoreError, StoreKey, StoreOp, StoreReply};

suite!(async || {
    // The file is deleted while it is open, so that nothing is left of it.
    let place = tempfile::tempdir().expect("a directory");
    let builder = EmbeddedStore::builder(place.path().join("sessions"));
    // No busy machine reaches it: the suite is about answers, not about how soon they come.
    Subject::new(builder.timeout(Duration::from_secs(60)).open().expect("it opens"))
});

const LONG: Duration = Duration::from_secs(600);
const OWNER: Owner = Owner([3; 16]);

fn live(blob: &'static str) -> Record {
    let blob = Bytes::from_static(blob.as_bytes());
    Record::Live {
        token: 1,
        owner: OWNER,
        blob,
    }
}

fn put(key: StoreKey, expect: Expect, record: Record) -> StoreOp {
    StoreOp::Put {
        key,
        expect,
        record,
        life: LONG,
        linger: LONG,
    }
}

/// One of everything, confirmed.
async fn fill(store: &EmbeddedStore, key: StoreKey) {
    let batch = vec![
        put(key, Expect::Absent, live("state")),
        StoreOp::Lease {
            owner: OWNER,
            life: LONG,
        },
        StoreOp::Append {
            key,
            message: "message".into(),
            life: LONG,
        },
        StoreOp::Bind {
            user: [9; 32],
            key,
            life: LONG,
        },
    ];
    let replies = store.submit(batch).await;
    let appended = StoreReply::Appended {
        cursor: 1,
        owner: Some(OWNER),
    };
    assert_eq!(
        replies,
        [StoreReply::Done, StoreReply::Done, appended, StoreReply::Bound(None)]
    );
}

/// That everything is there, and goes on.
async fn find(path: &Path, key: StoreKey) {
    let store = EmbeddedStore::open(path).expect("it opens");
    let other = *b"another!";
    let batch = vec![
        StoreOp::Peek { key },
        StoreOp::Read { key, after: 0, max: 9 },
        StoreOp::Append {
            key,
            message: "next".into(),
            life: LONG,
        },
        StoreOp::Bind {
            user: [9; 32],
            key: other,
            life: LONG,
        },
        put(key, Expect::Live(1, OWNER), live("next")),
    ];
    let found = unbroken_store::Peeked {
        record: live("state"),
        expired: false,
        owner_alive: true,
    };
    let expected = [
        StoreReply::Peeked(Some(found)),
        StoreReply::Messages(vec![(1, "message".into())]),
        StoreReply::Appended {
            cursor: 2,
            owner: Some(OWNER),
        },
        StoreReply::Bound(Some(key)),
        StoreReply::Done,
    ];
    assert_eq!(store.submit(batch).await, expected);
    assert_eq!(store.check().await, Ok(()));
}

#[tokio::test]
async fn a_file_that_is_opened_again_has_all_that_was_confirmed() {
    let (place, key) = (tempfile::tempdir().expect("a directory"), *b"reopened");
    let path = place.path().join("sessions");
    let store = EmbeddedStore::open(&path).expect("it opens");
    fill(&store, key).await;
    drop(store);
    find(&path, key).await;
}

/// As a process leaves it that is killed: never closed. Taken after each of many transactions.
#[tokio::test]
async fn a_copy_taken_between_transactions_has_all_that_was_confirmed() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("sessions");
    let store = EmbeddedStore::open(&path).expect("it opens");
    for round in 0..20_u64 {
        // Behind the user's former session the next one would be told of it.
        let (key, copy) = (round.to_be_bytes(), place.path().join("copy"));
        let unbind = StoreOp::Bind {
            user: [9; 32],
            key,
            life: Duration::ZERO,
        };
        store.submit(vec![unbind]).await;
        fill(&store, key).await;
        std::fs::copy(&path, &copy).expect("it is copied");
        find(&copy, key).await;
    }
}

#[tokio::test]
async fn a_file_that_is_open_is_refused_until_it_is_free() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("sessions");
    let store = EmbeddedStore::open(&path).expect("it opens");
    let error = EmbeddedStore::open(&path).expect_err("it is open already").to_string();
    assert!(
        error.contains("another process has it open") && error.contains("StoreServer"),
        "{error}"
    );
    let other = store.clone();
    drop(store);
    EmbeddedStore::open(&path).expect_err("a clone has it still");
    drop(other);
    EmbeddedStore::open(&path).expect("it is free");
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_as_it_is() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("notes.txt");
    let text = "buy milk\n".repeat(1000);
    std::fs::write(&path, &text).expect("it is written");
    let error = EmbeddedStore::open(&path).expect_err("that is no store");
    assert!(
        error.to_string().contains("notes.txt") && error.to_string().contains("no store"),
        "{error}"
    );
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), text);
}

/// Also where redb panics at it: which pages those are is its own affair.
#[tokio::test]
async fn a_file_that_is_damaged_is_refused_with_the_remedy() {
    const PAGE: usize = 4096;
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("sessions");
    let store = EmbeddedStore::open(&path).expect("it opens");
    fill(&store, *b"damaged!").await;
    drop(store);
    let whole = std::fs::read(&path).expect("it is there");
    let mut refused = 0;
    for start in (PAGE..whole.len()).step_by(PAGE) {
        let mut damaged = whole.clone();
        damaged[start..start + PAGE].fill(0);
        std::fs::write(&path, &damaged).expect("it is written");
        if let Err(error) = EmbeddedStore::open(&path) {
            let error = error.to_string();
            assert!(
                error.contains("sessions") && error.contains("put back a copy"),
                "{error}"
            );
            refused += 1;
        }
    }
    assert!(refused > 0, "no page counts");
}

#[test]
fn a_file_of_another_format_is_refused() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("sessions");
    drop(EmbeddedStore::open(&path).expect("it opens"));
    let database = redb::Database::open(&path).expect("it is a database");
    let meta = redb::TableDefinition::<&str, u64>::new("meta");
    let transaction = database.begin_write().expect("it can be written");
    transaction
        .open_table(meta)
        .expect("it is there")
        .insert("format", 2)
        .expect("it is written");
    transaction.commit().expect("it is written");
    drop(database);
    let error = EmbeddedStore::open(&path)
        .expect_err("a later version wrote it")
        .to_string();
    assert!(error.contains("format 2") && error.contains("knows 1"), "{error}");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("missing/sessions");
    let error = EmbeddedStore::open(&path)
        .expect_err("the directory is missing")
        .to_string();
    assert!(
        error.contains("missing/sessions") && error.contains("existing directory"),
        "{error}"
    );
}

#[test]
fn a_timeout_out_of_bounds_is_refused() {
    for timeout in [Duration::ZERO, Duration::from_millis(99), Duration::from_secs(61)] {
        let error = EmbeddedStore::builder("unused")
            .timeout(timeout)
            .open()
            .expect_err("out of bounds");
        assert!(
            matches!(&error, StoreError::Option { option: "timeout", .. }),
            "{error}"
        );
    }
    assert!(!Path::new("unused").exists());
}

#[cfg(unix)]
#[test]
fn the_file_is_nobody_elses_to_read() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("sessions");
    let _store = EmbeddedStore::open(&path).expect("it opens");
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Otherwise a busy service's file would grow for ever.
#[tokio::test]
async fn what_is_over_is_swept_from_the_file() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("sessions");
    let store = EmbeddedStore::open(&path).expect("it opens");
    // The first slices that are swept are those of the keys that begin with 0, 1, 2.
    let brief = |i: u64| StoreOp::Put {
        key: i.to_be_bytes(),
        expect: Expect::Absent,
        record: live("state"),
        life: Duration::from_millis(1),
        linger: Duration::ZERO,
    };
    let stays = put([0xff; 8], Expect::Absent, live("stays"));
    let batch: Vec<StoreOp> = (0..100)
        .map(brief)
        .chain([stays, put([0; 8], Expect::Live(7, OWNER), live(""))])
        .collect();
    assert_eq!(store.submit(batch).await[..101], vec![StoreReply::Done; 101]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    drop(store);
    let database = redb::Database::open(&path).expect("it is a database");
    let records = redb::TableDefinition::<&[u8; 8], (u8, u64, &[u8; 16], u64, u64, u64, &[u8])>::new("records");
    let transaction = redb::ReadableDatabase::begin_read(&database).expect("it can be read");
    let table = transaction.open_table(records).expect("it is there");
    assert_eq!(redb::ReadableTableMetadata::len(&table).expect("it is counted"), 1);
}
