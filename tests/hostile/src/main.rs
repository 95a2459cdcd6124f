//! A real server among hostile clients, with honest ones beside them; and honest clients among hostile servers.
//!
//!     cargo run --release -p unbroken-hostile -- --minutes 1
//!
//! ```text
//!                         process "server"                                  process "prey"
//!   process "honest"     unbroken_tokio::Server                          unbroken_tokio::Client ...
//!   100 clients, cut ──►  with all defaults                                      │ dial
//!   now and then                ▲                                                ▼
//!                               │ attacks/, from thousands of loopback      servers/: hostile servers
//!                               │ addresses
//!                        this process: drives, attacks, poses as servers, reads /proc, judges
//! ```
//!
//! Three phases. *Calm*: the honest clients alone; that is what the others are measured against. *Attack*: all attacks at once, each at a bounded
//! rate, for the honest clients work on the same cores. *After*: the attackers have left, the server must come back to what it was; meanwhile the other half
//! of the trial, in which honest clients dial hostile servers, with a server process that idles beside them.
//!
//! Each role that is measured is a process of its own, so what /proc says of it is its own.
//!
//! - `options.rs`: what can be chosen; `run.rs`: the phases; `watch.rs`: memory, CPU and descriptors over time
//! - `process.rs`: the other processes and how they are asked; `proc.rs`: what the system says of them; `priority.rs`: who gets the cores first
//! - `server.rs`, `honest.rs`, `prey.rs`: the roles; `latency.rs`, `sequence.rs`: what the honest clients measure and check
//! - `attacks/`: a file for each attack; `recorder.rs`: whose flights they replay; `hand/`: the protocol's two ends by hand
//! - `servers/`: a file for each kind of hostile server
//! - `findings.rs`: what was seen; `verdict.rs`: what must hold of it; `table.rs`: how it is told
#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod attacks;
#[cfg(target_os = "linux")]
mod findings;
#[cfg(target_os = "linux")]
mod hand;
#[cfg(target_os = "linux")]
mod honest;
#[cfg(target_os = "linux")]
mod latency;
#[cfg(target_os = "linux")]
mod options;
#[cfg(target_os = "linux")]
mod prey;
#[cfg(target_os = "linux")]
mod priority;
#[cfg(target_os = "linux")]
mod proc;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod recorder;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod sequence;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod servers;
#[cfg(target_os = "linux")]
mod table;
#[cfg(target_os = "linux")]
mod verdict;
#[cfg(target_os = "linux")]
mod watch;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    options::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("this reads /proc and dials from all of 127.0.0.0/8: it is for Linux");
    std::process::ExitCode::FAILURE
}
