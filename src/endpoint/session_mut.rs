//! The application's hold on one session of an endpoint.

use alloc::boxed::Box;
use bytes::Bytes;

use super::served::Served;
use super::users::NoStore;
use super::{Endpoint, Locator};
use crate::error::{CloseReason, Refusal, SendError};
use crate::event::{Message, MessageId, SessionId, State};
use crate::session::conversation::Conversation;
use crate::session::{Batch, Stats, Verdict};
use crate::time::Instant;
use crate::wire::frame::CloseKind;

/// A session of an [`Endpoint`], borrowed. When it is dropped the endpoint takes note of what was done; so do many things in
/// one hold, rather than one thing in many.
pub struct SessionMut<'a> {
    endpoint: &'a mut Endpoint,
    locator: Locator,
    /// Taken out of the endpoint, so that nothing that is done here has to look it up. Always there, but for a moment in
    /// [`SessionMut::with_endpoint`] and at the end.
    served: Option<Box<Served>>,
    /// Nothing was done but messages fetched, since when an ACK was timed like this.
    only_read: Option<Option<Instant>>,
    /// What the application said to a resume; carried out when the hold ends, as it may end the session.
    answer: Option<Result<(), u32>>,
}

impl<'a> SessionMut<'a> {
    pub(super) fn new(endpoint: &'a mut Endpoint, locator: Locator, served: Box<Served>) -> Self {
        SessionMut {
            endpoint,
            locator,
            only_read: Some(served.talk.acks.deadline()),
            served: Some(served),
            answer: None,
        }
    }

    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.served().id
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.served().talk.state
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.served().talk.stats_now()
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

    /// Takes as many of these messages as there is room for, in order. Returns how many, and why not the next: the first that is not taken ends it, also one that
    /// is too large.
    pub fn send_many<M: AsRef<[u8]>>(&mut self, messages: &[M]) -> (usize, Option<Refusal>) {
        self.talk().send_many(messages)
    }

    /// Whether a quarter of the un-ACKed limits is free. If not, or while the session is being swapped out,
    /// [`Event::Writable`](crate::Event::Writable) comes when it is. An application that asks this before it takes a message has room for the answer.
    pub fn has_room(&mut self) -> bool {
        self.talk().ask_room()
    }

    /// Takes a message that may be lost, but is never doubled: at most 16,320 bytes, and less than `Limits::unreliable_bytes`.
    ///
    /// # Errors
    /// [`SendError::TooLarge`]; [`SendError::NoLink`] while no link is up; [`SendError::Full`] while so many wait that it does not fit beside them;
    /// [`SendError::Closed`].
    pub fn send_unreliable(&mut self, message: Bytes) -> Result<(), SendError> {
        self.talk()
            .send_unreliable(&message)
            .map_err(|refusal| refusal.with(message))
    }

    /// The next message; nothing before the client was let in. What is taken will be ACKed.
    #[inline]
    pub fn recv(&mut self) -> Option<Message<'_>> {
        self.reading().recv()
    }

    /// Fills `batch` with all messages that have arrived, without copying them. Returns whether it has any now; if it had some already, it is left as it is.
    pub fn recv_batch(&mut self, batch: &mut Batch) -> bool {
        self.reading().recv_batch(batch)
    }

    /// Answers [`Event::Authorise`](crate::Event::Authorise). Returns whether the client was waiting for it.
    pub fn authorise(&mut self, verdict: Verdict) -> bool {
        self.authorise_with(verdict, None)
    }

    /// As [`SessionMut::authorise`], with the application's state before it has taken anything: with `Durability::Durable` it is what
    /// [`Event::Restored`](crate::Event::Restored) brings if this process ends before the first [`Endpoint::save`].
    /// If it does not fit [`Limits::snapshot`](crate::Limits::snapshot) it is left out: the client is let in, the state is asked for at once, and it is `save` that says
    /// [`SaveError::TooLarge`](crate::SaveError::TooLarge), as of any other.
    pub fn authorise_with(&mut self, verdict: Verdict, app: Option<Bytes>) -> bool {
        let stored = self.served().kept.is_some();
        if self.talk().verdict_due.is_some() {
            // It was let in, and the store is being told: nobody waits for a second verdict.
            return false;
        }
        if stored && self.talk().awaits_verdict() && matches!(verdict, Verdict::Accept { .. }) {
            // With a store: as soon as that knows of the session.
            self.with_endpoint(|endpoint, locator| endpoint.create(locator, verdict, app));
            return true;
        }
        self.talk().judge(verdict)
    }

    /// (with a store) The next message from a server, in order; `None` if there is none now. It counts as taken with the next snapshot.
    pub fn recv_mail(&mut self) -> Option<Bytes> {
        let served = self.served.as_mut()?;
        let out_of_reach = served.talk.is_out_of_reach();
        let kept = served.kept.as_mut()?;
        if out_of_reach {
            kept.mail.not_taken();
            return None;
        }
        let mail = kept.mail.pop();
        if mail.is_none() {
            self.with_endpoint(|endpoint, locator| {
                if !endpoint.is_durable() {
                    endpoint.forget_mail(locator);
                }
                endpoint.read_on(locator);
            });
        }
        mail
    }

    /// Says whose session this is, by the application's own key for its users, at most 1024 bytes. The session that the user had before, here or elsewhere, ends with
    /// [`CloseReason::Kicked`] and the code [`USER_MOVED`](crate::USER_MOVED). A longer key counts as a whole, but [`Event::Restored`](crate::Event::Restored) brings its
    /// first 992 bytes and then its SHA-256. It may be bound to another user later, and is his alone then; bound once more to the first, who has come with another session meanwhile, it is
    /// itself the one that ends. Between servers whose first cluster keys are not the same the former session is not found: see
    /// [`also_cluster`](crate::config::ServerConfigBuilder::also_cluster).
    ///
    /// # Errors
    /// Without a store nobody could remember.
    pub fn bind_user(&mut self, user: &[u8]) -> Result<(), NoStore> {
        self.with_endpoint(|endpoint, locator| endpoint.bind(locator, user))
    }

    /// (with a store) Wants this session swapped out, as if its client had come to another server: see [`Endpoint::poll_snapshot`]. One that the store
    /// does not have yet leaves as soon as it has it.
    pub fn swap_out(&mut self) {
        self.with_endpoint(|endpoint, locator| endpoint.leave(locator, None));
    }

    /// Whether it is being swapped out, so that the application must not go on.
    pub fn is_leaving(&self) -> bool {
        self.served().is_leaving()
    }

    /// (`Durability::Durable`) The application's state has changed otherwise than by a message: it is committed like after one.
    pub fn commit(&mut self) {
        self.with_endpoint(|endpoint, locator| endpoint.changed(locator));
    }

    /// Answers [`Event::ResumeRequest`](crate::Event::ResumeRequest): `Ok` lets the client resume, `Err(code)` ends the session
    /// at both ends with [`CloseReason::Refused`]. Returns whether a resume was waiting. If its link has gone in the meantime, nobody is left whom `Ok` could
    /// let in, and the application is asked again when the client comes back; `Err` counts all the same.
    pub fn answer_resume(&mut self, answer: Result<(), u32>) -> bool {
        let waits = match &self.served().held {
            Some(held) => answer.is_err() || self.endpoint.pending.by_link.contains_key(&held.link),
            None => false,
        };
        self.answer = waits.then_some(answer);
        waits
    }

    /// Ends the session for good, after what was sent. A client without a link learns it when it comes back. If the session was being swapped out, and another server has it
    /// by then, it is put out there: that server's application and the client see [`CloseReason::Kicked`] with this code.
    pub fn close(&mut self, code: u32) {
        self.talk()
            .close(CloseKind::Application, code, CloseReason::Local { code });
    }

    /// Puts the client out: it sees [`CloseReason::Kicked`].
    pub fn kick(&mut self, code: u32) {
        self.talk().close(CloseKind::Kicked, code, CloseReason::Kicked { code });
    }

    fn served(&self) -> &Served {
        match &self.served {
            Some(served) => served,
            None => unreachable!("a hold has its session"),
        }
    }

    fn talk(&mut self) -> &mut Conversation {
        self.only_read = None;
        self.reading()
    }

    /// For what does nothing but fetch messages.
    #[inline]
    fn reading(&mut self) -> &mut Conversation {
        match &mut self.served {
            Some(served) => &mut served.talk,
            None => unreachable!("a hold has its session"),
        }
    }

    /// Lets the endpoint do something that finds the session in its place.
    fn with_endpoint<R>(&mut self, act: impl FnOnce(&mut Endpoint, Locator) -> R) -> R {
        self.only_read = None;
        self.put_back();
        let result = act(self.endpoint, self.locator);
        self.served = self.endpoint.sessions.take_if(&self.locator, |_| true);
        result
    }

    fn put_back(&mut self) {
        if let Some(served) = self.served.take() {
            self.endpoint.sessions.put_back(&self.locator, served);
        }
    }
}

impl Drop for SessionMut<'_> {
    fn drop(&mut self) {
        if self.answer.is_none()
            && let Some(timed) = self.only_read
            && let Some(mut served) = self.served.take_if(|served| !served.is_stirred(timed))
        {
            served.count(&mut self.endpoint.counters);
            return self.endpoint.sessions.put_back(&self.locator, served);
        }
        self.note();
    }
}

impl SessionMut<'_> {
    /// Ends a hold in which something was done.
    #[inline(never)]
    fn note(&mut self) {
        self.put_back();
        if let Some(answer) = self.answer.take() {
            self.endpoint.answer_held(self.locator, answer);
        }
        self.endpoint.touch(self.locator);
    }
}
