//! The other end for the C# tests. `server` echoes behind the fault proxy and obeys commands on its standard input; `client` talks
//! through a fault proxy of its own to a server in C# and judges what comes back. The keys are constants that the tests know.
#![forbid(unsafe_code)]

mod client;
mod server;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "unbroken-unity-peer")]
struct Options {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// An echo server; the first line it prints is the proxy's port
    Server(server::Options),
    /// A client of a server on loopback; exits with 0 if every message came back once and in order
    Client(client::Options),
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    match Options::parse().role {
        Role::Server(options) => server::run(options).await,
        Role::Client(options) => client::run(options).await,
    }
}
