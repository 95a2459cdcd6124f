//! The store in Redis, in front of one that is played. What needs a real one is in `tests/processes`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};
use unbroken_store::{Bytes, Confirm, Expect, Owner, Record, RedisStore, Store, StoreOp, StoreReply};

/// One command, as its words; `None` at the end.
async fn command(from: &mut BufReader<OwnedReadHalf>) -> Option<Vec<Vec<u8>>> {
    async fn number(from: &mut BufReader<OwnedReadHalf>, kind: char) -> Option<usize> {
        let mut line = String::new();
        from.read_line(&mut line).await.ok()?;
        line.trim().strip_prefix(kind)?.parse().ok()
    }
    let mut words = Vec::new();
    for _ in 0..number(from, '*').await? {
        let size = number(from, '$').await?;
        let mut word = vec![0; size + 2];
        from.read_exact(&mut word).await.ok()?;
        word.truncate(size);
        words.push(word);
    }
    Some(words)
}

/// Answers the commands on a connection, by their first words, until there is no answer to one.
async fn played(stream: TcpStream, mut say: impl FnMut(&[u8]) -> Option<String>) {
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from);
    while let Some(words) = command(&mut from).await
        && let Some(answer) = say(&words[0].to_ascii_uppercase())
        && to.write_all(answer.as_bytes()).await.is_ok()
    {}
}

/// Carries out one write, and dies at the second before its log is synced. What is there next lacks that write, so it has nothing to sync.
async fn mortal(stream: TcpStream, writes: Arc<AtomicUsize>) {
    let say = move |word: &[u8]| {
        let answer = match word {
            b"INFO" => "$21\r\nredis_version:7.4.0\r\n\r\n",
            b"WAITAOF" => "*2\r\n:1\r\n:0\r\n",
            b"CONFIG" => "*2\r\n$11\r\nappendfsync\r\n$8\r\neverysec\r\n",
            b"EVALSHA" if writes.fetch_add(1, Ordering::Relaxed) == 1 => return None,
            b"EVALSHA" => ":1\r\n",
            _ => "+OK\r\n",
        };
        Some(answer.into())
    };
    played(stream, say).await;
}

fn put(key: u64) -> StoreOp {
    StoreOp::Put {
        key: key.to_be_bytes(),
        expect: Expect::Absent,
        record: Record::Parked {
            token: key,
            blob: vec![1].into(),
        },
        life: Duration::from_secs(600),
        linger: Duration::ZERO,
    }
}

#[tokio::test]
async fn what_one_connection_wrote_is_not_confirmed_by_another() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let writes = Arc::default();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(mortal(stream, Arc::clone(&writes)));
        }
    });
    let store = RedisStore::builder([url])
        .confirm(Confirm::Disk { replicas: 0 })
        .connect()
        .await
        .unwrap();
    let replies = store.submit(vec![put(1), put(2)]).await;
    assert_eq!(replies, [StoreReply::Failed, StoreReply::Failed]);
    // All that came after it was written by one connection, and is confirmed by it.
    assert_eq!(store.submit(vec![put(3), put(4)]).await, vec![StoreReply::Done; 2]);
}

/// Lets nobody in while it is away; when it is back it takes a while over each connection. Each write is done.
async fn slow_to_greet(stream: TcpStream, is_away: Arc<AtomicBool>) {
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from);
    let mut pause = Duration::from_millis(100);
    while let Some(words) = command(&mut from).await {
        let answer: &[u8] = match &words[0].to_ascii_uppercase()[..] {
            // As a machine that is gone does it: not a word.
            _ if is_away.load(Ordering::Relaxed) => std::future::pending().await,
            b"INFO" => b"$21\r\nredis_version:7.4.0\r\n\r\n",
            b"CONFIG" => b"*0\r\n",
            b"EVALSHA" => b":1\r\n",
            _ => b"+OK\r\n",
        };
        sleep(std::mem::take(&mut pause)).await;
        if to.write_all(answer).await.is_err() {
            return;
        }
    }
}

/// Where such a one listens, and whether it is away.
async fn slow_redis() -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let is_away = Arc::new(AtomicBool::new(false));
    let away = is_away.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(slow_to_greet(stream, away.clone()));
        }
    });
    (url, is_away)
}

/// Each of those who wait for a connection has a moment only, from when the one in front of it has given up: less than a connection takes.
#[tokio::test]
async fn a_redis_that_comes_back_is_found_by_many_who_have_waited_long() {
    let (url, is_away) = slow_redis().await;
    let patience = Duration::from_millis(500);
    let builder = RedisStore::builder([url]).timeout(patience);
    let store = builder.connect().await.unwrap();
    is_away.store(true, Ordering::Relaxed);
    let (done, mut answers) = mpsc::unbounded_channel();
    let asking = tokio::spawn(async move {
        let mut tick = interval(Duration::from_millis(1));
        for key in 0.. {
            tick.tick().await;
            let (answer, done) = (store.submit(vec![put(key)]), done.clone());
            tokio::spawn(async move { done.send(answer.await) });
        }
    });
    sleep(4 * patience).await;
    is_away.store(false, Ordering::Relaxed);
    let found = async { while answers.recv().await.unwrap() != [StoreReply::Done] {} };
    let found = timeout(Duration::from_secs(20), found).await;
    asking.abort();
    assert!(found.is_ok(), "it is there, and nobody gets a connection to it");
}

/// Some of them are on their way by a connection that has died, others wait for the next one.
#[tokio::test]
async fn nobody_waits_for_a_silent_redis_longer_than_the_timeout() {
    let (url, is_away) = slow_redis().await;
    let patience = Duration::from_secs(2);
    let builder = RedisStore::builder([url]).timeout(patience);
    let store = builder.connect().await.unwrap();
    assert_eq!(
        store.submit((0..100).map(put).collect()).await,
        vec![StoreReply::Done; 100]
    );
    is_away.store(true, Ordering::Relaxed);
    let (mut tick, mut asked) = (interval(Duration::from_millis(10)), JoinSet::new());
    for key in 0..300 {
        tick.tick().await;
        let (answer, begun) = (store.submit(vec![put(key)]), Instant::now());
        asked.spawn(async move {
            answer.await;
            begun.elapsed()
        });
    }
    let waited = asked.join_all().await.into_iter().max().unwrap();
    assert!(waited < patience * 3 / 2, "{waited:?}");
}

/// How a Redis before version 7 tells an error that a script met: wrapped, behind the code of any error.
const MET_BY_A_SCRIPT: &str = "-ERR Error running script (call to f_0c7d6bc0f2e0e5c8a01c6b5c3d3a7a5d8c9c1f5e): \
                               @user_script:17: @user_script: 17: ";

/// Such a Redis: scripts meet this error on the first connections that bring any, so many, and none on those after them.
async fn redis_6(error: &str, on: usize) -> RedisStore {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let error = format!("{MET_BY_A_SCRIPT}{error}\r\n");
    tokio::spawn(async move {
        let bring_scripts = Arc::new(AtomicUsize::new(0));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (error, bring_scripts, mut bad) = (error.clone(), bring_scripts.clone(), None);
            tokio::spawn(played(stream, move |word| {
                let answer = match word {
                    b"INFO" => "$21\r\nredis_version:6.2.7\r\n\r\n",
                    b"CONFIG" => "*0\r\n",
                    b"EVALSHA" if *bad.get_or_insert_with(|| bring_scripts.fetch_add(1, Ordering::Relaxed) < on) => {
                        &error
                    }
                    b"EVALSHA" => ":1\r\n",
                    _ => "+OK\r\n",
                };
                Some(answer.into())
            }));
        }
    });
    RedisStore::connect(&url).await.unwrap()
}

#[tokio::test]
async fn what_a_redis_before_version_7_turns_down_within_a_script_is_certainly_not_done() {
    for error in [
        "-OOM command not allowed when used memory > 'maxmemory'.",
        "-MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk.",
    ] {
        let store = redis_6(error, usize::MAX).await;
        assert_eq!(store.submit(vec![put(1)]).await, [StoreReply::Unavailable], "{error}");
    }
    // Of any other error nobody knows when the script met it.
    let store = redis_6(
        "WRONGTYPE Operation against a key holding the wrong kind of value",
        usize::MAX,
    )
    .await;
    assert_eq!(store.submit(vec![put(1)]).await, [StoreReply::Failed]);
}

/// As after a failover, when the connection is still to the one that was primary.
#[tokio::test]
async fn a_replica_of_a_redis_before_version_7_is_left_for_the_primary() {
    let store = redis_6("-READONLY You can't write against a read only replica.", 1).await;
    assert_eq!(store.submit(vec![put(1)]).await, [StoreReply::Done]);
}

/// Has three notes; whoever takes the last two has them, or this answer.
async fn with_three_notes(answer: Option<&'static str>) -> RedisStore {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(played(stream, move |word| {
                let answer = match word {
                    b"INFO" => "$21\r\nredis_version:7.4.0\r\n\r\n",
                    b"CONFIG" => "*0\r\n",
                    b"BLPOP" => "*2\r\n$4\r\nmail\r\n$5\r\nfirst\r\n",
                    // Or they are taken, and the connection breaks.
                    b"EVALSHA" => answer?,
                    _ => "+OK\r\n",
                };
                Some(answer.into())
            }));
        }
    });
    RedisStore::connect(&url).await.unwrap()
}

#[tokio::test]
async fn notes_whose_answer_was_lost_do_not_pass_for_none() {
    let (owner, notes) = (Owner([1; 16]), |notes: &[&'static str]| {
        Some(notes.iter().map(|note| Bytes::from(*note)).collect::<Vec<_>>())
    });
    for (answer, received, told) in [
        (
            Some("*2\r\n$6\r\nsecond\r\n$5\r\nthird\r\n"),
            notes(&["first", "second", "third"]),
            false,
        ),
        // They are left where they were.
        (
            Some("-NOPERM this user has no permissions to run the 'evalsha' command\r\n"),
            notes(&["first"]),
            false,
        ),
        // What is there is not lost with them.
        (None, notes(&["first"]), true),
    ] {
        let store = with_three_notes(answer).await;
        assert_eq!(store.receive(owner).await, received, "{answer:?}");
        assert_eq!(store.receive(owner).await.is_none(), told, "{answer:?}");
    }
}
