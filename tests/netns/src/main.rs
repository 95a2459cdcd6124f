//! Path changes on real network stacks. A client in a network namespace of its own reaches a server in another one over two paths, "wifi" and
//! "cellular", which are made slow, lossy and silent while numbered messages go both ways. Beside it, a plain TCP client that
//! reconnects on errors lives through the same. `tests/netns/run` builds the namespaces and starts `drive`; the rest are its parts:
//!
//! - `drive.rs`: all scenarios at once, each in its own world; `scenario.rs`: what happens in each; `world.rs`: one world's processes and paths
//! - `shaper.rs`, `packet.rs`: the paths, where the kernel has no netem
//! - `server.rs`, `client.rs`, `plain.rs`: the programs in the namespaces; `talk.rs`: what they send; `order.rs`: what they obey
//! - `book.rs`: what was sent and received; `checker.rs`: the verdict, from the books alone; `table.rs`: the figures and the pass marks
#[cfg(target_os = "linux")]
mod book;
#[cfg(target_os = "linux")]
mod checker;
#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod drive;
#[cfg(target_os = "linux")]
mod options;
#[cfg(target_os = "linux")]
mod order;
#[cfg(target_os = "linux")]
mod packet;
#[cfg(target_os = "linux")]
mod plain;
#[cfg(target_os = "linux")]
mod scenario;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod shaper;
#[cfg(target_os = "linux")]
mod table;
#[cfg(target_os = "linux")]
mod talk;
#[cfg(target_os = "linux")]
mod world;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    options::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("network namespaces are Linux's");
    std::process::ExitCode::FAILURE
}
