//! Random bytes without end, whatever the client says.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::{Kind, Promise};
use crate::hand::random;

pub const KIND: Kind = Kind {
    name: "garbage without end",
    promise: Promise::ConnectGivesUp,
    answer: |_, mut stream| {
        Box::pin(async move {
            loop {
                stream.write_all(&random::<16_384>()).await?;
                sleep(Duration::from_millis(10)).await;
            }
        })
    },
};
