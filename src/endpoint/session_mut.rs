//! The application's hold on one session of an endpoint.

use bytes::Bytes;

use super::{Endpoint, Locator};
use crate::error::{CloseReason, Refusal, SendError};
use crate::event::{Message, MessageId, SessionId, State};
use crate::session::conversation::Conversation;
use crate::session::{Stats, Verdict};
use crate::wire::frame::CloseKind;

/// A session of an [`Endpoint`], borrowed. When it is dropped the endpoint takes note of what was done; so do many things in
/// one hold, rather than one thing in many.
pub struct SessionMut<'a> {
    endpoint: &'a mut Endpoint,
    locator: Locator,
    /// What the application said to a resume; carried out when the hold ends, as it may end the session.
    answer: Option<Result<(), u32>>,
}

impl<'a> SessionMut<'a> {
    pub(super) fn new(endpoint: &'a mut Endpoint, locator: Locator) -> Self {
        SessionMut {
            endpoint,
            locator,
            answer: None,
        }
    }

    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.endpoint.sessions[&self.locator].id
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.endpoint.sessions[&self.locator].talk.state
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.endpoint.sessions[&self.locator].talk.stats_now()
    }

    /// Takes a reliable message. It will be delivered once and in order while the session lives.
    ///
    /// # Errors
    /// Each gives the message back: over the un-ACKed limit, too large, or closed.
    pub fn send(&mut self, message: Bytes) -> Result<MessageId, SendError> {
        self.talk().send(&message).map_err(|refusal| refusal.with(message))
    }

    /// As `send`, from bytes that the caller keeps: for hosts whose messages do not come as [`Bytes`].
    ///
    /// # Errors
    /// As `send`, without the message.
    #[inline]
    pub fn send_slice(&mut self, message: &[u8]) -> Result<MessageId, Refusal> {
        self.talk().send(message)
    }

    /// Takes a message that may be lost, but is never doubled: at most 16,320 bytes.
    ///
    /// # Errors
    /// As [`SessionMut::send`], and [`SendError::NoLink`] while no link is up.
    pub fn send_unreliable(&mut self, message: Bytes) -> Result<(), SendError> {
        self.talk()
            .send_unreliable(&message)
            .map_err(|refusal| refusal.with(message))
    }

    /// The next message; nothing before the client was let in. What is taken will be ACKed.
    pub fn recv(&mut self) -> Option<Message<'_>> {
        self.talk().recv()
    }

    /// Answers [`Event::Authorise`](crate::Event::Authorise). Returns whether the client was waiting for it.
    pub fn authorise(&mut self, verdict: Verdict) -> bool {
        self.talk().judge(verdict)
    }

    /// Answers [`Event::ResumeRequest`](crate::Event::ResumeRequest): `Ok` lets the client resume, `Err(code)` ends the session
    /// at both ends with [`CloseReason::Refused`]. Returns whether a resume was waiting.
    pub fn answer_resume(&mut self, answer: Result<(), u32>) -> bool {
        let waits = self.endpoint.sessions[&self.locator].held.is_some();
        self.answer = waits.then_some(answer);
        waits
    }

    /// Ends the session for good, after what was sent. A client without a link learns it when it comes back.
    pub fn close(&mut self, code: u32) {
        self.talk()
            .close(CloseKind::Application, code, CloseReason::Local { code });
    }

    /// Puts the client out: it sees [`CloseReason::Kicked`].
    pub fn kick(&mut self, code: u32) {
        self.talk().close(CloseKind::Kicked, code, CloseReason::Kicked { code });
    }

    fn talk(&mut self) -> &mut Conversation {
        match self.endpoint.sessions.get_mut(&self.locator) {
            Some(served) => &mut served.talk,
            None => unreachable!("the hold keeps the endpoint from removing the session"),
        }
    }
}

impl Drop for SessionMut<'_> {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            self.endpoint.answer_held(self.locator, answer);
        }
        self.endpoint.touch(self.locator);
    }
}
