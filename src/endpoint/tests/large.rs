//! Messages that fit no record: how many records they take.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::memory::settle;
use crate::config::{ClientConfig, ServerConfig};
use crate::crypto::{ClusterKey, Seed, ServerKey};
use crate::endpoint::Endpoint;
use crate::event::Output;
use crate::session::Session;
use crate::time::Instant;
use crate::wire::record;

fn ends(now: Instant) -> (Session, Endpoint) {
    let key = ServerKey::from_bytes([7; 32]).expect("not zero");
    let client = ClientConfig::builder(key.public()).build().expect("good");
    let cluster = ClusterKey::from_bytes([9; 32]).expect("not zero");
    let server = ServerConfig::builder(key, cluster)
        .authorise_all(true)
        .build()
        .expect("good");
    let mut client = Session::connect(Arc::new(client), Seed::new([1; 32]), now);
    let mut server = Endpoint::new(Arc::new(server), Seed::new([2; 32]), now);
    settle(&mut client, &mut server, now);
    (client, server)
}

/// Sends these messages in one flush, looks whether they arrive, and says how many records they took.
fn records(messages: &[Vec<u8>]) -> usize {
    let now = Instant::from_millis(1);
    let (mut client, mut server) = ends(now);
    for message in messages {
        client.send_slice(message).expect("there is room");
    }
    let mut buffer = vec![0; 65536];
    let mut count = 0;
    while let Some(output) = client.poll_output(&mut buffer, now) {
        let Output::Send { link, len } = output else {
            panic!("{output:?}");
        };
        let mut rest = &buffer[..len];
        while let Some(length) = record::length(rest).expect("a record") {
            rest = &rest[record::LENGTH_LEN + length..];
            count += 1;
        }
        server.handle_input(link, &buffer[..len], now);
    }
    let mut session = server.session(client.id().expect("established")).expect("is here");
    for (index, message) in messages.iter().enumerate() {
        let arrived = session.recv().map(|arrived| arrived.payload == message);
        assert_eq!(arrived, Some(true), "message {index}");
    }
    assert!(session.recv().is_none());
    count
}

#[test]
fn the_short_end_of_a_message_shares_a_record_with_what_follows() {
    let message = |index: u8, size: usize| (0..size).map(|at| index ^ (at % 251) as u8).collect::<Vec<u8>>();
    // Each is a little more than a record; eight of them with their headers are a little more than eight.
    let large: Vec<_> = (0..8).map(|index| message(index, record::PLAINTEXT_MAX)).collect();
    assert_eq!(records(&large), 9);
    // Small ones behind a large one stand in the record of its end.
    let mixed = [
        message(1, record::PLAINTEXT_MAX),
        message(2, 30),
        message(3, 0),
        message(4, 300),
    ];
    assert_eq!(records(&mixed), 2);
    // And a message that fits one record, but not what the end leaves of it, has the next.
    let full = [
        message(1, record::PLAINTEXT_MAX),
        message(2, record::PLAINTEXT_MAX - 20),
    ];
    assert_eq!(records(&full), 3);
}
