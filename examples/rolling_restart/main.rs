//! Servers that are restarted under their players.
//!
//!     cargo run --release --example rolling_restart
//!
//! Three real server processes behind a load balancer, and 200 clients that play a game of turns, each with a state of its own that lives
//! in its server. While they play, each server is told to leave (SIGTERM), gives its sessions away, and is started anew; then one is killed with
//! -9. Every answer is held against a reference that never saw a restart: the same game, played by itself in the client. The verdict: no turn
//! lost, none played twice, every state equal.
//!
//! - `options.rs`: what can be chosen, and what is refused
//! - `game.rs`: the rules; the same code in the server and in the reference
//! - `server.rs`: a server process; this is what one copies
//! - `storing.rs`: the store that they share: a process with one file, or Redis
//! - `player.rs`: a client, and its reference
//! - `balancer.rs`: HAProxy where it is installed, else a small one
//! - `fleet.rs`: processes: started, told to leave, killed
//! - `run.rs`: what happens when
//! - `chronicle.rs`, `summary.rs`, `display.rs`, `report.rs`: what was seen of it
#![forbid(unsafe_code)]

mod balancer;
mod chronicle;
mod display;
mod fleet;
mod game;
mod options;
mod player;
mod report;
mod run;
mod server;
mod storing;
mod summary;

use std::process::ExitCode;

use clap::Parser;
use options::{Command, Options};

fn main() -> ExitCode {
    let mut options = Options::parse();
    let _ = rlimit::increase_nofile_limit(1 << 16);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = match options.command.take() {
        Some(Command::Serve(serve)) => runtime.block_on(server::serve(serve)),
        Some(Command::Keep(keep)) => runtime.block_on(storing::keep(keep)),
        None => return play(&runtime, &options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn play(runtime: &tokio::runtime::Runtime, options: &Options) -> ExitCode {
    if let Err(error) = report::check(options) {
        let place = options.report.display();
        eprintln!("cannot write the report to {place}: {error}; name another place with --report FILE");
        return ExitCode::from(2);
    }
    let outcome = match runtime.block_on(run::run(options)) {
        Ok(outcome) => outcome,
        Err(error) => {
            eprintln!("cannot run: {error}");
            return ExitCode::FAILURE;
        }
    };
    let summary = &outcome.summary;
    if options.json {
        println!("{}", summary.to_json(options));
    } else {
        println!("{}", summary.to_text());
    }
    let written = report::write(options, &outcome);
    match &written {
        Ok(()) => eprintln!("report: {}", options.report.display()),
        Err(error) => eprintln!("cannot write the report to {}: {error}", options.report.display()),
    }
    match summary.verdict() {
        Ok(()) if written.is_ok() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("FAILED: {why}\nwhat the processes said: {}", outcome.logs.display());
            ExitCode::FAILURE
        }
    }
}
