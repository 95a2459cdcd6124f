//! What a message costs in allocations, through both ends and the system between them.
//!
//! This file has an allocator that counts, for all threads; so it is its own program, and its cases run one after the other in one test.

use std::alloc::System;
use std::sync::Arc;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use unbroken_tokio::{Batch, Bytes, Client, ClientConfig, ClusterKey, Server, ServerConfig, ServerKey, ServerSession};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROUNDS: usize = 400;
const EACH: usize = 50;
const MESSAGES: usize = ROUNDS * EACH;

/// Allocations while all messages go there and back, after as many to warm up.
async fn counted<F: Future<Output = ()>>(round: impl Fn() -> F) -> usize {
    for _ in 0..ROUNDS {
        round().await;
    }
    let region = Region::new(ALLOCATOR);
    for _ in 0..ROUNDS {
        round().await;
    }
    let change = region.change();
    change.allocations + change.reallocations
}

/// Sends and reads back by batches; `batch` is one for all rounds.
async fn by_batches(client: &Client, batch: &mut Batch, messages: &[&[u8]]) {
    client.send_all(messages).await.unwrap();
    let mut back = 0;
    while back < messages.len() {
        assert!(client.recv_batch(batch).await);
        while let Some(message) = batch.pop() {
            assert_eq!(message.payload, messages[back]);
            back += 1;
        }
    }
}

async fn one_by_one(client: &Client, message: &Bytes) {
    for _ in 0..EACH {
        client.send(message.clone()).await.unwrap();
    }
    for _ in 0..EACH {
        assert_eq!(client.recv().await.unwrap().payload, message);
    }
}

async fn echo(session: ServerSession) {
    let mut batch = Batch::new();
    while session.recv_batch(&mut batch).await {
        while let Some(message) = batch.pop() {
            session.send_slice(message.payload).await.unwrap();
        }
    }
}

#[tokio::test]
async fn batches_cost_nothing_and_kept_messages_one_allocation_each() {
    let key = ServerKey::from_bytes([1; 32]).unwrap();
    let client = Arc::new(ClientConfig::builder(key.public()).build().unwrap());
    let config = ServerConfig::builder(key, ClusterKey::from_bytes([2; 32]).unwrap())
        .authorise_all(true)
        .build()
        .unwrap();
    let server = Server::builder(config)
        .workers(1)
        .serve("127.0.0.1:0", echo)
        .await
        .unwrap();
    let client = Client::connect(server.local_addr(), client).await.unwrap();
    // What is counted beside the messages: timers that go off, a buffer that grows once more.
    let few = MESSAGES / 100;
    for size in [32, 1024] {
        let bytes = vec![7; size];
        let messages = vec![&bytes[..]; EACH];
        let batch = tokio::sync::Mutex::new(Batch::new());
        let allocations = counted(|| async { by_batches(&client, &mut *batch.lock().await, &messages).await }).await;
        assert!(
            allocations < few,
            "{allocations} for {MESSAGES} messages of {size} bytes there and back"
        );

        let message = Bytes::from_static(&[7; 1024]).slice(..size);
        let allocations = counted(|| one_by_one(&client, &message)).await;
        assert!(
            (MESSAGES..MESSAGES + few).contains(&allocations),
            "{allocations} for {MESSAGES} messages of {size} bytes that are kept"
        );
    }
}
