//! Lets everybody in and floods them: PINGs, ACKs that say nothing new, unreliable messages, and frames of the future. It acknowledges nothing.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{MissedTickBehavior, interval};
use unbroken::wire::frame::{self, Ack};

use super::{Kind, Promise};
use crate::hand::{Answer, random, welcome};

const EVERY: Duration = Duration::from_millis(20);

pub const KIND: Kind = Kind {
    name: "a flood of PINGs, ACKs and messages",
    promise: Promise::Stands,
    answer: |post, stream| {
        Box::pin(async move {
            let Answer::Link(mut line) = post.keys.accept(stream, "", |_| true).await? else {
                return Ok(());
            };
            line.say(&welcome()).await?;
            let mut tick = interval(EVERY);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut scratch = vec![0; 1 << 16];
            loop {
                tick.tick().await;
                let mut records = Vec::new();
                for _ in 0..10 {
                    records.extend(line.seal(&flood()));
                }
                line.stream.write_all(&records).await?;
                // What the client says is forgotten.
                let _ = line.stream.try_read(&mut scratch);
            }
        })
    },
};

fn flood() -> Vec<u8> {
    let mut words = vec![0; 50 * frame::PING_LEN];
    words
        .chunks_mut(frame::PING_LEN)
        .for_each(|ping| _ = frame::ping(ping, random()));
    let ack = Ack {
        recv_next: 0,
        messages: 10_000,
        bytes: 1 << 20,
    };
    let at = words.len();
    words.resize(at + frame::ack_len(&ack), 0);
    frame::ack(&mut words[at..], &ack);
    frame::unreliable_header(&mut words, 300);
    words.extend_from_slice(&random::<300>());
    // A frame of the future, of three bytes.
    words.extend_from_slice(&[0x42, 3, 1, 2, 3]);
    words
}
