//! A client and a server joined in memory, so that every language can test its wrapper without a socket, and cut the link at will.
//!
//! It is a host for the two: it carries out their outputs, and a step is one trip of the bytes. What was taken from one end in a step
//! is on the wire until the next one; a cut in between loses it. Events and messages stay where they are, for the wrapper to fetch.

use std::collections::VecDeque;

use unbroken::{Endpoint, Instant, LinkId, Output, Session};

use crate::call::{call, free, name, with};
use crate::endpoint::{EndpointState, unbroken_endpoint};
use crate::session::{SessionState, unbroken_session};
use crate::status::{Failure, Outcome, Reply};
use crate::table::{self, Kind, Object};

/// A client and a server joined in memory: a network for tests. It is given a session and an endpoint, and does not own them.
pub struct unbroken_loopback(());

/// What a loopback's handle names.
pub(crate) struct LoopbackState {
    session: usize,
    endpoint: usize,
    /// At most one is in use; others are being opened or closed.
    wires: VecDeque<Wire>,
    /// The session opens link n; the endpoint knows it by the same number.
    buffer: Vec<u8>,
    refuse: bool,
}

/// One connection, and what is on it.
struct Wire {
    link: LinkId,
    up: Vec<u8>,
    down: Vec<u8>,
    /// An end closed it: it is gone once what is on it has arrived.
    closed_by_client: bool,
    closed_by_server: bool,
}

impl Kind for LoopbackState {
    fn of(object: &mut Object) -> Option<&mut Self> {
        match object {
            Object::Loopback(state) => Some(state),
            _ => None,
        }
    }

    fn wrap(self: Box<Self>) -> Object {
        Object::Loopback(self)
    }
}

/// Joins a session and an endpoint. Both stay the caller's; free the loopback first or last, as it comes. An endpoint takes part in one
/// loopback at a time. On failure `*loopback` is null.
///
/// # Safety
/// `loopback` must be writable for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_loopback_new(
    session: *mut unbroken_session,
    endpoint: *mut unbroken_endpoint,
    loopback: *mut *mut unbroken_loopback,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises a writable pointer.
        let mut out = unsafe { crate::memory::Out::new(loopback) }?;
        out.set(core::ptr::null_mut());
        let state = LoopbackState {
            session: session.addr(),
            endpoint: endpoint.addr(),
            wires: VecDeque::new(),
            buffer: vec![0; 65536],
            refuse: false,
        };
        state.ends(|_, _| Ok(Reply::Done))?;
        out.set(name(state)?);
        Ok(Reply::Done)
    })
}

/// Frees a loopback, not what it joined. Null is fine.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_loopback_free(loopback: *mut unbroken_loopback) -> i32 {
    call(|| free::<LoopbackState, _>(loopback))
}

/// One trip: what is on the wire arrives, time passes for both ends, and what they have to say is put on the wire. `UNBROKEN_EMPTY` if nothing
/// arrived and nothing was said; then only a later `now_us` or the application can change something.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_loopback_step(loopback: *mut unbroken_loopback, now_us: u64) -> i32 {
    call(|| {
        with(loopback, |state: &mut LoopbackState| {
            state.run(|wires, session, endpoint| wires.step(session, endpoint, Instant::from_micros(now_us)))
        })
    })
}

/// The link breaks: what is on the wire is lost, both ends are told. `UNBROKEN_EMPTY` if there was no link.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_loopback_cut(loopback: *mut unbroken_loopback, now_us: u64) -> i32 {
    call(|| {
        with(loopback, |state: &mut LoopbackState| {
            state.run(|wires, session, endpoint| wires.cut(session, endpoint, Instant::from_micros(now_us)))
        })
    })
}

/// From now on, new connections fail (`refuse` is not 0), or work again (0). Those that stand are not touched.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_loopback_refuse(loopback: *mut unbroken_loopback, refuse: i32) -> i32 {
    call(|| {
        with(loopback, |state: &mut LoopbackState| {
            state.refuse = refuse != 0;
            Ok(Reply::Done)
        })
    })
}

impl LoopbackState {
    /// Both ends, for as long as `f` runs.
    fn ends(&self, f: impl FnOnce(&mut Session, &mut Endpoint) -> Outcome) -> Outcome {
        table::with(self.session, |session: &mut SessionState| {
            table::with(self.endpoint, |endpoint: &mut EndpointState| {
                f(&mut session.session, &mut endpoint.endpoint)
            })
        })
    }

    fn run(&mut self, f: impl FnOnce(&mut Wires<'_>, &mut Session, &mut Endpoint) -> bool) -> Outcome {
        let mut all = core::mem::take(&mut self.wires);
        let mut buffer = core::mem::take(&mut self.buffer);
        let mut wires = Wires {
            all: &mut all,
            buffer: &mut buffer,
            refuse: self.refuse,
        };
        let outcome: Result<Reply, Failure> = self.ends(|session, endpoint| {
            let moved = f(&mut wires, session, endpoint);
            Ok(if moved { Reply::Done } else { Reply::Empty })
        });
        self.wires = all;
        self.buffer = buffer;
        outcome
    }
}

struct Wires<'a> {
    all: &'a mut VecDeque<Wire>,
    buffer: &'a mut [u8],
    refuse: bool,
}

impl Wires<'_> {
    fn step(&mut self, session: &mut Session, endpoint: &mut Endpoint, now: Instant) -> bool {
        let mut moved = self.deliver(session, endpoint, now);
        session.handle_timeout(now);
        endpoint.handle_timeout(now);
        while let Some(output) = session.poll_output(self.buffer, now) {
            moved = true;
            match output {
                Output::OpenLink { link, .. } if self.refuse => session.handle_link_down(link, now),
                Output::OpenLink { link, .. } => {
                    self.all.push_back(Wire {
                        link,
                        up: Vec::new(),
                        down: Vec::new(),
                        closed_by_client: false,
                        closed_by_server: false,
                    });
                    endpoint.handle_link_up(link, now);
                    session.handle_link_up(link, now);
                }
                Output::Send { link, len } => {
                    if let Some(wire) = self.all.iter_mut().find(|wire| wire.link == link) {
                        wire.up.extend_from_slice(&self.buffer[..len]);
                    }
                }
                Output::CloseLink { link } => {
                    if let Some(wire) = self.all.iter_mut().find(|wire| wire.link == link) {
                        wire.closed_by_client = true;
                    }
                }
            }
        }
        while let Some(output) = endpoint.poll_output(self.buffer, now) {
            moved = true;
            match output {
                Output::Send { link, len } => {
                    if let Some(wire) = self.all.iter_mut().find(|wire| wire.link == link) {
                        wire.down.extend_from_slice(&self.buffer[..len]);
                    }
                }
                Output::CloseLink { link } => {
                    if let Some(wire) = self.all.iter_mut().find(|wire| wire.link == link) {
                        wire.closed_by_server = true;
                    }
                }
                // A server opens no links.
                Output::OpenLink { .. } => {}
            }
        }
        moved
    }

    fn deliver(&mut self, session: &mut Session, endpoint: &mut Endpoint, now: Instant) -> bool {
        let mut moved = false;
        for wire in self.all.iter_mut() {
            let (up, down) = (core::mem::take(&mut wire.up), core::mem::take(&mut wire.down));
            moved |= !up.is_empty() || !down.is_empty();
            if !up.is_empty() && !wire.closed_by_server {
                endpoint.handle_input(wire.link, &up, now);
            }
            if !down.is_empty() && !wire.closed_by_client {
                session.handle_input(wire.link, &down, now);
            }
            if wire.closed_by_client && !wire.closed_by_server {
                endpoint.handle_link_down(wire.link, now);
            }
            if wire.closed_by_server && !wire.closed_by_client {
                session.handle_link_down(wire.link, now);
            }
        }
        let before = self.all.len();
        self.all.retain(|wire| !wire.closed_by_client && !wire.closed_by_server);
        moved || self.all.len() < before
    }

    fn cut(&mut self, session: &mut Session, endpoint: &mut Endpoint, now: Instant) -> bool {
        let any = !self.all.is_empty();
        for wire in self.all.drain(..) {
            session.handle_link_down(wire.link, now);
            endpoint.handle_link_down(wire.link, now);
        }
        any
    }
}
