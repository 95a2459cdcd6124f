//! The counters for operators, through the facade of the `metrics` crate: any exporter shows them.
//!
//! | name | kind, labels | what |
//! |---|---|---|
//! | `unbroken_server_sessions` | gauge | sessions, attached and detached |
//! | `unbroken_server_detached` | gauge | of these, without a link at the moment |
//! | `unbroken_server_links` | gauge | connections |
//! | `unbroken_server_links_accepted_total` | counter | connections that reached a worker |
//! | `unbroken_server_links_turned_away_total` | counter | connections turned away before: too many at once |
//! | `unbroken_server_sessions_opened_total` | counter | sessions begun |
//! | `unbroken_server_sessions_closed_total` | counter, `reason` | sessions ended, by name of the `CloseReason` |
//! | `unbroken_server_handovers_total` | counter | interruptions survived |
//! | `unbroken_server_handovers_failed_total` | counter, `reason` | interruptions not survived, by name of the `FailReason` |
//! | `unbroken_server_handover_downtime_seconds` | histogram | how long each survived interruption lasted |
//! | `unbroken_server_replayed_messages_total` | counter | messages sent again after a handover |
//! | `unbroken_server_resumes_accepted_total` | counter | resumes let in |
//! | `unbroken_server_resumes_refused_total` | counter, `reason` = `unknown`, `forged`, `stale`, `rolled_back`, `veto` | resumes turned down |
//! | `unbroken_server_links_rejected_total` | counter | connections that ended without an accepted first flight |
//! | `unbroken_server_busy_total` | counter | first flights refused because too much was pending |
//! | `unbroken_server_bad_records_total` | counter | links ended because of what they carried |
//! | `unbroken_server_messages_total` | counter, `direction` = `in`, `out` | reliable messages fetched and sent by handlers |
//! | `unbroken_server_bytes_total` | counter, `direction` | bytes on the wire, TCP payload |
//! | `unbroken_server_takeovers_total` | counter | sessions taken over from another server, or from one that was |
//! | `unbroken_server_swapped_out_total` | counter | sessions that left for the store or another server, and live on |
//! | `unbroken_server_fenced_total` | counter | of these, those that another server had taken already |
//! | `unbroken_server_snapshots_total` | counter | states of handlers taken: for a swap-out, or with `Durable` a commit |
//! | `unbroken_server_store_requests_total` | counter | what the store was asked |
//! | `unbroken_server_store_failures_total` | counter | of these, what it did not do, or not in time |
//! | `unbroken_server_store_seconds` | histogram | how long the store took for a batch of requests |
//! | `unbroken_client_sessions` | gauge | sessions of this process that are not over |
//! | `unbroken_client_dials_total` | counter, `result` = `up`, `failed` | connections opened, or not |
//! | `unbroken_client_handovers_total` | counter | interruptions survived |
//! | `unbroken_client_handovers_failed_total` | counter, `reason` | interruptions not survived |
//! | `unbroken_client_handover_downtime_seconds` | histogram | how long each survived interruption lasted |
//! | `unbroken_client_bytes_total` | counter, `direction` | bytes on the wire, TCP payload |
//!
//! What happens per message or per packet is counted in plain integers and given to the facade four times a second at most, while
//! something happens; the facade costs nothing in between. Install a recorder before the first client or server starts.

use std::fmt::Debug;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use unbroken::{Counters, Event, Instant};

use crate::clock;

/// The names, as in the table.
pub mod name {
    #![allow(missing_docs)]
    pub const SESSIONS: &str = "unbroken_server_sessions";
    pub const DETACHED: &str = "unbroken_server_detached";
    pub const LINKS: &str = "unbroken_server_links";
    pub const ACCEPTED: &str = "unbroken_server_links_accepted_total";
    pub const REJECTED: &str = "unbroken_server_links_rejected_total";
    pub const TURNED_AWAY: &str = "unbroken_server_links_turned_away_total";
    pub const OPENED: &str = "unbroken_server_sessions_opened_total";
    pub const CLOSED: &str = "unbroken_server_sessions_closed_total";
    pub const HANDOVERS: &str = "unbroken_server_handovers_total";
    pub const FAILED: &str = "unbroken_server_handovers_failed_total";
    pub const DOWNTIME: &str = "unbroken_server_handover_downtime_seconds";
    pub const REPLAYED: &str = "unbroken_server_replayed_messages_total";
    pub const RESUMED: &str = "unbroken_server_resumes_accepted_total";
    pub const REFUSED: &str = "unbroken_server_resumes_refused_total";
    pub const BUSY: &str = "unbroken_server_busy_total";
    pub const BAD_RECORDS: &str = "unbroken_server_bad_records_total";
    pub const MESSAGES: &str = "unbroken_server_messages_total";
    pub const BYTES: &str = "unbroken_server_bytes_total";
    pub const TAKEOVERS: &str = "unbroken_server_takeovers_total";
    pub const SWAPPED_OUT: &str = "unbroken_server_swapped_out_total";
    pub const FENCED: &str = "unbroken_server_fenced_total";
    pub const SNAPSHOTS: &str = "unbroken_server_snapshots_total";
    pub const STORE_REQUESTS: &str = "unbroken_server_store_requests_total";
    pub const STORE_FAILURES: &str = "unbroken_server_store_failures_total";
    pub const STORE_SECONDS: &str = "unbroken_server_store_seconds";
    pub const CLIENT_SESSIONS: &str = "unbroken_client_sessions";
    pub const CLIENT_DIALS: &str = "unbroken_client_dials_total";
    pub const CLIENT_HANDOVERS: &str = "unbroken_client_handovers_total";
    pub const CLIENT_FAILED: &str = "unbroken_client_handovers_failed_total";
    pub const CLIENT_DOWNTIME: &str = "unbroken_client_handover_downtime_seconds";
    pub const CLIENT_BYTES: &str = "unbroken_client_bytes_total";
}

/// Upper bounds of the downtime histograms' buckets, in seconds, for exporters that want them.
pub const DOWNTIME_BUCKETS: &[f64] = &[0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0];

/// The same for the store's histogram.
pub const STORE_BUCKETS: &[f64] = &[
    0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0,
];

const EVERY: Duration = Duration::from_millis(250);

/// The name of an enum's variant, without what is in it: bounded, as a label has to be.
fn variant(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

/// A count that grows outside and is handed on in steps.
struct Step {
    counter: Counter,
    given: u64,
}

impl Step {
    fn new(counter: Counter) -> Self {
        Step { counter, given: 0 }
    }

    fn upto(&mut self, total: u64) {
        if total > self.given {
            self.counter.increment(total - self.given);
            self.given = total;
        }
    }
}

/// A gauge that several workers share: each adds its own changes.
struct Share {
    gauge: Gauge,
    given: usize,
}

impl Share {
    fn new(gauge: Gauge) -> Self {
        Share { gauge, given: 0 }
    }

    fn set(&mut self, value: usize) {
        if value != self.given {
            self.gauge.increment(value as f64 - self.given as f64);
            self.given = value;
        }
    }
}

/// What a worker counts.
pub(crate) struct ServerTally {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) snapshots: u64,
    pub(crate) store_requests: u64,
    last: Option<Instant>,
    published: Published,
    sessions: Share,
    detached: Share,
    links: Share,
    steps: Vec<(Step, Pick)>,
    bytes: [Step; 2],
    messages: [Step; 2],
    stored: [Step; 2],
    handovers: Counter,
    downtime: Histogram,
    store_time: Histogram,
}

/// What the gauges and counters showed last: when nothing changed, nothing is due.
#[derive(Clone, Copy, PartialEq, Default)]
struct Published {
    counts: [usize; 3],
    sums: [u64; 4],
    counters: Counters,
}

/// Picks one of the core's counters.
type Pick = fn(&Counters) -> u64;

/// The core's counters, sessions, links, detached.
type Now = (Counters, usize, usize, usize);

impl ServerTally {
    pub(crate) fn new() -> Self {
        let refused = |reason: &'static str| Step::new(counter!(name::REFUSED, "reason" => reason));
        let both =
            |name: &'static str| ["out", "in"].map(|direction| Step::new(counter!(name, "direction" => direction)));
        ServerTally {
            sent: 0,
            received: 0,
            snapshots: 0,
            store_requests: 0,
            last: None,
            published: Published::default(),
            sessions: Share::new(gauge!(name::SESSIONS)),
            detached: Share::new(gauge!(name::DETACHED)),
            links: Share::new(gauge!(name::LINKS)),
            steps: vec![
                (Step::new(counter!(name::ACCEPTED)), |c| c.links_accepted),
                (Step::new(counter!(name::OPENED)), |c| c.sessions_opened),
                (Step::new(counter!(name::RESUMED)), |c| c.resumes),
                (Step::new(counter!(name::REPLAYED)), |c| c.replayed_messages),
                (Step::new(counter!(name::BUSY)), |c| c.refused_busy),
                (Step::new(counter!(name::BAD_RECORDS)), |c| c.bad_records),
                (Step::new(counter!(name::REJECTED)), |c| c.links_rejected),
                (refused("unknown"), |c| c.resumes_unknown),
                (refused("forged"), |c| c.resumes_forged),
                (refused("stale"), |c| c.resumes_stale),
                (refused("rolled_back"), |c| c.rollbacks),
                (refused("veto"), |c| c.vetoes),
                (Step::new(counter!(name::TAKEOVERS)), |c| c.takeovers),
                (Step::new(counter!(name::SWAPPED_OUT)), |c| c.swapped_out),
                (Step::new(counter!(name::FENCED)), |c| c.fenced),
                (Step::new(counter!(name::STORE_FAILURES)), |c| c.store_failures),
            ],
            bytes: both(name::BYTES),
            messages: both(name::MESSAGES),
            stored: [name::SNAPSHOTS, name::STORE_REQUESTS].map(|name| Step::new(counter!(name))),
            handovers: counter!(name::HANDOVERS),
            downtime: histogram!(name::DOWNTIME),
            store_time: histogram!(name::STORE_SECONDS),
        }
    }

    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::HandoverEnd(end) => {
                self.handovers.increment(1);
                self.downtime.record(end.downtime.as_secs_f64());
            }
            Event::HandoverFailed { reason, .. } => counter!(name::FAILED, "reason" => variant(reason)).increment(1),
            Event::Closed(reason) => counter!(name::CLOSED, "reason" => variant(reason)).increment(1),
            _ => {}
        }
    }

    pub(crate) fn store_answered(&mut self, after: Duration) {
        self.store_time.record(after.as_secs_f64());
    }

    /// Hands on what changed, if it is time. Returns when it should be called again at the latest.
    pub(crate) fn publish(&mut self, now: Instant, (counters, sessions, links, detached): Now) -> Option<Instant> {
        let sums = [self.sent, self.received, self.snapshots, self.store_requests];
        let current = Published {
            counts: [sessions, links, detached],
            sums,
            counters,
        };
        if current == self.published {
            return None;
        }
        if let Some(next) = self.last.map(|last| last + EVERY)
            && now < next
        {
            return Some(next);
        }
        self.last = Some(now);
        self.published = current;
        self.sessions.set(sessions);
        self.links.set(links);
        self.detached.set(detached);
        self.steps
            .iter_mut()
            .for_each(|(step, pick)| step.upto(pick(&counters)));
        self.bytes[0].upto(self.sent);
        self.bytes[1].upto(self.received);
        self.stored[0].upto(self.snapshots);
        self.stored[1].upto(self.store_requests);
        self.messages[0].upto(counters.sent_messages);
        self.messages[1].upto(counters.received_messages);
        None
    }

    /// The worker ends: it has nothing any more.
    pub(crate) fn publish_last(&mut self, counters: Counters) {
        self.last = None;
        self.publish(clock::now(), (counters, 0, 0, 0));
    }
}

/// What a client counts.
pub(crate) struct ClientTally {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    bytes: [Step; 2],
    sessions: Gauge,
    over: bool,
    last: Option<Instant>,
}

impl ClientTally {
    pub(crate) fn new() -> Self {
        let sessions = gauge!(name::CLIENT_SESSIONS);
        sessions.increment(1.0);
        let bytes = ["out", "in"].map(|direction| Step::new(counter!(name::CLIENT_BYTES, "direction" => direction)));
        ClientTally {
            sent: 0,
            received: 0,
            bytes,
            sessions,
            over: false,
            last: None,
        }
    }

    /// The session is over, whoever still has a handle to it.
    pub(crate) fn over(&mut self) {
        if !std::mem::replace(&mut self.over, true) {
            self.publish(clock::now(), true);
            self.sessions.decrement(1.0);
        }
    }

    pub(crate) fn dialled(&mut self, up: bool) {
        counter!(name::CLIENT_DIALS, "result" => if up { "up" } else { "failed" }).increment(1);
    }

    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::HandoverEnd(end) => {
                counter!(name::CLIENT_HANDOVERS).increment(1);
                histogram!(name::CLIENT_DOWNTIME).record(end.downtime.as_secs_f64());
            }
            Event::HandoverFailed { reason, .. } => {
                counter!(name::CLIENT_FAILED, "reason" => variant(reason)).increment(1);
            }
            _ => {}
        }
    }

    /// Hands on the bytes, if it is time or the last time. An idle client gets no timer for this.
    pub(crate) fn publish(&mut self, now: Instant, last: bool) {
        if last || self.last.is_none_or(|at| now >= at + EVERY) {
            self.last = Some(now);
            self.bytes[0].upto(self.sent);
            self.bytes[1].upto(self.received);
        }
    }
}

impl Drop for ClientTally {
    fn drop(&mut self) {
        self.over();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbroken::CloseReason;

    #[test]
    fn a_label_is_the_variant_alone() {
        assert_eq!(variant(&CloseReason::Kicked { code: 7 }), "Kicked");
        assert_eq!(variant(&CloseReason::Expired), "Expired");
    }
}
