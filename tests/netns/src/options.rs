//! The command line.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::scenario::Scenario;
use crate::{client, drive, plain, server, shaper};

type Outcome = Result<bool, Box<dyn std::error::Error>>;

/// Path changes on real network stacks. Use `tests/netns/run`, which builds the namespaces.
#[derive(Parser)]
#[command(name = "unbroken-netns", version)]
enum Options {
    /// The names of the scenarios
    List,
    /// Run the scenarios in worlds that exist already
    Drive(drive::Drive),
    /// (part) forward frames between pairs of interfaces, late or not at all
    Shape {
        /// PATH=NEAR,FAR
        #[arg(required = true)]
        paths: Vec<String>,
        /// For the losses
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// (part) the server, for sessions and for plain TCP
    Server { sessions: SocketAddr, plain: SocketAddr },
    /// (part) the client with a session
    Client {
        server: SocketAddr,
        /// A network: NUMBER=IP or NUMBER=DEVICE
        #[arg(long)]
        network: Vec<client::Bound>,
    },
    /// (part) the plain TCP client
    Plain { server: SocketAddr },
}

/// What makes the paths slow and lossy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Means {
    /// The kernel's qdisc netem.
    Netem,
    /// The shaper in this crate.
    User,
}

/// Runs what the command line says.
pub fn main() -> ExitCode {
    let outcome = match Options::parse() {
        Options::List => {
            Scenario::all()
                .iter()
                .for_each(|scenario| println!("{}", scenario.name()));
            Ok(true)
        }
        Options::Drive(options) => threads(drive::drive(options)),
        Options::Shape { paths, seed } => shaper::run(&paths, seed).map(|()| true).map_err(Into::into),
        Options::Server { sessions, plain } => alone(server::run(sessions, plain)),
        Options::Client { server, network } => alone(client::run(server, network)),
        Options::Plain { server } => alone(plain::client(server)),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("unbroken-netns: {error}");
            ExitCode::from(2)
        }
    }
}

fn threads(future: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(future)
}

fn alone(future: impl Future<Output = Result<(), Box<dyn std::error::Error>>>) -> Outcome {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(future)
        .map(|()| true)
}
