//! boringtun: WireGuard, ChaCha20-Poly1305, one packet for each message.

use std::hint::black_box;

use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519::{PublicKey, StaticSecret};

use crate::{Talk, look};

/// The IP header that WireGuard looks at.
const IP: usize = 20;

/// Two tunnels' ends that know each other's keys.
pub struct Keys {
    client: StaticSecret,
    server: StaticSecret,
}

impl Default for Keys {
    fn default() -> Self {
        Keys {
            client: StaticSecret::from([1; 32]),
            server: StaticSecret::from([2; 32]),
        }
    }
}

impl Keys {
    /// A handshake, up to the packet that confirms it.
    pub fn connect(&self) -> Ends {
        let (client, server) = (&self.client, &self.server);
        let mut ends = Ends {
            client: Tunn::new(client.clone(), PublicKey::from(server), None, None, 1, None),
            server: Tunn::new(server.clone(), PublicKey::from(client), None, None, 2, None),
        };
        let (mut wire, mut answer) = ([0; 512], [0; 512]);
        let TunnResult::WriteToNetwork(first) = ends.client.format_handshake_initiation(&mut wire, false) else {
            panic!("an initiation");
        };
        let TunnResult::WriteToNetwork(second) = ends.server.decapsulate(None, first, &mut answer) else {
            panic!("a response");
        };
        let TunnResult::WriteToNetwork(keepalive) = ends.client.decapsulate(None, second, &mut wire) else {
            panic!("a keep-alive");
        };
        let mut scratch = [0; 512];
        assert!(matches!(
            ends.server.decapsulate(None, keepalive, &mut scratch),
            TunnResult::Done
        ));
        ends
    }
}

pub struct Ends {
    pub client: Tunn,
    pub server: Tunn,
}

/// With buffers.
pub struct Talking {
    ends: Ends,
    packet: Vec<u8>,
    wire: Vec<u8>,
    scratch: Vec<u8>,
}

impl Talking {
    pub fn new(ends: Ends) -> Self {
        Talking {
            ends,
            packet: Vec::new(),
            wire: vec![0; 1 << 16],
            scratch: vec![0; 1 << 16],
        }
    }

    fn pack(&mut self, message: &[u8]) {
        self.packet.clear();
        self.packet.resize(IP, 0);
        self.packet[0] = 0x45;
        self.packet[2..4].copy_from_slice(&((IP + message.len()) as u16).to_be_bytes());
        self.packet.extend_from_slice(message);
    }
}

impl Talk for Talking {
    /// Packets are lone by nature: a batch is no different from as many flushes.
    fn carry(&mut self, message: &[u8], count: usize) -> usize {
        let mut delivered = 0;
        for _ in 0..count {
            self.pack(black_box(message));
            let TunnResult::WriteToNetwork(sealed) = self.ends.client.encapsulate(&self.packet, &mut self.wire) else {
                panic!("a packet");
            };
            let TunnResult::WriteToTunnelV4(packet, _) = self.ends.server.decapsulate(None, sealed, &mut self.scratch)
            else {
                panic!("a packet");
            };
            delivered += look(packet) - IP;
        }
        delivered
    }
}
