//! What the application hears, at both ends.

use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use unbroken_tokio::{Client, Event, ServerSession};

use crate::{LOCAL, eager, echo, handover_end, open_server, proxy, soon, until};

#[tokio::test]
async fn a_handover_is_heard_at_both_ends() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let server = open_server()
        .serve(LOCAL, move |session: ServerSession| {
            let told = told.clone();
            async move {
                while let Some(event) = session.event().await {
                    told.send(event).unwrap();
                }
            }
        })
        .await
        .unwrap();
    let proxy = proxy(server.local_addr()).await;
    let client = Client::connect(proxy.local_addr(), eager()).await.unwrap();
    let mut events = client.events();
    proxy.cut_all(false);
    until(&mut events, |event| {
        matches!(event, Event::HandoverBegin { .. }).then_some(())
    })
    .await;
    let end = until(&mut events, handover_end).await;
    assert!(end.same_server);

    let mut names = Vec::new();
    while let Some(event) = soon(heard.recv()).await {
        match event {
            Event::HandoverBegin { .. } => names.push("begin"),
            Event::HandoverEnd(_) => {
                names.push("end");
                client.disconnect(0).await;
            }
            Event::Closed(_) => {
                names.push("closed");
                break;
            }
            _ => {}
        }
    }
    assert_eq!(names, ["begin", "end", "closed"]);
}

#[tokio::test]
async fn events_that_nobody_fetches_are_bounded_and_the_last_stays() {
    let server = open_server().serve(LOCAL, crate::echo).await.unwrap();
    let proxy = proxy(server.local_addr()).await;
    let client = Client::connect(proxy.local_addr(), eager()).await.unwrap();
    for round in 1..=80 {
        proxy.cut_all(true);
        soon(async {
            while client.stats().handovers < round {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        })
        .await;
    }
    client.disconnect(0).await;
    let mut events = client.events();
    let mut count = 0;
    let mut last = None;
    while let Some(event) = events.next().await {
        count += 1;
        last = Some(event);
    }
    assert!(
        count <= 256 && events.missed() > 0,
        "{count} kept, {} missed",
        events.missed()
    );
    assert!(matches!(last, Some(Event::Closed(_))));
}

/// Sends what is logged by a session.
struct Sending(Arc<Mutex<Option<Client>>>);

impl Subscriber for Sending {
    fn enabled(&self, about: &Metadata<'_>) -> bool {
        about.target() == "unbroken::client"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        if let Some(client) = &*self.0.lock().unwrap() {
            let _ = client.try_send(event.metadata().name());
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn a_log_may_be_sent_by_the_session_that_it_tells_of() {
    let by = Arc::new(Mutex::new(None));
    let _logging = tracing::subscriber::set_default(Sending(by.clone()));
    let server = open_server().serve(LOCAL, echo).await.unwrap();
    let proxy = proxy(server.local_addr()).await;
    let client = Client::connect(proxy.local_addr(), eager()).await.unwrap();
    *by.lock().unwrap() = Some(client.clone());
    proxy.cut_all(true);
    assert!(soon(client.recv()).await.is_some());
    soon(client.disconnect(0)).await;
    *by.lock().unwrap() = None;
}
