//! What the fuzzer found in the core, as the shortest programs that show it.

use super::program::{Program, Says, Step};
use super::{client, server};

fn both(steps: impl Fn() -> Vec<Step>) {
    // 255 messages of 64 KiB of credit, and unreliable messages of some size.
    let program = |against_client| Program {
        against_client,
        bounds: crate::host::Bounds::roomy(),
        window: (255, u16::MAX, 1024),
        steps: steps(),
    };
    server::run(&program(true));
    client::run(&program(false));
}

#[test]
fn nothing_unreliable_is_sent_behind_a_close() {
    both(|| {
        vec![
            Step::Verdict { accept: true },
            Step::Poll,
            Step::SendUnreliable { size: 9000 },
            Step::SendUnreliable { size: 9000 },
            Step::Close,
            Step::Poll,
        ]
    });
}

#[test]
fn nothing_is_told_behind_closed() {
    both(|| {
        let drain = Says::Drain {
            window_ms: 1,
            address: 0,
        };
        vec![Step::Close, Step::Poll, Step::Record(vec![drain, Says::CloseAck(0)])]
    });
}
