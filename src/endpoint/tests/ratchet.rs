//! The two generations, against a client that loses answers in every way it can (U-34, R1, R2).

use alloc::vec::Vec;

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

/// What may become of a RESUME, and what else can come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It does not arrive now; it may later.
    HeldUp,
    AnswerLost,
    Answered,
    /// ... and the client's first record came through, too.
    Confirmed,
    /// A record on the link that the client has already.
    Record,
    /// The oldest flight that was held up arrives after all: nobody waits for its answer.
    Late,
    /// Every flight that has ever been accepted comes again.
    Replay,
}

/// Bounded-exhaustive: all histories of six steps, 7^6 = 117,649 of them, and so all shorter ones. Whatever is lost, late or replayed, the client's generation is one
/// of the server's, there are two at most, no flight is accepted twice, and nothing old comes back.
#[test]
fn every_history_of_six_steps_keeps_client_and_server_together() {
    const FATES: [Fate; 7] = [
        Fate::HeldUp,
        Fate::AnswerLost,
        Fate::Answered,
        Fate::Confirmed,
        Fate::Record,
        Fate::Late,
        Fate::Replay,
    ];
    const STEPS: u32 = 6;
    for history in 0..7u32.pow(STEPS) {
        let fates = (0..STEPS).map(|step| FATES[(history / 7u32.pow(step) % 7) as usize]);
        let mut ratchet = Ratchet::new(secret(0));
        let (mut client, mut attempt) = (0, 0);
        let (mut held_up, mut accepted) = (Vec::new(), Vec::new());
        // As the endpoint judges a flight: its generation first, then its attempt.
        let arrive = |ratchet: &mut Ratchet, accepted: &mut Vec<(u32, u32)>, under: u32, attempt: u32| {
            let good = knows(ratchet, under) && attempt > ratchet.attempt();
            if good {
                ratchet.accept(under, attempt, secret(attempt));
                accepted.push((under, attempt));
            }
            good
        };
        for fate in fates {
            match fate {
                Fate::Record => ratchet.confirm(client),
                Fate::Late if held_up.is_empty() => {}
                Fate::Late => {
                    let (under, attempt) = held_up.remove(0);
                    arrive(&mut ratchet, &mut accepted, under, attempt);
                }
                Fate::Replay => {
                    for (under, attempt) in accepted.clone() {
                        assert!(!arrive(&mut ratchet, &mut accepted, under, attempt), "{history}: twice");
                    }
                }
                _ => {
                    attempt += 1;
                    if fate == Fate::HeldUp {
                        held_up.push((client, attempt));
                    } else {
                        let good = arrive(&mut ratchet, &mut accepted, client, attempt);
                        assert!(good, "{history}: an honest RESUME is refused");
                        if fate != Fate::AnswerLost {
                            client = attempt;
                        }
                        if fate == Fate::Confirmed {
                            ratchet.confirm(client);
                        }
                    }
                }
            }
            assert!(knows(&ratchet, client), "{history}: the server forgot the client's");
            let known = (0..=attempt).filter(|number| knows(&ratchet, *number)).count();
            assert!(known <= 2, "{history}: {known} generations");
            assert!(!ratchet.has_left(client));
        }
    }
}
