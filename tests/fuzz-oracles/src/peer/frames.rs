//! From what a peer says to bytes.

use unbroken::wire::frame::{self, Ack, Close, CloseKind, DATA_END, Key};
use unbroken::wire::{record, varint};

use super::program::Says;
use crate::host;

/// The peer's own counts, from which it departs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// The next number of its own messages.
    pub send_next: u64,
    /// Bytes of that message already sent in fragments.
    pub offset: u32,
    /// What it has received whole, or says that it has.
    pub recv_next: u64,
    /// Beyond all numbers it has ever used.
    pub highest: u64,
}

/// A number near `base`.
pub fn near(base: u64, shift: i8) -> u64 {
    base.saturating_add_signed(shift.into()).min(varint::MAX)
}

/// Appends one frame; what it does to the peer's counts if it is believed is noted there.
pub fn say(says: &Says, counts: &mut Counts, out: &mut Vec<u8>) {
    let mut head = [0; 48];
    match says {
        Says::Data { shift, count, size } => {
            let seq = near(counts.send_next, *shift).min(varint::MAX - 300);
            let count = u64::from(*count).max(1);
            data(out, seq, count, usize::from(*size));
            if seq <= counts.send_next && seq + count > counts.send_next {
                (counts.send_next, counts.offset) = (seq + count, 0);
            }
        }
        Says::Ack { shift, messages, bytes } => {
            let ack = Ack {
                recv_next: near(counts.recv_next, *shift),
                messages: (*messages).into(),
                bytes: (*bytes).into(),
            };
            let used = frame::ack(&mut head, &ack);
            out.extend_from_slice(&head[..used]);
        }
        Says::WildAck {
            recv_next,
            messages,
            bytes,
        } => {
            let [recv_next, messages, bytes] = [recv_next, messages, bytes].map(|n| n & varint::MAX);
            let used = frame::ack(
                &mut head,
                &Ack {
                    recv_next,
                    messages,
                    bytes,
                },
            );
            out.extend_from_slice(&head[..used]);
        }
        Says::Unreliable(size) => {
            let size = usize::from(size % 16_000);
            frame::unreliable_header(out, size);
            out.resize(out.len() + size, 7);
        }
        Says::Ping(token) => {
            let used = frame::ping(&mut head, *token);
            out.extend_from_slice(&head[..used]);
        }
        Says::Pong(token) => {
            let used = frame::pong(&mut head, *token);
            out.extend_from_slice(&head[..used]);
        }
        Says::Auth(size) => frame::auth(out, &vec![b'a'; usize::from(size % 8193)]),
        Says::AuthResult { accepted, code, size } => {
            frame::auth_result(out, *accepted, *code, &vec![b'w'; usize::from(size % 1025)]);
        }
        Says::Close {
            kind,
            code,
            send_end,
            recv_next,
        } => {
            let kind = CloseKind::from_byte(kind % 8).unwrap_or(CloseKind::Application);
            let (send_end, recv_next) = (near(counts.send_next, *send_end), near(counts.recv_next, *recv_next));
            frame::close(
                out,
                &Close {
                    kind,
                    code: *code,
                    send_end,
                    recv_next,
                },
            );
        }
        Says::CloseAck(recv_next) => frame::close_ack(out, (*recv_next).into()),
        Says::Drain { window_ms, address } => frame::drain(out, *window_ms, &"h".repeat((*address).into())),
        Says::Keys { count, lifetime_s } => {
            let key = |n: u8| Key {
                public: [n.max(1); 32],
                lifetime_s: *lifetime_s,
            };
            frame::keys(
                out,
                &(0..1 + count % 4)
                    .map(|n| key(count.wrapping_add(n)))
                    .collect::<Vec<_>>(),
            );
        }
        Says::Fragment {
            shift,
            total,
            offset,
            size,
        } => {
            let seq = near(counts.send_next, *shift).min(varint::MAX - 1);
            let offset = counts.offset.saturating_add_signed((*offset).into());
            let size = u32::from(size % 16_000).max(1);
            let total = (*total % 80_000).max(offset.saturating_add(size));
            let used = frame::fragment_header(&mut head, seq, total, offset, size as usize);
            out.extend_from_slice(&head[..used]);
            let bytes = host::message(9, seq as usize, total as usize);
            out.extend_from_slice(&bytes[offset as usize..(offset + size) as usize]);
            if *shift == 0 {
                counts.offset = offset + size;
                if counts.offset == total {
                    (counts.send_next, counts.offset) = (counts.send_next + 1, 0);
                }
            }
        }
        Says::Future { code, size } => {
            out.push(0x40 + code % 0x40);
            varint::put(out, (*size).into());
            out.resize(out.len() + usize::from(*size), 1);
        }
        Says::Pad(count) => out.resize(out.len() + usize::from(*count), 0),
        Says::Raw(bytes) => out.extend_from_slice(bytes),
    }
}

/// A DATA of `count` messages of a size, or of as many as make it too long for a record: that is not sent, however long it is.
pub fn data(out: &mut Vec<u8>, seq: u64, count: u64, size: usize) {
    let mut head = [0; 16];
    let used = frame::data_header(&mut head, seq);
    out.extend_from_slice(&head[..used]);
    for n in 0..count {
        if out.len() > record::PLAINTEXT_MAX {
            break;
        }
        let used = frame::message_header(&mut head, size);
        out.extend_from_slice(&head[..used]);
        out.extend_from_slice(&host::message(9, (seq + n) as usize, size));
    }
    out.push(DATA_END);
}
