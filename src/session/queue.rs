//! A bounded queue of byte strings in one buffer: for unreliable messages, on both ways.
//!
//! The strings lie behind each other; when the queue has run empty the buffer starts over. So a steady flow allocates nothing. Most sessions
//! never have an unreliable message, and for them there is no buffer and no account of one.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// See the module's head.
pub struct ByteQueue {
    /// From the first string on, until [`ByteQueue::shrink`].
    held: Option<Box<Held>>,
    /// Most bytes held, each string counted with one byte more, so that empty ones are bounded too.
    max: usize,
}

#[derive(Default)]
struct Held {
    buffer: Vec<u8>,
    lengths: VecDeque<u32>,
    start: usize,
}

/// The string does not fit now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

impl ByteQueue {
    pub const fn new(max: usize) -> Self {
        ByteQueue { held: None, max }
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.held.as_ref().is_none_or(|held| held.lengths.is_empty())
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.lengths.len())
    }

    /// Changes places with another queue; the bound of each stays its own.
    pub fn swap_contents(&mut self, other: &mut ByteQueue) {
        core::mem::swap(&mut self.held, &mut other.held);
    }

    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if bytes.len() + 1 > self.max {
            return Err(Full);
        }
        let held = self.held.get_or_insert_default();
        let size = held.buffer.len() - held.start + held.lengths.len();
        if held.lengths.is_empty() {
            held.buffer.clear();
            held.start = 0;
        } else if size + bytes.len() + 1 > self.max {
            return Err(Full);
        } else if held.start > held.buffer.len() / 2 {
            held.buffer.drain(..held.start);
            held.start = 0;
        }
        held.buffer.extend_from_slice(bytes);
        held.lengths.push_back(bytes.len() as u32);
        Ok(())
    }

    /// The first string.
    pub fn front(&self) -> Option<&[u8]> {
        let held = self.held.as_ref()?;
        let length = *held.lengths.front()? as usize;
        Some(&held.buffer[held.start..held.start + length])
    }

    pub fn pop(&mut self) -> Option<&[u8]> {
        let held = self.held.as_mut()?;
        let length = held.lengths.pop_front()? as usize;
        let start = held.start;
        held.start += length;
        Some(&held.buffer[start..start + length])
    }

    pub fn clear(&mut self) {
        if let Some(held) = &mut self.held {
            held.lengths.clear();
        }
    }

    /// Gives the memory back if nothing waits.
    pub fn shrink(&mut self) {
        if self.is_empty() {
            self.held = None;
        }
    }
    /// Bytes of memory, used or not.
    #[cfg(test)]
    pub fn memory(&self) -> usize {
        let held = self.held.as_ref();
        held.map_or(0, |held| {
            held.buffer.capacity() + held.lengths.capacity() * size_of::<u32>()
        })
    }
}
