//! The inbox: messages from the record they came in until the application takes them.
//!
//! A record is opened straight into the inbox's buffer. If it holds messages, they stay where they are, as a stretch of the
//! buffer, and `pop` hands out slices of it: no copy and no allocation per message. Fragments of a large message are moved
//! together at the buffer's end until the message is whole. When everything has been taken the buffer starts over.
//!
//! Three counters, each never below the last: `delivered` (taken by the application; what an ACK says), `next` (received
//! whole), and `partial` bytes of the message `next`. What the peer may have sent beyond `delivered` is bounded by the window
//! it was given; more ends its link (F-40).

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;

use super::outbox::Part;
use super::queue::ByteQueue;
use crate::event::{Message, MessageId};
use crate::wire::frame;

/// A buffer above this is given back as soon as it is empty; below, when the session goes quiet.
const KEEP: usize = 256 << 10;

/// Messages of one record, or one large message.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    start: usize,
    end: usize,
    /// Whole and without a header, as large messages are.
    bare: bool,
}

/// The beginning of a message that comes in fragments, at the buffer's end.
#[derive(Clone, Copy, Debug)]
struct Partial {
    start: usize,
    length: u32,
    total: u32,
}

/// A run of messages without its bytes.
#[derive(Clone, Copy, Debug)]
pub struct RunHead {
    pub seq: u64,
    pub count: u64,
    pub payload: u64,
}

/// Why a message was not taken in; the link ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InboxError {
    /// A number is missing between what is there and what came.
    Gap,
    /// More than the window allows.
    Credit,
    /// A message over the limit, or fragments that do not fit together.
    Size,
}

/// See the module's head.
pub struct Inbox {
    buffer: Vec<u8>,
    stretches: VecDeque<Stretch>,
    partial: Option<Partial>,
    next: u64,
    delivered: u64,
    /// Payload of messages received and not delivered, partial ones included.
    held: u64,
    unreliable: ByteQueue,
    window_messages: u64,
    window_bytes: u64,
    max_message: u64,
}

impl Inbox {
    pub fn new(window_messages: u32, window_bytes: u32, max_message: u32, unreliable_max: u32) -> Self {
        Inbox {
            buffer: Vec::new(),
            stretches: VecDeque::new(),
            partial: None,
            next: 0,
            delivered: 0,
            held: 0,
            unreliable: ByteQueue::new(unreliable_max as usize),
            window_messages: window_messages.into(),
            window_bytes: window_bytes.into(),
            max_message: max_message.into(),
        }
    }

    /// The first message not received whole.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// How much of message `next` is there already.
    pub fn offset(&self) -> u32 {
        self.partial.map_or(0, |partial| partial.length)
    }

    /// The first message the application has not taken.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    pub fn is_empty(&self) -> bool {
        self.stretches.is_empty() && self.unreliable.is_empty()
    }

    /// Takes the buffer out, with `room` bytes behind what is kept; they begin at the returned index. [`Inbox::put_back`] ends it.
    pub fn take_buffer(&mut self, room: usize) -> (Vec<u8>, usize) {
        if self.stretches.is_empty() && self.partial.is_none() {
            self.buffer.clear();
            self.buffer.shrink_to(KEEP);
        } else {
            self.compact();
        }
        let mut buffer = core::mem::take(&mut self.buffer);
        let start = buffer.len();
        buffer.resize(start + room, 0);
        (buffer, start)
    }

    /// Returns the buffer; what lies behind the last stretch is cut off.
    pub fn put_back(&mut self, mut buffer: Vec<u8>) {
        let stretches = self.stretches.back().map_or(0, |stretch| stretch.end);
        let partial = self
            .partial
            .map_or(0, |partial| partial.start + partial.length as usize);
        buffer.truncate(stretches.max(partial));
        self.buffer = buffer;
    }

    /// Takes in a run whose entries stand at `entries` of the taken buffer. Returns whether anything was new.
    pub fn run(&mut self, run: RunHead, buffer: &mut [u8], entries: Range<usize>) -> Result<bool, InboxError> {
        if run.seq > self.next {
            return Err(InboxError::Gap);
        }
        let mut known = self.next - run.seq;
        if known >= run.count {
            return Ok(false);
        }
        let mut start = entries.start;
        let mut payload = run.payload;
        while known > 0 {
            let Some((message, size)) = frame::next_message(&buffer[start..entries.end]) else {
                break;
            };
            start += size;
            payload -= message.len() as u64;
            known -= 1;
        }
        if payload > self.max_message && self.has_oversized(&buffer[start..entries.end]) {
            return Err(InboxError::Size);
        }
        let end_seq = run.seq + run.count;
        // A partial message that now comes whole is superseded by the whole one.
        let partial = u64::from(self.partial.map_or(0, |partial| partial.length));
        let held = self.held - partial + payload;
        if end_seq - self.delivered > self.window_messages || held > self.window_bytes {
            return Err(InboxError::Credit);
        }
        // First, so that what is superseded does not stay in the buffer behind the messages that supersede it.
        self.partial = None;
        let (start, end) = self.pull_down(buffer, start..entries.end);
        self.held = held;
        self.next = end_seq;
        self.stretches.push_back(Stretch {
            start,
            end,
            bare: false,
        });
        Ok(true)
    }

    /// Takes in a fragment whose bytes stand at `bytes` of the taken buffer.
    pub fn fragment(&mut self, fragment: Part, buffer: &mut [u8], bytes: Range<usize>) -> Result<bool, InboxError> {
        let (total, offset) = (fragment.total, fragment.offset);
        if fragment.seq < self.next {
            return Ok(false);
        }
        if fragment.seq > self.next {
            return Err(InboxError::Gap);
        }
        if u64::from(total) > self.max_message {
            return Err(InboxError::Size);
        }
        let floor = self.stretches.back().map_or(0, |stretch| stretch.end);
        let partial = self.partial.unwrap_or(Partial {
            start: floor,
            length: 0,
            total,
        });
        if partial.total != total {
            return Err(InboxError::Size);
        }
        if offset > partial.length {
            return Err(InboxError::Gap);
        }
        let known = (partial.length - offset) as usize;
        if known >= bytes.len() {
            return Ok(false);
        }
        let fresh = bytes.start + known..bytes.end;
        let size = fresh.len();
        if self.next + 1 - self.delivered > self.window_messages || self.held + size as u64 > self.window_bytes {
            return Err(InboxError::Credit);
        }
        let at = partial.start + partial.length as usize;
        debug_assert!(at <= fresh.start);
        buffer.copy_within(fresh, at);
        self.held += size as u64;
        let length = partial.length + size as u32;
        if length == total {
            self.partial = None;
            self.next += 1;
            self.stretches.push_back(Stretch {
                start: partial.start,
                end: at + size,
                bare: true,
            });
        } else {
            self.partial = Some(Partial { length, ..partial });
        }
        Ok(true)
    }

    /// Takes in an unreliable message, or drops it if too many wait (U-40).
    pub fn unreliable(&mut self, message: &[u8]) {
        let _dropped = self.unreliable.push(message).is_err();
    }

    /// The next message: unreliable ones first, as they are worth least when late; reliable ones in order.
    #[inline]
    pub fn pop(&mut self) -> Option<Message<'_>> {
        if !self.unreliable.is_empty() {
            return self.unreliable.pop().map(|payload| Message { id: None, payload });
        }
        let stretch = self.stretches.front_mut()?;
        let range = if stretch.bare {
            stretch.start..stretch.end
        } else {
            let Some((message, size)) = frame::next_message(&self.buffer[stretch.start..stretch.end]) else {
                unreachable!("a run was checked when it was taken in")
            };
            let length = message.len();
            stretch.start += size;
            stretch.start - length..stretch.start
        };
        if stretch.bare || stretch.start == stretch.end {
            self.stretches.pop_front();
        }
        let id = self.delivered;
        self.delivered += 1;
        self.held -= range.len() as u64;
        Some(Message {
            id: Some(MessageId(id)),
            payload: &self.buffer[range],
        })
    }

    /// Gives the memory back; for sessions that have gone quiet.
    pub fn shrink(&mut self) {
        if self.stretches.is_empty() && self.partial.is_none() {
            self.buffer = Vec::new();
            self.stretches = VecDeque::new();
        }
        self.unreliable.shrink();
    }

    /// Bytes held, used or not, for reliable messages.
    #[cfg(test)]
    pub fn memory(&self) -> usize {
        self.buffer.capacity() + self.stretches.capacity() * size_of::<Stretch>()
    }

    fn has_oversized(&self, mut entries: &[u8]) -> bool {
        while let Some((message, size)) = frame::next_message(entries) {
            if message.len() as u64 > self.max_message {
                return true;
            }
            entries = &entries[size..];
        }
        false
    }

    /// Moves a range down to where the last stretch ends if the junk between them (headers, padding, other frames) is more than a
    /// few bytes, so that small messages in large records cannot hold memory.
    fn pull_down(&self, buffer: &mut [u8], range: Range<usize>) -> (usize, usize) {
        let floor = self.stretches.back().map_or(0, |stretch| stretch.end);
        if range.start - floor <= 48 {
            return (range.start, range.end);
        }
        let end = floor + range.len();
        buffer.copy_within(range, floor);
        (floor, end)
    }

    /// Drops what has been delivered from the buffer's front, when that is most of it.
    fn compact(&mut self) {
        let first = self.stretches.front().map(|stretch| stretch.start);
        let Some(dead) = first.or(self.partial.map(|partial| partial.start)) else {
            return;
        };
        if dead < KEEP / 8 || dead < self.buffer.len() - dead {
            return;
        }
        self.buffer.drain(..dead);
        for stretch in &mut self.stretches {
            stretch.start -= dead;
            stretch.end -= dead;
        }
        if let Some(partial) = &mut self.partial {
            partial.start -= dead;
        }
    }
}
