//! The applications at both ends, and the oracles that watch what they are told.

use core::time::Duration;

use bytes::Bytes;
use unbroken::{Event as CoreEvent, MessageId, NetworkEvent, SendError, SessionId, SessionMut};

use super::{Event, Node, Only, Seat, Talk, World};
use crate::fate::Side;
use crate::profile::Profile;

impl World {
    /// Takes one event of a node, if there is one.
    pub(super) fn poll_event(&mut self, node: Node, only: Only) -> bool {
        let (id, event) = match node {
            Node::Client(i) => match self.clients[i].session.poll_event() {
                Some(event) => (None, event),
                None => return false,
            },
            Node::Server(j) => match self.servers[j].endpoint.poll_event() {
                Some((id, event)) => (Some(id), event),
                None => return false,
            },
        };
        if only != Only::Anything && !matches!(event, CoreEvent::State(_)) {
            self.fail(format_args!("G3: bytes without proof made {event:?}"));
        }
        match (node, id) {
            (Node::Client(i), _) => self.client_event(i, &event),
            (Node::Server(j), Some(id)) => match self.seat_of(j, id) {
                Some(i) => self.server_event(j, i, id, &event),
                // One that its client has left.
                None if self.ghosts.contains(&id) => {}
                // A session whose ACCEPT was lost, or a replayed HELLO: it ends as quietly as it began.
                None if matches!(event, CoreEvent::State(_)) => {}
                None => self.fail(format_args!("{event:?} of a session {id} that no client has")),
            },
            (Node::Server(_), None) => unreachable!(),
        }
        true
    }

    /// Whose session it is. A client whose first session was forgotten before anything of it was delivered has another.
    fn seat_of(&mut self, server: usize, id: SessionId) -> Option<usize> {
        if let Some(i) = self.seats.iter().position(|s| s.id == Some(id)) {
            return Some(i);
        }
        let i = self.clients.iter().position(|c| c.session.id() == Some(id))?;
        if let Some(old) = self.seats[i].id {
            self.abandon(i, old);
        }
        let seat = &mut self.seats[i];
        (seat.server, seat.id) = (server, Some(id));
        Some(i)
    }

    /// The client has started over.
    fn abandon(&mut self, i: usize, old: SessionId) {
        let seat = &mut self.seats[i];
        let (sent, received) = (seat.talk.writer.sent, seat.talk.reader.received);
        if received > 0 || self.clients[i].talk.reader.received > 0 {
            self.fail(format_args!(
                "identity: client {i} left session {old}, where {received} messages were delivered and {sent} sent"
            ));
        }
        self.ghosts.insert(old);
        self.seats[i] = Seat::new(Talk::new(self.seed, &self.options, i, Side::Server));
    }

    fn client_event(&mut self, i: usize, event: &CoreEvent) {
        let now = self.now();
        self.trace.add(now, Node::Client(i).into(), name(event), code(event), 0);
        if let Err(wrong) = self.clients[i].talk.life.see(event) {
            self.fail(format_args!("client {i}: {wrong}"));
        }
        match event {
            CoreEvent::Established { session, message } => {
                self.watch_carried(i);
                if self.clients[i].session.id() != Some(*session) {
                    self.fail(format_args!("identity: client {i} is told {session}"));
                }
                self.clients[i].welcome = Some(message.to_vec());
                let expected = if self.options.app.authorise {
                    welcome(i)
                } else {
                    Vec::new()
                };
                if *message != expected {
                    self.fail(format_args!("client {i} was welcomed with {message:?}"));
                }
            }
            CoreEvent::Writable => {
                self.clients[i].talk.writer.blocked = false;
                self.write_some(i, Side::Client);
            }
            CoreEvent::HandoverBegin { .. } => self.clients[i].watch.uneasy = true,
            CoreEvent::HandoverEnd(_) => self.watch_carried(i),
            CoreEvent::Refused { code, message }
                if self.clients[i].refusal != Some(*code) || **message != *b"not you" =>
            {
                self.fail(format_args!("client {i} is turned away with {code}, {message:?}"));
            }
            CoreEvent::HandoverFailed { reason, acked } => {
                self.clients[i].watch.free();
                self.check_acked(i, Side::Client, *acked);
                if !reason.is_final() {
                    if self.options.profile != Profile::Expiry && self.options.profile != Profile::Calm {
                        self.fail(format_args!("client {i} gave up: {reason:?}"));
                    }
                    let rest = self.rng.duration(Duration::ZERO..=Duration::from_secs(10));
                    self.queue.after(rest, Event::Retry(i));
                }
            }
            CoreEvent::Closed(reason) => self.judge_end(i, Side::Client, *reason),
            CoreEvent::Authorise { .. } | CoreEvent::ResumeRequest | CoreEvent::Readable => {
                self.fail(format_args!("client {i} got {event:?}, which is for servers"));
            }
            _ => {}
        }
    }

    fn server_event(&mut self, j: usize, i: usize, id: SessionId, event: &CoreEvent) {
        let now = self.now();
        self.trace
            .add(now, Node::Server(j).into(), name(event), code(event), i as u64);
        if self.clients[i].session.id() != Some(id) && self.clients[i].talk.life.closed.is_none() {
            return self.abandon(i, id);
        }
        if self.seats[i].server != j {
            self.fail(format_args!(
                "identity: server {j} has {event:?} for client {i}, session {id}"
            ));
        }
        if let Err(wrong) = self.seats[i].talk.life.see(event) {
            self.fail(format_args!("server {j}, session of client {i}: {wrong}"));
        }
        let detached = self.options.server_limits.detached;
        if let Err(wrong) = self.seats[i].absence.see_event(event, detached, now) {
            self.fail(format_args!("server {j}, session of client {i}: {wrong}"));
        }
        match event {
            CoreEvent::Authorise { credential } => {
                if **credential != *format!("client {i}").as_bytes() {
                    self.fail(format_args!("identity: session {id} of client {i} says {credential:?}"));
                }
                if core::mem::replace(&mut self.seats[i].asked, true) {
                    self.fail(format_args!("Authorise twice for client {i}"));
                }
                if !self.options.app.authorise {
                    self.fail("Authorise although all are let in");
                }
                let delay = self.rng.duration(Duration::ZERO..=self.options.app.verdict);
                self.queue.after(delay, Event::Verdict(i));
                if self.rng.permille(self.options.app.early_words) {
                    self.start_writing(i);
                }
            }
            CoreEvent::Established { .. } => {
                if self.options.app.authorise && !self.seats[i].verdict {
                    self.fail(format_args!("client {i} is established without a verdict"));
                }
                if self.clients[i].refusal.is_some() {
                    self.fail(format_args!("client {i} is let in, whom nobody wanted"));
                }
                self.start_writing(i);
                self.start_reading(i, Side::Server);
            }
            CoreEvent::ResumeRequest => {
                if !self.options.app.ask_on_resume {
                    self.fail("ResumeRequest, which nobody asked for");
                }
                let most = (self.options.server_limits.handshake / 2).min(self.options.app.verdict);
                let delay = self.rng.duration(Duration::ZERO..=most);
                self.queue.after(delay, Event::AnswerResume(i));
            }
            CoreEvent::Writable => {
                self.seats[i].talk.writer.blocked = false;
                self.write_some(i, Side::Server);
            }
            CoreEvent::HandoverFailed { acked, .. } => self.check_acked(i, Side::Server, *acked),
            CoreEvent::Closed(reason) => {
                // What had arrived can still be read.
                self.read_some(i, Side::Server, u64::MAX);
                self.judge_end(i, Side::Server, *reason);
            }
            CoreEvent::Draining { .. } => self.fail("Draining at a server"),
            CoreEvent::Restored { .. } | CoreEvent::SwappedOut | CoreEvent::SwapOutFailed | CoreEvent::Mail => {
                self.fail(format_args!("{event:?} without a store"));
            }
            _ => {}
        }
    }

    /// `acked` is a promise: what lies below has been delivered to the other application.
    fn check_acked(&self, i: usize, side: Side, acked: MessageId) {
        let delivered = self.talk(i, side.other()).reader.received;
        if acked.0 > delivered {
            self.fail(format_args!(
                "G2: {side:?} of {i} was told that {} were ACKed, {delivered} were delivered",
                acked.0
            ));
        }
    }

    pub fn talk(&self, i: usize, side: Side) -> &Talk {
        match side {
            Side::Client => &self.clients[i].talk,
            Side::Server => &self.seats[i].talk,
        }
    }

    fn talk_mut(&mut self, i: usize, side: Side) -> &mut Talk {
        match side {
            Side::Client => &mut self.clients[i].talk,
            Side::Server => &mut self.seats[i].talk,
        }
    }

    pub(super) fn node(&self, i: usize, side: Side) -> Node {
        match side {
            Side::Client => Node::Client(i),
            Side::Server => Node::Server(self.seats[i].server),
        }
    }

    pub(super) fn on_write(&mut self, i: usize, side: Side) {
        self.write_some(i, side);
        self.after_input(self.node(i, side));
        let talk = self.talk(i, side);
        let over = talk.life.closed.is_some() || talk.life.disconnected.is_some() || self.is_left_behind(i);
        if talk.writer.sent < talk.writer.total && !over {
            let pause = self.rng.duration(Duration::ZERO..=self.options.app.interval * 2);
            self.queue.after(pause, Event::Write(i, side));
        }
    }

    /// The server's application has something to say from now on.
    fn start_writing(&mut self, i: usize) {
        if !core::mem::replace(&mut self.seats[i].writing, true) {
            self.queue.at(self.now(), Event::Write(i, Side::Server));
        }
    }

    /// A burst, or less if it does not fit.
    fn write_some(&mut self, i: usize, side: Side) {
        for _ in 0..self.options.app.burst {
            let writer = &self.talk(i, side).writer;
            if writer.blocked || writer.sent == writer.total || !self.say(i, side) {
                break;
            }
            if self.rng.permille(self.options.app.unreliable) {
                self.say_unreliable(i, side);
            }
        }
    }

    /// Sends the next message of a flow; whether it was taken.
    pub fn say(&mut self, i: usize, side: Side) -> bool {
        let writer = &self.talk(i, side).writer;
        let (n, message) = (writer.sent, Bytes::from(writer.flow.message(writer.sent)));
        let result = match side {
            Side::Client => self.clients[i].session.send(message.clone()),
            Side::Server => {
                let Some(id) = self.seats[i].id else { return false };
                let Some(mut session) = self.servers[self.seats[i].server].endpoint.session(id) else {
                    return false;
                };
                session.send(message.clone())
            }
        };
        let talk = self.talk_mut(i, side);
        match result {
            Ok(id) if id == MessageId(n) => talk.writer.sent += 1,
            Ok(id) => self.fail(format_args!("message {n} got the number {id:?}")),
            Err(SendError::WouldBlock(back)) if back == message => talk.writer.blocked = true,
            Err(SendError::Closed(_)) if talk.life.closed.is_some() || talk.life.disconnected.is_some() => {}
            Err(SendError::Closed(_)) if self.ending(i) => {}
            Err(error) => self.fail(format_args!(
                "{side:?} of {i} cannot send message {n} of {} bytes: {error}",
                message.len()
            )),
        }
        self.talk(i, side).writer.sent > n
    }

    fn say_unreliable(&mut self, i: usize, side: Side) {
        let writer = &mut self.talk_mut(i, side).writer;
        let message = Bytes::from(writer.flow.unreliable(writer.unreliable));
        writer.unreliable += 1;
        let result = match side {
            Side::Client => self.clients[i].session.send_unreliable(message),
            Side::Server => {
                let Some(id) = self.seats[i].id else { return };
                let Some(mut session) = self.servers[self.seats[i].server].endpoint.session(id) else {
                    return;
                };
                session.send_unreliable(message)
            }
        };
        match result {
            Ok(())
            | Err(SendError::NoLink(_) | SendError::Full(_) | SendError::WouldBlock(_) | SendError::Closed(_)) => {}
            Err(error @ SendError::TooLarge { .. }) => {
                let least = self
                    .options
                    .client_limits
                    .unreliable_bytes
                    .min(self.options.server_limits.unreliable_bytes);
                if least > 300 {
                    self.fail(format_args!(
                        "{side:?} of {i} cannot send an unreliable message: {error}"
                    ));
                }
            }
        }
    }

    pub(super) fn start_reading(&mut self, i: usize, side: Side) {
        let every = self.options.app.read_every;
        if !every.is_zero() && !core::mem::replace(&mut self.talk_mut(i, side).reading, true) {
            self.queue.after(every, Event::Read(i, side));
        }
    }

    pub(super) fn on_read(&mut self, i: usize, side: Side) {
        let over = self.is_left_behind(i);
        let most = if over { u64::MAX } else { self.options.app.read_batch };
        self.read_some(i, side, most);
        self.after_input(self.node(i, side));
        if self.talk(i, side).life.closed.is_none() && !over {
            self.queue.after(self.options.app.read_every, Event::Read(i, side));
        }
    }

    /// Reads what has arrived at a node whose applications are quick.
    pub(super) fn read_now(&mut self, node: Node) -> bool {
        if !self.options.app.read_every.is_zero() {
            return false;
        }
        match node {
            Node::Client(i) => self.read_some(i, Side::Client, 1),
            Node::Server(j) => {
                let seats = 0..self.seats.len();
                let mut any = false;
                for i in seats.filter(|i| self.seats[*i].server == j).collect::<Vec<_>>() {
                    any |= self.read_some(i, Side::Server, 1);
                }
                any
            }
        }
    }

    /// Reads at most `most` messages; whether there were any.
    pub fn read_some(&mut self, i: usize, side: Side, most: u64) -> bool {
        let mut count = 0;
        while count < most {
            let sent = self.talk(i, side.other()).writer.sent;
            let result = match side {
                Side::Client => {
                    let client = &mut self.clients[i];
                    client
                        .session
                        .recv()
                        .map(|m| client.talk.reader.take(m.id.map(|id| id.0), m.payload, sent))
                }
                Side::Server => {
                    let seat = &mut self.seats[i];
                    let Some(id) = seat.id else { return false };
                    let Some(mut session) = self.servers[seat.server].endpoint.session(id) else {
                        return false;
                    };
                    session
                        .recv()
                        .map(|m| seat.talk.reader.take(m.id.map(|id| id.0), m.payload, sent))
                }
            };
            match result {
                None => break,
                Some(Ok(())) => count += 1,
                Some(Err(wrong)) => self.fail(format_args!("{side:?} of {i}: {wrong}")),
            }
            if side == Side::Server && self.options.app.authorise && !self.seats[i].verdict {
                self.fail(format_args!("a message of client {i} was delivered before the verdict"));
            }
            if side == Side::Server && self.clients[i].refusal.is_some() {
                self.fail(format_args!(
                    "a message of client {i} was delivered, who was turned away"
                ));
            }
        }
        count > 0
    }

    /// The server's hold on the session of client `i`.
    pub fn seat_session(&mut self, i: usize) -> Option<SessionMut<'_>> {
        let Seat { server, id, .. } = self.seats[i];
        self.servers[server].endpoint.session(id?)
    }

    pub(super) fn on_retry(&mut self, i: usize) {
        let now = self.now();
        let client = &mut self.clients[i];
        if client.talk.life.closed.is_none() {
            client.talk.life.resting = false;
            client.watch.free();
            client.session.retry(now);
            self.after_input(Node::Client(i));
        }
    }

    pub(super) fn on_network(&mut self, i: usize, event: NetworkEvent) {
        let now = self.now();
        let (what, network) = match event {
            NetworkEvent::Available(network) => ("network is there", network.0),
            NetworkEvent::Changed(network) => ("network changed", network.0),
            NetworkEvent::Lost(network) => ("network lost", network.0),
            NetworkEvent::Suspend => ("falls asleep", 0),
            NetworkEvent::Wake => ("wakes up", 0),
        };
        self.trace.add(now, Node::Client(i).into(), what, network, 0);
        if self.rng.coin() {
            // Else what was due before comes together with it.
            self.settle(Node::Client(i));
        }
        let client = &mut self.clients[i];
        if client.talk.life.closed.is_none() {
            client.talk.life.resting = false;
            self.watch_network(i, event);
            self.after_input(Node::Client(i));
        }
    }

    /// The client's host has news of its networks.
    pub fn network(&mut self, i: usize, event: NetworkEvent) {
        self.on_network(i, event);
    }

    /// Bounds on what is held, and ACKs that promise no more than was delivered.
    pub fn check_bounds(&mut self, i: usize) {
        for side in Side::BOTH {
            let (stats, limits) = match side {
                Side::Client => (Some(self.clients[i].session.stats()), &self.options.client_limits),
                Side::Server => {
                    let seat = &self.seats[i];
                    let session = seat.id.and_then(|id| self.servers[seat.server].endpoint.session(id));
                    (session.map(|s| s.stats()), &self.options.server_limits)
                }
            };
            let Some(stats) = stats else { continue };
            if stats.unacked_messages > limits.unacked_messages.into()
                || stats.unacked_bytes > limits.unacked_bytes.into()
            {
                self.fail(format_args!(
                    "G7: {side:?} of {i} holds more than its limits: {stats:?}"
                ));
            }
            let sent = self.talk(i, side).writer.sent;
            let acked = sent - stats.unacked_messages.min(sent);
            let delivered = self.talk(i, side.other()).reader.received;
            if acked > delivered && self.talk(i, side).life.closed.is_none() {
                self.fail(format_args!(
                    "G2: {side:?} of {i} has {acked} messages ACKed, {delivered} were delivered"
                ));
            }
        }
    }
}

pub(super) fn welcome(i: usize) -> Vec<u8> {
    format!("welcome, client {i}").into_bytes()
}

/// An event's name, for the trace.
pub fn name(event: &CoreEvent) -> &'static str {
    match event {
        CoreEvent::State(_) => "State",
        CoreEvent::Established { .. } => "Established",
        CoreEvent::Authorise { .. } => "Authorise",
        CoreEvent::Refused { .. } => "Refused",
        CoreEvent::ResumeRequest => "ResumeRequest",
        CoreEvent::Readable => "Readable",
        CoreEvent::Writable => "Writable",
        CoreEvent::HandoverBegin { .. } => "HandoverBegin",
        CoreEvent::HandoverEnd(_) => "HandoverEnd",
        CoreEvent::HandoverFailed { .. } => "HandoverFailed",
        CoreEvent::Draining { .. } => "Draining",
        CoreEvent::Restored { .. } => "Restored",
        CoreEvent::SwappedOut => "SwappedOut",
        CoreEvent::SwapOutFailed => "SwapOutFailed",
        CoreEvent::Mail => "Mail",
        CoreEvent::Closed(_) => "Closed",
    }
}

/// A number that belongs to it.
pub fn code(event: &CoreEvent) -> u64 {
    match event {
        CoreEvent::State(state) => *state as u64,
        CoreEvent::HandoverBegin { cause } => *cause as u64,
        CoreEvent::HandoverFailed { reason, .. } => *reason as u64,
        CoreEvent::HandoverEnd(end) => end.replayed_messages,
        _ => 0,
    }
}
