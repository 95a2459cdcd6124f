//! The two generations, against a client that loses answers in every way it can (U-34, R1, R2).

use crate::crypto::Resumption;
use crate::endpoint::ratchet::Ratchet;
use crate::session::tests::Dice;

fn secret(number: u32) -> Resumption {
    let mut bytes = [1; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Resumption::from_bytes(bytes)
}

fn knows(ratchet: &Ratchet, number: u32) -> bool {
    let found = ratchet.find(number);
    if let Some(resumption) = found {
        assert!(
            resumption.secret() == secret(number).secret(),
            "the secret of another generation"
        );
    }
    found.is_some()
}

#[test]
fn a_lost_answer_costs_nothing() {
    let mut ratchet = Ratchet::new(secret(0));
    assert!(knows(&ratchet, 0) && ratchet.attempt() == 0);
    // Three ACCEPTs get lost: the client stays with 0 and only the last pending one counts.
    for attempt in [1, 2, 5] {
        ratchet.accept(0, attempt, secret(attempt));
        assert!(knows(&ratchet, 0) && knows(&ratchet, attempt));
        assert_eq!(ratchet.attempt(), attempt);
    }
    assert!(
        !knows(&ratchet, 1) && !knows(&ratchet, 2),
        "two generations, never more"
    );
    assert!(!ratchet.has_left(0));
}

#[test]
fn proof_of_the_pending_one_wipes_the_other() {
    let mut ratchet = Ratchet::new(secret(0));
    ratchet.accept(0, 1, secret(1));
    ratchet.confirm(1);
    assert!(!knows(&ratchet, 0) && knows(&ratchet, 1) && ratchet.has_left(0));
    // A RESUME under pending is a proof, too.
    ratchet.accept(1, 2, secret(2));
    ratchet.accept(2, 3, secret(3));
    assert!(!knows(&ratchet, 1) && knows(&ratchet, 2) && knows(&ratchet, 3));
    assert!(ratchet.has_left(1) && !ratchet.has_left(2));
}

#[test]
fn a_proof_of_another_link_changes_nothing() {
    let mut ratchet = Ratchet::new(secret(0));
    ratchet.accept(0, 4, secret(4));
    for number in [0, 3, 5, u32::MAX] {
        ratchet.confirm(number);
        assert!(knows(&ratchet, 0) && knows(&ratchet, 4));
    }
}

/// Whatever is lost, the generation the client has is one of the server's two.
#[test]
fn client_and_server_never_lose_each_other() {
    for seed in 0..500 {
        let mut dice = Dice::new(seed);
        let mut ratchet = Ratchet::new(secret(0));
        let (mut client, mut attempt) = (0, 0);
        for _ in 0..100 {
            attempt += dice.between(1, 3) as u32;
            assert!(
                knows(&ratchet, client),
                "seed {seed}: the client has {client}, which the server forgot"
            );
            if dice.one_in(4) {
                continue; // the RESUME was lost
            }
            ratchet.accept(client, attempt, secret(attempt));
            if dice.one_in(3) {
                continue; // the ACCEPT was lost
            }
            client = attempt;
            if dice.one_in(2) {
                ratchet.confirm(attempt); // and a record came through
            }
        }
        assert_eq!(ratchet.attempt(), ratchet.attempt().max(client));
    }
}
