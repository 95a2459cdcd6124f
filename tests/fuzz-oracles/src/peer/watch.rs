//! What the peer sees of the end under test, and what must hold of it.

use unbroken::crypto::{Opener, Sealer};
use unbroken::wire::frame::{Frame, Frames};
use unbroken::wire::record;

use super::frames::Counts;

/// One link, after the handshake, from the peer's end.
pub struct Line {
    /// A CLOSE has come: no more of the conversation may follow.
    closed: bool,
    sealer: Sealer,
    opener: Opener,
    partial: Vec<u8>,
}

/// What the end under test may send (U-44), and what it has.
#[derive(Debug, Default)]
pub struct Watch {
    /// Lengths of the messages its application has sent.
    pub sizes: Vec<u64>,
    /// The first message that the peer has not been given credit for, and the payload that it has.
    edge: u64,
    payload_edge: u64,
    /// Bytes of the message `recv_next` that have come in fragments.
    offset: u64,
}

impl Line {
    pub fn new(sealer: Sealer, opener: Opener) -> Line {
        Line {
            closed: false,
            sealer,
            opener,
            partial: Vec::new(),
        }
    }

    /// A record. Nothing can be sealed that has no length.
    pub fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        if plaintext.is_empty() || plaintext.len() > record::PLAINTEXT_MAX {
            return Vec::new();
        }
        let mut out = record::length_field(plaintext.len()).to_vec();
        out.resize(2 + plaintext.len() + record::TAG, 0);
        self.sealer.seal(plaintext, &mut out[2..]).expect("few records");
        out
    }

    /// Reads what the end under test has written: every record opens, every frame is well formed.
    pub fn read(&mut self, bytes: &[u8], watch: &mut Watch, counts: &mut Counts) {
        self.partial.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(length) = record::length(&self.partial[at..]).expect("a length within bounds") {
            let Some(sealed) = self.partial.get(at + 2..at + 2 + length) else {
                break;
            };
            let mut plaintext = vec![0; length - record::TAG];
            self.opener
                .open(sealed, &mut plaintext)
                .unwrap_or_else(|_| panic!("a record that does not open"));
            for frame in Frames::new(&plaintext) {
                let frame = frame.expect("a well-formed frame");
                let late = matches!(
                    frame,
                    Frame::Ack(_) | Frame::Ping(_) | Frame::Pong(_) | Frame::CloseAck { .. }
                );
                assert!(!self.closed || late, "{frame:?} behind a CLOSE");
                self.closed |= matches!(frame, Frame::Close(_));
                watch.see(&frame, counts);
            }
            at += 2 + length;
        }
        self.partial.drain(..at);
    }
}

impl Watch {
    /// The peer gives credit, and may be believed.
    pub fn credit(&mut self, recv_next: u64, messages: u64, bytes: u64, counts: &mut Counts) {
        if recv_next > self.sizes.len() as u64 {
            return;
        }
        self.edge = self.edge.max(recv_next.saturating_add(messages));
        self.payload_edge = self.payload_edge.max(self.payload(recv_next).saturating_add(bytes));
        if recv_next > counts.recv_next {
            (counts.recv_next, self.offset) = (recv_next, 0);
        }
    }

    /// Notes what a plaintext of the peer's may lead the other end to believe. Whether it is well formed, and so may have an
    /// effect at all (U-36).
    pub fn note(&mut self, plaintext: &[u8], counts: &mut Counts) -> bool {
        for frame in Frames::new(plaintext) {
            match frame {
                Ok(Frame::Ack(ack)) => self.credit(ack.recv_next, ack.messages, ack.bytes, counts),
                Ok(Frame::Data(run)) => counts.highest = counts.highest.max(run.seq + run.count),
                Ok(Frame::Fragment(part)) => counts.highest = counts.highest.max(part.seq + 1),
                Ok(_) => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// The peer says that it holds so much of message `n`, which is next. Nobody holds a part that is the whole or more: such a flight is refused.
    pub fn claim_offset(&mut self, n: u64, offset: u64) {
        if self.sizes.get(n as usize).is_some_and(|size| offset < *size) {
            self.offset = self.offset.max(offset);
        }
    }

    /// Payload of all messages below `n`.
    fn payload(&self, n: u64) -> u64 {
        self.sizes[..n as usize].iter().sum()
    }

    fn see(&mut self, frame: &Frame<'_>, counts: &mut Counts) {
        match frame {
            Frame::Data(run) => {
                assert!(
                    run.seq <= counts.recv_next,
                    "{frame:?} where {} was due",
                    counts.recv_next
                );
                for (n, message) in (run.seq..).zip(run) {
                    assert_eq!(
                        Some(&(message.len() as u64)),
                        self.sizes.get(n as usize),
                        "length of message {n}"
                    );
                    self.within_credit(n);
                }
                if run.seq + run.count > counts.recv_next {
                    counts.recv_next = run.seq + run.count;
                    self.offset = 0;
                }
            }
            Frame::Fragment(part) => {
                assert!(
                    part.seq <= counts.recv_next,
                    "{frame:?} where {} was due",
                    counts.recv_next
                );
                assert_eq!(
                    Some(&u64::from(part.total)),
                    self.sizes.get(part.seq as usize),
                    "length of message {}",
                    part.seq
                );
                self.within_credit(part.seq);
                if part.seq == counts.recv_next {
                    assert!(
                        u64::from(part.offset) <= self.offset,
                        "{frame:?} leaves a gap behind {}",
                        self.offset
                    );
                    self.offset = self.offset.max(u64::from(part.offset) + part.bytes.len() as u64);
                    if self.offset == u64::from(part.total) {
                        (counts.recv_next, self.offset) = (counts.recv_next + 1, 0);
                    }
                }
            }
            Frame::Ack(ack) => assert!(ack.recv_next <= counts.highest, "{frame:?} of {counts:?}"),
            _ => {}
        }
    }

    /// U-44: the right edges are never passed.
    fn within_credit(&self, n: u64) {
        assert!(n < self.edge, "message {n} was sent, credit reaches to {}", self.edge);
        let payload = self.payload(n + 1);
        assert!(
            payload <= self.payload_edge,
            "message {n} takes the payload to {payload}, credit is {}",
            self.payload_edge
        );
    }
}
