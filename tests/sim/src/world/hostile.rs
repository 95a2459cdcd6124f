//! Everybody who has no keys: recorders, copiers, senders of garbage.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use unbroken::Target;

use super::{ClientEnd, Ends, Event, ServerEnd, World};
use crate::fate::{Connect, Copied, Fate, Forge, Side};
use crate::net::ConnId;
use crate::options::OwnAddress;

/// What was recorded on the line.
#[derive(Debug, Default)]
pub struct Tape {
    flights: BTreeMap<ConnId, Flight>,
    copies: BTreeMap<ConnId, (ConnId, Copied)>,
}

/// The beginning of a link.
#[derive(Clone, Debug, Default)]
pub struct Flight {
    pub from_client: Vec<u8>,
    pub from_server: Vec<u8>,
}

const KEEP_FLIGHTS: usize = 64;
const KEEP_BYTES: usize = 20_000;

impl Flight {
    /// Bytes of the client's first flight, if all of it was heard.
    pub fn first_len(&self) -> Option<usize> {
        first_len(&self.from_client)
    }

    /// The server answered it with ACCEPT: it is used up.
    pub fn accepted(&self) -> bool {
        self.from_server.get(4) == Some(&2)
    }
}

fn first_len(bytes: &[u8]) -> Option<usize> {
    let len = 12 + usize::from(u16::from_be_bytes([*bytes.get(10)?, *bytes.get(11)?]));
    (bytes.len() >= len).then_some(len)
}

impl Tape {
    pub(super) fn hear(&mut self, conn: ConnId, from: Side, bytes: &[u8]) {
        if !self.flights.contains_key(&conn) {
            if from == Side::Server {
                return;
            }
            if self.flights.len() == KEEP_FLIGHTS {
                self.flights.pop_first();
            }
        }
        let flight = self.flights.entry(conn).or_default();
        let heard = if from == Side::Client {
            &mut flight.from_client
        } else {
            &mut flight.from_server
        };
        let room = KEEP_BYTES.saturating_sub(heard.len());
        heard.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    pub fn flights(&self) -> impl DoubleEndedIterator<Item = (ConnId, &Flight)> {
        self.flights.iter().map(|(id, flight)| (*id, flight))
    }
}

impl World {
    pub(super) fn next_fate(&mut self) -> Fate {
        match self.script.pop_front() {
            Some(fate) => fate,
            None if self.healed => Fate::default(),
            None => Fate::draw(&self.options.faults, &mut self.fates),
        }
    }

    /// What becomes of a connection to the server's own address, if that is no good. It is not a fault that heals.
    pub(super) fn fate_of_own(&mut self, target: &Target) -> Option<Fate> {
        match (target, self.options.net.own_address) {
            (Target::Advised(_), Some(OwnAddress::Refused)) => Some(Fate::connect(Connect::Refused)),
            (Target::Advised(_), Some(OwnAddress::BlackHole)) => Some(Fate::connect(Connect::BlackHole)),
            (Target::Advised(_), Some(OwnAddress::TurnsAway(wait))) => {
                let wait = wait.as_millis() as u32;
                Some(Fate::forged(Forge::Refuse(*self.fates.pick(&[1, 5]), wait, [1, 1])))
            }
            _ => None,
        }
    }

    /// Opens a connection that plays these bytes, each part so long after the one before.
    pub fn play(&mut self, parts: Vec<(Duration, Vec<u8>)>, then_close: bool, strict: bool) -> ConnId {
        let conn = self.net.open(Fate::default(), &mut self.queue);
        let client = ClientEnd::Script {
            bytes: VecDeque::from(parts),
            then_close,
            strict,
        };
        self.ends.insert(
            conn,
            Ends {
                client,
                server: ServerEnd::Router(Vec::new()),
            },
        );
        conn
    }

    /// The next part, or the end, of a scripted connection.
    pub(super) fn on_play(&mut self, conn: ConnId) {
        // A copy whose way is longer than its original's: it goes on when it is up.
        if !self.net.is_up(conn, Side::Client) {
            return;
        }
        let Some(Ends {
            client: ClientEnd::Script { bytes, then_close, .. },
            ..
        }) = self.ends.get_mut(&conn)
        else {
            return;
        };
        match bytes.pop_front() {
            Some((_, part)) => {
                let pause = bytes.front().map_or(Duration::from_millis(1), |(pause, _)| *pause);
                let more = !bytes.is_empty() || *then_close;
                self.net.write(conn, Side::Client, &part, &mut self.queue);
                if more {
                    self.queue.after(pause, Event::Play(conn));
                }
            }
            None if *then_close => self.net.close(conn, Side::Client, &mut self.queue),
            None => {}
        }
    }

    pub(super) fn open_copy(&mut self, original: ConnId, copied: Copied) {
        let copy = self.play(Vec::new(), false, false);
        self.tape.copies.insert(original, (copy, copied));
    }

    /// What the client writes is written once more, on its copy.
    pub(super) fn mirror(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some((copy, copied)) = self.tape.copies.get_mut(&conn) else {
            return;
        };
        let take = copied.bytes.min(bytes.len() as u64) as usize;
        copied.bytes -= take as u64;
        let (copy, behind) = (*copy, copied.behind);
        let Some(Ends {
            client: ClientEnd::Script { bytes: parts, .. },
            ..
        }) = self.ends.get_mut(&copy)
        else {
            return;
        };
        if take > 0 {
            parts.push_back((behind, bytes[..take].to_vec()));
            self.queue.after(behind, Event::Play(copy));
        }
    }

    pub(super) fn on_hostile(&mut self) {
        if self.healed {
            return;
        }
        let every = self.options.faults.hostile_every.as_micros() as u64;
        let pause = self.fates.range(0..=every * 2);
        self.queue.after(Duration::from_micros(pause), Event::Hostile);
        let index = self.fates.below(self.tape.flights.len() as u64) as usize;
        let flight = self.tape.flights.values().nth(index).cloned();
        let rng = &mut self.fates;
        let (bytes, strict) = match (rng.below(8), flight) {
            (0, _) => (b"GET / HTTP/1.1\r\nHost: game.example\r\n\r\n".to_vec(), true),
            (1, _) => (
                [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &rng.bytes(500)].concat(),
                true,
            ),
            (2, _) => {
                let len = rng.log_range(1..=40_000) as usize;
                (rng.bytes(len), true)
            }
            (3, _) => {
                // A well-formed beginning and noise behind.
                let kind = rng.range(0..=6) as u8;
                let len = rng.log_range(0..=17_000) as u16;
                let key_id = super::server_key().id();
                let head = [b"UNB\x01", &[kind, 0][..], &key_id, &len.to_be_bytes()].concat();
                let more = rng.log_range(0..=20_000) as usize;
                ([head, rng.bytes(more)].concat(), true)
            }
            // A flight of somebody else, as it was: a HELLO may open one more session that nobody can use.
            (4 | 5, Some(flight)) => (flight.from_client.clone(), flight.accepted()),
            // ... cut short: it must wait, then go.
            (6, Some(flight)) if flight.first_len().is_some() => {
                let len = rng.below(flight.first_len().unwrap() as u64) as usize;
                (flight.from_client[..len].to_vec(), true)
            }
            // ... with a bit changed in what the keys cover.
            (_, Some(flight)) if flight.first_len().is_some() => {
                let mut bytes = flight.from_client.clone();
                let at = rng.below(flight.first_len().unwrap() as u64) as usize;
                bytes[at] ^= 1 << rng.below(8);
                (bytes, true)
            }
            _ => (rng.bytes(12), true),
        };
        let parts = match rng.below(3) {
            0 => vec![(Duration::ZERO, bytes)],
            1 => {
                let at = rng.below(bytes.len() as u64 + 1) as usize;
                let pause = rng.duration(Duration::ZERO..=Duration::from_secs(6));
                vec![(Duration::ZERO, bytes[..at].to_vec()), (pause, bytes[at..].to_vec())]
            }
            _ => bytes
                .chunks(1 + bytes.len() / 10)
                .map(|part| (Duration::from_millis(3), part.to_vec()))
                .collect(),
        };
        let then_close = rng.coin();
        self.play(parts, then_close, strict);
    }
}
