//! The end under test with its host and its application, and the steps that are the same for both roles.

use core::time::Duration;

use bytes::Bytes;
use unbroken::wire::flight::Window;
use unbroken::wire::frame::Frames;
use unbroken::{Event, Instant, Limits, LinkId, MessageId, Output, SendError, Stats};

use super::frames::{Counts, say};
use super::program::{Says, Step};
use super::watch::{Line, Watch};
use crate::host::{self, Poll};
use crate::life::Life;

/// The end under test, whichever it is.
pub trait End: Poll {
    fn input(&mut self, link: LinkId, bytes: &[u8], now: Instant);
    fn down(&mut self, link: LinkId, now: Instant);
    fn block(&mut self, link: LinkId, blocked: bool);
    fn tick(&mut self, now: Instant);
    fn send(&mut self, message: Bytes) -> Option<Result<MessageId, SendError>>;
    fn send_unreliable(&mut self, message: Bytes);
    /// The number and the length of the next message.
    fn recv(&mut self) -> Option<(Option<MessageId>, usize)>;
    fn close(&mut self);
    fn verdict(&mut self, accept: bool);
    fn stats(&mut self) -> Option<Stats>;
}

pub struct Bench<E> {
    pub end: E,
    pub now: Instant,
    pub limits: Limits,
    pub window: Window,
    pub lines: Vec<(LinkId, Line)>,
    /// Bytes on links that are not through their handshake.
    pub strange: Vec<(LinkId, Vec<u8>)>,
    pub opened: Vec<LinkId>,
    pub counts: Counts,
    pub watch: Watch,
    pub life: Life,
    received: u64,
    buffer: Vec<u8>,
}

impl<E: End> Bench<E> {
    pub fn new(end: E, now: Instant, limits: Limits, (messages, bytes, max): (u8, u16, u16)) -> Self {
        let max_message = u32::from(max).max(70);
        let window = Window {
            messages: u32::from(messages).max(1),
            bytes: u32::from(bytes).max(max_message),
            max_message,
        };
        Bench {
            end,
            now,
            limits,
            window,
            lines: Vec::new(),
            strange: Vec::new(),
            opened: Vec::new(),
            counts: Counts::default(),
            watch: Watch::default(),
            life: Life::default(),
            received: 0,
            buffer: vec![0; 65_536],
        }
    }

    pub fn credit(&mut self, delivered: u64) {
        let window = self.window;
        self.watch
            .credit(delivered, window.messages.into(), window.bytes.into(), &mut self.counts);
    }

    /// The peer says that it has all before message `recv_next`, and so much of that.
    pub fn claim(&mut self, recv_next: u64, offset: u64) {
        if recv_next <= self.watch.sizes.len() as u64 && recv_next >= self.counts.recv_next {
            self.counts.recv_next = recv_next;
            self.watch.claim_offset(recv_next, offset);
        }
    }

    /// A step that needs no handshake.
    pub fn run(&mut self, step: &Step) {
        match step {
            Step::Record(says) => {
                let mut plaintext = Vec::new();
                says.iter().for_each(|says| say(says, &mut self.counts, &mut plaintext));
                self.record(&plaintext);
            }
            Step::Plaintext(plaintext) => self.record(plaintext),
            Step::Flood { says, count } => {
                for _ in 0..*count {
                    let mut plaintext = Vec::new();
                    say(says, &mut self.counts, &mut plaintext);
                    self.record(&plaintext);
                }
            }
            Step::Bytes(bytes) => {
                if let Some((link, _)) = self.lines.last() {
                    self.end.input(*link, bytes, self.now);
                    self.lines.pop();
                }
            }
            Step::Send { count, size } => (0..1 + count % 32).for_each(|_| self.send((*size).into())),
            Step::SendUnreliable { size } => {
                let size = usize::from(*size)
                    .min(16_000)
                    .min((self.limits.unreliable_bytes as usize).saturating_sub(1));
                self.end.send_unreliable(vec![3; size].into());
            }
            Step::Recv { count } => {
                (0..*count).take_while(|_| self.recv()).count();
            }
            Step::Close => self.end.close(),
            Step::Poll => self.poll(),
            Step::Blocked(blocked) => {
                if let Some((link, _)) = self.lines.last() {
                    self.end.block(*link, *blocked);
                }
            }
            Step::Advance { ms } => {
                self.now += Duration::from_millis((*ms).into());
                self.end.tick(self.now);
            }
            Step::Cut => {
                if let Some((link, _)) = self.lines.pop() {
                    self.end.down(link, self.now);
                }
            }
            Step::Verdict { accept } => self.end.verdict(*accept),
            Step::Resume(_) => {}
        }
        self.check_bounds();
    }

    /// The peer sends a record. If it begins with a frame that is not well formed, nothing of it may take effect; if it holds one
    /// anywhere, its link ends (U-36).
    fn record(&mut self, plaintext: &[u8]) {
        if plaintext.is_empty() || plaintext.len() > unbroken::wire::record::PLAINTEXT_MAX || self.lines.is_empty() {
            return;
        }
        let well_formed = self.watch.note(plaintext, &mut self.counts);
        let vain = Frames::new(plaintext).next().is_some_and(|frame| frame.is_err());
        if vain {
            self.poll();
            while self.recv() {}
        }
        let before = self
            .end
            .stats()
            .map(|stats| (stats.unacked_messages, stats.unacked_bytes, stats.received_messages));
        let Some((link, line)) = self.lines.last_mut() else {
            return;
        };
        let (link, bytes) = (*link, line.seal(plaintext));
        self.end.input(link, &bytes, self.now);
        if !well_formed {
            self.lines.retain(|(other, _)| *other != link);
        }
        if !vain {
            return;
        }
        let after = self
            .end
            .stats()
            .map(|stats| (stats.unacked_messages, stats.unacked_bytes, stats.received_messages));
        assert_eq!(after, before, "a record that is not well formed took effect");
        assert!(!self.recv(), "a message of a record that is not well formed");
        while let Some((_, event)) = self.end.next_event(self.now) {
            self.life.see(&event);
            let harmless = matches!(
                event,
                Event::State(_) | Event::HandoverBegin { .. } | Event::HandoverEnd(_)
            );
            assert!(
                harmless || self.life.closed.is_some(),
                "a record that is not well formed made {event:?}"
            );
        }
    }

    fn send(&mut self, size: usize) {
        let size = size.min(self.limits.message.min(self.window.max_message) as usize);
        let n = self.watch.sizes.len();
        match self.end.send(host::message(4, n, size).into()) {
            Some(Ok(id)) => {
                assert_eq!(id, MessageId(n as u64));
                self.watch.sizes.push(size as u64);
            }
            Some(Err(SendError::WouldBlock(_) | SendError::Closed(_))) | None => {}
            Some(Err(error)) => panic!("a message of {size} bytes: {error}"),
        }
    }

    fn recv(&mut self) -> bool {
        let Some((id, len)) = self.end.recv() else { return false };
        if let Some(id) = id {
            assert_eq!(id, MessageId(self.received), "delivered out of order");
            assert!(len <= self.limits.message as usize, "a message of {len} bytes");
            self.received += 1;
            assert!(self.received <= self.counts.highest, "more was delivered than was sent");
        }
        true
    }

    /// The host takes everything there is. What comes on known links is judged, the rest laid aside.
    pub fn poll(&mut self) {
        let mut budget =
            10 * u64::from(self.limits.unacked_bytes) + 2 * u64::from(self.limits.unreliable_bytes) + 300_000;
        loop {
            let output = self.end.next_output(&mut self.buffer, self.now);
            match output {
                None => break,
                Some(Output::Send { link, len }) => {
                    let bytes = &self.buffer[..len];
                    budget = budget.checked_sub(len as u64).expect("a flood of output");
                    if let Some((_, line)) = self.lines.iter_mut().find(|(other, _)| *other == link) {
                        line.read(bytes, &mut self.watch, &mut self.counts);
                    } else if let Some((_, words)) = self.strange.iter_mut().find(|(other, _)| *other == link) {
                        words.extend_from_slice(bytes);
                    }
                }
                Some(Output::CloseLink { link }) => {
                    self.lines.retain(|(other, _)| *other != link);
                    self.strange.retain(|(other, _)| *other != link);
                }
                Some(Output::OpenLink { link, .. }) => self.opened.push(link),
            }
        }
        while let Some((_, event)) = self.end.next_event(self.now) {
            host::trace(&event);
            self.life.see(&event);
        }
    }

    fn check_bounds(&mut self) {
        let Some(stats) = self.end.stats() else { return };
        assert!(
            stats.unacked_messages <= u64::from(self.limits.unacked_messages),
            "{stats:?}"
        );
        assert!(stats.unacked_bytes <= u64::from(self.limits.unacked_bytes), "{stats:?}");
    }

    /// The window holds: so much may wait for an application that does not read, and no more.
    pub fn finish(&mut self) {
        self.poll();
        let mut waiting = 0;
        let before = self.received;
        while self.recv() {
            waiting += 1;
            assert!(waiting < 300_000, "messages without end");
        }
        assert!(
            self.received - before <= u64::from(self.limits.window_messages),
            "over the window"
        );
    }
}

/// Says nothing that a live peer would not.
pub fn greeting() -> Says {
    Says::Ack {
        shift: 0,
        messages: 0,
        bytes: 0,
    }
}
