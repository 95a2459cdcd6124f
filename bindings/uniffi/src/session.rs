//! The one object: a session behind a lock, and its step.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard};

use unbroken::{Instant, LinkId, Refusal as CoreRefusal, Seed};

use crate::config::ClientConfig;
use crate::error::{RefusalCode, UnbrokenError};
use crate::event::Event;
use crate::step::{Input, Message, Output, Refusal, Step};

/// What one `Output.Send` carries at most.
const SCRATCH: usize = 64 << 10;
/// What one step gives to write before it asks to be called again: the socket has a say in between.
const BURST: usize = 256 << 10;
/// What a message counts for beside its payload, when room is handed out.
const PER_MESSAGE: usize = 64;

thread_local! {
    // Used within one step only, so all sessions of a thread share it.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

/// A client's session: a state machine that touches no socket, reads no clock and starts no thread. See the crate's head.
#[derive(uniffi::Object)]
pub struct Session {
    core: Mutex<unbroken::Session>,
}

/// Counters since the session began, and how it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, uniffi::Record)]
pub struct Stats {
    /// Reliable messages taken from the application.
    pub sent_messages: u64,
    /// Reliable messages handed to the application.
    pub received_messages: u64,
    /// Bytes given to write, first flights included.
    pub wire_sent: u64,
    /// Bytes of valid records.
    pub wire_received: u64,
    /// Links that reached agreed keys.
    pub links: u64,
    /// Handovers that ended well.
    pub handovers: u64,
    /// Messages sent again by them.
    pub replayed_messages: u64,
    /// How often a link became suspect.
    pub suspicions: u64,
    /// Now: messages sent and not acknowledged.
    pub unacked_messages: u64,
    /// Now: the first message that the server has not acknowledged.
    pub acked: u64,
    /// Now: the smoothed round trip of the link in use, in microseconds.
    pub rtt_us: Option<u64>,
}

#[uniffi::export]
impl Session {
    /// A new session; its first step asks for its first link. `now_us` is the driver's clock, in microseconds since whenever it likes;
    /// the same clock in each step.
    ///
    /// # Errors
    /// `Config` or `Randomness`.
    #[uniffi::constructor]
    pub fn new(config: ClientConfig, now_us: u64) -> Result<Arc<Self>, UnbrokenError> {
        let config = Arc::new(config.build()?);
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(UnbrokenError::randomness)?;
        let session = unbroken::Session::connect(config, Seed::new(seed), Instant::from_micros(now_us));
        Ok(Arc::new(Session {
            core: Mutex::new(session),
        }))
    }

    /// Takes all that has happened and gives all that is to be done. `room`: messages are handed out until they have used it up, each
    /// counting its payload and 64 bytes; the last one may be larger than what is left. 0: none.
    ///
    /// # Errors
    /// `Poisoned`, if an earlier step broke off inside the library.
    pub fn step(&self, inputs: Vec<Input>, room: u32, now_us: u64) -> Result<Step, UnbrokenError> {
        let mut session = self.lock()?;
        let now = Instant::from_micros(now_us);
        let mut step = Step::default();
        take(&mut session, inputs, now, &mut step);
        if session.poll_timeout().is_some_and(|due| due <= now) {
            session.handle_timeout(now);
        }
        BUFFER.with_borrow_mut(|buffer| give(&mut session, buffer, room as usize, now, &mut step));
        Ok(step)
    }

    /// Counters since the session began.
    ///
    /// # Errors
    /// `Poisoned`, as in `step`.
    pub fn stats(&self) -> Result<Stats, UnbrokenError> {
        let session = self.lock()?;
        let stats = session.stats();
        Ok(Stats {
            sent_messages: stats.sent_messages,
            received_messages: stats.received_messages,
            wire_sent: stats.wire_sent,
            wire_received: stats.wire_received,
            links: stats.links,
            handovers: stats.handovers,
            replayed_messages: stats.replayed_messages,
            suspicions: stats.suspicions,
            unacked_messages: stats.unacked_messages,
            acked: session.acked().0,
            rtt_us: stats.rtt.map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)),
        })
    }
}

impl Session {
    fn lock(&self) -> Result<MutexGuard<'_, unbroken::Session>, UnbrokenError> {
        self.core.lock().map_err(|_| UnbrokenError::poisoned())
    }
}

fn take(session: &mut unbroken::Session, inputs: Vec<Input>, now: Instant, step: &mut Step) {
    let mut full = false;
    for (index, input) in inputs.into_iter().enumerate() {
        let refused = match input {
            Input::LinkUp { link } => {
                session.handle_link_up(LinkId(link), now);
                None
            }
            Input::Received { link, bytes } => {
                session.handle_input(LinkId(link), &bytes, now);
                None
            }
            Input::LinkDown { link } => {
                session.handle_link_down(LinkId(link), now);
                None
            }
            Input::LinkBlocked { link } => {
                session.handle_link_blocked(LinkId(link));
                None
            }
            Input::LinkWritable { link } => {
                session.handle_link_writable(LinkId(link));
                None
            }
            Input::Network { hint } => {
                session.handle_network(hint.into(), now);
                None
            }
            Input::Send { .. } if full => Some(CoreRefusal::WouldBlock),
            Input::Send { message } => session.send_slice(&message).err(),
            Input::SendUnreliable { message } => {
                let result = session.send_unreliable(message.into());
                result.err().map(|error| refusal_of(&error))
            }
            Input::Disconnect { code } => {
                session.disconnect(code);
                None
            }
            Input::Retry => {
                session.retry(now);
                None
            }
        };
        if let Some(refused) = refused {
            full |= refused == CoreRefusal::WouldBlock;
            step.refusals.push(refusal(index, refused));
        }
    }
}

fn give(session: &mut unbroken::Session, buffer: &mut [u8], room: usize, now: Instant, step: &mut Step) {
    let mut left = room;
    while left > 0
        && let Some(message) = session.recv()
    {
        left = left.saturating_sub(message.payload.len() + PER_MESSAGE);
        step.messages.push(Message {
            id: message.id.map(|id| id.0),
            payload: message.payload.to_vec(),
        });
    }
    step.more_messages = left == 0;
    let mut given = 0;
    while given < BURST
        && let Some(output) = session.poll_output(buffer, now)
    {
        if let unbroken::Output::Send { len, .. } = output {
            given += len;
        }
        step.outputs.push(Output::of(output, buffer));
    }
    // Last: what was just done may have brought them.
    step.events
        .extend(std::iter::from_fn(|| session.poll_event()).filter_map(Event::of));
    step.health = session.link_health().into();
    // Now, if something is left to write.
    step.deadline_us = session.poll_timeout().map(Instant::as_micros);
}

fn refusal_of(error: &unbroken::SendError) -> CoreRefusal {
    use unbroken::SendError as Error;
    match error {
        Error::WouldBlock(_) => CoreRefusal::WouldBlock,
        Error::TooLarge { max, .. } => CoreRefusal::TooLarge { max: *max },
        Error::Closed(_) => CoreRefusal::Closed,
        Error::NoLink(_) => CoreRefusal::NoLink,
        Error::Full(_) => CoreRefusal::Full,
    }
}

fn refusal(input: usize, refused: CoreRefusal) -> Refusal {
    let (code, text) = match refused {
        CoreRefusal::WouldBlock => (
            RefusalCode::WouldBlock,
            "no room beside what the server has not acknowledged".into(),
        ),
        CoreRefusal::TooLarge { max } => (RefusalCode::TooLarge, format!("larger than the limit of {max} bytes")),
        CoreRefusal::Closed => (RefusalCode::Closed, "the session is closed".into()),
        CoreRefusal::NoLink => (
            RefusalCode::NoLink,
            "no link is up, and unreliable messages do not wait for one".into(),
        ),
        CoreRefusal::Full => (RefusalCode::Full, "unreliable messages wait up to their limit".into()),
    };
    Refusal {
        input: u32::try_from(input).unwrap_or(u32::MAX),
        code,
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poisoned_lock_is_an_error_in_every_call() {
        let config = ClientConfig {
            pins: vec![vec![9; 32]],
            ..ClientConfig::default()
        };
        let session = Session::new(config, 0).unwrap();
        assert!(session.step(Vec::new(), 0, 1).is_ok());
        let breaking = session.clone();
        let broken = std::thread::spawn(move || {
            let _held = breaking.core.lock();
            panic!("as a broken invariant would");
        });
        assert!(broken.join().is_err());
        let error = session.step(Vec::new(), 0, 2).unwrap_err();
        assert!(matches!(error, UnbrokenError::Poisoned { code: 3, .. }), "{error:?}");
        assert_eq!(session.stats().unwrap_err(), error);
    }
}
