//! Bytes to values and back: everything that stands on the wire, nothing about what it means.
//!
//! The files below know the layouts of `docs/PROTOCOL.md` and no state: no keys, no sequence numbers to compare
//! with, no clock. That is the line this module draws. A value that is wrong whatever the session's state (a range
//! upside down, a length past its buffer, an unknown kind) is refused here and cannot be written in the parsed types;
//! a value that is wrong only for *this* session (a gap, an ACK for something never sent) is refused by its owner.
//!
//! Every parser is total: any bytes give a value or an error, never a panic, and the work is bounded by the bytes
//! that are there, not by what a length field claims. Nothing is copied: parsed values borrow the input.
//!
//! - [`varint`]: the variable-length integer all frames are made of.
//! - [`prelude`]: the 12 bytes every link starts with.
//! - [`flight`]: the fixed-width payloads of the first flights.
//! - [`record`]: the length in front of each sealed record.
//! - [`frame`]: what stands inside an opened record.

pub mod flight;
pub mod frame;
pub mod prelude;
pub mod record;
pub mod varint;

pub(crate) mod reader;

#[cfg(test)]
mod tests;
