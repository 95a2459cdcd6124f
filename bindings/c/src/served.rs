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
        let message = unsafe { slice(message, len) }?;
        if len > 1024 {
            return Err(Failure::new(
                UNBROKEN_ERR_LENGTH,
                format!("the message has {len} bytes, at most 1024 are allowed"),
            ));
        }
        let message = Bytes::copy_from_slice(message);
        let verdict = match accept {
            0 => Verdict::Refuse { code, message },
            _ => Verdict::Accept { message },
        };
        // SAFETY: the caller promises 16 readable bytes.
        unsafe { hold(endpoint, id, |mut session| waited(session.authorise(verdict))) }
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
    let close = |mut session: SessionMut<'_>| {
        session.close(code);
        Ok(Reply::Done)
    };
    // SAFETY: the caller promises 16 readable bytes.
    call(|| unsafe { hold(endpoint, id, close) })
}

/// Puts the client of session `id` out: it sees `UNBROKEN_CLOSE_KICKED`.
///
/// # Safety
/// `id` must be readable for 16 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_session_kick(
    endpoint: *mut unbroken_endpoint,
    id: *const u8,
    code: u32,
) -> i32 {
    let kick = |mut session: SessionMut<'_>| {
        session.kick(code);
        Ok(Reply::Done)
    };
    // SAFETY: the caller promises 16 readable bytes.
    call(|| unsafe { hold(endpoint, id, kick) })
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
    call(|| {
        // SAFETY: the caller promises a writable `int32_t`.
        let mut out = unsafe { Out::new(state) }?;
        let state = |session: SessionMut<'_>| {
            out.set(session.state() as i32);
            Ok(Reply::Done)
        };
        // SAFETY: the caller promises 16 readable bytes.
        unsafe { hold(endpoint, id, state) }
    })
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

fn waited(somebody: bool) -> Outcome {
    Ok(if somebody { Reply::Done } else { Reply::Empty })
}
