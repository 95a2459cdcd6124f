//! Events of the endpoint on their way to those whom they concern: the authorise and resume hooks, the session's handler, the logs.

use std::rc::Rc;

use bytes::Bytes;
use tracing::{Instrument, debug, debug_span, error, warn};
use unbroken::{Batch, CloseReason, Event, SessionId, Verdict};

use super::HANDLER_PANICKED;
use super::handler::End;
use super::seat::first_state;
use super::session::{ServerSession, Slot};
use super::worker::{State, Worker};

impl Worker {
    pub(crate) fn dispatch(self: &Rc<Self>, state: &mut State, id: SessionId, event: Event) {
        state.tally.event(&event);
        log(id, &event);
        let slot = state
            .sessions
            .entry(id)
            .or_insert_with(|| Rc::new(Slot::new(id)))
            .clone();
        if let Some(code) = state.closing
            && let Event::Authorise { .. } | Event::Established { .. } | Event::Restored { .. } = event
        {
            // It came during the shutdown.
            if let Some(mut session) = state.endpoint.session(id) {
                session.close(code);
            }
            if let Event::Authorise { .. } = event {
                return;
            }
        }
        match &event {
            Event::Readable => slot.wake_readers(),
            Event::Writable => slot.wake_writers(),
            Event::Authorise { credential } => return self.authorise(state, &slot, credential.clone().into_bytes()),
            Event::ResumeRequest => return self.judge_resume(state, id),
            Event::Established { .. } => return self.start(&slot, event),
            Event::SwappedOut => self.finish(state, &slot, End::SwappedOut),
            Event::Closed(reason) => self.finish(state, &slot, End::from(*reason)),
            _ => {}
        }
        self.tell(&slot, event);
    }

    /// The session is over here. What had arrived is still the handler's; at most a window of it.
    fn finish(&self, state: &mut State, slot: &Slot, end: End) {
        state.sessions.remove(&slot.id);
        let mut left = Batch::new();
        state.endpoint.recv_batch(slot.id, &mut left);
        slot.finish(end, left);
    }

    /// The session stands: its handler begins.
    fn start(self: &Rc<Self>, slot: &Rc<Slot>, established: Event) {
        self.handle(slot);
        self.tell(slot, established);
    }

    fn tell(self: &Rc<Self>, slot: &Rc<Slot>, event: Event) {
        if self.hooks.factory.is_some() {
            self.seat(slot, event);
        } else if !matches!(event, Event::Readable | Event::Writable) {
            slot.push(event);
        }
    }

    /// Lets the application judge a new session, as a task.
    fn authorise(self: &Rc<Self>, state: &mut State, slot: &Rc<Slot>, credential: Bytes) {
        slot.set_credential(credential.clone());
        let id = slot.id;
        let Some(hook) = self.hooks.authorise.clone() else {
            warn!(target: "unbroken::server", session = %id, "refused: no authorise hook is set");
            if let Some(mut session) = state.endpoint.session(id) {
                session.authorise(Verdict::Refuse {
                    code: 0,
                    message: Bytes::new(),
                });
            }
            return;
        };
        let first = first_state(&credential);
        // A panic in the hook is a refusal.
        let slot = slot.clone();
        let answer = Answer::new(self.clone(), move |worker: &Rc<Worker>, verdict: Option<Verdict>| {
            let verdict = verdict.unwrap_or(Verdict::Refuse {
                code: HANDLER_PANICKED,
                message: Bytes::new(),
            });
            let welcome = matches!(verdict, Verdict::Accept { .. });
            let mut left = Batch::new();
            if let Some(mut session) = worker.state.borrow_mut().endpoint.session(id) {
                session.authorise_with(verdict, Some(first));
                if session.state() == unbroken::State::Closed {
                    session.recv_batch(&mut left);
                }
            }
            // The client has spoken and left meanwhile: what it said is still the handler's. One that was sent elsewhere starts over there.
            if let Some(end) = slot.end().filter(|end| welcome && *end != End::SwappedOut) {
                slot.finish(end, left);
                let (session, message) = (id, Bytes::new());
                worker.start(&slot, Event::Established { session, message });
            }
        });
        self.spawn(async move { answer.set(hook(credential).await) });
    }

    /// Lets the application veto a resume, as a task.
    fn judge_resume(self: &Rc<Self>, state: &mut State, id: SessionId) {
        let Some(hook) = self.hooks.resume.clone() else {
            if let Some(mut session) = state.endpoint.session(id) {
                session.answer_resume(Ok(()));
            }
            return;
        };
        let answer = Answer::new(
            self.clone(),
            move |worker: &Rc<Worker>, verdict: Option<Result<(), u32>>| {
                if let Some(mut session) = worker.state.borrow_mut().endpoint.session(id) {
                    session.answer_resume(verdict.unwrap_or(Err(HANDLER_PANICKED)));
                }
            },
        );
        self.spawn(async move { answer.set(hook(id).await) });
    }

    /// Starts the session's handler.
    fn handle(self: &Rc<Self>, slot: &Rc<Slot>) {
        let Some(handler) = self.hooks.handler.clone() else {
            return;
        };
        let session = ServerSession::new(self.clone(), slot.clone());
        let end = Farewell {
            worker: self.clone(),
            slot: slot.clone(),
        };
        let span = debug_span!(target: "unbroken::server", "session", id = %slot.id);
        let task = async move {
            let _end = end;
            handler(session).await;
        };
        self.spawn(task.instrument(span));
    }
}

/// A hook's answer, or the store's, given when its task ends, however it ends.
pub(crate) struct Answer<T, F: FnOnce(&Rc<Worker>, Option<T>)> {
    worker: Rc<Worker>,
    value: Option<T>,
    give: Option<F>,
}

impl<T, F: FnOnce(&Rc<Worker>, Option<T>)> Answer<T, F> {
    pub(crate) fn new(worker: Rc<Worker>, give: F) -> Self {
        Answer {
            worker,
            value: None,
            give: Some(give),
        }
    }

    pub(crate) fn set(mut self, value: T) {
        self.value = Some(value);
    }
}

impl<T, F: FnOnce(&Rc<Worker>, Option<T>)> Drop for Answer<T, F> {
    fn drop(&mut self) {
        if let Some(give) = self.give.take() {
            give(&self.worker, self.value.take());
            self.worker.touch();
        }
    }
}

/// Closes the session when its handler ends, however it ends.
struct Farewell {
    worker: Rc<Worker>,
    slot: Rc<Slot>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let panicked = std::thread::panicking();
        if panicked {
            error!(target: "unbroken::server", session = %self.slot.id, "the handler panicked");
        }
        if self.slot.closed().is_some() {
            return;
        }
        // A panic from within the endpoint leaves it borrowed: then the worker is lost anyhow.
        let Ok(mut state) = self.worker.state.try_borrow_mut() else {
            return;
        };
        if let Some(mut session) = state.endpoint.session(self.slot.id) {
            if panicked {
                session.kick(HANDLER_PANICKED);
            } else {
                session.close(0);
            }
        }
        self.worker.touch();
    }
}

fn log(session: SessionId, event: &Event) {
    match event {
        Event::Established { .. } => debug!(target: "unbroken::server", %session, "established"),
        Event::HandoverBegin { cause } => debug!(target: "unbroken::server", %session, ?cause, "handover begins"),
        Event::HandoverEnd(end) => {
            let downtime_ms = end.downtime.as_millis() as u64;
            let replayed = end.replayed_messages;
            debug!(target: "unbroken::server", %session, downtime_ms, replayed, "handover ends");
        }
        Event::HandoverFailed { reason, .. } => {
            debug!(target: "unbroken::server", %session, %reason, "handover failed")
        }
        Event::Restored { .. } => debug!(target: "unbroken::server", %session, "taken over"),
        Event::SwappedOut => debug!(target: "unbroken::server", %session, "swapped out"),
        Event::SwapOutFailed => warn!(target: "unbroken::server", %session, "not swapped out; it goes on here"),
        Event::Closed(CloseReason::Internal) => error!(target: "unbroken::server", %session, "closed: internal error"),
        Event::Closed(reason) => debug!(target: "unbroken::server", %session, %reason, "closed"),
        _ => {}
    }
}
