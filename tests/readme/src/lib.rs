//! The code blocks of the README are doc tests of this crate, so that none of them can rot.

#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
