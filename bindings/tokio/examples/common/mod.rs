//! What the measurements share: a server of echo sessions.

use std::fs;
use std::sync::Arc;

use unbroken_tokio::server::Builder;
use unbroken_tokio::{
    Bytes, ClientConfig, ClusterKey, Durability, HandlerFactory, Message, RestoreError, Server, ServerConfig,
    ServerKey, SessionHandler, SessionRef,
};

pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Answers each message by itself, and counts.
pub struct Echo(u64);

impl SessionHandler for Echo {
    fn on_message(&mut self, session: &SessionRef<'_>, message: Message) {
        self.0 += 1;
        let _ = session.send(message.payload);
    }

    /// The count, and as much beside it as the state of a small game.
    fn swap_out(&self) -> Bytes {
        let mut state = vec![0; 256];
        state[..8].copy_from_slice(&self.0.to_be_bytes());
        state.into()
    }
}

pub struct Echoes;

impl HandlerFactory for Echoes {
    type Handler = Echo;

    fn open(&self, _session: &SessionRef<'_>) -> Echo {
        Echo(0)
    }

    fn restore(&self, _session: &SessionRef<'_>, state: Bytes) -> Result<Echo, RestoreError> {
        let count = state.get(..8).ok_or("too short")?;
        Ok(Echo(u64::from_be_bytes(count.try_into()?)))
    }
}

fn key() -> Outcome<ServerKey> {
    Ok(ServerKey::from_bytes([7; 32])?)
}

/// A server on two workers.
pub fn server(durability: Durability) -> Outcome<Builder> {
    let config = ServerConfig::builder(key()?, ClusterKey::from_bytes([9; 32])?)
        .authorise_all(true)
        .durability(durability)
        .build()?;
    Ok(Server::builder(config).workers(2))
}

pub fn client() -> Outcome<Arc<ClientConfig>> {
    Ok(Arc::new(ClientConfig::builder(key()?.public()).build()?))
}

/// The value of `--name VALUE`, or `default`.
pub fn option(name: &str, default: usize) -> Outcome<usize> {
    let mut arguments = std::env::args().skip_while(|argument| *argument != name);
    Ok(match arguments.nth(1) {
        Some(value) => value.parse()?,
        None => default,
    })
}

/// CPU time of this process's threads whose names begin so, in seconds. Linux only; elsewhere 0.
#[allow(dead_code, reason = "one of the two measurements needs it")]
pub fn cpu(names: &[&str]) -> f64 {
    const TICKS: f64 = 100.0;
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return 0.0;
    };
    let of = |thread: fs::DirEntry| -> Option<f64> {
        let stat = fs::read_to_string(thread.path().join("stat")).ok()?;
        let (head, tail) = stat.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
        names
            .iter()
            .any(|wanted| name.starts_with(wanted))
            .then_some(ticks / TICKS)
    };
    threads.flatten().filter_map(of).sum()
}
