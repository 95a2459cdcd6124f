//! Frames (section 4), written and read by hand.

use super::Take;

/// A frame as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RawFrame {
    Data {
        seq: u64,
        messages: Vec<Vec<u8>>,
    },
    Ack {
        recv_next: u64,
        messages: u64,
        bytes: u64,
    },
    Unreliable(Vec<u8>),
    Ping([u8; 8]),
    Pong([u8; 8]),
    Auth(Vec<u8>),
    AuthResult {
        verdict: u8,
        code: u32,
        message: Vec<u8>,
    },
    Close {
        kind: u8,
        code: u32,
        send_end: u64,
        recv_next: u64,
    },
    CloseAck {
        recv_next: u64,
    },
    Drain {
        window_ms: u32,
        address: Vec<u8>,
    },
    Keys(Vec<([u8; 32], u32)>),
    Fragment {
        seq: u64,
        total: u64,
        offset: u64,
        bytes: Vec<u8>,
    },
}

/// The frames of a plaintext.
pub fn parse(plaintext: &[u8]) -> Vec<RawFrame> {
    let mut take = Take(plaintext);
    let mut frames = Vec::new();
    while !take.0.is_empty() {
        let sized = |take: &mut Take<'_>| {
            let len = take.varint() as usize;
            take.bytes(len).to_vec()
        };
        frames.push(match take.u8() {
            0 => {
                assert!(take.0.iter().all(|b| *b == 0), "U-36: padding");
                break;
            }
            1 => {
                let seq = take.varint();
                let mut messages = Vec::new();
                while let Some(first) = take.0.first() {
                    if *first == 0 {
                        take.u8();
                        break;
                    }
                    let len = take.varint() as usize - 1;
                    messages.push(take.bytes(len).to_vec());
                }
                RawFrame::Data { seq, messages }
            }
            2 => RawFrame::Ack {
                recv_next: take.varint(),
                messages: take.varint(),
                bytes: take.varint(),
            },
            3 => RawFrame::Unreliable(sized(&mut take)),
            4 => RawFrame::Ping(take.array()),
            5 => RawFrame::Pong(take.array()),
            6 => RawFrame::Auth(sized(&mut take)),
            7 => RawFrame::AuthResult {
                verdict: take.u8(),
                code: take.u32(),
                message: sized(&mut take),
            },
            8 => RawFrame::Close {
                kind: take.u8(),
                code: take.u32(),
                send_end: take.varint(),
                recv_next: take.varint(),
            },
            9 => RawFrame::CloseAck {
                recv_next: take.varint(),
            },
            10 => RawFrame::Drain {
                window_ms: take.u32(),
                address: sized(&mut take),
            },
            11 => {
                let count = take.u8();
                RawFrame::Keys((0..count).map(|_| (take.array(), take.u32())).collect())
            }
            12 => RawFrame::Fragment {
                seq: take.varint(),
                total: take.varint(),
                offset: take.varint(),
                bytes: sized(&mut take),
            },
            code => panic!("the core sent a frame with code {code:#x}"),
        });
    }
    frames
}

/// RFC 9000, section 16; the shortest form.
pub fn varint(n: u64) -> Vec<u8> {
    match n {
        0..0x40 => vec![n as u8],
        0x40..0x4000 => (0x4000 | n as u16).to_be_bytes().to_vec(),
        0x4000..0x4000_0000 => (0x8000_0000 | n as u32).to_be_bytes().to_vec(),
        _ => (0xc000_0000_0000_0000 | n).to_be_bytes().to_vec(),
    }
}

pub fn data(seq: u64, messages: &[&[u8]]) -> Vec<u8> {
    let mut out = [vec![1], varint(seq)].concat();
    for message in messages {
        out.extend(varint(message.len() as u64 + 1));
        out.extend_from_slice(message);
    }
    out
}

pub fn ack(recv_next: u64, messages: u64, bytes: u64) -> Vec<u8> {
    [vec![2], varint(recv_next), varint(messages), varint(bytes)].concat()
}

pub fn unreliable(message: &[u8]) -> Vec<u8> {
    [&[3], &varint(message.len() as u64)[..], message].concat()
}

pub fn ping(token: [u8; 8]) -> Vec<u8> {
    [&[4], &token[..]].concat()
}

pub fn pong(token: [u8; 8]) -> Vec<u8> {
    [&[5], &token[..]].concat()
}

pub fn auth(credential: &[u8]) -> Vec<u8> {
    [&[6], &varint(credential.len() as u64)[..], credential].concat()
}

pub fn auth_result(verdict: u8, code: u32, message: &[u8]) -> Vec<u8> {
    [
        &[7, verdict],
        &code.to_be_bytes()[..],
        &varint(message.len() as u64),
        message,
    ]
    .concat()
}

pub fn close(kind: u8, code: u32, send_end: u64, recv_next: u64) -> Vec<u8> {
    [
        &[8, kind],
        &code.to_be_bytes()[..],
        &varint(send_end),
        &varint(recv_next),
    ]
    .concat()
}

pub fn close_ack(recv_next: u64) -> Vec<u8> {
    [vec![9], varint(recv_next)].concat()
}

pub fn drain(window_ms: u32, address: &str) -> Vec<u8> {
    [
        &[10],
        &window_ms.to_be_bytes()[..],
        &varint(address.len() as u64),
        address.as_bytes(),
    ]
    .concat()
}

pub fn keys(keys: &[([u8; 32], u32)]) -> Vec<u8> {
    let mut out = vec![11, keys.len() as u8];
    for (public, lifetime) in keys {
        out.extend_from_slice(public);
        out.extend(lifetime.to_be_bytes());
    }
    out
}

pub fn fragment(seq: u64, total: u64, offset: u64, bytes: &[u8]) -> Vec<u8> {
    [
        &[12],
        &varint(seq)[..],
        &varint(total),
        &varint(offset),
        &varint(bytes.len() as u64),
        bytes,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_those_of_rfc_9000() {
        for (n, hex) in [
            (151_288_809_941_952_652, "c2197c5eff14e88c"),
            (494_878_333, "9d7f3e7d"),
            (15_293, "7bbd"),
            (37, "25"),
        ] {
            let bytes = varint(n);
            assert_eq!(bytes.iter().map(|b| format!("{b:02x}")).collect::<String>(), hex);
            assert_eq!(Take(&bytes).varint(), n);
        }
        assert_eq!(Take(&[0x40, 0x25]).varint(), 37);
    }

    #[test]
    fn frames_are_read_as_they_are_written() {
        let bytes = [
            data(7, &[b"", b"abc"]),
            vec![0],
            ack(9, 10, 11),
            fragment(3, 100, 50, b"xyz"),
            close(0, 5, 6, 7),
            vec![0; 5],
        ]
        .concat();
        let frames = parse(&bytes);
        assert_eq!(frames.len(), 4);
        assert_eq!(
            frames[0],
            RawFrame::Data {
                seq: 7,
                messages: vec![vec![], b"abc".to_vec()]
            }
        );
    }
}
