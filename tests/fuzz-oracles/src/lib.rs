//! What must hold whatever bytes come: one function for each fuzz target.
//!
//! The fuzz targets in `fuzz/` do nothing but call these, and so do plain tests, which replay the committed corpora. A
//! function returns if all is well and panics if not. The input is a byte string; where a target is structured, the bytes
//! are read as a program by `arbitrary`, so that every string means something and a small change of it is a small change
//! of the program.
//!
//! | target | input | oracle |
//! |---|---|---|
//! | [`prelude`] | bytes of flights | no panic; parse, encode, parse is the identity |
//! | [`frames`] | the plaintext of a record | the same, and work bounded by the bytes that are there |
//! | [`handshake_nk`] | flights and answers of a first connect | without keys nothing observable changes |
//! | [`handshake_resume`] | flights and answers of a resume | the same, and the honest client still gets through |
//! | [`endpoint`] | many links at one endpoint with small limits | bounds, the polling contract |
//! | [`two_sessions`] | a program for two ends and an adversary between them | delivery, life cycle, liveness |
//! | [`authenticated_peer`] | a program for an end that holds the keys and lies | bounds, credit, only legal reactions |
//! | [`c_abi`] | a program of calls of the C ABI, right and wrong ones | each call's promises, delivery, liveness, nothing left |
//! | [`snapshot`] | the fields of a snapshot, and changes of a sealed one | what is read is sound and written the same again; what was changed does not open |

#![forbid(unsafe_code)]

mod attack;
mod c_abi;
mod endpoint;
mod handshake;
mod host;
mod life;
mod pair;
mod peer;
mod reencode;
mod snapshot;
mod two_sessions;
mod wire;

pub use c_abi::c_abi;
pub use endpoint::endpoint;
pub use handshake::{handshake_nk, handshake_resume};
pub use peer::authenticated_peer;
pub use snapshot::snapshot;
pub use two_sessions::two_sessions;
pub use wire::{frames, prelude};

/// A target's name and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of them. A directory of `fuzz/corpus` belongs to each.
pub const TARGETS: [Target; 9] = [
    ("prelude", prelude),
    ("frames", frames),
    ("handshake_nk", handshake_nk),
    ("handshake_resume", handshake_resume),
    ("endpoint", endpoint),
    ("two_sessions", two_sessions),
    ("authenticated_peer", authenticated_peer),
    ("snapshot", snapshot),
    ("c_abi", c_abi),
];
