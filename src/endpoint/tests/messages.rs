//! Each way to send and to fetch, at either end, beside two plain queues: one by one, many at once, and past the session's guard.
//!
//! A step is drawn: somebody sends in some way, somebody fetches in some way, the network carries what it has, time passes, or the link breaks. The limits are
//! small, so that both ends are often told to wait; whoever was is told when there is room again.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

use super::stand::Stand;
use crate::config::{ClientConfig, Durability, Limits, ServerConfig, Timing};
use crate::crypto::{ClusterKey, Seed, ServerKey};
use crate::endpoint::{Endpoint, SessionMut};
use crate::error::{Refusal, SendError};
use crate::event::{Event, LinkId, Message, MessageId, Output, SessionId};
use crate::session::tests::Dice;
use crate::session::transmit::MIN_BUFFER;
use crate::session::{Batch, Session};
use crate::time::Instant;

const ROOM: u32 = 24;
const NOBODY: SessionId = SessionId([0xee; 16]);

struct Pair {
    client: Session,
    server: Endpoint,
    id: SessionId,
    now: Instant,
    newest: LinkId,
    /// What the client, and the server, sent and the other has not fetched.
    on_the_way: [Lane; 2],
    /// What each end keeps to fetch into.
    batches: [Batch; 2],
    dice: Dice,
}

#[derive(Default)]
struct Lane {
    sent: u64,
    fetched: u64,
    queue: VecDeque<Vec<u8>>,
    /// The sender was refused, and is to be told when there is room.
    waits: bool,
    told: u64,
}

impl Lane {
    fn arrived(&mut self, message: &Message<'_>) {
        assert_eq!(message.id, Some(MessageId(self.fetched)));
        let sent = self.queue.pop_front().expect("something was sent");
        assert_eq!(message.payload, sent, "message {}", self.fetched);
        self.fetched += 1;
    }
}

impl Pair {
    fn new(seed: u8) -> Self {
        let limits = Limits {
            unacked_messages: ROOM,
            window_messages: ROOM,
            ..Limits::default()
        };
        let key = ServerKey::from_bytes([7; 32]).expect("not zero");
        let client = ClientConfig::builder(key.public())
            .limits(limits.clone())
            .build()
            .expect("good");
        let cluster = ClusterKey::from_bytes([9; 32]).expect("not zero");
        let server = ServerConfig::builder(key, cluster)
            .authorise_all(true)
            .limits(limits)
            .build()
            .expect("good");
        let now = Instant::from_millis(1);
        let mut pair = Pair {
            client: Session::connect(Arc::new(client), Seed::new([seed; 32]), now),
            server: Endpoint::new(Arc::new(server), Seed::new([2; 32]), now),
            id: NOBODY,
            now,
            newest: LinkId(0),
            on_the_way: Default::default(),
            batches: [Batch::new(), Batch::default()],
            dice: Dice::new(seed.into()),
        };
        pair.carry();
        pair.id = pair.client.id().expect("established");
        pair
    }

    /// Lets both ends talk until nothing moves any more. Nothing is fetched.
    fn carry(&mut self) {
        let (now, mut buffer) = (self.now, vec![0; 65536]);
        self.client.handle_timeout(now);
        self.server.handle_timeout(now);
        loop {
            let mut idle = true;
            while let Some(output) = self.client.poll_output(&mut buffer, now) {
                idle = false;
                match output {
                    Output::OpenLink { link, .. } => {
                        self.newest = link;
                        self.client.handle_link_up(link, now);
                        self.server.handle_link_up(link, now);
                    }
                    Output::Send { link, len } => self.server.handle_input(link, &buffer[..len], now),
                    Output::CloseLink { link } => self.server.handle_link_down(link, now),
                }
            }
            while let Some(output) = self.server.poll_output(&mut buffer, now) {
                idle = false;
                match output {
                    Output::Send { link, len } => self.client.handle_input(link, &buffer[..len], now),
                    Output::CloseLink { link } => self.client.handle_link_down(link, now),
                    Output::OpenLink { .. } => unreachable!("a server opens no links"),
                }
            }
            if idle {
                break;
            }
        }
        while let Some(event) = self.client.poll_event() {
            self.told(0, &event);
        }
        while let Some((_, event)) = self.server.poll_event() {
            self.told(1, &event);
        }
    }

    fn told(&mut self, end: usize, event: &Event) {
        if matches!(event, Event::Writable) {
            assert!(self.on_the_way[end].waits, "nobody waits at end {end}");
            self.on_the_way[end].waits = false;
            self.on_the_way[end].told += 1;
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.carry();
    }

    fn send(&mut self, end: usize) {
        let mut messages = Vec::new();
        for _ in 0..self.dice.between(1, 8) {
            let length = self.dice.between(0, 40) as usize;
            messages.push(self.dice.bytes(length));
        }
        let (id, first, sent) = (self.id, messages[0].clone(), self.on_the_way[end].sent);
        // How many were taken, and why not the next.
        let one = |result: Result<MessageId, Refusal>| match result {
            Ok(number) => {
                assert_eq!(number, MessageId(sent));
                (1, None)
            }
            Err(refusal) => (0, Some(refusal)),
        };
        let whole = |result: Result<MessageId, SendError>| {
            one(result.map_err(|error| {
                assert!(matches!(error, SendError::WouldBlock(_)), "{error}");
                assert_eq!(error.into_message(), first);
                Refusal::WouldBlock
            }))
        };
        let message = Bytes::from(first.clone());
        let (many, refusal) = match (end, self.dice.between(0, 5)) {
            (0, 0 | 1) => whole(self.client.send(message)),
            (0, 2 | 3) => one(self.client.send_slice(&first)),
            (0, _) => self.client.send_many(&messages),
            (_, 0) => whole(self.server.send(id, message)),
            (_, 1) => one(self.server.send_slice(id, &first)),
            (_, 2) => self.server.send_many(id, &messages),
            (_, 3) => whole(self.session().send(message)),
            (_, 4) => one(self.session().send_slice(&first)),
            (_, _) => self.session().send_many(&messages),
        };
        let lane = &mut self.on_the_way[end];
        lane.sent += many as u64;
        lane.queue.extend(messages.into_iter().take(many));
        if let Some(refusal) = refusal {
            assert_eq!(refusal, Refusal::WouldBlock);
            lane.waits = true;
        }
    }

    fn session(&mut self) -> SessionMut<'_> {
        self.server.session(self.id).expect("it is here")
    }

    /// `end` fetches what the other sent.
    fn fetch(&mut self, end: usize) {
        let (id, way) = (self.id, self.dice.between(0, 3));
        let Pair {
            client,
            server,
            on_the_way,
            batches,
            ..
        } = self;
        let (lane, batch) = (&mut on_the_way[1 - end], &mut batches[end]);
        // What is in a batch comes before what is fetched behind it.
        if batch.is_empty() {
            let filled = match (end, way) {
                (0, 0 | 1) => client
                    .recv()
                    .map(|message| lane.arrived(&message))
                    .is_some_and(|()| false),
                (0, _) => client.recv_batch(batch),
                (_, 0) => server
                    .recv(id, |message| lane.arrived(&message))
                    .is_some_and(|()| false),
                (_, 1) => server.recv_batch(id, batch),
                (_, way) => {
                    let mut session = server.session(id).expect("it is here");
                    if way == 2 {
                        session.recv_batch(batch)
                    } else {
                        session
                            .recv()
                            .map(|message| lane.arrived(&message))
                            .is_some_and(|()| false)
                    }
                }
            };
            assert_eq!(filled, !batch.is_empty());
        } else {
            let left = batch.len();
            assert!(if end == 0 {
                client.recv_batch(batch)
            } else {
                server.recv_batch(id, batch)
            });
            assert_eq!(batch.len(), left, "a batch that is not empty is left as it is");
        }
        if self.dice.one_in(4) {
            batch.for_each(|message| lane.arrived(&message));
            assert!(batch.is_empty());
        }
        // Now and then some stay in the batch.
        for _ in 0..self.dice.between(0, 2 * u64::from(ROOM)) {
            let left = batch.len();
            let Some(message) = batch.pop() else { break };
            lane.arrived(&message);
            assert_eq!(batch.len(), left - 1);
        }
    }

    fn ask_room(&mut self) {
        let id = self.id;
        let room = if self.dice.one_in(2) {
            self.server.has_room(id)
        } else {
            self.session().has_room()
        };
        let lane = &mut self.on_the_way[1];
        // Whoever asks and has no room is told later, as one who was refused.
        lane.waits |= !room;
    }
}

#[test]
fn each_way_to_send_and_to_fetch_keeps_every_message_once_and_in_order() {
    let (mut messages, mut told, mut cuts) = ([0; 2], [0; 2], 0);
    for seed in 0..20 {
        let mut pair = Pair::new(seed);
        for _ in 0..1200 {
            let end = pair.dice.between(0, 1) as usize;
            match pair.dice.between(0, 99) {
                0..=34 => pair.send(end),
                35..=64 => pair.fetch(end),
                65..=69 => pair.ask_room(),
                70..=89 => pair.carry(),
                90..=97 => {
                    let time = pair.dice.between(1, 60);
                    pair.pass(Duration::from_millis(time));
                }
                _ => {
                    let link = pair.newest;
                    pair.client.handle_link_down(link, pair.now);
                    pair.server.handle_link_down(link, pair.now);
                    cuts += 1;
                }
            }
        }
        // In the end all is fetched, and whoever was refused has been told.
        for _ in 0..400 {
            pair.pass(Duration::from_millis(20));
            pair.fetch(0);
            pair.fetch(1);
        }
        for (end, lane) in pair.on_the_way.iter().enumerate() {
            assert_eq!(
                (lane.queue.len(), lane.fetched, lane.waits),
                (0, lane.sent, false),
                "seed {seed}, end {end}"
            );
            messages[end] += lane.sent;
            told[end] += lane.told;
        }
        let counters = pair.server.counters();
        let [there, back] = [&pair.on_the_way[0], &pair.on_the_way[1]].map(|lane| lane.sent);
        assert_eq!(
            (counters.received_messages, counters.sent_messages),
            (there, back),
            "seed {seed}"
        );
    }
    assert!(
        messages.iter().all(|&sent| sent > 5000) && told.iter().all(|&told| told > 40) && cuts > 50,
        "{messages:?} {told:?} {cuts}"
    );
}

/// With nothing else going on in the session: messages that were fetched this way count as delivered, and one that was sent this way is output at once.
#[test]
fn what_was_fetched_is_acked_and_what_was_sent_leaves_with_nothing_else_going_on() {
    for batched in [false, true] {
        let mut pair = Pair::new(1);
        pair.pass(Duration::from_secs(1));
        while pair.client.send_slice(b"message").is_ok() {}
        pair.carry();
        let (id, mut batch) = (pair.id, Batch::new());
        if batched {
            assert!(pair.server.recv_batch(id, &mut batch));
            assert_eq!(batch.len(), ROOM as usize);
        } else {
            for number in 0..u64::from(ROOM) {
                let taken = pair.server.recv(id, |message| message.id);
                assert_eq!(taken, Some(Some(MessageId(number))));
            }
        }
        pair.on_the_way[0].waits = true;
        // Long before either end would ask the other whether it is still there.
        for _ in 0..10 {
            pair.pass(Duration::from_millis(10));
        }
        assert_eq!(pair.on_the_way[0].told, 1, "batched: {batched}");
        let sent = if batched {
            pair.server.send_many(id, &[b"answer"]).0
        } else {
            usize::from(pair.server.send_slice(id, b"answer").is_ok())
        };
        assert_eq!(sent, 1);
        pair.carry();
        assert_eq!(
            pair.client.recv().map(|message| message.payload.len()),
            Some(6),
            "batched: {batched}"
        );
    }
}

/// The ACK of what was fetched is a reason to be woken, and the only one in a session that is quiet otherwise.
#[test]
fn a_host_that_wakes_an_endpoint_when_it_wants_to_be_woken_acks_in_time() {
    for batched in [false, true] {
        let mut pair = Pair::new(1);
        pair.client.send_slice(b"message").expect("there is room");
        for _ in 0..200 {
            pair.pass(Duration::from_millis(10));
        }
        let in_time = pair.now + Timing::default().ack_delay;
        let next = pair.server.poll_timeout().expect("it lives");
        assert!(next > in_time, "it is quiet");
        let id = pair.id;
        if batched {
            assert!(pair.server.recv_batch(id, &mut Batch::new()));
        } else {
            pair.server.recv(id, |_| ()).expect("it has come");
        }
        pair.now = pair.server.poll_timeout().expect("it lives");
        assert!(pair.now <= in_time, "batched: {batched}");
        pair.carry();
        assert_eq!(pair.client.acked(), MessageId(1), "batched: {batched}");
    }
}

/// The application tells no time, and its session has seen none since the message came: counted from then the ACK would be late at once, and leave alone instead of beside an answer.
#[test]
fn an_ack_has_its_delay_from_the_time_that_the_endpoint_was_told_last() {
    let fetch: [fn(&mut Endpoint, SessionId) -> bool; 3] = [
        |server, id| server.recv(id, |_| ()).is_some(),
        |server, id| server.recv_batch(id, &mut Batch::new()),
        |server, id| server.session(id).expect("it is here").recv().is_some(),
    ];
    for (n, fetch) in fetch.into_iter().enumerate() {
        let mut pair = Pair::new(1);
        pair.client.send_slice(b"message").expect("there is room");
        for _ in 0..200 {
            pair.pass(Duration::from_millis(10));
        }
        assert!(fetch(&mut pair.server, pair.id), "{n}");
        let delay = Timing::default().ack_delay;
        assert_eq!(pair.server.poll_timeout(), Some(pair.now + delay), "{n}");
    }
}

/// When a good part of the window has been fetched, one by one, the sender may be about to run out of credit: that ACK waits for nothing, not for its pace either.
#[test]
fn an_ack_that_the_sender_may_be_waiting_for_leaves_at_once() {
    let mut stand = Stand::new(Durability::Memory);
    let (i, id) = stand.session();
    let part = u64::from(Limits::default().window_messages / 4);
    for _ in 0..=part {
        stand.clients[i].session.send("message".into()).expect("there is room");
    }
    stand.run_for(Duration::from_secs(1));
    stand.server.recv(id, |_| ()).expect("it has come");
    stand.run_for(Timing::default().ack_delay);
    assert_eq!(
        stand.clients[i].session.acked(),
        MessageId(1),
        "so the last ACK left just now"
    );
    for _ in 0..part {
        stand.server.recv(id, |_| ()).expect("it has come");
    }
    stand.exchange();
    assert_eq!(stand.clients[i].session.acked(), MessageId(part + 1));
}

/// A name that is nobody's, and a client that has not shown yet that it is the one it says.
#[test]
fn nobody_gets_nothing_and_gives_the_message_back() {
    let mut pair = Pair::new(1);
    let message = Bytes::from_static(b"to nobody");
    let mut batch = Batch::new();
    let server = &mut pair.server;
    assert_eq!(
        server.send(NOBODY, message.clone()),
        Err(SendError::Closed(message.clone()))
    );
    assert_eq!(server.send_slice(NOBODY, &message), Err(Refusal::Closed));
    assert_eq!(server.send_many(NOBODY, &[&message]), (0, Some(Refusal::Closed)));
    assert_eq!(server.recv(NOBODY, |_| ()), None);
    assert!(!server.recv_batch(NOBODY, &mut batch) && !server.has_room(NOBODY));
    // The same place in the table, but another session.
    let mut other = pair.id;
    other.0[15] ^= 1;
    pair.client.send_slice(b"not for nobody").expect("there is room");
    pair.carry();
    let server = &mut pair.server;
    assert!(server.session(other).is_none());
    assert_eq!(server.send_slice(other, &message), Err(Refusal::Closed));
    assert_eq!(server.recv(other, |_| ()), None);
    assert!(!server.recv_batch(other, &mut batch) && !server.has_room(other));
    assert!(server.has_room(pair.id) && server.send_slice(pair.id, &message).is_ok());
    assert_eq!(server.recv(pair.id, |message| message.payload.len()), Some(14));
}

#[test]
fn a_hold_on_a_session_says_what_there_is_and_what_there_is_room_for() {
    let mut pair = Pair::new(1);
    for word in ["some", "words"] {
        pair.client.send_slice(word.as_bytes()).expect("there is room");
    }
    pair.carry();
    let (mut batch, mut session) = (Batch::new(), pair.server.session(pair.id).expect("it is here"));
    assert!(session.recv_batch(&mut batch), "there are messages");
    for word in ["some", "words"] {
        assert_eq!(batch.pop().expect("two have come").payload, word.as_bytes());
    }
    assert!(!session.recv_batch(&mut batch), "there are no more");

    assert!(session.has_room());
    let sent = core::iter::repeat_with(|| session.send_slice(b"message")).take_while(Result::is_ok);
    assert_eq!(sent.count() as u32, ROOM);
    assert!(!session.has_room());
    drop(session);
    pair.on_the_way[1].waits = true;
    pair.carry();
    while pair.client.recv().is_some() {}
    pair.pass(Duration::from_millis(100));
    assert_eq!(pair.on_the_way[1].told, 1);
    assert!(pair.session().has_room());
}

#[test]
fn an_unreliable_message_leaves_at_once_or_is_given_back() {
    let mut pair = Pair::new(1);
    let large = Bytes::from(vec![7; 16_321]);
    let mut session = pair.session();
    session.send_unreliable("now or never".into()).expect("there is room");
    let refused = session
        .send_unreliable(large.clone())
        .expect_err("16,320 bytes at most");
    assert_eq!(refused.into_message(), large);
    drop(session);
    pair.carry();
    let came = pair.client.recv().map(|message| (message.id, message.payload.to_vec()));
    assert_eq!(came, Some((None, b"now or never".to_vec())), "without a number");
    let link = pair.newest;
    pair.server.handle_link_down(link, pair.now);
    let refused = pair.session().send_unreliable("never".into());
    assert_eq!(refused, Err(SendError::NoLink("never".into())));
}

#[test]
fn a_buffer_is_filled_from_its_least_size_on() {
    for (size, filled) in [(MIN_BUFFER - 1, false), (MIN_BUFFER, true)] {
        let mut stand = Stand::new(Durability::Memory);
        let (_, id) = stand.session();
        let mut session = stand.server.session(id).expect("it is here");
        session.send("hello".into()).expect("there is room");
        drop(session);
        let output = stand.server.poll_output(&mut vec![0; size], stand.now);
        assert_eq!(output.is_some(), filled, "{size}");
    }
}
