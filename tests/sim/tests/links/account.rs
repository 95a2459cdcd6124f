//! What the application is told of a handover: a beginning, and one end, whatever else is under way. Both ends in memory, step by step.

use std::sync::Arc;

use unbroken::{
    ClientConfig, Endpoint, Event, HandoverCause, Instant, LinkId, NetworkEvent, NetworkId, Output, Seed, Session,
};
use unbroken_sim::links::road::{client_config, server_config};

use crate::server_side::exchange;
use crate::{MS, SECOND};

struct Pair {
    client: Session,
    server: Endpoint,
    now: Instant,
    /// Records of the client that have not arrived.
    held: Vec<(LinkId, Vec<u8>)>,
}

impl Pair {
    fn established() -> Self {
        let now = Instant::from_millis(1000);
        let config: Arc<ClientConfig> = Arc::new(client_config().build().unwrap());
        let server = Arc::new(server_config().build().unwrap());
        let mut pair = Pair {
            client: Session::connect(config, Seed::new([1; 32]), now),
            server: Endpoint::new(server, Seed::new([2; 32]), now),
            now,
            held: Vec::new(),
        };
        exchange(&mut pair.client, &mut pair.server, 0, now);
        pair
    }

    /// So much later: what the client wants to open, and what it tells of handovers. Connections stay unanswered, records are held.
    fn later(&mut self, time: core::time::Duration) -> (Vec<LinkId>, Vec<Event>) {
        self.now += time;
        self.client.handle_timeout(self.now);
        let (mut opened, mut buffer) = (Vec::new(), vec![0; 65536]);
        while let Some(output) = self.client.poll_output(&mut buffer, self.now) {
            match output {
                Output::OpenLink { link, .. } => opened.push(link),
                Output::Send { link, len } => self.held.push((link, buffer[..len].to_vec())),
                Output::CloseLink { .. } => {}
            }
        }
        let mut told = Vec::new();
        while let Some(event) = self.client.poll_event() {
            if matches!(event, Event::HandoverBegin { .. } | Event::HandoverEnd(_)) {
                told.push(event);
            }
        }
        (opened, told)
    }

    /// What was held arrives, and is answered.
    fn arrive(&mut self) {
        for (link, bytes) in self.held.drain(..) {
            self.server.handle_input(link, &bytes, self.now);
        }
        exchange(&mut self.client, &mut self.server, 0, self.now);
    }

    /// A connection that is made ahead, as an answer is late; it comes then, and the connection is still under way.
    fn spare(&mut self) -> LinkId {
        self.client.send("a question rides on this".into()).unwrap();
        self.later(200 * MS);
        let (opened, told) = self.later(40 * MS);
        assert_eq!((opened.len(), told.len()), (1, 0), "a spare, and no handover");
        self.arrive();
        opened[0]
    }
}

#[test]
fn what_was_planned_for_a_handover_goes_with_it() {
    let mut pair = Pair::established();
    let changed = NetworkEvent::Changed(NetworkId(1));
    pair.client.handle_network(changed, pair.now);
    let (opened, told) = pair.later(MS);
    assert!(
        matches!(
            told[..],
            [Event::HandoverBegin {
                cause: HandoverCause::NetworkChanged
            }]
        ),
        "{told:?}"
    );
    pair.client.handle_link_down(opened[0], pair.now);
    let (opened, told) = pair.later(MS);
    assert!(
        opened.is_empty() && matches!(told[..], [Event::HandoverEnd(_)]),
        "the old link goes on: {told:?}"
    );
    pair.arrive();
    pair.spare();
    // By then another connection would have been made beside the one that failed.
    let (opened, told) = pair.later(SECOND);
    assert!(opened.is_empty() && told.is_empty(), "{opened:?}, {told:?}");
}

#[test]
fn a_server_that_leaves_is_left_though_a_spare_is_under_way() {
    let mut pair = Pair::established();
    pair.spare();
    pair.server.drain(MS, "").unwrap();
    pair.arrive();
    let (mut opened, told) = pair.later(SECOND);
    assert!(
        matches!(
            told[..],
            [Event::HandoverBegin {
                cause: HandoverCause::Drain
            }]
        ),
        "{told:?}"
    );
    let mut last = pair.now;
    let end = pair.now + 20 * SECOND;
    while pair.now < end {
        // Whatever is opened is turned away; the spare is neither, and goes after a while.
        for link in opened {
            last = pair.now;
            pair.client.handle_link_down(link, pair.now);
        }
        opened = pair.later(100 * MS).0;
    }
    assert!(last + 12 * SECOND > end, "it has stopped trying");
}
