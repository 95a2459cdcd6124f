//! A peer that holds the keys and lies: everything that authentication lets through.
//!
//! The peer completes an honest handshake, then follows a program: records of any frames or any bytes, ACKs of anything,
//! RESUMEs and ACCEPTs of any content. The end under test may close the link, or the session with a reason; it may not panic,
//! grow, break the promises it made to its own application, or pass the credit it was given.

mod bench;
mod client;
mod frames;
mod program;
mod server;
#[cfg(test)]
mod tests;
mod watch;

use arbitrary::{Arbitrary, Unstructured};

use self::program::Program;

/// Runs the program that `data` spells, against an endpoint's session or against a client.
pub fn authenticated_peer(data: &[u8]) {
    let Ok(program) = Program::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    crate::host::trace(&program);
    if program.against_client {
        server::run(&program)
    } else {
        client::run(&program)
    }
}
