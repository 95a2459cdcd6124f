//! The key schedule: what comes out of a handshake and what the next one starts from (U-27, U-28).
//!
//! ```text
//! ck --HMAC(ck, "")--> PRK --01-----------------> k_client   records of the client
//!                       |---k_client | 02--------> k_server   records of the server
//!                       `---"unbroken/1 resumption" | h | 01--> rs --"unbroken/1 psk"---> psk of the next NKpsk0
//!                                                                `--"unbroken/1 mac1"--> mac1 key of the next RESUME
//! ```
//!
//! The first two lines are Noise's `Split()`. `rs` hangs on the same PRK under a label that no counter byte can be, and takes
//! in the transcript hash, so it belongs to exactly one handshake. Nothing leads back up: who steals `rs` of a link cannot read
//! its records, and as each RESUME adds fresh Diffie-Hellman results, who stole it once is locked out by the next resume that
//! he does not sit on.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::prf::{self, Prf, Secret};

const RESUMPTION: &[u8] = b"unbroken/1 resumption";
const PSK: &[u8] = b"unbroken/1 psk";
const MAC1: &[u8] = b"unbroken/1 mac1";

/// What both ends share after message 2.
pub struct Split {
    /// Seals what the client sends.
    pub client: Key,
    /// Seals what the server sends.
    pub server: Key,
    /// Belongs to the handle of the same ACCEPT.
    pub resumption: Resumption,
    /// The transcript hash, the same on both ends and different for each handshake. It is not secret.
    pub transcript: [u8; 32],
}

impl Split {
    /// Noise's `Split()` and `rs` (U-27).
    pub(crate) fn new(chaining_key: &[u8; 32], transcript: [u8; 32]) -> Self {
        let prk = Prf::new(&*Prf::new(chaining_key).mac(&[]));
        let client = prk.mac(&[&[1]]);
        let server = prk.mac(&[client.as_slice(), &[2]]);
        let rs = prk.mac(&[RESUMPTION, &transcript, &[1]]);
        Self {
            client: Key(client),
            server: Key(server),
            resumption: Resumption::new(rs),
            transcript,
        }
    }
}

/// A key for AES-256, raw. Wiped when dropped.
pub struct Key(Secret);

impl Key {
    pub(crate) fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// From its bytes.
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let key = Self(Zeroizing::new(bytes));
        bytes.zeroize();
        key
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A pre-shared key for NKpsk0. Wiped when dropped.
pub struct Psk(Secret);

impl Psk {
    /// From its bytes.
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let psk = Self(Zeroizing::new(bytes));
        bytes.zeroize();
        psk
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The resumption secret `rs` of one generation and the two keys that follow from it (U-28): 96 bytes, wiped when dropped.
///
/// The keys are derived at once. A server judges mac1 before it has spent anything on a peer, and one HMAC is less than three.
pub struct Resumption {
    secret: Secret,
    psk: Psk,
    mac1: Secret,
}

impl Resumption {
    /// From `rs`, as a snapshot keeps it.
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let resumption = Self::new(Zeroizing::new(bytes));
        bytes.zeroize();
        resumption
    }

    fn new(secret: Secret) -> Self {
        let psk = Psk(prf::expand(&secret, PSK));
        let mac1 = prf::expand(&secret, MAC1);
        Self { secret, psk, mac1 }
    }

    /// `rs` itself, for a snapshot.
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The key that the RESUME mixes in.
    pub fn psk(&self) -> &Psk {
        &self.psk
    }

    /// The mac1 of a RESUME: over its first 32 bytes and the ephemeral key (U-12).
    pub fn mac1(&self, header: &[u8], e: &[u8]) -> [u8; 16] {
        let mac = Prf::new(&*self.mac1).mac(&[header, e]);
        let mut mac1 = [0; 16];
        mac1.copy_from_slice(&mac[..16]);
        mac1
    }

    /// Whether a mac1 is right, in constant time.
    pub fn verify_mac1(&self, header: &[u8], e: &[u8], mac1: &[u8]) -> bool {
        self.mac1(header, e).ct_eq(mac1).into()
    }
}
