//! Records: sealing and opening by number (U-29, U-30). This is the only place where a record's nonce is made.
//!
//! A direction of a link has one key and one counter, and here they are one value. The counter is the nonce; it moves by one
//! with each record that was sealed or that opened, and by nothing else, so a key never meets a nonce twice and a forgery
//! cannot push the receiver out of step (L-23).
//!
//! After each 65536 records the key is replaced by Noise's `REKEY`, from itself: who takes a key out of memory cannot read the
//! records before the last change. It happens as soon as the last record of the old key is done, not when the next one comes,
//! so that an idle link holds no key longer than it must. The number 2^64 - 1 is the one that `REKEY` uses, hence no record's.
//!
//! A cipher works with a key that is expanded to some ten times its length. While records pass that is kept; a link that has gone quiet
//! puts it away ([`Sealer::rest`](SealerWith::rest), [`Opener::rest`](OpenerWith::rest)), and the next record expands the key again, which costs it
//! less than sealing does.

use alloc::boxed::Box;

use zeroize::Zeroizing;

use super::backend::{Active, Backend, Cipher};
use super::prf::Secret;
use super::schedule::Key;
use super::{AuthError, Exhausted, TAG};

/// The sending half of a link.
pub type Sealer = SealerWith<Active>;

/// The receiving half of a link.
pub type Opener = OpenerWith<Active>;

/// How many records one key serves (U-30).
pub const REKEY_INTERVAL: u64 = 65536;

/// Seals records.
pub struct SealerWith<B: Backend>(Counted<B::Cipher>);

impl<B: Backend> SealerWith<B> {
    /// From record 0 on.
    pub fn new(key: &Key) -> Self {
        Self::starting_at(key, 0)
    }

    /// From any record on; `key` is the one that seals it. For tests only: in a link it would repeat nonces.
    #[doc(hidden)]
    pub fn starting_at(key: &Key, number: u64) -> Self {
        Self(Counted::new(key, number))
    }

    /// Seals the next record into `out`, which is 16 bytes longer.
    pub fn seal(&mut self, plaintext: &[u8], out: &mut [u8]) -> Result<(), Exhausted> {
        let number = self.0.number().ok_or(Exhausted)?;
        self.0.cipher().seal(number, &[], plaintext, out);
        self.0.advance();
        Ok(())
    }

    /// Seals the next record where it stands; the last 16 bytes are room for the tag.
    pub fn seal_in_place(&mut self, buffer: &mut [u8]) -> Result<(), Exhausted> {
        let number = self.0.number().ok_or(Exhausted)?;
        self.0.cipher().seal_in_place(number, &[], buffer);
        self.0.advance();
        Ok(())
    }

    /// Puts the expanded key away until the next record.
    pub fn rest(&mut self) {
        self.0.cipher = None;
    }

    /// How many records were sealed: the number of the next one.
    pub fn sealed(&self) -> u64 {
        self.0.next
    }
}

/// Opens records.
pub struct OpenerWith<B: Backend>(Counted<B::Cipher>);

impl<B: Backend> OpenerWith<B> {
    /// From record 0 on.
    pub fn new(key: &Key) -> Self {
        Self::starting_at(key, 0)
    }

    /// From any record on; `key` is the one that sealed it. For tests only.
    #[doc(hidden)]
    pub fn starting_at(key: &Key, number: u64) -> Self {
        Self(Counted::new(key, number))
    }

    /// Opens the next record into `out`, which is 16 bytes shorter. If it does not open, nothing changes (U-31, L-23).
    pub fn open(&mut self, sealed: &[u8], out: &mut [u8]) -> Result<(), AuthError> {
        let number = self.0.number().ok_or(AuthError)?;
        self.0.cipher().open(number, &[], sealed, out)?;
        self.0.advance();
        Ok(())
    }

    /// Puts the expanded key away until the next record.
    pub fn rest(&mut self) {
        self.0.cipher = None;
    }

    /// How many records were opened: the number of the next one.
    pub fn opened(&self) -> u64 {
        self.0.next
    }
}

#[cfg(test)]
impl<B: Backend> SealerWith<B> {
    /// Whether its key is put away.
    pub fn rests(&self) -> bool {
        self.0.cipher.is_none()
    }
}

#[cfg(test)]
impl<B: Backend> OpenerWith<B> {
    /// Whether its key is put away.
    pub fn rests(&self) -> bool {
        self.0.cipher.is_none()
    }
}

/// A key and the number of its next record.
struct Counted<C> {
    key: Secret,
    /// The key expanded, while records pass.
    cipher: Option<Box<C>>,
    next: u64,
}

impl<C: Cipher> Counted<C> {
    fn new(key: &Key, next: u64) -> Self {
        Self {
            key: Zeroizing::new(*key.as_bytes()),
            cipher: None,
            next,
        }
    }

    #[inline]
    fn cipher(&mut self) -> &C {
        self.cipher.get_or_insert_with(|| expand(&self.key))
    }

    /// The nonce to use now, unless all are used up.
    fn number(&self) -> Option<u64> {
        (self.next != u64::MAX).then_some(self.next)
    }

    fn advance(&mut self) {
        self.next += 1;
        if self.next.is_multiple_of(REKEY_INTERVAL) {
            self.rekey();
        }
    }

    /// Noise's `REKEY(k)`: the first 32 bytes of sealing 32 zeros with nonce 2^64 - 1.
    #[cold]
    fn rekey(&mut self) {
        let mut sealed = Zeroizing::new([0; 32 + TAG]);
        let cipher = self.cipher();
        cipher.seal_in_place(u64::MAX, &[], sealed.as_mut_slice());
        self.key.copy_from_slice(&sealed[..32]);
        // Where the former one stands: nothing is allocated.
        if let Some(cipher) = &mut self.cipher {
            **cipher = C::new(&self.key);
        }
    }
}

#[cold]
fn expand<C: Cipher>(key: &Secret) -> Box<C> {
    Box::new(C::new(key))
}
