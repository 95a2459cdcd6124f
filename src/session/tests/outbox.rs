//! The outbox against a plain list of messages: several links carry it, each through records of any size, are rewound to any place
//! the peer could be at, and what they carried is put together again.

use alloc::vec::Vec;

use super::Dice;
use crate::session::batch::Room;
use crate::session::outbox::{Credit, Cursor, HEADROOM, Outbox, Piece, TAILROOM};
use crate::wire::frame::{self, Frame, Frames};
use crate::wire::record::PLAINTEXT_MAX;

/// What the outbox should be: all messages ever sent, and where things stand.
struct Model {
    messages: Vec<Vec<u8>>,
    acked: usize,
    /// How far the peer can be: what any link has carried.
    carried: (usize, usize),
    credit: Credit,
}

/// A link: the real cursor, and where the model says it is.
struct Link {
    cursor: Cursor,
    at: (usize, usize),
}

impl Model {
    fn payload(&self, range: core::ops::Range<usize>) -> u64 {
        self.messages[range].iter().map(|message| message.len() as u64).sum()
    }

    fn allowed(&self, seq: usize) -> bool {
        (seq as u64) < self.credit.messages && self.payload(0..seq + 1) <= self.credit.payload
    }
}

#[test]
fn every_link_carries_a_gapless_run_whatever_is_acked_cut_and_rewound() {
    let carried: usize = (0..150).map(|seed| run(seed, 600)).sum();
    assert!(
        carried > 150 * 200,
        "the runs carried next to nothing: {carried} messages"
    );
}

/// As many are taken as the limits allow, and no more.
fn push_many(outbox: &mut Outbox, model: &mut Model, messages: Vec<Vec<u8>>, dice: &mut Dice, at: &str) {
    let unacked = model.payload(model.acked..model.messages.len());
    let room = Room {
        messages: dice.between(0, 30),
        payload: unacked + dice.between(0, 60_000),
        longest: dice.length().max(dice.length()),
    };
    let mut payload = unacked;
    let fitting = messages.iter().take(room.messages as usize).take_while(|message| {
        payload += message.len() as u64;
        message.len() <= room.longest && payload <= room.payload
    });
    let fitting = fitting.count();
    assert_eq!(outbox.push_many(&messages, &room), fitting, "{at}: {room:?}");
    model.messages.extend(messages.into_iter().take(fitting));
    assert_eq!(outbox.next(), model.messages.len() as u64, "{at}");
}

/// Returns how many messages were carried.
fn run(seed: u64, steps: usize) -> usize {
    let mut dice = Dice::new(seed);
    let mut outbox = Outbox::new();
    let mut model = Model {
        messages: Vec::new(),
        acked: 0,
        carried: (0, 0),
        credit: Credit {
            messages: 8,
            payload: 20_000,
        },
    };
    let mut links = Vec::from([Link {
        cursor: outbox.rewind(),
        at: (0, 0),
    }]);
    for step in 0..steps {
        let at = alloc::format!("seed {seed}, step {step}");
        match dice.between(0, 9) {
            0..=3 => {
                let messages: Vec<_> = (0..dice.between(1, 20))
                    .map(|_| {
                        let length = dice.length();
                        dice.bytes(length)
                    })
                    .collect();
                if dice.one_in(2) {
                    push_many(&mut outbox, &mut model, messages, &mut dice, &at);
                } else {
                    for message in messages {
                        assert_eq!(outbox.push(&message), model.messages.len() as u64, "{at}");
                        model.messages.push(message);
                    }
                }
            }
            4..=6 => {
                let index = dice.between(0, links.len() as u64 - 1) as usize;
                carry(&mut outbox, &mut model, &mut links[index], &mut dice, &at);
            }
            7 => {
                // Only what may have arrived is ACKed.
                let acked = dice.between(model.acked as u64, model.carried.0 as u64);
                outbox.ack(acked);
                model.acked = acked as usize;
                if dice.one_in(3) {
                    outbox.shrink();
                }
            }
            8 => {
                // A new link: the peer says where it is, anywhere from what it ACKed to what was carried.
                let (seq, offset) = place(&model, &mut dice);
                let cursor = outbox
                    .cursor(seq as u64, offset as u32)
                    .unwrap_or_else(|| panic!("{at}: {seq}+{offset}"));
                let replayed = outbox.replayed(&cursor);
                assert_eq!(replayed.0, (model.carried.0 - seq) as u64, "{at}");
                assert_eq!(replayed.1, model.payload(seq..model.carried.0), "{at}");
                links.push(Link {
                    cursor,
                    at: (seq, offset),
                });
                if links.len() > 3 {
                    links.remove(0);
                }
            }
            _ => {
                let window = (dice.between(1, 60), dice.between(60_000, 200_000));
                let credit = outbox.credit(window.0, window.1);
                assert_eq!(credit.messages, model.acked as u64 + window.0, "{at}");
                assert_eq!(credit.payload, model.payload(0..model.acked) + window.1, "{at}");
                model.credit.messages = model.credit.messages.max(credit.messages);
                model.credit.payload = model.credit.payload.max(credit.payload);
            }
        }
        assert_eq!(outbox.acked(), model.acked as u64, "{at}");
        assert_eq!(outbox.next(), model.messages.len() as u64, "{at}");
        assert_eq!(outbox.messages(), (model.messages.len() - model.acked) as u64, "{at}");
        assert_eq!(
            outbox.payload(),
            model.payload(model.acked..model.messages.len()),
            "{at}"
        );
        assert_eq!(outbox.is_empty(), model.acked == model.messages.len(), "{at}");
    }
    model.carried.0
}

/// Anywhere the peer can be: between the ACK and what was carried; within a message only as far as fragments of it were.
fn place(model: &Model, dice: &mut Dice) -> (usize, usize) {
    let seq = dice.between(model.acked as u64, model.carried.0 as u64) as usize;
    let most = if seq == model.carried.0 {
        model.carried.1
    } else {
        model.messages[seq].len().saturating_sub(1)
    };
    let offset = if dice.one_in(2) {
        0
    } else {
        dice.between(0, most as u64) as usize
    };
    (seq, offset)
}

/// One record on a link: taken, sealed (here: parsed), and held against the model.
fn carry(outbox: &mut Outbox, model: &mut Model, link: &mut Link, dice: &mut Dice, at: &str) {
    let record = if dice.one_in(3) {
        dice.between(240, 4000) as usize
    } else {
        PLAINTEXT_MAX
    };
    let beside = if dice.one_in(2) {
        0
    } else {
        dice.between(0, 43) as usize
    };
    if link.at.0 < model.acked {
        link.at = (model.acked, 0);
    }
    let waits = link.at.0 < model.messages.len() && (link.at.1 > 0 || model.allowed(link.at.0));
    assert_eq!(outbox.has_more(&link.cursor, &model.credit), waits, "{at}");
    assert_eq!(
        outbox.all_carried(&link.cursor),
        link.at.0 >= model.messages.len(),
        "{at}"
    );
    let before = link.at;
    let Some(piece) = outbox.take(&mut link.cursor, &model.credit, record - beside, record) else {
        assert!(
            !waits || beside > 0,
            "{at}: a message waits, a whole record is free, and nothing is taken"
        );
        return;
    };
    assert!(waits, "{at}: took what may not go");
    let mut head = [0; HEADROOM];
    let used = match piece {
        Piece::Run { seq, .. } => frame::data_header(&mut head, seq),
        Piece::Part { fragment, start, end } => fragment.header(&mut head, end - start),
    };
    let pad = dice.between(0, 15) as usize;
    let plaintext = outbox.with_overlay(&piece, &head[..used], pad, |bytes| bytes.to_vec());
    assert!(plaintext.len() - pad <= record - beside, "{at}: does not fit");
    if let Piece::Run { seq, .. } = piece {
        let run = Frames::new(&plaintext).next();
        let Some(Ok(Frame::Data(run))) = run else {
            panic!("{at}: {run:?}");
        };
        let behind = seq as usize + run.iter().count();
        if behind < model.messages.len() && model.allowed(behind) {
            let next = model.messages[behind].len();
            let more = frame::message_header_len(next) + next;
            assert!(
                plaintext.len() - pad + more > record - beside,
                "{at}: message {behind} had room, too"
            );
        }
    }
    let (seq, offset) = (&mut link.at.0, &mut link.at.1);
    for frame in Frames::new(&plaintext) {
        match frame.unwrap_or_else(|error| panic!("{at}: {error}")) {
            Frame::Data(run) => {
                assert_eq!((run.seq, 0), (*seq as u64, *offset), "{at}: a gap or an overlap");
                for message in run.iter() {
                    assert!(model.allowed(*seq), "{at}: beyond the credit");
                    assert!(
                        message == model.messages[*seq],
                        "{at}: message {seq} is not what was sent"
                    );
                    *seq += 1;
                }
            }
            Frame::Fragment(fragment) => {
                let whole = &model.messages[*seq];
                assert_eq!((fragment.seq, fragment.offset as usize), (*seq as u64, *offset), "{at}");
                assert_eq!(fragment.total as usize, whole.len(), "{at}");
                assert!(
                    fragment.bytes == &whole[*offset..*offset + fragment.bytes.len()],
                    "{at}: message {seq}"
                );
                assert!(*offset > 0 || model.allowed(*seq), "{at}: beyond the credit");
                *offset += fragment.bytes.len();
                if *offset == whole.len() {
                    (*seq, *offset) = (*seq + 1, 0);
                }
            }
            other => panic!("{at}: {other:?}"),
        }
    }
    assert!(link.at > before, "{at}: no progress");
    model.carried = model.carried.max(link.at);
}

#[test]
fn a_cursor_is_given_only_within_what_is_kept() {
    let mut outbox = Outbox::new();
    assert!(outbox.cursor(0, 0).is_some());
    assert!(outbox.cursor(0, 1).is_none() && outbox.cursor(1, 0).is_none());
    for length in [5, 0, 9] {
        outbox.push(&alloc::vec![7; length]);
    }
    assert!(outbox.cursor(0, 4).is_some() && outbox.cursor(0, 5).is_none());
    assert!(outbox.cursor(1, 0).is_some() && outbox.cursor(1, 1).is_none());
    assert!(outbox.cursor(3, 0).is_some() && outbox.cursor(3, 1).is_none() && outbox.cursor(4, 0).is_none());
    outbox.ack(2);
    assert!(
        outbox.cursor(1, 0).is_none() && outbox.cursor(2, 8).is_some() && outbox.cursor(u64::MAX, u32::MAX).is_none()
    );
}

/// `Limits::unacked_bytes` promises at most twice the payload, with 5 bytes more for each message.
#[test]
fn memory_stays_within_twice_what_is_kept() {
    for seed in 0..20 {
        let mut dice = Dice::new(seed);
        let mut outbox = Outbox::new();
        let (limit, messages) = (200_000, 400);
        for _ in 0..3000 {
            let length = dice.length();
            if outbox.payload() + length as u64 <= limit && outbox.messages() < messages {
                outbox.push(&alloc::vec![1; length]);
            } else {
                outbox.ack(outbox.acked() + dice.between(1, outbox.messages()));
            }
            assert!(
                outbox.is_empty() || outbox.reach() + TAILROOM <= outbox.buffer.len(),
                "seed {seed}: no room to pad the last message"
            );
            let bound = 2 * (limit + 5 * messages + 128) as usize;
            assert!(
                outbox.memory() <= bound,
                "seed {seed}: {} bytes for {limit}",
                outbox.memory()
            );
        }
        outbox.ack(outbox.next());
        outbox.shrink();
        assert_eq!(outbox.memory(), 0);
    }
}

/// A flow of which something is always un-ACKed stays at the front of a buffer that was once needed whole: there it is in the cache.
#[test]
fn a_steady_flow_keeps_to_the_front_of_the_buffer() {
    let mut outbox = Outbox::new();
    let message = |seq: u64| alloc::vec![seq as u8; 1000];
    while outbox.payload() < 1 << 20 {
        outbox.push(&message(outbox.next()));
    }
    outbox.ack(outbox.next() - 16);
    let held = outbox.memory();
    for _ in 0..10_000 {
        outbox.push(&message(outbox.next()));
        outbox.ack(outbox.next() - 16);
        assert!(outbox.reach() < 64 << 10, "{} bytes for 16,000", outbox.reach());
        let first = outbox.acked();
        let entries = outbox.unacked().chunks(1002);
        assert!(
            entries.len() == 16
                && entries
                    .enumerate()
                    .all(|(index, entry)| entry[2..] == message(first + index as u64))
        );
    }
    assert_eq!(outbox.memory(), held, "nothing was asked of the allocator");
}

const PLENTY: Credit = Credit {
    messages: u64::MAX,
    payload: u64::MAX,
};

/// However little room this record has left.
#[test]
fn only_what_fits_no_record_goes_in_fragments() {
    const RECORD: usize = 16_000;
    let heads = frame::data_header_len(64) + 2;
    for (length, whole) in [(10_000, true), (RECORD - heads, true), (RECORD - heads + 1, false)] {
        let mut outbox = Outbox::restore(64, 64, 0, &[]);
        for _ in 0..2 {
            outbox.push(&alloc::vec![7; length]);
        }
        let piece = outbox.take(&mut outbox.rewind(), &PLENTY, RECORD, RECORD);
        assert_eq!(matches!(piece, Some(Piece::Run { seq: 64, .. })), whole, "{length}");
    }
}

#[test]
fn no_fragment_is_shorter_than_64_bytes_but_the_last() {
    const LENGTH: u32 = 20_000;
    let mut outbox = Outbox::new();
    outbox.push(&alloc::vec![7; LENGTH as usize]);
    let head = frame::fragment_header_len(0, LENGTH, 0, LENGTH as usize);
    for (room, fits) in [(0, false), (1, false), (63, false), (64, true)] {
        let piece = outbox.take(&mut outbox.rewind(), &PLENTY, head + room, 16_000);
        assert_eq!(piece.is_some(), fits, "{room}");
    }
    let mut last = outbox.cursor(0, LENGTH - 1).expect("it is in it");
    assert!(outbox.take(&mut last, &PLENTY, 100, 16_000).is_some());
    assert!(outbox.all_carried(&last));
}

/// Else a session that was never heard of could start over and send it twice.
#[test]
fn what_a_link_got_a_part_of_was_carried() {
    let mut outbox = Outbox::new();
    outbox.push(&[7; 20_000]);
    assert!(!outbox.was_carried());
    assert!(outbox.take(&mut outbox.rewind(), &PLENTY, 1000, 16_000).is_some());
    assert!(outbox.was_carried() && outbox.carried() == 0);
}

/// The process that had it before had carried more than its last snapshot tells.
#[test]
fn what_is_acked_was_carried_whatever_a_snapshot_says() {
    let entries = [2, 7].repeat(4);
    let mut outbox = Outbox::restore(10, 10, 4, &entries);
    outbox.ack(12);
    assert_eq!((outbox.carried(), outbox.acked(), outbox.next()), (12, 12, 14));
}

/// Wherever in the buffer it ends, and however it came there.
#[test]
fn there_is_always_room_to_pad_the_last_message() {
    let room = Room {
        messages: 2,
        payload: 1 << 20,
        longest: 100,
    };
    for length in 0..80 {
        let message = alloc::vec![7; length];
        let (mut one_by_one, mut many) = (Outbox::new(), Outbox::new());
        for turn in 0..1000 {
            one_by_one.push(&message);
            many.push_many(&[&message, &message][(turn + 1) % 2..], &room);
            for outbox in [&one_by_one, &many] {
                assert!(outbox.reach() + TAILROOM <= outbox.buffer.len(), "{length}");
            }
        }
    }
}

/// There was credit for all of it when it began.
#[test]
fn a_message_that_has_begun_goes_on_whatever_the_credit_says() {
    let mut outbox = Outbox::new();
    outbox.push(&[7; 20_000]);
    let mut cursor = outbox.rewind();
    assert!(!outbox.has_more(&cursor, &Credit::default()));
    assert!(outbox.take(&mut cursor, &PLENTY, 1000, 16_000).is_some());
    assert!(outbox.has_more(&cursor, &Credit::default()));
    assert!(outbox.take(&mut cursor, &Credit::default(), 1000, 16_000).is_some());
}

#[test]
fn an_empty_message_takes_the_room_of_its_length() {
    let head = frame::data_header_len(0);
    for (room, fits) in [(0, false), (head - 1, false), (head, false), (head + 1, true)] {
        let mut outbox = Outbox::new();
        outbox.push(&[]);
        let piece = outbox.take(&mut outbox.rewind(), &PLENTY, room, 16_000);
        assert_eq!(piece.is_some(), fits, "{room}");
    }
}
