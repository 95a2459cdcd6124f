//! The feature `prometheus`: the metrics over HTTP. A binary of its own, because a process has one recorder.
#![cfg(feature = "prometheus")]

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use unbroken_tokio::{ClusterKey, Server, ServerConfig, ServerKey, ServerSession, prometheus};

#[tokio::test]
async fn the_listener_serves_the_metrics() {
    // A port that was free a moment ago; the exporter does not tell which one it took.
    let address: SocketAddr = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    prometheus::listen(address).unwrap();
    let keys = (
        ServerKey::from_bytes([7; 32]).unwrap(),
        ClusterKey::from_bytes([9; 32]).unwrap(),
    );
    let config = ServerConfig::builder(keys.0, keys.1).build().unwrap();
    let _server = Server::builder(config)
        .serve("127.0.0.1:0", async |_: ServerSession| {})
        .await
        .unwrap();
    let mut stream = loop {
        match tokio::net::TcpStream::connect(address).await {
            Ok(stream) => break stream,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(
        text.starts_with("HTTP/1.1 200") && text.contains("# TYPE unbroken_server_sessions gauge"),
        "{text}"
    );
}
