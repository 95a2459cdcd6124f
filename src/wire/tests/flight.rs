//! Payloads of the first flights: there and back, cut at every byte, grown, and with each wrong value.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

use crate::wire::flight::*;
use crate::wire::frame::CloseKind;
use crate::wire::varint;

const OUTER: [u8; 12] = *b"UNB\x01\x02\0keyi\x01\x00";

prop_compose! {
    fn versions()(min: u8, max: u8) -> Versions {
        Versions { min: min.min(max), max: min.max(max) }
    }
}
prop_compose! {
    fn window()(messages in 1u32.., a: u32, b: u32) -> Window {
        Window { messages, bytes: a.max(b), max_message: a.min(b) }
    }
}
prop_compose! {
    fn position()(a in 0..=varint::MAX, b in 0..=varint::MAX, recv_offset: u32) -> Position {
        Position { recv_next: a.max(b), recv_offset, delivered: a.min(b) }
    }
}
prop_compose! {
    fn hello()(versions in versions(), capabilities: u32, window in window()) -> Hello {
        Hello { versions, capabilities, window }
    }
}

fn resume() -> Resume<'static> {
    Resume {
        versions: Versions { min: 1, max: 2 },
        last_live: 3,
        last_token: u64::MAX,
        position: Position {
            recv_next: 9,
            recv_offset: 4,
            delivered: 7,
        },
        send_base: 5,
        send_end: varint::MAX,
        window: Window {
            messages: 1,
            bytes: 10,
            max_message: 10,
        },
        early: b"",
    }
}

fn ok(address: &str) -> AcceptOk<'_> {
    AcceptOk {
        handle: [1; 16],
        session_id: [2; 16],
        token: 3,
        position: Position {
            recv_next: 9,
            recv_offset: 0,
            delivered: 9,
        },
        window: Window {
            messages: 64,
            bytes: 4096,
            max_message: 1024,
        },
        detached_ms: 60_000,
        address,
        send_base: 4,
        send_end: 9,
    }
}

fn bytes(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hello_round_trips_and_may_grow(hello in hello(), more: [u8; 5]) {
        let mut encoded = bytes(|out| hello.encode(out));
        prop_assert_eq!(encoded.len(), Hello::LEN);
        prop_assert_eq!(Hello::parse(&encoded), Ok(hello));
        for cut in 0..encoded.len() {
            prop_assert!(Hello::parse(&encoded[..cut]).is_err());
        }
        encoded.extend_from_slice(&more);
        prop_assert_eq!(Hello::parse(&encoded), Ok(hello));
    }

    #[test]
    fn resume_round_trips(
        hello in hello(), last_live: u32, last_token: u64, position in position(),
        send_base in 0..=varint::MAX, send_end in 0..=varint::MAX,
        early in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let Hello { versions, window, .. } = hello;
        let resume = Resume { versions, last_live, last_token, position, send_base, send_end, window, early: &early };
        let encoded = bytes(|out| resume.encode(out));
        prop_assert_eq!(encoded.len(), Resume::FIXED_LEN + early.len());
        prop_assert_eq!(Resume::parse(&encoded), Ok(resume));
        for cut in 0..Resume::FIXED_LEN {
            prop_assert!(Resume::parse(&encoded[..cut]).is_err());
        }
    }

    #[test]
    fn accept_round_trips_and_may_grow(
        handle: [u8; 16], session_id: [u8; 16], token: u64, position in position(), window in window(),
        detached_ms: u32, address in "[a-zé:0-9]{0,120}", send_base in 0..=varint::MAX, send_end in 0..=varint::MAX, outer: [u8; 12], more: [u8; 5],
    ) {
        let ok = AcceptOk { handle, session_id, token, position, window, detached_ms, address: &address, send_base, send_end };
        let accept = Accept::Ok(ok);
        let mut encoded = bytes(|out| accept.encode(&outer, out));
        prop_assert_eq!(encoded.len(), accept.encoded_len());
        prop_assert_eq!(Accept::parse(&encoded, &outer), Ok(accept));
        // U-64: a server may leave the last field out.
        let without = encoded.len() - 8;
        for cut in 0..without {
            prop_assert!(Accept::parse(&encoded[..cut], &outer).is_err());
        }
        let unsaid = Accept::Ok(AcceptOk { send_end: varint::MAX, ..ok });
        for cut in without..encoded.len() {
            prop_assert_eq!(Accept::parse(&encoded[..cut], &outer), Ok(unsaid));
        }
        encoded.extend_from_slice(&more);
        prop_assert_eq!(Accept::parse(&encoded, &outer), Ok(accept));
    }

    #[test]
    fn header_and_refuse_round_trip(handle: [u8; 16], attempt: u32, v in versions(), retry_ms: u32, code in 1u8..=6) {
        let header = ResumeHeader { handle, attempt };
        let encoded = bytes(|out| header.encode(out));
        prop_assert_eq!(encoded.len(), ResumeHeader::LEN);
        prop_assert_eq!(ResumeHeader::parse(&encoded), Ok(header));
        prop_assert!(ResumeHeader::parse(&encoded[..19]).is_err());

        let code = RefuseCode::from_byte(code).unwrap();
        let refuse = Refuse { code, retry_ms, min_version: v.min, max_version: v.max };
        let encoded = bytes(|out| refuse.encode(out));
        prop_assert_eq!(encoded.len(), REFUSE_LEN);
        prop_assert_eq!(Refuse::parse(&encoded), Ok(refuse));
    }

    /// Any bytes give a value or an error, and a value encodes to the bytes it was read from.
    #[test]
    fn parsing_is_total(payload in proptest::collection::vec(any::<u8>(), 0..200), status in 0u8..8) {
        if let Ok(hello) = Hello::parse(&payload) {
            prop_assert!(payload.starts_with(&bytes(|out| hello.encode(out))));
        }
        if let Ok(resume) = Resume::parse(&payload) {
            prop_assert_eq!(bytes(|out| resume.encode(out)), &payload[..]);
        }
        if let Ok(refuse) = Refuse::parse(&payload) {
            prop_assert_eq!(bytes(|out| refuse.encode(out)), &payload[..]);
        }
        let mut accept = OUTER.to_vec();
        accept.push(status);
        accept.extend_from_slice(&payload);
        if let Ok(Accept::Ok(ok)) = Accept::parse(&accept, &OUTER) {
            let again = bytes(|out| Accept::Ok(ok).encode(&OUTER, out));
            let said = if accept.len() < again.len() { again.len() - 8 } else { again.len() };
            prop_assert!(accept.starts_with(&again[..said]));
        }
    }
}

#[test]
fn sizes_are_the_documents() {
    assert_eq!(
        (Hello::LEN, Resume::FIXED_LEN, AcceptOk::FIXED_LEN, LostStatus::LEN),
        (18, 62, 106, 18)
    );
    assert_eq!((MAC1_OFFSET, RESUME_JUDGED), (32, 80));
    const { assert!(NOISE_OVERHEAD + AcceptOk::FIXED_LEN + 255 <= ACCEPT_MAX) };
    const { assert!(RESUME_JUDGED - 12 + Resume::FIXED_LEN + EARLY_MAX + 16 <= RESUME_MAX) };
}

#[test]
fn early_frames_are_bounded() {
    let early = vec![0; EARLY_MAX + 1];
    let mut encoded = bytes(|out| resume().encode(out));
    encoded.extend_from_slice(&early);
    assert!(Resume::parse(&encoded).is_err());
    encoded.pop();
    assert_eq!(Resume::parse(&encoded).unwrap().early.len(), EARLY_MAX);
}

#[test]
fn wrong_values_are_refused() {
    /// The payload with some bytes replaced.
    fn patched(at: usize, with: &[u8]) -> Result<Vec<u8>, FlightError> {
        let mut encoded = bytes(|out| resume().encode(out));
        encoded[at..at + with.len()].copy_from_slice(with);
        Resume::parse(&encoded).map(|_| encoded.clone())
    }
    let above = (varint::MAX + 1).to_be_bytes();
    assert!(patched(0, &[1, 2]).is_ok());
    assert!(patched(0, &[3, 2]).is_err(), "versions upside down");
    assert!(patched(14, &above).is_err(), "recv_next");
    assert!(patched(26, &above).is_err(), "delivered");
    assert!(patched(26, &10u64.to_be_bytes()).is_err(), "delivered above recv_next");
    assert!(patched(26, &9u64.to_be_bytes()).is_ok());
    assert!(patched(34, &above).is_err(), "send_base");
    assert!(patched(42, &above).is_err(), "send_end");
    assert!(patched(50, &[0; 4]).is_err(), "no messages");
    assert!(patched(54, &9u32.to_be_bytes()).is_err(), "bytes below max_message");
}

#[test]
fn versions_and_windows_of_no_use_cannot_be_made() {
    assert!(Versions::new(2, 1).is_none() && Versions::new(1, 1).is_some());
    assert!(Window::new(0, 9, 9).is_none() && Window::new(1, 8, 9).is_none() && Window::new(1, 9, 9).is_some());
}

#[test]
fn accept_under_another_prelude_is_refused() {
    for accept in [Accept::Ok(ok("")), Accept::Lost(LostStatus::Unknown)] {
        let encoded = bytes(|out| accept.encode(&OUTER, out));
        for bit in 0..OUTER.len() * 8 {
            let mut outer = OUTER;
            outer[bit / 8] ^= 1 << (bit % 8);
            assert!(Accept::parse(&encoded, &outer).is_err());
        }
    }
}

/// U-64: the last field may be missing, but if it is there it is a number of a message, as all others are.
#[test]
fn what_an_accepted_client_learns_is_bounded() {
    /// Whether it is read with this number in a field that begins so many bytes before the end.
    fn patched(from_end: usize, number: u64) -> bool {
        let mut encoded = bytes(|out| Accept::Ok(ok("")).encode(&OUTER, out));
        let at = encoded.len() - from_end;
        encoded[at..at + 8].copy_from_slice(&number.to_be_bytes());
        Accept::parse(&encoded, &OUTER).is_ok()
    }
    for (field, from_end) in [("send_base", 16), ("send_end", 8)] {
        assert!(patched(from_end, varint::MAX), "{field}");
        assert!(!patched(from_end, varint::MAX + 1), "{field}");
        assert!(!patched(from_end, u64::MAX), "{field}");
    }
}

#[test]
fn every_status_and_close_kind_of_a_lost_session() {
    for status in 1..=u8::MAX {
        for kind in 0..=u8::MAX {
            let mut payload = OUTER.to_vec();
            payload.extend_from_slice(&[status, kind, 0, 0, 1, 2]);
            if status == 2 {
                payload.extend_from_slice(&[0, 0, 0, 0, 0, 0, 3, 4]);
            }
            let code = 0x0102;
            let expected = match (status, CloseKind::from_byte(kind)) {
                (1, _) => Some(LostStatus::Unknown),
                (2, Some(kind)) => Some(LostStatus::Closed {
                    kind,
                    code,
                    send_end: 0x0304,
                }),
                (3, _) => Some(LostStatus::RolledBack),
                (4, _) => Some(LostStatus::OwnerCrashed),
                (5, _) => Some(LostStatus::Refused { code }),
                (6, _) => Some(LostStatus::Alive),
                _ => None,
            };
            assert_eq!(Accept::parse(&payload, &OUTER).ok(), expected.map(Accept::Lost));
            if let Some(status) = expected {
                let again = bytes(|out| Accept::Lost(status).encode(&OUTER, out));
                assert_eq!(again.len(), Accept::Lost(status).encoded_len());
                assert_eq!(Accept::parse(&again, &OUTER), Ok(Accept::Lost(status)));
            }
            for cut in 0..payload.len() {
                assert!(Accept::parse(&payload[..cut], &OUTER).is_err());
            }
        }
    }
}

#[test]
fn addresses_reach_255_bytes_and_are_utf8() {
    let longest: String = core::iter::repeat_n('a', 255).collect();
    let encoded = bytes(|out| Accept::Ok(ok(&longest)).encode(&OUTER, out));
    assert_eq!(Accept::parse(&encoded, &OUTER), Ok(Accept::Ok(ok(&longest))));
    let mut encoded = bytes(|out| Accept::Ok(ok("ab")).encode(&OUTER, out));
    // The address stands before the last two fields, 8 bytes each.
    let last = encoded.len() - 17;
    encoded[last] = 0xff;
    assert!(Accept::parse(&encoded, &OUTER).is_err());
}

#[test]
fn refuse_has_exactly_seven_bytes_and_a_known_code() {
    for code in 0..=u8::MAX {
        let bytes = [code, 0, 0, 0, 9, 1, 1, 0];
        assert_eq!(Refuse::parse(&bytes[..7]).is_ok(), (1..=6).contains(&code));
        assert!(Refuse::parse(&bytes).is_err() && Refuse::parse(&bytes[..6]).is_err());
    }
    assert!(Refuse::parse(&[2, 0, 0, 0, 9, 3, 1]).is_err(), "versions upside down");
}
