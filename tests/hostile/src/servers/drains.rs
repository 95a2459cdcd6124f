//! Lets everybody in and asks them to move at once: to itself, so they move in a circle.

use unbroken::wire::frame::{self, Frame, Frames};

use super::{Kind, Promise};
use crate::hand::{Answer, welcome};

pub const KIND: Kind = Kind {
    name: "DRAIN at once, in a circle",
    promise: Promise::Stands,
    answer: |post, stream| {
        Box::pin(async move {
            let here = post.address.to_string();
            let Answer::Link(mut line) = post.keys.accept(stream, &here, |_| true).await? else {
                return Ok(());
            };
            let mut words = welcome();
            frame::drain(&mut words, 0, &here);
            line.say(&words).await?;
            // It answers what it is asked, so that nobody leaves it for its silence.
            loop {
                let heard = line.hear().await?;
                for asked in Frames::new(&heard) {
                    if let Ok(Frame::Ping(token)) = asked {
                        let mut pong = [0; frame::PING_LEN];
                        frame::pong(&mut pong, token);
                        line.say(&pong).await?;
                    }
                }
            }
        })
    },
};
