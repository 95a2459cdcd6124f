//! From a parsed frame back to bytes, with the crate's own writers.

use unbroken::wire::frame::{self, DATA_END, Frame};

/// Appends a frame, so that another one may follow.
pub fn reencode(frame: &Frame<'_>, out: &mut Vec<u8>) {
    let mut head = [0; 48];
    match frame {
        Frame::Data(run) => {
            let used = frame::data_header(&mut head, run.seq);
            assert_eq!(used, frame::data_header_len(run.seq));
            out.extend_from_slice(&head[..used]);
            for message in run {
                let used = frame::message_header(&mut head, message.len());
                assert_eq!(used, frame::message_header_len(message.len()));
                out.extend_from_slice(&head[..used]);
                out.extend_from_slice(message);
            }
            out.push(DATA_END);
        }
        Frame::Ack(ack) => {
            let used = frame::ack(&mut head, ack);
            assert_eq!(used, frame::ack_len(ack));
            out.extend_from_slice(&head[..used]);
        }
        Frame::Unreliable(bytes) => {
            frame::unreliable_header(out, bytes.len());
            out.extend_from_slice(bytes);
        }
        Frame::Ping(token) => {
            let used = frame::ping(&mut head, *token);
            out.extend_from_slice(&head[..used]);
        }
        Frame::Pong(token) => {
            let used = frame::pong(&mut head, *token);
            out.extend_from_slice(&head[..used]);
        }
        Frame::Auth(credential) => frame::auth(out, credential),
        Frame::AuthResult {
            accepted,
            code,
            message,
        } => frame::auth_result(out, *accepted, *code, message),
        Frame::Close(close) => frame::close(out, close),
        Frame::CloseAck { recv_next } => frame::close_ack(out, *recv_next),
        Frame::Drain { window_ms, address } => frame::drain(out, *window_ms, address),
        Frame::Keys(keys) => frame::keys(out, &keys.iter().collect::<Vec<_>>()),
        Frame::Fragment(part) => {
            let used = frame::fragment_header(&mut head, part.seq, part.total, part.offset, part.bytes.len());
            out.extend_from_slice(&head[..used]);
            out.extend_from_slice(part.bytes);
        }
    }
}

/// Whether two frames say the same. A run's entries may stand there in more than one form.
pub fn same(a: &Frame<'_>, b: &Frame<'_>) -> bool {
    match (a, b) {
        (Frame::Data(a), Frame::Data(b)) => {
            (a.seq, a.count, a.payload) == (b.seq, b.count, b.payload) && a.iter().eq(b.iter())
        }
        _ => a == b,
    }
}
