//! Requests to the store and their replies, flat. `unbroken::store` has what each means; here it becomes C's, and C's becomes it.

use bytes::Bytes;
use unbroken::{Expect, Owner, Peeked, Record, StoreOp, StoreReply, StoreRequest};

use crate::config::{init, read};
use crate::event::micros;
use crate::memory::slice;
use crate::status::{Failure, unbroken_status::*};

/// What can be asked of the store. Requests about one key are carried out in the order in which they were given out; `PEEK`, `PUT`,
/// `APPEND`, `READ` and `TRIM` are about a key.
#[repr(i32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum unbroken_store_op {
    /// Read the record of `key`. Answer: `PEEKED`.
    UNBROKEN_STORE_PEEK = 1,
    /// Write the record of `key`, kind `record`, with `token`, `owner` and the data, if the one there is as expected: of kind `expect` with
    /// `expect_token` and, if `LIVE`, `expect_owner`. Its life is `life_us` from now by the store's clock; a `PARKED` one is expired after that and
    /// kept for `linger_us` more, others are gone. What is expired or gone counts as `NONE` to a `PUT`. Answer: `DONE` or `CONFLICT`.
    UNBROKEN_STORE_PUT = 2,
    /// Say that `owner` is alive for `life_us`, by the store's clock; 0 gives the lease up, and the mailbox with it. Answer: `DONE`.
    UNBROKEN_STORE_LEASE = 3,
    /// Put the data, at most 512 bytes, into the mailbox of `owner`. Notes may be lost or come twice. Answer: `DONE`, or `CONFLICT` if that
    /// owner has no lease.
    UNBROKEN_STORE_SEND = 4,
    /// Wait for notes to `owner`. Answer: `NOTES`, at once if there are any, else when there are, or none after some seconds. An endpoint has
    /// at most one of these out, and it must not hold up other requests.
    UNBROKEN_STORE_RECEIVE = 5,
    /// Append the data to the queue of `key`, to be kept for `life_us`. The first message stands at 1, the next at 2, and so on. Answer:
    /// `APPENDED`, or `NO_SESSION` if the record is absent, expired or a `TOMB`, or `CONFLICT` if the queue is full.
    UNBROKEN_STORE_APPEND = 6,
    /// Read at most `max` messages of `key` behind `cursor`, in order. Answer: `MESSAGES`.
    UNBROKEN_STORE_READ = 7,
    /// Forget messages of `key` up to `cursor`, that one included. Answer: `DONE`.
    UNBROKEN_STORE_TRIM = 8,
    /// Say that the session of `user` is `key` now, for `life_us`. Answer: `BOUND`, with the one before it, also when the same is asked again; or
    /// `CONFLICT`, and nothing changes, if it was his before and another is by now. At least the last 8 sessions of a user are remembered.
    UNBROKEN_STORE_BIND = 9,
}

/// Kinds of records.
#[repr(i32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum unbroken_record {
    /// There is none.
    UNBROKEN_RECORD_NONE = 0,
    /// An endpoint has the session, `owner`. The data is a sealed snapshot, or empty.
    UNBROKEN_RECORD_LIVE = 1,
    /// Nobody has it: the data is a sealed snapshot that waits for the client.
    UNBROKEN_RECORD_PARKED = 2,
    /// It has ended. The data says how, in the endpoints' own encoding.
    UNBROKEN_RECORD_TOMB = 3,
}

/// Outcomes of requests.
#[repr(i32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum unbroken_store_reply_kind {
    /// Done.
    UNBROKEN_REPLY_DONE = 1,
    /// It was not as expected; nothing changed.
    UNBROKEN_REPLY_CONFLICT = 2,
    /// What `PEEK` found: kind `record` (`NONE` if there is none, or it is gone), `token`, `owner` if `LIVE`, the data; `expired`, `owner_alive`.
    UNBROKEN_REPLY_PEEKED = 3,
    /// Notes, oldest first, at `items`; may be none.
    UNBROKEN_REPLY_NOTES = 4,
    /// The message stands at `cursor`; `owner` has the session if it is `LIVE`, else zeros.
    UNBROKEN_REPLY_APPENDED = 5,
    /// There is no such session.
    UNBROKEN_REPLY_NO_SESSION = 6,
    /// Messages with their places, in order, at `items`; fewer than asked for if there are no more.
    UNBROKEN_REPLY_MESSAGES = 7,
    /// The user's session before is `key`, if it was another; `has_key` says whether.
    UNBROKEN_REPLY_BOUND = 8,
    /// It was certainly not done: the store could not be reached, or refused it.
    UNBROKEN_REPLY_UNAVAILABLE = 9,
    /// The store did not answer in time, or the connection broke: whether it was done, or will be yet, is not known. A host must give this
    /// for every request that it has no answer to after a few seconds.
    UNBROKEN_REPLY_FAILED = 10,
}

/// One request. Fields that its `op` does not mention are zero.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct unbroken_store_request {
    /// To be given back with the reply.
    pub id: u64,
    /// An `unbroken_store_op`.
    pub op: i32,
    /// `PUT`: the kind of record that must be there, an `unbroken_record`: `NONE`, `LIVE` or `PARKED`.
    pub expect: i32,
    /// `PUT`: the kind of record that shall be there.
    pub record: i32,
    /// `READ`: how many messages at most.
    pub max: u32,
    /// Which session: the first 8 bytes of its id.
    pub key: [u8; 8],
    /// `PUT`: the token that must be there.
    pub expect_token: u64,
    /// `PUT`: the owner that must be there, if `expect` is `LIVE`.
    pub expect_owner: [u8; 16],
    /// `PUT`: the new record's token.
    pub token: u64,
    /// `PUT` of a `LIVE` record: who has it. `LEASE`, `SEND`, `RECEIVE`: whose.
    pub owner: [u8; 16],
    /// `BIND`: a digest of the user.
    pub user: [u8; 32],
    /// `PUT`, `LEASE`, `APPEND`, `BIND`: how long it counts.
    pub life_us: u64,
    /// `PUT`: how long an expired `PARKED` record is kept beyond.
    pub linger_us: u64,
    /// `READ`, `TRIM`: a place in the queue.
    pub cursor: u64,
    /// `PUT`, `SEND`, `APPEND`: how many bytes `unbroken_endpoint_store_data` has.
    pub data_len: u64,
    /// Zero.
    pub reserved: [u64; 2],
}

/// A note, or a message with its place.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct unbroken_store_item {
    /// `MESSAGES`: where it stands.
    pub cursor: u64,
    /// Its bytes.
    pub data: *const u8,
    /// How many.
    pub len: usize,
}

/// The outcome of a request. Fill it by `unbroken_store_reply_init`, then set `kind` and what that mentions. What the pointers lead to is copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct unbroken_store_reply {
    /// `sizeof(unbroken_store_reply)`.
    pub struct_size: u32,
    /// An `unbroken_store_reply_kind`.
    pub kind: i32,
    /// `PEEKED`: an `unbroken_record`.
    pub record: i32,
    /// `PEEKED` of a `PARKED` record: not 0 if its life is over.
    pub expired: u8,
    /// `PEEKED` of a `LIVE` record: not 0 if its owner's lease stands.
    pub owner_alive: u8,
    /// `BOUND`: not 0 if the user had another session before this one, `key`.
    pub has_key: u8,
    /// Zero.
    pub reserved: u8,
    /// `PEEKED`: the record's token.
    pub token: u64,
    /// `APPENDED`: where the message stands.
    pub cursor: u64,
    /// `PEEKED` of a `LIVE` record: who has it. `APPENDED`: the same, or zeros.
    pub owner: [u8; 16],
    /// `BOUND`: the user's session before.
    pub key: [u8; 8],
    /// `PEEKED`: the record's data.
    pub data: *const u8,
    /// Its length.
    pub len: usize,
    /// `NOTES`, `MESSAGES`: the first of them.
    pub items: *const unbroken_store_item,
    /// How many there are.
    pub item_count: usize,
}

/// Fills `reply` with zeros; `kind` must then be set. `struct_size` is `sizeof(unbroken_store_reply)`.
///
/// # Safety
/// `reply` must be writable for `struct_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_store_reply_init(reply: *mut unbroken_store_reply, struct_size: usize) -> i32 {
    // SAFETY: passed on.
    unsafe { init(reply, struct_size, |value, size| value.struct_size = size) }
}

use unbroken_record::*;
use unbroken_store_op::*;

impl unbroken_store_request {
    /// The request in flat form, and its data.
    pub(crate) fn new(request: StoreRequest) -> (Self, Bytes) {
        let mut flat = unbroken_store_request {
            id: request.id.0,
            ..Default::default()
        };
        let mut data = Bytes::new();
        let op = match request.op {
            StoreOp::Peek { key } => {
                flat.key = key;
                UNBROKEN_STORE_PEEK
            }
            StoreOp::Put {
                key,
                expect,
                record,
                life,
                linger,
            } => {
                flat.key = key;
                (flat.life_us, flat.linger_us) = (micros(life), micros(linger));
                flat.expect(&expect);
                data = flat.put(record);
                UNBROKEN_STORE_PUT
            }
            StoreOp::Lease { owner, life } => {
                (flat.owner, flat.life_us) = (owner.0, micros(life));
                UNBROKEN_STORE_LEASE
            }
            StoreOp::Send { to, note } => {
                (flat.owner, data) = (to.0, note);
                UNBROKEN_STORE_SEND
            }
            StoreOp::Receive { owner } => {
                flat.owner = owner.0;
                UNBROKEN_STORE_RECEIVE
            }
            StoreOp::Append { key, message, life } => {
                (flat.key, flat.life_us, data) = (key, micros(life), message);
                UNBROKEN_STORE_APPEND
            }
            StoreOp::Read { key, after, max } => {
                (flat.key, flat.cursor, flat.max) = (key, after, max);
                UNBROKEN_STORE_READ
            }
            StoreOp::Trim { key, upto } => {
                (flat.key, flat.cursor) = (key, upto);
                UNBROKEN_STORE_TRIM
            }
            StoreOp::Bind { user, key, life } => {
                (flat.user, flat.key, flat.life_us) = (user, key, micros(life));
                UNBROKEN_STORE_BIND
            }
        };
        flat.op = op as i32;
        flat.data_len = data.len() as u64;
        (flat, data)
    }

    fn expect(&mut self, expect: &Expect) {
        let kind = match *expect {
            Expect::Absent => UNBROKEN_RECORD_NONE,
            Expect::Live(token, owner) => {
                (self.expect_token, self.expect_owner) = (token, owner.0);
                UNBROKEN_RECORD_LIVE
            }
            Expect::Parked(token) => {
                self.expect_token = token;
                UNBROKEN_RECORD_PARKED
            }
        };
        self.expect = kind as i32;
    }

    fn put(&mut self, record: Record) -> Bytes {
        self.token = record.token();
        let (kind, blob) = match record {
            Record::Live { owner, blob, .. } => {
                self.owner = owner.0;
                (UNBROKEN_RECORD_LIVE, blob)
            }
            Record::Parked { blob, .. } => (UNBROKEN_RECORD_PARKED, blob),
            Record::Tomb { blob, .. } => (UNBROKEN_RECORD_TOMB, blob),
        };
        self.record = kind as i32;
        blob
    }
}

/// The reply as the core has it.
///
/// # Safety
/// `reply` and all it leads to must be readable as the structs say.
pub(crate) unsafe fn reply(reply: *const unbroken_store_reply) -> Result<StoreReply, Failure> {
    use unbroken_store_reply_kind::*;
    const DONE: i32 = UNBROKEN_REPLY_DONE as i32;
    const CONFLICT: i32 = UNBROKEN_REPLY_CONFLICT as i32;
    const PEEKED: i32 = UNBROKEN_REPLY_PEEKED as i32;
    const NOTES: i32 = UNBROKEN_REPLY_NOTES as i32;
    const APPENDED: i32 = UNBROKEN_REPLY_APPENDED as i32;
    const NO_SESSION: i32 = UNBROKEN_REPLY_NO_SESSION as i32;
    const MESSAGES: i32 = UNBROKEN_REPLY_MESSAGES as i32;
    const BOUND: i32 = UNBROKEN_REPLY_BOUND as i32;
    const UNAVAILABLE: i32 = UNBROKEN_REPLY_UNAVAILABLE as i32;
    const FAILED: i32 = UNBROKEN_REPLY_FAILED as i32;
    // SAFETY: passed on.
    let reply = unsafe { read(reply) }?;
    Ok(match reply.kind {
        DONE => StoreReply::Done,
        CONFLICT => StoreReply::Conflict,
        // SAFETY: passed on.
        PEEKED => StoreReply::Peeked(unsafe { peeked(&reply) }?),
        // SAFETY: passed on.
        NOTES => StoreReply::Notes(unsafe { items(&reply, |_, data| data) }?),
        APPENDED => StoreReply::Appended {
            cursor: reply.cursor,
            owner: Some(Owner(reply.owner)).filter(|owner| *owner != Owner::NONE),
        },
        NO_SESSION => StoreReply::NoSession,
        // SAFETY: passed on.
        MESSAGES => StoreReply::Messages(unsafe { items(&reply, |cursor, data| (cursor, data)) }?),
        BOUND => StoreReply::Bound((reply.has_key != 0).then_some(reply.key)),
        UNAVAILABLE => StoreReply::Unavailable,
        FAILED => StoreReply::Failed,
        other => {
            return Err(Failure::new(
                UNBROKEN_ERR_ARGUMENT,
                format!("{other} is no unbroken_store_reply_kind"),
            ));
        }
    })
}

/// # Safety
/// `reply` must be as the struct says.
unsafe fn peeked(reply: &unbroken_store_reply) -> Result<Option<Peeked>, Failure> {
    const NONE: i32 = UNBROKEN_RECORD_NONE as i32;
    const LIVE: i32 = UNBROKEN_RECORD_LIVE as i32;
    const PARKED: i32 = UNBROKEN_RECORD_PARKED as i32;
    const TOMB: i32 = UNBROKEN_RECORD_TOMB as i32;
    // SAFETY: passed on.
    let blob = Bytes::copy_from_slice(unsafe { slice(reply.data, reply.len) }?);
    let (token, owner) = (reply.token, Owner(reply.owner));
    let record = match reply.record {
        NONE => return Ok(None),
        LIVE => Record::Live { token, owner, blob },
        PARKED => Record::Parked { token, blob },
        TOMB => Record::Tomb { token, blob },
        other => {
            return Err(Failure::new(
                UNBROKEN_ERR_ARGUMENT,
                format!("{other} is no unbroken_record"),
            ));
        }
    };
    Ok(Some(Peeked {
        record,
        expired: reply.expired != 0,
        owner_alive: reply.owner_alive != 0,
    }))
}

/// # Safety
/// `reply` must be as the struct says.
unsafe fn items<T>(reply: &unbroken_store_reply, item: impl Fn(u64, Bytes) -> T) -> Result<Vec<T>, Failure> {
    const SIZE: usize = size_of::<unbroken_store_item>();
    let total = reply.item_count.checked_mul(SIZE).ok_or(UNBROKEN_ERR_LENGTH)?;
    // SAFETY: `item_count` structs are readable, as the caller promises.
    let bytes = unsafe { slice(reply.items.cast::<u8>(), total) }?;
    let read = |bytes: &[u8]| {
        // SAFETY: `bytes` are those of one struct, all of whose fields the caller has set; no alignment is asked for.
        let one = unsafe { bytes.as_ptr().cast::<unbroken_store_item>().read_unaligned() };
        // SAFETY: readable, as the caller promises.
        let data = unsafe { slice(one.data, one.len) }?;
        Ok(item(one.cursor, Bytes::copy_from_slice(data)))
    };
    bytes.chunks_exact(SIZE).map(read).collect()
}
