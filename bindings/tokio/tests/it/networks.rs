//! Links and the networks that they go out on. Two proxies are two networks; real ones are in tests/netns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpSocket, TcpStream};
use unbroken_fault_proxy::Proxy;
use unbroken_tokio::{Binding, Client, Dial, Dialer, LinkHealth, NetworkEvent, NetworkId, Server};

use crate::{LOCAL, eager, echo, handover_end, open_server, ping, proxy, soon, until};

const WIFI: NetworkId = NetworkId(1);
const CELLULAR: NetworkId = NetworkId(2);

/// Whatever address is asked for, the way there is this proxy.
fn through(proxy: &Proxy) -> Binding {
    let address = proxy.local_addr();
    let dialer: Dialer = Arc::new(move |_: Dial| Box::pin(TcpStream::connect(address)));
    Binding::Dialer(dialer)
}

/// A server, a client, and its two networks, of which it used the first registered only: the preferred one.
async fn two_networks() -> (Server, Client, [Proxy; 2]) {
    for _ in 0..100 {
        let server = open_server().workers(2).serve(LOCAL, echo).await.unwrap();
        let (wifi, cellular) = (proxy(server.local_addr()).await, proxy(server.local_addr()).await);
        let begun = Instant::now();
        let client = Client::builder(server.local_addr(), eager())
            .network(WIFI, through(&wifi))
            .network(CELLULAR, through(&cellular))
            .connect()
            .await
            .unwrap();
        let used = || [wifi.counts().links, cellular.counts().links];
        // The second is tried beside a first that has not answered for 250 ms.
        if begun.elapsed() < Duration::from_millis(200) {
            assert_eq!(used(), [1, 0], "the first registered is preferred");
        }
        ping(&client, 1).await;
        // An answer that a busy machine delays by some 10 ms has a connection made ahead, on the other network, and the session may go there.
        if used() == [1, 0] {
            return (server, client, [wifi, cellular]);
        }
    }
    panic!("disturbed each time");
}

/// Nobody said a word: the network that went silent is not asked again, the other one is.
#[tokio::test]
async fn a_silent_network_is_left_without_a_hint() {
    let (_server, client, [wifi, cellular]) = two_networks().await;
    let mut events = client.events();
    wifi.stall(true);
    ping(&client, 2).await;
    until(&mut events, handover_end).await;
    assert!(wifi.counts().links == 1 && cellular.counts().links > 0);
}

/// The core did not ask for this network by name, so it cannot know that its link is on it; the binding does.
#[tokio::test]
async fn a_lost_network_takes_its_links_along() {
    let (_server, client, [wifi, cellular]) = two_networks().await;
    let mut events = client.events();
    client.network(NetworkEvent::Lost(WIFI));
    until(&mut events, handover_end).await;
    ping(&client, 2).await;
    // How often it tries is the core's affair; where, is what counts here.
    assert!(wifi.counts().links == 1 && cellular.counts().links > 0);
    // Back again, and preferred by the system.
    client.network(NetworkEvent::Changed(WIFI));
    soon(async {
        while wifi.counts().links < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    ping(&client, 3).await;
}

/// Also when many connections were made since over another network, and came to nothing.
#[tokio::test]
async fn a_lost_network_takes_along_a_link_that_is_old() {
    let (_server, client, [wifi, cellular]) = two_networks().await;
    let mut events = client.events();
    cellular.stall(true);
    for tried in 1..=20 {
        client.network(NetworkEvent::Changed(CELLULAR));
        soon(async {
            while cellular.counts().links < tried {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        cellular.cut_all(true);
        until(&mut events, handover_end).await;
    }
    ping(&client, 2).await;
    assert_eq!(wifi.counts().links, 1, "the link is the old one");
    client.network(NetworkEvent::Lost(WIFI));
    // It would carry on beside what is being dialled if the client took it for one of another network.
    soon(async {
        while client.link_health() != LinkHealth::Lost {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    cellular.stall(false);
    until(&mut events, handover_end).await;
}

/// An application that dials itself is told which networks have links, and those go with their network. It was asked for none, so the core cannot know what it chose.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn networks_count_for_an_application_that_dials_itself() {
    let server = open_server().serve(LOCAL, echo).await.unwrap();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let dialer: Dialer = Arc::new(move |dial: Dial| {
        let asked = dial.network;
        told.send(dial.clone()).unwrap();
        Box::pin(async move {
            // Nobody has cellular.
            if asked.is_some() {
                std::future::pending::<()>().await;
            }
            let socket = TcpSocket::new_v4()?;
            socket.bind("127.0.0.2:0".parse().unwrap())?;
            socket.connect(dial.address.parse().unwrap()).await
        })
    });
    let client = Client::builder(server.local_addr(), eager())
        .network(WIFI, Binding::Source("127.0.0.2".parse().unwrap()))
        .network(CELLULAR, Binding::Source("127.0.0.3".parse().unwrap()))
        .dialer(dialer)
        .connect()
        .await
        .unwrap();
    ping(&client, 1).await;
    client.network(NetworkEvent::Changed(CELLULAR));
    let asked = async {
        loop {
            let dial: Dial = heard.recv().await.unwrap();
            if dial.network == Some(CELLULAR) {
                return dial.in_use;
            }
        }
    };
    assert!(soon(asked).await.contains(&WIFI));
    client.network(NetworkEvent::Lost(WIFI));
    // It would carry on beside what is being dialled if the client took it for one of another network.
    soon(async {
        while client.link_health() != LinkHealth::Lost {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// What cannot be bound is passed over.
#[tokio::test]
async fn a_network_without_its_address_gives_way() {
    let server = open_server().serve(LOCAL, echo).await.unwrap();
    let gone = "192.0.2.1".parse().unwrap();
    let here = "127.0.0.1".parse().unwrap();
    let client = Client::builder(server.local_addr(), eager())
        .network(WIFI, Binding::Source(gone))
        .network(CELLULAR, Binding::Source(here))
        .connect()
        .await
        .unwrap();
    ping(&client, 1).await;
}
