//! An endpoint and the store that the servers of a cluster share: what it asks, what it is told, and how its sessions leave.
//! `docs/TAKEOVER.md` has the whole story.

use unbroken::{Endpoint, Instant, Owner, RequestId, SaveError, SessionId};

use crate::call::{call, with};
use crate::endpoint::{EndpointState, copy_out, tell, unbroken_endpoint};
use crate::memory::{Out, array, slice, slice_mut};
use crate::session::copy;
use crate::status::{Failure, Reply, unbroken_status::*};
use crate::store::{self, unbroken_store_reply, unbroken_store_request};

/// The code of `UNBROKEN_CLOSE_KICKED` when the session's user was bound to another session.
pub const UNBROKEN_USER_MOVED: u32 = 0xffff_fffe;
const _: () = assert!(UNBROKEN_USER_MOVED == unbroken::USER_MOVED);

// ---- the store ----

/// The next thing for the host to ask of the store, or `UNBROKEN_EMPTY`; never anything with `UNBROKEN_DURABILITY_MEMORY`. Every request
/// must be answered by `unbroken_endpoint_handle_store`, with `UNBROKEN_REPLY_FAILED` after a few seconds. Several may be under way at
/// once; those about one key are to be carried out in order.
///
/// # Safety
/// `request` must be writable for one struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_poll_store(
    endpoint: *mut unbroken_endpoint,
    request: *mut unbroken_store_request,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises a writable struct.
        let mut flat = unsafe { Out::new(request) }?;
        with(endpoint, |state: &mut EndpointState| {
            let Some(request) = state.endpoint.poll_store() else {
                return Ok(Reply::Empty);
            };
            let (request, data) = unbroken_store_request::new(request);
            state.asked = data;
            flat.set(request);
            Ok(Reply::Done)
        })
    })
}

/// Copies the data of the last request to the store; `*len` becomes its length, and the need if the buffer is too small. It stays until the
/// next request is polled.
///
/// # Safety
/// `buffer` must be writable for `capacity` bytes, `len` for a `size_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_store_data(
    endpoint: *mut unbroken_endpoint,
    buffer: *mut u8,
    capacity: usize,
    len: *mut usize,
) -> i32 {
    // SAFETY: passed on.
    unsafe { copy_out(endpoint, buffer, capacity, len, |state| &state.asked) }
}

/// The request `id` was carried out, or not. The reply to a request that is not under way is ignored. A reply that cannot be read is an
/// error, and the request stays under way.
///
/// # Safety
/// `reply` must be as its struct says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_handle_store(
    endpoint: *mut unbroken_endpoint,
    id: u64,
    reply: *const unbroken_store_reply,
    now_us: u64,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises a whole reply.
        let reply = unsafe { store::reply(reply) }?;
        with(endpoint, |state: &mut EndpointState| {
            state
                .endpoint
                .handle_store(RequestId(id), reply, Instant::from_micros(now_us));
            Ok(Reply::Done)
        })
    })
}

/// The endpoint's name among those that share the store: 16 random bytes, new with each endpoint. `UNBROKEN_EMPTY` and zeros without a store.
///
/// # Safety
/// `owner` must be writable for 16 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_owner(endpoint: *mut unbroken_endpoint, owner: *mut u8) -> i32 {
    call(|| {
        // SAFETY: the caller promises 16 writable bytes.
        let mut out = unsafe { Out::new(owner.cast::<[u8; 16]>()) }?;
        with(endpoint, |state: &mut EndpointState| {
            let owner = state.endpoint.owner();
            out.set(owner.0);
            Ok(if owner == Owner::NONE {
                Reply::Empty
            } else {
                Reply::Done
            })
        })
    })
}

/// `*up` becomes 1 if the store can be relied on at the moment, as the last sign of life was taken; else 0.
///
/// # Safety
/// `up` must be writable for one `int32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_store_is_up(endpoint: *mut unbroken_endpoint, up: *mut i32) -> i32 {
    // SAFETY: passed on.
    unsafe { tells(endpoint, up, Endpoint::store_is_up) }
}

/// `*owes` becomes 1 if the store is still to be told something, or has not said what became of it; else 0. Who leaves waits for that after
/// the last session has gone.
///
/// # Safety
/// `owes` must be writable for one `int32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_owes_store(endpoint: *mut unbroken_endpoint, owes: *mut i32) -> i32 {
    // SAFETY: passed on.
    unsafe { tells(endpoint, owes, Endpoint::owes_store) }
}

/// What to put into the mailbox of a session's owner after a message was appended to the session's queue, so that the owner looks there: any
/// process may do both. `key` is the first 8 bytes of the session's id. Copies at most 512 bytes to `buffer`; `*len` becomes their number, and the
/// need if it is too small.
///
/// # Safety
/// `key` must be readable for 8 bytes, `buffer` writable for `capacity`, `len` for a `size_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_mail_note(key: *const u8, buffer: *mut u8, capacity: usize, len: *mut usize) -> i32 {
    call(|| {
        // SAFETY: the caller promises 8 readable bytes, `capacity` writable ones, and a writable `size_t`.
        let (key, buffer, len) = unsafe { (array(key)?, slice_mut(buffer, capacity)?, Out::new(len)?) };
        copy(&unbroken::mail_note(key), buffer, len)
    })
}

// ---- snapshots, and leaving ----

/// A session whose application state is wanted now, to be swapped out or to be committed, or `UNBROKEN_EMPTY`: `session` becomes its id. Answer at once by
/// `unbroken_endpoint_save`, with the state as it is after all messages that the application has taken. Nothing is named before all
/// events were polled: what they tell is part of that state.
///
/// # Safety
/// `session` must be writable for 16 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_poll_snapshot(endpoint: *mut unbroken_endpoint, session: *mut u8) -> i32 {
    call(|| {
        // SAFETY: the caller promises 16 writable bytes.
        let mut out = unsafe { Out::new(session.cast::<[u8; 16]>()) }?;
        with(endpoint, |state: &mut EndpointState| {
            let Some(id) = state.endpoint.poll_snapshot() else {
                return Ok(Reply::Empty);
            };
            out.set(id.0);
            Ok(Reply::Done)
        })
    })
}

/// The application's state of session `id`, that `unbroken_endpoint_poll_snapshot` named: `len` bytes at `app`; if `has_app` is 0 it has none.
/// `UNBROKEN_EMPTY` if nobody wants it now. `UNBROKEN_ERR_SNAPSHOT` if the snapshot would be too large: a session that was to be
/// swapped out stays here, with `UNBROKEN_EVENT_SWAP_OUT_FAILED`.
///
/// # Safety
/// `id` must be readable for 16 bytes, `app` for `len`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_save(
    endpoint: *mut unbroken_endpoint,
    id: *const u8,
    has_app: i32,
    app: *const u8,
    len: usize,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises 16 and `len` readable bytes.
        let (id, app) = unsafe { (SessionId(array(id)?), slice(app, len)?) };
        with(endpoint, |state: &mut EndpointState| {
            match state.endpoint.save(id, (has_app != 0).then_some(app)) {
                Ok(()) => Ok(Reply::Done),
                Err(SaveError::Unwanted) => Ok(Reply::Empty),
                Err(SaveError::TooLarge { size, max }) => Err(Failure::new(
                    UNBROKEN_ERR_SNAPSHOT,
                    format!(
                        "the snapshot would have {size} bytes, over the limit of {max}: give fewer bytes or raise limits.snapshot"
                    ),
                )),
            }
        })
    })
}

/// Swaps all sessions out, to leave: from now on nobody is let in here, and `unbroken_endpoint_poll_snapshot` names session after session. It
/// is done when the counter `now_sessions` is 0 and `unbroken_endpoint_owes_store` says 0. Sessions that the store does not take go on, with
/// `UNBROKEN_EVENT_SWAP_OUT_FAILED`; call this again to try them again, or `unbroken_endpoint_stay`. Does nothing without a store.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_endpoint_retire(endpoint: *mut unbroken_endpoint) -> i32 {
    tell(endpoint, Endpoint::retire)
}

/// As a first step of leaving: from now on nobody is let in here; the sessions that are here go on, and may be taken over by others. Does nothing
/// without a store.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_endpoint_turn_away(endpoint: *mut unbroken_endpoint) -> i32 {
    tell(endpoint, Endpoint::turn_away)
}

/// Takes `unbroken_endpoint_retire` and `unbroken_endpoint_turn_away` back: clients are let in again. What has left has left.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_endpoint_stay(endpoint: *mut unbroken_endpoint) -> i32 {
    tell(endpoint, Endpoint::stay)
}

/// # Safety
/// `answer` must be writable for one `int32_t`, if it is not null.
unsafe fn tells(endpoint: *mut unbroken_endpoint, answer: *mut i32, ask: fn(&Endpoint) -> bool) -> i32 {
    call(|| {
        // SAFETY: the caller promises a writable `int32_t`.
        let mut out = unsafe { Out::new(answer) }?;
        with(endpoint, |state: &mut EndpointState| {
            out.set(i32::from(ask(&state.endpoint)));
            Ok(Reply::Done)
        })
    })
}
