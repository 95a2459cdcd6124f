//! Handovers that cannot succeed, and say so.

use std::sync::Arc;
use std::time::Duration;

use unbroken_tokio::{
    Backoff, Client, ClientConfig, CloseReason, ConnectError, Event, FailReason, LinkHealth, Server, ServerConfig,
    State,
};

use crate::{LOCAL, cluster, eager, echo, handover_end, key, open_server, ping, proxy, soon, until};

/// Gives up as soon as may be configured.
fn impatient() -> Arc<ClientConfig> {
    let backoff = Backoff {
        base: Duration::from_millis(5),
        cap: Duration::from_millis(50),
        give_up_after: Duration::from_secs(1),
    };
    ClientConfig::builder(key().public())
        .backoff(backoff)
        .build()
        .unwrap()
        .into()
}

#[tokio::test]
async fn after_giving_up_a_retry_saves_the_session() {
    let server = open_server().serve(LOCAL, echo).await.unwrap();
    let proxy = proxy(server.local_addr()).await;
    let client = Client::connect(proxy.local_addr(), impatient()).await.unwrap();
    let id = client.id();
    let mut events = client.events();
    ping(&client, 1).await;
    assert_eq!(client.link_health(), LinkHealth::Sound { network: None });
    proxy.refuse(true);
    proxy.cut_all(true);
    client.send("kept").await.unwrap();
    let begin = |event: &Event| matches!(event, Event::HandoverBegin { .. }).then_some(());
    until(&mut events, begin).await;
    assert_eq!(client.link_health(), LinkHealth::Lost);
    let failed = |event: &Event| match event {
        Event::HandoverFailed { reason, .. } => Some(*reason),
        _ => None,
    };
    let reason = until(&mut events, failed).await;
    assert_eq!((reason, reason.is_final()), (FailReason::GaveUp, false));
    assert_eq!((client.state(), client.link_health()), (State::None, LinkHealth::Idle));
    proxy.refuse(false);
    client.retry();
    until(&mut events, handover_end).await;
    assert_eq!(soon(client.recv()).await.unwrap().payload, "kept");
    assert_eq!(client.id(), id);
}

#[tokio::test]
async fn a_first_connect_gives_up_too() {
    // Bound, so that no other test gets the port, and not listening, so that it refuses.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind(LOCAL.into()).unwrap();
    let nobody = taken.local_addr().unwrap();
    let error = soon(Client::connect(nobody, impatient())).await.unwrap_err();
    assert!(matches!(error, ConnectError::GaveUp), "{error}");
}

#[tokio::test]
async fn a_server_that_forgot_says_so() {
    let config = ServerConfig::builder(key(), cluster())
        .authorise_all(true)
        .build()
        .unwrap();
    let server = Server::builder(config.clone())
        .workers(2)
        .serve(LOCAL, echo)
        .await
        .unwrap();
    let address = server.local_addr();
    let client = Client::connect(address, eager()).await.unwrap();
    ping(&client, 1).await;
    let mut events = client.events();
    // The process dies; another starts at the same place, with the same keys and without the sessions.
    drop(server);
    let _next = soon(async {
        loop {
            match Server::builder(config.clone()).workers(2).serve(address, echo).await {
                Ok(server) => return server,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    })
    .await;
    let failed = |event: &Event| {
        matches!(
            event,
            Event::HandoverFailed {
                reason: FailReason::UnknownSession,
                ..
            }
        )
    };
    until(&mut events, |event| failed(event).then_some(())).await;
    assert_eq!(soon(client.closed()).await, CloseReason::UnknownSession);
}
