//! Where received messages lie in a buffer: runs of messages with their headers, as records carry them, and large messages that stand bare.

use alloc::collections::VecDeque;

use crate::wire::frame;

/// Messages of one record, or one large message. Without a byte it is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stretch {
    pub start: usize,
    pub end: usize,
    /// Whole and without a header, as large messages are.
    pub bare: bool,
}

impl Stretch {
    fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

/// Stretches of one buffer, in order.
#[derive(Default)]
pub struct Stretches {
    /// What is delivered next, and what comes behind it. If this is empty, so is that.
    front: Stretch,
    behind: VecDeque<Stretch>,
}

impl Stretches {
    /// Without memory of their own.
    pub const fn new() -> Self {
        let front = Stretch {
            start: 0,
            end: 0,
            bare: false,
        };
        Stretches {
            front,
            behind: VecDeque::new(),
        }
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.front.is_empty()
    }

    /// How many there are behind the first.
    pub fn behind(&self) -> usize {
        self.behind.len()
    }

    pub fn append(&mut self, stretch: Stretch) {
        if self.front.is_empty() {
            self.front = stretch;
        } else {
            self.behind.push_back(stretch);
        }
    }

    /// The size of the first entry, if that is short and another follows it in its stretch.
    #[inline]
    pub fn next_short(&self, buffer: &[u8]) -> Option<usize> {
        let front = &self.front;
        if front.is_empty() || front.bare {
            return None;
        }
        frame::short_entry(buffer[front.start]).filter(|size| front.start + size < front.end)
    }

    /// Takes the message off that [`Stretches::next_short`] found.
    #[inline]
    pub fn pop_short<'a>(&mut self, buffer: &'a [u8], size: usize) -> &'a [u8] {
        let start = self.front.start;
        self.front.start += size;
        &buffer[start + 1..start + size]
    }

    /// Takes the first message off, which lies in `buffer`.
    #[inline]
    pub fn pop<'a>(&mut self, buffer: &'a [u8]) -> Option<&'a [u8]> {
        let front = &mut self.front;
        if front.is_empty() {
            return None;
        }
        let entries = &buffer[front.start..front.end];
        let payload = if front.bare {
            front.start = front.end;
            entries
        } else {
            let Some((message, size)) = frame::next_message(entries) else {
                unreachable!("a run was checked when it was taken in")
            };
            front.start += size;
            message
        };
        if front.is_empty() {
            self.come_forward();
        }
        Some(payload)
    }

    /// Takes all messages off, in order.
    #[inline]
    pub fn drain(&mut self, buffer: &[u8], mut each: impl FnMut(&[u8])) {
        while !self.is_empty() {
            let Stretch { start, end, bare } = self.front;
            self.come_forward();
            match bare {
                true => each(&buffer[start..end]),
                false => frame::for_each_message(&buffer[start..end], &mut each),
            }
        }
    }

    #[inline(never)]
    fn come_forward(&mut self) {
        self.front = self.behind.pop_front().unwrap_or_default();
    }

    /// Where the first begins, if there is one.
    pub fn first_start(&self) -> Option<usize> {
        (!self.is_empty()).then_some(self.front.start)
    }

    /// Where the last ends; 0 if there is none.
    pub fn last_end(&self) -> usize {
        self.behind.back().map_or(self.front.end, |stretch| stretch.end)
    }

    /// What they lie in has been moved down by so many bytes.
    pub fn move_down(&mut self, bytes: usize) {
        let front = Some(&mut self.front).filter(|front| !front.is_empty());
        for stretch in front.into_iter().chain(&mut self.behind) {
            stretch.start -= bytes;
            stretch.end -= bytes;
        }
    }

    /// Bytes of memory, used or not.
    #[cfg(test)]
    pub fn memory(&self) -> usize {
        self.behind.capacity() * size_of::<Stretch>()
    }
}
