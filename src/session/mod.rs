//! The client: one session that redials its links.
//!
//! | file | mechanism |
//! |---|---|
//! | `phase` | all state transitions |
//! | `conversation` | what client and server have in common; the API's ground |
//! | `receive`, `transmit` | bytes to messages, messages to bytes |
//! | `outbox`, `overlay`, `marks`, `inbox`, `stretches`, `queue` | where messages wait |
//! | `batch` | messages taken all at once |
//! | `ack`, `auth`, `closing`, `handover` | the mechanisms above records |
//! | `link`, `liveness`, `rtt`, `timers` | one link, and whether it lives; when to look again |
//! | `stats` | counters |
//! | `client` | the API; `redial`, `spare`, `answer`: when to dial and what comes of it |
//! | `dial`, `networks`, `handshake`, `backoff` | connections under way, where they lead, flights, delays |

pub(crate) mod ack;
mod answer;
pub(crate) mod auth;
mod backoff;
mod batch;
mod client;
pub(crate) mod closing;
pub(crate) mod conversation;
mod copy;
mod dial;
pub(crate) mod handover;
mod handshake;
pub(crate) mod inbox;
pub(crate) mod link;
pub(crate) mod liveness;
mod marks;
mod networks;
pub(crate) mod outbox;
mod overlay;
#[doc(hidden)]
pub mod phase;
pub(crate) mod queue;
pub(crate) mod receive;
mod redial;
pub(crate) mod rtt;
mod spare;
pub(crate) mod stats;
mod stretches;
pub(crate) mod timers;
pub(crate) mod transmit;

#[cfg(test)]
pub(crate) mod tests;

pub use auth::{Credential, Verdict};
pub use batch::Batch;
pub use client::Session;
pub use stats::Stats;
pub use transmit::MIN_BUFFER;
