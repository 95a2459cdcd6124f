//! A TCP proxy that breaks connections in all the ways networks do, from a seed. It stands between real sockets in the tests and the
//! examples of every language binding.
//!
//! What it can do to a link: end it with FIN, or with RST; forward `k` more bytes and then end it, which cuts records anywhere;
//! *stall* it, both ways and without a FIN, as a dying radio does, and then cut it or let it recover; *delay* it for a while; end
//! it and *refuse* new connections for a while.
//!
//! [`Plan`] says how often, how long and what, by weight. The plan for the n-th link is drawn from the seed and n alone, so the same
//! seed gives the same faults to the same links, as far as the kernel's scheduling allows. A test that wants to do it by
//! hand takes [`Plan::none`] and calls [`Proxy::cut_all`], [`Proxy::stall`], [`Proxy::refuse`], [`Proxy::trickle`].
//!
//! One task per link forwards both directions (`link.rs`); the listener is in `proxy.rs`, the plan in `plan.rs`.
#![forbid(unsafe_code)]

mod link;
mod plan;
mod proxy;

pub use plan::{Fault, Plan, Weights};
pub use proxy::{Counts, Proxy};
