//! The store of another process, here of another task: the suite, and what a connection can suffer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use unbroken_store::conformance::{Subject, suite};
use unbroken_store::{
    BoxFuture, Bytes, Expect, MemoryStore, Owner, Record, RemoteStore, Store, StoreError, StoreOp, StoreReply,
    StoreServer,
};

suite!(async || {
    let (address, _) = lend(MemoryStore::new(), "127.0.0.1:0", "").await;
    Subject::new(patient(&address).await)
});

#[cfg(unix)]
mod by_socket {
    use super::*;

    suite!(async || {
        let place = tempfile::tempdir().expect("a directory");
        let address = format!("unix:{}", place.path().join("socket").display());
        let (address, _) = lend(MemoryStore::new(), &address, "").await;
        Subject::new(patient(&address).await)
    });
}

/// No busy machine reaches its time-out: the suite is about answers, not about how soon they come.
async fn patient(address: &str) -> RemoteStore {
    let builder = RemoteStore::builder(address).timeout(Duration::from_secs(60));
    builder.connect().await.expect("it connects")
}

/// Serves until it is aborted.
async fn lend(store: impl Store, address: &str, secret: &str) -> (String, JoinHandle<()>) {
    try_lend(store, address, secret).await.expect("it listens")
}

async fn try_lend(store: impl Store, address: &str, secret: &str) -> Result<(String, JoinHandle<()>), StoreError> {
    let server = StoreServer::builder(store).secret(secret).bind(address).await?;
    let address = server.address();
    Ok((address, tokio::spawn(server.serve_until(std::future::pending()))))
}

/// At a port below those that the system hands out, so that nobody gets it while the server is away.
async fn lend_apart(store: impl Store + Clone) -> (String, JoinHandle<()>) {
    soon(async {
        loop {
            let address = format!("127.0.0.1:{}", fastrand::u16(12_000..20_000));
            if let Ok(lent) = try_lend(store.clone(), &address, "").await {
                return lent;
            }
        }
    })
    .await
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    let limit = tokio::time::timeout(Duration::from_secs(60), what);
    limit.await.expect("it happens within a minute")
}

fn put(key: u64, size: usize) -> StoreOp {
    StoreOp::Put {
        key: key.to_be_bytes(),
        expect: Expect::Absent,
        record: Record::Parked {
            token: key,
            blob: vec![key as u8; size].into(),
        },
        life: Duration::from_secs(600),
        linger: Duration::ZERO,
    }
}

/// Both ways: batches and answers of any size go in parts.
#[tokio::test]
async fn a_batch_of_many_megabytes_is_carried_out_and_read_back() {
    let (address, _) = lend(MemoryStore::new(), "127.0.0.1:0", "").await;
    let store = RemoteStore::builder(address)
        .timeout(Duration::from_secs(30))
        .connect()
        .await
        .expect("it connects");
    let sizes = [0, 1, 2 << 20, 5 << 20, 100, 20 << 20, 4 << 20, 0];
    let batch = (0..).zip(sizes).map(|(key, size)| put(key, size)).collect();
    assert_eq!(store.submit(batch).await, vec![StoreReply::Done; sizes.len()]);
    let peeks = (0..sizes.len() as u64)
        .map(|key| StoreOp::Peek { key: key.to_be_bytes() })
        .collect();
    for ((key, size), reply) in (0..).zip(sizes).zip(store.submit(peeks).await) {
        let StoreReply::Peeked(Some(found)) = reply else {
            panic!("{reply:?}");
        };
        let blob = Bytes::from(vec![key as u8; size]);
        assert!(found.record == Record::Parked { token: key, blob }, "session {key}");
    }
}

#[tokio::test]
async fn who_does_not_know_the_secret_is_refused_at_either_end() {
    let (address, _) = lend(MemoryStore::new(), "127.0.0.1:0", "correct horse battery").await;
    for secret in ["", "correct horse", "another"] {
        let error = RemoteStore::builder(&address)
            .secret(secret)
            .connect()
            .await
            .expect_err("the secret is wrong");
        assert!(
            matches!(&error, StoreError::Refused { .. }) && error.to_string().contains("secret"),
            "{error}"
        );
    }
    let store = RemoteStore::builder(&address)
        .secret("correct horse battery")
        .connect()
        .await
        .expect("it is right");
    assert_eq!(store.submit(vec![put(1, 1)]).await, [StoreReply::Done]);
}

/// A server that only repeats what it hears does not know the secret.
#[tokio::test]
async fn a_false_server_is_refused() {
    let real = lend(MemoryStore::new(), "127.0.0.1:0", "secret of sixteen").await.0;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.expect("a client");
        let mut server = tokio::net::TcpStream::connect(real).await.expect("it is there");
        // The real greeting, and an answer in which one bit is another.
        let mut frame = vec![0; 4 + 8 + 1 + 32];
        server.read_exact(&mut frame).await.expect("a greeting");
        client.write_all(&frame).await.expect("it is sent");
        let mut hello = vec![0; 4 + 1 + 64];
        client.read_exact(&mut hello).await.expect("a hello");
        server.write_all(&hello).await.expect("it is sent");
        let mut welcome = vec![0; 4 + 1 + 32];
        server.read_exact(&mut welcome).await.expect("a welcome");
        *welcome.last_mut().expect("a byte") ^= 1;
        client.write_all(&welcome).await.expect("it is sent");
        std::future::pending::<()>().await;
    });
    let builder = RemoteStore::builder(address)
        .secret("secret of sixteen")
        .timeout(Duration::from_secs(2));
    let error = builder.connect().await.expect_err("it is false").to_string();
    assert!(error.contains("does not know the secret itself"), "{error}");
}

/// As a proxy does whose server has gone.
#[tokio::test]
async fn who_welcomes_and_hangs_up_is_asked_again_after_a_pause() {
    let real = lend(MemoryStore::new(), "127.0.0.1:0", "").await.0;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let welcomes = tokio::spawn(async move {
        let begun = Instant::now();
        for _ in 0..5 {
            let (mut client, _) = listener.accept().await.expect("a client");
            let mut server = tokio::net::TcpStream::connect(&real).await.expect("it is there");
            // Greeting, hello and welcome.
            for (to_client, len) in [(true, 4 + 8 + 1 + 32), (false, 4 + 1 + 64), (true, 4 + 1 + 32)] {
                let (from, to) = if to_client {
                    (&mut server, &mut client)
                } else {
                    (&mut client, &mut server)
                };
                let mut frame = vec![0; len];
                from.read_exact(&mut frame).await.expect("a frame");
                to.write_all(&frame).await.expect("it is sent");
            }
        }
        begun.elapsed()
    });
    let _store = patient(&address).await;
    let took = welcomes.await.expect("five welcomes");
    // Four pauses of 100 ms, less what the runtime's timers are coarse by.
    assert!(took > Duration::from_millis(350), "it took {took:?}");
}

/// What it says before it is known has no effect, and no one else notices.
#[tokio::test]
async fn garbage_ends_its_connection_and_nothing_else() {
    let (address, server) = lend(MemoryStore::new(), "127.0.0.1:0", "").await;
    let store = RemoteStore::connect(&address).await.expect("it connects");
    let huge = [0xff; 64];
    let noise: Vec<u8> = (0..500).map(|i| (i * 7) as u8).collect();
    let small = [&[0, 0, 0, 5][..], &[9; 5]].concat();
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &huge, &noise, &small] {
        let mut stream = tokio::net::TcpStream::connect(&address).await.expect("it connects");
        stream.write_all(garbage).await.expect("it is sent");
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
        // By FIN, or by RST as not all was read.
        let _ = ended.expect("the server ends it");
        assert!(rest.len() < 100, "it says no more than its greeting");
    }
    assert_eq!(store.submit(vec![put(1, 1)]).await, [StoreReply::Done]);
    assert!(!server.is_finished());
}

/// What was under way is not known and not repeated; what is asked meanwhile waits; then all is as before.
#[tokio::test]
async fn it_connects_again() {
    let memory = MemoryStore::new();
    let (address, mut server) = lend_apart(memory.clone()).await;
    let store = patient(&address).await;
    let key = 7_u64.to_be_bytes();
    assert_eq!(store.submit(vec![put(7, 10)]).await, [StoreReply::Done]);
    for round in 1..=3 {
        let waiting = tokio::spawn(store.receive(Owner([1; 16])));
        tokio::time::sleep(Duration::from_millis(50)).await;
        server.abort();
        let _ = server.await;
        assert_eq!(waiting.await.expect("it does not panic"), None, "notes may be gone");
        let (again, next) = (store.clone(), round);
        let asked = tokio::spawn(async move {
            let message = Bytes::from(next.to_string());
            let life = Duration::from_secs(600);
            again.submit(vec![StoreOp::Append { key, message, life }]).await
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        (_, server) = soon(async {
            loop {
                match try_lend(memory.clone(), &address, "").await {
                    Ok(lent) => return lent,
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        })
        .await;
        let appended = StoreReply::Appended {
            cursor: round,
            owner: None,
        };
        assert_eq!(asked.await.expect("it does not panic"), [appended], "round {round}");
    }
}

/// Neither a refused nor a silent process makes anybody hang.
#[tokio::test]
async fn a_store_process_that_is_away_or_silent_is_answered_by_failed_in_time() {
    let timeout = Duration::from_secs(1);
    let error = RemoteStore::builder("127.0.0.1:1")
        .timeout(timeout)
        .connect()
        .await
        .expect_err("nobody is there");
    assert!(
        matches!(&error, StoreError::Unreachable { .. }) && error.to_string().contains("127.0.0.1:1"),
        "{error}"
    );
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("its address").to_string();
    let started = Instant::now();
    RemoteStore::builder(address)
        .timeout(timeout)
        .connect()
        .await
        .expect_err("it says nothing");
    assert!(started.elapsed() < 5 * timeout, "it took {:?}", started.elapsed());

    let (address, server) = lend_apart(MemoryStore::new()).await;
    let store = RemoteStore::builder(address)
        .timeout(timeout)
        .connect()
        .await
        .expect("it connects");
    server.abort();
    let _ = server.await;
    let first = store.submit(vec![put(1, 1), put(2, 1)]).await;
    assert!(
        [vec![StoreReply::Failed; 2], vec![StoreReply::Unavailable; 2]].contains(&first),
        "{first:?}"
    );
    // By now the connection is known to be lost, and nothing is sent.
    assert_eq!(
        store.submit(vec![put(1, 1), put(2, 1)]).await,
        vec![StoreReply::Unavailable; 2]
    );
    assert!(matches!(store.check().await, Err(StoreError::Unreachable { .. })));
}

/// As a process that connects before it starts what serves: what keeps the connection is a task of the runtime in which it was made.
#[test]
fn it_is_reached_when_the_runtime_has_ended_in_which_it_was_connected_to() {
    let [lending, first, second] = [(); 3].map(|()| tokio::runtime::Runtime::new().expect("a runtime"));
    let (address, _) = lending.block_on(lend(MemoryStore::new(), "127.0.0.1:0", "a shared secret"));
    let builder = RemoteStore::builder(address).secret("a shared secret");
    let store = first.block_on(builder.timeout(Duration::from_secs(60)).connect());
    let store = store.expect("it connects");
    drop(first);
    let reply = second.block_on(async { store.submit(vec![put(1, 1)]).await });
    assert_eq!(reply, [StoreReply::Done]);
}

/// Its parts wait beside each other, not one behind the other.
#[tokio::test]
async fn a_batch_of_many_parts_is_given_up_as_soon_as_a_small_one() {
    let timeout = Duration::from_secs(1);
    let (address, _) = lend(Hung, "127.0.0.1:0", "").await;
    let builder = RemoteStore::builder(address).timeout(timeout);
    let store = builder.connect().await.expect("it connects");
    let batch: Vec<_> = (0..10).map(|key| put(key, 4 << 20)).collect();
    let started = Instant::now();
    let replies = store.submit(batch).await;
    assert!(started.elapsed() >= timeout, "nothing hung: {replies:?}");
    assert!(started.elapsed() < 5 * timeout, "it took {:?}", started.elapsed());
    let given_up = |reply: &StoreReply| matches!(reply, StoreReply::Failed | StoreReply::Unavailable);
    assert!(replies.len() == 10 && replies.iter().all(given_up), "{replies:?}");
}

/// A store that never answers.
struct Hung;

impl Store for Hung {
    fn submit(&self, _: Vec<StoreOp>) -> BoxFuture<Vec<StoreReply>> {
        Box::pin(std::future::pending())
    }

    fn receive(&self, _: Owner) -> BoxFuture<Option<Vec<Bytes>>> {
        Box::pin(std::future::pending())
    }

    fn check(&self) -> BoxFuture<Result<(), StoreError>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() {
    for address in ["", "localhost", ":1", "unix:", "host:99999", "host:port"] {
        let error = RemoteStore::connect(address).await.expect_err("that is no address");
        assert!(
            matches!(&error, StoreError::Option { option: "address", .. }),
            "{error}"
        );
    }
}

/// Such as the store's own, named twice by mistake.
#[cfg(unix)]
#[tokio::test]
async fn a_file_in_the_place_of_the_socket_is_left_as_it_is() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("sessions");
    std::fs::write(&path, "sessions").expect("it is written");
    let address = format!("unix:{}", path.display());
    let error = StoreServer::builder(MemoryStore::new())
        .bind(&address)
        .await
        .expect_err("it is taken")
        .to_string();
    assert!(error.contains(&address) && error.contains("that is free"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "sessions");
}

/// The check goes through to the store that is lent.
#[tokio::test]
async fn a_check_is_the_lent_stores() {
    let (address, _) = lend(MemoryStore::new(), "127.0.0.1:0", "").await;
    let store = RemoteStore::connect(&address).await.expect("it connects");
    let Err(StoreError::Forgets { findings, .. }) = store.check().await else {
        panic!("a memory store forgets");
    };
    assert!(findings[0].contains("ends with the process"), "{findings:?}");
}

/// As of the Redis behind a store process.
#[tokio::test]
async fn notes_that_the_lent_store_lost_do_not_pass_for_none() {
    let (address, _) = lend(Deaf(MemoryStore::new()), "127.0.0.1:0", "").await;
    let store = patient(&address).await;
    assert_eq!(store.receive(Owner([1; 16])).await, None);
    assert_eq!(store.submit(vec![put(1, 1)]).await, [StoreReply::Done]);
}

struct Deaf(MemoryStore);

impl Store for Deaf {
    fn submit(&self, batch: Vec<StoreOp>) -> BoxFuture<Vec<StoreReply>> {
        self.0.submit(batch)
    }

    fn receive(&self, _: Owner) -> BoxFuture<Option<Vec<Bytes>>> {
        Box::pin(async { None })
    }

    fn check(&self) -> BoxFuture<Result<(), StoreError>> {
        self.0.check()
    }
}

/// However long the store process is away: what was given up is not kept for it.
#[tokio::test]
async fn nothing_is_kept_of_what_was_given_up_while_the_store_is_away() {
    let (address, server) = lend_apart(MemoryStore::new()).await;
    let builder = RemoteStore::builder(address).timeout(Duration::from_millis(300));
    let store = soon(async {
        loop {
            // A busy machine may take longer.
            if let Ok(store) = builder.clone().connect().await {
                return store;
            }
        }
    })
    .await;
    server.abort();
    let _ = server.await;
    let key = [1; 8];
    soon(async { while store.submit(vec![StoreOp::Peek { key }]).await != [StoreReply::Unavailable] {} }).await;
    let content = Arc::new([7; 100]);
    let batch = (0..10_u64).map(|key| StoreOp::Append {
        key: key.to_be_bytes(),
        message: Bytes::from_owner(Shared(content.clone())),
        life: Duration::from_secs(60),
    });
    assert_eq!(store.submit(batch.collect()).await, vec![StoreReply::Unavailable; 10]);
    assert_eq!(Arc::strong_count(&content), 1);
}

struct Shared(Arc<[u8; 100]>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0[..]
    }
}
