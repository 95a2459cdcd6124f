//! When a server may rely on a new link: as soon as its client has shown its keys, not when a backlog has got through.

use alloc::vec;
use core::time::Duration;

use super::stand::{Stand, name};
use crate::config::{Durability, Limits};
use crate::event::{LinkId, Output};

#[test]
fn a_resumed_link_counts_after_a_few_bytes_whatever_else_waits() {
    let mut stand = Stand::new(Durability::Memory);
    let (i, _) = stand.session();
    stand.clients[i].away = true;
    stand.cut(i, LinkId(0));
    for _ in 0..100 {
        let message = vec![7; 1000].into();
        stand.clients[i].session.send(message).expect("there is room");
    }
    stand.run_for(Duration::from_secs(1));
    assert_eq!((stand.server.sessions(), stand.server.detached()), (1, 1));

    stand.clients[i].away = false;
    let (mut buffer, mut flights) = (vec![0; 65536], 0);
    for _ in 0..1000 {
        stand.now += Duration::from_millis(10);
        let now = stand.now;
        let (client, server) = (&mut stand.clients[i].session, &mut stand.server);
        client.handle_timeout(now);
        while let Some(output) = client.poll_output(&mut buffer, now) {
            match output {
                Output::OpenLink { link, .. } => {
                    client.handle_link_up(link, now);
                    server.handle_link_up(name(i, link), now);
                }
                Output::Send { link, len } if flights == 0 => {
                    server.handle_input(name(i, link), &buffer[..len], now);
                    flights += 1;
                }
                Output::Send { link, len } => {
                    assert!(len > 10_000, "the backlog is in it: {len}");
                    assert_eq!(server.detached(), 1, "not before");
                    server.handle_input(name(i, link), &buffer[..64], now);
                    assert_eq!(server.detached(), 0);
                    return;
                }
                Output::CloseLink { link } => server.handle_link_down(name(i, link), now),
            }
        }
        while let Some(output) = server.poll_output(&mut buffer, now) {
            if let Output::Send { link, len } = output {
                client.handle_input(LinkId(link.0), &buffer[..len], now);
            }
        }
    }
    panic!("it never came back");
}

/// The client gets the answer to its flight, and nothing of what it says then arrives: its link breaks.
fn answered_and_cut(stand: &mut Stand, i: usize) {
    let flight = stand.flight(i);
    let (now, link, mut buffer) = (stand.now, stand.clients[i].newest, vec![0; 65536]);
    stand.server.handle_link_up(name(i, link), now);
    stand.server.handle_input(name(i, link), &flight, now);
    while let Some(output) = stand.server.poll_output(&mut buffer, now) {
        if let Output::Send { len, .. } = output {
            stand.clients[i].session.handle_input(link, &buffer[..len], now);
        }
    }
    while let Some(Output::Send { .. }) = stand.clients[i].session.poll_output(&mut buffer, now) {}
    stand.clients[i].session.handle_link_down(link, now);
    stand.server.handle_link_down(name(i, link), now);
}

/// Each RESUME shows that there is somebody with the keys, if not yet that the answer arrives.
#[test]
fn a_session_that_was_never_confirmed_is_kept_as_long_as_its_client_comes_back_in_time() {
    let mut stand = Stand::new(Durability::Memory);
    let i = stand.client();
    stand.clients[i].session.send("hello".into()).expect("there is room");
    let limit = Limits::default().handshake;
    for _ in 0..4 {
        answered_and_cut(&mut stand, i);
        stand.now += limit / 2;
        stand.server.handle_timeout(stand.now);
    }
    stand.run_for(Duration::from_secs(1));
    assert_eq!(stand.clients[i].closed(), None);
    let id = stand.clients[i].session.id().expect("it is let in");
    assert_eq!(
        stand.server.recv(id, |message| message.payload.to_vec()),
        Some(b"hello".to_vec())
    );
    assert_eq!(stand.server.counters().sessions_opened, 1);

    let i = stand.client();
    answered_and_cut(&mut stand, i);
    answered_and_cut(&mut stand, i);
    stand.clients[i].away = true;
    stand.skip(limit - Duration::from_millis(20));
    assert_eq!(stand.server.sessions.len(), 2);
    stand.skip(Duration::from_millis(20));
    assert_eq!(stand.server.sessions.len(), 1, "nobody came back");
}
