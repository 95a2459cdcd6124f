//! `handover-table [--seeds N] [--row TEXT] [--jobs N] [--json]`: runs the scenarios of `docs/HANDOVER.md` and prints their table.
//!
//! All times are virtual: the same seeds give the same table on every machine. Ends with failure if a goal is missed.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use unbroken_sim::links::Spread;
use unbroken_sim::links::rows::{Outcome, ROWS, Row};

const USAGE: &str = "usage: handover-table [--seeds N] [--row TEXT] [--jobs N] [--json]";

struct Args {
    seeds: u64,
    row: String,
    jobs: u64,
    json: bool,
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Args, String> {
    let jobs = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let mut parsed = Args {
        seeds: 10_000,
        row: String::new(),
        jobs,
        json: false,
    };
    while let Some(arg) = args.next() {
        if arg == "--json" {
            parsed.json = true;
            continue;
        }
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|e| format!("{arg} {value}: {e}"));
        match arg.as_str() {
            "--seeds" => parsed.seeds = number()?.max(1),
            "--jobs" => parsed.jobs = number()?.max(1),
            "--row" => parsed.row = value,
            _ => return Err(format!("no option {arg}")),
        }
    }
    Ok(parsed)
}

fn main() -> ExitCode {
    if unbroken_sim::is_asked_for_help() {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let args = match parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut missed = 0;
    if !args.json {
        println!(
            "| scenario | seeds | noticed | flowing | downtime | told | suspicions / spares / handovers | goal | met |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
    }
    for row in ROWS.iter().filter(|row| row.name.contains(&args.row)) {
        let seeds = (args.seeds / row.share).max(1);
        let outcome = run(row, seeds, args.jobs);
        let met = (row.met)(&outcome);
        missed += u32::from(!met);
        if args.json {
            println!("{}", json(row, seeds, &outcome, met));
        } else {
            println!("{}", line(row, seeds, &outcome, met));
        }
    }
    if !args.json {
        println!("\nTimes in milliseconds: p50 / p99 / max.");
    }
    ExitCode::from(u8::from(missed > 0))
}

fn run(row: &Row, seeds: u64, jobs: u64) -> Outcome {
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let total = Mutex::new(Outcome::default());
    let shows = std::io::stderr().is_terminal();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    let outcome = (row.run)(seed);
                    total.lock().unwrap().add(outcome);
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if shows && done % 16 == 0 {
                        eprint!("\r{}: {done} of {seeds}   ", row.name);
                        let _ = std::io::stderr().flush();
                    }
                }
            });
        }
    });
    if shows {
        eprint!("\r\x1b[K");
    }
    total.into_inner().unwrap()
}

fn line(row: &Row, seeds: u64, o: &Outcome, met: bool) -> String {
    let times = |spread: &Spread| {
        if spread.is_empty() {
            "-".to_string()
        } else {
            spread.to_string()
        }
    };
    let counts = if o.hours > 0.0 {
        format!(
            "{:.0} writes, {:.0} bytes an hour",
            o.writes as f64 / o.hours,
            o.bytes as f64 / o.hours
        )
    } else if o.link_minutes > 0.0 {
        let each = 1000.0 / o.link_minutes;
        let rate = |n: u64| n as f64 * each;
        format!(
            "{:.1} / {:.0} / {:.0} in 1,000 link-minutes",
            rate(o.suspicions),
            rate(o.spares),
            rate(o.handovers)
        )
    } else if o.handovers > 0 {
        let each = |n: u64| n as f64 / seeds as f64;
        format!(
            "{:.2} / {:.2} / {:.2} a run",
            each(o.suspicions),
            each(o.spares),
            each(o.handovers)
        )
    } else {
        "-".to_string()
    };
    format!(
        "| {} | {seeds} | {} | {} | {} | {} | {counts} | {} | {} |",
        row.name,
        times(&o.noticed),
        times(&o.flowing),
        times(&o.downtime),
        times(&o.told),
        row.goal,
        match (row.goal.starts_with("none"), met) {
            (true, _) => "-",
            (_, true) => "yes",
            (_, false) => "NO",
        }
    )
}

fn json(row: &Row, seeds: u64, o: &Outcome, met: bool) -> String {
    let times = |spread: &Spread| {
        let ms = |time: core::time::Duration| time.as_micros() as f64 / 1000.0;
        format!(
            "[{}, {}, {}]",
            ms(spread.percentile(50.0)),
            ms(spread.percentile(99.0)),
            ms(spread.max())
        )
    };
    format!(
        "{{\"row\": {:?}, \"seeds\": {seeds}, \"noticed_ms\": {}, \"flowing_ms\": {}, \"downtime_ms\": {}, \"told_ms\": {}, \
         \"link_minutes\": {}, \"suspicions\": {}, \"spares\": {}, \"handovers\": {}, \"hours\": {}, \"writes\": {}, \"bytes\": {}, \
         \"goal\": {:?}, \"met\": {met}}}",
        row.name,
        times(&o.noticed),
        times(&o.flowing),
        times(&o.downtime),
        times(&o.told),
        o.link_minutes,
        o.suspicions,
        o.spares,
        o.handovers,
        o.hours,
        o.writes,
        o.bytes,
        row.goal
    )
}
