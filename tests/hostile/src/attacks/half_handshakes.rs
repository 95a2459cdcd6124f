//! Handshakes that are begun and left: each costs the server a socket for as long as it is willing to wait.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use unbroken::wire::prelude;

use super::{Attack, ended, hang_up, weighted};
use crate::hand;

/// Longer than the server's patience, which is 5 s.
const HOLD: Duration = Duration::from_secs(7);

pub fn attack(rate: u32) -> Attack {
    Attack {
        name: "half-handshakes",
        unit: "connections",
        kinds: &[
            "silent",
            "part of a prelude",
            "part of a HELLO",
            "HELLO, no record behind its answer",
        ],
        rate: rate.into(),
        most: 12_000,
        aim: rate.into(),
        blow: |arms, tally| {
            Box::pin(async move {
                let mut stream = arms.dial().await?;
                // A whole HELLO costs both ends a Diffie-Hellman, so there are fewer of them.
                let kind = weighted(&[45, 15, 25, 15]);
                let flight = if kind == 0 { Vec::new() } else { hand::hello().0 };
                let said = match kind {
                    0 => 0,
                    1 => fastrand::usize(1..prelude::LEN),
                    2 => fastrand::usize(prelude::LEN..flight.len()),
                    _ => flight.len(),
                };
                stream.write_all(&flight[..said]).await?;
                tally.count(kind, 1);
                ended(&mut stream, HOLD).await;
                hang_up(stream);
                Ok(())
            })
        },
    }
}
