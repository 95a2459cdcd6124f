//! Tests of the wire layer. Names begin with the row of the test plan they stand for: `f` for what a peer may send,
//! `l` for limits; the rest is plain.

extern crate std;

mod errors;
mod exhaustive;
mod flight;
mod frame;
mod hostile;
mod model;
mod prelude;
mod record;
mod varint;
