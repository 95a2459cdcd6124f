//! Messages both ways, large and small, reliable and not, waited for and not.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::yield_now;
use unbroken_tokio::{Bytes, Client, Dialer, SendError, Server, ServerSession, Verdict};

use crate::{LOCAL, cluster, eager, echo, key, open_server, ping, proxy, soon};

#[tokio::test]
async fn what_is_sent_comes_back() {
    let server = open_server().serve(LOCAL, echo).await.unwrap();
    let client = Client::connect(server.local_addr(), eager()).await.unwrap();
    for size in [0, 1, 100, 16_320, 16_400, 100_000, 1 << 20] {
        let message = Bytes::from(vec![size as u8; size]);
        client.send(message.clone()).await.unwrap();
        assert_eq!(soon(client.recv()).await.unwrap().payload, message);
    }
    client.send_unreliable("perhaps").unwrap();
    let message = soon(client.recv()).await.unwrap();
    assert_eq!((message.id, &message.payload[..]), (None, &b"perhaps"[..]));
    assert!(client.id().is_some());
    assert_eq!(
        client.stats().received_messages,
        7 + u64::from(client.stats().received_messages == 8)
    );
}

#[tokio::test]
async fn what_is_too_large_comes_back_at_once() {
    let server = open_server().serve(LOCAL, echo).await.unwrap();
    let client = Client::connect(server.local_addr(), eager()).await.unwrap();
    let huge = Bytes::from(vec![0; (1 << 20) + 1]);
    match client.send(huge.clone()).await {
        Err(SendError::TooLarge { message, max }) => assert_eq!((message, max), (huge, 1 << 20)),
        other => panic!("{other:?}"),
    }
    ping(&client, 1).await;
}

#[tokio::test]
async fn a_full_buffer_waits_for_room() {
    let server = open_server().serve(LOCAL, echo).await.unwrap();
    let proxy = proxy(server.local_addr()).await;
    let client = Client::connect(proxy.local_addr(), eager()).await.unwrap();
    ping(&client, 0).await;
    proxy.stall(true);
    let mut taken = 0u32;
    let back = loop {
        match client.try_send(vec![1; 10_000]) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(back, SendError::WouldBlock(_)) && taken >= 100,
        "{taken} taken, then {back}"
    );
    let waiting = client.clone();
    let waiting = tokio::spawn(async move { waiting.send(vec![2; 10_000]).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    proxy.stall(false);
    let receiving = async {
        for _ in 0..=taken {
            client.recv().await.unwrap();
        }
    };
    soon(receiving).await;
    soon(waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_handler_knows_the_credential_and_the_client_the_answer() {
    let config = unbroken_tokio::ServerConfig::builder(key(), cluster()).build().unwrap();
    let server = Server::builder(config)
        .authorise(async |credential: Bytes| match &credential[..] {
            b"ann" => Verdict::Accept {
                message: "welcome".into(),
            },
            _ => Verdict::Refuse {
                code: 17,
                message: "no".into(),
            },
        })
        .serve(LOCAL, async |session: ServerSession| {
            session.send(session.credential()).await.unwrap();
            echo(session).await;
        })
        .await
        .unwrap();
    let config = unbroken_tokio::ClientConfig::builder(key().public())
        .credential("ann")
        .build()
        .unwrap();
    let client = Client::connect(server.local_addr(), config.into()).await.unwrap();
    assert_eq!(soon(client.recv()).await.unwrap().payload, "ann");
    ping(&client, 3).await;
}

#[tokio::test]
async fn a_handle_sends_from_any_thread() {
    let (handles, mut arrived) = mpsc::unbounded_channel();
    let server = open_server()
        .workers(2)
        .serve(LOCAL, move |session: ServerSession| {
            let handles = handles.clone();
            async move {
                handles.send(session.handle()).unwrap();
                echo(session).await;
            }
        })
        .await
        .unwrap();
    let client = Client::connect(server.local_addr(), eager()).await.unwrap();
    let handle = soon(arrived.recv()).await.unwrap();
    assert_eq!(Some(handle.id()), client.id());
    let sending = tokio::spawn(async move {
        for number in 0..500u32 {
            handle.send(number.to_be_bytes().to_vec()).await.unwrap();
        }
        handle
    });
    for number in 0..500u32 {
        assert_eq!(soon(client.recv()).await.unwrap().payload[..], number.to_be_bytes());
    }
    let handle = sending.await.unwrap();
    handle.kick(5);
    assert_eq!(
        soon(client.closed()).await,
        unbroken_tokio::CloseReason::Kicked { code: 5 }
    );
    soon(async {
        while !handle.is_closed() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(matches!(handle.send("late").await, Err(SendError::Closed(_))));
}

/// Asks its client as soon as it is woken, and tells what it heard.
struct Curious {
    client: Client,
    told: mpsc::UnboundedSender<Option<Bytes>>,
}

impl Wake for Curious {
    fn wake(self: Arc<Self>) {
        let message = self.client.try_recv();
        let _ = self.told.send(message.map(|message| message.payload));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waker_may_ask_its_client_at_once() {
    let server = open_server().serve(LOCAL, echo).await.unwrap();
    let client = Client::connect(server.local_addr(), eager()).await.unwrap();
    let (told, mut heard) = mpsc::unbounded_channel();
    let curious = || {
        let (client, told) = (client.clone(), told.clone());
        Waker::from(Arc::new(Curious { client, told }))
    };
    // More than are left alone, so that they are woken when one more comes, too.
    for _ in 0..200 {
        assert!(
            pin!(client.recv())
                .poll(&mut Context::from_waker(&curious()))
                .is_pending()
        );
    }
    let mut next = async |wanted: Option<Bytes>| while soon(heard.recv()).await.unwrap() != wanted {};
    client.send("hello").await.unwrap();
    next(Some("hello".into())).await;
    // For the end, too; and one of those who wait for it has the client's last handle.
    assert!(
        pin!(client.closed())
            .poll(&mut Context::from_waker(&curious()))
            .is_pending()
    );
    let mut events = client.events();
    while let Poll::Ready(event) = pin!(events.next()).poll(&mut Context::from_waker(&curious())) {
        assert!(event.is_some());
    }
    drop(client);
    server.shutdown(0, Duration::from_secs(20)).await;
    next(None).await;
    soon(async { while events.next().await.is_some() {} }).await;
}

/// Whoever waits for a message before the driver has run takes its order to dial from the session; it is carried out all the same.
#[tokio::test]
async fn a_client_that_waits_at_once_dials_at_once() {
    let dials = Arc::new(AtomicUsize::new(0));
    let seen = dials.clone();
    let dialer: Dialer = Arc::new(move |_| {
        seen.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::pending())
    });
    let client = Client::builder("127.0.0.1:1", eager()).dialer(dialer).start().unwrap();
    let mut waiting = pin!(client.recv());
    assert!(
        waiting
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
    // The driver's turn.
    yield_now().await;
    assert_eq!(dials.load(Ordering::Relaxed), 1);
}

#[test]
fn what_is_sent_as_a_runtime_stops_leaves_when_it_runs_again() {
    let several = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let (told, came) = std::sync::mpsc::channel();
    let server = several.block_on(open_server().serve(LOCAL, move |session: ServerSession| {
        let told = told.clone();
        async move {
            while let Some(message) = session.recv().await {
                told.send(message.payload).unwrap();
            }
        }
    }));
    let address = server.as_ref().unwrap().local_addr();
    let alone = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let client = alone.block_on(Client::connect(address, eager())).unwrap();
    for message in ["one", "two"] {
        alone.block_on(client.send(message)).unwrap();
        alone.block_on(async { tokio::time::sleep(Duration::from_millis(500)).await });
        assert_eq!(came.try_recv().expect("it has come"), message);
    }
}
