//! The mechanisms of an endpoint, one by one.

mod admission;
mod deadlines;
#[cfg(not(unbroken_mock_crypto))]
mod memory;
mod ratchet;
mod router;
mod tombstones;
