//! What needs no handle: versions, random seeds, public keys, routing.

use std::ffi::c_char;

use unbroken::{ClusterKey, Route, Router, Seed, ServerKey};
use zeroize::Zeroize;

use crate::call::call;
use crate::config::{cluster, clusters};
use crate::memory::{Out, array, slice};
use crate::status::{Failure, Outcome, Reply, unbroken_status::*};

/// The ABI that this header describes. Compare it with what `unbroken_abi_version()` returns before anything else: if they differ, the
/// program was linked with another library than it was compiled for.
pub const UNBROKEN_ABI_VERSION: u32 = 1;

/// What `unbroken_route` says when any endpoint will do.
pub const UNBROKEN_ANY_SHARD: u32 = u32::MAX;

/// So many first bytes of a connection are always enough for `unbroken_route`.
pub const UNBROKEN_ROUTE_NEEDED: usize = 28;
const _: () = assert!(UNBROKEN_ROUTE_NEEDED == Router::NEEDED);

/// The ABI of the loaded library. It changes when something that was there changes or goes; additions leave it.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_abi_version() -> u32 {
    UNBROKEN_ABI_VERSION
}

/// The version of the loaded library, `major.minor.patch`: a constant string that ends with NUL; never null.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// 32 bytes from the system's random source: a seed, or a key. On failure `out` is all zeros, which no function takes for a seed.
///
/// # Safety
/// `out` must be writable for 32 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_random_seed(out: *mut u8) -> i32 {
    call(|| {
        // SAFETY: the caller promises 32 writable bytes.
        let mut out = unsafe { Out::new(out.cast::<[u8; 32]>()) }?;
        out.set([0; 32]);
        let mut bytes = [0; 32];
        fill(&mut bytes)?;
        out.set(bytes);
        bytes.zeroize();
        Ok(Reply::Done)
    })
}

fn fill(bytes: &mut [u8; 32]) -> Result<(), Failure> {
    #[cfg(feature = "testing")]
    if crate::testing::randomness_fails() {
        return Err(Failure::new(
            UNBROKEN_ERR_RANDOM,
            "the system gives no random numbers: as the test wants",
        ));
    }
    getrandom::fill(bytes).map_err(|error| {
        Failure::new(
            UNBROKEN_ERR_RANDOM,
            format!("the system gives no random numbers: {error}"),
        )
    })
}

/// The public key that belongs to a server's secret key: what clients pin.
///
/// # Safety
/// `secret` must be readable, `public_key` writable for 32 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_public_key(secret: *const u8, public_key: *mut u8) -> i32 {
    call(|| {
        // SAFETY: the caller promises 32 writable bytes.
        let mut public_key = unsafe { Out::new(public_key.cast::<[u8; 32]>()) }?;
        // SAFETY: the caller promises 32 readable bytes.
        let secret = unsafe { array::<32>(secret) }?;
        let key = ServerKey::from_bytes(secret).map_err(|zero| Failure::config("secret", &zero.to_string()))?;
        public_key.set(key.public().0);
        Ok(Reply::Done)
    })
}

/// Which of several endpoints a connection belongs to, by its first bytes. The endpoints have the same configuration but for
/// `shard_index`; `count` is their `shard_count`, `cluster_key` their cluster key.
///
/// Returns `UNBROKEN_OK` with the endpoint's index, or with `UNBROKEN_ANY_SHARD` for a new session or nonsense, which any of them
/// may judge; `UNBROKEN_EMPTY` if more bytes are needed: `UNBROKEN_ROUTE_NEEDED` are always enough. The bytes still have to be handed
/// to the endpoint's `handle_input`.
///
/// # Safety
/// `cluster_key` must be readable for 32 bytes, `first` for `len`, `shard` writable for one `uint32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_route(
    cluster_key: *const u8,
    count: u16,
    first: *const u8,
    len: usize,
    shard: *mut u32,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises a writable `uint32_t`, 32 readable bytes, and `len` readable bytes.
        let (shard, key, first) = unsafe { (Out::new(shard)?, array::<32>(cluster_key)?, slice(first, len)?) };
        route(&[cluster(key)?], count, first, shard)
    })
}

/// As `unbroken_route`, for endpoints that understand older cluster keys too: `key_count` of them at `cluster_keys`, 1 to 8, 32 bytes each, one
/// behind the other, the one in use first.
///
/// # Safety
/// `cluster_keys` must be readable for 32 bytes times `key_count`, `first` for `len`, `shard` writable for one `uint32_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_route_among(
    cluster_keys: *const u8,
    key_count: u32,
    count: u16,
    first: *const u8,
    len: usize,
    shard: *mut u32,
) -> i32 {
    call(|| {
        // SAFETY: the caller promises a writable `uint32_t`, `len` readable bytes, and 32 for each key.
        let (shard, first, keys) = unsafe {
            (
                Out::new(shard)?,
                slice(first, len)?,
                clusters("cluster_keys", cluster_keys, key_count)?,
            )
        };
        route(&keys, count, first, shard)
    })
}

fn route(keys: &[ClusterKey], count: u16, first: &[u8], mut shard: Out<u32>) -> Outcome {
    let Some((key, older)) = keys.split_first() else {
        return Err(Failure::config("cluster_keys", "there is none"));
    };
    if count == 0 {
        return Err(Failure::new(UNBROKEN_ERR_ARGUMENT, "there is no endpoint: count is 0"));
    }
    match Router::new(key, count).also_opening(older).route(first) {
        Route::NeedMore => return Ok(Reply::Empty),
        Route::Any => shard.set(UNBROKEN_ANY_SHARD),
        Route::Shard(index) => shard.set(u32::from(index)),
    }
    Ok(Reply::Done)
}

/// The caller's seed.
///
/// # Safety
/// If `seed` is not null it must be readable for 32 bytes.
pub(crate) unsafe fn seed(seed: *const u8) -> Result<Seed, Failure> {
    // SAFETY: passed on.
    let mut bytes = unsafe { array::<32>(seed) }?;
    if bytes == [0; 32] {
        return Err(Failure::new(
            UNBROKEN_ERR_RANDOM,
            "the seed is all zeros; it was probably never drawn",
        ));
    }
    let seed = Seed::new(bytes);
    bytes.zeroize();
    Ok(seed)
}
