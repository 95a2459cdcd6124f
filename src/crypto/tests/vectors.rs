//! The published Noise vectors, byte for byte, in both roles.

use std::vec::Vec;

use serde_json::Value;

use super::*;
use crate::crypto::backend::{Active, Backend, portable::Portable};
use crate::crypto::record::{OpenerWith, SealerWith};
use crate::crypto::{PublicKey, TAG};

const VECTORS: &str = include_str!("../../../tests/golden/noise-vectors.json");

#[test]
fn published_vectors_hold_with_the_portable_backend() {
    check_all::<Portable>();
}

#[test]
fn published_vectors_hold_with_the_active_backend() {
    check_all::<Active>();
}

fn check_all<B: Backend>() {
    let file: Value = serde_json::from_str(VECTORS).expect("the vectors are JSON");
    let vectors = file["vectors"].as_array().expect("a list");
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        check::<B>(vector);
    }
}

fn check<B: Backend>(vector: &Value) {
    let field = |name: &str| unhex(vector[name].as_str().expect("a hex string"));
    let key = |name: &str| <[u8; 32]>::try_from(field(name)).expect("32 bytes");
    let psk = match vector["protocol_name"].as_str() {
        Some("Noise_NK_25519_AESGCM_SHA256") => None,
        Some("Noise_NKpsk0_25519_AESGCM_SHA256") => {
            let text = vector["init_psks"][0].as_str().expect("a psk");
            Some(Psk::from_bytes(unhex32(text)))
        }
        other => panic!("not a pattern of ours: {other:?}"),
    };
    let messages: Vec<(Vec<u8>, Vec<u8>)> = vector["messages"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|message| {
            let part = |name: &str| unhex(message[name].as_str().expect("a hex string"));
            (part("payload"), part("ciphertext"))
        })
        .collect();
    let server = KeyPair::<B>::from_bytes(key("resp_static")).expect("not zeros");
    let pinned = PublicKey(key("init_remote_static"));
    assert_eq!(server.public, pinned);

    let prologue = field("init_prologue");
    let (mut message, mut payload) = (Vec::new(), Vec::new());
    let initiator = InitiatorWith::<B>::start(
        &pinned,
        psk.as_ref(),
        &[&prologue],
        key("init_ephemeral"),
        &messages[0].0,
        &mut message,
    )
    .expect("message 1 is made");
    assert_eq!(message, messages[0].1);

    let prologue = field("resp_prologue");
    let responder = ResponderWith::<B>::start(&server, psk.as_ref(), &[&prologue], &message, &mut payload)
        .expect("message 1 is good");
    assert_eq!(payload, messages[0].0);

    message.clear();
    payload.clear();
    let at_server = responder
        .finish(key("resp_ephemeral"), &messages[1].0, &mut message)
        .expect("message 2 is made");
    assert_eq!(message, messages[1].1);
    let at_client = initiator.finish(&message, &mut payload).expect("message 2 is good");
    assert_eq!(payload, messages[1].0);
    assert_same(&at_client, &at_server);
    if let Some(hash) = vector["handshake_hash"].as_str() {
        assert_eq!(at_client.transcript.as_slice(), unhex(hash));
    }

    let mut ways = [&at_client.client, &at_client.server].map(|key| {
        let (sealer, opener) = (SealerWith::<B>::new(key), OpenerWith::<B>::new(key));
        (sealer, opener)
    });
    for (number, (payload, expected)) in messages[2..].iter().enumerate() {
        let (sealer, opener) = &mut ways[number % 2];
        let mut sealed = std::vec![0; payload.len() + TAG];
        sealer.seal(payload, &mut sealed).expect("numbers are left");
        assert_eq!(&sealed, expected);
        let mut opened = std::vec![0; payload.len()];
        opener.open(&sealed, &mut opened).expect("it opens");
        assert_eq!(&opened, payload);
    }
}
