//! What the application hears, at both ends.

use tokio::sync::mpsc;
use unbroken_tokio::{Client, Event, ServerSession};

use crate::{LOCAL, eager, handover_end, open_server, proxy, soon, until};

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
