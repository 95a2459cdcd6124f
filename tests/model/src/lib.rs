//! A model of the takeover protocol (`docs/TAKEOVER.md`) for the model checker `stateright`, which visits every state that can be
//! reached and says whether a property fails in one.
//!
//! ```text
//!                       ┌── A ──┐  commit, park, claim   ┌───────┐
//!   client ── balancer ─┤       ├────────────────────────┤ store │  compare-and-set, or not; answers late or never; forgets
//!     │                 └── B ──┘  each other's notes    └───────┘
//!     └ attacker: keeps every flight, sends each to any server at any time, makes up others
//! ```
//!
//! One session, which A has at first. A step is a message read or written, a request carried out, an answer heard, or a fault; any
//! process may take its next step at any time, or never: a sleeping process is one that takes none. Numbers are small, each kind of
//! fault is bounded, all orders are tried.
//!
//! Crypto is ideal: a generation of secrets is a number that nobody can guess, so a flight or a record is good if it was made with the
//! number that its reader has. Two accepts of one flight make two different secrets under one generation number, as in life.
//!
//! [`rules`] has the rules and what takes each away, [`scenarios`] what is checked, [`properties`] what must hold; [`state`] is the
//! world, and [`actions`] what can happen in it.

pub mod actions;
pub mod check;
mod client;
pub mod properties;
pub mod rules;
pub mod scenarios;
mod server;
pub mod snapshot;
pub mod state;
mod store;
mod takeover;

pub use actions::Action;
pub use rules::{Bounds, Mode, Rule, Takeover, Without};
