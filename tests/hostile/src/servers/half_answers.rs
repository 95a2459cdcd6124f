//! The beginning of an ACCEPT of good form, and then nothing, or a byte in a second.

use std::future::pending;
use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::{Kind, Promise};
use crate::hand::{flight, half_accept, random};

/// Bytes that an ACCEPT has behind its prelude, or somewhat more.
const LENGTH: usize = 170;

pub const KIND: Kind = Kind {
    name: "half an ACCEPT, then silence",
    promise: Promise::ConnectGivesUp,
    answer: |_, mut stream| {
        Box::pin(async move {
            begin(&mut stream).await?;
            stream.write_all(&random::<{ LENGTH / 2 }>()).await?;
            pending().await
        })
    },
};

pub const DRIP: Kind = Kind {
    name: "an ACCEPT, a byte in a second",
    promise: Promise::ConnectGivesUp,
    answer: |_, mut stream| {
        Box::pin(async move {
            begin(&mut stream).await?;
            loop {
                sleep(Duration::from_secs(1)).await;
                stream.write_all(&random::<1>()).await?;
            }
        })
    },
};

async fn begin(stream: &mut TcpStream) -> io::Result<()> {
    flight(stream).await?;
    stream.write_all(&half_accept(LENGTH)).await
}
