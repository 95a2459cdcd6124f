//! A method for each function of the ABI, by what they take and give.
//!
//! | file | functions |
//! |---|---|
//! | `library` | without a handle |
//! | `ends` | of a session, an endpoint, a loopback as a whole |
//! | `served` | of one session of an endpoint |

mod ends;
mod library;
mod served;

pub use served::Id;

use unbroken_c::unbroken_status::{self, *};
use unbroken_c::*;

use crate::memory::{Input, Output, Plain};
use crate::{Answer, Calls, Copied, Duty, Handle, Kind, Message, Space, Status};

pub(crate) use crate::memory::Data;

/// The pointer that C takes for a handle.
fn named<T>(handle: usize) -> *mut T {
    std::ptr::without_provenance_mut(handle)
}

pub(crate) fn free_of(kind: Kind) -> fn(usize) -> Status {
    match kind {
        Kind::Session => |handle| unbroken_session_free(named(handle)),
        Kind::Endpoint => |handle| unbroken_endpoint_free(named(handle)),
        Kind::Loopback => |handle| unbroken_loopback_free(named(handle)),
    }
}

/// Who is called, and what it may say besides `UNBROKEN_OK`.
#[derive(Clone, Copy)]
struct Verb(&'static str, Kind, &'static [unbroken_status]);

impl Calls {
    /// Numbers in, nothing out.
    fn tell(&mut self, Verb(name, kind, documented): Verb, of: Handle, call: impl FnOnce(usize) -> Status) -> Status {
        let duty = Duty {
            name,
            kind,
            flaws: &[],
            documented,
        };
        self.call(&duty, of, call)
    }

    /// Bytes and numbers in, nothing out.
    fn give(
        &mut self,
        Verb(name, kind, documented): Verb,
        of: Handle,
        inputs: &[&Input],
        call: impl FnOnce(usize) -> Status,
    ) -> Status {
        let flaws: Vec<_> = inputs.iter().map(|input| input.flaw()).collect();
        let duty = Duty {
            name,
            kind,
            flaws: &flaws,
            documented,
        };
        self.call(&duty, of, call)
    }

    /// One value out, maybe for some bytes in.
    fn ask<T: Plain>(
        &mut self,
        Verb(name, kind, documented): Verb,
        of: Handle,
        input: Option<&Input>,
        call: impl FnOnce(usize, *mut T) -> Status,
    ) -> Answer<T> {
        let mut out = Output::of::<T>(std::mem::take(&mut self.null));
        let flaws = [out.flaw(), input.and_then(Input::flaw)];
        let duty = Duty {
            name,
            kind,
            flaws: &flaws,
            documented,
        };
        let status = self.call(&duty, of, |of| call(of, out.pointer()));
        out.judge(name, status, false);
        (status, (!out.untouched()).then(|| out.value()))
    }

    /// Bytes out, and how many there are; the need if the place is too small.
    fn copy(
        &mut self,
        Verb(name, kind, documented): Verb,
        of: Handle,
        space: Space,
        call: impl FnOnce(usize, *mut u8, usize, *mut usize) -> Status,
    ) -> Copied {
        let (mut bytes, mut len) = (Output::new(space), Output::of::<usize>(std::mem::take(&mut self.null)));
        let flaws = [bytes.flaw(), len.flaw()];
        let duty = Duty {
            name,
            kind,
            flaws: &flaws,
            documented,
        };
        let status = self.call(&duty, of, |of| call(of, bytes.pointer(), bytes.len, len.pointer()));
        copied(name, status, &bytes, &len)
    }

    /// A struct that may be of any age out: `size` bytes of it.
    fn count(
        &mut self,
        Verb(name, kind, documented): Verb,
        of: Handle,
        space: Space,
        whole: usize,
        input: Option<&Input>,
        call: impl FnOnce(usize, *mut u8, usize) -> Status,
    ) -> (Status, Vec<u8>) {
        let mut out = Output::new(space);
        // A size of nothing at null is still no place for a struct.
        let flaws = [
            out.flaw(),
            input.and_then(Input::flaw),
            matches!(space, Space::Null(0)).then_some(UNBROKEN_ERR_NULL as Status),
        ];
        let duty = Duty {
            name,
            kind,
            flaws: &flaws,
            documented,
        };
        let status = self.call(&duty, of, |of| call(of, out.pointer(), out.len));
        out.judge(name, status, false);
        if status == UNBROKEN_OK as Status {
            let beyond = out.bytes().get(whole..).unwrap_or_default();
            assert!(
                beyond.iter().all(|byte| *byte == 0),
                "{name}: what the library does not know is not zero"
            );
        }
        (status, out.bytes().to_vec())
    }

    /// A message out, lent; `has_id` says whether its number is asked for.
    fn borrow(
        &mut self,
        Verb(name, kind, documented): Verb,
        of: Handle,
        input: Option<&Input>,
        has_id: bool,
        call: impl FnOnce(usize, *mut *const u8, *mut usize, *mut i64) -> Status,
    ) -> Answer<Message> {
        let mut data = Output::of::<*const u8>(std::mem::take(&mut self.null));
        let (mut len, mut id) = (Output::of::<usize>(false), Output::of::<i64>(!has_id));
        let flaws = [data.flaw(), input.and_then(Input::flaw)];
        let duty = Duty {
            name,
            kind,
            flaws: &flaws,
            documented,
        };
        let status = self.call(&duty, of, |of| call(of, data.pointer(), len.pointer(), id.pointer()));
        for out in [&data, &len, &id] {
            out.judge(name, status, false);
        }
        if status < 0 {
            return (status, None);
        }
        assert!(
            !data.untouched() && !len.untouched() && (!has_id || !id.untouched()),
            "{name} left an output out"
        );
        if status == UNBROKEN_EMPTY as Status {
            assert!(
                len.value::<usize>() == 0 && (!has_id || id.value::<i64>() == -1),
                "{name} lends what is not there"
            );
            return (status, None);
        }
        let payload = self.lend(of, data.value(), len.value());
        (
            status,
            Some(Message {
                payload,
                id: has_id.then(|| id.value()),
            }),
        )
    }
}

fn copied(name: &str, status: Status, bytes: &Output, len: &Output) -> Copied {
    let small = status == UNBROKEN_ERR_BUFFER_TOO_SMALL as Status;
    bytes.judge(name, status, false);
    len.judge(name, status, small);
    let len = (!len.untouched()).then(|| len.value::<usize>());
    if status == UNBROKEN_OK as Status {
        let len = len.expect("the length is told");
        assert!(
            len <= bytes.bytes().len(),
            "{name}: {len} bytes are said to be in {}",
            bytes.bytes().len()
        );
    }
    if small {
        let len = len.expect("the need is told");
        assert!(
            len >= bytes.bytes().len(),
            "{name}: {len} bytes are said not to fit in {}",
            bytes.bytes().len()
        );
    }
    let filled = if status == UNBROKEN_OK as Status {
        len.unwrap_or(0)
    } else {
        0
    };
    Copied {
        status,
        len,
        bytes: bytes.bytes()[..filled].to_vec(),
    }
}
