//! The portable backend: RustCrypto's `aes-gcm` and dalek's `x25519`, both of which pick the processor's instructions at run
//! time and fall back to constant-time Rust.
//!
//! The cipher is `AesGcm<Aes256Enc>`: GCM runs AES only forwards, so the schedule for decryption, half of what `Aes256Gcm`
//! keeps, would be dead weight in every link.

use aes::Aes256Enc;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, AesGcm, KeyInit};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::{Backend, Cipher, nonce_bytes};
use crate::crypto::{AuthError, TAG};

/// RustCrypto and dalek.
pub enum Portable {}

/// AES-256-GCM by RustCrypto. Wipes itself when dropped (feature `zeroize` of its crates).
pub struct PortableCipher(AesGcm<Aes256Enc, U12>);

impl Backend for Portable {
    type Cipher = PortableCipher;
    type SecretKey = StaticSecret;

    fn secret_key(bytes: &[u8; 32]) -> StaticSecret {
        StaticSecret::from(*bytes)
    }

    fn public_key(secret: &StaticSecret) -> [u8; 32] {
        // By way of the Edwards curve and its table of multiples of the base point: about three times as fast as the ladder.
        PublicKey::from(secret).to_bytes()
    }

    fn diffie_hellman(secret: &StaticSecret, public: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, AuthError> {
        let shared = secret.diffie_hellman(&PublicKey::from(*public));
        if !shared.was_contributory() {
            return Err(AuthError); // U-3
        }
        Ok(Zeroizing::new(shared.to_bytes()))
    }
}

impl Cipher for PortableCipher {
    fn new(key: &[u8; 32]) -> Self {
        Self(AesGcm::new(key.into()))
    }

    fn seal(&self, nonce: u64, ad: &[u8], plaintext: &[u8], out: &mut [u8]) {
        let (text, tag) = out.split_at_mut(plaintext.len());
        let text = InOutBuf::new(plaintext, text).expect("split to this length");
        self.seal_buffer(nonce, ad, text, tag);
    }

    fn seal_in_place(&self, nonce: u64, ad: &[u8], buffer: &mut [u8]) {
        let (text, tag) = buffer.split_at_mut(buffer.len() - TAG);
        self.seal_buffer(nonce, ad, text.into(), tag);
    }

    fn open(&self, nonce: u64, ad: &[u8], sealed: &[u8], out: &mut [u8]) -> Result<(), AuthError> {
        let (text, tag) = sealed.split_last_chunk::<TAG>().ok_or(AuthError)?;
        let buffer = InOutBuf::new(text, out).expect("out is 16 bytes shorter than sealed");
        // The tag is judged before the first byte is decrypted, so a forgery leaves `out` alone.
        self.0
            .decrypt_inout_detached(&nonce_bytes(nonce).into(), ad, buffer, tag.into())
            .map_err(|_| AuthError)
    }
}

impl PortableCipher {
    fn seal_buffer(&self, nonce: u64, ad: &[u8], text: InOutBuf<'_, '_, u8>, tag: &mut [u8]) {
        let made = self
            .0
            .encrypt_inout_detached(&nonce_bytes(nonce).into(), ad, text)
            .expect("a plaintext is far below GCM's 64 GiB");
        tag.copy_from_slice(&made);
    }
}
