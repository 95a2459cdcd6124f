//! The floor: ciphers and memcpy without any protocol around them.

use std::hint::black_box;

use unbroken::crypto::backend::{Active, Backend, Cipher};

type Aead = <Active as Backend>::Cipher;
type SecretKey = <Active as Backend>::SecretKey;

const TAG: usize = 16;

/// Seals and opens `size` bytes of plaintext at a time with the active backend, out of place, as the core does.
pub struct SealOpen {
    cipher: Aead,
    nonce: u64,
    plain: Vec<u8>,
    sealed: Vec<u8>,
    opened: Vec<u8>,
}

impl SealOpen {
    pub fn new(size: usize) -> Self {
        SealOpen {
            cipher: Aead::new(&[7; 32]),
            nonce: 0,
            plain: vec![1; size],
            sealed: vec![0; size + TAG],
            opened: vec![0; size],
        }
    }

    pub fn run(&mut self) {
        self.cipher
            .seal(self.nonce, &[], black_box(&self.plain), &mut self.sealed);
        let opened = self
            .cipher
            .open(self.nonce, &[], black_box(&self.sealed), &mut self.opened);
        assert!(opened.is_ok());
        black_box(&self.opened);
        self.nonce += 1;
    }
}

/// Copies messages one behind the other into a buffer.
pub struct Copies {
    message: Vec<u8>,
    buffer: Vec<u8>,
}

impl Copies {
    pub fn new(size: usize, count: usize) -> Self {
        Copies {
            message: vec![1; size],
            buffer: vec![0; size * count],
        }
    }

    pub fn run(&mut self) {
        let message = black_box(self.message.as_slice());
        for place in self.buffer.chunks_exact_mut(message.len()) {
            place.copy_from_slice(message);
        }
        black_box(&self.buffer);
    }
}

/// One X25519 Diffie-Hellman of the active backend.
pub fn diffie_hellman(secret: &SecretKey) {
    let peer = black_box([9; 32]);
    let shared = Active::diffie_hellman(black_box(secret), &peer);
    black_box(shared.is_ok());
}

/// A secret for it.
pub fn secret_key() -> SecretKey {
    Active::secret_key(&[7; 32])
}
