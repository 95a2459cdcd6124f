//! What the fuzzer found in the core, as the shortest programs that show it.

use super::program::{Flags, Program, Side, Step};
use super::run;

fn check(steps: Vec<Step>) {
    let flags = Flags::default();
    for server_closes in [false, true] {
        let flags = Flags { server_closes, ..flags };
        run(&Program {
            flags,
            steps: steps.clone(),
            ..Program::default()
        });
    }
}

fn send(side: Side) -> Step {
    Step::Send {
        side,
        count: 0,
        size: 10,
    }
}

fn advance(ms: u16, tell: bool) -> Step {
    Step::Advance { ms, shift: 0, tell }
}

#[test]
fn detached_sessions_are_counted_once() {
    let handover = [
        Step::Cut {
            which: 0,
            tell_client: true,
            tell_server: true,
        },
        Step::Poll {
            side: Side::Server,
            count: 5,
            buffer: 4,
        },
        Step::Exchange { read: true },
    ];
    check(handover.repeat(4));
}

#[test]
fn a_close_leaves_with_the_last_message() {
    for side in Side::BOTH {
        check(vec![send(side), Step::Disconnect { side, code: 1 }]);
    }
}

#[test]
fn nothing_is_told_behind_closed() {
    check(vec![
        send(Side::Client),
        Step::Disconnect {
            side: Side::Client,
            code: 1,
        },
        Step::Poll {
            side: Side::Client,
            count: 5,
            buffer: 4,
        },
        Step::Exchange { read: false },
    ]);
}

#[test]
fn an_ended_session_that_waits_for_its_link_asks_for_no_timer_in_the_past() {
    check(vec![
        send(Side::Client),
        Step::Kick { code: 1 },
        advance(4000, true),
        advance(4000, true),
        advance(60_000, false),
    ]);
}

#[test]
fn a_link_that_is_suspect_already_when_the_timer_is_asked_is_probed() {
    check(vec![
        send(Side::Client),
        Step::Poll {
            side: Side::Client,
            count: 3,
            buffer: 4,
        },
        advance(400, false),
    ]);
}
