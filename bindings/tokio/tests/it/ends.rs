//! How sessions end: by either side, by force, by refusal, by a panic, with the server.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use unbroken_tokio::server::{HANDLER_PANICKED, probe};
use unbroken_tokio::{
    Bytes, Client, ClientConfig, CloseReason, ConnectError, Dial, Dialing, Event, Refusal, SendError, Server,
    ServerConfig, ServerSession, State, Verdict,
};

use crate::{LOCAL, cluster, eager, echo, key, open_server, ping, proxy, soon, until};

#[tokio::test]
async fn the_client_leaves_and_the_handler_learns_why() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let server = open_server()
        .serve(LOCAL, move |session: ServerSession| {
            let told = told.clone();
            async move {
                let mut got = Vec::new();
                while let Some(message) = session.recv().await {
                    got.push(message.payload);
                }
                told.send((got, session.closed().await)).unwrap();
            }
        })
        .await
        .unwrap();
    let client = Client::connect(server.local_addr(), eager()).await.unwrap();
    for text in ["last", "words"] {
        client.send(text).await.unwrap();
    }
    assert_eq!(soon(client.disconnect(42)).await, CloseReason::Local { code: 42 });
    let (got, why) = soon(heard.recv()).await.unwrap();
    assert_eq!(got, ["last", "words"]);
    assert_eq!(
        why,
        CloseReason::Peer {
            code: 42,
            truncated: false
        }
    );
    assert_eq!(client.state(), State::Closed);
    assert!(matches!(client.send("late").await, Err(SendError::Closed(message)) if message == "late"));
    assert_eq!(soon(client.recv()).await, None);
}

/// A short visit: the client has spoken and left before the application made up its mind. What it said still counts.
#[tokio::test]
async fn a_client_that_is_gone_before_the_verdict_is_heard_after_it() {
    let judge = Arc::new(Notify::new());
    let (told, mut heard) = mpsc::unbounded_channel();
    let waiting = judge.clone();
    let server = Server::builder(ServerConfig::builder(key(), cluster()).build().unwrap())
        .authorise(move |_credential: Bytes| {
            let waiting = waiting.clone();
            async move {
                waiting.notified().await;
                Verdict::Accept { message: Bytes::new() }
            }
        })
        .serve(LOCAL, move |session: ServerSession| {
            let told = told.clone();
            async move {
                let mut got = Vec::new();
                while let Some(message) = session.recv().await {
                    got.push(message.payload);
                }
                let mut events = Vec::new();
                while let Some(event) = session.event().await {
                    events.push(event);
                }
                told.send((got, session.closed().await, events)).unwrap();
            }
        })
        .await
        .unwrap();
    let client = Client::builder(server.local_addr(), eager()).start().unwrap();
    let mut events = client.events();
    until(&mut events, |event| {
        (*event == Event::State(State::Standby)).then_some(())
    })
    .await;
    for text in ["in", "and out"] {
        client.send(text).await.unwrap();
    }
    assert_eq!(soon(client.disconnect(3)).await, CloseReason::Local { code: 3 });
    judge.notify_one();
    let (got, why, events) = soon(heard.recv()).await.unwrap();
    assert_eq!(got, ["in", "and out"]);
    let truncated = false;
    assert_eq!(why, CloseReason::Peer { code: 3, truncated });
    let [.., Event::Established { .. }, Event::Closed(last)] = events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(last, why);
}

#[tokio::test]
async fn the_handler_leaves_and_its_last_words_arrive() {
    let server = open_server()
        .serve(LOCAL, async |session: ServerSession| {
            for text in ["so", "long"] {
                session.send(text).await.unwrap();
            }
            session.disconnect(7).await;
        })
        .await
        .unwrap();
    let client = Client::connect(server.local_addr(), eager()).await.unwrap();
    assert_eq!(
        soon(client.closed()).await,
        CloseReason::Peer {
            code: 7,
            truncated: false
        }
    );
    // What had arrived can be fetched after the end.
    assert_eq!(client.recv().await.unwrap().payload, "so");
    assert_eq!(client.recv().await.unwrap().payload, "long");
    assert_eq!(client.recv().await, None);
}

#[tokio::test]
async fn returning_from_the_handler_is_a_goodbye() {
    let server = open_server().serve(LOCAL, async |_: ServerSession| {}).await.unwrap();
    let client = Client::connect(server.local_addr(), eager()).await.unwrap();
    assert_eq!(
        soon(client.closed()).await,
        CloseReason::Peer {
            code: 0,
            truncated: false
        }
    );
}

#[tokio::test]
async fn dropping_the_last_client_is_a_goodbye_too() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let server = open_server()
        .serve(LOCAL, move |session: ServerSession| {
            let told = told.clone();
            async move { told.send(session.closed().await).unwrap() }
        })
        .await
        .unwrap();
    let client = Client::connect(server.local_addr(), eager()).await.unwrap();
    let other = client.clone();
    drop(client);
    assert_eq!(other.state(), State::Established);
    drop(other);
    assert_eq!(
        soon(heard.recv()).await,
        Some(CloseReason::Peer {
            code: 0,
            truncated: false
        })
    );
}

#[tokio::test]
async fn a_kicked_client_learns_it_even_if_it_was_away() {
    let server = open_server().workers(2).serve(LOCAL, echo).await.unwrap();
    let proxy = proxy(server.local_addr()).await;
    let client = Client::connect(proxy.local_addr(), eager()).await.unwrap();
    let id = client.id().unwrap();
    proxy.refuse(true);
    proxy.cut_all(true);
    soon(async {
        while server.stats().await.iter().map(|worker| worker.detached).sum::<usize>() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(server.kick(id, 9).await);
    proxy.refuse(false);
    assert_eq!(soon(client.closed()).await, CloseReason::Kicked { code: 9 });
    assert!(!server.kick(id, 9).await, "it is gone");
}

#[tokio::test]
async fn a_refused_client_learns_the_code() {
    let config = ServerConfig::builder(key(), cluster()).build().unwrap();
    let refusing = async |_: Bytes| {
        // A slow judge delays nobody but this client.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Verdict::Refuse {
            code: 403,
            message: "no".into(),
        }
    };
    let server = Server::builder(config.clone())
        .authorise(refusing)
        .serve(LOCAL, echo)
        .await
        .unwrap();
    let error = soon(Client::connect(server.local_addr(), eager())).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Closed(CloseReason::Refused { code: 403 })),
        "{error}"
    );

    // Without a hook nobody comes in.
    let server = Server::builder(config).serve(LOCAL, echo).await.unwrap();
    let error = soon(Client::connect(server.local_addr(), eager())).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Closed(CloseReason::Refused { code: 0 })),
        "{error}"
    );
}

#[tokio::test]
async fn l12_the_application_may_veto_a_resume() {
    let config = ServerConfig::builder(key(), cluster())
        .authorise_all(true)
        .build()
        .unwrap();
    // Not by count: a link that is late by a moment is resumed elsewhere, which asks once more.
    let (asked, vetoes) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, vetoed) = (asked.clone(), vetoes.clone());
    let server = Server::builder(config)
        .on_resume(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            let verdict = if vetoed.load(Ordering::SeqCst) {
                Err(451)
            } else {
                Ok(())
            };
            async move { verdict }
        })
        .serve(LOCAL, echo)
        .await
        .unwrap();
    let proxy = proxy(server.local_addr()).await;
    let client = Client::connect(proxy.local_addr(), eager()).await.unwrap();
    let mut events = client.events();
    proxy.cut_all(true);
    until(&mut events, crate::handover_end).await;
    ping(&client, 1).await;
    let allowed = asked.load(Ordering::SeqCst);
    assert!(allowed >= 1, "a resume that nobody was asked about");
    vetoes.store(true, Ordering::SeqCst);
    proxy.cut_all(true);
    assert_eq!(soon(client.closed()).await, CloseReason::Refused { code: 451 });
    assert!(asked.load(Ordering::SeqCst) > allowed);
}

#[tokio::test]
async fn a_panic_puts_out_its_own_session_only() {
    let server = open_server()
        .workers(1)
        .serve(LOCAL, async |session: ServerSession| {
            while let Some(message) = session.recv().await {
                assert_ne!(message.payload, "bomb", "this panic is part of the test");
                session.send(message.payload).await.unwrap();
            }
        })
        .await
        .unwrap();
    let fine = Client::connect(server.local_addr(), eager()).await.unwrap();
    let bad = Client::connect(server.local_addr(), eager()).await.unwrap();
    bad.send("bomb").await.unwrap();
    assert_eq!(soon(bad.closed()).await, CloseReason::Kicked { code: HANDLER_PANICKED });
    ping(&fine, 1).await;
}

#[tokio::test]
async fn a_shutdown_says_goodbye_to_all() {
    let server = open_server().workers(2).serve(LOCAL, echo).await.unwrap();
    let address = server.local_addr();
    let mut clients = Vec::new();
    for number in 0..10 {
        let client = Client::connect(address, eager()).await.unwrap();
        ping(&client, number).await;
        clients.push(client);
    }
    soon(server.shutdown(3, Duration::from_secs(20))).await;
    for client in clients {
        assert_eq!(
            soon(client.closed()).await,
            CloseReason::Peer {
                code: 3,
                truncated: false
            }
        );
    }
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

/// His connection was there before, and he says who he is when the others have gone already.
#[tokio::test]
async fn who_comes_during_a_shutdown_is_sent_away_like_the_others() {
    let server = open_server().workers(1).serve(LOCAL, echo).await.unwrap();
    let go = Arc::new(Notify::new());
    let (address, may_go) = (server.local_addr(), go.clone());
    let dialer = Arc::new(move |_: Dial| -> Dialing {
        let may_go = may_go.clone();
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            may_go.notified().await;
            Ok(stream)
        })
    });
    let client = Client::builder(address, eager()).dialer(dialer).start().unwrap();
    soon(async {
        while server.stats().await[0].links == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let shutdown = tokio::spawn(server.shutdown(3, Duration::from_secs(60)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    go.notify_one();
    let truncated = false;
    assert_eq!(soon(client.closed()).await, CloseReason::Peer { code: 3, truncated });
    soon(shutdown).await.unwrap();
}

#[test]
fn a_session_whose_runtime_is_gone_takes_nothing_more() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let (here, gone) = (runtime(), runtime());
    let server = here.block_on(open_server().serve(LOCAL, echo)).unwrap();
    let client = gone.block_on(Client::connect(server.local_addr(), eager())).unwrap();
    drop(gone);
    here.block_on(async {
        assert_eq!(soon(client.closed()).await, CloseReason::Internal);
        assert_eq!(client.state(), State::Closed);
        // Nobody would ever make room for it.
        let message = vec![0; 100 << 10];
        assert!(matches!(
            soon(client.send(message.clone())).await,
            Err(SendError::Closed(_))
        ));
        assert_eq!(soon(client.send_all(&[&message])).await, Err(Refusal::Closed));
        assert!(matches!(client.try_send(message), Err(SendError::Closed(_))));
        assert!(matches!(client.send_unreliable("late"), Err(SendError::Closed(_))));
        assert_eq!(soon(client.recv()).await, None);
    });
}

#[tokio::test]
async fn a_bad_address_is_named() {
    for address in ["nowhere", ":80", "host:port"] {
        let error = Client::connect(address, eager()).await.unwrap_err();
        assert!(error.to_string().contains(address), "{error}");
    }
    let config = ClientConfig::builder(key().public()).build().unwrap();
    let client = Client::builder("127.0.0.1:9", config.into()).start().unwrap();
    assert_eq!(soon(client.disconnect(1)).await, CloseReason::Local { code: 1 });
    let mut events = client.events();
    until(&mut events, |event| matches!(event, Event::Closed(_)).then_some(())).await;
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn an_address_that_cannot_be_listened_at_is_named() {
    let taken = std::net::TcpListener::bind(LOCAL).unwrap();
    let address = taken.local_addr().unwrap();
    let server = open_server().serve(LOCAL, echo).await.unwrap();
    let errors = [
        open_server().serve(address, echo).await.map(drop),
        probe::listen(address, server.readiness()).await.map(drop),
    ];
    for error in errors.map(Result::unwrap_err) {
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}

/// Such as a look-up of a name: it cannot be broken off, and goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_does_not_wait_for_what_a_handler_does_on_other_threads() {
    let (begun, mut running) = mpsc::unbounded_channel();
    let handler = move |_| {
        let begun = begun.clone();
        async move {
            let work = move || {
                begun.send(()).unwrap();
                std::thread::sleep(Duration::from_secs(60));
            };
            tokio::task::spawn_blocking(work).await.unwrap();
        }
    };
    let server = open_server().workers(1).serve(LOCAL, handler).await.unwrap();
    let client = Client::connect(server.local_addr(), eager()).await.unwrap();
    soon(running.recv()).await.unwrap();
    soon(tokio::spawn(server.shutdown(3, Duration::from_millis(100))))
        .await
        .unwrap();
    soon(client.closed()).await;
}
