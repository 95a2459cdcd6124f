//! The numbers at the end, as text, as JSON and as a verdict.

use std::time::Duration;

use serde_json::json;
use unbroken_fault_proxy::Counts;

use crate::ledger::Tally;
use crate::options::Options;
use crate::timeline::Downtime;

/// The numbers at the end.
pub struct Summary {
    /// From the independent checker.
    pub tally: Tally,
    /// From the proxies, all together.
    pub network: Counts,
    /// Interruptions that the clients' applications saw end.
    pub handovers: u64,
    /// Messages that the clients sent again.
    pub replayed: u64,
    /// How long the interruptions lasted.
    pub downtime: Downtime,
    /// How long messages were sent.
    pub sending: Duration,
    /// How long all of it took.
    pub total: Duration,
    /// Clients whose session ended before the run did, and why.
    pub ended_early: Vec<(u32, String)>,
}

impl Summary {
    /// Whether the run shows what it should.
    pub fn verdict(&self) -> Result<(), String> {
        let t = &self.tally;
        let mut wrong = Vec::new();
        for (count, what) in [
            (t.lost, "lost"),
            (t.doubled, "doubled"),
            (t.reordered, "reordered"),
            (t.corrupted, "corrupted"),
        ] {
            if count > 0 {
                wrong.push(format!("{count} messages {what}"));
            }
        }
        if let Some((client, why)) = self.ended_early.first() {
            wrong.push(format!(
                "{} sessions ended early, the first of client {client}: {why}",
                self.ended_early.len()
            ));
        }
        if t.delivered == 0 {
            wrong.push("nothing was delivered, so nothing was shown".into());
        }
        if self.network.cut() == 0 || self.handovers == 0 {
            let remedy = "raise --clients or --duration, or lower --cut-every";
            wrong.push(format!(
                "{} links cut and {} handovers: nothing was shown; {remedy}",
                self.network.cut(),
                self.handovers
            ));
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(wrong.join("; "))
        }
    }

    /// Messages per second while sending.
    pub fn rate(&self) -> f64 {
        self.tally.sent as f64 / self.sending.as_secs_f64().max(0.001)
    }

    /// One object.
    pub fn to_json(&self, options: &Options) -> serde_json::Value {
        let t = &self.tally;
        let n = &self.network;
        let ms = |d: Duration| (d.as_secs_f64() * 1e6).round() / 1e3;
        json!({
            "ok": self.verdict().is_ok(),
            "sent": t.sent, "delivered": t.delivered,
            "lost": t.lost, "doubled": t.doubled, "reordered": t.reordered, "corrupted": t.corrupted,
            "links_cut": n.cut(), "links_opened": n.links, "links_refused": n.refused,
            "cut_fin": n.fin, "cut_reset": n.reset, "cut_within_a_record": n.cut_within,
            "stalls": n.stalls, "delays": n.delays,
            "handovers": self.handovers, "replayed": self.replayed,
            "downtime_ms": { "p50": ms(self.downtime.p50), "p99": ms(self.downtime.p99), "max": ms(self.downtime.max) },
            "messages_per_second": self.rate().round(),
            "ended_early": self.ended_early.len(),
            "seconds": self.total.as_secs_f64(),
            "seed": options.seed, "clients": options.clients, "duration": options.duration, "cut_every": options.cut_every,
        })
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let t = &self.tally;
        let n = &self.network;
        let d = &self.downtime;
        format!(
            "\nmessages   {} sent, {} delivered, {} lost, {} doubled, {} reordered, {} corrupted\n\
             links      {} cut ({} by FIN, {} by RST), {} stalled, {} connects refused\n\
             handovers  {}, downtime p50 {}, p99 {}, max {}\n\
             verdict    {}",
            t.sent,
            t.delivered,
            t.lost,
            t.doubled,
            t.reordered,
            t.corrupted,
            n.cut(),
            n.fin,
            n.reset,
            n.stalls,
            n.refused,
            self.handovers,
            span(d.p50),
            span(d.p99),
            span(d.max),
            if self.verdict().is_ok() {
                "every message arrived once and in order"
            } else {
                "FAILED"
            },
        )
    }
}

/// A time as people read it.
pub fn span(time: Duration) -> String {
    match time.as_secs_f64() * 1e3 {
        ms if ms >= 1000.0 => format!("{:.2} s", ms / 1e3),
        ms if ms >= 10.0 => format!("{ms:.0} ms"),
        ms => format!("{ms:.1} ms"),
    }
}
