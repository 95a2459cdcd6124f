//! One server process: what an application's own `main` looks like.

use std::error::Error;
use std::time::Duration;

use unbroken_tokio::server::probe;
use unbroken_tokio::{
    Bytes, ClusterKey, End, HandlerFactory, Message, RestoreError, Server, ServerConfig, ServerKey, SessionHandler,
    SessionRef, Verdict, signal,
};

use crate::game::{Move, Table};
use crate::options::Serve;
use crate::storing;

/// What a client says to see the whole table.
pub const SHOW: &[u8] = b"show";

/// Serves until SIGTERM, gives the sessions away, and returns when the store has them all.
pub async fn serve(options: Serve) -> Result<(), Box<dyn Error>> {
    let (key, cluster) = keys(options.seed)?;
    let store = storing::connect(&options.store).await?;
    let config = ServerConfig::builder(key, cluster)
        .durability(options.durability.into())
        .build()?;
    let server = Server::builder(config)
        .workers(2)
        .store(store)
        .authorise(async |player| match player_of(&player) {
            Some(_) => Verdict::Accept { message: Bytes::new() },
            None => Verdict::Refuse {
                code: 1,
                message: "a player's number has four bytes".into(),
            },
        })
        .serve_sessions(options.listen, Games)
        .await?;
    let _probe = probe::listen(options.probe, server.readiness()).await?;
    eprintln!("serving on {}", options.listen);
    let drained = signal::drained_on_sigterm(server, Duration::from_millis(options.window)).await?;
    eprintln!("left: {drained:?}");
    Ok(())
}

/// The service's keys. In earnest they come from a secret store.
pub fn keys(seed: u64) -> Result<(ServerKey, ClusterKey), Box<dyn Error>> {
    let secret = |purpose: u8| {
        let mut bytes = [purpose; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        bytes
    };
    Ok((ServerKey::from_bytes(secret(1))?, ClusterKey::from_bytes(secret(2))?))
}

struct Games;

/// One player's table.
struct Game(Table);

impl HandlerFactory for Games {
    type Handler = Game;

    fn open(&self, session: &SessionRef<'_>) -> Game {
        Game(Table::new(player_of(&session.credential()).unwrap_or_default()))
    }

    fn restore(&self, _session: &SessionRef<'_>, state: Bytes) -> Result<Game, RestoreError> {
        Ok(Game(Table::from_bytes(&state)?))
    }
}

impl SessionHandler for Game {
    fn on_message(&mut self, session: &SessionRef<'_>, message: Message) {
        let Game(table) = self;
        let answer = match Move::from_bytes(&message.payload) {
            Some(played) => Bytes::copy_from_slice(&table.play(played)),
            None if message.payload == SHOW => table.to_bytes().into(),
            None => return session.kick(1),
        };
        // There is room for it: a message is handed over only then.
        let _ = session.send(answer);
    }

    fn swap_out(&self) -> Bytes {
        self.0.to_bytes().into()
    }

    fn on_end(self, end: End) {
        if !matches!(end, End::SwappedOut | End::Closed(_)) {
            eprintln!("a session ended: {end:?}");
        }
    }
}

fn player_of(credential: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(credential.try_into().ok()?))
}
