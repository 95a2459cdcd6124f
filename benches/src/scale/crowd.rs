//! Many clients in one thread: their sessions, their sockets, one poller.
//!
//! The clients must not be what the run waits for, so nothing of `unbroken-tokio` is here: the core's `Session`s are driven over mio by a loop that
//! does what the documentation of the core shows. Each client sends a message when it begins and after each cut; the server sends it
//! back. A session *flows* when its message is back: then both directions have carried one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token};
use socket2::SockRef;
use unbroken::{ClientConfig, Event, LinkId, Output, Seed, Session};

use super::tally::Tally;

/// Sessions of one crowd that are being set up at once.
const WAVE: usize = 64;
/// Sessions that all crowds together set up in a second at most: so that the idle ones are answered in time meanwhile, as they would be where clients do not
/// share two processors with their server.
pub const RATE: f64 = 2000.0;
/// A crowd that grows looks so often whether it may.
const LOOK: Duration = Duration::from_millis(5);
/// Links of one session that can be told apart; it has one or two.
const LINKS: usize = 16;
/// What the poller tells at once.
const EVENTS: usize = 1024;
/// Wakes the crowd for an order.
pub const ORDER: Token = Token(usize::MAX);

/// What a crowd is asked to do.
pub enum Order {
    /// Hold so many sessions.
    Grow(usize),
    /// The links of the first so many sessions break now.
    Cut(usize, Cut),
    /// Close what the cut left open.
    Bury,
}

/// How a link breaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
pub enum Cut {
    /// Both ends are told, by a reset.
    Reset,
    /// The client's end only: no byte reaches the server, which is how the death of a base station looks from there.
    Silent,
}

/// A thread's clients.
pub struct Crowd {
    pub config: Arc<ClientConfig>,
    /// Where the sessions go, in turn.
    pub addresses: Vec<SocketAddr>,
    pub orders: Receiver<Order>,
    pub poll: Poll,
    pub tally: Arc<Tally>,
    /// Sends later than this after the last message are probes.
    pub quiet: Duration,
    /// Sessions that this crowd sets up in a second at most.
    pub rate: f64,
}

/// One client.
struct Seat {
    session: Session,
    links: Vec<Line>,
    /// The entry in the heap of timers that counts, in microseconds.
    armed: u64,
    stage: Stage,
    probed: bool,
    begun: Instant,
}

/// What a client does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// It waits for the answer to its first message.
    Opening,
    /// Its link was cut then, and it waits for the answer to the message that it sent at once.
    Cut(Instant),
    /// It has had nothing to say since.
    Idle(Instant),
}

/// One connection of a client.
struct Line {
    id: LinkId,
    stream: TcpStream,
    up: bool,
    /// What the socket did not take.
    backlog: Vec<u8>,
}

/// Runs until the sender of orders is gone.
pub fn run(crowd: Crowd) -> io::Result<()> {
    let mut state = Running {
        registry: crowd.poll.registry().try_clone()?,
        config: crowd.config,
        addresses: crowd.addresses,
        tally: crowd.tally,
        quiet: crowd.quiet,
        rate: crowd.rate,
        growing: (Instant::now(), 0),
        seats: Vec::new(),
        wanted: 0,
        opening: 0,
        timers: BinaryHeap::new(),
        buffer: vec![0; 64 << 10],
        graves: Vec::new(),
        epoch: Instant::now(),
    };
    let mut poll = crowd.poll;
    let mut events = Events::with_capacity(EVENTS);
    loop {
        // All that has come is read before any timer is looked at: thousands of clients share this thread, and an answer that lies here unread is not late.
        let mut patience = state.patience();
        loop {
            match poll.poll(&mut events, patience) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            for event in &events {
                if event.token() != ORDER {
                    state.socket(event.token(), event.is_writable());
                }
            }
            if events.iter().count() < EVENTS {
                break;
            }
            patience = Some(Duration::ZERO);
        }
        loop {
            match crowd.orders.try_recv() {
                Ok(Order::Grow(wanted)) => {
                    state.wanted = wanted;
                    state.growing = (Instant::now(), state.seats.len());
                }
                Ok(Order::Cut(count, cut)) => state.cut(count, cut),
                Ok(Order::Bury) => state.graves.clear(),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
        }
        state.fire();
        while state.seats.len() < state.allowed() && state.opening < WAVE {
            state.open();
        }
    }
}

struct Running {
    registry: Registry,
    config: Arc<ClientConfig>,
    addresses: Vec<SocketAddr>,
    tally: Arc<Tally>,
    quiet: Duration,
    rate: f64,
    /// Since when it grows, and from how many.
    growing: (Instant, usize),
    seats: Vec<Seat>,
    wanted: usize,
    /// Seats in `Stage::Opening`.
    opening: usize,
    timers: BinaryHeap<Reverse<(u64, usize)>>,
    buffer: Vec<u8>,
    /// Sockets that a silent cut left behind.
    graves: Vec<TcpStream>,
    epoch: Instant,
}

impl Running {
    fn now(&self) -> unbroken::Instant {
        unbroken::Instant::ZERO + self.epoch.elapsed()
    }

    /// Until the next timer, or the next look.
    fn patience(&self) -> Option<Duration> {
        let timer = self.timers.peek();
        let timer = timer.map(|Reverse((at, _))| unbroken::Instant::from_micros(*at).since(self.now()));
        let look = (self.seats.len() < self.wanted).then_some(LOOK);
        [timer, look].into_iter().flatten().min()
    }

    /// How many sessions there may be by now.
    fn allowed(&self) -> usize {
        let (since, from) = self.growing;
        let grown = since.elapsed().as_secs_f64() * self.rate;
        self.wanted.min(from + grown as usize)
    }

    fn open(&mut self) {
        // Measured, not attacked: the seeds need not be secret.
        let mut seed = [0; 32];
        fastrand::fill(&mut seed);
        let mut session = Session::connect(self.config.clone(), Seed::new(seed), self.now());
        session.send_slice(b"hello").expect("a new session takes a message");
        self.seats.push(Seat {
            session,
            links: Vec::with_capacity(1),
            armed: u64::MAX,
            stage: Stage::Opening,
            probed: false,
            begun: Instant::now(),
        });
        self.opening += 1;
        self.drive(self.seats.len() - 1);
    }

    fn cut(&mut self, count: usize, cut: Cut) {
        let (count, now) = (count.min(self.seats.len()), self.now());
        for index in 0..count {
            let seat = &mut self.seats[index];
            seat.stage = Stage::Cut(Instant::now());
            seat.session
                .send_slice(b"back")
                .expect("an idle session takes a message");
            for mut line in std::mem::take(&mut seat.links) {
                match cut {
                    Cut::Reset => {
                        let _ = SockRef::from(&line.stream).set_linger(Some(Duration::ZERO));
                    }
                    Cut::Silent => {
                        let _ = self.registry.deregister(&mut line.stream);
                        self.graves.push(line.stream);
                    }
                }
                self.seats[index].session.handle_link_down(line.id, now);
            }
        }
        // All links are gone before the first is dialled anew.
        for index in 0..count {
            self.drive(index);
        }
    }

    /// Something happened on a socket.
    fn socket(&mut self, token: Token, writable: bool) {
        let index = token.0 / LINKS;
        let Some(line) = self.seats[index]
            .links
            .iter()
            .position(|line| line.id.0 as usize % LINKS == token.0 % LINKS)
        else {
            return;
        };
        if self.work(index, line, writable).is_err() {
            let now = self.now();
            let seat = &mut self.seats[index];
            let gone = seat.links.swap_remove(line);
            seat.session.handle_link_down(gone.id, now);
        }
        self.drive(index);
    }

    /// Does what the socket is ready for. An error is the connection's end.
    fn work(&mut self, index: usize, line: usize, writable: bool) -> io::Result<()> {
        let now = self.now();
        let Seat { session, links, .. } = &mut self.seats[index];
        let line = &mut links[line];
        if !line.up {
            if let Some(error) = line.stream.take_error()? {
                return Err(error);
            }
            match line.stream.peer_addr() {
                Ok(_) => line.up = true,
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(()),
                Err(error) => return Err(error),
            }
            let _ = line.stream.set_nodelay(true);
            session.handle_link_up(line.id, now);
        } else if writable && !line.backlog.is_empty() {
            let written = write(&line.stream, &line.backlog)?;
            line.backlog.drain(..written);
            if line.backlog.is_empty() {
                session.handle_link_writable(line.id);
            }
        }
        loop {
            match (&line.stream).read(&mut self.buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => session.handle_input(line.id, &self.buffer[..n], now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn fire(&mut self) {
        let now = self.now();
        while let Some(Reverse((at, index))) = self.timers.peek().copied()
            && at <= now.as_micros()
        {
            self.timers.pop();
            let seat = &mut self.seats[index];
            if seat.armed == at {
                seat.armed = u64::MAX;
                seat.session.handle_timeout(now);
                self.drive(index);
            }
        }
    }

    /// Polls a session dry and arms its timer.
    fn drive(&mut self, index: usize) {
        let now = self.now();
        let seat = &mut self.seats[index];
        while let Some(event) = seat.session.poll_event() {
            if let Event::Closed(reason) = event {
                let stats = seat.session.stats();
                self.tally.lose(format!(
                    "session {index} of {} ended, {:.1} s after it began, {:?}, after {} links, {} handovers and {} suspicions: {reason}",
                    self.wanted,
                    seat.begun.elapsed().as_secs_f64(),
                    seat.stage,
                    stats.links,
                    stats.handovers,
                    stats.suspicions,
                ));
            }
        }
        while seat.session.recv().is_some() {
            match seat.stage {
                Stage::Opening => {
                    self.opening -= 1;
                    self.tally.opened();
                }
                Stage::Cut(at) => self.tally.back(at),
                Stage::Idle(_) => {}
            }
            seat.stage = Stage::Idle(Instant::now());
        }
        while let Some(output) = seat.session.poll_output(&mut self.buffer, now) {
            match output {
                Output::OpenLink { link, .. } => {
                    self.tally.dialled();
                    let address = self.addresses[index % self.addresses.len()];
                    match dial(&self.registry, address, index * LINKS + link.0 as usize % LINKS) {
                        Ok(stream) => seat.links.push(Line {
                            id: link,
                            stream,
                            up: false,
                            backlog: Vec::new(),
                        }),
                        Err(_) => seat.session.handle_link_down(link, now),
                    }
                }
                Output::CloseLink { link } => seat.links.retain(|line| line.id != link),
                Output::Send { link, len } => {
                    if let Stage::Idle(since) = seat.stage
                        && since.elapsed() > self.quiet
                    {
                        self.tally.probed(!std::mem::replace(&mut seat.probed, true));
                    }
                    let Some(line) = seat.links.iter_mut().find(|line| line.id == link) else {
                        continue;
                    };
                    match write(&line.stream, &self.buffer[..len]) {
                        Ok(written) if written == len => {}
                        Ok(written) => {
                            line.backlog.extend_from_slice(&self.buffer[written..len]);
                            seat.session.handle_link_blocked(link);
                        }
                        // The poller tells of it, too.
                        Err(_) => {}
                    }
                }
            }
        }
        if let Some(due) = seat.session.poll_timeout() {
            // What is due and cannot be done, as a socket is full, must not turn into a busy loop.
            let due = due.max(now + Duration::from_millis(1)).as_micros();
            if due < seat.armed {
                seat.armed = due;
                self.timers.push(Reverse((due, index)));
            }
        }
    }
}

fn dial(registry: &Registry, address: SocketAddr, token: usize) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    registry.register(&mut stream, Token(token), Interest::READABLE | Interest::WRITABLE)?;
    Ok(stream)
}

fn write(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match stream.write(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}
