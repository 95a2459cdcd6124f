//! Sessions that were let in, and go on with nonsense: bytes that are no records, records that are no frames, frames that cannot be.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use unbroken::wire::frame::{self, Ack};

use super::{Attack, ended, hang_up};
use crate::hand::{Line, Session};
use crate::server::HOSTILE;

const PATIENCE: Duration = Duration::from_secs(8);

pub fn attack() -> Attack {
    Attack {
        name: "garbage",
        unit: "sessions",
        kinds: &[
            "bytes that are no records",
            "records that are no frames",
            "frames that cannot be",
        ],
        rate: 20.0,
        most: 400,
        aim: 20.0,
        blow: |arms, tally| {
            Box::pin(async move {
                let mut line = Session::open(arms.dial().await?, HOSTILE).await?.line;
                let kind = tally.next_kind();
                let words = match kind {
                    0 => bytes(100_000),
                    1 => (0..8).flat_map(|_| no_frames(&mut line)).collect(),
                    _ => line.seal(&impossible()),
                };
                // It may end the link before all of it has left.
                let _ = line.stream.write_all(&words).await;
                tally.count(kind, 1);
                if !ended(&mut line.stream, PATIENCE).await {
                    tally.tolerated();
                }
                hang_up(line.stream);
                Ok(())
            })
        },
    }
}

fn bytes(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    fastrand::fill(&mut bytes);
    bytes
}

/// A record whose plaintext begins with a frame that there is not.
fn no_frames(line: &mut Line) -> Vec<u8> {
    let mut plaintext = bytes(fastrand::usize(1..4000));
    plaintext[0] = fastrand::u8(0x80..);
    line.seal(&plaintext)
}

/// A frame of good form that says what is not so.
fn impossible() -> Vec<u8> {
    let mut words = vec![0; 64];
    match fastrand::u8(0..3) {
        // What was never sent has arrived.
        0 => {
            let ack = Ack {
                recv_next: 1 << 40,
                messages: 1,
                bytes: 1,
            };
            let len = frame::ack(&mut words, &ack);
            words.truncate(len);
        }
        // A message far ahead.
        1 => {
            let len = frame::data_header(&mut words, 1000);
            words.truncate(len);
            words.extend_from_slice(&[2, b'x']);
        }
        // The beginning of a message of four gibibytes.
        _ => {
            let len = frame::fragment_header(&mut words, 0, u32::MAX, 0, 10);
            words.truncate(len);
            words.extend_from_slice(&[7; 10]);
        }
    }
    words
}
