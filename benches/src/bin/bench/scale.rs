//! Very many sessions in one server process, and thousands of them that come back at once.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use unbroken_bench::BACKEND;
use unbroken_bench::report::processor;
use unbroken_bench::scale::{Cut, Found, Plan, growth, markdown, measure};

#[derive(clap::Args)]
pub struct Options {
    /// Numbers of sessions, rising.
    #[arg(long, num_args = 1.., default_values_t = [1000, 10_000, 25_000, 50_000, 75_000, 100_000])]
    sessions: Vec<usize>,
    /// How many of them come back at once; 0: none.
    #[arg(long, default_value_t = 10_000)]
    reconnect: usize,
    /// How often they do.
    #[arg(long, default_value_t = 3)]
    storms: usize,
    /// How their links break.
    #[arg(long, value_enum, default_value_t = Cut::Reset)]
    cut: Cut,
    /// Silence after which an idle link is probed, in milliseconds.
    #[arg(long, default_value_t = 25_000)]
    probe: u64,
    /// For how long the CPU time of probes is counted, in milliseconds.
    #[arg(long, default_value_t = 50_000)]
    watch: u64,
    /// Few sessions and little time: shows that it runs, its figures mean little.
    #[arg(long)]
    smoke: bool,
    /// JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Also draws how memory and probes grow into this file.
    #[arg(long)]
    svg: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report {
    backend: &'static str,
    processor: String,
    found: Found,
}

pub fn run(mut options: Options) -> io::Result<()> {
    if options.smoke {
        (options.sessions, options.reconnect, options.storms) = (vec![100, 200, 400], 200, 1);
        (options.probe, options.watch) = (1000, 1000);
    }
    let found = measure(&Plan {
        sessions: options.sessions,
        reconnect: options.reconnect,
        storms: options.storms,
        cut: options.cut,
        probe: Duration::from_millis(options.probe),
        watch: Duration::from_millis(options.watch),
    })?;
    if let Some(path) = options.svg {
        std::fs::write(path, growth(&found))?;
    }
    let processor = processor();
    if options.json {
        let report = Report {
            backend: BACKEND,
            processor,
            found,
        };
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("Processor: {processor}; {BACKEND}\n\n{}", markdown(&found));
    }
    Ok(())
}
