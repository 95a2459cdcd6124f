//! The report: one HTML file that needs nothing else. The page is `report.html`; the run goes into it as JSON.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use unbroken_fault_proxy::Fault;

use crate::options::Options;
use crate::run::Outcome;

const PAGE: &str = include_str!("report.html");

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
    std::fs::write(&options.report, page(&data(options, outcome)))
}

fn page(data: &Value) -> String {
    // A "</script>" in the data would end it.
    PAGE.replace("\"{{data}}\"", &data.to_string().replace("</", "<\\/"))
}

fn data(options: &Options, outcome: &Outcome) -> Value {
    let summary = &outcome.summary;
    let clients = outcome.timeline.each(|life| {
        json!({
            "phases": life.phases.iter().map(|(at, phase)| json!([ms(*at), *phase as u8])).collect::<Vec<_>>(),
            "handovers": life.handovers.iter().map(|(at, down)| json!([ms(*at), ms(*down)])).collect::<Vec<_>>(),
            "faults": life.faults.iter().map(|(at, fault)| fault_entry(*at, *fault)).collect::<Vec<_>>(),
        })
    });
    json!({
        "summary": summary.to_json(options),
        "verdict": summary.verdict().err(),
        "sending_ms": ms(summary.sending),
        "total_ms": ms(outcome.timeline.elapsed()),
        "clients": clients,
    })
}

/// When, what, and for how long.
fn fault_entry(at: Duration, fault: Fault) -> Value {
    let (name, time) = match fault {
        Fault::Fin => ("FIN", Duration::ZERO),
        Fault::Reset => ("RST", Duration::ZERO),
        Fault::CutAfter(_) => ("cut within", Duration::ZERO),
        Fault::StallThenCut(time) => ("stall, then RST", time),
        Fault::StallThenRecover(time) => ("stall, then recovery", time),
        Fault::Delay(time) => ("delay", time),
        Fault::Refuse(time) => ("RST, connects refused", time),
    };
    json!([ms(at), name, ms(time)])
}

/// Milliseconds with two digits, to keep the file small.
fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_lands_in_the_page_and_cannot_leave_it() {
        let page = page(&json!({ "verdict": "</script><b>" }));
        assert!(page.contains(r#"{"verdict":"<\/script><b>"}"#));
        assert!(!page.contains("{{data}}"));
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        assert!(!PAGE.contains("http://") && !PAGE.contains("https://") && !PAGE.contains("@import"));
    }
}
