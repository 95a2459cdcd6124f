//! The guarantees of the README, each with a test of its own, on two ends in memory. The simulator proves the same under far more
//! trouble; this is where to read what each one means.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use unbroken::{
    ClientConfig, CloseReason, ClusterKey, Endpoint, Event, FailReason, HandoverCause, Instant, Limits, LinkId,
    MessageId, Output, Seed, SendError, ServerConfig, ServerKey, Session, SessionId, State, Verdict,
};

/// Two ends, the links between them, and all that was said.
struct World {
    client: Session,
    server: Endpoint,
    now: Instant,
    up: Vec<LinkId>,
    opened: usize,
    /// What the client wrote to each link and the server's answer, from the first byte on.
    flights: Vec<(LinkId, Vec<u8>, Vec<u8>)>,
    client_events: Vec<Event>,
    server_events: Vec<Event>,
    /// One in so many deliveries is cut somewhere in the middle, with the link; 0 for none.
    cut_one_in: u64,
    dice: u64,
    cuts: usize,
    /// The network is gone: connections are refused.
    offline: bool,
}

fn limits() -> Limits {
    Limits {
        message: 64 << 10,
        unacked_bytes: 256 << 10,
        window_bytes: 256 << 10,
        ..Limits::default()
    }
}

fn server_config() -> Arc<ServerConfig> {
    let key = ServerKey::from_bytes([7; 32]).expect("not zero");
    let cluster = ClusterKey::from_bytes([9; 32]).expect("not zero");
    Arc::new(
        ServerConfig::builder(key, cluster)
            .limits(limits())
            .build()
            .expect("within bounds"),
    )
}

impl World {
    /// Both ends, established.
    fn new(seed: u8) -> Self {
        let pin = ServerKey::from_bytes([7; 32]).expect("not zero").public();
        let client = ClientConfig::builder(pin)
            .limits(limits())
            .credential("anna")
            .build()
            .expect("within bounds");
        let now = Instant::from_millis(1000);
        let mut world = World {
            client: Session::connect(Arc::new(client), Seed::new([seed; 32]), now),
            server: Endpoint::new(server_config(), Seed::new([seed ^ 0xff; 32]), now),
            now,
            up: Vec::new(),
            opened: 0,
            flights: Vec::new(),
            client_events: Vec::new(),
            server_events: Vec::new(),
            cut_one_in: 0,
            dice: u64::from(seed),
            cuts: 0,
            offline: false,
        };
        world.settle();
        assert_eq!(world.client.state(), State::Established);
        world
    }

    fn id(&self) -> SessionId {
        self.client.id().expect("established")
    }

    fn roll(&mut self) -> u64 {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.dice >> 33
    }

    /// How much of `len` bytes arrives before the link is cut, if it is.
    fn cut(&mut self, len: usize) -> Option<usize> {
        if self.cut_one_in == 0 || !self.roll().is_multiple_of(self.cut_one_in) {
            return None;
        }
        self.cuts += 1;
        Some(self.roll() as usize % (len + 1))
    }

    fn break_link(&mut self, link: LinkId) {
        self.up.retain(|&up| up != link);
        self.client.handle_link_down(link, self.now);
        self.server.handle_link_down(link, self.now);
    }

    /// Carries everything to the other end until nothing moves.
    fn settle(&mut self) {
        let mut buffer = vec![0; 65536];
        for _ in 0..10_000 {
            let mut idle = true;
            while let Some(output) = self.client.poll_output(&mut buffer, self.now) {
                idle = false;
                match output {
                    Output::OpenLink { link, .. } if self.offline => self.client.handle_link_down(link, self.now),
                    Output::OpenLink { link, .. } => {
                        self.opened += 1;
                        self.up.push(link);
                        self.flights.push((link, Vec::new(), Vec::new()));
                        self.client.handle_link_up(link, self.now);
                        self.server.handle_link_up(link, self.now);
                    }
                    Output::Send { link, len } => {
                        self.note(link, &buffer[..len], true);
                        let cut = self.cut(len);
                        self.server.handle_input(link, &buffer[..cut.unwrap_or(len)], self.now);
                        if cut.is_some() {
                            self.break_link(link);
                        }
                    }
                    Output::CloseLink { link } => self.server.handle_link_down(link, self.now),
                }
            }
            while let Some(output) = self.server.poll_output(&mut buffer, self.now) {
                idle = false;
                match output {
                    Output::Send { link, len } => {
                        self.note(link, &buffer[..len], false);
                        let cut = self.cut(len);
                        self.client.handle_input(link, &buffer[..cut.unwrap_or(len)], self.now);
                        if cut.is_some() {
                            self.break_link(link);
                        }
                    }
                    Output::CloseLink { link } => self.client.handle_link_down(link, self.now),
                    Output::OpenLink { .. } => unreachable!("a server opens no links"),
                }
            }
            while let Some(event) = self.client.poll_event() {
                idle = false;
                self.client_events.push(event);
            }
            while let Some((id, event)) = self.server.poll_event() {
                idle = false;
                if let (Event::Authorise { credential }, Some(mut session)) = (&event, self.server.session(id)) {
                    assert_eq!(credential.as_ref(), b"anna");
                    session.authorise(Verdict::Accept {
                        message: "welcome".into(),
                    });
                }
                self.server_events.push(event);
            }
            if idle {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn note(&mut self, link: LinkId, bytes: &[u8], from_client: bool) {
        if let Some((_, client, server)) = self.flights.iter_mut().find(|flight| flight.0 == link) {
            let flight = if from_client { client } else { server };
            flight.extend_from_slice(bytes);
        }
    }

    /// Lets time pass, from deadline to deadline.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = [self.client.poll_timeout(), self.server.poll_timeout()]
                .into_iter()
                .flatten()
                .min();
            let at = next.unwrap_or(end).min(end).max(self.now);
            self.now = at;
            self.client.handle_timeout(at);
            self.server.handle_timeout(at);
            self.settle();
            if at == end {
                return;
            }
        }
    }

    fn client_is_open(&self) -> bool {
        !self.client_events.iter().any(|event| matches!(event, Event::Closed(_)))
    }
}

/// The message with this number, of a size that goes with it: most are small, some need several records.
fn message(number: u64) -> Vec<u8> {
    let size = if number % 50 == 49 {
        40_000
    } else {
        number as usize % 200
    };
    let mut message = number.to_be_bytes().to_vec();
    message.resize(8 + size, number as u8);
    message
}

#[test]
fn g1_each_direction_delivers_every_message_once_and_in_order_across_any_number_of_links() {
    let mut world = World::new(1);
    world.cut_one_in = 4;
    let (mut up_sent, mut down_sent, mut up, mut down) = (0, 0, 0, 0);
    let total = 8000;
    let mut turns = 0;
    while up < total || down < total {
        turns += 1;
        assert!(turns < 100_000, "no progress: {up} and {down} of {total}");
        let id = world.id();
        for _ in 0..20 {
            if up_sent < total && world.client.send(message(up_sent).into()).is_ok() {
                up_sent += 1;
            }
            if down_sent < total
                && let Some(mut session) = world.server.session(id)
                && session.send(message(down_sent).into()).is_ok()
            {
                down_sent += 1;
            }
        }
        world.settle();
        while let Some(got) = world.client.recv() {
            assert_eq!(got.id, Some(MessageId(down)));
            assert!(got.payload == message(down), "down {down} is not what was sent");
            down += 1;
        }
        let mut session = world.server.session(id).expect("the session lives");
        while let Some(got) = session.recv() {
            assert_eq!(got.id, Some(MessageId(up)));
            assert!(got.payload == message(up), "up {up} is not what was sent");
            up += 1;
        }
        drop(session);
        world.pass(Duration::from_millis(100));
    }
    assert!(world.cuts > 100, "only {} links were cut", world.cuts);
    let ended = world
        .client_events
        .iter()
        .filter(|event| matches!(event, Event::HandoverEnd(_)))
        .count();
    assert!(ended > 50 && world.client_is_open(), "{ended} handovers");
}

#[test]
fn g2_an_end_is_told_with_its_reason_and_what_was_delivered() {
    let mut world = World::new(2);
    let id = world.id();
    for number in 0..5 {
        world
            .server
            .session(id)
            .expect("here")
            .send(message(number).into())
            .expect("room");
    }
    world.settle();
    while world.client.recv().is_some() {}
    world.pass(Duration::from_secs(1));
    world.offline = true;
    let last = *world.up.last().expect("a link");
    world.break_link(last);
    world
        .server
        .session(id)
        .expect("here")
        .send(message(5).into())
        .expect("room");
    world.pass(Duration::from_secs(31));
    let told: Vec<_> = world.server_events.iter().rev().take(3).rev().cloned().collect();
    let failed = Event::HandoverFailed {
        reason: FailReason::Expired,
        acked: MessageId(5),
    };
    assert!(
        told.contains(&failed),
        "the sixth message was lost, and that is told: {told:?}"
    );
    assert_eq!(told.last(), Some(&Event::Closed(CloseReason::Expired)));
    // The client comes back too late, and learns the same under authentication.
    world.offline = false;
    world.pass(Duration::from_secs(20));
    assert_eq!(world.client_events.last(), Some(&Event::Closed(CloseReason::Expired)));
    assert!(world.client_events.iter().any(|event| matches!(
        event,
        Event::HandoverFailed {
            reason: FailReason::Expired,
            ..
        }
    )));
}

#[test]
fn g3_bytes_without_keys_change_nothing() {
    let mut world = World::new(3);
    let last = *world.up.last().expect("a link");
    world.break_link(last);
    world.settle();
    let recorded: Vec<_> = world.flights.iter().map(|flight| flight.1.clone()).collect();
    assert_eq!(
        recorded.len(),
        2,
        "a HELLO and a RESUME, as somebody on the path could have seen them"
    );
    let before = (world.server.sessions(), world.server.detached(), world.client.stats());
    let events = (world.client_events.len(), world.server_events.len());
    let mut stranger = 1 << 40;
    for flight in &recorded {
        for turn in 0..400 {
            let mut bytes = flight.clone();
            if turn > 0 {
                // Each byte of the first flight and of the records behind it, changed; and cut off there.
                let at = world.roll() as usize % bytes.len();
                bytes[at] ^= 1 + (world.roll() % 255) as u8;
                bytes.truncate(at + 1 + world.roll() as usize % 200);
            } else if bytes[4] == 1 {
                // A replayed HELLO is a handshake that nobody completes.
                continue;
            }
            let link = LinkId(stranger);
            stranger += 1;
            world.server.handle_link_up(link, world.now);
            world.server.handle_input(link, &bytes, world.now);
            world.server.handle_link_down(link, world.now);
            let mut buffer = vec![0; 65536];
            while let Some(output) = world.server.poll_output(&mut buffer, world.now) {
                if let Output::Send { link, .. } | Output::CloseLink { link } = output {
                    assert!(link.0 >= 1 << 40, "a stranger moved the client's link {link:?}");
                }
            }
        }
    }
    world.settle();
    assert_eq!(
        (world.client_events.len(), world.server_events.len()),
        events,
        "a stranger was heard"
    );
    assert_eq!((world.server.sessions(), world.server.detached()), (before.0, before.1));
    assert_eq!(world.client.stats(), before.2);
    // And the session goes on, on the link it had.
    let opened = world.opened;
    world.client.send("still here".into()).expect("room");
    world.settle();
    let id = world.id();
    assert_eq!(
        world
            .server
            .session(id)
            .expect("here")
            .recv()
            .expect("it arrived")
            .payload,
        b"still here"
    );
    assert_eq!(world.opened, opened);
}

/// G5, as far as this version goes: sessions live in memory, and what is lost with a process is reported.
#[test]
fn g5_a_session_that_was_lost_with_its_process_is_reported() {
    let mut world = World::new(5);
    for number in 0..3 {
        world.client.send(message(number).into()).expect("room");
    }
    world.settle();
    let id = world.id();
    while world.server.session(id).expect("here").recv().is_some() {}
    world.pass(Duration::from_secs(1));
    world.client.send(message(3).into()).expect("room");
    // The process is replaced by another one with the same keys and nothing in memory.
    world.server = Endpoint::new(server_config(), Seed::new([55; 32]), world.now);
    let last = *world.up.last().expect("a link");
    world.client.handle_link_down(last, world.now);
    world.pass(Duration::from_secs(10));
    let failed = Event::HandoverFailed {
        reason: FailReason::UnknownSession,
        acked: MessageId(3),
    };
    assert!(world.client_events.contains(&failed), "{:?}", world.client_events);
    assert_eq!(
        world.client_events.last(),
        Some(&Event::Closed(CloseReason::UnknownSession))
    );
}

#[test]
fn g6_every_link_has_keys_and_names_of_its_own() {
    let mut world = World::new(6);
    for _ in 0..50 {
        let last = *world.up.last().expect("a link");
        world.break_link(last);
        world.client.send("the same words each time".into()).expect("room");
        world.settle();
        let id = world.id();
        while world.server.session(id).expect("here").recv().is_some() {}
        world.pass(Duration::from_millis(600));
    }
    let mut seen = HashSet::new();
    for (_, client, server) in &world.flights {
        let (handle, e) = match client[4] {
            1 => (None, &client[12..44]),
            3 => (Some(&client[12..28]), &client[48..80]),
            other => panic!("flight {other}"),
        };
        assert!(
            handle.is_none_or(|handle| seen.insert(handle.to_vec())),
            "a handle was shown twice"
        );
        assert!(seen.insert(e.to_vec()), "an ephemeral key of the client was used twice");
        assert!(
            seen.insert(server[12..44].to_vec()),
            "an ephemeral key of the server was used twice"
        );
        // No 16 bytes of ciphertext come twice, although the words do.
        for block in client[80..].chunks_exact(16) {
            assert!(seen.insert(block.to_vec()), "ciphertext came twice");
        }
    }
    assert_eq!(world.flights.len(), 51);
}

#[test]
fn g7_memory_is_bounded_whatever_comes_from_the_network() {
    let mut world = World::new(7);
    // Connections that say nothing, or nearly nothing.
    for number in 0..5000 {
        let link = LinkId((1 << 40) + number);
        world.server.handle_link_up(link, world.now);
        world
            .server
            .handle_input(link, &b"UNB\x01\x03"[..number as usize % 6], world.now);
        assert!(world.server.links() <= limits().pending_handshakes as usize + 2);
    }
    // A peer that never reads: the sender is told, and the message comes back.
    let id = world.id();
    let mut taken = 0;
    let refused = loop {
        match world.client.send(message(49).into()) {
            Ok(_) => taken += 1,
            Err(refused) => break refused,
        }
        world.settle();
        assert!(taken < 1000, "no bound was met");
    };
    assert!(matches!(&refused, SendError::WouldBlock(back) if *back == message(49)));
    let stats = world.client.stats();
    assert!(
        stats.unacked_bytes <= u64::from(limits().unacked_bytes) && taken > 0,
        "{stats:?}"
    );
    // And when the peer reads, it goes on.
    while world.server.session(id).expect("here").recv().is_some() {}
    world.pass(Duration::from_millis(100));
    assert!(world.client_events.contains(&Event::Writable));
    assert!(world.client.send(message(49).into()).is_ok());
}

#[test]
fn g8_a_broken_link_is_never_a_disconnect_and_a_disconnect_never_reconnects() {
    let mut world = World::new(8);
    for _ in 0..20 {
        let last = *world.up.last().expect("a link");
        world.break_link(last);
        world.pass(Duration::from_millis(600));
        assert!(world.client_is_open());
    }
    let begun = |event: &&Event| {
        matches!(
            event,
            Event::HandoverBegin {
                cause: HandoverCause::LinkLost
            }
        )
    };
    assert_eq!(world.client_events.iter().filter(begun).count(), 20);
    let opened = world.opened;
    world.client.disconnect(42);
    // The link breaks before CLOSE is answered, and an hour passes.
    let last = *world.up.last().expect("a link");
    world.break_link(last);
    world.client.retry(world.now);
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.opened, opened, "it dialled again");
    assert_eq!(
        world.client_events.last(),
        Some(&Event::Closed(CloseReason::Local { code: 42 }))
    );
    let closed = world
        .client_events
        .iter()
        .filter(|event| matches!(event, Event::Closed(_)))
        .count();
    assert_eq!((closed, world.client.state()), (1, State::Closed));
    assert!(matches!(world.client.send("more".into()), Err(SendError::Closed(_))));
}
