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
//! are. When all is ACKed the buffer starts over, and when more is ACKed than is not, that moves to its front: so it stays in cache.

use alloc::vec::Vec;

use super::ack::Taken;
use super::copy::copy;
use super::marks::Marks;
use crate::wire::frame;
use crate::wire::varint;

/// Room for what stands before a run: ACK (25), PING (9), PONG (9), DATA or FRAGMENT header (at most 33).
pub const HEAD: usize = 96;
/// The end of a large message that rides in front of what follows it, if it is no longer than this.
pub const RIDER: usize = 512;
/// All that is laid before a piece: a head, a rider with a header of its own.
pub const HEADROOM: usize = HEAD + 32 + RIDER;
/// Room for padding behind a run.
pub(super) const TAILROOM: usize = 16;
/// The longest header of a message.
pub(super) const MESSAGE_HEAD: usize = 8;
/// Smallest buffer worth having.
const MIN_CAPACITY: usize = 2048;
/// Dead bytes that are worth a move of what lives behind them.
const TURN: usize = 32 << 10;

/// How far one link has carried the outbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cursor {
    /// The message that goes next.
    pub seq: u64,
    /// Bytes of that message already carried, in fragments.
    pub offset: u32,
    /// The message's position in the outbox.
    pub(super) position: u64,
    /// Payload of all messages before it, since the session began.
    pub(super) payload: u64,
}

/// How far the peer's credit reaches (U-44). The edges never move left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Credit {
    /// The first message that may not be sent.
    pub messages: u64,
    /// Payload since the session began that may not be passed.
    pub payload: u64,
}

impl Cursor {
    /// Whether all before it may be sent.
    fn is_within(&self, credit: &Credit) -> bool {
        self.payload <= credit.payload && self.seq <= credit.messages
    }
}

/// A stretch of the outbox that goes into one record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece {
    /// Whole messages from `seq` on.
    Run { seq: u64, start: usize, end: usize },
    /// Part of one large message.
    Part { fragment: Part, start: usize, end: usize },
}

impl Piece {
    pub fn len(&self) -> usize {
        let (Piece::Run { start, end, .. } | Piece::Part { start, end, .. }) = *self;
        end - start
    }
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
    pub(super) buffer: Vec<u8>,
    /// Position of the first byte behind the headroom.
    origin: u64,
    /// Position, number and payload count of the first un-ACKed message.
    base: Cursor,
    /// Position, number and payload count behind the last message.
    pub(super) end: Cursor,
    /// The furthest any link's cursor has been: what lies before may have arrived.
    carried: Cursor,
    /// Places between `base` and `end`.
    pub(super) marks: Marks,
    /// What stood before `end` when it began.
    began: Taken,
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
            marks: Marks::new(),
            began: Taken { messages: 0, bytes: 0 },
        }
    }

    /// As a snapshot kept it: `messages` are `count` entries from number `base` on, of which those before `carried` may have arrived.
    pub fn restore(base: u64, carried: u64, count: u32, messages: &[u8]) -> Self {
        let mut outbox = Outbox::new();
        let zero = outbox.base;
        outbox.base = Cursor { seq: base, ..zero };
        (outbox.end, outbox.carried) = (outbox.base, outbox.base);
        let at = outbox.room_for(messages.len());
        outbox.buffer[at..at + messages.len()].copy_from_slice(messages);
        let mut cursor = outbox.base;
        for _ in 0..count {
            if cursor.seq <= carried {
                outbox.carried = cursor;
            }
            cursor = outbox.after(cursor);
        }
        if cursor.seq <= carried {
            outbox.carried = cursor;
        }
        outbox.end = cursor;
        outbox.marks.restart(&cursor);
        outbox.began = outbox.given_out();
        outbox
    }

    /// The first number not ACKed.
    pub fn acked(&self) -> u64 {
        self.base.seq
    }

    /// The un-ACKed messages, one entry after the other.
    pub fn unacked(&self) -> &[u8] {
        if self.is_empty() {
            return &[];
        }
        &self.buffer[self.index(self.base.position)..self.index(self.end.position)]
    }

    /// The first number that no link has carried whole.
    pub fn carried(&self) -> u64 {
        self.carried.seq
    }

    /// The first number not given out.
    pub fn next(&self) -> u64 {
        self.end.seq
    }

    /// How much was taken from the application since the outbox began.
    pub fn taken(&self) -> Taken {
        let taken = self.given_out();
        Taken {
            messages: taken.messages - self.began.messages,
            bytes: taken.bytes - self.began.bytes,
        }
    }

    fn given_out(&self) -> Taken {
        Taken {
            messages: self.end.seq,
            bytes: self.end.payload,
        }
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
        if self.marks.is_due(&self.end) {
            return self.push_with_care(message);
        }
        let at = self.index(self.end.position);
        let Some(entry) = self.buffer.get_mut(at..at + MESSAGE_HEAD + message.len() + TAILROOM) else {
            return self.push_with_care(message);
        };
        let end = &mut self.end;
        let head = frame::message_header(entry, message.len());
        let seq = end.seq;
        end.seq += 1;
        end.position += (head + message.len()) as u64;
        end.payload += message.len() as u64;
        copy(&mut entry[head..], message);
        seq
    }

    /// As [`Outbox::push`], when a mark is due or the buffer's end is reached.
    #[inline(never)]
    pub(super) fn push_with_care(&mut self, message: &[u8]) -> u64 {
        self.marks.pass(&self.end);
        self.room_for(MESSAGE_HEAD + message.len());
        self.push(message)
    }

    /// Forgets all before `seq`, which the peer has delivered.
    pub fn ack(&mut self, seq: u64) {
        debug_assert!(seq <= self.end.seq);
        // Mostly all of them, and then nobody has to look at each.
        self.base = if seq == self.end.seq {
            self.marks.restart(&self.end);
            self.end
        } else {
            let base = self.place(seq);
            self.marks.forget_until(seq);
            base
        };
        if self.carried.seq < self.base.seq {
            self.carried = self.base;
        }
        if self.base.seq == self.end.seq {
            self.origin = self.end.position;
        } else {
            self.turn_back();
        }
    }

    /// Where message `seq` begins, which is not before `base` and not behind `end`.
    fn place(&self, seq: u64) -> Cursor {
        let mut cursor = self.marks.last_where(|mark| mark.seq <= seq).unwrap_or(self.base);
        while cursor.seq < seq {
            cursor = self.after(cursor);
        }
        cursor
    }

    /// Gives the memory back; for sessions that have gone quiet.
    pub fn shrink(&mut self) {
        if self.is_empty() {
            self.buffer = Vec::new();
            self.marks.shrink();
        }
    }

    /// Bytes held, used or not.
    #[cfg(test)]
    pub fn memory(&self) -> usize {
        self.buffer.capacity() + self.marks.memory()
    }

    /// How far into the buffer the messages reach.
    #[cfg(test)]
    pub fn reach(&self) -> usize {
        self.index(self.end.position)
    }

    /// A cursor at message `seq`, `offset` bytes into it. `None` if there is no such place among what is kept.
    pub fn cursor(&self, seq: u64, offset: u32) -> Option<Cursor> {
        if seq < self.base.seq || seq > self.end.seq {
            return None;
        }
        let mut cursor = self.place(seq);
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
    #[inline(always)]
    pub fn has_more(&self, cursor: &Cursor, credit: &Credit) -> bool {
        !self.all_carried(cursor) && (self.end.is_within(credit) || self.may_go(cursor, credit))
    }

    /// Whether what is next for the link with this cursor is within the credit.
    #[inline(never)]
    fn may_go(&self, cursor: &Cursor, credit: &Credit) -> bool {
        let cursor = self.catch_up(*cursor);
        cursor.offset > 0 || self.within(cursor, self.length_at(cursor).0, credit)
    }

    /// Whether everything has been carried by the link with this cursor.
    #[inline]
    pub fn all_carried(&self, cursor: &Cursor) -> bool {
        self.base.seq.max(cursor.seq) >= self.end.seq
    }

    /// Moves `cursor` over as much as fits into `room` bytes of plaintext (headers included) and the credit. `record` is the most that a
    /// record could hold: a message goes in fragments only if it fits none.
    pub fn take(&mut self, cursor: &mut Cursor, credit: &Credit, room: usize, record: usize) -> Option<Piece> {
        if cursor.seq < self.base.seq {
            *cursor = self.base;
        }
        if cursor.seq >= self.end.seq {
            return None;
        }
        let all = frame::data_header_len(cursor.seq) as u64 + (self.end.position - cursor.position);
        if cursor.offset == 0 && all <= room as u64 && self.end.is_within(credit) {
            let piece = self.run(cursor, &self.end);
            *cursor = self.end;
            self.carried = self.end;
            return Some(piece);
        }
        let piece = self.take_some(cursor, credit, room, record)?;
        if (cursor.seq, cursor.offset) > (self.carried.seq, self.carried.offset) {
            self.carried = *cursor;
        }
        Some(piece)
    }

    /// As [`Outbox::take`], when it is not simply all there is.
    #[inline(never)]
    fn take_some(&self, cursor: &mut Cursor, credit: &Credit, room: usize, record: usize) -> Option<Piece> {
        let first = *cursor;
        let (length, head) = self.length_at(first);
        let lone = frame::data_header_len(first.seq) + head + length as usize;
        if first.offset > 0 || lone > record {
            if first.offset == 0 && !self.within(first, length, credit) {
                return None;
            }
            self.take_part(cursor, length as u32, head, room)
        } else {
            self.take_run(cursor, credit, room)
        }
    }

    /// The bytes of a piece, of which there are [`Piece::len`].
    pub fn bytes(&self, piece: &Piece) -> &[u8] {
        let (Piece::Run { start, end, .. } | Piece::Part { start, end, .. }) = *piece;
        &self.buffer[start..end]
    }

    fn take_run(&self, cursor: &mut Cursor, credit: &Credit, room: usize) -> Option<Piece> {
        let room = room.checked_sub(frame::data_header_len(cursor.seq))? as u64;
        let first = *cursor;
        let limit = first.position + room;
        let fits = |end: &Cursor| end.position <= limit && end.is_within(credit);
        if let Some(mark) = self.marks.last_where(fits)
            && mark.seq > first.seq
        {
            *cursor = mark;
        }
        while cursor.seq < self.end.seq {
            let next = self.after(*cursor);
            if !fits(&next) {
                break;
            }
            *cursor = next;
        }
        (cursor.seq > first.seq).then(|| self.run(&first, cursor))
    }

    fn run(&self, first: &Cursor, end: &Cursor) -> Piece {
        Piece::Run {
            seq: first.seq,
            start: self.index(first.position),
            end: self.index(end.position),
        }
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
            *cursor = self.after(first);
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

    pub(super) fn index(&self, position: u64) -> usize {
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
            self.move_to_front(living, dead);
        }
        HEADROOM + living
    }

    /// What lives moves to the front when as much lies dead before it, long before the end of the buffer is reached: so a flow of which something is
    /// always un-ACKed writes over and over to memory that is in the cache still.
    fn turn_back(&mut self) {
        let living = (self.end.position - self.base.position) as usize;
        let dead = (self.base.position - self.origin) as usize;
        if dead >= living.max(TURN) {
            self.move_to_front(living, dead);
        }
    }

    fn move_to_front(&mut self, living: usize, dead: usize) {
        let from = HEADROOM + dead;
        self.buffer.copy_within(from..from + living, HEADROOM);
        self.origin = self.base.position;
    }
}

impl Part {
    /// The header of a fragment with `size` bytes of payload.
    pub fn header(&self, out: &mut [u8], size: usize) -> usize {
        frame::fragment_header(out, self.seq, self.total, self.offset, size)
    }
}
