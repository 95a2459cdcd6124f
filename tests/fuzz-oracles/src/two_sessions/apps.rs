//! The two applications: what they send, what they are told, and whether that can be.

use bytes::Bytes;
use unbroken::{Event, MessageId, SendError, State, Verdict};

use super::program::Side;
use super::world::{MESSAGES, World};
use crate::host::{self, Poll};

impl World {
    /// Mostly small messages, sometimes as large as may be.
    pub(super) fn send(&mut self, side: Side, size: u16, i: u8) {
        let max = self.limits[0].message.min(self.limits[1].message) as usize;
        let len = match size >> 14 {
            0 | 1 => usize::from(size % 64) + usize::from(i),
            2 => usize::from(size % 2048),
            _ => max.saturating_sub(usize::from(size % 512)),
        };
        let n = self.talk(side).sent.len();
        if n >= MESSAGES {
            return;
        }
        let message = Bytes::from(host::message(side as u8, n, len.min(max)));
        let result = match side {
            Side::Client => self.client.send(message.clone()),
            Side::Server => match self.id.and_then(|id| self.server.session(id)) {
                Some(mut session) => session.send(message.clone()),
                None => return,
            },
        };
        match result {
            Ok(id) => {
                assert_eq!(id, MessageId(n as u64), "{side:?}: numbers are given out in order");
                self.talk_mut(side).sent.push(message.len());
            }
            Err(SendError::WouldBlock(back)) => assert_eq!(back, message),
            Err(SendError::Closed(back)) => {
                assert_eq!(back, message);
                assert!(self.may_be_closed(side), "{side:?}: send says closed");
            }
            Err(error) => panic!("{side:?}: message of {} bytes: {error}", message.len()),
        }
    }

    pub(super) fn may_be_closed(&self, side: Side) -> bool {
        let talk = self.talk(side);
        let state = match side {
            Side::Client => self.client.state(),
            Side::Server => State::Closed,
        };
        talk.closed_with.is_some() || talk.kicked || state == State::Closed
    }

    pub(super) fn send_unreliable(&mut self, side: Side, size: u16) {
        let n = self.talk(side).unreliable.len();
        let len = 5 + usize::from(size % 2000);
        let message = Bytes::from(host::message(side as u8 + 2, n, len));
        let result = match side {
            Side::Client => self.client.send_unreliable(message),
            Side::Server => match self.id.and_then(|id| self.server.session(id)) {
                Some(mut session) => session.send_unreliable(message),
                None => return,
            },
        };
        self.talk_mut(side)
            .unreliable
            .push(if result.is_ok() { len } else { usize::MAX });
    }

    /// Takes one message, compares it with what was sent; whether there was one.
    pub fn recv(&mut self, side: Side) -> bool {
        let (id, payload) = match side {
            Side::Client => match self.client.recv() {
                Some(message) => (message.id, message.payload.to_vec()),
                None => return false,
            },
            Side::Server => {
                let Some(mut session) = self.id.and_then(|id| self.server.session(id)) else {
                    return false;
                };
                match session.recv() {
                    Some(message) => (message.id, message.payload.to_vec()),
                    None => return false,
                }
            }
        };
        assert!(
            side == Side::Client || self.let_in,
            "a message of a client that was not let in"
        );
        let from = side.other();
        let Some(MessageId(id)) = id else {
            let n = payload.first_chunk().map_or(u32::MAX, |n| u32::from_be_bytes(*n));
            let len = self.talk(from).unreliable.get(n as usize).copied();
            assert_eq!(len, Some(payload.len()), "{side:?}: unreliable message {n}");
            assert_eq!(payload, host::message(from as u8 + 2, n as usize, payload.len()));
            assert!(
                self.talk_mut(side).unreliable_seen.insert(n),
                "{side:?}: unreliable message {n} twice"
            );
            return true;
        };
        let due = self.talk(side).received;
        assert_eq!(
            id, due as u64,
            "{side:?}: message {id} was delivered where {due} was due"
        );
        let len = self.talk(from).sent.get(due).copied();
        assert_eq!(len, Some(payload.len()), "{side:?}: length of message {id}");
        assert!(
            payload == host::message(from as u8, due, payload.len()),
            "{side:?}: payload of message {id}"
        );
        self.talk_mut(side).received += 1;
        true
    }

    pub(super) fn verdict(&mut self, accept: bool) {
        if !core::mem::take(&mut self.asked) {
            return;
        }
        let Some(mut session) = self.id.and_then(|id| self.server.session(id)) else {
            return;
        };
        let verdict = match accept {
            true => Verdict::Accept {
                message: "welcome".into(),
            },
            false => Verdict::Refuse {
                code: 7,
                message: "no".into(),
            },
        };
        let waited = session.authorise(verdict);
        drop(session);
        self.let_in |= waited && accept;
        self.refused |= waited && !accept;
    }

    pub(super) fn answer_resume(&mut self, accept: bool) {
        if !core::mem::take(&mut self.resume_asked) {
            return;
        }
        let Some(mut session) = self.id.and_then(|id| self.server.session(id)) else {
            return;
        };
        let waited = session.answer_resume(if accept { Ok(()) } else { Err(9) });
        drop(session);
        self.refused |= waited && !accept;
    }

    pub fn disconnect(&mut self, side: Side, code: u32) {
        match side {
            Side::Client => {
                if self.client.state() != State::Closed {
                    self.talks[0].closed_with.get_or_insert(code);
                }
                self.client.disconnect(code);
            }
            Side::Server => {
                let Some(mut session) = self.id.and_then(|id| self.server.session(id)) else {
                    return;
                };
                if session.state() != State::Closed {
                    self.talks[1].closed_with.get_or_insert(code);
                }
                session.close(code);
            }
        }
    }

    pub(super) fn poll_event(&mut self, side: Side) -> bool {
        let now = self.now;
        let Some((id, event)) = (match side {
            Side::Client => self.client.next_event(now),
            Side::Server => self.server.next_event(now),
        }) else {
            return false;
        };
        if let Some(id) = id {
            assert_eq!(*self.id.get_or_insert(id), id, "two sessions of one client");
            assert_eq!(self.client.id(), Some(id), "a session that its client does not know");
        }
        host::trace(&(now, side, &event));
        self.talk_mut(side).life.see(&event);
        match event {
            Event::Authorise { credential } => {
                assert!(
                    side == Side::Server && !self.let_in && credential[..] == *b"ticket",
                    "{credential:?}"
                );
                self.asked = true;
                if self.auto {
                    self.verdict(true);
                }
            }
            Event::ResumeRequest => {
                assert_eq!(side, Side::Server);
                self.resume_asked = true;
                if self.auto {
                    self.answer_resume(true);
                }
            }
            Event::Established { .. } => assert!(self.let_in, "established without a verdict"),
            Event::HandoverFailed { acked, .. } => {
                let delivered = self.talk(side.other()).received as u64;
                assert!(
                    acked.0 <= delivered,
                    "{side:?}: {} are said to be delivered, {delivered} were",
                    acked.0
                );
            }
            _ => {}
        }
        true
    }
}
