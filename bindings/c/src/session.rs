//! The client's end: `unbroken::Session`, verb by verb.

use std::sync::Arc;

use bytes::Bytes;
use unbroken::{Instant, LinkId, MessageId, NetworkEvent, NetworkId, Refusal, SendError, Session};

use crate::call::{call, free, name, with};
use crate::config::{self, unbroken_client_config};
use crate::event::{Attached, unbroken_event};
use crate::library::seed as take_seed;
use crate::memory::{Out, slice, slice_mut, write_sized};
use crate::output::{self, unbroken_output};
use crate::stats::unbroken_stats;
use crate::status::{Failure, Outcome, Reply, unbroken_status::*};
use crate::table::{Kind, Object};

/// A client's session. Made by `unbroken_session_connect`, freed by `unbroken_session_free`. The pointer is a name; it leads
/// nowhere.
///
/// The host tells it what happened (`handle_*`), the application uses it (`send`, `recv` ...), and the host does what it asks for
/// (`poll_*`), in any order, until all of them return `UNBROKEN_EMPTY`:
///
/// ```text
///   for (;;) {
///       while (unbroken_session_poll_event(...) == UNBROKEN_OK) { ... }
///       while (unbroken_session_recv(...) == UNBROKEN_OK) { ... }
///       while (unbroken_session_poll_output(...) == UNBROKEN_OK) { write, open or close }
///       wait for I/O or for unbroken_session_poll_timeout, then call handle_input, handle_link_up, handle_link_down or handle_timeout
///   }
/// ```
pub struct unbroken_session(());

/// What a session's handle names.
pub(crate) struct SessionState {
    pub session: Session,
    /// What belongs to the last event.
    attached: Attached,
}

impl Kind for SessionState {
    fn of(object: &mut Object) -> Option<&mut Self> {
        match object {
            Object::Session(state) => Some(state),
            _ => None,
        }
    }

    fn wrap(self: Box<Self>) -> Object {
        Object::Session(self)
    }
}

/// What the host may say of its networks. Hints: a false one costs a second link, never a message. Report every network that is up, the one
/// to use last: the latest reported is the wanted one. A host that reports none leaves the choice to the system.
#[repr(i32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum unbroken_network_event {
    /// The network came up, and is the wanted one now: a second link is opened on it, unless one carries the session there already.
    UNBROKEN_NETWORK_AVAILABLE = 1,
    /// The network went away: links on it are as good as dead.
    UNBROKEN_NETWORK_LOST = 2,
    /// The default network or the device's address changed: a second link is opened at once.
    UNBROKEN_NETWORK_CHANGED = 3,
    /// The process will be frozen, or must be quiet: no probes, no dialling, until `UNBROKEN_NETWORK_WAKE`. `network` has no meaning.
    UNBROKEN_NETWORK_SUSPEND = 4,
    /// The process runs again; an unknown time has passed, whatever the clock says. `network` has no meaning.
    UNBROKEN_NETWORK_WAKE = 5,
}

/// Makes a session; it asks for its first link at once. `seed` is 32 bytes fresh from `unbroken_random_seed`: the session's keys depend on it.
/// The configuration is copied. On failure `*session` is null.
///
/// # Safety
/// `config` must be as its struct says, `seed` readable for 32 bytes, `session` writable for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_session_connect(
    config: *const unbroken_client_config,
    seed: *const u8,
    now_us: u64,
    session: *mut *mut unbroken_session,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises a writable pointer.
        let mut out = unsafe { Out::new(session) }?;
        out.set(core::ptr::null_mut());
        // SAFETY: the caller promises a whole configuration.
        let config = unsafe { config::client(config) }?;
        // SAFETY: the caller promises 32 readable bytes.
        let seed = unsafe { take_seed(seed) }?;
        out.set(name(SessionState {
            session: Session::connect(Arc::new(config), seed, Instant::from_micros(now_us)),
            attached: Attached::default(),
        })?);
        Ok(Reply::Done)
    })
}

/// Frees a session, without a word to the server: call `unbroken_session_disconnect` and drive it to its end for that. Null is fine. What
/// was lent by it is gone.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_session_free(session: *mut unbroken_session) -> i32 {
    call(|| free::<SessionState, _>(session))
}

// ---- what happened ----

/// The connection that `UNBROKEN_OUTPUT_OPEN_LINK` asked for stands.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_session_handle_link_up(session: *mut unbroken_session, link: u64, now_us: u64) -> i32 {
    tell(session, |session| {
        session.handle_link_up(LinkId(link), Instant::from_micros(now_us));
    })
}

/// Bytes came on a link. Input for a link that is gone is ignored.
///
/// # Safety
/// `data` must be readable for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_session_handle_input(
    session: *mut unbroken_session,
    link: u64,
    data: *const u8,
    len: usize,
    now_us: u64,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises `len` readable bytes.
        let data = unsafe { slice(data, len) }?;
        with(session, |state: &mut SessionState| {
            state
                .session
                .handle_input(LinkId(link), data, Instant::from_micros(now_us));
            Ok(Reply::Done)
        })
    })
}

/// A connection could not be made, ended, or broke. That never ends the session.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_session_handle_link_down(session: *mut unbroken_session, link: u64, now_us: u64) -> i32 {
    tell(session, |session| {
        session.handle_link_down(LinkId(link), Instant::from_micros(now_us));
    })
}

/// The link's socket takes no more: `unbroken_session_poll_output` gives nothing for it until `unbroken_session_handle_link_writable`.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_session_handle_link_blocked(session: *mut unbroken_session, link: u64) -> i32 {
    tell(session, |session| session.handle_link_blocked(LinkId(link)))
}

/// The link's socket takes bytes again.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_session_handle_link_writable(session: *mut unbroken_session, link: u64) -> i32 {
    tell(session, |session| session.handle_link_writable(LinkId(link)))
}

/// A hint about a network, an `unbroken_network_event`. `network` is the host's number for it; it is only compared.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_session_handle_network(
    session: *mut unbroken_session,
    event: i32,
    network: u64,
    now_us: u64,
) -> i32 {
    use unbroken_network_event::*;
    const AVAILABLE: i32 = UNBROKEN_NETWORK_AVAILABLE as i32;
    const LOST: i32 = UNBROKEN_NETWORK_LOST as i32;
    const CHANGED: i32 = UNBROKEN_NETWORK_CHANGED as i32;
    const SUSPEND: i32 = UNBROKEN_NETWORK_SUSPEND as i32;
    const WAKE: i32 = UNBROKEN_NETWORK_WAKE as i32;
    call(|| {
        let network = NetworkId(network);
        let event = match event {
            AVAILABLE => NetworkEvent::Available(network),
            LOST => NetworkEvent::Lost(network),
            CHANGED => NetworkEvent::Changed(network),
            SUSPEND => NetworkEvent::Suspend,
            WAKE => NetworkEvent::Wake,
            other => {
                return Err(Failure::new(
                    UNBROKEN_ERR_ARGUMENT,
                    format!("{other} is no unbroken_network_event"),
                ));
            }
        };
        with(session, |state: &mut SessionState| {
            state.session.handle_network(event, Instant::from_micros(now_us));
            Ok(Reply::Done)
        })
    })
}

/// Time passed; call it when `unbroken_session_poll_timeout` is reached, or at any time.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_session_handle_timeout(session: *mut unbroken_session, now_us: u64) -> i32 {
    tell(session, |session| session.handle_timeout(Instant::from_micros(now_us)))
}

// ---- the application ----

/// Takes a reliable message. It will be delivered once and in order while the session lives. `*id` becomes its number, from 0; `id`
/// may be null. After an error the message was not taken, and the caller still has it.
///
/// # Safety
/// `data` must be readable for `len` bytes; `id` null or writable for one `uint64_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_session_send(
    session: *mut unbroken_session,
    data: *const u8,
    len: usize,
    id: *mut u64,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises `len` readable bytes, and a `uint64_t` if `id` is not null.
        let (data, id) = unsafe { (slice(data, len)?, Out::optional(id)) };
        with(session, |state: &mut SessionState| {
            sent(state.session.send_slice(data), id)
        })
    })
}

/// Takes a message that may be lost, but is never doubled: at most 16,320 bytes.
///
/// # Safety
/// `data` must be readable for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_session_send_unreliable(
    session: *mut unbroken_session,
    data: *const u8,
    len: usize,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises `len` readable bytes.
        let data = unsafe { slice(data, len) }?;
        with(session, |state: &mut SessionState| {
            state
                .session
                .send_unreliable(Bytes::copy_from_slice(data))
                .map_err(|error| unsent(&error))?;
            Ok(Reply::Done)
        })
    })
}

/// Lends the next message, or returns `UNBROKEN_EMPTY`. What is taken will be ACKed. `*data` and `*len` are valid until the next call with
/// this session, whatever it is; copy what must stay. `*id` becomes the number of a reliable message, -1 for an unreliable one; `id` may be
/// null. Works after the session closed, too, for what had arrived.
///
/// # Safety
/// `data` must be writable for a pointer, `len` for a `size_t`, `id` null or writable for an `int64_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_session_recv(
    session: *mut unbroken_session,
    data: *mut *const u8,
    len: *mut usize,
    id: *mut i64,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises places for the results.
        let (mut data, mut len, mut id) = unsafe { (Out::new(data)?, Out::new(len)?, Out::optional(id)) };
        with(session, |state: &mut SessionState| {
            let message = state.session.recv();
            let payload = message.map_or(&[][..], |message| message.payload);
            data.set(payload.as_ptr());
            len.set(payload.len());
            id.set(number(message.and_then(|message| message.id)));
            Ok(message.map_or(Reply::Empty, |_| Reply::Done))
        })
    })
}

/// Ends the session for good: what was sent goes out first, then the farewell. `UNBROKEN_EVENT_CLOSED` says that it is done, after 2 s at most.
/// It never reconnects; without a link it ends at once, and the server keeps the session for its detached life.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_session_disconnect(session: *mut unbroken_session, code: u32) -> i32 {
    tell(session, |session| session.disconnect(code))
}

/// Tries again after `UNBROKEN_FAIL_GAVE_UP` or `UNBROKEN_FAIL_VERSION_MISMATCH`. Otherwise nothing happens.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_session_retry(session: *mut unbroken_session, now_us: u64) -> i32 {
    tell(session, |session| session.retry(Instant::from_micros(now_us)))
}

// ---- what to do next ----

/// The next thing for the host to do, or `UNBROKEN_EMPTY`. `buffer` is filled for `UNBROKEN_OUTPUT_SEND`, and for
/// `UNBROKEN_OUTPUT_OPEN_LINK` to a named server. It must hold `UNBROKEN_MIN_BUFFER` bytes, else that need stands in `output->len`.
///
/// # Safety
/// `buffer` must be writable for `capacity` bytes, `output` for one struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_session_poll_output(
    session: *mut unbroken_session,
    buffer: *mut u8,
    capacity: usize,
    now_us: u64,
    output: *mut unbroken_output,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises `capacity` writable bytes and a writable struct.
        let (buffer, mut output) = unsafe { (slice_mut(buffer, capacity)?, Out::new(output)?) };
        with(session, |state: &mut SessionState| {
            output::poll(buffer, &mut output, |buffer| {
                state.session.poll_output(buffer, Instant::from_micros(now_us))
            })
        })
    })
}

/// The next event, or `UNBROKEN_EMPTY`.
///
/// # Safety
/// `event` must be writable for one struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_session_poll_event(
    session: *mut unbroken_session,
    event: *mut unbroken_event,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises a writable struct.
        let mut flat = unsafe { Out::new(event) }?;
        with(session, |state: &mut SessionState| match state.session.poll_event() {
            Some(event) => {
                flat.set(unbroken_event::new(None, event, &mut state.attached));
                Ok(Reply::Done)
            }
            None => Ok(Reply::Empty),
        })
    })
}

/// Copies the data of the last event; `*len` becomes its length, and the need if the buffer is too small. It stays until the next event is
/// polled.
///
/// # Safety
/// `buffer` must be writable for `capacity` bytes, `len` for a `size_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_session_event_data(
    session: *mut unbroken_session,
    buffer: *mut u8,
    capacity: usize,
    len: *mut usize,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises `capacity` writable bytes and a writable `size_t`.
        let (buffer, len) = unsafe { (slice_mut(buffer, capacity)?, Out::new(len)?) };
        with(session, |state: &mut SessionState| {
            copy(&state.attached.data, buffer, len)
        })
    })
}

/// When `unbroken_session_handle_timeout` wants to be called; `UNBROKEN_EMPTY` and `UINT64_MAX` if never.
///
/// # Safety
/// `deadline_us` must be writable for one `uint64_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_session_poll_timeout(session: *mut unbroken_session, deadline_us: *mut u64) -> i32 {
    call(|| {
        // SAFETY: the caller promises a writable `uint64_t`.
        let out = unsafe { Out::new(deadline_us) }?;
        with(session, |state: &mut SessionState| {
            Ok(deadline(state.session.poll_timeout(), out))
        })
    })
}

// ---- how it stands ----

/// Where the session stands: an `unbroken_state`.
///
/// # Safety
/// `state` must be writable for one `int32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_session_state(session: *mut unbroken_session, state: *mut i32) -> i32 {
    call(|| {
        // SAFETY: the caller promises a writable `int32_t`.
        let mut out = unsafe { Out::new(state) }?;
        with(session, |state: &mut SessionState| {
            out.set(state.session.state() as i32);
            Ok(Reply::Done)
        })
    })
}

/// The session's id, 16 bytes; `UNBROKEN_EMPTY` until the server gave it.
///
/// # Safety
/// `id` must be writable for 16 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_session_id(session: *mut unbroken_session, id: *mut u8) -> i32 {
    call(|| {
        // SAFETY: the caller promises 16 writable bytes.
        let mut out = unsafe { Out::new(id.cast::<[u8; 16]>()) }?;
        with(session, |state: &mut SessionState| {
            let Some(id) = state.session.id() else {
                return Ok(Reply::Empty);
            };
            out.set(id.0);
            Ok(Reply::Done)
        })
    })
}

/// The number of the first message that the peer has not ACKed: all before it have been delivered to its application.
///
/// # Safety
/// `message` must be writable for one `uint64_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_session_acked(session: *mut unbroken_session, message: *mut u64) -> i32 {
    call(|| {
        // SAFETY: the caller promises a writable `uint64_t`.
        let mut out = unsafe { Out::new(message) }?;
        with(session, |state: &mut SessionState| {
            out.set(state.session.acked().0);
            Ok(Reply::Done)
        })
    })
}

/// Counters. `struct_size` is `sizeof(unbroken_stats)`.
///
/// # Safety
/// `stats` must be writable for `struct_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_session_stats(
    session: *mut unbroken_session,
    stats: *mut unbroken_stats,
    struct_size: usize,
) -> i32 {
    call(|| {
        with(session, |state: &mut SessionState| {
            // SAFETY: the caller promises `struct_size` writable bytes.
            unsafe { write_sized(stats, struct_size, &state.session.stats().into()) }?;
            Ok(Reply::Done)
        })
    })
}

// ---- shared with the server's end ----

fn tell(session: *mut unbroken_session, tell: impl FnOnce(&mut Session)) -> i32 {
    call(|| {
        with(session, |state: &mut SessionState| {
            tell(&mut state.session);
            Ok(Reply::Done)
        })
    })
}

/// What became of a reliable message.
pub(crate) fn sent(result: Result<MessageId, Refusal>, mut id: Out<u64>) -> Outcome {
    id.set(result.map_err(|refusal| refused(&refusal))?.0);
    Ok(Reply::Done)
}

/// Why a message was not taken.
#[cold]
pub(crate) fn refused(refusal: &Refusal) -> Failure {
    match refusal {
        Refusal::WouldBlock => UNBROKEN_ERR_WOULD_BLOCK.into(),
        Refusal::TooLarge { max } => Failure::new(
            UNBROKEN_ERR_TOO_LARGE,
            format!("the message is over the limit of {max} bytes; split it, or raise limits.message on both ends"),
        ),
        Refusal::Closed => UNBROKEN_ERR_CLOSED.into(),
        Refusal::NoLink => UNBROKEN_ERR_NO_LINK.into(),
        Refusal::Full => UNBROKEN_ERR_FULL.into(),
    }
}

/// As `refused`, where the core gives the message back; C never gave it away.
#[cold]
pub(crate) fn unsent(error: &SendError) -> Failure {
    refused(&match error {
        SendError::WouldBlock(_) => Refusal::WouldBlock,
        SendError::TooLarge { max, .. } => Refusal::TooLarge { max: *max },
        SendError::Closed(_) => Refusal::Closed,
        SendError::NoLink(_) => Refusal::NoLink,
        SendError::Full(_) => Refusal::Full,
    })
}

/// The number of a message as C has it.
pub(crate) fn number(id: Option<MessageId>) -> i64 {
    id.map_or(-1, |id| i64::try_from(id.0).unwrap_or(i64::MAX))
}

/// An event's data.
pub(crate) fn copy(data: &[u8], buffer: &mut [u8], mut len: Out<usize>) -> Outcome {
    len.set(data.len());
    let Some(place) = buffer.get_mut(..data.len()) else {
        return Err(UNBROKEN_ERR_BUFFER_TOO_SMALL.into());
    };
    place.copy_from_slice(data);
    Ok(Reply::Done)
}

pub(crate) fn deadline(deadline: Option<Instant>, mut out: Out<u64>) -> Reply {
    out.set(deadline.map_or(u64::MAX, Instant::as_micros));
    deadline.map_or(Reply::Empty, |_| Reply::Done)
}
