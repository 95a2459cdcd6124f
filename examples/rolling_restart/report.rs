//! The report: one HTML file that needs nothing else. The page is `report.html`; the run goes into it as JSON.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use crate::options::Options;
use crate::run::Outcome;

const PAGE: &str = include_str!("report.html");
/// Points of the picture of answer times: more cannot be seen.
const POINTS: usize = 20_000;

/// Whether the report can be written, before the run and not after it.
pub fn check(options: &Options) -> io::Result<()> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&options.report)
        .map(drop)
}

/// Writes the report where the options say.
pub fn write(options: &Options, outcome: &Outcome) -> io::Result<()> {
    let data = data(options, outcome).to_string();
    // A "</script>" in the data would end it.
    std::fs::write(
        &options.report,
        PAGE.replace("\"{{data}}\"", &data.replace("</", "<\\/")),
    )
}

fn data(options: &Options, outcome: &Outcome) -> Value {
    let (summary, chronicle) = (&outcome.summary, &outcome.chronicle);
    let servers: Vec<Value> = chronicle
        .servers()
        .iter()
        .map(|life| {
            life.iter()
                .map(|(at, condition)| json!([ms(*at), condition.name()]))
                .collect()
        })
        .collect();
    let handovers: Vec<Value> = chronicle
        .handovers()
        .iter()
        .map(|handover| json!([ms(handover.at), ms(handover.downtime), handover.takeover]))
        .collect();
    let answers = chronicle.answers();
    let step = answers.len() / POINTS + 1;
    // The slowest are what one looks for: none of those is left out.
    let slow = summary.answer_time.p99;
    let shown = answers
        .iter()
        .enumerate()
        .filter(|(n, (_, after))| n % step == 0 || *after >= slow);
    let answers: Vec<Value> = shown.map(|(_, (at, after))| json!([ms(*at), ms(*after)])).collect();
    json!({
        "summary": summary.to_json(options),
        "verdict": summary.verdict().err(),
        "total_ms": ms(chronicle.elapsed()),
        "servers": servers,
        "handovers": handovers,
        "answers": answers,
    })
}

/// Milliseconds with two digits, to keep the file small.
fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_place_for_the_data_and_needs_nothing_from_elsewhere() {
        assert!(PAGE.contains("\"{{data}}\""));
        assert!(!PAGE.contains("http://") && !PAGE.contains("https://") && !PAGE.contains("@import"));
    }
}
