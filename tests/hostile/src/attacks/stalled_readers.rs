//! Sessions that were let in, give all the credit there is, are sent data without end, and never read. One half says nothing either; the other keeps
//! up the appearance of life by a PING in each second.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use unbroken::wire::frame;

use super::{Attack, hang_up};
use crate::hand::{Session, random};
use crate::server::THIRSTY;

const READERS: usize = 16;
/// For how many seconds one of each kind goes on. A silent one's link has been given up by then; those that seem alive are the first, and stay.
const LASTS: [u32; 2] = [15, u32::MAX];

pub fn attack() -> Attack {
    Attack {
        name: "stalled readers",
        unit: "seconds of a reader",
        kinds: &["silent", "alive by PINGs"],
        rate: 4.0,
        most: READERS,
        aim: READERS as f64,
        blow: |arms, tally| {
            Box::pin(async move {
                let mut line = Session::open(arms.dial_narrow().await?, THIRSTY).await?.line;
                let kind = usize::from(tally.begun() < READERS / 2);
                // It is sent data: without, it would not be a stalled reader.
                timeout(Duration::from_secs(10), line.stream.readable()).await??;
                // The server's FIN stands behind data that is never read, so whoever is silent does not learn that he was given up.
                for _ in 0..LASTS[kind] {
                    sleep(Duration::from_secs(1)).await;
                    let mut ping = [0; frame::PING_LEN];
                    frame::ping(&mut ping, random());
                    if kind == 1 && line.say(&ping).await.is_err() {
                        break;
                    }
                    tally.count(kind, 1);
                }
                hang_up(line.stream);
                Ok(())
            })
        },
    }
}
