//! What the real server once answered to somebody else, records and all.

use std::io;

use tokio::io::AsyncWriteExt;

use super::{Kind, Promise};
use crate::hand::flight;

pub const KIND: Kind = Kind {
    name: "answers of a real server, replayed",
    promise: Promise::ConnectGivesUp,
    answer: |post, mut stream| {
        Box::pin(async move {
            flight(&mut stream).await?;
            let recorded = post.library.any().ok_or(io::ErrorKind::NotFound)?;
            stream.write_all(&recorded.down).await?;
            std::future::pending().await
        })
    },
};
