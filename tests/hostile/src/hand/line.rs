//! A connection after its handshake, from either end.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use unbroken::crypto::{Opener, Sealer};
use unbroken::wire::record;

/// Seals and opens records.
pub struct Line {
    pub stream: TcpStream,
    sealer: Sealer,
    opener: Opener,
    input: Vec<u8>,
}

impl Line {
    /// `input` came behind the handshake already.
    pub fn new(stream: TcpStream, sealer: Sealer, opener: Opener, input: Vec<u8>) -> Line {
        Line {
            stream,
            sealer,
            opener,
            input,
        }
    }

    /// The bytes of a record.
    pub fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut out = record::length_field(plaintext.len()).to_vec();
        out.resize(2 + plaintext.len() + record::TAG, 0);
        // An error comes after 2^64 records.
        let _ = self.sealer.seal(plaintext, &mut out[2..]);
        out
    }

    /// Sends a record.
    pub async fn say(&mut self, plaintext: &[u8]) -> io::Result<()> {
        let record = self.seal(plaintext);
        self.stream.write_all(&record).await
    }

    /// The plaintext of the next record.
    pub async fn hear(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(length) = record::length(&self.input).map_err(io::Error::other)?
                && self.input.len() >= 2 + length
            {
                let mut plaintext = vec![0; length - record::TAG];
                let opened = self.opener.open(&self.input[2..2 + length], &mut plaintext);
                self.input.drain(..2 + length);
                opened.map_err(|_| io::Error::other("a record that does not open"))?;
                return Ok(plaintext);
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
