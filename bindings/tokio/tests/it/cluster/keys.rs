//! A server's key is replaced under its clients.

use std::sync::Arc;
use std::time::Duration;

use unbroken_tokio::{
    Backoff, Client, ClientConfig, Durability, Event, MemoryStore, PublicKey, Server, ServerConfig, ServerKey, Store,
};

use super::balancer::Balancer;
use super::game::Games;
use crate::{LOCAL, cluster, key, soon, until};

const HOUR: Duration = Duration::from_secs(3600);

async fn member(keys: &[&ServerKey], store: &Arc<dyn Store>) -> Server {
    let [first, more @ ..] = keys else {
        panic!("at least one")
    };
    let mut config = ServerConfig::builder((*first).clone(), cluster())
        .authorise_all(true)
        .durability(Durability::SwapOut);
    for key in more {
        config = config.also_key((*key).clone());
    }
    let builder = Server::builder(config.build().expect("valid"))
        .workers(2)
        .store(store.clone());
    builder.serve_sessions(LOCAL, Games::default()).await.expect("a port")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_told_of_a_key_goes_on_where_only_that_is_left() {
    let new = ServerKey::from_bytes([77; 32]).expect("not zero");
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let old = member(&[&key(), &new], &store).await;
    let next = member(&[&new], &store).await;
    for told in [true, false] {
        // Who is lost tries in vain for as long.
        let backoff = Backoff {
            give_up_after: Duration::from_secs(if told { 60 } else { 5 }),
            ..Backoff::default()
        };
        let config = ClientConfig::builder(key().public()).backoff(backoff).build();
        let config = Arc::new(config.expect("valid"));
        let balancer = Balancer::start(&[old.local_addr()]).await;
        let client = Client::connect(balancer.address, config.clone()).await.expect("let in");
        let mut events = client.events();
        if told {
            assert_eq!(old.announce_keys(&[(new.public(), HOUR)]).await.ok(), Some(1));
        }
        // Behind what it was told.
        client.send([0; 4].as_slice()).await.expect("it stands");
        soon(client.recv()).await.expect("an answer");
        balancer.send_to(&[next.local_addr()]);
        balancer.cut();
        let moved = |event: &Event| match event {
            Event::HandoverEnd(_) => Some(true),
            Event::HandoverFailed { .. } => Some(false),
            _ => None,
        };
        assert_eq!(until(&mut events, moved).await, told);
        drop(client);
    }
    let many = vec![(PublicKey([1; 32]), HOUR); 5];
    for wrong in [&many[..], &[]] {
        assert_eq!(
            old.announce_keys(wrong).await.expect_err("1 to 4 at once").field,
            "keys"
        );
    }
}
