//! A session and an endpoint in one room: what one writes the other reads, until somebody steps between.

use bytes::Bytes;
use unbroken::{Endpoint, Event, Instant, Limits, LinkId, MessageId, Output, Session, SessionId, State, Verdict};

use crate::host::{self, Poll};
use crate::life::Life;

pub struct Pair {
    pub now: Instant,
    pub client: Session,
    pub server: Endpoint,
    pub id: Option<SessionId>,
    /// What the client and the server have sent.
    pub sent: [usize; 2],
    pub received: [usize; 2],
    pub lives: [Life; 2],
    /// The link the client has up, and the flight that waits to be sent on it.
    pub link: Option<LinkId>,
    pub buffer: Vec<u8>,
}

impl Pair {
    pub fn new(limits: Limits, ask_on_resume: bool) -> Pair {
        let now = Instant::from_millis(1_000_000);
        let config = host::server_config(limits.clone(), false, ask_on_resume);
        Pair {
            now,
            client: Session::connect(host::client_config(limits), host::seed(1), now),
            server: Endpoint::new(config, host::seed(2), now),
            id: None,
            sent: [0; 2],
            received: [0; 2],
            lives: Default::default(),
            link: None,
            buffer: vec![0; 65_536],
        }
    }

    /// The client's next flight, taken from it and given to nobody. Time passes until it has one.
    pub fn flight(&mut self) -> (LinkId, Vec<u8>) {
        for _ in 0..200 {
            while let Some(output) = self.client.next_output(&mut self.buffer, self.now) {
                match output {
                    Output::OpenLink { link, .. } => self.client.handle_link_up(link, self.now),
                    Output::Send { link, len } => return (link, self.buffer[..len].to_vec()),
                    Output::CloseLink { .. } => {}
                }
            }
            self.client_events();
            if self.client.state() == State::None {
                self.client.retry(self.now);
            }
            self.now = self.now.max(self.client.poll_timeout().unwrap_or(self.now));
            self.client.handle_timeout(self.now);
        }
        panic!("the client has stopped trying, in state {:?}", self.client.state());
    }

    /// What the server says on a link, and whether it closed it. Nothing else may be asked of the host.
    pub fn answer(&mut self, on: LinkId) -> (Vec<u8>, bool) {
        let (mut words, mut closed) = (Vec::new(), false);
        while let Some(output) = self.server.next_output(&mut self.buffer, self.now) {
            match output {
                Output::Send { link, len } if link == on => words.extend_from_slice(&self.buffer[..len]),
                Output::CloseLink { link } => closed |= link == on,
                // Of former links, still on their way out.
                Output::Send { .. } => {}
                Output::OpenLink { .. } => panic!("a server opens no links"),
            }
        }
        (words, closed)
    }

    /// Everything moves over the newest link until nothing does. Both ends call it by the same name.
    pub fn exchange(&mut self) {
        let mut rounds = 0;
        loop {
            let mut idle = true;
            self.client.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
            while let Some(output) = self.client.next_output(&mut self.buffer, self.now) {
                idle = false;
                match output {
                    Output::OpenLink { link, .. } => {
                        self.server.handle_link_up(link, self.now);
                        self.client.handle_link_up(link, self.now);
                        self.link = Some(link);
                    }
                    Output::Send { link, len } => self.server.handle_input(link, &self.buffer[..len], self.now),
                    Output::CloseLink { link } => self.server.handle_link_down(link, self.now),
                }
            }
            while let Some(output) = self.server.next_output(&mut self.buffer, self.now) {
                idle = false;
                match output {
                    Output::Send { link, len } => self.client.handle_input(link, &self.buffer[..len], self.now),
                    Output::CloseLink { link } => self.client.handle_link_down(link, self.now),
                    Output::OpenLink { .. } => panic!("a server opens no links"),
                }
            }
            idle &= !self.client_events() & !self.exchange_server_events() & !self.read();
            if idle {
                return;
            }
            rounds += 1;
            assert!(rounds < 10_000, "the ends do not come to rest");
        }
    }

    /// The link breaks, and both are told.
    pub fn cut(&mut self) {
        if let Some(link) = self.link.take() {
            self.client.handle_link_down(link, self.now);
            self.server.handle_link_down(link, self.now);
        }
    }

    /// The network works: soon all that was sent must have arrived.
    pub fn deliver(&mut self) {
        for _ in 0..500 {
            self.exchange();
            if self.received == [self.sent[1], self.sent[0]] && self.client.stats().unacked_messages == 0 {
                return;
            }
            if self.client.state() == State::None {
                self.client.retry(self.now);
            }
            let next = [self.client.poll_timeout(), self.server.poll_timeout()]
                .into_iter()
                .flatten()
                .min();
            self.now = self.now.max(next.expect("something is outstanding"));
        }
        panic!("received {:?} of {:?}; {:?}", self.received, self.sent, self.lives);
    }

    pub fn send(&mut self, side: usize, len: usize) {
        let message = Bytes::from(host::message(side as u8, self.sent[side], len));
        let sent = match (side, self.id) {
            (0, _) => self.client.send(message),
            (_, Some(id)) => self.server.session(id).expect("it lives").send(message),
            (_, None) => return,
        };
        if let Ok(id) = sent {
            assert_eq!(id, MessageId(self.sent[side] as u64));
            self.sent[side] += 1;
        }
    }

    pub fn client_events(&mut self) -> bool {
        let mut any = false;
        while let Some((_, event)) = self.client.next_event(self.now) {
            host::trace(&("client", self.now, &event));
            self.lives[0].see(&event);
            any = true;
        }
        any
    }

    pub fn exchange_server_events(&mut self) -> bool {
        let mut any = false;
        while let Some((id, event)) = self.server.next_event(self.now) {
            host::trace(&("server", self.now, &event));
            let id = id.expect("an endpoint says whose");
            assert_eq!(*self.id.get_or_insert(id), id);
            self.lives[1].see(&event);
            let Some(mut session) = self.server.session(id) else {
                continue;
            };
            match event {
                Event::Authorise { .. } => {
                    session.authorise(Verdict::Accept { message: Bytes::new() });
                }
                Event::ResumeRequest => {
                    session.answer_resume(Ok(()));
                }
                _ => {}
            }
            any = true;
        }
        any
    }

    fn read(&mut self) -> bool {
        let mut any = false;
        while let Some(message) = self.client.recv() {
            check(message.id, message.payload, 1, &mut self.received[0]);
            any = true;
        }
        if let Some(mut session) = self.id.and_then(|id| self.server.session(id)) {
            while let Some(message) = session.recv() {
                check(message.id, message.payload, 0, &mut self.received[1]);
                any = true;
            }
        }
        any
    }
}

fn check(id: Option<MessageId>, payload: &[u8], from: u8, received: &mut usize) {
    assert_eq!(id, Some(MessageId(*received as u64)), "delivered out of order");
    assert!(
        payload == host::message(from, *received, payload.len()),
        "delivered with another payload"
    );
    *received += 1;
}
