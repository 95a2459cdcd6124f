//! Many messages in one step: the same promises as one by one.

use std::time::Duration;

use tokio::sync::mpsc;
use unbroken_fault_proxy::{Plan, Proxy};
use unbroken_tokio::{Batch, Client, Refusal, ServerSession};

use crate::{LOCAL, eager, open_server, ping, proxy, soon};

const MESSAGES: usize = 6000;

/// Message `number`: its number, and a length that makes some of them share a record and others take several.
fn message(number: usize) -> Vec<u8> {
    let length = if number.is_multiple_of(500) {
        40_000
    } else {
        number % 90
    };
    let mut message = (number as u32).to_be_bytes().to_vec();
    message.resize(4 + length, number as u8);
    message
}

fn all() -> Vec<Vec<u8>> {
    (0..MESSAGES).map(message).collect()
}

/// Checks what is in a batch. Returns the number of the message that comes next.
fn check(batch: &mut Batch, mut next: usize) -> usize {
    let left = batch.len();
    while let Some(got) = batch.pop() {
        assert_eq!(got.id.map(|id| id.0), Some(next as u64));
        assert!(got.payload == message(next), "message {next}");
        next += 1;
    }
    assert!(left > 0 && batch.is_empty());
    next
}

/// All messages there and back by batches, while links are cut in the middle of records.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_go_through_a_breaking_network() {
    let server = open_server()
        .workers(2)
        .serve(LOCAL, async |session: ServerSession| {
            let (mut batch, mut next) = (Batch::new(), 0);
            while session.recv_batch(&mut batch).await {
                let first = next;
                next = check(&mut batch, next);
                let back: Vec<_> = (first..next).map(message).collect();
                session.send_all(&back).await.unwrap();
            }
        })
        .await
        .unwrap();
    let plan = Plan::new(5, Duration::from_millis(100));
    let proxy = Proxy::start(LOCAL.into(), server.local_addr(), plan).await.unwrap();
    let client = Client::connect(proxy.local_addr(), eager()).await.unwrap();
    let send = async {
        for some in all().chunks(60) {
            client.send_all(some).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let receive = async {
        let (mut batch, mut next) = (Batch::new(), 0);
        while next < MESSAGES {
            assert!(client.recv_batch(&mut batch).await);
            next = check(&mut batch, next);
        }
    };
    soon(async { tokio::join!(send, receive) }).await;
    let handovers = client.stats().handovers;
    assert!(handovers > 0, "vacuous: nothing was cut");
}

#[tokio::test]
async fn send_many_takes_what_there_is_room_for_and_then_waits() {
    let server = open_server()
        .serve(LOCAL, async |session: ServerSession| {
            let mut batch = Batch::new();
            while session.recv_batch(&mut batch).await {
                while let Some(message) = batch.pop() {
                    session.send_slice(message.payload).await.unwrap();
                }
            }
        })
        .await
        .unwrap();
    let proxy = proxy(server.local_addr()).await;
    let client = Client::connect(proxy.local_addr(), eager()).await.unwrap();
    ping(&client, 0).await;
    proxy.stall(true);
    let messages = vec![[7; 1000]; 3000];
    let sent = client.send_many(&messages).await.unwrap();
    assert!((1000..=1048).contains(&sent), "{sent} of 1000 bytes in 1 MiB");
    // A future that waits for room has sent nothing; dropped, it never will.
    let waiting = tokio::time::timeout(Duration::from_millis(20), client.send_many(&messages)).await;
    assert!(waiting.is_err());
    assert_eq!(client.stats().sent_messages, 1 + sent as u64);
    assert_eq!(client.send_many::<[u8; 1]>(&[]).await, Ok(0));

    proxy.stall(false);
    let receive = async {
        let (mut batch, mut got) = (Batch::new(), 0);
        while got < messages.len() && client.recv_batch(&mut batch).await {
            while let Some(message) = batch.pop() {
                assert_eq!(message.payload, messages[0]);
                got += 1;
            }
        }
        got
    };
    let send = client.send_all(&messages[sent..]);
    let (sent, got) = soon(async { tokio::join!(send, receive) }).await;
    assert_eq!((sent, got), (Ok(()), messages.len()));
}

#[tokio::test]
async fn a_batch_stops_at_the_message_that_cannot_be_sent() {
    let server = open_server().serve(LOCAL, crate::echo).await.unwrap();
    let client = Client::connect(server.local_addr(), eager()).await.unwrap();
    let messages = [vec![1; 10], vec![2; (1 << 20) + 1], vec![3; 10]];
    let refused = Err(Refusal::TooLarge { max: 1 << 20 });
    assert_eq!(client.send_all(&messages).await, refused);
    assert_eq!(client.stats().sent_messages, 1);
    assert_eq!(
        client.send_many(&messages[1..]).await,
        Err(Refusal::TooLarge { max: 1 << 20 })
    );
    assert_eq!(soon(client.recv()).await.unwrap().payload, messages[0]);
    client.disconnect(0).await;
    assert_eq!(client.send_many(&messages).await, Err(Refusal::Closed));
    assert_eq!(client.send_slice(b"late").await, Err(Refusal::Closed));
}

/// What had arrived when the session ended is still in the next batch, at both ends; then there is none.
#[tokio::test]
async fn the_last_batch_comes_after_the_end() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let server = open_server()
        .serve(LOCAL, move |session: ServerSession| {
            let told = told.clone();
            async move {
                session.send_all(&["good", "bye"]).await.unwrap();
                session.closed().await;
                let mut batch = Batch::new();
                let mut got = Vec::new();
                while session.recv_batch(&mut batch).await {
                    assert!(session.recv_batch(&mut batch).await, "it is left as it is");
                    while let Some(message) = batch.pop() {
                        got.push(message.payload.to_vec());
                    }
                }
                told.send(got).unwrap();
            }
        })
        .await
        .unwrap();
    let client = Client::connect(server.local_addr(), eager()).await.unwrap();
    client.send_all(&["last", "words"]).await.unwrap();
    // The first of the server's messages says that both are here: they were sent in one step.
    assert_eq!(soon(client.recv()).await.unwrap().payload, "good");
    soon(client.disconnect(0)).await;
    let (mut batch, mut got) = (Batch::new(), Vec::new());
    while client.recv_batch(&mut batch).await {
        while let Some(message) = batch.pop() {
            got.push(message.payload.to_vec());
        }
    }
    assert_eq!(got, [b"bye"]);
    assert_eq!(soon(heard.recv()).await.unwrap(), [&b"last"[..], b"words"]);
}
