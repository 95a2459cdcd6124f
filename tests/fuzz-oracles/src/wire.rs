//! The parsers: they take any bytes, and what they give can be written and read again.

use unbroken::wire::flight::{Accept, Hello, Refuse, Resume, ResumeHeader};
use unbroken::wire::frame::{Frame, Frames};
use unbroken::wire::prelude::{LEN, Prelude, magic_matches};
use unbroken::wire::{record, varint};

use crate::reencode::{reencode, same};

/// Preludes and the payloads of all five flights.
pub fn prelude(data: &[u8]) {
    if let Some((head, body)) = data.split_first_chunk::<LEN>() {
        match Prelude::parse(head) {
            Ok(prelude) => {
                assert!(magic_matches(head), "parsed without the magic");
                assert_eq!(prelude.encode(), *head, "a prelude has one form");
            }
            Err(_) => assert!(!head.starts_with(b"UNB\x01\x01\x00") || prelude_length_is_bad(head)),
        }
        if let Ok(accept) = Accept::parse(data, head) {
            let mut out = Vec::new();
            accept.encode(head, &mut out);
            assert_eq!(out.len(), accept.encoded_len());
            assert_eq!(Accept::parse(&out, head), Ok(accept));
        }
        payloads(body);
    }
    payloads(data);
    numbers(data);
}

fn prelude_length_is_bad(head: &[u8; LEN]) -> bool {
    let (min, max) = unbroken::wire::prelude::FlightKind::Hello.lengths();
    !(min..=max).contains(&u16::from_be_bytes([head[10], head[11]]))
}

fn payloads(data: &[u8]) {
    let mut out = Vec::new();
    if let Ok(hello) = Hello::parse(data) {
        hello.encode(&mut out);
        assert_eq!(out, data[..Hello::LEN]);
        out.clear();
    }
    if let Ok(header) = ResumeHeader::parse(data) {
        header.encode(&mut out);
        assert_eq!(out, data[..ResumeHeader::LEN]);
        out.clear();
    }
    if let Ok(resume) = Resume::parse(data) {
        resume.encode(&mut out);
        assert_eq!(out, data);
        out.clear();
    }
    if let Ok(refuse) = Refuse::parse(data) {
        refuse.encode(&mut out);
        assert_eq!(out, data);
    }
}

fn numbers(data: &[u8]) {
    if let Some((value, taken)) = varint::read(data) {
        assert!(value <= varint::MAX && taken <= data.len());
        let mut out = Vec::new();
        varint::put(&mut out, value);
        assert!(out.len() <= taken && out.len() == varint::len(value));
        assert_eq!(varint::read(&out), Some((value, out.len())));
    }
    if let Ok(Some(length)) = record::length(data) {
        assert!(length > record::TAG && length <= record::SEALED_MAX);
        assert_eq!(record::length_field(length - record::TAG), data[..2]);
    }
}

/// The frames of an opened record.
pub fn frames(data: &[u8]) {
    let plaintext = &data[..data.len().min(record::PLAINTEXT_MAX)];
    let mut walk = Frames::new(plaintext);
    let mut seen: Vec<Frame<'_>> = Vec::new();
    let mut well_formed = true;
    let mut at = 0;
    loop {
        // A reader that let go of the record between two frames sees the same.
        let resumed = Frames::new(plaintext).from_position(at).next();
        let next = walk.next();
        assert_eq!(resumed.is_some(), next.is_some());
        match next {
            None => break,
            Some(Ok(frame)) => {
                assert!(well_formed, "a frame after an error");
                assert!(
                    walk.position() > at && walk.position() <= plaintext.len(),
                    "each frame takes bytes"
                );
                at = walk.position();
                check(&frame, plaintext);
                seen.push(frame);
            }
            Some(Err(_)) => {
                well_formed = false;
                at = walk.position();
            }
        }
    }
    assert!(seen.len() <= plaintext.len());
    let early: Vec<_> = Frames::early(plaintext).collect();
    if early.iter().all(Result::is_ok) {
        assert!(well_formed && early.len() == seen.len(), "early frames are frames");
    }
    let mut out = Vec::new();
    seen.iter().for_each(|frame| reencode(frame, &mut out));
    let again: Vec<_> = Frames::new(&out)
        .map(|frame| frame.expect("what was written is well formed"))
        .collect();
    assert_eq!(again.len(), seen.len());
    assert!(
        again.iter().zip(&seen).all(|(a, b)| same(a, b)),
        "{again:?} is not {seen:?}"
    );
}

/// What the holder of a frame may rely on.
fn check(frame: &Frame<'_>, plaintext: &[u8]) {
    match frame {
        Frame::Data(run) => {
            assert!(run.count > 0 && run.seq + run.count <= varint::MAX);
            assert_eq!(run.iter().count() as u64, run.count);
            assert_eq!(run.iter().map(|message| message.len() as u64).sum::<u64>(), run.payload);
            assert_eq!(run.bytes, &plaintext[run.offset..run.offset + run.bytes.len()]);
        }
        Frame::Fragment(part) => {
            assert!(!part.bytes.is_empty() && part.seq < varint::MAX);
            assert!(u64::from(part.offset) + part.bytes.len() as u64 <= u64::from(part.total));
        }
        Frame::Ack(ack) => assert!(ack.recv_next.max(ack.messages).max(ack.bytes) <= varint::MAX),
        Frame::Keys(keys) => assert!((1..=4).contains(&keys.len()) && keys.iter().count() == keys.len()),
        _ => {}
    }
    let _ = format!("{frame:?}");
}
