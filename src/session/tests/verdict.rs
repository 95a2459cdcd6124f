//! What a verdict leads to at the client beside its event, above all where it comes on the link before one that broke.

use alloc::vec::Vec;
use core::time::Duration;

use super::actor::{NEW, Play};
use crate::error::CloseReason;
use crate::event::{Event, NetworkEvent, NetworkId};
use crate::wire::flight::Accept;
use crate::wire::frame;

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
        let mut play = Play::begun();
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
