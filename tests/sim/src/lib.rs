//! Two ends, a hostile network and a clock that jumps.
//!
//! One seed makes a whole run: the options, the fate of each connection, what the applications say and when, the order in
//! which the host polls. A run that breaks a guarantee prints the seed, the options and the last events.
//!
//! - [`world`] has the parts and drives them; [`pair`] and [`fleet`] are the two ways to use it.
//! - [`net`] and [`fate`] are the network and what goes wrong in it.
//! - [`flow`], [`life`] and [`absence`] are the oracles: what is delivered, what is told, how long nothing could be.
//! - [`links`] is another network, about time: what TCP makes of a Wi-Fi that fades.
//! - [`cluster`] is another world: several server processes that share a store, and what goes wrong between them.
//! - [`setting`] is a run before it runs; [`random`] draws the widest, [`shrink`] makes one that fails simpler.
//! - [`campaign`] runs seeds for hours, in pieces.
//! - [`raw`] speaks the protocol by hand, to say what an honest end never would.

#![forbid(unsafe_code)]

pub mod absence;
pub mod bench;
pub mod campaign;
pub mod clock;
pub mod cluster;
pub mod fate;
pub mod fleet;
pub mod flow;
pub mod life;
pub mod links;
pub mod net;
pub mod options;
pub mod pair;
pub mod profile;
pub mod random;
pub mod raw;
pub mod rng;
pub mod runner;
pub mod setting;
pub mod shrink;
pub mod trace;
pub mod world;

pub use bench::{ClientBench, ServerBench};
pub use fate::{Connect, Copied, Cut, Fate, Forge, Side, Stall, When};
pub use fleet::Fleet;
pub use options::Options;
pub use pair::Pair;
pub use profile::Profile;
pub use rng::Rng;
pub use runner::{Failure, run_seed};
pub use setting::Setting;
pub use world::{Node, Totals, World};

/// Whether the program was called with `--help` or `-h`.
pub fn is_asked_for_help() -> bool {
    std::env::args().skip(1).any(|arg| arg == "--help" || arg == "-h")
}
