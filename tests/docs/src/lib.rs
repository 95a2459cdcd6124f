//! The code blocks of `README.md`, `docs/` and the other documents, held against the code.
//!
//! - A `rust` block is compiled and run as a documentation test of this crate (`build.rs` collects them).
//! - A `csharp` block is a file that `tests/unity/run example` compiles and runs; `kotlin`, `swift`, `python` and `c` have their parts of `tests/run`, too.
//! - In an `sh` block every command must exist, with the packages, examples, tests and files it names (`tests/commands.rs`).
//! - A `json` or `toml` block must be well formed.
//! - A `text` block is not looked at. A block must say which of these it is.

pub mod fences;

#[cfg(any(doc, doctest))]
include!(concat!(env!("OUT_DIR"), "/blocks.rs"));
