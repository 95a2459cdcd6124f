//! Everything secret: the handshake, the key schedule, the records, the handles and the random numbers.
//!
//! ```text
//!                  keys          ServerKey, PublicKey, ClusterKey
//!                   |
//!   rng --e-->    noise          message 1, message 2 (NK and NKpsk0)          U-1 to U-3
//!                   |  Split
//!         +---------+---------+
//!         v                   v
//!      record              schedule   rs -> psk and mac1 key of the next RESUME    U-12, U-27, U-28
//!   Sealer, Opener         Resumption
//!   U-29, U-30
//!                          handle     cluster key -> 16 opaque bytes               U-26
//! ```
//!
//! Below all of them lie `prf` (HMAC-SHA256, the only hash construction the protocol knows) and `backend` (AES-256-GCM and
//! X25519, by RustCrypto and dalek or by AWS-LC).
//!
//! Three habits hold throughout. A secret is wiped when it is dropped and has no `Debug`. Everything that can fail because a
//! peer lied fails with the same [`AuthError`], without saying where (U-3). And no function takes a nonce from outside: a
//! handshake key seals exactly one message, a record key counts for itself.

pub mod backend;
mod error;
pub mod handle;
pub mod keys;
pub mod noise;
mod prf;
pub mod record;
pub mod rng;
pub mod schedule;
mod symmetric;

#[cfg(test)]
mod tests;

pub use error::{AuthError, Exhausted};
pub use handle::HandleCipher;
pub use keys::{ClusterKey, PublicKey, ServerKey, ZeroKey};
pub use noise::{Initiator, Responder};
pub use record::{Opener, Sealer};
pub use rng::{Rng, Seed};
pub use schedule::{Key, Psk, Resumption, Split};

/// The length of an AES-GCM tag: what sealing adds to a plaintext.
pub const TAG: usize = 16;

/// What a Noise message adds to its payload: the ephemeral public key and a tag.
pub const NOISE_OVERHEAD: usize = 32 + TAG;
