//! Sessions that end while not all is as it should be.

use core::time::Duration;

use super::stand::Stand;
use crate::config::Durability;
use crate::endpoint::Endpoint;
use crate::error::CloseReason;
use crate::event::{Event, LinkId, NetworkEvent, NetworkId, SessionId};
use crate::session::Batch;

const SECOND: Duration = Duration::from_secs(1);

/// The client has opened a second link and never hears the answer to its flight; the first one dies while the server says goodbye.
#[test]
fn a_goodbye_on_a_link_that_nobody_has_proved_does_not_ask_to_be_woken_all_the_time() {
    let mut stand = Stand::new(Durability::Memory);
    let (i, id) = stand.session();
    stand.clients[i].deaf = (1..10).map(LinkId).collect();
    let changed = NetworkEvent::Changed(NetworkId(1));
    let now = stand.now;
    stand.clients[i].session.handle_network(changed, now);
    stand.exchange();
    let links = stand.server.links();
    assert_eq!(links, 2, "a second link, which waits for its client");
    stand.server.session(id).expect("it is here").close(7);
    stand.clients[i].away = true;
    stand.cut(i, LinkId(0));
    assert_eq!(stand.server.sessions(), 1, "it says goodbye still");

    let (until, mut woken) = (stand.now + 4 * SECOND, 0);
    while stand.server.sessions() > 0 && stand.now < until {
        let next = stand.server.poll_timeout().expect("it wants to be woken");
        stand.now = next.max(stand.now);
        let now = stand.now;
        stand.server.handle_timeout(now);
        stand.exchange();
        woken += 1;
        assert!(
            woken < 100,
            "woken at {now:?}, and to be woken at {:?}",
            stand.server.poll_timeout()
        );
    }
    assert_eq!(stand.server.sessions(), 0);
}

/// What an application does tells no time, and the last call that did may be long ago.
#[test]
fn a_goodbye_has_its_time_from_the_next_call_that_tells_it_whatever_the_application_does_first() {
    let first: [fn(&mut Endpoint, SessionId); 5] = [
        |_, _| {},
        |server, id| assert!(server.session(id).is_some()),
        |server, id| assert!(server.recv(id, |_| ()).is_none()),
        |server, id| assert!(server.send(id, "too late".into()).is_err()),
        |server, id| assert!(server.session(id).expect("it is here").answer_resume(Ok(()))),
    ];
    for (n, first) in first.into_iter().enumerate() {
        let mut stand = Stand::changed(Durability::Memory, true, |config| config.with_ask_on_resume(true));
        let (i, id) = stand.session();
        if n == 4 {
            let (changed, now) = (NetworkEvent::Changed(NetworkId(1)), stand.now);
            stand.clients[i].session.handle_network(changed, now);
            stand.exchange();
            assert!(stand.told.contains(&(id, Event::ResumeRequest)));
        }
        stand.now += 3 * SECOND;
        stand.server.send(id, "the last words".into()).expect("there is room");
        stand.server.session(id).expect("it is here").close(7);
        first(&mut stand.server, id);
        stand.server.handle_timeout(stand.now);
        stand.exchange();
        let client = &stand.clients[i];
        assert_eq!(client.heard, [b"the last words"], "{n}");
        let (code, truncated) = (7, false);
        assert_eq!(client.closed(), Some(CloseReason::Peer { code, truncated }), "{n}");
    }
}

/// What had arrived may be read as long as it may; but whoever leaves need not wait for that.
#[test]
fn a_session_that_is_over_and_not_read_holds_up_nobody_who_leaves() {
    for durability in [Durability::SwapOut, Durability::Durable] {
        for away in [false, true] {
            let mut stand = Stand::new(durability);
            let (i, id) = stand.session();
            stand.clients[i]
                .session
                .send("not read yet".into())
                .expect("there is room");
            stand
                .server
                .session(id)
                .expect("it is here")
                .send("not ACKed".into())
                .expect("there is room");
            stand.run_for(SECOND);
            if away {
                stand.clients[i].away = true;
                let newest = stand.clients[i].newest;
                stand.cut(i, newest);
            }
            stand.server.session(id).expect("it is here").close(7);
            stand.server.retire();
            stand.run_for(5 * SECOND);
            assert_eq!(stand.server.sessions(), 0, "{durability:?}, away: {away}");
            let mut session = stand.server.session(id).expect("its application may still read");
            assert_eq!(session.recv().map(|message| message.payload.len()), Some(12));
            assert!(session.recv().is_none());
            drop(session);
            stand.run_for(SECOND);
            assert!(stand.server.session(id).is_none(), "read and forgotten");
            assert_eq!(stand.server.sessions(), 0);
        }
    }
}

/// The same, without a hold on the session: nothing else would look at it before its time is over.
#[test]
fn a_session_that_is_over_goes_with_its_last_message_however_that_is_fetched() {
    for in_a_batch in [false, true] {
        let mut stand = Stand::new(Durability::Memory);
        let (i, id) = stand.session();
        let client = &mut stand.clients[i].session;
        for word in ["last", "words"] {
            client.send(word.into()).expect("there is room");
        }
        client.disconnect(3);
        stand.run_for(5 * SECOND);
        assert!(stand.server.session(id).is_some(), "over, and not read");
        if in_a_batch {
            let mut batch = Batch::new();
            assert!(stand.server.recv_batch(id, &mut batch));
            assert_eq!(batch.len(), 2);
        } else {
            for word in ["last", "words"] {
                let fetched = stand.server.recv(id, |message| message.payload.to_vec());
                assert_eq!(fetched.as_deref(), Some(word.as_bytes()));
            }
        }
        assert!(stand.server.session(id).is_none(), "in a batch: {in_a_batch}");
    }
}
