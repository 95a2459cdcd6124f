//! Every flight finds the endpoint that has its session, from as few bytes as it takes.

use super::stand::Stand;
use crate::config::{Durability, Shard};
use crate::crypto::{ClusterKey, HandleCipher};
use crate::endpoint::router::{Route, Router, shard_of};
use crate::session::tests::Dice;
use crate::wire::prelude::{FlightKind, Prelude};

fn cluster(byte: u8) -> ClusterKey {
    ClusterKey::from_bytes([byte; 32]).expect("not zero")
}

fn flight(kind: FlightKind, handle: [u8; 16]) -> [u8; 28] {
    let prelude = Prelude {
        version: 1,
        kind,
        key_id: [1; 4],
        length: kind.lengths().1,
    };
    let mut bytes = [0; 28];
    bytes[..12].copy_from_slice(&prelude.encode());
    bytes[12..].copy_from_slice(&handle);
    bytes
}

#[test]
fn a_resume_and_a_query_find_their_shard_and_a_hello_may_go_anywhere() {
    let handles = HandleCipher::new(&cluster(3));
    let mut dice = Dice::new(1);
    let mut seen = [0; 5];
    for _ in 0..500 {
        let locator = dice.roll().to_be_bytes();
        let router = Router::new(&cluster(3), 5);
        for kind in [FlightKind::Resume, FlightKind::Query] {
            let bytes = flight(kind, handles.seal(locator, dice.roll() as u32));
            let shard = shard_of(&locator, 5);
            assert_eq!(router.route(&bytes), Route::Shard(shard));
            seen[usize::from(shard)] += 1;
            for short in 0..Router::NEEDED {
                assert_eq!(router.route(&bytes[..short]), Route::NeedMore, "{short} bytes");
            }
        }
        assert_eq!(router.route(&flight(FlightKind::Hello, [0; 16])), Route::Any);
    }
    assert!(seen.iter().all(|&count| count > 120), "{seen:?}");
}

#[test]
fn nonsense_goes_to_any_endpoint_to_be_judged_there() {
    let router = Router::new(&cluster(3), 4);
    for nonsense in [
        b"GET / HTTP/1.1\r\n\r\n".as_slice(),
        b"\x16\x03\x01",
        b"UNX",
        b"X",
        b"UNB\x01\x07",
    ] {
        assert_eq!(router.route(nonsense), Route::Any, "{nonsense:?}");
    }
    let other = HandleCipher::new(&cluster(4)).seal([7; 8], 1);
    assert_eq!(
        router.route(&flight(FlightKind::Resume, other)),
        Route::Any,
        "a handle of another cluster"
    );
    assert_eq!(router.route(b""), Route::NeedMore);
    assert_eq!(
        Router::new(&cluster(3), 0).route(b"UNB\x01\x01"),
        Route::Any,
        "a count of 0 counts as 1"
    );
}

#[test]
fn an_endpoint_gives_its_sessions_names_of_its_own_share() {
    let mut stand = Stand::changed(Durability::Memory, true, |config| {
        config.for_shard(Shard { index: 2, count: 3 }).expect("one of three")
    });
    for _ in 0..20 {
        let (_, id) = stand.session();
        assert_eq!(shard_of(&Stand::key_of(id), 3), 2);
    }
}
