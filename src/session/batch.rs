//! Many messages in one step: received ones taken all at once, and many given to be sent.
//!
//! `recv` lends one message and counts one as delivered; whoever reads many pays that for each. A batch takes over the buffer that the messages lie in,
//! and gives the session its own for what comes next: nothing is copied or allocated, and all are delivered at once. When the
//! reader comes back with an empty batch and the session has not needed a buffer meanwhile, it gets this one back, so that there is mostly one.

use alloc::vec::Vec;
use core::fmt;

use super::conversation::{Conversation, Settings};
use super::queue::ByteQueue;
use super::stretches::Stretches;
use crate::error::Refusal;
use crate::event::{Message, MessageId};

/// Received messages, in order. Filled by [`Session::recv_batch`](crate::Session::recv_batch) and its like, again and again: keep one and use it for each call.
///
/// All messages of a batch count as delivered when it is filled, and give the peer room for as many more. So between the session and a batch up to two windows
/// (`Limits::window_bytes`, `window_messages`) can wait.
pub struct Batch {
    pub(super) buffer: Vec<u8>,
    pub(super) stretches: Stretches,
    pub(super) unreliable: ByteQueue,
    /// The number of the first reliable message that is left.
    pub(super) number: u64,
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
            number: 0,
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
        let id = self.number;
        self.number += 1;
        self.reliable -= 1;
        Some(Message {
            id: Some(MessageId(id)),
            payload,
        })
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

impl Conversation {
    /// As many of these messages as there is room for, and why not the next.
    pub fn send_many<M: AsRef<[u8]>>(&mut self, messages: &[M]) -> (usize, Option<Refusal>) {
        for (count, message) in messages.iter().enumerate() {
            if let Err(refusal) = self.send(message.as_ref()) {
                return (count, Some(refusal));
            }
        }
        (messages.len(), None)
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
