//! Frames that own their bytes: what the tests generate, write, and hold against what was parsed.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::wire::frame::{self, Ack, Close, CloseKind, DATA_END, Fragment, Frame, Key};
use crate::wire::varint;

#[derive(Clone, Debug)]
pub(super) enum Model {
    Data(u64, Vec<Vec<u8>>),
    Ack(Ack),
    Unreliable(Vec<u8>),
    Ping([u8; 8]),
    Pong([u8; 8]),
    Auth(Vec<u8>),
    AuthResult(bool, u32, Vec<u8>),
    Close(Close),
    CloseAck(u64),
    Drain(u32, String),
    Keys(Vec<Key>),
    /// seq, bytes in front, the part, bytes behind
    Fragment(u64, u16, Vec<u8>, u16),
}

impl Model {
    /// Appends the frame as a sender would, DATA without its end.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut head = [0; 64];
        match self {
            Self::Data(seq, messages) => {
                let taken = frame::data_header(&mut head, *seq);
                assert_eq!(taken, frame::data_header_len(*seq));
                out.extend_from_slice(&head[..taken]);
                for message in messages {
                    let taken = frame::message_header(&mut head, message.len());
                    assert_eq!(taken, frame::message_header_len(message.len()));
                    out.extend_from_slice(&head[..taken]);
                    out.extend_from_slice(message);
                }
            }
            Self::Ack(ack) => {
                let taken = frame::ack(&mut head, ack);
                assert_eq!(taken, frame::ack_len(ack));
                out.extend_from_slice(&head[..taken]);
            }
            Self::Unreliable(bytes) => {
                let before = out.len();
                frame::unreliable_header(out, bytes.len());
                assert_eq!(out.len() - before, frame::unreliable_header_len(bytes.len()));
                out.extend_from_slice(bytes);
            }
            Self::Ping(token) => {
                let taken = frame::ping(&mut head, *token);
                out.extend_from_slice(&head[..taken]);
            }
            Self::Pong(token) => {
                let taken = frame::pong(&mut head, *token);
                out.extend_from_slice(&head[..taken]);
            }
            Self::Auth(bytes) => frame::auth(out, bytes),
            Self::AuthResult(accepted, code, bytes) => frame::auth_result(out, *accepted, *code, bytes),
            Self::Close(close) => frame::close(out, close),
            Self::CloseAck(recv_next) => frame::close_ack(out, *recv_next),
            Self::Drain(window_ms, address) => frame::drain(out, *window_ms, address),
            Self::Keys(keys) => frame::keys(out, keys),
            Self::Fragment(seq, front, bytes, behind) => {
                let (total, offset) = Self::place(*front, bytes, *behind);
                let taken = frame::fragment_header(&mut head, *seq, total, offset, bytes.len());
                assert_eq!(taken, frame::fragment_header_len(*seq, total, offset, bytes.len()));
                out.extend_from_slice(&head[..taken]);
                out.extend_from_slice(bytes);
            }
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// Whether `frame` says just this.
    pub(super) fn is(&self, frame: &Frame<'_>) -> bool {
        match self {
            Self::Data(seq, messages) => {
                let Frame::Data(run) = frame else {
                    return false;
                };
                run.seq == *seq
                    && run.count == messages.len() as u64
                    && run.payload == messages.iter().map(Vec::len).sum::<usize>() as u64
                    && run.iter().eq(messages.iter().map(Vec::as_slice))
            }
            Self::Ack(ack) => *frame == Frame::Ack(*ack),
            Self::Unreliable(bytes) => *frame == Frame::Unreliable(bytes),
            Self::Ping(token) => *frame == Frame::Ping(*token),
            Self::Pong(token) => *frame == Frame::Pong(*token),
            Self::Auth(bytes) => *frame == Frame::Auth(bytes),
            Self::AuthResult(accepted, code, message) => {
                let (accepted, code) = (*accepted, *code);
                *frame
                    == Frame::AuthResult {
                        accepted,
                        code,
                        message,
                    }
            }
            Self::Close(close) => *frame == Frame::Close(*close),
            Self::CloseAck(recv_next) => *frame == Frame::CloseAck { recv_next: *recv_next },
            Self::Drain(window_ms, address) => {
                let window_ms = *window_ms;
                *frame == Frame::Drain { window_ms, address }
            }
            Self::Keys(keys) => {
                matches!(frame, Frame::Keys(list) if list.len() == keys.len() && list.iter().eq(keys.iter().copied()))
            }
            Self::Fragment(seq, front, bytes, behind) => {
                let (total, offset) = Self::place(*front, bytes, *behind);
                *frame
                    == Frame::Fragment(Fragment {
                        seq: *seq,
                        total,
                        offset,
                        bytes,
                    })
            }
        }
    }

    fn place(front: u16, bytes: &[u8], behind: u16) -> (u32, u32) {
        (
            u32::from(front) + bytes.len() as u32 + u32::from(behind),
            u32::from(front),
        )
    }
}

/// A record of these frames and so many zeros.
pub(super) fn record(frames: &[Model], zeros: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, frame) in frames.iter().enumerate() {
        frame.write(&mut out);
        if matches!(frame, Model::Data(..)) && at + 1 < frames.len() {
            out.push(DATA_END);
        }
    }
    out.resize(out.len() + zeros, 0);
    out
}

/// One of each kind, small.
pub(super) fn samples() -> Vec<Model> {
    let messages = [&b"a"[..], b"", b"bcd", &[7; 62], &[8; 63], &[9; 300]];
    vec![
        Model::Data(70_000, messages.map(Vec::from).to_vec()),
        Model::Ack(Ack {
            recv_next: 1,
            messages: 100,
            bytes: 20_000,
        }),
        Model::Unreliable(b"gone".to_vec()),
        Model::Ping([1; 8]),
        Model::Pong([2; 8]),
        Model::Auth([3; 70].to_vec()),
        Model::AuthResult(false, 4, b"no".to_vec()),
        Model::Close(Close {
            kind: CloseKind::Kicked,
            code: 5,
            send_end: 6,
            recv_next: varint::MAX,
        }),
        Model::CloseAck(300),
        Model::Drain(7, String::from("host:1")),
        Model::Keys(vec![
            Key {
                public: [8; 32],
                lifetime_s: 9
            };
            2
        ]),
        Model::Fragment(10, 300, b"part".to_vec(), 2),
    ]
}

pub(super) fn any_frame() -> impl Strategy<Value = Model> {
    let number = || prop_oneof![0..100u64, 0..=varint::MAX];
    let bytes = |max| vec(any::<u8>(), 0..max);
    let message = prop_oneof![8 => vec(any::<u8>(), 0..70), 1 => vec(any::<u8>(), 0..500)];
    let key = (any::<[u8; 32]>(), any::<u32>()).prop_map(|(public, lifetime_s)| Key { public, lifetime_s });
    prop_oneof![
        4 => (0..varint::MAX - 20, vec(message, 1..20)).prop_map(|(seq, m)| Model::Data(seq, m)),
        1 => (number(), number(), number())
            .prop_map(|(recv_next, messages, bytes)| Model::Ack(Ack { recv_next, messages, bytes })),
        1 => bytes(100).prop_map(Model::Unreliable),
        1 => any::<[u8; 8]>().prop_map(Model::Ping),
        1 => any::<[u8; 8]>().prop_map(Model::Pong),
        1 => bytes(100).prop_map(Model::Auth),
        1 => (any::<bool>(), any::<u32>(), bytes(100)).prop_map(|(a, c, m)| Model::AuthResult(a, c, m)),
        1 => (0u8..=7, any::<u32>(), number(), number()).prop_map(|(kind, code, send_end, recv_next)| {
            Model::Close(Close { kind: CloseKind::from_byte(kind).unwrap(), code, send_end, recv_next })
        }),
        1 => number().prop_map(Model::CloseAck),
        1 => (any::<u32>(), "[a-zé:0-9]{0,100}").prop_map(|(w, a)| Model::Drain(w, a)),
        1 => vec(key, 1..=4).prop_map(Model::Keys),
        1 => (0..varint::MAX, any::<u16>(), vec(any::<u8>(), 1..100), any::<u16>())
            .prop_map(|(seq, front, bytes, behind)| Model::Fragment(seq, front, bytes, behind)),
    ]
}
