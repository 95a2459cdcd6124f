//! The inbox: messages from the record they came in until the application takes them.
//!
//! A record is opened straight into the inbox's buffer. If it holds messages, they stay where they are, as a stretch of the
//! buffer, and `pop` hands out slices of it: no copy and no allocation per message. Fragments of a large message are moved
//! together at the buffer's end until the message is whole. When everything has been taken the buffer starts over.
//!
//! Three counters, each never below the last: `delivered` (taken by the application; what an ACK says), `next` (received
//! whole), and `partial` bytes of the message `next`. What the peer may have sent beyond `delivered` is bounded by the window
//! it was given; more ends its link (F-40).

use alloc::vec::Vec;
use core::ops::Range;

use super::ack::Taken;
use super::batch::Batch;
use super::outbox::Part;
use super::queue::ByteQueue;
use super::stretches::{Stretch, Stretches};
use crate::event::{Message, MessageId};
use crate::wire::frame;

/// A buffer above this is given back when a while of less use has shown that it is not needed; below, when the session goes quiet.
const KEEP: usize = 256 << 10;
/// Each time the buffer runs empty, this part of what it held at most is forgotten: so a few small records between large ones do not
/// have it freed and allocated again.
const FORGET: usize = 32;
/// So much between two stretches (headers, padding, other frames) is left there: to move what follows would cost more than it is worth.
const JUNK: usize = 48;
/// ... unless so many stretches wait: then it would add up, and the reader is late in any case.
const FEW: usize = 256;

/// The beginning of a message that comes in fragments, at the buffer's end.
#[derive(Clone, Copy, Debug)]
struct Partial {
    start: usize,
    length: u32,
    total: u32,
}

/// A message that [`Inbox::next_short`] found.
pub struct Short {
    /// Of its entry.
    size: usize,
    /// What will be taken with it.
    pub taken: Taken,
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
    stretches: Stretches,
    partial: Option<Partial>,
    /// How far the buffer was filled lately.
    peak: usize,
    next: u64,
    /// What the application has taken: the first message that it has not, and the payload before that since the inbox began.
    taken: Taken,
    /// The first message since the inbox began.
    began: u64,
    /// Payload of messages received since the inbox began, partial ones included.
    arrived: u64,
    unreliable: ByteQueue,
    window_messages: u64,
    window_bytes: u64,
    max_message: u64,
}

impl Inbox {
    pub fn new(window_messages: u32, window_bytes: u32, max_message: u32, unreliable_max: u32) -> Self {
        Inbox {
            buffer: Vec::new(),
            stretches: Stretches::new(),
            partial: None,
            peak: 0,
            next: 0,
            taken: Taken::default(),
            began: 0,
            arrived: 0,
            unreliable: ByteQueue::new(unreliable_max as usize),
            window_messages: window_messages.into(),
            window_bytes: window_bytes.into(),
            max_message: max_message.into(),
        }
    }

    /// Goes on where a snapshot was made: all before `delivered` was taken, nothing else has come.
    pub fn resume_at(&mut self, delivered: u64) {
        debug_assert!(self.is_empty() && self.next == 0);
        self.next = delivered;
        self.began = delivered;
        self.taken.messages = delivered;
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
        self.taken.messages
    }

    /// How far the application has taken messages.
    pub fn taken(&self) -> Taken {
        self.taken
    }

    /// How much the application has taken since the inbox began.
    pub fn received(&self) -> Taken {
        Taken {
            messages: self.taken.messages - self.began,
            ..self.taken
        }
    }

    /// Payload of messages received and not delivered, partial ones included.
    fn held(&self) -> u64 {
        self.arrived - self.taken.bytes
    }

    #[inline]
    pub fn has_unreliable(&self) -> bool {
        !self.unreliable.is_empty()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.stretches.is_empty() && self.unreliable.is_empty()
    }

    /// Takes the buffer out, with `room` bytes behind what is kept, at the returned range. [`Inbox::put_back`] ends it.
    #[inline]
    pub fn take_buffer(&mut self, room: usize) -> (Vec<u8>, Range<usize>) {
        if self.stretches.is_empty() && self.partial.is_none() {
            self.give_back_unused();
        } else {
            self.compact();
        }
        let start = self.end();
        let mut buffer = core::mem::take(&mut self.buffer);
        // What lay there is overwritten in any case: only new memory is cleared.
        let need = start + room;
        if buffer.len() < need {
            if buffer.capacity() < need {
                self.grow(&mut buffer, need);
            }
            buffer.resize(need, 0);
        }
        (buffer, start..need)
    }

    /// To twice the size each time, but not beyond what is needed at most: twice the window, as much of it is taken as not, with a header for each message, and a
    /// record with what lies unused.
    #[cold]
    fn grow(&self, buffer: &mut Vec<u8>, need: usize) {
        let most = 2 * (self.window_bytes + 5 * self.window_messages) + (64 << 10);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let capacity = (buffer.capacity() * 2).min(most).max(need);
        buffer.reserve_exact(capacity - buffer.len());
    }

    /// Returns the buffer; what lies behind the last stretch is free again.
    pub fn put_back(&mut self, buffer: Vec<u8>) {
        self.buffer = buffer;
        self.peak = self.peak.max(self.end());
    }

    /// Takes in a run whose entries stand at `entries` of the taken buffer. Returns whether anything was new.
    #[inline]
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
        let arrived = self.arrived - partial + payload;
        if end_seq - self.taken.messages > self.window_messages || arrived - self.taken.bytes > self.window_bytes {
            return Err(InboxError::Credit);
        }
        // First, so that what is superseded does not stay in the buffer behind the messages that supersede it.
        self.partial = None;
        let (start, end) = self.pull_down(buffer, start..entries.end);
        self.arrived = arrived;
        self.next = end_seq;
        self.stretches.append(Stretch {
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
        let floor = self.stretches.last_end();
        // Not moved for the sake of a few bytes of junk before it.
        let near = bytes.start - floor <= self.junk();
        let partial = self.partial.unwrap_or(Partial {
            start: if near { bytes.start } else { floor },
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
        if self.next + 1 - self.taken.messages > self.window_messages || self.held() + size as u64 > self.window_bytes {
            return Err(InboxError::Credit);
        }
        let at = partial.start + partial.length as usize;
        debug_assert!(at <= fresh.start);
        buffer.copy_within(fresh, at);
        self.arrived += size as u64;
        let length = partial.length + size as u32;
        if length == total {
            self.partial = None;
            self.next += 1;
            self.stretches.append(Stretch {
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
    #[cfg(test)]
    pub fn pop(&mut self) -> Option<Message<'_>> {
        if self.has_unreliable() {
            return self.pop_unreliable();
        }
        self.pop_reliable().map(|(message, _)| message)
    }

    /// The next unreliable message.
    #[inline(never)]
    pub fn pop_unreliable(&mut self) -> Option<Message<'_>> {
        self.unreliable.pop().map(|payload| Message { id: None, payload })
    }

    /// The next message if it is a short one, and not the last of its record.
    #[inline]
    pub fn next_short(&self) -> Option<Short> {
        if self.has_unreliable() {
            return None;
        }
        let size = self.stretches.next_short(&self.buffer)?;
        let taken = Taken {
            messages: self.taken.messages + 1,
            bytes: self.taken.bytes + size as u64 - 1,
        };
        Some(Short { size, taken })
    }

    /// Takes it.
    #[inline]
    pub fn pop_short(&mut self, short: Short) -> Message<'_> {
        let id = Some(MessageId(self.taken.messages));
        self.taken = short.taken;
        let payload = self.stretches.pop_short(&self.buffer, short.size);
        Message { id, payload }
    }

    /// The next reliable message, and what is taken with it.
    #[inline]
    pub fn pop_reliable(&mut self) -> Option<(Message<'_>, Taken)> {
        let payload = self.stretches.pop(&self.buffer)?;
        let id = Some(MessageId(self.taken.messages));
        self.taken.messages += 1;
        self.taken.bytes += payload.len() as u64;
        Some((Message { id, payload }, self.taken))
    }

    /// Moves all messages into `batch`, which must be empty. Returns whether there were reliable ones.
    ///
    /// The buffers change places, so nothing is copied; only beside the beginning of a large message, which must stay, the whole ones before it are.
    pub fn take_all(&mut self, batch: &mut Batch) -> bool {
        debug_assert!(batch.is_empty());
        batch.unreliable.swap_contents(&mut self.unreliable);
        if self.stretches.is_empty() {
            // The usual case of a reader that waits: what it used last is used again.
            if self.buffer.capacity() == 0 {
                core::mem::swap(&mut self.buffer, &mut batch.buffer);
            }
            return false;
        }
        core::mem::swap(&mut self.stretches, &mut batch.stretches);
        let kept = match self.partial {
            None => {
                core::mem::swap(&mut self.buffer, &mut batch.buffer);
                0
            }
            Some(partial) => {
                let first = batch.stretches.first_start().unwrap_or(partial.start);
                batch.buffer.clear();
                batch.buffer.extend_from_slice(&self.buffer[first..partial.start]);
                batch.stretches.move_down(first);
                u64::from(partial.length)
            }
        };
        batch.end = self.next;
        batch.reliable = self.next - self.taken.messages;
        self.taken = Taken {
            messages: self.next,
            bytes: self.arrived - kept,
        };
        true
    }

    /// Gives the memory back; for sessions that have gone quiet.
    pub fn shrink(&mut self) {
        if self.stretches.is_empty() && self.partial.is_none() {
            self.buffer = Vec::new();
            self.stretches = Stretches::new();
        }
        self.unreliable.shrink();
    }

    /// Bytes held, used or not, for reliable messages.
    #[cfg(test)]
    pub fn memory(&self) -> usize {
        self.buffer.capacity() + self.stretches.memory()
    }

    /// Where what is kept ends.
    fn end(&self) -> usize {
        let stretches = self.stretches.last_end();
        let partial = self
            .partial
            .map_or(0, |partial| partial.start + partial.length as usize);
        stretches.max(partial)
    }

    /// The buffer is empty: gives back a large one that has not been used much lately.
    fn give_back_unused(&mut self) {
        if self.peak < KEEP / 4 && self.buffer.capacity() > KEEP {
            self.buffer.truncate(KEEP);
            self.buffer.shrink_to(KEEP);
        }
        self.peak -= self.peak.div_ceil(FORGET);
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

    /// How much may lie unused between two stretches now.
    fn junk(&self) -> usize {
        if self.stretches.behind() < FEW { JUNK } else { 0 }
    }

    /// Moves a range down to where the last stretch ends if the junk between them is more than a few bytes, so that small messages in
    /// large records cannot hold memory.
    fn pull_down(&self, buffer: &mut [u8], range: Range<usize>) -> (usize, usize) {
        let floor = self.stretches.last_end();
        if range.start - floor <= self.junk() {
            return (range.start, range.end);
        }
        let end = floor + range.len();
        buffer.copy_within(range, floor);
        (floor, end)
    }

    /// Drops what has been delivered from the buffer's front, when that is most of it.
    fn compact(&mut self) {
        let first = self.stretches.first_start();
        let Some(dead) = first.or(self.partial.map(|partial| partial.start)) else {
            return;
        };
        let end = self.end();
        if dead < KEEP / 8 || dead < end - dead {
            return;
        }
        self.buffer.copy_within(dead..end, 0);
        self.stretches.move_down(dead);
        if let Some(partial) = &mut self.partial {
            partial.start -= dead;
        }
    }
}
