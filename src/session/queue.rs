//! A bounded queue of byte strings in one buffer: for unreliable messages, on both ways.
//!
//! The strings lie behind each other; when the queue has run empty the buffer starts over. So a steady flow allocates nothing.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// See the module's head.
pub struct ByteQueue {
    buffer: Vec<u8>,
    lengths: VecDeque<u32>,
    start: usize,
    /// Most bytes held, each string counted with one byte more, so that empty ones are bounded too.
    max: usize,
}

/// The string does not fit now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

impl ByteQueue {
    pub const fn new(max: usize) -> Self {
        ByteQueue {
            buffer: Vec::new(),
            lengths: VecDeque::new(),
            start: 0,
            max,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let held = self.buffer.len() - self.start + self.lengths.len();
        if self.lengths.is_empty() {
            self.buffer.clear();
            self.start = 0;
        } else if held + bytes.len() + 1 > self.max {
            return Err(Full);
        } else if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        if bytes.len() + 1 > self.max {
            return Err(Full);
        }
        self.buffer.extend_from_slice(bytes);
        self.lengths.push_back(bytes.len() as u32);
        Ok(())
    }

    /// The first string.
    pub fn front(&self) -> Option<&[u8]> {
        let length = *self.lengths.front()? as usize;
        Some(&self.buffer[self.start..self.start + length])
    }

    pub fn pop(&mut self) -> Option<&[u8]> {
        let length = self.lengths.pop_front()? as usize;
        let start = self.start;
        self.start += length;
        Some(&self.buffer[start..start + length])
    }

    pub fn clear(&mut self) {
        self.lengths.clear();
    }

    /// Gives the memory back if nothing waits.
    pub fn shrink(&mut self) {
        if self.lengths.is_empty() {
            *self = ByteQueue::new(self.max);
        }
    }
}
