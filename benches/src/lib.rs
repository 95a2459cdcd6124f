//! What the programs of this crate share.
//!
//! | file | what |
//! |---|---|
//! | `clock`, `rounds` | CPU time, and measuring things in turns so that a noisy machine disturbs all of them alike |
//! | `peers` | the same tasks for rustls, quinn-proto, snow and boringtun |
//! | `bare` | ciphers and memcpy without any protocol |
//! | `sockets` | the same over loopback, beside TCP, TLS, QUIC and WebSocket |
//! | `files` | open files for very many sockets |
//! | `resume` | going on after a lost link, over paths with a round trip, beside TLS and QUIC |
//! | `scale` | very many sessions in one server process, and many that come back at once |
//! | `report`, `picture` | tables, JSON and SVG |
#![forbid(unsafe_code)]

pub mod bare;
pub mod clock;
pub mod files;
pub mod peers;
pub mod picture;
pub mod report;
pub mod resume;
pub mod rounds;
pub mod scale;
pub mod sockets;

// Our own ends stand in the workspace of the core, where their instructions are counted.
pub use unbroken_hot::{Talk, ends, look};

/// The backend that this build's core uses.
pub const BACKEND: &str = if cfg!(feature = "aws-lc-rs") {
    "aws-lc-rs"
} else {
    "portable"
};
