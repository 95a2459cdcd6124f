//! Records (section 3).

use unbroken::crypto::{Opener, Sealer, Split};

use super::frames::{RawFrame, parse};

/// One end of a link, after the handshake.
pub struct RawLink {
    sealer: Sealer,
    opener: Opener,
    held: Vec<u8>,
}

impl RawLink {
    pub fn client(split: &Split) -> Self {
        RawLink {
            sealer: Sealer::new(&split.client),
            opener: Opener::new(&split.server),
            held: Vec::new(),
        }
    }

    pub fn server(split: &Split) -> Self {
        RawLink {
            sealer: Sealer::new(&split.server),
            opener: Opener::new(&split.client),
            held: Vec::new(),
        }
    }

    /// One record with this plaintext.
    pub fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut out = ((plaintext.len() + 16) as u16).to_be_bytes().to_vec();
        out.resize(2 + plaintext.len() + 16, 0);
        self.sealer.seal(plaintext, &mut out[2..]).unwrap();
        out
    }

    /// The frames of all records that are whole now.
    pub fn open(&mut self, bytes: &[u8]) -> Vec<RawFrame> {
        self.held.extend_from_slice(bytes);
        let mut frames = Vec::new();
        while let Some(length) = self.held.first_chunk().map(|l| usize::from(u16::from_be_bytes(*l))) {
            assert!((17..=16400).contains(&length), "U-29: a record of {length} bytes");
            if self.held.len() < 2 + length {
                break;
            }
            let mut plaintext = vec![0; length - 16];
            self.opener
                .open(&self.held[2..2 + length], &mut plaintext)
                .expect("U-31: the core's record does not open");
            self.held.drain(..2 + length);
            frames.extend(parse(&plaintext));
        }
        frames
    }
}
