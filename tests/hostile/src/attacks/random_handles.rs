//! Resumes of sessions that are not there, or of somebody else's: what can be tried without keys. A handle that the server would take is seen by nobody but
//! who holds a client's RESUME back; its mac1 is what then keeps others out.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::{Attack, ended, hang_up, weighted};
use crate::hand::{query, random_resume};

/// Longer than the server's patience with what looks like a flight.
const PATIENCE: Duration = Duration::from_secs(8);

pub fn attack() -> Attack {
    Attack {
        name: "random handles",
        unit: "connections",
        kinds: &[
            "RESUME, random handle",
            "RESUME, a live session's handle, random mac1",
            "QUERY, random handle",
            "another protocol",
            "noise",
        ],
        rate: 300.0,
        most: 4000,
        aim: 300.0,
        blow: |arms, tally| {
            Box::pin(async move {
                let mut stream = arms.dial().await?;
                let kind = weighted(&[40, 20, 10, 15, 15]);
                let live = (kind == 1).then(|| arms.library.held()).flatten();
                let (kind, words) = match (kind, live) {
                    (1, Some(live)) => (1, random_resume(Some(&live))),
                    (0 | 1, _) => (0, random_resume(None)),
                    (2, _) => (2, query()),
                    (3, _) => (3, other_protocol()),
                    _ => (4, noise()),
                };
                stream.write_all(&words).await?;
                tally.count(kind, 1);
                if !ended(&mut stream, PATIENCE).await {
                    tally.tolerated();
                }
                hang_up(stream);
                Ok(())
            })
        },
    }
}

fn other_protocol() -> Vec<u8> {
    match fastrand::u8(0..3) {
        0 => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        // The beginning of a TLS ClientHello.
        1 => [
            &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..],
            &crate::hand::random::<500>(),
        ]
        .concat(),
        _ => b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(),
    }
}

fn noise() -> Vec<u8> {
    let mut noise = vec![0; fastrand::usize(1..5000)];
    fastrand::fill(&mut noise);
    // By chance it could begin like one of ours, once in 2^24.
    noise[0] = 0;
    noise
}
