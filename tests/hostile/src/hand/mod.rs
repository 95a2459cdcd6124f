//! The protocol's two ends by hand, from the core's parsers, emitters and ciphers: they can say what the library never would.
//!
//! - `client.rs`: first flights, good and bad, and a session that was let in
//! - `server.rs`: the answers of a server that has the key, and lies
//! - `line.rs`: what both have after the handshake: records

mod client;
mod line;
mod server;

pub use client::{Session, hello, query, random_resume};
pub use line::Line;
pub use server::{Answer, Keys, flight, half_accept, refuse, welcome};

use unbroken::wire::flight::{Versions, Window};
use unbroken::wire::prelude::{self, FlightKind, Prelude};

const VERSIONS: Versions = Versions { min: 1, max: 1 };

/// As much as may be asked for.
const WINDOW: Window = Window {
    messages: 65_536,
    bytes: 64 << 20,
    max_message: 1 << 20,
};

/// A prelude that nobody can find fault with.
fn head(kind: FlightKind, length: usize) -> [u8; prelude::LEN] {
    Prelude {
        version: 1,
        kind,
        key_id: crate::server::key().id(),
        length: length as u16,
    }
    .encode()
}

/// Random bytes: what a hostile end needs of keys.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fastrand::fill(&mut bytes);
    bytes
}
