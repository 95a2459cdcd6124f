//! The mechanisms of an endpoint, one by one.

mod admission;
mod arrivals;
mod asking;
mod asleep;
mod burial;
mod claims;
mod closing;
mod counts;
mod deadlines;
mod doubt;
mod first_record;
mod flights;
mod health;
mod inquest;
mod kept;
#[cfg(not(unbroken_mock_crypto))]
mod large;
mod leases;
mod leaving;
mod mail;
#[cfg(not(unbroken_mock_crypto))]
mod memory;
mod messages;
mod ratchet;
mod requests;
mod retiring;
mod rewriting;
mod router;
mod stand;
mod stored;
mod tombstones;
mod unseating;
mod users;
mod verdict;
mod waking;
