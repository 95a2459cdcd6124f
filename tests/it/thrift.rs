//! How many records two ends need that talk by turns, at any pace. A record is a system call at both ends, a packet, and on a phone the radio's time, so whatever is
//! not an answer rides on one.

use std::sync::Arc;
use std::time::Duration;

use unbroken::{
    ClientConfig, ClusterKey, Endpoint, Event, Instant, LinkId, Output, Seed, ServerConfig, ServerKey, Session, State,
};

/// A client and a server that answers each message as it reads it, with a way between them that takes some time.
struct Talk {
    client: Session,
    server: Endpoint,
    now: Instant,
    /// One way.
    takes: Duration,
    /// What is under way: when it arrives, on which link, and whether at the server.
    under_way: Vec<(Instant, LinkId, bool, Vec<u8>)>,
    records: usize,
    answers: usize,
}

impl Talk {
    fn new(takes: Duration) -> Self {
        let key = ServerKey::from_bytes([7; 32]).expect("not zero");
        let client = ClientConfig::builder(key.public()).build().expect("within bounds");
        let cluster = ClusterKey::from_bytes([9; 32]).expect("not zero");
        let server = ServerConfig::builder(key, cluster).authorise_all(true).build();
        let now = Instant::from_millis(1000);
        let mut talk = Talk {
            client: Session::connect(Arc::new(client), Seed::new([1; 32]), now),
            server: Endpoint::new(Arc::new(server.expect("within bounds")), Seed::new([2; 32]), now),
            now,
            takes,
            under_way: Vec::new(),
            records: 0,
            answers: 0,
        };
        talk.pass(Duration::from_secs(3));
        assert_eq!(talk.client.state(), State::Established);
        talk
    }

    /// Lets time pass, from one thing that happens to the next.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle();
            let due = [self.client.poll_timeout(), self.server.poll_timeout()];
            let arrives = self.under_way.iter().map(|(at, ..)| *at);
            let next = due.into_iter().flatten().chain(arrives).min();
            let next = next.unwrap_or(end).max(self.now);
            if next >= end {
                self.now = end;
                return;
            }
            self.now = next;
            self.client.handle_timeout(next);
            self.server.handle_timeout(next);
            let here;
            (here, self.under_way) = std::mem::take(&mut self.under_way)
                .into_iter()
                .partition(|(at, ..)| *at <= next);
            for (_, link, at_server, bytes) in here {
                if at_server {
                    self.server.handle_input(link, &bytes, next);
                } else {
                    self.client.handle_input(link, &bytes, next);
                }
            }
        }
    }

    fn settle(&mut self) {
        let mut buffer = vec![0; 65536];
        while let Some((id, event)) = self.server.poll_event() {
            if let (Event::Readable, Some(mut session)) = (event, self.server.session(id)) {
                while let Some(question) = session.recv().map(|message| message.payload.to_vec()) {
                    session.send(question.into()).expect("there is room");
                }
            }
        }
        while self.client.poll_event().is_some() {}
        while self.client.recv().is_some() {
            self.answers += 1;
        }
        while let Some(output) = self.client.poll_output(&mut buffer, self.now) {
            match output {
                Output::OpenLink { link, .. } => {
                    self.client.handle_link_up(link, self.now);
                    self.server.handle_link_up(link, self.now);
                }
                Output::Send { link, len } => self.leave(link, true, &buffer[..len]),
                Output::CloseLink { link } => self.server.handle_link_down(link, self.now),
            }
        }
        while let Some(output) = self.server.poll_output(&mut buffer, self.now) {
            match output {
                Output::Send { link, len } => self.leave(link, false, &buffer[..len]),
                Output::CloseLink { link } => self.client.handle_link_down(link, self.now),
                Output::OpenLink { .. } => unreachable!("a server opens no links"),
            }
        }
    }

    fn leave(&mut self, link: LinkId, for_server: bool, bytes: &[u8]) {
        self.records += 1;
        self.under_way
            .push((self.now + self.takes, link, for_server, bytes.to_vec()));
    }

    /// Records of both ends for each question and its answer, if the client asks so often.
    fn records_each(&mut self, pause: Duration) -> f64 {
        const TIMES: usize = 500;
        (self.records, self.answers) = (0, 0);
        for _ in 0..TIMES {
            self.client.send(vec![1; 32].into()).expect("there is room");
            self.pass(pause);
        }
        self.pass(Duration::from_secs(2));
        assert_eq!(self.answers, TIMES, "each is answered");
        self.records as f64 / TIMES as f64
    }
}

#[test]
fn at_any_pace_a_question_and_its_answer_take_two_records_and_an_ack_if_nothing_follows() {
    for takes in [0, 5, 25, 100] {
        let mut talk = Talk::new(Duration::from_millis(takes));
        for pause in [1, 2, 4, 6, 9, 11, 16, 17, 25, 33, 39] {
            let records = talk.records_each(Duration::from_millis(pause));
            assert!(
                records <= 2.1,
                "{takes} ms one way, one in {pause} ms: {records} records"
            );
        }
        // The client's ACK goes alone then. What it tells needs no answer.
        for pause in [60, 100, 400, 2500] {
            let records = talk.records_each(Duration::from_millis(pause));
            assert!(
                records <= 3.05,
                "{takes} ms one way, one in {pause} ms: {records} records"
            );
        }
    }
}
