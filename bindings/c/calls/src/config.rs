//! Structs that begin with their size, as a caller of any age would bring them.

use std::ffi::c_void;

use unbroken_c::*;

use crate::Data;
use crate::memory::Input;

/// How large a struct says to be, beside what it is, and what stands in what is more.
#[derive(Clone, Copy, Default, Debug)]
pub struct Shape {
    pub more: i8,
    pub tail: u8,
}

/// One of the structs of numbers: the defaults, but for some fields, by their place behind the size.
#[derive(Clone, Default, Debug)]
pub struct Group {
    pub shape: Shape,
    pub set: Vec<(u8, u32)>,
}

#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    pub count: u32,
    /// As many keys as `count` are there, whatever stands here; or null.
    pub bytes: Option<&'a [u8]>,
}

#[derive(Clone, Debug)]
pub struct ClientConfig<'a> {
    pub shape: Shape,
    pub pins: Keys<'a>,
    pub realm: Data<'a>,
    pub credential: Data<'a>,
    pub limits: Option<Group>,
    pub timing: Option<Group>,
    pub backoff: Option<Group>,
}

#[derive(Clone, Debug)]
pub struct ServerConfig<'a> {
    pub shape: Shape,
    pub keys: Keys<'a>,
    pub cluster_key: Option<[u8; 32]>,
    pub older: Keys<'a>,
    pub realm: Data<'a>,
    pub address: Data<'a>,
    pub limits: Option<Group>,
    pub timing: Option<Group>,
    pub authorise_all: bool,
    pub ask_on_resume: bool,
    pub shard: (u16, u16),
    pub durability: i32,
}

/// A note or a message of a reply.
pub type Item<'a> = (u64, Data<'a>);

/// A reply of the store.
#[derive(Clone, Debug)]
pub struct Reply<'a> {
    pub shape: Shape,
    pub kind: i32,
    pub record: i32,
    pub expired: bool,
    pub owner_alive: bool,
    pub token: u64,
    pub cursor: u64,
    pub owner: [u8; 16],
    pub key: Option<[u8; 8]>,
    pub data: Data<'a>,
    pub items: Vec<Item<'a>>,
    /// So many are said to be at a null pointer.
    pub no_items: Option<usize>,
}

impl Default for Reply<'_> {
    fn default() -> Self {
        Reply {
            shape: Shape::default(),
            kind: 0,
            record: 0,
            expired: false,
            owner_alive: false,
            token: 0,
            cursor: 0,
            owner: [0; 16],
            key: None,
            data: Data::Null(0),
            items: Vec::new(),
            no_items: None,
        }
    }
}

/// A struct in an allocation as large as it says to be, and what it leads to.
///
/// Not a `Box`, here and in `memory`: moving one claims that no other pointer leads to its contents, and the structs here hold such pointers.
pub(crate) struct Built {
    bytes: Vec<u8>,
    _inner: Vec<Built>,
    _inputs: Vec<Input>,
}

impl Built {
    /// # Safety
    /// `value` is `repr(C)`, begins with a `u32` that is its size, and has no padding.
    unsafe fn new<T>(value: &T, shape: Shape, inner: Vec<Built>, inputs: Vec<Input>) -> Self {
        // SAFETY: readable, as it is a reference, and without padding.
        let own = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast::<u8>(), size_of::<T>()) };
        let size = size_of::<T>().saturating_add_signed(shape.more.into()).max(4);
        let mut bytes = Vec::with_capacity(size);
        bytes.extend_from_slice(&own[..own.len().min(size)]);
        bytes.resize(size, shape.tail);
        bytes[..4].copy_from_slice(&(size as u32).to_ne_bytes());
        Built {
            bytes,
            _inner: inner,
            _inputs: inputs,
        }
    }

    pub fn pointer<T>(&self) -> *const T {
        self.bytes.as_ptr().cast()
    }
}

/// The defaults, by the library's own function.
fn defaults<T>(init: unsafe extern "C" fn(*mut T, usize) -> i32) -> T {
    let mut value = std::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: writable for its size, and the ABI's structs are integers and pointers, of which zeros are a value.
    unsafe {
        assert_eq!(init(value.as_mut_ptr(), size_of::<T>()), 0);
        value.assume_init()
    }
}

fn group<T>(group: &Group, init: unsafe extern "C" fn(*mut T, usize) -> i32) -> Built {
    let mut value = defaults(init);
    let fields = size_of::<T>() / 4 - 1;
    for (field, number) in &group.set {
        let place = std::ptr::from_mut(&mut value).cast::<u32>();
        // SAFETY: the three structs of numbers are `u32` after `u32`, and this is one of them behind the first.
        unsafe { place.add(1 + usize::from(*field) % fields).write(*number) };
    }
    // SAFETY: one of the three structs of numbers.
    unsafe { Built::new(&value, group.shape, Vec::new(), Vec::new()) }
}

fn keys(keys: &Keys<'_>) -> Input {
    let Some(bytes) = keys.bytes else {
        return Input::new(Data::Null(0));
    };
    let mut all = bytes.to_vec();
    all.resize(keys.count.min(8) as usize * 32, 0x33);
    Input::new(Data::Bytes(&all))
}

fn optional<T>(built: Option<Built>, inner: &mut Vec<Built>) -> *const T {
    built.map_or(std::ptr::null(), |built| {
        let pointer = built.pointer::<c_void>();
        inner.push(built);
        pointer.cast()
    })
}

pub(crate) fn client(config: &ClientConfig<'_>) -> Built {
    let mut inner = Vec::new();
    let inputs = vec![
        keys(&config.pins),
        Input::new(config.realm),
        Input::new(config.credential),
    ];
    let mut value = defaults(unbroken_client_config_init);
    (value.pins, value.pin_count) = (inputs[0].pointer(), config.pins.count);
    (value.realm, value.realm_len) = (inputs[1].pointer(), inputs[1].len);
    (value.credential, value.credential_len) = (inputs[2].pointer(), inputs[2].len);
    value.limits = optional(
        config.limits.as_ref().map(|set| group(set, unbroken_limits_init)),
        &mut inner,
    );
    value.timing = optional(
        config.timing.as_ref().map(|set| group(set, unbroken_timing_init)),
        &mut inner,
    );
    value.backoff = optional(
        config.backoff.as_ref().map(|set| group(set, unbroken_backoff_init)),
        &mut inner,
    );
    // SAFETY: as the ABI's tests show, it has no padding.
    unsafe { Built::new(&value, config.shape, inner, inputs) }
}

pub(crate) fn server(config: &ServerConfig<'_>) -> Built {
    let mut inner = Vec::new();
    let inputs = vec![
        keys(&config.keys),
        Input::array(config.cluster_key),
        keys(&config.older),
        Input::new(config.realm),
        Input::new(config.address),
    ];
    let mut value = defaults(unbroken_server_config_init);
    (value.keys, value.key_count) = (inputs[0].pointer(), config.keys.count);
    value.cluster_key = inputs[1].pointer();
    (value.older_cluster_keys, value.older_cluster_count) = (inputs[2].pointer(), config.older.count);
    (value.realm, value.realm_len) = (inputs[3].pointer(), inputs[3].len);
    (value.address, value.address_len) = (inputs[4].pointer(), inputs[4].len);
    value.limits = optional(
        config.limits.as_ref().map(|set| group(set, unbroken_limits_init)),
        &mut inner,
    );
    value.timing = optional(
        config.timing.as_ref().map(|set| group(set, unbroken_timing_init)),
        &mut inner,
    );
    value.authorise_all = config.authorise_all.into();
    value.ask_on_resume = config.ask_on_resume.into();
    (value.shard_index, value.shard_count) = config.shard;
    value.durability = config.durability;
    // SAFETY: as the ABI's tests show, it has no padding.
    unsafe { Built::new(&value, config.shape, inner, inputs) }
}

pub(crate) fn reply(reply: &Reply<'_>) -> Built {
    let mut inputs: Vec<Input> = reply.items.iter().map(|(_, data)| Input::new(*data)).collect();
    let items: Vec<u8> = reply
        .items
        .iter()
        .zip(&inputs)
        .flat_map(|((cursor, _), data)| {
            let place = data.pointer().expose_provenance().to_ne_bytes();
            [cursor.to_ne_bytes(), place, data.len.to_ne_bytes()].concat()
        })
        .collect();
    inputs.push(Input::new(reply.data));
    let mut value = defaults(unbroken_store_reply_init);
    (value.kind, value.record) = (reply.kind, reply.record);
    (value.expired, value.owner_alive) = (reply.expired.into(), reply.owner_alive.into());
    (value.token, value.cursor, value.owner) = (reply.token, reply.cursor, reply.owner);
    (value.has_key, value.key) = (reply.key.is_some().into(), reply.key.unwrap_or_default());
    let data = &inputs[inputs.len() - 1];
    (value.data, value.len) = (data.pointer(), data.len);
    inputs.push(Input::new(Data::Bytes(&items)));
    (value.items, value.item_count) = match reply.no_items {
        Some(count) => (std::ptr::null(), count),
        None => (inputs[inputs.len() - 1].pointer().cast(), reply.items.len()),
    };
    // SAFETY: as the ABI's tests show, it has no padding.
    unsafe { Built::new(&value, reply.shape, Vec::new(), inputs) }
}
