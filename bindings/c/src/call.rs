//! What surrounds each call: the panic is caught, the failure noted, the status returned.
//!
//! The handle's lock is taken inside, so a panic unwinds through it and poisons it; that is how a handle remembers (F-59).

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::status::{Failure, Outcome, Reply, note, unbroken_status::*};
use crate::table::{self, Kind};

/// Runs the body of an exported function.
#[inline]
pub(crate) fn call(body: impl FnOnce() -> Outcome) -> i32 {
    // What the body may leave half done is behind a lock that is poisoned by then, or the caller's output.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(Reply::Done)) => UNBROKEN_OK as i32,
        Ok(Ok(Reply::Empty)) => UNBROKEN_EMPTY as i32,
        Ok(Err(failure)) => note(&failure),
        Err(payload) => note(&panicked(&*payload)),
    }
}

#[cold]
fn panicked(payload: &(dyn Any + Send)) -> Failure {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    Failure::new(UNBROKEN_ERR_PANIC, format!("the library panicked: {text}"))
}

/// Runs the body of a function on a handle.
#[inline]
pub(crate) fn with<T: Kind, H>(handle: *const H, f: impl FnOnce(&mut T) -> Outcome) -> Outcome {
    table::with(handle.addr(), f)
}

/// Gives an object a handle.
pub(crate) fn name<T: Kind, H>(object: T) -> Result<*mut H, Failure> {
    Ok(core::ptr::without_provenance_mut(table::insert(Box::new(object))?))
}

/// The body of a `free` function: null is fine.
pub(crate) fn free<T: Kind, H>(handle: *mut H) -> Outcome {
    if !handle.is_null() {
        drop(table::remove::<T>(handle.addr())?);
    }
    Ok(Reply::Done)
}
