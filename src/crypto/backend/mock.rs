//! NO SECURITY AT ALL. A stand-in for fuzzing past authentication, built only under `--cfg unbroken_mock_crypto`.
//!
//! A fuzzer cannot forge a GCM tag, so it would never see what lies behind one. Here it can: nothing is encrypted, a tag is a
//! checksum that [`checksum`] computes for anybody who knows the key, and the Diffie-Hellman function is an addition whose
//! public keys are the secrets themselves. The hashes, HMACs and the Noise transcript stay real, so two ends still only
//! understand each other if their handshakes agree, and no record key is zero.
//!
//! It is a `cfg` and not a feature because features add up across a build: no dependency can switch this on.

use zeroize::Zeroizing;

use super::{Backend, Cipher};
use crate::crypto::{AuthError, TAG};

/// No security.
pub enum Mock {}

/// No security: the plaintext, then a checksum.
pub struct MockCipher(Zeroizing<[u8; 32]>);

/// The tag of a plaintext: FNV-1a over key, nonce, associated data and plaintext, once more over its own result.
pub fn checksum(key: &[u8; 32], nonce: u64, ad: &[u8], plaintext: &[u8]) -> [u8; TAG] {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    let mut tag = [0; TAG];
    let nonce = nonce.to_be_bytes();
    for part in [key.as_slice(), &nonce, ad, plaintext] {
        sum = fnv(sum, part);
    }
    tag[..8].copy_from_slice(&sum.to_be_bytes());
    let second = fnv(sum, &tag[..8]);
    tag[8..].copy_from_slice(&second.to_be_bytes());
    tag
}

impl Backend for Mock {
    type Cipher = MockCipher;
    type SecretKey = Zeroizing<[u8; 32]>;

    fn secret_key(bytes: &[u8; 32]) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*bytes)
    }

    fn public_key(secret: &Zeroizing<[u8; 32]>) -> [u8; 32] {
        **secret
    }

    fn diffie_hellman(secret: &Zeroizing<[u8; 32]>, public: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, AuthError> {
        // The one point that this curve has in common with the real one: no secret can be agreed with it.
        if *public == [0; 32] {
            return Err(AuthError);
        }
        let mut shared = Zeroizing::new([0; 32]);
        for (sum, (a, b)) in shared.iter_mut().zip(secret.iter().zip(public)) {
            *sum = a.wrapping_add(*b);
        }
        shared[0] |= 1; // never all zeros
        Ok(shared)
    }
}

impl Cipher for MockCipher {
    fn new(key: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*key))
    }

    fn seal(&self, nonce: u64, ad: &[u8], plaintext: &[u8], out: &mut [u8]) {
        let (text, tag) = out.split_at_mut(plaintext.len());
        text.copy_from_slice(plaintext);
        tag.copy_from_slice(&checksum(&self.0, nonce, ad, plaintext));
    }

    fn seal_in_place(&self, nonce: u64, ad: &[u8], buffer: &mut [u8]) {
        let (text, tag) = buffer.split_at_mut(buffer.len() - TAG);
        tag.copy_from_slice(&checksum(&self.0, nonce, ad, text));
    }

    fn open(&self, nonce: u64, ad: &[u8], sealed: &[u8], out: &mut [u8]) -> Result<(), AuthError> {
        let (text, tag) = sealed.split_last_chunk::<TAG>().ok_or(AuthError)?;
        if checksum(&self.0, nonce, ad, text) != *tag {
            return Err(AuthError);
        }
        out.copy_from_slice(text);
        Ok(())
    }
}

fn fnv(sum: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
