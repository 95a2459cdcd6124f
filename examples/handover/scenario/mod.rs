//! Scenarios of daily life: `--scenario walk-out`, `subway`, `elevator`, `background`, `flapping`.
//!
//! Each client has two networks, Wi-Fi and cellular, with 50 ms of round trip, and a script of what happens to them, drawn from the seed.
//! Beside each client with a session lives its *twin*: plain TCP that reconnects on errors, under the same script at the same time. The
//! report compares how long messages stood still.
//!
//! - `script.rs`: what happens when, and what an operating system would say
//! - `network.rs`: one network of one client, through the fault proxy
//! - `twin.rs`: plain TCP that reconnects
//! - `stage.rs`: the run
//! - `flow.rs`: from the times of arrival to downtimes
//! - `page.rs`, `page.html`: figures, verdict and report

mod flow;
mod network;
mod page;
mod script;
mod stage;
mod twin;

use std::process::ExitCode;

use crate::options::Options;
pub use script::Scenario;

/// Runs a scenario to its verdict.
pub fn main(runtime: &tokio::runtime::Runtime, options: &Options, scenario: Scenario) -> ExitCode {
    let outcome = match runtime.block_on(stage::run(options, scenario)) {
        Ok(outcome) => outcome,
        Err(error) => {
            eprintln!("cannot run: {error}");
            return ExitCode::FAILURE;
        }
    };
    let figures = page::Figures::new(options, scenario, &outcome);
    let written = std::fs::write(&options.report, page::page(&figures, &outcome));
    if options.json {
        println!("{}", figures.to_json());
    } else {
        println!("{}", figures.to_text());
    }
    match &written {
        Ok(()) => eprintln!("report: {}", options.report.display()),
        Err(error) => eprintln!("cannot write the report to {}: {error}", options.report.display()),
    }
    match figures.verdict() {
        Ok(()) if written.is_ok() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("FAILED: {why}");
            ExitCode::FAILURE
        }
    }
}
