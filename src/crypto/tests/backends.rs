//! The two real backends are one and the same to the wire.

use std::vec;

use super::handshake::low_order_points;
use super::*;
use crate::crypto::backend::{Cipher, aws_lc::AwsLc, portable::Portable};
use crate::crypto::record::{OpenerWith, REKEY_INTERVAL, SealerWith};
use crate::crypto::{Rng, Seed, TAG};

#[test]
fn ciphers_agree_byte_for_byte() {
    let mut rng = Rng::new(&Seed::new([1; 32]));
    for round in 0..300 {
        let key = rng.key();
        let one = <Portable as Backend>::Cipher::new(&key);
        let two = <AwsLc as Backend>::Cipher::new(&key);
        let mut text = vec![0; if round < 3 { 16384 } else { round }];
        let mut ad = vec![0; rng.below(100) as usize];
        rng.fill(&mut text);
        rng.fill(&mut ad);
        let nonce = if round == 0 { u64::MAX } else { rng.u64() };

        let (mut a, mut b) = (vec![0; text.len() + TAG], vec![0; text.len() + TAG]);
        one.seal(nonce, &ad, &text, &mut a);
        two.seal(nonce, &ad, &text, &mut b);
        assert_eq!(a, b);
        b[..text.len()].copy_from_slice(&text);
        two.seal_in_place(nonce, &ad, &mut b);
        assert_eq!(a, b);

        let mut opened = vec![0; text.len()];
        one.open(nonce, &ad, &b, &mut opened).expect("it opens");
        assert_eq!(opened, text);
        opened.fill(0);
        two.open(nonce, &ad, &a, &mut opened).expect("it opens");
        assert_eq!(opened, text);

        let at = rng.below(a.len() as u64) as usize;
        a[at] ^= 1;
        opened.fill(0);
        assert!(one.open(nonce, &ad, &a, &mut opened).is_err());
        assert!(two.open(nonce, &ad, &a, &mut opened).is_err());
        assert_eq!(opened, vec![0; text.len()]);
    }
}

#[test]
fn curves_agree_also_on_odd_public_keys() {
    let mut rng = Rng::new(&Seed::new([2; 32]));
    for _ in 0..300 {
        let (secret, public) = (rng.key(), rng.key()); // half of the keys have the top bit set, half are on the twist
        let (portable, aws_lc) = (Portable::secret_key(&secret), AwsLc::secret_key(&secret));
        assert_eq!(Portable::public_key(&portable), AwsLc::public_key(&aws_lc));
        let one = Portable::diffie_hellman(&portable, &public).expect("not of low order");
        let two = AwsLc::diffie_hellman(&aws_lc, &public).expect("not of low order");
        assert_eq!(*one, *two);
    }
}

#[test]
fn f10_both_reject_every_low_order_point() {
    for point in low_order_points() {
        assert!(Portable::diffie_hellman(&Portable::secret_key(&counting(1)), &point).is_err());
        assert!(AwsLc::diffie_hellman(&AwsLc::secret_key(&counting(1)), &point).is_err());
    }
}

#[test]
fn handshakes_agree_in_all_four_pairings() {
    let psk = Psk::from_bytes([7; 32]);
    for psk in [None, Some(&psk)] {
        let (client, server, message1, message2) = shake::<Portable, Portable>(psk);
        assert_same(&client, &server);
        for (a, b, one, two) in [
            shake::<Portable, AwsLc>(psk),
            shake::<AwsLc, Portable>(psk),
            shake::<AwsLc, AwsLc>(psk),
        ] {
            assert_same(&a, &client);
            assert_same(&b, &client);
            assert_eq!((one, two), (message1.clone(), message2.clone()));
        }
    }
}

#[test]
fn records_cross_a_rekey_between_the_two() {
    let (split, ..) = shake::<Portable, AwsLc>(None);
    let start = 2 * REKEY_INTERVAL - 3;
    let mut sealer = SealerWith::<Portable>::starting_at(&split.client, start);
    let mut opener = OpenerWith::<AwsLc>::starting_at(&split.client, start);
    for _ in 0..6 {
        let (mut sealed, mut opened) = ([0; 5 + TAG], [0; 5]);
        sealer.seal(b"hello", &mut sealed).expect("numbers are left");
        opener.open(&sealed, &mut opened).expect("it opens");
        assert_eq!(&opened, b"hello");
    }
}
