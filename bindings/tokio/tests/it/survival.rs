//! The links break, the sessions do not.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use unbroken_fault_proxy::{Plan, Proxy};
use unbroken_tokio::{Client, Dial, Dialing, NetworkEvent, NetworkId, ServerSession};

use crate::{LOCAL, eager, echo, handover_end, open_server, ping, proxy, soon, until};

const MESSAGES: u32 = 3000;

/// Numbers both ways at the same time, each side checking the other's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_messages_through_a_breaking_network() {
    let server = open_server()
        .workers(4)
        .serve(LOCAL, async |session: ServerSession| {
            let send = async {
                for number in 0..MESSAGES {
                    session.send(number.to_be_bytes().to_vec()).await.unwrap();
                    pace(number).await;
                }
            };
            let receive = async {
                for number in 0..MESSAGES {
                    assert_eq!(session.recv().await.unwrap().payload[..], number.to_be_bytes());
                }
            };
            tokio::join!(send, receive);
            session.closed().await;
        })
        .await
        .unwrap();
    let mut plan = Plan::new(11, Duration::from_millis(250));
    plan.stall = Duration::from_millis(50)..Duration::from_millis(400);
    let proxy = Proxy::start(LOCAL.into(), server.local_addr(), plan).await.unwrap();
    let address = proxy.local_addr();
    let mut clients = JoinSet::new();
    for _ in 0..12 {
        clients.spawn(async move {
            let client = Client::connect(address, eager()).await.unwrap();
            let send = async {
                for number in 0..MESSAGES {
                    client.send(number.to_be_bytes().to_vec()).await.unwrap();
                    pace(number).await;
                }
            };
            let receive = async {
                for number in 0..MESSAGES {
                    assert_eq!(client.recv().await.unwrap().payload[..], number.to_be_bytes());
                }
            };
            tokio::join!(send, receive);
            // The server's side has all of it when nothing is un-ACKed any more.
            while client.stats().unacked_messages > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let handovers = client.stats().handovers;
            client.disconnect(0).await;
            handovers
        });
    }
    let all = tokio::time::timeout(Duration::from_secs(90), clients.join_all());
    let handovers: u64 = all.await.expect("done within 90 seconds").into_iter().sum();
    let cut = proxy.counts().cut();
    assert!(
        cut > 20 && handovers > 20,
        "vacuous: {cut} links cut, {handovers} handovers"
    );

    // Each resume found the worker that has the session: several workers had some, and none was asked for a session of another.
    let stats = server.stats().await;
    let resumed = stats.iter().filter(|worker| worker.counters.resumes > 0).count();
    assert!(resumed >= 3, "{stats:?}");
    assert!(
        stats.iter().all(|worker| worker.counters.resumes_unknown == 0),
        "{stats:?}"
    );
    let opened: u64 = stats.iter().map(|worker| worker.counters.sessions_opened).sum();
    assert_eq!(opened, 12, "no session was begun anew");
}

async fn pace(number: u32) {
    if number.is_multiple_of(10) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn f107_everything_a_byte_at_a_time() {
    let server = open_server().workers(2).serve(LOCAL, echo).await.unwrap();
    let proxy = proxy(server.local_addr()).await;
    proxy.trickle(true);
    let client = Client::connect(proxy.local_addr(), eager()).await.unwrap();
    let mut events = client.events();
    for number in 0..20 {
        ping(&client, number).await;
    }
    proxy.cut_all(true);
    until(&mut events, handover_end).await;
    for number in 20..40 {
        ping(&client, number).await;
    }
}

/// F-105: cut as often as it comes back; in the end there is one session and one link, at both ends.
#[tokio::test]
async fn f105_flapping_leaks_nothing() {
    let server = open_server().workers(2).serve(LOCAL, echo).await.unwrap();
    let proxy = proxy(server.local_addr()).await;
    let client = Client::connect(proxy.local_addr(), eager()).await.unwrap();
    let mut events = client.events();
    for round in 0..60 {
        client.send(round.to_string()).await.unwrap();
        proxy.cut_all(round % 2 == 0);
        until(&mut events, handover_end).await;
    }
    for round in 0..60 {
        assert_eq!(soon(client.recv()).await.unwrap().payload, round.to_string());
    }
    assert!(client.stats().handovers >= 60);
    soon(async {
        loop {
            let stats = server.stats().await;
            let sum = |pick: fn(&unbroken_tokio::server::WorkerStats) -> usize| stats.iter().map(pick).sum::<usize>();
            if (sum(|w| w.sessions), sum(|w| w.links), sum(|w| w.detached)) == (1, 1, 0) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// A hint from the platform opens a second link before the first has failed: nothing stands still, and the old link is closed.
#[tokio::test]
async fn a_hint_moves_the_session_before_the_break() {
    let server = open_server().workers(2).serve(LOCAL, echo).await.unwrap();
    let client = Client::connect(server.local_addr(), eager()).await.unwrap();
    let mut events = client.events();
    ping(&client, 1).await;
    client.network(NetworkEvent::Changed(NetworkId(2)));
    let end = until(&mut events, handover_end).await;
    assert_eq!(end.downtime, Duration::ZERO);
    ping(&client, 2).await;
    soon(async {
        while server.stats().await.iter().map(|worker| worker.links).sum::<usize>() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// The application opens the connections itself, and is told which network the session wants.
#[tokio::test]
async fn the_application_may_dial() {
    let server = open_server().serve(LOCAL, echo).await.unwrap();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let dialer = Arc::new(move |dial: Dial| -> Dialing {
        told.send(dial.clone()).unwrap();
        Box::pin(TcpStream::connect(dial.address))
    });
    let client = Client::builder(server.local_addr(), eager())
        .dialer(dialer)
        .connect()
        .await
        .unwrap();
    ping(&client, 1).await;
    let first = heard.recv().await.unwrap();
    assert_eq!((first.address, first.network), (server.local_addr().to_string(), None));
    client.network(NetworkEvent::Changed(NetworkId(7)));
    assert_eq!(soon(heard.recv()).await.unwrap().network, Some(NetworkId(7)));
    ping(&client, 2).await;
}

#[tokio::test]
async fn a_dialer_may_ask_another_session_for_the_way() {
    let server = open_server().serve(LOCAL, echo).await.unwrap();
    let guide = Client::connect(server.local_addr(), eager()).await.unwrap();
    let dialer = Arc::new(move |dial: Dial| -> Dialing {
        let guide = guide.clone();
        Box::pin(async move {
            guide.send(dial.address).await.unwrap();
            let way = guide.recv().await.unwrap().payload;
            TcpStream::connect(std::str::from_utf8(&way).unwrap()).await
        })
    });
    let client = soon(Client::builder(server.local_addr(), eager()).dialer(dialer).connect());
    ping(&client.await.unwrap(), 1).await;
}
