//! HMAC-SHA256, the pseudo-random function under everything: Noise's HKDF, the key schedule, mac1 and the random numbers.
//!
//! HKDF (RFC 5869) as the protocol needs it is never longer than one hash, so `HKDF-Expand(prk, label, 32)` is just
//! `HMAC(prk, label | 01)`, and Noise's two- and three-output form chains such blocks. Writing them out on top of HMAC keeps
//! U-27 readable in the code as it stands in the protocol.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// A 32-byte secret, wiped when dropped.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

/// HMAC-SHA256 under one key, which is hashed once and then used as often as needed.
pub(crate) struct Prf(Hmac<Sha256>);

impl Prf {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    /// HMAC of the parts, as if they were one string.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> Secret {
        let mut hmac = self.0.clone();
        for part in parts {
            hmac.update(part);
        }
        let mut output = hmac.finalize().into_bytes();
        let mut secret = Secret::default();
        secret.copy_from_slice(&output);
        output.as_mut_slice().zeroize();
        secret
    }
}

/// `HKDF-Expand(prk, label, 32)`.
pub(crate) fn expand(prk: &[u8; 32], label: &[u8]) -> Secret {
    Prf::new(prk).mac(&[label, &[1]])
}

/// Noise's `HKDF(chaining_key, input, N)`.
pub(crate) fn noise_hkdf<const N: usize>(chaining_key: &[u8; 32], input: &[u8]) -> [Secret; N] {
    let prf = Prf::new(&*Prf::new(chaining_key).mac(&[input]));
    let mut outputs = core::array::from_fn(|_| Secret::default());
    for n in 0..N {
        let counter = [n as u8 + 1];
        outputs[n] = match n {
            0 => prf.mac(&[&counter]),
            _ => prf.mac(&[outputs[n - 1].as_slice(), &counter]),
        };
    }
    outputs
}
