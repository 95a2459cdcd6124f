//! Sessions that go from process to process: the rows of the fault table that are about the store, and seeds that draw all of them at once.

mod common;
mod conformance;
mod crashes;
mod moves;
mod others;
mod records;
mod seeds;
mod users;
mod waiting;
