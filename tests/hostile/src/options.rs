//! What can be chosen, and the roles that this program has.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{honest, prey, priority, run, server};

/// A real server under half-handshakes, random handles, replayed flights, slow drips, PING floods, stalled readers and garbage, with 100 honest clients
/// beside them; then honest clients among hostile servers. Ends with 0 if nothing was lost, the honest clients' 99th percentile stayed within twice
/// the calm one, and memory is flat. All traffic stays on loopback.
#[derive(Parser, Clone, Debug)]
#[command(name = "unbroken-hostile", version)]
pub struct Options {
    /// How long the attacks last, in minutes; 1 to 600. The calm before and the time after are about a minute more
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub minutes: u64,
    /// Honest clients, each with one session; 1 to 1000
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub clients: u32,
    /// Half-handshakes a second; 1,667 make 100,000 in a minute; 10 to 5000
    #[arg(long, value_name = "RATE", default_value_t = 1_700, value_parser = clap::value_parser!(u32).range(10..=5000))]
    pub half_handshakes: u32,
    /// Where the cuts of honest links are drawn from; what the attackers do differs from run to run
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Print one JSON object to standard output at the end
    #[arg(long)]
    pub json: bool,
    #[command(subcommand)]
    pub role: Option<Role>,
}

/// The other processes: started by this program itself, and asked over standard input.
#[derive(Subcommand, Clone, Debug)]
pub enum Role {
    /// The server under attack
    #[command(hide = true)]
    Server,
    /// The honest clients
    #[command(hide = true)]
    Honest {
        /// The server
        address: std::net::SocketAddr,
        /// How many
        clients: u32,
        /// Where cuts are drawn from
        seed: u64,
    },
    /// Honest clients that dial hostile servers
    #[command(hide = true)]
    Prey {
        /// The servers, one of each kind
        addresses: Vec<std::net::SocketAddr>,
    },
}

pub fn main() -> ExitCode {
    let options = Options::parse();
    // Thousands of connections stand at once, on either side.
    let _ = rlimit::increase_nofile_limit(1 << 17);
    let drives = options.role.is_none();
    let threads = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // In the process that drives, they are the attackers'.
        .on_thread_start(move || {
            if drives {
                priority::last()
            }
        })
        .build();
    let runtime = match threads {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(async {
        match options.role.clone() {
            None => run::run(&options).await,
            Some(Role::Server) => server::run().await,
            Some(Role::Honest { address, clients, seed }) => honest::run(address, clients, seed).await,
            Some(Role::Prey { addresses }) => prey::run(&addresses).await,
        }
    });
    // Tasks that still run end with the process.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cannot run: {error}");
            ExitCode::from(2)
        }
    }
}
