//! What can be chosen, and what is refused.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use unbroken_tokio::Durability;

/// Three server processes behind a load balancer, each restarted in turn and one killed, under clients that play a game with state. Nothing may be lost
/// or played twice, and every state must equal a reference that never saw a restart; the exit code tells.
#[derive(Parser, Clone, Debug)]
#[command(name = "rolling_restart", version, args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The players' moves are drawn from it; 0 to 2^64 - 1
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Clients, each with one session; 1 to 2000
    #[arg(long, default_value_t = 200, value_parser = bounded(1, 2000), allow_hyphen_values = true)]
    pub clients: u64,
    /// Mean time between a client's turns, in milliseconds; 1 to 10000
    #[arg(long, value_name = "MS", default_value_t = 40, value_parser = bounded(1, 10_000), allow_hyphen_values = true)]
    pub turn_every: u64,
    /// How long a server that leaves spreads its clients, in milliseconds; 0 to 60000
    #[arg(long, value_name = "MS", default_value_t = 1500, value_parser = bounded(0, 60_000), allow_hyphen_values = true)]
    pub window: u64,
    /// How often a server is killed with -9, at a moment of its own, after all have been restarted; 0 to 1000
    #[arg(long, default_value_t = 1, value_parser = bounded(0, 1000), allow_hyphen_values = true)]
    pub kills: u64,
    /// What the servers promise: with swap-out no server is killed, as that would end its sessions
    #[arg(long, value_enum, default_value_t = Promise::Durable)]
    pub durability: Promise,
    /// A Redis or Valkey server instead of a store process with one file, as redis://HOST:PORT
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// Which balancer: haproxy must be installed
    #[arg(long, value_enum, default_value_t = Balancer::Auto)]
    pub balancer: Balancer,
    /// Where the HTML report goes
    #[arg(long, value_name = "FILE", default_value = "rolling-restart-report.html")]
    pub report: PathBuf,
    /// Print one JSON object to standard output at the end
    #[arg(long)]
    pub json: bool,
}

/// What the processes of a run are.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// One server process
    #[command(hide = true)]
    Serve(Serve),
    /// The process that owns the store's file
    #[command(hide = true)]
    Keep(Keep),
}

#[derive(Args, Clone, Debug)]
pub struct Serve {
    #[arg(long)]
    pub listen: SocketAddr,
    /// Where it says whether it is ready
    #[arg(long)]
    pub probe: SocketAddr,
    /// redis://... or the address of a store process
    #[arg(long)]
    pub store: String,
    #[arg(long, value_enum)]
    pub durability: Promise,
    #[arg(long)]
    pub window: u64,
    #[arg(long)]
    pub seed: u64,
}

#[derive(Args, Clone, Debug)]
pub struct Keep {
    #[arg(long)]
    pub file: PathBuf,
    #[arg(long)]
    pub listen: SocketAddr,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Promise {
    SwapOut,
    Durable,
}

impl Promise {
    /// As the command line has it.
    pub fn name(self) -> &'static str {
        match self {
            Promise::SwapOut => "swap-out",
            Promise::Durable => "durable",
        }
    }
}

impl From<Promise> for Durability {
    fn from(promise: Promise) -> Durability {
        match promise {
            Promise::SwapOut => Durability::SwapOut,
            Promise::Durable => Durability::Durable,
        }
    }
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Balancer {
    /// HAProxy where it is installed
    Auto,
    Haproxy,
    /// The example's own
    Small,
}

fn bounded(min: u64, max: u64) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync + 'static {
    move |text| match text.parse::<u64>() {
        Ok(n) if (min..=max).contains(&n) => Ok(n),
        Ok(n) => Err(format!("{n} is out of bounds; choose {min} to {max}")),
        Err(_) => Err(format!("`{text}` is not a whole number; choose {min} to {max}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_refused_with_value_and_remedy() {
        for (name, value) in [
            ("--clients", "0"),
            ("--clients", "2001"),
            ("--turn-every", "-1"),
            ("--window", "soon"),
            ("--kills", "1001"),
        ] {
            let error = Options::try_parse_from(["rolling_restart", name, value])
                .map(drop)
                .unwrap_err()
                .to_string();
            assert!(error.contains(value) && error.contains("choose"), "{error}");
        }
    }

    #[test]
    fn the_defaults_are_within_bounds() {
        let options = Options::try_parse_from(["rolling_restart"]).unwrap();
        assert_eq!((options.clients, options.durability), (200, Promise::Durable));
    }
}
