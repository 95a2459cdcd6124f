//! How long it takes to go on after a lost link, over paths with a round trip, beside TLS and QUIC.

use serde::Serialize;
use unbroken_bench::BACKEND;
use unbroken_bench::report::processor;
use unbroken_bench::resume::{Row, markdown, measure};

#[derive(clap::Args)]
pub struct Options {
    /// Round trips, in milliseconds.
    #[arg(long, num_args = 1.., default_values_t = [0, 50, 100, 200])]
    round_trips: Vec<u64>,
    /// How often each is done.
    #[arg(long, default_value_t = 21)]
    rounds: usize,
    /// Everything twice, over short round trips: shows that it runs.
    #[arg(long)]
    smoke: bool,
    /// JSON instead of tables.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    backend: &'static str,
    processor: String,
    rows: Vec<Row>,
}

pub fn run(mut options: Options) -> std::io::Result<()> {
    if options.smoke {
        (options.round_trips, options.rounds) = (vec![0, 10], 2);
    }
    if options.rounds == 0 || options.round_trips.is_empty() {
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            "nothing is to be measured",
        ));
    }
    let rows = measure(&options.round_trips, options.rounds);
    let processor = processor();
    if options.json {
        let report = Report {
            backend: BACKEND,
            processor,
            rows,
        };
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("Processor: {processor}; {BACKEND}\n\n{}", markdown(&rows));
    }
    Ok(())
}
