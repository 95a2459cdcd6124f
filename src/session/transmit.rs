//! From the outbox to bytes of a link.
//!
//! A record is made when the host asks for bytes, never before: so a batch of small messages shares one, and what was not
//! asked for can still go on a better link. In front of the messages rides whatever else is due: ACK, PING, PONG.
//!
//! Rare frames and unreliable messages get a record of their own, built aside ("staged") and copied out, because they need not
//! be fast and may be larger than the host's buffer. Unreliable messages go first, as they are worth least when late, and then take turns
//! with the others, a record each.

use super::conversation::{Conversation, Role};
use super::link::{Life, Link};
use super::outbox::{HEAD, HEADROOM, Part, Piece, RIDER};
use crate::event::{LinkId, Output};
use crate::wire::frame::{self, Ack};
use crate::wire::record::{LENGTH_LEN, PLAINTEXT_MAX, TAG};

/// The smallest buffer that `poll_output` fills.
pub const MIN_BUFFER: usize = 256;
/// What a record adds to its plaintext.
const OVERHEAD: usize = LENGTH_LEN + TAG;
/// From this plaintext on, padding to whole cipher blocks: it saves time there, while a lone small message would only grow.
const PAD_FROM: usize = 512;
const BLOCK: usize = 16;

impl Conversation {
    /// Whether a link has bytes to send or is to be closed.
    pub fn has_output(&self) -> bool {
        !self.to_close.is_empty() || self.next_to_send().is_some() || self.close_is_due()
    }

    /// Fills `buf` with what one link has to send, or says which link to close.
    pub fn poll_output(&mut self, buf: &mut [u8]) -> Option<Output> {
        self.note_unblocked();
        loop {
            if let Some(link) = self.to_close.pop() {
                return Some(Output::CloseLink { link });
            }
            self.close_when_carried();
            let index = self.next_to_send()?;
            if self.links[index].life.is_closing() && self.is_flushed(index) {
                self.close_link(index);
                continue;
            }
            let len = self.fill(index, buf);
            if len > 0 {
                self.rest_if_quiet(index);
                self.stats.wire_sent += len as u64;
                // If those were the last messages, a CLOSE is due behind them: it must count as queued from now on.
                self.close_when_carried();
                return Some(Output::Send {
                    link: self.links[index].id,
                    len,
                });
            }
            // `wants` promised bytes and none came: never spin.
            self.broken();
            return None;
        }
    }

    pub fn set_blocked(&mut self, id: LinkId, blocked: bool) {
        if let Some(index) = self.link_index(id) {
            let link = &mut self.links[index];
            if link.blocked && !blocked {
                link.liveness.moved(self.now);
                link.unblocked = true;
                self.unblocked = true;
            }
            link.blocked = blocked;
        }
    }

    /// That a socket takes bytes again came without a time: it was now.
    #[inline]
    pub fn note_unblocked(&mut self) {
        if core::mem::take(&mut self.unblocked) {
            for link in &mut self.links {
                if core::mem::take(&mut link.unblocked) {
                    link.liveness.moved(self.now);
                }
            }
        }
    }

    /// The newest link that wants to send. Mostly there is but one.
    #[inline]
    fn next_to_send(&self) -> Option<usize> {
        let newest = self.links.len().checked_sub(1)?;
        if self.wants(newest) {
            Some(newest)
        } else if newest == 0 {
            None
        } else {
            (0..newest).rev().find(|&index| self.wants(index))
        }
    }

    fn is_flushed(&self, index: usize) -> bool {
        let link = &self.links[index];
        !link.has_staged() && link.control.is_empty()
    }

    #[inline(never)]
    fn wants(&self, index: usize) -> bool {
        let link = &self.links[index];
        if link.life.is_closing() {
            return self.is_flushed(index) || !link.is_held();
        }
        if link.is_held() {
            return false;
        }
        if link.has_staged() || !link.control.is_empty() || link.pong_due.is_some() || self.asks(link) {
            return true;
        }
        self.is_carrier(index)
            && (self.acks.due(self.now)
                || self.has_unreliable()
                || (!self.outbox.all_carried(&link.cursor)
                    && self.closing.allows_more()
                    && self.outbox.has_more(&link.cursor, &self.allowance())))
    }

    /// Whether a PING must leave. While the process sleeps nobody would look at the answer.
    fn asks(&self, link: &Link) -> bool {
        link.liveness.ping_due() && !self.suspended
    }

    /// As many records as fit, from a link that wants to send. A further one only if there is room for a full one: else a large record
    /// would be cut short by the buffer's end.
    fn fill(&mut self, index: usize, buf: &mut [u8]) -> usize {
        let mut at = 0;
        loop {
            if self.links[index].has_staged() {
                at += self.links[index].unstage(&mut buf[at..]);
                if self.links[index].has_staged() || !self.wants(index) {
                    return at;
                }
            }
            let room = buf.len() - at;
            if room <= OVERHEAD + HEAD || (at > 0 && room < PLAINTEXT_MAX + OVERHEAD) {
                return at;
            }
            if self.links[index].life.is_closing() && self.is_flushed(index) {
                return at;
            }
            if self.needs_staging(index) {
                self.stage_record(index);
                continue;
            }
            let size = self.seal_record(index, &mut buf[at..]);
            at += size;
            // All that is small is in that record: what may be left is messages.
            if size == 0 || self.outbox.all_carried(&self.links[index].cursor) || !self.wants(index) {
                return at;
            }
        }
    }

    fn needs_staging(&self, index: usize) -> bool {
        !self.links[index].control.is_empty() || (self.has_unreliable() && self.takes_unreliable(index))
    }

    /// Whether unreliable messages go into the next record of this link.
    fn takes_unreliable(&self, index: usize) -> bool {
        self.has_unreliable() && self.is_carrier(index) && !self.proves_keys(index) && !self.owes_a_turn(index)
    }

    /// Whether it is the reliable messages' turn, of which some wait: on a line that takes less than the application says, unreliable ones are there all the time.
    fn owes_a_turn(&self, index: usize) -> bool {
        let link = &self.links[index];
        link.unreliable_last && self.outbox.has_more(&link.cursor, &self.allowance())
    }

    /// Whether a client's next record on this link is the first, and has something short to say. Then it goes by itself: the server relies on the new link only when it
    /// has all of it, and on a slow line that must not wait for a backlog to get through.
    fn proves_keys(&self, index: usize) -> bool {
        self.role == Role::Client && self.links[index].sealer.sealed() == 0 && self.acks.pending(self.acked_edge())
    }

    /// Seals one record of messages and small frames straight into `out`.
    fn seal_record(&mut self, index: usize, out: &mut [u8]) -> usize {
        let room = (out.len() - OVERHEAD).min(PLAINTEXT_MAX);
        let mut head = [0; HEAD];
        let carrier = self.is_carrier(index);
        let allowance = self.allowance();
        let link = &mut self.links[index];
        let more = carrier && self.closing.allows_more() && self.outbox.has_more(&link.cursor, &allowance);
        // The first record proves the keys to the peer: it must not vanish unseen either.
        let first = link.sealer.sealed() == 0;
        let mut used = self.small_frames(index, carrier, &mut head, more || first);
        // A client's goes by itself, see `proves_keys`.
        let alone = first && used > 0 && self.role == Role::Client;
        let link = &mut self.links[index];
        let piece = if more && !alone {
            self.outbox.take(&mut link.cursor, &allowance, room - used, room)
        } else {
            None
        };
        link.unreliable_last &= piece.is_none();
        match &piece {
            None => {
                link.liveness.sent(used, self.now);
                if used == 0 { 0 } else { seal(link, &head[..used], out) }
            }
            Some(Piece::Part { fragment, start, end }) if end - start <= RIDER => {
                self.seal_rider(index, &head[..used], (*fragment, *start, *end), out)
            }
            Some(piece) => {
                used += header(piece, &mut head[used..]);
                self.seal_piece(index, piece, &head[..used], out)
            }
        }
    }

    /// Seals a piece with what stands before it.
    #[inline]
    fn seal_piece(&mut self, index: usize, piece: &Piece, head: &[u8], out: &mut [u8]) -> usize {
        let room = (out.len() - OVERHEAD).min(PLAINTEXT_MAX);
        let plain = head.len() + piece.len();
        let pad = if plain >= PAD_FROM {
            (plain.next_multiple_of(BLOCK) - plain).min(room - plain)
        } else {
            0
        };
        let link = &mut self.links[index];
        link.liveness.sent(plain, self.now);
        let sealer = &mut link.sealer;
        self.outbox.with_overlay(piece, head, pad, |plaintext| {
            out[..LENGTH_LEN].copy_from_slice(&((plaintext.len() + TAG) as u16).to_be_bytes());
            let end = LENGTH_LEN + plaintext.len() + TAG;
            sealer.seal(plaintext, &mut out[LENGTH_LEN..end]).map_or(0, |()| end)
        })
    }

    /// Seals the short end of a large message, and behind it in the same record what follows. Between the two there is no room for the second header
    /// in the outbox, so the end is copied before it, as part of the head. A message that is a little larger than a record would else need two
    /// records, one of them nearly empty.
    #[inline(never)]
    fn seal_rider(
        &mut self,
        index: usize,
        frames: &[u8],
        (fragment, start, end): (Part, usize, usize),
        out: &mut [u8],
    ) -> usize {
        let room = (out.len() - OVERHEAD).min(PLAINTEXT_MAX);
        let rider = Piece::Part { fragment, start, end };
        let mut head = [0; HEADROOM];
        let mut used = frames.len();
        head[..used].copy_from_slice(frames);
        used += header(&rider, &mut head[used..]);
        let alone = used;
        let bytes = self.outbox.bytes(&rider);
        head[used..used + bytes.len()].copy_from_slice(bytes);
        used += bytes.len();
        let allowance = self.allowance();
        let cursor = &mut self.links[index].cursor;
        match self.outbox.take(cursor, &allowance, room.saturating_sub(used), room) {
            None => self.seal_piece(index, &rider, &head[..alone], out),
            Some(piece) => {
                used += header(&piece, &mut head[used..]);
                self.seal_piece(index, &piece, &head[..used], out)
            }
        }
    }

    /// Writes what is due beside messages: on the carrier an ACK, on any link PONG and PING.
    fn small_frames(&mut self, index: usize, carrier: bool, head: &mut [u8; HEAD], with_data: bool) -> usize {
        let now = self.now;
        let awake = !self.suspended;
        let link = &mut self.links[index];
        if link.life == Life::Open && awake {
            link.liveness.rides(now, with_data);
        }
        let mut used = 0;
        if let Some(token) = link.pong_due.take() {
            used += frame::pong(&mut head[used..], token);
        }
        if link.liveness.ping_due() && awake {
            let token = link.liveness.ping(now);
            used += frame::ping(&mut head[used..], token);
        }
        if carrier && self.acks.pending(self.acked_edge()) {
            let taken = self.may_ack();
            let window = self.window();
            let ack = Ack {
                recv_next: taken.messages,
                messages: window.messages.into(),
                bytes: window.bytes.into(),
            };
            used += frame::ack(&mut head[used..], &ack);
            self.acks.sent(taken, now);
        }
        used
    }

    /// Builds a record of rare frames or unreliable messages aside.
    #[inline(never)]
    fn stage_record(&mut self, index: usize) {
        let mut head = [0; HEAD];
        let carrier = self.is_carrier(index);
        let unreliable = self.takes_unreliable(index);
        // AUTH and the like want an answer, too.
        let asks = unreliable || !self.links[index].control.is_empty();
        let used = self.small_frames(index, carrier, &mut head, asks);
        let link = &mut self.links[index];
        let mut out = core::mem::take(&mut link.staged);
        debug_assert!(out.is_empty());
        out.resize(LENGTH_LEN, 0);
        out.extend_from_slice(&head[..used]);
        out.append(&mut link.control);
        if unreliable {
            link.unreliable_last = true;
            while let Some(message) = self.unreliable.front() {
                let size = out.len() - LENGTH_LEN + frame::unreliable_header_len(message.len()) + message.len();
                if size > PLAINTEXT_MAX {
                    break;
                }
                frame::unreliable_header(&mut out, message.len());
                out.extend_from_slice(message);
                self.unreliable.pop();
            }
        }
        let plain = out.len() - LENGTH_LEN;
        out[..LENGTH_LEN].copy_from_slice(&((plain + TAG) as u16).to_be_bytes());
        out.resize(LENGTH_LEN + plain + TAG, 0);
        let link = &mut self.links[index];
        link.liveness.sent(plain, self.now);
        if link.sealer.seal_in_place(&mut out[LENGTH_LEN..]).is_err() {
            // As in `seal`; what is not sealed must not leave.
            out.clear();
        }
        link.staged = out;
        link.staged_from = 0;
    }

    /// Unreliable messages that may still go: behind a CLOSE nobody would read them.
    fn has_unreliable(&self) -> bool {
        !self.unreliable.is_empty() && self.closing.allows_more()
    }
}

/// Writes the header of a piece.
fn header(piece: &Piece, out: &mut [u8]) -> usize {
    match *piece {
        Piece::Run { seq, .. } => frame::data_header(out, seq),
        Piece::Part { fragment, start, end } => fragment.header(out, end - start),
    }
}

/// Seals a plaintext that holds small frames only. Nothing comes of it if the link's numbers are used up, after 2^64 records: no link lives so long.
fn seal(link: &mut Link, plaintext: &[u8], out: &mut [u8]) -> usize {
    out[..LENGTH_LEN].copy_from_slice(&((plaintext.len() + TAG) as u16).to_be_bytes());
    let end = LENGTH_LEN + plaintext.len() + TAG;
    link.sealer
        .seal(plaintext, &mut out[LENGTH_LEN..end])
        .map_or(0, |()| end)
}
