//! A session and its endpoint in memory, driven as a host drives them, as cheaply as can be: what the benches time and `tests/hot/run` counts.
#![forbid(unsafe_code)]

pub mod ends;

/// Something that takes messages from one end to the other in memory.
pub trait Talk {
    /// Takes `count` copies of `message` across, flushed together; returns the payload bytes that came out.
    fn carry(&mut self, message: &[u8], count: usize) -> usize;
}

/// What an application that only looks at a message does with it: its length, and its first byte read.
#[inline]
pub fn look(message: &[u8]) -> usize {
    std::hint::black_box(message.first().copied());
    message.len()
}
