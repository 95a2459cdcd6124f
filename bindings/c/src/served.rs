//! The application's hold on one session of an endpoint, named by its 16-byte id: `unbroken::SessionMut`, verb by verb.

use bytes::Bytes;
use unbroken::{SessionId, SessionMut, Verdict};

use crate::call::{call, with};
use crate::endpoint::{EndpointState, unbroken_endpoint};
use crate::memory::{Out, array, slice, write_sized};
use crate::session::{number, sent, unsent};
use crate::stats::unbroken_stats;
use crate::status::{Failure, Outcome, Reply, unbroken_status::*};

/// As `unbroken_session_send`, to the client of session `id`.
///
/// # Safety
/// `id` must be readable for 16 bytes, `data` for `len`; `message` null or writable for one `uint64_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_session_send(
    endpoint: *mut unbroken_endpoint,
    id: *const u8,
    data: *const u8,
    len: usize,
    message: *mut u64,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises `len` readable bytes, and a `uint64_t` if `message` is not null.
        let (data, message) = unsafe { (slice(data, len)?, Out::optional(message)) };
        // SAFETY: the caller promises 16 readable bytes.
        unsafe { hold(endpoint, id, |mut session| sent(session.send_slice(data), message)) }
    })
}

/// As `unbroken_session_send_unreliable`, to the client of session `id`.
///
/// # Safety
/// `id` must be readable for 16 bytes, `data` for `len`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_session_send_unreliable(
    endpoint: *mut unbroken_endpoint,
    id: *const u8,
    data: *const u8,
    len: usize,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises `len` readable bytes.
        let data = unsafe { slice(data, len) }?;
        let send = |mut session: SessionMut<'_>| {
            session
                .send_unreliable(Bytes::copy_from_slice(data))
                .map_err(|error| unsent(&error))?;
            Ok(Reply::Done)
        };
        // SAFETY: the caller promises 16 readable bytes.
        unsafe { hold(endpoint, id, send) }
    })
}

/// Lends the next message of session `id`, or returns `UNBROKEN_EMPTY`; nothing comes before the client was let in. `*data` and `*len` are
/// valid until the next call with this endpoint, whatever it is. `*message` becomes the number of a reliable message, -1 for an
/// unreliable one; it may be null. What is taken will be ACKed.
///
/// # Safety
/// `id` must be readable for 16 bytes; `data` writable for a pointer, `len` for a `size_t`, `message` null or writable for an `int64_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_session_recv(
    endpoint: *mut unbroken_endpoint,
    id: *const u8,
    data: *mut *const u8,
    len: *mut usize,
    message: *mut i64,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises places for the results.
        let (mut data, mut len, mut out) = unsafe { (Out::new(data)?, Out::new(len)?, Out::optional(message)) };
        // SAFETY: the caller promises 16 readable bytes.
        let id = SessionId(unsafe { array(id) }?);
        with(endpoint, |state: &mut EndpointState| {
            let EndpointState { endpoint, lent, .. } = state;
            let mut session = endpoint.session(id).ok_or(UNBROKEN_ERR_UNKNOWN_SESSION)?;
            lent.clear();
            let message = session.recv().map(|message| {
                lent.extend_from_slice(message.payload);
                message.id
            });
            data.set(lent.as_ptr());
            len.set(lent.len());
            out.set(number(message.flatten()));
            Ok(message.map_or(Reply::Empty, |_| Reply::Done))
        })
    })
}

/// Answers `UNBROKEN_EVENT_AUTHORISE`. If `accept` is not 0 the client is let in; else the session ends at both ends with
/// `UNBROKEN_CLOSE_REFUSED` and `code`. `message` is told to the client, at most 1024 bytes. `UNBROKEN_EMPTY` if the client was not waiting
/// for it.
///
/// # Safety
/// `id` must be readable for 16 bytes, `message` for `len`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_session_authorise(
    endpoint: *mut unbroken_endpoint,
    id: *const u8,
    accept: i32,
    code: u32,
    message: *const u8,
    len: usize,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises `len` readable bytes.
        let verdict = verdict(accept, code, unsafe { slice(message, len) }?)?;
        // SAFETY: the caller promises 16 readable bytes.
        unsafe { hold(endpoint, id, |mut session| waited(session.authorise(verdict))) }
    })
}

/// As `unbroken_endpoint_session_authorise`, with the application's state before it has taken anything: `app_len` bytes at `app`, which
/// `UNBROKEN_EVENT_RESTORED` brings if this process ends before the first `unbroken_endpoint_save`. Matters with
/// `UNBROKEN_DURABILITY_DURABLE`. A state over the limit of a snapshot is left out: the client is let in, the state is asked for at once, and
/// `unbroken_endpoint_save` says that it is too large.
///
/// # Safety
/// `id` must be readable for 16 bytes, `message` for `len`, `app` for `app_len`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_session_authorise_with(
    endpoint: *mut unbroken_endpoint,
    id: *const u8,
    accept: i32,
    code: u32,
    message: *const u8,
    len: usize,
    app: *const u8,
    app_len: usize,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises so many readable bytes.
        let (message, app) = unsafe { (slice(message, len)?, slice(app, app_len)?) };
        let verdict = verdict(accept, code, message)?;
        let app = Bytes::copy_from_slice(app);
        let answer = |mut session: SessionMut<'_>| waited(session.authorise_with(verdict, Some(app)));
        // SAFETY: the caller promises 16 readable bytes.
        unsafe { hold(endpoint, id, answer) }
    })
}

/// Answers `UNBROKEN_EVENT_RESUME_REQUEST`. If `accept` is not 0 the client may resume; else the session ends at both ends with
/// `UNBROKEN_CLOSE_REFUSED` and `code`. `UNBROKEN_EMPTY` if no resume was waiting.
///
/// # Safety
/// `id` must be readable for 16 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_session_answer_resume(
    endpoint: *mut unbroken_endpoint,
    id: *const u8,
    accept: i32,
    code: u32,
) -> i32 {
    let answer = if accept == 0 { Err(code) } else { Ok(()) };
    // SAFETY: the caller promises 16 readable bytes.
    call(|| unsafe { hold(endpoint, id, |mut session| waited(session.answer_resume(answer))) })
}

/// Ends session `id` for good, after what was sent. A client without a link learns it when it comes back.
///
/// # Safety
/// `id` must be readable for 16 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_session_close(
    endpoint: *mut unbroken_endpoint,
    id: *const u8,
    code: u32,
) -> i32 {
    // SAFETY: passed on.
    unsafe { tell(endpoint, id, |session| session.close(code)) }
}

/// Puts the client of session `id` out: it sees `UNBROKEN_CLOSE_KICKED`. For a session that may be elsewhere there is `unbroken_endpoint_kick`.
///
/// # Safety
/// `id` must be readable for 16 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_session_kick(
    endpoint: *mut unbroken_endpoint,
    id: *const u8,
    code: u32,
) -> i32 {
    // SAFETY: passed on.
    unsafe { tell(endpoint, id, |session| session.kick(code)) }
}

/// Where session `id` stands: an `unbroken_state`.
///
/// # Safety
/// `id` must be readable for 16 bytes, `state` writable for one `int32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_session_state(
    endpoint: *mut unbroken_endpoint,
    id: *const u8,
    state: *mut i32,
) -> i32 {
    // SAFETY: passed on.
    unsafe { tells(endpoint, id, state, |session| session.state() as i32) }
}

/// `*room` becomes 1 if a quarter of the un-ACKed limits is free, else 0. If not, or while the session is being swapped out,
/// `UNBROKEN_EVENT_WRITABLE` comes when it is. An application that asks this before it takes a message has room for the answer.
///
/// # Safety
/// `id` must be readable for 16 bytes, `room` writable for one `int32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_session_has_room(
    endpoint: *mut unbroken_endpoint,
    id: *const u8,
    room: *mut i32,
) -> i32 {
    // SAFETY: passed on.
    unsafe { tells(endpoint, id, room, |session| i32::from(session.has_room())) }
}

/// Lends the next message from a server to session `id`, in order, or returns `UNBROKEN_EMPTY`. `*data` and `*len` are valid until the next
/// call with this endpoint, whatever it is. It counts as taken with the next snapshot.
///
/// # Safety
/// `id` must be readable for 16 bytes; `data` writable for a pointer, `len` for a `size_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_session_recv_mail(
    endpoint: *mut unbroken_endpoint,
    id: *const u8,
    data: *mut *const u8,
    len: *mut usize,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises places for the results.
        let (mut data, mut len) = unsafe { (Out::new(data)?, Out::new(len)?) };
        // SAFETY: the caller promises 16 readable bytes.
        let id = SessionId(unsafe { array(id) }?);
        with(endpoint, |state: &mut EndpointState| {
            let EndpointState { endpoint, lent, .. } = state;
            let mut session = endpoint.session(id).ok_or(UNBROKEN_ERR_UNKNOWN_SESSION)?;
            let mail = session.recv_mail();
            lent.clear();
            lent.extend_from_slice(mail.as_deref().unwrap_or_default());
            data.set(lent.as_ptr());
            len.set(lent.len());
            Ok(mail.map_or(Reply::Empty, |_| Reply::Done))
        })
    })
}

/// Says whose session `id` is, by the application's own key for its users, at most 1024 bytes. The session that the user had before, here
/// or elsewhere, ends with `UNBROKEN_CLOSE_KICKED` and the code `UNBROKEN_USER_MOVED`. `UNBROKEN_ERR_NO_STORE` without a store: nobody could
/// remember.
///
/// # Safety
/// `id` must be readable for 16 bytes, `user` for `len`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_session_bind_user(
    endpoint: *mut unbroken_endpoint,
    id: *const u8,
    user: *const u8,
    len: usize,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises `len` readable bytes.
        let user = unsafe { slice(user, len) }?;
        at_most("user", user, 1024)?;
        let bind = |mut session: SessionMut<'_>| {
            session.bind_user(user).map_err(|_| UNBROKEN_ERR_NO_STORE)?;
            Ok(Reply::Done)
        };
        // SAFETY: the caller promises 16 readable bytes.
        unsafe { hold(endpoint, id, bind) }
    })
}

/// (with a store) Wants session `id` swapped out, as if its client had come to another server: see `unbroken_endpoint_poll_snapshot`.
///
/// # Safety
/// `id` must be readable for 16 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_session_swap_out(endpoint: *mut unbroken_endpoint, id: *const u8) -> i32 {
    // SAFETY: passed on.
    unsafe { tell(endpoint, id, |session| session.swap_out()) }
}

/// `*leaving` becomes 1 if session `id` is being swapped out, so that the application must not go on with it; else 0.
///
/// # Safety
/// `id` must be readable for 16 bytes, `leaving` writable for one `int32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_session_is_leaving(
    endpoint: *mut unbroken_endpoint,
    id: *const u8,
    leaving: *mut i32,
) -> i32 {
    // SAFETY: passed on.
    unsafe { tells(endpoint, id, leaving, |session| i32::from(session.is_leaving())) }
}

/// (`UNBROKEN_DURABILITY_DURABLE`) The application's state of session `id` has changed otherwise than by a message: it is committed like
/// after one.
///
/// # Safety
/// `id` must be readable for 16 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_session_commit(endpoint: *mut unbroken_endpoint, id: *const u8) -> i32 {
    // SAFETY: passed on.
    unsafe { tell(endpoint, id, |session| session.commit()) }
}

/// Counters of session `id`. `struct_size` is `sizeof(unbroken_stats)`.
///
/// # Safety
/// `id` must be readable for 16 bytes, `stats` writable for `struct_size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_session_stats(
    endpoint: *mut unbroken_endpoint,
    id: *const u8,
    stats: *mut unbroken_stats,
    struct_size: usize,
) -> i32 {
    let write = |session: SessionMut<'_>| {
        // SAFETY: the caller promises `struct_size` writable bytes.
        unsafe { write_sized(stats, struct_size, &session.stats().into()) }?;
        Ok(Reply::Done)
    };
    // SAFETY: the caller promises 16 readable bytes.
    call(|| unsafe { hold(endpoint, id, write) })
}

/// # Safety
/// If `id` is not null it must be readable for 16 bytes.
unsafe fn hold(endpoint: *mut unbroken_endpoint, id: *const u8, f: impl FnOnce(SessionMut<'_>) -> Outcome) -> Outcome {
    // SAFETY: passed on.
    let id = SessionId(unsafe { array(id) }?);
    with(endpoint, |state: &mut EndpointState| {
        let session = state.endpoint.session(id).ok_or(UNBROKEN_ERR_UNKNOWN_SESSION)?;
        f(session)
    })
}

fn verdict(accept: i32, code: u32, message: &[u8]) -> Result<Verdict, Failure> {
    at_most("message", message, 1024)?;
    let message = Bytes::copy_from_slice(message);
    Ok(match accept {
        0 => Verdict::Refuse { code, message },
        _ => Verdict::Accept { message },
    })
}

fn at_most(what: &str, data: &[u8], max: usize) -> Result<(), Failure> {
    if data.len() <= max {
        return Ok(());
    }
    Err(Failure::new(
        UNBROKEN_ERR_LENGTH,
        format!("the {what} has {} bytes, at most {max} are allowed", data.len()),
    ))
}

/// # Safety
/// `id` must be readable for 16 bytes and `answer` writable for one `int32_t`, if they are not null.
unsafe fn tells(
    endpoint: *mut unbroken_endpoint,
    id: *const u8,
    answer: *mut i32,
    ask: fn(&mut SessionMut<'_>) -> i32,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises a writable `int32_t`.
        let mut out = unsafe { Out::new(answer) }?;
        let told = |mut session: SessionMut<'_>| {
            out.set(ask(&mut session));
            Ok(Reply::Done)
        };
        // SAFETY: the caller promises 16 readable bytes.
        unsafe { hold(endpoint, id, told) }
    })
}

/// # Safety
/// If `id` is not null it must be readable for 16 bytes.
unsafe fn tell(endpoint: *mut unbroken_endpoint, id: *const u8, tell: impl FnOnce(&mut SessionMut<'_>)) -> i32 {
    let told = |mut session: SessionMut<'_>| {
        tell(&mut session);
        Ok(Reply::Done)
    };
    // SAFETY: passed on.
    call(|| unsafe { hold(endpoint, id, told) })
}

fn waited(somebody: bool) -> Outcome {
    Ok(if somebody { Reply::Done } else { Reply::Empty })
}
