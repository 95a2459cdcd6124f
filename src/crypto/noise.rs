//! The handshakes: `Noise_NK_25519_AESGCM_SHA256` and `Noise_NKpsk0_25519_AESGCM_SHA256` (U-1), to the letter of Noise
//! revision 34.
//!
//! ```text
//! <- s                       the client pins the server's key: both mix it into the hash first
//! ...
//! -> [psk,] e, es, payload   message 1
//! <- e, ee, payload          message 2
//! ```
//!
//! NK authenticates the server and nobody else. NKpsk0 adds the psk of the generation before, so that only the two ends of
//! that handshake can speak in this one. With a psk, Noise also mixes every ephemeral public key into the key (section 9.2):
//! a key then never depends on the psk alone.
//!
//! Each role is a value with one method that consumes it: no step can be left out, repeated or done out of order. The
//! ephemeral secrets come in as arguments, for this crate draws no randomness by itself. An all-zero Diffie-Hellman result
//! ends the handshake (U-3).

use alloc::vec::Vec;
use core::marker::PhantomData;

use zeroize::Zeroize;

use super::backend::{Active, Backend};
use super::keys::{KeyPair, PublicKey};
use super::schedule::{Psk, Split};
use super::symmetric::SymmetricState;
use super::{AuthError, NOISE_OVERHEAD};

/// The client's side.
pub type Initiator = InitiatorWith<Active>;

/// The server's side.
pub type Responder = ResponderWith<Active>;

/// The client, after message 1.
pub struct InitiatorWith<B: Backend> {
    state: SymmetricState,
    ephemeral: B::SecretKey,
    psk: bool,
}

impl<B: Backend> InitiatorWith<B> {
    /// Begins a first connect or a query; appends message 1 to `out`.
    pub fn nk(
        server: &PublicKey,
        realm: &[u8],
        header: &[u8],
        ephemeral: [u8; 32],
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Self, AuthError> {
        let prologue = Prologue::new(realm, header)?;
        Self::start(server, None, &prologue.parts(), ephemeral, payload, out)
    }

    /// Begins a resume; appends message 1 to `out`. The caller puts mac1 between the header and message 1.
    pub fn nk_psk0(
        server: &PublicKey,
        psk: &Psk,
        realm: &[u8],
        header: &[u8],
        ephemeral: [u8; 32],
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Self, AuthError> {
        let prologue = Prologue::new(realm, header)?;
        Self::start(server, Some(psk), &prologue.parts(), ephemeral, payload, out)
    }

    /// Reads message 2; appends its payload to `payload`.
    pub fn finish(mut self, message2: &[u8], payload: &mut Vec<u8>) -> Result<Split, AuthError> {
        let (remote, sealed) = split_message(message2)?;
        mix_ephemeral(&mut self.state, remote, self.psk);
        self.state.mix_key(&*B::diffie_hellman(&self.ephemeral, remote)?); // ee
        self.state.open::<B::Cipher>(sealed, payload)?;
        Ok(self.state.split())
    }

    /// Message 1 with any prologue. `out` is untouched if the server's key is no good.
    pub(crate) fn start(
        server: &PublicKey,
        psk: Option<&Psk>,
        prologue: &[&[u8]],
        mut ephemeral: [u8; 32],
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Self, AuthError> {
        let secret = B::secret_key(&ephemeral);
        ephemeral.zeroize();
        let public = B::public_key(&secret);
        let es = B::diffie_hellman(&secret, &server.0)?;

        let mut state = begin(psk, prologue, server);
        mix_ephemeral(&mut state, &public, psk.is_some());
        state.mix_key(&*es);
        out.reserve(payload.len() + NOISE_OVERHEAD);
        out.extend_from_slice(&public);
        state.seal::<B::Cipher>(payload, out);
        Ok(Self {
            state,
            ephemeral: secret,
            psk: psk.is_some(),
        })
    }
}

/// The server, after message 1.
pub struct ResponderWith<B> {
    state: SymmetricState,
    remote: [u8; 32],
    psk: bool,
    backend: PhantomData<fn() -> B>,
}

impl<B: Backend> ResponderWith<B> {
    /// Reads message 1 of a first connect or a query; appends its payload to `payload`.
    pub fn nk(
        key: &KeyPair<B>,
        realm: &[u8],
        header: &[u8],
        message1: &[u8],
        payload: &mut Vec<u8>,
    ) -> Result<Self, AuthError> {
        let prologue = Prologue::new(realm, header)?;
        Self::start(key, None, &prologue.parts(), message1, payload)
    }

    /// Reads message 1 of a resume, mac1 having been judged; appends its payload to `payload`.
    pub fn nk_psk0(
        key: &KeyPair<B>,
        psk: &Psk,
        realm: &[u8],
        header: &[u8],
        message1: &[u8],
        payload: &mut Vec<u8>,
    ) -> Result<Self, AuthError> {
        let prologue = Prologue::new(realm, header)?;
        Self::start(key, Some(psk), &prologue.parts(), message1, payload)
    }

    /// Appends message 2 to `out`.
    pub fn finish(mut self, mut ephemeral: [u8; 32], payload: &[u8], out: &mut Vec<u8>) -> Result<Split, AuthError> {
        let secret = B::secret_key(&ephemeral);
        ephemeral.zeroize();
        let public = B::public_key(&secret);
        let ee = B::diffie_hellman(&secret, &self.remote)?;

        mix_ephemeral(&mut self.state, &public, self.psk);
        self.state.mix_key(&*ee);
        out.reserve(payload.len() + NOISE_OVERHEAD);
        out.extend_from_slice(&public);
        self.state.seal::<B::Cipher>(payload, out);
        Ok(self.state.split())
    }

    /// Message 1 with any prologue.
    pub(crate) fn start(
        key: &KeyPair<B>,
        psk: Option<&Psk>,
        prologue: &[&[u8]],
        message1: &[u8],
        payload: &mut Vec<u8>,
    ) -> Result<Self, AuthError> {
        let (remote, sealed) = split_message(message1)?;
        let mut state = begin(psk, prologue, &key.public);
        mix_ephemeral(&mut state, remote, psk.is_some());
        state.mix_key(&*B::diffie_hellman(&key.secret, remote)?); // es
        state.open::<B::Cipher>(sealed, payload)?;
        Ok(Self {
            state,
            remote: *remote,
            psk: psk.is_some(),
            backend: PhantomData,
        })
    }
}

/// What both ends know before the first message (U-2). Each part goes into the hash from where it lies.
struct Prologue<'a> {
    realm_length: [u8; 1],
    realm: &'a [u8],
    header: &'a [u8],
}

impl<'a> Prologue<'a> {
    /// A realm of more than 255 bytes has no encoding; cut short it would equal another realm.
    fn new(realm: &'a [u8], header: &'a [u8]) -> Result<Self, AuthError> {
        let realm_length = [u8::try_from(realm.len()).map_err(|_| AuthError)?];
        Ok(Self {
            realm_length,
            realm,
            header,
        })
    }

    fn parts(&self) -> [&[u8]; 4] {
        [b"unbroken/1", &self.realm_length, self.realm, self.header]
    }
}

/// Name, prologue, pre-message `s` and, with psk0, the psk.
fn begin(psk: Option<&Psk>, prologue: &[&[u8]], server: &PublicKey) -> SymmetricState {
    let name: &[u8] = match psk {
        None => b"Noise_NK_25519_AESGCM_SHA256",
        Some(_) => b"Noise_NKpsk0_25519_AESGCM_SHA256",
    };
    let mut state = SymmetricState::new(name, prologue);
    state.mix_hash(&[&server.0]);
    if let Some(psk) = psk {
        state.mix_key_and_hash(psk.as_bytes());
    }
    state
}

/// The token `e`: into the hash and, in a psk handshake, into the key too.
fn mix_ephemeral(state: &mut SymmetricState, public: &[u8; 32], psk: bool) {
    state.mix_hash(&[public]);
    if psk {
        state.mix_key(public);
    }
}

fn split_message(message: &[u8]) -> Result<(&[u8; 32], &[u8]), AuthError> {
    message.split_first_chunk().ok_or(AuthError)
}
