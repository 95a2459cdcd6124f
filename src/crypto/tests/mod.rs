//! Tests of the whole module: published vectors, other implementations, and every lie a peer could tell.
//!
//! Under the mock backend only its own test and those that need no backend run.

extern crate std;

#[cfg(all(feature = "aws-lc-rs", not(unbroken_mock_crypto)))]
mod backends;
mod errors;
#[cfg(not(unbroken_mock_crypto))]
mod handshake;
#[cfg(not(unbroken_mock_crypto))]
mod interop;
mod keys;
#[cfg(unbroken_mock_crypto)]
mod mock;
#[cfg(not(unbroken_mock_crypto))]
mod record;
mod rng;
#[cfg(not(unbroken_mock_crypto))]
mod vectors;

use std::vec::Vec;

use super::backend::Backend;
use super::keys::KeyPair;
use super::noise::{InitiatorWith, ResponderWith};
use super::{AuthError, Psk, ServerKey, Split};

const REALM: &[u8] = b"chat.example";
const HEADER: &[u8] = b"UNB\x01\x01\x00keyid\x46";
const CLIENT_SAYS: &[u8] = b"what the client would speak";
const SERVER_SAYS: &[u8] = b"what the server answers";

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("a hex digit"))
        .collect()
}

fn unhex32(text: &str) -> [u8; 32] {
    unhex(text).try_into().expect("32 bytes")
}

/// The bytes `start`, `start + 1`, ...
fn counting<const N: usize>(start: u8) -> [u8; N] {
    core::array::from_fn(|at| start + at as u8)
}

fn server_key() -> ServerKey {
    ServerKey::from_bytes(counting(1)).expect("not zeros")
}

/// Every single-bit change of a message.
fn flips(message: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..message.len() * 8).map(|bit| {
        let mut flipped = message.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}

/// The client's half of a handshake with fixed ephemeral keys, NKpsk0 if there is a psk.
fn client<B: Backend>(psk: Option<&Psk>, message1: &mut Vec<u8>) -> Result<InitiatorWith<B>, AuthError> {
    let server = server_key().public();
    match psk {
        None => InitiatorWith::nk(&server, REALM, HEADER, [0x11; 32], CLIENT_SAYS, message1),
        Some(psk) => InitiatorWith::nk_psk0(&server, psk, REALM, HEADER, [0x11; 32], CLIENT_SAYS, message1),
    }
}

/// The server's half, up to the payload.
fn server<B: Backend>(
    psk: Option<&Psk>,
    realm: &[u8],
    header: &[u8],
    message1: &[u8],
    payload: &mut Vec<u8>,
) -> Result<ResponderWith<B>, AuthError> {
    let key = KeyPair::from_bytes(counting(1)).expect("not zeros");
    match psk {
        None => ResponderWith::nk(&key, realm, header, message1, payload),
        Some(psk) => ResponderWith::nk_psk0(&key, psk, realm, header, message1, payload),
    }
}

/// A whole handshake; also the bytes of both messages.
fn shake<I: Backend, R: Backend>(psk: Option<&Psk>) -> (Split, Split, Vec<u8>, Vec<u8>) {
    let (mut message1, mut message2) = (Vec::new(), Vec::new());
    let (mut at_server, mut at_client) = (Vec::new(), Vec::new());
    let initiator = client::<I>(psk, &mut message1).expect("message 1 is made");
    let responder = server::<R>(psk, REALM, HEADER, &message1, &mut at_server).expect("message 1 is good");
    let server = responder
        .finish([0x22; 32], SERVER_SAYS, &mut message2)
        .expect("message 2 is made");
    let client = initiator.finish(&message2, &mut at_client).expect("message 2 is good");
    assert_eq!(at_server, CLIENT_SAYS);
    assert_eq!(at_client, SERVER_SAYS);
    (client, server, message1, message2)
}

fn assert_same(a: &Split, b: &Split) {
    assert_eq!(a.client.as_bytes(), b.client.as_bytes());
    assert_eq!(a.server.as_bytes(), b.server.as_bytes());
    assert_eq!(a.resumption.secret(), b.resumption.secret());
    assert_eq!(a.transcript, b.transcript);
}
