//! Lets everybody in who is new, hangs up, and from then on says that no session is here: to resumes, and to the questions that follow.

use tokio::io::AsyncWriteExt;
use unbroken::wire::flight::RefuseCode;
use unbroken::wire::prelude::FlightKind;

use super::{Kind, Promise};
use crate::hand::{Answer, refuse, welcome};

pub const KIND: Kind = Kind {
    name: "in once, then \"not here\" for ever",
    promise: Promise::HandoverGivesUp,
    answer: |post, stream| {
        Box::pin(async move {
            match post.keys.accept(stream, "", |kind| kind == FlightKind::Hello).await? {
                Answer::Link(mut line) => {
                    line.say(&welcome()).await?;
                    // Until it has heard that it is in.
                    line.hear().await?;
                    line.stream.shutdown().await
                }
                Answer::Unanswered(mut stream) => {
                    stream.write_all(&refuse(RefuseCode::NotHere, 0)).await?;
                    stream.shutdown().await
                }
            }
        })
    },
};
