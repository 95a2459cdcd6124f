//! What the core makes of the caller's structs. Everything is checked here, and errors name the field as C knows it (F-61).

use std::time::Duration;

use bytes::Bytes;
use unbroken::{
    Backoff, ClientConfig, ClusterKey, ConfigError, Durability, Limits, PublicKey, ServerConfig, ServerKey, Shard,
    Timing,
};

use super::sized::read;
use super::{
    unbroken_backoff, unbroken_client_config, unbroken_durability, unbroken_limits, unbroken_server_config,
    unbroken_timing,
};
use crate::memory::{array, slice};
use crate::status::Failure;

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
        .durability(durability(config.durability)?)
        .authorise_all(config.authorise_all != 0)
        .ask_on_resume(config.ask_on_resume != 0);
    for key in secrets {
        builder = builder.also_key(key?);
    }
    // SAFETY: the caller promises 32 bytes for each key.
    for older in unsafe {
        clusters(
            "older_cluster_keys",
            config.older_cluster_keys,
            config.older_cluster_count,
        )
    }? {
        builder = builder.also_cluster(older);
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
/// As for `keys`.
pub(crate) unsafe fn clusters(field: &str, data: *const u8, count: u32) -> Result<Vec<ClusterKey>, Failure> {
    // SAFETY: passed on.
    unsafe { keys(field, data, count) }?
        .iter()
        .map(|key| cluster(*key))
        .collect()
}

fn durability(number: i32) -> Result<Durability, Failure> {
    use unbroken_durability::*;
    const MEMORY: i32 = UNBROKEN_DURABILITY_MEMORY as i32;
    const SWAP_OUT: i32 = UNBROKEN_DURABILITY_SWAP_OUT as i32;
    const DURABLE: i32 = UNBROKEN_DURABILITY_DURABLE as i32;
    match number {
        MEMORY => Ok(Durability::Memory),
        SWAP_OUT => Ok(Durability::SwapOut),
        DURABLE => Ok(Durability::Durable),
        other => Err(Failure::config(
            "durability",
            &format!("{other} is no unbroken_durability"),
        )),
    }
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
        snapshot: limits.snapshot,
    }
}

fn timing(timing: &unbroken_timing) -> Timing {
    Timing {
        ack_messages: timing.ack_messages,
        ack_bytes: timing.ack_bytes,
        ack_delay: duration(timing.ack_delay_ms),
        idle_probe: duration(timing.idle_probe_ms),
        dead_after: duration(timing.dead_after_ms),
        lease: duration(timing.lease_ms),
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
        | "timing.lease"
        | "backoff.base"
        | "backoff.cap"
        | "backoff.give_up_after" => format!("{}_ms", error.field),
        "clusters" => String::from("older_cluster_keys"),
        "shard.index" => String::from("shard_index"),
        other => String::from(other),
    };
    Failure::config(&field, &error.problem)
}

fn duration(millis: u32) -> Duration {
    Duration::from_millis(u64::from(millis))
}
