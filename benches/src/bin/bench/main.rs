//! Measures `unbroken` beside its peers. benches/run calls it for both crypto backends.
#![forbid(unsafe_code)]

mod report;
mod resume;
mod scale;
mod sockets;
mod speed;

use clap::Parser;
use unbroken_bench::scale::{ServerOptions, serve};

#[derive(Parser)]
enum Command {
    /// CPU time in memory; prints JSON.
    Speed(speed::Options),
    /// Throughput and latency over loopback; prints JSON.
    Sockets(sockets::Options),
    /// Time to go on after a lost link, over paths with a round trip.
    Resume(resume::Options),
    /// Very many sessions in one process, and many that come back at once.
    Scale(scale::Options),
    /// The server of `scale`, which starts it.
    #[command(hide = true)]
    ScaleServer(ServerOptions),
    /// Tables, JSON or a picture of the JSON lines on standard input.
    Report(report::Options),
}

fn main() -> std::io::Result<()> {
    match Command::parse() {
        Command::Speed(options) => speed::run(&options),
        Command::Sockets(options) => sockets::measure(options),
        Command::Resume(options) => resume::run(options)?,
        Command::Scale(options) => scale::run(options)?,
        Command::ScaleServer(options) => serve(options)?,
        Command::Report(options) => report::write(options)?,
    }
    Ok(())
}
