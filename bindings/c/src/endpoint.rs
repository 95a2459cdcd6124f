//! The server's end: `unbroken::Endpoint`, verb by verb. What concerns one of its sessions is in `served`,
//! what concerns the store in `stored`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use unbroken::{Endpoint, Instant, LinkId, PublicKey, SessionId};

use crate::call::{call, free, name, with};
use crate::config::{self, unbroken_server_config};
use crate::event::{Attached, unbroken_event};
use crate::library::seed as take_seed;
use crate::memory::{Out, array, slice, slice_mut, write_sized};
use crate::output::{self, unbroken_output};
use crate::session::{copy, deadline};
use crate::stats::unbroken_counters;
use crate::status::{Failure, Reply, unbroken_status::*};
use crate::table::{Kind, Object};

/// A server's sessions. Made by `unbroken_endpoint_new`, freed by `unbroken_endpoint_free`. The pointer is a name; it leads nowhere.
///
/// It is driven like a session. The host names the links it accepts, and never uses a name twice. Several endpoints can share the
/// work, one for each thread: see `shard_index` in `unbroken_server_config`, and `unbroken_route`.
pub struct unbroken_endpoint(());

/// What an endpoint's handle names.
pub(crate) struct EndpointState {
    pub endpoint: Endpoint,
    /// What belongs to the last event.
    attached: Attached,
    /// What belongs to the last request to the store.
    pub asked: Bytes,
    /// The message that was lent last. A copy: an ended session, with its buffers, goes away when its last message is taken.
    pub lent: Vec<u8>,
}

impl Kind for EndpointState {
    fn of(object: &mut Object) -> Option<&mut Self> {
        match object {
            Object::Endpoint(state) => Some(state),
            _ => None,
        }
    }

    fn wrap(self: Box<Self>) -> Object {
        Object::Endpoint(self)
    }
}

/// Makes an endpoint without sessions. `seed` is 32 bytes fresh from `unbroken_random_seed`. The configuration is copied. On failure
/// `*endpoint` is null.
///
/// # Safety
/// `config` must be as its struct says, `seed` readable for 32 bytes, `endpoint` writable for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_new(
    config: *const unbroken_server_config,
    seed: *const u8,
    now_us: u64,
    endpoint: *mut *mut unbroken_endpoint,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises a writable pointer.
        let mut out = unsafe { Out::new(endpoint) }?;
        out.set(core::ptr::null_mut());
        // SAFETY: the caller promises a whole configuration.
        let config = unsafe { config::server(config) }?;
        // SAFETY: the caller promises 32 readable bytes.
        let seed = unsafe { take_seed(seed) }?;
        out.set(name(EndpointState {
            endpoint: Endpoint::new(Arc::new(config), seed, Instant::from_micros(now_us)),
            attached: Attached::default(),
            asked: Bytes::new(),
            lent: Vec::new(),
        })?);
        Ok(Reply::Done)
    })
}

/// Frees an endpoint and its sessions, without a word to the clients. Null is fine. What was lent by it is gone.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_endpoint_free(endpoint: *mut unbroken_endpoint) -> i32 {
    call(|| free::<EndpointState, _>(endpoint))
}

// ---- what happened ----

/// A connection was accepted. `link` is a name of the host's choice that was not used before.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_endpoint_handle_link_up(endpoint: *mut unbroken_endpoint, link: u64, now_us: u64) -> i32 {
    tell(endpoint, |endpoint| {
        endpoint.handle_link_up(LinkId(link), Instant::from_micros(now_us));
    })
}

/// Bytes came on a link. Input for a link that is gone is ignored.
///
/// # Safety
/// `data` must be readable for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_handle_input(
    endpoint: *mut unbroken_endpoint,
    link: u64,
    data: *const u8,
    len: usize,
    now_us: u64,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises `len` readable bytes.
        let data = unsafe { slice(data, len) }?;
        with(endpoint, |state: &mut EndpointState| {
            state
                .endpoint
                .handle_input(LinkId(link), data, Instant::from_micros(now_us));
            Ok(Reply::Done)
        })
    })
}

/// A connection ended or broke. That never ends a session.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_endpoint_handle_link_down(endpoint: *mut unbroken_endpoint, link: u64, now_us: u64) -> i32 {
    tell(endpoint, |endpoint| {
        endpoint.handle_link_down(LinkId(link), Instant::from_micros(now_us));
    })
}

/// The link's socket takes no more: `unbroken_endpoint_poll_output` gives nothing for it until `unbroken_endpoint_handle_link_writable`.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_endpoint_handle_link_blocked(endpoint: *mut unbroken_endpoint, link: u64) -> i32 {
    tell(endpoint, |endpoint| endpoint.handle_link_blocked(LinkId(link)))
}

/// The link's socket takes bytes again.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_endpoint_handle_link_writable(endpoint: *mut unbroken_endpoint, link: u64) -> i32 {
    tell(endpoint, |endpoint| endpoint.handle_link_writable(LinkId(link)))
}

/// Time passed; call it when `unbroken_endpoint_poll_timeout` is reached, or at any time.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_endpoint_handle_timeout(endpoint: *mut unbroken_endpoint, now_us: u64) -> i32 {
    tell(endpoint, |endpoint| {
        endpoint.handle_timeout(Instant::from_micros(now_us));
    })
}

// ---- the application ----

/// Asks every client with a link to reconnect within `window_us`, each at a moment of its own, to `address` (`host:port` in UTF-8, at most
/// 255 bytes) or, if that is empty, where it is configured to. Sessions stay here until they are resumed elsewhere.
///
/// # Safety
/// `address` must be readable for `address_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_drain(
    endpoint: *mut unbroken_endpoint,
    window_us: u64,
    address: *const u8,
    address_len: usize,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises `address_len` readable bytes.
        let address = unsafe { slice(address, address_len) }?;
        if address.len() > 255 {
            return Err(Failure::new(
                UNBROKEN_ERR_LENGTH,
                format!("the address has {address_len} bytes, at most 255 are allowed"),
            ));
        }
        let address = core::str::from_utf8(address)
            .map_err(|_| Failure::new(UNBROKEN_ERR_ARGUMENT, "the address is not UTF-8"))?;
        with(endpoint, |state: &mut EndpointState| {
            let drained = state.endpoint.drain(Duration::from_micros(window_us), address);
            drained.map_err(|error| Failure::new(UNBROKEN_ERR_ARGUMENT, error.to_string()))?;
            Ok(Reply::Done)
        })
    })
}

/// Tells every client with a link of server keys to trust from now on: `count` public keys at `keys`, 32 bytes each, 1 to 4 of them, and
/// at `lifetimes_s` for how many seconds each is to be trusted.
///
/// # Safety
/// `keys` must be readable for 32 bytes times `count`, `lifetimes_s` for `count` numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_announce_keys(
    endpoint: *mut unbroken_endpoint,
    keys: *const u8,
    lifetimes_s: *const u32,
    count: usize,
) -> i32 {
    call(|| {
        if !(1..=4).contains(&count) {
            return Err(Failure::new(
                UNBROKEN_ERR_LENGTH,
                format!("{count} keys; 1 to 4 can be announced"),
            ));
        }
        // SAFETY: the caller promises so many readable bytes; `count` is small.
        let (keys, lives) = unsafe { (slice(keys, count * 32)?, slice(lifetimes_s.cast::<u8>(), count * 4)?) };
        let (keys, lives) = (keys.as_chunks::<32>().0, lives.as_chunks::<4>().0);
        let announced: Vec<_> = keys
            .iter()
            .zip(lives)
            .map(|(key, life)| {
                let life = u32::from_ne_bytes(*life);
                (PublicKey(*key), Duration::from_secs(u64::from(life)))
            })
            .collect();
        with(endpoint, |state: &mut EndpointState| {
            let told = state.endpoint.announce_keys(&announced);
            told.map_err(|error| Failure::new(UNBROKEN_ERR_ARGUMENT, error.to_string()))?;
            Ok(Reply::Done)
        })
    })
}

/// Puts session `id` out, wherever it is: here, with another endpoint that has the same store, or swapped out. Its client sees
/// `UNBROKEN_CLOSE_KICKED`, now or when it comes back. `UNBROKEN_EMPTY` if it is not here: with a store it is then looked for there, again and again for a
/// lease and some seconds more if its endpoint does not hear; what came of it is not told.
///
/// # Safety
/// `id` must be readable for 16 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_kick(endpoint: *mut unbroken_endpoint, id: *const u8, code: u32) -> i32 {
    call(|| {
        // SAFETY: the caller promises 16 readable bytes.
        let id = SessionId(unsafe { array(id) }?);
        with(endpoint, |state: &mut EndpointState| {
            let here = state.endpoint.kick(id, code);
            Ok(if here { Reply::Done } else { Reply::Empty })
        })
    })
}

// ---- what to do next ----

/// The next thing for the host to do, or `UNBROKEN_EMPTY`; sessions take turns. As `unbroken_session_poll_output`, but an endpoint opens no
/// links.
///
/// # Safety
/// `buffer` must be writable for `capacity` bytes, `output` for one struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_poll_output(
    endpoint: *mut unbroken_endpoint,
    buffer: *mut u8,
    capacity: usize,
    now_us: u64,
    output: *mut unbroken_output,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises `capacity` writable bytes and a writable struct.
        let (buffer, mut output) = unsafe { (slice_mut(buffer, capacity)?, Out::new(output)?) };
        with(endpoint, |state: &mut EndpointState| {
            output::poll(buffer, &mut output, |buffer| {
                state.endpoint.poll_output(buffer, Instant::from_micros(now_us))
            })
        })
    })
}

/// The next event, or `UNBROKEN_EMPTY`. `event->session` says whose it is.
///
/// # Safety
/// `event` must be writable for one struct.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_poll_event(
    endpoint: *mut unbroken_endpoint,
    event: *mut unbroken_event,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises a writable struct.
        let mut flat = unsafe { Out::new(event) }?;
        with(endpoint, |state: &mut EndpointState| {
            match state.endpoint.poll_event() {
                Some((whose, event)) => {
                    flat.set(unbroken_event::new(Some(whose), event, &mut state.attached));
                    Ok(Reply::Done)
                }
                None => Ok(Reply::Empty),
            }
        })
    })
}

/// Copies the data of the last event; `*len` becomes its length, and the need if the buffer is too small. It stays until the next event is
/// polled.
///
/// # Safety
/// `buffer` must be writable for `capacity` bytes, `len` for a `size_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_event_data(
    endpoint: *mut unbroken_endpoint,
    buffer: *mut u8,
    capacity: usize,
    len: *mut usize,
) -> i32 {
    // SAFETY: passed on.
    unsafe { copy_out(endpoint, buffer, capacity, len, |state| &state.attached.data) }
}

/// Copies the user that belongs to the last event, `UNBROKEN_EVENT_RESTORED`, as `unbroken_endpoint_event_data` does the data.
///
/// # Safety
/// `buffer` must be writable for `capacity` bytes, `len` for a `size_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_event_user(
    endpoint: *mut unbroken_endpoint,
    buffer: *mut u8,
    capacity: usize,
    len: *mut usize,
) -> i32 {
    // SAFETY: passed on.
    unsafe { copy_out(endpoint, buffer, capacity, len, |state| &state.attached.user) }
}

/// When `unbroken_endpoint_handle_timeout` wants to be called; `UNBROKEN_EMPTY` and `UINT64_MAX` if never.
///
/// # Safety
/// `deadline_us` must be writable for one `uint64_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_poll_timeout(
    endpoint: *mut unbroken_endpoint,
    deadline_us: *mut u64,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises a writable `uint64_t`.
        let out = unsafe { Out::new(deadline_us) }?;
        with(endpoint, |state: &mut EndpointState| {
            Ok(deadline(state.endpoint.poll_timeout(), out))
        })
    })
}

// ---- how it stands ----

/// Counters, and how many sessions and links there are. `struct_size` is `sizeof(unbroken_counters)`.
///
/// # Safety
/// `counters` must be writable for `struct_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_endpoint_counters(
    endpoint: *mut unbroken_endpoint,
    counters: *mut unbroken_counters,
    struct_size: usize,
) -> i32 {
    call(|| {
        with(endpoint, |state: &mut EndpointState| {
            // SAFETY: the caller promises `struct_size` writable bytes.
            unsafe { write_sized(counters, struct_size, &unbroken_counters::of(&state.endpoint)) }?;
            Ok(Reply::Done)
        })
    })
}

/// Copies something that the endpoint keeps until the next poll.
///
/// # Safety
/// `buffer` must be writable for `capacity` bytes, `len` for a `size_t`.
pub(crate) unsafe fn copy_out(
    endpoint: *mut unbroken_endpoint,
    buffer: *mut u8,
    capacity: usize,
    len: *mut usize,
    kept: fn(&EndpointState) -> &Bytes,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises `capacity` writable bytes and a writable `size_t`.
        let (buffer, len) = unsafe { (slice_mut(buffer, capacity)?, Out::new(len)?) };
        with(endpoint, |state: &mut EndpointState| copy(kept(state), buffer, len))
    })
}

pub(crate) fn tell(endpoint: *mut unbroken_endpoint, tell: impl FnOnce(&mut Endpoint)) -> i32 {
    call(|| {
        with(endpoint, |state: &mut EndpointState| {
            tell(&mut state.endpoint);
            Ok(Reply::Done)
        })
    })
}
