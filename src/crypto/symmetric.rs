//! Noise's SymmetricState (revision 34, section 5.2) for AESGCM and SHA256.
//!
//! It is two values that take in everything: the transcript hash `h`, over all that was sent, and the chaining key `ck`, over
//! all that is secret. Each Diffie-Hellman result and psk moves `ck` on and gives a fresh key `k`; each payload is sealed under
//! the newest `k` with `h` as associated data, so a tag vouches for the whole handshake so far.
//!
//! Noise counts nonces per key. In NK and NKpsk0 every payload follows a `MixKey` of its own message, so each `k` seals
//! exactly one payload, with nonce 0. So there is no counter that could go wrong: sealing or opening takes `k` away, and the
//! next payload needs the next `MixKey`.

use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use super::backend::Cipher;
use super::prf::{self, Secret};
use super::schedule::Split;
use super::{AuthError, TAG};

pub(crate) struct SymmetricState {
    ck: Secret,
    h: [u8; 32],
    k: Option<Secret>,
}

impl SymmetricState {
    /// `InitializeSymmetric(name)`, then `MixHash(prologue)`, the prologue being given in parts.
    pub(crate) fn new(name: &[u8], prologue: &[&[u8]]) -> Self {
        // A name of up to 32 bytes is padded with zeros; both of ours are (28 and 32 bytes).
        let mut h = [0; 32];
        h[..name.len()].copy_from_slice(name);
        let mut state = Self {
            ck: Secret::new(h),
            h,
            k: None,
        };
        state.mix_hash(prologue);
        state
    }

    /// `MixHash`: h = SHA-256(h | data).
    pub(crate) fn mix_hash(&mut self, data: &[&[u8]]) {
        let mut hash = Sha256::new_with_prefix(self.h);
        for part in data {
            hash.update(part);
        }
        self.h = hash.finalize().into();
    }

    /// `MixKey`.
    pub(crate) fn mix_key(&mut self, input: &[u8]) {
        let [ck, k] = prf::noise_hkdf(&self.ck, input);
        self.ck = ck;
        self.k = Some(k);
    }

    /// `MixKeyAndHash`, for a psk.
    pub(crate) fn mix_key_and_hash(&mut self, input: &[u8]) {
        let [ck, temp_h, k] = prf::noise_hkdf(&self.ck, input);
        self.ck = ck;
        self.mix_hash(&[temp_h.as_slice()]);
        self.k = Some(k);
    }

    /// `EncryptAndHash`: appends the sealed payload to `out`.
    pub(crate) fn seal<C: Cipher>(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + payload.len() + TAG, 0);
        let sealed = &mut out[start..];
        self.cipher::<C>().seal(0, &self.h, payload, sealed);
        self.mix_hash(&[sealed]);
    }

    /// `DecryptAndHash`: appends the payload to `out`. A forgery leaves `out` as it was.
    pub(crate) fn open<C: Cipher>(&mut self, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), AuthError> {
        let length = sealed.len().checked_sub(TAG).ok_or(AuthError)?;
        let start = out.len();
        out.resize(start + length, 0);
        if let Err(error) = self.cipher::<C>().open(0, &self.h, sealed, &mut out[start..]) {
            out.truncate(start);
            return Err(error);
        }
        self.mix_hash(&[sealed]);
        Ok(())
    }

    /// The end of the handshake.
    pub(crate) fn split(self) -> Split {
        Split::new(&self.ck, self.h)
    }

    fn cipher<C: Cipher>(&mut self) -> C {
        C::new(&self.k.take().expect("a MixKey stands before each payload"))
    }
}
