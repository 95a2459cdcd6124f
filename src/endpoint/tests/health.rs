//! What a client says of its link while links come, fall silent, break and go.

use alloc::vec;
use core::time::Duration;

use super::stand::Stand;
use crate::config::Durability;
use crate::event::{LinkHealth, LinkId};

const SOUND: LinkHealth = LinkHealth::Sound { network: None };
const SUSPECT: LinkHealth = LinkHealth::Suspect { network: None };

#[test]
fn a_client_tells_how_its_link_is() {
    let mut stand = Stand::new(Durability::Memory);
    let i = stand.client();
    let health = |stand: &Stand| stand.clients[i].session.link_health();
    assert_eq!(health(&stand), LinkHealth::Idle, "the session does not stand yet");
    stand.run_for(Duration::from_secs(1));
    assert_eq!(health(&stand), SOUND);

    // The link falls silent, and nobody else can be reached.
    stand.clients[i].away = true;
    stand.clients[i].deaf = (0..1000).map(LinkId).collect();
    stand.clients[i]
        .session
        .send("is anybody there?".into())
        .expect("there is room");
    let mut seen = vec![health(&stand)];
    for _ in 0..6000 {
        stand.run_for(Duration::from_millis(10));
        let now = health(&stand);
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        if now == LinkHealth::Lost {
            break;
        }
    }
    assert_eq!(seen, [SOUND, SUSPECT, LinkHealth::Lost]);

    stand.clients[i].away = false;
    stand.clients[i].deaf.clear();
    stand.run_for(Duration::from_secs(20));
    assert_eq!(health(&stand), SOUND);
    stand.clients[i].session.disconnect(0);
    assert_eq!(health(&stand), LinkHealth::Idle, "it is being ended");
    stand.run_for(Duration::from_secs(1));
    assert_eq!(health(&stand), LinkHealth::Idle);
}
