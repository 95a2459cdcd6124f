//! The peers, each put to the same tasks in memory: both ends on one thread, buffers instead of sockets.
//!
//! What they do differs, and the report says so: none of them numbers, keeps and replays messages across connections (QUIC does so with the bytes within one);
//! a QUIC or TLS stream has no boundaries between them; WireGuard (boringtun) needs an IP header of 20 bytes in front of each.

pub mod boringtun;
pub mod packed;
pub mod quinn;
pub mod rustls;
pub mod snow;
