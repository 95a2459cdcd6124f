//! What was seen in a trial, as it is judged, printed and written as JSON.

use serde::Serialize;

use crate::honest;
use crate::prey::Fate;
use crate::server;
use crate::watch::Course;

/// All of it.
#[derive(Debug, Default, Serialize)]
pub struct Findings {
    pub clients: u32,
    /// Whether the system let the server and the honest clients go before the rest of the machine.
    pub served_first: bool,
    /// How long the attacks lasted.
    pub seconds: f64,
    pub attacks: Vec<Done>,
    pub honest: honest::Report,
    /// Those whose flights were replayed.
    pub recorded: Recorded,
    pub before: Moment,
    pub after: Moment,
    /// How long it took the server to be as before.
    pub settled_seconds: f64,
    pub calm: Course,
    pub attack: Course,
    /// What the server counted while it was attacked.
    pub server: server::Report,
    pub hostile_servers: Vec<Met>,
    pub prey: Course,
    pub prey_panics: u64,
}

/// An attack.
#[derive(Debug, Serialize)]
pub struct Done {
    pub name: &'static str,
    pub unit: &'static str,
    pub kinds: Vec<(&'static str, u64)>,
    pub total: u64,
    pub per_second: f64,
    /// It must have done so much.
    pub floor: u64,
    pub failed: u64,
    /// Links that the server should have ended and did not.
    pub tolerated: u64,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Recorded {
    pub clients: u64,
    pub sent: u64,
    pub in_order: u64,
    pub wrong: u64,
    pub connections: u64,
    pub ended: u64,
}

/// The server at a moment without attack.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Moment {
    pub rss_mib: f64,
    pub descriptors: u64,
    pub sessions: u64,
    pub links: u64,
}

impl Moment {
    /// As many sessions, links and descriptors, but for those that honest clients have for a moment when they come, go or are cut.
    pub fn is_like(&self, before: &Moment) -> bool {
        let few = |now: u64, then: u64| now <= then + 12;
        few(self.sessions, before.sessions)
            && few(self.links, before.links)
            && few(self.descriptors, before.descriptors)
    }
}

/// A kind of hostile server, and what became of its clients.
#[derive(Debug, Serialize)]
pub struct Met {
    pub name: &'static str,
    pub promise: crate::servers::Promise,
    pub dials: u64,
    /// So many at most, by the library's back-off.
    pub most_dials: u64,
    pub fate: Fate,
}
