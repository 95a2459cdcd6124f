//! Handles: names of objects, checked at each call.
//!
//! A handle looks like a pointer to C and is never followed. Its bits are
//!
//! ```text
//!   generation of the slot | index of the slot | 1
//! ```
//!
//! Freeing an object moves its slot to the next generation, so an old handle no longer fits: use after free and double free are
//! always detected, not just often (F-52). A slot whose generations are used up is never used again. The lowest bit is set, so an
//! address of anything aligned is no handle.
//!
//! Each slot has a lock that is only ever tried, never waited for: who finds it taken is a second thread (F-54). A panic in a call
//! poisons it, and that is the mark that the object must not be used (F-59). Slots stand in chunks that are never moved or freed; the
//! first one is static, so a program with few handles allocates nothing here.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use crate::endpoint::EndpointState;
use crate::loopback::LoopbackState;
use crate::session::SessionState;
use crate::status::{Failure, unbroken_status::*};

/// What a handle can name.
pub(crate) enum Object {
    Session(Box<SessionState>),
    Endpoint(Box<EndpointState>),
    Loopback(Box<LoopbackState>),
}

/// A state that a handle names.
pub(crate) trait Kind: Sized {
    fn of(object: &mut Object) -> Option<&mut Self>;
    fn wrap(self: Box<Self>) -> Object;
}

struct Slot {
    generation: AtomicU32,
    /// Free slots form a list through this; its head is in `FREE`.
    next_free: AtomicU32,
    object: Mutex<Option<Object>>,
}

impl Slot {
    const fn new() -> Self {
        Slot {
            generation: AtomicU32::new(1),
            next_free: AtomicU32::new(NONE),
            object: Mutex::new(None),
        }
    }

    fn lock(&self) -> Result<MutexGuard<'_, Option<Object>>, Failure> {
        self.object.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => UNBROKEN_ERR_BUSY.into(),
            TryLockError::Poisoned(_) => UNBROKEN_ERR_POISONED.into(),
        })
    }
}

const NONE: u32 = u32::MAX;
/// 1,048,576 objects at once; 32,768 where addresses have 32 bits.
const INDEX_BITS: u32 = if usize::BITS >= 64 { 20 } else { 15 };
/// The last generation of a slot.
const LAST: u32 = if usize::BITS >= 64 {
    u32::MAX
} else {
    (1 << (usize::BITS - 1 - INDEX_BITS)) - 1
};
const CHUNK: usize = 1024;
const CHUNKS: usize = (1 << INDEX_BITS) / CHUNK;

static FIRST: [Slot; CHUNK] = [const { Slot::new() }; CHUNK];
static MORE: [OnceLock<Box<[Slot]>>; CHUNKS - 1] = [const { OnceLock::new() }; CHUNKS - 1];

/// Where the next object goes.
struct Free {
    head: u32,
    /// Slots from here on were never used.
    fresh: u32,
}

static FREE: Mutex<Free> = Mutex::new(Free { head: NONE, fresh: 0 });

fn slot(index: usize) -> Option<&'static Slot> {
    match index / CHUNK {
        0 => FIRST.get(index),
        chunk => MORE.get(chunk - 1)?.get()?.get(index % CHUNK),
    }
}

fn split(handle: usize) -> Option<(usize, u32)> {
    let generation = u32::try_from(handle >> (INDEX_BITS + 1)).ok()?;
    (handle & 1 == 1).then_some(((handle >> 1) & ((1 << INDEX_BITS) - 1), generation))
}

/// Names an object.
pub(crate) fn insert<T: Kind>(object: Box<T>) -> Result<usize, Failure> {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    let index = if free.head != NONE {
        free.head
    } else if (free.fresh as usize) < CHUNK * CHUNKS {
        if free.fresh > 0 && (free.fresh as usize).is_multiple_of(CHUNK) {
            let chunk = free.fresh as usize / CHUNK;
            MORE[chunk - 1].get_or_init(|| (0..CHUNK).map(|_| Slot::new()).collect());
        }
        free.fresh
    } else {
        return Err(UNBROKEN_ERR_TOO_MANY.into());
    };
    let slot = slot(index as usize).ok_or(UNBROKEN_ERR_TOO_MANY)?;
    // Somebody may just be trying an old handle of this slot; that is over in no time.
    let mut place = slot.object.lock().unwrap_or_else(PoisonError::into_inner);
    if index == free.head {
        free.head = slot.next_free.load(Ordering::Relaxed);
    } else {
        free.fresh += 1;
    }
    *place = Some(T::wrap(object));
    let generation = slot.generation.load(Ordering::Relaxed) as usize;
    Ok(generation << (INDEX_BITS + 1) | (index as usize) << 1 | 1)
}

/// How many objects have a handle at the moment. For tests in Rust; the ABI does not have it.
#[doc(hidden)]
pub fn objects_alive() -> usize {
    let fresh = FREE.lock().unwrap_or_else(PoisonError::into_inner).fresh as usize;
    let lives = |slot: &&Slot| match slot.object.try_lock() {
        Ok(place) => place.is_some(),
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().is_some(),
        Err(TryLockError::WouldBlock) => true,
    };
    (0..fresh).filter_map(slot).filter(lives).count()
}

/// Does something with the object that a handle names, alone.
#[inline]
pub(crate) fn with<T: Kind, R>(handle: usize, f: impl FnOnce(&mut T) -> Result<R, Failure>) -> Result<R, Failure> {
    let (slot, generation) = find(handle)?;
    let mut object = slot.lock()?;
    // It may have been freed between the look and the lock.
    if slot.generation.load(Ordering::Relaxed) != generation {
        return Err(UNBROKEN_ERR_HANDLE.into());
    }
    let object = object.as_mut().ok_or(UNBROKEN_ERR_HANDLE)?;
    f(T::of(object).ok_or(UNBROKEN_ERR_KIND)?)
}

/// Takes the object out; its handles name nothing from now on. A poisoned object, too.
pub(crate) fn remove<T: Kind>(handle: usize) -> Result<Object, Failure> {
    let (slot, generation) = find(handle)?;
    let mut place = match slot.object.try_lock() {
        Ok(place) => place,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return Err(UNBROKEN_ERR_BUSY.into()),
    };
    if slot.generation.load(Ordering::Relaxed) != generation {
        return Err(UNBROKEN_ERR_HANDLE.into());
    }
    if T::of(place.as_mut().ok_or(UNBROKEN_ERR_HANDLE)?).is_none() {
        return Err(UNBROKEN_ERR_KIND.into());
    }
    let object = place.take().ok_or(UNBROKEN_ERR_HANDLE)?;
    if generation < LAST {
        slot.generation.store(generation + 1, Ordering::Relaxed);
    }
    slot.object.clear_poison();
    drop(place);
    if generation < LAST {
        let index = split(handle).map_or(NONE, |(index, _)| index as u32);
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        slot.next_free.store(free.head, Ordering::Relaxed);
        free.head = index;
    }
    Ok(object)
}

fn find(handle: usize) -> Result<(&'static Slot, u32), Failure> {
    if handle == 0 {
        return Err(UNBROKEN_ERR_NULL.into());
    }
    let (index, generation) = split(handle).ok_or(UNBROKEN_ERR_HANDLE)?;
    let slot = slot(index).ok_or(UNBROKEN_ERR_HANDLE)?;
    // Before the lock is tried, so that an old handle is called old even while its slot's new owner is at work.
    if slot.generation.load(Ordering::Relaxed) != generation {
        return Err(UNBROKEN_ERR_HANDLE.into());
    }
    Ok((slot, generation))
}
