//! Back-pressure: a handler has room for its answers, and nothing piles up behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use unbroken_tokio::{
    Bytes, Client, Durability, HandlerFactory, MemoryStore, Message, RestoreError, SendError, Server, ServerConfig,
    SessionHandler, SessionRef, Store,
};

use crate::{LOCAL, cluster, eager, key, soon};

/// Answers each message by so many of 4 KiB; what does not go waits in its state.
#[derive(Clone)]
struct Talkative {
    answers: usize,
    taken: Arc<AtomicUsize>,
    blocked: Arc<AtomicUsize>,
}

struct Talker {
    factory: Talkative,
    waiting: usize,
}

impl Talker {
    fn talk(&mut self, session: &SessionRef<'_>) {
        while self.waiting > 0 {
            match session.send(vec![0; 4096]) {
                Ok(_) => self.waiting -= 1,
                Err(SendError::WouldBlock(_)) => {
                    self.factory.blocked.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

impl SessionHandler for Talker {
    fn on_message(&mut self, session: &SessionRef<'_>, _message: Message) {
        assert_eq!(self.waiting, 0, "there is room for the next when the last is through");
        self.factory.taken.fetch_add(1, Ordering::Relaxed);
        self.waiting += self.factory.answers;
        self.talk(session);
    }

    fn on_writable(&mut self, session: &SessionRef<'_>) {
        self.talk(session);
    }

    fn swap_out(&self) -> Bytes {
        Bytes::copy_from_slice(&self.waiting.to_be_bytes())
    }
}

impl HandlerFactory for Talkative {
    type Handler = Talker;

    fn open(&self, _session: &SessionRef<'_>) -> Talker {
        Talker {
            factory: self.clone(),
            waiting: 0,
        }
    }

    fn restore(&self, session: &SessionRef<'_>, state: Bytes) -> Result<Talker, RestoreError> {
        let waiting = usize::from_be_bytes(state[..].try_into()?);
        Ok(Talker {
            waiting,
            ..self.open(session)
        })
    }
}

const MESSAGES: usize = 2000;

/// The client does not fetch: the handler is given no more than it can answer, though two thousand messages were sent.
#[tokio::test]
async fn a_client_that_does_not_fetch_stops_its_handler_and_loses_nothing() {
    for durability in [Durability::SwapOut, Durability::Durable] {
        // Ten fit into the quarter of the un-ACKed limit that is free; five hundred do not fit at all.
        let (taken, blocked) = flood(durability, 10, MESSAGES).await;
        assert!(
            taken < MESSAGES / 4,
            "{taken} of {MESSAGES} messages were taken with nowhere to go"
        );
        assert_eq!(blocked, 0, "a handler that answers within its room never waits");
        let (_, blocked) = flood(durability, 500, 4).await;
        assert!(blocked > 0, "vacuous: there was room for all");
    }
}

/// Returns how many messages were taken while the client fetched nothing, and how often the handler had no room.
async fn flood(durability: Durability, answers: usize, messages: usize) -> (usize, usize) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let config = ServerConfig::builder(key(), cluster())
        .authorise_all(true)
        .durability(durability);
    let factory = Talkative {
        answers,
        taken: Arc::default(),
        blocked: Arc::default(),
    };
    let builder = Server::builder(config.build().unwrap()).workers(1).store(store);
    let server = builder.serve_sessions(LOCAL, factory.clone()).await.unwrap();
    let client = Client::connect(server.local_addr(), eager()).await.unwrap();
    for _ in 0..messages {
        soon(client.send("talk")).await.unwrap();
    }
    // Until it stands still.
    let mut taken = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = factory.taken.load(Ordering::Relaxed);
        if now > 0 && now == taken {
            break;
        }
        taken = now;
    }
    for _ in 0..messages * answers {
        soon(client.recv()).await.unwrap();
    }
    assert_eq!(factory.taken.load(Ordering::Relaxed), messages);
    assert_eq!(client.try_recv(), None);
    (taken, factory.blocked.load(Ordering::Relaxed))
}
