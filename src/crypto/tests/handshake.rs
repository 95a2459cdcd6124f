//! The handshake between our own two ends, and everything that must break it.

use std::vec::Vec;

use super::*;
use crate::crypto::backend::{Active, Backend};
use crate::crypto::symmetric::SymmetricState;
use crate::crypto::{Initiator, NOISE_OVERHEAD, PublicKey, Resumption};

/// All encodings of the points whose order divides 8, below 2^255: 0, 1, the two of order 8, p-1, p and p+1. X25519 ignores
/// the top bit, so each has a twin. The list is Bernstein's, at cr.yp.to/ecdh.html.
const LOW_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

pub(super) fn low_order_points() -> impl Iterator<Item = [u8; 32]> {
    LOW_ORDER.iter().flat_map(|text| {
        let point = unhex32(text);
        let mut twin = point;
        twin[31] |= 0x80;
        [point, twin]
    })
}

#[test]
fn both_ends_agree_and_a_resume_follows_from_the_connect() {
    let (client, server, message1, message2) = shake::<Active, Active>(None);
    assert_same(&client, &server);
    assert_eq!(message1.len(), CLIENT_SAYS.len() + NOISE_OVERHEAD);
    assert_eq!(message2.len(), SERVER_SAYS.len() + NOISE_OVERHEAD);

    let (resumed, at_server, ..) = shake::<Active, Active>(Some(client.resumption.psk()));
    assert_same(&resumed, &at_server);
    assert_ne!(resumed.client.as_bytes(), client.client.as_bytes());
    assert_ne!(resumed.resumption.secret(), client.resumption.secret());

    let (again, at_server, ..) = shake::<Active, Active>(Some(resumed.resumption.psk()));
    assert_same(&again, &at_server);
    assert_ne!(again.resumption.secret(), resumed.resumption.secret());
}

#[test]
fn the_directions_and_the_resumption_have_different_keys() {
    let (split, ..) = shake::<Active, Active>(None);
    let keys = [
        split.client.as_bytes(),
        split.server.as_bytes(),
        split.resumption.secret(),
        split.resumption.psk().as_bytes(),
        &split.transcript,
    ];
    for (at, key) in keys.iter().enumerate() {
        assert!(!keys[..at].contains(key));
    }
}

#[test]
fn f17_flipped_bit_in_message_1_is_rejected() {
    let psk = Psk::from_bytes([7; 32]);
    for psk in [None, Some(&psk)] {
        let mut message1 = Vec::new();
        client::<Active>(psk, &mut message1).expect("message 1 is made");
        for flipped in flips(&message1) {
            let mut payload = b"kept".to_vec();
            assert!(server::<Active>(psk, REALM, HEADER, &flipped, &mut payload).is_err());
            assert_eq!(payload, b"kept");
        }
    }
}

#[test]
fn f17_flipped_bit_in_message_2_is_rejected() {
    let psk = Psk::from_bytes([7; 32]);
    for psk in [None, Some(&psk)] {
        let (_, _, message1, message2) = shake::<Active, Active>(psk);
        for flipped in flips(&message2) {
            let (mut same, mut payload) = (Vec::new(), b"kept".to_vec());
            let initiator = client::<Active>(psk, &mut same).expect("message 1 is made");
            assert_eq!(same, message1);
            assert!(initiator.finish(&flipped, &mut payload).is_err());
            assert_eq!(payload, b"kept");
        }
    }
}

#[test]
fn f17_flipped_bit_in_the_header_is_rejected() {
    let mut message1 = Vec::new();
    client::<Active>(None, &mut message1).expect("message 1 is made");
    for flipped in flips(HEADER) {
        assert!(server::<Active>(None, REALM, &flipped, &message1, &mut Vec::new()).is_err());
    }
}

#[test]
fn f17_a_message_of_any_shorter_length_is_rejected() {
    let (_, _, message1, message2) = shake::<Active, Active>(None);
    for length in 0..message1.len() {
        assert!(server::<Active>(None, REALM, HEADER, &message1[..length], &mut Vec::new()).is_err());
    }
    for length in 0..message2.len() {
        let initiator = client::<Active>(None, &mut Vec::new()).expect("message 1 is made");
        assert!(initiator.finish(&message2[..length], &mut Vec::new()).is_err());
    }
}

/// A message 1 that anybody can make: with a point of low order for `e`, `es` is zeros whatever the server's key.
fn forged_message_1(point: &[u8; 32]) -> Vec<u8> {
    let name = b"Noise_NK_25519_AESGCM_SHA256";
    let mut state = SymmetricState::new(name, &[b"unbroken/1", &[REALM.len() as u8], REALM, HEADER]);
    state.mix_hash(&[&server_key().public().0]);
    state.mix_hash(&[point]);
    state.mix_key(&[0; 32]);
    let mut message = point.to_vec();
    state.seal::<<Active as Backend>::Cipher>(CLIENT_SAYS, &mut message);
    message
}

#[test]
fn f10_a_message_1_forged_with_a_low_order_point_is_rejected() {
    for point in low_order_points() {
        let message1 = forged_message_1(&point);
        assert!(server::<Active>(None, REALM, HEADER, &message1, &mut Vec::new()).is_err());
    }
}

#[test]
fn f10_a_message_2_forged_with_a_low_order_point_is_rejected() {
    for point in low_order_points() {
        let mut message1 = Vec::new();
        let initiator = client::<Active>(None, &mut message1).expect("message 1 is made");

        // The forger even knows `es`, as one who stole the server's key does.
        let name = b"Noise_NK_25519_AESGCM_SHA256";
        let mut state = SymmetricState::new(name, &[b"unbroken/1", &[REALM.len() as u8], REALM, HEADER]);
        state.mix_hash(&[&server_key().public().0]);
        state.mix_hash(&[&message1[..32]]);
        let e = message1[..32].try_into().expect("32 bytes");
        state.mix_key(&*Active::diffie_hellman(&server_key().secret, e).expect("a good key"));
        let mut read = Vec::new();
        state
            .open::<<Active as Backend>::Cipher>(&message1[32..], &mut read)
            .expect("the forger follows so far");
        let mut message2 = point.to_vec();
        state.mix_hash(&[&point]);
        state.mix_key(&[0; 32]);
        state.seal::<<Active as Backend>::Cipher>(SERVER_SAYS, &mut message2);
        assert!(initiator.finish(&message2, &mut Vec::new()).is_err());
    }
}

#[test]
fn f10_a_low_order_point_gives_no_shared_secret() {
    for point in low_order_points() {
        assert!(Active::diffie_hellman(&Active::secret_key(&counting(1)), &point).is_err());
    }
}

#[test]
fn f10_a_low_order_server_key_is_rejected_before_a_byte_is_written() {
    for point in low_order_points() {
        let mut out = b"kept".to_vec();
        let result = Initiator::nk(&PublicKey(point), REALM, HEADER, [0x11; 32], CLIENT_SAYS, &mut out);
        assert!(result.is_err());
        assert_eq!(out, b"kept");
    }
}

#[test]
fn f21_another_realm_is_rejected() {
    let psk = Psk::from_bytes([7; 32]);
    for psk in [None, Some(&psk)] {
        let mut message1 = Vec::new();
        client::<Active>(psk, &mut message1).expect("message 1 is made");
        let realms: [&[u8]; 4] = [b"", b"chat.examplf", b"chat.exampl", b"chat.example\x00"];
        for realm in realms {
            assert!(server::<Active>(psk, realm, HEADER, &message1, &mut Vec::new()).is_err());
        }
    }
}

#[test]
fn f21_a_byte_cannot_wander_between_realm_and_header() {
    let mut message1 = Vec::new();
    client::<Active>(None, &mut message1).expect("message 1 is made");
    let mut longer = REALM.to_vec();
    longer.push(HEADER[0]);
    assert!(server::<Active>(None, &longer, &HEADER[1..], &message1, &mut Vec::new()).is_err());
}

#[test]
fn a_realm_of_255_bytes_is_the_longest() {
    let server = server_key().public();
    let shake = |realm: &[u8]| Initiator::nk(&server, realm, HEADER, [0x11; 32], b"", &mut Vec::new());
    assert!(shake(&[0x61; 255]).is_ok());
    assert!(shake(&[0x61; 256]).is_err());
}

#[test]
fn another_psk_another_pattern_or_another_server_key_is_rejected() {
    let (right, wrong) = (Psk::from_bytes([7; 32]), Psk::from_bytes([8; 32]));
    let (mut with_psk, mut without) = (Vec::new(), Vec::new());
    client::<Active>(Some(&right), &mut with_psk).expect("message 1 is made");
    client::<Active>(None, &mut without).expect("message 1 is made");
    assert!(server::<Active>(Some(&wrong), REALM, HEADER, &with_psk, &mut Vec::new()).is_err());
    assert!(server::<Active>(None, REALM, HEADER, &with_psk, &mut Vec::new()).is_err());
    assert!(server::<Active>(Some(&right), REALM, HEADER, &without, &mut Vec::new()).is_err());

    let other = ServerKey::from_bytes(counting(2)).expect("not zeros");
    assert!(ResponderWith::<Active>::nk(&other, REALM, HEADER, &without, &mut Vec::new()).is_err());
}

#[test]
fn messages_are_appended() {
    let (mut message1, mut payload) = (b"prelude".to_vec(), b"before".to_vec());
    client::<Active>(None, &mut message1).expect("message 1 is made");
    assert_eq!(&message1[..7], b"prelude");
    server::<Active>(None, REALM, HEADER, &message1[7..], &mut payload).expect("message 1 is good");
    assert_eq!(&payload[..6], b"before");
    assert_eq!(&payload[6..], CLIENT_SAYS);
}

#[test]
fn mac1_covers_header_and_ephemeral_and_nothing_passes_for_it() {
    let resumption = Resumption::from_bytes(counting(9));
    let (header, e) = (counting::<32>(64), counting::<32>(96));
    let mac1 = resumption.mac1(&header, &e);
    assert!(resumption.verify_mac1(&header, &e, &mac1));
    for flipped in flips(&mac1) {
        assert!(!resumption.verify_mac1(&header, &e, &flipped));
    }
    for flipped in flips(&header) {
        assert!(!resumption.verify_mac1(&flipped, &e, &mac1));
    }
    for flipped in flips(&e) {
        assert!(!resumption.verify_mac1(&header, &flipped, &mac1));
    }
    assert!(!resumption.verify_mac1(&header, &e, &mac1[..15]));
    assert!(!resumption.verify_mac1(&header, &e, &[]));
    assert!(!Resumption::from_bytes(counting(10)).verify_mac1(&header, &e, &mac1));
}
