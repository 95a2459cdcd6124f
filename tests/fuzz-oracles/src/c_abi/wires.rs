//! The wires between clients and servers, and what an end's host does with its outputs. In a loopback the library does all that.

use std::collections::VecDeque;

use unbroken_c_calls::abi::unbroken_output_kind::*;
use unbroken_c_calls::{Data, Handle, Space};

use super::program::Side;
use super::world::World;

/// The most bytes that wait on a wire; who writes more finds it blocked.
const WIRE: usize = 1 << 18;

/// One connection: whose, by what names, and what is on the way to each end.
pub(super) struct Wire {
    pub client: (Handle, u64),
    pub server: (Handle, u64),
    pub to: [VecDeque<u8>; 2],
    /// An end has closed it, or was told that it broke.
    pub gone: [bool; 2],
}

impl World {
    /// Who is freed has no connections any more; the other ends are told.
    pub(super) fn hang_up(&mut self, of: Handle) {
        for wire in std::mem::take(&mut self.wires) {
            if wire.client.0 != of && wire.server.0 != of {
                self.wires.push(wire);
                continue;
            }
            if wire.client.0 != of && !wire.gone[0] {
                self.calls.session_link_down(wire.client.0, wire.client.1, self.now);
            }
            if wire.server.0 != of && !wire.gone[1] {
                self.calls.endpoint_link_down(wire.server.0, wire.server.1, self.now);
            }
        }
    }

    /// Takes one output of an end and carries it out; whether there was one.
    pub(super) fn poll(&mut self, side: Side, who: u8, room: usize) -> bool {
        // The loopback is the host of both.
        if self.servers.len() == 1 {
            return false;
        }
        match side {
            Side::Client => {
                let handle = self.clients[self.client(who)].handle;
                let (status, output) = self.calls.session_output(handle, Space::Of(room), self.now);
                let Some((output, bytes)) = output.filter(|_| status == 0) else {
                    return false;
                };
                if output.kind == UNBROKEN_OUTPUT_OPEN_LINK as i32 {
                    self.open(handle, output.link, &bytes);
                } else {
                    self.carry(0, handle, output.link, output.kind, &bytes);
                }
            }
            Side::Server => {
                let server = &self.servers[self.server(who)];
                let (handle, alive) = (server.handle, server.alive);
                if !alive {
                    return false;
                }
                let (status, output) = self.calls.endpoint_output(handle, Space::Of(room), self.now);
                let Some((output, bytes)) = output.filter(|_| status == 0) else {
                    return false;
                };
                assert!(
                    output.kind != UNBROKEN_OUTPUT_OPEN_LINK as i32,
                    "a server opens no links"
                );
                self.carry(1, handle, output.link, output.kind, &bytes);
            }
        }
        true
    }

    fn open(&mut self, client: Handle, link: u64, address: &[u8]) {
        // A named server is "0" or "1"; see `of_server`.
        let named = address.first().map(|digit| usize::from(*digit == b'1'));
        let server = &self.servers[named.unwrap_or(self.at) % self.servers.len()];
        if self.refuse || !server.alive {
            self.calls.session_link_down(client, link, self.now);
            return;
        }
        self.links += 1;
        let server = (server.handle, self.links);
        self.calls.endpoint_link_up(server.0, server.1, self.now);
        self.calls.session_link_up(client, link, self.now);
        self.wires.push(Wire {
            client: (client, link),
            server,
            to: Default::default(),
            gone: [false; 2],
        });
    }

    /// A SEND or a CLOSE_LINK by an end: 0 for the client's, 1 for the server's.
    fn carry(&mut self, side: usize, handle: Handle, link: u64, kind: i32, bytes: &[u8]) {
        let wire = self
            .wires
            .iter_mut()
            .find(|wire| [wire.client, wire.server][side] == (handle, link) && !wire.gone[side]);
        let Some(wire) = wire else {
            // The connection broke, and the end was told, or will be.
            return;
        };
        if kind == UNBROKEN_OUTPUT_SEND as i32 {
            assert!(!bytes.is_empty(), "a SEND of nothing");
            wire.to[1 - side].extend(bytes);
            if wire.to[1 - side].len() > WIRE {
                self.block_end(side, handle, link, true);
            }
        } else {
            assert_eq!(kind, UNBROKEN_OUTPUT_CLOSE_LINK as i32);
            wire.gone[side] = true;
        }
    }

    pub(super) fn block_end(&mut self, side: usize, handle: Handle, link: u64, blocked: bool) {
        match (side, blocked) {
            (0, true) => self.calls.session_link_blocked(handle, link),
            (0, false) => self.calls.session_link_writable(handle, link),
            (_, true) => self.calls.endpoint_link_blocked(handle, link),
            (_, false) => self.calls.endpoint_link_writable(handle, link),
        };
    }

    pub(super) fn block(&mut self, wire: u8, side: Side, blocked: bool) {
        if let Some(wire) = self.wire(wire) {
            let side = side as usize;
            let (handle, link) = [self.wires[wire].client, self.wires[wire].server][side];
            if !self.wires[wire].gone[side] {
                self.block_end(side, handle, link, blocked);
            }
        }
    }

    /// The newest is 0.
    pub(super) fn wire(&self, which: u8) -> Option<usize> {
        let last = self.wires.len().checked_sub(1)?;
        Some(last - usize::from(which) % self.wires.len())
    }

    pub(super) fn deliver(&mut self, wire: u8, to: Side, bytes: usize) {
        if let Some(wire) = self.wire(wire) {
            self.arrive(wire, to as usize, bytes);
        }
    }

    /// Bytes arrive at an end, and its peer's FIN behind the last of them; whether there was anything.
    pub(super) fn arrive(&mut self, wire: usize, side: usize, bytes: usize) -> bool {
        let wire = &mut self.wires[wire];
        let (handle, link) = [wire.client, wire.server][side];
        let count = bytes.min(wire.to[side].len());
        let input: Vec<u8> = wire.to[side].drain(..count).collect();
        if wire.gone[side] {
            return count > 0;
        }
        let fin = wire.to[side].is_empty() && wire.gone[1 - side];
        wire.gone[side] = fin;
        if count > 0 && side == 0 {
            self.calls.session_input(handle, link, Data::Bytes(&input), self.now);
        } else if count > 0 {
            self.calls.endpoint_input(handle, link, Data::Bytes(&input), self.now);
        }
        if fin && side == 0 {
            self.calls.session_link_down(handle, link, self.now);
        } else if fin {
            self.calls.endpoint_link_down(handle, link, self.now);
        }
        count > 0 || fin
    }

    /// A connection breaks; an end that is not told sees silence.
    pub(super) fn cut(&mut self, wire: u8, tell: [bool; 2]) {
        if let Some(loopback) = self.loopback {
            self.calls
                .loopback_cut(loopback, [self.clients[0].handle, self.servers[0].handle], self.now);
        }
        let Some(wire) = self.wire(wire) else { return };
        let Wire {
            client,
            server,
            to,
            gone,
        } = &mut self.wires[wire];
        *to = Default::default();
        if tell[0] && !std::mem::replace(&mut gone[0], true) {
            self.calls.session_link_down(client.0, client.1, self.now);
        }
        if tell[1] && !std::mem::replace(&mut gone[1], true) {
            self.calls.endpoint_link_down(server.0, server.1, self.now);
        }
        if tell == [true; 2] {
            self.wires.remove(wire);
        }
    }
}
