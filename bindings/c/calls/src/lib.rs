//! The C ABI, called from safe Rust for the fuzzer, as wrongly as C lets a caller be: null pointers, lengths that no object has, buffers that are too small, handles
//! that were freed, made up or of another kind. What a caller must never break is kept here: memory is as long as it is said to be. So this crate is
//! safe to use, and has the `unsafe` that calling costs.
//!
//! Each call is judged here already, by what the header promises of all of them:
//!
//! - its status is one that the function documents, and the one that a flaw of the handle or of an argument calls for; a panic never is;
//! - after an error the outputs are as they were, and nothing is ever written beside them;
//! - after an error there are words for it;
//! - a handle was never given before, and who is freed is gone: in the end as many objects live as in the beginning;
//! - what was lent by a handle stays as it is until the next call with that handle, whatever is done with others in between.
//!
//! | file | what |
//! |---|---|
//! | `memory` | inputs and outputs |
//! | `config` | the structs that begin with their size |
//! | `verbs` | a method for each function |
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod config;
mod memory;
mod verbs;

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use config::{ClientConfig, Group, Item, Keys, Reply, ServerConfig, Shape};
pub use memory::{Data, Space};
pub use unbroken_c as abi;
use unbroken_c::unbroken_status::*;
pub use verbs::Id;

/// What a call returns.
pub type Status = i32;

/// A handle, or what is taken for one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Handle(pub usize);

impl Handle {
    pub const NULL: Handle = Handle(0);
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Session,
    Endpoint,
    Loopback,
}

/// A status, and the output that came with it: none if there was no place for it, or nothing was written.
pub type Answer<T> = (Status, Option<T>);

/// Bytes copied by a call.
#[derive(Debug)]
pub struct Copied {
    pub status: Status,
    /// What `*len` became.
    pub len: Option<usize>,
    pub bytes: Vec<u8>,
}

/// A message that a call lent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    pub payload: Vec<u8>,
    /// -1 for an unreliable one; none if it was not asked for, or has none.
    pub id: Option<i64>,
}

/// All calls of one caller.
pub struct Calls {
    alive: HashMap<usize, Kind>,
    named: HashSet<usize>,
    lent: HashMap<usize, Lent>,
    /// The next call that has an output for one value gets null for it.
    pub null: bool,
    before: usize,
    /// Handles belong to the process, and who counts them must be alone.
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

struct Lent {
    data: *const u8,
    copy: Vec<u8>,
}

impl Lent {
    fn judge(&self, name: &str) {
        if self.copy.is_empty() {
            return;
        }
        // SAFETY: the ABI promises that what it lent is readable until the next call with the handle, which is about to come; that is
        // what is tried here. A sanitizer sees memory that is gone.
        let there = unsafe { std::slice::from_raw_parts(self.data, self.copy.len()) };
        assert!(there == self.copy, "what was lent has changed before {name}");
    }
}

/// What a call is judged by.
struct Duty<'a> {
    name: &'static str,
    kind: Kind,
    /// What the arguments call for, each an error.
    flaws: &'a [Option<Status>],
    documented: &'a [unbroken_c::unbroken_status],
}

impl Calls {
    /// Waits for whoever else is calling.
    #[expect(clippy::new_without_default)]
    pub fn new() -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        Calls {
            alive: HashMap::new(),
            named: HashSet::new(),
            lent: HashMap::new(),
            null: false,
            before: unbroken_c::objects_alive(),
            _alone: alone,
        }
    }

    /// Frees what lives, and counts.
    pub fn finish(mut self) {
        let alive: Vec<(usize, Kind)> = self.alive.iter().map(|(handle, kind)| (*handle, *kind)).collect();
        for (handle, kind) in alive {
            assert_eq!(self.free(kind, Handle(handle)), UNBROKEN_OK as Status);
        }
        assert_eq!(
            unbroken_c::objects_alive(),
            self.before,
            "objects are left that nobody can name"
        );
        let named: Vec<usize> = self.named.iter().copied().collect();
        for handle in named {
            for kind in [Kind::Session, Kind::Endpoint, Kind::Loopback] {
                assert_eq!(self.free(kind, Handle(handle)), UNBROKEN_ERR_HANDLE as Status);
            }
        }
    }

    pub fn is_alive(&self, handle: Handle) -> bool {
        self.alive.contains_key(&handle.0)
    }

    /// Frees by the function of a kind.
    pub fn free(&mut self, kind: Kind, handle: Handle) -> Status {
        let status = if handle == Handle::NULL {
            let free = verbs::free_of(kind);
            let status = free(0);
            assert_eq!(status, UNBROKEN_OK as Status, "freeing null");
            status
        } else {
            let free = verbs::free_of(kind);
            let duty = Duty {
                name: "free",
                kind,
                flaws: &[],
                documented: &[],
            };
            self.call(&duty, handle, free)
        };
        if status == UNBROKEN_OK as Status {
            self.alive.remove(&handle.0);
        }
        status
    }

    /// A call with a handle.
    fn call(&mut self, duty: &Duty<'_>, handle: Handle, call: impl FnOnce(usize) -> Status) -> Status {
        if let Some(lent) = self.lent.remove(&handle.0) {
            lent.judge(duty.name);
        }
        let wrong = match self.alive.get(&handle.0) {
            _ if handle == Handle::NULL => Some(UNBROKEN_ERR_NULL),
            None => Some(UNBROKEN_ERR_HANDLE),
            Some(kind) => (*kind != duty.kind).then_some(UNBROKEN_ERR_KIND),
        };
        self.judged(duty, wrong.map(|wrong| wrong as Status), || call(handle.0))
    }

    /// A call without one, or with one that is wrong in this way.
    fn judged(&mut self, duty: &Duty<'_>, wrong: Option<Status>, call: impl FnOnce() -> Status) -> Status {
        let status = call();
        let mut flaws = duty.flaws.iter().flatten().copied().chain(wrong).peekable();
        let fine = if flaws.peek().is_some() {
            flaws.any(|flaw| flaw == status)
        } else {
            status == UNBROKEN_OK as Status || duty.documented.iter().any(|other| *other as Status == status)
        };
        assert!(
            fine,
            "{} gave {status} ({}); flaws of its arguments: {:?}, of its handle: {wrong:?}",
            duty.name,
            self.words(),
            duty.flaws
        );
        if status < 0 {
            assert!(!self.words().is_empty(), "{} gave {status} without a word", duty.name);
        }
        status
    }

    /// What a call that makes an object gave: null after an error.
    fn made(&mut self, name: &str, kind: Kind, status: Status, handle: Option<usize>) -> Option<Handle> {
        let handle = handle?;
        if status < 0 {
            assert_eq!(handle, 0, "{name} gave {status} and a handle");
            return None;
        }
        assert!(
            handle != 0 && self.named.insert(handle),
            "{name} gave a name that was given before"
        );
        self.alive.insert(handle, kind);
        Some(Handle(handle))
    }

    fn lend(&mut self, of: Handle, data: *const u8, len: usize) -> Vec<u8> {
        let copy = if len == 0 {
            Vec::new()
        } else {
            assert!(!data.is_null() && len <= 16 << 20, "{len} bytes were lent at {data:?}");
            // SAFETY: the ABI promises `len` readable bytes.
            unsafe { std::slice::from_raw_parts(data, len) }.to_vec()
        };
        self.lent.insert(
            of.0,
            Lent {
                data,
                copy: copy.clone(),
            },
        );
        copy
    }
}
