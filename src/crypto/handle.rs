//! Handles: what a client shows to get its session back (U-26).
//!
//! A handle is one AES-256 block over `locator 8 | generation 4 | 00000000`. Any server of the cluster can open it and learns
//! where to look, without a table of handles. A block cipher is a permutation nobody can predict without the key: to the
//! client and to anybody on the path a handle is 16 random bytes that cannot be linked to the one before it (though it is shown until an answer brings another), and made-up bytes
//! decrypt to four zeros with a chance of 2^-32. That check is a filter and not a proof of anything: what authenticates the
//! resume is mac1 and the handshake. One block per handle also means there is no nonce to repeat.

use alloc::vec::Vec;

use aes::Aes256;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use subtle::ConstantTimeEq;

use super::keys::ClusterKey;

const LABEL: &[u8] = b"unbroken/1 handle";

/// Makes and opens the handles of a cluster. Its key schedules wipe themselves when dropped.
pub struct HandleCipher {
    current: Aes256,
    /// While cluster keys are being changed: those whose handles are still opened.
    others: Vec<Aes256>,
}

impl HandleCipher {
    /// Under a key derived from the cluster key, which serves other purposes too.
    pub fn new(key: &ClusterKey) -> Self {
        Self {
            current: cipher(key),
            others: Vec::new(),
        }
    }

    /// The same handles, and those of other cluster keys can be opened too.
    pub fn also_opening(mut self, others: &[ClusterKey]) -> Self {
        self.others.extend(others.iter().map(cipher));
        self
    }

    /// The handle of one generation of a session.
    pub fn seal(&self, locator: [u8; 8], generation: u32) -> [u8; 16] {
        let mut block = [0; 16];
        block[..8].copy_from_slice(&locator);
        block[8..12].copy_from_slice(&generation.to_be_bytes());
        self.current.encrypt_block((&mut block).into());
        block
    }

    /// Locator and generation, or nothing if no server of this cluster made the handle.
    pub fn open(&self, handle: &[u8; 16]) -> Option<([u8; 8], u32)> {
        let mut ciphers = core::iter::once(&self.current).chain(&self.others);
        ciphers.find_map(|cipher| open(cipher, handle))
    }
}

fn cipher(key: &ClusterKey) -> Aes256 {
    Aes256::new(key.derive(LABEL).as_bytes().into())
}

fn open(cipher: &Aes256, handle: &[u8; 16]) -> Option<([u8; 8], u32)> {
    let mut block = *handle;
    cipher.decrypt_block((&mut block).into());
    let [l0, l1, l2, l3, l4, l5, l6, l7, g0, g1, g2, g3, zeros @ ..] = block;
    let known = bool::from(zeros.ct_eq(&[0; 4]));
    known.then_some(([l0, l1, l2, l3, l4, l5, l6, l7], u32::from_be_bytes([g0, g1, g2, g3])))
}
