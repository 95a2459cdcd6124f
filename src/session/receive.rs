//! From bytes of a link to messages in the inbox.
//!
//! A whole record is opened straight from the host's bytes into the inbox; only one that is cut in the middle is collected
//! first. A record that does not open, or holds what cannot be, ends the link and never the session: the next link starts
//! from the counters, which such a record has not moved (U-31, U-37).

use alloc::vec::Vec;
use core::ops::Range;

use super::auth::Auth;
use super::closing::LINGER;
use super::conversation::{Conversation, Role};
use super::inbox::{InboxError, RunHead};
use super::link::Life;
use super::outbox::Part;
use crate::error::CloseReason;
use crate::event::{Event, HandoverCause, State};
use crate::wire::frame::{self, Ack, Close, CloseKind, Frame, FrameError, Frames, Run};
use crate::wire::record;
use bytes::Bytes;

/// Why a link ends that the peer spoiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkFault {
    /// A record's length or tag is wrong.
    Record,
    /// A frame is malformed.
    Frame(FrameError),
    /// Messages that cannot be.
    Message(InboxError),
    /// An ACK for what was never sent.
    Ack,
    /// A frame that this role never gets, or too many of a kind.
    Misplaced,
}

impl From<FrameError> for LinkFault {
    fn from(error: FrameError) -> Self {
        LinkFault::Frame(error)
    }
}

impl From<InboxError> for LinkFault {
    fn from(error: InboxError) -> Self {
        LinkFault::Message(error)
    }
}

/// What the caller must see to after a frame.
#[derive(Clone, PartialEq, Eq)]
pub enum Notice {
    /// (client) The server asks to move.
    Drain {
        window_ms: u32,
        address: alloc::string::String,
    },
    /// (client) More pins.
    Keys(Vec<([u8; 32], u32)>),
}

/// Everything that one stretch of input brought beside messages.
pub type Notices = Vec<Notice>;

/// Most AUTH, DRAIN and KEYS frames on one link, together: each may cause memory or an event (U-54, L-20).
pub const RARE_FRAMES: u8 = 16;

impl Conversation {
    /// Takes bytes of link `index`. On an error the caller ends the link.
    pub fn receive(&mut self, index: usize, mut bytes: &[u8], notices: &mut Notices) -> Result<(), LinkFault> {
        self.note_probe(index);
        let liveness = &mut self.links[index].liveness;
        if liveness.is_overdue(self.now, &self.settings.timing) {
            liveness.woken(self.now);
        }
        // Half a record is a sign of life, too, if not one of the peer's.
        liveness.received(bytes.len(), self.now);
        let result = loop {
            // Behind a CLOSE, and when all is over, nothing counts any more (U-50).
            if self.links[index].deaf || self.state == State::Closed {
                break Ok(());
            }
            if !self.links[index].partial.is_empty() {
                match self.receive_rest(index, &mut bytes, notices) {
                    Ok(true) => continue,
                    Ok(false) => break Ok(()),
                    Err(fault) => break Err(fault),
                }
            }
            match record::length(bytes) {
                Err(_) => break Err(LinkFault::Record),
                Ok(Some(length)) if bytes.len() >= record::LENGTH_LEN + length => {
                    let (sealed, rest) = bytes[record::LENGTH_LEN..].split_at(length);
                    bytes = rest;
                    let opened = self.open(index, sealed, notices);
                    if opened.is_err() || bytes.is_empty() {
                        break opened;
                    }
                }
                Ok(_) => {
                    self.links[index].partial.extend_from_slice(bytes);
                    break Ok(());
                }
            }
        };
        self.rest_if_quiet(index);
        self.tell_readable();
        result
    }

    /// Goes on with a record whose beginning came before; says whether as much of it is there now as was wanted: its length, or all of it.
    #[inline(never)]
    fn receive_rest(&mut self, index: usize, bytes: &mut &[u8], notices: &mut Notices) -> Result<bool, LinkFault> {
        let mut partial = core::mem::take(&mut self.links[index].partial);
        let result = match wanted(&partial) {
            Err(_) => Err(LinkFault::Record),
            Ok(wanted) => {
                let size = (wanted - partial.len()).min(bytes.len());
                partial.extend_from_slice(&bytes[..size]);
                *bytes = &bytes[size..];
                let whole = partial.len() == wanted;
                if whole && wanted > record::LENGTH_LEN {
                    let opened = self.open(index, &partial[record::LENGTH_LEN..], notices);
                    partial.clear();
                    opened.map(|()| true)
                } else {
                    Ok(whole)
                }
            }
        };
        if let Some(link) = self.links.get_mut(index) {
            link.partial = partial;
        }
        result
    }

    /// Takes the early frames of a RESUME (U-16): the same path as a record's. What is beyond this end's limits is left, and what follows it: the client may have been
    /// given more by the owner before (U-44), and learns from the answer what has come.
    pub fn receive_early(&mut self, frames: &[u8]) -> Result<(), LinkFault> {
        let (mut buffer, place) = self.inbox.take_buffer(frames.len());
        buffer[place.clone()].copy_from_slice(frames);
        let mut at = 0;
        let result = loop {
            let mut walk = Frames::early(&buffer[place.clone()]).from_position(at);
            let frame = match walk.next() {
                None => break Ok(()),
                Some(Err(error)) => break Err(error.into()),
                Some(Ok(frame)) => frame,
            };
            at = walk.position();
            let taken = match Data::of(&frame, place.start, place.start + at) {
                Some(data) => self.take_data(data, &mut buffer),
                None => Err(LinkFault::Misplaced),
            };
            match taken {
                Err(LinkFault::Message(InboxError::Credit | InboxError::Size)) => break Ok(()),
                Err(_) => break taken,
                Ok(()) => {}
            }
        };
        self.inbox.put_back(buffer);
        self.tell_readable();
        result
    }

    fn open(&mut self, index: usize, sealed: &[u8], notices: &mut Notices) -> Result<(), LinkFault> {
        let (mut buffer, place) = self.inbox.take_buffer(sealed.len() - record::TAG);
        let result = match self.links[index].opener.open(sealed, &mut buffer[place.clone()]) {
            Ok(()) => {
                self.stats.wire_received += (record::LENGTH_LEN + sealed.len()) as u64;
                self.heard(index);
                self.take_frames(index, &mut buffer, place, notices)
            }
            Err(_) => Err(LinkFault::Record),
        };
        self.inbox.put_back(buffer);
        result
    }

    /// A valid record: the link lives, and the peer has its keys.
    fn heard(&mut self, index: usize) {
        let link = &mut self.links[index];
        link.liveness.heard(self.now);
        if !core::mem::replace(&mut link.confirmed, true) {
            // It says nothing of the link before it, which may have been down for long.
            self.confirmed(index);
        } else if link.life == Life::Open {
            self.handover.alive_again();
        }
    }

    /// (server) The first record on a link proved the client's keys: what is older is over (U-33, U-52).
    #[cold]
    fn confirmed(&mut self, newest: usize) {
        let close = Close {
            kind: CloseKind::Superseded,
            code: 0,
            send_end: self.outbox.next(),
            recv_next: self.inbox.next(),
        };
        let until = self.now + LINGER;
        for link in self.links[..newest].iter_mut().filter(|link| link.life == Life::Open) {
            // A CLOSE of the application's may stand there already; one is enough.
            if !self.closing.has_begun() {
                frame::close(&mut link.control, &close);
            }
            link.life = Life::Closing(until);
        }
        self.closing.moved();
        self.came_back = true;
        let same_server = !core::mem::take(&mut self.moved);
        self.up_again(same_server);
        if !same_server {
            self.tell_within_reach();
        }
    }

    fn take_frames(
        &mut self,
        index: usize,
        buffer: &mut [u8],
        place: Range<usize>,
        notices: &mut Notices,
    ) -> Result<(), LinkFault> {
        let mut at = 0;
        while at < place.len() {
            let mut walk = Frames::new(&buffer[place.clone()]).from_position(at);
            if let Some(run) = walk.next_run()? {
                at = walk.position();
                let data = Data::run(&run, place.start);
                self.links[index].liveness.brought_data(self.now);
                self.take_data(data, buffer)?;
                continue;
            }
            let Some(frame) = walk.next().transpose()? else {
                return Ok(());
            };
            at = walk.position();
            if let Some(data) = Data::of(&frame, place.start, place.start + at) {
                self.links[index].liveness.brought_data(self.now);
                self.take_data(data, buffer)?;
                continue;
            }
            self.take_frame(index, frame, notices)?;
            if self.links[index].deaf || self.state == State::Closed {
                return Ok(());
            }
        }
        Ok(())
    }

    fn take_data(&mut self, data: Data, buffer: &mut [u8]) -> Result<(), LinkFault> {
        let again = match data {
            Data::Run(run, entries) => {
                let again = run.seq < self.inbox.next();
                self.inbox.run(run, buffer, entries)?;
                again
            }
            Data::Part(part, bytes) => !self.inbox.fragment(part, buffer, bytes)?,
        };
        if again {
            self.acks.force();
        }
        Ok(())
    }

    #[inline(never)]
    fn take_frame(&mut self, index: usize, frame: Frame<'_>, notices: &mut Notices) -> Result<(), LinkFault> {
        let now = self.now;
        let client = self.role == Role::Client;
        match frame {
            Frame::Data(_) | Frame::Fragment(_) => {}
            Frame::Ack(ack) => return self.take_ack(ack),
            Frame::Unreliable(message) => {
                self.links[index].liveness.brought_data(now);
                self.inbox.unreliable(message);
            }
            Frame::Ping(token) => self.links[index].pong_due = Some(token),
            Frame::Pong(token) => self.links[index].liveness.pong(token, now),
            Frame::Auth(credential) if !client => {
                self.count_rare(index)?;
                match self.auth {
                    Auth::Expected { open_to_all } => self.ask(credential, open_to_all),
                    _ => self.repeat_verdict(index),
                }
            }
            Frame::AuthResult {
                accepted,
                code,
                message,
            } if client => {
                let (Auth::Asking { .. }, Some(session)) = (&self.auth, self.id) else {
                    return Ok(());
                };
                let message = Bytes::copy_from_slice(message);
                if accepted {
                    self.auth = Auth::Accepted {
                        message: message.clone(),
                    };
                    self.step_authorised();
                    self.events.push_back(Event::Established { session, message });
                } else {
                    self.auth = Auth::Refused { code };
                    self.events.push_back(Event::Refused { code, message });
                }
            }
            Frame::Close(close) => {
                self.links[index].deaf = true;
                if self.newest_confirmed() == Some(index) {
                    self.peer_closed(index, &close);
                } else {
                    self.links[index].life = Life::Closing(now + LINGER);
                }
            }
            Frame::CloseAck { .. } if self.closing.has_begun() => {
                self.links[index].deaf = true;
                self.closing_link_lost();
            }
            Frame::Drain { window_ms, address } if client => {
                self.count_rare(index)?;
                // From an older link it concerns a server that the session has left already.
                if self.newest_confirmed() == Some(index) {
                    let address = address.into();
                    notices.push(Notice::Drain { window_ms, address });
                }
            }
            Frame::Keys(keys) if client => {
                self.count_rare(index)?;
                notices.push(Notice::Keys(
                    keys.iter().map(|key| (key.public, key.lifetime_s)).collect(),
                ));
            }
            Frame::CloseAck { .. }
            | Frame::Auth(_)
            | Frame::AuthResult { .. }
            | Frame::Drain { .. }
            | Frame::Keys(_) => {
                return Err(LinkFault::Misplaced);
            }
        }
        Ok(())
    }

    fn count_rare(&mut self, index: usize) -> Result<(), LinkFault> {
        let link = &mut self.links[index];
        link.rare_frames += 1;
        if link.rare_frames > RARE_FRAMES {
            Err(LinkFault::Misplaced)
        } else {
            Ok(())
        }
    }

    fn take_ack(&mut self, ack: Ack) -> Result<(), LinkFault> {
        if ack.recv_next > self.outbox.next() {
            return Err(LinkFault::Ack);
        }
        self.acknowledged(ack.recv_next, ack.messages, ack.bytes);
        Ok(())
    }

    /// Ends the link after a fault of the peer's; says whether it was the last that carried.
    pub fn fault(&mut self, index: usize) -> bool {
        let link = self.close_link(index);
        self.after_loss(&link, HandoverCause::BadInput)
    }

    /// Ends the session on a broken invariant instead of taking the process down.
    #[cold]
    pub fn broken(&mut self) {
        debug_assert!(false, "broken invariant");
        self.finish(CloseReason::Internal);
    }
}

/// The bytes of a DATA or FRAGMENT, told apart from the record they are in.
enum Data {
    Run(RunHead, Range<usize>),
    Part(Part, Range<usize>),
}

impl Data {
    /// `start` is where the record begins in the buffer, `end` where the frame ends.
    fn of(frame: &Frame<'_>, start: usize, end: usize) -> Option<Data> {
        match frame {
            Frame::Data(run) => Some(Data::run(run, start)),
            Frame::Fragment(fragment) => {
                let part = Part {
                    seq: fragment.seq,
                    total: fragment.total,
                    offset: fragment.offset,
                };
                Some(Data::Part(part, end - fragment.bytes.len()..end))
            }
            _ => None,
        }
    }

    fn run(run: &Run<'_>, start: usize) -> Data {
        let from = start + run.offset;
        let head = RunHead {
            seq: run.seq,
            count: run.count,
            payload: run.payload,
        };
        Data::Run(head, from..from + run.bytes.len())
    }
}

/// How long the collected bytes must become: the length field, then the whole record.
fn wanted(partial: &[u8]) -> Result<usize, record::BadLength> {
    Ok(record::length(partial)?.map_or(record::LENGTH_LEN, |length| record::LENGTH_LEN + length))
}
