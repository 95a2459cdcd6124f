//! Writing frames.
//!
//! The frames of the hot path (DATA, FRAGMENT, ACK, PING, PONG) are written into the buffer that will be sealed in
//! place: the functions write at the front of `out`, say how many bytes they took and, for DATA and FRAGMENT, leave
//! the payload to the caller. `*_len` says how many bytes that will be; `out` must have them, as for any slice.
//! The rare frames are appended to a `Vec`.
//!
//! Fields over their bound are a bug of the caller: the debug build stops there. The release build cuts opaque bytes
//! off at the bound and leaves an address out, so that what is sent is well formed anyway.

use alloc::vec::Vec;

use super::keys::KEY_LEN;
use super::{ADDRESS_MAX, AUTH_MAX, AUTH_RESULT_MAX, Ack, Close, KEYS_MAX, Key, code};
use crate::wire::varint;

/// Bytes of a PING or a PONG.
pub const PING_LEN: usize = 9;

/// Bytes of [`data_header`].
#[inline]
pub const fn data_header_len(seq: u64) -> usize {
    1 + varint::len(seq)
}

/// Begins a DATA whose first message is `seq`; entries follow, each a [`message_header`] and the message. A frame
/// behind it needs a [`DATA_END`](super::DATA_END) between.
#[inline]
pub fn data_header(out: &mut [u8], seq: u64) -> usize {
    debug_assert!(seq < varint::MAX);
    out[0] = code::DATA;
    1 + varint::write(&mut out[1..], seq)
}

/// Bytes of [`message_header`].
#[inline]
pub const fn message_header_len(len: usize) -> usize {
    varint::len(len as u64 + 1)
}

/// The head of an entry of a DATA, for a message of `len` bytes.
#[inline]
pub fn message_header(out: &mut [u8], len: usize) -> usize {
    varint::write(out, len as u64 + 1)
}

/// Bytes of [`fragment_header`].
#[inline]
pub const fn fragment_header_len(seq: u64, total: u32, offset: u32, len: usize) -> usize {
    1 + varint::len(seq) + varint::len(total as u64) + varint::len(offset as u64) + varint::len(len as u64)
}

/// The head of a FRAGMENT: `len` bytes follow, those at `offset` of the `total` of message `seq`.
#[inline]
pub fn fragment_header(out: &mut [u8], seq: u64, total: u32, offset: u32, len: usize) -> usize {
    debug_assert!(seq < varint::MAX && len > 0 && u64::from(offset) + len as u64 <= u64::from(total));
    out[0] = code::FRAGMENT;
    let mut at = 1;
    for number in [seq, u64::from(total), u64::from(offset), len as u64] {
        at += varint::write(&mut out[at..], number);
    }
    at
}

/// Bytes of [`ack`].
#[inline]
pub const fn ack_len(ack: &Ack) -> usize {
    1 + varint::len(ack.recv_next) + varint::len(ack.messages) + varint::len(ack.bytes)
}

/// An ACK.
#[inline]
pub fn ack(out: &mut [u8], ack: &Ack) -> usize {
    out[0] = code::ACK;
    let mut at = 1;
    for number in [ack.recv_next, ack.messages, ack.bytes] {
        at += varint::write(&mut out[at..], number);
    }
    at
}

/// A PING, [`PING_LEN`] bytes.
#[inline]
pub fn ping(out: &mut [u8], token: [u8; 8]) -> usize {
    tokened(out, code::PING, token)
}

/// A PONG, [`PING_LEN`] bytes.
#[inline]
pub fn pong(out: &mut [u8], token: [u8; 8]) -> usize {
    tokened(out, code::PONG, token)
}

/// Bytes of [`unreliable_header`].
#[inline]
pub const fn unreliable_header_len(len: usize) -> usize {
    1 + varint::len(len as u64)
}

/// The head of an UNRELIABLE; `len` bytes follow.
#[inline]
pub fn unreliable_header(out: &mut Vec<u8>, len: usize) {
    out.push(code::UNRELIABLE);
    varint::put(out, len as u64);
}

/// An AUTH.
pub fn auth(out: &mut Vec<u8>, credential: &[u8]) {
    out.push(code::AUTH);
    sized(out, credential, AUTH_MAX);
}

/// An AUTH_RESULT.
pub fn auth_result(out: &mut Vec<u8>, accepted: bool, code: u32, message: &[u8]) {
    out.extend_from_slice(&[code::AUTH_RESULT, u8::from(!accepted)]);
    out.extend_from_slice(&code.to_be_bytes());
    sized(out, message, AUTH_RESULT_MAX);
}

/// A CLOSE.
pub fn close(out: &mut Vec<u8>, close: &Close) {
    out.extend_from_slice(&[code::CLOSE, close.kind as u8]);
    out.extend_from_slice(&close.code.to_be_bytes());
    varint::put(out, close.send_end);
    varint::put(out, close.recv_next);
}

/// A CLOSE_ACK.
pub fn close_ack(out: &mut Vec<u8>, recv_next: u64) {
    out.push(code::CLOSE_ACK);
    varint::put(out, recv_next);
}

/// A DRAIN. An address that is too long is left out: the client then goes where it was configured to go.
pub fn drain(out: &mut Vec<u8>, window_ms: u32, address: &str) {
    debug_assert!(address.len() <= ADDRESS_MAX);
    let address = if address.len() <= ADDRESS_MAX { address } else { "" };
    out.push(code::DRAIN);
    out.extend_from_slice(&window_ms.to_be_bytes());
    sized(out, address.as_bytes(), ADDRESS_MAX);
}

/// A KEYS with the first four of `keys`; without any, nothing.
pub fn keys(out: &mut Vec<u8>, keys: &[Key]) {
    debug_assert!((1..=KEYS_MAX).contains(&keys.len()));
    if keys.is_empty() {
        return;
    }
    let keys = &keys[..keys.len().min(KEYS_MAX)];
    out.reserve(2 + keys.len() * KEY_LEN);
    out.extend_from_slice(&[code::KEYS, keys.len() as u8]);
    for key in keys {
        out.extend_from_slice(&key.public);
        out.extend_from_slice(&key.lifetime_s.to_be_bytes());
    }
}

fn tokened(out: &mut [u8], code: u8, token: [u8; 8]) -> usize {
    out[0] = code;
    out[1..PING_LEN].copy_from_slice(&token);
    PING_LEN
}

fn sized(out: &mut Vec<u8>, bytes: &[u8], max: usize) {
    debug_assert!(bytes.len() <= max);
    let bytes = &bytes[..bytes.len().min(max)];
    varint::put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
