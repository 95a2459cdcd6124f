//! A game whose state remembers everything, and a player who knows what it must be.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use unbroken_tokio::{
    Bytes, Client, End, HandlerFactory, Message, RestoreError, SendError, SessionHandler, SessionId, SessionRef,
};

use crate::eager;

/// What the state was told: messages of the client and mail, each a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Game {
    said: u32,
    mailed: u32,
    /// Of all that was told, in order.
    digest: u64,
}

const SAID: u8 = 0;
const MAILED: u8 = 1;

impl Game {
    /// The next state: a digest that no other history has, as far as a test can tell.
    fn take(&mut self, kind: u8, number: u32) {
        let count = if kind == SAID { &mut self.said } else { &mut self.mailed };
        *count += 1;
        let word = u64::from(kind) << 32 | u64::from(number);
        self.digest = (self.digest.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn to_bytes(self) -> Bytes {
        let mut bytes = Vec::new();
        bytes.extend(self.said.to_be_bytes());
        bytes.extend(self.mailed.to_be_bytes());
        bytes.extend(self.digest.to_be_bytes());
        bytes.into()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Game> {
        Some(Game {
            said: u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?),
            mailed: u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?),
            digest: u64::from_be_bytes(bytes.get(8..)?.try_into().ok()?),
        })
    }
}

/// The game's server: one state per session, and a note of how each ended here.
#[derive(Clone, Default)]
pub(super) struct Games {
    ends: Arc<Mutex<Vec<(SessionId, End)>>>,
    restored: Arc<Mutex<Vec<SessionId>>>,
    opened: Arc<AtomicUsize>,
}

impl Games {
    /// How sessions ended here so far.
    pub(super) fn ends(&self) -> Vec<(SessionId, End)> {
        self.ends.lock().unwrap().clone()
    }

    /// How many ended here in this way.
    pub(super) fn ended(&self, how: End) -> usize {
        self.ends().iter().filter(|(_, end)| *end == how).count()
    }

    /// Handlers that were made here. A session may leave before it has one, and then nobody is told of an end.
    pub(super) fn opened(&self) -> usize {
        self.opened.load(Relaxed)
    }

    /// Sessions that came from elsewhere.
    pub(super) fn restored(&self) -> Vec<SessionId> {
        self.restored.lock().unwrap().clone()
    }
}

pub(super) struct Seated {
    id: SessionId,
    state: Game,
    ends: Arc<Mutex<Vec<(SessionId, End)>>>,
}

impl Seated {
    fn tell(&mut self, session: &SessionRef<'_>, kind: u8, message: &[u8]) {
        let number = u32::from_be_bytes(message.try_into().expect("four bytes"));
        self.state.take(kind, number);
        let answer = [&[kind], message, &self.state.digest.to_be_bytes()].concat();
        match session.send(answer) {
            Ok(_) | Err(SendError::Closed(_)) => {}
            Err(error) => panic!("there was room for an answer: {error}"),
        }
    }
}

impl SessionHandler for Seated {
    fn on_message(&mut self, session: &SessionRef<'_>, message: Message) {
        self.tell(session, SAID, &message.payload);
    }

    fn on_mail(&mut self, session: &SessionRef<'_>, message: Bytes) {
        self.tell(session, MAILED, &message);
    }

    fn swap_out(&self) -> Bytes {
        self.state.to_bytes()
    }

    fn on_end(self, end: End) {
        self.ends.lock().unwrap().push((self.id, end));
    }
}

impl HandlerFactory for Games {
    type Handler = Seated;

    fn open(&self, session: &SessionRef<'_>) -> Seated {
        self.opened.fetch_add(1, Relaxed);
        Seated {
            id: session.id(),
            state: Game::default(),
            ends: self.ends.clone(),
        }
    }

    fn restore(&self, session: &SessionRef<'_>, state: Bytes) -> Result<Seated, RestoreError> {
        self.restored.lock().unwrap().push(session.id());
        Ok(Seated {
            state: Game::from_bytes(&state).ok_or("not a game")?,
            ..self.open(session)
        })
    }
}

/// A client that plays, and checks every answer.
pub(super) struct Player {
    pub(super) client: Client,
    expected: Game,
}

impl Player {
    pub(super) async fn join(address: std::net::SocketAddr) -> Player {
        let client = Client::connect(address, eager()).await.expect("let in");
        Player {
            client,
            expected: Game::default(),
        }
    }

    pub(super) fn id(&self) -> SessionId {
        self.client.id().expect("it stands")
    }

    /// Says the next `count` numbers, one each `pace`, while it checks the answers; returns when all are there.
    pub(super) async fn play(&mut self, count: u32, pace: Duration) {
        let first = self.expected.said;
        let client = &self.client;
        let say = async {
            for number in first..first + count {
                client.send(number.to_be_bytes().to_vec()).await.expect("it goes on");
                tokio::time::sleep(pace).await;
            }
        };
        let hear = async {
            while self.expected.said < first + count {
                hear(client, &mut self.expected).await;
            }
        };
        tokio::join!(say, hear);
    }

    /// Waits until so much mail was taken in all.
    pub(super) async fn hear_mail(&mut self, upto: u32) {
        while self.expected.mailed < upto {
            hear(&self.client, &mut self.expected).await;
        }
    }

    /// Mail taken so far.
    pub(super) fn mailed(&self) -> u32 {
        self.expected.mailed
    }
}

/// One answer: it must be the next of its kind, and come from the state that has seen just what the answers before said.
async fn hear(client: &Client, expected: &mut Game) {
    let answer = client.recv().await.expect("it goes on").payload;
    let (kind, number) = (
        answer[0],
        u32::from_be_bytes(answer[1..5].try_into().expect("a number")),
    );
    let next = if kind == SAID { expected.said } else { expected.mailed };
    assert_eq!(number, next, "lost, doubled or reordered");
    expected.take(kind, number);
    let digest = u64::from_be_bytes(answer[5..].try_into().expect("a digest"));
    assert_eq!(digest, expected.digest, "the state is not the one that never moved");
}
