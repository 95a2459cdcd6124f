//! A lying client against an endpoint's session.

use bytes::Bytes;
use unbroken::crypto::{Initiator, Opener, Resumption, Sealer, Split};
use unbroken::wire::flight::{Accept, Hello, MAC1_LEN, NOISE_OVERHEAD, Position, Resume, ResumeHeader, Versions};
use unbroken::wire::prelude::{self, FlightKind, Prelude};
use unbroken::{Endpoint, Event, Instant, LinkId, MessageId, Output, SendError, SessionId, SessionMut, Stats, Verdict};

use super::bench::{Bench, End, greeting};
use super::frames::{data, near};
use super::program::{Lies, Program, Step};
use super::watch::Line;
use crate::host::{self, Poll};

const STEPS: usize = 128;
const VERSIONS: Versions = Versions { min: 1, max: 1 };

struct Server {
    endpoint: Endpoint,
    id: Option<SessionId>,
}

struct Client {
    bench: Bench<Server>,
    handle: [u8; 16],
    resumption: Option<Resumption>,
    attempt: u32,
    last_live: u32,
    token: u64,
    links: u64,
    key: u8,
}

pub fn run(program: &Program) {
    let now = Instant::from_millis(1_000_000);
    let limits = program.bounds.limits();
    let endpoint = Endpoint::new(host::server_config(limits.clone(), false, false), host::seed(2), now);
    let bench = Bench::new(Server { endpoint, id: None }, now, limits, program.window);
    let mut client = Client {
        bench,
        handle: [0; 16],
        resumption: None,
        attempt: 0,
        last_live: 0,
        token: 0,
        links: 0,
        key: 0,
    };
    client.hello();
    client
        .bench
        .run(&Step::Record(vec![greeting(), super::program::Says::Auth(5)]));
    client.bench.poll();
    for step in program.steps.iter().take(STEPS) {
        host::trace(step);
        if let Step::Resume(lies) = step {
            client.resume(lies);
        }
        client.bench.run(step);
        assert!(client.bench.end.endpoint.sessions() <= 1);
    }
    client.bench.finish();
}

impl Client {
    fn key(&mut self) -> [u8; 32] {
        self.key += 1;
        [self.key; 32]
    }

    fn hello(&mut self) {
        let mut payload = Vec::new();
        Hello {
            versions: VERSIONS,
            capabilities: 0,
            window: self.bench.window,
        }
        .encode(&mut payload);
        let mut flight = head(FlightKind::Hello, payload.len() + NOISE_OVERHEAD).to_vec();
        let header = flight.clone();
        let server = host::server_key().public();
        let initiator = Initiator::nk(&server, host::REALM, &header, self.key(), &payload, &mut flight);
        let initiator = initiator.unwrap_or_else(|_| panic!("a good key"));
        self.bench.credit(0);
        assert!(self.dial(&flight, initiator, 0), "an honest HELLO is accepted");
    }

    fn resume(&mut self, lies: &Lies) {
        let Some(resumption) = &self.resumption else { return };
        if self.attempt > 60 {
            return;
        }
        self.attempt += 1;
        self.key += 1;
        let counts = &self.bench.counts;
        let recv_next = near(counts.recv_next, lies.recv_next);
        let delivered = near(recv_next, lies.delivered.min(0));
        let mut early = Vec::new();
        if let Some(lie) = lies.early {
            let (seq, count) = (
                near(counts.send_next, lie.seq).min(1 << 60),
                u64::from(lie.count.max(1)),
            );
            data(&mut early, seq, count, lie.size.min(60).into());
        }
        let send_base = near(counts.send_next, lies.send_base);
        let mut payload = Vec::new();
        Resume {
            versions: VERSIONS,
            last_live: self.last_live.saturating_add_signed(lies.last_live.into()),
            last_token: self.token,
            position: Position {
                recv_next,
                recv_offset: lies.recv_offset.into(),
                delivered,
            },
            send_base,
            send_end: near(counts.send_next, lies.send_end),
            window: self.bench.window,
            early: &early,
        }
        .encode(&mut payload);
        let mut header = head(
            FlightKind::Resume,
            ResumeHeader::LEN + MAC1_LEN + payload.len() + NOISE_OVERHEAD,
        )
        .to_vec();
        ResumeHeader {
            handle: self.handle,
            attempt: self.attempt,
        }
        .encode(&mut header);
        let mut message1 = Vec::new();
        let server = host::server_key().public();
        let key = [self.key; 32];
        let initiator = Initiator::nk_psk0(
            &server,
            resumption.psk(),
            host::REALM,
            &header,
            key,
            &payload,
            &mut message1,
        );
        let Ok(initiator) = initiator else { return };
        let mac1 = resumption.mac1(&header, &message1[..32]);
        let flight = [&header[..], &mac1, &message1].concat();
        self.bench.counts.highest = self.bench.counts.highest.max(self.bench.counts.send_next + 512);
        self.bench.credit(delivered);
        self.bench.claim(recv_next, lies.recv_offset.into());
        self.dial(&flight, initiator, self.attempt);
    }

    /// A new link with this flight; whether the server accepted it.
    fn dial(&mut self, flight: &[u8], initiator: Initiator, attempt: u32) -> bool {
        self.links += 1;
        let link = LinkId(self.links);
        let now = self.bench.now;
        self.bench.poll();
        self.bench.strange.push((link, Vec::new()));
        self.bench.end.endpoint.handle_link_up(link, now);
        self.bench.end.endpoint.handle_input(link, flight, now);
        self.bench.poll();
        let Some(index) = self.bench.strange.iter().position(|(other, _)| *other == link) else {
            return false;
        };
        let (_, words) = self.bench.strange.remove(index);
        let Some(head) = words.first_chunk::<{ prelude::LEN }>() else {
            return false;
        };
        let prelude = Prelude::parse(head).expect("an answer has a prelude");
        if prelude.kind != FlightKind::Accept {
            return false;
        }
        let whole = prelude::LEN + usize::from(prelude.length);
        let mut payload = Vec::new();
        let split = initiator.finish(&words[prelude::LEN..whole], &mut payload);
        let Split {
            client,
            server,
            resumption,
            ..
        } = split.unwrap_or_else(|_| panic!("an ACCEPT that does not open"));
        let Accept::Ok(ok) = Accept::parse(&payload, head).expect("a well-formed ACCEPT") else {
            return false;
        };
        (self.handle, self.token, self.last_live) = (ok.handle, ok.token, attempt);
        self.resumption = Some(resumption);
        (self.bench.counts.send_next, self.bench.counts.offset) = (ok.position.recv_next, ok.position.recv_offset);
        let mut line = Line::new(Sealer::new(&client), Opener::new(&server));
        line.read(&words[whole..], &mut self.bench.watch, &mut self.bench.counts);
        self.bench.end.id = Some(SessionId(ok.session_id));
        self.bench.lines.push((link, line));
        true
    }
}

fn head(kind: FlightKind, length: usize) -> [u8; prelude::LEN] {
    Prelude {
        version: 1,
        kind,
        key_id: host::server_key().id(),
        length: length as u16,
    }
    .encode()
}

impl Server {
    fn session(&mut self) -> Option<SessionMut<'_>> {
        self.id.and_then(|id| self.endpoint.session(id))
    }
}

impl Poll for Server {
    fn timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout()
    }

    fn output(&mut self, buffer: &mut [u8], now: Instant) -> Option<Output> {
        self.endpoint.poll_output(buffer, now)
    }

    fn event(&mut self) -> Option<(Option<SessionId>, Event)> {
        self.endpoint.event()
    }
}

impl End for Server {
    fn input(&mut self, link: LinkId, bytes: &[u8], now: Instant) {
        self.endpoint.handle_input(link, bytes, now);
    }

    fn down(&mut self, link: LinkId, now: Instant) {
        self.endpoint.handle_link_down(link, now);
    }

    fn block(&mut self, link: LinkId, blocked: bool) {
        match blocked {
            true => self.endpoint.handle_link_blocked(link),
            false => self.endpoint.handle_link_writable(link),
        }
    }

    fn tick(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
    }

    fn send(&mut self, message: Bytes) -> Option<Result<MessageId, SendError>> {
        Some(self.session()?.send(message))
    }

    fn send_unreliable(&mut self, message: Bytes) {
        let _sent = self.session().map(|mut session| session.send_unreliable(message));
    }

    fn recv(&mut self) -> Option<(Option<MessageId>, usize)> {
        self.session()?
            .recv()
            .map(|message| (message.id, message.payload.len()))
    }

    fn close(&mut self) {
        if let Some(mut session) = self.session() {
            session.close(1);
        }
    }

    fn verdict(&mut self, accept: bool) {
        let verdict = match accept {
            true => Verdict::Accept {
                message: vec![b'w'; 2000].into(),
            },
            false => Verdict::Refuse {
                code: 1,
                message: Bytes::new(),
            },
        };
        if let Some(mut session) = self.session() {
            session.authorise(verdict);
        }
    }

    fn stats(&mut self) -> Option<Stats> {
        self.session().map(|session| session.stats())
    }
}
