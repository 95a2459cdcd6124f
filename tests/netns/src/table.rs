//! The figures and the pass marks. Each scenario has five: exactly once, one session, a handover in each run, a fault that the plain
//! client felt (else the run shows nothing), and its limit.

use serde_json::{Value, json};

use crate::checker::{Run, Side};
use crate::drive::{Drive, Shown};
use crate::options::Means;
use crate::scenario::Scenario;
use crate::world::DELAY_MS;

/// Prints; returns whether every mark was passed.
pub fn print(options: &Drive, all: &[Shown]) -> bool {
    let means = match options.means {
        Means::Netem => "delay and loss: the kernel's netem",
        Means::User => "delay and loss: a user-space forwarder of Ethernet frames (this kernel has no netem)",
    };
    let failures: Vec<String> = all.iter().flat_map(failures).collect();
    let failed = failures.len();
    let passed = all.len() * MARKS - failed;
    if options.json {
        let scenarios: Vec<Value> = all.iter().map(to_json).collect();
        println!(
            "{}",
            json!({ "means": means, "round_trip_ms": 2 * DELAY_MS, "seed": options.seed, "scenarios": scenarios,
                    "failures": failures, "passed": passed, "failed": failed })
        );
        return failed == 0 && passed > 0;
    }
    println!(
        "{means}; round trip {} ms on either path; a message every 10 ms each way",
        2 * DELAY_MS
    );
    println!(
        "\n{:<71} {:>4} {:>9} {:>17} {:>7} {:>17} {:>7}",
        "", "", "", "session", "", "plain TCP", ""
    );
    println!(
        "{:<71} {:>4} {:>9} {:>8} {:>8} {:>7} {:>8} {:>8} {:>7}",
        "downtime in ms", "runs", "handovers", "p50", "max", "l/d/r", "p50", "max", "lost"
    );
    for shown in all {
        let session = figures(shown, |run| &run.session);
        let plain = figures(shown, |run| &run.plain_tcp);
        println!(
            "{:<71} {:>4} {:>9} {:>8} {:>8} {:>7} {:>8} {:>8} {:>7}",
            shown.scenario.title(),
            shown.runs.len(),
            shown.runs.iter().map(|run| run.handovers.len()).sum::<usize>(),
            session.p50(),
            session.max(),
            format!("{}/{}/{}", session.lost, session.doubled, session.reordered),
            plain.p50(),
            plain.max(),
            plain.lost,
        );
    }
    for shown in all {
        let noticed = sorted(shown.runs.iter().filter_map(|run| run.noticed_ms));
        if matches!(
            shown.scenario,
            Scenario::BlackHole | Scenario::Idle { hint: false } | Scenario::Address { hint: false }
        ) && !noticed.is_empty()
        {
            println!(
                "{}: suspect after p50 {:.0} ms, max {:.0} ms",
                shown.scenario.name(),
                noticed[(noticed.len() - 1) / 2],
                noticed[noticed.len() - 1],
            );
        }
    }
    println!(
        "\nl/d/r: lost, doubled, reordered. Plain TCP connects anew after an error or 5 s of silence and sends nothing twice;"
    );
    println!("`>`: messages did not flow again in both directions while it was watched.\n");
    failures.iter().for_each(|failure| println!("FAILED {failure}"));
    println!("{passed} passed, {failed} failed");
    failed == 0 && passed > 0
}

const MARKS: usize = 5;

/// The marks that were missed.
fn failures(shown: &Shown) -> Vec<String> {
    let name = shown.scenario.name();
    let runs = &shown.runs;
    if let Some(error) = &shown.error {
        return vec![format!("{name}: run {}: {error}", runs.len() + 1); MARKS];
    }
    let mut failures = Vec::new();
    let mut mark = |what: &str, passed: &dyn Fn(&Run) -> bool| {
        let bad: Vec<_> = runs.iter().zip(1..).filter(|(run, _)| !passed(run)).collect();
        if runs.is_empty() || !bad.is_empty() {
            let first = bad
                .first()
                .map(|(run, number)| format!(", the first is run {number}: {run:?}"));
            failures.push(format!(
                "{name}: {what}: {} of {} runs{}",
                bad.len(),
                runs.len(),
                first.unwrap_or_default()
            ));
        }
    };
    mark("not every message arrived once and in order", &|run| {
        run.session.exact()
    });
    mark("not one session from beginning to end", &|run| {
        run.same_session
            && run
                .ended
                .as_deref()
                .is_some_and(|why| why.starts_with("disconnected here"))
    });
    mark("no handover", &|run| !run.handovers.is_empty());
    mark("plain TCP felt no fault, so nothing was shown", &|run| {
        run.plain_tcp.lost > 0 || !run.plain_tcp.back || run.plain_tcp.downtime_ms > 100.0
    });
    let figures = figures(shown, |run| &run.session);
    let limit = shown.scenario.limit().as_secs_f64() * 1e3;
    if figures
        .times
        .get((figures.times.len().max(1) - 1) / 2)
        .is_none_or(|p50| *p50 > limit)
        || figures.away > 0
    {
        failures.push(format!(
            "{name}: downtime p50 {} ms, with {} of {} runs not back at all; the limit is {limit:.0} ms",
            figures.p50(),
            figures.away,
            runs.len()
        ));
    }
    failures
}

/// One side of all runs.
struct Figures {
    times: Vec<f64>,
    /// Runs in which it did not come back.
    away: usize,
    lost: u64,
    doubled: u64,
    reordered: u64,
}

fn figures(shown: &Shown, side: impl Fn(&Run) -> &Side) -> Figures {
    let sides: Vec<&Side> = shown.runs.iter().map(side).collect();
    Figures {
        times: sorted(sides.iter().map(|side| side.downtime_ms)),
        away: sides.iter().filter(|side| !side.back).count(),
        lost: sides.iter().map(|side| side.lost).sum(),
        doubled: sides.iter().map(|side| side.doubled).sum(),
        reordered: sides.iter().map(|side| side.reordered).sum(),
    }
}

impl Figures {
    fn p50(&self) -> String {
        self.at((self.times.len().max(1) - 1) / 2)
    }

    fn max(&self) -> String {
        self.at(self.times.len().max(1) - 1)
    }

    /// Those that did not come back have the longest times.
    fn at(&self, index: usize) -> String {
        match self.times.get(index) {
            Some(time) if index + self.away >= self.times.len() => format!(">{time:.0}"),
            Some(time) => format!("{time:.0}"),
            None => "-".into(),
        }
    }
}

fn sorted(times: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    times
}

fn to_json(shown: &Shown) -> Value {
    json!({
        "scenario": shown.scenario.name(),
        "title": shown.scenario.title(),
        "limit_ms": shown.scenario.limit().as_millis() as u64,
        "runs": shown.runs,
        "error": shown.error,
    })
}
