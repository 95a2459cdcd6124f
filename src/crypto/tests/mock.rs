//! The mock does what a fuzzer needs: two ends agree, and a checksum made outside is accepted.

use super::*;
use crate::crypto::backend::mock::{Mock, checksum};
use crate::crypto::{Opener, TAG};

#[test]
fn handshakes_agree_and_a_forged_record_is_accepted() {
    let (client, server, ..) = shake::<Mock, Mock>(None);
    assert_same(&client, &server);
    let (resumed, at_server, ..) = shake::<Mock, Mock>(Some(client.resumption.psk()));
    assert_same(&resumed, &at_server);

    let mut forged = [0; 5 + TAG];
    forged[..5].copy_from_slice(b"hello");
    forged[5..].copy_from_slice(&checksum(client.client.as_bytes(), 0, &[], b"hello"));
    let mut opened = [0; 5];
    Opener::new(&client.client)
        .open(&forged, &mut opened)
        .expect("the checksum is right");
    assert_eq!(&opened, b"hello");
}

#[test]
fn a_wrong_checksum_or_psk_is_still_rejected() {
    let mut message1 = Vec::new();
    client::<Mock>(None, &mut message1).expect("message 1 is made");
    for flipped in flips(&message1) {
        assert!(server::<Mock>(None, REALM, HEADER, &flipped, &mut Vec::new()).is_err());
    }
    let psk = Psk::from_bytes([7; 32]);
    assert!(server::<Mock>(Some(&psk), REALM, HEADER, &message1, &mut Vec::new()).is_err());
}
