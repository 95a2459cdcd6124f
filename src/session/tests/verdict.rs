//! What a verdict leads to at the client beside its event, above all where it comes on the link before one that broke.

use alloc::vec::Vec;
use core::time::Duration;

use super::actor::{NEW, Play};
use super::redial::begun_by;
use crate::config::{Backoff, ClientConfigBuilder};
use crate::error::CloseReason;
use crate::event::{Event, HandoverCause, NetworkEvent, NetworkId};
use crate::wire::flight::Accept;
use crate::wire::frame::{self, Ack};

const SECOND: Duration = Duration::from_secs(1);
const WIFI: NetworkId = NetworkId(1);

fn refused() -> Vec<u8> {
    let mut frames = Vec::new();
    frame::auth_result(&mut frames, false, 7, b"no");
    frames
}

impl Play {
    /// A client that has no verdict. A newer link took over and broke, the one before it is still read; no other connection comes to stand.
    fn between_links() -> Self {
        Play::between_links_with(|config| config)
    }

    fn between_links_with(configure: impl FnOnce(ClientConfigBuilder) -> ClientConfigBuilder) -> Self {
        let mut play = Play::with(configure);
        let flight = play.flight();
        play.says(flight, &Accept::Ok(NEW));
        play.session.handle_network(NetworkEvent::Changed(WIFI), play.now);
        let flight = play.flight();
        play.says(flight, &Accept::Ok(NEW));
        play.stands = false;
        play.cut();
        play.perform();
        play.events();
        play
    }
}

/// U-42: the verdict is the end. CLOSE follows it, or the end of the link in its place; nothing is left to come back for, and a session begun anew would be
/// one that shows no credential.
#[test]
fn a_client_that_was_refused_dials_no_more_and_is_over_with_its_link() {
    let over = Event::Closed(CloseReason::Refused { code: 7 });
    let mut play = Play::begun();
    play.stands = false;
    play.session.talk.links[0].liveness.suspect = true;
    let carrier = play.link;
    play.changes_network();
    let under_way = play.link;
    play.tells(&refused());
    play.changes_network();
    assert_eq!((play.opened, &play.closed[..]), (2, &[under_way][..]));
    assert!(!play.events().contains(&over), "CLOSE may come");
    play.session.handle_link_down(carrier, play.now);
    play.perform();
    assert_eq!(play.events().last(), Some(&over));
    play.pass(SECOND * 100);
    play.session.retry(play.now);
    play.perform();
    assert_eq!((play.opened, play.session.poll_timeout()), (2, None));
}

/// Nothing that comes between the verdict and CLOSE is news to whoever was turned away: nobody would read what there is room for, nor move.
#[test]
fn between_a_refusal_and_the_end_nothing_is_told() {
    let mut play = Play::begun();
    while play.session.send_slice(&[0; 1000]).is_ok() {}
    let taken = play.session.stats().sent_messages;
    play.perform();
    play.events();
    play.tells(&refused());
    play.perform();
    assert!(matches!(play.events()[..], [Event::Refused { code: 7, .. }]));
    let mut last = [0; 30];
    let ack = Ack {
        recv_next: taken,
        messages: 1000,
        bytes: 1 << 20,
    };
    let size = frame::ack(&mut last, &ack);
    play.tells(&last[..size]);
    let mut drain = Vec::new();
    frame::drain(&mut drain, 1000, "");
    play.tells(&drain);
    play.pass(SECOND);
    play.perform();
    assert_eq!(play.session.acked().0, taken);
    assert_eq!(play.events(), []);
    play.cut();
    play.perform();
    let mut events = play.events();
    events.retain(|event| !matches!(event, Event::State(_)));
    assert_eq!(events, [Event::Closed(CloseReason::Refused { code: 7 })]);
}

/// While no link carries, a CLOSE on the one before would only end that one.
#[test]
fn a_client_that_is_refused_on_the_link_before_a_broken_one_is_over() {
    let mut play = Play::between_links();
    play.tells_before(&refused());
    play.perform();
    let over = Event::Closed(CloseReason::Refused { code: 7 });
    assert_eq!(play.events().last(), Some(&over));
    assert!(play.session.dialler.tries.is_empty());
}

/// The verdict came on the link before the one that broke: from then on the session stands, and that it has no link is told as always.
#[test]
fn a_session_that_is_let_in_while_it_has_no_link_is_in_a_handover() {
    let mut play = Play::between_links();
    let lost = play.now;
    play.pass(Duration::from_millis(100));
    let mut verdict = Vec::new();
    frame::auth_result(&mut verdict, true, 0, b"");
    play.tells_before(&verdict);
    play.perform();
    let events = play.events();
    let [Event::Established { .. }, begun] = &events[..] else {
        panic!("first it stands: {events:?}");
    };
    assert_eq!(*begun, begun_by(HandoverCause::LinkLost));
    play.session.handle_link_up(play.link, play.now);
    let flight = play.flight();
    play.says(flight, &Accept::Ok(NEW));
    let events = play.events();
    let downtime = play.now.since(lost);
    let ended = |event: &Event| matches!(event, Event::HandoverEnd(end) if end.downtime == downtime);
    assert!(events.iter().any(ended), "{events:?}");
}

/// Who has given up is not trying to carry it on.
#[test]
fn a_session_that_is_let_in_when_it_has_given_up_waits_to_be_told() {
    let give_up_after = SECOND;
    let mut play = Play::between_links_with(|config| {
        config.backoff(Backoff {
            give_up_after,
            ..Backoff::default()
        })
    });
    play.gives_up();
    let mut verdict = Vec::new();
    frame::auth_result(&mut verdict, true, 0, b"");
    play.tells_before(&verdict);
    play.perform();
    assert!(matches!(play.events()[..], [Event::Established { .. }]));
    play.session.retry(play.now);
    play.perform();
    assert!(play.events().contains(&begun_by(HandoverCause::LinkLost)));
}
