//! Configurations. Each struct begins with its own size, so that a later library can add fields at the end: who was compiled
//! earlier passes a smaller struct and gets the defaults for the rest. Bytes beyond what this library knows must be zero, as they ask
//! for something it cannot do.
//!
//! Fill one with its `_init` function, then change what should differ. Values are checked when a session or an endpoint is made from it,
//! never later (F-61). What the pointers lead to is copied then.

mod build;
mod sized;

pub(crate) use build::{client, cluster, clusters, server};
pub(crate) use sized::{init, read};

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
    /// From asking for a link until it is up (client), from link up to a whole first flight (server), and from the first flight to its answer (client):
    /// 100 ms to 60 s each, default 5 s.
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
    /// (server, with a store) A sealed snapshot, in bytes: 64 KiB to 64 MiB, default 2 MiB. It holds the un-ACKed messages and the
    /// application's bytes: at least `unacked_bytes` and 64 KiB, or 16 KiB and 2 bytes for each of `unacked_messages` if that is more.
    pub snapshot: u32,
}

/// When ACKs leave and when silence counts.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct unbroken_timing {
    /// `sizeof(unbroken_timing)`.
    pub struct_size: u32,
    /// An ACK leaves after this many delivered messages, or half of `window_messages` if that is less: 1 to 4,096, default 32.
    pub ack_messages: u32,
    /// ... or this much delivered payload, in bytes, or half of `window_bytes`: 1 to 1 MiB, default 64 KiB.
    pub ack_bytes: u32,
    /// ... or this long after the first of them: 0 to 500 ms, default 40 ms.
    pub ack_delay_ms: u32,
    /// An idle link is probed by the client after this much silence: 1 s to 1 h, default 25 s. A server gives a silent one up after three
    /// times its own value and `dead_after_ms`, so both ends should have the same.
    pub idle_probe_ms: u32,
    /// A link that should answer and does not is given up after this long, or after twice the time in which it becomes suspect if that is
    /// more: 500 ms to 5 min, default 5 s.
    pub dead_after_ms: u32,
    /// (server, with a store) How long an owner counts as alive after it last said so: 1 s to 5 min, default 6 s. It says so every
    /// third of this time.
    pub lease_ms: u32,
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
    /// An `unbroken_durability`. Default `UNBROKEN_DURABILITY_MEMORY`. With another, the host must carry out what
    /// `unbroken_endpoint_poll_store` and `unbroken_endpoint_poll_snapshot` give.
    pub durability: i32,
    /// How many keys there are at `older_cluster_keys`: 0 to 7.
    pub older_cluster_count: u32,
    /// Cluster keys that are understood besides `cluster_key`, 32 bytes each, one behind the other: what was made under them is still
    /// opened. Tell all servers of the next key this way before any of them uses it as `cluster_key`.
    pub older_cluster_keys: *const u8,
}

/// What becomes of sessions when their server process ends.
#[repr(i32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum unbroken_durability {
    /// They end with it. No store is needed.
    UNBROKEN_DURABILITY_MEMORY = 0,
    /// A planned end loses nothing: sessions are swapped out to the store, and go on elsewhere. A crash ends them, and the clients are told so.
    UNBROKEN_DURABILITY_SWAP_OUT = 1,
    /// Nothing is lost, whatever happens to the process: no ACK, no message and no answer to a resume leaves it before the store holds a
    /// snapshot that covers it. Costs a store write for each round of messages, and its time.
    UNBROKEN_DURABILITY_DURABLE = 2,
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
