//! The two primitives the protocol takes from elsewhere, behind one trait: AES-256-GCM and X25519.
//!
//! [`portable`] is RustCrypto and dalek, `no_std` and pure Rust. `aws_lc` (feature `aws-lc-rs`) is AWS-LC. Both give the
//! same bytes, so the choice is one of speed and of build, never of protocol; [`Active`] is the chosen one. The hash is not
//! behind the trait: it is a few microseconds of each handshake and nothing of a record.
//!
//! Nonces are Noise's for AESGCM: 4 zero bytes, then the number as 8 bytes big-endian (U-29).

use zeroize::Zeroizing;

use super::AuthError;

#[cfg(feature = "aws-lc-rs")]
pub mod aws_lc;
#[cfg(unbroken_mock_crypto)]
pub mod mock;
pub mod portable;

/// The backend that everything but a test uses.
#[cfg(unbroken_mock_crypto)]
pub type Active = mock::Mock;
/// The backend that everything but a test uses.
#[cfg(all(feature = "aws-lc-rs", not(unbroken_mock_crypto)))]
pub type Active = aws_lc::AwsLc;
/// The backend that everything but a test uses.
#[cfg(not(any(feature = "aws-lc-rs", unbroken_mock_crypto)))]
pub type Active = portable::Portable;

/// A source of the primitives.
pub trait Backend {
    /// Its AES-256-GCM.
    type Cipher: Cipher;

    /// An X25519 secret key, made ready to be used more than once. It wipes itself when dropped.
    type SecretKey: Send + Sync;

    /// A secret key of 32 bytes, whatever they are.
    fn secret_key(bytes: &[u8; 32]) -> Self::SecretKey;

    /// The X25519 public key of a secret key.
    fn public_key(secret: &Self::SecretKey) -> [u8; 32];

    /// X25519. An all-zero result is an error: the peer sent a point of low order, which would make the result known to
    /// everybody (U-3).
    fn diffie_hellman(secret: &Self::SecretKey, public: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, AuthError>;
}

/// AES-256-GCM under one key.
///
/// The lengths of the slices are the caller's own arithmetic, not the peer's: a wrong one panics.
pub trait Cipher: Sized + Send {
    /// Expands a key.
    fn new(key: &[u8; 32]) -> Self;

    /// Seals `plaintext` into `out`, which is 16 bytes longer.
    fn seal(&self, nonce: u64, ad: &[u8], plaintext: &[u8], out: &mut [u8]);

    /// Seals `buffer` where it stands; its last 16 bytes are room for the tag.
    fn seal_in_place(&self, nonce: u64, ad: &[u8], buffer: &mut [u8]);

    /// Opens `sealed` into `out`, which is 16 bytes shorter. After an error `out` holds nothing that was decrypted.
    fn open(&self, nonce: u64, ad: &[u8], sealed: &[u8], out: &mut [u8]) -> Result<(), AuthError>;
}

/// Noise's AESGCM nonce for a number.
pub(crate) fn nonce_bytes(nonce: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&nonce.to_be_bytes());
    bytes
}
