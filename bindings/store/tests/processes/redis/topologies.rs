//! The ways to reach Redis: a cluster, Sentinels, TLS. The suite through each, and a failover.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use unbroken_store::conformance;
use unbroken_store::{Bytes, Expect, Owner, Record, RedisStore, Store, StoreError, StoreOp, StoreReply};

use super::server::{Server, cli, eventually, free_port};
use super::{PATIENT, keeping};
use crate::writers::{OWNER, live, one, put};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_three_passes_the_suite_and_a_moved_slot() {
    let nodes = cluster_of_three();

    // As a user with no more rights than the README says.
    nodes.iter().for_each(|node| node.admit(&["+cluster|slots"]));
    let store = RedisStore::builder([format!("redis://game:secret@127.0.0.1:{}", nodes[0].port)])
        .cluster()
        .timeout(PATIENT)
        .connect()
        .await
        .expect("it connects");
    assert_eq!(store.check().await, Ok(()));
    // Keys of many slots, so that each node has some.
    for i in 0..60_u64 {
        assert_eq!(
            one(&store, put(i.to_be_bytes(), Expect::Absent, live(1))).await,
            StoreReply::Done
        );
    }
    let held: Vec<u32> = nodes
        .iter()
        .map(|node| node.cli(&["DBSIZE"]).parse().expect("a number"))
        .collect();
    assert!(
        held.iter().all(|held| *held > 5) && held.iter().sum::<u32>() == 60,
        "{held:?}"
    );

    // Slots move while the store writes; it knows the old places.
    let reshard = reshard(&nodes, [0, 1], 2000);
    let moving = tokio::task::spawn_blocking(move || cli(&reshard));
    let mut token = 1;
    while !moving.is_finished() || token < 3 {
        for i in 0..60_u64 {
            let next = put(i.to_be_bytes(), Expect::Live(token, OWNER), live(token + 1));
            assert_eq!(one(&store, next).await, StoreReply::Done, "session {i}");
        }
        token += 1;
    }
    moving.await.expect("the slots are moved");
    let now: Vec<u32> = nodes
        .iter()
        .map(|node| node.cli(&["DBSIZE"]).parse().expect("a number"))
        .collect();
    assert!(
        now[0] < held[0] && now.iter().sum::<u32>() == 60,
        "{held:?} became {now:?}"
    );
    conformance::run(keeping(store, nodes)).await;
}

/// When slots have moved, the connection to a cluster asks for their new places, and meanwhile does nothing else. Who waits for it is not in the way of that question.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_batches_find_slots_that_have_moved() {
    const SESSIONS: u64 = 10_000;
    let nodes = cluster_of_three();
    let store = RedisStore::builder([nodes[0].url()])
        .cluster()
        .timeout(PATIENT)
        .connect()
        .await
        .expect("it connects");
    for round in 0..12 {
        let way = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        let reshard = reshard(&nodes, way, 100);
        tokio::task::spawn_blocking(move || cli(&reshard))
            .await
            .expect("the slots are moved");
        let begun = Instant::now();
        let peeks = (0..SESSIONS).map(|i| StoreOp::Peek { key: i.to_be_bytes() });
        let replies = store.submit(peeks.collect()).await;
        let answered = replies
            .iter()
            .filter(|reply| **reply == StoreReply::Peeked(None))
            .count();
        assert_eq!(answered, replies.len(), "round {round}, after {:?}", begun.elapsed());
    }
}

/// What has redis-cli move so many slots of one of the nodes to another.
fn reshard(nodes: &[Server], [from, to]: [usize; 2], slots: u32) -> Vec<String> {
    let id = |node: usize| nodes[node].cli(&["CLUSTER", "MYID"]);
    let address = format!("127.0.0.1:{}", nodes[0].port);
    let (from, to, slots) = (id(from), id(to), slots.to_string());
    let moves = [
        "--cluster-from",
        &from,
        "--cluster-to",
        &to,
        "--cluster-slots",
        &slots,
        "--cluster-yes",
    ];
    ["--cluster", "reshard", &address]
        .iter()
        .chain(&moves)
        .map(ToString::to_string)
        .collect()
}

fn addresses(nodes: &[Server]) -> Vec<String> {
    nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect()
}

fn cluster_of_three() -> Vec<Server> {
    let nodes: Vec<Server> = (0..3)
        .map(|_| {
            Server::with(&[
                "--cluster-enabled yes",
                "--cluster-node-timeout 15000",
                "--appendonly yes",
                "--appendfsync always",
            ])
        })
        .collect();
    let addresses = addresses(&nodes);
    let mut create = vec!["--cluster", "create"];
    create.extend(addresses.iter().map(String::as_str));
    create.push("--cluster-yes");
    cli(&create);
    let agreed = |node: &Server| node.tells(&["CLUSTER", "INFO"], "cluster_state:ok");
    eventually("all nodes agree", || nodes.iter().all(agreed));
    nodes
}

/// A node that hangs, or a slot that moves, makes its own sessions wait and nobody else's; so do very many requests that it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hangs_holds_up_nothing_that_another_has() {
    const SESSIONS: usize = 6000;
    const TIMEOUT: Duration = Duration::from_secs(8);
    let nodes = cluster_of_three();
    let store = RedisStore::builder([nodes[0].url()])
        .cluster()
        .timeout(TIMEOUT)
        .connect()
        .await
        .expect("it connects");
    let key = |i: usize| (i as u64).to_be_bytes();
    let made = (0..SESSIONS).map(|i| put(key(i), Expect::Absent, live(1)));
    assert!(
        store
            .submit(made.collect())
            .await
            .iter()
            .all(|reply| *reply == StoreReply::Done)
    );
    let names = nodes[0].cli(&["KEYS", "*"]);
    let of_the_first: Vec<bool> = (0..SESSIONS)
        .map(|i| names.contains(&format!("{{{i:016x}}}")))
        .collect();
    let its_own = of_the_first.iter().filter(|its| **its).count();
    assert!((1500..2500).contains(&its_own), "{its_own}");

    nodes[2].signal("STOP");
    let begun = Instant::now();
    let peeks = || (0..SESSIONS).map(|i| StoreOp::Peek { key: key(i) }).collect();
    // Twice: by the second time all that may be with the one that hangs is there.
    let mut answers = [store.submit_apart(peeks()), store.submit_apart(peeks())];
    for answers in &mut answers {
        let mut left = its_own;
        while left > 0 {
            for (i, reply) in answers.next().await.expect("there are more") {
                if of_the_first[i] {
                    assert!(matches!(reply, StoreReply::Peeked(Some(_))), "session {i}: {reply:?}");
                    left -= 1;
                }
            }
        }
    }
    assert!(begun.elapsed() < TIMEOUT / 2, "{:?}", begun.elapsed());

    // Later, too, when what it had is given up.
    for answers in &mut answers {
        while answers.next().await.is_some() {}
    }
    assert!(begun.elapsed() >= TIMEOUT, "nothing hung");
    let first = of_the_first.iter().position(|its| *its).expect("it has some");
    let again = Instant::now();
    assert!(matches!(
        one(&store, StoreOp::Peek { key: key(first) }).await,
        StoreReply::Peeked(Some(_))
    ));
    assert!(again.elapsed() < TIMEOUT / 2, "{:?}", again.elapsed());
    nodes[2].signal("CONT");
}

/// Nor do sessions whose owner's lease is with the node that hangs, however many are asked for: only whether their owners are alive is not known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_of_a_node_that_hangs_hold_up_no_session_of_another() {
    const SESSIONS: u64 = 3000;
    const TIMEOUT: Duration = Duration::from_secs(8);
    let nodes = cluster_of_three();
    let builder = RedisStore::builder([nodes[0].url()]).cluster().timeout(TIMEOUT);
    let store = builder.connect().await.expect("it connects");
    // The first node has the first third of the slots, the third one the last.
    let owner = (1..=u8::MAX)
        .map(|byte| Owner([byte; 16]))
        .find(|owner| slot(&owner.to_string()) > 11_000)
        .expect("some");
    let of_the_first = |key: &u64| slot(&format!("{key:016x}")) < 5_400;
    let keys: Vec<u64> = (0..SESSIONS).filter(of_the_first).collect();
    let (owned, parked) = keys.split_at(keys.len() / 2);
    let record = |owned| match owned {
        true => Record::Live {
            token: 1,
            owner,
            blob: Bytes::new(),
        },
        false => Record::Parked {
            token: 1,
            blob: Bytes::new(),
        },
    };
    let made = owned
        .iter()
        .map(|key| put(key.to_be_bytes(), Expect::Absent, record(true)));
    let made = made.chain(
        parked
            .iter()
            .map(|key| put(key.to_be_bytes(), Expect::Absent, record(false))),
    );
    let made = store.submit(made.collect()).await;
    assert!(made.iter().all(|reply| *reply == StoreReply::Done));

    nodes[2].signal("STOP");
    let peeks = |keys: &[u64]| {
        keys.iter()
            .map(|key| StoreOp::Peek { key: key.to_be_bytes() })
            .collect()
    };
    let begun = Instant::now();
    let unknown = store.submit(peeks(owned));
    tokio::time::sleep(TIMEOUT / 8).await;
    let replies = store.submit(peeks(parked)).await;
    let found = replies
        .iter()
        .filter(|reply| matches!(reply, StoreReply::Peeked(Some(_))));
    assert_eq!(found.count(), parked.len(), "after {:?}", begun.elapsed());
    assert!(begun.elapsed() < TIMEOUT / 2, "{:?}", begun.elapsed());
    let unknown = unknown.await;
    assert!(
        unknown
            .iter()
            .all(|reply| matches!(reply, StoreReply::Failed | StoreReply::Unavailable)),
        "nothing hung"
    );
    nodes[2].signal("CONT");
}

/// A session of a slot that is being moved is asked for until it has been; others of the same range of slots do not wait for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_is_being_moved_holds_up_no_other() {
    const TIMEOUT: Duration = Duration::from_secs(8);
    const MOVING: u16 = 1000;
    let nodes = cluster_of_three();
    let builder = RedisStore::builder([nodes[0].url()]).cluster().timeout(TIMEOUT);
    let store = builder.connect().await.expect("it connects");
    let ids = [0, 1].map(|node: usize| nodes[node].cli(&["CLUSTER", "MYID"]));
    let moving = MOVING.to_string();
    nodes[1].cli(&["CLUSTER", "SETSLOT", &moving, "IMPORTING", &ids[0]]);
    nodes[0].cli(&["CLUSTER", "SETSLOT", &moving, "MIGRATING", &ids[1]]);
    let peeks = |slots: std::ops::Range<u16>, count| {
        let keys = (0_u64..).filter(move |key| slots.contains(&slot(&format!("{key:016x}"))));
        let peeks = keys.take(count).map(|key| StoreOp::Peek { key: key.to_be_bytes() });
        peeks.collect::<Vec<_>>()
    };
    let begun = Instant::now();
    let waiting = store.submit(peeks(MOVING..MOVING + 1, 20));
    tokio::time::sleep(TIMEOUT / 8).await;
    let others = store.submit(peeks(MOVING + 1..MOVING + 20, 20)).await;
    assert_eq!(
        others,
        vec![StoreReply::Peeked(None); 20],
        "after {:?}",
        begun.elapsed()
    );
    assert!(begun.elapsed() < TIMEOUT / 2, "{:?}", begun.elapsed());
    // Nobody moves it on.
    assert_eq!(waiting.await, vec![StoreReply::Unavailable; 20]);
    assert!(begun.elapsed() > TIMEOUT * 7 / 8, "{:?}", begun.elapsed());
}

/// The slot of keys with this hash tag.
fn slot(tag: &str) -> u16 {
    crc16::State::<crc16::XMODEM>::calculate(tag.as_bytes()) % 16_384
}

/// A port that takes connections and never says a word, as a machine that hangs does. One that is gone swallows them, which takes a client as long.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("redis://{}", listener.local_addr().expect("it is bound"));
    (listener, url)
}

/// A cluster's only node.
fn cluster_of_one() -> Server {
    let node = Server::with(&["--cluster-enabled yes", "--appendonly yes", "--appendfsync always"]);
    let slots: Vec<String> = (0..16_384).map(|slot| slot.to_string()).collect();
    let all: Vec<&str> = slots.iter().map(String::as_str).collect();
    node.cli(&[&["CLUSTER", "ADDSLOTS"], &all[..]].concat());
    eventually("it has all slots", || {
        node.tells(&["CLUSTER", "INFO"], "cluster_state:ok")
    });
    node
}

/// A cluster whose addresses are those of several machines is there as long as one of them is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_reached_while_one_of_the_nodes_that_it_was_named_by_is_silent() {
    let node = cluster_of_one();
    let (_held, silent) = silent();
    for urls in [[silent.clone(), node.url()], [node.url(), silent.clone()]] {
        let builder = RedisStore::builder(urls).cluster().timeout(Duration::from_secs(8));
        let store = builder.connect().await.expect("it connects");
        assert_eq!(
            one(&store, StoreOp::Peek { key: [1; 8] }).await,
            StoreReply::Peeked(None)
        );
    }
}

/// As a process that connects before it starts what serves: the library's end of the connection is a task of the runtime in which it was made.
#[test]
fn a_cluster_is_reached_when_the_runtime_has_ended_in_which_it_was_connected_to() {
    let node = cluster_of_one();
    let [first, second] = [(); 2].map(|()| tokio::runtime::Runtime::new().expect("a runtime"));
    let builder = RedisStore::builder([node.url()]).cluster().timeout(PATIENT);
    let store = first.block_on(builder.connect()).expect("it connects");
    drop(first);
    second.block_on(async {
        let mut last = None;
        for key in 0..20_u64 {
            last = Some(one(&store, put(key.to_be_bytes(), Expect::Absent, live(1))).await);
            if last == Some(StoreReply::Done) {
                return;
            }
        }
        panic!("it is there, and is not connected to: {last:?}");
    });
}

/// So is what Sentinels lead to, also with a time-out that is short for finding out that one of them is silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_is_found_while_one_of_the_sentinels_is_silent() {
    let primary = Server::start();
    let sentinel = Server::sentinel(primary.port, 1);
    eventually("the Sentinel knows the primary", || {
        sentinel.tells(&["INFO", "sentinel"], "status=ok")
    });
    let (_held, silent) = silent();
    for timeout in [Duration::from_millis(800), PATIENT] {
        let builder = RedisStore::builder([silent.clone(), sentinel.url()]).sentinel("sessions");
        let store = builder.timeout(timeout).connect().await.expect("it connects");
        // Each of its connections is looked up anew.
        let reached = async { while one(&store, StoreOp::Peek { key: [1; 8] }).await != StoreReply::Peeked(None) {} };
        tokio::time::timeout(PATIENT, reached).await.expect("it is reached");
    }
}

/// Each connection is looked up by itself, and each look-up waits a second and a half for the silent one: one after the other, they would take far longer than the time-out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_connections_are_looked_up_at_once_while_one_of_the_sentinels_is_silent() {
    let primary = Server::start();
    let sentinel = Server::sentinel(primary.port, 1);
    eventually("the Sentinel knows the primary", || {
        sentinel.tells(&["INFO", "sentinel"], "status=ok")
    });
    let (_held, silent) = silent();
    let builder = RedisStore::builder([silent, sentinel.url()]).sentinel("sessions");
    let store = builder.timeout(Duration::from_secs(20)).connect().await;
    let store = store.expect("it connects");
    // As the 32 workers of a server do, each by a connection of its own; requests share eight.
    let waiting: Vec<_> = (0..32)
        .map(|worker| tokio::spawn(store.receive(Owner([worker; 16]))))
        .collect();
    let peeks = (0..64_u64)
        .map(|key| StoreOp::Peek { key: key.to_be_bytes() })
        .collect();
    assert_eq!(store.submit(peeks).await, vec![StoreReply::Peeked(None); 64]);
    for waiting in waiting {
        let received = waiting.await.expect("it does not panic");
        assert_eq!(received, Some(Vec::new()), "it has a connection, and there is nothing");
    }
}

/// The primary dies; the Sentinels agree on another; the store finds it. What the replica had is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_sentinels_it_passes_the_suite_and_follows_a_failover() {
    let mut primary = Server::start();
    let replica = Server::replica_of(&primary);
    let sentinels: Vec<Server> = (0..3).map(|_| Server::sentinel(primary.port, 2)).collect();
    eventually("the Sentinels know each other and the replica", || {
        let known = |sentinel: &Server, what| sentinel.tells(&["INFO", "sentinel"], what);
        sentinels
            .iter()
            .all(|sentinel| known(sentinel, "slaves=1") && known(sentinel, "sentinels=3"))
    });
    let urls = sentinels.iter().map(|sentinel| sentinel.url());
    let builder = RedisStore::builder(urls).sentinel("sessions").timeout(PATIENT);
    let store = builder
        .confirm(unbroken_store::Confirm::Replicas(1))
        .connect()
        .await
        .expect("it connects");
    for i in 0..20_u64 {
        assert_eq!(
            one(&store, put(i.to_be_bytes(), Expect::Absent, live(1))).await,
            StoreReply::Done
        );
    }
    primary.kill();
    eventually("another is primary", || replica.tells(&["ROLE"], "master"));

    let store = RedisStore::builder(sentinels.iter().map(|sentinel| sentinel.url())).sentinel("sessions");
    let after = store.timeout(PATIENT).connect().await.expect("it connects");
    for i in 0..20_u64 {
        let next = put(i.to_be_bytes(), Expect::Live(1, OWNER), live(2));
        assert_eq!(
            one(&after, next).await,
            StoreReply::Done,
            "session {i} was confirmed by the replica"
        );
    }
    conformance::run(keeping(after, (sentinels, primary, replica))).await;
}

/// A store that is connected follows by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_store_follows_a_failover() {
    let mut primary = Server::start();
    let replica = Server::replica_of(&primary);
    let sentinel = Server::sentinel(primary.port, 1);
    eventually("the Sentinel knows the replica", || {
        sentinel.tells(&["INFO", "sentinel"], "slaves=1")
    });
    let builder = RedisStore::builder([sentinel.url()])
        .sentinel("sessions")
        .timeout(PATIENT);
    let store = builder.connect().await.expect("it connects");
    assert_eq!(
        one(&store, put([1; 8], Expect::Absent, live(1))).await,
        StoreReply::Done
    );
    primary.kill();
    // The first may be lost with the connection, and nobody knows; what comes after that waits for the new primary.
    let first = one(&store, StoreOp::Peek { key: [2; 8] }).await;
    assert!(
        matches!(
            first,
            StoreReply::Failed | StoreReply::Unavailable | StoreReply::Peeked(None)
        ),
        "{first:?}"
    );
    assert_eq!(
        one(&store, put([2; 8], Expect::Absent, live(1))).await,
        StoreReply::Done
    );
    assert!(replica.tells(&["ROLE"], "master"));
    assert_eq!(replica.cli(&["EXISTS", "unbroken:{0202020202020202}:record"]), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_it_passes_the_suite_and_trusts_nobody_else() {
    let place = tempfile::tempdir().expect("a directory");
    let openssl = |arguments: &str| {
        let output = Command::new("openssl")
            .current_dir(place.path())
            .args(arguments.split(' '))
            .output()
            .expect("openssl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    openssl(&format!("{new} -subj /CN=authority -keyout ca.key -out ca.pem"));
    openssl(&format!("{new} -subj /CN=another -keyout other.key -out other.pem"));
    let leaf = "-addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
    openssl(&format!(
        "{new} -subj /CN=redis {leaf} -CA ca.pem -CAkey ca.key -keyout redis.key -out redis.pem"
    ));
    openssl(&format!(
        "{new} -subj /CN=client {leaf} -CA ca.pem -CAkey ca.key -keyout client.key -out client.pem"
    ));
    let read = |name: &str| std::fs::read(place.path().join(name)).expect("it is there");

    let (port, at) = (free_port(), place.path().display());
    let tls = format!("--tls-cert-file {at}/redis.pem --tls-key-file {at}/redis.key --tls-ca-cert-file {at}/ca.pem");
    let options = [
        "--port 0",
        &format!("--tls-port {port}"),
        &tls,
        "--tls-auth-clients yes",
        "--appendonly yes",
        "--appendfsync always",
    ];
    let server = Server::at(port, &options);
    let url = format!("rediss://127.0.0.1:{port}");
    let builder = || RedisStore::builder([url.clone()]).timeout(Duration::from_secs(2));
    let trusting = builder()
        .tls_root(read("ca.pem"))
        .tls_client(read("client.pem"), read("client.key"));
    let patient = trusting.clone().timeout(PATIENT);
    let store = patient.connect().await.expect("it connects");

    let refused = [
        ("the authority is another", trusting.tls_root(read("other.pem"))),
        ("it shows no certificate", builder().tls_root(read("ca.pem"))),
        (
            "it does not speak TLS",
            RedisStore::builder([format!("redis://127.0.0.1:{port}")]).timeout(Duration::from_secs(2)),
        ),
    ];
    for (why, builder) in refused {
        let error = builder.connect().await.expect_err(why);
        assert!(
            matches!(error, StoreError::Unreachable { .. } | StoreError::Refused { .. }),
            "{why}: {error}"
        );
    }
    conformance::run(keeping(store, (server, place))).await;
}
