//! Messages over a byte stream, packed by hand: a length of 4 bytes, then the bytes, copied into a buffer and out of one.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};

use super::Talker;

const BUFFER: usize = 16 << 10;

/// `K` is kept as long as the stream.
pub struct Packed<R, W, K = ()> {
    reader: BufReader<R>,
    writer: BufWriter<W>,
    _kept: K,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin, K> Packed<R, W, K> {
    pub fn new(reader: R, writer: W, kept: K) -> Self {
        Packed {
            reader: BufReader::with_capacity(BUFFER, reader),
            writer: BufWriter::with_capacity(BUFFER, writer),
            _kept: kept,
        }
    }
}

impl<R: AsyncRead + Unpin + 'static, W: AsyncWrite + Unpin + 'static, K: 'static> Talker for Packed<R, W, K> {
    async fn send(&mut self, message: &[u8]) {
        let length = (message.len() as u32).to_be_bytes();
        self.writer.write_all(&length).await.expect("a connection that stands");
        self.writer.write_all(message).await.expect("a connection that stands");
    }

    async fn flush(&mut self) {
        self.writer.flush().await.expect("a connection that stands");
    }

    async fn recv(&mut self, into: &mut Vec<u8>) -> bool {
        let mut length = [0; 4];
        if self.reader.read_exact(&mut length).await.is_err() {
            return false;
        }
        into.resize(u32::from_be_bytes(length) as usize, 0);
        self.reader.read_exact(into).await.is_ok()
    }
}
