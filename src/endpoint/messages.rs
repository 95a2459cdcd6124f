//! Single messages, for hosts that fetch and send one by one.
//!
//! At the end of a [`SessionMut`](super::SessionMut) the endpoint looks at everything that may have changed: output, timers, events, the
//! end. For one message that costs more than the message. Here it looks only if something came of it: a message that was
//! fetched changes nothing until an ACK has to be timed or to leave, and one that was sent nothing if the session is queued
//! for output already. A hold in which messages were fetched and nothing else was done ends in the same way.

use bytes::Bytes;

use super::served::Served;
use super::{Endpoint, locator_of};
use crate::error::{Refusal, SendError};
use crate::event::{Message, MessageId, SessionId};
use crate::session::Batch;
use crate::session::conversation::Conversation;
use crate::time::Instant;

impl Served {
    /// Whether anything came of messages that were taken, since an ACK was `timed` like this.
    pub(super) fn is_stirred(&self, timed: Option<Instant>) -> bool {
        let acks = &self.talk.acks;
        let due = acks.due(self.talk.now) && !self.ready;
        acks.deadline() != timed || due || self.kept.is_some() || self.ended.is_some()
    }
}

impl Endpoint {
    /// Takes the next message of a session, as [`SessionMut::recv`](crate::SessionMut::recv) does. `None` if there is no message, or no such session.
    pub fn recv<R>(&mut self, id: SessionId, take: impl FnOnce(Message<'_>) -> R) -> Option<R> {
        self.taking(id, |talk| talk.recv().map(take))?
    }

    /// Takes all messages of a session that have arrived, as [`SessionMut::recv_batch`](crate::SessionMut::recv_batch) does. False if there is none, or
    /// no such session.
    pub fn recv_batch(&mut self, id: SessionId, batch: &mut Batch) -> bool {
        !batch.is_empty() || self.taking(id, |talk| talk.recv_batch(batch)) == Some(true)
    }

    /// Takes a reliable message for a session, as [`SessionMut::send`](crate::SessionMut::send) does.
    ///
    /// # Errors
    /// Each gives the message back: as there, and [`SendError::Closed`] if there is no such session.
    pub fn send(&mut self, id: SessionId, message: Bytes) -> Result<MessageId, SendError> {
        self.send_slice(id, &message).map_err(|refusal| refusal.with(message))
    }

    /// As [`Endpoint::send`], from bytes that the caller keeps.
    ///
    /// # Errors
    /// As there, without the message.
    pub fn send_slice(&mut self, id: SessionId, message: &[u8]) -> Result<MessageId, Refusal> {
        self.giving(id, |talk| talk.send(message)).ok_or(Refusal::Closed)?
    }

    /// Takes reliable messages for a session, as [`SessionMut::send_many`](crate::SessionMut::send_many) does; none if there is no such session.
    pub fn send_many<M: AsRef<[u8]>>(&mut self, id: SessionId, messages: &[M]) -> (usize, Option<Refusal>) {
        self.giving(id, |talk| talk.send_many(messages))
            .unwrap_or((0, Some(Refusal::Closed)))
    }

    /// As [`SessionMut::has_room`](crate::SessionMut::has_room). False if there is no such session.
    pub fn has_room(&mut self, id: SessionId) -> bool {
        match self.sessions.get_mut(&locator_of(&id)) {
            Some(served) if served.id == id && served.confirmed => served.talk.ask_room(),
            _ => false,
        }
    }

    fn taking<R>(&mut self, id: SessionId, take: impl FnOnce(&mut Conversation) -> R) -> Option<R> {
        let locator = locator_of(&id);
        let served = self.sessions.get_mut(&locator)?;
        if served.id != id || !served.confirmed {
            return None;
        }
        served.talk.catch_up(self.now);
        let timed = served.talk.acks.deadline();
        let taken = take(&mut served.talk);
        served.count(&mut self.counters);
        if served.is_stirred(timed) {
            self.touch(locator);
        }
        Some(taken)
    }

    fn giving<R>(&mut self, id: SessionId, give: impl FnOnce(&mut Conversation) -> R) -> Option<R> {
        let locator = locator_of(&id);
        let served = self.sessions.get_mut(&locator)?;
        if served.id != id || !served.confirmed {
            return None;
        }
        served.talk.catch_up(self.now);
        let given = give(&mut served.talk);
        served.count(&mut self.counters);
        if !served.ready || served.kept.is_some() {
            self.touch(locator);
        }
        Some(given)
    }
}
