//! A session and its endpoint, with buffers for links and a clock that is pushed: the loop that a host runs, without a host.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use unbroken::{
    Batch, ClientConfig, ClusterKey, Endpoint, Event, Instant, LinkId, Output, Seed, ServerConfig, ServerKey, Session,
    SessionId, State,
};

use crate::{Talk, look};

/// What a host reads and writes at a time.
pub const BUFFER: usize = 64 << 10;

/// The server's end and what all its clients need.
pub struct Server {
    pub endpoint: Endpoint,
    pub client: Arc<ClientConfig>,
    pub now: Instant,
    buffer: Vec<u8>,
    seed: u64,
    next_link: u64,
}

/// One client, and how the server knows it. A client calls its links by numbers of its own, the server by others.
pub struct Client {
    pub session: Session,
    pub id: SessionId,
    /// The client's link now and the server's name for it.
    pub link: Option<(LinkId, LinkId)>,
    pub delivered: Delivered,
}

/// What came out at the server.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub messages: u64,
    pub bytes: usize,
}

impl Delivered {
    fn take(&mut self, message: &[u8]) {
        self.messages += 1;
        self.bytes += look(message);
    }
}

impl Default for Server {
    fn default() -> Self {
        let key = ServerKey::from_bytes([1; 32]).expect("a key");
        let client = ClientConfig::builder(key.public())
            .build()
            .expect("the defaults are good");
        let server = ServerConfig::builder(key, ClusterKey::from_bytes([2; 32]).expect("a key"))
            .authorise_all(true)
            .build()
            .expect("the defaults are good");
        let now = Instant::from_millis(1);
        Server {
            endpoint: Endpoint::new(Arc::new(server), Seed::new([4; 32]), now),
            client: Arc::new(client),
            now,
            buffer: vec![0; BUFFER],
            seed: 0,
            next_link: 0,
        }
    }
}

impl Server {
    /// A new client, with its session established.
    pub fn connect(&mut self) -> Client {
        let mut client = self.client();
        self.exchange(&mut client);
        assert_eq!(client.session.state(), State::Established);
        client.id = client.session.id().expect("an established session has a name");
        client
    }

    /// A new client that has not said a word.
    pub fn client(&mut self) -> Client {
        self.seed += 1;
        let mut seed = [3; 32];
        seed[..8].copy_from_slice(&self.seed.to_be_bytes());
        Client {
            session: Session::connect(self.client.clone(), Seed::new(seed), self.now),
            id: SessionId([0; 16]),
            link: None,
            delivered: Delivered::default(),
        }
    }

    /// Carries everything to the other end and lets both applications read, until nothing moves.
    pub fn exchange(&mut self, client: &mut Client) {
        let mut moved = true;
        while core::mem::take(&mut moved) {
            moved |= self.to_server(client);
            moved |= self.to_client(client);
        }
    }

    /// What the client has to say, to the server and its application.
    pub fn to_server(&mut self, client: &mut Client) -> bool {
        let moved = self.input_to_server(client);
        let mut told = false;
        while let Some((id, event)) = self.endpoint.poll_event() {
            told = true;
            if event == Event::Readable
                && let Some(mut session) = self.endpoint.session(id)
            {
                while let Some(message) = session.recv() {
                    client.delivered.take(message.payload);
                }
            }
        }
        moved | told
    }

    /// The same, and the application fetches all at once.
    fn batches_to_server(&mut self, client: &mut Client, batch: &mut Batch) {
        self.input_to_server(client);
        while let Some((id, event)) = self.endpoint.poll_event() {
            while event == Event::Readable && self.endpoint.recv_batch(id, batch) {
                batch.for_each(|message| client.delivered.take(message.payload));
            }
        }
    }

    fn input_to_server(&mut self, client: &mut Client) -> bool {
        let mut moved = false;
        while let Some(output) = client.session.poll_output(&mut self.buffer, self.now) {
            moved = true;
            match output {
                Output::OpenLink { link, .. } => {
                    let name = LinkId(self.next_link);
                    self.next_link += 1;
                    client.link = Some((link, name));
                    self.endpoint.handle_link_up(name, self.now);
                    client.session.handle_link_up(link, self.now);
                }
                Output::Send { link, len } => {
                    if let Some((_, name)) = client.link.filter(|(mine, _)| *mine == link) {
                        self.endpoint.handle_input(name, &self.buffer[..len], self.now);
                    }
                }
                Output::CloseLink { link } => {
                    if let Some((_, name)) = client.link.take_if(|(mine, _)| *mine == link) {
                        self.endpoint.handle_link_down(name, self.now);
                    }
                }
            }
        }
        moved
    }

    /// What the server has to say, to the client and its application.
    pub fn to_client(&mut self, client: &mut Client) -> bool {
        let mut moved = false;
        while let Some(output) = self.endpoint.poll_output(&mut self.buffer, self.now) {
            moved = true;
            match output {
                Output::Send { link: name, len } => {
                    if let Some((link, _)) = client.link.filter(|(_, its)| *its == name) {
                        client.session.handle_input(link, &self.buffer[..len], self.now);
                    }
                }
                Output::CloseLink { link: name } => {
                    if let Some((link, _)) = client.link.take_if(|(_, its)| *its == name) {
                        client.session.handle_link_down(link, self.now);
                    }
                }
                Output::OpenLink { .. } => unreachable!("a server opens no links"),
            }
        }
        while client.session.poll_event().is_some() {
            moved = true;
        }
        while let Some(message) = client.session.recv() {
            moved = true;
            look(message.payload);
        }
        moved
    }

    /// Time passes for clients that were connected one after the other and have lost no link since.
    pub fn idle(&mut self, clients: &mut [Client], time: Duration) {
        self.now += time;
        self.endpoint.handle_timeout(self.now);
        for client in clients.iter_mut() {
            client.session.handle_timeout(self.now);
            self.to_server(client);
        }
        // Each link has the number of its client.
        while let Some(output) = self.endpoint.poll_output(&mut self.buffer, self.now) {
            let Output::Send {
                link: LinkId(name),
                len,
            } = output
            else {
                unreachable!("nobody has left");
            };
            let client = &mut clients[name as usize];
            let Some((link, LinkId(its))) = client.link else {
                unreachable!("nobody has lost a link");
            };
            assert_eq!(its, name);
            client.session.handle_input(link, &self.buffer[..len], self.now);
        }
    }

    /// The link breaks, and both ends are told.
    pub fn cut(&mut self, client: &mut Client) {
        let (link, name) = client.link.take().expect("a link to cut");
        client.session.handle_link_down(link, self.now);
        self.endpoint.handle_link_down(name, self.now);
    }

    /// Time passes and nothing else.
    pub fn pass(&mut self, client: &mut Client, time: Duration) {
        self.now += time;
        client.session.handle_timeout(self.now);
        self.endpoint.handle_timeout(self.now);
    }

    /// Until the session stands again; the back-off's waits cost no CPU time.
    pub fn resume(&mut self, client: &mut Client) {
        let before = client.session.stats().handovers;
        self.exchange(client);
        while client.session.stats().handovers == before {
            self.pass(client, Duration::from_millis(50));
            self.exchange(client);
        }
    }

    /// What the client says first on a new link, which the server never sees.
    pub fn first_flight(&mut self, client: &mut Client) -> Vec<u8> {
        loop {
            match client.session.poll_output(&mut self.buffer, self.now) {
                Some(Output::OpenLink { link, .. }) => client.session.handle_link_up(link, self.now),
                Some(Output::Send { len, .. }) => return self.buffer[..len].to_vec(),
                Some(Output::CloseLink { .. }) => {}
                None => self.pass(client, Duration::from_millis(50)),
            }
        }
    }

    /// A stranger's connection says this; how it is answered is thrown away.
    pub fn knock(&mut self, flight: &[u8]) {
        let name = LinkId(self.next_link);
        self.next_link += 1;
        self.endpoint.handle_link_up(name, self.now);
        self.endpoint.handle_input(name, flight, self.now);
        while let Some(output) = self.endpoint.poll_output(&mut self.buffer, self.now) {
            black_box(output);
        }
        self.endpoint.handle_link_down(name, self.now);
    }
}

/// One established session.
pub struct Ends {
    pub server: Server,
    pub client: Client,
}

impl Default for Ends {
    fn default() -> Self {
        let mut server = Server::default();
        let client = server.connect();
        Ends { server, client }
    }
}

impl Talk for Ends {
    fn carry(&mut self, message: &[u8], count: usize) -> usize {
        let before = self.client.delivered.bytes;
        self.server.now += Duration::from_micros(10);
        for _ in 0..count {
            let sent = self.client.session.send_slice(black_box(message));
            assert!(sent.is_ok(), "over the limit of what may be un-ACKed");
        }
        self.server.to_server(&mut self.client);
        self.server.to_client(&mut self.client);
        self.client.delivered.bytes - before
    }
}

/// The same, by the calls that take many messages at once.
#[derive(Default)]
pub struct Batches {
    ends: Ends,
    messages: Vec<Arc<[u8]>>,
    batch: Batch,
}

impl Talk for Batches {
    fn carry(&mut self, message: &[u8], count: usize) -> usize {
        let Ends { server, client } = &mut self.ends;
        // One bench gives one message; to compare all of it each time would be the harness's cost.
        if self.messages.len() != count || self.messages[0].len() != message.len() {
            self.messages = vec![message.into(); count];
        }
        let before = client.delivered.bytes;
        server.now += Duration::from_micros(10);
        let (sent, _) = client.session.send_many(black_box(&self.messages));
        assert_eq!(sent, count, "over the limit of what may be un-ACKed");
        server.batches_to_server(client, &mut self.batch);
        server.to_client(client);
        client.delivered.bytes - before
    }
}

impl Ends {
    /// Sends messages that are lost with their link, and returns when the session stands on a new one; what was sent is not
    /// there yet.
    pub fn lose(&mut self, message: &[u8], count: usize) {
        for _ in 0..count {
            let sent = self.client.session.send_slice(message);
            assert!(sent.is_ok(), "over the limit of what may be un-ACKed");
        }
        let mut buffer = vec![0; BUFFER];
        while self.client.session.poll_output(&mut buffer, self.server.now).is_some() {}
        self.server.cut(&mut self.client);
    }
}
