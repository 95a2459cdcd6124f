//! Sessions that were let in and send PINGs without end: many in a record, and a record for each. One half reads the answers, the other does not.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{MissedTickBehavior, interval};
use unbroken::wire::frame;

use super::{Attack, hang_up};
use crate::hand::{Session, random};
use crate::server::HOSTILE;

/// Sessions at once.
const SESSIONS: usize = 4;
const EVERY: Duration = Duration::from_millis(10);
/// In a record, and records with one each, every time.
const IN_ONE: u64 = 200;
const ALONE: u64 = 10;

pub fn attack() -> Attack {
    Attack {
        name: "PING floods",
        unit: "PINGs",
        kinds: &["answers read", "answers not read"],
        rate: 2.0,
        most: SESSIONS,
        aim: SESSIONS as f64 * (IN_ONE + ALONE) as f64 / EVERY.as_secs_f64(),
        blow: |arms, tally| {
            Box::pin(async move {
                let mut line = Session::open(arms.dial().await?, HOSTILE).await?.line;
                let kind = tally.next_kind();
                let mut tick = interval(EVERY);
                tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
                let mut scratch = vec![0; 1 << 16];
                loop {
                    tick.tick().await;
                    let mut words = line.seal(&pings(IN_ONE));
                    for _ in 0..ALONE {
                        words.extend(line.seal(&pings(1)));
                    }
                    if line.stream.write_all(&words).await.is_err() {
                        hang_up(line.stream);
                        return Ok(());
                    }
                    tally.count(kind, IN_ONE + ALONE);
                    if kind == 0 {
                        // Readiness is asked for by the write; what is there is forgotten.
                        let _ = line.stream.try_read(&mut scratch);
                    }
                }
            })
        },
    }
}

fn pings(count: u64) -> Vec<u8> {
    let mut words = vec![0; frame::PING_LEN * count as usize];
    for ping in words.chunks_mut(frame::PING_LEN) {
        frame::ping(ping, random());
    }
    words
}
