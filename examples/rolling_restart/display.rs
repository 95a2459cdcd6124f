//! The live display, on standard error: the servers, and the numbers below; or a plain line per second where nobody could see it move.

use std::sync::Arc;
use std::time::Duration;

use console::style;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::chronicle::{Chronicle, Condition, Counts};
use crate::options::Options;
use crate::summary::{Spread, span};

/// The live display.
pub struct Display {
    bar: Option<ProgressBar>,
    header: String,
    chronicle: Arc<Chronicle>,
}

impl Display {
    /// Moving if standard error is a terminal.
    pub fn new(options: &Options, balancer: &str, store: &str, chronicle: Arc<Chronicle>) -> Self {
        let bar = console::user_attended_stderr().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                bar.set_style(style);
            }
            bar
        });
        let header = format!(
            "{} clients, {}, servers behind {balancer}, {store}, seed {}",
            options.clients,
            options.durability.name(),
            options.seed
        );
        if bar.is_none() {
            eprintln!("{header}");
        }
        Display { bar, header, chronicle }
    }

    /// Shows how things stand until it is stopped.
    pub async fn run(self) {
        let pause = Duration::from_millis(if self.bar.is_some() { 100 } else { 1000 });
        loop {
            let (counts, conditions) = (self.chronicle.counts(), self.chronicle.conditions());
            match &self.bar {
                Some(bar) => bar.set_message(self.picture(&counts, &conditions)),
                None => eprintln!(
                    "{:5.1} s  {}  {}",
                    self.chronicle.elapsed().as_secs_f64(),
                    names(&conditions),
                    numbers(&counts)
                ),
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn picture(&self, counts: &Counts, conditions: &[Condition]) -> String {
        let mut lines = vec![style(&self.header).dim().to_string()];
        for (number, condition) in (1..).zip(conditions) {
            let name = condition.name();
            let shown = match condition {
                Condition::Serving => style(name).green(),
                Condition::Leaving | Condition::Starting => style(name).yellow(),
                Condition::Down | Condition::Killed => style(name).red(),
            };
            lines.push(format!("  server {number}  {shown}"));
        }
        let down = Spread::of(
            self.chronicle
                .handovers()
                .iter()
                .map(|handover| handover.downtime)
                .collect(),
        );
        lines.push(numbers(counts));
        lines.push(format!(
            "downtime p50 {}, p99 {}, max {}",
            span(down.p50),
            span(down.p99),
            span(down.max)
        ));
        lines.join("\n")
    }
}

fn names(conditions: &[Condition]) -> String {
    let names: Vec<&str> = conditions.iter().map(|condition| condition.name()).collect();
    names.join(", ")
}

fn numbers(counts: &Counts) -> String {
    format!(
        "{} connected, {} turns, {} on their way, {} handovers, {} takeovers, {} failed",
        counts.established,
        counts.played,
        counts.played - counts.answered.min(counts.played),
        counts.handovers,
        counts.takeovers,
        counts.failed
    )
}
