//! The inbox against a plain list of messages: records of runs and fragments come, some twice, some overlapping what is there, some
//! with gaps; the application takes them when it likes.

use alloc::vec::Vec;

use super::Dice;
use crate::event::{Message, MessageId};
use crate::session::Batch;
use crate::session::ack::Taken;
use crate::session::inbox::{Inbox, InboxError, RunHead};
use crate::session::outbox::Part;
use crate::wire::frame::{self, Frame, Frames};

const MESSAGE: u32 = 64 << 10;
const WINDOW_BYTES: u32 = 150_000;
const WINDOW_MESSAGES: u32 = 300;

fn inbox() -> Inbox {
    Inbox::new(WINDOW_MESSAGES, WINDOW_BYTES, MESSAGE, 4096)
}

/// Takes in a record as `receive` does.
pub fn take(inbox: &mut Inbox, record: &[u8]) -> Result<bool, InboxError> {
    let (mut buffer, place) = inbox.take_buffer(record.len());
    buffer[place.clone()].copy_from_slice(record);
    let start = place.start;
    let mut at = 0;
    let mut fresh = false;
    let result = loop {
        let mut walk = Frames::new(&buffer[place.clone()]).from_position(at);
        let Some(frame) = walk.next().map(|frame| frame.expect("the test writes well")) else {
            break Ok(fresh);
        };
        at = walk.position();
        let taken = match frame {
            Frame::Data(run) => {
                let entries = start + run.offset..start + run.offset + run.bytes.len();
                let head = RunHead {
                    seq: run.seq,
                    count: run.count,
                    payload: run.payload,
                };
                inbox.run(head, &mut buffer, entries)
            }
            Frame::Fragment(fragment) => {
                let part = Part {
                    seq: fragment.seq,
                    total: fragment.total,
                    offset: fragment.offset,
                };
                let bytes = start + at - fragment.bytes.len()..start + at;
                inbox.fragment(part, &mut buffer, bytes)
            }
            other => panic!("{other:?}"),
        };
        match taken {
            Ok(new) => fresh |= new,
            Err(error) => break Err(error),
        }
    };
    inbox.put_back(buffer);
    result
}

pub fn run(record: &mut Vec<u8>, seq: usize, messages: &[Vec<u8>]) {
    let mut head = [0; 16];
    let used = frame::data_header(&mut head, seq as u64);
    record.extend_from_slice(&head[..used]);
    for message in messages {
        let used = frame::message_header(&mut head, message.len());
        record.extend_from_slice(&head[..used]);
        record.extend_from_slice(message);
    }
    record.push(frame::DATA_END);
}

pub fn part(record: &mut Vec<u8>, seq: usize, message: &[u8], offset: usize, length: usize) {
    let mut head = [0; 48];
    let used = frame::fragment_header(&mut head, seq as u64, message.len() as u32, offset as u32, length);
    record.extend_from_slice(&head[..used]);
    record.extend_from_slice(&message[offset..offset + length]);
}

#[test]
fn a_restored_inbox_counts_what_it_gave_out_itself() {
    let mut inbox = inbox();
    inbox.resume_at(10);
    let mut record = Vec::new();
    run(&mut record, 10, &[b"four".to_vec(), b"more".to_vec()]);
    assert_eq!(take(&mut inbox, &record), Ok(true));
    assert!(inbox.pop().is_some());
    let expected = Taken { messages: 1, bytes: 4 };
    assert_eq!((inbox.received(), inbox.delivered()), (expected, 11));
}

#[test]
fn the_application_gets_a_prefix_whatever_comes_twice_or_overlaps() {
    for seed in 0..120 {
        let mut dice = Dice::new(seed);
        let messages: Vec<Vec<u8>> = (0..400)
            .map(|_| {
                let length = dice.length();
                dice.bytes(length)
            })
            .collect();
        let mut inbox = inbox();
        let mut batch = Batch::new();
        let (mut delivered, mut steps) = (0, 0);
        while delivered < messages.len() {
            steps += 1;
            assert!(steps < 100_000, "seed {seed}: no progress");
            if dice.one_in(4) {
                deliver(&mut inbox, &messages, &mut delivered, &mut dice, seed);
            } else if dice.one_in(3) {
                deliver_all(&mut inbox, &mut batch, &messages, &mut delivered, &mut dice, seed);
            } else {
                record(&mut inbox, &messages, &mut dice, seed);
            }
            assert_eq!(inbox.delivered(), delivered as u64, "seed {seed}");
            assert!(inbox.next() >= inbox.delivered());
        }
        assert!(inbox.is_empty() && inbox.pop().is_none());
    }
}

fn deliver(inbox: &mut Inbox, messages: &[Vec<u8>], delivered: &mut usize, dice: &mut Dice, seed: u64) {
    for _ in 0..dice.between(0, 12) {
        let waits = (*delivered as u64) < inbox.next();
        assert_eq!(inbox.is_empty(), !waits, "seed {seed}");
        let Some(message) = inbox.pop() else {
            assert!(!waits, "seed {seed}: message {delivered} is there and is not given");
            return;
        };
        assert_eq!(message.id.map(|id| id.0), Some(*delivered as u64), "seed {seed}");
        assert!(
            message.payload == messages[*delivered],
            "seed {seed}: message {delivered}"
        );
        *delivered += 1;
    }
    if dice.one_in(8) {
        inbox.shrink();
    }
}

/// As `deliver`, all that is there, while more comes before the batch has been read.
fn deliver_all(
    inbox: &mut Inbox,
    batch: &mut Batch,
    messages: &[Vec<u8>],
    delivered: &mut usize,
    dice: &mut Dice,
    seed: u64,
) {
    let next = inbox.next() as usize;
    let payload: usize = messages[*delivered..next].iter().map(Vec::len).sum();
    let bytes = inbox.taken().bytes + payload as u64;
    assert_eq!(inbox.take_all(batch), next > *delivered, "seed {seed}");
    let taken = Taken {
        messages: next as u64,
        bytes,
    };
    assert_eq!(inbox.taken(), taken, "seed {seed}");
    assert_eq!(batch.len(), next - *delivered, "seed {seed}");
    assert!(inbox.is_empty() && inbox.delivered() == next as u64, "seed {seed}");
    if dice.one_in(2) {
        record(inbox, messages, dice, seed);
    }
    let mut check = |message: Message<'_>| {
        assert_eq!(message.id.map(|id| id.0), Some(*delivered as u64), "seed {seed}");
        assert!(
            message.payload == messages[*delivered],
            "seed {seed}: message {delivered}"
        );
        *delivered += 1;
    };
    // One by one at first, the rest at once.
    for _ in 0..dice.between(0, 20) {
        batch.pop().map(&mut check);
    }
    batch.for_each(check);
    assert!(
        batch.is_empty() && batch.pop().is_none() && *delivered == next,
        "seed {seed}"
    );
}

/// A record that begins at or before what the inbox has, as one of an honest sender after any handover.
fn record(inbox: &mut Inbox, messages: &[Vec<u8>], dice: &mut Dice, seed: u64) {
    let (next, offset) = (inbox.next() as usize, inbox.offset() as usize);
    let delivered = inbox.delivered() as usize;
    let held: usize = messages[delivered..next].iter().map(Vec::len).sum();
    let mut room = WINDOW_BYTES as usize - held;
    let from = dice.between(delivered.saturating_sub(3) as u64, next as u64) as usize;
    let mut record = Vec::new();
    let (mut at, mut reached) = (from, (next, offset));
    while record.len() < 16_000 && at < messages.len() && at < delivered + WINDOW_MESSAGES as usize - 20 {
        let message = &messages[at];
        if at >= next {
            // Credit: a message starts only if all of it fits.
            let Some(rest) = room.checked_sub(message.len()) else {
                break;
            };
            room = rest;
        }
        if message.len() > 1 && dice.one_in(4) || message.len() > 16_000 {
            // From anywhere the inbox has to anywhere; the rest may follow at once, or never on this link.
            let known = if at == reached.0 { reached.1 } else { 0 };
            let known = if at < next { message.len() - 1 } else { known };
            let begin = dice.between(0, known as u64) as usize;
            let least = if dice.one_in(3) { message.len() } else { begin + 1 };
            let end = dice.between(least as u64, message.len() as u64) as usize;
            part(&mut record, at, message, begin, end - begin);
            if at >= next && end > known {
                reached = if end == message.len() { (at + 1, 0) } else { (at, end) };
            }
            if end < message.len() {
                break;
            }
            at += 1;
        } else {
            let count = dice.between(1, 5) as usize;
            let fits = |slice: &[Vec<u8>]| slice.iter().map(Vec::len).sum::<usize>();
            let mut run_end = at + 1;
            while run_end < messages.len().min(at + count) && messages[run_end].len() < 2000 {
                if run_end >= next {
                    let Some(rest) = room.checked_sub(messages[run_end].len()) else {
                        break;
                    };
                    room = rest;
                }
                run_end += 1;
            }
            assert!(fits(&messages[at..run_end]) < 1 << 20);
            run(&mut record, at, &messages[at..run_end]);
            if run_end > reached.0 {
                reached = (run_end, 0);
            }
            at = run_end;
        }
        if dice.one_in(3) {
            break;
        }
    }
    if record.is_empty() {
        return;
    }
    let fresh = take(inbox, &record).unwrap_or_else(|error| panic!("seed {seed}: {error:?} at {next}+{offset}"));
    assert_eq!((inbox.next() as usize, inbox.offset() as usize), reached, "seed {seed}");
    assert_eq!(fresh, reached != (next, offset), "seed {seed}");
}

/// What must end the link, and must not move a counter (F-36, F-37, F-40, F-46).
#[test]
fn what_cannot_be_is_refused_and_moves_nothing() {
    let big = alloc::vec![3; MESSAGE as usize + 1];
    let large = alloc::vec![4; 20_000];
    let mut inbox = inbox();
    let mut first = Vec::new();
    run(&mut first, 0, &[alloc::vec![1; 10], alloc::vec![2; 20]]);
    part(&mut first, 2, &large, 0, 9000);
    assert_eq!(take(&mut inbox, &first), Ok(true));
    let mut refused = |why, write: &dyn Fn(&mut Vec<u8>)| {
        let mut record = Vec::new();
        write(&mut record);
        assert_eq!(take(&mut inbox, &record), Err(why));
        assert_eq!((inbox.next(), inbox.offset(), inbox.delivered()), (2, 9000, 0));
    };
    refused(InboxError::Gap, &|record| run(record, 3, &[alloc::vec![1; 10]]));
    refused(InboxError::Gap, &|record| part(record, 3, &large, 0, 100));
    refused(InboxError::Gap, &|record| part(record, 2, &large, 9001, 100));
    refused(InboxError::Size, &|record| part(record, 2, &large[1..], 0, 9500));
    refused(InboxError::Size, &|record| part(record, 2, &big, 0, 9500));
    refused(InboxError::Size, &|record| {
        run(record, 2, &[alloc::vec![1; 10], big.clone()])
    });
    refused(InboxError::Credit, &|record| {
        run(record, 2, &alloc::vec![large.clone(); 8])
    });
    refused(InboxError::Credit, &|record| {
        run(record, 2, &alloc::vec![Vec::new(); WINDOW_MESSAGES as usize])
    });
    // What is known already is neither an error nor news.
    let mut known = Vec::new();
    run(&mut known, 0, &[alloc::vec![1; 10]]);
    part(&mut known, 2, &large, 100, 8900);
    assert_eq!(take(&mut inbox, &known), Ok(false));
    // And the message goes on where it was.
    let mut rest = Vec::new();
    part(&mut rest, 2, &large, 8000, 12_000);
    assert_eq!(take(&mut inbox, &rest), Ok(true));
    assert_eq!((inbox.next(), inbox.offset()), (3, 0));
    let lengths: Vec<_> = core::iter::from_fn(|| inbox.pop().map(|message| message.payload.len())).collect();
    assert_eq!(lengths, [10, 20, 20_000]);
}

/// A message that began in fragments on one link may come whole on the next.
#[test]
fn a_whole_message_supersedes_its_beginning() {
    let messages = [alloc::vec![9; 3000], alloc::vec![8; 5]];
    let mut inbox = inbox();
    let mut record = Vec::new();
    part(&mut record, 0, &messages[0], 0, 1000);
    assert_eq!(take(&mut inbox, &record), Ok(true));
    assert_eq!(inbox.offset(), 1000);
    record.clear();
    run(&mut record, 0, &messages);
    assert_eq!(take(&mut inbox, &record), Ok(true));
    assert_eq!((inbox.next(), inbox.offset()), (2, 0));
    for message in &messages {
        assert_eq!(inbox.pop().map(|got| got.payload.to_vec()).as_ref(), Some(message));
    }
}

#[test]
fn unreliable_messages_come_first_and_are_dropped_when_too_many_wait() {
    let mut inbox = inbox();
    let mut record = Vec::new();
    run(&mut record, 0, &[alloc::vec![1; 3]]);
    take(&mut inbox, &record).expect("fits");
    for number in 0..100u8 {
        inbox.unreliable(&[number; 99]);
    }
    let first = inbox.pop().expect("unreliable ones wait");
    assert_eq!((first.id, first.payload[0]), (None, 0));
    let unreliable = core::iter::from_fn(|| inbox.pop().filter(|message| message.id.is_none()).map(drop)).count();
    assert_eq!(unreliable, 4096 / 100 - 1, "what fits 4096 bytes, in order");
    assert_eq!(inbox.delivered(), 1, "the reliable one was taken behind them");
}

/// The window bounds what a peer can make the inbox hold, also when it sends the smallest messages in the largest records.
#[test]
fn memory_stays_bounded_by_the_window() {
    let mut inbox = inbox();
    let mut most = 0;
    for seq in 0..2000 {
        let mut record = Vec::new();
        run(&mut record, seq, &[alloc::vec![1; 1]]);
        record.resize(16_000, 0);
        take(&mut inbox, &record).expect("within the window");
        most = most.max(inbox.memory());
        // A reader that is always behind, so that the buffer never starts over.
        if seq >= 250 {
            inbox.pop().expect("one waits");
        }
    }
    assert!(
        most < 64 * WINDOW_MESSAGES as usize + (128 << 10),
        "{most} bytes for 250 one-byte messages"
    );
    while inbox.pop().is_some() {}
    inbox.shrink();
    assert_eq!(inbox.memory(), 0);
}

/// With a reader that is always a whole window behind, and records of any size.
#[test]
fn memory_stays_bounded_by_twice_the_window() {
    const WINDOW: usize = 1 << 20;
    for length in [1000, 5000, 9000, 12_345, 16_000] {
        let mut inbox = Inbox::new(4096, WINDOW as u32, MESSAGE, 0);
        let mut most = 0;
        for seq in 0..4 * WINDOW / length {
            if (seq + 1) * length > WINDOW {
                inbox.pop().expect("one waits");
            }
            let mut record = Vec::new();
            run(&mut record, seq, &[alloc::vec![1; length]]);
            take(&mut inbox, &record).expect("within the window");
            most = most.max(inbox.memory());
        }
        assert!(
            (WINDOW..=2 * WINDOW + 64 * 4096 + (64 << 10)).contains(&most),
            "{most} bytes of {length}"
        );
    }
}

/// 64 bytes for each message beside its payload, whatever stands before it in its record.
#[test]
fn memory_stays_bounded_by_the_number_of_messages_however_little_they_say() {
    for fragment in [false, true] {
        let messages = 17_000;
        let mut inbox = Inbox::new(65_536, WINDOW_BYTES, MESSAGE, 0);
        for seq in 0..messages {
            // A frame of the future, to be skipped.
            let mut record = alloc::vec![0x40, 38];
            record.resize(40, 0);
            if fragment {
                part(&mut record, seq, &[7], 0, 1);
            } else {
                run(&mut record, seq, &[Vec::new()]);
            }
            take(&mut inbox, &record).expect("within the window");
        }
        let payload = if fragment { 2 * messages } else { 0 };
        let each = (inbox.memory() - payload) / messages;
        assert!(each <= 64, "{each} bytes for each");
        for seq in 0..messages {
            let message = inbox.pop().expect("it has come");
            assert_eq!(
                (message.id, message.payload.len()),
                (Some(MessageId(seq as u64)), usize::from(fragment))
            );
        }
    }
}

#[test]
fn a_large_buffer_stays_while_it_is_used_and_goes_when_it_is_not() {
    let mut inbox = Inbox::new(4, 4 << 20, 2 << 20, 0);
    let large = alloc::vec![1; 1 << 20];
    let few = |inbox: &mut Inbox, seq, times| {
        for _ in 0..times {
            let mut small = Vec::new();
            run(&mut small, seq, &[alloc::vec![1; 1]]);
            take(inbox, &small).expect("known");
        }
    };
    for seq in 0..3 {
        let mut record = Vec::new();
        part(&mut record, seq, &large, 0, large.len());
        take(&mut inbox, &record).expect("within the window");
        assert_eq!(inbox.pop().map(|message| message.payload.len()), Some(1 << 20));
        few(&mut inbox, seq, 10);
        assert!(
            inbox.memory() >= 1 << 20,
            "{} bytes: freed between two uses",
            inbox.memory()
        );
    }
    few(&mut inbox, 2, 100);
    assert!(inbox.memory() <= (256 << 10) + 1024, "{}", inbox.memory());
}
