//! The main job: sessions that lose their connections all the time, and nothing else.
//!
//!     cargo run --release --example handover
//!
//! Over real TCP on loopback, a server and 100 clients exchange numbered messages both ways. Between each client and the server stands a
//! proxy that cuts the connection with FIN or RST, in the middle of a record, stalls it without a word, delays it, and turns
//! new connections away. After ten seconds sending stops, what is under way arrives, and a checker that saw only what the two
//! applications sent and received gives the verdict: sent, delivered, lost, doubled, reordered. A report with the timeline of each
//! client is written beside it.
//!
//! - `options.rs`: what can be chosen, and what is refused
//! - `ledger.rs`: the independent checker
//! - `run.rs`: server, proxies, clients, from the first connect to the last message
//! - `timeline.rs`: what each client lived through
//! - `display.rs`: the live display
//! - `report.rs`, `report.html`: the report
//! - `scenario/`: with `--scenario`, two networks per client and a script of daily life, compared with plain TCP
#![forbid(unsafe_code)]

mod display;
mod ledger;
mod options;
mod report;
mod run;
mod scenario;
mod summary;
mod timeline;

use std::process::ExitCode;

use clap::Parser;
use options::Options;

fn main() -> ExitCode {
    let options = Options::parse();
    if let Err(error) = report::check(&options) {
        eprintln!(
            "cannot write the report to {}: {error}; name another place with --report FILE",
            options.report.display()
        );
        return ExitCode::from(2);
    }
    // Each client costs five descriptors, and more while old connections linger.
    let _ = rlimit::increase_nofile_limit(1 << 16);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(scenario) = options.scenario {
        return scenario::main(&runtime, &options, scenario);
    }
    let outcome = match runtime.block_on(run::run(&options)) {
        Ok(outcome) => outcome,
        Err(error) => {
            eprintln!("cannot run: {error}");
            return ExitCode::FAILURE;
        }
    };
    let summary = &outcome.summary;
    let written = report::write(&options, &outcome);
    if options.json {
        println!("{}", summary.to_json(&options));
    } else {
        println!("{}", summary.to_text());
    }
    match &written {
        Ok(()) => eprintln!("report: {}", options.report.display()),
        Err(error) => eprintln!("cannot write the report to {}: {error}", options.report.display()),
    }
    match summary.verdict() {
        Ok(()) if written.is_ok() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("FAILED: {why}");
            ExitCode::FAILURE
        }
    }
}
