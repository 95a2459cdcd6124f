//! The memory that a call is given: exactly as long as it is said to be, with guards on both sides of what may be written.

use std::mem::MaybeUninit;

use unbroken_c::unbroken_status::*;
use unbroken_c::{unbroken_counters, unbroken_event, unbroken_output, unbroken_stats, unbroken_store_request};

use crate::Status;

/// Bytes to be read by a call.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    Bytes(&'a [u8]),
    /// A null pointer, with this length.
    Null(usize),
    /// A pointer to something, with a length that no object has.
    Huge,
}

/// Bytes to be written by a call.
#[derive(Clone, Copy, Debug)]
pub enum Space {
    Of(usize),
    Null(usize),
    Huge,
}

const OVER: usize = isize::MAX as usize + 1;
const GUARD: usize = 32;
const FILL: u8 = 0xa5;

/// What is wrong with a pointer and its length, if anything.
fn flaw(null: bool, len: usize) -> Option<Status> {
    if len >= OVER {
        Some(UNBROKEN_ERR_LENGTH as Status)
    } else {
        (null && len > 0).then_some(UNBROKEN_ERR_NULL as Status)
    }
}

/// A copy of some bytes in an allocation of that size, so that a sanitizer sees who reads beyond.
pub(crate) struct Input {
    bytes: Vec<u8>,
    null: bool,
    pub len: usize,
}

impl Input {
    pub fn new(data: Data<'_>) -> Self {
        let (bytes, null, len) = match data {
            Data::Bytes(bytes) => (bytes, false, bytes.len()),
            Data::Null(len) => (&[][..], true, len),
            Data::Huge => (&[7][..], false, OVER),
        };
        Input {
            bytes: bytes.into(),
            null,
            len,
        }
    }

    /// Exactly so many bytes: null if there are none.
    pub fn array<const N: usize>(bytes: Option<[u8; N]>) -> Self {
        Input {
            null: bytes.is_none(),
            bytes: bytes.map_or(Vec::new(), |bytes| bytes.into()),
            len: N,
        }
    }

    pub fn pointer(&self) -> *const u8 {
        if self.null {
            std::ptr::null()
        } else {
            self.bytes.as_ptr()
        }
    }

    pub fn flaw(&self) -> Option<Status> {
        flaw(self.null, self.len)
    }
}

/// A place to be written, between guards.
pub(crate) struct Output {
    bytes: Vec<u8>,
    /// How much of it is between the guards.
    size: usize,
    null: bool,
    /// What the call is told.
    pub len: usize,
}

impl Output {
    pub fn new(space: Space) -> Self {
        let (size, null, len) = match space {
            Space::Of(size) => (size, false, size),
            Space::Null(len) => (0, true, len),
            Space::Huge => (0, false, OVER),
        };
        Output {
            bytes: vec![FILL; GUARD + size + GUARD],
            size,
            null,
            len,
        }
    }

    /// A place for a value, or null.
    pub fn of<T: Plain>(null: bool) -> Self {
        Output {
            null,
            ..Output::new(Space::Of(size_of::<T>()))
        }
    }

    pub fn pointer<T>(&mut self) -> *mut T {
        if self.null {
            return std::ptr::null_mut();
        }
        self.bytes[GUARD..].as_mut_ptr().cast()
    }

    pub fn flaw(&self) -> Option<Status> {
        flaw(self.null, self.len)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[GUARD..GUARD + self.size]
    }

    pub fn untouched(&self) -> bool {
        self.bytes().iter().all(|byte| *byte == FILL)
    }

    /// Nothing was written beside it, nor after an error within it, unless the call says that it does.
    pub fn judge(&self, name: &str, status: Status, writes_on_error: bool) {
        let guards = [&self.bytes[..GUARD], &self.bytes[GUARD + self.size..]];
        assert!(
            guards.iter().all(|guard| guard.iter().all(|byte| *byte == FILL)),
            "{name} wrote beside its output"
        );
        assert!(
            status >= 0 || writes_on_error || self.untouched(),
            "{name} gave {status} and wrote its output"
        );
    }

    pub fn value<T: Plain>(&self) -> T {
        let mut value = MaybeUninit::<T>::uninit();
        assert!(self.size == size_of::<T>());
        // SAFETY: both have the size of a `T`, and any bytes make one (`Plain`).
        unsafe {
            std::ptr::copy_nonoverlapping(self.bytes().as_ptr(), value.as_mut_ptr().cast(), self.size);
            value.assume_init()
        }
    }
}

/// # Safety
/// Any bytes make a value.
pub(crate) unsafe trait Plain: Copy {}
macro_rules! plain {
    ($($type:ty),*) => { $(
        // SAFETY: integers, arrays of them and `repr(C)` structs of them, or raw pointers.
        unsafe impl Plain for $type {}
    )* };
}
plain!(i32, u32, u64, i64, usize, [u8; 16], [u8; 32], *const u8, *mut u8);
plain!(
    unbroken_event,
    unbroken_output,
    unbroken_store_request,
    unbroken_stats,
    unbroken_counters
);
