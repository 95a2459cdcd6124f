//! Messages over a byte stream by tokio-util's codec: a length of 4 bytes, then the bytes.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::Talker;

const STANDS: &str = "a connection that stands";

pub fn framed<S: AsyncRead + AsyncWrite>(stream: S) -> Framed<S, LengthDelimitedCodec> {
    Framed::new(stream, LengthDelimitedCodec::new())
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Talker for Framed<S, LengthDelimitedCodec> {
    async fn send(&mut self, message: &[u8]) {
        self.feed(Bytes::copy_from_slice(message)).await.expect(STANDS);
    }

    async fn burst(&mut self, message: &[u8], times: usize) {
        // One allocation for all: the codec wants to own what it copies.
        let message = Bytes::copy_from_slice(message);
        for _ in 0..times {
            self.feed(message.clone()).await.expect(STANDS);
        }
    }

    async fn flush(&mut self) {
        SinkExt::<Bytes>::flush(self).await.expect(STANDS);
    }

    async fn recv(&mut self, into: &mut Vec<u8>) -> bool {
        let Some(Ok(message)) = self.next().await else {
            return false;
        };
        into.clear();
        into.extend_from_slice(&message);
        true
    }
}
