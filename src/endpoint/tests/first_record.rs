//! When a server may rely on a new link: as soon as its client has shown its keys, not when a backlog has got through.

use alloc::vec;
use core::time::Duration;

use super::stand::{Stand, name};
use crate::config::Durability;
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
