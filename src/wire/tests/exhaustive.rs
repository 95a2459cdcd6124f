//! Every short record, held against a parser that was written down from section 4 of the protocol line by line, without a thought for speed.
//!
//! Domain: all records of up to two bytes, and all of up to six bytes over an alphabet that has each code with a short frame, the ends of each varint form, and
//! values that are a length, a number or a zero, as the place wants it: 65,793 + 13^3 + 13^4 + 13^5 + 13^6 = 5.3 million records, each also as
//! the early frames of a RESUME. In release and debug alike: there is no overflow, no panic, and nothing that one takes and the other does not.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::wire::frame::{Frame, FrameError, Frames};

const ALPHABET: [u8; 13] = [
    0x00, 0x01, 0x02, 0x03, 0x06, 0x09, 0x0c, 0x3f, 0x40, 0x80, 0xbf, 0xc0, 0xff,
];

/// What a record says, written down; `Err` with what stood before the fault.
type Said = Result<String, String>;

fn said(frames: Frames<'_>) -> Said {
    let mut text = String::new();
    for frame in frames {
        let _ = match frame {
            Err(_) => return Err(text),
            Ok(Frame::Data(run)) => {
                let messages: Vec<&[u8]> = run.iter().collect();
                assert_eq!(run.count, messages.len() as u64);
                assert_eq!(run.payload, messages.iter().map(|m| m.len() as u64).sum::<u64>());
                write!(text, "data {} {messages:?};", run.seq)
            }
            Ok(Frame::Ack(ack)) => write!(text, "ack {} {} {};", ack.recv_next, ack.messages, ack.bytes),
            Ok(Frame::Unreliable(bytes)) => write!(text, "unreliable {bytes:?};"),
            Ok(Frame::Auth(bytes)) => write!(text, "auth {bytes:?};"),
            Ok(Frame::CloseAck { recv_next }) => write!(text, "close-ack {recv_next};"),
            Ok(Frame::Fragment(f)) => write!(text, "fragment {} {} {} {:?};", f.seq, f.total, f.offset, f.bytes),
            Ok(other) => panic!("{other:?} does not fit into six bytes"),
        };
    }
    Ok(text)
}

/// The reference. A number is its value; all lengths here are short.
struct Page<'a> {
    rest: &'a [u8],
}

impl<'a> Page<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u64> {
        let first = self.byte()?;
        let mut value = u64::from(first & 0x3f);
        for _ in 1..1 << (first >> 6) {
            value = value << 8 | u64::from(self.byte()?);
        }
        Some(value)
    }

    fn bytes(&mut self, length: u64) -> Option<&'a [u8]> {
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= self.rest.len())?;
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(taken)
    }

    /// One frame's words; `None` if it is not well formed.
    fn frame(&mut self, early: bool) -> Option<String> {
        let mut text = String::new();
        let code = self.byte()?;
        if early && !matches!(code, 0x00 | 0x01 | 0x0c) {
            return None;
        }
        match code {
            0x00 => {
                let zeros = core::mem::take(&mut self.rest);
                zeros.iter().all(|byte| *byte == 0).then_some(text)
            }
            0x01 => {
                let seq = self.varint()?;
                let mut messages: Vec<&[u8]> = Vec::new();
                while let Some(next) = self.rest.first() {
                    if *next == 0 {
                        self.byte();
                        break;
                    }
                    let length = self.varint()?.checked_sub(1)?;
                    messages.push(self.bytes(length)?);
                }
                let last = seq + messages.len() as u64;
                write!(text, "data {seq} {messages:?};").ok()?;
                (!messages.is_empty() && last < 1 << 62).then_some(text)
            }
            0x02 => {
                let (a, b, c) = (self.varint()?, self.varint()?, self.varint()?);
                write!(text, "ack {a} {b} {c};").ok().map(|()| text)
            }
            0x03 | 0x06 | 0x40..=0x7f => {
                let length = self.varint()?;
                let bytes = self.bytes(length)?;
                match code {
                    0x03 => write!(text, "unreliable {bytes:?};").ok()?,
                    0x06 => write!(text, "auth {bytes:?};").ok()?,
                    _ => {}
                }
                Some(text)
            }
            0x09 => {
                let next = self.varint()?;
                write!(text, "close-ack {next};").ok().map(|()| text)
            }
            0x0c => {
                let (seq, total, offset, length) = (self.varint()?, self.varint()?, self.varint()?, self.varint()?);
                let bytes = self.bytes(length)?;
                let fits = seq < (1 << 62) - 1 && total < 1 << 32 && offset + length <= total && length > 0;
                write!(text, "fragment {seq} {total} {offset} {bytes:?};").ok()?;
                fits.then_some(text)
            }
            // PING, PONG, AUTH_RESULT, CLOSE, DRAIN and KEYS want more than there is; no other code is known.
            _ => None,
        }
    }
}

fn reference(record: &[u8], early: bool) -> Said {
    let mut page = Page { rest: record };
    let mut text = String::new();
    while !page.rest.is_empty() {
        match page.frame(early) {
            Some(words) => text += &words,
            None => return Err(text),
        }
    }
    Ok(text)
}

fn check(record: &[u8]) {
    assert_eq!(said(Frames::new(record)), reference(record, false), "{record:02x?}");
    assert_eq!(
        said(Frames::early(record)),
        reference(record, true),
        "early {record:02x?}"
    );
}

#[test]
fn every_record_of_up_to_two_bytes() {
    check(&[]);
    for a in 0..=u8::MAX {
        check(&[a]);
        for b in 0..=u8::MAX {
            check(&[a, b]);
        }
    }
}

#[test]
fn every_record_of_up_to_six_bytes_over_the_alphabet() {
    // One length in debug is enough to see a mistake of the test; the whole domain takes a release build some seconds.
    let longest = if cfg!(debug_assertions) { 5 } else { 6 };
    for length in 3..=longest {
        let mut record = [0; 6];
        for number in 0..ALPHABET.len().pow(length as u32) {
            let mut left = number;
            for byte in &mut record[..length] {
                *byte = ALPHABET[left % ALPHABET.len()];
                left /= ALPHABET.len();
            }
            check(&record[..length]);
        }
    }
}

/// The reference must be able to disagree: what it takes apart is not always the same, and neither always good nor always bad.
#[test]
fn the_domain_has_good_and_bad_records_of_each_kind() {
    assert_eq!(reference(&[0x01, 0x00, 0x02, 0xff], false).unwrap(), "data 0 [[255]];");
    assert_eq!(reference(&[0x01, 0x00], false), Err(String::new()));
    assert_eq!(reference(&[0x09, 0x40, 0x02, 0x00], false).unwrap(), "close-ack 2;");
    assert_eq!(reference(&[0x09, 0x02, 0x0d], false), Err("close-ack 2;".into()));
    assert_eq!(
        Frames::new(&[0x0d]).next(),
        Some(Err(FrameError::UnknownCritical(0x0d)))
    );
}
