//! A stream whose application does by hand what a session does for it.

use std::hint::black_box;

use crate::Talk;

/// The application packs its messages by hand into writes of 16 KiB, with a length of 2 bytes each, and unpacks them.
pub struct Packed<T> {
    stream: T,
    packed: Vec<u8>,
}

impl<T: Talk> Packed<T> {
    pub fn new(stream: T) -> Self {
        Packed {
            stream,
            packed: Vec::new(),
        }
    }
}

impl<T: Talk> Talk for Packed<T> {
    fn carry(&mut self, message: &[u8], count: usize) -> usize {
        let mut lengths = 0;
        let mut delivered = 0;
        for left in (0..count).rev() {
            let message = black_box(message);
            self.packed.extend_from_slice(&(message.len() as u16).to_be_bytes());
            self.packed.extend_from_slice(message);
            lengths += 2;
            if left == 0 || self.packed.len() + message.len() + 2 > 16 << 10 {
                let packed = core::mem::take(&mut self.packed);
                delivered += self.stream.carry(&packed, 1);
                self.packed = packed;
                self.packed.clear();
            }
        }
        delivered - lengths
    }
}
