//! A lying server against a client's session.

use bytes::Bytes;
use unbroken::crypto::{Opener, Responder, Resumption, Sealer, Split};
use unbroken::wire::flight::{Accept, AcceptOk, LostStatus, MAC1_LEN, MAC1_OFFSET, NOISE_OVERHEAD, Position, Resume};
use unbroken::wire::frame::CloseKind;
use unbroken::wire::prelude::{self, FlightKind, Prelude};
use unbroken::wire::varint;
use unbroken::{Instant, LinkId, MessageId, SendError, Session, State, Stats};

use super::bench::{Bench, End};
use super::frames::near;
use super::program::{Lies, Program, Says, Step};
use super::watch::Line;
use crate::host;

const STEPS: usize = 128;

struct Server {
    bench: Bench<Session>,
    /// By the handle's bytes.
    generations: Vec<Resumption>,
    /// For the next answer.
    lies: Lies,
    key: u8,
}

pub fn run(program: &Program) {
    let now = Instant::from_millis(1_000_000);
    let limits = program.bounds.limits();
    let session = Session::connect(host::client_config(limits.clone()), host::seed(1), now);
    let bench = Bench::new(session, now, limits, program.window);
    let mut server = Server {
        bench,
        generations: Vec::new(),
        lies: Lies::default(),
        key: 0,
    };
    server.serve();
    server.bench.run(&Step::Record(vec![Says::AuthResult {
        accepted: true,
        code: 0,
        size: 3,
    }]));
    for step in program.steps.iter().take(STEPS) {
        host::trace(step);
        server.bench.run(step);
        if let Step::Resume(lies) = step {
            server.lies = *lies;
            server.bench.run(&Step::Cut);
            for _ in 0..3 {
                let now = server.bench.now;
                server.bench.now = server.bench.end.poll_timeout().map_or(now, |at| now.max(at));
                server.bench.end.handle_timeout(server.bench.now);
                server.serve();
            }
        }
        server.serve();
    }
    server.bench.finish();
}

impl Server {
    /// Answers the flights there are.
    fn serve(&mut self) {
        for _ in 0..8 {
            self.bench.poll();
            for link in core::mem::take(&mut self.bench.opened) {
                self.bench.strange.push((link, Vec::new()));
                self.bench.end.handle_link_up(link, self.bench.now);
            }
            self.bench.poll();
            let whole = |words: &Vec<u8>| {
                words.len() > 12 && words.len() >= 12 + usize::from(u16::from_be_bytes([words[10], words[11]]))
            };
            let Some(index) = self.bench.strange.iter().position(|(_, words)| whole(words)) else {
                return;
            };
            let (link, flight) = self.bench.strange.remove(index);
            self.answer(link, &flight);
        }
    }

    fn answer(&mut self, link: LinkId, flight: &[u8]) {
        let prelude = Prelude::parse(flight.first_chunk().expect("it is whole")).expect("a client's prelude");
        let mut payload = Vec::new();
        let key = host::server_key();
        let responder = match prelude.kind {
            FlightKind::Hello => Responder::nk(
                &key,
                host::REALM,
                &flight[..prelude::LEN],
                &flight[prelude::LEN..],
                &mut payload,
            ),
            FlightKind::Query => Responder::nk(
                &key,
                host::REALM,
                &flight[..MAC1_OFFSET],
                &flight[MAC1_OFFSET..],
                &mut payload,
            ),
            FlightKind::Resume => {
                let generation = &self.generations[usize::from(flight[prelude::LEN])];
                let (header, rest) = flight.split_at(MAC1_OFFSET);
                assert!(
                    generation.verify_mac1(header, &rest[MAC1_LEN..MAC1_LEN + 32], &rest[..MAC1_LEN]),
                    "mac1"
                );
                Responder::nk_psk0(
                    &key,
                    generation.psk(),
                    host::REALM,
                    header,
                    &rest[MAC1_LEN..],
                    &mut payload,
                )
            }
            kind => panic!("a client never sends {kind:?}"),
        };
        let responder = responder.unwrap_or_else(|_| panic!("a flight that does not open"));
        let counts = &mut self.bench.counts;
        if prelude.kind == FlightKind::Resume {
            let resume = Resume::parse(&payload).expect("a well-formed RESUME");
            assert!(resume.send_base <= resume.send_end && resume.send_end == self.bench.watch.sizes.len() as u64);
            assert!(resume.position.recv_next <= counts.highest, "{resume:?} of {counts:?}");
            (counts.send_next, counts.offset) = (resume.position.recv_next, resume.position.recv_offset);
            if self.key > 60 {
                return;
            }
        }
        let lies = core::mem::take(&mut self.lies);
        self.key += 1;
        let recv_next = near(counts.recv_next, lies.recv_next);
        let delivered = near(recv_next, lies.delivered.min(0));
        let lost = |code| match lies.status % 8 {
            1 => Some(LostStatus::Unknown),
            2 => Some(LostStatus::Closed {
                kind: CloseKind::from_byte(lies.status / 8 % 8).unwrap_or(CloseKind::Application),
                code,
                send_end: recv_next,
            }),
            3 => Some(LostStatus::RolledBack),
            4 => Some(LostStatus::OwnerCrashed),
            5 => Some(LostStatus::Refused { code }),
            6 => Some(LostStatus::Alive),
            _ => None,
        };
        let handle = self.generations.len() as u8;
        let accept = match lost(7).or((prelude.kind == FlightKind::Query).then_some(LostStatus::Alive)) {
            Some(status) => Accept::Lost(status),
            None => Accept::Ok(AcceptOk {
                handle: [handle; 16],
                session_id: [if lies.status == 7 { 8 } else { 9 }; 16],
                token: 1,
                position: Position {
                    recv_next,
                    recv_offset: lies.recv_offset.into(),
                    delivered,
                },
                window: self.bench.window,
                detached_ms: 30_000,
                address: if lies.status & 0x80 == 0 { "" } else { "host:1" },
                send_base: near(counts.send_next, lies.send_base),
                send_end: varint::MAX,
            }),
        };
        let length = accept.encoded_len() + NOISE_OVERHEAD;
        let head = Prelude {
            kind: FlightKind::Accept,
            length: length as u16,
            ..prelude
        }
        .encode();
        let mut payload = Vec::new();
        accept.encode(&head, &mut payload);
        let mut words = head.to_vec();
        let split = responder.finish([self.key; 32], &payload, &mut words);
        let Split {
            client,
            server,
            resumption,
            ..
        } = split.unwrap_or_else(|_| panic!("a good key"));
        self.bench.credit(delivered);
        self.bench.claim(recv_next, lies.recv_offset.into());
        self.bench.end.handle_input(link, &words, self.bench.now);
        if matches!(accept, Accept::Ok(_)) {
            self.generations.push(resumption);
            self.bench
                .lines
                .push((link, Line::new(Sealer::new(&server), Opener::new(&client))));
        } else {
            assert!(
                !matches!(self.bench.end.state(), State::Standby | State::Connected),
                "{accept:?} lets nobody in"
            );
        }
    }
}

impl End for Session {
    fn input(&mut self, link: LinkId, bytes: &[u8], now: Instant) {
        self.handle_input(link, bytes, now);
    }

    fn down(&mut self, link: LinkId, now: Instant) {
        self.handle_link_down(link, now);
    }

    fn block(&mut self, link: LinkId, blocked: bool) {
        match blocked {
            true => self.handle_link_blocked(link),
            false => self.handle_link_writable(link),
        }
    }

    fn tick(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn send(&mut self, message: Bytes) -> Option<Result<MessageId, SendError>> {
        Some(Session::send(self, message))
    }

    fn send_unreliable(&mut self, message: Bytes) {
        let _sent = Session::send_unreliable(self, message);
    }

    fn recv(&mut self) -> Option<(Option<MessageId>, usize)> {
        Session::recv(self).map(|message| (message.id, message.payload.len()))
    }

    fn close(&mut self) {
        self.disconnect(1);
    }

    fn verdict(&mut self, _accept: bool) {}

    fn stats(&mut self) -> Option<Stats> {
        Some(Session::stats(self))
    }
}
