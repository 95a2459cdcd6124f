//! The handshake and the key schedule once more (U-1, U-2, U-27, U-28), from the primitives alone and without a look at
//! `src/crypto`: what both say is hardly wrong.

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit as _};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::page::{Section, find};

/// What the client knows in one handshake.
pub struct Known {
    pub psk: Option<Vec<u8>>,
    pub realm: Vec<u8>,
    pub header: Vec<u8>,
    pub server: Vec<u8>,
    pub e: Vec<u8>,
    pub message1: Vec<u8>,
    pub message2: Vec<u8>,
}

/// Where the two links of the examples have their flights and their keys.
pub struct Sections {
    pub flight: &'static str,
    pub answer: &'static str,
    pub keys: &'static str,
    /// Where the psk stands, if there is one.
    pub psk: Option<&'static str>,
}

pub const LINKS: [&Sections; 2] = [
    &Sections {
        flight: "A.2",
        answer: "A.3",
        keys: "A.4",
        psk: None,
    },
    &Sections {
        flight: "A.7",
        answer: "A.8",
        keys: "A.9",
        psk: Some("A.4"),
    },
];

impl Known {
    pub fn of(sections: &[Section], link: &Sections) -> Known {
        Known {
            psk: link.psk.map(|keys| find(sections, keys, "psk")),
            realm: find(sections, "A.1", "realm"),
            header: find(sections, link.flight, "header"),
            server: find(sections, "A.1", "server public key"),
            e: find(sections, link.flight, "client ephemeral private key"),
            message1: find(sections, link.flight, "Noise message 1"),
            message2: find(sections, link.answer, "Noise message 2"),
        }
    }
}

/// The values of sections A.4 and A.9 by their names there.
pub fn derive(known: &Known) -> Vec<(&'static str, Vec<u8>)> {
    let mut state = State::new(known);
    if let Some(psk) = &known.psk {
        let [ck, hashed, k] = hkdf(&state.ck, psk);
        (state.ck, state.k) = (ck, k);
        state.mix_hash(&hashed);
    }
    let (e, sealed) = known.message1.split_at(32);
    state.mix_public(e, known.psk.is_some());
    state.mix_key(&x25519(&known.e, &known.server));
    let h = state.h.clone();
    open(&state.k, &h, sealed);
    state.mix_hash(sealed);
    let (e, sealed) = known.message2.split_at(32);
    state.mix_public(e, known.psk.is_some());
    state.mix_key(&x25519(&known.e, e));
    let h = state.h.clone();
    open(&state.k, &h, sealed);
    state.mix_hash(sealed);

    let prk = hmac(&state.ck, &[]);
    let client = hmac(&prk, &[&[1]]);
    let server = hmac(&prk, &[&client, &[2]]);
    let rs = hmac(&prk, &[b"unbroken/1 resumption", &state.h, &[1]]);
    vec![
        ("h", state.h),
        ("ck", state.ck),
        ("PRK", prk),
        ("k_client", client),
        ("k_server", server),
        ("psk", hmac(&rs, &[b"unbroken/1 psk", &[1]])),
        ("mac1 key", hmac(&rs, &[b"unbroken/1 mac1", &[1]])),
        ("rs", rs),
    ]
}

struct State {
    ck: Vec<u8>,
    h: Vec<u8>,
    k: Vec<u8>,
}

impl State {
    fn new(known: &Known) -> State {
        let name: &[u8; 32] = match known.psk {
            None => b"Noise_NK_25519_AESGCM_SHA256\0\0\0\0",
            Some(_) => b"Noise_NKpsk0_25519_AESGCM_SHA256",
        };
        let mut state = State {
            ck: name.to_vec(),
            h: name.to_vec(),
            k: Vec::new(),
        };
        state.mix_hash(
            &[
                b"unbroken/1",
                &[known.realm.len() as u8][..],
                &known.realm,
                &known.header,
            ]
            .concat(),
        );
        state.mix_hash(&known.server);
        state
    }

    fn mix_hash(&mut self, data: &[u8]) {
        self.h = Sha256::digest([&self.h, data].concat()).to_vec();
    }

    fn mix_key(&mut self, material: &[u8]) {
        let [ck, k, _] = hkdf(&self.ck, material);
        (self.ck, self.k) = (ck, k);
    }

    /// Where there is a psk, an ephemeral key goes into the key as well.
    fn mix_public(&mut self, e: &[u8], psk: bool) {
        self.mix_hash(e);
        if psk {
            self.mix_key(e);
        }
    }
}

pub fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(&parts.concat());
    mac.finalize().into_bytes().to_vec()
}

fn hkdf(ck: &[u8], material: &[u8]) -> [Vec<u8>; 3] {
    let prk = hmac(ck, &[material]);
    let one = hmac(&prk, &[&[1]]);
    let two = hmac(&prk, &[&one, &[2]]);
    let three = hmac(&prk, &[&two, &[3]]);
    [one, two, three]
}

fn x25519(private: &[u8], public: &[u8]) -> Vec<u8> {
    let array = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).expect("32 bytes");
    x25519_dalek::x25519(array(private), array(public)).to_vec()
}

fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    nonce
}

/// Panics if it is not authentic.
fn open(key: &[u8], ad: &[u8], sealed: &[u8]) -> Vec<u8> {
    let cipher = Aes256Gcm::new_from_slice(key).expect("32 bytes");
    let (text, tag) = sealed.split_last_chunk::<16>().expect("a tag");
    let mut text = text.to_vec();
    let result = cipher.decrypt_inout_detached(&nonce(0).into(), ad, text.as_mut_slice().into(), tag.into());
    result.expect("authentic");
    text
}

/// With the tag behind.
pub fn seal(key: &[u8], number: u64, ad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let cipher = Aes256Gcm::new_from_slice(key).expect("32 bytes");
    let mut text = plaintext.to_vec();
    let result = cipher.encrypt_inout_detached(&nonce(number).into(), ad, text.as_mut_slice().into());
    text.extend_from_slice(&result.expect("short"));
    text
}

/// HKDF-Expand to 32 bytes.
pub fn expand(key: &[u8; 32], info: &[u8]) -> Vec<u8> {
    hmac(key, &[info, &[1]])
}
