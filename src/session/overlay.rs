//! What a record has around a piece of the outbox while it is sealed: the head before it, the padding behind it.
//!
//! Both are laid over what stands there, and taken off again. So a record is sealed in one pass over one slice.

use super::outbox::{HEAD, HEADROOM, Outbox, Piece, TAILROOM};

/// A head that is no longer: the number of a run, and hardly more.
const SHORT: usize = 16;

impl Outbox {
    /// Lays `head` before the piece and zeros behind it, so that it ends `pad` bytes later, gives the whole to `seal`, and takes
    /// both off again.
    pub fn with_overlay<R>(&mut self, piece: &Piece, head: &[u8], pad: usize, seal: impl FnOnce(&[u8]) -> R) -> R {
        if head.len() <= SHORT {
            self.overlay::<SHORT, R>(piece, head, pad, seal)
        } else {
            self.long_overlay(piece, head, pad, seal)
        }
    }

    #[inline(never)]
    fn long_overlay<R>(&mut self, piece: &Piece, head: &[u8], pad: usize, seal: impl FnOnce(&[u8]) -> R) -> R {
        if head.len() <= HEAD {
            self.overlay::<HEAD, R>(piece, head, pad, seal)
        } else {
            self.overlay::<HEADROOM, R>(piece, head, pad, seal)
        }
    }

    /// `ROOM` bytes before the piece are kept meanwhile, and all of the room behind it: to copy a number of bytes that the compiler knows
    /// takes a few moves, any other a call.
    #[inline]
    fn overlay<const ROOM: usize, R>(
        &mut self,
        piece: &Piece,
        head: &[u8],
        pad: usize,
        seal: impl FnOnce(&[u8]) -> R,
    ) -> R {
        let (Piece::Run { start, end, .. } | Piece::Part { start, end, .. }) = *piece;
        debug_assert!(head.len() <= ROOM && pad <= TAILROOM);
        let (before, behind) = (start - ROOM..start, end..end + TAILROOM);
        let from = start - head.len();
        let mut front = [0; ROOM];
        front.copy_from_slice(&self.buffer[before.clone()]);
        self.buffer[from..start].copy_from_slice(head);
        let mut tail = [0; TAILROOM];
        if pad > 0 {
            tail.copy_from_slice(&self.buffer[behind.clone()]);
            self.buffer[behind.clone()].fill(0);
        }
        let result = seal(&self.buffer[from..end + pad]);
        self.buffer[before].copy_from_slice(&front);
        if pad > 0 {
            self.buffer[behind].copy_from_slice(&tail);
        }
        result
    }
}
