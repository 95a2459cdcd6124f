//! What both sides do with a connected socket: write without waiting, and end it politely.
//!
//! Closing a TCP socket that still has unread input sends a reset, and a reset makes the peer's kernel throw away what we had
//! sent before: the last flight (CLOSE, a refusal) would be lost. So a link is closed in three steps: write what is left, send
//! FIN, read and discard until the peer's FIN, all within [`LINGER`].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// How long a closed link may take to leave.
const LINGER: Duration = Duration::from_secs(2);
/// How much is read and discarded meanwhile.
const DISCARD: usize = 4 << 20;

/// The part of an output that the socket did not take yet. At most one output waits here, because the core gives none for a blocked link.
#[derive(Default)]
pub(crate) struct Pending(BytesMut);

impl Pending {
    /// Writes now, as much as goes. Returns whether all of it went; if not, the rest is kept and the link is blocked.
    pub(crate) fn write(&mut self, stream: &TcpStream, bytes: &[u8]) -> io::Result<bool> {
        if !self.0.is_empty() {
            self.0.extend_from_slice(bytes);
            return Ok(false);
        }
        let sent = write_some(stream, bytes)?;
        self.0.extend_from_slice(&bytes[sent..]);
        Ok(self.0.is_empty())
    }

    /// Tries again. Returns whether nothing is left.
    pub(crate) fn flush(&mut self, stream: &TcpStream) -> io::Result<bool> {
        let sent = write_some(stream, &self.0)?;
        self.0.advance(sent);
        if self.0.is_empty() {
            // A blocked link is rare; its buffer need not stay.
            self.0 = BytesMut::new();
        }
        Ok(self.0.is_empty())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn write_some(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.try_write(&bytes[sent..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => sent += n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) => return Err(e),
        }
    }
    Ok(sent)
}

/// Reads once. By `poll_read` and not by `try_read`: it takes a read that did not fill the buffer as a sign that nothing is left, and so saves the read
/// that would say so.
pub(crate) fn read(
    reader: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(buffer);
    ready!(Pin::new(reader).poll_read(cx, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().len()))
}

/// Writes what is left, sends FIN and waits for the peer's, within bounds.
pub(crate) async fn close(mut stream: TcpStream, pending: Pending) {
    let polite = async {
        stream.write_all(&pending.0).await?;
        stream.shutdown().await?;
        discard(&stream).await
    };
    let _ = tokio::time::timeout(LINGER, polite).await;
}

async fn discard(stream: &TcpStream) -> io::Result<()> {
    let mut scratch = [0; 1024];
    let mut left = DISCARD;
    while left > 0 {
        stream.readable().await?;
        match stream.try_read(&mut scratch) {
            Ok(0) => break,
            Ok(n) => left = left.saturating_sub(n),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
