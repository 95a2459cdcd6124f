//! One session for each user, on whatever server.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use unbroken_tokio::{
    Bytes, Client, CloseReason, Durability, End, HandlerFactory, MemoryStore, Message, RestoreError, SessionHandler,
    SessionRef, Store, USER_MOVED,
};

use super::balancer::Balancer;
use super::member;
use crate::{LOCAL, eager, soon};

/// The first message says who it is; the answer is the user as the session knows him.
#[derive(Clone, Default)]
struct Lobby(Arc<Mutex<Vec<End>>>);

struct Guest(Lobby);

impl SessionHandler for Guest {
    fn on_message(&mut self, session: &SessionRef<'_>, message: Message) {
        if !message.payload.is_empty() {
            session.bind_user(&message.payload).unwrap();
        }
        session.send(session.user().unwrap_or_default()).unwrap();
    }

    fn swap_out(&self) -> Bytes {
        Bytes::new()
    }

    fn on_end(self, end: End) {
        self.0.0.lock().unwrap().push(end);
    }
}

impl HandlerFactory for Lobby {
    type Handler = Guest;

    fn open(&self, _session: &SessionRef<'_>) -> Guest {
        Guest(self.clone())
    }

    fn restore(&self, session: &SessionRef<'_>, _state: Bytes) -> Result<Guest, RestoreError> {
        Ok(self.open(session))
    }
}

async fn come_as(address: std::net::SocketAddr, user: &'static str) -> Client {
    let client = Client::connect(address, eager()).await.unwrap();
    assert_eq!(ask(&client, user).await, user);
    client
}

async fn ask(client: &Client, what: &'static str) -> Bytes {
    client.send(what).await.unwrap();
    soon(client.recv()).await.unwrap().payload
}

#[tokio::test]
async fn a_user_who_comes_with_another_session_leaves_the_former_wherever_it_is() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (lobby, other) = (Lobby::default(), Lobby::default());
    let a = member(Durability::SwapOut, &store)
        .serve_sessions(LOCAL, lobby.clone())
        .await
        .unwrap();
    let b = member(Durability::SwapOut, &store)
        .serve_sessions(LOCAL, other.clone())
        .await
        .unwrap();
    let balancer = Balancer::start(&[a.local_addr()]).await;
    let moved = CloseReason::Kicked { code: USER_MOVED };

    // Four on one server, so that some are on other workers; then one on the other server.
    let bystander = come_as(balancer.address, "bert").await;
    let mut former = come_as(balancer.address, "anna").await;
    for _ in 0..3 {
        let next = come_as(balancer.address, "anna").await;
        assert_eq!(soon(former.closed()).await, moved);
        former = next;
    }
    balancer.send_to(&[b.local_addr()]);
    let next = come_as(balancer.address, "anna").await;
    assert_eq!(soon(former.closed()).await, moved);

    // A session takes its user with it, and stays his.
    balancer.cut();
    assert_eq!(ask(&bystander, "").await, "bert");
    assert_eq!(ask(&next, "").await, "anna");

    // One that is parked.
    balancer.send_to(&[]);
    soon(b.drain(Duration::ZERO)).await.unwrap();
    balancer.send_to(&[a.local_addr()]);
    let direct = come_as(a.local_addr(), "carl").await;
    assert_eq!(ask(&direct, "anna").await, "anna");
    let reason = soon(next.closed()).await;
    assert_eq!(reason, moved);
    drop(b);
    while lobby
        .0
        .lock()
        .unwrap()
        .iter()
        .filter(|end| **end == End::Kicked { code: USER_MOVED })
        .count()
        < 4
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(ask(&direct, "").await, "anna");
}

/// Who bans a player does not know where he is.
#[tokio::test]
async fn a_player_is_kicked_wherever_his_session_is() {
    for durability in [Durability::SwapOut, Durability::Durable] {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let lobby = Lobby::default();
        let a = member(durability, &store)
            .serve_sessions(LOCAL, lobby.clone())
            .await
            .unwrap();
        let b = member(durability, &store)
            .serve_sessions(LOCAL, Lobby::default())
            .await
            .unwrap();
        let kicked = CloseReason::Kicked { code: 9 };

        // On another server.
        let client = come_as(a.local_addr(), "anna").await;
        assert!(!b.kick(client.id().unwrap(), 9).await, "it is not there");
        assert_eq!(soon(client.closed()).await, kicked, "{durability:?}");
        soon(async {
            while lobby.0.lock().unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        assert_eq!(lobby.0.lock().unwrap()[..], [End::Kicked { code: 9 }]);

        // Swapped out, while nobody serves it.
        let balancer = Balancer::start(&[a.local_addr()]).await;
        let client = come_as(balancer.address, "bert").await;
        balancer.send_to(&[]);
        balancer.cut();
        soon(a.drain(Duration::ZERO)).await.unwrap();
        assert!(!b.kick(client.id().unwrap(), 9).await);
        tokio::time::sleep(Duration::from_millis(300)).await;
        balancer.send_to(&[b.local_addr()]);
        assert_eq!(soon(client.closed()).await, kicked, "{durability:?}");
    }
}
