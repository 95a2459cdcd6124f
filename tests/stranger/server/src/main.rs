//! A TCP server for the stranger's client: it echoes every message and cuts links when told to.
//!
//! One thread owns the `Endpoint`; one small thread per link reads its socket, one reads commands from standard input. All
//! of them send to the owner over one channel. The first line printed is `listening PORT SERVER_PUBLIC_KEY_HEX`; each command
//! is answered by one line. The commands are the arms of `Server::command`.

mod links;

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use bytes::Bytes;
use links::Links;
use unbroken::{
    ClusterKey, Endpoint, Event, Instant, LinkId, Output, Seed, SendError, ServerConfig, ServerKey, SessionId,
};
use unbroken::{PublicKey, State, Verdict};

/// What the threads tell the owner of the endpoint.
enum Report {
    Link(TcpStream),
    Bytes(LinkId, Vec<u8>),
    Down(LinkId),
    Command(String),
}

/// What is known of a session beside what the endpoint knows.
#[derive(Default)]
struct Peer {
    /// Reliable messages that came.
    received: u64,
    /// An echo that was not taken yet; nothing more is received meanwhile.
    waiting: Option<Bytes>,
    open: bool,
}

struct Server {
    start: std::time::Instant,
    config: Arc<ServerConfig>,
    endpoint: Endpoint,
    generation: u8,
    links: Links,
    peers: BTreeMap<SessionId, Peer>,
    /// Do not receive: the client's credit runs out.
    hold: bool,
    /// Refuse resumes with this code.
    veto: Option<u32>,
    received: u64,
    wrong: u64,
    buffer: Vec<u8>,
}

fn main() {
    let key = ServerKey::from_bytes([7; 32]).expect("not zero");
    let public: String = key.public().0.iter().map(|byte| format!("{byte:02x}")).collect();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
    println!("listening {} {public}", listener.local_addr().expect("bound").port());

    let (sender, receiver) = channel();
    let (accepts, commands) = (sender.clone(), sender.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = accepts.send(Report::Link(stream));
        }
    });
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = commands.send(Report::Command(line));
        }
        std::process::exit(0); // whoever started this is gone
    });
    let config = ServerConfig::builder(key, ClusterKey::from_bytes([9; 32]).expect("not zero"))
        .realm("stranger")
        .ask_on_resume(true)
        .build()
        .expect("a good configuration");
    Server::new(Arc::new(config), sender).run(&receiver);
}

impl Server {
    fn new(config: Arc<ServerConfig>, sender: Sender<Report>) -> Server {
        Server {
            start: std::time::Instant::now(),
            endpoint: Endpoint::new(config.clone(), Seed::new([1; 32]), Instant::ZERO),
            config,
            generation: 1,
            links: Links::new(sender),
            peers: BTreeMap::new(),
            hold: false,
            veto: None,
            received: 0,
            wrong: 0,
            buffer: vec![0; 65536],
        }
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    fn run(mut self, reports: &Receiver<Report>) {
        loop {
            let wait = match self.endpoint.poll_timeout() {
                Some(at) => at.since(self.now()).min(Duration::from_secs(1)),
                None => Duration::from_secs(1),
            };
            match reports.recv_timeout(wait) {
                Ok(report) => self.take(report),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // Whatever came meanwhile goes in before anything is sent: so records carry many messages.
            while let Ok(report) = reports.try_recv() {
                self.take(report);
            }
            let now = self.now();
            self.endpoint.handle_timeout(now);
            self.serve();
        }
    }

    fn take(&mut self, report: Report) {
        let now = self.now();
        match report {
            Report::Link(stream) => {
                let link = self.links.add(stream);
                self.endpoint.handle_link_up(link, now);
            }
            Report::Bytes(link, bytes) => {
                let len = self.links.spend(link, bytes.len());
                self.endpoint.handle_input(link, &bytes[..len], now);
                if len < bytes.len() {
                    self.cut(link, true);
                }
            }
            Report::Down(link) => {
                if self.links.remove(link) {
                    self.endpoint.handle_link_down(link, now);
                }
            }
            Report::Command(line) => {
                let answer = self.command(&line);
                println!("{answer}");
                let _ = std::io::stdout().flush();
            }
        }
    }

    /// Ends a link at once: by this end's will, or because its socket is broken.
    fn cut(&mut self, link: LinkId, wilful: bool) {
        let now = self.now();
        if self.links.remove(link) {
            self.links.cuts += u64::from(wilful);
            self.endpoint.handle_link_down(link, now);
        }
    }

    /// Events, echoes and output until there is nothing more.
    fn serve(&mut self) {
        loop {
            while let Some((id, event)) = self.endpoint.poll_event() {
                self.event(id, event);
            }
            self.echo();
            if !self.write() {
                return;
            }
        }
    }

    fn event(&mut self, id: SessionId, event: Event) {
        match event {
            Event::Authorise { credential } => {
                let verdict = match credential[..] == *b"ticket of the stranger" {
                    true => Verdict::Accept {
                        message: "welcome".into(),
                    },
                    false => Verdict::Refuse {
                        code: 77,
                        message: "no such ticket".into(),
                    },
                };
                if let Some(mut session) = self.endpoint.session(id) {
                    session.authorise(verdict);
                }
                self.peers.insert(
                    id,
                    Peer {
                        open: true,
                        ..Peer::default()
                    },
                );
            }
            Event::ResumeRequest => {
                let answer = self.veto.map_or(Ok(()), Err);
                if let Some(mut session) = self.endpoint.session(id) {
                    session.answer_resume(answer);
                }
            }
            Event::Closed(_) => {
                if let Some(peer) = self.peers.get_mut(&id) {
                    peer.open = false;
                }
            }
            _ => {}
        }
    }

    /// Sends every message back as it came. A reliable one begins with its number, 8 bytes; the numbers must run from 0.
    fn echo(&mut self) {
        for (id, peer) in self.peers.iter_mut().filter(|(_, peer)| peer.open && !self.hold) {
            let Some(mut session) = self.endpoint.session(*id) else {
                continue;
            };
            loop {
                if let Some(message) = peer.waiting.take()
                    && let Err(SendError::WouldBlock(message)) = session.send(message)
                {
                    peer.waiting = Some(message);
                    break;
                }
                let Some(message) = session.recv() else { break };
                let payload = Bytes::copy_from_slice(message.payload);
                if message.id.is_none() {
                    let _ = session.send_unreliable(payload); // may be dropped
                    continue;
                }
                self.received += 1;
                if payload.get(..8) != Some(&peer.received.to_be_bytes()[..]) {
                    self.wrong += 1;
                }
                peer.received += 1;
                peer.waiting = Some(payload);
            }
        }
    }

    /// Carries out what the endpoint wants; says whether there was anything.
    fn write(&mut self) -> bool {
        let (now, mut any) = (self.now(), false);
        while let Some(output) = self.endpoint.poll_output(&mut self.buffer, now) {
            any = true;
            match output {
                Output::Send { link, len } => {
                    if !self.links.write(link, &self.buffer[..len]) {
                        let wilful = self.links.spent(link);
                        self.cut(link, wilful);
                    }
                }
                Output::CloseLink { link } => {
                    self.links.remove(link);
                }
                Output::OpenLink { .. } => unreachable!("a server opens no links"),
            }
        }
        any
    }

    fn command(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        match words.first().copied().unwrap_or("") {
            // Every link up to now is cut, or every new one after a number of bytes between two bounds (0 0: never).
            "cut" => self.links.all().into_iter().for_each(|link| self.cut(link, true)),
            "budget" => self.links.budget = (number(1), number(2)),
            // Do not receive, or do so again.
            "hold" => self.hold = number(1) == 1,
            "veto" => self.veto = (number(1) > 0).then_some(number(1) as u32),
            // So many unreliable messages to everybody, each in a record of its own.
            "flood" => {
                for count in 0..number(1) {
                    for id in self.open() {
                        if let Some(mut session) = self.endpoint.session(id) {
                            let _ = session.send_unreliable(Bytes::copy_from_slice(&count.to_be_bytes()));
                        }
                    }
                    self.write();
                }
            }
            "close" | "kick" => {
                for id in self.open() {
                    if let Some(mut session) = self.endpoint.session(id) {
                        match words[0] {
                            "kick" => session.kick(number(1) as u32),
                            _ => session.close(number(1) as u32),
                        }
                    }
                }
            }
            // To everybody with a link.
            "drain" => self
                .endpoint
                .drain(Duration::from_millis(number(1)), words.get(2).unwrap_or(&""))
                .map_or_else(|error| eprintln!("{error}"), |_told| ()),
            "keys" => {
                let key = PublicKey([number(1) as u8; 32]);
                if let Err(error) = self.endpoint.announce_keys(&[(key, Duration::from_secs(number(2)))]) {
                    eprintln!("{error}");
                }
            }
            // A new process: same keys, no memory.
            "restart" => {
                self.links.all().into_iter().for_each(|link| self.cut(link, true));
                self.generation += 1;
                self.peers.clear();
                self.endpoint = Endpoint::new(self.config.clone(), Seed::new([self.generation; 32]), self.now());
            }
            "report" => {}
            other => return format!("error: unknown command {other}"),
        }
        let states: Vec<String> = self
            .open()
            .into_iter()
            .map(|id| format!("{:?}", self.state(id)))
            .collect();
        format!(
            "received {} wrong {} cuts {} links {} sessions {} states {}",
            self.received,
            self.wrong,
            self.links.cuts,
            self.endpoint.links(),
            self.endpoint.sessions(),
            states.join(","),
        )
    }

    fn open(&self) -> Vec<SessionId> {
        self.peers
            .iter()
            .filter(|(_, peer)| peer.open)
            .map(|(id, _)| *id)
            .collect()
    }

    fn state(&mut self, id: SessionId) -> State {
        self.endpoint
            .session(id)
            .map_or(State::Closed, |session| session.state())
    }
}
