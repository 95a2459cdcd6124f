//! The server under attack: `unbroken_tokio::Server` with all defaults, and an application that does as little as an application can.
//!
//! It echoes, and looks whether what an honest client sends comes once and in order. To whoever asks for data by its credential it sends without end.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use metrics_exporter_prometheus::PrometheusBuilder;
use serde::{Deserialize, Serialize};
use unbroken_tokio::metrics::name;
use unbroken_tokio::{Bytes, ClusterKey, Server, ServerConfig, ServerKey, ServerSession, Verdict};

use crate::process::{self, Fault};
use crate::sequence::Seen;

/// The credential of a hostile client that asks for data.
pub const THIRSTY: &[u8] = b"thirsty";
/// The credential of all other hostile clients.
pub const HOSTILE: &[u8] = b"hostile";
/// What an honest client's credential begins with; its number is behind it.
pub const HONEST: &[u8] = b"honest";

/// The key that clients pin, and of which hostile servers are no owners, but for those that a service would have itself.
pub fn key() -> ServerKey {
    ServerKey::from_bytes([0x5e; 32]).expect("not zero")
}

/// What the server says when it is ready.
#[derive(Serialize, Deserialize)]
pub struct Ready {
    pub address: SocketAddr,
}

/// What it says when it is asked.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    pub sessions: u64,
    pub detached: u64,
    pub links: u64,
    pub links_accepted: u64,
    pub links_rejected: u64,
    pub turned_away: u64,
    pub busy: u64,
    pub hellos: u64,
    pub resumes: u64,
    pub unknown: u64,
    pub forged: u64,
    pub stale: u64,
    pub queries: u64,
    pub bad_records: u64,
    pub expired: u64,
    pub sent_messages: u64,
    /// What came of the honest clients.
    pub honest: Seen,
    pub panics: u64,
}

pub async fn run() -> Result<ExitCode, Fault> {
    process::count_panics();
    let metrics = PrometheusBuilder::new().install_recorder()?;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let config = ServerConfig::builder(key(), ClusterKey::from_bytes([0xc1; 32])?).build()?;
    let all = seen.clone();
    let server = Server::builder(config)
        .authorise(async |_: Bytes| Verdict::Accept { message: Bytes::new() })
        .serve((Ipv4Addr::LOCALHOST, 0), move |session| serve(session, all.clone()))
        .await?;
    process::say(&Ready {
        address: server.local_addr(),
    })?;
    let mut questions = process::questions();
    while questions.recv().await.is_some() {
        let mut report = Report {
            panics: process::panics(),
            ..Report::default()
        };
        for worker in server.stats().await {
            report.add(&worker);
        }
        report.honest = *seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        report.turned_away = counter(&metrics.render(), name::TURNED_AWAY);
        process::say(&report)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(session: ServerSession, all: Arc<Mutex<Seen>>) {
    let credential = session.credential();
    if &credential[..] == THIRSTY {
        while session.send_slice(&[0x55; 16_000]).await.is_ok() {}
        return;
    }
    let number = credential
        .strip_prefix(HONEST)
        .and_then(|number| number.try_into().ok());
    let number = number.map(u32::from_be_bytes);
    let mut seen = Seen::default();
    while let Some(message) = session.recv().await {
        if let Some(number) = number {
            let before = seen;
            seen.arrived(number, &message.payload);
            let mut all = all.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            all.good += seen.good - before.good;
            all.doubled += seen.doubled - before.doubled;
            all.ahead += seen.ahead - before.ahead;
            all.changed += seen.changed - before.changed;
        }
        if session.send(message.payload).await.is_err() {
            return;
        }
    }
}

impl Report {
    fn add(&mut self, worker: &unbroken_tokio::server::WorkerStats) {
        let counters = &worker.counters;
        for (sum, part) in [
            (&mut self.sessions, worker.sessions as u64),
            (&mut self.detached, worker.detached as u64),
            (&mut self.links, worker.links as u64),
            (&mut self.links_accepted, counters.links_accepted),
            (&mut self.links_rejected, counters.links_rejected),
            (&mut self.busy, counters.refused_busy),
            (&mut self.hellos, counters.hellos),
            (&mut self.resumes, counters.resumes),
            (&mut self.unknown, counters.resumes_unknown),
            (&mut self.forged, counters.resumes_forged),
            (&mut self.stale, counters.resumes_stale),
            (&mut self.queries, counters.queries),
            (&mut self.bad_records, counters.bad_records),
            (&mut self.expired, counters.sessions_expired),
            (&mut self.sent_messages, counters.sent_messages),
        ] {
            *sum += part;
        }
    }
}

/// A counter in Prometheus' text; 0 before it is first counted.
fn counter(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}
