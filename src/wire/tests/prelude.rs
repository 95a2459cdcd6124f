//! The prelude, exhaustively: each byte over all its values, each length of each type.

use crate::wire::prelude::{FlightKind, Prelude, PreludeError, magic_matches};

const KINDS: [FlightKind; 5] = [
    FlightKind::Hello,
    FlightKind::Accept,
    FlightKind::Resume,
    FlightKind::Refuse,
    FlightKind::Query,
];

fn good(kind: FlightKind) -> Prelude {
    Prelude {
        version: 1,
        kind,
        key_id: [0xde, 0xad, 0xbe, 0xef],
        length: kind.lengths().1,
    }
}

/// Every prelude that differs from a good one in the byte `at`.
fn vary(at: usize, mut check: impl FnMut(FlightKind, u8, Result<Prelude, PreludeError>)) {
    for kind in KINDS {
        for byte in 0..=u8::MAX {
            let mut bytes = good(kind).encode();
            bytes[at] = byte;
            check(kind, byte, Prelude::parse(&bytes));
        }
    }
}

#[test]
fn layout_is_the_documents() {
    let bytes = good(FlightKind::Refuse).encode();
    assert_eq!(bytes, [0x55, 0x4e, 0x42, 1, 4, 0, 0xde, 0xad, 0xbe, 0xef, 0, 7]);
    for kind in KINDS {
        assert_eq!(Prelude::parse(&good(kind).encode()), Ok(good(kind)));
    }
}

#[test]
fn f01_any_other_magic_is_refused() {
    for (at, magic) in b"UNB".iter().enumerate() {
        vary(at, |_, byte, parsed| match byte == *magic {
            true => assert!(parsed.is_ok()),
            false => assert_eq!(parsed, Err(PreludeError::Magic)),
        });
    }
}

#[test]
fn f03_any_version_is_handed_on_with_whatever_length() {
    vary(3, |kind, byte, parsed| {
        assert_eq!(
            parsed,
            Ok(Prelude {
                version: byte,
                ..good(kind)
            })
        );
    });
    for length in 0..=u16::MAX {
        let prelude = Prelude {
            version: 2,
            length,
            ..good(FlightKind::Hello)
        };
        assert_eq!(Prelude::parse(&prelude.encode()), Ok(prelude));
    }
}

#[test]
fn f04_any_other_type_or_flag_is_refused() {
    vary(4, |kind, byte, parsed| match FlightKind::from_byte(byte) {
        None => assert_eq!(parsed, Err(PreludeError::Kind(byte))),
        Some(other) => {
            assert_eq!(other as u8, byte);
            // The length was `kind`'s greatest; the other type judges it by its own bounds.
            let (min, max) = other.lengths();
            let fits = (min..=max).contains(&kind.lengths().1);
            assert_eq!(parsed.is_ok(), fits, "{kind:?} as {other:?}");
        }
    });
    vary(5, |_, byte, parsed| match byte {
        0 => assert!(parsed.is_ok()),
        _ => assert_eq!(parsed, Err(PreludeError::Flags(byte))),
    });
}

#[test]
fn f05_every_length_is_held_against_the_types_bounds() {
    let bounds = [(66, 2048), (66, 2048), (146, 16640), (7, 7), (86, 2048)];
    for (kind, (min, max)) in KINDS.into_iter().zip(bounds) {
        for length in 0..=u16::MAX {
            let prelude = Prelude { length, ..good(kind) };
            let expected = match (min..=max).contains(&length) {
                true => Ok(prelude),
                false => Err(PreludeError::Length { kind, length }),
            };
            assert_eq!(Prelude::parse(&prelude.encode()), expected);
        }
    }
}

#[test]
fn the_key_id_is_opaque() {
    for at in 6..10 {
        vary(at, |_, byte, parsed| assert_eq!(parsed.unwrap().key_id[at - 6], byte));
    }
}

#[test]
fn checks_come_in_their_order() {
    let mut bytes = [0xff; 12];
    assert_eq!(Prelude::parse(&bytes), Err(PreludeError::Magic));
    bytes[..4].copy_from_slice(b"UNB\x01");
    assert_eq!(Prelude::parse(&bytes), Err(PreludeError::Kind(0xff)));
    bytes[4] = 1;
    assert_eq!(Prelude::parse(&bytes), Err(PreludeError::Flags(0xff)));
    bytes[5] = 0;
    let kind = FlightKind::Hello;
    assert_eq!(
        Prelude::parse(&bytes),
        Err(PreludeError::Length { kind, length: 0xffff })
    );
}

#[test]
fn f08_http_and_tls_die_after_one_byte() {
    let strangers: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n",
        b"POST /",
        b"OPTIONS *",
        b"PRI * HTTP/2.0",
        b"\x16\x03\x01\x02\x00\x01",
        b"SSH-2.0-",
    ];
    for stranger in strangers {
        assert!(!magic_matches(&stranger[..1]));
        assert!(!magic_matches(stranger));
    }
    for byte in 0..=u8::MAX {
        assert_eq!(magic_matches(&[byte]), byte == b'U');
    }
}

#[test]
fn f23_a_near_miss_dies_at_its_first_wrong_byte() {
    assert!(magic_matches(b""));
    assert!(magic_matches(b"U"));
    assert!(magic_matches(b"UN"));
    assert!(magic_matches(b"UNB"));
    assert!(magic_matches(b"UNBxyz"), "only the magic is looked at");
    // WebDAV's methods are the nearest thing to a collision.
    assert!(!magic_matches(b"UP"));
    assert!(!magic_matches(b"UNL"));
    assert!(magic_matches(b"UNBIND /"));
    assert_eq!(Prelude::parse(b"UNBIND /a/b "), Err(PreludeError::Kind(b'N')));
}
