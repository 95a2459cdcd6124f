//! unbroken
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod config;
#[doc(hidden)]
pub mod crypto;
pub mod error;
pub mod event;
#[doc(hidden)]
pub mod session;
mod time;
#[doc(hidden)]
pub mod wire;

pub use time::Instant;
