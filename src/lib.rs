//! unbroken
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[doc(hidden)]
pub mod crypto;
#[doc(hidden)]
pub mod wire;
