//! The rows of the fault table, one test or more each; the tests' names begin with the rows they are for.

mod common;

mod api;
mod authenticated;
mod beginnings;
mod coverage;
mod devices;
mod lessons;
mod links;
mod quantity;
mod replaced;
mod restore;
mod round_trips;
mod seeds;
mod time;
mod unauthenticated;
mod verdict;
mod watched;
