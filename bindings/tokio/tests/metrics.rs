//! The metrics reach an exporter. A binary of its own, because a process has one recorder.

use std::sync::Arc;
use std::time::Duration;

use unbroken_fault_proxy::{Plan, Proxy};
use unbroken_tokio::{Client, ClientConfig, ClusterKey, Server, ServerConfig, ServerKey, ServerSession};

#[tokio::test]
async fn the_metrics_are_exposed() {
    let show = metrics_exporter_prometheus::PrometheusBuilder::new()
        .install_recorder()
        .unwrap();
    let key = ServerKey::from_bytes([7; 32]).unwrap();
    let pin = key.public();
    let config = ServerConfig::builder(key, ClusterKey::from_bytes([9; 32]).unwrap()).authorise_all(true);
    let server = Server::builder(config.build().unwrap())
        .workers(2)
        .serve("127.0.0.1:0", async |session: ServerSession| {
            while let Some(message) = session.recv().await {
                session.send(message.payload).await.unwrap();
            }
        })
        .await
        .unwrap();
    let proxy = Proxy::start("127.0.0.1:0".parse().unwrap(), server.local_addr(), Plan::none())
        .await
        .unwrap();
    let config = Arc::new(ClientConfig::builder(pin).build().unwrap());
    let client = Client::connect(proxy.local_addr(), config).await.unwrap();
    proxy.cut_all(true);
    client.send("hello").await.unwrap();
    assert!(client.recv().await.is_some());

    // The figures are published a few times per second.
    let exact = [
        "unbroken_server_sessions 1",
        "unbroken_server_detached 0",
        "unbroken_server_sessions_opened_total 1",
        "unbroken_server_resumes_refused_total{reason=\"forged\"} 0",
        "unbroken_server_messages_total{direction=\"in\"} 1",
        "unbroken_client_sessions 1",
    ];
    // A thread that is late by some 10 ms adds a connection to these, and may add a handover.
    let at_least = [
        ("unbroken_server_handovers_total", 1),
        ("unbroken_server_resumes_accepted_total", 1),
        ("unbroken_server_handover_downtime_seconds_count", 1),
        ("unbroken_server_bytes_total{direction=\"out\"}", 1),
        ("unbroken_client_handovers_total", 1),
        ("unbroken_client_dials_total{result=\"up\"}", 2),
    ];
    let all = async {
        loop {
            // However many they are, two ways to ask must agree.
            let workers = server.stats().await;
            let links: usize = workers.iter().map(|worker| worker.links).sum();
            let resumes: u64 = workers.iter().map(|worker| worker.counters.resumes).sum();
            let same = [
                format!("unbroken_server_links {links}"),
                format!("unbroken_server_resumes_accepted_total {resumes}"),
                format!("unbroken_client_handovers_total {}", client.stats().handovers),
            ];
            let text = show.render();
            let value = |name: &str| {
                let found = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<u64>().ok();
                text.lines().find_map(found).unwrap_or(0)
            };
            let mut missing: Vec<String> = exact.iter().map(|&line| line.to_owned()).chain(same).collect();
            missing.retain(|line| !text.lines().any(|l| l == line));
            missing.extend(
                at_least
                    .iter()
                    .filter(|(name, least)| value(name) < *least)
                    .map(|(name, least)| format!("{name}, at least {least}")),
            );
            if missing.is_empty() {
                return;
            }
            eprintln!("still missing {missing:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all)
        .await
        .expect("all metrics appear");

    // It is over, though there is still a handle to it.
    client.disconnect(0).await;
    let over = async {
        while !show.render().lines().any(|line| line == "unbroken_client_sessions 0") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), over)
        .await
        .expect("a session that is over is not counted");
    drop(client);
    assert!(show.render().contains("unbroken_client_sessions 0\n"), "once");
}
