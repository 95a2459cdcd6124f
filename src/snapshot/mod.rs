//! A session as bytes: sealed, versioned, and bound to one place in the store.
//!
//! ```text
//!   "UNBS" │ format 1 │ key id 4 │ salt 32 │ AES-256-GCM( fields of the format )                       tag 16
//!            key      HKDF-Expand(cluster key, "unbroken/1 snapshot" | salt)      new with each write, nonce 0
//!            AD       all in front of the ciphertext | realm length | realm | store key 8 | token 8
//! ```
//!
//! So a snapshot opens only in its own service, under its own session's key, beside the token it was written with: one that was
//! copied elsewhere, or put back after a newer owner, is as good as damaged (F-83, F-84). The format stands in the clear, since a reader must
//! know that a format is newer than itself before it can tell anything else (F-85).
//!
//! A build writes one format, and reads that and the one before it: [`FORMATS`] is the one place where that is decided. So servers can be replaced one by one, forward and
//! back. [`v1`] is the first format, so there is none before it yet; when there is a second, its entry goes in front, and `tests/golden` has a blob of each that must open.

pub mod v1;

use alloc::vec::Vec;
use zeroize::Zeroizing;

use crate::crypto::backend::{Active, Backend, Cipher};
use crate::crypto::{ClusterKey, Rng, TAG};
use crate::store::StoreKey;

pub use v1::{Malformed, Snapshot};

const MAGIC: [u8; 4] = *b"UNBS";
/// The formats that this build reads; the first is what it writes.
pub const FORMATS: [Format; 1] = [v1::FORMAT];

/// A format of a snapshot's fields.
#[derive(Clone, Copy)]
pub struct Format {
    /// What stands in the envelope.
    pub number: u8,
    /// Reads the fields.
    pub read: for<'a> fn(&'a [u8]) -> Result<Snapshot<'a>, Malformed>,
}
const LABEL: &[u8] = b"unbroken/1 snapshot";
const ID_LABEL: &[u8] = b"unbroken/1 snapshot id";
const SALT: usize = 32;
const HEAD: usize = MAGIC.len() + 1 + 4 + SALT;
/// What sealing adds to the fields.
pub const OVERHEAD: usize = HEAD + TAG;

/// Why a snapshot cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unusable {
    /// It is of a format that this build does not know, newer or too old, or under a cluster key that this server was not given (yet): another server will read it.
    Foreign,
    /// It is damaged, another session's, or another token's.
    Damaged,
}

/// Seals and opens the snapshots of a service.
pub struct Vault {
    realm: Vec<u8>,
    /// The first seals, all open.
    keys: Vec<([u8; 4], ClusterKey)>,
    /// The first is written, all are read.
    formats: &'static [Format],
}

/// What was in an envelope. It is wiped when dropped.
pub struct Opened {
    format: Format,
    fields: Zeroizing<Vec<u8>>,
}

impl Opened {
    /// The fields, by the format's own reader.
    ///
    /// # Errors
    /// They do not fit together.
    pub fn snapshot(&self) -> Result<Snapshot<'_>, Malformed> {
        (self.format.read)(&self.fields)
    }
}

impl Vault {
    /// For a service; the first of its cluster keys seals.
    pub fn new(realm: &[u8], clusters: &[ClusterKey]) -> Self {
        let mut prefix = Vec::with_capacity(1 + realm.len());
        prefix.push(realm.len() as u8);
        prefix.extend_from_slice(realm);
        Vault {
            realm: prefix,
            keys: clusters.iter().map(|key| (id_of(key), key.clone())).collect(),
            formats: &FORMATS,
        }
    }

    /// The vault of a build that knows other formats.
    #[cfg(test)]
    fn knowing(self, formats: &'static [Format]) -> Self {
        Vault { formats, ..self }
    }

    /// Seals a snapshot for its place in the store.
    pub fn seal(&self, snapshot: &Snapshot<'_>, key: &StoreKey, token: u64, rng: &mut Rng) -> Vec<u8> {
        let (id, cluster) = &self.keys[0];
        let mut out = Vec::with_capacity(OVERHEAD + snapshot.size_hint());
        out.extend_from_slice(&MAGIC);
        out.push(self.formats[0].number);
        out.extend_from_slice(id);
        out.resize(HEAD, 0);
        rng.fill(&mut out[HEAD - SALT..]);
        let cipher = cipher(cluster, &out[HEAD - SALT..HEAD]);
        let ad = self.associated(&out, key, token);
        snapshot.encode(&mut out);
        out.resize(out.len() + TAG, 0);
        cipher.seal_in_place(0, &ad, &mut out[HEAD..]);
        out
    }

    /// Opens a snapshot that lies at this place.
    pub fn open(&self, blob: &[u8], key: &StoreKey, token: u64) -> Result<Opened, Unusable> {
        let (head, sealed) = blob.split_at_checked(HEAD).ok_or(Unusable::Damaged)?;
        let number = head[MAGIC.len()];
        if head[..MAGIC.len()] != MAGIC || sealed.len() < TAG || number == 0 {
            return Err(Unusable::Damaged);
        }
        let format = self.formats.iter().find(|format| format.number == number);
        let format = *format.ok_or(Unusable::Foreign)?;
        let id = &head[MAGIC.len() + 1..HEAD - SALT];
        let ad = self.associated(head, key, token);
        let mut fields = Zeroizing::new(alloc::vec![0; sealed.len() - TAG]);
        let mut keys = self.keys.iter().filter(|(known, _)| known == id).peekable();
        if keys.peek().is_none() {
            return Err(Unusable::Foreign);
        }
        for (_, cluster) in keys {
            if cipher(cluster, &head[HEAD - SALT..])
                .open(0, &ad, sealed, &mut fields)
                .is_ok()
            {
                return Ok(Opened { format, fields });
            }
        }
        Err(Unusable::Damaged)
    }

    fn associated(&self, head: &[u8], key: &StoreKey, token: u64) -> Vec<u8> {
        let mut ad = Vec::with_capacity(HEAD + self.realm.len() + 16);
        ad.extend_from_slice(head);
        ad.extend_from_slice(&self.realm);
        ad.extend_from_slice(key);
        ad.extend_from_slice(&token.to_be_bytes());
        ad
    }
}

fn cipher(cluster: &ClusterKey, salt: &[u8]) -> <Active as Backend>::Cipher {
    let mut label = Vec::with_capacity(LABEL.len() + SALT);
    label.extend_from_slice(LABEL);
    label.extend_from_slice(salt);
    <Active as Backend>::Cipher::new(cluster.derive(&label).as_bytes())
}

/// Tells cluster keys apart; it says nothing about them.
fn id_of(cluster: &ClusterKey) -> [u8; 4] {
    let mut id = [0; 4];
    id.copy_from_slice(&cluster.derive(ID_LABEL).as_bytes()[..4]);
    id
}

#[cfg(test)]
mod tests;
