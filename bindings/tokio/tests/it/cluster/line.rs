//! A long line of handlers: what happens to those that stand in it, and to everybody else meanwhile.
//!
//! A client that does not fetch leaves its handler no room, so what it sends piles up in its session. When that session ends the handler is given all of it in
//! one round, which is more than a round should have; so of several that end at once, one has its turn in each round. A gate holds the worker in
//! between, and the test opens it when it likes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use unbroken::{Owner, Record, StoreOp, StoreReply};
use unbroken_store::BoxFuture;
use unbroken_tokio::server::Builder;
use unbroken_tokio::{
    Bytes, Client, CloseReason, Durability, End, HandlerFactory, Limits, MemoryStore, Message, RestoreError, Server,
    ServerConfig, SessionHandler, SessionRef, Store, StoreError,
};

use super::quick;
use crate::{LOCAL, cluster, eager, key, proxy, soon};

/// More than all sessions together are given in one round.
const PILE: usize = 1100;
/// A long line. Before it is through, whoever comes back has come back, a few reads and writes and three requests to the store later.
const CRAMMED: usize = 20;
/// How long the others have for what they can do while the worker stands at the gate.
const STEP: Duration = Duration::from_millis(100);

#[derive(PartialEq, Debug)]
enum Told {
    AtTheGate,
    Ended(End),
    Took { restored: bool, message: Bytes },
}

#[derive(Clone)]
struct Desk {
    told: mpsc::UnboundedSender<Told>,
    gate: Arc<Mutex<std::sync::mpsc::Receiver<()>>>,
}

struct Clerk {
    desk: Desk,
    restored: bool,
    /// It has no room.
    crammed: bool,
}

impl SessionHandler for Clerk {
    fn on_message(&mut self, session: &SessionRef<'_>, message: Message) {
        match &message.payload[..] {
            b"cram" => {
                self.crammed = true;
                while session.send("answer").is_ok() {}
            }
            b"leave" => session.swap_out(),
            _ if self.crammed => {}
            _ => {
                let (restored, message) = (self.restored, message.payload);
                let _ = self.desk.told.send(Told::Took { restored, message });
            }
        }
    }

    fn swap_out(&self) -> Bytes {
        Bytes::new()
    }

    fn on_end(self, end: End) {
        if self.crammed {
            let _ = self.desk.told.send(Told::AtTheGate);
            // Whoever has the key may have gone: then it stands open.
            let _ = self.desk.gate.lock().unwrap().recv();
            let _ = self.desk.told.send(Told::Ended(end));
        }
    }
}

impl HandlerFactory for Desk {
    type Handler = Clerk;

    fn open(&self, _session: &SessionRef<'_>) -> Clerk {
        Clerk {
            desk: self.clone(),
            restored: false,
            crammed: false,
        }
    }

    fn restore(&self, session: &SessionRef<'_>, _state: Bytes) -> Result<Clerk, RestoreError> {
        let restored = true;
        Ok(Clerk {
            restored,
            ..self.open(session)
        })
    }
}

/// A server of one worker, with clients that have piled up what they sent and are away now.
struct Office {
    server: Arc<Server>,
    crammed: Vec<Client>,
    told: mpsc::UnboundedReceiver<Told>,
    /// Each word lets one through.
    gate: std::sync::mpsc::Sender<()>,
}

impl Office {
    async fn open(durability: Durability, crammed: usize, more: impl FnOnce(Builder) -> Builder) -> Office {
        let limits = Limits {
            unacked_messages: 8,
            ..Limits::default()
        };
        let config = ServerConfig::builder(key(), cluster())
            .authorise_all(true)
            .timing(quick())
            .durability(durability)
            .limits(limits)
            .build()
            .unwrap();
        let (teller, told) = mpsc::unbounded_channel();
        let (gate, shut) = std::sync::mpsc::channel();
        let desk = Desk {
            told: teller,
            gate: Arc::new(Mutex::new(shut)),
        };
        let builder = more(Server::builder(config).workers(1));
        let mut office = Office {
            server: Arc::new(builder.serve_sessions(LOCAL, desk).await.unwrap()),
            crammed: Vec::new(),
            told,
            gate,
        };
        office.cram(crammed).await;
        office
    }

    async fn cram(&mut self, count: usize) {
        let proxy = proxy(self.server.local_addr()).await;
        for _ in 0..count {
            let client = Client::connect(proxy.local_addr(), eager()).await.unwrap();
            soon(client.send("cram")).await.unwrap();
            for _ in 0..PILE {
                soon(client.send("message")).await.unwrap();
            }
            self.crammed.push(client);
        }
        // Nothing tells that they have arrived. If not all have, the test is easier to pass.
        tokio::time::sleep(2 * STEP).await;
        proxy.refuse(true);
        proxy.cut_all(true);
        soon(async {
            while self.server.stats().await[0].detached < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// All of them end, and the first is at the gate.
    async fn end_all(&mut self) {
        for client in &self.crammed {
            let (server, id) = (self.server.clone(), client.id().unwrap());
            tokio::spawn(async move { server.kick(id, 3).await });
        }
        assert_eq!(soon(self.told.recv()).await, Some(Told::AtTheGate));
        tokio::time::sleep(STEP).await;
    }
}

#[tokio::test]
async fn sockets_are_read_between_two_rounds_of_a_long_line() {
    let mut office = Office::open(Durability::Memory, CRAMMED, |builder| builder).await;
    office.end_all().await;
    // It needs two reads and two writes, and no handler.
    let mut newcomer = tokio::spawn(Client::connect(office.server.local_addr(), eager()));
    let mut rounds = 0;
    while rounds < CRAMMED {
        match tokio::time::timeout(3 * STEP, &mut newcomer).await {
            Ok(connected) => {
                connected.unwrap().unwrap();
                break;
            }
            Err(_) => office.gate.send(()).unwrap(),
        }
        rounds += 1;
    }
    assert!(rounds < CRAMMED, "it had to wait for all of them");
}

/// With time enough each has its last turn; without, it is told at least why it ends.
#[tokio::test]
async fn a_shutdown_forgets_no_handler_that_stands_in_line() {
    for grace in [Duration::from_secs(20), Duration::ZERO] {
        let Office {
            server,
            crammed: _crammed,
            mut told,
            gate,
        } = Office::open(Durability::Memory, 3, |builder| builder).await;
        drop(gate);
        let server = Arc::into_inner(server).unwrap();
        // They are away, so they end at once.
        soon(server.shutdown(7, grace)).await;
        let told = std::iter::from_fn(|| told.try_recv().ok());
        let ends: Vec<_> = told.filter(|told| *told != Told::AtTheGate).collect();
        let end = || Told::Ended(End::Closed(CloseReason::Local { code: 7 }));
        assert_eq!(ends, [end(), end(), end()], "{grace:?}");
    }
}

/// Parks no session before it is allowed to.
#[derive(Clone, Default)]
struct Hesitant {
    inner: MemoryStore,
    asked: Arc<Notify>,
    allowed: Arc<Notify>,
}

impl Store for Hesitant {
    fn submit(&self, batch: Vec<StoreOp>) -> BoxFuture<Vec<StoreReply>> {
        let parks = |op: &StoreOp| matches!(op, StoreOp::Put { record, .. } if matches!(record, Record::Parked { .. }));
        let parks = batch.iter().any(parks);
        let store = self.clone();
        Box::pin(async move {
            if parks {
                store.asked.notify_one();
                store.allowed.notified().await;
            }
            store.inner.submit(batch).await
        })
    }

    fn receive(&self, owner: Owner) -> BoxFuture<Option<Vec<Bytes>>> {
        self.inner.receive(owner)
    }

    fn check(&self) -> BoxFuture<Result<(), StoreError>> {
        self.inner.check()
    }
}

/// It leaves, and is back in the same worker before the former handler has had its last turn.
#[tokio::test]
async fn a_handler_that_was_swapped_out_gets_nothing_of_its_session_that_came_back() {
    let store = Hesitant::default();
    let lent: Arc<dyn Store> = Arc::new(store.clone());
    let mut office = Office::open(Durability::SwapOut, CRAMMED, |builder| builder.store(lent)).await;
    let client = Client::connect(office.server.local_addr(), eager()).await.unwrap();
    for word in ["leave", "after"] {
        client.send(word).await.unwrap();
    }
    soon(store.asked.notified()).await;
    office.end_all().await;
    office.gate.send(()).unwrap();
    while soon(office.told.recv()).await != Some(Told::AtTheGate) {}
    // Now all of them stand in line, and it comes behind them.
    store.allowed.notify_one();
    soon(async {
        loop {
            match tokio::time::timeout(STEP, office.told.recv()).await {
                Ok(Some(Told::Took { restored, message })) => {
                    return assert_eq!((restored, &message[..]), (true, &b"after"[..]));
                }
                Ok(told) => assert!(told.is_some()),
                Err(_) => _ = office.gate.send(()),
            }
        }
    })
    .await;
}
