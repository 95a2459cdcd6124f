//! Silence that must not go unnoticed: behind AUTH, behind the record that confirms a link, behind a sleep that nobody announced.

use unbroken::{NetworkEvent, State};
use unbroken_sim::ClientBench;
use unbroken_sim::raw::{RawFrame, RawServer};

use crate::common::*;

#[test]
fn u63_a_link_that_swallows_auth_is_left_soon() {
    let mut bench = ClientBench::new(client_config().build().unwrap());
    let mut server = RawServer::new(server_key(), REALM, 51);
    let (link, flight) = bench.link_up();
    let served = server.read(&flight);
    let (answer, _) = server.accept(served, 0, 0, 0);
    bench.input(link, &answer);
    assert_eq!(bench.session.state(), State::Standby);
    // From here on nothing gets through.
    bench.next_link(8 * SECOND);
}

#[test]
fn u63_a_link_that_swallows_its_confirmation_is_left_soon() {
    let mut guest = Guest::new();
    guest.bench.down(guest.link);
    guest.resume(0);
    assert_eq!(guest.bench.session.state(), State::Established);
    guest.bench.next_link(8 * SECOND);
}

#[test]
fn waking_without_having_been_put_to_sleep_asks_at_once() {
    let mut guest = Guest::new();
    guest.bench.pass(SECOND);
    guest.hear();
    guest.bench.network(NetworkEvent::Wake);
    let asks = guest.hear().iter().any(|f| matches!(f, RawFrame::Ping(_)));
    assert!(
        asks || !guest.bench.links.asked.is_empty(),
        "an unknown time has passed, and it does nothing"
    );
    guest.assert_open();
}

#[test]
fn a_handshake_that_sleep_ends_leaves_no_state_behind() {
    let mut guest = Guest::new();
    guest.bench.down(guest.link);
    guest.bench.next_link(SECOND);
    assert_eq!(guest.bench.session.state(), State::Handshaking);
    guest.bench.network(NetworkEvent::Suspend);
    assert_eq!(guest.bench.session.state(), State::Connecting, "no flight is under way");
    guest.bench.pass(10 * SECOND);
    guest.bench.network(NetworkEvent::Wake);
    guest.resume(0);
    assert_eq!(guest.bench.session.state(), State::Established);
}
