//! A thousand handshakes against snow, an independent Noise, each followed by records; some cross a REKEY (U-30).

use std::vec;
use std::vec::Vec;

use snow::{Builder, HandshakeState, StatelessTransportState};

use super::*;
use crate::crypto::backend::Active;
use crate::crypto::record::{OpenerWith, REKEY_INTERVAL, SealerWith};
use crate::crypto::{Rng, Seed, TAG};

const HANDSHAKES: u64 = 250;

#[test]
fn snow_answers_our_nk() {
    run(true, false, 1);
}

#[test]
fn snow_answers_our_nk_psk0() {
    run(true, true, 2);
}

#[test]
fn we_answer_the_nk_of_snow() {
    run(false, false, 3);
}

#[test]
fn we_answer_the_nk_psk0_of_snow() {
    run(false, true, 4);
}

/// 250 handshakes. With a psk they are a chain: the first is an NK, each next one resumes from the one before.
fn run(we_initiate: bool, resume: bool, seed: u8) {
    let mut rng = Rng::new(&Seed::new([seed; 32]));
    let mut psk: Option<Psk> = None;
    for round in 0..HANDSHAKES {
        let (ours, snow) = match we_initiate {
            true => initiate(&mut rng, psk.as_ref()),
            false => respond(&mut rng, psk.as_ref()),
        };
        let (start, count) = match round {
            1 => (0, REKEY_INTERVAL + 3),                         // all of them, really
            _ if round % 10 == 0 => (3 * REKEY_INTERVAL - 5, 10), // over an edge
            _ => (0, 2),
        };
        exchange(&mut rng, &ours, snow, we_initiate, start, count);
        if resume {
            psk = Some(Psk::from_bytes(*ours.resumption.psk().as_bytes()));
        }
    }
}

fn initiate(rng: &mut Rng, psk: Option<&Psk>) -> (Split, StatelessTransportState) {
    let secret = rng.key();
    let key = ServerKey::from_bytes(secret).expect("not zeros");
    let (realm, header, payload, answer) = (bytes(rng, 255), bytes(rng, 32), bytes(rng, 2000), bytes(rng, 2000));
    let (mut message1, mut received) = (Vec::new(), Vec::new());
    let ephemeral = rng.key();
    let initiator = match psk {
        None => InitiatorWith::<Active>::nk(&key.public(), &realm, &header, ephemeral, &payload, &mut message1),
        Some(psk) => InitiatorWith::nk_psk0(&key.public(), psk, &realm, &header, ephemeral, &payload, &mut message1),
    }
    .expect("message 1 is made");

    let mut snow = snow(&secret, psk, &realm, &header, &rng.key(), false);
    assert_eq!(snow_reads(&mut snow, &message1), payload);
    let message2 = snow_writes(&mut snow, &answer);
    let split = initiator.finish(&message2, &mut received).expect("message 2 is good");
    assert_eq!(received, answer);
    assert_eq!(snow.get_handshake_hash(), split.transcript);
    (split, finish(snow))
}

fn respond(rng: &mut Rng, psk: Option<&Psk>) -> (Split, StatelessTransportState) {
    let secret = rng.key();
    let key = ServerKey::from_bytes(secret).expect("not zeros");
    let (realm, header, payload, answer) = (bytes(rng, 255), bytes(rng, 32), bytes(rng, 2000), bytes(rng, 2000));
    let mut snow = snow(&secret, psk, &realm, &header, &rng.key(), true);
    let message1 = snow_writes(&mut snow, &payload);

    let (mut received, mut message2) = (Vec::new(), Vec::new());
    let responder = match psk {
        None => ResponderWith::nk(&key, &realm, &header, &message1, &mut received),
        Some(psk) => ResponderWith::nk_psk0(&key, psk, &realm, &header, &message1, &mut received),
    }
    .expect("message 1 is good");
    assert_eq!(received, payload);
    let split = responder
        .finish(rng.key(), &answer, &mut message2)
        .expect("message 2 is made");
    assert_eq!(snow_reads(&mut snow, &message2), answer);
    assert_eq!(snow.get_handshake_hash(), split.transcript);
    (split, finish(snow))
}

/// Records in both directions, numbers `start` to `start + count`.
fn exchange(rng: &mut Rng, ours: &Split, mut snow: StatelessTransportState, we_initiate: bool, start: u64, count: u64) {
    let (send, receive) = match we_initiate {
        true => (&ours.client, &ours.server),
        false => (&ours.server, &ours.client),
    };
    let mut sealer = SealerWith::<Active>::starting_at(send, start);
    let mut opener = OpenerWith::<Active>::starting_at(receive, start);
    let mut buffer = [0; 256];
    for number in start..start + count {
        if number != start && number % REKEY_INTERVAL == 0 {
            snow.rekey_outgoing();
            snow.rekey_incoming();
        }
        let text = if count > 100 {
            b"short".to_vec()
        } else {
            bytes(rng, 100)
        };

        let mut sealed = vec![0; text.len() + TAG];
        sealer.seal(&text, &mut sealed).expect("numbers are left");
        let length = snow.read_message(number, &sealed, &mut buffer).expect("snow opens it");
        assert_eq!(&buffer[..length], text);

        let length = snow.write_message(number, &text, &mut buffer).expect("snow seals it");
        let mut opened = vec![0; length - TAG];
        opener.open(&buffer[..length], &mut opened).expect("we open it");
        assert_eq!(opened, text);
    }
}

fn snow(
    secret: &[u8; 32],
    psk: Option<&Psk>,
    realm: &[u8],
    header: &[u8],
    ephemeral: &[u8; 32],
    initiator: bool,
) -> HandshakeState {
    let mut prologue = b"unbroken/1".to_vec(); // U-2, written out once more
    prologue.push(realm.len() as u8);
    prologue.extend_from_slice(realm);
    prologue.extend_from_slice(header);
    let name = match psk {
        None => "Noise_NK_25519_AESGCM_SHA256",
        Some(_) => "Noise_NKpsk0_25519_AESGCM_SHA256",
    };
    let public = ServerKey::from_bytes(*secret).expect("not zeros").public().0;
    let mut builder = Builder::new(name.parse().expect("snow knows the pattern"))
        .prologue(&prologue)
        .expect("one prologue")
        .fixed_ephemeral_key_for_testing_only(ephemeral);
    if let Some(psk) = psk {
        builder = builder.psk(0, psk.as_bytes()).expect("one psk");
    }
    match initiator {
        true => builder.remote_public_key(&public).expect("one key").build_initiator(),
        false => builder.local_private_key(secret).expect("one key").build_responder(),
    }
    .expect("snow is ready")
}

fn snow_writes(snow: &mut HandshakeState, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 65535];
    let length = snow.write_message(payload, &mut message).expect("snow writes");
    message.truncate(length);
    message
}

fn snow_reads(snow: &mut HandshakeState, message: &[u8]) -> Vec<u8> {
    let mut payload = vec![0; 65535];
    let length = snow.read_message(message, &mut payload).expect("snow reads");
    payload.truncate(length);
    payload
}

fn finish(snow: HandshakeState) -> StatelessTransportState {
    snow.into_stateless_transport_mode().expect("snow is done")
}

/// Up to `most` random bytes.
fn bytes(rng: &mut Rng, most: u64) -> Vec<u8> {
    let mut bytes = vec![0; rng.below(most + 1) as usize];
    rng.fill(&mut bytes);
    bytes
}
