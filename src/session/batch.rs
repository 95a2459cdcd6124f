//! Many messages in one step: received ones taken all at once, and many given to be sent.
//!
//! `recv` lends one message and counts one as delivered; whoever reads many pays that for each. A batch takes over the buffer that the messages lie in,
//! and gives the session its own for what comes next: nothing is copied or allocated, and all are delivered at once. When the
//! reader comes back with an empty batch and the session has not needed a buffer meanwhile, it gets this one back, so that there is mostly one.
//!
//! `send` looks at all limits for each message and writes down where the outbox ends. Of many messages those up to the next mark, a KiB or so, share that: what is
//! looked at for each is only its length.

use alloc::vec::Vec;
use core::{fmt, mem};

use super::conversation::{Conversation, Settings};
use super::copy::copy;
use super::outbox::{MESSAGE_HEAD, Outbox, TAILROOM};
use super::queue::ByteQueue;
use super::stretches::Stretches;
use crate::error::Refusal;
use crate::event::{Message, MessageId};
use crate::wire::{frame, varint};

/// Received messages, in order. Filled by [`Session::recv_batch`](crate::Session::recv_batch) and its like, again and again: keep one and use it for each call.
///
/// All messages of a batch count as delivered when it is filled, and give the peer room for as many more. So between the session and a batch up to two windows
/// (`Limits::window_bytes`, `window_messages`) can wait.
pub struct Batch {
    pub(super) buffer: Vec<u8>,
    pub(super) stretches: Stretches,
    pub(super) unreliable: ByteQueue,
    /// The number behind the last reliable message.
    pub(super) end: u64,
    /// How many are left.
    pub(super) reliable: u64,
}

impl Batch {
    /// An empty one. It has no memory of its own before it is filled.
    pub const fn new() -> Self {
        Batch {
            buffer: Vec::new(),
            stretches: Stretches::new(),
            unreliable: ByteQueue::new(0),
            end: 0,
            reliable: 0,
        }
    }

    /// Takes the next message out; `None` when none is left. Unreliable ones come first, then reliable ones in order.
    #[inline]
    pub fn pop(&mut self) -> Option<Message<'_>> {
        if !self.unreliable.is_empty() {
            return self.unreliable.pop().map(|payload| Message { id: None, payload });
        }
        let payload = self.stretches.pop(&self.buffer)?;
        let id = self.end - self.reliable;
        self.reliable -= 1;
        Some(Message {
            id: Some(MessageId(id)),
            payload,
        })
    }

    /// Takes all messages that are left out, in the order of [`Batch::pop`], at half its cost. If `each` panics, the reliable ones that it has not seen
    /// are gone with the batch.
    #[inline]
    pub fn for_each(&mut self, mut each: impl FnMut(Message<'_>)) {
        while let Some(payload) = self.unreliable.pop() {
            each(Message { id: None, payload });
        }
        let mut id = self.end - mem::take(&mut self.reliable);
        let mut stretches = mem::take(&mut self.stretches);
        stretches.drain(&self.buffer, |payload| {
            let message = Message {
                id: Some(MessageId(id)),
                payload,
            };
            id += 1;
            each(message);
        });
        // With its memory, which the next filling needs.
        self.stretches = stretches;
    }

    /// How many messages are left.
    pub fn len(&self) -> usize {
        // A window has at most 65,536 messages.
        self.unreliable.len() + self.reliable as usize
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.reliable == 0 && self.unreliable.is_empty()
    }
}

impl Default for Batch {
    fn default() -> Self {
        Batch::new()
    }
}

/// Without payloads, as they must not end up in logs.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} messages)", self.len())
    }
}

/// How much the application may still give.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// So many messages more.
    pub messages: u64,
    /// Payload that may be un-ACKed, what is there already included.
    pub payload: u64,
    /// The longest message.
    pub longest: usize,
}

impl Room {
    /// Whether a message of this length may be taken when so much payload is un-ACKed.
    #[inline]
    fn admits(&self, length: usize, payload: u64) -> bool {
        length <= self.longest && payload + length as u64 <= self.payload
    }
}

impl Outbox {
    /// As many of these messages as there is room for, in order. Returns how many.
    pub fn push_many<M: AsRef<[u8]>>(&mut self, messages: &[M], room: &Room) -> usize {
        let count = usize::try_from(room.messages).unwrap_or(usize::MAX).min(messages.len());
        let messages = &messages[..count];
        let mut taken = 0;
        loop {
            taken += self.push_stretch(&messages[taken..], room);
            match messages.get(taken).map(M::as_ref) {
                Some(next) if room.admits(next.len(), self.payload()) => self.push_with_care(next),
                _ => return taken,
            };
            taken += 1;
        }
    }

    /// As many as come before the next mark and are sure to fit: for these nothing is to be written down but once, and nothing to be looked at but
    /// the length of each.
    fn push_stretch<M: AsRef<[u8]>>(&mut self, messages: &[M], room: &Room) -> usize {
        let longest = room.longest.min(STRETCH_MAX);
        let at = self.index(self.end.position);
        let to_mark = self.marks.distance(&self.end);
        let credit = room.payload.saturating_sub(self.payload());
        let space = self.buffer.get_mut(at..).unwrap_or_default();
        // A message that begins before this fits, however long.
        let stop = to_mark
            .min(space.len().saturating_sub(MESSAGE_HEAD + longest + TAILROOM))
            .min(usize::try_from(credit).unwrap_or(usize::MAX).saturating_sub(longest));
        let (mut used, mut heads, mut count) = (0, 0, 0);
        for message in messages {
            let message = message.as_ref();
            if used >= stop || message.len() > longest {
                break;
            }
            let entry = &mut space[used..][..MESSAGE_HEAD + message.len()];
            let head = frame::message_header(entry, message.len());
            copy(&mut entry[head..], message);
            used += head + message.len();
            heads += head;
            count += 1;
        }
        self.end.seq += count as u64;
        self.end.position += used as u64;
        self.end.payload += (used - heads) as u64;
        count
    }
}

/// Longer ones are worth a look at everything.
const STRETCH_MAX: usize = 1 << 10;

impl Conversation {
    /// As many of these messages as there is room for, and why not the next.
    pub fn send_many<M: AsRef<[u8]>>(&mut self, messages: &[M]) -> (usize, Option<Refusal>) {
        let taken = self.outbox.push_many(messages, &self.room());
        let refusal = messages.get(taken).map(|next| self.refuse(next.as_ref().len()));
        (taken, refusal)
    }

    /// How much more may be sent now.
    fn room(&self) -> Room {
        let limits = &self.settings.limits;
        let mut messages = u64::from(limits.unacked_messages).saturating_sub(self.outbox.messages());
        if self.closing.has_begun() || self.is_out_of_reach() {
            messages = 0;
        }
        Room {
            messages: messages.min((varint::MAX - 1).saturating_sub(self.outbox.next())),
            payload: limits.unacked_bytes.into(),
            longest: limits.message.min(self.peer_max_message) as usize,
        }
    }

    /// Fills an empty batch with all that may be taken. Returns whether that was anything; what is left in a batch stays there, and is enough.
    pub fn recv_batch(&mut self, batch: &mut Batch) -> bool {
        if !batch.is_empty() {
            return true;
        }
        // Whoever gets all of it must be told of what comes next.
        self.readable_told = false;
        if !self.auth.may_deliver() || self.is_out_of_reach() {
            return false;
        }
        if self.inbox.take_all(batch) && self.gate.is_none() {
            let Settings { timing, limits, .. } = &*self.settings;
            self.acks.delivered(self.inbox.taken(), self.now, timing, limits);
        }
        !batch.is_empty()
    }
}
