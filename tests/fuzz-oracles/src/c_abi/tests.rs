//! Programs that must reach what they are about: a target that never gets beyond a first connect would find nothing.

use super::program::{Flags, Leave, OddConfig, Program, Side, Step};
use super::run;
use super::world::Deeds;
use crate::host::Bounds;

fn deeds(flags: Flags, steps: Vec<Step>) -> Deeds {
    run(&Program {
        client: Bounds::roomy(),
        server: Bounds::roomy(),
        flags,
        lengths: [0, 5, 300, 2000],
        steps,
    })
}

fn talk() -> Vec<Step> {
    let send = |side| Step::Send { side, who: 0, count: 9 };
    vec![send(Side::Client), send(Side::Server)]
}

#[test]
fn messages_arrive_across_cuts_in_a_loopback_and_on_wires() {
    for loopback in [true, false] {
        let cut = Step::Cut {
            wire: 0,
            tell_client: true,
            tell_server: false,
        };
        let steps = vec![[talk(), vec![cut, Step::Exchange]].concat(); 3].concat();
        let deeds = deeds(
            Flags {
                loopback,
                ..Flags::default()
            },
            steps,
        );
        assert!(deeds.received == [30, 30] && deeds.handovers >= 3, "{deeds:?}");
    }
}

#[test]
fn sessions_move_between_servers() {
    for durability in [1, 2] {
        let flags = Flags {
            durability,
            ..Flags::default()
        };
        let swap = [
            Step::Served {
                server: 0,
                who: 0,
                verb: 2,
                number: 0,
            },
            Step::Mail { who: 0, size: 9 },
            Step::Exchange,
            Step::Network {
                refuse: false,
                server: 1,
            },
            Step::Cut {
                wire: 0,
                tell_client: true,
                tell_server: true,
            },
            Step::Exchange,
        ];
        let deeds = deeds(
            flags,
            [talk(), vec![Step::Exchange], talk(), swap.to_vec(), talk()].concat(),
        );
        assert!(
            deeds.restored > 0 && deeds.mail > 0 && deeds.received[0] == 30,
            "{deeds:?}"
        );
    }
}

#[test]
fn a_durable_session_outlives_its_process() {
    let flags = Flags {
        durability: 2,
        ..Flags::default()
    };
    let wait = vec![Step::Advance { ms: 1000, shift: 1 }, Step::Exchange];
    let crash = vec![Step::Exchange, Step::Crash { server: 0, again: true }];
    let crash = [crash, vec![wait; 10].concat()].concat();
    let deeds = deeds(flags, [talk(), crash, talk()].concat());
    assert!(
        deeds.restored > 0 && deeds.closed == 0 && deeds.received == [20, 20],
        "{deeds:?}"
    );
}

#[test]
fn what_is_freed_is_told_apart() {
    let free = |code| Step::Leave {
        who: 0,
        how: Leave::Free,
        code,
    };
    let wrong = |verb| Step::Wrong {
        verb,
        target: 1,
        flaws: 0,
        size: 0,
    };
    for loopback in [true, false] {
        let steps = [
            vec![free(0), free(1), Step::Exchange],
            (0..=255).map(wrong).collect(),
            talk(),
        ]
        .concat();
        let deeds = deeds(
            Flags {
                loopback,
                ..Flags::default()
            },
            steps,
        );
        assert!(deeds.events.len() > 2, "{deeds:?}");
    }
}

#[test]
fn nothing_is_made_without_keys_or_a_seed() {
    for (server, flaw) in [
        (false, 1),
        (false, 2),
        (false, 3),
        (true, 1),
        (true, 3),
        (true, 5),
        (true, 6),
    ] {
        let what = OddConfig {
            server,
            own: (0, 0),
            inner: (0, 0),
            groups: 0,
            set: Vec::new(),
            keys: 1,
            flaw,
            realm: 0,
            number: 0,
            shard: (0, 1),
            durability: 0,
        };
        deeds(Flags::default(), vec![Step::Config { what }]);
    }
}
