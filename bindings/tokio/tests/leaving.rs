//! SIGTERM, and what the metrics say of sessions that leave and come: a process of its own, because signals are the process's, and so is
//! the recorder.
#![cfg(unix)]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use unbroken_tokio::{
    Bytes, Client, ClientConfig, ClusterKey, Durability, HandlerFactory, MemoryStore, Message, RestoreError, Server,
    ServerConfig, ServerKey, SessionHandler, SessionRef, Store, signal,
};

struct Echo;

impl SessionHandler for Echo {
    fn on_message(&mut self, session: &SessionRef<'_>, message: Message) {
        let _ = session.send(message.payload);
    }

    fn swap_out(&self) -> Bytes {
        Bytes::new()
    }
}

impl HandlerFactory for Echo {
    type Handler = Echo;

    fn open(&self, _session: &SessionRef<'_>) -> Echo {
        Echo
    }

    fn restore(&self, _session: &SessionRef<'_>, _state: Bytes) -> Result<Echo, RestoreError> {
        Ok(Echo)
    }
}

#[tokio::test]
async fn a_server_that_is_asked_to_leave_swaps_its_sessions_out_and_ends() {
    let show = metrics_exporter_prometheus::PrometheusBuilder::new()
        .install_recorder()
        .unwrap();
    let key = ServerKey::from_bytes([7; 32]).unwrap();
    let pin = key.public();
    let config = ServerConfig::builder(key, ClusterKey::from_bytes([9; 32]).unwrap())
        .authorise_all(true)
        .durability(Durability::SwapOut)
        .build()
        .unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let builder = Server::builder(config.clone()).workers(1).store(store.clone());
    let server = builder.serve_sessions("127.0.0.1:0", Echo).await.unwrap();
    let address = server.local_addr();
    let client = ClientConfig::builder(pin).build().unwrap();
    let client = Client::connect(address, Arc::new(client)).await.unwrap();
    let mut leaves = pin!(signal::drained_on_sigterm(server, Duration::ZERO));
    // It listens for signals when it was polled once.
    poll_fn(|cx| {
        assert!(leaves.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    let killed = std::process::Command::new("kill")
        .args(["-TERM", &std::process::id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let drained = tokio::time::timeout(Duration::from_secs(30), leaves)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((drained.moved, drained.swapped_out), (0, 1));

    // The next process on the same port: the session goes on.
    let builder = Server::builder(config).workers(2).store(store);
    let server = builder.serve_sessions(address, Echo).await.unwrap();
    client.send("still there?").await.unwrap();
    let back = tokio::time::timeout(Duration::from_secs(30), client.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(back.payload, "still there?");
    let takeovers: u64 = server
        .stats()
        .await
        .iter()
        .map(|worker| worker.counters.takeovers)
        .sum();
    assert_eq!(takeovers, 1);

    // The figures are published a few times per second.
    let exact = [
        "unbroken_server_takeovers_total 1",
        "unbroken_server_swapped_out_total 1",
        "unbroken_server_fenced_total 0",
        "unbroken_server_snapshots_total 1",
        "unbroken_server_store_failures_total 0",
    ];
    let grown = [
        "unbroken_server_store_requests_total ",
        "unbroken_server_store_seconds_count ",
    ];
    let all = async {
        loop {
            let text = show.render();
            let lines: Vec<&str> = text.lines().collect();
            let has = |name: &&str| {
                lines
                    .iter()
                    .any(|line| line.strip_prefix(name).is_some_and(|n| n != "0"))
            };
            if exact.iter().all(|line| lines.contains(line)) && grown.iter().all(has) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let shown = tokio::time::timeout(Duration::from_secs(20), all).await;
    shown.unwrap_or_else(|_| panic!("not all metrics appeared:\n{}", show.render()));
}
