//! What a handler is told, and what becomes of one that fails.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use unbroken_tokio::server::{HANDLER_PANICKED, RESTORE_FAILED, STATE_TOO_LARGE};
use unbroken_tokio::{
    Bytes, Client, CloseReason, Durability, End, Event, HandlerFactory, Limits, MemoryStore, Message, RestoreError,
    Server, ServerConfig, ServerSession, SessionHandler, SessionRef, Store,
};

use super::balancer::Balancer;
use super::game::Games;
use super::{member, quick};
use crate::{LOCAL, cluster, eager, key, soon};

/// Does what it is told.
#[derive(Clone)]
struct Factory(mpsc::UnboundedSender<Seen>);

#[derive(PartialEq, Debug)]
enum Seen {
    Opened,
    Restored,
    Begin,
    End(bool),
    SwapOutFailed,
    Ended(End),
}

struct Obedient {
    told: mpsc::UnboundedSender<Seen>,
    state: Bytes,
}

impl SessionHandler for Obedient {
    fn on_message(&mut self, session: &SessionRef<'_>, message: Message) {
        session.send(message.payload.clone()).unwrap();
        match &message.payload[..] {
            b"panic" => panic!("as told"),
            b"panic twice" => {
                self.state = "cannot be dropped".into();
                panic!("as told");
            }
            b"close" => session.close(7),
            b"kick" => session.kick(8),
            b"leave" => session.swap_out(),
            b"grow" => self.state = vec![0; 100 << 10].into(),
            _ => self.state = message.payload,
        }
    }

    fn on_event(&mut self, _session: &SessionRef<'_>, event: &Event) {
        let seen = match event {
            Event::HandoverBegin { .. } => Seen::Begin,
            Event::HandoverEnd(end) => Seen::End(end.same_server),
            Event::SwapOutFailed => Seen::SwapOutFailed,
            _ => return,
        };
        let _ = self.told.send(seen);
    }

    fn swap_out(&self) -> Bytes {
        assert_ne!(self.state, "panic when you leave");
        self.state.clone()
    }

    fn on_end(self, end: End) {
        let _ = self.told.send(Seen::Ended(end));
    }
}

impl Drop for Obedient {
    fn drop(&mut self) {
        assert_ne!(self.state, "cannot be dropped");
    }
}

impl Factory {
    fn make(&self, seen: Seen, state: Bytes) -> Obedient {
        let _ = self.0.send(seen);
        Obedient {
            told: self.0.clone(),
            state,
        }
    }
}

impl HandlerFactory for Factory {
    type Handler = Obedient;

    fn open(&self, _session: &SessionRef<'_>) -> Obedient {
        self.make(Seen::Opened, Bytes::new())
    }

    fn restore(&self, _session: &SessionRef<'_>, state: Bytes) -> Result<Obedient, RestoreError> {
        if state == "cannot be read" {
            return Err("as told".into());
        }
        Ok(self.make(Seen::Restored, state))
    }
}

/// A server with one worker, whose sessions live for a second without a client, and who tells what its handlers saw.
async fn serve(durability: Durability, store: &Arc<dyn Store>) -> (Server, mpsc::UnboundedReceiver<Seen>) {
    let limits = Limits {
        detached: Duration::from_secs(1),
        message: 16 << 10,
        unacked_bytes: 16 << 10,
        snapshot: 80 << 10,
        ..Limits::default()
    };
    let config = ServerConfig::builder(key(), cluster())
        .authorise_all(true)
        .limits(limits);
    let config = config.timing(quick()).durability(durability).build().unwrap();
    let (told, seen) = mpsc::unbounded_channel();
    let builder = Server::builder(config).workers(1).store(store.clone());
    (builder.serve_sessions(LOCAL, Factory(told)).await.unwrap(), seen)
}

/// What a handler saw next, handovers aside: a slow machine makes more of them.
async fn next(seen: &mut mpsc::UnboundedReceiver<Seen>) -> Seen {
    loop {
        match next_of_all(seen).await {
            Seen::Begin | Seen::End(_) => {}
            seen => return seen,
        }
    }
}

async fn next_of_all(seen: &mut mpsc::UnboundedReceiver<Seen>) -> Seen {
    soon(seen.recv()).await.expect("somebody tells")
}

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

#[tokio::test]
async fn a_handler_is_told_why_it_ends() {
    let (server, mut seen) = serve(Durability::SwapOut, &memory()).await;
    let join = async |seen: &mut mpsc::UnboundedReceiver<Seen>| {
        let balancer = Balancer::start(&[server.local_addr()]).await;
        let client = Client::connect(balancer.address, eager()).await.unwrap();
        assert_eq!(next(seen).await, Seen::Opened);
        (client, balancer)
    };

    let (client, _balancer) = join(&mut seen).await;
    soon(client.disconnect(3)).await;
    let peer = CloseReason::Peer {
        code: 3,
        truncated: false,
    };
    assert_eq!(next(&mut seen).await, Seen::Ended(End::Closed(peer)));

    let (client, _balancer) = join(&mut seen).await;
    client.send("close").await.unwrap();
    assert_eq!(
        next(&mut seen).await,
        Seen::Ended(End::Closed(CloseReason::Local { code: 7 }))
    );

    let (client, _balancer) = join(&mut seen).await;
    client.send("kick").await.unwrap();
    assert_eq!(next(&mut seen).await, Seen::Ended(End::Kicked { code: 8 }));
    assert_eq!(soon(client.closed()).await, CloseReason::Kicked { code: 8 });

    let (client, _balancer) = join(&mut seen).await;
    assert!(server.kick(client.id().unwrap(), 9).await);
    assert_eq!(next(&mut seen).await, Seen::Ended(End::Kicked { code: 9 }));

    let (_client, balancer) = join(&mut seen).await;
    balancer.send_to(&[]);
    balancer.cut();
    assert_eq!(next(&mut seen).await, Seen::Ended(End::Expired));

    // Out, and back into the same server: another handler with the same state.
    let (client, _balancer) = join(&mut seen).await;
    client.send("remember this").await.unwrap();
    client.send("leave").await.unwrap();
    assert_eq!(next(&mut seen).await, Seen::Ended(End::SwappedOut));
    assert_eq!(next(&mut seen).await, Seen::Restored);
    assert_eq!(next_of_all(&mut seen).await, Seen::Begin);
    assert_eq!(next_of_all(&mut seen).await, Seen::End(false));

    drop(server);
    assert_eq!(next(&mut seen).await, Seen::Ended(End::Stopped));
}

async fn until_opened(seen: &mut mpsc::UnboundedReceiver<Seen>) {
    loop {
        match next(seen).await {
            Seen::Opened => return,
            Seen::Ended(End::SwappedOut) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Whether it fails at a message, at its own bytes, or when it is given up for that: its session ends, nobody else's, and never without a word.
#[tokio::test]
async fn a_handler_that_fails_ends_its_own_session_only() {
    for durability in [Durability::SwapOut, Durability::Durable] {
        let (server, mut seen) = serve(durability, &memory()).await;
        let bystander = Client::connect(server.local_addr(), eager()).await.unwrap();
        until_opened(&mut seen).await;
        let ways: [(&[&str], u32); 4] = [
            (&["panic"], HANDLER_PANICKED),
            (&["panic twice"], HANDLER_PANICKED),
            (&["panic when you leave", "leave"], HANDLER_PANICKED),
            (&["cannot be read", "leave"], RESTORE_FAILED),
        ];
        for (way, code) in ways {
            let client = Client::connect(server.local_addr(), eager()).await.unwrap();
            until_opened(&mut seen).await;
            for word in way {
                client.send(*word).await.unwrap();
            }
            assert_eq!(
                soon(client.closed()).await,
                CloseReason::Kicked { code },
                "{way:?} {durability:?}"
            );
        }
        bystander.send("still here").await.unwrap();
        assert_eq!(soon(bystander.recv()).await.unwrap().payload, "still here");
    }
}

/// Its client does not hear the goodbye, and the server dies before that is over. What it would have begun with elsewhere is not where its client stands.
#[tokio::test]
async fn a_session_whose_handler_failed_does_not_begin_anew_elsewhere() {
    for way in ["panic", "grow"] {
        let store = memory();
        let (first, mut seen) = serve(Durability::Durable, &store).await;
        let (second, mut there) = serve(Durability::Durable, &store).await;
        let balancer = Balancer::start(&[first.local_addr()]).await;
        let client = Client::connect(balancer.address, eager()).await.unwrap();
        until_opened(&mut seen).await;
        client.send("remember this").await.unwrap();
        assert_eq!(soon(client.recv()).await.unwrap().payload, "remember this");
        balancer.mute();
        balancer.send_to(&[]);
        client.send(way).await.unwrap();
        // The handler fails, and what there is of the session is written again.
        tokio::time::sleep(Duration::from_millis(700)).await;
        balancer.send_to(&[second.local_addr()]);
        drop(first);
        balancer.cut();
        let code = RESTORE_FAILED;
        assert_eq!(soon(client.closed()).await, CloseReason::Kicked { code }, "{way}");
        assert!(there.try_recv().is_err(), "{way}: nobody has begun anything");
    }
}

/// Over `Limits::snapshot`: with `SwapOut` it stays where it is, with `Durable` nothing of it could leave any more.
#[tokio::test]
async fn a_state_that_is_too_large_cannot_leave() {
    let (server, mut seen) = serve(Durability::SwapOut, &memory()).await;
    let client = Client::connect(server.local_addr(), eager()).await.unwrap();
    for word in ["grow", "leave", "small", "leave"] {
        client.send(word).await.unwrap();
        assert_eq!(soon(client.recv()).await.unwrap().payload, word);
    }
    let expected = [
        Seen::Opened,
        Seen::SwapOutFailed,
        Seen::Ended(End::SwappedOut),
        Seen::Restored,
    ];
    for expected in expected {
        assert_eq!(next(&mut seen).await, expected);
    }

    let (server, _seen) = serve(Durability::Durable, &memory()).await;
    let client = Client::connect(server.local_addr(), eager()).await.unwrap();
    client.send("grow").await.unwrap();
    assert_eq!(
        soon(client.closed()).await,
        CloseReason::Kicked { code: STATE_TOO_LARGE }
    );
}

#[tokio::test]
async fn what_does_not_fit_together_is_refused_with_the_reason() {
    let config = ServerConfig::builder(key(), cluster())
        .durability(Durability::SwapOut)
        .build()
        .unwrap();
    let error = Server::builder(config.clone())
        .serve(LOCAL, async |_: ServerSession| {})
        .await
        .unwrap_err();
    assert!(error.to_string().contains("use serve_sessions"), "{error}");
    let error = Server::builder(config)
        .serve_sessions(LOCAL, Games::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("Builder::store"), "{error}");
    let switch = super::switch::Switch::default();
    switch.set_down(true);
    let store: Arc<dyn Store> = Arc::new(switch);
    let error = member(Durability::SwapOut, &store)
        .serve_sessions(LOCAL, Games::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("switched off"), "{error}");
}
