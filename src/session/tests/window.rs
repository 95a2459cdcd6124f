//! The window of what may come, exhaustively: known messages, gaps, credit, fragments and deliveries in every order.
//!
//! Domain: four messages of 2, 0, 2 and 1 bytes; a window of two messages and three bytes; each step is one of eight runs (from any message on, one
//! or two), eight fragments (of the two large messages: the first half, the second half, both; of the last message: all; of one behind the last: a byte;
//! with another total), or one delivery: 17^4 = 83,521 rows of four steps, and all shorter ones on the way. The model holds bytes and counts, and nothing else.

use alloc::vec::Vec;
use core::ops::Range;

use crate::session::inbox::{Inbox, InboxError, RunHead};
use crate::session::outbox::Part;
use crate::wire::frame;

const MESSAGES: [&[u8]; 4] = [b"ab", b"", b"cd", b"e"];
const WINDOW: usize = 2;
const BYTES: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    Run(usize, usize),
    /// Message, from, to, and how long it says that the message is.
    Part(usize, usize, usize, usize),
    Deliver,
}

const STEPS: [Step; 17] = [
    Step::Run(0, 1),
    Step::Run(0, 2),
    Step::Run(1, 1),
    Step::Run(1, 2),
    Step::Run(2, 1),
    Step::Run(2, 2),
    Step::Run(3, 1),
    Step::Part(0, 0, 1, 2),
    Step::Part(0, 1, 2, 2),
    Step::Part(0, 0, 2, 2),
    Step::Part(2, 0, 1, 2),
    Step::Part(2, 1, 2, 2),
    Step::Part(2, 0, 2, 2),
    Step::Part(2, 0, 1, 3),
    Step::Part(3, 0, 1, 1),
    Step::Part(0, 0, 1, 9),
    Step::Deliver,
];

/// The largest message that is taken.
const MAX: usize = 8;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    delivered: usize,
    next: usize,
    /// Bytes of the message `next`, and how long it is said to be.
    partial: Option<(usize, usize)>,
}

impl Model {
    fn held(&self) -> usize {
        let whole = &MESSAGES[self.delivered..self.next];
        whole.iter().map(|m| m.len()).sum::<usize>() + self.partial.map_or(0, |(length, _)| length)
    }

    /// What becomes of it: whether anything is new, or why the link ends; then nothing has changed.
    fn take(&mut self, step: Step) -> Result<bool, InboxError> {
        let mut after = self.clone();
        match step {
            Step::Deliver => after.delivered = (self.delivered + 1).min(self.next),
            Step::Run(seq, _) if seq > self.next => return Err(InboxError::Gap),
            Step::Run(seq, count) if seq + count <= self.next => return Ok(false),
            Step::Run(seq, count) => (after.next, after.partial) = (seq + count, None),
            Step::Part(seq, ..) if seq < self.next => return Ok(false),
            Step::Part(seq, ..) if seq > self.next => return Err(InboxError::Gap),
            Step::Part(.., total) if total > MAX => return Err(InboxError::Size),
            Step::Part(_, from, to, total) => {
                let (length, said) = self.partial.unwrap_or((0, total));
                if said != total {
                    return Err(InboxError::Size);
                }
                if from > length {
                    return Err(InboxError::Gap);
                }
                if to <= length {
                    return Ok(false);
                }
                // Credit counts the message that has begun.
                if self.next + 1 - self.delivered > WINDOW {
                    return Err(InboxError::Credit);
                }
                after.partial = Some((to, total));
                if to == total {
                    (after.next, after.partial) = (self.next + 1, None);
                }
            }
        }
        if after.next - after.delivered > WINDOW || after.held() > BYTES {
            return Err(InboxError::Credit);
        }
        let new = (after.next, after.partial) != (self.next, self.partial);
        *self = after;
        Ok(new)
    }
}

/// Puts bytes where a record would have them.
fn with_record<R>(inbox: &mut Inbox, bytes: &[u8], take: impl FnOnce(&mut Inbox, &mut [u8], Range<usize>) -> R) -> R {
    let (mut buffer, place) = inbox.take_buffer(bytes.len());
    buffer[place.clone()].copy_from_slice(bytes);
    let result = take(inbox, &mut buffer, place);
    inbox.put_back(buffer);
    result
}

fn take(inbox: &mut Inbox, step: Step) -> Result<bool, InboxError> {
    match step {
        Step::Deliver => {
            let due = inbox.delivered() as usize;
            if let Some(message) = inbox.pop() {
                assert_eq!((message.id.unwrap().0 as usize, message.payload), (due, MESSAGES[due]));
            }
            Ok(false)
        }
        Step::Run(seq, count) => {
            let mut entries = Vec::new();
            for message in &MESSAGES[seq..seq + count] {
                let mut head = [0; 8];
                let used = frame::message_header(&mut head, message.len());
                entries.extend_from_slice(&head[..used]);
                entries.extend_from_slice(message);
            }
            let head = RunHead {
                seq: seq as u64,
                count: count as u64,
                payload: MESSAGES[seq..seq + count].iter().map(|m| m.len() as u64).sum(),
            };
            with_record(inbox, &entries, |inbox, buffer, place| inbox.run(head, buffer, place))
        }
        Step::Part(seq, from, to, total) => {
            let part = Part {
                seq: seq as u64,
                total: total as u32,
                offset: from as u32,
            };
            with_record(inbox, &MESSAGES[seq][from..to], |inbox, buffer, place| {
                inbox.fragment(part, buffer, place)
            })
        }
    }
}

#[test]
fn every_row_of_four_steps_is_taken_as_the_model_says() {
    let (mut refused, mut fresh) = (0u64, 0u64);
    for row in 0..STEPS.len().pow(4) {
        let mut inbox = Inbox::new(WINDOW as u32, BYTES as u32, MAX as u32, 0);
        let mut model = Model::default();
        let mut left = row;
        for _ in 0..4 {
            let step = STEPS[left % STEPS.len()];
            left /= STEPS.len();
            let before = model.clone();
            let expected = match step {
                Step::Deliver => model.take(step).map(|_| false),
                _ => model.take(step),
            };
            let found = take(&mut inbox, step);
            assert_eq!(found, expected, "row {row}: {step:?} on {before:?}");
            let counts = (inbox.delivered(), inbox.next(), inbox.offset());
            let partial = model.partial.map_or(0, |(length, _)| length as u32);
            assert_eq!(
                counts,
                (model.delivered as u64, model.next as u64, partial),
                "row {row}: {step:?} on {before:?}"
            );
            refused += u64::from(found.is_err());
            fresh += u64::from(found == Ok(true));
        }
        // What was taken in comes out, whole and in order.
        while (inbox.delivered()) < inbox.next() {
            take(&mut inbox, Step::Deliver).unwrap();
        }
    }
    assert!(refused > 10_000 && fresh > 10_000, "{refused} refused, {fresh} fresh");
}
