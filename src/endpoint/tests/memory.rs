//! What a session holds when it has gone quiet: next to nothing, at both ends.

use alloc::sync::Arc;
use alloc::vec;
use core::time::Duration;

use crate::config::{ClientConfig, ServerConfig};
use crate::crypto::{ClusterKey, Seed, ServerKey};
use crate::endpoint::{Endpoint, locator_of};
use crate::event::Output;
use crate::session::Session;
use crate::time::Instant;

/// Lets both ends talk until nothing moves any more.
pub fn settle(client: &mut Session, server: &mut Endpoint, now: Instant) {
    let mut buffer = vec![0; 65536];
    client.handle_timeout(now);
    server.handle_timeout(now);
    loop {
        let mut idle = true;
        while let Some(output) = client.poll_output(&mut buffer, now) {
            idle = false;
            match output {
                Output::OpenLink { link, .. } => {
                    client.handle_link_up(link, now);
                    server.handle_link_up(link, now);
                }
                Output::Send { link, len } => server.handle_input(link, &buffer[..len], now),
                Output::CloseLink { link } => server.handle_link_down(link, now),
            }
        }
        while let Some(output) = server.poll_output(&mut buffer, now) {
            idle = false;
            match output {
                Output::Send { link, len } => client.handle_input(link, &buffer[..len], now),
                Output::CloseLink { link } => client.handle_link_down(link, now),
                Output::OpenLink { .. } => unreachable!("a server opens no links"),
            }
        }
        while client.poll_event().is_some() || server.poll_event().is_some() {}
        while client.recv().is_some() {}
        if let Some(mut session) = client.id().and_then(|id| server.session(id)) {
            while session.recv().is_some() {}
        }
        if idle {
            return;
        }
    }
}

#[test]
fn a_session_that_has_gone_quiet_holds_next_to_nothing_at_either_end() {
    let key = ServerKey::from_bytes([7; 32]).expect("not zero");
    let client = ClientConfig::builder(key.public()).build().expect("good");
    let cluster = ClusterKey::from_bytes([9; 32]).expect("not zero");
    let server = ServerConfig::builder(key, cluster)
        .authorise_all(true)
        .build()
        .expect("good");
    let mut now = Instant::from_millis(1);
    let mut client = Session::connect(Arc::new(client), Seed::new([1; 32]), now);
    let mut server = Endpoint::new(Arc::new(server), Seed::new([2; 32]), now);
    settle(&mut client, &mut server, now);
    let id = client.id().expect("established");
    for _ in 0..20 {
        client.send(vec![1; 30_000].into()).expect("there is room");
        server
            .session(id)
            .expect("is here")
            .send(vec![2; 30_000].into())
            .expect("there is room");
    }
    settle(&mut client, &mut server, now);
    let held = |server: &Endpoint| {
        let talk = &server.sessions[&locator_of(&id)].talk;
        talk.outbox.memory() + talk.inbox.memory()
    };
    assert!(
        held(&server) > 100_000,
        "so much was under way that buffers grew: {}",
        held(&server)
    );
    // Until the client probes the idle link.
    for _ in 0..60 {
        now += Duration::from_secs(1);
        settle(&mut client, &mut server, now);
    }
    assert!(
        held(&server) <= 1024,
        "the server holds {} bytes for a quiet session",
        held(&server)
    );
    assert_eq!(client.stats().unacked_messages, 0);
    // Nor is a key kept in the form that a cipher works with, longer than it is used.
    let keys_rest = |server: &Endpoint| {
        let link = &server.sessions[&locator_of(&id)].talk.links[0];
        (link.sealer.rests(), link.opener.rests())
    };
    assert_eq!((keys_rest(&server), client.keys_rest()), ((true, true), (true, true)));
    client.send(vec![3; 10].into()).expect("there is room");
    let mut session = server.session(id).expect("is here");
    session.send(vec![4; 10].into()).expect("there is room");
    drop(session);
    settle(&mut client, &mut server, now);
    assert_eq!(
        (keys_rest(&server), client.keys_rest()),
        ((false, false), (false, false)),
        "records passed"
    );
    for _ in 0..60 {
        now += Duration::from_secs(1);
        settle(&mut client, &mut server, now);
    }
    assert_eq!((keys_rest(&server), client.keys_rest()), ((true, true), (true, true)));
    assert_eq!(client.stats().received_messages, 21);
}
