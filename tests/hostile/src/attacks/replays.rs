//! Flights of sessions that live, recorded on their way, sent again as they were: alone, and with the records that followed them.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::{Attack, ended, hang_up};

/// Longer than the server waits for the first record of a link that it has answered, which is 5 s.
const PATIENCE: Duration = Duration::from_secs(8);

pub fn attack() -> Attack {
    Attack {
        name: "replayed flights",
        unit: "connections",
        kinds: &[
            "HELLO",
            "RESUME",
            "HELLO and its records",
            "RESUME and its records",
            "RESUME, before its owner's",
        ],
        rate: 100.0,
        most: 2000,
        aim: 100.0,
        blow: |arms, tally| {
            Box::pin(async move {
                if let Some(held) = arms.library.held().filter(|_| fastrand::bool()) {
                    let mut stream = arms.dial().await?;
                    stream.write_all(&held).await?;
                    tally.count(4, 1);
                    // The first of these is answered, and its link stands until the owner comes.
                    if !ended(&mut stream, PATIENCE).await {
                        tally.tolerated();
                    }
                    hang_up(stream);
                    return Ok(());
                }
                let Some(recorded) = arms.library.any() else {
                    return Err(io::ErrorKind::NotFound.into());
                };
                let mut stream = arms.dial().await?;
                let whole = fastrand::bool();
                let words = if whole { &recorded.up[..] } else { recorded.flight() };
                stream.write_all(words).await?;
                tally.count(usize::from(recorded.is_resume()) + 2 * usize::from(whole), 1);
                // A HELLO alone is answered, and the server waits for its first record for as long as for a flight.
                if !ended(&mut stream, PATIENCE).await {
                    tally.tolerated();
                }
                hang_up(stream);
                Ok(())
            })
        },
    }
}
