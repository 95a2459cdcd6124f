//! The numbers at the end, as text, as JSON and as a verdict.

use std::time::Duration;

use serde_json::json;

use crate::chronicle::{Chronicle, Counts};
use crate::options::Options;
use crate::player::Finding;
use crate::run::SERVERS;

/// The numbers at the end.
pub struct Summary {
    pub counts: Counts,
    pub played: u64,
    pub answered: u64,
    pub lost: u64,
    pub doubled: u64,
    pub wrong: u64,
    pub tables_equal: u64,
    pub clients: u64,
    pub restarts: u64,
    pub killed: u64,
    pub downtime: Spread,
    pub answer_time: Spread,
    pub ended: Vec<String>,
    pub failures: Vec<String>,
    pub seconds: f64,
    pub balancer: &'static str,
    pub store: &'static str,
}

/// Percentiles of times.
#[derive(Clone, Copy, Default, Debug)]
pub struct Spread {
    pub p50: Duration,
    pub p99: Duration,
    pub max: Duration,
}

impl Spread {
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |share: f64| {
            let index = (times.len() as f64 * share) as usize;
            times
                .get(index.min(times.len().saturating_sub(1)))
                .copied()
                .unwrap_or_default()
        };
        Spread {
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
        }
    }
}

impl Summary {
    pub fn new(
        options: &Options,
        findings: &[Finding],
        chronicle: &Chronicle,
        killed: u64,
        (balancer, store): (&'static str, &'static str),
    ) -> Self {
        let sum = |of: fn(&Finding) -> u64| findings.iter().map(of).sum::<u64>();
        let (played, answered) = (sum(|f| f.played), sum(|f| f.answered));
        Summary {
            counts: chronicle.counts(),
            played,
            answered,
            lost: played - answered,
            doubled: sum(|f| f.doubled),
            wrong: sum(|f| f.wrong),
            tables_equal: sum(|f| f.equal.into()),
            clients: options.clients,
            restarts: SERVERS as u64,
            killed,
            downtime: Spread::of(chronicle.handovers().iter().map(|handover| handover.downtime).collect()),
            answer_time: Spread::of(chronicle.answers().iter().map(|(_, after)| *after).collect()),
            ended: findings.iter().filter_map(|finding| finding.ended.clone()).collect(),
            failures: chronicle.failures(),
            seconds: chronicle.elapsed().as_secs_f64(),
            balancer,
            store,
        }
    }

    /// Whether the run shows what it should.
    pub fn verdict(&self) -> Result<(), String> {
        let mut wrong = Vec::new();
        for (count, what) in [
            (self.lost, "turns without an answer"),
            (self.doubled, "answers came twice"),
            (self.wrong, "answers are not the reference's"),
            (self.clients - self.tables_equal, "tables are not the reference's"),
        ] {
            if count > 0 {
                wrong.push(format!("{count} {what}"));
            }
        }
        if let Some(why) = self.ended.first() {
            wrong.push(format!(
                "{} sessions ended by themselves, the first: {why}",
                self.ended.len()
            ));
        }
        if let Some(why) = self.failures.first() {
            wrong.push(format!("{} handovers failed, the first: {why}", self.failures.len()));
        }
        if self.played == 0 {
            wrong.push("nobody played, so nothing was shown".into());
        }
        if self.counts.takeovers == 0 {
            wrong.push("no session went to another server, so nothing was shown".into());
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(wrong.join("; "))
        }
    }

    /// One object.
    pub fn to_json(&self, options: &Options) -> serde_json::Value {
        let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let spread = |spread: &Spread| json!({ "p50": ms(spread.p50), "p99": ms(spread.p99), "max": ms(spread.max) });
        json!({
            "ok": self.verdict().is_ok(),
            "sent": self.played, "delivered": self.answered,
            "lost": self.lost, "doubled": self.doubled, "reordered": self.wrong,
            "states_equal": self.tables_equal, "clients": self.clients,
            "handovers": self.counts.handovers, "takeovers": self.counts.takeovers, "handovers_failed": self.failures.len(),
            "replayed": self.counts.replayed,
            "servers": SERVERS, "servers_restarted": self.restarts, "servers_killed": self.killed,
            "downtime_ms": spread(&self.downtime), "answer_ms": spread(&self.answer_time),
            "ended_early": self.ended.len(), "seconds": self.seconds,
            "balancer": self.balancer, "store": self.store, "durability": options.durability.name(),
            "seed": options.seed, "turn_every": options.turn_every, "window": options.window,
        })
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let row = |spread: &Spread| {
            format!(
                "p50 {}, p99 {}, max {}",
                span(spread.p50),
                span(spread.p99),
                span(spread.max)
            )
        };
        format!(
            "\nturns      {} played, {} answered, {} lost, {} doubled, {} not as the reference\n\
             tables     {} of {} equal to a reference that never saw a restart\n\
             servers    {} restarted, {} killed with -9; {} handovers, {} of them to another process\n\
             downtime   {}\n\
             answers    {}\n\
             verdict    {}",
            self.played,
            self.answered,
            self.lost,
            self.doubled,
            self.wrong,
            self.tables_equal,
            self.clients,
            self.restarts,
            self.killed,
            self.counts.handovers,
            self.counts.takeovers,
            row(&self.downtime),
            row(&self.answer_time),
            if self.verdict().is_ok() {
                "no turn lost, none played twice, every table equal"
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
