//! Honest clients that dial hostile servers, a few for each kind, over and over: what the library tells of it is counted.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::sleep;
use unbroken_tokio::{Backoff, Client, ClientConfig, ConnectError, Event, FailReason};

use crate::process::{self, Fault};
use crate::server::{HONEST, key};
use crate::servers::{KINDS, Kind, Promise};

/// Clients of each kind.
pub const CLIENTS: usize = 4;
/// They give up sooner than by default, so that a short trial sees it; all else is as by default.
pub const GIVE_UP: Duration = Duration::from_secs(10);

/// What the clients of one kind were told.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Fate {
    /// Sessions that stood.
    pub stood: u64,
    /// `ConnectError::GaveUp`, before a session stood.
    pub connects_given_up: u64,
    /// `HandoverFailed(GaveUp)`, after it did.
    pub handovers_given_up: u64,
    pub handovers: u64,
    /// Any other end, which nobody without the server's key can bring about.
    pub ended: u64,
}

/// What all of them say.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// By kind.
    pub fates: Vec<Fate>,
    pub panics: u64,
}

type Fates = Arc<Mutex<Vec<Fate>>>;

pub async fn run(addresses: &[SocketAddr]) -> Result<ExitCode, Fault> {
    process::count_panics();
    let fates: Fates = Arc::new(Mutex::new(vec![Fate::default(); KINDS.len()]));
    let backoff = Backoff {
        give_up_after: GIVE_UP,
        ..Backoff::default()
    };
    let config = ClientConfig::builder(key().public())
        .credential(HONEST)
        .backoff(backoff)
        .build()?;
    let config = Arc::new(config);
    let mut lives = JoinSet::new();
    for (index, (kind, address)) in KINDS.iter().zip(addresses).enumerate() {
        for _ in 0..CLIENTS {
            lives.spawn(lives_of(kind, index, *address, config.clone(), fates.clone()));
        }
    }
    process::say(&CLIENTS)?;
    let mut questions = process::questions();
    while questions.recv().await.is_some() {
        let report = Report {
            fates: lock(&fates).clone(),
            panics: process::panics(),
        };
        process::say(&report)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One client after the other.
async fn lives_of(kind: &Kind, index: usize, address: SocketAddr, config: Arc<ClientConfig>, fates: Fates) {
    let note = |what: fn(&mut Fate)| what(&mut lock(&fates)[index]);
    loop {
        match Client::connect(address, config.clone()).await {
            Ok(client) => {
                note(|fate| fate.stood += 1);
                live(&client, &note).await;
                client.disconnect(0).await;
            }
            Err(ConnectError::GaveUp) => note(|fate| fate.connects_given_up += 1),
            Err(_) => note(|fate| fate.ended += 1),
        }
        // Whoever is let in and put out again at once is not to be dialled in a loop; the library's own back-off is what is looked at.
        if kind.promise != Promise::ConnectGivesUp {
            sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Until the session gives up or ends.
async fn live(client: &Client, note: &impl Fn(fn(&mut Fate))) {
    let mut events = client.events();
    let talk = async {
        loop {
            sleep(Duration::from_millis(50)).await;
            // What nobody acknowledges fills its room, and no more than that.
            let _ = client.try_send(vec![7; 1000]);
            while client.try_recv().is_some() {}
        }
    };
    let watch = async {
        while let Some(event) = events.next().await {
            match event {
                Event::HandoverEnd(_) => note(|fate| fate.handovers += 1),
                Event::HandoverFailed {
                    reason: FailReason::GaveUp,
                    ..
                } => {
                    return note(|fate| fate.handovers_given_up += 1);
                }
                Event::HandoverFailed { .. } | Event::Closed(_) => return note(|fate| fate.ended += 1),
                _ => {}
            }
        }
    };
    tokio::select! {
        () = talk => {}
        () = watch => {}
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
