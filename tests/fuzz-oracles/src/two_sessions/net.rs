//! What lies between the two ends: connections, bytes on the way, and who meddles with them.

use unbroken::wire::flight::{REFUSE_LEN, Refuse, RefuseCode};
use unbroken::wire::prelude::{FlightKind, Prelude};
use unbroken::{LinkId, Output};

use super::program::{Side, Which};
use super::world::{TAPE, Wire, WireEnd, World};
use crate::host::{self, Poll};

impl World {
    pub(super) fn wire(&self, which: Which) -> Option<usize> {
        self.wires.len().checked_sub(1 + usize::from(which % 4))
    }

    pub(super) fn wire_of(&self, side: Side, link: LinkId) -> Option<usize> {
        self.wires
            .iter()
            .rposition(|wire| wire.ends[side as usize].link == Some(link))
    }

    pub(super) fn fresh_link(&mut self) -> LinkId {
        self.next_link += 1;
        LinkId(1_000_000 + self.next_link)
    }

    /// Does one thing that an end asks for.
    pub(super) fn poll_output(&mut self, side: Side, size: usize) -> bool {
        let now = self.now;
        let buffer = &mut self.buffer[..size];
        let Some(output) = (match side {
            Side::Client => self.client.next_output(buffer, now),
            Side::Server => self.server.next_output(buffer, now),
        }) else {
            return false;
        };
        host::trace(&(now, side, &output));
        match output {
            Output::OpenLink { link, .. } => {
                assert_eq!(side, Side::Client, "a server opens no links");
                let client = WireEnd {
                    link: Some(link),
                    ..WireEnd::default()
                };
                let ends = [client, WireEnd::default()];
                self.wires.push(Wire {
                    up: false,
                    stalled: false,
                    ends,
                    tape: Vec::new(),
                });
            }
            Output::Send { link, len } => {
                let wire = self.wire_of(side, link).expect("bytes are for a link that is there");
                let wire = &mut self.wires[wire];
                assert!(!wire.ends[side as usize].blocked, "bytes for a blocked link");
                assert!(wire.up, "bytes for a link that is not up");
                if side == Side::Client && wire.tape.len() < TAPE {
                    wire.tape.extend_from_slice(&self.buffer[..len]);
                }
                if wire.ends[side.other() as usize].link.is_some() && !wire.stalled {
                    wire.ends[side.other() as usize].bytes.extend(&self.buffer[..len]);
                }
            }
            Output::CloseLink { link } => {
                // It may have ended by itself after the end decided so.
                let Some(wire) = self.wire_of(side, link) else {
                    return true;
                };
                let ends = &mut self.wires[wire].ends;
                ends[side as usize] = WireEnd::default();
                ends[side.other() as usize].fin = true;
            }
        }
        true
    }

    pub(super) fn connect(&mut self, wire: usize) {
        if self.wires[wire].up {
            return;
        }
        let link = self.fresh_link();
        let ends = &mut self.wires[wire].ends;
        let Some(client) = ends[0].link else { return };
        ends[1] = WireEnd {
            link: Some(link),
            ..WireEnd::default()
        };
        self.wires[wire].up = true;
        self.server.handle_link_up(link, self.now);
        self.client.handle_link_up(client, self.now);
    }

    /// Hands over up to `most` bytes, and the end behind them; whether anything moved.
    pub(super) fn deliver(&mut self, wire: usize, to: Side, most: usize) -> bool {
        let now = self.now;
        let stalled = self.wires[wire].stalled;
        let end = &mut self.wires[wire].ends[to as usize];
        let Some(link) = end.link else { return false };
        if stalled {
            return false;
        }
        let bytes: Vec<u8> = end.bytes.drain(..most.min(end.bytes.len())).collect();
        let ended = end.fin && end.bytes.is_empty();
        if ended {
            end.link = None;
        }
        if !bytes.is_empty() {
            match to {
                Side::Client => self.client.handle_input(link, &bytes, now),
                Side::Server => self.server.handle_input(link, &bytes, now),
            }
        }
        if ended {
            self.link_down(to, link);
        }
        ended || !bytes.is_empty()
    }

    pub(super) fn link_down(&mut self, side: Side, link: LinkId) {
        match side {
            Side::Client => self.client.handle_link_down(link, self.now),
            Side::Server => self.server.handle_link_down(link, self.now),
        }
    }

    pub(super) fn cut(&mut self, wire: usize, tell_client: bool, tell_server: bool) {
        self.wires[wire].stalled = true;
        for (side, tell) in Side::BOTH.into_iter().zip([tell_client, tell_server]) {
            if tell {
                let end = core::mem::take(&mut self.wires[wire].ends[side as usize]);
                if let Some(link) = end.link {
                    self.link_down(side, link);
                }
            }
        }
    }

    pub(super) fn replay(&mut self, which: Which, bytes: u16) {
        let Some(tape) = self.wire(which).map(|wire| self.wires[wire].tape.clone()) else {
            return;
        };
        let link = self.fresh_link();
        let ends = [
            WireEnd::default(),
            WireEnd {
                link: Some(link),
                fin: true,
                ..WireEnd::default()
            },
        ];
        self.wires.push(Wire {
            up: true,
            stalled: false,
            ends,
            tape: Vec::new(),
        });
        self.server.handle_link_up(link, self.now);
        let bytes = &tape[..tape.len().min(usize::from(bytes))];
        self.server.handle_input(link, bytes, self.now);
    }

    pub(super) fn refuse(&mut self, which: Which, code: u8, retry_ms: u16, min: u8, max: u8) {
        let Some(code) = RefuseCode::from_byte(code % 7) else {
            return;
        };
        let Some(wire) = self.wire(which).filter(|wire| self.wires[*wire].up) else {
            return;
        };
        let Some(link) = self.wires[wire].ends[0].link else {
            return;
        };
        let prelude = Prelude {
            version: 1,
            kind: FlightKind::Refuse,
            key_id: host::server_key().id(),
            length: REFUSE_LEN as u16,
        };
        let mut flight = prelude.encode().to_vec();
        let (min_version, max_version) = (min.min(max), max.max(min));
        Refuse {
            code,
            retry_ms: retry_ms.into(),
            min_version,
            max_version,
        }
        .encode(&mut flight);
        self.client.handle_input(link, &flight, self.now);
    }

    pub(super) fn set_blocked(&mut self, side: Side, which: Which, blocked: bool) {
        if let Some(wire) = self.wire(which).filter(|wire| self.wires[*wire].up) {
            self.block(side, wire, blocked);
        }
    }

    pub(super) fn block(&mut self, side: Side, wire: usize, blocked: bool) {
        let end = &mut self.wires[wire].ends[side as usize];
        let Some(link) = end.link else { return };
        end.blocked = blocked;
        match (side, blocked) {
            (Side::Client, true) => self.client.handle_link_blocked(link),
            (Side::Client, false) => self.client.handle_link_writable(link),
            (Side::Server, true) => self.server.handle_link_blocked(link),
            (Side::Server, false) => self.server.handle_link_writable(link),
        }
    }

    pub fn unblock_all(&mut self) {
        for wire in 0..self.wires.len() {
            Side::BOTH.into_iter().for_each(|side| self.block(side, wire, false));
        }
    }
}
