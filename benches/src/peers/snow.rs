//! snow: Noise NK with AES-256-GCM and SHA-256, one Noise message for each of ours, over ring or over RustCrypto.

use std::hint::black_box;

use snow::resolvers::{CryptoResolver, DefaultResolver, FallbackResolver, RingResolver};
use snow::{Builder, TransportState};

use crate::{Talk, look};

const PATTERN: &str = "Noise_NK_25519_AESGCM_SHA256";

/// Who does the arithmetic. X25519 is dalek's in both: ring's cannot do a static key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Crypto {
    Ring,
    RustCrypto,
}

fn builder<'a>(crypto: Crypto) -> Builder<'a> {
    let resolver: Box<dyn CryptoResolver + Send> = match crypto {
        Crypto::RustCrypto => Box::new(DefaultResolver),
        Crypto::Ring => Box::new(FallbackResolver::new(Box::new(RingResolver), Box::new(DefaultResolver))),
    };
    Builder::with_resolver(PATTERN.parse().expect("a pattern"), resolver)
}

/// The server's key pair.
pub struct Keys(snow::Keypair, Crypto);

impl Keys {
    pub fn new(crypto: Crypto) -> Self {
        Keys(builder(crypto).generate_keypair().expect("a key pair"), crypto)
    }

    /// A handshake.
    pub fn connect(&self) -> Ends {
        let mut client = builder(self.1)
            .remote_public_key(&self.0.public)
            .and_then(Builder::build_initiator)
            .expect("an initiator");
        let mut server = builder(self.1)
            .local_private_key(&self.0.private)
            .and_then(Builder::build_responder)
            .expect("a responder");
        let (mut wire, mut scratch) = ([0; 256], [0; 256]);
        let size = client.write_message(&[], &mut wire).expect("message 1");
        server.read_message(&wire[..size], &mut scratch).expect("message 1");
        let size = server.write_message(&[], &mut wire).expect("message 2");
        client.read_message(&wire[..size], &mut scratch).expect("message 2");
        Ends {
            client: client.into_transport_mode().expect("done"),
            server: server.into_transport_mode().expect("done"),
        }
    }
}

pub struct Ends {
    pub client: TransportState,
    pub server: TransportState,
}

/// With buffers, and lengths between the messages on the wire.
pub struct Talking {
    ends: Ends,
    wire: Vec<u8>,
    scratch: Vec<u8>,
}

impl Talking {
    pub fn new(ends: Ends) -> Self {
        Talking {
            ends,
            wire: vec![0; 1 << 20],
            scratch: vec![0; 1 << 16],
        }
    }
}

impl Talk for Talking {
    fn carry(&mut self, message: &[u8], count: usize) -> usize {
        let mut end = 0;
        for _ in 0..count {
            let (head, room) = self.wire[end..].split_at_mut(2);
            let size = self.ends.client.write_message(black_box(message), room).expect("room");
            head.copy_from_slice(&(size as u16).to_be_bytes());
            end += 2 + size;
        }
        let mut delivered = 0;
        let mut wire = &self.wire[..end];
        while let Some((head, rest)) = wire.split_first_chunk::<2>() {
            let (sealed, rest) = rest.split_at(usize::from(u16::from_be_bytes(*head)));
            wire = rest;
            let size = self
                .ends
                .server
                .read_message(sealed, &mut self.scratch)
                .expect("honest");
            delivered += look(&self.scratch[..size]);
        }
        delivered
    }
}
