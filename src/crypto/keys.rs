//! The long-lived keys: the server's X25519 pair, its public half as clients pin it, and the secret a cluster shares.
//!
//! A key of zeros is what a forgotten configuration looks like, and with it everything would seem to work. So it cannot be
//! constructed (L-19).

use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::backend::{Active, Backend};
use super::prf::{self, Prf, Secret};
use super::schedule::Key;

/// The static key pair of a server. Clones share one copy of the secret, which is wiped with the last of them.
#[derive(Clone)]
pub struct ServerKey(Arc<KeyPair<Active>>);

impl ServerKey {
    /// From the 32 bytes of an X25519 secret.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, ZeroKey> {
        Ok(Self(Arc::new(KeyPair::from_bytes(bytes)?)))
    }

    /// What clients pin.
    pub fn public(&self) -> PublicKey {
        self.0.public
    }

    /// The id of the public key.
    pub fn id(&self) -> [u8; 4] {
        self.0.public.id()
    }
}

/// For the handshake, which takes the pair of any backend.
#[doc(hidden)]
impl Deref for ServerKey {
    type Target = KeyPair<Active>;

    fn deref(&self) -> &KeyPair<Active> {
        &self.0
    }
}

/// A server's secret, ready for the backend that uses it, and its public key.
pub struct KeyPair<B: Backend> {
    pub(super) secret: B::SecretKey,
    pub(super) public: PublicKey,
}

impl<B: Backend> KeyPair<B> {
    /// From the 32 bytes of an X25519 secret.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, ZeroKey> {
        let secret = B::secret_key(&*non_zero(bytes)?);
        let public = PublicKey(B::public_key(&secret));
        Ok(Self { secret, public })
    }
}

/// The SHA-256 of bytes that are too long to be kept: it stands for them.
pub(crate) fn fingerprint(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The public half of a server's key pair.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// The first 4 bytes of its SHA-256. It tells keys apart, it does not authenticate one.
    pub fn id(&self) -> [u8; 4] {
        let hash = Sha256::digest(self.0);
        [hash[0], hash[1], hash[2], hash[3]]
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// The secret that the servers of a cluster share and no client ever sees.
#[derive(Clone)]
pub struct ClusterKey(Secret);

impl ClusterKey {
    /// From 32 random bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, ZeroKey> {
        Ok(Self(non_zero(bytes)?))
    }

    /// A key for one purpose, told from the others by its label: `HKDF-Expand(cluster key, label, 32)`. The cluster key itself
    /// never enters a cipher, so what one purpose does with its key cannot weaken another.
    pub fn derive(&self, label: &[u8]) -> Key {
        Key::new(prf::expand(&self.0, label))
    }

    /// A digest that only the cluster can make, for one purpose.
    pub fn digest(&self, label: &[u8], bytes: &[u8]) -> [u8; 32] {
        *Prf::new(self.derive(label).as_bytes()).mac(&[bytes])
    }
}

/// The key is all zeros (L-19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZeroKey;

impl fmt::Display for ZeroKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key is all zeros; it was probably never set: generate 32 random bytes")
    }
}

impl core::error::Error for ZeroKey {}

fn non_zero(mut bytes: [u8; 32]) -> Result<Secret, ZeroKey> {
    let zero = bool::from(bytes.ct_eq(&[0; 32]));
    let secret = Secret::new(bytes);
    bytes.zeroize();
    if zero { Err(ZeroKey) } else { Ok(secret) }
}
