//! What a resume costs, counted in one-way delays on a line without jitter.

use core::time::Duration;

use unbroken_sim::{Options, Pair, Side};

const ONE_WAY: Duration = Duration::from_millis(70);

/// A pair that has lost its link with one message under way in each direction, and the moment the client dialled again.
fn broken(bytes: u64) -> Pair {
    let mut options = Options::calm();
    options.net.delay = [ONE_WAY; 2];
    options.app.messages = [0, 0];
    options.app.size = bytes;
    options.app.rare_size = bytes;
    let mut pair = Pair::new(options, 1);
    pair.establish();
    pair.run_for(Duration::from_secs(5));
    // Both speak, and the link dies with both messages on the way.
    assert!(pair.say(0, Side::Client) && pair.say(0, Side::Server));
    pair.after_input(unbroken_sim::Node::Client(0));
    pair.after_input(unbroken_sim::Node::Server(0));
    pair.kill_all();
    pair
}

/// One-way delays from the moment the client asks for a connection until `side` has its first message.
fn delays_until(side: Side) -> u128 {
    let mut pair = broken(2000);
    let opened = pair.clients[0].links_opened;
    pair.run_to("a dial", Duration::from_secs(5), |w| w.clients[0].links_opened > opened);
    let dialled = pair.now();
    pair.run_to("the replay", Duration::from_secs(5), |w| {
        w.talk(0, side).reader.received == 1
    });
    let passed = pair.now().since(dialled).as_micros();
    assert_eq!(
        passed % ONE_WAY.as_micros(),
        0,
        "not a whole number of delays: {passed} us"
    );
    passed / ONE_WAY.as_micros()
}

/// TCP connect is one round trip for the client. Then its first flight carries the replay: half a round trip, which every
/// first byte needs. Nothing is waited for in between.
#[test]
fn resume_costs_tcp_connect_and_0_round_trips_to_the_server() {
    assert_eq!(delays_until(Side::Server), 2 + 1);
}

/// The first replayed message of the server comes beside message 2: one round trip behind TCP connect.
#[test]
fn resume_costs_tcp_connect_and_1_round_trip_to_the_client() {
    assert_eq!(delays_until(Side::Client), 2 + 2);
}

/// The dial itself does not wait for anything: a link that both ends see die is replaced at once.
#[test]
fn the_first_dial_after_a_loss_is_immediate() {
    let mut pair = broken(100);
    let opened = pair.clients[0].links_opened;
    let lost = pair.now();
    pair.run_to("a dial", Duration::from_secs(5), |w| w.clients[0].links_opened > opened);
    assert_eq!(pair.now().since(lost), Duration::ZERO);
}

/// A first connect: TCP, HELLO and ACCEPT, then the client's first message with its AUTH.
#[test]
fn a_first_connect_costs_tcp_connect_and_1_round_trip_to_the_server() {
    let mut options = Options::calm();
    options.net.delay = [ONE_WAY; 2];
    options.app.messages = [1, 0];
    let mut pair = Pair::new(options, 1);
    let start = pair.now();
    pair.run_to("the first message", Duration::from_secs(5), |w| {
        w.talk(0, Side::Server).reader.received == 1
    });
    assert_eq!(pair.now().since(start).as_micros(), (2 + 2 + 1) * ONE_WAY.as_micros());
}
