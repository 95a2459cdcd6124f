//! From the caller's pointers to slices and values. Everything that can be checked is: null, and lengths that no object has (F-50, F-51).
//! The rest is the caller's promise, which each function states under "Safety".

use crate::status::{Failure, unbroken_status::*};

/// `len` bytes to read.
///
/// # Safety
/// If `len` is not 0 and `data` not null, `data` must be readable for `len` bytes that nobody changes during `'a`.
pub(crate) unsafe fn slice<'a>(data: *const u8, len: usize) -> Result<&'a [u8], Failure> {
    check(data, len)?;
    if len == 0 {
        return Ok(&[]);
    }
    // SAFETY: not null and no longer than an object can be (`check`); readable and unchanged as the caller promises; bytes have no
    // alignment and any value.
    Ok(unsafe { core::slice::from_raw_parts(data, len) })
}

/// `len` bytes to write. They may be uninitialised for C's taste: nothing here reads them.
///
/// # Safety
/// If `len` is not 0 and `data` not null, `data` must be writable for `len` bytes that nobody else touches during `'a`.
pub(crate) unsafe fn slice_mut<'a>(data: *mut u8, len: usize) -> Result<&'a mut [u8], Failure> {
    check(data, len)?;
    if len == 0 {
        return Ok(&mut []);
    }
    // SAFETY: as in `slice`, and writable and unshared as the caller promises.
    Ok(unsafe { core::slice::from_raw_parts_mut(data, len) })
}

/// Exactly `N` bytes, copied.
///
/// # Safety
/// If `data` is not null it must be readable for `N` bytes.
pub(crate) unsafe fn array<const N: usize>(data: *const u8) -> Result<[u8; N], Failure> {
    if data.is_null() {
        return Err(UNBROKEN_ERR_NULL.into());
    }
    // SAFETY: not null; readable for `N` bytes as the caller promises; an array of bytes has no alignment.
    Ok(unsafe { data.cast::<[u8; N]>().read() })
}

fn check(data: *const u8, len: usize) -> Result<(), Failure> {
    if len > isize::MAX as usize {
        return Err(UNBROKEN_ERR_LENGTH.into());
    }
    if len > 0 && data.is_null() {
        return Err(UNBROKEN_ERR_NULL.into());
    }
    Ok(())
}

/// A place for a result.
pub(crate) struct Out<T: Copy>(*mut T);

impl<T: Copy> Out<T> {
    /// A place that must be there.
    ///
    /// # Safety
    /// If `place` is not null it must be writable for one `T` as long as this exists.
    pub unsafe fn new(place: *mut T) -> Result<Self, Failure> {
        if place.is_null() {
            return Err(UNBROKEN_ERR_NULL.into());
        }
        Ok(Out(place))
    }

    /// A place that may be missing.
    ///
    /// # Safety
    /// As for `new`.
    pub unsafe fn optional(place: *mut T) -> Self {
        Out(place)
    }

    pub fn set(&mut self, value: T) {
        if !self.0.is_null() {
            // SAFETY: writable, as whoever made this promised; `T` is `Copy`, so nothing is dropped; no alignment is asked for.
            unsafe { self.0.write_unaligned(value) }
        }
    }
}

/// A struct that may grow at its end, with the caller's idea of its size: an older caller gets what it knows, a newer one gets
/// zeros for what this library does not know.
///
/// # Safety
/// If `place` is not null it must be writable for `size` bytes.
pub(crate) unsafe fn write_sized<T: Copy>(place: *mut T, size: usize, value: &T) -> Result<(), Failure> {
    // SAFETY: passed on.
    let bytes = unsafe { slice_mut(place.cast::<u8>(), size) }?;
    if place.is_null() {
        return Err(UNBROKEN_ERR_NULL.into());
    }
    let known = size.min(size_of::<T>());
    // SAFETY: `value` is readable for its size, `bytes` is writable for `size`; both are at least `known`. They cannot overlap, as
    // `value` is this library's.
    unsafe { core::ptr::copy_nonoverlapping(core::ptr::from_ref(value).cast::<u8>(), bytes.as_mut_ptr(), known) };
    bytes[known..].fill(0);
    Ok(())
}
