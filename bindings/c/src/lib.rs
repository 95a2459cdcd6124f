//! The C ABI of [`unbroken`]: the whole of [`unbroken::Session`] and [`unbroken::Endpoint`] for C, C++, C# and whatever else calls C.
//! `include/unbroken.h` is generated from these sources (`bindings/c/generate`); `README.md` has an example.
//!
//! What holds for every function:
//!
//! - It returns an `int32_t`: `UNBROKEN_OK`, a positive "nothing to do", or a negative error. After an error `unbroken_last_error` has
//!   the details; nothing else was changed or written. Numbers are never reused.
//! - There are no callbacks. The host reports what happened, then polls until `UNBROKEN_EMPTY`, in any order, as in Rust.
//! - A null pointer with length 0 is an empty slice; with another length it is `UNBROKEN_ERR_NULL`. A length over half the address space
//!   is `UNBROKEN_ERR_LENGTH`. Output pointers must not be null unless it says so.
//! - A buffer that is too small is `UNBROKEN_ERR_BUFFER_TOO_SMALL`: the need is reported and nothing is consumed.
//! - A handle is a name, not an address, so one that was freed, invented, or is of another kind is refused, always (F-52, F-53).
//!   Two threads in one handle at once: the later one gets `UNBROKEN_ERR_BUSY` and nothing happened (F-54). One after the other is fine,
//!   and so are two handles at once.
//! - A panic in the library does not cross the border: the call returns `UNBROKEN_ERR_PANIC`, and the handle can only be freed (F-59).
//! - Time is `uint64_t` microseconds on a clock of the caller's choice that does not run backwards.
//!
//! | file | mechanism |
//! |---|---|
//! | `status` | the numbers, their texts, the last error of a thread |
//! | `memory` | pointers to slices and back: the caller's promises |
//! | `table` | handles: names, generations, locks |
//! | `call` | what surrounds each call: panics, the handle, the status |
//! | `config` | structs that begin with their size, and what the core makes of them |
//! | `event`, `output`, `stats`, `store` | flat structs |
//! | `library`, `session`, `health`, `endpoint`, `served`, `stored`, `loopback` | the functions |
//!
//! Of what ships this is the only crate with `unsafe` written by hand; UniFFI generates more. (`calls` beside it, which calls it for the fuzzer, and a few tests have theirs.) It is confined to reading and writing memory that the caller points to;
//! handles need none.
#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]
#![warn(missing_docs)]
// The names are C's, so that what is read here is what the header says.
#![allow(non_camel_case_types)]

// Where panics abort there is nothing to catch, and a game server dies of what should have closed one session.
#[cfg(not(any(panic = "unwind", target_family = "wasm")))]
compile_error!("unbroken-c promises that panics are caught: build it with panic = \"unwind\"");

mod call;
mod memory;
mod table;

// The header has the functions in this order; blank lines keep the formatter from sorting it.
mod status;

mod library;

mod config;

mod session;

mod health;

mod endpoint;

mod served;

mod stored;

mod event;
mod output;
mod stats;
mod store;

mod loopback;
#[cfg(feature = "testing")]
mod testing;

pub use config::*;
pub use endpoint::*;
pub use event::*;
pub use health::*;
pub use library::*;
pub use loopback::*;
pub use output::*;
pub use served::*;
pub use session::*;
pub use stats::*;
pub use status::*;
pub use store::*;
pub use stored::*;
#[doc(hidden)]
pub use table::objects_alive;
#[cfg(feature = "testing")]
pub use testing::*;
