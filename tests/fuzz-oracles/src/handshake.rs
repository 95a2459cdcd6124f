//! Flights and answers from somebody without keys: nothing that can be seen of a session changes, and the honest client gets
//! through afterwards.

use core::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use unbroken::crypto::{Initiator, Responder};
use unbroken::wire::flight::{Accept, Hello, NOISE_OVERHEAD};
use unbroken::wire::prelude::{self, FlightKind, Prelude};
use unbroken::{Event, Limits, LinkId, State};

use crate::attack::Attack;
use crate::host;
use crate::pair::Pair;

/// More of them only cost time.
const ATTACKS: usize = 12;

#[derive(Debug, Default, Arbitrary)]
struct FirstConnect {
    /// A payload of HELLO under keys that everybody can make, NK being what it is.
    hello: Option<Vec<u8>>,
    at_server: Vec<Attack>,
    at_client: Vec<Attack>,
    /// A payload of ACCEPT from the true server.
    accept: Option<Vec<u8>>,
}

/// The first connect, under attack from both sides.
pub fn handshake_nk(data: &[u8]) {
    let Ok(program) = FirstConnect::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    connect(&program);
}

fn connect(program: &FirstConnect) {
    host::trace(program);
    let mut pair = Pair::new(Limits::default(), false);
    let (_, flight) = pair.flight();
    for (n, attack) in program.at_server.iter().take(ATTACKS).enumerate() {
        let bytes = attack.bytes(&flight);
        let hellos = pair.server.counters().hellos;
        attack_server(&mut pair, n, attack, &bytes);
        let true_flight = u64::from(bytes.starts_with(&flight));
        assert_eq!(
            pair.server.counters().hellos,
            hellos + true_flight,
            "a HELLO that was not the client's"
        );
        assert_eq!(
            pair.server.sessions(),
            0,
            "a session whose client never proved its keys"
        );
        assert_eq!(pair.server.poll_event(), None);
    }
    if let Some(payload) = &program.hello {
        craft_hello(&mut pair, payload);
    }
    for attack in program.at_client.iter().take(ATTACKS) {
        if !attack_client(&mut pair, attack, true) {
            return;
        }
    }
    if let Some(payload) = &program.accept {
        return craft_accept(&mut pair, payload);
    }
    pair.client
        .handle_network(unbroken::NetworkEvent::Changed(unbroken::NetworkId(1)), pair.now);
    pair.deliver();
    assert_eq!(pair.client.state(), State::Established);
}

#[derive(Debug, Default, Arbitrary)]
struct Resumption {
    ask_on_resume: bool,
    sizes: [u16; 4],
    /// Former RESUMEs are played again.
    at_server: Vec<(bool, Attack)>,
    at_client: Vec<Attack>,
}

/// A resume, under attack from both sides.
pub fn handshake_resume(data: &[u8]) {
    let Ok(program) = Resumption::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    resume(&program);
}

fn resume(program: &Resumption) {
    host::trace(program);
    // Refusals hold the client back for minutes; the session must outlive them.
    let limits = Limits {
        detached: Duration::from_secs(3600),
        ..Limits::default()
    };
    let mut pair = Pair::new(limits, program.ask_on_resume);
    pair.exchange();
    let say = |pair: &mut Pair| (0..4).for_each(|i| pair.send(i % 2, usize::from(program.sizes[i] % 9000)));
    say(&mut pair);
    pair.deliver();
    // One resume that works, to have an old flight.
    pair.cut();
    say(&mut pair);
    let (link, old) = pair.flight();
    pair.server.handle_link_up(link, pair.now);
    pair.server.handle_input(link, &old, pair.now);
    pair.link = Some(link);
    pair.deliver();
    pair.cut();
    say(&mut pair);
    let (_, flight) = pair.flight();
    let id = pair.id.expect("it was established");
    pair.exchange_server_events();
    let resumes = pair.server.counters().resumes;
    let mut accepted = false;
    for (n, (replay, attack)) in program.at_server.iter().take(ATTACKS).enumerate() {
        let bytes = attack.bytes(if *replay { &old } else { &flight });
        let before = observe(&mut pair);
        attack_server(&mut pair, n, attack, &bytes);
        if !accepted && bytes.starts_with(&flight) {
            // An accomplice of the client's: the same flight on another link. Once it was accepted it is an old one.
            pair.exchange_server_events();
            accepted = pair.server.counters().resumes > resumes;
            continue;
        }
        assert_eq!(
            observe(&mut pair),
            before,
            "a flight without keys has changed the session"
        );
        assert_eq!(pair.server.poll_event(), None);
    }
    for attack in program.at_client.iter().take(ATTACKS) {
        if !attack_client(&mut pair, attack, false) {
            return;
        }
    }
    pair.client
        .handle_network(unbroken::NetworkEvent::Changed(unbroken::NetworkId(1)), pair.now);
    pair.deliver();
    assert_eq!((pair.client.state(), pair.client.id()), (State::Established, Some(id)));
}

/// How long a flight or an answer says that it is, with its prelude.
fn whole(bytes: &[u8]) -> usize {
    let head: Option<&[u8; prelude::LEN]> = bytes.first_chunk();
    head.map_or(0, |head| {
        prelude::LEN + usize::from(u16::from_be_bytes([head[10], head[11]]))
    })
}

/// All that can be seen of the one session and its endpoint.
fn observe(pair: &mut Pair) -> impl PartialEq + core::fmt::Debug + use<> {
    let session = pair.id.and_then(|id| pair.server.session(id));
    let session = session.map(|session| (session.state(), format!("{:?}", session.stats())));
    let counters = pair.server.counters();
    (
        session,
        pair.server.sessions(),
        pair.server.detached(),
        pair.server.tombstones(),
        counters.resumes,
        counters.handovers,
    )
}

/// A connection of the attacker's: what it says, and what the server may answer.
fn attack_server(pair: &mut Pair, n: usize, attack: &Attack, bytes: &[u8]) {
    let link = LinkId(1_000_000 + n as u64);
    pair.server.handle_link_up(link, pair.now);
    attack.in_pieces(bytes, |piece| pair.server.handle_input(link, piece, pair.now));
    let (words, closed) = pair.answer(link);
    if let Some(head) = words.first_chunk() {
        let prelude = Prelude::parse(head).expect("an answer has a prelude");
        match prelude.kind {
            FlightKind::Refuse => {
                assert_eq!(words.len(), 19);
                let rest = vec![0; whole(bytes).saturating_sub(bytes.len())];
                assert_eq!(
                    closed,
                    rest.is_empty(),
                    "a REFUSE, and the link's end with the flight's"
                );
                if !closed {
                    pair.server.handle_input(link, &rest, pair.now);
                    assert_eq!(pair.answer(link), (vec![], true));
                }
            }
            FlightKind::Accept => {}
            kind => panic!("a server never sends {kind:?}"),
        }
    }
    pair.server.handle_link_down(link, pair.now);
}

/// The client dials, and gets the attacker's answer instead of the server's. Whether the attack failed, as it must.
fn attack_client(pair: &mut Pair, attack: &Attack, first: bool) -> bool {
    let (link, flight) = pair.flight();
    let at_server = LinkId(2_000_000 + link.0);
    pair.server.handle_link_up(at_server, pair.now);
    pair.server.handle_input(at_server, &flight, pair.now);
    pair.exchange_server_events();
    let (truth, _) = pair.answer(at_server);
    pair.server.handle_link_down(at_server, pair.now);
    let bytes = attack.bytes(&truth);
    let id = pair.client.id();
    let unacked = pair.client.stats().unacked_messages;
    attack.in_pieces(&bytes, |piece| pair.client.handle_input(link, piece, pair.now));
    if !truth.is_empty() && bytes.starts_with(&truth[..whole(&truth)]) {
        // The true answer after all.
        return false;
    }
    assert_eq!(pair.client.id(), id, "the id came from nowhere");
    assert_eq!(pair.client.stats().unacked_messages, unacked, "ACKed by nobody");
    assert!(
        matches!(
            pair.client.state(),
            State::None | State::Connecting | State::Handshaking
        ),
        "{:?}",
        pair.client.state()
    );
    assert!(pair.client.recv().is_none());
    while let Some(event) = pair.client.poll_event() {
        let harmless = matches!(event, Event::State(_)) || !first && matches!(event, Event::HandoverBegin { .. });
        assert!(harmless, "an answer without keys made {event:?}");
        pair.lives[0].see(&event);
    }
    pair.client.handle_link_down(link, pair.now);
    true
}

/// A HELLO with any payload. Whoever sends it is nobody until a record proves the keys.
fn craft_hello(pair: &mut Pair, payload: &[u8]) {
    let payload = &payload[..payload.len().min(1000)];
    let length = (payload.len() + NOISE_OVERHEAD) as u16;
    let head = Prelude {
        version: 1,
        kind: FlightKind::Hello,
        key_id: host::server_key().id(),
        length,
    }
    .encode();
    let mut flight = head.to_vec();
    let key = host::server_key().public();
    let Ok(_) = Initiator::nk(&key, host::REALM, &head, [5; 32], payload, &mut flight) else {
        return;
    };
    let link = LinkId(3_000_000);
    pair.server.handle_link_up(link, pair.now);
    pair.server.handle_input(link, &flight, pair.now);
    let (words, _) = pair.answer(link);
    assert!(words.is_empty() || Hello::parse(payload).is_ok());
    assert_eq!((pair.server.sessions(), pair.server.poll_event()), (0, None));
}

/// An ACCEPT of the true server with any payload: it is authentic, so it may end the session, but not confuse it.
fn craft_accept(pair: &mut Pair, payload: &[u8]) {
    let payload = &payload[..payload.len().min(1000)];
    let (link, flight) = pair.flight();
    let (header, message1) = flight.split_at(prelude::LEN);
    let responder = Responder::nk(&host::server_key(), host::REALM, header, message1, &mut Vec::new());
    let Ok(responder) = responder else {
        panic!("the client's HELLO is good")
    };
    let length = (prelude::LEN + payload.len() + NOISE_OVERHEAD) as u16;
    let head = Prelude {
        version: 1,
        kind: FlightKind::Accept,
        key_id: host::server_key().id(),
        length,
    }
    .encode();
    let inner = [&head[..], payload].concat();
    let mut answer = head.to_vec();
    responder
        .finish([6; 32], &inner, &mut answer)
        .unwrap_or_else(|_| panic!("a point of high order"));
    let parsed = Accept::parse(&inner, &head);
    pair.client.handle_input(link, &answer, pair.now);
    match (parsed, pair.client.state()) {
        (Ok(Accept::Ok(ok)), State::Standby | State::Closed) => {
            assert!(ok.position.recv_next == 0 || pair.client.state() == State::Closed)
        }
        (Ok(Accept::Lost(_)) | Err(_), state) => assert!(state != State::Standby && state != State::Established),
        (parsed, state) => panic!("{parsed:?} led to {state:?}"),
    }
    pair.client_events();
    while pair.client.poll_output(&mut pair.buffer, pair.now).is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::Kind;

    /// While a RESUME that was accepted is not confirmed, its generation is still good; only the attempt tells that it is old.
    #[test]
    fn a_flight_is_accepted_once() {
        let same = || Attack {
            kind: Kind::Edited(Vec::new()),
            pieces: 0,
        };
        resume(&Resumption {
            at_server: vec![(false, same()), (false, same()), (false, same())],
            ..Resumption::default()
        });
    }

    /// Found by the fuzzer: it led to a `HandoverFailed` that claimed to be final.
    #[test]
    fn refusals_in_the_clear_do_not_end_a_session() {
        let attack = |min| Attack {
            kind: Kind::Refused {
                code: 1,
                retry_ms: 30_000,
                min,
                max: 255,
            },
            pieces: 0,
        };
        connect(&FirstConnect {
            at_client: vec![attack(200), attack(200), attack(200), attack(200)],
            ..FirstConnect::default()
        });
    }
}
