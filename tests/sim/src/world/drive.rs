//! The host: carries bytes between the core and the network, wakes the core, polls it in whatever order chance likes, and
//! holds it to its contract.

use unbroken::{Instant, LinkId, NetworkId, Output, Route, Target};

use super::{ClientEnd, Ends, Event, Node, ServerEnd, World};
use crate::absence::Tally;
use crate::fate::{Forge, Side};
use crate::net::{ConnId, NetEvent, Notice};
use crate::options::Chunks;

/// More polls than this in one drain are an endless loop.
const BUDGET: u32 = 200_000;

/// What a drain may bring forth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Only {
    Anything,
    /// Writing to this link and closing it, nothing else: its bytes have proved nothing (G3).
    Link(LinkId),
}

impl World {
    pub(super) fn on_net(&mut self, event: NetEvent) {
        let mut notices = Vec::new();
        self.net.handle(event, &mut self.queue, &mut notices);
        for notice in notices {
            match notice {
                Notice::Up(conn, Side::Client) => self.client_up(conn),
                Notice::Up(conn, Side::Server) => self.server_up(conn),
                Notice::Input(conn, Side::Client, bytes) => self.client_input(conn, &bytes),
                Notice::Input(conn, Side::Server, bytes) => self.server_input(conn, &bytes),
                Notice::Down(conn, side) => self.link_down(conn, side),
                Notice::Writable(conn, side) => self.writable(conn, side),
            }
        }
    }

    fn client_up(&mut self, conn: ConnId) {
        match self.ends[&conn].client {
            ClientEnd::Session(i, link) => {
                self.trace
                    .add(self.now(), Node::Client(i).into(), "link up", link.0, conn);
                self.watch_up(i, link);
                let now = self.now();
                self.clients[i].session.handle_link_up(link, now);
                self.after_input(Node::Client(i));
            }
            ClientEnd::Script { .. } => self.on_play(conn),
        }
    }

    fn server_up(&mut self, conn: ConnId) {
        if self.net.fate(conn).is_some_and(|f| f.forge.is_some()) {
            self.ends.get_mut(&conn).unwrap().server = ServerEnd::Impostor;
        } else if self.servers.len() == 1 {
            self.give_to(conn, 0);
        }
    }

    /// Tells an endpoint of a connection.
    fn give_to(&mut self, conn: ConnId, server: usize) {
        let link = LinkId(conn);
        self.ends.get_mut(&conn).unwrap().server = ServerEnd::Endpoint(server, link);
        self.trace
            .add(self.now(), Node::Server(server).into(), "accept", link.0, 0);
        let now = self.now();
        let node = &mut self.servers[server];
        node.host.links.insert(link, conn);
        node.endpoint.handle_link_up(link, now);
        self.after_input(Node::Server(server));
    }

    fn client_input(&mut self, conn: ConnId, bytes: &[u8]) {
        let ClientEnd::Session(i, link) = self.ends[&conn].client else {
            return;
        };
        self.trace
            .add(self.now(), Node::Client(i).into(), "input", link.0, bytes.len() as u64);
        for chunk in self.chunks(bytes) {
            if !self.clients[i].host.links.contains_key(&link) {
                break;
            }
            let now = self.now();
            let held = self.watch_input(i, link, chunk);
            self.clients[i].session.handle_input(link, chunk, now);
            self.watch_heard(i, held);
            if self.rng.coin() || chunk.len() == bytes.len() {
                self.after_input(Node::Client(i));
            }
        }
        self.after_input(Node::Client(i));
    }

    fn server_input(&mut self, conn: ConnId, bytes: &[u8]) {
        match &mut self.ends.get_mut(&conn).unwrap().server {
            ServerEnd::Endpoint(j, link) => {
                let (j, link) = (*j, *link);
                self.feed_endpoint(conn, j, link, bytes);
            }
            ServerEnd::Router(held) => {
                held.extend_from_slice(bytes);
                let held = held.clone();
                if let Some(server) = self.route(&held) {
                    self.give_to(conn, server);
                    self.feed_endpoint(conn, server, LinkId(conn), &held);
                }
            }
            ServerEnd::Impostor => self.impostor(conn, bytes),
        }
    }

    fn feed_endpoint(&mut self, conn: ConnId, j: usize, link: LinkId, bytes: &[u8]) {
        let strict = matches!(self.ends[&conn].client, ClientEnd::Script { strict: true, .. });
        self.trace.add(
            self.now(),
            Node::Server(j).into(),
            if strict { "hostile input" } else { "input" },
            link.0,
            bytes.len() as u64,
        );
        let before = strict.then(|| {
            self.settle(Node::Server(j));
            self.looks(j)
        });
        for chunk in self.chunks(bytes) {
            if !self.servers[j].host.links.contains_key(&link) {
                break;
            }
            let now = self.now();
            let before = Tally::of(&self.servers[j].endpoint);
            self.servers[j].endpoint.handle_input(link, chunk, now);
            self.watch_absence(j, conn, before);
            if strict {
                self.drain(Node::Server(j), Only::Link(link), u32::MAX);
            } else if self.rng.coin() || chunk.len() == bytes.len() {
                self.after_input(Node::Server(j));
            }
        }
        if let Some(before) = before {
            let after = self.looks(j);
            if before != after {
                self.fail(format_args!(
                    "G3: bytes without proof changed what can be seen\nbefore {before}\nafter  {after}"
                ));
            }
        }
        self.after_input(Node::Server(j));
    }

    /// All that can be seen of the conversations at a server.
    fn looks(&mut self, j: usize) -> String {
        let mut text = String::new();
        for seat in self.seats.iter().filter(|s| s.server == j) {
            if let Some(id) = seat.id {
                let session = self.servers[j].endpoint.session(id);
                text += &format!("{id}: {:?}\n", session.map(|s| (s.state(), s.stats())));
            }
        }
        text
    }

    fn link_down(&mut self, conn: ConnId, side: Side) {
        let Some(Ends { client, server }) = self.ends.get(&conn) else {
            return;
        };
        let now = self.now();
        match (side, client, server) {
            (Side::Client, &ClientEnd::Session(i, link), _) => {
                self.trace.add(now, Node::Client(i).into(), "link down", link.0, conn);
                self.watch_down(i, link);
                let node = &mut self.clients[i];
                node.host.links.remove(&link);
                node.host.blocked.remove(&link);
                node.session.handle_link_down(link, now);
                self.after_input(Node::Client(i));
            }
            (Side::Server, _, &ServerEnd::Endpoint(j, link)) => {
                self.trace.add(now, Node::Server(j).into(), "link down", link.0, conn);
                let node = &mut self.servers[j];
                node.host.links.remove(&link);
                node.host.blocked.remove(&link);
                let before = Tally::of(&node.endpoint);
                node.endpoint.handle_link_down(link, now);
                self.watch_absence(j, conn, before);
                self.after_input(Node::Server(j));
            }
            _ => {}
        }
        self.forget(conn);
    }

    fn writable(&mut self, conn: ConnId, side: Side) {
        let Some(Ends { client, server }) = self.ends.get(&conn) else {
            return;
        };
        match (side, client, server) {
            (Side::Client, &ClientEnd::Session(i, link), _) => {
                let node = &mut self.clients[i];
                if node.host.blocked.remove(&link) {
                    node.session.handle_link_writable(link);
                    self.after_input(Node::Client(i));
                }
            }
            (Side::Server, _, &ServerEnd::Endpoint(j, link)) => {
                let node = &mut self.servers[j];
                if node.host.blocked.remove(&link) {
                    node.endpoint.handle_link_writable(link);
                    self.after_input(Node::Server(j));
                }
            }
            _ => {}
        }
    }

    fn forget(&mut self, conn: ConnId) {
        if Side::BOTH.iter().all(|side| !self.net.is_open(conn, *side)) {
            self.ends.remove(&conn);
        }
    }

    fn chunks<'a>(&mut self, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        match self.options.net.chunks {
            Chunks::All => vec![bytes],
            Chunks::Single => bytes.chunks(1).collect(),
            Chunks::Random => {
                let mut rest = bytes;
                let mut out = Vec::new();
                while !rest.is_empty() {
                    let (chunk, tail) = rest.split_at(self.rng.log_range(1..=rest.len() as u64) as usize);
                    out.push(chunk);
                    rest = tail;
                }
                out
            }
        }
    }

    /// What a host does after it told the core something: drains it, mostly.
    pub fn after_input(&mut self, node: Node) {
        let limit = if self.rng.permille(self.options.host.lazy) {
            self.rng.below(4) as u32
        } else {
            u32::MAX
        };
        self.drain(node, Only::Anything, limit);
        if limit != u32::MAX {
            // No event tells a client's application to read: it always does.
            while self.read_now(node) {}
        } else if let Node::Client(i) = node {
            self.watch_state(i);
        }
        self.rearm(node);
    }

    /// Lets the core do all it wants to do now.
    pub fn settle(&mut self, node: Node) {
        let now = self.now();
        match node {
            Node::Client(i) => self.clients[i].session.handle_timeout(now),
            Node::Server(j) => self.servers[j].endpoint.handle_timeout(now),
        }
        self.drain(node, Only::Anything, u32::MAX);
        let blocked = !self.host(node).blocked.is_empty();
        let next = self.timeout(node);
        if !blocked && next.is_some_and(|next| next <= now) {
            self.fail(format_args!(
                "contract: after handle_timeout({now:?}) and a full drain of {node:?}, poll_timeout is {next:?}"
            ));
        }
        self.rearm(node);
    }

    pub(super) fn on_wake(&mut self, node: Node, serial: u64) {
        let now = self.now();
        if matches!(node, Node::Client(i) if self.frozen.contains(&i)) {
            return;
        }
        let host = self.host(node);
        if host.wake.is_none_or(|(_, s)| s != serial) {
            return;
        }
        host.wake = None;
        host.spins = if host.spins.0 == now {
            (now, host.spins.1 + 1)
        } else {
            (now, 0)
        };
        if host.spins.1 > 1000 {
            self.fail(format_args!("{node:?} wants to be woken again and again at {now:?}"));
        }
        self.settle(node);
    }

    /// Sets the timer of a node to what `poll_timeout` says.
    pub fn rearm(&mut self, node: Node) {
        let (now, timeout) = (self.now(), self.timeout(node));
        let late = self.options.host.late;
        let late = if late.is_zero() {
            late
        } else {
            self.rng.duration(core::time::Duration::ZERO..=late)
        };
        let host = self.host(node);
        let Some(timeout) = timeout.filter(|t| *t != Instant::FAR_FUTURE) else {
            host.wake = None;
            return;
        };
        let at = timeout.max(now);
        match host.wake {
            Some((set, _)) if set == at => {}
            _ => {
                host.serial += 1;
                let serial = host.serial;
                host.wake = Some((at, serial));
                self.queue.at(at + late, Event::Wake(node, serial));
            }
        }
    }

    fn timeout(&self, node: Node) -> Option<Instant> {
        match node {
            Node::Client(i) => self.clients[i].session.poll_timeout(),
            Node::Server(j) => self.servers[j].endpoint.poll_timeout(),
        }
    }

    fn host(&mut self, node: Node) -> &mut super::Host {
        match node {
            Node::Client(i) => &mut self.clients[i].host,
            Node::Server(j) => &mut self.servers[j].host,
        }
    }

    /// Polls until nothing comes any more, or `limit` polls; in an order that changes.
    pub fn drain(&mut self, node: Node, only: Only, limit: u32) {
        let mut steps = 0;
        let mut idle = 0;
        let mut turn = self.rng.below(3) as u32;
        while idle < 3 && steps < limit {
            steps += 1;
            if steps > BUDGET {
                self.fail(format_args!("a drain of {node:?} does not end"));
            }
            let due = self.timeout(node);
            let something = match turn % 3 {
                0 => self.poll_output(node, only),
                1 => self.poll_event(node, only),
                _ => self.read_now(node),
            };
            if something && turn % 3 < 2 && due.is_none_or(|due| due > self.now()) {
                self.fail(format_args!(
                    "contract: {node:?} had something queued, but poll_timeout said {due:?}"
                ));
            }
            idle = if something { 0 } else { idle + 1 };
            turn = if something && self.rng.coin() { turn } else { turn + 1 };
        }
        match node {
            Node::Client(i) => self.watch_drained(i, idle >= 3),
            Node::Server(j) if idle >= 3 => self.watch_told(j),
            Node::Server(_) => {}
        }
    }

    fn poll_output(&mut self, node: Node, only: Only) -> bool {
        let now = self.now();
        let mut buffer = core::mem::take(&mut self.buffer);
        let output = match node {
            Node::Client(i) => self.clients[i].session.poll_output(&mut buffer, now),
            Node::Server(j) => self.servers[j].endpoint.poll_output(&mut buffer, now),
        };
        match &output {
            Some(Output::Send { link, len }) => self.send(node, *link, &buffer[..*len]),
            Some(Output::CloseLink { link }) => self.close(node, *link),
            Some(Output::OpenLink { link, target, network }) => self.open(node, *link, target, *network),
            None => {}
        }
        self.buffer = buffer;
        if let Only::Link(link) = only {
            match output {
                Some(Output::Send { link: l, .. } | Output::CloseLink { link: l }) if l != link => {
                    self.fail(format_args!("G3: bytes without proof on {link:?} made {output:?}"));
                }
                Some(Output::OpenLink { .. }) => self.fail(format_args!("G3: bytes without proof made {output:?}")),
                _ => {}
            }
        }
        output.is_some()
    }

    fn send(&mut self, node: Node, link: LinkId, bytes: &[u8]) {
        let host = self.host(node);
        let Some(&conn) = host.links.get(&link) else {
            self.fail(format_args!("{node:?} writes to {link:?}, which is not open"));
        };
        if host.blocked.contains(&link) {
            self.fail(format_args!("{node:?} writes to {link:?}, which is blocked"));
        }
        if bytes.is_empty() {
            self.fail(format_args!("{node:?} writes nothing to {link:?}"));
        }
        let side = match node {
            Node::Client(_) => Side::Client,
            Node::Server(_) => Side::Server,
        };
        self.trace
            .add(self.now(), node.into(), "write", link.0, bytes.len() as u64);
        self.tape.hear(conn, side, bytes);
        if let Node::Client(i) = node {
            self.watch_write(i, link);
            self.mirror(conn, bytes);
        }
        if self.net.write(conn, side, bytes, &mut self.queue) {
            self.host(node).blocked.insert(link);
            match node {
                Node::Client(i) => self.clients[i].session.handle_link_blocked(link),
                Node::Server(j) => self.servers[j].endpoint.handle_link_blocked(link),
            }
        }
    }

    fn close(&mut self, node: Node, link: LinkId) {
        self.trace.add(self.now(), node.into(), "close link", link.0, 0);
        if let Node::Client(i) = node {
            self.watch_gone(i, link);
        }
        let host = self.host(node);
        host.blocked.remove(&link);
        // A link may go down and be closed at the same moment.
        if let Some(conn) = host.links.remove(&link) {
            let side = if matches!(node, Node::Client(_)) {
                Side::Client
            } else {
                Side::Server
            };
            self.net.close(conn, side, &mut self.queue);
            self.forget(conn);
        }
    }

    fn open(&mut self, node: Node, link: LinkId, target: &Target, network: Option<NetworkId>) {
        let Node::Client(i) = node else {
            self.fail("an endpoint asks for a link")
        };
        if !self.host(node).used.insert(link) {
            self.fail(format_args!("{link:?} is used a second time"));
        }
        let life = &self.clients[i].talk.life;
        if life.disconnected.is_some() || life.closed.is_some() {
            self.fail(format_args!(
                "G8: client {i} asks for a link after disconnect or Closed"
            ));
        }
        if life.resting {
            self.fail(format_args!(
                "client {i} asks for a link after it gave up, without a retry"
            ));
        }
        if life.refused.is_some() {
            self.fail(format_args!(
                "U-42: client {i} asks for a link after it was turned away"
            ));
        }
        self.clients[i].links_opened += 1;
        let fate = self.fate_of_own(target).unwrap_or_else(|| self.next_fate());
        let copied = fate.copy;
        let conn = self.net.open(fate, &mut self.queue);
        self.trace.add(
            self.now(),
            node.into(),
            "open link",
            link.0,
            network.map_or(99, |network| network.0),
        );
        self.clients[i].host.links.insert(link, conn);
        self.watch_open(i, link, conn, target, network);
        self.ends.insert(
            conn,
            Ends {
                client: ClientEnd::Session(i, link),
                server: ServerEnd::Router(Vec::new()),
            },
        );
        if let Some(copied) = copied {
            self.open_copy(conn, copied);
        }
    }

    /// The server's place taken by somebody else.
    fn impostor(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some(forge) = self.net.fate(conn).and_then(|f| f.forge.clone()) else {
            return;
        };
        let (answer, closes) = match forge {
            Forge::Silence => return,
            Forge::Says(bytes, closes) => (bytes, closes),
            Forge::Refuse(code, retry_ms, range) => {
                let mut answer = b"UNB\x01\x04\x00".to_vec();
                answer.extend(bytes.get(6..10).unwrap_or(&[0; 4]));
                answer.extend([0, 7, code]);
                answer.extend(retry_ms.to_be_bytes());
                answer.extend(range);
                (answer, true)
            }
        };
        // It answers once, whatever else comes.
        if self.net.received(conn, Side::Client).1 == 0 {
            self.poisoned += 1;
            self.net.write(conn, Side::Server, &answer, &mut self.queue);
            if closes {
                self.net.close(conn, Side::Server, &mut self.queue);
            }
        }
    }
}

impl World {
    /// The endpoint that the first bytes of a connection belong to, or `None` if there are too few.
    fn route(&mut self, first_bytes: &[u8]) -> Option<usize> {
        match self
            .router
            .as_ref()
            .map_or(Route::Any, |router| router.route(first_bytes))
        {
            Route::NeedMore => None,
            Route::Any => Some(self.rng.below(self.servers.len() as u64) as usize),
            Route::Shard(shard) => Some(usize::from(shard)),
        }
    }
}
