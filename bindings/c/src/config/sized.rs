//! Structs that begin with their own size: which they are, their defaults, and how one of any age is read and filled.

use std::time::Duration;

use unbroken::{Backoff, Limits, Timing};

use super::{unbroken_backoff, unbroken_client_config, unbroken_limits, unbroken_server_config, unbroken_timing};
use crate::call::call;
use crate::memory::{array, slice, write_sized};
use crate::status::{Failure, Reply, unbroken_status::*};
use crate::store::unbroken_store_reply;

/// A struct whose first field is its size in bytes, a `u32`.
///
/// # Safety
/// `repr(C)`, begins with a `u32`, has no padding, and any bytes make a value of it.
pub unsafe trait Sized32: Copy {
    const NAME: &'static str;
    /// The sizes it has had, the first one first. Any other size that is smaller than the last ends within a field, of which half would be taken.
    const SIZES: &'static [usize];

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

// SAFETY: `repr(C)`, fourteen `u32`.
unsafe impl Sized32 for unbroken_limits {
    const NAME: &'static str = "unbroken_limits";
    const SIZES: &'static [usize] = &[52, size_of::<Self>()];

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
            snapshot: limits.snapshot,
        }
    }
}

// SAFETY: `repr(C)`, seven `u32`.
unsafe impl Sized32 for unbroken_timing {
    const NAME: &'static str = "unbroken_timing";
    const SIZES: &'static [usize] = &[24, size_of::<Self>()];

    fn defaults() -> Self {
        let timing = Timing::default();
        unbroken_timing {
            struct_size: size_of::<Self>() as u32,
            ack_messages: timing.ack_messages,
            ack_bytes: timing.ack_bytes,
            ack_delay_ms: millis(timing.ack_delay),
            idle_probe_ms: millis(timing.idle_probe),
            dead_after_ms: millis(timing.dead_after),
            lease_ms: millis(timing.lease),
        }
    }
}

// SAFETY: `repr(C)`, four `u32`.
unsafe impl Sized32 for unbroken_backoff {
    const NAME: &'static str = "unbroken_backoff";
    const SIZES: &'static [usize] = &[size_of::<Self>()];

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
    const SIZES: &'static [usize] = &[size_of::<Self>()];

    fn defaults() -> Self {
        unbroken_client_config {
            struct_size: size_of::<Self>() as u32,
            ..zeroed!(Self)
        }
    }
}

// SAFETY: `repr(C)`, two `u32`, then words, then sixteen bytes without a gap, then a word.
unsafe impl Sized32 for unbroken_server_config {
    const NAME: &'static str = "unbroken_server_config";
    const SIZES: &'static [usize] = &[16 + 8 * WORD, size_of::<Self>()];

    fn defaults() -> Self {
        unbroken_server_config {
            struct_size: size_of::<Self>() as u32,
            shard_count: 1,
            ..zeroed!(Self)
        }
    }
}

// SAFETY: `repr(C)`, three of four bytes, four single ones, two `u64`, then bytes, then words.
unsafe impl Sized32 for unbroken_store_reply {
    const NAME: &'static str = "unbroken_store_reply";
    const SIZES: &'static [usize] = &[size_of::<Self>()];

    fn defaults() -> Self {
        unbroken_store_reply {
            struct_size: size_of::<Self>() as u32,
            ..zeroed!(Self)
        }
    }
}

/// Reads a struct of any age.
///
/// # Safety
/// If `place` is not null it must be readable for the bytes that its first field says.
pub unsafe fn read<T: Sized32>(place: *const T) -> Result<T, Failure> {
    // SAFETY: `struct_size` is at least its own four bytes, or the caller's promise is broken.
    let size = u32::from_ne_bytes(unsafe { array(place.cast::<u8>()) }?) as usize;
    check_size::<T>(size)?;
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

/// It is a size that this struct has had, or may have later.
fn check_size<T: Sized32>(size: usize) -> Result<(), Failure> {
    if size > size_of::<T>() || T::SIZES.contains(&size) {
        Ok(())
    } else {
        Err(wrong_size::<T>(size))
    }
}

fn wrong_size<T: Sized32>(size: usize) -> Failure {
    let known: Vec<_> = T::SIZES.iter().map(usize::to_string).collect();
    Failure::new(
        UNBROKEN_ERR_STRUCT_SIZE,
        format!(
            "{}.struct_size is {size}; this library knows {} bytes, and of more only zeros; fill it by its _init function",
            T::NAME,
            known.join(" or ")
        ),
    )
}

/// Fills a struct of any age with the defaults.
///
/// # Safety
/// If `place` is not null it must be writable for `size` bytes.
pub unsafe fn init<T: Sized32>(place: *mut T, size: usize, sized: impl FnOnce(&mut T, u32)) -> i32 {
    call(|| {
        let told = u32::try_from(size).map_err(|_| wrong_size::<T>(size))?;
        check_size::<T>(size)?;
        let mut value = T::defaults();
        sized(&mut value, told);
        // SAFETY: passed on.
        unsafe { write_sized(place, size, &value) }?;
        Ok(Reply::Done)
    })
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
