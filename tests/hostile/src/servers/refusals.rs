//! REFUSE, of each code in turn, and no time to wait before the next try.

use std::sync::atomic::Ordering::Relaxed;

use tokio::io::AsyncWriteExt;
use unbroken::wire::flight::RefuseCode;

use super::{Kind, Promise};
use crate::hand::{flight, refuse};

pub const KIND: Kind = Kind {
    name: "REFUSE of each code, retry at once",
    promise: Promise::ConnectGivesUp,
    answer: |post, mut stream| {
        Box::pin(async move {
            flight(&mut stream).await?;
            let code = RefuseCode::from_byte(1 + (post.dials.load(Relaxed) % 6) as u8).unwrap_or(RefuseCode::Busy);
            stream.write_all(&refuse(code, 0)).await?;
            stream.shutdown().await
        })
    },
};
