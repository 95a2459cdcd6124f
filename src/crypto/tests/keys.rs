//! Keys, handles and the schedule against values computed elsewhere.
//!
//! The golden values are from Python's `cryptography` 48 (AES in ECB mode, HKDF, HKDFExpand, X25519) and its `hmac` and
//! `hashlib`, over inputs that count up: `counting(n)` is `bytes(range(n, n + length))`.

use std::string::ToString;

use hkdf::Hkdf;
use sha2::Sha256;

use super::*;
use crate::crypto::{ClusterKey, HandleCipher, Resumption, Rng, Seed, ZeroKey};

fn handles(start: u8) -> HandleCipher {
    HandleCipher::new(&ClusterKey::from_bytes(counting(start)).expect("not zeros"))
}

#[test]
fn a_handle_has_the_golden_value() {
    let handle = handles(0).seal(counting(0xa0), 0x0102_0304);
    assert_eq!(handle.as_slice(), unhex("6cd276d272e9e3f85113e026e70277a4"));
    assert_eq!(handles(0).open(&handle), Some((counting(0xa0), 0x0102_0304)));
}

#[test]
fn handles_round_trip_and_look_unrelated() {
    let cipher = handles(0);
    let mut last = [0; 16];
    for generation in [0, 1, 2, u32::MAX - 1, u32::MAX] {
        let handle = cipher.seal([0xff; 8], generation);
        assert_eq!(cipher.open(&handle), Some(([0xff; 8], generation)));
        let differing: u32 = handle.iter().zip(&last).map(|(a, b)| (a ^ b).count_ones()).sum();
        assert!(differing > 30, "{differing} of 128 bits differ");
        last = handle;
    }
}

#[test]
fn made_up_and_foreign_handles_are_unknown() {
    let cipher = handles(0);
    let handle = cipher.seal(counting(1), 7);
    assert_eq!(handles(1).open(&handle), None);
    for flipped in flips(&handle) {
        let flipped: [u8; 16] = flipped.try_into().expect("16 bytes");
        assert_eq!(cipher.open(&flipped), None);
    }
    let mut rng = Rng::new(&Seed::new([1; 32]));
    for _ in 0..10_000 {
        let mut made_up = [0; 16];
        rng.fill(&mut made_up);
        assert_eq!(cipher.open(&made_up), None);
    }
}

#[test]
fn l19_a_key_of_zeros_cannot_be_constructed() {
    assert!(ServerKey::from_bytes([0; 32]).is_err());
    assert!(ClusterKey::from_bytes([0; 32]).is_err());
    let mut almost = [0; 32];
    almost[31] = 1;
    assert!(ServerKey::from_bytes(almost).is_ok());
    assert!(ClusterKey::from_bytes(almost).is_ok());
    assert!(ZeroKey.to_string().starts_with("the key is all zeros; "));
}

#[cfg(not(unbroken_mock_crypto))]
#[test]
fn public_key_and_id_have_the_golden_values() {
    let key = ServerKey::from_bytes(counting(0)).expect("not zeros");
    let public = "8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f";
    assert_eq!(key.public().0, unhex32(public));
    assert_eq!(key.id().as_slice(), unhex("eedd883d"));
    assert_eq!(key.public().id(), key.id());
    let shown = std::format!("{:?}", key.public());
    assert_eq!(shown, ["PublicKey(", public, ")"].concat());
}

#[test]
fn the_schedule_has_the_golden_values() {
    let split = Split::new(&counting(0), counting(32));
    let hex32 = |key: &[u8; 32], text| assert_eq!(*key, unhex32(text));
    hex32(
        split.client.as_bytes(),
        "1d7e0d6f1d9da2d68dabed53b5f88345f3fd01cb75411fbe5aa4293bd8f430d6",
    );
    hex32(
        split.server.as_bytes(),
        "3ed9b8035bbf370b8cfef7ff15007de45488e18660c84e3d996e8e6c658fa7f8",
    );
    hex32(
        split.resumption.secret(),
        "d3225936df1abd34acfb7b913e966bdbacae522ead897b51f7ffbaf82c3eb517",
    );
    hex32(
        split.resumption.psk().as_bytes(),
        "7c9eeb452476f3194d8ad5414d418db7cf0ad1fa0f10b4dc2e08037f63676aa2",
    );
    let mac1 = split.resumption.mac1(&counting::<32>(64), &counting::<32>(96));
    assert_eq!(mac1.as_slice(), unhex("b91093216e4bed5dfa98c2b82df49b2d"));
}

#[test]
fn a_resumption_survives_a_snapshot() {
    let split = Split::new(&counting(0), counting(32));
    let back = Resumption::from_bytes(*split.resumption.secret());
    assert_eq!(back.psk().as_bytes(), split.resumption.psk().as_bytes());
    assert_eq!(back.mac1(b"header", b"e"), split.resumption.mac1(b"header", b"e"));
    assert!(size_of::<Resumption>() <= 128);
}

#[test]
fn our_expand_is_the_hkdf_of_rfc_5869() {
    let cluster = ClusterKey::from_bytes(counting(3)).expect("not zeros");
    for label in [b"".as_slice(), b"one", &[0x55; 200]] {
        let mut expected = [0; 32];
        Hkdf::<Sha256>::from_prk(&counting::<32>(3))
            .expect("long enough")
            .expand(label, &mut expected)
            .expect("short enough");
        assert_eq!(*cluster.derive(label).as_bytes(), expected);
    }
}
