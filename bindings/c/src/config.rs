//! Configurations. Each struct begins with its own size, so that a later library can add fields at the end: who was compiled
//! earlier passes a smaller struct and gets the defaults for the rest. Bytes beyond what this library knows must be zero, as they ask
//! for something it cannot do.
//!
//! Fill one with its `_init` function, then change what should differ. Values are checked when a session or an endpoint is made from it,
//! never later (F-61). What the pointers lead to is copied then.

use std::time::Duration;

use bytes::Bytes;
use unbroken::{
    Backoff, ClientConfig, ClusterKey, ConfigError, Limits, PublicKey, ServerConfig, ServerKey, Shard, Timing,
};

use crate::call::call;
use crate::memory::{array, slice, write_sized};
use crate::status::{Failure, Reply, unbroken_status::*};

/// Bounds on memory and work, per session unless it says otherwise.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct unbroken_limits {
    /// `sizeof(unbroken_limits)`.
    pub struct_size: u32,
    /// Largest reliable message, in bytes: 1 KiB to 16 MiB, default 1 MiB. Both ends' values count, the smaller wins.
    pub message: u32,
    /// Un-ACKed payload held for replay, in bytes: `message` to 64 MiB, default 1 MiB.
    pub unacked_bytes: u32,
    /// Un-ACKed messages held for replay: 1 to 65,536, default 4,096.
    pub unacked_messages: u32,
    /// Received payload that the application has not taken yet: `message` to 64 MiB, default 1 MiB.
    pub window_bytes: u32,
    /// Received messages that the application has not taken yet: 1 to 65,536, default 4,096.
    pub window_messages: u32,
    /// Payload of unreliable messages waiting to be sent, and the same again of received ones: 0 to 1 MiB, default 64 KiB.
    pub unreliable_bytes: u32,
    /// From link up to a whole first flight, and from the first flight to its answer: 100 ms to 60 s, default 5 s.
    pub handshake_ms: u32,
    /// (server) Links and sessions whose client has not proved its keys: 1 to 1,048,576, default 1,024.
    pub pending_handshakes: u32,
    /// (server) Sessions, attached and detached: 1 to 16,777,216, default 1,048,576.
    pub sessions: u32,
    /// (server) Life of a session without a link: 1 s to 24 h, default 30 s.
    pub detached_ms: u32,
    /// (server) How long an ended session is remembered, to answer a late client: 0 to 24 h, default 30 s.
    pub tombstone_ms: u32,
    /// (server) Ended sessions remembered: 0 to 16,777,216, default 65,536.
    pub tombstones: u32,
}

/// When ACKs leave and when silence counts.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct unbroken_timing {
    /// `sizeof(unbroken_timing)`.
    pub struct_size: u32,
    /// An ACK leaves after this many delivered messages: 1 to 4,096, default 32.
    pub ack_messages: u32,
    /// ... or this much delivered payload, in bytes: 1 to 1 MiB, default 64 KiB.
    pub ack_bytes: u32,
    /// ... or this long after the first of them: 0 to 500 ms, default 20 ms.
    pub ack_delay_ms: u32,
    /// An idle link is probed by the client after this much silence: 1 s to 1 h, default 25 s.
    pub idle_probe_ms: u32,
    /// A link that should answer and does not is given up after this long: 500 ms to 5 min, default 5 s.
    pub dead_after_ms: u32,
}

/// How a client dials again.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct unbroken_backoff {
    /// `sizeof(unbroken_backoff)`.
    pub struct_size: u32,
    /// Upper bound of the first delay after a failure, in full jitter (0 to this): 1 ms to 60 s, default 100 ms. It doubles each time.
    pub base_ms: u32,
    /// The most it grows to: `base_ms` to 1 h, default 5 s.
    pub cap_ms: u32,
    /// Dialling in vain for this long ends in `UNBROKEN_FAIL_GAVE_UP`: 1 s to 24 h, default 60 s.
    pub give_up_after_ms: u32,
}

/// A client's configuration.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct unbroken_client_config {
    /// `sizeof(unbroken_client_config)`.
    pub struct_size: u32,
    /// How many server keys there are at `pins`: 1 to 8.
    pub pin_count: u32,
    /// The public keys of the service that are trusted, 32 bytes each, one behind the other; the first is tried first.
    pub pins: *const u8,
    /// The service's name, 0 to 255 bytes, default empty; both ends must have the same.
    pub realm: *const u8,
    /// Its length.
    pub realm_len: usize,
    /// What the server's application judges, 0 to 8192 bytes, default empty. It travels encrypted.
    pub credential: *const u8,
    /// Its length.
    pub credential_len: usize,
    /// Bounds on memory and work; null for the defaults.
    pub limits: *const unbroken_limits,
    /// ACK and silence timing; null for the defaults.
    pub timing: *const unbroken_timing,
    /// How to dial again; null for the defaults.
    pub backoff: *const unbroken_backoff,
}

/// A server's configuration.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct unbroken_server_config {
    /// `sizeof(unbroken_server_config)`.
    pub struct_size: u32,
    /// How many keys there are at `keys`: 1 to 8; more than one while keys are being changed.
    pub key_count: u32,
    /// The service's static secret keys, 32 random bytes each, one behind the other. `unbroken_public_key` tells what clients pin.
    pub keys: *const u8,
    /// The secret that the servers of a cluster share: 32 random bytes.
    pub cluster_key: *const u8,
    /// The service's name, 0 to 255 bytes, default empty; both ends must have the same.
    pub realm: *const u8,
    /// Its length.
    pub realm_len: usize,
    /// Where this very process can be reached, `host:port` in UTF-8, at most 255 bytes; default empty: through the usual address.
    pub address: *const u8,
    /// Its length.
    pub address_len: usize,
    /// Bounds on memory and work; null for the defaults.
    pub limits: *const unbroken_limits,
    /// ACK and silence timing; null for the defaults.
    pub timing: *const unbroken_timing,
    /// Not 0: let every client in, without `UNBROKEN_EVENT_AUTHORISE`. Default 0.
    pub authorise_all: u8,
    /// Not 0: ask the application on each resume, by `UNBROKEN_EVENT_RESUME_REQUEST`. Default 0.
    pub ask_on_resume: u8,
    /// Which of several endpoints this one is, from 0; see `unbroken_route`. Default 0.
    pub shard_index: u16,
    /// How many endpoints share the sessions, at least 1. Default 1.
    pub shard_count: u16,
    /// Zero.
    pub reserved: u16,
}

/// A struct whose first field is its size in bytes, a `u32`.
///
/// # Safety
/// `repr(C)`, begins with a `u32`, has no padding, and any bytes make a value of it.
unsafe trait Sized32: Copy {
    const NAME: &'static str;
    /// How large it was when it was new; nobody ever had a smaller one.
    const FIRST: usize;

    fn defaults() -> Self;
}

/// A pointer, a `size_t`.
const WORD: usize = size_of::<usize>();

/// Zero is null, empty, none: the default of every pointer and count.
macro_rules! zeroed {
    ($type:ty) => {
        // SAFETY: integers and raw pointers only, for which zero bytes are a value.
        unsafe { core::mem::zeroed::<$type>() }
    };
}

// SAFETY: `repr(C)`, thirteen `u32`.
unsafe impl Sized32 for unbroken_limits {
    const NAME: &'static str = "unbroken_limits";
    const FIRST: usize = 52;

    fn defaults() -> Self {
        let limits = Limits::default();
        unbroken_limits {
            struct_size: size_of::<Self>() as u32,
            message: limits.message,
            unacked_bytes: limits.unacked_bytes,
            unacked_messages: limits.unacked_messages,
            window_bytes: limits.window_bytes,
            window_messages: limits.window_messages,
            unreliable_bytes: limits.unreliable_bytes,
            handshake_ms: millis(limits.handshake),
            pending_handshakes: limits.pending_handshakes,
            sessions: limits.sessions,
            detached_ms: millis(limits.detached),
            tombstone_ms: millis(limits.tombstone),
            tombstones: limits.tombstones,
        }
    }
}

// SAFETY: `repr(C)`, six `u32`.
unsafe impl Sized32 for unbroken_timing {
    const NAME: &'static str = "unbroken_timing";
    const FIRST: usize = 24;

    fn defaults() -> Self {
        let timing = Timing::default();
        unbroken_timing {
            struct_size: size_of::<Self>() as u32,
            ack_messages: timing.ack_messages,
            ack_bytes: timing.ack_bytes,
            ack_delay_ms: millis(timing.ack_delay),
            idle_probe_ms: millis(timing.idle_probe),
            dead_after_ms: millis(timing.dead_after),
        }
    }
}

// SAFETY: `repr(C)`, four `u32`.
unsafe impl Sized32 for unbroken_backoff {
    const NAME: &'static str = "unbroken_backoff";
    const FIRST: usize = 16;

    fn defaults() -> Self {
        let backoff = Backoff::default();
        unbroken_backoff {
            struct_size: size_of::<Self>() as u32,
            base_ms: millis(backoff.base),
            cap_ms: millis(backoff.cap),
            give_up_after_ms: millis(backoff.give_up_after),
        }
    }
}

// SAFETY: `repr(C)`, two `u32`, then words.
unsafe impl Sized32 for unbroken_client_config {
    const NAME: &'static str = "unbroken_client_config";
    const FIRST: usize = 2 * size_of::<u32>() + 8 * WORD;

    fn defaults() -> Self {
        unbroken_client_config {
            struct_size: size_of::<Self>() as u32,
            ..zeroed!(Self)
        }
    }
}

// SAFETY: `repr(C)`, two `u32`, then words, then eight bytes without a gap.
unsafe impl Sized32 for unbroken_server_config {
    const NAME: &'static str = "unbroken_server_config";
    const FIRST: usize = 4 * size_of::<u32>() + 8 * WORD;

    fn defaults() -> Self {
        unbroken_server_config {
            struct_size: size_of::<Self>() as u32,
            shard_count: 1,
            ..zeroed!(Self)
        }
    }
}

/// Reads a struct of any age.
///
/// # Safety
/// If `place` is not null it must be readable for the bytes that its first field says.
unsafe fn read<T: Sized32>(place: *const T) -> Result<T, Failure> {
    // SAFETY: `struct_size` is at least its own four bytes, or the caller's promise is broken.
    let size = u32::from_ne_bytes(unsafe { array(place.cast::<u8>()) }?) as usize;
    if size < T::FIRST {
        return Err(wrong_size::<T>(size));
    }
    // SAFETY: readable for `size` bytes, as the caller promises.
    let bytes = unsafe { slice(place.cast::<u8>(), size) }?;
    let known = size.min(size_of::<T>());
    if bytes[known..].iter().any(|byte| *byte != 0) {
        return Err(wrong_size::<T>(size));
    }
    let mut value = T::defaults();
    // SAFETY: `value` is writable for its size, which is at least `known`, as is `bytes`; any bytes make a `T` (`Sized32`).
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), core::ptr::from_mut(&mut value).cast::<u8>(), known) };
    Ok(value)
}

fn wrong_size<T: Sized32>(size: usize) -> Failure {
    Failure::new(
        UNBROKEN_ERR_STRUCT_SIZE,
        format!(
            "{}.struct_size is {size}; this library knows {} to {} bytes, and of more only zeros",
            T::NAME,
            T::FIRST,
            size_of::<T>()
        ),
    )
}

/// # Safety
/// If `place` is not null it must be writable for `size` bytes.
unsafe fn init<T: Sized32>(place: *mut T, size: usize, sized: impl FnOnce(&mut T, u32)) -> i32 {
    call(|| {
        let told = u32::try_from(size).map_err(|_| wrong_size::<T>(size))?;
        if size < T::FIRST {
            return Err(wrong_size::<T>(size));
        }
        let mut value = T::defaults();
        sized(&mut value, told);
        // SAFETY: passed on.
        unsafe { write_sized(place, size, &value) }?;
        Ok(Reply::Done)
    })
}

/// Fills `limits` with the defaults. `struct_size` is `sizeof(unbroken_limits)`.
///
/// # Safety
/// `limits` must be writable for `struct_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_limits_init(limits: *mut unbroken_limits, struct_size: usize) -> i32 {
    // SAFETY: passed on.
    unsafe { init(limits, struct_size, |value, size| value.struct_size = size) }
}

/// Fills `timing` with the defaults. `struct_size` is `sizeof(unbroken_timing)`.
///
/// # Safety
/// `timing` must be writable for `struct_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_timing_init(timing: *mut unbroken_timing, struct_size: usize) -> i32 {
    // SAFETY: passed on.
    unsafe { init(timing, struct_size, |value, size| value.struct_size = size) }
}

/// Fills `backoff` with the defaults. `struct_size` is `sizeof(unbroken_backoff)`.
///
/// # Safety
/// `backoff` must be writable for `struct_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_backoff_init(backoff: *mut unbroken_backoff, struct_size: usize) -> i32 {
    // SAFETY: passed on.
    unsafe { init(backoff, struct_size, |value, size| value.struct_size = size) }
}

/// Fills `config` with the defaults; `pins` must then be set. `struct_size` is `sizeof(unbroken_client_config)`.
///
/// # Safety
/// `config` must be writable for `struct_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_client_config_init(config: *mut unbroken_client_config, struct_size: usize) -> i32 {
    // SAFETY: passed on.
    unsafe { init(config, struct_size, |value, size| value.struct_size = size) }
}

/// Fills `config` with the defaults; `keys` and `cluster_key` must then be set. `struct_size` is `sizeof(unbroken_server_config)`.
///
/// # Safety
/// `config` must be writable for `struct_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_server_config_init(config: *mut unbroken_server_config, struct_size: usize) -> i32 {
    // SAFETY: passed on.
    unsafe { init(config, struct_size, |value, size| value.struct_size = size) }
}

// ---- what the core makes of them ----

/// # Safety
/// `config` and all it leads to must be readable as the structs say.
pub(crate) unsafe fn client(config: *const unbroken_client_config) -> Result<ClientConfig, Failure> {
    // SAFETY: passed on.
    let config = unsafe { read(config) }?;
    // SAFETY: the caller promises 32 bytes for each pin.
    let pins = unsafe { keys("pins", config.pins, config.pin_count) }?;
    let mut pins = pins.iter().map(|pin| PublicKey(*pin));
    let first = pins.next().ok_or_else(|| Failure::config("pins", "there is none"))?;
    // SAFETY: passed on, each with its length.
    let (realm, credential) = unsafe {
        (
            slice(config.realm, config.realm_len)?,
            slice(config.credential, config.credential_len)?,
        )
    };
    let mut builder = pins
        .fold(ClientConfig::builder(first), |builder, pin| builder.also_pin(pin))
        .realm(Bytes::copy_from_slice(realm))
        .credential(Bytes::copy_from_slice(credential));
    // SAFETY: passed on.
    unsafe {
        if !config.limits.is_null() {
            builder = builder.limits(limits(&read(config.limits)?));
        }
        if !config.timing.is_null() {
            builder = builder.timing(timing(&read(config.timing)?));
        }
        if !config.backoff.is_null() {
            builder = builder.backoff(backoff(&read(config.backoff)?));
        }
    }
    builder.build().map_err(|error| refused(&error))
}

/// # Safety
/// `config` and all it leads to must be readable as the structs say.
pub(crate) unsafe fn server(config: *const unbroken_server_config) -> Result<ServerConfig, Failure> {
    // SAFETY: passed on.
    let config = unsafe { read(config) }?;
    // SAFETY: the caller promises 32 bytes for each key.
    let secrets = unsafe { keys("keys", config.keys, config.key_count) }?;
    let mut secrets = secrets
        .iter()
        .map(|key| ServerKey::from_bytes(*key).map_err(|zero| Failure::config("keys", &zero.to_string())));
    let first = secrets
        .next()
        .ok_or_else(|| Failure::config("keys", "there is none"))??;
    if config.cluster_key.is_null() {
        return Err(Failure::config("cluster_key", "it is null"));
    }
    // SAFETY: the caller promises 32 bytes.
    let cluster = cluster(unsafe { array(config.cluster_key) }?)?;
    // SAFETY: passed on, each with its length.
    let (realm, address) = unsafe {
        (
            slice(config.realm, config.realm_len)?,
            slice(config.address, config.address_len)?,
        )
    };
    let address = core::str::from_utf8(address).map_err(|_| Failure::config("address", "it is not UTF-8"))?;
    let mut builder = ServerConfig::builder(first, cluster)
        .realm(Bytes::copy_from_slice(realm))
        .address(address)
        .authorise_all(config.authorise_all != 0)
        .ask_on_resume(config.ask_on_resume != 0);
    for key in secrets {
        builder = builder.also_key(key?);
    }
    // SAFETY: passed on.
    unsafe {
        if !config.limits.is_null() {
            builder = builder.limits(limits(&read(config.limits)?));
        }
        if !config.timing.is_null() {
            builder = builder.timing(timing(&read(config.timing)?));
        }
    }
    let shard = Shard {
        index: config.shard_index,
        count: config.shard_count,
    };
    let built = builder.build().map_err(|error| refused(&error))?;
    built.for_shard(shard).map_err(|error| refused(&error))
}

pub(crate) fn cluster(key: [u8; 32]) -> Result<ClusterKey, Failure> {
    ClusterKey::from_bytes(key).map_err(|zero| Failure::config("cluster_key", &zero.to_string()))
}

/// # Safety
/// If `data` is not null it must be readable for 32 bytes times `count`, if `count` is at most 8.
unsafe fn keys<'a>(field: &str, data: *const u8, count: u32) -> Result<&'a [[u8; 32]], Failure> {
    if count > 8 {
        return Err(Failure::config(field, &format!("{count} are more than 8")));
    }
    if count > 0 && data.is_null() {
        return Err(Failure::config(field, "it is null"));
    }
    // SAFETY: as the caller promises.
    let (keys, _) = unsafe { slice(data, count as usize * 32) }?.as_chunks::<32>();
    if keys.contains(&[0; 32]) {
        return Err(Failure::config(field, "a key is all zeros; it was probably never set"));
    }
    Ok(keys)
}

fn limits(limits: &unbroken_limits) -> Limits {
    Limits {
        message: limits.message,
        unacked_bytes: limits.unacked_bytes,
        unacked_messages: limits.unacked_messages,
        window_bytes: limits.window_bytes,
        window_messages: limits.window_messages,
        unreliable_bytes: limits.unreliable_bytes,
        handshake: duration(limits.handshake_ms),
        pending_handshakes: limits.pending_handshakes,
        sessions: limits.sessions,
        detached: duration(limits.detached_ms),
        tombstone: duration(limits.tombstone_ms),
        tombstones: limits.tombstones,
    }
}

fn timing(timing: &unbroken_timing) -> Timing {
    Timing {
        ack_messages: timing.ack_messages,
        ack_bytes: timing.ack_bytes,
        ack_delay: duration(timing.ack_delay_ms),
        idle_probe: duration(timing.idle_probe_ms),
        dead_after: duration(timing.dead_after_ms),
    }
}

fn backoff(backoff: &unbroken_backoff) -> Backoff {
    Backoff {
        base: duration(backoff.base_ms),
        cap: duration(backoff.cap_ms),
        give_up_after: duration(backoff.give_up_after_ms),
    }
}

/// The core's refusal, with the field as C calls it.
fn refused(error: &ConfigError) -> Failure {
    let field = match error.field {
        "limits.handshake"
        | "limits.detached"
        | "limits.tombstone"
        | "timing.ack_delay"
        | "timing.idle_probe"
        | "timing.dead_after"
        | "backoff.base"
        | "backoff.cap"
        | "backoff.give_up_after" => format!("{}_ms", error.field),
        "shard.index" => String::from("shard_index"),
        other => String::from(other),
    };
    Failure::config(&field, &error.problem)
}

fn duration(millis: u32) -> Duration {
    Duration::from_millis(u64::from(millis))
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
