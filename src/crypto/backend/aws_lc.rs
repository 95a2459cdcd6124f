//! The AWS-LC backend (feature `aws-lc-rs`): the same bytes from C and assembler, and `std` with it.
//!
//! AWS-LC interleaves AES and GHASH, which is where its speed comes from. Its keys live behind pointers and are wiped by its
//! own allocator when freed. It computes the public key of an X25519 secret when it imports it, which costs a third of a
//! Diffie-Hellman: so each secret is imported once, for all that is done with it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use zeroize::{Zeroize, Zeroizing};

use super::{Backend, Cipher, nonce_bytes};
use crate::crypto::{AuthError, TAG};

/// AWS-LC.
pub enum AwsLc {}

/// AES-256-GCM by AWS-LC.
pub struct AwsLcCipher(LessSafeKey);

impl Backend for AwsLc {
    type Cipher = AwsLcCipher;
    type SecretKey = PrivateKey;

    fn secret_key(bytes: &[u8; 32]) -> PrivateKey {
        PrivateKey::from_private_key(&X25519, bytes).expect("any 32 bytes are an X25519 secret")
    }

    fn public_key(secret: &PrivateKey) -> [u8; 32] {
        secret
            .compute_public_key()
            .expect("an X25519 secret has a public key")
            .as_ref()
            .try_into()
            .expect("an X25519 public key has 32 bytes")
    }

    fn diffie_hellman(secret: &PrivateKey, public: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, AuthError> {
        // AWS-LC itself refuses an all-zero result (U-3).
        let public = UnparsedPublicKey::new(&X25519, public);
        agreement::agree(secret, public, AuthError, |shared| {
            let mut copy = Zeroizing::new([0; 32]);
            copy.copy_from_slice(shared);
            Ok(copy)
        })
    }
}

impl Cipher for AwsLcCipher {
    fn new(key: &[u8; 32]) -> Self {
        Self(LessSafeKey::new(
            UnboundKey::new(&AES_256_GCM, key).expect("an AES-256 key has 32 bytes"),
        ))
    }

    fn seal(&self, nonce: u64, ad: &[u8], plaintext: &[u8], out: &mut [u8]) {
        let (text, tag) = out.split_at_mut(plaintext.len());
        self.0
            .seal_out_of_place_scatter(noise_nonce(nonce), Aad::from(ad), plaintext, text, &[], tag)
            .expect("out is 16 bytes longer than plaintext");
    }

    fn seal_in_place(&self, nonce: u64, ad: &[u8], buffer: &mut [u8]) {
        let (text, tag) = buffer.split_at_mut(buffer.len() - TAG);
        let made = self
            .0
            .seal_in_place_separate_tag(noise_nonce(nonce), Aad::from(ad), text)
            .expect("a plaintext is far below GCM's 64 GiB");
        tag.copy_from_slice(made.as_ref());
    }

    fn open(&self, nonce: u64, ad: &[u8], sealed: &[u8], out: &mut [u8]) -> Result<(), AuthError> {
        let (text, tag) = sealed.split_last_chunk::<TAG>().ok_or(AuthError)?;
        assert_eq!(text.len(), out.len(), "out is 16 bytes shorter than sealed");
        self.0
            .open_separate_gather(noise_nonce(nonce), Aad::from(ad), text, tag, out)
            .map_err(|_| {
                // It decrypts while it authenticates: what a forgery decrypted to must not be seen.
                out.zeroize();
                AuthError
            })
    }
}

fn noise_nonce(nonce: u64) -> Nonce {
    Nonce::assume_unique_for_key(nonce_bytes(nonce))
}
