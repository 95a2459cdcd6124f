//! The one outbox: reliable messages from `send` until their ACK.
//!
//! Messages lie in one buffer, already in the form a DATA frame has on the wire: `varint(length + 1) | bytes`. So a run of
//! them is one slice, and sealing a record is one pass from here into the output. What a record has in front of the run
//! (an ACK, the frame's code and number) is laid over the bytes before the run while it is sealed, and taken off again;
//! likewise the padding behind it.
//!
//! ```text
//!   buffer   [ headroom | .. ACKed .. | un-ACKed, carried | un-ACKed, not carried | tailroom ]
//!   position              ▲ origin      ▲ base               ▲ a link's cursor       ▲ end
//! ```
//!
//! A [`Cursor`] marks what one link has carried. Replay is nothing but a new cursor at the peer's position: there is no second
//! path on which something could be sent out of order, twice numbered, or under old keys (L-1, L-6, L-7).
//!
//! Positions count bytes from the session's first message and never go back; only `origin` knows where in the buffer they
//! are. When all is ACKed the buffer starts over, so that it stays in cache.

use alloc::vec::Vec;

use crate::wire::frame;
use crate::wire::varint;

/// Room for what stands before a run: ACK (25), PING (9), PONG (9), DATA or FRAGMENT header (at most 33).
pub const HEADROOM: usize = 96;
/// Room for padding behind a run.
const TAILROOM: usize = 16;
/// Smallest buffer worth having.
const MIN_CAPACITY: usize = 1024;

/// How far one link has carried the outbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cursor {
    /// The message that goes next.
    pub seq: u64,
    /// Bytes of that message already carried, in fragments.
    pub offset: u32,
    /// The message's position in the outbox.
    position: u64,
    /// Payload of all messages before it, since the session began.
    payload: u64,
}

/// How far the peer's credit reaches (U-44). The edges never move left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Credit {
    /// The first message that may not be sent.
    pub messages: u64,
    /// Payload since the session began that may not be passed.
    pub payload: u64,
}

/// A stretch of the outbox that goes into one record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece {
    /// Whole messages from `seq` on.
    Run { seq: u64, start: usize, end: usize },
    /// Part of one large message.
    Part { fragment: Part, start: usize, end: usize },
}

/// What a FRAGMENT says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    pub seq: u64,
    pub total: u32,
    pub offset: u32,
}

/// See the module's head.
pub struct Outbox {
    buffer: Vec<u8>,
    /// Position of the first byte behind the headroom.
    origin: u64,
    /// Position, number and payload count of the first un-ACKed message.
    base: Cursor,
    /// Position, number and payload count behind the last message.
    end: Cursor,
    /// The furthest any link's cursor has been: what lies before may have arrived.
    carried: Cursor,
}

impl Outbox {
    pub const fn new() -> Self {
        let zero = Cursor {
            seq: 0,
            offset: 0,
            position: 0,
            payload: 0,
        };
        Outbox {
            buffer: Vec::new(),
            origin: 0,
            base: zero,
            end: zero,
            carried: zero,
        }
    }

    /// The first number not ACKed.
    pub fn acked(&self) -> u64 {
        self.base.seq
    }

    /// The first number not given out.
    pub fn next(&self) -> u64 {
        self.end.seq
    }

    /// How many messages wait for their ACK.
    pub fn messages(&self) -> u64 {
        self.end.seq - self.base.seq
    }

    /// Their payload in bytes.
    pub fn payload(&self) -> u64 {
        self.end.payload - self.base.payload
    }

    pub fn is_empty(&self) -> bool {
        self.base.seq == self.end.seq
    }

    /// The edge that a window of this size gives, counted from the first un-ACKed message.
    pub fn credit(&self, messages: u64, bytes: u64) -> Credit {
        Credit {
            messages: self.base.seq.saturating_add(messages),
            payload: self.base.payload.saturating_add(bytes),
        }
    }

    /// Takes a message in; the caller has checked the limits. The one place where numbers are given out (L-1).
    #[inline]
    pub fn push(&mut self, message: &[u8]) -> u64 {
        let head = frame::message_header_len(message.len());
        let size = head + message.len();
        let at = self.room_for(size);
        frame::message_header(&mut self.buffer[at..], message.len());
        self.buffer[at + head..at + size].copy_from_slice(message);
        let seq = self.end.seq;
        self.end.seq += 1;
        self.end.position += size as u64;
        self.end.payload += message.len() as u64;
        seq
    }

    /// Forgets all before `seq`, which the peer has delivered.
    pub fn ack(&mut self, seq: u64) {
        debug_assert!(seq <= self.end.seq);
        while self.base.seq < seq {
            self.base = self.after(self.base);
        }
        if self.carried.seq < self.base.seq {
            self.carried = self.base;
        }
        if self.base.seq == self.end.seq {
            self.origin = self.end.position;
        }
    }

    /// Gives the memory back; for sessions that have gone quiet.
    pub fn shrink(&mut self) {
        if self.is_empty() {
            self.buffer = Vec::new();
        }
    }

    /// Bytes held, used or not.
    #[cfg(test)]
    pub fn memory(&self) -> usize {
        self.buffer.capacity()
    }

    /// A cursor at message `seq`, `offset` bytes into it. `None` if there is no such place among what is kept.
    pub fn cursor(&self, seq: u64, offset: u32) -> Option<Cursor> {
        if seq < self.base.seq || seq > self.end.seq {
            return None;
        }
        let mut cursor = self.base;
        while cursor.seq < seq {
            cursor = self.after(cursor);
        }
        if offset > 0 && (seq == self.end.seq || u64::from(offset) >= self.length_at(cursor).0) {
            return None;
        }
        cursor.offset = offset;
        Some(cursor)
    }

    /// A cursor that stands before everything that is kept.
    pub fn rewind(&self) -> Cursor {
        self.base
    }

    /// What lies between `cursor` and what any link has carried: messages and payload that are sent again.
    pub fn replayed(&self, cursor: &Cursor) -> (u64, u64) {
        (
            self.carried.seq.saturating_sub(cursor.seq),
            self.carried.payload.saturating_sub(cursor.payload),
        )
    }

    /// Whether a message waits that is larger than `max` bytes.
    pub fn exceeds(&self, max: u32) -> bool {
        let mut cursor = self.base;
        while cursor.seq < self.end.seq {
            if self.length_at(cursor).0 > u64::from(max) {
                return true;
            }
            cursor = self.after(cursor);
        }
        false
    }

    /// Whether any of it was ever given to a link.
    pub fn was_carried(&self) -> bool {
        (self.carried.seq, self.carried.offset) > (0, 0)
    }

    /// Whether a link with this cursor has anything to carry within the credit.
    pub fn has_more(&self, cursor: &Cursor, credit: &Credit) -> bool {
        let cursor = self.catch_up(*cursor);
        if cursor.seq >= self.end.seq {
            return false;
        }
        cursor.offset > 0 || self.within(cursor, self.length_at(cursor).0, credit)
    }

    /// Whether everything has been carried by the link with this cursor.
    pub fn all_carried(&self, cursor: &Cursor) -> bool {
        self.catch_up(*cursor).seq >= self.end.seq
    }

    /// Moves `cursor` over as much as fits into `room` bytes of plaintext (headers included) and the credit. `record` is the most that a
    /// record could hold: a message goes in fragments only if it fits none.
    pub fn take(&mut self, cursor: &mut Cursor, credit: &Credit, room: usize, record: usize) -> Option<Piece> {
        *cursor = self.catch_up(*cursor);
        if cursor.seq >= self.end.seq {
            return None;
        }
        let first = *cursor;
        let (length, head) = self.length_at(first);
        let lone = frame::data_header_len(first.seq) + head + length as usize;
        let piece = if first.offset > 0 || lone > record {
            if first.offset == 0 && !self.within(first, length, credit) {
                return None;
            }
            self.take_part(cursor, length as u32, head, room)
        } else {
            self.take_run(cursor, credit, room)
        };
        if piece.is_some() && (cursor.seq, cursor.offset) > (self.carried.seq, self.carried.offset) {
            self.carried = *cursor;
        }
        piece
    }

    /// Lays `head` before the piece and zeros behind it up to a length of `padded` (if that is longer), gives the whole to `seal`, and takes
    /// both off again.
    pub fn with_overlay<R>(&mut self, piece: Piece, head: &[u8], pad: usize, seal: impl FnOnce(&[u8]) -> R) -> R {
        let (Piece::Run { start, end, .. } | Piece::Part { start, end, .. }) = piece;
        debug_assert!(head.len() <= HEADROOM && pad <= TAILROOM);
        let mut before = [0; HEADROOM];
        let mut behind = [0; TAILROOM];
        let from = start - head.len();
        before[..head.len()].copy_from_slice(&self.buffer[from..start]);
        behind[..pad].copy_from_slice(&self.buffer[end..end + pad]);
        self.buffer[from..start].copy_from_slice(head);
        self.buffer[end..end + pad].fill(0);
        let result = seal(&self.buffer[from..end + pad]);
        self.buffer[from..start].copy_from_slice(&before[..head.len()]);
        self.buffer[end..end + pad].copy_from_slice(&behind[..pad]);
        result
    }

    fn take_run(&self, cursor: &mut Cursor, credit: &Credit, room: usize) -> Option<Piece> {
        let room = room.checked_sub(frame::data_header_len(cursor.seq))? as u64;
        let first = *cursor;
        let limit = first.position + room;
        while cursor.seq < self.end.seq && cursor.seq < credit.messages {
            let (length, head) = self.length_at(*cursor);
            if cursor.position + head as u64 + length > limit || cursor.payload + length > credit.payload {
                break;
            }
            cursor.seq += 1;
            cursor.position += head as u64 + length;
            cursor.payload += length;
        }
        (cursor.seq > first.seq).then(|| Piece::Run {
            seq: first.seq,
            start: self.index(first.position),
            end: self.index(cursor.position),
        })
    }

    fn take_part(&self, cursor: &mut Cursor, length: u32, head: usize, room: usize) -> Option<Piece> {
        let first = *cursor;
        let left = (length - first.offset) as usize;
        let header = frame::fragment_header_len(first.seq, length, first.offset, left);
        let size = left.min(room.checked_sub(header)?);
        // A sliver at the end of a record is not worth its header.
        if size == 0 || (size < left && size < 64) {
            return None;
        }
        let start = self.index(first.position) + head + first.offset as usize;
        if size == left {
            *cursor = self.after(Cursor { offset: 0, ..first });
        } else {
            cursor.offset += size as u32;
        }
        Some(Piece::Part {
            fragment: Part {
                seq: first.seq,
                total: length,
                offset: first.offset,
            },
            start,
            end: start + size,
        })
    }

    /// What a stale cursor (of an older link) becomes when ACKs have passed it.
    fn catch_up(&self, cursor: Cursor) -> Cursor {
        if cursor.seq < self.base.seq { self.base } else { cursor }
    }

    fn within(&self, cursor: Cursor, length: u64, credit: &Credit) -> bool {
        cursor.seq < credit.messages && cursor.payload + length <= credit.payload
    }

    fn index(&self, position: u64) -> usize {
        (position - self.origin) as usize + HEADROOM
    }

    /// Length of the message at the cursor and of its header.
    #[inline]
    fn length_at(&self, cursor: Cursor) -> (u64, usize) {
        match varint::read(&self.buffer[self.index(cursor.position)..]) {
            Some((length_plus_one, head)) => (length_plus_one - 1, head),
            None => unreachable!("the outbox holds whole entries only"),
        }
    }

    #[inline]
    fn after(&self, cursor: Cursor) -> Cursor {
        let (length, head) = self.length_at(cursor);
        Cursor {
            seq: cursor.seq + 1,
            offset: 0,
            position: cursor.position + head as u64 + length,
            payload: cursor.payload + length,
        }
    }

    /// The index where `size` bytes can be written behind the end: by what is there, by moving the living to the front, or by
    /// growing.
    #[inline]
    fn room_for(&mut self, size: usize) -> usize {
        let at = self.index(self.end.position);
        if at + size + TAILROOM <= self.buffer.len() {
            return at;
        }
        self.make_room(size)
    }

    #[cold]
    fn make_room(&mut self, size: usize) -> usize {
        let living = (self.end.position - self.base.position) as usize;
        let dead = (self.base.position - self.origin) as usize;
        let need = HEADROOM + living + size + TAILROOM;
        // Moving pays only if it frees at least what it moves; so each byte is moved once at most, on average.
        if need > self.buffer.len() || dead < living {
            let capacity = (need * 2).max(MIN_CAPACITY);
            self.buffer.reserve_exact(capacity.saturating_sub(self.buffer.len()));
            self.buffer.resize(capacity, 0);
        }
        if dead > 0 {
            let from = HEADROOM + dead;
            self.buffer.copy_within(from..from + living, HEADROOM);
            self.origin = self.base.position;
        }
        HEADROOM + living
    }
}

impl Part {
    /// The header of a fragment with `size` bytes of payload.
    pub fn header(&self, out: &mut [u8], size: usize) -> usize {
        frame::fragment_header(out, self.seq, self.total, self.offset, size)
    }
}
