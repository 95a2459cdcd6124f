//! Flights that come a byte in a second: each looks alive, and would take two minutes.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::Instant;
use unbroken::wire::flight::MAC1_OFFSET;

use super::{Attack, ended, hang_up};
use crate::hand::{hello, random_resume};

/// The server's patience is 5 s; whoever drips for longer than this was not turned away.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn attack() -> Attack {
    Attack {
        name: "slow drips",
        unit: "connections",
        kinds: &["HELLO", "RESUME, behind its handle"],
        rate: 60.0,
        most: 300,
        aim: 60.0,
        blow: |arms, tally| {
            Box::pin(async move {
                let mut stream = arms.dial().await?;
                let kind = tally.next_kind();
                let (flight, at_once) = match kind {
                    0 => (hello().0, 1),
                    // Its handle says which worker it is for, so this one waits there and not before.
                    _ => (random_resume(None), MAC1_OFFSET),
                };
                stream.write_all(&flight[..at_once]).await?;
                tally.count(kind, 1);
                let begun = Instant::now();
                for byte in &flight[at_once..] {
                    let gone = ended(&mut stream, Duration::from_secs(1)).await;
                    if gone || stream.write_all(&[*byte]).await.is_err() {
                        break;
                    }
                    if begun.elapsed() > PATIENCE {
                        tally.tolerated();
                        break;
                    }
                }
                hang_up(stream);
                Ok(())
            })
        },
    }
}
