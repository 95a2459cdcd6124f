//! The step, between a session and an `Endpoint` in memory.

use std::sync::Arc;

use unbroken::{ClusterKey, Endpoint, Instant, LinkId, Seed, SendError, ServerConfig, ServerKey, SessionId};
use unbroken_uniffi::{
    ClientConfig, CloseReason, Event, Input, LinkHealth, NetworkHint, Output, RefusalCode, Session, Step, UnbrokenError,
};

const ROOM: u32 = 1 << 20;

fn config() -> ClientConfig {
    ClientConfig {
        pins: vec![ServerKey::from_bytes([7; 32]).unwrap().public().0.to_vec()],
        credential: b"ticket".to_vec(),
        realm: "steps".into(),
        ..ClientConfig::default()
    }
}

/// Both ends and what is on its way between them.
struct World {
    session: Arc<Session>,
    endpoint: Endpoint,
    now_us: u64,
    id: Option<SessionId>,
    /// All that the steps brought, outputs apart.
    events: Vec<Event>,
    received: Vec<Vec<u8>>,
    opened: Vec<(u64, Option<u64>)>,
}

impl World {
    fn new(config: ClientConfig) -> World {
        let server = ServerConfig::builder(
            ServerKey::from_bytes([7; 32]).unwrap(),
            ClusterKey::from_bytes([9; 32]).unwrap(),
        )
        .realm("steps")
        .authorise_all(true)
        .build()
        .unwrap();
        World {
            session: Session::new(config, 0).unwrap(),
            endpoint: Endpoint::new(Arc::new(server), Seed::new([2; 32]), Instant::ZERO),
            now_us: 0,
            id: None,
            events: Vec::new(),
            received: Vec::new(),
            opened: Vec::new(),
        }
    }

    /// One step, whose outputs reach the server, and whose answers are returned as inputs.
    fn step(&mut self, inputs: Vec<Input>, room: u32) -> (Step, Vec<Input>) {
        self.now_us += 100;
        let now = Instant::from_micros(self.now_us);
        let step = self.session.step(inputs, room, self.now_us).unwrap();
        self.events.extend(step.events.iter().cloned());
        self.received
            .extend(step.messages.iter().map(|message| message.payload.clone()));
        let mut answers = Vec::new();
        for output in &step.outputs {
            match output {
                Output::OpenLink { link, network, .. } => {
                    self.opened.push((*link, *network));
                    self.endpoint.handle_link_up(LinkId(*link), now);
                    answers.push(Input::LinkUp { link: *link });
                }
                Output::Send { link, bytes } => self.endpoint.handle_input(LinkId(*link), bytes, now),
                Output::CloseLink { link } => self.endpoint.handle_link_down(LinkId(*link), now),
            }
        }
        self.endpoint.handle_timeout(now);
        let mut buffer = [0; 65536];
        while let Some(output) = self.endpoint.poll_output(&mut buffer, now) {
            match output {
                unbroken::Output::Send { link, len } => answers.push(Input::Received {
                    link: link.0,
                    bytes: buffer[..len].to_vec(),
                }),
                unbroken::Output::CloseLink { link } => answers.push(Input::LinkDown { link: link.0 }),
                unbroken::Output::OpenLink { .. } => unreachable!("a server opens no links"),
            }
        }
        while let Some((id, _)) = self.endpoint.poll_event() {
            self.id = Some(id);
        }
        (step, answers)
    }

    /// Steps until nothing is under way.
    fn run(&mut self, inputs: Vec<Input>, room: u32) {
        let (_, mut inputs) = self.step(inputs, room);
        for _ in 0..100 {
            if inputs.is_empty() {
                self.now_us += 30_000;
            }
            (_, inputs) = self.step(inputs, room);
        }
    }

    fn connected(config: ClientConfig) -> World {
        let mut world = World::new(config);
        world.run(Vec::new(), ROOM);
        assert!(
            world
                .events
                .iter()
                .any(|event| matches!(event, Event::Established { .. }))
        );
        world
    }

    fn at_server(&mut self) -> Vec<Vec<u8>> {
        let mut session = self.endpoint.session(self.id.unwrap()).unwrap();
        let mut all = Vec::new();
        while let Some(message) = session.recv() {
            all.push(message.payload.to_vec());
        }
        all
    }

    fn server_sends(&mut self, messages: impl Iterator<Item = Vec<u8>>) {
        let mut session = self.endpoint.session(self.id.unwrap()).unwrap();
        for message in messages {
            let sent: Result<_, SendError> = session.send(message.into());
            sent.unwrap();
        }
    }
}

fn send(bytes: &[u8]) -> Input {
    Input::Send {
        message: bytes.to_vec(),
    }
}

#[test]
fn what_is_refused_for_want_of_room_is_overtaken_by_nothing() {
    let mut world = World::connected(ClientConfig {
        message: Some(1024),
        unacked_bytes: Some(1024),
        ..config()
    });
    let large = [1; 700];
    let (step, _) = world.step(vec![send(&large), send(&large), send(b"small"), send(b"smaller")], ROOM);
    let refused: Vec<_> = step
        .refusals
        .iter()
        .map(|refusal| (refusal.input, refusal.code))
        .collect();
    let would_block = RefusalCode::WouldBlock;
    assert_eq!(refused, [(1, would_block), (2, would_block), (3, would_block)]);
    assert_eq!(world.at_server(), [large.to_vec()]);
    world.run(Vec::new(), ROOM);
    assert!(
        world.events.contains(&Event::Writable),
        "nobody says that there is room again"
    );
    let (step, _) = world.step(vec![send(b"small"), send(&[1; 2000])], ROOM);
    assert_eq!(step.refusals.len(), 1);
    assert_eq!(
        (step.refusals[0].input, step.refusals[0].code),
        (1, RefusalCode::TooLarge)
    );
    assert!(step.refusals[0].text.contains("1024"), "{}", step.refusals[0].text);
}

#[test]
fn messages_are_handed_out_as_far_as_there_is_room() {
    let mut world = World::connected(config());
    world.server_sends((0..10).map(|n| vec![n; 100]));
    world.run(Vec::new(), 0);
    assert_eq!(world.received.len(), 0);
    // Each counts 164; the last one may be larger than what is left.
    let (step, _) = world.step(Vec::new(), 329);
    assert_eq!((step.messages.len(), step.more_messages), (3, true));
    let (step, _) = world.step(Vec::new(), ROOM);
    assert_eq!((step.messages.len(), step.more_messages), (7, false));
    assert_eq!(world.received, (0..10).map(|n| vec![n; 100]).collect::<Vec<_>>());
    assert_eq!(step.messages[6].id, Some(9));
}

#[test]
fn a_step_gives_a_burst_and_asks_to_be_called_again_at_once() {
    let mut world = World::connected(ClientConfig {
        unacked_bytes: Some(4 << 20),
        ..config()
    });
    let (step, _) = world.step((0..15).map(|_| send(&[5; 60_000])).collect(), ROOM);
    assert_eq!(step.refusals, []);
    let written = |step: &Step| -> usize {
        let sizes = step.outputs.iter().map(|output| match output {
            Output::Send { bytes, .. } => bytes.len(),
            _ => 0,
        });
        sizes.sum()
    };
    assert!((256 << 10..400 << 10).contains(&written(&step)), "{}", written(&step));
    assert_eq!(step.deadline_us, Some(world.now_us));
    let mut all = written(&step);
    for _ in 0..3 {
        all += written(&world.step(Vec::new(), ROOM).0);
    }
    assert!(all >= 900_000, "{all}");
    assert_eq!(world.at_server().len(), 15);
}

#[test]
fn a_blocked_link_is_given_nothing_and_the_driver_does_not_spin() {
    let mut world = World::connected(config());
    let (link, _) = *world.opened.last().unwrap();
    world.server_sends(std::iter::once(b"to be acknowledged".to_vec()));
    let (_, answers) = world.step(Vec::new(), ROOM);
    let blocked = answers.into_iter().chain([Input::LinkBlocked { link }, send(b"waits")]);
    let (step, _) = world.step(blocked.collect(), ROOM);
    assert_eq!((step.messages.len(), step.outputs), (1, vec![]));
    // The ACK is due long since, and cannot leave.
    world.now_us += 100_000;
    let (step, _) = world.step(Vec::new(), ROOM);
    assert_eq!(step.outputs, []);
    let wait = step.deadline_us.unwrap() - world.now_us;
    assert!((1000..=25_000_000).contains(&wait), "{wait}");
    let (step, _) = world.step(vec![Input::LinkWritable { link }], ROOM);
    assert!(matches!(step.outputs[..], [Output::Send { .. }]), "{:?}", step.outputs);
    assert_eq!(world.at_server(), [b"waits".to_vec()]);
}

#[test]
fn a_hint_opens_a_link_on_that_network_and_a_disconnect_ends_it() {
    let mut world = World::connected(config());
    let hint = NetworkHint::Available { network: 42 };
    world.run(vec![Input::Network { hint }], ROOM);
    assert_eq!(world.opened.last().unwrap().1, Some(42));
    let ends = |event: &&Event| matches!(event, Event::HandoverEnd { downtime_us: 0, .. });
    assert_eq!(world.events.iter().filter(ends).count(), 1);
    assert_eq!(world.session.stats().unwrap().handovers, 1);
    world.run(vec![Input::Disconnect { code: 6 }], ROOM);
    let Some(Event::Closed { reason, code, .. }) = world.events.last() else {
        panic!("{:?}", world.events.last());
    };
    assert_eq!((*reason, *code), (CloseReason::Local, 6));
    let (step, _) = world.step(vec![send(b"too late")], ROOM);
    assert_eq!(step.refusals[0].code, RefusalCode::Closed);
}

#[test]
fn the_health_of_the_link_tells_trouble_from_moving_and_from_sleep() {
    let mut world = World::new(config());
    let (step, answers) = world.step(Vec::new(), ROOM);
    assert_eq!(step.health, LinkHealth::Idle, "it does not stand yet");
    world.run(answers, ROOM);
    let (step, _) = world.step(Vec::new(), ROOM);
    assert_eq!(step.health, LinkHealth::Sound { network: None });

    // Moving on a hint is no trouble at any moment.
    let hint = NetworkHint::Available { network: 42 };
    let mut inputs = vec![Input::Network { hint }];
    let mut seen = Vec::new();
    for _ in 0..10 {
        let step;
        (step, inputs) = world.step(inputs, ROOM);
        seen.push(step.health);
    }
    seen.dedup();
    let sound = |network| LinkHealth::Sound { network };
    assert_eq!(seen, [sound(None), sound(Some(42))]);

    let down = world
        .opened
        .iter()
        .map(|(link, _)| Input::LinkDown { link: *link })
        .collect();
    // What is sent is not answered: nobody carries the bytes.
    let mut inputs = vec![send(b"into the void")];
    let mut silent = |inputs: Vec<Input>| {
        world.now_us += 10_000;
        world.session.step(inputs, ROOM, world.now_us).unwrap()
    };
    let mut health = sound(Some(42));
    for _ in 0..500 {
        if health == sound(Some(42)) {
            health = silent(std::mem::take(&mut inputs)).health;
        }
    }
    assert_eq!(health, LinkHealth::Suspect { network: Some(42) });

    // Another network, told of beneath the wanted one, is where it goes now.
    let available = |network| Input::Network {
        hint: NetworkHint::Available { network },
    };
    let step = silent(vec![available(7), available(42)]);
    let opened: Vec<_> = step.outputs.iter().filter_map(opened_on).collect();
    assert_eq!(opened, [Some(7)]);

    // Without any link it tries the wanted one first.
    assert_eq!(silent(down).health, LinkHealth::Lost);
    let step = silent(vec![available(7), available(42)]);
    let opened: Vec<_> = step.outputs.iter().filter_map(opened_on).collect();
    assert_eq!(opened, [Some(42)]);
    let asleep = Input::Network {
        hint: NetworkHint::Suspend,
    };
    assert_eq!(silent(vec![asleep]).health, LinkHealth::Idle);
}

fn opened_on(output: &Output) -> Option<Option<u64>> {
    match output {
        Output::OpenLink { network, .. } => Some(*network),
        _ => None,
    }
}

#[test]
fn a_bad_configuration_names_its_field() {
    let pin = config().pins.remove(0);
    let cases = [
        (
            ClientConfig {
                pins: vec![],
                ..config()
            },
            "pins",
        ),
        (
            ClientConfig {
                pins: vec![vec![1; 31]],
                ..config()
            },
            "31",
        ),
        (
            ClientConfig {
                pins: vec![pin; 9],
                ..config()
            },
            "pins",
        ),
        (
            ClientConfig {
                credential: vec![0; 8193],
                ..config()
            },
            "credential",
        ),
        (
            ClientConfig {
                handshake_ms: Some(1),
                ..config()
            },
            "`handshake_ms`",
        ),
        (
            ClientConfig {
                dead_after_ms: Some(1),
                ..config()
            },
            "`dead_after_ms`",
        ),
        (
            ClientConfig {
                backoff_cap_ms: Some(1),
                ..config()
            },
            "`backoff_cap_ms`",
        ),
    ];
    // As the record has it, where that is not how the core calls it.
    for (bad, field) in cases {
        let Err(UnbrokenError::Config { code, text }) = Session::new(bad, 0) else {
            panic!("{field} was taken");
        };
        assert_eq!(code, 1);
        assert!(text.contains(field), "{text}");
    }
}
