//! Where a worker keeps a session's handler, and when it calls it.
//!
//! Events only put a session into line. The driver then works the line off, so that no handler runs while the endpoint is at work: for each session what happened,
//! then messages, then mail, a bounded number at a time, and to the back of the line if there is more. Between two such rounds the endpoint asks
//! for the states it needs, and each is whole, because every call has returned.
//!
//! While a session is being swapped out its handler is not called at all: what it did then would be in no snapshot. Its events wait; they are told if the
//! swap-out fails, and forgotten if the session leaves.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use bytes::Bytes;
use tracing::{debug_span, error, warn};
use unbroken::{Event, SaveError, SessionId};

use super::handler::{AnyFactory, AnyHandler, End, SessionRef};
use super::session::{ServerSession, Slot};
use super::worker::{State, Worker};
use super::{HANDLER_PANICKED, RESTORE_FAILED, STATE_TOO_LARGE};

/// Messages, and mail, that one session is given before the next has its turn.
const EACH: usize = 32;
/// Messages and mail for all sessions before bytes are read and written again.
const ALL: usize = 1024;
/// States taken before bytes are read and written again.
const SNAPSHOTS: usize = 1024;

/// In front of the application's bytes in a snapshot: what they are.
const CREDENTIAL: u8 = 0;
const STATE: u8 = 1;
const FAILED: u8 = 2;

/// See the module's head.
#[derive(Default)]
pub(crate) struct Seat {
    handler: Option<Box<dyn AnyHandler>>,
    /// From which the handler is to be made; a snapshot before that has it as it is.
    origin: Option<Bytes>,
    events: VecDeque<Event>,
    pub(crate) user: Option<Bytes>,
    /// There is mail.
    mail: bool,
    in_line: bool,
    /// Nothing more is handed over: the handler has ended the session, or has failed.
    pub(crate) done: bool,
}

impl Worker {
    /// Takes note of an event for the session's handler.
    pub(crate) fn seat(self: &Rc<Self>, slot: &Rc<Slot>, event: Event) {
        let mut seat = slot.seat.borrow_mut();
        match event {
            Event::Readable => {}
            Event::Mail => seat.mail = true,
            Event::Established { .. } => {
                seat.origin = Some(first_state(&slot.credential()));
            }
            Event::Restored { app, user } => {
                seat.origin = Some(app.unwrap_or_else(|| first_state(&[])));
                seat.user = user;
                seat.mail = true;
            }
            event => {
                // It was told once and could not be fetched.
                seat.mail |= event == Event::SwapOutFailed;
                seat.events.push_back(event);
            }
        }
        drop(seat);
        self.line_up(slot);
    }

    fn line_up(&self, slot: &Rc<Slot>) {
        if !std::mem::replace(&mut slot.seat.borrow_mut().in_line, true) {
            self.line.borrow_mut().push_back(slot.clone());
        }
    }

    /// Works the line off. Returns whether somebody is left.
    pub(crate) fn call_handlers(self: &Rc<Self>) -> bool {
        let waiting = self.line.borrow().len();
        let mut taken = 0;
        for _ in 0..waiting {
            let Some(slot) = self.line.borrow_mut().pop_front() else {
                break;
            };
            slot.seat.borrow_mut().in_line = false;
            taken += self.call(&slot);
            if taken >= ALL {
                break;
            }
        }
        !self.line.borrow().is_empty()
    }

    /// Gives one session's handler what there is for it, up to [`EACH`]. Returns how many messages.
    fn call(self: &Rc<Self>, slot: &Rc<Slot>) -> usize {
        let Some(factory) = &self.hooks.factory else { return 0 };
        let session = ServerSession::new(self.clone(), slot.clone());
        let visit = Visit {
            worker: self,
            slot,
            session: SessionRef(&session),
        };
        let _within = debug_span!(target: "unbroken::server", "session", id = %slot.id).entered();
        let end = slot.end();
        if end == Some(End::SwappedOut) {
            // Nothing that has come for the session since is for this handler: it may be here again by now, with another.
            visit.end(End::SwappedOut);
            return 0;
        }
        if end.is_none() && visit.is_leaving() {
            return 0;
        }
        visit.make(&**factory);
        visit.tell();
        let taken = visit.hand_over_messages() + visit.hand_over_mail();
        if let Some(end) = end {
            visit.end(end);
        } else if taken >= EACH {
            self.line_up(slot);
        }
        taken
    }

    /// Gives the endpoint the states it asks for. Returns whether it may ask for more.
    pub(crate) fn take_snapshots(self: &Rc<Self>) -> bool {
        for _ in 0..SNAPSHOTS {
            let mut state = self.state.borrow_mut();
            let Some(id) = state.endpoint.poll_snapshot() else {
                return false;
            };
            let Some(slot) = state.sessions.get(&id).cloned() else {
                let _ = state.endpoint.save(id, None);
                continue;
            };
            drop(state);
            let app = self.state_of(&slot);
            let mut state = self.state.borrow_mut();
            state.tally.snapshots += 1;
            if let Err(error) = state.endpoint.save(id, app.as_deref()) {
                self.unsaved(&mut state, &slot, error);
            }
        }
        true
    }

    /// The application's bytes as they stand. Of a handler that failed there are none, and the session must not begin anew without them where it may come before it has ended here.
    fn state_of(self: &Rc<Self>, slot: &Rc<Slot>) -> Option<Bytes> {
        let seat = slot.seat.borrow();
        let Some(handler) = &seat.handler else {
            return seat.origin.clone().or(Some(Bytes::from_static(&[FAILED])));
        };
        let state = catch_unwind(AssertUnwindSafe(|| handler.swap_out()));
        drop(seat);
        match state {
            Ok(state) => Some([&[STATE], &state[..]].concat().into()),
            Err(_) => {
                self.fail(slot, HANDLER_PANICKED);
                Some(Bytes::from_static(&[FAILED]))
            }
        }
    }

    fn unsaved(&self, state: &mut State, slot: &Rc<Slot>, error: SaveError) {
        error!(target: "unbroken::server", session = %slot.id, %error, "the session's state could not be saved");
        // Nothing of it could leave the process any more.
        if self.durable && matches!(error, SaveError::TooLarge { .. }) {
            give_up(slot);
            kick(state, slot.id, STATE_TOO_LARGE);
            self.touch();
        }
    }

    /// Ends a session whose handler cannot go on.
    fn fail(&self, slot: &Rc<Slot>, code: u32) {
        if code == HANDLER_PANICKED {
            error!(target: "unbroken::server", session = %slot.id, "the handler panicked");
        }
        give_up(slot);
        kick(&mut self.state.borrow_mut(), slot.id, code);
        self.touch();
    }

    /// The worker ends: so do its handlers.
    pub(crate) fn dismiss_handlers(&self) {
        let mut slots: Vec<_> = self.state.borrow().sessions.values().cloned().collect();
        // Those that are over and have not had their last turn are only here.
        slots.extend(self.line.borrow_mut().drain(..));
        for slot in slots {
            let end = slot.end().unwrap_or(End::Stopped);
            let handler = slot.seat.borrow_mut().handler.take();
            if let Some(handler) = handler {
                let _ = catch_unwind(AssertUnwindSafe(|| handler.on_end(end)));
            }
        }
    }
}

/// Gives the handler up. A snapshot says so from then on, as nothing can be known of it now.
fn give_up(slot: &Slot) {
    let mut seat = slot.seat.borrow_mut();
    seat.origin = None;
    seat.done = true;
    let handler = seat.handler.take();
    drop(seat);
    discard(slot.id, handler);
}

/// Drops a handler that has failed. One that is broken may fail at that, too.
fn discard(session: SessionId, handler: Option<Box<dyn AnyHandler>>) {
    if catch_unwind(AssertUnwindSafe(|| drop(handler))).is_err() {
        warn!(target: "unbroken::server", %session, "the handler panicked when it was dropped");
    }
}

/// What a session begins with, for a snapshot that is taken before it has a handler.
pub(crate) fn first_state(credential: &[u8]) -> Bytes {
    [&[CREDENTIAL], credential].concat().into()
}

fn kick(state: &mut State, id: SessionId, code: u32) {
    if let Some(mut session) = state.endpoint.session(id) {
        session.kick(code);
    }
}

/// One round of one session.
struct Visit<'a> {
    worker: &'a Rc<Worker>,
    slot: &'a Rc<Slot>,
    session: SessionRef<'a>,
}

impl Visit<'_> {
    fn is_leaving(&self) -> bool {
        let mut state = self.worker.state.borrow_mut();
        state
            .endpoint
            .session(self.slot.id)
            .is_some_and(|session| session.is_leaving())
    }

    /// Makes the handler if the session has none yet.
    fn make(&self, factory: &dyn AnyFactory) {
        let Some(origin) = self.slot.seat.borrow_mut().origin.clone() else {
            return;
        };
        let made = catch_unwind(AssertUnwindSafe(|| match origin.split_first() {
            Some((&STATE, _)) => factory.restore(&self.session, origin.slice(1..)),
            Some((&CREDENTIAL, _)) => {
                self.slot.set_credential(origin.slice(1..));
                Ok(factory.open(&self.session))
            }
            Some((&FAILED, _)) => {
                Err("its handler failed on another server, which died before the session had ended".into())
            }
            _ => {
                Err("the snapshot does not say what it is; a newer version of this library may have written it".into())
            }
        }));
        match made {
            Ok(Ok(handler)) => {
                let mut seat = self.slot.seat.borrow_mut();
                seat.handler = Some(handler);
                seat.origin = None;
                drop(seat);
                if origin.first() == Some(&CREDENTIAL) {
                    // What it made of the credential is in no snapshot yet.
                    self.session.commit();
                }
            }
            Ok(Err(error)) => {
                let session = self.slot.id;
                error!(target: "unbroken::server", %session, %error, "the session's state could not be restored");
                self.worker.fail(self.slot, RESTORE_FAILED);
            }
            Err(_) => self.worker.fail(self.slot, HANDLER_PANICKED),
        }
    }

    /// Tells what happened, in order.
    fn tell(&self) {
        loop {
            let Some(event) = self.slot.seat.borrow_mut().events.pop_front() else {
                return;
            };
            self.with(|handler, session| match &event {
                Event::Writable => handler.on_writable(session),
                Event::Closed(_) | Event::SwappedOut => {}
                event => handler.on_event(session, event),
            });
        }
    }

    fn hand_over_messages(&self) -> usize {
        let mut taken = 0;
        while (taken < EACH || self.slot.end().is_some())
            && self.may_go_on()
            && let Some(message) = self.session.0.try_recv()
        {
            taken += 1;
            self.with(|handler, session| handler.on_message(session, message));
        }
        taken
    }

    fn hand_over_mail(&self) -> usize {
        let mut taken = 0;
        while taken < EACH && self.slot.end().is_none() && self.slot.seat.borrow().mail && self.may_go_on() {
            let Some(message) = self.next_mail() else {
                self.slot.seat.borrow_mut().mail = false;
                break;
            };
            taken += 1;
            self.with(|handler, session| handler.on_mail(session, message));
        }
        taken
    }

    fn next_mail(&self) -> Option<Bytes> {
        let mut message = None;
        self.session.0.order(|session| message = session.recv_mail());
        message
    }

    /// Whether the handler may be given another message: there is one, it has not had enough, and there is room for its answer.
    fn may_go_on(&self) -> bool {
        {
            let seat = self.slot.seat.borrow();
            if seat.done || seat.handler.is_none() {
                return false;
            }
        }
        // When it is over, what had arrived is still the handler's.
        if self.slot.end().is_some() {
            return true;
        }
        self.worker.state.borrow_mut().endpoint.has_room(self.slot.id)
    }

    fn end(&self, end: End) {
        let handler = self.slot.seat.borrow_mut().handler.take();
        if let Some(handler) = handler
            && catch_unwind(AssertUnwindSafe(|| handler.on_end(end))).is_err()
        {
            warn!(target: "unbroken::server", session = %self.slot.id, "the handler panicked in on_end");
        }
    }

    /// Lets the handler do something. A panic costs its session only.
    fn with(&self, act: impl FnOnce(&mut dyn AnyHandler, &SessionRef<'_>)) {
        let Some(mut handler) = self.slot.seat.borrow_mut().handler.take() else {
            return;
        };
        match catch_unwind(AssertUnwindSafe(|| act(&mut *handler, &self.session))) {
            Ok(()) => self.slot.seat.borrow_mut().handler = Some(handler),
            Err(_) => {
                discard(self.slot.id, Some(handler));
                self.worker.fail(self.slot, HANDLER_PANICKED);
            }
        }
    }
}
