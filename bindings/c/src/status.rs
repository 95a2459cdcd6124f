//! What calls return, in numbers and in words.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::{CStr, c_char};

use crate::call::call;
use crate::memory::{Out, slice_mut};

/// What a call returns: 0 when it did its work, positive when there was nothing to do, negative when it failed.
#[repr(i32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum unbroken_status {
    /// Done.
    UNBROKEN_OK = 0,
    /// Nothing there, nothing to do, nobody waits.
    UNBROKEN_EMPTY = 1,
    /// A pointer is null that must not be.
    UNBROKEN_ERR_NULL = -1,
    /// A length is over half the address space, or over what the function says.
    UNBROKEN_ERR_LENGTH = -2,
    /// No such handle: it was freed, or never was one.
    UNBROKEN_ERR_HANDLE = -3,
    /// The handle is of another kind: a session where an endpoint belongs, or the like.
    UNBROKEN_ERR_KIND = -4,
    /// Another thread is in a call with this handle. Nothing happened.
    UNBROKEN_ERR_BUSY = -5,
    /// An earlier call panicked in this handle; it can only be freed.
    UNBROKEN_ERR_POISONED = -6,
    /// The library panicked: a bug, please report it. The handle can only be freed.
    UNBROKEN_ERR_PANIC = -7,
    /// The buffer is too small; the need was reported, nothing was consumed.
    UNBROKEN_ERR_BUFFER_TOO_SMALL = -8,
    /// A value in a configuration cannot be used; `unbroken_last_error` names the field.
    UNBROKEN_ERR_CONFIG = -9,
    /// A struct's `struct_size` is too small, as in one that its `_init` function did not fill, or the struct is of a later version and says
    /// something this library does not know.
    UNBROKEN_ERR_STRUCT_SIZE = -10,
    /// An argument has a value that means nothing.
    UNBROKEN_ERR_ARGUMENT = -11,
    /// The system gives no random numbers, or the seed is all zeros, which is what a forgotten one looks like.
    UNBROKEN_ERR_RANDOM = -12,
    /// The message does not fit beside what the peer has not acknowledged yet. It was not taken: keep it, and try again after
    /// `UNBROKEN_EVENT_WRITABLE`.
    UNBROKEN_ERR_WOULD_BLOCK = -13,
    /// The message is larger than either end allows. It was not taken.
    UNBROKEN_ERR_TOO_LARGE = -14,
    /// The session is closed or closing. The message was not taken.
    UNBROKEN_ERR_CLOSED = -15,
    /// No link is up, and unreliable messages do not wait for one. The message was not taken.
    UNBROKEN_ERR_NO_LINK = -16,
    /// The endpoint holds no such session: it never did, or the session is over and read.
    UNBROKEN_ERR_UNKNOWN_SESSION = -17,
    /// More handles are alive than the library can name.
    UNBROKEN_ERR_TOO_MANY = -18,
    /// (unreliable only) As many unreliable messages wait as may. It was not taken: drop it, no event tells when there is room.
    UNBROKEN_ERR_FULL = -19,
    /// The snapshot would be larger than `limits.snapshot`. If the session was to be swapped out, it stays here.
    UNBROKEN_ERR_SNAPSHOT = -20,
    /// The endpoint has no store: its `durability` is `UNBROKEN_DURABILITY_MEMORY`.
    UNBROKEN_ERR_NO_STORE = -21,
}

use unbroken_status::*;

/// Why a call did not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    pub status: unbroken_status,
    text: Cow<'static, str>,
}

impl Failure {
    /// With words of its own.
    pub fn new(status: unbroken_status, text: impl Into<Cow<'static, str>>) -> Self {
        Failure {
            status,
            text: text.into(),
        }
    }

    /// A configuration's field cannot be used.
    pub fn config(field: &str, problem: &str) -> Self {
        Failure::new(UNBROKEN_ERR_CONFIG, format!("configuration field `{field}`: {problem}"))
    }
}

impl From<unbroken_status> for Failure {
    fn from(status: unbroken_status) -> Self {
        Failure::new(status, text_of(status as i32).to_str().unwrap_or_default())
    }
}

/// What a call that did not fail has to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    Done,
    Empty,
}

/// What every call comes to.
pub(crate) type Outcome = Result<Reply, Failure>;

/// The most that is kept of an error's text, in bytes.
const TEXT_MAX: usize = 512;

struct Text {
    bytes: [u8; TEXT_MAX],
    len: usize,
}

thread_local! {
    // Constant and without a destructor: it costs nothing until something fails, and nothing is left when a thread ends.
    static LAST: RefCell<Text> = const { RefCell::new(Text { bytes: [0; TEXT_MAX], len: 0 }) };
}

/// Notes a failure and gives its number.
#[cold]
pub(crate) fn note(failure: &Failure) -> i32 {
    let text = failure.text.as_bytes();
    let mut len = text.len().min(TEXT_MAX);
    while !failure.text.is_char_boundary(len) {
        len -= 1;
    }
    // A thread that is ending has no place for words any more.
    let _ = LAST.try_with(|last| {
        let mut last = last.borrow_mut();
        last.bytes[..len].copy_from_slice(&text[..len]);
        last.len = len;
    });
    failure.status as i32
}

fn text_of(status: i32) -> &'static CStr {
    const TEXTS: &[(unbroken_status, &CStr)] = &[
        (UNBROKEN_OK, c"done"),
        (UNBROKEN_EMPTY, c"nothing to do"),
        (UNBROKEN_ERR_NULL, c"a pointer is null that must not be"),
        (UNBROKEN_ERR_LENGTH, c"a length is too large"),
        (UNBROKEN_ERR_HANDLE, c"no such handle: it was freed, or never was one"),
        (UNBROKEN_ERR_KIND, c"the handle is of another kind"),
        (UNBROKEN_ERR_BUSY, c"another thread is in a call with this handle"),
        (
            UNBROKEN_ERR_POISONED,
            c"an earlier call panicked in this handle; it can only be freed",
        ),
        (
            UNBROKEN_ERR_PANIC,
            c"the library panicked, please report it; the handle can only be freed",
        ),
        (
            UNBROKEN_ERR_BUFFER_TOO_SMALL,
            c"the buffer is too small; nothing was consumed",
        ),
        (UNBROKEN_ERR_CONFIG, c"a value in a configuration cannot be used"),
        (
            UNBROKEN_ERR_STRUCT_SIZE,
            c"a struct's size is not one that this library knows",
        ),
        (UNBROKEN_ERR_ARGUMENT, c"an argument has a value that means nothing"),
        (UNBROKEN_ERR_RANDOM, c"no random numbers, or a seed of zeros"),
        (
            UNBROKEN_ERR_WOULD_BLOCK,
            c"would block: the message does not fit beside what the peer has not acknowledged; wait for UNBROKEN_EVENT_WRITABLE",
        ),
        (UNBROKEN_ERR_TOO_LARGE, c"the message is larger than either end allows"),
        (UNBROKEN_ERR_CLOSED, c"the session is closed or closing"),
        (
            UNBROKEN_ERR_NO_LINK,
            c"no link is up, and unreliable messages do not wait for one",
        ),
        (UNBROKEN_ERR_UNKNOWN_SESSION, c"the endpoint holds no such session"),
        (UNBROKEN_ERR_TOO_MANY, c"too many handles"),
        (UNBROKEN_ERR_FULL, c"unreliable messages wait up to their limit; drop this one"),
        (UNBROKEN_ERR_SNAPSHOT, c"the snapshot would be larger than limits.snapshot"),
        (UNBROKEN_ERR_NO_STORE, c"the endpoint has no store"),
    ];
    TEXTS
        .iter()
        .find(|(known, _)| *known as i32 == status)
        .map_or(c"unknown status", |(_, text)| text)
}

/// A status in words: a constant string in ASCII that ends with NUL; never null.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_error_text(status: i32) -> *const c_char {
    text_of(status).as_ptr()
}

/// What went wrong in the last call of this thread that failed: for `UNBROKEN_ERR_CONFIG` the field's name, its value and what would be
/// right; for `UNBROKEN_ERR_PANIC` the panic's message.
///
/// Writes UTF-8 that ends with NUL to `buffer`, which holds `capacity` bytes; `*length` becomes its length without the NUL, at most 512. If
/// the buffer is too small, that is what is reported, the text stays, and `*length + 1` is the need.
///
/// # Safety
/// `buffer` must be writable for `capacity` bytes and `length` for one `size_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_last_error(buffer: *mut c_char, capacity: usize, length: *mut usize) -> i32 {
    let mut copy = Text {
        bytes: [0; TEXT_MAX],
        len: 0,
    };
    let _ = LAST.try_with(|last| {
        let last = last.borrow();
        copy.bytes = last.bytes;
        copy.len = last.len;
    });
    let status = call(|| {
        // SAFETY: the caller promises a writable `size_t`.
        let mut length = unsafe { Out::new(length) }?;
        // SAFETY: the caller promises `capacity` writable bytes.
        let buffer = unsafe { slice_mut(buffer.cast::<u8>(), capacity) }?;
        length.set(copy.len);
        let Some(end) = buffer.get_mut(copy.len) else {
            return Err(UNBROKEN_ERR_BUFFER_TOO_SMALL.into());
        };
        *end = 0;
        buffer[..copy.len].copy_from_slice(&copy.bytes[..copy.len]);
        Ok(Reply::Done)
    });
    if status == UNBROKEN_ERR_BUFFER_TOO_SMALL as i32 {
        // The text asked for is the older one.
        let _ = LAST.try_with(|last| *last.borrow_mut() = copy);
    }
    status
}
