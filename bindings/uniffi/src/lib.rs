//! The client's session for Kotlin, Swift and Python: what UniFFI generates their code from.
//!
//! The surface is one object with one verb. A call from Kotlin (JNA) costs ten microseconds and more, so there is one per I/O event, however
//! much it carries: [`Session::step`] takes all that has happened and gives all that is to be done.
//!
//! ```text
//!            inputs, room, now                         links up and down, bytes, messages to send, hints of the system
//!   driver ────────────────────► Session::step
//!          ◄────────────────────                       bytes to write, links to open, messages, events, the next deadline
//!                  Step
//! ```
//!
//! There is no callback: nothing of the application runs while the session is locked, and nothing of it can be freed by its own event.
//! The driver of each language (sockets, timer, its manner of waiting) is hand-written beside the generated code. `Endpoint`, the
//! server's end, is not here: phones do not serve.
#![forbid(unsafe_code)]

mod config;
mod error;
mod event;
mod session;
mod step;

pub use config::ClientConfig;
pub use error::{RefusalCode, UnbrokenError};
pub use event::{CloseReason, Event, FailReason, HandoverCause, State};
pub use session::{Session, Stats};
pub use step::{Input, LinkHealth, Message, NetworkHint, Output, Refusal, Step};

uniffi::setup_scaffolding!("unbroken");
