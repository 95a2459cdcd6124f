//! A phone on its way: networks that fade, stall and change under real TCP behaviour, and how long an application goes without.
//!
//! The network of [`crate::net`] cuts connections in every way a protocol could suffer from. This one is about time: what a
//! TCP connection makes of loss, delay and silence on the path below it.
//!
//! - [`path`]: one network, "wifi" or "cellular": delay, loss, weather
//! - [`tcp`]: a connection over it: retransmission, order, congestion window
//! - [`road`]: a session, its servers and the applications, and the oracles; [`report`] measures from outside what they lived through
//! - [`rows`]: the scenarios of `docs/HANDOVER.md`

pub mod path;
pub mod report;
pub mod road;
pub mod rows;
pub mod tcp;

pub use path::{Path, Weather};
pub use report::Spread;
pub use road::{Road, Route, Setup};
